/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <rte_malloc.h>
#include <rte_memory.h>

#include "apir_private.h"

/*
 * Memory of a device on PCI, which names it by physical address. A hugepage is contiguous and two neighbours need not
 * be: what is allocated must not cross a page, or must be lucky.
 */

#define PAGE_MAX ((size_t)RTE_PGSIZE_2M)

bool
apir_iova_contig(const void *va, size_t len)
{
	const char *at = va, *end = at + len;
	rte_iova_t next = RTE_BAD_IOVA;

	while (at < end) {
		const struct rte_memseg *ms = rte_mem_virt2memseg(at, NULL);
		rte_iova_t iova;

		/* a page that is not there has no length */
		if (ms == NULL || ms->len == 0 || ms->iova == RTE_BAD_IOVA)
			return false;
		iova = ms->iova + (rte_iova_t)(at - (const char *)ms->addr);
		if (next != RTE_BAD_IOVA && iova != next)
			return false;
		at = RTE_PTR_ADD(ms->addr, ms->len);
		next = ms->iova + ms->len;
	}
	return len != 0;
}

static void *
iova_alloc(const struct apir_env *env, size_t size, size_t align, int numa_node)
{
	const size_t page_align = RTE_MIN((size_t)rte_align64pow2(size), PAGE_MAX);
	const unsigned int a = (unsigned int)RTE_MAX(align, page_align);
	void *p = rte_zmalloc_socket("apir", size, a, numa_node);

	RTE_SET_USED(env);
	if (p == NULL && numa_node != SOCKET_ID_ANY)
		p = rte_zmalloc_socket("apir", size, a, SOCKET_ID_ANY);
	if (p == NULL || apir_iova_contig(p, size))
		return p;
	rte_free(p);
	APIR_LOG(ERR, "no %zu bytes without a gap in physical memory: use larger hugepages\n",
		 size);
	return NULL;
}

static void
iova_free(const struct apir_env *env, void *p)
{
	RTE_SET_USED(env);
	rte_free(p);
}

static uint64_t
iova_addr(const struct apir_env *env, const void *p)
{
	RTE_SET_USED(env);
	return rte_mem_virt2iova(p);
}

/* QEMU shares the guest's memory, not we. */
static int
iova_regions(const struct apir_env *env, struct apir_mem_region *regions, unsigned int max)
{
	RTE_SET_USED(env);
	RTE_SET_USED(regions);
	RTE_SET_USED(max);
	return 0;
}

void
apir_iova_env(struct apir_dev *dev)
{
	dev->env = (struct apir_env){
		.dma_alloc = iova_alloc,
		.dma_free = iova_free,
		.dma_addr = iova_addr,
		.mem_regions = iova_regions,
		.vlog = apir_env_vlog,
		.ctx = dev,
	};
}

int
apir_iova_attach(struct apir_dev *dev, int (*connect)(struct apir_dev *dev))
{
	const struct apir_spans all = {.r[0] = {.start = APIR_IOVA_MIN, .end = APIR_IOVA_END}};
	const int ret = connect(dev);

	if (ret == 0)
		apir_mem_table_write(&dev->mem, &all);
	return ret;
}
