/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "apir_transport.h"
#include "apir_vq.h"
#include "cl_calls.h"
#include "fake_device.h"

struct fake_device device;

struct queue {
	const struct apir_vq *vq;
	int call_fd;
	uint16_t seen, used; /* of the available ring; written to the used ring */
	_Atomic bool kept;
};

static struct transport {
	struct apir_transport base;
	struct queue q[1 + DEVICE_MAX_LANES];
	unsigned int nb;
	pthread_t thread;
	bool runs;
	atomic_bool stop, dead;
	apir_lost_fn lost;
	void *lost_ctx;
} * t;

void
device_reset(void)
{
	memset(&device, 0, sizeof(device));
	device.nb_lanes = 4;
	device.features = APIR_F_OPENCL;
}

static inline uint16_t
load16(const void *p)
{
	return atomic_load_explicit((const _Atomic uint16_t *)p, memory_order_acquire);
}

/* A completion, and a notification if it is wanted. */
static void
complete(struct queue *q, uint32_t len)
{
	const struct apir_vq *vq = q->vq;
	const uint64_t one = 1;

	vq->used->ring[q->used & (vq->size - 1)].id = 0;
	vq->used->ring[q->used & (vq->size - 1)].len = len;
	q->used++;
	atomic_store_explicit((_Atomic uint16_t *)&vq->used->idx, q->used, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (load16(&vq->avail->ring[vq->size]) == (uint16_t)(q->used - 1) &&
	    write(q->call_fd, &one, sizeof(one)) < 0)
		abort();
}

static void
answer_hello(struct queue *q)
{
	struct apir_ctl_rsp rsp = {
		.magic = APIR_MAGIC, .type = APIR_CTL_HELLO, .len = sizeof(struct apir_hello_rsp)};
	struct apir_hello_rsp hello = {.version = APIR_VERSION,
				       .version_min = APIR_VERSION,
				       .max_data_queues = DEVICE_MAX_LANES,
				       .max_pkts = 1,
				       .max_segs = 1,
				       .max_objects = 1,
				       .max_source = 1};
	uint8_t *to = (uint8_t *)q->vq->slots[0].rsp;
	struct apir_hello_req req;

	memcpy(&req, (uint8_t *)q->vq->slots[0].req + sizeof(struct apir_ctl_req), sizeof(req));
	hello.features = req.features & device.features;
	memcpy(to, &rsp, sizeof(rsp));
	memcpy(to + sizeof(rsp), &hello, sizeof(hello));
	complete(q, sizeof(rsp) + sizeof(hello));
}

static void
answer_open(const uint64_t *args, struct device_answer *a)
{
	/* version, pid, length and bytes of the name, arena, size, base */
	const uint64_t *rest = args + 3 + (args[2] + 7) / 8;

	a->rsp.err = device.open_err;
	a->result[0] = 42;
	a->result[1] = device.unified;
	a->result[2] = device.shared_at != 0 ? device.shared_at
		       : device.unified	     ? rest[0] + rest[1] / 2
					     : 0;
	a->result[3] = 3;
	if (device.open_err != 0)
		a->rsp.len = 0;
}

static void
answer_call(struct queue *q)
{
	const uint8_t *from = (const uint8_t *)q->vq->slots[0].req;
	uint8_t *to = (uint8_t *)q->vq->slots[0].rsp;
	struct device_answer a = {.rsp = {.magic = APIR_CL_MAGIC, .len = sizeof(a.result)}};
	struct apir_cl_req req;

	a.used = sizeof(a.rsp) + sizeof(a.result);
	memcpy(&req, from, sizeof(req));
	atomic_fetch_add(&device.nb_calls, 1);
	if (req.call == APIR_CL_CALL_OPEN)
		answer_open((const uint64_t *)(from + sizeof(req)), &a);
	else if (device.hook != NULL)
		device.hook(&req, from + sizeof(req),
			    (const uint64_t *)(from + sizeof(req) + req.len), &a);
	if (a.keep) {
		atomic_store(&q->kept, true);
		return;
	}
	memcpy(to, &a.rsp, sizeof(a.rsp));
	memcpy(to + sizeof(a.rsp), a.result, sizeof(a.result));
	complete(q, a.used);
}

static void *
run(void *arg)
{
	struct transport *own = arg;
	const struct timespec nap = {.tv_nsec = 20000};

	while (!atomic_load(&own->stop)) {
		for (unsigned int i = 0; i < own->nb && !atomic_load(&own->dead); i++) {
			struct queue *q = &own->q[i];

			if (load16(&q->vq->avail->idx) == q->seen)
				continue;
			q->seen++;
			if (i == 0)
				answer_hello(q);
			else
				answer_call(q);
		}
		nanosleep(&nap, NULL);
	}
	return NULL;
}

void
device_answer_kept(void)
{
	const struct apir_cl_rsp rsp = {.magic = APIR_CL_MAGIC};

	for (unsigned int i = 0; i < t->nb; i++) {
		if (!atomic_exchange(&t->q[i].kept, false))
			continue;
		memcpy(t->q[i].vq->slots[0].rsp, &rsp, sizeof(rsp));
		complete(&t->q[i], sizeof(rsp));
	}
}

unsigned int
device_nb_kept(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < t->nb; i++)
		n += atomic_load(&t->q[i].kept);
	return n;
}

void
device_die(void)
{
	atomic_store(&t->dead, true);
	t->lost(t->lost_ctx);
}

/* The transport ------------------------------------------------------------------------------------------------------ */

static void
tr_limits(struct apir_transport *tr, struct apir_transport_limits *limits)
{
	(void)tr;
	limits->nb_data_queues = (uint16_t)device.nb_lanes;
	limits->queue_size = APIR_MAX_QUEUE_SIZE;
}

static int
tr_queue_setup(struct apir_transport *tr, uint16_t idx, const struct apir_vq *vq)
{
	struct transport *own = (struct transport *)tr;

	if (idx != own->nb || idx > DEVICE_MAX_LANES)
		return -EINVAL;
	own->q[idx].vq = vq;
	own->q[idx].call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	own->nb++;
	return own->q[idx].call_fd < 0 ? -errno : 0;
}

static int
tr_start(struct apir_transport *tr)
{
	struct transport *own = (struct transport *)tr;
	struct apir_mem_region r[APIR_MEM_MAX_REGIONS];

	if (tr->env->mem_regions(tr->env, r, APIR_MEM_MAX_REGIONS) != 1 || r[0].fd < 0)
		return -EINVAL;
	own->runs = true;
	return -pthread_create(&own->thread, NULL, run, own);
}

static void
tr_kick(struct apir_transport *tr, uint16_t idx)
{
	(void)tr;
	(void)idx;
	atomic_fetch_add(&device.nb_kicks, 1);
}

static int
tr_call_fd(struct apir_transport *tr, uint16_t idx)
{
	return ((struct transport *)tr)->q[idx].call_fd;
}

static bool
tr_alive(struct apir_transport *tr)
{
	return !atomic_load(&((struct transport *)tr)->dead);
}

static void
close_fds(struct transport *own)
{
	for (unsigned int i = 0; i < own->nb; i++)
		close(own->q[i].call_fd);
}

static void
tr_close(struct apir_transport *tr)
{
	struct transport *own = (struct transport *)tr;

	atomic_fetch_add(&device.nb_closes, 1);
	atomic_store(&own->stop, true);
	if (own->runs)
		pthread_join(own->thread, NULL);
	close_fds(own);
	free(own);
}

static void
tr_forked(struct apir_transport *tr)
{
	atomic_fetch_add(&device.nb_forked, 1);
	close_fds((struct transport *)tr);
}

static const struct apir_transport_ops ops = {
	.name = "fake",
	.silent = "it is a fake",
	.limits = tr_limits,
	.queue_setup = tr_queue_setup,
	.start = tr_start,
	.kick = tr_kick,
	.call_fd = tr_call_fd,
	.alive = tr_alive,
	.close = tr_close,
	.forked = tr_forked,
};

int
apir_vhost_user_open(const char *path, const struct apir_env *env, unsigned int timeout_ms,
		     apir_lost_fn lost, void *lost_ctx, struct apir_transport **out)
{
	(void)path;
	(void)timeout_ms;
	if (device.connect_err != 0)
		return device.connect_err;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	atomic_fetch_add(&device.nb_opens, 1);
	t->base.ops = &ops;
	t->base.env = env;
	t->lost = lost;
	t->lost_ctx = lost_ctx;
	*out = &t->base;
	return 0;
}
