/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>

#include "cl_map.h"

/* The program's memory gets the bytes, once the map is complete. */
struct arrival {
	struct cl_after a;
	struct cl_map *m;
	struct _cl_mem *mem; /* with a reference: its storage must stay */
};

/* Records ------------------------------------------------------------------------------------------------------------ */

struct cl_map *
cl_map_new(cl_map_flags flags, struct _cl_mem *in_place, size_t offset, size_t len)
{
	struct cl_map *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	atomic_init(&m->refs, 1);
	m->flags = flags;
	m->in_place = in_place;
	m->offset = offset;
	m->box = cl_box_linear(len);
	if (in_place != NULL) {
		m->arena = in_place->storage + offset;
	} else {
		m->s = cl_staging_new(len);
		if (m->s == NULL) {
			free(m);
			return NULL;
		}
		m->arena = m->s->p;
	}
	m->ptr = m->arena;
	return m;
}

static void
put(struct cl_map *m)
{
	if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
		return;
	cl_staging_put(m->s);
	free(m);
}

static void
add(struct _cl_mem *mem, struct cl_map *m)
{
	pthread_mutex_lock(&mem->lock);
	m->next = mem->maps;
	mem->maps = m;
	atomic_fetch_add_explicit(&mem->map_count, 1, memory_order_relaxed);
	pthread_mutex_unlock(&mem->lock);
}

/* The newest mapping that the program knows as ptr, no longer among the object's. */
static struct cl_map *
take(struct _cl_mem *mem, const void *ptr)
{
	struct cl_map **at, *m;

	pthread_mutex_lock(&mem->lock);
	for (at = &mem->maps; (m = *at) != NULL; at = &m->next)
		if (m->ptr == ptr)
			break;
	if (m != NULL) {
		*at = m->next;
		atomic_fetch_sub_explicit(&mem->map_count, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&mem->lock);
	return m;
}

void
cl_maps_drop(struct _cl_mem *mem)
{
	struct cl_map *m;

	while ((m = mem->maps) != NULL) {
		mem->maps = m->next;
		put(m);
	}
}

/* Map ---------------------------------------------------------------------------------------------------------------- */

cl_int
cl_map_flags_check(const struct _cl_mem *mem, cl_map_flags flags)
{
	const cl_map_flags write = CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION;

	if ((flags & ~(CL_MAP_READ | write)) != 0 ||
	    ((flags & CL_MAP_WRITE_INVALIDATE_REGION) && (flags & (CL_MAP_READ | CL_MAP_WRITE))))
		return CL_INVALID_VALUE;
	return cl_host_access_check(mem, (flags & CL_MAP_READ) != 0, (flags & write) != 0);
}

static void
arrive(struct cl_after *a, bool success)
{
	struct arrival *r = (struct arrival *)a;
	struct cl_map *m = r->m;

	if (success) {
		if ((m->flags & CL_MAP_WRITE_INVALIDATE_REGION) == 0)
			cl_box_unpack(m->ptr, m->arena, &m->box);
		atomic_store_explicit(&m->filled, true, memory_order_release);
	}
	put(m);
	cl_release(r->mem);
	free(r);
}

static struct cl_after *
arrival_new(struct _cl_mem *mem, struct cl_map *m)
{
	struct arrival *r = malloc(sizeof(*r));

	if (r == NULL)
		return NULL;
	*r = (struct arrival){.a = {.fn = arrive}, .m = m, .mem = mem};
	atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
	cl_retain(mem);
	return &r->a;
}

/* A command that only waits. */
static cl_int
marker(const struct cl_map_command *c, uint64_t *id)
{
	uint64_t own = 0;
	cl_int err;

	if (!c->blocking && id == NULL)
		return CL_SUCCESS;
	err = rpc_EnqueueMarkerWithWaitList(cl_id(c->queue), c->nb_waits, c->waits,
					    id != NULL ? id : &own);
	if (err != CL_SUCCESS || !c->blocking)
		return err;
	return id != NULL ? rpc_WaitForEvents(1, id) : cl_id_wait(own);
}

/* Have the region's bytes come to where the device and we both see them. */
static cl_int
fill(const struct cl_map_command *c, struct cl_map *m, uint64_t *id)
{
	const uint64_t q = cl_id(c->queue), mem = cl_id(c->mem);

	if (m->in_place != NULL)
		return rpc_EnqueueMapBuffer(q, cl_id(m->in_place), c->blocking, m->flags, m->offset,
					    m->box.row, c->nb_waits, c->waits, id, &m->mapped);
	if (m->flags & CL_MAP_WRITE_INVALIDATE_REGION)
		return marker(c, id);
	if (c->mem->type == CL_MEM_OBJECT_BUFFER)
		return rpc_EnqueueReadBuffer(q, mem, c->blocking, m->offset,
					     cl_arena_addr(m->arena), m->s->len, c->nb_waits,
					     c->waits, id);
	return rpc_EnqueueReadImage(q, mem, c->blocking, m->origin, m->region, 0, 0,
				    cl_arena_addr(m->arena), m->s->len, c->nb_waits, c->waits, id);
}

void *
cl_map_enqueue(const struct cl_map_command *c, struct cl_map *m, cl_int *err)
{
	struct cl_after *after = NULL;
	void *const ptr = m->ptr;
	uint64_t id = 0;

	if (cl_map_is_copy(m)) {
		after = arrival_new(c->mem, m);
		if (after == NULL) {
			put(m);
			*err = CL_OUT_OF_HOST_MEMORY;
			return NULL;
		}
	}
	*err = fill(c, m, c->event != NULL || (after != NULL && !c->blocking) ? &id : NULL);
	if (*err != CL_SUCCESS) {
		if (id != 0)
			cl_release_id(id);
		cl_after_now(after, false);
		put(m);
		return NULL;
	}
	add(c->mem, m);
	if (c->blocking) {
		cl_events_reap(c->queue);
		cl_after_now(after, true);
		after = NULL;
	}
	*err = cl_command_done(c->queue, c->type, id, c->blocking, after, c->event);
	if (*err == CL_SUCCESS)
		return ptr;
	m = take(c->mem, ptr);
	if (m != NULL && m->in_place != NULL)
		rpc_EnqueueUnmapMemObject(cl_id(c->queue), cl_id(m->in_place), m->mapped, 0, NULL,
					  NULL);
	if (m != NULL)
		put(m);
	return NULL;
}

CL_API_ENTRY void *CL_API_CALL
clEnqueueMapBuffer(cl_command_queue queue, cl_mem mem, cl_bool blocking, cl_map_flags flags,
		   size_t offset, size_t size, cl_uint nb_waits, const cl_event *waits,
		   cl_event *event, cl_int *errcode_ret)
{
	const struct cl_map_command c = {.queue = queue,
					 .mem = mem,
					 .type = CL_COMMAND_MAP_BUFFER,
					 .blocking = blocking != CL_FALSE,
					 .nb_waits = nb_waits,
					 .waits = waits,
					 .event = event};
	struct cl_map *m;
	void *p = NULL;
	cl_int err;

	err = cl_command_check(queue, mem, CL_MEM_OBJECT_BUFFER);
	if (err == CL_SUCCESS && (size == 0 || offset > mem->size || size > mem->size - offset))
		err = CL_INVALID_VALUE;
	if (err == CL_SUCCESS)
		err = cl_map_flags_check(mem, flags);
	if (err == CL_SUCCESS)
		err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err == CL_SUCCESS) {
		m = cl_map_new(flags, mem->storage != NULL ? mem : NULL, offset, size);
		if (m != NULL && mem->host_ptr != NULL)
			m->ptr = (uint8_t *)mem->host_ptr + offset;
		if (m != NULL)
			p = cl_map_enqueue(&c, m, &err);
		else
			err = CL_MAP_FAILURE;
	}
	if (errcode_ret != NULL)
		*errcode_ret = err;
	return p;
}

/* Unmap -------------------------------------------------------------------------------------------------------------- */

/* No flags at all count as both. */
static bool
for_writing(const struct cl_map *m)
{
	return m->flags != CL_MAP_READ;
}

/* Have the device take the region back. */
static cl_int
give(const struct cl_map_command *c, const struct cl_map *m, uint64_t *id)
{
	const uint64_t q = cl_id(c->queue), mem = cl_id(c->mem);

	if (m->in_place != NULL)
		return rpc_EnqueueUnmapMemObject(q, cl_id(m->in_place), m->mapped, c->nb_waits,
						 c->waits, id);
	if (!for_writing(m))
		return rpc_EnqueueMarkerWithWaitList(q, c->nb_waits, c->waits, id);
	if (c->mem->type == CL_MEM_OBJECT_BUFFER)
		return rpc_EnqueueWriteBuffer(q, mem, CL_FALSE, m->offset, cl_arena_addr(m->arena),
					      m->s->len, c->nb_waits, c->waits, id);
	return rpc_EnqueueWriteImage(q, mem, CL_FALSE, m->origin, m->region, 0, 0,
				     cl_arena_addr(m->arena), m->s->len, c->nb_waits, c->waits, id);
}

static cl_int
unmap(const struct cl_map_command *c, struct cl_map *m)
{
	struct cl_after *after = NULL;
	uint64_t id = 0;
	cl_int err;

	if (m->s != NULL) {
		after = cl_after_put(cl_staging_get(m->s));
		if (after == NULL) {
			add(c->mem, m);
			return CL_OUT_OF_HOST_MEMORY;
		}
	}
	/* what has not arrived yet cannot have been changed */
	if (cl_map_is_copy(m) && for_writing(m) &&
	    atomic_load_explicit(&m->filled, memory_order_acquire))
		cl_box_pack(m->arena, m->ptr, &m->box);
	err = give(c, m, c->event != NULL || after != NULL ? &id : NULL);
	if (err != CL_SUCCESS) {
		/* nothing has been enqueued: it is still mapped */
		cl_after_now(after, false);
		add(c->mem, m);
		return err;
	}
	put(m);
	return cl_command_done(c->queue, c->type, id, false, after, c->event);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueUnmapMemObject(cl_command_queue queue, cl_mem mem, void *ptr, cl_uint nb_waits,
			const cl_event *waits, cl_event *event)
{
	const struct cl_map_command c = {.queue = queue,
					 .mem = mem,
					 .type = CL_COMMAND_UNMAP_MEM_OBJECT,
					 .nb_waits = nb_waits,
					 .waits = waits,
					 .event = event};
	struct cl_map *m;
	cl_int err;

	if (!cl_is(queue, CL_KIND_QUEUE))
		return CL_INVALID_COMMAND_QUEUE;
	if (!cl_is(mem, CL_KIND_MEM) || mem->type == CL_MEM_OBJECT_PIPE)
		return CL_INVALID_MEM_OBJECT;
	if (queue->ctx != mem->ctx)
		return CL_INVALID_CONTEXT;
	err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err != CL_SUCCESS)
		return err;
	m = take(mem, ptr);
	return m != NULL ? unmap(&c, m) : CL_INVALID_VALUE;
}
