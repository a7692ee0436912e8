/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
#include "vu_io.h"
#include "vu_msg.h"

/* Connections above --max-sessions that may say HELLO, to be told the reason why not. */
#define SPARE_CONNECTIONS 4
#define RECONNECT_MS	  500
#define PAUSE_MS	  2 /* between two looks for room */

enum peer { FRONT, LIB, NB_PEERS };

/*
 * The front-end takes the end of its connection as the proof that nobody works on its memory any more. librte_vhost
 * closes its socket before it ends the device, so its end says nothing: the front-end's socket stays open until the
 * library has told us that the session is at rest.
 */
struct conn {
	LIST_ENTRY(conn) next;
	struct relay *r;
	uint64_t id;
	struct {
		struct conn *c;
		int fd;
	} peer[NB_PEERS];
	struct inbox in[NB_PEERS];
	bool stalled; /* the library's socket is full: the front-end's message waits */
	bool waiting; /* the library is to answer before the front-end is heard again */
	bool is_ack;  /* that answer is but an acknowledgement */
	bool taken;   /* the library has a session for it, until ended */
	bool ended;
	bool dropped; /* to be closed as soon as no session is left */
	bool dead;    /* to be freed */
};

LIST_HEAD(conn_list, conn);

/* What the library's thread tells: a session began (for a connection of ours), or is at rest for good. */
struct note {
	uint64_t id;
	uint64_t ended;
};

static int note_fd = -1; /* where notes are written: one relay a process */

struct relay {
	struct relay_conf conf;
	int note_fd; /* where they are read */
	uint64_t last_id;
	int ep_fd;
	int listen_fd; /* -1: none */
	bool own_path;
	bool accept_paused; /* no room yet, but soon */
	struct stat st;	    /* of the socket file that is ours */
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
peer_close(struct conn *c, enum peer p)
{
	inbox_clear(&c->in[p]);
	if (c->peer[p].fd >= 0)
		close(c->peer[p].fd);
	c->peer[p].fd = -1;
}

/* End a connection: the library's side at once, the front-end's when no session is left. */
static void
conn_drop(struct conn *c)
{
	struct relay *r = c->r;

	if (c->dead)
		return;
	if (!c->dropped) {
		c->dropped = true;
		peer_close(c, LIB);
		inbox_clear(&c->in[FRONT]);
		epoll_ctl(r->ep_fd, EPOLL_CTL_DEL, c->peer[FRONT].fd, NULL);
	}
	if (c->taken && !c->ended)
		return;
	peer_close(c, FRONT);
	c->dead = true;
	r->nb--;
	r->connect_at = now_ms() + RECONNECT_MS;
}

void
relay_tell(uint64_t id, bool ended)
{
	const struct note n = {.id = id, .ended = ended};

	/* Whole or not at all; there are never more notes than two a connection. */
	if (write(note_fd, &n, sizeof(n)) != sizeof(n))
		log_msg(LOG_ERR, "a note on connection %llu is lost: %s", (unsigned long long)id,
			strerror(errno));
}

static int
lib_connect(const struct relay *r)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->conf.lib_fd);
	return listen_connect(path);
}

static bool
is_full(const struct relay *r)
{
	const unsigned int max = r->conf.be->max_sessions + SPARE_CONNECTIONS;

	return r->nb >= max || atomic_load(&r->conf.be->nb_connections) >= max;
}

/* Is a connection or its session being taken down, so that there will be room soon? */
static bool
is_ending(const struct relay *r)
{
	const struct conn *c;

	LIST_FOREACH(c, &r->conns, next) {
		struct pollfd front = {.fd = c->peer[FRONT].fd, .events = POLLRDHUP};

		/* gone already, though its event is still to come */
		if (c->dropped || poll(&front, 1, 0) > 0)
			return true;
	}
	return atomic_load(&r->conf.be->nb_connections) > r->nb;
}

static void
conn_new(struct relay *r, int front)
{
	struct conn *c;

	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		close(front);
		return;
	}
	c->r = r;
	c->id = ++r->last_id;
	/* nothing is passed on before the library has taken the connection */
	c->waiting = true;
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
	/* So that the library's thread can say which connection its session belongs to. */
	const struct vu_msg id = {
		.hdr = {.request = VU_APIRD_ID, .flags = VU_FLAG_VERSION, .size = sizeof(c->id)},
		.u.u64 = c->id};

	if (send_msg(c->peer[LIB].fd, &id, NULL, 0) != 0)
		conn_drop(c);
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

	while (!c->dropped && !c->waiting) {
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

	while (!c->dropped) {
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
	if (c->dropped)
		return;
	if (p == LIB)
		from_lib(c);
	/* A front-end that is gone needs no answers. */
	if (!c->dropped && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		conn_drop(c);
	if (p == FRONT || c->stalled)
		from_front(c);
}

static void
read_notes(struct relay *r)
{
	struct note n;
	struct conn *c;

	while (read(r->note_fd, &n, sizeof(n)) == sizeof(n)) {
		LIST_FOREACH(c, &r->conns, next)
			if (c->id == n.id && !c->dead)
				break;
		if (c == NULL)
			continue;
		if (n.ended) {
			c->ended = true;
			if (c->dropped)
				conn_drop(c);
		} else if (!c->dropped) {
			c->taken = true;
			c->waiting = false;
			from_front(c);
		}
	}
}

static void
accept_pause(struct relay *r, bool pause)
{
	struct epoll_event ev = {.events = pause ? 0 : EPOLLIN, .data.ptr = r};

	if (r->accept_paused != pause)
		epoll_ctl(r->ep_fd, EPOLL_CTL_MOD, r->listen_fd, &ev);
	r->accept_paused = pause;
}

static void
accept_all(struct relay *r)
{
	for (;;) {
		const bool full = is_full(r);
		int fd;

		/* Who comes back at once must not be turned away for the sake of his own old one. */
		accept_pause(r, full && is_ending(r));
		if (r->accept_paused)
			return;
		fd = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
				log_limited(&r->conf.be->limit, LOG_ERR,
					    "a connection cannot be accepted: %s", strerror(errno));
				usleep(10000);
			}
			return;
		}
		if (!full) {
			conn_new(r, fd);
			continue;
		}
		log_limited(&r->conf.be->limit, LOG_WARNING,
			    "a connection is closed at once: %u are open, --max-sessions is %u",
			    r->nb, r->conf.be->max_sessions);
		close(fd);
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

static void
relay_free(struct relay *r)
{
	/* The pipe stays: the library's thread may still have something to say. */
	if (r->ep_fd >= 0)
		close(r->ep_fd);
	free(r);
}

int
relay_open(const struct relay_conf *conf, struct relay **out)
{
	struct relay *r = calloc(1, sizeof(*r));
	struct epoll_event ev = {.events = EPOLLIN};
	bool listening = true;
	int pipe_fds[2];

	if (r == NULL)
		return -1;
	r->conf = *conf;
	r->listen_fd = -1;
	r->note_fd = -1;
	LIST_INIT(&r->conns);
	r->ep_fd = epoll_create1(EPOLL_CLOEXEC);
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) == 0) {
		r->note_fd = pipe_fds[0];
		note_fd = pipe_fds[1];
	}
	ev.data.ptr = &r->note_fd;
	if (epoll_ctl(r->ep_fd, EPOLL_CTL_ADD, r->note_fd, &ev) != 0) {
		log_msg(LOG_ERR, "epoll or pipe: %s", strerror(errno));
		goto fail;
	}
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
	if (r->listen_fd >= 0 && epoll_ctl(r->ep_fd, EPOLL_CTL_ADD, r->listen_fd, &ev) != 0) {
		log_msg(LOG_ERR, "epoll: %s", strerror(errno));
		relay_close(r);
		return -1;
	}
	*out = r;
	return 0;
fail:
	relay_free(r);
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
		if (r->accept_paused)
			timeout = PAUSE_MS;
		n = epoll_wait(r->ep_fd, evs, 16, timeout);
		for (int i = 0; i < n; i++) {
			void *p = evs[i].data.ptr;

			if (p == NULL)
				return;
			if (p == r) {
				accept_all(r);
				continue;
			}
			if (p == &r->note_fd) {
				read_notes(r);
				continue;
			}
			struct conn *c = *(struct conn **)p;

			conn_event(c, p == (void *)&c->peer[LIB] ? LIB : FRONT, evs[i].events);
		}
		bury(r);
		if (r->accept_paused)
			accept_all(r);
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
	/* The end of the process closes what is left: sessions that are not at rest yet. */
	while ((c = LIST_FIRST(&r->conns)) != NULL) {
		LIST_REMOVE(c, next);
		free(c);
	}
	if (r->listen_fd >= 0)
		close(r->listen_fd);
	if (r->own_path && stat(r->conf.path, &st) == 0 && st.st_ino == r->st.st_ino &&
	    st.st_dev == r->st.st_dev)
		unlink(r->conf.path);
	relay_free(r);
}
