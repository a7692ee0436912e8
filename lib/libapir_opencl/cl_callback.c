/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Functions of the program to be called when an event reaches a status: the worker sends a notice.
 */

#include <stdlib.h>

#include "cl_event.h"
#include "cl_rpc.h"
#include "cl_token.h"

struct callback {
	struct _cl_event *ev; /* with a reference */
	void(CL_CALLBACK *fn)(cl_event, cl_int, void *);
	void *user;
};

static void
reached(void *arg, int32_t value, const void *text, size_t len)
{
	struct callback cb = *(struct callback *)arg;

	(void)text;
	(void)len;
	free(arg);
	cl_event_settle(cb.ev, value);
	/* the program may take all that was enqueued before for complete */
	if (value <= CL_COMPLETE)
		cl_events_reap(cb.ev->queue);
	cb.fn(cb.ev, value, cb.user);
	cl_release(cb.ev);
}

CL_API_ENTRY cl_int CL_API_CALL
clSetEventCallback(cl_event event, cl_int command_exec_callback_type,
		   void(CL_CALLBACK *pfn_notify)(cl_event, cl_int, void *), void *user_data)
{
	struct callback *cb;
	uint64_t token;
	cl_int err;

	if (!cl_is(event, CL_KIND_EVENT))
		return CL_INVALID_EVENT;
	if (pfn_notify == NULL ||
	    (command_exec_callback_type != CL_SUBMITTED &&
	     command_exec_callback_type != CL_RUNNING && command_exec_callback_type != CL_COMPLETE))
		return CL_INVALID_VALUE;
	cb = malloc(sizeof(*cb));
	if (cb == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	*cb = (struct callback){.ev = event, .fn = pfn_notify, .user = user_data};
	cl_retain(event);
	token = cl_token_new(CL_NOTICE_EVENT, reached, cb);
	if (token == 0) {
		cl_release(event);
		free(cb);
		return CL_OUT_OF_HOST_MEMORY;
	}
	err = rpc_SetEventCallback(cl_id(event), command_exec_callback_type, token);
	/* if the session was lost meanwhile it may have been called for that reason: then it counts as set */
	if (err != CL_SUCCESS && !cl_token_drop(token))
		return CL_SUCCESS;
	if (err != CL_SUCCESS) {
		cl_release(event);
		free(cb);
	}
	return err;
}
