/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_INFO_H
#define APIR_CL_INFO_H

/** @file Information that the worker gives and that does not change: asked for once. Thread-safe. */

#include <stddef.h>
#include <stdint.h>

#include "cl_kind.h"
#include "cl_rpc.h"

/** What is asked for: the arguments of GetInfo. */
struct cl_info_key {
	uint64_t object, other, index;
	uint32_t kind, other_kind; /**< enum cl_kind; other_kind 0: there is no other */
	uint32_t param;
};

struct cl_info_cache;

struct cl_info_cache *cl_info_cache_new(void);
/** NULL is allowed. */
void cl_info_cache_free(struct cl_info_cache *c);

/**
 * The whole value; it lives as long as the cache.
 *
 * @return the host's answer; CL_OUT_OF_HOST_MEMORY; CL_DEVICE_NOT_AVAILABLE. Of errors CL_INVALID_VALUE is remembered, too.
 */
cl_int cl_info_get(struct cl_info_cache *c, const struct cl_info_key *key, const void **value,
		   size_t *len);
/** The same as a clGet...Info() answers it. */
cl_int cl_info_answer(struct cl_info_cache *c, const struct cl_info_key *key, size_t size,
		      void *value, size_t *size_ret);

#endif /* APIR_CL_INFO_H */
