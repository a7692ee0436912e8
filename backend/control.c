/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hello.h"
#include "log.h"
#include "rpc.h"
#include "session.h"

static enum apir_status
answer_hello(struct session *s, const uint8_t *in, size_t in_len, uint8_t *out, size_t room,
	     uint32_t *len)
{
	struct apir_hello_req req;
	struct apir_hello_rsp rsp;
	enum apir_status st;

	if (in_len != sizeof(req) || room < sizeof(rsp))
		return APIR_S_MALFORMED;
	memcpy(&req, in, sizeof(req));
	st = hello_answer(s, &req, &rsp);
	memcpy(out, &rsp, sizeof(rsp));
	*len = sizeof(rsp);
	return st;
}

size_t
control_answer(struct session *s, const uint8_t *in, size_t in_len, uint8_t *out, size_t room)
{
	struct apir_ctl_rsp rsp = {.magic = APIR_MAGIC};
	struct apir_ctl_req req = {0};
	enum apir_status st;

	if (room < sizeof(rsp))
		return 0;
	if (in_len >= sizeof(req))
		memcpy(&req, in, sizeof(req));
	in += sizeof(req);
	out += sizeof(rsp);
	room -= sizeof(rsp);
	rsp.type = req.type;
	if (req.magic != APIR_MAGIC) {
		/* A firmware or kernel may take the carrier for the file system it poses as. */
		rsp.type = 0;
		st = APIR_S_UNSUPPORTED;
	} else if (req.resv != 0 || req.resv2 != 0 || req.len != in_len - sizeof(req)) {
		st = APIR_S_MALFORMED;
	} else if (req.type == APIR_CTL_HELLO) {
		st = answer_hello(s, in, req.len, out, room, &rsp.len);
	} else if (!s->said) {
		st = APIR_S_NOTREADY;
	} else if (req.type == APIR_CTL_RPC) {
		rsp.len = (uint32_t)rpc_answer(s, in, req.len, out, room);
		st = rsp.len > 0 ? APIR_S_OK : APIR_S_MALFORMED;
		s->calls++;
	} else {
		st = APIR_S_UNSUPPORTED;
	}
	rsp.status = (uint16_t)st;
	memcpy(out - sizeof(rsp), &rsp, sizeof(rsp));
	return sizeof(rsp) + rsp.len;
}

/*
 * Copy the request in. Returns its length, or -1: it is longer than any control message or not in
 * guest memory.
 */
static ssize_t
gather(const struct session *s, const struct vring_chain *c, uint8_t *in)
{
	size_t n = 0;

	if (c->in_len > APIR_CTL_MAX)
		return -1;
	for (unsigned int i = 0; i < c->nb_in; i++) {
		if (c->in[i].len != 0 &&
		    !mem_copy_from(&s->mem, in + n, c->in[i].gpa, c->in[i].len))
			return -1;
		n += c->in[i].len;
	}
	return (ssize_t)n;
}

/* Copy the answer out. Returns the bytes that found a place. */
static uint32_t
scatter(const struct session *s, const struct vring_chain *c, const uint8_t *out, size_t len)
{
	size_t n = 0;

	for (unsigned int i = 0; i < c->nb_out && n < len; i++) {
		const size_t k = len - n < c->out[i].len ? len - n : c->out[i].len;

		if (k != 0 && !mem_copy_to(&s->mem, c->out[i].gpa, out + n, k))
			break;
		n += k;
	}
	return (uint32_t)n;
}

bool
control_mem_begin(struct session *s)
{
	struct control *c = &s->ctl;

	pthread_mutex_lock(&c->lock);
	while (!c->attached && !c->quit && c->epoch == c->my_epoch)
		pthread_cond_wait(&c->cond, &c->lock);
	if (c->attached && !c->quit && c->epoch == c->my_epoch)
		return true;
	pthread_mutex_unlock(&c->lock);
	return false;
}

bool
control_mem_try(struct session *s)
{
	struct control *c = &s->ctl;

	pthread_mutex_lock(&c->lock);
	if (c->attached && !c->quit && c->epoch == c->my_epoch)
		return true;
	pthread_mutex_unlock(&c->lock);
	return false;
}

void
control_mem_end(struct session *s)
{
	pthread_mutex_unlock(&s->ctl.lock);
}

/*
 * All sources are edge-triggered: what comes between the last look and the wait is not lost, and
 * none is read.
 */
static int
watch(const struct control *c, int op, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

	return epoll_ctl(c->ep_fd, op, fd, &ev) == 0 ? 0 : -errno;
}

int
control_watch(struct session *s, int fd)
{
	return watch(&s->ctl, EPOLL_CTL_ADD, fd);
}

/* Take the next request, if there is one. Under lock. */
static int
take(struct session *s, struct vring_chain *chain, ssize_t *in_len)
{
	struct control *c = &s->ctl;
	int head;

	if (c->vr.broken || vring_avail(&c->vr) == 0)
		return -1;
	head = vring_pop(&c->vr);
	if (head < 0)
		return -1;
	if (vring_walk(&c->vr, &s->mem, (uint16_t)head, chain) != VRING_OK) {
		memset(chain, 0, sizeof(*chain));
		*in_len = -1;
	} else {
		*in_len = gather(s, chain, c->in);
	}
	return head;
}

static void
serve(struct session *s, int head, const struct vring_chain *chain, ssize_t in_len)
{
	struct control *c = &s->ctl;
	const size_t room = chain->out_len < APIR_CTL_MAX ? chain->out_len : APIR_CTL_MAX;
	size_t len = 0;

	if (in_len >= 0)
		len = control_answer(s, c->in, (size_t)in_len, c->out, room);
	else
		log_limited(&s->be->limit, LOG_WARNING,
			    "session %u: a control request is too long, no lawful chain of "
			    "descriptors, or "
			    "not in guest memory: returned unanswered",
			    s->id);
	/*
	 * The ring may have moved meanwhile (new memory), or be another one (the driver began
	 * anew).
	 */
	if (!control_mem_begin(s))
		return;
	vring_push(&c->vr, (uint16_t)head, scatter(s, chain, c->out, len));
	vring_notify(&c->vr, 1);
	control_mem_end(s);
}

/*
 * A guest that rings and rings, but nothing is there: its memory is its own. The first time it is
 * QEMU, which rings every ring it hands over. Under lock.
 */
static void
rang_for_nothing(struct session *s)
{
	struct control *c = &s->ctl;

	if (c->vr.last_avail != 0 || c->vr.broken || ++c->empty_kicks != 2)
		return;
	log_limited(&s->be->limit, LOG_WARNING,
		    "session %u: the guest notifies the control queue, but there is no request in "
		    "it: if the guest waits, its memory is not shared: QEMU needs share=on (for "
		    "memory-backend-file it is off by default)",
		    s->id);
}

static void *
control_main(void *arg)
{
	struct session *s = arg;
	struct control *c = &s->ctl;
	struct vring_chain chain;
	bool kicked = false;

	pthread_setname_np(pthread_self(), "apird-control");
	for (;;) {
		ssize_t in_len = -1;
		struct epoll_event ev;
		int head, timeout_ms, pid_fd;

		pthread_mutex_lock(&c->lock);
		while (!c->attached && !c->quit)
			pthread_cond_wait(&c->cond, &c->lock);
		if (c->quit) {
			pthread_mutex_unlock(&c->lock);
			break;
		}
		c->my_epoch = c->epoch;
		if (c->anew)
			s->said = false;
		c->anew = false;
		worker_check(s);
		pid_fd = s->worker.pid_fd;
		head = take(s, &chain, &in_len);
		if (head < 0 && !c->vr.broken) {
			vring_want_kick(&c->vr);
			head = take(s, &chain, &in_len);
		}
		if (head < 0 && kicked)
			rang_for_nothing(s);
		kicked = false;
		if (head < 0 && c->vr.broken && !c->broken_told) {
			c->broken_told = true;
			log_limited(&s->be->limit, LOG_ERR,
				    "session %u: the guest broke the control ring: it is stopped "
				    "until it is "
				    "set up again",
				    s->id);
		}
		/* A guest that gave us no eventfd is looked after now and then. */
		timeout_ms = c->kick_fd < 0 && !c->vr.broken ? 10 : -1;
		pthread_mutex_unlock(&c->lock);

		if (head >= 0)
			serve(s, head, &chain, in_len);
		else
			kicked = epoll_wait(c->ep_fd, &ev, 1, timeout_ms) == 1 &&
				 ev.data.fd != c->wake_fd && ev.data.fd != pid_fd;
	}
	session_free(s);
	return NULL;
}

static void
wake(struct control *c)
{
	const uint64_t one = 1;

	pthread_cond_broadcast(&c->cond);
	if (write(c->wake_fd, &one, sizeof(one)) < 0)
		return; /* full: it is awake */
}

int
control_start(struct session *s)
{
	struct control *c = &s->ctl;
	pthread_attr_t attr;
	int ret;

	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->cond, NULL);
	c->kick_fd = -1;
	c->ep_fd = epoll_create1(EPOLL_CLOEXEC);
	c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->in = malloc(APIR_CTL_MAX);
	c->out = malloc(APIR_CTL_MAX);
	if (c->ep_fd < 0 || c->wake_fd < 0 || watch(c, EPOLL_CTL_ADD, c->wake_fd) != 0 ||
	    c->in == NULL || c->out == NULL) {
		ret = ENOMEM;
		goto fail;
	}
	/* Nobody waits for it: it outlives its connection while a program is being built. */
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ret = pthread_create(&c->tid, &attr, control_main, s);
	pthread_attr_destroy(&attr);
	if (ret == 0)
		return 0;
fail:
	control_release(c);
	return -ret;
}

void
control_release(struct control *c)
{
	if (c->ep_fd >= 0)
		close(c->ep_fd);
	if (c->wake_fd >= 0)
		close(c->wake_fd);
	free(c->in);
	free(c->out);
	pthread_cond_destroy(&c->cond);
	pthread_mutex_destroy(&c->lock);
}

void
control_quit(struct session *s)
{
	struct control *c = &s->ctl;

	pthread_mutex_lock(&c->lock);
	c->quit = true;
	c->attached = false;
	wake(c);
	/* After this the thread may free s. */
	pthread_mutex_unlock(&c->lock);
}

int
control_attach(struct session *s, const struct vring_dev *vr, int kick_fd, bool anew)
{
	struct control *c = &s->ctl;
	int ret;

	if (kick_fd >= 0) {
		ret = watch(c, EPOLL_CTL_ADD, kick_fd);
		if (ret != 0)
			return ret;
	}
	pthread_mutex_lock(&c->lock);
	c->vr = *vr;
	c->kick_fd = kick_fd;
	c->anew |= anew;
	c->broken_told = false;
	c->empty_kicks = 0;
	c->attached = true;
	wake(c);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

bool
control_detach(struct session *s, bool restart, struct vring_dev *vr)
{
	struct control *c = &s->ctl;
	bool was;

	pthread_mutex_lock(&c->lock);
	was = c->attached;
	*vr = c->vr;
	c->attached = false;
	if (c->kick_fd >= 0)
		watch(c, EPOLL_CTL_DEL, c->kick_fd);
	c->kick_fd = -1;
	if (restart)
		c->epoch++;
	wake(c);
	pthread_mutex_unlock(&c->lock);
	return was;
}
