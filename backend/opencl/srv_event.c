/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Events. */

#include <stdlib.h>

#include "cl_dispatch.h"

/* What to tell when an event gets there. */
struct told {
	struct shared *sh;
	uint64_t token;
};

cl_int
srv_WaitForEvents(struct srv *s, size_t n, const cl_event *events)
{
	s->waited = true;
	return clWaitForEvents((cl_uint)n, events);
}

static void CL_CALLBACK
on_status(cl_event event, cl_int status, void *user)
{
	struct told *t = user;

	(void)event;
	if (!notice_add(&t->sh->notices, CL_NOTICE_EVENT, t->token, status, NULL))
		log_limited(&t->sh->limit, LOG_WARNING,
			    "session %u: the OpenCL program does not fetch what it asked to be "
			    "told: a callback of an event is lost",
			    t->sh->session);
	free(t);
}

cl_int
srv_SetEventCallback(struct srv *s, cl_event event, int32_t status, uint64_t token)
{
	struct told *t = malloc(sizeof(*t));
	cl_int err;

	if (t == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	*t = (struct told){s->sh, token};
	err = clSetEventCallback(event, status, on_status, t);
	if (err != CL_SUCCESS)
		free(t);
	return err;
}

cl_int
srv_GetEventStatuses(struct srv *s, size_t n, const cl_event *events, struct srv_out *statuses)
{
	cl_int *status = statuses->p;

	if (n * sizeof(*status) > statuses->room)
		return CL_INVALID_VALUE;
	for (size_t i = 0; i < n; i++) {
		const cl_int err = clGetEventInfo(events[i], CL_EVENT_COMMAND_EXECUTION_STATUS,
						  sizeof(*status), &status[i], NULL);

		if (err != CL_SUCCESS)
			return err;
		/* Who sees the end of a command sees what it printed. */
		s->waited |= status[i] <= CL_COMPLETE;
	}
	statuses->len = n * sizeof(*status);
	return CL_SUCCESS;
}
