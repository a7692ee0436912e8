/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>

#include "cl_mem.h"

/* The program's pixels, without gaps. NULL: none (*err CL_SUCCESS) or no memory. */
static struct cl_staging *
stage(const cl_image_desc *d, size_t pixel, const void *host_ptr, cl_int *err)
{
	struct cl_staging *s = NULL;
	struct cl_box box;
	size_t len;

	if (host_ptr == NULL)
		return NULL;
	if (cl_image_desc_box(d, pixel, &box) && cl_box_bytes(&box, &len))
		s = cl_staging_new(len);
	if (s == NULL)
		*err = CL_MEM_OBJECT_ALLOCATION_FAILURE;
	else
		cl_box_pack(s->p, host_ptr, &box);
	return s;
}

static bool
is_supported(struct _cl_context *ctx, cl_mem_flags flags, cl_mem_object_type type,
	     const cl_image_format *f)
{
	cl_image_format *all;
	bool found = false;
	cl_uint n = 0;

	if (clGetSupportedImageFormats(ctx, flags, type, 0, NULL, &n) != CL_SUCCESS || n == 0)
		return false;
	all = calloc(n, sizeof(*all));
	if (all != NULL && clGetSupportedImageFormats(ctx, flags, type, n, all, NULL) == CL_SUCCESS)
		for (cl_uint i = 0; i < n && !found; i++)
			found = all[i].image_channel_order == f->image_channel_order &&
				all[i].image_channel_data_type == f->image_channel_data_type;
	free(all);
	return found;
}

/* Runtimes have various words for a format they do not know. */
static cl_int
why_not(struct _cl_context *ctx, cl_mem_flags flags, cl_mem_object_type type,
	const cl_image_format *f, cl_int err)
{
	cl_bool images = CL_FALSE;

	if (err != CL_INVALID_OPERATION && err != CL_INVALID_IMAGE_FORMAT_DESCRIPTOR)
		return err;
	if (clGetDeviceInfo(cl_the_device(), CL_DEVICE_IMAGE_SUPPORT, sizeof(images), &images,
			    NULL) != CL_SUCCESS ||
	    !images)
		return CL_INVALID_OPERATION;
	flags &= CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY;
	return is_supported(ctx, flags != 0 ? flags : CL_MEM_READ_WRITE, type, f)
		       ? err
		       : CL_IMAGE_FORMAT_NOT_SUPPORTED;
}

/* What clGetImageInfo() tells: what does not count is 0, and pitches are there. */
static void
describe(struct _cl_mem *mem, const cl_image_format *f, const cl_image_desc *d)
{
	cl_image_desc *o = &mem->desc;
	struct cl_box box;

	mem->format = *f;
	mem->element_size = cl_pixel_size(f);
	o->image_type = d->image_type;
	o->image_width = d->image_width;
	o->image_row_pitch = d->image_row_pitch;
	o->image_slice_pitch = d->image_slice_pitch;
	switch (d->image_type) {
	case CL_MEM_OBJECT_IMAGE3D:
		o->image_depth = d->image_depth;
		o->image_height = d->image_height;
		break;
	case CL_MEM_OBJECT_IMAGE2D_ARRAY:
		o->image_array_size = d->image_array_size;
		o->image_height = d->image_height;
		break;
	case CL_MEM_OBJECT_IMAGE1D_ARRAY:
		o->image_array_size = d->image_array_size;
		break;
	case CL_MEM_OBJECT_IMAGE2D:
		o->image_height = d->image_height;
		break;
	default:
		break;
	}
	cl_image_desc_box(o, mem->element_size, &box);
	if (o->image_row_pitch == 0)
		o->image_row_pitch = box.row;
	if (d->image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY)
		o->image_slice_pitch = box.row_pitch;
	else if (o->image_array_size != 0 || o->image_depth != 0)
		o->image_slice_pitch = box.slice_pitch;
	else
		o->image_slice_pitch = 0;
	cl_box_extent(&box, &mem->size);
	if (o->image_slice_pitch != 0)
		mem->size = o->image_slice_pitch * (o->image_array_size + o->image_depth);
	else
		mem->size = o->image_row_pitch * box.rows;
}

/* What an image may be made of. */
static cl_int
from_check(const struct _cl_context *ctx, const cl_image_desc *d, cl_mem_flags flags)
{
	struct _cl_mem *from = d->mem_object;

	if (from == NULL)
		return d->image_type == CL_MEM_OBJECT_IMAGE1D_BUFFER ? CL_INVALID_IMAGE_DESCRIPTOR
								     : CL_SUCCESS;
	if (!cl_is(from, CL_KIND_MEM) || from->ctx != ctx)
		return CL_INVALID_IMAGE_DESCRIPTOR;
	if (flags & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR | CL_MEM_ALLOC_HOST_PTR))
		return CL_INVALID_VALUE;
	if (d->image_type == CL_MEM_OBJECT_IMAGE1D_BUFFER)
		return from->type == CL_MEM_OBJECT_BUFFER ? CL_SUCCESS
							  : CL_INVALID_IMAGE_DESCRIPTOR;
	if (d->image_type == CL_MEM_OBJECT_IMAGE2D)
		return from->type == CL_MEM_OBJECT_BUFFER || from->type == CL_MEM_OBJECT_IMAGE2D
			       ? CL_SUCCESS
			       : CL_INVALID_IMAGE_DESCRIPTOR;
	return CL_INVALID_IMAGE_DESCRIPTOR;
}

static struct _cl_mem *
create(struct _cl_context *ctx, cl_mem_flags flags, const cl_image_format *f,
       const cl_image_desc *d, void *host_ptr, cl_int *err)
{
	struct _cl_mem *from = d->mem_object, *mem;
	cl_image_desc desc = *d;
	struct cl_staging *s;
	uint64_t id;

	s = stage(d, cl_pixel_size(f), host_ptr, err);
	if (*err != CL_SUCCESS)
		return NULL;
	desc.mem_object = NULL;
	if (from == NULL)
		desc.image_row_pitch = desc.image_slice_pitch = 0;
	*err = rpc_CreateImage(cl_id(ctx), cl_mem_flags_sent(flags), f, sizeof(*f), &desc,
			       sizeof(desc), cl_id(from), s != NULL ? cl_arena_addr(s->p) : 0,
			       s != NULL ? s->len : 0, &id);
	cl_staging_put(s);
	if (*err != CL_SUCCESS) {
		*err = why_not(ctx, flags, d->image_type, f, *err);
		return NULL;
	}
	mem = cl_mem_new(ctx, id, d->image_type,
			 from != NULL ? cl_mem_flags_inherit(flags, from->flags) : flags);
	if (mem == NULL) {
		*err = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	if (from != NULL) {
		cl_retain(from);
		mem->parent = from;
		mem->host_ptr = from->host_ptr;
	} else if (flags & CL_MEM_USE_HOST_PTR) {
		mem->host_ptr = host_ptr;
	}
	describe(mem, f, d);
	return mem;
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateImageWithProperties(cl_context ctx, const cl_mem_properties *props, cl_mem_flags flags,
			    const cl_image_format *f, const cl_image_desc *d, void *host_ptr,
			    cl_int *errcode_ret)
{
	struct _cl_mem *mem = NULL;
	cl_int err = CL_SUCCESS;

	if (!cl_is(ctx, CL_KIND_CONTEXT))
		err = CL_INVALID_CONTEXT;
	else if (props != NULL && props[0] != 0)
		err = CL_INVALID_PROPERTY;
	else if (cl_mem_flags_check(flags, host_ptr) == CL_INVALID_VALUE)
		err = CL_INVALID_VALUE;
	if (err == CL_SUCCESS)
		err = cl_image_desc_check(f, d, host_ptr);
	if (err == CL_SUCCESS)
		err = cl_mem_flags_check(flags, host_ptr);
	if (err == CL_SUCCESS)
		err = from_check(ctx, d, flags);
	if (err == CL_SUCCESS)
		mem = create(ctx, flags, f, d, host_ptr, &err);
	if (mem != NULL && !cl_props_copy(props, 2, &mem->props, &mem->nb_props)) {
		cl_release(mem);
		mem = NULL;
		err = CL_OUT_OF_HOST_MEMORY;
	}
	if (errcode_ret != NULL)
		*errcode_ret = err;
	return mem;
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateImage(cl_context ctx, cl_mem_flags flags, const cl_image_format *f, const cl_image_desc *d,
	      void *host_ptr, cl_int *errcode_ret)
{
	return clCreateImageWithProperties(ctx, NULL, flags, f, d, host_ptr, errcode_ret);
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateImage2D(cl_context ctx, cl_mem_flags flags, const cl_image_format *f, size_t width,
		size_t height, size_t row_pitch, void *host_ptr, cl_int *errcode_ret)
{
	const cl_image_desc d = {.image_type = CL_MEM_OBJECT_IMAGE2D,
				 .image_width = width,
				 .image_height = height,
				 .image_row_pitch = row_pitch};

	return clCreateImage(ctx, flags, f, &d, host_ptr, errcode_ret);
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateImage3D(cl_context ctx, cl_mem_flags flags, const cl_image_format *f, size_t width,
		size_t height, size_t depth, size_t row_pitch, size_t slice_pitch, void *host_ptr,
		cl_int *errcode_ret)
{
	const cl_image_desc d = {.image_type = CL_MEM_OBJECT_IMAGE3D,
				 .image_width = width,
				 .image_height = height,
				 .image_depth = depth,
				 .image_row_pitch = row_pitch,
				 .image_slice_pitch = slice_pitch};

	return clCreateImage(ctx, flags, f, &d, host_ptr, errcode_ret);
}
