/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Events: waiting for them, what they tell, user events. cl_track.c has what is done when one completes, cl_callback.c those who
 * want to be called.
 */

#include <stdlib.h>

#include "cl_event.h"
#include "cl_rpc.h"
#include "cl_session.h"
#include "virtio_apir_cl.h"

static void
event_cleanup(void *obj)
{
	struct _cl_event *ev = obj;

	/* none, unless the event was never watched */
	cl_after_run(atomic_exchange(&ev->after, NULL), false);
	pthread_mutex_destroy(&ev->lock);
	cl_release(ev->queue);
	cl_release(ev->ctx);
}

__attribute__((constructor)) static void
event_init(void)
{
	cl_object_cleanup(CL_KIND_EVENT, event_cleanup);
}

static struct _cl_event *
event_make(struct _cl_context *ctx, struct _cl_command_queue *queue, cl_command_type type,
	   cl_int status, uint64_t id)
{
	struct _cl_event *ev = cl_object_new(CL_KIND_EVENT, id);

	if (ev == NULL)
		return NULL;
	pthread_mutex_init(&ev->lock, NULL);
	ev->type = type;
	atomic_store(&ev->status, status);
	cl_retain(ctx);
	ev->ctx = ctx;
	if (queue != NULL)
		cl_retain(queue);
	ev->queue = queue;
	return ev;
}

struct _cl_event *
cl_event_new(struct _cl_command_queue *queue, cl_command_type type, uint64_t id,
	     struct cl_after *after)
{
	struct _cl_event *ev = event_make(queue->ctx, queue, type, CL_QUEUED, id);

	if (ev == NULL) {
		if (after != NULL)
			cl_after_run(after, rpc_WaitForEvents(1, &id) == CL_SUCCESS);
		cl_release_id(id);
		return NULL;
	}
	if (after != NULL) {
		atomic_store(&ev->after, after);
		cl_event_watch(ev);
	}
	return ev;
}

void
cl_event_track(struct _cl_event *ev)
{
	/* it is watched as long as there is something to do */
	cl_release(ev);
}

cl_int
cl_waits_check(const struct _cl_context *ctx, cl_uint n, const cl_event *list)
{
	if ((n == 0) != (list == NULL))
		return CL_INVALID_EVENT_WAIT_LIST;
	for (cl_uint i = 0; i < n; i++) {
		if (!cl_is(list[i], CL_KIND_EVENT))
			return CL_INVALID_EVENT_WAIT_LIST;
	}
	for (cl_uint i = 0; i < n; i++) {
		if (list[i]->ctx != ctx)
			return CL_INVALID_CONTEXT;
	}
	return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL
clRetainEvent(cl_event event)
{
	return cl_api_retain(event, CL_KIND_EVENT);
}

CL_API_ENTRY cl_int CL_API_CALL
clReleaseEvent(cl_event event)
{
	return cl_api_release(event, CL_KIND_EVENT);
}

/* Waiting ------------------------------------------------------------------------------------------------------------ */

/* For at most CL_EVENT_BATCH events, which are final then unless the wait itself failed. */
static cl_int
wait_some(size_t n, struct _cl_event *const *list)
{
	uint64_t ids[CL_EVENT_BATCH];
	size_t nb = 0;
	cl_int err = CL_SUCCESS;

	for (size_t i = 0; i < n; i++) {
		if (!cl_event_final(list[i]))
			ids[nb++] = cl_id(list[i]);
	}
	if (nb > 0)
		err = rpc_WaitForEvents(nb, ids);
	for (size_t i = 0; err == CL_SUCCESS && i < n; i++) {
		if (!cl_event_final(list[i]))
			cl_event_settle(list[i], CL_COMPLETE);
	}
	if (err != CL_SUCCESS)
		cl_events_ask(n, list);
	return err;
}

CL_API_ENTRY cl_int CL_API_CALL
clWaitForEvents(cl_uint num_events, const cl_event *event_list)
{
	struct _cl_event *held[CL_EVENT_BATCH];
	cl_int err = CL_SUCCESS, e;

	if (num_events == 0 || event_list == NULL)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < num_events; i++) {
		if (!cl_is(event_list[i], CL_KIND_EVENT))
			return CL_INVALID_EVENT;
	}
	for (cl_uint i = 1; i < num_events; i++) {
		if (event_list[i]->ctx != event_list[0]->ctx)
			return CL_INVALID_CONTEXT;
	}
	for (cl_uint done = 0; done < num_events;) {
		const cl_uint left = num_events - done;
		const cl_uint n = left < CL_EVENT_BATCH ? left : CL_EVENT_BATCH;

		/* another thread may release them meanwhile */
		for (cl_uint i = 0; i < n; i++) {
			held[i] = event_list[done + i];
			cl_retain(held[i]);
		}
		e = wait_some(n, held);
		for (cl_uint i = 0; i < n; i++) {
			if (e == CL_SUCCESS && atomic_load(&held[i]->status) < 0)
				e = CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
			cl_release(held[i]);
		}
		if (err == CL_SUCCESS)
			err = e;
		done += n;
	}
	cl_events_reap(NULL);
	return err;
}

/* Information -------------------------------------------------------------------------------------------------------- */

/* The status as it is now. */
static cl_int
event_status(struct _cl_event *ev)
{
	if (!cl_event_final(ev) && (ev->queue != NULL || cl_session() == NULL))
		cl_events_ask(1, &ev);
	/* what was enqueued before a complete command may be so, too */
	if (cl_event_final(ev))
		cl_events_reap(ev->queue);
	return atomic_load(&ev->status);
}

CL_API_ENTRY cl_int CL_API_CALL
clGetEventInfo(cl_event event, cl_event_info param_name, size_t param_value_size, void *param_value,
	       size_t *param_value_size_ret)
{
	cl_command_queue queue;
	cl_context ctx;
	cl_uint n;
	cl_int status;

	if (!cl_is(event, CL_KIND_EVENT))
		return CL_INVALID_EVENT;
	switch (param_name) {
	case CL_EVENT_COMMAND_QUEUE:
		queue = event->queue;
		return cl_info_put(&queue, sizeof(queue), param_value_size, param_value,
				   param_value_size_ret);
	case CL_EVENT_CONTEXT:
		ctx = event->ctx;
		return cl_info_put(&ctx, sizeof(ctx), param_value_size, param_value,
				   param_value_size_ret);
	case CL_EVENT_COMMAND_TYPE:
		return cl_info_put(&event->type, sizeof(event->type), param_value_size, param_value,
				   param_value_size_ret);
	case CL_EVENT_REFERENCE_COUNT:
		n = cl_refcount(event);
		return cl_info_put(&n, sizeof(n), param_value_size, param_value,
				   param_value_size_ret);
	case CL_EVENT_COMMAND_EXECUTION_STATUS:
		status = event_status(event);
		return cl_info_put(&status, sizeof(status), param_value_size, param_value,
				   param_value_size_ret);
	default:
		return CL_INVALID_VALUE;
	}
}

CL_API_ENTRY cl_int CL_API_CALL
clGetEventProfilingInfo(cl_event event, cl_profiling_info param_name, size_t param_value_size,
			void *param_value, size_t *param_value_size_ret)
{
	const unsigned int i = param_name - CL_PROFILING_COMMAND_QUEUED;
	cl_ulong v = 0;
	size_t len = 0;
	cl_int err;

	if (!cl_is(event, CL_KIND_EVENT))
		return CL_INVALID_EVENT;
	if (event->queue == NULL || (event->queue->properties & CL_QUEUE_PROFILING_ENABLE) == 0)
		return CL_PROFILING_INFO_NOT_AVAILABLE;
	if (i >= sizeof(event->profile) / sizeof(event->profile[0]))
		return event_status(event) == CL_COMPLETE ? CL_INVALID_VALUE
							  : CL_PROFILING_INFO_NOT_AVAILABLE;
	if ((atomic_load(&event->profiled) & (1u << i)) == 0) {
		/* tells at the same time whether the command is complete */
		err = rpc_GetInfo(CL_KIND_EVENT, cl_id(event), 0, 0, 0, param_name, NULL, 0, &v,
				  sizeof(v), &len);
		if (err != CL_SUCCESS)
			return err;
		if (len != sizeof(v))
			return CL_OUT_OF_RESOURCES;
		cl_event_settle(event, CL_COMPLETE);
		cl_events_reap(event->queue);
		pthread_mutex_lock(&event->lock);
		if ((atomic_load(&event->profiled) & (1u << i)) == 0)
			event->profile[i] = v;
		atomic_fetch_or(&event->profiled, 1u << i);
		pthread_mutex_unlock(&event->lock);
	} else {
		v = event->profile[i];
	}
	return cl_info_put(&v, sizeof(v), param_value_size, param_value, param_value_size_ret);
}

/* User events -------------------------------------------------------------------------------------------------------- */

CL_API_ENTRY cl_event CL_API_CALL
clCreateUserEvent(cl_context context, cl_int *errcode_ret)
{
	struct _cl_event *ev = NULL;
	uint64_t id;
	cl_int err = CL_INVALID_CONTEXT;

	if (cl_is(context, CL_KIND_CONTEXT)) {
		err = rpc_CreateUserEvent(cl_id(context), &id);
		if (err == CL_SUCCESS) {
			ev = event_make(context, NULL, CL_COMMAND_USER, CL_SUBMITTED, id);
			if (ev == NULL) {
				cl_release_id(id);
				err = CL_OUT_OF_HOST_MEMORY;
			}
		}
	}
	if (errcode_ret != NULL)
		*errcode_ret = err;
	return ev;
}

CL_API_ENTRY cl_int CL_API_CALL
clSetUserEventStatus(cl_event event, cl_int execution_status)
{
	cl_int err;

	if (!cl_is(event, CL_KIND_EVENT) || event->queue != NULL)
		return CL_INVALID_EVENT;
	if (execution_status > CL_COMPLETE)
		return CL_INVALID_VALUE;
	cl_retain(event);
	/* the worker lets only the first of several threads succeed */
	err = cl_event_final(event) ? CL_INVALID_OPERATION
				    : rpc_SetUserEventStatus(cl_id(event), execution_status);
	if (err == CL_SUCCESS)
		cl_event_settle(event, execution_status);
	cl_release(event);
	return err;
}

/* Of OpenCL 1.0 ------------------------------------------------------------------------------------------------------ */

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueMarker(cl_command_queue command_queue, cl_event *event)
{
	if (!cl_is(command_queue, CL_KIND_QUEUE))
		return CL_INVALID_COMMAND_QUEUE;
	if (event == NULL)
		return CL_INVALID_VALUE;
	return clEnqueueMarkerWithWaitList(command_queue, 0, NULL, event);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueBarrier(cl_command_queue command_queue)
{
	return clEnqueueBarrierWithWaitList(command_queue, 0, NULL, NULL);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueWaitForEvents(cl_command_queue command_queue, cl_uint num_events,
		       const cl_event *event_list)
{
	cl_int err;

	if (!cl_is(command_queue, CL_KIND_QUEUE))
		return CL_INVALID_COMMAND_QUEUE;
	if (num_events == 0 || event_list == NULL)
		return CL_INVALID_VALUE;
	err = cl_waits_check(command_queue->ctx, num_events, event_list);
	if (err != CL_SUCCESS)
		return err == CL_INVALID_EVENT_WAIT_LIST ? CL_INVALID_EVENT : err;
	return rpc_EnqueueBarrierWithWaitList(cl_id(command_queue), num_events, event_list, NULL);
}
