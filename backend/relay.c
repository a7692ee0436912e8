/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "relay.h"
#include "relay_listen.h"
#include "vu_msg.h"

/* Connections above --max-sessions that may say HELLO, to be told the reason why not. */
#define SPARE_CONNECTIONS 4
#define RECONNECT_MS	  500

/* A message being read, with the fds that came with it. */
struct inbox {
	struct vu_msg msg;
	size_t got;
	int fds[VU_MSG_MAX_FDS];
	unsigned int nb_fds;
};

enum peer { FRONT, LIB, NB_PEERS };

struct conn {
	LIST_ENTRY(conn) next;
	struct relay *r;
	struct {
		struct conn *c;
		int fd;
	} peer[NB_PEERS];
	struct inbox in[NB_PEERS];
	bool stalled; /* the library's socket is full: the front-end's message waits */
	bool waiting; /* the library is to answer before the front-end is heard again */
	bool is_ack;  /* that answer is but an acknowledgement */
	bool dead;
};

LIST_HEAD(conn_list, conn);

struct relay {
	struct relay_conf conf;
	int ep_fd;
	int listen_fd; /* -1: none */
	bool own_path;
	struct stat st; /* of the socket file that is ours */
	struct conn_list conns;
	unsigned int nb;
	bool once; /* serves one connection, then ends */
	bool told_waiting;
	uint64_t connect_at; /* with client: when to try next */
};

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void
inbox_clear(struct inbox *in)
{
	for (unsigned int i = 0; i < in->nb_fds; i++)
		close(in->fds[i]);
	in->nb_fds = 0;
	in->got = 0;
}

static void
conn_drop(struct conn *c)
{
	struct relay *r = c->r;

	if (c->dead)
		return;
	c->dead = true;
	for (unsigned int p = 0; p < NB_PEERS; p++) {
		inbox_clear(&c->in[p]);
		if (c->peer[p].fd >= 0)
			close(c->peer[p].fd);
	}
	r->nb--;
	r->connect_at = now_ms() + RECONNECT_MS;
}

static int
lib_connect(const struct relay *r)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->conf.lib_fd);
	return listen_connect(path);
}

static void
conn_new(struct relay *r, int front)
{
	const unsigned int max = r->conf.be->max_sessions + SPARE_CONNECTIONS;
	struct conn *c;

	if (r->nb >= max || atomic_load(&r->conf.be->nb_connections) >= max) {
		log_limited(&r->conf.be->limit, LOG_WARNING,
			    "a connection is closed at once: %u are open, --max-sessions is %u",
			    r->nb, r->conf.be->max_sessions);
		close(front);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		close(front);
		return;
	}
	c->r = r;
	c->peer[FRONT].fd = front;
	c->peer[LIB].fd = lib_connect(r);
	r->nb++;
	LIST_INSERT_HEAD(&r->conns, c, next);
	for (unsigned int p = 0; p < NB_PEERS; p++) {
		struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
					 .data.ptr = &c->peer[p]};

		if (p == LIB)
			ev.events |= EPOLLOUT;
		c->peer[p].c = c;
		if (c->peer[p].fd < 0 ||
		    epoll_ctl(r->ep_fd, EPOLL_CTL_ADD, c->peer[p].fd, &ev) != 0) {
			log_limited(&r->conf.be->limit, LOG_ERR,
				    "a connection cannot be served: %s", strerror(errno));
			conn_drop(c);
			return;
		}
	}
}

/* 1: progress, 0: nothing there, -1: the peer is gone or sends nonsense. */
static int
inbox_read(struct inbox *in, int fd, size_t want)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * VU_MSG_MAX_FDS)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = {(uint8_t *)&in->msg + in->got, want - in->got};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = ctl.buf,
			    .msg_controllen = sizeof(ctl.buf)};
	ssize_t n;

	do {
		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&mh); h != NULL; h = CMSG_NXTHDR(&mh, h)) {
		unsigned int k;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		k = (unsigned int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned int i = 0; i < k; i++) {
			int got;

			memcpy(&got, CMSG_DATA(h) + i * sizeof(int), sizeof(got));
			if (in->nb_fds < VU_MSG_MAX_FDS)
				in->fds[in->nb_fds++] = got;
			else
				close(got);
		}
	}
	in->got += (size_t)n;
	/* MSG_CTRUNC: more fds than any message has; the kernel closed the rest. */
	return n == 0 || (mh.msg_flags & MSG_CTRUNC) ? -1 : 1;
}

/* Read until a message is whole: 1; 0 not yet; -1 the connection is to end. */
static int
inbox_fill(struct inbox *in, int fd)
{
	int ret;

	for (;;) {
		size_t want = sizeof(in->msg.hdr);

		if (in->got >= want) {
			if (in->msg.hdr.size > VU_MSG_MAX_PAYLOAD)
				return -1;
			want += in->msg.hdr.size;
			if (in->got == want)
				return 1;
		}
		ret = inbox_read(in, fd, want);
		if (ret <= 0)
			return ret;
	}
}

/* Send a whole message: one so small goes as a whole, or with EAGAIN not at all. */
static int
send_msg(int fd, const struct vu_msg *msg, const int *fds, unsigned int nb_fds)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * VU_MSG_MAX_FDS)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = {(void *)(uintptr_t)msg, sizeof(msg->hdr) + msg->hdr.size};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (nb_fds > 0) {
		struct cmsghdr *h;

		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nb_fds);
		h = CMSG_FIRSTHDR(&mh);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * nb_fds);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * nb_fds);
	}
	do {
		n = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)iov.iov_len ? 0 : -1;
}

static void
refuse(struct conn *c, const char *why)
{
	const struct vu_msg *msg = &c->in[FRONT].msg;
	struct vu_msg ack = {.hdr = {.request = msg->hdr.request,
				     .flags = VU_FLAG_VERSION | VU_FLAG_REPLY,
				     .size = sizeof(uint64_t)},
			     .u.u64 = 1};

	log_limited(&c->r->conf.be->limit, LOG_WARNING,
		    "vhost-user message %u (%s) is refused and its connection closed: %s",
		    msg->hdr.request, vu_msg_name(msg->hdr.request), why);
	if (msg->hdr.flags & VU_FLAG_NEED_REPLY)
		send_msg(c->peer[FRONT].fd, &ack, NULL, 0);
	conn_drop(c);
}

/* Read, check and pass on what the front-end says, up to what the library must answer first. */
static void
from_front(struct conn *c)
{
	struct inbox *in = &c->in[FRONT];

	while (!c->dead && !c->waiting) {
		if (!c->stalled) {
			const int ret = inbox_fill(in, c->peer[FRONT].fd);
			const char *why = NULL;

			if (ret == 0)
				return;
			if (ret < 0 && in->got == 0) {
				conn_drop(c);
				return;
			}
			if (ret < 0)
				why = "it is cut short, longer than any, or has more than 8 fds";
			else
				why = vu_msg_check(&in->msg, in->fds, in->nb_fds);
			if (why != NULL) {
				refuse(c, why);
				return;
			}
		}
		c->stalled = false;
		if (send_msg(c->peer[LIB].fd, &in->msg, in->fds, in->nb_fds) != 0) {
			if (errno == EAGAIN)
				c->stalled = true;
			else
				conn_drop(c);
			return;
		}
		c->waiting = vu_msg_has_reply(&in->msg);
		c->is_ack = !vu_msg_is_get(&in->msg);
		inbox_clear(in);
	}
}

/* Pass the library's answer on. */
static void
from_lib(struct conn *c)
{
	struct inbox *in = &c->in[LIB];

	while (!c->dead) {
		const int ret = inbox_fill(in, c->peer[LIB].fd);
		bool failed;

		if (ret == 0)
			return;
		if (ret < 0 || !c->waiting) {
			conn_drop(c);
			return;
		}
		failed = c->is_ack && in->msg.u.u64 != 0;
		if (failed)
			log_limited(&c->r->conf.be->limit, LOG_WARNING,
				    "vhost-user message %u (%s) failed: its connection is closed",
				    in->msg.hdr.request, vu_msg_name(in->msg.hdr.request));
		if (send_msg(c->peer[FRONT].fd, &in->msg, in->fds, in->nb_fds) != 0 || failed) {
			conn_drop(c);
			return;
		}
		inbox_clear(in);
		c->waiting = false;
		from_front(c);
	}
}

static void
conn_event(struct conn *c, enum peer p, uint32_t events)
{
	if (c->dead)
		return;
	if (p == LIB)
		from_lib(c);
	/* A front-end that is gone needs no answers. */
	if (!c->dead && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		conn_drop(c);
	if (p == FRONT || c->stalled)
		from_front(c);
}

static void
accept_all(struct relay *r)
{
	for (;;) {
		const int fd = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
				log_limited(&r->conf.be->limit, LOG_ERR,
					    "a connection cannot be accepted: %s", strerror(errno));
				usleep(10000);
			}
			return;
		}
		conn_new(r, fd);
	}
}

static void
client_connect(struct relay *r)
{
	int fd;

	if (!r->conf.client || r->nb > 0 || now_ms() < r->connect_at)
		return;
	r->connect_at = now_ms() + RECONNECT_MS;
	fd = listen_connect(r->conf.path);
	if (fd >= 0) {
		log_limited(&r->conf.be->limit, LOG_INFO, "connected to %s", r->conf.path);
		r->told_waiting = false;
		conn_new(r, fd);
	} else if (!r->told_waiting) {
		log_limited(&r->conf.be->limit, LOG_INFO,
			    "waiting for somebody to listen on %s: %s", r->conf.path,
			    strerror(errno));
		r->told_waiting = true;
	}
}

static void
bury(struct relay *r)
{
	struct conn *c = LIST_FIRST(&r->conns);

	while (c != NULL) {
		struct conn *next = LIST_NEXT(c, next);

		if (c->dead) {
			LIST_REMOVE(c, next);
			free(c);
		}
		c = next;
	}
}

int
relay_open(const struct relay_conf *conf, struct relay **out)
{
	struct relay *r = calloc(1, sizeof(*r));
	struct epoll_event ev = {.events = EPOLLIN};
	bool listening = true;

	if (r == NULL)
		return -1;
	r->conf = *conf;
	r->listen_fd = -1;
	LIST_INIT(&r->conns);
	r->ep_fd = epoll_create1(EPOLL_CLOEXEC);
	if (conf->fd >= 0) {
		if (listen_inherited(conf->fd, &listening) != 0)
			goto fail;
		if (listening) {
			r->listen_fd = conf->fd;
		} else {
			r->once = true;
			conn_new(r, conf->fd);
		}
	} else if (!conf->client) {
		r->listen_fd = listen_on(conf->path, &r->st);
		if (r->listen_fd < 0)
			goto fail;
		r->own_path = true;
	}
	ev.data.ptr = r;
	if (r->ep_fd < 0 ||
	    (r->listen_fd >= 0 && epoll_ctl(r->ep_fd, EPOLL_CTL_ADD, r->listen_fd, &ev) != 0)) {
		log_msg(LOG_ERR, "epoll: %s", strerror(errno));
		relay_close(r);
		return -1;
	}
	*out = r;
	return 0;
fail:
	if (r->ep_fd >= 0)
		close(r->ep_fd);
	free(r);
	return -1;
}

void
relay_run(struct relay *r, int signal_fd, unsigned int tick_ms, void (*tick)(void *ctx), void *ctx)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
	uint64_t next_tick = now_ms() + tick_ms;

	epoll_ctl(r->ep_fd, EPOLL_CTL_ADD, signal_fd, &ev);
	for (;;) {
		struct epoll_event evs[16];
		int n, timeout = -1;

		client_connect(r);
		if (r->nb > 0 || atomic_load(&r->conf.be->nb_connections) > 0)
			timeout = (int)tick_ms;
		else if (r->conf.client)
			timeout = RECONNECT_MS;
		if (r->once && r->nb == 0)
			return;
		n = epoll_wait(r->ep_fd, evs, 16, timeout);
		for (int i = 0; i < n; i++) {
			void *p = evs[i].data.ptr;

			if (p == NULL)
				return;
			if (p == r) {
				accept_all(r);
				continue;
			}
			struct conn *c = *(struct conn **)p;

			conn_event(c, p == (void *)&c->peer[LIB] ? LIB : FRONT, evs[i].events);
		}
		bury(r);
		if (now_ms() >= next_tick) {
			next_tick = now_ms() + tick_ms;
			tick(ctx);
		}
	}
}

void
relay_close(struct relay *r)
{
	struct stat st;
	struct conn *c;

	LIST_FOREACH(c, &r->conns, next)
		conn_drop(c);
	bury(r);
	if (r->listen_fd >= 0)
		close(r->listen_fd);
	if (r->own_path && stat(r->conf.path, &st) == 0 && st.st_ino == r->st.st_ino &&
	    st.st_dev == r->st.st_dev)
		unlink(r->conf.path);
	if (r->ep_fd >= 0)
		close(r->ep_fd);
	free(r);
}
