/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Images. */

#include <string.h>

#include "cl_dispatch.h"
#include "srv_memory.h"

/* Bytes of a pixel; 0: the host will say that there is no such format. */
static unsigned int
pixel_bytes(const cl_image_format *f)
{
	unsigned int channels;

	switch (f->image_channel_order) {
	case CL_RG:
	case CL_RA:
	case CL_RGx:
		channels = 2;
		break;
	case CL_RGB:
	case CL_RGBx:
	case CL_sRGB:
		channels = 3;
		break;
	case CL_RGBA:
	case CL_BGRA:
	case CL_ARGB:
	case CL_ABGR:
	case CL_sRGBx:
	case CL_sRGBA:
	case CL_sBGRA:
		channels = 4;
		break;
	default:
		channels = 1;
	}
	switch (f->image_channel_data_type) {
	case CL_SNORM_INT8:
	case CL_UNORM_INT8:
	case CL_SIGNED_INT8:
	case CL_UNSIGNED_INT8:
		return channels;
	case CL_SNORM_INT16:
	case CL_UNORM_INT16:
	case CL_SIGNED_INT16:
	case CL_UNSIGNED_INT16:
	case CL_HALF_FLOAT:
		return 2 * channels;
	case CL_SIGNED_INT32:
	case CL_UNSIGNED_INT32:
	case CL_FLOAT:
		return 4 * channels;
	case CL_UNORM_SHORT_565:
	case CL_UNORM_SHORT_555:
		return 2;
	case CL_UNORM_INT_101010:
	case CL_UNORM_INT_101010_2:
	case CL_UNORM_INT24:
		return 4;
	default:
		return 0;
	}
}

/* Bytes that the host reads when it makes the image; UINT64_MAX: too many to count. */
static uint64_t
image_bytes(const cl_image_format *f, const cl_image_desc *d)
{
	uint64_t region[3] = {0, 1, 1}, row = d->image_row_pitch, slice = d->image_slice_pitch;

	if (__builtin_mul_overflow(d->image_width, pixel_bytes(f), &region[0]))
		return UINT64_MAX;
	if (row == 0)
		row = region[0];
	switch (d->image_type) {
	case CL_MEM_OBJECT_IMAGE2D:
	case CL_MEM_OBJECT_IMAGE2D_ARRAY:
	case CL_MEM_OBJECT_IMAGE3D:
		region[1] = d->image_height;
		break;
	}
	if (slice == 0 && __builtin_mul_overflow(row, region[1], &slice))
		return UINT64_MAX;
	switch (d->image_type) {
	case CL_MEM_OBJECT_IMAGE1D_ARRAY:
	case CL_MEM_OBJECT_IMAGE2D_ARRAY:
		region[2] = d->image_array_size;
		break;
	case CL_MEM_OBJECT_IMAGE3D:
		region[2] = d->image_depth;
		break;
	}
	return srv_box_bytes(region, row, slice, 0);
}

cl_int
srv_CreateImage(struct srv *s, cl_context ctx, uint64_t flags, const void *format,
		size_t format_len, const void *desc, size_t desc_len, cl_mem from, void *host,
		size_t host_len, cl_mem *mem)
{
	const cl_mem_flags odd = CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR;
	cl_image_format f;
	cl_image_desc d;
	cl_int err;

	if (format_len != 0 && format_len != sizeof(f))
		return CL_INVALID_IMAGE_FORMAT_DESCRIPTOR;
	if (desc_len != 0 && desc_len != sizeof(d))
		return CL_INVALID_IMAGE_DESCRIPTOR;
	memset(&f, 0, sizeof(f));
	memset(&d, 0, sizeof(d));
	if (format_len != 0)
		memcpy(&f, format, sizeof(f));
	if (desc_len != 0)
		memcpy(&d, desc, sizeof(d));
	d.mem_object = from;
	if (host != NULL && image_bytes(&f, &d) > host_len)
		return CL_INVALID_HOST_PTR;
	/* The program's bytes are here only for the time of the call. */
	if ((flags & CL_MEM_USE_HOST_PTR) != 0 && (flags & odd) == 0 && host != NULL)
		flags ^= CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR;
	*mem = clCreateImage(ctx, flags, format_len != 0 ? &f : NULL, desc_len != 0 ? &d : NULL,
			     host, &err);
	return *mem != NULL && from == NULL ? srv_memory_count(s->sh, mem) : err;
}

/* True if data_len bytes hold a box of an image. */
static bool
box_fits(cl_mem image, const uint64_t *region, uint64_t row, uint64_t slice, size_t data_len)
{
	uint64_t box[3] = {0, region[1], region[2]};
	cl_mem_object_type type = 0;
	size_t pixel = 0;

	clGetMemObjectInfo(image, CL_MEM_TYPE, sizeof(type), &type, NULL);
	clGetImageInfo(image, CL_IMAGE_ELEMENT_SIZE, sizeof(pixel), &pixel, NULL);
	if (__builtin_mul_overflow(region[0], pixel, &box[0]))
		return false;
	if (row == 0)
		row = box[0];
	/* Of an array of lines hosts take either for the distance of two. */
	if (type == CL_MEM_OBJECT_IMAGE1D_ARRAY && slice > row)
		row = slice;
	if (slice == 0 && __builtin_mul_overflow(row, region[1], &slice))
		return false;
	return srv_box_bytes(box, row, slice, 0) <= data_len;
}

cl_int
srv_EnqueueReadImage(struct srv *s, cl_command_queue queue, cl_mem image, uint32_t blocking,
		     const uint64_t *origin, const uint64_t *region, uint64_t row, uint64_t slice,
		     void *data, size_t data_len, cl_uint nb_waits, const cl_event *waits,
		     cl_event *event)
{
	if (data != NULL && !box_fits(image, region, row, slice, data_len))
		return CL_INVALID_VALUE;
	s->waited = blocking != 0;
	return clEnqueueReadImage(queue, image, blocking, origin, region, row, slice, data,
				  nb_waits, waits, event);
}

cl_int
srv_EnqueueWriteImage(struct srv *s, cl_command_queue queue, cl_mem image, uint32_t blocking,
		      const uint64_t *origin, const uint64_t *region, uint64_t row, uint64_t slice,
		      void *data, size_t data_len, cl_uint nb_waits, const cl_event *waits,
		      cl_event *event)
{
	if (data != NULL && !box_fits(image, region, row, slice, data_len))
		return CL_INVALID_VALUE;
	s->waited = blocking != 0;
	return clEnqueueWriteImage(queue, image, blocking, origin, region, row, slice, data,
				   nb_waits, waits, event);
}

cl_int
srv_EnqueueFillImage(struct srv *s, cl_command_queue queue, cl_mem image, const void *color,
		     size_t color_len, const uint64_t *origin, const uint64_t *region,
		     cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	/* Four components of 4 bytes, but for depth images, which have one. */
	uint32_t c[4] = {0};

	(void)s;
	if (color_len != sizeof(c[0]) && color_len != sizeof(c) && color_len != 0)
		return CL_INVALID_VALUE;
	if (color_len != 0)
		memcpy(c, color, color_len);
	return clEnqueueFillImage(queue, image, color_len != 0 ? c : NULL, origin, region, nb_waits,
				  waits, event);
}
