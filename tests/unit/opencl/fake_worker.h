/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef TEST_CL_FAKE_WORKER_H
#define TEST_CL_FAKE_WORKER_H

/**
 * @file
 * What the dispatcher finds behind itself: objects that are only numbers, an arena, and calls that write down what they get
 * (fake_calls.c, generated).
 */

#include "note.h"
#include "srv.h"

struct fake {
	struct note seen;
	unsigned int nb_calls;
	cl_int err;	      /**< what calls return */
	bool no_ids;	      /**< srv_add() fails */
	unsigned int nb_made; /**< objects that calls have made */
	unsigned int nb_ids;  /**< and that have got an id */
};
extern struct fake fake;

/** Forget all. */
void fake_reset(void);

/* For fake_calls.c: begin the notes of a call; note arguments; make an object. */
void fake_call(uint32_t number);
void fake_object(enum cl_kind kind, const void *obj);
void fake_objects(enum cl_kind kind, size_t n, const void *objects);
void fake_range(const void *p, size_t len);
void fake_waits(cl_uint n, const cl_event *waits, cl_event *event);
void *fake_new(enum cl_kind kind);

#endif /* TEST_CL_FAKE_WORKER_H */
