/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_REGIONS_H
#define APIR_REGIONS_H

/**
 * @file
 * Which memory there is to share: EAL's own and what was registered with it, as a short list of
 * regions.
 *
 * All functions run with EAL's memory held still and the memory lock taken (see apir_private.h),
 * use malloc() only, and take no lock.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apir_env.h"

/** A growing list of regions. */
struct apir_region_list {
	struct apir_mem_region *r;
	unsigned int nb, cap;
};

/**
 * Append a region; joins it to the last one if it goes on there in memory and in the file. Returns
 * 0 or -ENOMEM.
 */
int apir_region_add(struct apir_region_list *l, const struct apir_mem_region *r);

/**
 * Bring the list down to max regions by closing the smallest holes between regions of one file: the
 * device then sees the hole as well, where nothing lies that anybody uses. Returns the number left,
 * which is above max if that was not enough.
 */
unsigned int apir_region_reduce(struct apir_region_list *l, unsigned int max);

/** Memory that is about to go, although EAL still lists it. */
struct apir_hole {
	uintptr_t addr;
	size_t len;
};

/**
 * List EAL's memory and the external memory, without hole (may be NULL).
 *
 * @return number of regions, 1..max; -ENOTSUP, -E2BIG, -ENOMEM with a text (apir_err())
 */
int apir_regions_get(struct apir_mem_region *out, unsigned int max, const struct apir_hole *hole);

/* External memory (apir_extmem.c) ------------------------------------------- */

/** Begin a list: read where this process's memory comes from, when first needed. */
void apir_extmem_begin(void);
/**
 * Add the external memory at va to l: as what file it is found to be. Memory that is no shared
 * mapping of a file is left out, with one warning. Returns 0 or -ENOMEM.
 */
int apir_extmem_add(struct apir_region_list *l, uintptr_t va, size_t len);
/** End of the list: close files that no region names any more. */
void apir_extmem_end(void);
/** Close all files. */
void apir_extmem_close(void);
/** Is va known not to be shareable? Any thread, no lock. */
bool apir_extmem_refused(uintptr_t va);

#endif /* APIR_REGIONS_H */
