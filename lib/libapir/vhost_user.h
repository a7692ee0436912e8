/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_VHOST_USER_H
#define APIR_VHOST_USER_H

/** @file The vhost-user transport's own structure, shared by its files. */

#include <pthread.h>
#include <stdatomic.h>

#include "apir_transport.h"
#include "vhost_user_msg.h"
#include "virtio_apir.h"

#define VU_MAX_QUEUES (1u + APIR_MAX_DATA_QUEUES)

struct vu_queue {
	const struct apir_vq *vq;
	int kick_fd;
	int call_fd;
};

struct vu_transport {
	struct apir_transport base; /* first: the ops get a pointer to it */
	int sock;
	unsigned int timeout_ms;
	bool acks;	      /* the back-end acknowledges what we send */
	uint64_t peer_queues; /* most queues it takes */
	char *path;

	/*
	 * Serialises messages. Never held while the environment is asked for anything: it may be
	 * inside the memory event that makes another thread wait here.
	 */
	pthread_mutex_t lock;
	bool started;
	bool mem_sent;	  /* the device has a memory table of ours */
	uint64_t mem_gen; /* memory tables announced so far */
	int out_of_step;  /* the errno after which replies no longer match requests; 0: none */

	struct vu_queue queue[VU_MAX_QUEUES];
	unsigned int nb_queues;

	/* watcher */
	pthread_t watcher;
	bool watcher_runs;
	int wake_fd;
	atomic_bool dead;
	apir_lost_fn lost;
	void *lost_ctx;
};

/** One exchange, with the lock held; logs what went wrong. queue: whose message it is, or -1. */
int vu_call(struct vu_transport *t, struct vu_msg *msg, const int *fds, unsigned int nb_fds,
	    int queue);

/** Tell the device the memory table: regions, or what the environment says. */
int vu_update_mem(struct vu_transport *t, const struct apir_mem_region *regions, unsigned int nb,
		  bool first);

/** The thread that sees the peer go. */
int vu_watch_start(struct vu_transport *t);
void vu_watch_stop(struct vu_transport *t);

#endif /* APIR_VHOST_USER_H */
