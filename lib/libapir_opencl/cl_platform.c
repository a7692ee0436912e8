/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdio.h>
#include <string.h>

#include "cl_info.h"
#include "cl_platform.h"
#include "cl_session.h"

#define NAME	   "apir"
#define EXTENSIONS "cl_khr_icd"

static _Atomic(struct _cl_platform_id *) platform;
static _Atomic(struct _cl_device_id *) root;

bool
cl_roots_make(uint64_t device)
{
	struct _cl_platform_id *p = atomic_load(&platform);
	struct _cl_device_id *d = atomic_load(&root);

	if (p == NULL)
		p = cl_object_new(CL_KIND_PLATFORM, 0);
	if (p == NULL)
		return false;
	atomic_store(&platform, p);
	if (d == NULL) {
		d = cl_object_new(CL_KIND_DEVICE, device);
		if (d == NULL)
			return false;
		d->info = cl_info_cache_new();
		if (d->info == NULL)
			return false;
	}
	/* a forked child's session has another name for it; it is the same device */
	d->o.id = device;
	d->o.session = cl_session_number();
	atomic_store(&root, d);
	return true;
}

struct _cl_platform_id *
cl_the_platform_object(void)
{
	return atomic_load(&platform);
}

struct _cl_platform_id *
cl_the_platform(void)
{
	return cl_session_open() == NULL ? NULL : atomic_load(&platform);
}

struct _cl_device_id *
cl_root_device(void)
{
	/* a child's program may have its platform from its parent: this is where it begins */
	if (cl_session_open() == NULL && cl_session_number() == 0)
		return NULL;
	return atomic_load(&root);
}

struct _cl_device_id *
cl_the_device(void)
{
	return cl_session_open() == NULL ? NULL : atomic_load(&root);
}

/* The host's name for its platform's version; the device's, if the host says nothing. */
static void
version(char *text, size_t size)
{
	const struct cl_info_key of_platform = {.kind = CL_KIND_PLATFORM,
						.param = CL_PLATFORM_VERSION};
	struct _cl_device_id *d = cl_root_device();
	const void *host = NULL;
	size_t len = 0;

	if (d != NULL && cl_info_get(d->info, &of_platform, &host, &len) != CL_SUCCESS) {
		const struct cl_info_key of_device = {
			.kind = CL_KIND_DEVICE, .object = cl_id(d), .param = CL_DEVICE_VERSION};

		if (cl_info_get(d->info, &of_device, &host, &len) != CL_SUCCESS)
			host = NULL;
	}
	if (host == NULL)
		snprintf(text, size, "OpenCL 3.0 " NAME " " APIR_RELEASE);
	else
		snprintf(text, size, "OpenCL 3.0 " NAME " " APIR_RELEASE " on %.*s", (int)len,
			 (const char *)host);
}

static cl_ulong
timer_resolution(void)
{
	const struct cl_info_key key = {.kind = CL_KIND_PLATFORM,
					.param = CL_PLATFORM_HOST_TIMER_RESOLUTION};
	struct _cl_device_id *d = cl_root_device();
	const void *value;
	cl_ulong ns = 0;
	size_t len;

	if (d != NULL && cl_info_get(d->info, &key, &value, &len) == CL_SUCCESS &&
	    len == sizeof(ns))
		memcpy(&ns, value, sizeof(ns));
	return ns;
}

static cl_int
put_text(const char *text, size_t size, void *value, size_t *size_ret)
{
	return cl_info_put(text, strlen(text) + 1, size, value, size_ret);
}

CL_API_ENTRY cl_int CL_API_CALL
clGetPlatformInfo(cl_platform_id platform_id, cl_platform_info param, size_t size, void *value,
		  size_t *size_ret)
{
	char text[512];

	if (platform_id != NULL && !cl_is(platform_id, CL_KIND_PLATFORM))
		return CL_INVALID_PLATFORM;
	switch (param) {
	case CL_PLATFORM_PROFILE:
		return put_text("FULL_PROFILE", size, value, size_ret);
	case CL_PLATFORM_VERSION:
		version(text, sizeof(text));
		return put_text(text, size, value, size_ret);
	case CL_PLATFORM_NAME:
		return put_text(NAME, size, value, size_ret);
	case CL_PLATFORM_VENDOR:
		return put_text("The apir authors", size, value, size_ret);
	case CL_PLATFORM_EXTENSIONS:
		return put_text(EXTENSIONS, size, value, size_ret);
	case CL_PLATFORM_ICD_SUFFIX_KHR:
		return put_text(NAME, size, value, size_ret);
	case CL_PLATFORM_HOST_TIMER_RESOLUTION: {
		const cl_ulong ns = timer_resolution();

		return cl_info_put(&ns, sizeof(ns), size, value, size_ret);
	}
	case CL_PLATFORM_NUMERIC_VERSION: {
		const cl_version v = CL_MAKE_VERSION(3, 0, 0);

		return cl_info_put(&v, sizeof(v), size, value, size_ret);
	}
	case CL_PLATFORM_EXTENSIONS_WITH_VERSION: {
		const cl_name_version v = {.version = CL_MAKE_VERSION(1, 0, 0), .name = EXTENSIONS};

		return cl_info_put(&v, sizeof(v), size, value, size_ret);
	}
	default:
		return CL_INVALID_VALUE;
	}
}
