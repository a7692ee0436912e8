/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <string.h>

#include "cl_map.h"

/* The first byte of a region in the program's memory of a whole image. */
static size_t
place(const struct _cl_mem *image, const size_t *origin)
{
	const cl_image_desc *d = &image->desc;
	const size_t line = image->type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? d->image_slice_pitch
								       : d->image_row_pitch;

	return origin[0] * image->element_size + origin[1] * line +
	       origin[2] * d->image_slice_pitch;
}

static struct cl_map *
new_map(struct _cl_mem *image, cl_map_flags flags, const size_t *origin, const size_t *region)
{
	struct _cl_mem *buffer = NULL;
	const cl_image_desc *d = &image->desc;
	struct cl_map *m;
	struct cl_box box;
	size_t len;

	if (cl_image_box(image, region, 0, 0, &box) != CL_SUCCESS || !cl_box_bytes(&box, &len))
		return NULL;
	/* pixels in a line of a buffer that we see, too */
	if (image->type == CL_MEM_OBJECT_IMAGE1D_BUFFER && image->parent->storage != NULL)
		buffer = image->parent;
	m = cl_map_new(flags, buffer, buffer != NULL ? place(image, origin) : 0, len);
	if (m == NULL)
		return NULL;
	memcpy(m->origin, origin, sizeof(m->origin));
	memcpy(m->region, region, sizeof(m->region));
	if (image->host_ptr != NULL) {
		m->ptr = (uint8_t *)image->host_ptr + place(image, origin);
		cl_image_box(image, region, d->image_row_pitch, d->image_slice_pitch, &box);
	}
	m->box = box;
	return m;
}

static bool
has_slices(const struct _cl_mem *image)
{
	return image->type == CL_MEM_OBJECT_IMAGE3D || image->type == CL_MEM_OBJECT_IMAGE1D_ARRAY ||
	       image->type == CL_MEM_OBJECT_IMAGE2D_ARRAY;
}

CL_API_ENTRY void *CL_API_CALL
clEnqueueMapImage(cl_command_queue queue, cl_mem image, cl_bool blocking, cl_map_flags flags,
		  const size_t *origin, const size_t *region, size_t *row_pitch,
		  size_t *slice_pitch, cl_uint nb_waits, const cl_event *waits, cl_event *event,
		  cl_int *errcode_ret)
{
	const struct cl_map_command c = {.queue = queue,
					 .mem = image,
					 .type = CL_COMMAND_MAP_IMAGE,
					 .blocking = blocking != CL_FALSE,
					 .nb_waits = nb_waits,
					 .waits = waits,
					 .event = event};
	struct cl_map *m = NULL;
	struct cl_box box;
	void *p = NULL;
	cl_int err;

	err = cl_command_check(queue, image, 0);
	if (err == CL_SUCCESS)
		err = cl_image_region_check(image, origin, region);
	if (err == CL_SUCCESS && (row_pitch == NULL || (slice_pitch == NULL && has_slices(image))))
		err = CL_INVALID_VALUE;
	if (err == CL_SUCCESS)
		err = cl_map_flags_check(image, flags);
	if (err == CL_SUCCESS)
		err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err == CL_SUCCESS) {
		m = new_map(image, flags, origin, region);
		err = m != NULL ? CL_SUCCESS : CL_MAP_FAILURE;
	}
	if (m != NULL) {
		box = m->box;
		p = cl_map_enqueue(&c, m, &err);
	}
	if (p != NULL) {
		*row_pitch = box.row_pitch;
		if (slice_pitch != NULL && !has_slices(image))
			*slice_pitch = 0;
		else if (slice_pitch != NULL)
			*slice_pitch = image->type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? box.row_pitch
										  : box.slice_pitch;
		/* the lines of a 1D array are its slices */
		if (image->type == CL_MEM_OBJECT_IMAGE1D_ARRAY && image->host_ptr != NULL)
			*row_pitch = image->desc.image_row_pitch;
	}
	if (errcode_ret != NULL)
		*errcode_ret = err;
	return p;
}
