/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_OUTPUT_H
#define APIR_CL_OUTPUT_H

/** @file What kernels print. */

#include <stddef.h>

/** Write it to the program's standard output. errno stays as it is. */
void cl_output_print(const void *text, size_t len);

#endif /* APIR_CL_OUTPUT_H */
