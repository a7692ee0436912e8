/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include "exec.h"

const struct exec_ops *const exec_all[] = {
	&exec_cuda_ops,
	&exec_opencl_ops,
	NULL,
};
