/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include "cl_mem.h"

/* Pipes are for kernels alone: the host gets neither flags for itself nor a pointer. */
#define FLAGS ((cl_mem_flags)(CL_MEM_READ_WRITE | CL_MEM_HOST_NO_ACCESS))

static struct _cl_mem *
create(struct _cl_context *ctx, cl_mem_flags flags, cl_uint packet_size, cl_uint max_packets,
       cl_int *err)
{
	struct _cl_mem *mem;
	cl_bool supported = CL_FALSE;
	uint64_t id;

	/* a device without pipes says so before anything else */
	if (clGetDeviceInfo(cl_the_device(), CL_DEVICE_PIPE_SUPPORT, sizeof(supported), &supported,
			    NULL) == CL_SUCCESS &&
	    !supported) {
		*err = CL_INVALID_OPERATION;
		return NULL;
	}
	if ((flags & ~FLAGS) != 0) {
		*err = CL_INVALID_VALUE;
		return NULL;
	}
	if (packet_size == 0 || max_packets == 0) {
		*err = CL_INVALID_PIPE_SIZE;
		return NULL;
	}
	*err = rpc_CreatePipe(cl_id(ctx), flags, packet_size, max_packets, &id);
	if (*err != CL_SUCCESS)
		return NULL;
	mem = cl_mem_new(ctx, id, CL_MEM_OBJECT_PIPE, flags | CL_MEM_HOST_NO_ACCESS);
	if (mem == NULL) {
		*err = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	mem->packet_size = packet_size;
	mem->max_packets = max_packets;
	return mem;
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreatePipe(cl_context ctx, cl_mem_flags flags, cl_uint packet_size, cl_uint max_packets,
	     const cl_pipe_properties *props, cl_int *errcode_ret)
{
	struct _cl_mem *mem = NULL;
	cl_int err = CL_SUCCESS;

	if (!cl_is(ctx, CL_KIND_CONTEXT))
		err = CL_INVALID_CONTEXT;
	else if (props != NULL && props[0] != 0)
		err = CL_INVALID_VALUE;
	else
		mem = create(ctx, flags, packet_size, max_packets, &err);
	if (errcode_ret != NULL)
		*errcode_ret = err;
	return mem;
}
