/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cl_calls.h"
#include "lane.h"

/* Looks at the ring between two at the clock. */
#define ROUNDS 8
/* So long a processor is not given up at all. */
#define EAGER_NS 1500
/* A program that gave us no eventfd is looked after so often. */
#define NAP_MS 1

struct lane {
	const struct lane_conf *conf;
	struct vring_dev vr;
	int kick_fd;
	struct srv srv;
	uint8_t req[APIR_CTL_MAX] __attribute__((aligned(8)));
	uint8_t rsp[APIR_CTL_MAX] __attribute__((aligned(8)));
};

/* More lanes that poll than processors would keep each other from their work. */
static _Atomic int nb_spinning;

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
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

/* Poll for a while. True: there is a request, or the ring is broken. */
static bool
spin(struct lane *l)
{
	const uint64_t start = now_ns();
	uint64_t spent = 0;
	bool found = false;

	if (atomic_fetch_add(&nb_spinning, 1) < l->conf->nb_cpus)
		while (!found && spent < l->conf->idle_ns) {
			for (unsigned int i = 0; i < ROUNDS && !found; i++) {
				found = vring_avail(&l->vr) != 0 || l->vr.broken;
				relax();
			}
			spent = now_ns() - start;
			if (!found && spent > EAGER_NS)
				sched_yield();
		}
	atomic_fetch_sub(&nb_spinning, 1);
	return found;
}

static void
sleep_until_kick(struct lane *l)
{
	struct pollfd p = {.fd = l->kick_fd, .events = POLLIN};
	uint64_t count;

	vring_want_kick(&l->vr);
	if (vring_avail(&l->vr) == 0 && !l->vr.broken &&
	    poll(&p, 1, l->kick_fd >= 0 ? -1 : NAP_MS) > 0 && read(p.fd, &count, sizeof(count)) < 0)
		sched_yield(); /* the program has read it itself: its own loss */
	vring_no_kick(&l->vr);
}

/* Copy the request, once. Returns its length, or -1: too long, or not in the program's memory. */
static ssize_t
gather(struct lane *l, const struct vring_chain *c)
{
	size_t n = 0;

	if (c->in_len > sizeof(l->req))
		return -1;
	for (unsigned int i = 0; i < c->nb_in; i++) {
		if (c->in[i].len != 0 &&
		    !mem_copy_from(l->conf->mem, l->req + n, c->in[i].gpa, c->in[i].len))
			return -1;
		n += c->in[i].len;
	}
	return (ssize_t)n;
}

static uint32_t
scatter(const struct lane *l, const struct vring_chain *c, size_t len)
{
	size_t n = 0;

	for (unsigned int i = 0; i < c->nb_out && n < len; i++) {
		const size_t k = len - n < c->out[i].len ? len - n : c->out[i].len;

		if (k != 0 && !mem_copy_to(l->conf->mem, c->out[i].gpa, l->rsp + n, k))
			break;
		n += k;
	}
	return (uint32_t)n;
}

static size_t
refuse(uint8_t *rsp, enum apir_status status)
{
	const struct apir_cl_rsp r = {.magic = APIR_CL_MAGIC, .status = (uint16_t)status};

	memcpy(rsp, &r, sizeof(r));
	return sizeof(r);
}

/* The ids that follow the arguments. Returns the length without them, 0: that is no request. */
static size_t
take_released(struct srv *s, const uint8_t *req, size_t len)
{
	struct apir_cl_req h;
	uint64_t id;

	if (len < sizeof(h))
		return 0;
	memcpy(&h, req, sizeof(h));
	if (h.magic != APIR_CL_MAGIC || h.nb_released > APIR_CL_MAX_RELEASED || h.len % 8 != 0 ||
	    len - sizeof(h) != h.len + h.nb_released * sizeof(id))
		return 0;
	for (uint32_t i = 0; i < h.nb_released; i++) {
		memcpy(&id, req + sizeof(h) + h.len + i * sizeof(id), sizeof(id));
		srv_release(s, id);
	}
	return sizeof(h) + h.len;
}

size_t
lane_answer(struct srv *s, const uint8_t *req, size_t len, uint8_t *rsp, size_t room)
{
	struct apir_cl_rsp r;
	uint32_t call;

	if (room < sizeof(r))
		return 0;
	len = take_released(s, req, len);
	if (len == 0)
		return refuse(rsp, APIR_S_MALFORMED);
	memcpy(&call, req + offsetof(struct apir_cl_req, call), sizeof(call));
	if (call != APIR_CL_CALL_OPEN && atomic_load(&s->sh->device_id) == 0)
		return refuse(rsp, APIR_S_NOTREADY);
	s->waited = false;
	len = cl_dispatch(s, req, len, rsp, room);
	srv_done(s);
	if (s->waited)
		output_look(&s->sh->output);
	if (len >= sizeof(r) && output_pending(&s->sh->output)) {
		memcpy(&r, rsp, sizeof(r));
		r.flags |= APIR_CL_RSP_OUTPUT;
		memcpy(rsp, &r, sizeof(r));
	}
	return len;
}

static void
serve(struct lane *l)
{
	struct vring_chain chain;
	const int head = vring_pop(&l->vr);
	ssize_t in_len = -1;
	size_t len = 0;

	if (head < 0)
		return;
	if (vring_walk(&l->vr, l->conf->mem, (uint16_t)head, &chain) == VRING_OK)
		in_len = gather(l, &chain);
	else
		memset(&chain, 0, sizeof(chain));
	if (in_len >= 0)
		len = lane_answer(&l->srv, l->req, (size_t)in_len, l->rsp,
				  chain.out_len < sizeof(l->rsp) ? chain.out_len : sizeof(l->rsp));
	else
		log_limited(&l->conf->sh->limit, LOG_WARNING,
			    "session %u: lane %u: a request is too long, no lawful chain of "
			    "descriptors, "
			    "or not in the program's memory: returned unanswered",
			    l->conf->sh->session, l->srv.lane);
	vring_push(&l->vr, (uint16_t)head, scatter(l, &chain, len));
	vring_notify(&l->vr, 1);
}

static void *
lane_main(void *arg)
{
	struct lane *l = arg;
	char name[16];

	snprintf(name, sizeof(name), "cl-lane-%u", l->srv.lane);
	pthread_setname_np(pthread_self(), name);
	while (!l->vr.broken) {
		if (vring_avail(&l->vr) != 0)
			serve(l);
		else if (!l->vr.broken && !spin(l))
			do
				sleep_until_kick(l);
			while (vring_avail(&l->vr) == 0 && !l->vr.broken);
	}
	log_limited(&l->conf->sh->limit, LOG_ERR,
		    "session %u: lane %u: the program broke the ring: it is not served any more",
		    l->conf->sh->session, l->srv.lane);
	return NULL;
}

int
lane_start(const struct lane_conf *conf, unsigned int index, const struct vring_dev *vr,
	   int kick_fd)
{
	struct lane *l = calloc(1, sizeof(*l));
	pthread_attr_t attr;
	pthread_t tid;
	int ret;

	if (l == NULL)
		return -ENOMEM;
	l->conf = conf;
	l->vr = *vr;
	l->kick_fd = kick_fd;
	l->srv.sh = conf->sh;
	l->srv.lane = index;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ret = pthread_create(&tid, &attr, lane_main, l);
	pthread_attr_destroy(&attr);
	if (ret != 0)
		free(l);
	return -ret;
}
