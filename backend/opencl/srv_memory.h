/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_OPENCL_SRV_MEMORY_H
#define APIRD_OPENCL_SRV_MEMORY_H

/** @file What the services of memory objects share. */

#include "srv.h"

/** Account for a new object's memory, until the host says that it is gone. Above the limit it is released, and *mem is NULL. */
cl_int srv_memory_count(struct shared *sh, cl_mem *mem);

/**
 * Bytes of the program's memory that a box of region[] reaches from its start on: region[0] bytes a row, skip bytes before the first.
 * UINT64_MAX: too many to count.
 */
uint64_t srv_box_bytes(const uint64_t *region, uint64_t row, uint64_t slice, uint64_t skip);

#endif /* APIRD_OPENCL_SRV_MEMORY_H */
