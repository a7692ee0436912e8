/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * What is left to be done in this process when a command completes: the bytes of a read go to where the program wants them
 * before anything tells it that the read is done.
 */

#include "cl_event.h"
#include "cl_rpc.h"
#include "cl_session.h"

/* Events with something left to do, in the order in which they were enqueued. */
static struct {
	pthread_mutex_t lock;
	struct _cl_event *first, *last;
	uint64_t made;
	_Atomic size_t n;
} watched = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The commands are the parent's, and so is what they leave to do. */
static void
watched_fork_child(void)
{
	pthread_mutex_init(&watched.lock, NULL);
	watched.first = NULL;
	watched.last = NULL;
	atomic_store(&watched.n, 0);
}

__attribute__((constructor)) static void
watched_init(void)
{
	pthread_atfork(NULL, NULL, watched_fork_child);
}

void
cl_event_watch(struct _cl_event *ev)
{
	cl_retain(ev);
	pthread_mutex_lock(&watched.lock);
	ev->seq = ++watched.made;
	ev->next = NULL;
	ev->prev = watched.last;
	if (watched.last != NULL)
		watched.last->next = ev;
	else
		watched.first = ev;
	watched.last = ev;
	atomic_fetch_add(&watched.n, 1);
	pthread_mutex_unlock(&watched.lock);
}

static void
unwatch(struct _cl_event *ev)
{
	bool was;

	if (atomic_load(&watched.n) == 0)
		return;
	pthread_mutex_lock(&watched.lock);
	was = ev->seq != 0;
	if (was) {
		if (ev->prev != NULL)
			ev->prev->next = ev->next;
		else
			watched.first = ev->next;
		if (ev->next != NULL)
			ev->next->prev = ev->prev;
		else
			watched.last = ev->prev;
		ev->seq = 0;
		atomic_fetch_sub(&watched.n, 1);
	}
	pthread_mutex_unlock(&watched.lock);
	if (was)
		cl_release(ev);
}

void
cl_after_run(struct cl_after *a, bool success)
{
	while (a != NULL) {
		struct cl_after *next = a->next;

		a->fn(a, success);
		a = next;
	}
}

void
cl_event_settle(struct _cl_event *ev, cl_int status)
{
	pthread_mutex_lock(&ev->lock);
	if (!cl_event_final(ev)) {
		/* who asks meanwhile waits for the lock, or finds the event not final */
		if (status <= CL_COMPLETE)
			cl_after_run(atomic_exchange(&ev->after, NULL), status == CL_COMPLETE);
		if (status < atomic_load(&ev->status))
			atomic_store(&ev->status, status);
	}
	pthread_mutex_unlock(&ev->lock);
	/* only now: others must find it as long as there is something to wait for */
	if (status <= CL_COMPLETE)
		unwatch(ev);
}

void
cl_events_ask(size_t n, struct _cl_event *const *list)
{
	struct _cl_event *ask[CL_EVENT_BATCH];
	uint64_t ids[CL_EVENT_BATCH];
	cl_int statuses[CL_EVENT_BATCH];
	size_t nb = 0, len = 0;
	cl_int err;

	for (size_t i = 0; i < n && i < CL_EVENT_BATCH; i++) {
		if (cl_event_final(list[i]))
			continue;
		ask[nb] = list[i];
		ids[nb++] = cl_id(list[i]);
	}
	if (nb == 0)
		return;
	err = rpc_GetEventStatuses(nb, ids, statuses, nb * sizeof(statuses[0]), &len);
	if (err == CL_SUCCESS && len == nb * sizeof(statuses[0])) {
		for (size_t i = 0; i < nb; i++)
			cl_event_settle(ask[i], statuses[i]);
	} else if (cl_session() == NULL) {
		for (size_t i = 0; i < nb; i++)
			cl_event_settle(ask[i], CL_DEVICE_NOT_AVAILABLE);
	}
}

/* Some of those watched after number *seq, each with a reference; *seq is moved on. */
static size_t
collect(struct _cl_event **list, uint64_t *seq)
{
	size_t n = 0;

	pthread_mutex_lock(&watched.lock);
	for (struct _cl_event *ev = watched.first; ev != NULL && n < CL_EVENT_BATCH;
	     ev = ev->next) {
		if (ev->seq <= *seq)
			continue;
		cl_retain(ev);
		list[n++] = ev;
	}
	if (n > 0)
		*seq = list[n - 1]->seq;
	pthread_mutex_unlock(&watched.lock);
	return n;
}

void
cl_events_reap(struct _cl_command_queue *queue)
{
	struct _cl_event *list[CL_EVENT_BATCH];
	uint64_t seq = 0;
	size_t n;

	/* A command may have waited for those of any queue. */
	(void)queue;
	if (atomic_load(&watched.n) == 0)
		return;
	do {
		n = collect(list, &seq);
		cl_events_ask(n, list);
		for (size_t i = 0; i < n; i++) {
			/* final, but what it left to do may be in another thread's hands */
			if (cl_event_final(list[i]))
				cl_event_settle(list[i], atomic_load(&list[i]->status));
			cl_release(list[i]);
		}
	} while (n == CL_EVENT_BATCH);
}
