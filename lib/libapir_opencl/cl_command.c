/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include "cl_mem.h"

bool
cl_is_image(const struct _cl_mem *mem)
{
	return mem->type != CL_MEM_OBJECT_BUFFER && mem->type != CL_MEM_OBJECT_PIPE;
}

cl_int
cl_command_check(cl_command_queue queue, cl_mem mem, cl_mem_object_type type)
{
	if (!cl_is(queue, CL_KIND_QUEUE))
		return CL_INVALID_COMMAND_QUEUE;
	if (!cl_is(mem, CL_KIND_MEM))
		return CL_INVALID_MEM_OBJECT;
	if (queue->ctx != mem->ctx)
		return CL_INVALID_CONTEXT;
	if (type == 0 ? !cl_is_image(mem) : mem->type != type)
		return CL_INVALID_MEM_OBJECT;
	return CL_SUCCESS;
}

cl_int
cl_command_done(struct _cl_command_queue *q, cl_command_type type, uint64_t id, bool complete,
		struct cl_after *after, cl_event *event)
{
	struct _cl_event *ev;

	if (id == 0)
		return CL_SUCCESS;
	ev = cl_event_new(q, type, id, after);
	if (ev == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	if (complete)
		cl_event_settle(ev, CL_COMPLETE);
	if (event != NULL)
		*event = ev;
	else
		cl_event_track(ev);
	return CL_SUCCESS;
}

cl_int
cl_id_wait(uint64_t id)
{
	const cl_int err = rpc_WaitForEvents(1, &id);

	cl_release_id(id);
	return err;
}

cl_int
cl_command_settle(struct _cl_command_queue *q, cl_uint nb_waits, const cl_event *waits)
{
	uint64_t id = 0;
	cl_int err = rpc_EnqueueMarkerWithWaitList(cl_id(q), nb_waits, waits, &id);

	if (err == CL_SUCCESS)
		err = cl_id_wait(id);
	cl_events_reap(q);
	return err;
}

/* Where the bytes of a write come from. */
static cl_int
write_source(const struct cl_transfer *t, size_t len, struct cl_staging **s, uint64_t *addr)
{
	enum cl_overlap o;
	size_t extent, at = 0;
	cl_int err;

	if (!cl_box_extent(&t->box, &extent))
		return CL_INVALID_VALUE;
	*s = NULL;
	if (cl_box_dense(&t->box) && cl_arena_holds(t->ptr, len)) {
		/* a mapping, shared virtual memory: the device reads it where it lies, when its turn has come */
		*addr = cl_arena_addr(t->ptr);
		return CL_SUCCESS;
	}
	o = cl_reads_pending(t->ptr, extent, s, &at);
	if (o == CL_INSIDE && !cl_box_dense(&t->box)) {
		cl_staging_put(*s);
		o = CL_PARTLY;
	}
	if (o == CL_INSIDE) {
		*addr = cl_arena_addr((*s)->p + at);
		return CL_SUCCESS;
	}
	/* a read that ends in the middle of what is written next: it must have arrived */
	if (o == CL_PARTLY) {
		err = cl_command_settle(t->queue, t->nb_waits, t->waits);
		if (err != CL_SUCCESS)
			return err;
	}
	*s = cl_staging_new(len);
	if (*s == NULL)
		return CL_MEM_OBJECT_ALLOCATION_FAILURE;
	cl_box_pack((*s)->p, t->ptr, &t->box);
	*addr = cl_arena_addr((*s)->p);
	return CL_SUCCESS;
}

cl_int
cl_transfer_write(const struct cl_transfer *t)
{
	const bool keep = !t->blocking;
	struct cl_after *after = NULL;
	struct cl_staging *s;
	uint64_t addr, id = 0;
	size_t len;
	cl_int err;

	if (!cl_box_bytes(&t->box, &len))
		return CL_INVALID_VALUE;
	err = write_source(t, len, &s, &addr);
	if (err != CL_SUCCESS)
		return err;
	if (keep && s != NULL) {
		after = cl_after_put(s);
		if (after == NULL)
			return CL_OUT_OF_HOST_MEMORY;
	}
	err = t->send(t, addr, len, t->event != NULL || after != NULL ? &id : NULL);
	if (!keep)
		cl_staging_put(s);
	if (err != CL_SUCCESS) {
		cl_after_now(after, false);
		return err;
	}
	if (t->blocking)
		cl_events_reap(t->queue);
	return cl_command_done(t->queue, t->type, id, t->blocking, after, t->event);
}

cl_int
cl_transfer_read(const struct cl_transfer *t)
{
	struct cl_after *after = NULL;
	struct cl_staging *s;
	uint64_t addr, id = 0;
	size_t len;
	cl_int err;

	if (!cl_box_bytes(&t->box, &len))
		return CL_INVALID_VALUE;
	if (cl_box_dense(&t->box) && cl_arena_holds(t->ptr, len)) {
		addr = cl_arena_addr(t->ptr);
	} else {
		s = cl_staging_new(len);
		if (s == NULL)
			return CL_MEM_OBJECT_ALLOCATION_FAILURE;
		addr = cl_arena_addr(s->p);
		after = cl_after_read(t->queue, s, t->ptr, &t->box);
		if (after == NULL)
			return CL_OUT_OF_HOST_MEMORY;
	}
	err = t->send(t, addr, len,
		      t->event != NULL || (after != NULL && !t->blocking) ? &id : NULL);
	if (err != CL_SUCCESS) {
		cl_after_now(after, false);
		return err;
	}
	if (t->blocking) {
		/* earlier reads to the same place arrive before this one */
		cl_events_reap(t->queue);
		cl_after_now(after, true);
		after = NULL;
	} else if (after != NULL) {
		cl_after_read_pending(after);
	}
	return cl_command_done(t->queue, t->type, id, t->blocking, after, t->event);
}
