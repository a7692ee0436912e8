/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "hello.h"
#include "log.h"
#include "placement.h"
#include "virtio_apir_cl.h"

#define FEATURES (APIR_F_LOOPBACK | APIR_F_MULTI_SEG | APIR_F_PIPELINE)

/* What is agreed on: a session is for bursts or for OpenCL. */
static uint64_t
agreed(const struct backend *be, uint64_t wanted)
{
	if ((wanted & APIR_F_OPENCL) != 0 && be->worker_path != NULL)
		return APIR_F_OPENCL;
	return wanted & FEATURES;
}

/* The oldest version we speak. */
#define VERSION_MIN (APIR_VERSION_MAJOR << 16)

/* Most time that a session being taken down is waited for. */
#define ENDING_MS 500
/* And that rings being set up are. */
#define QUEUES_MS 300

static enum apir_status __attribute__((format(printf, 3, 4)))
refuse(struct apir_hello_rsp *rsp, enum apir_status status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rsp->text, sizeof(rsp->text), fmt, ap);
	va_end(ap);
	return status;
}

/*
 * HELLO comes through memory and may overtake the last messages of the rings' set-up, which come
 * through QEMU: they are waited for.
 */
static bool
queues_there(const struct session *s, unsigned int nb)
{
	const struct timespec ms = {.tv_nsec = 1000000};

	for (unsigned int waited = 0; session_data_queues(s) < nb; waited++) {
		if (waited == QUEUES_MS)
			return false;
		nanosleep(&ms, NULL);
	}
	return true;
}

/* An OpenCL program's lanes cost no poll thread anything. */
static unsigned int
queues_allowed(const struct backend *be, const struct apir_hello_req *req)
{
	const bool lanes = agreed(be, req->features) == APIR_F_OPENCL;

	return lanes && be->max_queues < APIR_CL_MAX_LANES ? APIR_CL_MAX_LANES : be->max_queues;
}

static enum apir_status
check(struct session *s, const struct apir_hello_req *req, struct apir_hello_rsp *rsp)
{
	const unsigned int allowed = queues_allowed(s->be, req);

	if (memchr(req->driver_name, '\0', sizeof(req->driver_name)) == NULL)
		return refuse(rsp, APIR_S_MALFORMED, "the driver's name has no end");
	if (s->said)
		return refuse(rsp, APIR_S_INVAL, "HELLO has been said in this session");
	if (req->version_min > req->version_max)
		return refuse(rsp, APIR_S_INVAL,
			      "oldest version 0x%x is above the newest, 0x%x: the driver is broken",
			      req->version_min, req->version_max);
	if (req->version_max < VERSION_MIN || req->version_min > APIR_VERSION)
		return refuse(rsp, APIR_S_VERSION,
			      "this device speaks versions %u.%u to %u.%u, the driver %u.%u to "
			      "%u.%u: update the older one",
			      VERSION_MIN >> 16, VERSION_MIN & 0xffff, APIR_VERSION >> 16,
			      APIR_VERSION & 0xffff, req->version_min >> 16,
			      req->version_min & 0xffff, req->version_max >> 16,
			      req->version_max & 0xffff);
	if (req->nb_data_queues > allowed && (req->features & APIR_F_OPENCL) != 0 &&
	    s->be->worker_path == NULL)
		return refuse(rsp, APIR_S_UNSUPPORTED,
			      "no OpenCL for guests here: apird was started with --opencl off, or "
			      "finds no apird-opencl (its log says which)");
	if (req->nb_data_queues > allowed)
		return refuse(rsp, APIR_S_TOOBIG,
			      "%u data queues asked for, this apird allows %u: use fewer, or start "
			      "apird with "
			      "--queues %u",
			      req->nb_data_queues, allowed,
			      req->nb_data_queues < APIR_MAX_DATA_QUEUES ? req->nb_data_queues
									 : APIR_MAX_DATA_QUEUES);
	if (req->nb_data_queues == 0 || !queues_there(s, req->nb_data_queues))
		return refuse(rsp, APIR_S_INVAL,
			      "%u data queues named in HELLO, but %u are set up and enabled",
			      req->nb_data_queues, session_data_queues(s));
	if (req->max_pkts == 0)
		return refuse(rsp, APIR_S_INVAL, "bursts of 0 packets: 1 to %u are possible",
			      APIR_MAX_PKTS);
	return APIR_S_OK;
}

/*
 * A place among the sessions; kept by a driver that says HELLO again. One that closes and opens again at the limit finds its
 * old session still being taken down: that place is waited for.
 */
static bool
admit(struct session *s)
{
	struct backend *be = s->be;
	const struct timespec ms = {.tv_nsec = 1000000};

	for (unsigned int waited = 0; !s->admitted; waited++) {
		/* first: a session that ends in between frees its place before it is not ending any more */
		const bool ending = atomic_load(&be->nb_ending) > 0;

		if (atomic_fetch_add(&be->nb_sessions, 1) < be->max_sessions) {
			s->admitted = true;
			break;
		}
		atomic_fetch_sub(&be->nb_sessions, 1);
		if (!ending || waited == ENDING_MS)
			return false;
		nanosleep(&ms, NULL);
	}
	return true;
}

static enum apir_status
make_queues(struct session *s, const struct apir_hello_req *req, struct apir_hello_rsp *rsp)
{
	struct backend *be = s->be;
	struct exec_err err = {{0}};
	int node = be->info.numa_node;
	enum apir_status st;

	if (!control_mem_begin(s))
		return refuse(rsp, APIR_S_NOTREADY, "the driver has begun anew");
	st = session_share_memory(s, &err);
	if (node < 0)
		node = s->mem.nb > 0 ? numa_node_of(s->mem.r[0].va) : -1;
	control_mem_end(s);
	if (st != APIR_S_OK)
		return refuse(rsp, st, "guest memory cannot be used by the device: %.200s",
			      err.text);
	for (unsigned int i = 0; i < req->nb_data_queues; i++) {
		if (s->xq[i] == NULL) {
			pthread_mutex_lock(&be->exec_lock);
			pthread_mutex_lock(&be->mem_lock);
			s->xq[i] = be->ops->queue_create(be->dev, s->id, node, &err);
			pthread_mutex_unlock(&be->mem_lock);
			pthread_mutex_unlock(&be->exec_lock);
		}
		if (s->xq[i] == NULL)
			return refuse(rsp, APIR_S_NOMEM, "data queue %u: %.200s", i, err.text);
	}
	return APIR_S_OK;
}

/*
 * From here on these queues are polled and served; those above are answered NOTREADY, and looked at
 * only when they are kicked.
 */
static enum apir_status
open_queues(struct session *s, const struct apir_hello_req *req, struct apir_hello_rsp *rsp)
{
	struct dataq *queues[APIR_MAX_DATA_QUEUES];
	enum apir_status st = APIR_S_OK;

	for (unsigned int i = 0; i < req->nb_data_queues; i++) {
		queues[i] = atomic_load(&s->q[i]);
		/* So that no burst waits for a page of it. */
		madvise(queues[i], sizeof(*queues[i]), MADV_POPULATE_WRITE);
	}
	/* Under the lock, so that a driver that begins anew meanwhile finds them closed. */
	if (!control_mem_begin(s))
		return refuse(rsp, APIR_S_NOTREADY, "the driver has begun anew");
	if (poll_announce(s->be->poll, queues, req->nb_data_queues, true) != 0)
		st = refuse(rsp, APIR_S_NOMEM, "no memory to poll %u data queues",
			    req->nb_data_queues);
	for (unsigned int i = 0; i < req->nb_data_queues && st == APIR_S_OK; i++) {
		struct dataq *q = queues[i];

		q->max_pkts = APIR_MAX_PKTS;
		q->loopback = (rsp->features & APIR_F_LOOPBACK) != 0;
		q->multi_seg = (rsp->features & APIR_F_MULTI_SEG) != 0;
		atomic_store_explicit(&q->xq, s->xq[i], memory_order_release);
	}
	s->said = st == APIR_S_OK;
	control_mem_end(s);
	return st;
}

/* From here on they are lanes of a worker. */
static enum apir_status
start_worker(struct session *s, const struct apir_hello_req *req, struct apir_hello_rsp *rsp)
{
	enum apir_status st = APIR_S_OK;
	char why[WORKER_WHY];

	/* Under the lock, so that neither memory nor rings change before the worker has them. */
	if (!control_mem_begin(s))
		return refuse(rsp, APIR_S_NOTREADY, "the driver has begun anew");
	if (worker_start(s, req->nb_data_queues, why) != 0)
		st = refuse(rsp, APIR_S_NOMEM, "OpenCL: %s", why);
	s->said = st == APIR_S_OK;
	control_mem_end(s);
	return st;
}

enum apir_status
hello_answer(struct session *s, const struct apir_hello_req *req, struct apir_hello_rsp *rsp)
{
	struct backend *be = s->be;
	enum apir_status st;

	memset(rsp, 0, sizeof(*rsp));
	rsp->version = APIR_VERSION;
	rsp->version_min = VERSION_MIN;
	rsp->session = s->id;
	st = check(s, req, rsp);
	if (st == APIR_S_OK && !admit(s))
		st = refuse(rsp, APIR_S_SESSIONS,
			    "this apird already serves its most sessions, %u: close one, or start "
			    "apird with "
			    "a larger --max-sessions",
			    be->max_sessions);
	if (st == APIR_S_OK) {
		/*
		 * A new driver on an old connection, its rings set up anew: what the last one made
		 * is nobody's.
		 */
		session_reset(s);
		memcpy(s->driver_name, req->driver_name, sizeof(s->driver_name));
		rsp->version = req->version_max < APIR_VERSION ? req->version_max : APIR_VERSION;
		rsp->features = s->features = agreed(be, req->features);
		if (s->features == APIR_F_OPENCL)
			st = start_worker(s, req, rsp);
		else
			st = make_queues(s, req, rsp);
		if (st == APIR_S_OK && s->features != APIR_F_OPENCL)
			st = open_queues(s, req, rsp);
	}
	if (st != APIR_S_OK) {
		log_limited(&s->be->limit, LOG_WARNING, "session %u: '%.63s' refused: %s", s->id,
			    req->driver_name, rsp->text);
		return st;
	}
	rsp->max_data_queues = queues_allowed(be, req);
	rsp->max_pkts = APIR_MAX_PKTS;
	rsp->max_segs = APIR_MAX_SEGS;
	rsp->max_objects = OBJTAB_MAX;
	rsp->max_device_memory =
		be->max_device_memory != 0 ? be->max_device_memory : be->info.global_mem;
	rsp->copy_mode = be->info.copy_mode;
	rsp->max_source = MAX_SOURCE;
	snprintf(rsp->device_name, sizeof(rsp->device_name), "%.63s", be->info.device);
	log_limited(&s->be->limit, LOG_INFO, "session %u: guest '%s' connected: %u %s", s->id,
		    s->driver_name, req->nb_data_queues,
		    s->features == APIR_F_OPENCL ? "lanes for OpenCL" : "data queues");
	return APIR_S_OK;
}
