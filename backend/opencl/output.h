/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_OPENCL_OUTPUT_H
#define APIRD_OPENCL_OUTPUT_H

/**
 * @file
 * What kernels print. The host's runtime writes it to this process's standard output, a pipe that a thread empties, so that no kernel
 * waits for the program to look.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most bytes that wait to be fetched; what is printed beyond is dropped, oldest first. */
#define OUTPUT_MAX (16u << 20)

struct output {
	int fd; /**< read end */
	pthread_mutex_t lock;
	/* under lock */
	uint8_t *buf;
	size_t first, len, room; /**< a ring */
	uint64_t dropped;
	_Atomic bool pending; /**< there is something to fetch */
};

/** Make the pipe the standard output and start its thread. Returns 0 or a negative errno. */
int output_start(struct output *o);
/** Look into the pipe at once: what was written before this call is there to be fetched after it. */
void output_look(struct output *o);
static inline bool
output_pending(const struct output *o)
{
	return atomic_load_explicit(&o->pending, memory_order_acquire);
}
/** Up to room of the oldest bytes; returns their number. */
size_t output_take(struct output *o, void *dst, size_t room);

#endif /* APIRD_OPENCL_OUTPUT_H */
