/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stddef.h>
#include <stdint.h>

#include <numa.h>
#include <numaif.h>

#include "placement.h"

static bool
one_node(void)
{
	return numa_available() < 0 || numa_max_node() < 1;
}

int
numa_node_of(const void *p)
{
	int node;

	if (one_node() ||
	    get_mempolicy(&node, NULL, 0, (void *)(uintptr_t)p, MPOL_F_NODE | MPOL_F_ADDR) != 0)
		return -1;
	return node;
}

void
numa_settle(int node, bool bind_cpu)
{
	if (node < 0 || one_node() || node > numa_max_node())
		return;
	numa_set_preferred(node);
	if (bind_cpu)
		numa_run_on_node(node);
}
