/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Events: what is left to do when one completes is done once, and before anyone knows; callbacks. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cl_notice.h"
#include "cl_object.h"
#include "cl_rpc.h"
#include "cl_session.h"

/* The worker ---------------------------------------------------------------------------------------------------------- */

#define MAX_ID 1024

const struct _cl_icd_dispatch cl_dispatch_table;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	_Atomic cl_int status[MAX_ID]; /* of events */
	atomic_bool lost;
	atomic_uint asked, waited, released;
	/* one notice */
	uint64_t token;
	cl_int value;
	bool told;
	uint64_t set_token; /* of the last callback */
} worker = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.cond = PTHREAD_COND_INITIALIZER,
};

uint32_t
cl_session_number(void)
{
	return 1;
}

const struct cl_session_info *
cl_session(void)
{
	static const struct cl_session_info info;

	return atomic_load(&worker.lost) ? NULL : &info;
}

void
cl_release_id(uint64_t id)
{
	(void)id;
	atomic_fetch_add(&worker.released, 1);
}

cl_int
rpc_WaitForEvents(size_t n, const uint64_t *events)
{
	cl_int err = CL_SUCCESS;

	atomic_fetch_add(&worker.waited, 1);
	if (atomic_load(&worker.lost))
		return CL_DEVICE_NOT_AVAILABLE;
	for (size_t i = 0; i < n; i++) {
		if (worker.status[events[i]] > CL_COMPLETE)
			worker.status[events[i]] = CL_COMPLETE;
		if (worker.status[events[i]] < 0)
			err = CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
	}
	return err;
}

cl_int
rpc_GetEventStatuses(size_t n, const uint64_t *events, void *statuses, size_t statuses_room,
		     size_t *statuses_len)
{
	atomic_fetch_add(&worker.asked, 1);
	if (atomic_load(&worker.lost))
		return CL_DEVICE_NOT_AVAILABLE;
	assert_true(statuses_room >= n * sizeof(cl_int));
	for (size_t i = 0; i < n; i++)
		((cl_int *)statuses)[i] = worker.status[events[i]];
	*statuses_len = n * sizeof(cl_int);
	return CL_SUCCESS;
}

cl_int
rpc_GetInfo(uint32_t kind, uint64_t object, uint32_t other_kind, uint64_t other, uint64_t index,
	    uint32_t param, const void *input, size_t input_len, void *value, size_t value_room,
	    size_t *value_len)
{
	const cl_ulong v = 1000 + param;

	(void)other_kind;
	(void)other;
	(void)index;
	(void)input;
	(void)input_len;
	assert_int_equal(kind, CL_KIND_EVENT);
	atomic_fetch_add(&worker.asked, 1);
	if (worker.status[object] != CL_COMPLETE)
		return CL_PROFILING_INFO_NOT_AVAILABLE;
	assert_int_equal(value_room, sizeof(v));
	memcpy(value, &v, sizeof(v));
	*value_len = sizeof(v);
	return CL_SUCCESS;
}

cl_int
rpc_CreateUserEvent(uint64_t ctx, uint64_t *event)
{
	(void)ctx;
	*event = 7;
	worker.status[7] = CL_SUBMITTED;
	return CL_SUCCESS;
}

cl_int
rpc_SetUserEventStatus(uint64_t event, int32_t status)
{
	if (worker.status[event] <= CL_COMPLETE)
		return CL_INVALID_OPERATION;
	worker.status[event] = status;
	return CL_SUCCESS;
}

cl_int
rpc_SetEventCallback(uint64_t event, int32_t status, uint64_t token)
{
	(void)event;
	(void)status;
	if (atomic_load(&worker.lost))
		return CL_DEVICE_NOT_AVAILABLE;
	worker.set_token = token;
	return CL_SUCCESS;
}

cl_int
rpc_WaitNotice(uint32_t *what, uint64_t *token, int32_t *value, void *text, size_t text_room,
	       size_t *text_len)
{
	cl_int err = CL_SUCCESS;

	(void)text;
	(void)text_room;
	(void)text_len;
	pthread_mutex_lock(&worker.lock);
	while (!worker.told && !atomic_load(&worker.lost))
		pthread_cond_wait(&worker.cond, &worker.lock);
	if (worker.told) {
		*what = CL_NOTICE_EVENT;
		*token = worker.token;
		*value = worker.value;
		worker.told = false;
	} else {
		err = CL_DEVICE_NOT_AVAILABLE;
	}
	pthread_mutex_unlock(&worker.lock);
	return err;
}

cl_int
rpc_EnqueueBarrierWithWaitList(uint64_t queue, cl_uint nb_waits, const cl_event *waits,
			       uint64_t *event)
{
	(void)queue;
	(void)waits;
	assert_null(event);
	return nb_waits == 2 ? CL_SUCCESS : CL_OUT_OF_RESOURCES;
}

/* Generated ones, which the old ones call. */
cl_int
clEnqueueMarkerWithWaitList(cl_command_queue queue, cl_uint n, const cl_event *waits,
			    cl_event *event)
{
	(void)n;
	(void)waits;
	*event = cl_event_new(queue, CL_COMMAND_MARKER, 9, NULL);
	return CL_SUCCESS;
}

cl_int
clEnqueueBarrierWithWaitList(cl_command_queue queue, cl_uint n, const cl_event *waits,
			     cl_event *event)
{
	(void)n;
	(void)waits;
	(void)event;
	return cl_is(queue, CL_KIND_QUEUE) ? CL_SUCCESS : CL_INVALID_COMMAND_QUEUE;
}

static void
lose(bool lost)
{
	pthread_mutex_lock(&worker.lock);
	atomic_store(&worker.lost, lost);
	pthread_cond_broadcast(&worker.cond);
	pthread_mutex_unlock(&worker.lock);
}

static void
tell(uint64_t token, cl_int value)
{
	pthread_mutex_lock(&worker.lock);
	worker.token = token;
	worker.value = value;
	worker.told = true;
	pthread_cond_broadcast(&worker.cond);
	pthread_mutex_unlock(&worker.lock);
}

/* What the tests work on ---------------------------------------------------------------------------------------------- */

static struct _cl_context *ctx, *other;
static struct _cl_command_queue *queue;

struct work {
	struct cl_after a;
	atomic_uint *order; /* counts */
	atomic_uint done, at;
	bool success;
	useconds_t takes;
};

static void
do_work(struct cl_after *a, bool success)
{
	struct work *w = (struct work *)a;

	if (w->takes > 0)
		usleep(w->takes);
	w->success = success;
	if (w->order != NULL)
		w->at = atomic_fetch_add(w->order, 1);
	atomic_fetch_add(&w->done, 1);
}

static struct _cl_event *
command(uint64_t id, cl_int status, struct work *w)
{
	struct _cl_event *ev;

	worker.status[id] = status;
	if (w != NULL)
		w->a.fn = do_work;
	ev = cl_event_new(queue, CL_COMMAND_READ_BUFFER, id, w == NULL ? NULL : &w->a);
	assert_non_null(ev);
	return ev;
}

static int
setup(void **state)
{
	(void)state;
	lose(false);
	atomic_store(&worker.asked, 0);
	atomic_store(&worker.waited, 0);
	ctx = cl_object_new(CL_KIND_CONTEXT, 1);
	other = cl_object_new(CL_KIND_CONTEXT, 2);
	queue = cl_object_new(CL_KIND_QUEUE, 3);
	if (ctx == NULL || other == NULL || queue == NULL)
		return -1;
	queue->ctx = ctx;
	queue->properties = CL_QUEUE_PROFILING_ENABLE;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cl_release(queue);
	cl_release(other);
	cl_release(ctx);
	return 0;
}

static cl_int
status_of(cl_event ev)
{
	cl_int status = 99;

	assert_int_equal(clGetEventInfo(ev, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status),
					&status, NULL),
			 CL_SUCCESS);
	return status;
}

/* Tests --------------------------------------------------------------------------------------------------------------- */

static void
done_by_the_wait(void **state)
{
	struct work w = {.done = 0}, failed = {.done = 0};
	cl_event ev[2] = {command(10, CL_QUEUED, &w), command(11, -5, &failed)};

	(void)state;
	assert_int_equal(clWaitForEvents(1, ev), CL_SUCCESS);
	assert_int_equal(w.done, 1);
	assert_true(w.success);
	/* that wait looked after the other one, too */
	assert_int_equal(failed.done, 1);
	assert_false(failed.success);
	assert_int_equal(clWaitForEvents(2, ev), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	assert_int_equal(status_of(ev[0]), CL_COMPLETE);
	assert_int_equal(status_of(ev[1]), -5);
	assert_int_equal(w.done + failed.done, 2);
	/* all is known: nobody was asked again */
	assert_int_equal(worker.waited, 1);
	assert_int_equal(clReleaseEvent(ev[0]), CL_SUCCESS);
	assert_int_equal(clReleaseEvent(ev[1]), CL_SUCCESS);
	assert_int_equal(clReleaseEvent(ev[1]), CL_INVALID_EVENT);
}

static void
not_before_it_is_complete(void **state)
{
	struct work w = {.done = 0};
	cl_event ev = command(10, CL_RUNNING, &w);

	(void)state;
	assert_int_equal(status_of(ev), CL_RUNNING);
	cl_events_reap(queue);
	assert_int_equal(w.done, 0);
	worker.status[10] = CL_COMPLETE;
	assert_int_equal(status_of(ev), CL_COMPLETE);
	assert_int_equal(w.done, 1);
	cl_events_reap(queue);
	assert_int_equal(w.done, 1);
	clReleaseEvent(ev);
}

static void
released_by_the_program(void **state)
{
	struct work w = {.done = 0};
	cl_event ev = command(10, CL_QUEUED, &w);
	const unsigned int before = worker.released;

	(void)state;
	assert_int_equal(clReleaseEvent(ev), CL_SUCCESS);
	assert_int_equal(worker.released, before);
	worker.status[10] = CL_COMPLETE;
	cl_events_reap(queue);
	assert_int_equal(w.done, 1);
	assert_int_equal(worker.released, before + 1);
	assert_false(cl_is(ev, CL_KIND_EVENT));
}

static void
many_in_order(void **state)
{
	static struct work w[700];
	atomic_uint order = 0;

	(void)state;
	for (unsigned int i = 0; i < 700; i++) {
		w[i] = (struct work){.order = &order};
		/* every third is not done yet */
		cl_event_track(command(20 + i, i % 3 == 0 ? CL_RUNNING : CL_COMPLETE, &w[i]));
	}
	cl_events_reap(queue);
	for (unsigned int i = 0, at = 0; i < 700; i++) {
		assert_int_equal(w[i].done, i % 3 != 0);
		if (i % 3 != 0)
			assert_int_equal(w[i].at, at++);
		worker.status[20 + i] = CL_COMPLETE;
	}
	cl_events_reap(NULL);
	for (unsigned int i = 0; i < 700; i++)
		assert_int_equal(w[i].done, 1);
	atomic_store(&worker.asked, 0);
	cl_events_reap(NULL);
	assert_int_equal(worker.asked, 0);
}

static void *
wait_for(void *ev)
{
	return clWaitForEvents(1, (cl_event *)ev) == CL_SUCCESS ? ev : NULL;
}

static void
others_wait_until_it_is_done(void **state)
{
	struct work w = {.takes = 100000};
	cl_event ev = command(10, CL_COMPLETE, &w);
	pthread_t threads[4];
	void *ok;

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_for, &ev), 0);
	usleep(20000);
	cl_events_reap(queue);
	assert_int_equal(w.done, 1);
	for (unsigned int i = 0; i < 4; i++) {
		pthread_join(threads[i], &ok);
		assert_non_null(ok);
	}
	assert_int_equal(w.done, 1);
	clReleaseEvent(ev);
}

static void
lost_session(void **state)
{
	struct work w = {.done = 0};
	cl_event ev = command(10, CL_RUNNING, &w);

	(void)state;
	lose(true);
	assert_int_not_equal(clWaitForEvents(1, &ev), CL_SUCCESS);
	assert_int_equal(w.done, 1);
	assert_false(w.success);
	assert_true(status_of(ev) < 0);
	clReleaseEvent(ev);
}

static void
wait_lists(void **state)
{
	cl_event ev = command(10, CL_COMPLETE, NULL), list[2] = {ev, NULL};

	(void)state;
	assert_int_equal(cl_waits_check(ctx, 0, NULL), CL_SUCCESS);
	assert_int_equal(cl_waits_check(ctx, 1, NULL), CL_INVALID_EVENT_WAIT_LIST);
	assert_int_equal(cl_waits_check(ctx, 0, &ev), CL_INVALID_EVENT_WAIT_LIST);
	assert_int_equal(cl_waits_check(ctx, 2, list), CL_INVALID_EVENT_WAIT_LIST);
	assert_int_equal(cl_waits_check(ctx, 1, list), CL_SUCCESS);
	assert_int_equal(cl_waits_check(other, 1, list), CL_INVALID_CONTEXT);
	assert_int_equal(clWaitForEvents(0, list), CL_INVALID_VALUE);
	assert_int_equal(clWaitForEvents(1, NULL), CL_INVALID_VALUE);
	assert_int_equal(clWaitForEvents(2, list), CL_INVALID_EVENT);
	list[1] = clCreateUserEvent(other, NULL);
	assert_int_equal(clWaitForEvents(2, list), CL_INVALID_CONTEXT);
	assert_int_equal(clEnqueueWaitForEvents(queue, 0, NULL), CL_INVALID_VALUE);
	assert_int_equal(clEnqueueWaitForEvents(queue, 2, list), CL_INVALID_CONTEXT);
	clReleaseEvent(list[1]);
	assert_int_equal(clEnqueueWaitForEvents(queue, 2, list), CL_INVALID_EVENT);
	list[1] = ev;
	assert_int_equal(clEnqueueWaitForEvents(queue, 2, list), CL_SUCCESS);
	assert_int_equal(clEnqueueMarker(queue, NULL), CL_INVALID_VALUE);
	assert_int_equal(clEnqueueMarker(queue, &list[1]), CL_SUCCESS);
	assert_int_equal(clReleaseEvent(list[1]), CL_SUCCESS);
	assert_int_equal(clEnqueueBarrier(queue), CL_SUCCESS);
	clReleaseEvent(ev);
}

static void
user_events(void **state)
{
	cl_int err;
	cl_event ev = clCreateUserEvent(ctx, &err), cmd = command(10, CL_COMPLETE, NULL);
	cl_ulong t;

	(void)state;
	assert_int_equal(err, CL_SUCCESS);
	assert_null(clCreateUserEvent(NULL, &err));
	assert_int_equal(err, CL_INVALID_CONTEXT);
	assert_int_equal(status_of(ev), CL_SUBMITTED);
	assert_int_equal(clSetUserEventStatus(cmd, CL_COMPLETE), CL_INVALID_EVENT);
	assert_int_equal(clSetUserEventStatus(ev, CL_RUNNING), CL_INVALID_VALUE);
	assert_int_equal(clSetUserEventStatus(ev, -3), CL_SUCCESS);
	assert_int_equal(clSetUserEventStatus(ev, CL_COMPLETE), CL_INVALID_OPERATION);
	assert_int_equal(status_of(ev), -3);
	assert_int_equal(clGetEventProfilingInfo(ev, CL_PROFILING_COMMAND_END, 8, &t, NULL),
			 CL_PROFILING_INFO_NOT_AVAILABLE);
	clReleaseEvent(cmd);
	clReleaseEvent(ev);
}

static void
profiling(void **state)
{
	struct work w = {.done = 0};
	cl_event ev = command(10, CL_RUNNING, &w);
	cl_ulong t = 0;

	(void)state;
	assert_int_equal(clGetEventProfilingInfo(ev, CL_PROFILING_COMMAND_END, 8, &t, NULL),
			 CL_PROFILING_INFO_NOT_AVAILABLE);
	worker.status[10] = CL_COMPLETE;
	for (unsigned int i = 0; i < 3; i++) {
		atomic_store(&worker.asked, 0);
		assert_int_equal(clGetEventProfilingInfo(ev, CL_PROFILING_COMMAND_END, 8, &t, NULL),
				 CL_SUCCESS);
		assert_int_equal(t, 1000 + CL_PROFILING_COMMAND_END);
		/* the times tell that the read is done: so are its bytes */
		assert_int_equal(w.done, 1);
	}
	assert_int_equal(worker.asked, 0);
	assert_int_equal(clGetEventProfilingInfo(ev, CL_PROFILING_COMMAND_END, 4, &t, NULL),
			 CL_INVALID_VALUE);
	assert_int_equal(clGetEventProfilingInfo(ev, 1, 8, &t, NULL), CL_INVALID_VALUE);
	queue->properties = 0;
	assert_int_equal(clGetEventProfilingInfo(ev, CL_PROFILING_COMMAND_END, 8, &t, NULL),
			 CL_PROFILING_INFO_NOT_AVAILABLE);
	clReleaseEvent(ev);
}

static struct {
	atomic_uint called;
	cl_int status, seen;
	unsigned int done; /* of the work */
} heard;

static void CL_CALLBACK
hear(cl_event ev, cl_int status, void *user)
{
	heard.status = status;
	heard.seen = status_of(ev);
	heard.done = ((struct work *)user)->done;
	/* the program's last reference */
	clReleaseEvent(ev);
	atomic_fetch_add(&heard.called, 1);
}

static void
await_call(unsigned int n)
{
	for (unsigned int i = 0; i < 5000 && atomic_load(&heard.called) < n; i++)
		usleep(1000);
	usleep(20000);
	assert_int_equal(heard.called, n);
}

static void
callbacks(void **state)
{
	struct work w = {.takes = 1000};
	cl_event ev = command(10, CL_RUNNING, &w);

	(void)state;
	memset(&heard, 0, sizeof(heard));
	assert_int_equal(clSetEventCallback(NULL, CL_COMPLETE, hear, &w), CL_INVALID_EVENT);
	assert_int_equal(clSetEventCallback(ev, CL_QUEUED, hear, &w), CL_INVALID_VALUE);
	assert_int_equal(clSetEventCallback(ev, CL_COMPLETE, NULL, &w), CL_INVALID_VALUE);
	assert_int_equal(clSetEventCallback(ev, CL_COMPLETE, hear, &w), CL_SUCCESS);
	worker.status[10] = CL_COMPLETE;
	tell(worker.set_token, CL_COMPLETE);
	await_call(1);
	assert_int_equal(heard.status, CL_COMPLETE);
	assert_int_equal(heard.seen, CL_COMPLETE);
	assert_int_equal(heard.done, 1);
	/* the same notice again finds nobody */
	tell(worker.set_token, CL_COMPLETE);
	await_call(1);
	assert_false(cl_is(ev, CL_KIND_EVENT));
}

static void
callbacks_of_a_lost_session(void **state)
{
	struct work w = {.done = 0};
	cl_event ev = command(10, CL_RUNNING, &w);

	(void)state;
	memset(&heard, 0, sizeof(heard));
	assert_int_equal(clSetEventCallback(ev, CL_COMPLETE, hear, &w), CL_SUCCESS);
	lose(true);
	await_call(1);
	assert_true(heard.status < 0);
	assert_int_equal(heard.done, 1);
	assert_false(w.success);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(done_by_the_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(not_before_it_is_complete, setup, teardown),
		cmocka_unit_test_setup_teardown(released_by_the_program, setup, teardown),
		cmocka_unit_test_setup_teardown(many_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(others_wait_until_it_is_done, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_session, setup, teardown),
		cmocka_unit_test_setup_teardown(wait_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(user_events, setup, teardown),
		cmocka_unit_test_setup_teardown(profiling, setup, teardown),
		cmocka_unit_test_setup_teardown(callbacks, setup, teardown),
		cmocka_unit_test_setup_teardown(callbacks_of_a_lost_session, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
