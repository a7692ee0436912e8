/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_SVM_H
#define APIR_CL_SVM_H

/** @file What the two files of shared virtual memory share. */

#include "cl_mem.h"

/** CL_DEVICE_SVM_CAPABILITIES; 0: there is none. */
cl_bitfield cl_svm_caps(void);
/** CL_INVALID_COMMAND_QUEUE, CL_INVALID_OPERATION or CL_SUCCESS. */
cl_int cl_svm_command_check(cl_command_queue queue);

#endif /* APIR_CL_SVM_H */
