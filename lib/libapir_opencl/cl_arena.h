/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_ARENA_H
#define APIR_CL_ARENA_H

/**
 * @file
 * The arena: memory of this process that the device reaches, one sparse file mapped once. The lower part is allocated here, the upper
 * part by the worker (storage of buffers). Thread-safe.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Of the lower part; align a power of two >= 64. NULL when it is full. Contents are undefined. */
void *cl_arena_alloc(size_t size, size_t align);
/** NULL is allowed. Whole pages of a large piece go back to the system. */
void cl_arena_free(void *p);

/** True if all of [p, p + len) lies in the arena, either part. */
bool cl_arena_holds(const void *p, size_t len);
/** What the device calls a byte of the arena. */
uint64_t cl_arena_addr(const void *p);
/** And back; NULL if [addr, addr + len) is not wholly in the arena. */
void *cl_arena_ptr(uint64_t addr, size_t len);

/* For the session (cl_session.c) and tests ---------------------------------------------------------------------------- */

/** As cl_arena_alloc(), but zeroed. */
void *cl_arena_zalloc(size_t size, size_t align);
/** Make the one arena, all of it the lower part. 0 or a negative errno. hugepages: where they can be reserved. */
int cl_arena_open(size_t size, bool hugepages);
/** The lower part ends before this address. -EINVAL it is not in the arena; -ENOSPC what lies above is in use. */
int cl_arena_limit(uint64_t addr);
void cl_arena_whole(void **base, size_t *size, int *fd);
/** Nobody uses any of it any more. */
void cl_arena_close(void);
/** Around fork(): the child has no arena. */
void cl_arena_fork_prepare(void);
void cl_arena_fork_parent(void);
void cl_arena_fork_child(void);

#endif /* APIR_CL_ARENA_H */
