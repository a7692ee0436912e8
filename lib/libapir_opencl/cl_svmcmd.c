/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Commands on shared virtual memory. */

#include <string.h>

#include "cl_svm.h"

#define PATTERN_MAX 128u

cl_int
cl_svm_command_check(cl_command_queue queue)
{
	if (!cl_is(queue, CL_KIND_QUEUE))
		return CL_INVALID_COMMAND_QUEUE;
	return cl_svm_caps() != 0 ? CL_SUCCESS : CL_INVALID_OPERATION;
}

/* Copy --------------------------------------------------------------------------------------------------------------- */

/* origin[0] is the end that lies in the arena. */
static cl_int
send_from(const struct cl_transfer *t, uint64_t addr, size_t len, uint64_t *id)
{
	return rpc_EnqueueSVMMemcpy(cl_id(t->queue), t->blocking, t->origin[0], addr, len,
				    t->nb_waits, t->waits, id);
}

static cl_int
send_to(const struct cl_transfer *t, uint64_t addr, size_t len, uint64_t *id)
{
	return rpc_EnqueueSVMMemcpy(cl_id(t->queue), t->blocking, addr, t->origin[0], len,
				    t->nb_waits, t->waits, id);
}

/* From memory of the program's own to memory of its own: by way of the arena, in the queue's order. */
static cl_int
copy_outside(struct cl_transfer *t, const void *src, size_t size)
{
	struct cl_staging *s;
	struct cl_after *after;
	uint64_t id = 0;
	cl_int err;

	s = cl_staging_new(size);
	if (s == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	memcpy(s->p, src, size);
	t->origin[0] = cl_arena_addr(s->p);
	after = cl_after_put(s);
	if (after == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	err = cl_transfer_read(t);
	if (err != CL_SUCCESS || t->blocking) {
		cl_after_now(after, false);
		return err;
	}
	/* if there is no marker the copy may still read it: better lost than used for something else */
	if (rpc_EnqueueMarkerWithWaitList(cl_id(t->queue), 0, NULL, &id) != CL_SUCCESS)
		return CL_SUCCESS;
	return cl_command_done(t->queue, CL_COMMAND_MARKER, id, false, after, NULL);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueSVMMemcpy(cl_command_queue queue, cl_bool blocking, void *dst, const void *src,
		   size_t size, cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	struct cl_transfer t = {.queue = queue,
				.type = CL_COMMAND_SVM_MEMCPY,
				.blocking = blocking != CL_FALSE,
				.box = cl_box_linear(size),
				.nb_waits = nb_waits,
				.waits = waits,
				.event = event};
	const uint8_t *d = dst, *s = src;
	cl_int err;

	err = cl_svm_command_check(queue);
	if (err == CL_SUCCESS && (dst == NULL || src == NULL || size == 0))
		err = CL_INVALID_VALUE;
	if (err == CL_SUCCESS)
		err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err == CL_SUCCESS && d < s + size && s < d + size)
		err = CL_MEM_COPY_OVERLAP;
	if (err != CL_SUCCESS)
		return err;
	if (cl_arena_holds(dst, size)) {
		t.ptr = (uint8_t *)(uintptr_t)src;
		t.send = send_from;
		t.origin[0] = cl_arena_addr(dst);
		return cl_transfer_write(&t);
	}
	t.ptr = dst;
	t.send = send_to;
	if (!cl_arena_holds(src, size))
		return copy_outside(&t, src, size);
	t.origin[0] = cl_arena_addr(src);
	return cl_transfer_read(&t);
}

/* The others --------------------------------------------------------------------------------------------------------- */

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueSVMMemFill(cl_command_queue queue, void *p, const void *pattern, size_t pattern_size,
		    size_t size, cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	uint64_t id = 0;
	cl_int err;

	err = cl_svm_command_check(queue);
	if (err != CL_SUCCESS)
		return err;
	if (p == NULL || pattern == NULL || pattern_size == 0 || pattern_size > PATTERN_MAX ||
	    (pattern_size & (pattern_size - 1)) != 0 || (uintptr_t)p % pattern_size != 0 ||
	    size == 0 || size % pattern_size != 0 || !cl_arena_holds(p, size))
		return CL_INVALID_VALUE;
	err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err == CL_SUCCESS)
		err = rpc_EnqueueSVMMemFill(cl_id(queue), cl_arena_addr(p), pattern, pattern_size,
					    size, nb_waits, waits, event != NULL ? &id : NULL);
	if (err != CL_SUCCESS)
		return err;
	return cl_command_done(queue, CL_COMMAND_SVM_MEMFILL, id, false, NULL, event);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueSVMMap(cl_command_queue queue, cl_bool blocking, cl_map_flags flags, void *p, size_t size,
		cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	const cl_map_flags write = CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION;
	uint64_t id = 0;
	cl_int err;

	err = cl_svm_command_check(queue);
	if (err != CL_SUCCESS)
		return err;
	if (p == NULL || size == 0 || (flags & ~(CL_MAP_READ | write)) != 0 ||
	    ((flags & CL_MAP_WRITE_INVALIDATE_REGION) && (flags & (CL_MAP_READ | CL_MAP_WRITE))) ||
	    !cl_arena_holds(p, size))
		return CL_INVALID_VALUE;
	err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err == CL_SUCCESS)
		err = rpc_EnqueueSVMMap(cl_id(queue), blocking != CL_FALSE, flags, cl_arena_addr(p),
					size, nb_waits, waits, event != NULL ? &id : NULL);
	if (err != CL_SUCCESS)
		return err;
	if (blocking)
		cl_events_reap(queue);
	return cl_command_done(queue, CL_COMMAND_SVM_MAP, id, blocking != CL_FALSE, NULL, event);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueSVMUnmap(cl_command_queue queue, void *p, cl_uint nb_waits, const cl_event *waits,
		  cl_event *event)
{
	uint64_t id = 0;
	cl_int err;

	err = cl_svm_command_check(queue);
	if (err != CL_SUCCESS)
		return err;
	if (p == NULL || !cl_arena_holds(p, 1))
		return CL_INVALID_VALUE;
	err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err == CL_SUCCESS)
		err = rpc_EnqueueSVMUnmap(cl_id(queue), cl_arena_addr(p), nb_waits, waits,
					  event != NULL ? &id : NULL);
	if (err != CL_SUCCESS)
		return err;
	return cl_command_done(queue, CL_COMMAND_SVM_UNMAP, id, false, NULL, event);
}

/* Where memory lies is the device's business, and it lies where both see it: nothing is to be moved. */
CL_API_ENTRY cl_int CL_API_CALL
clEnqueueSVMMigrateMem(cl_command_queue queue, cl_uint n, const void **pointers,
		       const size_t *sizes, cl_mem_migration_flags flags, cl_uint nb_waits,
		       const cl_event *waits, cl_event *event)
{
	const cl_mem_migration_flags known =
		CL_MIGRATE_MEM_OBJECT_HOST | CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED;
	uint64_t id = 0;
	cl_int err;

	err = cl_svm_command_check(queue);
	if (err != CL_SUCCESS)
		return err;
	if (n == 0 || pointers == NULL || (flags & ~known) != 0)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < n; i++)
		if (!cl_svm_holds(queue->ctx, pointers[i],
				  sizes != NULL && sizes[i] != 0 ? sizes[i] : 1))
			return CL_INVALID_VALUE;
	err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err == CL_SUCCESS)
		err = rpc_EnqueueMarkerWithWaitList(cl_id(queue), nb_waits, waits,
						    event != NULL ? &id : NULL);
	if (err != CL_SUCCESS)
		return err;
	return cl_command_done(queue, CL_COMMAND_SVM_MIGRATE_MEM, id, false, NULL, event);
}
