/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef FAKE_CTL_H
#define FAKE_CTL_H

/** @file A device that serves a control queue from a thread of its own, and the transport to it, for tests. */

#include <pthread.h>

#include "apir_transport.h"
#include "fake_env.h"
#include "fake_ring.h"

struct fake_ctl;

/**
 * Answer one request: req[0..len), the whole message. Write it to rsp (APIR_CTL_MAX bytes).
 * Returns the length for the used element, or FAKE_CTL_SILENT.
 */
typedef int64_t (*fake_ctl_answer_fn)(struct fake_ctl *d, const void *req, uint32_t len, void *rsp);
#define FAKE_CTL_SILENT (-1)

struct fake_ctl {
	struct apir_transport base; /* first: the core gets a pointer to it */
	struct fake_env fe;
	struct apir_vq *vq;
	struct fake_ring ring;
	int kick_fd, call_fd, stop_fd;
	bool hide_call_fd; /* a transport without notifications */
	uint32_t id_error; /* added to the id of used elements */
	atomic_bool alive;
	atomic_int seen; /* requests taken */
	fake_ctl_answer_fn answer;
	pthread_t thread;
};

void fake_ctl_start(struct fake_ctl *d, fake_ctl_answer_fn answer);
void fake_ctl_stop(struct fake_ctl *d);
/** The device goes away, as the transport of a driver sees it. */
void fake_ctl_die(struct fake_ctl *d);

#endif /* FAKE_CTL_H */
