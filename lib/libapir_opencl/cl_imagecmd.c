/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <string.h>

#include "cl_mem.h"

/* Read and write ----------------------------------------------------------------------------------------------------- */

static cl_int
send_write(const struct cl_transfer *t, uint64_t addr, size_t len, uint64_t *id)
{
	return rpc_EnqueueWriteImage(cl_id(t->queue), cl_id(t->mem), t->blocking, t->origin,
				     t->region, 0, 0, addr, len, t->nb_waits, t->waits, id);
}

static cl_int
send_read(const struct cl_transfer *t, uint64_t addr, size_t len, uint64_t *id)
{
	return rpc_EnqueueReadImage(cl_id(t->queue), cl_id(t->mem), t->blocking, t->origin,
				    t->region, 0, 0, addr, len, t->nb_waits, t->waits, id);
}

static cl_int
begin(struct cl_transfer *t, const size_t *origin, const size_t *region, size_t row_pitch,
      size_t slice_pitch, const void *ptr)
{
	cl_int err = cl_command_check(t->queue, t->mem, 0);

	if (err == CL_SUCCESS)
		err = cl_image_region_check(t->mem, origin, region);
	if (err == CL_SUCCESS && ptr == NULL)
		err = CL_INVALID_VALUE;
	if (err == CL_SUCCESS)
		err = cl_image_box(t->mem, region, row_pitch, slice_pitch, &t->box);
	if (err == CL_SUCCESS)
		err = cl_waits_check(t->queue->ctx, t->nb_waits, t->waits);
	if (err != CL_SUCCESS)
		return err;
	t->ptr = (uint8_t *)(uintptr_t)ptr;
	memcpy(t->origin, origin, sizeof(t->origin));
	memcpy(t->region, region, sizeof(t->region));
	return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueWriteImage(cl_command_queue queue, cl_mem image, cl_bool blocking, const size_t *origin,
		    const size_t *region, size_t row_pitch, size_t slice_pitch, const void *ptr,
		    cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	struct cl_transfer t = {.queue = queue,
				.mem = image,
				.type = CL_COMMAND_WRITE_IMAGE,
				.blocking = blocking != CL_FALSE,
				.nb_waits = nb_waits,
				.waits = waits,
				.event = event,
				.send = send_write};
	cl_int err = begin(&t, origin, region, row_pitch, slice_pitch, ptr);

	if (err == CL_SUCCESS)
		err = cl_host_access_check(image, false, true);
	return err != CL_SUCCESS ? err : cl_transfer_write(&t);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueReadImage(cl_command_queue queue, cl_mem image, cl_bool blocking, const size_t *origin,
		   const size_t *region, size_t row_pitch, size_t slice_pitch, void *ptr,
		   cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	struct cl_transfer t = {.queue = queue,
				.mem = image,
				.type = CL_COMMAND_READ_IMAGE,
				.blocking = blocking != CL_FALSE,
				.nb_waits = nb_waits,
				.waits = waits,
				.event = event,
				.send = send_read};
	cl_int err = begin(&t, origin, region, row_pitch, slice_pitch, ptr);

	if (err == CL_SUCCESS)
		err = cl_host_access_check(image, true, false);
	return err != CL_SUCCESS ? err : cl_transfer_read(&t);
}

/* Fill and copy ------------------------------------------------------------------------------------------------------ */

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueFillImage(cl_command_queue queue, cl_mem image, const void *color, const size_t *origin,
		   const size_t *region, cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	cl_uint c[4] = {0, 0, 0, 0};
	uint64_t id = 0;
	cl_int err;

	err = cl_command_check(queue, image, 0);
	if (err == CL_SUCCESS && color == NULL)
		err = CL_INVALID_VALUE;
	if (err == CL_SUCCESS)
		err = cl_image_region_check(image, origin, region);
	if (err == CL_SUCCESS)
		err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err != CL_SUCCESS)
		return err;
	/* one float for depth, else four numbers */
	memcpy(c, color, image->format.image_channel_order == CL_DEPTH ? sizeof(c[0]) : sizeof(c));
	err = rpc_EnqueueFillImage(cl_id(queue), cl_id(image), c, sizeof(c), origin, region,
				   nb_waits, waits, event != NULL ? &id : NULL);
	if (err != CL_SUCCESS)
		return err;
	return cl_command_done(queue, CL_COMMAND_FILL_IMAGE, id, false, NULL, event);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueCopyImage(cl_command_queue queue, cl_mem src, cl_mem dst, const size_t *src_origin,
		   const size_t *dst_origin, const size_t *region, cl_uint nb_waits,
		   const cl_event *waits, cl_event *event)
{
	uint64_t id = 0;
	cl_int err;

	err = cl_command_check(queue, src, 0);
	if (err == CL_SUCCESS)
		err = cl_command_check(queue, dst, 0);
	if (err == CL_SUCCESS &&
	    (src->format.image_channel_order != dst->format.image_channel_order ||
	     src->format.image_channel_data_type != dst->format.image_channel_data_type))
		err = CL_IMAGE_FORMAT_MISMATCH;
	if (err == CL_SUCCESS)
		err = cl_image_region_check(src, src_origin, region);
	if (err == CL_SUCCESS)
		err = cl_image_region_check(dst, dst_origin, region);
	if (err == CL_SUCCESS)
		err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err == CL_SUCCESS)
		err = rpc_EnqueueCopyImage(cl_id(queue), cl_id(src), cl_id(dst), src_origin,
					   dst_origin, region, nb_waits, waits,
					   event != NULL ? &id : NULL);
	if (err != CL_SUCCESS)
		return err;
	return cl_command_done(queue, CL_COMMAND_COPY_IMAGE, id, false, NULL, event);
}

/* The region's pixels, one after the other, in a buffer from offset on. */
static cl_int
buffer_check(const struct _cl_mem *image, const size_t *origin, const size_t *region,
	     const struct _cl_mem *buffer, size_t offset)
{
	struct cl_box box;
	size_t len;
	cl_int err = cl_image_region_check(image, origin, region);

	if (err != CL_SUCCESS)
		return err;
	if (cl_image_box(image, region, 0, 0, &box) != CL_SUCCESS || !cl_box_bytes(&box, &len) ||
	    offset > buffer->size || len > buffer->size - offset)
		return CL_INVALID_VALUE;
	return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueCopyImageToBuffer(cl_command_queue queue, cl_mem src, cl_mem dst, const size_t *origin,
			   const size_t *region, size_t offset, cl_uint nb_waits,
			   const cl_event *waits, cl_event *event)
{
	uint64_t id = 0;
	cl_int err;

	err = cl_command_check(queue, src, 0);
	if (err == CL_SUCCESS)
		err = cl_command_check(queue, dst, CL_MEM_OBJECT_BUFFER);
	if (err == CL_SUCCESS)
		err = buffer_check(src, origin, region, dst, offset);
	if (err == CL_SUCCESS)
		err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err == CL_SUCCESS)
		err = rpc_EnqueueCopyImageToBuffer(cl_id(queue), cl_id(src), cl_id(dst), origin,
						   region, offset, nb_waits, waits,
						   event != NULL ? &id : NULL);
	if (err != CL_SUCCESS)
		return err;
	return cl_command_done(queue, CL_COMMAND_COPY_IMAGE_TO_BUFFER, id, false, NULL, event);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueCopyBufferToImage(cl_command_queue queue, cl_mem src, cl_mem dst, size_t offset,
			   const size_t *origin, const size_t *region, cl_uint nb_waits,
			   const cl_event *waits, cl_event *event)
{
	uint64_t id = 0;
	cl_int err;

	err = cl_command_check(queue, src, CL_MEM_OBJECT_BUFFER);
	if (err == CL_SUCCESS)
		err = cl_command_check(queue, dst, 0);
	if (err == CL_SUCCESS)
		err = buffer_check(dst, origin, region, src, offset);
	if (err == CL_SUCCESS)
		err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err == CL_SUCCESS)
		err = rpc_EnqueueCopyBufferToImage(cl_id(queue), cl_id(src), cl_id(dst), offset,
						   origin, region, nb_waits, waits,
						   event != NULL ? &id : NULL);
	if (err != CL_SUCCESS)
		return err;
	return cl_command_done(queue, CL_COMMAND_COPY_BUFFER_TO_IMAGE, id, false, NULL, event);
}
