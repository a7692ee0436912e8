/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"
#include "rpc.h"
#include "session.h"

struct session *
session_create(struct backend *be, const struct session_ops *sops, int vid)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->be = be;
	s->sops = sops;
	s->vid = vid;
	s->id = atomic_fetch_add(&be->last_id, 1) + 1;
	for (unsigned int i = 0; i < SESSION_MAX_QUEUES; i++)
		s->kick_fd[i] = s->call_fd[i] = -1;
	s->worker.pid_fd = -1;
	objtab_start(&s->programs);
	objtab_start(&s->kernels);
	objtab_start(&s->buffers);
	objtab_start(&s->pipelines);
	if (control_start(s) != 0) {
		free(s);
		return NULL;
	}
	atomic_fetch_add(&be->nb_connections, 1);
	return s;
}

unsigned int
session_data_queues(const struct session *s)
{
	unsigned int n = 0;

	while (n < APIR_MAX_DATA_QUEUES && atomic_load(&s->attached[APIR_DATA_QUEUE(n)]))
		n++;
	return n;
}

/* Tell the executor of the guest's memory, or with 0 regions that it goes. */
static enum apir_status
share_memory(struct session *s, unsigned int nb, struct exec_err *err)
{
	struct backend *be = s->be;
	struct exec_region r[MEM_MAX_REGIONS];
	enum apir_status st;

	for (unsigned int i = 0; i < nb; i++)
		r[i] = (struct exec_region){.va = s->mem.r[i].va, .size = s->mem.r[i].size};
	pthread_mutex_lock(&be->mem_lock);
	st = be->ops->mem_set(be->dev, s->id, r, nb, err);
	pthread_mutex_unlock(&be->mem_lock);
	return st;
}

enum apir_status
session_share_memory(struct session *s, struct exec_err *err)
{
	enum apir_status st = APIR_S_OK;

	if (!s->shared)
		st = share_memory(s, s->mem.nb, err);
	s->shared = st == APIR_S_OK;
	return st;
}

static int
refresh_memory(struct session *s)
{
	struct mem_region r[MEM_MAX_REGIONS];
	const int n = s->sops->get_mem(s->vid, r, MEM_MAX_REGIONS);
	struct exec_err err = {{0}};
	uint64_t total = 0;
	char text[512];
	size_t len = 0;

	if (n < 0 || mem_set(&s->mem, r, (unsigned int)n) != 0) {
		s->mem.nb = 0;
		log_limited(
			&s->be->limit, LOG_ERR,
			"session %u: the guest's memory regions are no use: more than %d, empty, "
			"overlapping or beyond the end of the address space",
			s->id, MEM_MAX_REGIONS);
		return -EINVAL;
	}
	text[0] = '\0';
	for (int i = 0; i < n; i++) {
		total += r[i].size;
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%s0x%" PRIx64 "+%" PRIu64 "K", i > 0 ? ", " : "", r[i].gpa,
					r[i].size >> 10);
	}
	log_limited(&s->be->limit, LOG_INFO,
		    "session %u: guest memory: %d regions, %" PRIu64 " MiB (%s)", s->id, n,
		    total >> 20, text);
	if (!s->shared || share_memory(s, s->mem.nb, &err) == APIR_S_OK)
		return 0;
	log_limited(&s->be->limit, LOG_ERR,
		    "session %u: guest memory cannot be used by the device: %s", s->id, err.text);
	return -EIO;
}

/* Our own copies: the front-end may replace or close its own at any time. */
static int
copy_fd(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void
close_fds(struct session *s, uint16_t idx)
{
	if (s->kick_fd[idx] >= 0)
		close(s->kick_fd[idx]);
	if (s->call_fd[idx] >= 0)
		close(s->call_fd[idx]);
	s->kick_fd[idx] = s->call_fd[idx] = -1;
}

static struct dataq *
data_queue(struct session *s, unsigned int i)
{
	struct dataq *q = atomic_load(&s->q[i]);

	if (q == NULL) {
		/* What a queue that nobody uses never touches is no memory yet. */
		q = mmap(NULL, sizeof(*q), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);
		if (q == MAP_FAILED)
			return NULL;
		q->mem = &s->mem;
		q->ops = s->be->ops;
		q->pipelines = &s->pipelines;
		q->session = s->id;
		q->index = i;
		q->limit = &s->be->limit;
		atomic_store(&s->q[i], q);
	}
	return q;
}

static int
attach_data(struct session *s, uint16_t idx, const struct vring_dev *vr)
{
	struct dataq *q = data_queue(s, idx - 1u);

	if (q == NULL)
		return -ENOMEM;
	q->vr = *vr;
	/* The table may have changed under them. */
	q->hit = q->tbl_hit = q->hdr_hit = NULL;
	return poll_attach(s->be->poll, &q, &s->kick_fd[idx], 1);
}

/* What the last driver announced is void: every queue waits for HELLO again. */
static void
forget_hello(struct session *s)
{
	struct dataq *q[APIR_MAX_DATA_QUEUES];
	unsigned int n = 0;

	for (unsigned int i = 0; i < APIR_MAX_DATA_QUEUES; i++) {
		q[n] = atomic_load(&s->q[i]);
		if (q[n] == NULL)
			continue;
		atomic_store(&q[n]->xq, NULL);
		n++;
	}
	poll_announce(s->be->poll, q, n, false);
}

/*
 * A driver that begins anew starts its rings at 0 and must say HELLO. One whose machine was but
 * halted for a while knows nothing of that: its rings come back as they were left.
 */
static int
attach_control(struct session *s, const struct vring_dev *vr)
{
	const bool anew = s->left && vr->used_idx != s->left_used;

	if (anew)
		forget_hello(s);
	s->left = false;
	return control_attach(s, vr, s->kick_fd[APIR_CTL_QUEUE], anew);
}

static int
attach(struct session *s, uint16_t idx)
{
	struct vring_conf conf;
	struct vring_dev vr;
	const char *why = "its set-up cannot be read";
	int ret;

	ret = s->sops->get_vring(s->vid, idx, &conf);
	if (ret == 0) {
		s->kick_fd[idx] = copy_fd(conf.kick_fd);
		s->call_fd[idx] = copy_fd(conf.call_fd);
		conf.call_fd = s->call_fd[idx];
		ret = vring_open(&vr, &s->mem, &conf, &why);
	}
	if (ret == 0) {
		why = "out of memory or file descriptors";
		if (idx == APIR_CTL_QUEUE)
			ret = attach_control(s, &vr);
		else
			ret = attach_data(s, idx, &vr);
	}
	if (ret != 0) {
		close_fds(s, idx);
		log_limited(&s->be->limit, LOG_ERR, "session %u: ring %u is refused: %s", s->id,
			    idx, why);
		return ret;
	}
	atomic_store(&s->attached[idx], true);
	return 0;
}

static void
attach_all(struct session *s)
{
	/* Data first: HELLO counts them. */
	for (uint16_t i = 1; i < SESSION_MAX_QUEUES; i++)
		if (s->enabled[i])
			attach(s, i);
	if (s->enabled[APIR_CTL_QUEUE])
		attach(s, APIR_CTL_QUEUE);
}

static void
detach_control(struct session *s, bool restart)
{
	struct vring_dev vr;

	if (control_detach(s, restart, &vr))
		s->sops->put_base(s->vid, APIR_CTL_QUEUE, vr.last_avail, vr.used_idx);
	if (restart) {
		s->left = true;
		s->left_used = vr.used_idx;
	}
	atomic_store(&s->attached[APIR_CTL_QUEUE], false);
	close_fds(s, APIR_CTL_QUEUE);
}

/* Data rings first..last, together: one wait for them all. */
static void
detach_data(struct session *s, uint16_t first, uint16_t last)
{
	struct dataq *q[APIR_MAX_DATA_QUEUES];
	unsigned int n = 0;

	/* Under the lock, so that none is handed to a worker meanwhile. */
	pthread_mutex_lock(&s->ctl.lock);
	if (first <= s->worker.nb_lanes)
		worker_stop(s);
	for (uint16_t i = first; i <= last; i++)
		if (atomic_load(&s->attached[i])) {
			q[n++] = atomic_load(&s->q[i - 1u]);
			atomic_store(&s->attached[i], false);
		}
	pthread_mutex_unlock(&s->ctl.lock);
	if (n > 0)
		poll_detach(s->be->poll, q, n);
	for (unsigned int k = 0; k < n; k++)
		s->sops->put_base(s->vid, (uint16_t)(q[k]->index + 1), q[k]->vr.last_avail,
				  q[k]->vr.used_idx);
	for (uint16_t i = first; i <= last; i++)
		close_fds(s, i);
}

static void
detach_all(struct session *s, bool restart)
{
	struct exec_err err = {{0}};

	detach_data(s, 1, SESSION_MAX_QUEUES - 1);
	detach_control(s, restart);
	if (s->shared)
		share_memory(s, 0, &err);
	s->mem.nb = 0;
}

int
session_start(struct session *s)
{
	if (s->state != SESSION_STOPPED)
		return 0;
	if (refresh_memory(s) != 0)
		return -1;
	s->state = SESSION_RUNNING;
	attach_all(s);
	return 0;
}

void
session_stop(struct session *s)
{
	if (s->state != SESSION_STOPPED)
		detach_all(s, true);
	s->state = SESSION_STOPPED;
}

void
session_pause(struct session *s)
{
	if (s->state != SESSION_RUNNING)
		return;
	detach_all(s, false);
	s->state = SESSION_PAUSED;
}

void
session_resume(struct session *s)
{
	if (s->state != SESSION_PAUSED)
		return;
	s->state = SESSION_RUNNING;
	if (refresh_memory(s) == 0)
		attach_all(s);
}

void
session_queue(struct session *s, uint16_t idx, bool enable)
{
	if (idx >= SESSION_MAX_QUEUES || s->enabled[idx] == enable)
		return;
	s->enabled[idx] = enable;
	if (s->state != SESSION_RUNNING)
		return;
	if (enable)
		attach(s, idx);
	else if (idx == APIR_CTL_QUEUE)
		detach_control(s, false);
	else
		detach_data(s, idx, idx);
}

void
session_reset(struct session *s)
{
	struct backend *be = s->be;
	struct program *prog;
	void *obj;

	for (unsigned int i = 0; i < APIR_MAX_DATA_QUEUES; i++) {
		struct dataq *q = atomic_load(&s->q[i]);

		if (q != NULL)
			atomic_store(&q->xq, NULL);
	}
	/* After this no burst names a pipeline or an executor's queue. */
	poll_sync(be->poll);
	pthread_mutex_lock(&be->exec_lock);
	while ((obj = objtab_take(&s->pipelines)) != NULL)
		be->ops->pipeline_destroy(obj);
	while ((obj = objtab_take(&s->kernels)) != NULL)
		be->ops->kernel_destroy(obj);
	while ((prog = objtab_take(&s->programs)) != NULL) {
		be->ops->program_destroy(prog->prog);
		free(prog);
	}
	while ((obj = objtab_take(&s->buffers)) != NULL)
		be->ops->buffer_destroy(obj);
	pthread_mutex_unlock(&be->exec_lock);
}

void
session_end(struct session *s)
{
	session_stop(s);
	for (unsigned int i = 0; i < SESSION_MAX_QUEUES; i++)
		close_fds(s, (uint16_t)i);
	if (s->admitted)
		atomic_fetch_add(&s->be->nb_ending, 1);
	control_quit(s);
}

void
session_free(struct session *s)
{
	struct backend *be = s->be;
	uint64_t bursts = 0, pkts = 0, errors = 0, copied = 0;

	session_reset(s);
	for (unsigned int i = 0; i < APIR_MAX_DATA_QUEUES; i++) {
		struct dataq *q = atomic_load(&s->q[i]);

		if (s->xq[i] != NULL) {
			pthread_mutex_lock(&be->exec_lock);
			pthread_mutex_lock(&be->mem_lock);
			be->ops->queue_destroy(s->xq[i]);
			pthread_mutex_unlock(&be->mem_lock);
			pthread_mutex_unlock(&be->exec_lock);
		}
		if (q == NULL)
			continue;
		bursts += q->stats.bursts;
		pkts += q->stats.pkts;
		errors += q->stats.errors;
		copied += q->stats.copied;
		munmap(q, sizeof(*q));
	}
	log_limited(&be->limit, LOG_INFO,
		    "session %u%s%s%s ended: %" PRIu64 " bursts, %" PRIu64 " packets, %" PRIu64
		    " bursts failed, %" PRIu64 " packet bytes copied, %" PRIu64 " control calls",
		    s->id, s->driver_name[0] ? " ('" : "", s->driver_name,
		    s->driver_name[0] ? "')" : "", bursts, pkts, errors, copied, s->calls);
	if (s->admitted) {
		atomic_fetch_sub(&be->nb_sessions, 1);
		atomic_fetch_sub(&be->nb_ending, 1);
	}
	control_release(&s->ctl);
	free(s);
	/* Last: who waits for the sessions to end sees nothing of them any more. */
	atomic_fetch_sub(&be->nb_connections, 1);
}
