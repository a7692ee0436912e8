/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_MEM_H
#define APIRD_MEM_H

/**
 * @file
 * The guest's memory as this process maps it, and the one place where guest addresses are
 * checked and translated.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEM_MAX_REGIONS 8

struct mem_region {
	uint64_t gpa;  /**< guest address of its first byte */
	uint64_t size; /**< bytes */
	uint8_t *va;   /**< where this process sees it */
	int fd; /**< its file, the front-end's side's own; valid while the region is mapped */
	uint64_t fd_offset; /**< where it begins there */
};

struct mem_table {
	unsigned int nb;
	struct mem_region r[MEM_MAX_REGIONS];
};

/**
 * Replace the table. Regions that are empty, overlap or wrap around are refused.
 *
 * @return 0, or -EINVAL with the table left empty
 */
int mem_set(struct mem_table *t, const struct mem_region *regions, unsigned int nb);

/** Region that holds all of [gpa, gpa + len), len > 0; NULL when none does. */
const struct mem_region *mem_find(const struct mem_table *t, uint64_t gpa, uint64_t len);

/** True if all of [gpa, gpa + len), len > 0, lies in r. No sum is formed that could wrap. */
static inline bool
mem_in_region(const struct mem_region *r, uint64_t gpa, uint64_t len)
{
	const uint64_t off = gpa - r->gpa;

	return off < r->size && len != 0 && len <= r->size - off;
}

/**
 * Address of all of [gpa, gpa + len), len > 0, or NULL. *hit is the caller's last region, tried
 * first.
 */
static inline void *
mem_xlate(const struct mem_table *t, const struct mem_region **hit, uint64_t gpa, uint64_t len)
{
	const struct mem_region *r = *hit;

	if (r == NULL || !mem_in_region(r, gpa, len)) {
		r = mem_find(t, gpa, len);
		if (r == NULL)
			return NULL;
		*hit = r;
	}
	return r->va + (gpa - r->gpa);
}

/**
 * Copy out of or into guest memory. False if the range is not wholly in one region: then nothing is
 * copied.
 */
bool mem_copy_from(const struct mem_table *t, void *dst, uint64_t gpa, uint64_t len);
bool mem_copy_to(const struct mem_table *t, uint64_t gpa, const void *src, uint64_t len);

/** True if [p, p + len) of this process lies in one region. */
bool mem_holds(const struct mem_table *t, const void *p, uint64_t len);

#endif /* APIRD_MEM_H */
