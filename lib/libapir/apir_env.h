/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_ENV_H
#define APIR_ENV_H

/**
 * @file
 * What the core asks of its surroundings: memory that the device can reach,
 * and a log. DPDK gives both to librte_apir; a plain program brings its own.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/** One contiguous piece of memory shared with the device. */
struct apir_mem_region {
	uint64_t guest_addr; /**< address by which requests name it */
	uint64_t size;	     /**< bytes */
	void *va;	     /**< where this process sees it */
	int fd;		     /**< file that backs it; owned by the environment, -1 over PCI */
	uint64_t fd_offset;  /**< of the region's first byte in that file */
};

/** Most regions vhost-user takes (VHOST_MEMORY_BASELINE_NREGIONS of its specification). */
#define APIR_MEM_MAX_REGIONS 8

/** Most bytes that dma_alloc() is asked for on behalf of queues. */
#define APIR_DMA_MAX ((size_t)1 << 20)

enum apir_log_level { APIR_LOG_ERR, APIR_LOG_WARNING, APIR_LOG_INFO, APIR_LOG_DEBUG };

/** The surroundings of one device. Functions may be called from any thread. */
struct apir_env {
	/**
	 * Zeroed memory that the device can reach, aligned to align (a power of two), its guest addresses without a
	 * gap; NULL when there is none.
	 */
	void *(*dma_alloc)(const struct apir_env *env, size_t size, size_t align, int numa_node);
	void (*dma_free)(const struct apir_env *env, void *p);
	/** Guest address of a byte inside an allocation of dma_alloc. */
	uint64_t (*dma_addr)(const struct apir_env *env, const void *p);
	/**
	 * All regions shared with the device now. Returns their number, or a negative errno after logging why:
	 * -E2BIG when there are more than max.
	 */
	int (*mem_regions)(const struct apir_env *env, struct apir_mem_region *regions,
			   unsigned int max);
	void (*vlog)(const struct apir_env *env, enum apir_log_level level, const char *fmt,
		     va_list ap);
	void *ctx;
};

/** Log one line (no newline at its end) through the environment. */
void apir_log(const struct apir_env *env, enum apir_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* APIR_ENV_H */
