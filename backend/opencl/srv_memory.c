/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Buffers, samplers, pipes. */

#include <stdlib.h>
#include <string.h>

#include "cl_dispatch.h"
#include "srv_memory.h"

#define HOST_PTR_FLAGS (CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)

/* What a memory object has of ours. */
struct kept {
	struct shared *sh;
	struct arena_block *block; /* NULL: no storage in the arena */
	uint64_t bytes;
};

static void
give_back(struct kept *k)
{
	if (k->block != NULL)
		arena_free(&k->sh->arena, k->block);
	srv_memory_give(k->sh, k->bytes);
	free(k);
}

/* The host's runtime does not use its memory any more: a command may have gone on with it after its release. */
static void CL_CALLBACK
on_gone(cl_mem mem, void *user)
{
	(void)mem;
	give_back(user);
}

/* bytes that the limit allows, and NULL or not the beginning of what is kept for them. */
static struct kept *
keep(struct shared *sh, uint64_t bytes)
{
	struct kept *k;

	if (!srv_memory_take(sh, bytes))
		return NULL;
	k = malloc(sizeof(*k));
	if (k == NULL) {
		srv_memory_give(sh, bytes);
		return NULL;
	}
	*k = (struct kept){.sh = sh, .bytes = bytes};
	return k;
}

/* Tie k to the object. Without the host's word of its end nothing can be given back: then there is no object. */
static cl_int
tie(struct kept *k, cl_mem *mem, cl_int err)
{
	if (*mem != NULL && clSetMemObjectDestructorCallback(*mem, on_gone, k) != CL_SUCCESS) {
		clReleaseMemObject(*mem);
		*mem = NULL;
		err = CL_OUT_OF_HOST_MEMORY;
	}
	if (*mem == NULL)
		give_back(k);
	return err;
}

cl_int
srv_memory_count(struct shared *sh, cl_mem *mem)
{
	size_t size = 0;
	struct kept *k;

	if (sh->max_memory == 0)
		return CL_SUCCESS;
	clGetMemObjectInfo(*mem, CL_MEM_SIZE, sizeof(size), &size, NULL);
	k = keep(sh, size);
	if (k == NULL) {
		clReleaseMemObject(*mem);
		*mem = NULL;
		return CL_MEM_OBJECT_ALLOCATION_FAILURE;
	}
	return tie(k, mem, CL_SUCCESS);
}

/* In the device's own memory, or what the host has to say against it. */
static cl_int
create_plain(struct shared *sh, cl_context ctx, cl_mem_flags flags, uint64_t size, void *host,
	     cl_mem *mem)
{
	cl_int err;

	/* The program's bytes are here only for the time of the call. */
	if ((flags & HOST_PTR_FLAGS) == CL_MEM_USE_HOST_PTR && host != NULL)
		flags ^= CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR;
	*mem = clCreateBuffer(ctx, flags, size, host, &err);
	return *mem != NULL ? srv_memory_count(sh, mem) : err;
}

static cl_int
create_in_arena(struct shared *sh, cl_context ctx, cl_mem_flags flags, uint64_t size,
		const void *host, cl_mem *mem, uint64_t *storage)
{
	struct kept *k = keep(sh, size);
	void *p;
	cl_int err;

	if (k == NULL)
		return CL_MEM_OBJECT_ALLOCATION_FAILURE;
	k->block = arena_alloc(&sh->arena, size);
	if (k->block == NULL) {
		give_back(k);
		return create_plain(sh, ctx, flags, size, (void *)(uintptr_t)host, mem);
	}
	p = arena_block_ptr(&sh->arena, k->block);
	if (host != NULL)
		memcpy(p, host, size);
	*mem = clCreateBuffer(ctx, (flags & ~(cl_mem_flags)HOST_PTR_FLAGS) | CL_MEM_USE_HOST_PTR,
			      size, p, &err);
	*storage = arena_addr(&sh->arena, p);
	return tie(k, mem, err);
}

cl_int
srv_CreateBuffer(struct srv *s, cl_context ctx, uint64_t flags, uint64_t size, void *host,
		 size_t host_len, cl_mem *mem, uint64_t *storage)
{
	struct shared *sh = s->sh;
	const bool wants = (flags & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR)) != 0;
	const bool odd = (flags & CL_MEM_USE_HOST_PTR) != 0 &&
			 (flags & (CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)) != 0;
	cl_int err;

	if (size != 0 && host != NULL && host_len < size)
		return CL_INVALID_VALUE;
	/* Where the host will refuse it, it shall see what the program said. */
	if (!sh->unified || odd || size == 0 || size > sh->max_alloc || wants != (host != NULL))
		return create_plain(sh, ctx, flags, size, host, mem);
	/* Another buffer's storage, or shared virtual memory. */
	if ((flags & CL_MEM_USE_HOST_PTR) && arena_is_shared(&sh->arena, host, size)) {
		*mem = clCreateBuffer(ctx, flags, size, host, &err);
		*storage = arena_addr(&sh->arena, host);
		return err;
	}
	return create_in_arena(sh, ctx, flags, size, host, mem, storage);
}

cl_int
srv_CreateSubBuffer(struct srv *s, cl_mem buffer, uint64_t flags, uint64_t origin, uint64_t size,
		    cl_mem *mem)
{
	const cl_buffer_region region = {.origin = origin, .size = size};
	cl_int err;

	(void)s;
	*mem = clCreateSubBuffer(buffer, flags, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
	return err;
}

cl_int
srv_CreateSampler(struct srv *s, cl_context ctx, size_t n, const uint64_t *props,
		  cl_sampler *sampler)
{
	uint64_t p[16] = {0}, normalized = CL_TRUE, addressing = CL_ADDRESS_CLAMP,
		 filter = CL_FILTER_NEAREST;
	cl_int err;

	if (n >= sizeof(p) / sizeof(p[0]))
		return CL_INVALID_VALUE;
	if (n > 0)
		memcpy(p, props, n * sizeof(p[0]));
	if (s->sh->version >= 200) {
		*sampler = clCreateSamplerWithProperties(ctx, n > 0 ? p : NULL, &err);
		return err;
	}
	for (size_t i = 0; p[i] != 0; i += 2) {
		if (p[i] == CL_SAMPLER_NORMALIZED_COORDS)
			normalized = p[i + 1];
		else if (p[i] == CL_SAMPLER_ADDRESSING_MODE)
			addressing = p[i + 1];
		else if (p[i] == CL_SAMPLER_FILTER_MODE)
			filter = p[i + 1];
		else
			return CL_INVALID_VALUE;
	}
	*sampler = clCreateSampler(ctx, (cl_bool)normalized, (cl_addressing_mode)addressing,
				   (cl_filter_mode)filter, &err);
	return err;
}

cl_int
srv_CreatePipe(struct srv *s, cl_context ctx, uint64_t flags, uint32_t packet_size,
	       uint32_t max_packets, cl_mem *mem)
{
	cl_int err;

	*mem = clCreatePipe(ctx, flags, packet_size, max_packets, NULL, &err);
	return *mem != NULL ? srv_memory_count(s->sh, mem) : err;
}

cl_int
srv_EnqueueMapBuffer(struct srv *s, cl_command_queue queue, cl_mem buffer, uint32_t blocking,
		     uint64_t flags, uint64_t offset, uint64_t size, cl_uint nb_waits,
		     const cl_event *waits, cl_event *event, uint64_t *mapped)
{
	cl_int err;
	void *p = clEnqueueMapBuffer(queue, buffer, blocking, flags, offset, size, nb_waits, waits,
				     event, &err);

	s->waited = blocking != 0;
	if (err != CL_SUCCESS)
		return err;
	*mapped = arena_addr(&s->sh->arena, p);
	if (*mapped != 0)
		return CL_SUCCESS;
	/* No storage in the arena: the program could not reach it. */
	clEnqueueUnmapMemObject(queue, buffer, p, 0, NULL, NULL);
	if (event != NULL) {
		clReleaseEvent(*event);
		*event = NULL;
	}
	return CL_MAP_FAILURE;
}

cl_int
srv_EnqueueUnmapMemObject(struct srv *s, cl_command_queue queue, cl_mem object, uint64_t mapped,
			  cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	void *p = arena_ptr(&s->sh->arena, mapped, 0);

	if (p == NULL)
		return CL_INVALID_VALUE;
	return clEnqueueUnmapMemObject(queue, object, p, nb_waits, waits, event);
}
