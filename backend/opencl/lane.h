/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_OPENCL_LANE_H
#define APIRD_OPENCL_LANE_H

/** @file A lane: one data queue of the session, and the thread that answers its calls. */

#include "srv.h"
#include "vring.h"

/** How lanes wait; the same for all. */
struct lane_conf {
	struct shared *sh;
	const struct mem_table *mem; /**< what rings and requests lie in */
	int nb_cpus;		     /**< that may poll at the same time */
	uint64_t idle_ns;	     /**< poll so long for the next call before sleeping */
};

/**
 * Serve a ring from now on, in a thread of its own; conf must outlive it. kick_fd -1: the ring is looked at now and then.
 * Returns 0 or a negative errno.
 */
int lane_start(const struct lane_conf *conf, unsigned int index, const struct vring_dev *vr,
	       int kick_fd);

/**
 * Answer one request of len bytes into rsp of room bytes; returns the length of the answer, 0: there is no room for any.
 */
size_t lane_answer(struct srv *s, const uint8_t *req, size_t len, uint8_t *rsp, size_t room);

#endif /* APIRD_OPENCL_LANE_H */
