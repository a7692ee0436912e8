/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <string.h>

#include "cl_mem.h"

/* Up to so many bytes travel in the call. */
#define INLINE_MAX 16384u
/* From so many on a blocking transfer maps the buffer: two calls more, one copy less. */
#define MAPPED_MIN (128u << 10)

static_assert(INLINE_MAX <= APIR_CL_MAX_INLINE, "contract");

struct span {
	size_t offset, size;
};

static cl_int
check(cl_command_queue queue, cl_mem mem, struct span at, const void *ptr, cl_uint nb_waits,
      const cl_event *waits, bool write)
{
	cl_int err = cl_command_check(queue, mem, CL_MEM_OBJECT_BUFFER);

	if (err != CL_SUCCESS)
		return err;
	if (ptr == NULL || at.offset > mem->size || at.size > mem->size - at.offset)
		return CL_INVALID_VALUE;
	err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err != CL_SUCCESS)
		return err;
	return cl_host_access_check(mem, !write, write);
}

/* The device shares the buffer's memory with us, and the program waits. */
static bool
by_mapping(const struct _cl_mem *mem, size_t size, bool blocking, const cl_event *event)
{
	return blocking && event == NULL && size >= MAPPED_MIN && mem->storage != NULL;
}

/*
 * The map waits for what the write would wait for. The unmap is waited for, too: the program may now use the buffer anywhere without
 * another word.
 */
static cl_int
write_mapped(struct _cl_command_queue *q, struct _cl_mem *mem, struct span at, const void *ptr,
	     cl_uint nb_waits, const cl_event *waits)
{
	uint64_t mapped, id = 0;
	cl_int err;

	err = rpc_EnqueueMapBuffer(cl_id(q), cl_id(mem), CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION,
				   at.offset, at.size, nb_waits, waits, NULL, &mapped);
	if (err != CL_SUCCESS)
		return err;
	cl_events_reap(q);
	memcpy(mem->storage + at.offset, ptr, at.size);
	err = rpc_EnqueueUnmapMemObject(cl_id(q), cl_id(mem), mapped, 0, NULL, &id);
	return err != CL_SUCCESS ? err : cl_id_wait(id);
}

static cl_int
read_mapped(struct _cl_command_queue *q, struct _cl_mem *mem, struct span at, void *ptr,
	    cl_uint nb_waits, const cl_event *waits)
{
	uint64_t mapped;
	cl_int err;

	err = rpc_EnqueueMapBuffer(cl_id(q), cl_id(mem), CL_TRUE, CL_MAP_READ, at.offset, at.size,
				   nb_waits, waits, NULL, &mapped);
	if (err != CL_SUCCESS)
		return err;
	cl_events_reap(q);
	memcpy(ptr, mem->storage + at.offset, at.size);
	return rpc_EnqueueUnmapMemObject(cl_id(q), cl_id(mem), mapped, 0, NULL, NULL);
}

static cl_int
write_inline(struct _cl_command_queue *q, struct _cl_mem *mem, bool blocking, struct span at,
	     const void *ptr, cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	uint64_t id = 0;
	cl_int err;

	err = rpc_WriteBufferInline(cl_id(q), cl_id(mem), blocking, at.offset, ptr, at.size,
				    nb_waits, waits, event != NULL ? &id : NULL);
	if (err != CL_SUCCESS)
		return err;
	if (blocking)
		cl_events_reap(q);
	return cl_command_done(q, CL_COMMAND_WRITE_BUFFER, id, blocking, NULL, event);
}

static cl_int
read_inline(struct _cl_command_queue *q, struct _cl_mem *mem, struct span at, void *ptr,
	    cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	uint64_t id = 0;
	size_t len = 0;
	cl_int err;

	err = rpc_ReadBufferInline(cl_id(q), cl_id(mem), at.offset, at.size, nb_waits, waits,
				   event != NULL ? &id : NULL, ptr, at.size, &len);
	if (err != CL_SUCCESS)
		return err;
	cl_events_reap(q);
	return cl_command_done(q, CL_COMMAND_READ_BUFFER, id, true, NULL, event);
}

static cl_int
send_write(const struct cl_transfer *t, uint64_t addr, size_t len, uint64_t *id)
{
	return rpc_EnqueueWriteBuffer(cl_id(t->queue), cl_id(t->mem), t->blocking, t->origin[0],
				      addr, len, t->nb_waits, t->waits, id);
}

static cl_int
send_read(const struct cl_transfer *t, uint64_t addr, size_t len, uint64_t *id)
{
	return rpc_EnqueueReadBuffer(cl_id(t->queue), cl_id(t->mem), t->blocking, t->origin[0],
				     addr, len, t->nb_waits, t->waits, id);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueWriteBuffer(cl_command_queue queue, cl_mem mem, cl_bool blocking, size_t offset,
		     size_t size, const void *ptr, cl_uint nb_waits, const cl_event *waits,
		     cl_event *event)
{
	const struct span at = {offset, size};
	struct cl_transfer t;
	bool apart;
	cl_int err;

	err = check(queue, mem, at, ptr, nb_waits, waits, true);
	if (err != CL_SUCCESS)
		return err;
	apart = !cl_reads_pending_to(ptr, size);
	if (apart && size <= INLINE_MAX)
		return write_inline(queue, mem, blocking != CL_FALSE, at, ptr, nb_waits, waits,
				    event);
	if (by_mapping(mem, size, blocking != CL_FALSE, event) &&
	    (apart || (err = cl_command_settle(queue, nb_waits, waits)) == CL_SUCCESS))
		return write_mapped(queue, mem, at, ptr, nb_waits, waits);
	if (err != CL_SUCCESS)
		return err;
	t = (struct cl_transfer){.queue = queue,
				 .mem = mem,
				 .type = CL_COMMAND_WRITE_BUFFER,
				 .blocking = blocking != CL_FALSE,
				 .ptr = (uint8_t *)(uintptr_t)ptr,
				 .box = cl_box_linear(size),
				 .nb_waits = nb_waits,
				 .waits = waits,
				 .event = event,
				 .send = send_write,
				 .origin = {offset}};
	return cl_transfer_write(&t);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueReadBuffer(cl_command_queue queue, cl_mem mem, cl_bool blocking, size_t offset,
		    size_t size, void *ptr, cl_uint nb_waits, const cl_event *waits,
		    cl_event *event)
{
	const struct span at = {offset, size};
	struct cl_transfer t;
	cl_int err;

	err = check(queue, mem, at, ptr, nb_waits, waits, false);
	if (err != CL_SUCCESS)
		return err;
	if (blocking && size <= INLINE_MAX && !cl_reads_pending_to(ptr, size))
		return read_inline(queue, mem, at, ptr, nb_waits, waits, event);
	if (by_mapping(mem, size, blocking != CL_FALSE, event))
		return read_mapped(queue, mem, at, ptr, nb_waits, waits);
	t = (struct cl_transfer){.queue = queue,
				 .mem = mem,
				 .type = CL_COMMAND_READ_BUFFER,
				 .blocking = blocking != CL_FALSE,
				 .ptr = ptr,
				 .box = cl_box_linear(size),
				 .nb_waits = nb_waits,
				 .waits = waits,
				 .event = event,
				 .send = send_read,
				 .origin = {offset}};
	return cl_transfer_read(&t);
}
