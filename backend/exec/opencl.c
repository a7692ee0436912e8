/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The ops table, and what OpenCL's error numbers mean. */

#include <stdio.h>

#include "opencl.h"

const struct exec_ops exec_opencl_ops = {
	.name = "opencl",
	.open = ocl_open,
	.close = ocl_close,
	.info = ocl_info,
	.list = ocl_list,
	.mem_set = ocl_mem_set,
	.program_create = ocl_program_create,
	.program_destroy = ocl_program_destroy,
	.kernel_create = ocl_kernel_create,
	.kernel_destroy = ocl_kernel_destroy,
	.kernel_set_arg = ocl_kernel_set_arg,
	.buffer_create = ocl_buffer_create,
	.buffer_destroy = ocl_buffer_destroy,
	.buffer_size = ocl_buffer_size,
	.buffer_write = ocl_buffer_write,
	.buffer_read = ocl_buffer_read,
	.pipeline_create = ocl_pipeline_create,
	.pipeline_destroy = ocl_pipeline_destroy,
	.queue_create = ocl_queue_create,
	.queue_destroy = ocl_queue_destroy,
	.burst_get = ocl_burst_get,
	.submit = ocl_submit,
	.poll = ocl_poll,
};

const char *
ocl_strerror(cl_int error)
{
	static _Thread_local char number[32];

	switch (error) {
#define NAME(e) \
	case e: \
		return #e
		NAME(CL_SUCCESS);
		NAME(CL_DEVICE_NOT_FOUND);
		NAME(CL_DEVICE_NOT_AVAILABLE);
		NAME(CL_COMPILER_NOT_AVAILABLE);
		NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE);
		NAME(CL_OUT_OF_RESOURCES);
		NAME(CL_OUT_OF_HOST_MEMORY);
		NAME(CL_BUILD_PROGRAM_FAILURE);
		NAME(CL_MISALIGNED_SUB_BUFFER_OFFSET);
		NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
		NAME(CL_KERNEL_ARG_INFO_NOT_AVAILABLE);
		NAME(CL_INVALID_VALUE);
		NAME(CL_INVALID_PLATFORM);
		NAME(CL_INVALID_DEVICE);
		NAME(CL_INVALID_CONTEXT);
		NAME(CL_INVALID_QUEUE_PROPERTIES);
		NAME(CL_INVALID_COMMAND_QUEUE);
		NAME(CL_INVALID_HOST_PTR);
		NAME(CL_INVALID_MEM_OBJECT);
		NAME(CL_INVALID_BINARY);
		NAME(CL_INVALID_BUILD_OPTIONS);
		NAME(CL_INVALID_PROGRAM);
		NAME(CL_INVALID_PROGRAM_EXECUTABLE);
		NAME(CL_INVALID_KERNEL_NAME);
		NAME(CL_INVALID_KERNEL_DEFINITION);
		NAME(CL_INVALID_KERNEL);
		NAME(CL_INVALID_ARG_INDEX);
		NAME(CL_INVALID_ARG_VALUE);
		NAME(CL_INVALID_ARG_SIZE);
		NAME(CL_INVALID_KERNEL_ARGS);
		NAME(CL_INVALID_WORK_DIMENSION);
		NAME(CL_INVALID_WORK_GROUP_SIZE);
		NAME(CL_INVALID_WORK_ITEM_SIZE);
		NAME(CL_INVALID_GLOBAL_OFFSET);
		NAME(CL_INVALID_EVENT_WAIT_LIST);
		NAME(CL_INVALID_EVENT);
		NAME(CL_INVALID_OPERATION);
		NAME(CL_INVALID_BUFFER_SIZE);
		NAME(CL_INVALID_GLOBAL_WORK_SIZE);
#undef NAME
	default:
		snprintf(number, sizeof(number), "OpenCL error %d", error);
		return number;
	}
}

enum apir_status
ocl_status(cl_int error)
{
	switch (error) {
	case CL_SUCCESS:
		return APIR_S_OK;
	case CL_MEM_OBJECT_ALLOCATION_FAILURE:
	case CL_OUT_OF_HOST_MEMORY:
	case CL_INVALID_BUFFER_SIZE:
		return APIR_S_NOMEM;
	default:
		return APIR_S_DEVICE;
	}
}
