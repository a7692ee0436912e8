/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_EXEC_CUDA_PTX_H
#define APIR_EXEC_CUDA_PTX_H

/**
 * @file
 * PTX of NVIDIA's OpenCL compiler, made fit for cuLaunchKernel.
 *
 * A launch is one-dimensional in the tenant's eyes, without offsets: a group's number is %ctaid.x. The y dimension of
 * the grid numbers the bursts of one launch, which the tenant must not see. What NVIDIA's OpenCL launcher does for a
 * kernel, and cuLaunchKernel does not, is written into the text:
 *
 * - %envreg: the OpenCL launcher sets these, cuLaunchKernel leaves them undefined. Their meaning was read off the
 *   compiler's output for get_group_id, get_global_offset, get_num_groups and get_work_dim with driver 580.159:
 *   0 to 2 offset of the group's number, 3 to 5 global offset, 6 to 8 number of groups, 9 work dimension. Hence
 *   0 to 5 become 0, 6 becomes %nctaid.x, 7 to 9 become 1. Others are refused: nobody knows what they say.
 * - %ctaid.y, %ctaid.z become 0 and %nctaid.y, %nctaid.z become 1: they would show the bursts of a launch. So would
 *   %ctaid and %nctaid as vectors, %gridid and the registers of clusters, which are refused.
 * - .const becomes .global, as state space of variables, pointers and instructions: only the OpenCL launcher binds
 *   buffers to constant banks, and a pointer may go to either a buffer or a variable.
 * - Each kernel gets one more parameter, the last: .u32 KERNEL_apir_first, the slot of the launch's first burst. A
 *   first parameter that is a global pointer points to the packet tables of a queue: what a kernel loads from it is
 *   moved on to the table of its burst, slot (KERNEL_apir_first + %ctaid.y) modulo PTX_SLOTS.
 * - A pointer to local memory is passed as an offset into dynamic shared memory: what a kernel loads from it gets the
 *   address of apir_dynamic added.
 * - .ptr and what qualifies it go from kernels' parameters: the driver's loader refuses .ptr .shared as an invalid image.
 * - vprintf becomes apir_vprintf, which prints nothing and returns 0: output would go to the host. Other functions
 *   that the text does not have are refused: no driver provides them under cuLaunchKernel.
 * - Images and samplers are refused.
 * - Names that the rewriting adds are refused in the text: apir_dynamic*, apir_vprintf*, *_apir_first, %apir_*.
 *
 * All else stays, byte for byte. This is no fence: a kernel reaches the memory of its context anyway.
 */

#include <stddef.h>

#include "exec.h"

#define PTX_SLOTS	 64 /**< bursts of a queue: a power of two */
#define PTX_STRIDE_SHIFT 15 /**< bytes from one packet table to the next, as a power of two */

/**
 * Rewrite a program.
 *
 * @param ptx what the compiler made: a text, perhaps with NULs after it
 * @param[out] out the text, NUL-terminated; the caller frees. NULL unless APIR_S_OK is returned.
 * @return APIR_S_OK; APIR_S_UNSUPPORTED, err names what is not known and where; APIR_S_NOMEM
 */
enum apir_status cuda_ptx_rewrite(const char *ptx, size_t len, char **out, struct exec_err *err);

#endif /* APIR_EXEC_CUDA_PTX_H */
