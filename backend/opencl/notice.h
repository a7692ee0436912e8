/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_OPENCL_NOTICE_H
#define APIRD_OPENCL_NOTICE_H

/** @file What waits to be told to the program (WaitNotice): from any thread of the host's runtime to one lane. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "cl_notice.h"

/** One notice; the taker frees it. */
struct notice {
	STAILQ_ENTRY(notice) next;
	uint32_t what; /**< enum cl_notice */
	int32_t value;
	uint64_t token;
	char *text; /**< lies behind it; NULL: none */
};

struct notices {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	STAILQ_HEAD(, notice) list;
	unsigned int nb;
	bool stopped;
	uint64_t dropped; /**< there were too many */
};

void notices_init(struct notices *n);
/** Add one. False: dropped, for there are too many or no memory. text may be NULL. */
bool notice_add(struct notices *n, enum cl_notice what, uint64_t token, int32_t value,
		const char *text);
/** The oldest, when there is one; NULL: they have been stopped. */
struct notice *notice_wait(struct notices *n);
/** Whoever waits, or will, gets NULL. */
void notices_stop(struct notices *n);

#endif /* APIRD_OPENCL_NOTICE_H */
