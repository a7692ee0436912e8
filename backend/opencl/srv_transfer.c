/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Bytes into buffers and out of them. */

#include <stdlib.h>
#include <string.h>

#include "cl_dispatch.h"
#include "srv_memory.h"

cl_int
srv_EnqueueWriteBuffer(struct srv *s, cl_command_queue queue, cl_mem buffer, uint32_t blocking,
		       uint64_t offset, void *data, size_t data_len, cl_uint nb_waits,
		       const cl_event *waits, cl_event *event)
{
	s->waited = blocking != 0;
	return clEnqueueWriteBuffer(queue, buffer, blocking, offset, data_len, data, nb_waits,
				    waits, event);
}

cl_int
srv_EnqueueReadBuffer(struct srv *s, cl_command_queue queue, cl_mem buffer, uint32_t blocking,
		      uint64_t offset, void *data, size_t data_len, cl_uint nb_waits,
		      const cl_event *waits, cl_event *event)
{
	s->waited = blocking != 0;
	return clEnqueueReadBuffer(queue, buffer, blocking, offset, data_len, data, nb_waits, waits,
				   event);
}

static void CL_CALLBACK
on_written(cl_event event, cl_int status, void *copy)
{
	(void)event;
	(void)status;
	free(copy);
}

/* The request is gone when the call has been answered: the command has a copy. */
static cl_int
write_later(cl_command_queue queue, cl_mem buffer, uint64_t offset, const void *data, size_t len,
	    cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	void *copy = malloc(len > 0 ? len : 1);
	cl_event ev = NULL;
	cl_int err;

	if (copy == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	if (len > 0)
		memcpy(copy, data, len);
	err = clEnqueueWriteBuffer(queue, buffer, CL_FALSE, offset, len, copy, nb_waits, waits,
				   &ev);
	if (err != CL_SUCCESS) {
		free(copy);
		return err;
	}
	if (clSetEventCallback(ev, CL_COMPLETE, on_written, copy) != CL_SUCCESS) {
		clWaitForEvents(1, &ev);
		free(copy);
	}
	if (event != NULL)
		*event = ev;
	else
		clReleaseEvent(ev);
	return CL_SUCCESS;
}

cl_int
srv_WriteBufferInline(struct srv *s, cl_command_queue queue, cl_mem buffer, uint32_t blocking,
		      uint64_t offset, const void *data, size_t data_len, cl_uint nb_waits,
		      const cl_event *waits, cl_event *event)
{
	if (blocking == 0)
		return write_later(queue, buffer, offset, data, data_len, nb_waits, waits, event);
	s->waited = true;
	return clEnqueueWriteBuffer(queue, buffer, CL_TRUE, offset, data_len, data, nb_waits, waits,
				    event);
}

cl_int
srv_ReadBufferInline(struct srv *s, cl_command_queue queue, cl_mem buffer, uint64_t offset,
		     uint64_t size, cl_uint nb_waits, const cl_event *waits, cl_event *event,
		     struct srv_out *data)
{
	cl_int err;

	if (size > data->room)
		return CL_INVALID_VALUE;
	s->waited = true;
	err = clEnqueueReadBuffer(queue, buffer, CL_TRUE, offset, size, data->p, nb_waits, waits,
				  event);
	if (err == CL_SUCCESS)
		data->len = size;
	return err;
}

uint64_t
srv_box_bytes(const uint64_t *region, uint64_t row, uint64_t slice, uint64_t skip)
{
	uint64_t rows, slices, n;

	if (region[0] == 0 || region[1] == 0 || region[2] == 0)
		return 0;
	if (__builtin_mul_overflow(row, region[1] - 1, &rows) ||
	    __builtin_mul_overflow(slice, region[2] - 1, &slices) ||
	    __builtin_add_overflow(rows, slices, &n) || __builtin_add_overflow(n, skip, &n) ||
	    __builtin_add_overflow(n, region[0], &n))
		return UINT64_MAX;
	return n;
}

/* True if data_len bytes hold the host's side of a rectangle. */
static bool
rect_fits(const uint64_t *origin, const uint64_t *region, uint64_t row, uint64_t slice,
	  size_t data_len)
{
	uint64_t rows, slices, skip;

	if (row == 0)
		row = region[0];
	if (slice == 0 && __builtin_mul_overflow(row, region[1], &slice))
		return false;
	if (__builtin_mul_overflow(row, origin[1], &rows) ||
	    __builtin_mul_overflow(slice, origin[2], &slices) ||
	    __builtin_add_overflow(rows, slices, &skip) ||
	    __builtin_add_overflow(skip, origin[0], &skip))
		return false;
	return srv_box_bytes(region, row, slice, skip) <= data_len;
}

cl_int
srv_EnqueueWriteBufferRect(struct srv *s, cl_command_queue queue, cl_mem buffer, uint32_t blocking,
			   const uint64_t *buffer_origin, const uint64_t *host_origin,
			   const uint64_t *region, uint64_t buffer_row, uint64_t buffer_slice,
			   uint64_t host_row, uint64_t host_slice, void *data, size_t data_len,
			   cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	if (data != NULL && !rect_fits(host_origin, region, host_row, host_slice, data_len))
		return CL_INVALID_VALUE;
	s->waited = blocking != 0;
	return clEnqueueWriteBufferRect(queue, buffer, blocking, buffer_origin, host_origin, region,
					buffer_row, buffer_slice, host_row, host_slice, data,
					nb_waits, waits, event);
}

cl_int
srv_EnqueueReadBufferRect(struct srv *s, cl_command_queue queue, cl_mem buffer, uint32_t blocking,
			  const uint64_t *buffer_origin, const uint64_t *host_origin,
			  const uint64_t *region, uint64_t buffer_row, uint64_t buffer_slice,
			  uint64_t host_row, uint64_t host_slice, void *data, size_t data_len,
			  cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	if (data != NULL && !rect_fits(host_origin, region, host_row, host_slice, data_len))
		return CL_INVALID_VALUE;
	s->waited = blocking != 0;
	return clEnqueueReadBufferRect(queue, buffer, blocking, buffer_origin, host_origin, region,
				       buffer_row, buffer_slice, host_row, host_slice, data,
				       nb_waits, waits, event);
}
