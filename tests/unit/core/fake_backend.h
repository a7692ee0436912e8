/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef FAKE_BACKEND_H
#define FAKE_BACKEND_H

/**
 * @file
 * A vhost-user back-end for tests, in a thread behind a socket of its own: it notes what it is told, and can fail at
 * any message in any of the ways below.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "vhost_user_msg.h"

enum fake_fault {
	FAULT_NONE,
	FAULT_CLOSE,	     /* hang up instead of answering */
	FAULT_SILENT,	     /* no answer */
	FAULT_OTHER_REQUEST, /* the answer names another request */
	FAULT_NOT_A_REPLY,   /* the answer has no reply flag */
	FAULT_VERSION,	     /* the answer has version 2 */
	FAULT_LONG,	     /* the answer claims 4 GiB of payload */
	FAULT_SHORT,	     /* the answer has 4 bytes of payload */
	FAULT_REFUSE,	     /* acknowledged with an error */
	FAULT_INDEX,	     /* the answer is of another ring */
	FAULT_FDS,	     /* the right answer, with descriptors attached */
	FAULT_DRIBBLE,	     /* the right answer, byte by byte */
};

#define FAKE_MAX_QUEUES 256

struct fake_backend {
	/* behaviour: set before fake_backend_start() */
	uint64_t features, protocol, queue_num;
	enum fake_fault fault;
	uint32_t fault_at;  /* request; 0: any */
	bool close_at_once; /* hang up on each connection */

	/* what it was told */
	unsigned int nb_msgs;
	unsigned int count[32]; /* messages by request */
	uint64_t got_features, got_protocol;
	struct vu_mem_table mem;
	int mem_fds[APIR_MEM_MAX_REGIONS];
	struct fake_queue {
		uint32_t num, base;
		struct vu_vring_addr addr;
		int kick_fd, call_fd; /* -1: none */
		bool enabled;
		unsigned int base_asked;
	} queue[FAKE_MAX_QUEUES];
	unsigned int
		ready_at_enable; /* rings with addresses and both descriptors at the first SET_VRING_ENABLE */
	char wrong[128]; /* what the front-end did against the protocol; "" if nothing */

	char dir[64], path[96];
	int listen_fd, stop_fd, hangup_fd;
	int conn;
	atomic_int connections;
	pthread_t thread;
};

void fake_backend_init(struct fake_backend *b);
void fake_backend_start(struct fake_backend *b);
/** End the connection as a back-end that dies does; it listens on. */
void fake_backend_hangup(struct fake_backend *b);
void fake_backend_stop(struct fake_backend *b);

#endif /* FAKE_BACKEND_H */
