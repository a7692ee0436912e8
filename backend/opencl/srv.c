/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <string.h>

#include "srv.h"

static void
release(unsigned int kind, void *obj)
{
	switch ((enum cl_kind)kind) {
	case CL_KIND_PLATFORM:
		break;
	case CL_KIND_DEVICE:
		clReleaseDevice(obj);
		break;
	case CL_KIND_CONTEXT:
		clReleaseContext(obj);
		break;
	case CL_KIND_QUEUE:
		clReleaseCommandQueue(obj);
		break;
	case CL_KIND_MEM:
		clReleaseMemObject(obj);
		break;
	case CL_KIND_SAMPLER:
		clReleaseSampler(obj);
		break;
	case CL_KIND_PROGRAM:
		clReleaseProgram(obj);
		break;
	case CL_KIND_KERNEL:
		clReleaseKernel(obj);
		break;
	case CL_KIND_EVENT:
		clReleaseEvent(obj);
		break;
	}
}

void
srv_init(struct shared *sh)
{
	table_init(&sh->objects, release);
	arena_init(&sh->arena);
	notices_init(&sh->notices);
	pthread_mutex_init(&sh->svm.lock, NULL);
	pthread_mutex_init(&sh->open, NULL);
	sh->limit = (struct log_limit)LOG_LIMIT_INIT;
}

void *
srv_find(struct srv *s, enum cl_kind kind, uint64_t id)
{
	void *obj;

	if (s->nb_held == SRV_MAX_HELD)
		return NULL;
	obj = table_get(&s->sh->objects, kind, id);
	if (obj != NULL)
		s->held[s->nb_held++] = id;
	return obj;
}

uint64_t
srv_add(struct srv *s, enum cl_kind kind, void *obj)
{
	const uint64_t id = table_add(&s->sh->objects, kind, obj);

	if (id == 0) {
		log_limited(&s->sh->limit, LOG_WARNING,
			    "session %u: an OpenCL program has %u objects, or there is no memory: "
			    "it gets no more",
			    s->sh->session, TABLE_MAX);
		release(kind, obj);
	}
	return id;
}

void
srv_release(struct srv *s, uint64_t id)
{
	table_remove(&s->sh->objects, id);
}

void
srv_done(struct srv *s)
{
	while (s->nb_held > 0)
		table_put(&s->sh->objects, s->held[--s->nb_held]);
}

void
srv_out_set(struct srv_out *out, const void *src, size_t len)
{
	out->len = len;
	if (len > 0 && len <= out->room)
		memcpy(out->p, src, len);
}

bool
srv_range(struct srv *s, uint64_t addr, uint64_t len, void **p)
{
	*p = NULL;
	if (addr == 0 && len == 0)
		return true;
	*p = arena_ptr(&s->sh->arena, addr, len);
	return *p != NULL;
}

bool
srv_memory_take(struct shared *sh, uint64_t bytes)
{
	const uint64_t before = atomic_fetch_add(&sh->memory, bytes);

	if (before + bytes >= before && (sh->max_memory == 0 || before + bytes <= sh->max_memory))
		return true;
	atomic_fetch_sub(&sh->memory, bytes);
	log_limited(&sh->limit, LOG_WARNING,
		    "session %u: an OpenCL program wants %llu more bytes of memory than the %llu "
		    "that --max-device-memory allows",
		    sh->session, (unsigned long long)(before + bytes - sh->max_memory),
		    (unsigned long long)sh->max_memory);
	return false;
}

void
srv_memory_give(struct shared *sh, uint64_t bytes)
{
	atomic_fetch_sub(&sh->memory, bytes);
}
