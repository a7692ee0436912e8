/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include "cl_mem.h"

/* A value of any of the types that information comes in. */
union value {
	cl_uint u;
	cl_mem_flags flags;
	cl_bool b;
	size_t size;
	void *p;
	cl_context ctx;
	cl_mem mem;
};

#define PUT(field, v) (x.field = (v), cl_info_put(&x.field, sizeof(x.field), size, value, size_ret))

CL_API_ENTRY cl_int CL_API_CALL
clGetMemObjectInfo(cl_mem mem, cl_mem_info name, size_t size, void *value, size_t *size_ret)
{
	union value x;

	if (!cl_is(mem, CL_KIND_MEM))
		return CL_INVALID_MEM_OBJECT;
	switch (name) {
	case CL_MEM_TYPE:
		return PUT(u, mem->type);
	case CL_MEM_FLAGS:
		return PUT(flags, mem->flags);
	case CL_MEM_SIZE:
		return PUT(size, mem->size);
	case CL_MEM_HOST_PTR:
		return PUT(p, mem->host_ptr);
	case CL_MEM_MAP_COUNT:
		return PUT(u, atomic_load_explicit(&mem->map_count, memory_order_relaxed));
	case CL_MEM_REFERENCE_COUNT:
		return PUT(u, cl_refcount(mem));
	case CL_MEM_CONTEXT:
		return PUT(ctx, mem->ctx);
	case CL_MEM_ASSOCIATED_MEMOBJECT:
		return PUT(mem, mem->parent);
	case CL_MEM_OFFSET:
		return PUT(size, mem->offset);
	case CL_MEM_USES_SVM_POINTER:
		return PUT(b, mem->host_ptr != NULL && cl_svm_holds(mem->ctx, mem->host_ptr, 1));
	case CL_MEM_PROPERTIES:
		return cl_info_put(mem->props, mem->nb_props * sizeof(*mem->props), size, value,
				   size_ret);
	default:
		return CL_INVALID_VALUE;
	}
}

CL_API_ENTRY cl_int CL_API_CALL
clGetImageInfo(cl_mem image, cl_image_info name, size_t size, void *value, size_t *size_ret)
{
	const cl_image_desc *d;
	union value x;

	if (!cl_is(image, CL_KIND_MEM) || !cl_is_image(image))
		return CL_INVALID_MEM_OBJECT;
	d = &image->desc;
	switch (name) {
	case CL_IMAGE_FORMAT:
		return cl_info_put(&image->format, sizeof(image->format), size, value, size_ret);
	case CL_IMAGE_ELEMENT_SIZE:
		return PUT(size, image->element_size);
	case CL_IMAGE_ROW_PITCH:
		return PUT(size, d->image_row_pitch);
	case CL_IMAGE_SLICE_PITCH:
		return PUT(size, d->image_slice_pitch);
	case CL_IMAGE_WIDTH:
		return PUT(size, d->image_width);
	case CL_IMAGE_HEIGHT:
		return PUT(size, d->image_height);
	case CL_IMAGE_DEPTH:
		return PUT(size, d->image_depth);
	case CL_IMAGE_ARRAY_SIZE:
		return PUT(size, d->image_array_size);
	case CL_IMAGE_BUFFER:
		return PUT(mem, image->parent);
	case CL_IMAGE_NUM_MIP_LEVELS:
		return PUT(u, d->num_mip_levels);
	case CL_IMAGE_NUM_SAMPLES:
		return PUT(u, d->num_samples);
	default:
		return CL_INVALID_VALUE;
	}
}

CL_API_ENTRY cl_int CL_API_CALL
clGetPipeInfo(cl_mem pipe, cl_pipe_info name, size_t size, void *value, size_t *size_ret)
{
	union value x;

	if (!cl_is(pipe, CL_KIND_MEM) || pipe->type != CL_MEM_OBJECT_PIPE)
		return CL_INVALID_MEM_OBJECT;
	switch (name) {
	case CL_PIPE_PACKET_SIZE:
		return PUT(u, pipe->packet_size);
	case CL_PIPE_MAX_PACKETS:
		return PUT(u, pipe->max_packets);
	case CL_PIPE_PROPERTIES:
		return cl_info_put(pipe->props, pipe->nb_props * sizeof(*pipe->props), size, value,
				   size_ret);
	default:
		return CL_INVALID_VALUE;
	}
}
