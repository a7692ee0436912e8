/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "relay_conn.h"
#include "relay_listen.h"

#define MEMORY_MS 2000 /* from the features to the memory: QEMU takes microseconds */
#define BUDGET	  64   /* messages of one front-end before the others get their turn */

uint64_t
relay_now_ms(void)
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

/*
 * QEMU that cannot share the guest's memory says so on its own stderr, sets the features and then
 * nothing, or ends the connection: who reads our log alone must see it too.
 */
static void
say_no_memory(struct conn *c)
{
	c->memory_due_ms = 0;
	log_limited(&c->set->be->limit, LOG_WARNING,
		    "connection %" PRIu64 ": features were set, but no memory was shared: QEMU "
		    "needs -object memory-backend-memfd,id=mem,size=...,share=on and -numa "
		    "node,memdev=mem",
		    c->id);
}

static void
expect_memory(struct conn *c)
{
	if (c->in[FRONT].msg.hdr.request == VU_SET_FEATURES)
		c->memory_due_ms = relay_now_ms() + MEMORY_MS;
	else if (c->in[FRONT].msg.hdr.request == VU_SET_MEM_TABLE)
		c->memory_due_ms = 0;
}

void
conn_tick(struct conn_set *set)
{
	const uint64_t now = relay_now_ms();
	struct conn *c;

	LIST_FOREACH(c, &set->conns, next)
		if (!c->dropped && c->memory_due_ms != 0 && now >= c->memory_due_ms)
			say_no_memory(c);
}

void
conn_drop(struct conn *c)
{
	struct conn_set *set = c->set;

	if (c->dead)
		return;
	if (!c->dropped) {
		c->dropped = true;
		if (c->memory_due_ms != 0)
			say_no_memory(c);
		peer_close(c, LIB);
		inbox_clear(&c->in[FRONT]);
		epoll_ctl(set->ep_fd, EPOLL_CTL_DEL, c->peer[FRONT].fd, NULL);
	}
	if (c->taken && !c->ended)
		return;
	peer_close(c, FRONT);
	c->dead = true;
	set->nb--;
	set->last_ended_ms = relay_now_ms();
	set->last_life_ms = set->last_ended_ms - c->since_ms;
}

static int
lib_connect(const struct conn_set *set)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", set->lib_fd);
	return listen_connect(path);
}

static void
epoll_front(struct conn *c, int op)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
				 .data.ptr = &c->peer[FRONT]};

	epoll_ctl(c->set->ep_fd, op, c->peer[FRONT].fd, &ev);
}

/* So that the library's thread can say which connection its session belongs to, and who it is. */
static int
introduce(struct conn *c)
{
	struct vu_msg m = {
		.hdr = {.request = VU_APIRD_ID, .flags = VU_FLAG_VERSION, .size = sizeof(m.u.id)}};
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);
	char path[32];
	ssize_t n = 0;
	int fd;

	m.u.id.conn = c->id;
	if (getsockopt(c->peer[FRONT].fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	    cred.pid > 0) {
		m.u.id.pid = cred.pid;
		snprintf(path, sizeof(path), "/proc/%d/comm", (int)cred.pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			n = read(fd, m.u.id.comm, sizeof(m.u.id.comm) - 1);
			close(fd);
		}
		/* ends with a newline */
		m.u.id.comm[n > 0 ? n - 1 : 0] = '\0';
	}
	return send_msg(c->peer[LIB].fd, &m, NULL, 0);
}

void
conn_new(struct conn_set *set, int front)
{
	struct conn *c;

	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		close(front);
		return;
	}
	c->set = set;
	c->id = ++set->last_id;
	c->since_ms = relay_now_ms();
	/* nothing is passed on before the library has taken the connection */
	c->waiting = true;
	c->peer[FRONT].fd = front;
	c->peer[LIB].fd = lib_connect(set);
	set->nb++;
	LIST_INSERT_HEAD(&set->conns, c, next);
	for (unsigned int p = 0; p < NB_PEERS; p++) {
		struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
					 .data.ptr = &c->peer[p]};

		if (p == LIB)
			ev.events |= EPOLLOUT;
		c->peer[p].c = c;
		if (c->peer[p].fd < 0 ||
		    epoll_ctl(set->ep_fd, EPOLL_CTL_ADD, c->peer[p].fd, &ev) != 0) {
			log_limited(&set->be->limit, LOG_ERR, "a connection cannot be served: %s",
				    strerror(errno));
			conn_drop(c);
			return;
		}
	}
	if (introduce(c) != 0)
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

	log_limited(&c->set->be->limit, LOG_WARNING,
		    "vhost-user message %u (%s) is refused and its connection closed: %s",
		    msg->hdr.request, vu_msg_name(msg->hdr.request), why);
	if (msg->hdr.flags & VU_FLAG_NEED_REPLY)
		send_msg(c->peer[FRONT].fd, &ack, NULL, 0);
	conn_drop(c);
}

/* Not limited: at this level somebody looks. */
static void
trace(const struct conn *c)
{
	const struct inbox *in = &c->in[FRONT];

	if (log_enabled(LOG_DEBUG))
		log_msg(LOG_DEBUG,
			"connection %" PRIu64 ": message %u (%s): %u bytes (0x%" PRIx64
			"), %u fds%s",
			c->id, in->msg.hdr.request, vu_msg_name(in->msg.hdr.request),
			in->msg.hdr.size, in->msg.hdr.size >= 8 ? in->msg.u.u64 : 0, in->nb_fds,
			in->msg.hdr.flags & VU_FLAG_NEED_REPLY ? ", to be acknowledged" : "");
}

/* A message that is not for the library. */
static void
answer(struct conn *c)
{
	const struct vu_msg *msg = &c->in[FRONT].msg;
	const enum vu_action action = vu_msg_action(msg);
	struct vu_msg m;
	const bool wanted = vu_msg_answer(msg, &m);

	if (action == VU_END && !wanted) {
		refuse(c, "this device does not offer it, and no answer is waited for");
		return;
	}
	if (msg->hdr.request != VU_GET_CONFIG && msg->hdr.request != VU_SET_CONFIG)
		log_limited(&c->set->be->limit, LOG_WARNING,
			    "vhost-user message %u (%s) is %s: this device does not offer it",
			    msg->hdr.request, vu_msg_name(msg->hdr.request),
			    wanted ? "answered with a failure" : "ignored");
	if (wanted && send_msg(c->peer[FRONT].fd, &m, NULL, 0) != 0)
		conn_drop(c);
}

/* Read, check and pass on what the front-end says, up to what the library must answer first. */
static void
from_front(struct conn *c)
{
	struct inbox *in = &c->in[FRONT];

	for (unsigned int n = 0; !c->dropped && !c->waiting; n++) {
		if (n == BUDGET) {
			/* what is left there is an event again */
			epoll_front(c, EPOLL_CTL_MOD);
			return;
		}
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
			trace(c);
			if (vu_msg_action(&in->msg) != VU_PASS) {
				answer(c);
				inbox_clear(in);
				continue;
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
		expect_memory(c);
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
			log_limited(&c->set->be->limit, LOG_WARNING,
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

void
conn_event(void *peer, uint32_t events)
{
	struct conn *c = *(struct conn **)peer;
	const enum peer p = peer == (void *)&c->peer[LIB] ? LIB : FRONT;

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

void
conn_told(struct conn_set *set, uint64_t id, bool ended)
{
	struct conn *c;

	LIST_FOREACH(c, &set->conns, next)
		if (c->id == id && !c->dead)
			break;
	if (c == NULL)
		return;
	if (ended) {
		c->ended = true;
		if (c->dropped)
			conn_drop(c);
	} else if (!c->dropped) {
		c->taken = true;
		c->waiting = false;
		from_front(c);
	}
}

void
conn_bury(struct conn_set *set)
{
	struct conn *c = LIST_FIRST(&set->conns);

	while (c != NULL) {
		struct conn *next = LIST_NEXT(c, next);

		if (c->dead) {
			LIST_REMOVE(c, next);
			free(c);
		}
		c = next;
	}
}
