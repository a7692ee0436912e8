/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_RELAY_CONN_H
#define APIRD_RELAY_CONN_H

/**
 * @file
 * Connections of the relay: each has the front-end on one side and librte_vhost on the other.
 * Messages go one at a time: the next is read when the last one is answered.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "session.h"
#include "vu_io.h"

enum peer { FRONT, LIB, NB_PEERS };

/*
 * The front-end takes the end of its connection as the proof that nobody works on its memory any more. librte_vhost
 * closes its socket before it ends the device, so its end says nothing: the front-end's socket stays open until the
 * library has told us that the session is at rest.
 */
struct conn {
	LIST_ENTRY(conn) next;
	struct conn_set *set;
	uint64_t id;
	uint64_t since_ms;
	struct {
		struct conn *c;
		int fd;
	} peer[NB_PEERS];
	struct inbox in[NB_PEERS];
	uint64_t
		memory_due_ms; /* features are set: by then memory must be shared; 0: nothing due */
	bool stalled;	       /* the library's socket is full: the front-end's message waits */
	bool waiting;	       /* the library is to answer before the front-end is heard again */
	bool is_ack;	       /* that answer is but an acknowledgement */
	bool taken;	       /* the library has a session for it, until ended */
	bool ended;
	bool dropped; /* to be closed as soon as no session is left */
	bool dead;    /* to be freed */
};

LIST_HEAD(conn_list, conn);

struct conn_set {
	struct backend *be;
	int ep_fd;
	int lib_fd; /* O_PATH fd of librte_vhost's socket */
	uint64_t last_id;
	struct conn_list conns;
	unsigned int nb;	/* that are not dead */
	uint64_t last_ended_ms; /* when one ended, */
	uint64_t last_life_ms;	/* and how long it was there */
};

uint64_t relay_now_ms(void);

/** Take a front-end's socket; it is closed if that fails. */
void conn_new(struct conn_set *set, int front);
/** End a connection: the library's side at once, the front-end's when no session is left. */
void conn_drop(struct conn *c);
/** What epoll says of the member of peer[] whose address was given to it. */
void conn_event(void *peer, uint32_t events);
/** The library has a session for a connection, or (ended) none any more. */
void conn_told(struct conn_set *set, uint64_t id, bool ended);
/** Say what front-ends should have done by now. */
void conn_tick(struct conn_set *set);
/** Free those that have ended. */
void conn_bury(struct conn_set *set);

#endif /* APIRD_RELAY_CONN_H */
