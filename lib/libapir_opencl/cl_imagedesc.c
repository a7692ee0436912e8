/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include "cl_mem.h"

static size_t
channels(cl_channel_order order)
{
	switch (order) {
	case CL_R:
	case CL_A:
	case CL_Rx:
	case CL_INTENSITY:
	case CL_LUMINANCE:
	case CL_DEPTH:
		return 1;
	case CL_RG:
	case CL_RA:
	case CL_RGx:
		return 2;
	case CL_RGB:
	case CL_sRGB:
		return 3;
	case CL_RGBx:
	case CL_RGBA:
	case CL_BGRA:
	case CL_ARGB:
	case CL_ABGR:
	case CL_sRGBx:
	case CL_sRGBA:
	case CL_sBGRA:
		return 4;
	default:
		return 0;
	}
}

size_t
cl_pixel_size(const cl_image_format *f)
{
	const size_t n = channels(f->image_channel_order);

	switch (f->image_channel_data_type) {
	case CL_SNORM_INT8:
	case CL_UNORM_INT8:
	case CL_SIGNED_INT8:
	case CL_UNSIGNED_INT8:
		return n;
	case CL_SNORM_INT16:
	case CL_UNORM_INT16:
	case CL_SIGNED_INT16:
	case CL_UNSIGNED_INT16:
	case CL_HALF_FLOAT:
		return 2 * n;
	case CL_SIGNED_INT32:
	case CL_UNSIGNED_INT32:
	case CL_FLOAT:
		return 4 * n;
	/* all channels in one number */
	case CL_UNORM_SHORT_565:
	case CL_UNORM_SHORT_555:
		return n == 0 ? 0 : 2;
	case CL_UNORM_INT_101010:
	case CL_UNORM_INT_101010_2:
		return n == 0 ? 0 : 4;
	default:
		return 0;
	}
}

void
cl_image_extent(const cl_image_desc *d, size_t extent[3])
{
	extent[0] = d->image_width;
	extent[1] = extent[2] = 1;
	switch (d->image_type) {
	case CL_MEM_OBJECT_IMAGE2D:
		extent[1] = d->image_height;
		break;
	case CL_MEM_OBJECT_IMAGE3D:
		extent[1] = d->image_height;
		extent[2] = d->image_depth;
		break;
	case CL_MEM_OBJECT_IMAGE1D_ARRAY:
		extent[1] = d->image_array_size;
		break;
	case CL_MEM_OBJECT_IMAGE2D_ARRAY:
		extent[1] = d->image_height;
		extent[2] = d->image_array_size;
		break;
	default:
		break;
	}
}

cl_int
cl_image_region_check(const struct _cl_mem *image, const size_t *origin, const size_t *region)
{
	size_t extent[3];

	if (origin == NULL || region == NULL)
		return CL_INVALID_VALUE;
	cl_image_extent(&image->desc, extent);
	for (int i = 0; i < 3; i++)
		if (region[i] == 0 || origin[i] > extent[i] || region[i] > extent[i] - origin[i])
			return CL_INVALID_VALUE;
	return CL_SUCCESS;
}

/* Lines of a 1D array lie a slice apart; images without slices have no such pitch. False: pitches too short for a line or slice. */
static bool
set_pitches(cl_mem_object_type type, struct cl_box *b, size_t row_pitch, size_t slice_pitch)
{
	size_t least;

	if (row_pitch != 0 && row_pitch < b->row)
		return false;
	b->row_pitch = row_pitch != 0 ? row_pitch : b->row;
	if (type == CL_MEM_OBJECT_IMAGE1D_ARRAY && slice_pitch != 0) {
		if (slice_pitch < b->row_pitch)
			return false;
		b->row_pitch = slice_pitch;
	}
	if (__builtin_mul_overflow(b->rows, b->row_pitch, &least))
		return false;
	b->slice_pitch = least;
	if (slice_pitch != 0 &&
	    (type == CL_MEM_OBJECT_IMAGE3D || type == CL_MEM_OBJECT_IMAGE2D_ARRAY)) {
		if (slice_pitch < least)
			return false;
		b->slice_pitch = slice_pitch;
	}
	return true;
}

cl_int
cl_image_box(const struct _cl_mem *image, const size_t *region, size_t row_pitch,
	     size_t slice_pitch, struct cl_box *box)
{
	*box = (struct cl_box){
		.row = region[0] * image->element_size, .rows = region[1], .slices = region[2]};
	return set_pitches(image->type, box, row_pitch, slice_pitch) ? CL_SUCCESS
								     : CL_INVALID_VALUE;
}

bool
cl_image_desc_box(const cl_image_desc *d, size_t pixel, struct cl_box *box)
{
	size_t extent[3];

	cl_image_extent(d, extent);
	*box = (struct cl_box){.rows = extent[1], .slices = extent[2]};
	return !__builtin_mul_overflow(extent[0], pixel, &box->row) &&
	       set_pitches(d->image_type, box, d->image_row_pitch, d->image_slice_pitch);
}

/* Creation ----------------------------------------------------------------------------------------------------------- */

static size_t
limit(cl_device_info name)
{
	size_t v = SIZE_MAX;

	if (clGetDeviceInfo(cl_the_device(), name, sizeof(v), &v, NULL) != CL_SUCCESS)
		return SIZE_MAX;
	return v;
}

/* Before so much is read from the program's memory. */
static cl_int
size_check(const cl_image_desc *d)
{
	size_t extent[3], most[3] = {0, 1, 1};

	cl_image_extent(d, extent);
	switch (d->image_type) {
	case CL_MEM_OBJECT_IMAGE1D_BUFFER:
		most[0] = limit(CL_DEVICE_IMAGE_MAX_BUFFER_SIZE);
		break;
	case CL_MEM_OBJECT_IMAGE1D_ARRAY:
		most[1] = limit(CL_DEVICE_IMAGE_MAX_ARRAY_SIZE);
		most[0] = limit(CL_DEVICE_IMAGE2D_MAX_WIDTH);
		break;
	case CL_MEM_OBJECT_IMAGE3D:
		most[0] = limit(CL_DEVICE_IMAGE3D_MAX_WIDTH);
		most[1] = limit(CL_DEVICE_IMAGE3D_MAX_HEIGHT);
		most[2] = limit(CL_DEVICE_IMAGE3D_MAX_DEPTH);
		break;
	case CL_MEM_OBJECT_IMAGE2D_ARRAY:
		most[2] = limit(CL_DEVICE_IMAGE_MAX_ARRAY_SIZE);
		most[0] = limit(CL_DEVICE_IMAGE2D_MAX_WIDTH);
		most[1] = limit(CL_DEVICE_IMAGE2D_MAX_HEIGHT);
		break;
	case CL_MEM_OBJECT_IMAGE2D:
		most[1] = limit(CL_DEVICE_IMAGE2D_MAX_HEIGHT);
		most[0] = limit(CL_DEVICE_IMAGE2D_MAX_WIDTH);
		break;
	default:
		most[0] = limit(CL_DEVICE_IMAGE2D_MAX_WIDTH);
		break;
	}
	for (int i = 0; i < 3; i++)
		if (extent[i] > most[i])
			return CL_INVALID_IMAGE_SIZE;
	return CL_SUCCESS;
}

cl_int
cl_image_desc_check(const cl_image_format *f, const cl_image_desc *d, const void *host_ptr)
{
	struct cl_box box;
	size_t extent[3];

	if (f == NULL || cl_pixel_size(f) == 0)
		return CL_INVALID_IMAGE_FORMAT_DESCRIPTOR;
	if (d == NULL || d->num_mip_levels != 0 || d->num_samples != 0)
		return CL_INVALID_IMAGE_DESCRIPTOR;
	switch (d->image_type) {
	case CL_MEM_OBJECT_IMAGE1D:
	case CL_MEM_OBJECT_IMAGE1D_ARRAY:
	case CL_MEM_OBJECT_IMAGE1D_BUFFER:
	case CL_MEM_OBJECT_IMAGE2D:
	case CL_MEM_OBJECT_IMAGE2D_ARRAY:
	case CL_MEM_OBJECT_IMAGE3D:
		break;
	default:
		return CL_INVALID_IMAGE_DESCRIPTOR;
	}
	cl_image_extent(d, extent);
	if (extent[0] == 0 || extent[1] == 0 || extent[2] == 0)
		return CL_INVALID_IMAGE_SIZE;
	if (host_ptr == NULL && d->mem_object == NULL &&
	    (d->image_row_pitch != 0 || d->image_slice_pitch != 0))
		return CL_INVALID_IMAGE_DESCRIPTOR;
	if (!cl_image_desc_box(d, cl_pixel_size(f), &box) ||
	    d->image_row_pitch % cl_pixel_size(f) != 0 ||
	    (d->image_slice_pitch != 0 && d->image_row_pitch != 0 &&
	     d->image_slice_pitch % d->image_row_pitch != 0))
		return CL_INVALID_IMAGE_DESCRIPTOR;
	return size_check(d);
}
