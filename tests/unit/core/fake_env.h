/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef FAKE_ENV_H
#define FAKE_ENV_H

/**
 * @file
 * Surroundings of the driver core for tests: an arena in a memfd whose guest addresses differ from its virtual ones, so
 * that an address of the wrong kind is noticed, and a log that can be searched.
 */

#include <pthread.h>
#include <stdbool.h>

#include "apir_env.h"

/** Guest address of a byte minus its virtual address. */
#define FAKE_GUEST_OFFSET 0x500000000000ull
/** Where the arena begins in its file. */
#define FAKE_FD_OFFSET 8192u

struct fake_env {
	struct apir_env env; /* first: the core gets a pointer to it */
	int fd;
	char *base;
	size_t size;
	size_t used;
	int live;	   /* allocations not freed */
	int fail_after;	   /* allocations that still succeed; -1: all */
	int regions_ret;   /* what mem_regions() gives instead when negative */
	int regions_asked; /* times mem_regions() was called */
	void (*on_regions)(struct fake_env *fe);
	void *user;
	pthread_mutex_t lock;
	char log[16384];
	size_t log_len;
};

void fake_env_init(struct fake_env *fe, size_t size);
void fake_env_fini(struct fake_env *fe);
/** Virtual address of a guest address; NULL unless len bytes lie in the arena. */
void *fake_env_va(const struct fake_env *fe, uint64_t guest_addr, size_t len);
/** The one region. */
struct apir_mem_region fake_env_region(const struct fake_env *fe);
/** True if text was logged since the last fake_env_log_clear(). */
bool fake_env_logged(struct fake_env *fe, const char *text);
void fake_env_log_clear(struct fake_env *fe);
/** Open descriptors of this process. */
int count_fds(void);

#endif /* FAKE_ENV_H */
