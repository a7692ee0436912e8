/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_RELAY_H
#define APIRD_RELAY_H

/**
 * @file
 * Front-end connections. librte_vhost takes sockets by path alone and trusts its peer to send whole
 * messages; so apird owns the front-ends' sockets, listening, connecting or inherited, and relays
 * each vhost-user message, checked and whole, to a private socket of the library, and its answer
 * back. Only these control messages pass here: requests and packets are in shared memory.
 *
 * One thread, the main one, runs all of it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "session.h"

struct relay;

struct relay_conf {
	const char *path; /**< listen there, or with client connect to it */
	bool client;
	int fd;	    /**< inherited socket, listening or connected; -1: path */
	int lib_fd; /**< O_PATH fd of librte_vhost's socket */
	struct backend *be;
};

/** Returns 0, or -1 after logging what is wrong. */
int relay_open(const struct relay_conf *conf, struct relay **out);

/**
 * Serve until signal_fd is readable, or the connection that was inherited ends. tick is called
 * every tick_ms while there are connections.
 */
void relay_run(struct relay *r, int signal_fd, unsigned int tick_ms, void (*tick)(void *ctx),
	       void *ctx);

/**
 * A session has begun for connection id, or (ended) is at rest for good: none of our threads touches its guest's memory
 * any more. From librte_vhost's thread; may come after relay_close().
 */
void relay_tell(uint64_t id, bool ended);

/**
 * Drop all connections and remove the socket file. Front-ends whose sessions are not at rest yet see the end
 * when the process ends.
 */
void relay_close(struct relay *r);

/**
 * With client: how long to wait before the next attempt, when the last wait was last_ms and the
 * connection that followed lived for life_ms.
 */
uint64_t relay_retry_ms(uint64_t last_ms, uint64_t life_ms);

#endif /* APIRD_RELAY_H */
