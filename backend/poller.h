/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_POLLER_H
#define APIRD_POLLER_H

/**
 * @file
 * Poll threads: each serves a list of data queues, spins while there is work and for a while after,
 * then sleeps until a guest rings. Queues that nobody has announced are with one more thread, which
 * never spins: a carrier has queues that its guest does not use, and they cost nothing there.
 */

#include "burst.h"

#define POLL_MAX_THREADS 64

struct poll;

struct poll_conf {
	const int *cpus; /**< one thread each; NULL: one thread, not pinned */
	unsigned int nb_cpus;
	unsigned int idle_us; /**< how long to spin without work */
	int numa_node; /**< memory of the threads and, when not pinned, their CPUs; -1: any */
};

/** Start the threads. Returns 0 or a negative errno. */
int poll_start(const struct poll_conf *conf, struct poll **out);
void poll_stop(struct poll *p);

/** Serve these queues from now on. kick_fds[i] wakes queues[i], -1: none. */
int poll_attach(struct poll *p, struct dataq **queues, const int *kick_fds, unsigned int nb);

/**
 * A driver means to use these queues, or does not any more: whether they are polled, now and when
 * they are attached again. Fails for want of memory: the rest stay where they are.
 */
int poll_announce(struct poll *p, struct dataq **queues, unsigned int nb, bool announced);

/**
 * Stop serving them. On return no thread touches the queues nor any buffer in them, and none of
 * their bursts is in flight. Queues that are not attached are passed over.
 */
void poll_detach(struct poll *p, struct dataq **queues, unsigned int nb);

/** Wait until every thread has finished all bursts it had in flight at the time of the call. */
void poll_sync(struct poll *p);

/**
 * Look for a thread or a burst that has made no progress for limit_ms.
 *
 * @param step_ms time since the last call
 * @return the queue whose kernel runs too long, or NULL
 */
const struct dataq *poll_stuck(struct poll *p, uint64_t step_ms, uint64_t limit_ms);

/**
 * The queue whose burst the calling thread is running; NULL when it runs none. For signal handlers.
 */
const struct dataq *poll_current(void);

#endif /* APIRD_POLLER_H */
