/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Running kernels. clEnqueueTask() is generated.
 */

#include "cl_object.h"
#include "cl_rpc.h"

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueNDRangeKernel(cl_command_queue command_queue, cl_kernel kernel, cl_uint work_dim,
		       const size_t *global_work_offset, const size_t *global_work_size,
		       const size_t *local_work_size, cl_uint num_events_in_wait_list,
		       const cl_event *event_wait_list, cl_event *event)
{
	const bool dims = work_dim >= 1 && work_dim <= 3;
	uint64_t id = 0;
	cl_int err;

	if (!cl_is(command_queue, CL_KIND_QUEUE))
		return CL_INVALID_COMMAND_QUEUE;
	if (!cl_is(kernel, CL_KIND_KERNEL))
		return CL_INVALID_KERNEL;
	if (command_queue->ctx != kernel->program->ctx)
		return CL_INVALID_CONTEXT;
	/* with other dimensions nobody knows how much there is to read: the host has its own word for it */
	err = cl_waits_check(command_queue->ctx, num_events_in_wait_list, event_wait_list);
	if (err != CL_SUCCESS)
		return dims ? err : CL_INVALID_WORK_DIMENSION;
	err = rpc_EnqueueNDRangeKernel(
		cl_id(command_queue), cl_id(kernel), work_dim, dims ? global_work_offset : NULL,
		dims ? global_work_size : NULL, dims ? local_work_size : NULL,
		num_events_in_wait_list, event_wait_list, event != NULL ? &id : NULL);
	if (err != CL_SUCCESS || event == NULL)
		return err;
	*event = cl_event_new(command_queue, CL_COMMAND_NDRANGE_KERNEL, id, NULL);
	return *event == NULL ? CL_OUT_OF_HOST_MEMORY : CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueNativeKernel(cl_command_queue command_queue, void(CL_CALLBACK *user_func)(void *),
		      void *args, size_t cb_args, cl_uint num_mem_objects, const cl_mem *mem_list,
		      const void **args_mem_loc, cl_uint num_events_in_wait_list,
		      const cl_event *event_wait_list, cl_event *event)
{
	(void)user_func;
	(void)args;
	(void)cb_args;
	(void)num_mem_objects;
	(void)mem_list;
	(void)args_mem_loc;
	(void)num_events_in_wait_list;
	(void)event_wait_list;
	(void)event;
	if (!cl_is(command_queue, CL_KIND_QUEUE))
		return CL_INVALID_COMMAND_QUEUE;
	/* the device cannot run this process's functions, and says so (CL_DEVICE_EXECUTION_CAPABILITIES) */
	return CL_INVALID_OPERATION;
}
