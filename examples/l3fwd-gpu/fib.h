/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_FIB_H
#define L3FWD_FIB_H

/*
 * Route tables for the kernel, in the layout that l3fwd_shared.h describes. They are built here rather than taken
 * out of rte_lpm so that a default route (/0), which rte_lpm lacks, is an ordinary one, so that IPv6 has
 * the same form, and so that --verify compares two implementations rather than one with itself.
 */

#include <stddef.h>
#include <stdint.h>

#include "rules.h"

struct fib {
	uint32_t *entries;
	uint32_t nb_nodes;
	uint32_t room; /* nodes that fit before the array must grow */
	uint8_t root_bits;
};

/* Most nodes of a table: 256 MiB of them. */
#define FIB_MAX_NODES (1u << 18)

/*
 * Build the table of a list. first is the number of its first route. Returns 0 or -1 with err set.
 */
int fib_build(struct fib *fib, const struct route_list *list, uint32_t first, char *err,
	      size_t err_len);
void fib_free(struct fib *fib);

/* Bytes of the table. */
static inline size_t
fib_size(const struct fib *fib)
{
	return (((size_t)1 << fib->root_bits) + (size_t)fib->nb_nodes * 256) * sizeof(uint32_t);
}

#endif /* L3FWD_FIB_H */
