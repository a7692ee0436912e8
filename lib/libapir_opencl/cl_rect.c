/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <string.h>

#include "cl_mem.h"

/* One side of a rectangle: where it begins, and its pitches. */
struct side {
	size_t begin;
	size_t row, slice;
};

/* CL_INVALID_VALUE unless the pitches fit the region and all of it lies within size bytes. */
static cl_int
side_check(const size_t *origin, const size_t *region, size_t row, size_t slice, size_t size,
	   struct side *s)
{
	size_t least, end;

	if (row != 0 && row < region[0])
		return CL_INVALID_VALUE;
	s->row = row != 0 ? row : region[0];
	least = 0;
	if (!cl_add_product(&least, region[1], s->row))
		return CL_INVALID_VALUE;
	if (slice != 0 && (slice < least || slice % s->row != 0))
		return CL_INVALID_VALUE;
	s->slice = slice != 0 ? slice : least;
	s->begin = origin[0];
	if (!cl_add_product(&s->begin, origin[1], s->row) ||
	    !cl_add_product(&s->begin, origin[2], s->slice))
		return CL_INVALID_VALUE;
	end = s->begin;
	if (!cl_add_product(&end, region[2] - 1, s->slice) ||
	    !cl_add_product(&end, region[1] - 1, s->row) || !cl_add_product(&end, region[0], 1))
		return CL_INVALID_VALUE;
	return end <= size ? CL_SUCCESS : CL_INVALID_VALUE;
}

static cl_int
send_write(const struct cl_transfer *t, uint64_t addr, size_t len, uint64_t *id)
{
	static const uint64_t here[3] = {0, 0, 0};

	return rpc_EnqueueWriteBufferRect(cl_id(t->queue), cl_id(t->mem), t->blocking, t->origin,
					  here, t->region, t->row, t->slice, 0, 0, addr, len,
					  t->nb_waits, t->waits, id);
}

static cl_int
send_read(const struct cl_transfer *t, uint64_t addr, size_t len, uint64_t *id)
{
	static const uint64_t here[3] = {0, 0, 0};

	return rpc_EnqueueReadBufferRect(cl_id(t->queue), cl_id(t->mem), t->blocking, t->origin,
					 here, t->region, t->row, t->slice, 0, 0, addr, len,
					 t->nb_waits, t->waits, id);
}

/* What both directions check and set. */
static cl_int
rect_begin(struct cl_transfer *t, const size_t *buffer_origin, const size_t *host_origin,
	   const size_t *region, size_t host_row, size_t host_slice, const void *ptr)
{
	struct side buffer, host;
	cl_int err;

	err = cl_command_check(t->queue, t->mem, CL_MEM_OBJECT_BUFFER);
	if (err != CL_SUCCESS)
		return err;
	if (ptr == NULL || buffer_origin == NULL || host_origin == NULL || region == NULL ||
	    region[0] == 0 || region[1] == 0 || region[2] == 0)
		return CL_INVALID_VALUE;
	err = side_check(buffer_origin, region, t->row, t->slice, t->mem->size, &buffer);
	if (err == CL_SUCCESS)
		err = side_check(host_origin, region, host_row, host_slice, SIZE_MAX, &host);
	if (err == CL_SUCCESS)
		err = cl_waits_check(t->queue->ctx, t->nb_waits, t->waits);
	if (err != CL_SUCCESS)
		return err;
	memcpy(t->origin, buffer_origin, sizeof(t->origin));
	memcpy(t->region, region, sizeof(t->region));
	t->ptr = (uint8_t *)(uintptr_t)ptr + host.begin;
	t->box = (struct cl_box){.row = region[0],
				 .rows = region[1],
				 .slices = region[2],
				 .row_pitch = host.row,
				 .slice_pitch = host.slice};
	return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueWriteBufferRect(cl_command_queue queue, cl_mem mem, cl_bool blocking,
			 const size_t *buffer_origin, const size_t *host_origin,
			 const size_t *region, size_t buffer_row, size_t buffer_slice,
			 size_t host_row, size_t host_slice, const void *ptr, cl_uint nb_waits,
			 const cl_event *waits, cl_event *event)
{
	struct cl_transfer t = {.queue = queue,
				.mem = mem,
				.type = CL_COMMAND_WRITE_BUFFER_RECT,
				.blocking = blocking != CL_FALSE,
				.nb_waits = nb_waits,
				.waits = waits,
				.event = event,
				.send = send_write,
				.row = buffer_row,
				.slice = buffer_slice};
	cl_int err;

	err = rect_begin(&t, buffer_origin, host_origin, region, host_row, host_slice, ptr);
	if (err == CL_SUCCESS)
		err = cl_host_access_check(mem, false, true);
	return err != CL_SUCCESS ? err : cl_transfer_write(&t);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueReadBufferRect(cl_command_queue queue, cl_mem mem, cl_bool blocking,
			const size_t *buffer_origin, const size_t *host_origin,
			const size_t *region, size_t buffer_row, size_t buffer_slice,
			size_t host_row, size_t host_slice, void *ptr, cl_uint nb_waits,
			const cl_event *waits, cl_event *event)
{
	struct cl_transfer t = {.queue = queue,
				.mem = mem,
				.type = CL_COMMAND_READ_BUFFER_RECT,
				.blocking = blocking != CL_FALSE,
				.nb_waits = nb_waits,
				.waits = waits,
				.event = event,
				.send = send_read,
				.row = buffer_row,
				.slice = buffer_slice};
	cl_int err;

	err = rect_begin(&t, buffer_origin, host_origin, region, host_row, host_slice, ptr);
	if (err == CL_SUCCESS)
		err = cl_host_access_check(mem, true, false);
	return err != CL_SUCCESS ? err : cl_transfer_read(&t);
}

/* Fill and copy ------------------------------------------------------------------------------------------------------ */

#define PATTERN_MAX 128u

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueFillBuffer(cl_command_queue queue, cl_mem mem, const void *pattern, size_t pattern_size,
		    size_t offset, size_t size, cl_uint nb_waits, const cl_event *waits,
		    cl_event *event)
{
	uint64_t id = 0;
	cl_int err;

	err = cl_command_check(queue, mem, CL_MEM_OBJECT_BUFFER);
	if (err != CL_SUCCESS)
		return err;
	if (offset > mem->size || size > mem->size - offset || pattern == NULL ||
	    pattern_size == 0 || pattern_size > PATTERN_MAX ||
	    (pattern_size & (pattern_size - 1)) != 0 || offset % pattern_size != 0 ||
	    size % pattern_size != 0)
		return CL_INVALID_VALUE;
	err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err == CL_SUCCESS)
		err = rpc_EnqueueFillBuffer(cl_id(queue), cl_id(mem), pattern, pattern_size, offset,
					    size, nb_waits, waits, event != NULL ? &id : NULL);
	if (err != CL_SUCCESS)
		return err;
	return cl_command_done(queue, CL_COMMAND_FILL_BUFFER, id, false, NULL, event);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueCopyBufferRect(cl_command_queue queue, cl_mem src, cl_mem dst, const size_t *src_origin,
			const size_t *dst_origin, const size_t *region, size_t src_row,
			size_t src_slice, size_t dst_row, size_t dst_slice, cl_uint nb_waits,
			const cl_event *waits, cl_event *event)
{
	struct side side;
	uint64_t id = 0;
	cl_int err;

	err = cl_command_check(queue, src, CL_MEM_OBJECT_BUFFER);
	if (err == CL_SUCCESS)
		err = cl_command_check(queue, dst, CL_MEM_OBJECT_BUFFER);
	if (err != CL_SUCCESS)
		return err;
	if (src_origin == NULL || dst_origin == NULL || region == NULL || region[0] == 0 ||
	    region[1] == 0 || region[2] == 0)
		return CL_INVALID_VALUE;
	err = side_check(src_origin, region, src_row, src_slice, src->size, &side);
	if (err == CL_SUCCESS)
		err = side_check(dst_origin, region, dst_row, dst_slice, dst->size, &side);
	if (err == CL_SUCCESS)
		err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err == CL_SUCCESS)
		err = rpc_EnqueueCopyBufferRect(cl_id(queue), cl_id(src), cl_id(dst), src_origin,
						dst_origin, region, src_row, src_slice, dst_row,
						dst_slice, nb_waits, waits,
						event != NULL ? &id : NULL);
	if (err != CL_SUCCESS)
		return err;
	return cl_command_done(queue, CL_COMMAND_COPY_BUFFER_RECT, id, false, NULL, event);
}
