/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_eal_memconfig.h>
#include <rte_errno.h>
#include <rte_memory.h>

#include "apir_private.h"
#include "apir_regions.h"

/* Does b go on where a ends, but for gap bytes that both lack? Regions of one file only. */
static bool
follows(const struct apir_mem_region *a, const struct apir_mem_region *b, uint64_t *gap)
{
	const uint64_t end = (uintptr_t)a->va + a->size;

	if (a->fd != b->fd || (uintptr_t)b->va < end)
		return false;
	*gap = (uintptr_t)b->va - end;
	return b->fd_offset == a->fd_offset + a->size + *gap;
}

int
apir_region_add(struct apir_region_list *l, const struct apir_mem_region *r)
{
	struct apir_mem_region *grown;
	unsigned int cap;
	uint64_t gap;

	if (l->nb != 0 && follows(&l->r[l->nb - 1], r, &gap) && gap == 0) {
		l->r[l->nb - 1].size += r->size;
		return 0;
	}
	if (l->nb == l->cap) {
		cap = l->cap == 0 ? 64 : l->cap * 2;
		grown = realloc(l->r, cap * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		l->r = grown;
		l->cap = cap;
	}
	l->r[l->nb++] = *r;
	return 0;
}

unsigned int
apir_region_reduce(struct apir_region_list *l, unsigned int max)
{
	unsigned int i, best;
	uint64_t gap, least;

	while (l->nb > max) {
		least = UINT64_MAX;
		best = 0;
		for (i = 0; i + 1 < l->nb; i++) {
			if (follows(&l->r[i], &l->r[i + 1], &gap) && gap < least) {
				least = gap;
				best = i;
			}
		}
		if (least == UINT64_MAX)
			break;
		l->r[best].size += least + l->r[best + 1].size;
		memmove(&l->r[best + 1], &l->r[best + 2], (l->nb - best - 2) * sizeof(l->r[0]));
		l->nb--;
	}
	return l->nb;
}

struct walk {
	struct apir_region_list list;
	const struct apir_hole *hole;
	int err; /* positive errno of what EAL could not tell */
};

static bool
in_hole(const struct walk *w, uintptr_t addr)
{
	return w->hole != NULL && addr >= w->hole->addr && addr - w->hole->addr < w->hole->len;
}

static int
add_memseg(const struct rte_memseg_list *msl, const struct rte_memseg *ms, void *arg)
{
	struct walk *w = arg;
	struct apir_mem_region r = {
		.guest_addr = (uintptr_t)ms->addr, .size = ms->len, .va = ms->addr};
	size_t offset;

	if (msl->external || in_hole(w, (uintptr_t)ms->addr))
		return 0;
	r.fd = rte_memseg_get_fd_thread_unsafe(ms);
	if (r.fd < 0 || rte_memseg_get_fd_offset_thread_unsafe(ms, &offset) < 0) {
		w->err = rte_errno;
		return -1;
	}
	r.fd_offset = offset;
	return apir_region_add(&w->list, &r);
}

static int
add_external(const struct rte_memseg_list *msl, void *arg)
{
	struct walk *w = arg;

	if (!msl->external || in_hole(w, (uintptr_t)msl->base_va))
		return 0;
	return apir_extmem_add(&w->list, (uintptr_t)msl->base_va, msl->len);
}

static int
list_memory(struct walk *w)
{
	int ret;

	if (rte_eal_has_hugepages() && !rte_mcfg_get_single_file_segments())
		return apir_err(ENOTSUP,
				"EAL's memory cannot be shared with the back-end: each hugepage is "
				"a file of its "
				"own, and vhost-user takes %u files. Add --single-file-segments to "
				"EAL's options "
				"(and leave out --legacy-mem, which excludes it)",
				APIR_MEM_MAX_REGIONS);
	ret = rte_memseg_walk_thread_unsafe(add_memseg, w);
	if (w->err != 0)
		return apir_err(
			ENOTSUP,
			"EAL's memory cannot be shared with the back-end: it is not backed by "
			"files "
			"(%s). Run EAL with hugepages and --single-file-segments, on a kernel with "
			"memfd_create() if --in-memory or --no-huge is used",
			rte_strerror(w->err));
	if (ret == 0 && w->list.nb == 0)
		return apir_err(
			ENOTSUP,
			"EAL has no memory to share with the back-end: call rte_eal_init() first");
	if (ret == 0)
		ret = rte_memseg_list_walk_thread_unsafe(add_external, w);
	if (ret != 0)
		return apir_err(ENOMEM, "no memory to list EAL's memory");
	return 0;
}

int
apir_regions_get(struct apir_mem_region *out, unsigned int max, const struct apir_hole *hole)
{
	struct walk w = {.hole = hole};
	unsigned int all;
	int ret;

	apir_extmem_begin();
	ret = list_memory(&w);
	if (ret == 0) {
		all = w.list.nb;
		if (apir_region_reduce(&w.list, max) > max)
			ret = apir_err(E2BIG,
				       "memory of %u files is to be shared with the back-end, and "
				       "vhost-user takes "
				       "%u: register fewer pieces of external memory, or use one "
				       "page size and "
				       "--single-file-segments",
				       w.list.nb, max);
		else if (w.list.nb != all)
			APIR_LOG(DEBUG,
				 "%u pieces of memory are shared as %u regions, holes included\n",
				 all, w.list.nb);
	}
	if (ret == 0) {
		memcpy(out, w.list.r, w.list.nb * sizeof(out[0]));
		ret = (int)w.list.nb;
	}
	free(w.list.r);
	apir_extmem_end();
	return ret;
}
