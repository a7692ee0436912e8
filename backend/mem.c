/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <string.h>

#include "mem.h"

int
mem_set(struct mem_table *t, const struct mem_region *regions, unsigned int nb)
{
	t->nb = 0;
	if (nb > MEM_MAX_REGIONS)
		return -EINVAL;
	for (unsigned int i = 0; i < nb; i++) {
		const struct mem_region *r = &regions[i];

		/* The last byte must have an address; va likewise. */
		if (r->size == 0 || r->gpa + (r->size - 1) < r->gpa ||
		    (uintptr_t)r->va + (r->size - 1) < (uintptr_t)r->va || r->va == NULL)
			return -EINVAL;
		for (unsigned int j = 0; j < i; j++)
			if (r->gpa <= regions[j].gpa + (regions[j].size - 1) &&
			    regions[j].gpa <= r->gpa + (r->size - 1))
				return -EINVAL;
	}
	if (nb > 0)
		memcpy(t->r, regions, nb * sizeof(*regions));
	t->nb = nb;
	return 0;
}

const struct mem_region *
mem_find(const struct mem_table *t, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < t->nb; i++)
		if (mem_in_region(&t->r[i], gpa, len))
			return &t->r[i];
	return NULL;
}

bool
mem_copy_from(const struct mem_table *t, void *dst, uint64_t gpa, uint64_t len)
{
	const struct mem_region *hit = NULL;
	const void *p = mem_xlate(t, &hit, gpa, len);

	if (p == NULL)
		return false;
	memcpy(dst, p, len);
	return true;
}

bool
mem_copy_to(const struct mem_table *t, uint64_t gpa, const void *src, uint64_t len)
{
	const struct mem_region *hit = NULL;
	void *p = mem_xlate(t, &hit, gpa, len);

	if (p == NULL)
		return false;
	memcpy(p, src, len);
	return true;
}

bool
mem_holds(const struct mem_table *t, const void *p, uint64_t len)
{
	for (unsigned int i = 0; i < t->nb; i++) {
		const uint64_t off = (uintptr_t)p - (uintptr_t)t->r[i].va;

		if (off < t->r[i].size && len <= t->r[i].size - off)
			return true;
	}
	return false;
}
