/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_EVENT_H
#define APIR_CL_EVENT_H

/** @file What the files of events share; cl_object.h has what others need. */

#include "cl_object.h"

/** True if nothing more happens to it. */
static inline bool
cl_event_final(struct _cl_event *ev)
{
	return atomic_load_explicit(&ev->status, memory_order_acquire) <= CL_COMPLETE;
}

/** Ask the worker for the status of those that are not final, and settle those that are now. At most CL_EVENT_BATCH. */
void cl_events_ask(size_t n, struct _cl_event *const *list);
#define CL_EVENT_BATCH 256

/** Do and forget what is left of a command. */
void cl_after_run(struct cl_after *a, bool success);
/** Look after an event until it is final: with a reference of its own. */
void cl_event_watch(struct _cl_event *ev);

#endif /* APIR_CL_EVENT_H */
