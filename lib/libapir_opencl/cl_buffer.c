/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>
#include <string.h>

#include "cl_mem.h"

#define ACCESS	    (CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY)
#define HOST_ACCESS (CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS)
#define HOST_PTR    (CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)

/* Flags ----------------------------------------------------------------------------------------------------------- */

static bool
several(cl_mem_flags flags)
{
	return (flags & (flags - 1)) != 0;
}

cl_int
cl_mem_flags_check(cl_mem_flags flags, const void *host_ptr)
{
	if ((flags & ~(cl_mem_flags)(ACCESS | HOST_ACCESS | HOST_PTR)) != 0 ||
	    several(flags & ACCESS) || several(flags & HOST_ACCESS))
		return CL_INVALID_VALUE;
	if ((flags & CL_MEM_USE_HOST_PTR) &&
	    (flags & (CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)))
		return CL_INVALID_VALUE;
	if ((host_ptr != NULL) != ((flags & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR)) != 0))
		return CL_INVALID_HOST_PTR;
	return CL_SUCCESS;
}

cl_mem_flags
cl_mem_flags_inherit(cl_mem_flags flags, cl_mem_flags parent)
{
	if ((flags & ACCESS) == 0)
		flags |= parent & ACCESS;
	if ((flags & HOST_ACCESS) == 0)
		flags |= parent & HOST_ACCESS;
	return flags | (parent & HOST_PTR);
}

cl_mem_flags
cl_mem_flags_sent(cl_mem_flags flags)
{
	return flags & ~(cl_mem_flags)HOST_ACCESS;
}

cl_int
cl_host_access_check(const struct _cl_mem *mem, bool read, bool write)
{
	const cl_mem_flags f = mem->flags;

	if ((read && (f & (CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS)) != 0) ||
	    (write && (f & (CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS)) != 0))
		return CL_INVALID_OPERATION;
	return CL_SUCCESS;
}

/* A part may have no more rights than the whole. */
static bool
flags_fit(cl_mem_flags flags, cl_mem_flags parent)
{
	if ((flags & ~(cl_mem_flags)(ACCESS | HOST_ACCESS)) != 0 || several(flags & ACCESS) ||
	    several(flags & HOST_ACCESS))
		return false;
	if ((parent & CL_MEM_WRITE_ONLY) && (flags & (CL_MEM_READ_WRITE | CL_MEM_READ_ONLY)))
		return false;
	if ((parent & CL_MEM_READ_ONLY) && (flags & (CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY)))
		return false;
	if ((parent & CL_MEM_HOST_WRITE_ONLY) && (flags & CL_MEM_HOST_READ_ONLY))
		return false;
	if ((parent & CL_MEM_HOST_READ_ONLY) && (flags & CL_MEM_HOST_WRITE_ONLY))
		return false;
	return (parent & CL_MEM_HOST_NO_ACCESS) == 0 ||
	       (flags & (CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_WRITE_ONLY)) == 0;
}

/* Creation -------------------------------------------------------------------------------------------------------- */

bool
cl_props_copy(const uint64_t *props, size_t step, uint64_t **copy, size_t *n)
{
	size_t len = 0;

	*copy = NULL;
	*n = 0;
	if (props == NULL)
		return true;
	while (props[len] != 0)
		len += step;
	*copy = malloc((len + 1) * sizeof(**copy));
	if (*copy == NULL)
		return false;
	memcpy(*copy, props, (len + 1) * sizeof(**copy));
	*n = len + 1;
	return true;
}

struct _cl_mem *
cl_mem_new(struct _cl_context *ctx, uint64_t id, cl_mem_object_type type, cl_mem_flags flags)
{
	struct _cl_mem *mem = cl_object_new(CL_KIND_MEM, id);

	if (mem == NULL) {
		cl_release_id(id);
		return NULL;
	}
	cl_retain(ctx);
	mem->ctx = ctx;
	mem->type = type;
	mem->flags = (flags & ACCESS) == 0 ? flags | CL_MEM_READ_WRITE : flags;
	pthread_mutex_init(&mem->lock, NULL);
	return mem;
}

static cl_int
size_check(size_t size)
{
	cl_ulong most = 0;

	if (size == 0)
		return CL_INVALID_BUFFER_SIZE;
	/* before anything so long is read from the program's memory */
	if (clGetDeviceInfo(cl_the_device(), CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(most), &most,
			    NULL) == CL_SUCCESS &&
	    size > most)
		return CL_INVALID_BUFFER_SIZE;
	return CL_SUCCESS;
}

static struct _cl_mem *
create_buffer(struct _cl_context *ctx, cl_mem_flags flags, size_t size, void *host_ptr, cl_int *err)
{
	const uint8_t *from = host_ptr;
	struct cl_staging *s = NULL;
	uint64_t id, storage = 0;
	struct _cl_mem *mem;

	/* what lies in the arena (shared virtual memory, a mapping) can be used as it is */
	if (host_ptr != NULL && !cl_arena_holds(host_ptr, size)) {
		s = cl_staging_new(size);
		if (s == NULL) {
			*err = CL_MEM_OBJECT_ALLOCATION_FAILURE;
			return NULL;
		}
		memcpy(s->p, host_ptr, size);
		from = s->p;
	}
	*err = rpc_CreateBuffer(cl_id(ctx), cl_mem_flags_sent(flags), size,
				from != NULL ? cl_arena_addr(from) : 0, from != NULL ? size : 0,
				&id, &storage);
	cl_staging_put(s);
	if (*err != CL_SUCCESS)
		return NULL;
	mem = cl_mem_new(ctx, id, CL_MEM_OBJECT_BUFFER, flags);
	if (mem == NULL) {
		*err = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	mem->size = size;
	mem->storage = storage != 0 ? cl_arena_ptr(storage, size) : NULL;
	if (flags & CL_MEM_USE_HOST_PTR)
		mem->host_ptr = host_ptr;
	return mem;
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateBufferWithProperties(cl_context ctx, const cl_mem_properties *props, cl_mem_flags flags,
			     size_t size, void *host_ptr, cl_int *errcode_ret)
{
	struct _cl_mem *mem = NULL;
	cl_int err = CL_SUCCESS;

	if (!cl_is(ctx, CL_KIND_CONTEXT))
		err = CL_INVALID_CONTEXT;
	else if (props != NULL && props[0] != 0)
		err = CL_INVALID_PROPERTY;
	if (err == CL_SUCCESS)
		err = cl_mem_flags_check(flags, NULL) == CL_INVALID_VALUE ? CL_INVALID_VALUE
									  : size_check(size);
	if (err == CL_SUCCESS)
		err = cl_mem_flags_check(flags, host_ptr);
	if (err == CL_SUCCESS)
		mem = create_buffer(ctx, flags, size, host_ptr, &err);
	if (mem != NULL && !cl_props_copy(props, 2, &mem->props, &mem->nb_props)) {
		cl_release(mem);
		mem = NULL;
		err = CL_OUT_OF_HOST_MEMORY;
	}
	if (errcode_ret != NULL)
		*errcode_ret = err;
	return mem;
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateBuffer(cl_context ctx, cl_mem_flags flags, size_t size, void *host_ptr, cl_int *errcode_ret)
{
	return clCreateBufferWithProperties(ctx, NULL, flags, size, host_ptr, errcode_ret);
}

static struct _cl_mem *
create_sub(struct _cl_mem *buffer, cl_mem_flags flags, const cl_buffer_region *r, cl_int *err)
{
	struct _cl_mem *mem;
	uint64_t id;

	*err = rpc_CreateSubBuffer(cl_id(buffer), cl_mem_flags_sent(flags), r->origin, r->size,
				   &id);
	if (*err != CL_SUCCESS)
		return NULL;
	mem = cl_mem_new(buffer->ctx, id, CL_MEM_OBJECT_BUFFER,
			 cl_mem_flags_inherit(flags, buffer->flags));
	if (mem == NULL) {
		*err = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	cl_retain(buffer);
	mem->parent = buffer;
	mem->offset = r->origin;
	mem->size = r->size;
	if (buffer->storage != NULL)
		mem->storage = buffer->storage + r->origin;
	if (buffer->host_ptr != NULL)
		mem->host_ptr = (uint8_t *)buffer->host_ptr + r->origin;
	return mem;
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateSubBuffer(cl_mem buffer, cl_mem_flags flags, cl_buffer_create_type type, const void *info,
		  cl_int *errcode_ret)
{
	const cl_buffer_region *r = info;
	struct _cl_mem *mem = NULL;
	cl_int err = CL_SUCCESS;

	if (!cl_is(buffer, CL_KIND_MEM) || buffer->type != CL_MEM_OBJECT_BUFFER ||
	    buffer->parent != NULL)
		err = CL_INVALID_MEM_OBJECT;
	else if (!flags_fit(flags, buffer->flags) || type != CL_BUFFER_CREATE_TYPE_REGION ||
		 r == NULL)
		err = CL_INVALID_VALUE;
	else if (r->size == 0)
		err = CL_INVALID_BUFFER_SIZE;
	else if (r->origin > buffer->size || r->size > buffer->size - r->origin)
		err = CL_INVALID_VALUE;
	else
		mem = create_sub(buffer, flags, r, &err);
	if (errcode_ret != NULL)
		*errcode_ret = err;
	return mem;
}

/* Life and death -------------------------------------------------------------------------------------------------- */

CL_API_ENTRY cl_int CL_API_CALL
clRetainMemObject(cl_mem mem)
{
	return cl_api_retain(mem, CL_KIND_MEM);
}

CL_API_ENTRY cl_int CL_API_CALL
clReleaseMemObject(cl_mem mem)
{
	return cl_api_release(mem, CL_KIND_MEM);
}

CL_API_ENTRY cl_int CL_API_CALL
clSetMemObjectDestructorCallback(cl_mem mem, void(CL_CALLBACK *fn)(cl_mem, void *), void *user)
{
	struct cl_destructor *d;

	if (!cl_is(mem, CL_KIND_MEM))
		return CL_INVALID_MEM_OBJECT;
	if (fn == NULL)
		return CL_INVALID_VALUE;
	d = malloc(sizeof(*d));
	if (d == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	d->fn = (void(CL_CALLBACK *)(void *, void *))(void (*)(void))fn;
	d->user = user;
	pthread_mutex_lock(&mem->lock);
	d->next = mem->destructors;
	mem->destructors = d;
	pthread_mutex_unlock(&mem->lock);
	return CL_SUCCESS;
}

static void
end(void *obj)
{
	struct _cl_mem *mem = obj;
	struct cl_destructor *d;

	while ((d = mem->destructors) != NULL) {
		mem->destructors = d->next;
		d->fn(mem, d->user);
		free(d);
	}
	cl_maps_drop(mem);
	free(mem->props);
	pthread_mutex_destroy(&mem->lock);
	cl_release(mem->parent);
	cl_release(mem->ctx);
}

__attribute__((constructor)) static void
set_up(void)
{
	cl_object_cleanup(CL_KIND_MEM, end);
}
