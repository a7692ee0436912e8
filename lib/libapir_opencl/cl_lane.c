/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cl_calls.h"
#include "cl_priv.h"
#include "cl_rpc.h"
#include "vq_ctl.h"

/* An answer that is due at once comes within this: sleeping and being woken costs as much. */
#define SPIN_NS 50000
/* So long a processor is not given up at all: the answer to a call that does not wait comes within this from another one. */
#define EAGER_NS 1500
/* Giving up the processor takes longer than this if somebody else had use for it. */
#define SWITCH_NS 1000
/* Whoever sleeps is woken by an answer or when the session is lost; this is for what is lost otherwise. */
#define NAP_MS 500
/* Released objects that wait for a call before one is made for them. */
#define MAX_WAITING 128u

static struct {
	pthread_mutex_t lock;
	uint64_t *ids;
	size_t room;
	_Atomic size_t nb;
} released = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Threads that spin: more of them than processors only keep the device from answering. */
static _Atomic int nb_spinning;
static _Atomic int nb_cpus;

/* Lanes that this thread holds. */
static _Thread_local unsigned int held;

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline void
relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Making ------------------------------------------------------------------------------------------------------------- */

static void
notify_lane(void *ctx)
{
	const struct lane *l = ctx;
	struct apir_transport *t = l->s->t;

	t->ops->kick(t, l->queue);
}

int
cl_lanes_make(struct session *s, unsigned int nb)
{
	struct apir_transport *t = s->t;
	int ret = 0;

	atomic_store(&nb_cpus, (int)sysconf(_SC_NPROCESSORS_ONLN));
	for (unsigned int i = 0; i < nb; i++) {
		struct lane *l = &s->lanes[i];

		l->s = s;
		l->queue = (uint16_t)APIR_DATA_QUEUE(i);
		ret = apir_vq_create_ctl(&s->env, &l->vq);
		if (ret != 0)
			return ret;
		l->vq->notify = notify_lane;
		l->vq->notify_ctx = l;
		ret = t->ops->queue_setup(t, l->queue, l->vq);
		if (ret != 0)
			return ret;
		l->call_fd = t->ops->call_fd(t, l->queue);
	}
	/* the first one on top */
	for (unsigned int i = nb; i-- > 0;) {
		s->lanes[i].next = s->free;
		s->free = &s->lanes[i];
	}
	s->info.nb_lanes = nb;
	return 0;
}

void
cl_lanes_free(struct session *s)
{
	for (unsigned int i = 0; i < APIR_CL_MAX_LANES; i++)
		apir_vq_destroy(s->lanes[i].vq);
}

void
cl_lanes_wake(struct session *s)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&s->lock);
	pthread_cond_broadcast(&s->freed);
	pthread_mutex_unlock(&s->lock);
	for (unsigned int i = 0; i < s->info.nb_lanes; i++)
		/* fails only when it is about to wake the sleeper anyway */
		if (write(s->lanes[i].call_fd, &one, sizeof(one)) < 0)
			continue;
}

/* Taking and giving back --------------------------------------------------------------------------------------------- */

struct cl_lane *
cl_lane_begin(uint32_t call)
{
	struct session *s = cl_session_now();
	struct apir_slot *slot;
	struct lane *l;

	if (s == NULL)
		return NULL;
	pthread_mutex_lock(&s->lock);
	while (s->free == NULL && !atomic_load_explicit(&s->lost, memory_order_relaxed)) {
		s->nb_waiting++;
		pthread_cond_wait(&s->freed, &s->lock);
		s->nb_waiting--;
	}
	l = atomic_load_explicit(&s->lost, memory_order_relaxed) ? NULL : s->free;
	if (l != NULL)
		s->free = l->next;
	pthread_mutex_unlock(&s->lock);
	if (l == NULL)
		return NULL;
	slot = apir_vq_open_slot(l->vq);
	l->l.call = call;
	l->l.args.p = (uint8_t *)slot->req + sizeof(struct apir_cl_req);
	l->l.args.end = (uint8_t *)slot->req + APIR_CTL_MAX;
	l->l.args.bad = false;
	l->l.res = (struct cl_dec){.bad = true};
	held++;
	return &l->l;
}

/* What kernels have printed, and what has been released, does not wait for another call. */
static void
afterwards(struct session *s, bool output)
{
	static pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;
	static char text[APIR_CL_MAX_INLINE];
	size_t len;

	if (held != 0 ||
	    (!output && atomic_load_explicit(&released.nb, memory_order_relaxed) <= MAX_WAITING))
		return;
	/* the lock also keeps the order, and a thread whose kernel has printed from going on before it is told */
	pthread_mutex_lock(&printing);
	do {
		len = 0;
		if (atomic_load(&s->lost) || rpc_ReadOutput(text, sizeof(text), &len) != CL_SUCCESS)
			break;
		if (len > sizeof(text))
			len = sizeof(text);
		cl_output_print(text, len);
	} while (len > 0);
	pthread_mutex_unlock(&printing);
}

void
cl_lane_end(struct cl_lane *lane)
{
	struct lane *l = (struct lane *)lane;
	struct session *s = l->s;
	const bool own = l->l.call == APIR_CL_CALL_READ_OUTPUT;
	const bool output = l->output;

	l->output = false;
	held--;
	if (!l->mute) {
		pthread_mutex_lock(&s->lock);
		l->next = s->free;
		s->free = l;
		if (s->nb_waiting > 0)
			pthread_cond_signal(&s->freed);
		pthread_mutex_unlock(&s->lock);
	}
	if (!own)
		afterwards(s, output);
}

/* Releases ----------------------------------------------------------------------------------------------------------- */

void
cl_release_id(uint64_t id)
{
	struct session *s = cl_session_now();
	size_t nb;

	if (id == 0 || s == NULL || atomic_load_explicit(&s->lost, memory_order_relaxed))
		return;
	pthread_mutex_lock(&released.lock);
	nb = atomic_load_explicit(&released.nb, memory_order_relaxed);
	if (nb == released.room) {
		const size_t room = released.room == 0 ? 256 : released.room * 2;
		uint64_t *ids = realloc(released.ids, room * sizeof(*ids));

		if (ids != NULL) {
			released.ids = ids;
			released.room = room;
		}
	}
	/* without memory it stays with the worker until the session ends */
	if (nb < released.room) {
		released.ids[nb] = id;
		atomic_store_explicit(&released.nb, nb + 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&released.lock);
	afterwards(s, false);
}

/* Put as many as fit behind the arguments, the oldest first. */
static uint32_t
put_released(uint8_t *p, const uint8_t *end)
{
	size_t nb, n = (size_t)(end - p) / sizeof(uint64_t);

	if (atomic_load_explicit(&released.nb, memory_order_relaxed) == 0)
		return 0;
	pthread_mutex_lock(&released.lock);
	nb = atomic_load_explicit(&released.nb, memory_order_relaxed);
	if (n > nb)
		n = nb;
	if (n > APIR_CL_MAX_RELEASED)
		n = APIR_CL_MAX_RELEASED;
	if (n > 0) {
		memcpy(p, released.ids, n * sizeof(uint64_t));
		memmove(released.ids, released.ids + n, (nb - n) * sizeof(uint64_t));
		atomic_store_explicit(&released.nb, nb - n, memory_order_relaxed);
	}
	pthread_mutex_unlock(&released.lock);
	return (uint32_t)n;
}

/* Calling ------------------------------------------------------------------------------------------------------------ */

static void
nap(const struct lane *l)
{
	struct pollfd pfd = {.fd = l->call_fd, .events = POLLIN};
	uint64_t count;
	int old;

	/* a thread that is cancelled here would take the lane along */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	if (poll(&pfd, 1, NAP_MS) > 0 && read(pfd.fd, &count, sizeof(count)) < 0)
		sched_yield(); /* another wake-up took it: the ring is looked at next anyway */
	pthread_setcancelstate(old, NULL);
}

/* Give up the processor and look: if the answer was made meanwhile, the device shares it with us. */
static int
yield(struct lane *l, int64_t *now)
{
	const int64_t before = *now;
	struct apir_slot *slot;
	int ret;

	sched_yield();
	*now = now_ns();
	ret = apir_vq_poll(l->vq, &slot);
	l->same_cpu = ret > 0 && *now - before > SWITCH_NS;
	return ret;
}

/* Returns 1 answered, 0 not yet, negative: never. */
static int
spin(struct lane *l)
{
	const int64_t start = now_ns();
	struct apir_slot *slot;
	int64_t now = start;
	int ret = 0;

	if (l->same_cpu)
		ret = yield(l, &now);
	while (ret == 0 && now - start < EAGER_NS) {
		for (unsigned int i = 0; i < 16 && ret == 0; i++) {
			ret = apir_vq_poll(l->vq, &slot);
			relax();
		}
		now = now_ns();
	}
	while (ret == 0 && now - start < SPIN_NS)
		ret = yield(l, &now);
	return ret;
}

static int
wait_answer(struct lane *l)
{
	struct session *s = l->s;
	struct apir_slot *slot;
	int ret = 0;

	if (atomic_fetch_add(&nb_spinning, 1) <
	    atomic_load_explicit(&nb_cpus, memory_order_relaxed))
		ret = spin(l);
	atomic_fetch_sub(&nb_spinning, 1);
	if (ret != 0)
		return ret;
	for (;;) {
		apir_vq_want_call(l->vq, true);
		ret = apir_vq_poll(l->vq, &slot);
		if (ret != 0)
			break;
		if (atomic_load(&s->lost) || !s->t->ops->alive(s->t)) {
			ret = -ENODEV;
			break;
		}
		nap(l);
	}
	apir_vq_want_call(l->vq, false);
	return ret;
}

/* What the device says is believed only as far as it lies in the lane. */
static cl_int
take_answer(struct lane *l)
{
	const uint32_t used = apir_vq_used_len(l->vq);
	const uint8_t *shared = (const uint8_t *)l->vq->slots[0].rsp;
	struct apir_cl_rsp rsp;

	memcpy(&rsp, shared, sizeof(rsp));
	if (used < sizeof(rsp) || used > APIR_CTL_MAX || rsp.magic != APIR_CL_MAGIC ||
	    rsp.len > used - sizeof(rsp) || rsp.len % 8 != 0) {
		cl_debug("call %u: the answer of %u bytes with magic 0x%08x and %u bytes of "
			 "results makes no sense",
			 l->l.call, used, rsp.magic, rsp.len);
		return CL_DEVICE_NOT_AVAILABLE;
	}
	l->output = (rsp.flags & APIR_CL_RSP_OUTPUT) != 0;
	if (rsp.status != APIR_S_OK) {
		cl_debug("call %u: the back-end refuses the message: %s", l->l.call,
			 apir_status_str(rsp.status));
		return rsp.status == APIR_S_NOMEM || rsp.status == APIR_S_TOOBIG
			       ? CL_OUT_OF_HOST_MEMORY
			       : CL_OUT_OF_RESOURCES;
	}
	l->l.res.p = shared + sizeof(rsp);
	l->l.res.end = l->l.res.p + rsp.len;
	l->l.res.bad = false;
	return rsp.err;
}

cl_int
cl_lane_call(struct cl_lane *lane)
{
	struct lane *l = (struct lane *)lane;
	struct apir_slot *slot = &l->vq->slots[0];
	uint8_t *begin = (uint8_t *)slot->req;
	struct apir_cl_req req = {.magic = APIR_CL_MAGIC, .call = l->l.call};
	cl_int err;
	int ret;

	if (l->l.args.bad)
		return CL_OUT_OF_HOST_MEMORY;
	req.len = (uint32_t)(l->l.args.p - begin - sizeof(req));
	req.nb_released = put_released(l->l.args.p, l->l.args.end);
	memcpy(begin, &req, sizeof(req));
	memset(slot->rsp, 0, sizeof(struct apir_cl_rsp));
	apir_vq_submit_ctl(l->vq, (uint32_t)sizeof(req) + req.len + req.nb_released * 8);

	ret = wait_answer(l);
	if (ret <= 0) {
		l->mute = true;
		/* a ring that is broken is the end of trust in the other ones, too */
		if (ret == -EPROTO)
			cl_session_lose(l->s);
		return CL_DEVICE_NOT_AVAILABLE;
	}
	err = take_answer(l);
	apir_vq_release(l->vq);
	return err;
}

/* Forking ------------------------------------------------------------------------------------------------------------ */

void
cl_lanes_fork_prepare(struct session *s)
{
	if (s != NULL)
		pthread_mutex_lock(&s->lock);
	pthread_mutex_lock(&released.lock);
}

void
cl_lanes_fork_parent(struct session *s)
{
	pthread_mutex_unlock(&released.lock);
	if (s != NULL)
		pthread_mutex_unlock(&s->lock);
}

void
cl_lanes_fork_child(struct session *s)
{
	atomic_store(&released.nb, 0);
	atomic_store(&nb_spinning, 0);
	held = 0;
	cl_lanes_fork_parent(s);
}
