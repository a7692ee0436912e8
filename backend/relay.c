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
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "relay.h"
#include "relay_conn.h"
#include "relay_listen.h"

/* Connections above --max-sessions that may say HELLO, to be told the reason why not. */
#define SPARE_CONNECTIONS 4
#define PAUSE_MS	  2 /* between two looks for room */
/* With --client: between two attempts, longer and longer while each connection ends at once. */
#define RETRY_MS      500
#define RETRY_MAX_MS  5000
#define SHORT_LIFE_MS 2000

/* What the library's thread tells: a session began (for a connection of ours), or is at rest for good. */
struct note {
	uint64_t id;
	uint64_t ended;
};

static int note_fd = -1; /* where notes are written: one relay a process */

struct relay {
	struct relay_conf conf;
	struct conn_set set;
	int note_fd;   /* where notes are read */
	int listen_fd; /* -1: none */
	bool own_path;
	bool accept_paused; /* no room yet, but soon */
	struct stat st;	    /* of the socket file that is ours */
	bool once;	    /* serves one connection, then ends */
	/* with client */
	bool told_waiting;
	bool connected; /* as far as was seen */
	uint64_t connect_at;
	uint64_t retry_ms;
};

void
relay_tell(uint64_t id, bool ended)
{
	const struct note n = {.id = id, .ended = ended};

	/* Whole or not at all; there are never more notes than two a connection. */
	if (write(note_fd, &n, sizeof(n)) != sizeof(n))
		log_msg(LOG_ERR, "a note on connection %llu is lost: %s", (unsigned long long)id,
			strerror(errno));
}

static bool
is_full(const struct relay *r)
{
	const unsigned int max = r->conf.be->max_sessions + SPARE_CONNECTIONS;

	return r->set.nb >= max || atomic_load(&r->conf.be->nb_connections) >= max;
}

/* Is a connection or its session being taken down, so that there will be room soon? */
static bool
is_ending(const struct relay *r)
{
	const struct conn *c;

	LIST_FOREACH(c, &r->set.conns, next) {
		struct pollfd front = {.fd = c->peer[FRONT].fd, .events = POLLRDHUP};

		/* gone already, though its event is still to come */
		if (c->dropped || poll(&front, 1, 0) > 0)
			return true;
	}
	return atomic_load(&r->conf.be->nb_connections) > r->set.nb;
}

static void
read_notes(struct relay *r)
{
	struct note n;

	while (read(r->note_fd, &n, sizeof(n)) == sizeof(n))
		conn_told(&r->set, n.id, n.ended != 0);
}

static void
accept_pause(struct relay *r, bool pause)
{
	struct epoll_event ev = {.events = pause ? 0 : EPOLLIN, .data.ptr = r};

	if (r->accept_paused != pause)
		epoll_ctl(r->set.ep_fd, EPOLL_CTL_MOD, r->listen_fd, &ev);
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
			conn_new(&r->set, fd);
			continue;
		}
		log_limited(&r->conf.be->limit, LOG_WARNING,
			    "a connection is closed at once: %u are open, --max-sessions is %u",
			    r->set.nb, r->conf.be->max_sessions);
		close(fd);
	}
}

uint64_t
relay_retry_ms(uint64_t last_ms, uint64_t life_ms)
{
	uint64_t ms = RETRY_MS;

	if (life_ms < SHORT_LIFE_MS && last_ms >= RETRY_MS)
		ms = 2 * last_ms;
	return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

static void
client_connect(struct relay *r)
{
	int fd;

	if (!r->conf.client || r->set.nb > 0)
		return;
	if (r->connected) {
		r->connected = false;
		r->retry_ms = relay_retry_ms(r->retry_ms, r->set.last_life_ms);
		r->connect_at = r->set.last_ended_ms + r->retry_ms;
	}
	if (relay_now_ms() < r->connect_at)
		return;
	r->connect_at = relay_now_ms() + RETRY_MS;
	fd = listen_connect(r->conf.path);
	if (fd >= 0) {
		log_limited(&r->conf.be->limit, LOG_INFO, "connected to %s", r->conf.path);
		r->told_waiting = false;
		r->connected = true;
		conn_new(&r->set, fd);
	} else if (!r->told_waiting) {
		log_limited(&r->conf.be->limit, LOG_INFO,
			    "waiting for somebody to listen on %s: %s", r->conf.path,
			    strerror(errno));
		r->told_waiting = true;
	}
}

static int
until_connect(const struct relay *r)
{
	const uint64_t now = relay_now_ms();

	return r->connect_at > now ? (int)(r->connect_at - now) : 0;
}

static void
relay_free(struct relay *r)
{
	/* The pipe stays: the library's thread may still have something to say. */
	if (r->set.ep_fd >= 0)
		close(r->set.ep_fd);
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
	r->set.be = conf->be;
	r->set.lib_fd = conf->lib_fd;
	LIST_INIT(&r->set.conns);
	r->set.ep_fd = epoll_create1(EPOLL_CLOEXEC);
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) == 0) {
		r->note_fd = pipe_fds[0];
		note_fd = pipe_fds[1];
	}
	ev.data.ptr = &r->note_fd;
	if (epoll_ctl(r->set.ep_fd, EPOLL_CTL_ADD, r->note_fd, &ev) != 0) {
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
			conn_new(&r->set, conf->fd);
		}
	} else if (!conf->client) {
		r->listen_fd = listen_on(conf->path, &r->st);
		if (r->listen_fd < 0)
			goto fail;
		r->own_path = true;
	}
	ev.data.ptr = r;
	if (r->listen_fd >= 0 && epoll_ctl(r->set.ep_fd, EPOLL_CTL_ADD, r->listen_fd, &ev) != 0) {
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
	uint64_t next_tick = relay_now_ms() + tick_ms;

	epoll_ctl(r->set.ep_fd, EPOLL_CTL_ADD, signal_fd, &ev);
	for (;;) {
		struct epoll_event evs[16];
		int n, timeout = -1;

		client_connect(r);
		if (r->set.nb > 0 || atomic_load(&r->conf.be->nb_connections) > 0)
			timeout = (int)tick_ms;
		else if (r->conf.client)
			timeout = until_connect(r);
		if (r->once && r->set.nb == 0)
			return;
		if (r->accept_paused)
			timeout = PAUSE_MS;
		n = epoll_wait(r->set.ep_fd, evs, 16, timeout);
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
			conn_event(p, evs[i].events);
		}
		conn_bury(&r->set);
		if (r->accept_paused)
			accept_all(r);
		if (relay_now_ms() >= next_tick) {
			next_tick = relay_now_ms() + tick_ms;
			conn_tick(&r->set);
			tick(ctx);
		}
	}
}

void
relay_close(struct relay *r)
{
	struct stat st;
	struct conn *c;

	LIST_FOREACH(c, &r->set.conns, next)
		conn_drop(c);
	conn_bury(&r->set);
	/* The end of the process closes what is left: sessions that are not at rest yet. */
	while ((c = LIST_FIRST(&r->set.conns)) != NULL) {
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
