/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * Shared virtual memory: pieces of the arena's upper part, which lies at the same address on both sides. The host's runtime takes any
 * pointer (device_svm() has seen to that); what it would say against an allocation is asked with one of its own.
 */

#include <stdlib.h>
#include <string.h>

#include "cl_dispatch.h"

struct svm {
	struct svm *next;
	struct arena_block *block;
	uint64_t addr, bytes;
};

cl_int
srv_SVMAlloc(struct srv *s, cl_context ctx, uint64_t flags, uint64_t size, uint32_t align,
	     uint64_t *addr)
{
	struct shared *sh = s->sh;
	struct svm *x;
	void *p;

	if (sh->svm.caps == 0)
		return CL_INVALID_OPERATION;
	p = clSVMAlloc(ctx, flags, size, align);
	if (p == NULL)
		return CL_INVALID_VALUE;
	clSVMFree(ctx, p);
	/* From one page on a piece lies on a page's border. */
	if (align > sh->align && size < 4096)
		size = 4096;
	if (align > 4096 || !srv_memory_take(sh, size))
		return CL_MEM_OBJECT_ALLOCATION_FAILURE;
	x = malloc(sizeof(*x));
	if (x != NULL) {
		x->bytes = size;
		x->block = arena_alloc(&sh->arena, size);
	}
	if (x == NULL || x->block == NULL) {
		free(x);
		srv_memory_give(sh, size);
		return CL_MEM_OBJECT_ALLOCATION_FAILURE;
	}
	x->addr = *addr = arena_addr(&sh->arena, arena_block_ptr(&sh->arena, x->block));
	pthread_mutex_lock(&sh->svm.lock);
	x->next = sh->svm.first;
	sh->svm.first = x;
	pthread_mutex_unlock(&sh->svm.lock);
	return CL_SUCCESS;
}

/* What is not there is passed over. */
static void
release(struct shared *sh, uint64_t addr)
{
	struct svm **at, *x;

	pthread_mutex_lock(&sh->svm.lock);
	for (at = &sh->svm.first; *at != NULL && (*at)->addr != addr; at = &(*at)->next)
		;
	x = *at;
	if (x != NULL)
		*at = x->next;
	pthread_mutex_unlock(&sh->svm.lock);
	if (x == NULL)
		return;
	arena_free(&sh->arena, x->block);
	srv_memory_give(sh, x->bytes);
	free(x);
}

cl_int
srv_SVMFree(struct srv *s, cl_context ctx, uint64_t addr)
{
	(void)ctx;
	release(s->sh, addr);
	return CL_SUCCESS;
}

static void CL_CALLBACK
on_free(cl_command_queue queue, cl_uint n, void *pointers[], void *user)
{
	struct shared *sh = user;

	(void)queue;
	for (cl_uint i = 0; i < n; i++)
		release(sh, arena_addr(&sh->arena, pointers[i]));
}

cl_int
srv_EnqueueSVMFree(struct srv *s, cl_command_queue queue, size_t n, const uint64_t *addrs,
		   cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	void **p;
	cl_int err;

	if (s->sh->svm.caps == 0)
		return CL_INVALID_OPERATION;
	p = calloc(n + 1, sizeof(*p));
	if (p == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	for (size_t i = 0; i < n; i++)
		p[i] = arena_ptr(&s->sh->arena, addrs[i], 0);
	err = clEnqueueSVMFree(queue, (cl_uint)n, n > 0 ? p : NULL, on_free, s->sh, nb_waits, waits,
			       event);
	free(p);
	return err;
}

cl_int
srv_EnqueueSVMMemcpy(struct srv *s, cl_command_queue queue, uint32_t blocking, uint64_t dst,
		     uint64_t src, uint64_t size, cl_uint nb_waits, const cl_event *waits,
		     cl_event *event)
{
	if (s->sh->svm.caps == 0)
		return CL_INVALID_OPERATION;
	s->waited = blocking != 0;
	return clEnqueueSVMMemcpy(queue, blocking, arena_ptr(&s->sh->arena, dst, size),
				  arena_ptr(&s->sh->arena, src, size), size, nb_waits, waits,
				  event);
}

cl_int
srv_EnqueueSVMMemFill(struct srv *s, cl_command_queue queue, uint64_t addr, const void *pattern,
		      size_t pattern_len, uint64_t size, cl_uint nb_waits, const cl_event *waits,
		      cl_event *event)
{
	if (s->sh->svm.caps == 0)
		return CL_INVALID_OPERATION;
	return clEnqueueSVMMemFill(queue, arena_ptr(&s->sh->arena, addr, size), pattern,
				   pattern_len, size, nb_waits, waits, event);
}

cl_int
srv_EnqueueSVMMap(struct srv *s, cl_command_queue queue, uint32_t blocking, uint64_t flags,
		  uint64_t addr, uint64_t size, cl_uint nb_waits, const cl_event *waits,
		  cl_event *event)
{
	if (s->sh->svm.caps == 0)
		return CL_INVALID_OPERATION;
	s->waited = blocking != 0;
	return clEnqueueSVMMap(queue, blocking, flags, arena_ptr(&s->sh->arena, addr, size), size,
			       nb_waits, waits, event);
}

cl_int
srv_EnqueueSVMUnmap(struct srv *s, cl_command_queue queue, uint64_t addr, cl_uint nb_waits,
		    const cl_event *waits, cl_event *event)
{
	if (s->sh->svm.caps == 0)
		return CL_INVALID_OPERATION;
	return clEnqueueSVMUnmap(queue, arena_ptr(&s->sh->arena, addr, 0), nb_waits, waits, event);
}
