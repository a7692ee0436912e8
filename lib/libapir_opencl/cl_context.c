/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>
#include <string.h>

#include "cl_platform.h"
#include "cl_rpc.h"
#include "cl_session.h"
#include "cl_token.h"

/* No context has more: a list without an end is no list. */
#define MAX_PROPS 64u

/* Values of the list, the final 0 included; 0: none. */
static cl_int
check_props(const cl_context_properties *props, size_t *nb)
{
	cl_context_properties seen[MAX_PROPS];
	size_t n = 0;

	*nb = 0;
	if (props == NULL)
		return CL_SUCCESS;
	for (size_t i = 0; props[i] != 0; i += 2) {
		for (size_t j = 0; j < n; j++)
			if (seen[j] == props[i])
				return CL_INVALID_PROPERTY;
		switch (props[i]) {
		case CL_CONTEXT_PLATFORM:
			if (!cl_is((void *)props[i + 1], CL_KIND_PLATFORM))
				return CL_INVALID_PLATFORM;
			break;
		case CL_CONTEXT_INTEROP_USER_SYNC:
			if (props[i + 1] != CL_TRUE && props[i + 1] != CL_FALSE)
				return CL_INVALID_PROPERTY;
			break;
		default:
			return CL_INVALID_PROPERTY;
		}
		seen[n++] = props[i];
		*nb = i + 2;
	}
	*nb += 1;
	return CL_SUCCESS;
}

bool
cl_context_has(const struct _cl_context *ctx, const struct _cl_device_id *device)
{
	for (cl_uint i = 0; i < ctx->nb_devices; i++)
		if (ctx->devices[i] == device)
			return true;
	return false;
}

/* Errors that the host's runtime found, told by the thread of notices. */
static void
on_error(void *arg, int32_t value, const void *text, size_t len)
{
	struct _cl_context *ctx = arg;
	char *line;

	(void)value;
	line = malloc(len + 1);
	if (line == NULL)
		return;
	if (len > 0)
		memcpy(line, text, len);
	line[len] = '\0';
	ctx->notify(len > 0 ? line : "the OpenCL device is gone", NULL, 0, ctx->notify_user);
	free(line);
}

static void
end_context(void *obj)
{
	struct _cl_context *ctx = obj;
	struct cl_destructor *d;

	/* newest first; each may still use what the context holds */
	while ((d = ctx->destructors) != NULL) {
		ctx->destructors = d->next;
		d->fn(ctx, d->user);
		free(d);
	}
	cl_token_drop(ctx->notify_token);
	for (cl_uint i = 0; i < ctx->nb_devices; i++)
		cl_release(ctx->devices[i]);
	ctx->nb_devices = 0;
	free(ctx->devices);
	free(ctx->props);
	ctx->devices = NULL;
	ctx->props = NULL;
}

__attribute__((constructor)) static void
init(void)
{
	cl_object_cleanup(CL_KIND_CONTEXT, end_context);
}

static cl_int
set_devices(struct _cl_context *ctx, cl_uint nb, const cl_device_id *devices)
{
	ctx->devices = calloc(nb, sizeof(devices[0]));
	if (ctx->devices == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	for (cl_uint i = 0; i < nb; i++) {
		if (cl_context_has(ctx, devices[i]))
			continue;
		cl_retain(devices[i]);
		ctx->devices[ctx->nb_devices++] = devices[i];
	}
	return CL_SUCCESS;
}

static cl_int
set_props(struct _cl_context *ctx, const cl_context_properties *props, size_t nb)
{
	if (nb == 0)
		return CL_SUCCESS;
	ctx->props = malloc(nb * sizeof(props[0]));
	if (ctx->props == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	memcpy(ctx->props, props, nb * sizeof(props[0]));
	ctx->nb_props = nb;
	return CL_SUCCESS;
}

/* The platform's own handle means nothing to the host: the worker names its own. */
static cl_int
create_there(struct _cl_context *ctx)
{
	uint64_t *ids = calloc(ctx->nb_devices, sizeof(*ids));
	uint64_t props[2 * MAX_PROPS];
	size_t n = 0;
	cl_int err;

	if (ids == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	for (cl_uint i = 0; i < ctx->nb_devices; i++)
		ids[i] = cl_id(ctx->devices[i]);
	for (size_t i = 0; i + 1 < ctx->nb_props; i += 2) {
		if (ctx->props[i] == CL_CONTEXT_PLATFORM)
			continue;
		props[n++] = (uint64_t)ctx->props[i];
		props[n++] = (uint64_t)ctx->props[i + 1];
	}
	err = rpc_CreateContext(n, props, ctx->nb_devices, ids, ctx->notify_token, &ctx->o.id);
	free(ids);
	return err;
}

/* What was given has been checked. */
static cl_context
create(const cl_context_properties *props, size_t nb_props, cl_uint nb, const cl_device_id *devices,
       void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user,
       cl_int *err)
{
	struct _cl_context *ctx = cl_object_new(CL_KIND_CONTEXT, 0);

	if (ctx == NULL) {
		*err = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	ctx->notify = notify;
	ctx->notify_user = user;
	*err = set_props(ctx, props, nb_props);
	if (*err == CL_SUCCESS)
		*err = set_devices(ctx, nb, devices);
	if (*err == CL_SUCCESS && notify != NULL) {
		ctx->notify_token = cl_token_new(CL_NOTICE_CONTEXT, on_error, ctx);
		if (ctx->notify_token == 0)
			*err = CL_OUT_OF_HOST_MEMORY;
	}
	if (*err == CL_SUCCESS)
		*err = create_there(ctx);
	if (*err != CL_SUCCESS) {
		cl_release(ctx);
		return NULL;
	}
	return ctx;
}

static cl_int
check(const cl_context_properties *props, size_t *nb_props, cl_uint nb, const cl_device_id *devices,
      bool notify, const void *user)
{
	cl_int err = check_props(props, nb_props);

	if (err != CL_SUCCESS)
		return err;
	if (devices == NULL || nb == 0 || nb > APIR_CL_MAX_ITEMS || (!notify && user != NULL))
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < nb; i++)
		if (!cl_is(devices[i], CL_KIND_DEVICE))
			return CL_INVALID_DEVICE;
	return CL_SUCCESS;
}

CL_API_ENTRY cl_context CL_API_CALL
clCreateContext(const cl_context_properties *props, cl_uint nb, const cl_device_id *devices,
		void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user,
		cl_int *errcode)
{
	cl_context ctx = NULL;
	size_t nb_props;
	cl_int err = check(props, &nb_props, nb, devices, notify != NULL, user);

	if (err == CL_SUCCESS)
		ctx = create(props, nb_props, nb, devices, notify, user, &err);
	if (errcode != NULL)
		*errcode = err;
	return ctx;
}

CL_API_ENTRY cl_context CL_API_CALL
clCreateContextFromType(const cl_context_properties *props, cl_device_type type,
			void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *),
			void *user, cl_int *errcode)
{
	cl_context ctx = NULL;
	cl_device_id device;
	size_t nb_props;
	cl_int err = check_props(props, &nb_props);

	if (err == CL_SUCCESS && notify == NULL && user != NULL)
		err = CL_INVALID_VALUE;
	if (err == CL_SUCCESS)
		err = cl_device_of_type(type, &device);
	if (err == CL_SUCCESS)
		ctx = create(props, nb_props, 1, &device, notify, user, &err);
	if (errcode != NULL)
		*errcode = err;
	return ctx;
}

CL_API_ENTRY cl_int CL_API_CALL
clRetainContext(cl_context ctx)
{
	return cl_api_retain(ctx, CL_KIND_CONTEXT);
}

CL_API_ENTRY cl_int CL_API_CALL
clReleaseContext(cl_context ctx)
{
	return cl_api_release(ctx, CL_KIND_CONTEXT);
}

CL_API_ENTRY cl_int CL_API_CALL
clGetContextInfo(cl_context ctx, cl_context_info param, size_t size, void *value, size_t *size_ret)
{
	cl_uint n;

	if (!cl_is(ctx, CL_KIND_CONTEXT))
		return CL_INVALID_CONTEXT;
	switch (param) {
	case CL_CONTEXT_REFERENCE_COUNT:
		n = cl_refcount(ctx);
		return cl_info_put(&n, sizeof(n), size, value, size_ret);
	case CL_CONTEXT_NUM_DEVICES:
		return cl_info_put(&ctx->nb_devices, sizeof(ctx->nb_devices), size, value,
				   size_ret);
	case CL_CONTEXT_DEVICES:
		return cl_info_put(ctx->devices, ctx->nb_devices * sizeof(ctx->devices[0]), size,
				   value, size_ret);
	case CL_CONTEXT_PROPERTIES:
		return cl_info_put(ctx->props, ctx->nb_props * sizeof(ctx->props[0]), size, value,
				   size_ret);
	default:
		return CL_INVALID_VALUE;
	}
}

CL_API_ENTRY cl_int CL_API_CALL
clSetContextDestructorCallback(cl_context ctx, void(CL_CALLBACK *fn)(cl_context, void *),
			       void *user)
{
	struct cl_destructor *d;

	if (!cl_is(ctx, CL_KIND_CONTEXT))
		return CL_INVALID_CONTEXT;
	if (fn == NULL)
		return CL_INVALID_VALUE;
	d = malloc(sizeof(*d));
	if (d == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	d->fn = (void(CL_CALLBACK *)(void *, void *))fn;
	d->user = user;
	pthread_mutex_lock(&ctx->lock);
	d->next = ctx->destructors;
	ctx->destructors = d;
	pthread_mutex_unlock(&ctx->lock);
	return CL_SUCCESS;
}

/* Image formats ------------------------------------------------------------------------------------------------------ */

static bool
is_image(cl_mem_object_type type)
{
	return type >= CL_MEM_OBJECT_IMAGE2D && type <= CL_MEM_OBJECT_IMAGE1D_BUFFER;
}

static bool
more_than_one(cl_mem_flags flags)
{
	return (flags & (flags - 1)) != 0;
}

static bool
flags_valid(cl_mem_flags flags)
{
	const cl_mem_flags access = CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY;
	const cl_mem_flags host =
		CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS;
	const cl_mem_flags memory =
		CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR;

	if ((flags & ~(access | host | memory | CL_MEM_KERNEL_READ_AND_WRITE)) != 0)
		return false;
	if ((flags & CL_MEM_USE_HOST_PTR) != 0 &&
	    (flags & (CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)) != 0)
		return false;
	return !more_than_one(flags & access) && !more_than_one(flags & host);
}

CL_API_ENTRY cl_int CL_API_CALL
clGetSupportedImageFormats(cl_context ctx, cl_mem_flags flags, cl_mem_object_type type, cl_uint nb,
			   cl_image_format *formats, cl_uint *nb_ret)
{
	cl_image_format *all;
	size_t len = 0, n;
	cl_int err;

	if (!cl_is(ctx, CL_KIND_CONTEXT))
		return CL_INVALID_CONTEXT;
	if (!flags_valid(flags) || !is_image(type) || (nb == 0 && formats != NULL))
		return CL_INVALID_VALUE;
	all = malloc(APIR_CL_MAX_INLINE);
	if (all == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	err = rpc_GetSupportedImageFormats(cl_id(ctx), flags, type, all, APIR_CL_MAX_INLINE, &len);
	if (err == CL_SUCCESS && len > APIR_CL_MAX_INLINE)
		err = CL_OUT_OF_RESOURCES;
	if (err == CL_SUCCESS) {
		n = len / sizeof(all[0]);
		if (nb_ret != NULL)
			*nb_ret = (cl_uint)n;
		if (formats != NULL)
			memcpy(formats, all, (nb < n ? nb : n) * sizeof(all[0]));
	}
	free(all);
	return err;
}
