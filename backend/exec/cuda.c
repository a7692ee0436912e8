/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The executor "cuda". Its programs and kernels are those of the executor "opencl". */

#include "cuda.h"

static int
list_none(void *out)
{
	(void)out;
	return 0; /* its devices are in the list of OpenCL's */
}

const struct exec_ops exec_cuda_ops = {
	.name = "cuda",
	.open = cuda_open,
	.close = cuda_close,
	.info = ocl_info,
	.list = list_none,
	.lost = cuda_lost,
	.mem_set = cuda_mem_set,
	.program_create = cuda_program_create,
	.program_destroy = ocl_program_destroy,
	.kernel_create = ocl_kernel_create,
	.kernel_destroy = ocl_kernel_destroy,
	.kernel_set_arg = ocl_kernel_set_arg,
	.buffer_create = cuda_buffer_create,
	.buffer_destroy = ocl_buffer_destroy,
	.buffer_size = ocl_buffer_size,
	.buffer_write = cuda_buffer_write,
	.buffer_read = cuda_buffer_read,
	.pipeline_create = cuda_pipeline_create,
	.pipeline_destroy = cuda_pipeline_destroy,
	.queue_create = cuda_queue_create,
	.queue_destroy = cuda_queue_destroy,
	.burst_get = cuda_burst_get,
	.submit = cuda_submit,
	.flush = cuda_flush,
	.poll = cuda_poll,
};
