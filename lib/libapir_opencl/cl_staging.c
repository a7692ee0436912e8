/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>

#include "cl_mem.h"

/* With more than this on its way a program that never waits would fill the arena. */
#define MUCH ((size_t)64 << 20)

/* Of a read: has it been copied? */
enum state { ARRIVING, COPYING, COPIED };

/* What is to be done after a command that has staging. */
struct done {
	struct cl_after a;
	struct cl_staging *s;
	/* of a read */
	const struct _cl_command_queue *queue; /* for comparison only */
	uint64_t queue_id;
	bool in_order;
	uint8_t *dst;
	size_t extent;
	struct cl_box box;
	enum state state;
	bool linked;
	struct done *next, *prev; /* of pending reads, as they were enqueued */
	struct done *todo;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t copied;
	struct done *first, *last;
	_Atomic unsigned int nb;
} reads = {.lock = PTHREAD_MUTEX_INITIALIZER, .copied = PTHREAD_COND_INITIALIZER};

static _Atomic size_t staged;

/* Staging ------------------------------------------------------------------------------------------------------------ */

struct cl_staging *
cl_staging_new(size_t len)
{
	struct cl_staging *s = malloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	if (atomic_load_explicit(&staged, memory_order_relaxed) > MUCH)
		cl_events_reap(NULL);
	s->p = cl_arena_alloc(len, 64);
	if (s->p == NULL) {
		cl_events_reap(NULL);
		s->p = cl_arena_alloc(len, 64);
	}
	if (s->p == NULL) {
		free(s);
		return NULL;
	}
	s->len = len;
	atomic_init(&s->refs, 1);
	atomic_fetch_add_explicit(&staged, len, memory_order_relaxed);
	return s;
}

struct cl_staging *
cl_staging_get(struct cl_staging *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void
cl_staging_put(struct cl_staging *s)
{
	if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	atomic_fetch_sub_explicit(&staged, s->len, memory_order_relaxed);
	cl_arena_free(s->p);
	free(s);
}

/* After commands ----------------------------------------------------------------------------------------------------- */

static void
put_fn(struct cl_after *a, bool success)
{
	struct done *d = (struct done *)a;

	(void)success;
	cl_staging_put(d->s);
	free(d);
}

struct cl_after *
cl_after_put(struct cl_staging *s)
{
	struct done *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		cl_staging_put(s);
		return NULL;
	}
	d->a.fn = put_fn;
	d->s = s;
	return &d->a;
}

void
cl_after_now(struct cl_after *a, bool success)
{
	if (a != NULL)
		a->fn(a, success);
}

static void
unlink_read(struct done *d)
{
	if (!d->linked)
		return;
	d->linked = false;
	if (d->prev != NULL)
		d->prev->next = d->next;
	else
		reads.first = d->next;
	if (d->next != NULL)
		d->next->prev = d->prev;
	else
		reads.last = d->prev;
	atomic_fetch_sub_explicit(&reads.nb, 1, memory_order_release);
}

static bool
overlap(const struct done *d, const uint8_t *p, size_t len)
{
	return p < d->dst + d->extent && d->dst < p + len;
}

/* Is o to be copied before d may be said to be complete? In an in-order queue the earlier read is complete, too. */
static bool
goes_first(const struct done *o, const struct done *d)
{
	return d->in_order && o->queue == d->queue && o->queue_id == d->queue_id &&
	       overlap(o, d->dst, d->extent);
}

/* With the lock: what is to be copied once d is complete, in order; d is the last. All of it is ours then. */
static struct done *
take(struct done *d)
{
	struct done *o, *todo, **tail;

again:
	todo = NULL;
	tail = &todo;
	for (o = d->linked ? reads.first : d; o != NULL; o = o == d ? NULL : o->next) {
		if (o != d && !goes_first(o, d))
			continue;
		if (o->state == COPYING) {
			/* another thread does it; o may be no more afterwards */
			pthread_cond_wait(&reads.copied, &reads.lock);
			goto again;
		}
		if (o->state == COPIED)
			continue;
		*tail = o;
		tail = &o->todo;
		o->todo = NULL;
	}
	for (o = todo; o != NULL; o = o->todo)
		o->state = COPYING;
	return todo;
}

static void
arrive(struct done *d)
{
	struct done *todo, *o;

	pthread_mutex_lock(&reads.lock);
	todo = take(d);
	pthread_mutex_unlock(&reads.lock);

	for (o = todo; o != NULL; o = o->todo)
		cl_box_unpack(o->dst, o->s->p, &o->box);

	pthread_mutex_lock(&reads.lock);
	for (o = todo; o != NULL; o = o->todo) {
		o->state = COPIED;
		unlink_read(o);
	}
	pthread_cond_broadcast(&reads.copied);
	pthread_mutex_unlock(&reads.lock);
}

static void
read_fn(struct cl_after *a, bool success)
{
	struct done *d = (struct done *)a;

	if (success) {
		arrive(d);
	} else {
		pthread_mutex_lock(&reads.lock);
		while (d->state == COPYING)
			pthread_cond_wait(&reads.copied, &reads.lock);
		unlink_read(d);
		pthread_mutex_unlock(&reads.lock);
	}
	cl_staging_put(d->s);
	free(d);
}

struct cl_after *
cl_after_read(const struct _cl_command_queue *q, struct cl_staging *s, void *dst,
	      const struct cl_box *b)
{
	struct done *d = calloc(1, sizeof(*d));

	if (d == NULL || !cl_box_extent(b, &d->extent)) {
		cl_staging_put(s);
		free(d);
		return NULL;
	}
	d->a.fn = read_fn;
	d->s = s;
	d->queue = q;
	d->queue_id = cl_id(q);
	d->in_order = (q->properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) == 0;
	d->dst = dst;
	d->box = *b;
	return &d->a;
}

void
cl_after_read_pending(struct cl_after *a)
{
	struct done *d = (struct done *)a;

	pthread_mutex_lock(&reads.lock);
	d->linked = true;
	d->prev = reads.last;
	d->next = NULL;
	if (reads.last != NULL)
		reads.last->next = d;
	else
		reads.first = d;
	reads.last = d;
	atomic_fetch_add_explicit(&reads.nb, 1, memory_order_release);
	pthread_mutex_unlock(&reads.lock);
}

static bool
none_pending(void)
{
	return atomic_load_explicit(&reads.nb, memory_order_acquire) == 0;
}

enum cl_overlap
cl_reads_pending(const void *src, size_t len, struct cl_staging **s, size_t *at)
{
	const uint8_t *p = src;
	enum cl_overlap found = CL_APART;

	if (none_pending())
		return CL_APART;
	pthread_mutex_lock(&reads.lock);
	/* the newest one counts */
	for (const struct done *d = reads.last; d != NULL; d = d->prev) {
		if (!overlap(d, p, len))
			continue;
		found = CL_PARTLY;
		if (cl_box_dense(&d->box) && p >= d->dst && len <= d->extent &&
		    (size_t)(p - d->dst) <= d->extent - len) {
			*s = cl_staging_get(d->s);
			*at = (size_t)(p - d->dst);
			found = CL_INSIDE;
		}
		break;
	}
	pthread_mutex_unlock(&reads.lock);
	return found;
}

bool
cl_reads_pending_to(const void *p, size_t len)
{
	bool found = false;

	if (none_pending())
		return false;
	pthread_mutex_lock(&reads.lock);
	for (const struct done *d = reads.first; d != NULL && !found; d = d->next)
		found = overlap(d, p, len);
	pthread_mutex_unlock(&reads.lock);
	return found;
}

/* The child has none of its parent's commands. */
static void
fork_prepare(void)
{
	pthread_mutex_lock(&reads.lock);
}

static void
fork_parent(void)
{
	pthread_mutex_unlock(&reads.lock);
}

static void
fork_child(void)
{
	reads.first = reads.last = NULL;
	atomic_store(&reads.nb, 0);
	atomic_store(&staged, 0);
	pthread_cond_init(&reads.copied, NULL);
	pthread_mutex_unlock(&reads.lock);
}

__attribute__((constructor)) static void
set_up(void)
{
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}
