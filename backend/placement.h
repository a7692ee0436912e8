/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_PLACEMENT_H
#define APIRD_PLACEMENT_H

/**
 * @file
 * Placement of memory and threads. On a machine of one node all of this does nothing.
 */

#include <stdbool.h>

/**
 * Node of the memory behind p, or -1 when the machine has one node or the page is not there yet.
 */
int numa_node_of(const void *p);

/**
 * The calling thread allocates from node, and with bind_cpu runs on its CPUs. -1: leaves all as it
 * is.
 */
void numa_settle(int node, bool bind_cpu);

#endif /* APIRD_PLACEMENT_H */
