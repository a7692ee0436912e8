/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_OPENCL_ARENA_H
#define APIRD_OPENCL_ARENA_H

/**
 * @file
 * The program's arena as the worker sees it: ranges are checked and translated here, and the storage of buffers is handed out of its
 * upper part. What is kept about that storage lies outside of it: the program can write everywhere in the arena.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A piece of the upper part. */
struct arena_block {
	uint64_t off, len;		   /**< from the arena's start */
	bool free, dirty;		   /**< dirty: free, and its pages are still there */
	struct arena_block *prev, *next;   /**< its neighbours */
	struct arena_block *bprev, *bnext; /**< free ones of about the same size */
};

#define ARENA_BUCKETS 64

struct arena {
	/* fixed once it is open */
	uint64_t gpa;	    /**< what the program calls its first byte */
	uint64_t size;	    /**< 0: not open */
	uint8_t *va;	    /**< where it is mapped here */
	uint64_t shared;    /**< the upper part begins so far from the start */
	uint32_t granule;   /**< alignment of each piece, a power of two */
	uint64_t max_dirty; /**< free bytes that may keep their pages */
	pthread_mutex_t lock;
	/* under lock */
	uint64_t dirty; /**< such bytes */
	struct arena_block *bucket[ARENA_BUCKETS];
};

/** None yet: every range is outside of it. */
void arena_init(struct arena *a);
/**
 * Begin: [va, va + size) is shared memory, which the program calls gpa. The upper part is what follows the first shared bytes.
 * granule: a power of two from 64 to 4096. Returns 0 or a negative errno.
 */
int arena_open(struct arena *a, uint8_t *va, uint64_t gpa, uint64_t size, uint64_t shared,
	       uint32_t granule);
/** Forget all blocks, used or not. */
void arena_close(struct arena *a);

/** Where [gpa, gpa + len) lies here; NULL if not wholly in the arena. len 0 is allowed. */
void *arena_ptr(const struct arena *a, uint64_t gpa, uint64_t len);
/** What the program calls p; 0 if it is not in the arena. */
uint64_t arena_addr(const struct arena *a, const void *p);
/** True if all of [p, p + len) is in the upper part. */
bool arena_is_shared(const struct arena *a, const void *p, uint64_t len);

/** Storage of size > 0 bytes with undefined contents: page-aligned from 4 KiB on. NULL: no room. */
struct arena_block *arena_alloc(struct arena *a, uint64_t size);
void arena_free(struct arena *a, struct arena_block *b);
static inline void *
arena_block_ptr(const struct arena *a, const struct arena_block *b)
{
	return a->va + b->off;
}

#endif /* APIRD_OPENCL_ARENA_H */
