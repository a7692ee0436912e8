/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Shared virtual memory lies in the arena, which the worker has at the same addresses: what is allocated, and freed. */

#include <stdlib.h>

#include "cl_svm.h"

#define ACCESS (CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY)
#define SVM    (CL_MEM_SVM_FINE_GRAIN_BUFFER | CL_MEM_SVM_ATOMICS)

struct allocation {
	struct allocation *next;
	struct _cl_context *ctx; /* with a reference */
	const uint8_t *p;
	size_t size;
};

static struct {
	pthread_mutex_t lock;
	struct allocation *first;
} svm = {.lock = PTHREAD_MUTEX_INITIALIZER};

cl_bitfield
cl_svm_caps(void)
{
	const struct cl_session_info *info = cl_session();

	return info != NULL ? info->svm : 0;
}

bool
cl_svm_holds(const struct _cl_context *ctx, const void *p, size_t len)
{
	bool found = false;

	pthread_mutex_lock(&svm.lock);
	for (const struct allocation *a = svm.first; a != NULL && !found; a = a->next) {
		const uintptr_t off = (uintptr_t)p - (uintptr_t)a->p;

		found = (ctx == NULL || a->ctx == ctx) && off < a->size && len <= a->size - off;
	}
	pthread_mutex_unlock(&svm.lock);
	return found;
}

/* Not among the allocations any more; false: it never was. */
static bool
forget(const struct _cl_context *ctx, const void *p)
{
	struct allocation **at, *a;

	pthread_mutex_lock(&svm.lock);
	for (at = &svm.first; (a = *at) != NULL; at = &a->next)
		if (a->p == p && a->ctx == ctx)
			break;
	if (a != NULL)
		*at = a->next;
	pthread_mutex_unlock(&svm.lock);
	if (a == NULL)
		return false;
	cl_release(a->ctx);
	free(a);
	return true;
}

static bool
may_be(cl_context ctx, cl_svm_mem_flags flags, size_t size, cl_uint align)
{
	const cl_svm_mem_flags access = flags & ACCESS;
	const cl_bitfield caps = cl_svm_caps();

	if (!cl_is(ctx, CL_KIND_CONTEXT) || caps == 0 || size == 0)
		return false;
	if ((flags & ~(cl_svm_mem_flags)(ACCESS | SVM)) != 0 || (access & (access - 1)) != 0 ||
	    (align & (align - 1)) != 0)
		return false;
	if ((flags & CL_MEM_SVM_FINE_GRAIN_BUFFER) && !(caps & CL_DEVICE_SVM_FINE_GRAIN_BUFFER))
		return false;
	return !(flags & CL_MEM_SVM_ATOMICS) ||
	       ((flags & CL_MEM_SVM_FINE_GRAIN_BUFFER) && (caps & CL_DEVICE_SVM_ATOMICS));
}

CL_API_ENTRY void *CL_API_CALL
clSVMAlloc(cl_context ctx, cl_svm_mem_flags flags, size_t size, cl_uint align)
{
	struct allocation *a;
	uint64_t addr;
	void *p = NULL;

	if (!may_be(ctx, flags, size, align))
		return NULL;
	a = malloc(sizeof(*a));
	if (a == NULL)
		return NULL;
	if (rpc_SVMAlloc(cl_id(ctx), flags, size, align, &addr) == CL_SUCCESS)
		p = cl_arena_ptr(addr, size);
	if (p == NULL) {
		free(a);
		return NULL;
	}
	cl_retain(ctx);
	*a = (struct allocation){.ctx = ctx, .p = p, .size = size};
	pthread_mutex_lock(&svm.lock);
	a->next = svm.first;
	svm.first = a;
	pthread_mutex_unlock(&svm.lock);
	return p;
}

CL_API_ENTRY void CL_API_CALL
clSVMFree(cl_context ctx, void *p)
{
	const uint64_t id = cl_is(ctx, CL_KIND_CONTEXT) ? cl_id(ctx) : 0;

	if (id != 0 && p != NULL && forget(ctx, p))
		rpc_SVMFree(id, cl_arena_addr(p));
}

/* In a queue --------------------------------------------------------------------------------------------------------- */

/* The program's function frees them: when the command's turn comes, and before its event says that it is complete. */
struct freeing {
	struct cl_after a;
	void(CL_CALLBACK *fn)(cl_command_queue, cl_uint, void *[], void *);
	void *user;
	struct _cl_command_queue *queue; /* with a reference */
	cl_uint n;
	void *p[];
};

static void
call_back(struct cl_after *a, bool success)
{
	struct freeing *f = (struct freeing *)a;

	if (success)
		f->fn(f->queue, f->n, f->p, f->user);
	cl_release(f->queue);
	free(f);
}

static void CL_CALLBACK
nothing(cl_event ev, cl_int status, void *user)
{
	(void)ev;
	(void)status;
	(void)user;
}

static cl_int
free_by_callback(struct _cl_command_queue *q, struct freeing *f, cl_uint nb_waits,
		 const cl_event *waits, cl_event *event)
{
	struct _cl_event *ev;
	uint64_t id;
	cl_int err = rpc_EnqueueMarkerWithWaitList(cl_id(q), nb_waits, waits, &id);

	if (err != CL_SUCCESS) {
		cl_after_now(&f->a, false);
		return err;
	}
	ev = cl_event_new(q, CL_COMMAND_SVM_FREE, id, &f->a);
	if (ev == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	/* so that it happens even if the program does not wait */
	clSetEventCallback(ev, CL_COMPLETE, nothing, NULL);
	if (event != NULL)
		*event = ev;
	else
		cl_event_track(ev);
	return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueSVMFree(cl_command_queue queue, cl_uint n, void *pointers[],
		 void(CL_CALLBACK *fn)(cl_command_queue, cl_uint, void *[], void *), void *user,
		 cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	struct freeing *f;
	uint64_t id = 0;
	cl_int err;

	err = cl_svm_command_check(queue);
	if (err != CL_SUCCESS)
		return err;
	if (n == 0 || pointers == NULL)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < n; i++)
		if (pointers[i] == NULL)
			return CL_INVALID_VALUE;
	err = cl_waits_check(queue->ctx, nb_waits, waits);
	if (err != CL_SUCCESS)
		return err;
	f = malloc(sizeof(*f) + n * sizeof(f->p[0]));
	if (f == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	*f = (struct freeing){
		.a = {.fn = call_back}, .fn = fn, .user = user, .queue = queue, .n = n};
	cl_retain(queue);
	for (cl_uint i = 0; i < n; i++)
		f->p[i] = pointers[i];
	if (fn != NULL)
		return free_by_callback(queue, f, nb_waits, waits, event);
	err = rpc_EnqueueSVMFree(cl_id(queue), n, (const uint64_t *)(void *)f->p, nb_waits, waits,
				 event != NULL ? &id : NULL);
	for (cl_uint i = 0; i < n && err == CL_SUCCESS; i++)
		forget(queue->ctx, f->p[i]);
	cl_after_now(&f->a, false);
	if (err != CL_SUCCESS)
		return err;
	return cl_command_done(queue, CL_COMMAND_SVM_FREE, id, false, NULL, event);
}

/* The child has no arena. */
static void
fork_child(void)
{
	pthread_mutex_init(&svm.lock, NULL);
	svm.first = NULL;
}

__attribute__((constructor)) static void
set_up(void)
{
	pthread_atfork(NULL, NULL, fork_child);
}
