/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_WORKER_H
#define APIRD_WORKER_H

/**
 * @file
 * The worker of a session for OpenCL (backend/opencl): a process that serves the session's data queues in apird's stead. It is
 * started when HELLO agrees on APIR_F_OPENCL, and killed when a ring of it, the memory or the session goes. If it ends by itself, its
 * queues are answered by a poll thread again: as before HELLO, with APIR_S_NOTREADY, which is no answer to an OpenCL call.
 */

#include <stddef.h>
#include <sys/types.h>

struct session;

struct worker {
	pid_t pid;	       /**< 0: none */
	int pid_fd;	       /**< readable once it has ended; -1: none */
	unsigned int nb_lanes; /**< data queues that it serves: the first so many */
};

/**
 * Where its program is: APIRD_OPENCL of the environment, else beside apird itself (a build folder), else installed. Returns 0, or -1:
 * the last place looked at, in path, has none.
 */
int worker_find(char *path, size_t size, const char *installed);

#define WORKER_WHY 192

/**
 * Hand the first nb data queues to a new worker. From the control thread, between control_mem_begin() and control_mem_end().
 *
 * @param why of WORKER_WHY bytes: what is wrong
 * @return 0, or -1 with the queues served as before
 */
int worker_start(struct session *s, unsigned int nb, char *why);

/** Look whether it has ended by itself; then its queues are served here. From the control thread, under the control lock. */
void worker_check(struct session *s);

/**
 * End it, if there is one; on return it is gone, and its queues, which nobody serves now, stand where it left them. Under the control
 * lock.
 */
void worker_stop(struct session *s);

#endif /* APIRD_WORKER_H */
