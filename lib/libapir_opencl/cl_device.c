/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>
#include <string.h>

#include "cl_extension.h"
#include "cl_info.h"
#include "cl_platform.h"
#include "cl_rpc.h"
#include "cl_session.h"

#define ALL_TYPES                                                           \
	(CL_DEVICE_TYPE_DEFAULT | CL_DEVICE_TYPE_CPU | CL_DEVICE_TYPE_GPU | \
	 CL_DEVICE_TYPE_ACCELERATOR | CL_DEVICE_TYPE_CUSTOM)

static struct cl_info_key
key_of(const struct _cl_device_id *d, cl_device_info param)
{
	return (struct cl_info_key){.kind = CL_KIND_DEVICE, .object = cl_id(d), .param = param};
}

cl_int
cl_device_fact(struct _cl_device_id *d, cl_device_info param, void *value, size_t size)
{
	const struct cl_info_key key = key_of(d, param);
	const void *src;
	size_t len;
	cl_int err = cl_info_get(d->info, &key, &src, &len);

	if (err == CL_SUCCESS && len != size)
		err = CL_OUT_OF_RESOURCES;
	if (err == CL_SUCCESS)
		memcpy(value, src, size);
	return err;
}

cl_int
cl_device_of_type(cl_device_type types, struct _cl_device_id **device)
{
	struct _cl_device_id *d = cl_root_device();
	cl_device_type type;
	cl_int err;

	if (types != CL_DEVICE_TYPE_ALL &&
	    (types == 0 || (types & ~(cl_device_type)ALL_TYPES) != 0))
		return CL_INVALID_DEVICE_TYPE;
	if (d == NULL)
		return CL_DEVICE_NOT_FOUND;
	*device = d;
	/* the only one is the default one */
	if ((types & CL_DEVICE_TYPE_DEFAULT) != 0 && types != CL_DEVICE_TYPE_ALL)
		return CL_SUCCESS;
	err = cl_device_fact(d, CL_DEVICE_TYPE, &type, sizeof(type));
	if (err != CL_SUCCESS)
		return err;
	if (types == CL_DEVICE_TYPE_ALL)
		return type == CL_DEVICE_TYPE_CUSTOM ? CL_DEVICE_NOT_FOUND : CL_SUCCESS;
	return (types & type & ~(cl_device_type)CL_DEVICE_TYPE_DEFAULT) != 0 ? CL_SUCCESS
									     : CL_DEVICE_NOT_FOUND;
}

CL_API_ENTRY cl_int CL_API_CALL
clGetDeviceIDs(cl_platform_id platform, cl_device_type type, cl_uint nb, cl_device_id *devices,
	       cl_uint *nb_ret)
{
	cl_device_id d = NULL;
	cl_int err;

	if (platform != NULL && !cl_is(platform, CL_KIND_PLATFORM))
		return CL_INVALID_PLATFORM;
	err = cl_device_of_type(type, &d);
	if (err == CL_INVALID_DEVICE_TYPE)
		return err;
	if ((nb == 0 && devices != NULL) || (devices == NULL && nb_ret == NULL))
		return CL_INVALID_VALUE;
	if (nb_ret != NULL)
		*nb_ret = err == CL_SUCCESS ? 1 : 0;
	if (err == CL_SUCCESS && devices != NULL)
		devices[0] = d;
	return err;
}

/* Information -------------------------------------------------------------------------------------------------------- */

static cl_int
put_extensions(struct _cl_device_id *d, size_t size, void *value, size_t *size_ret)
{
	const struct cl_info_key key = key_of(d, CL_DEVICE_EXTENSIONS);
	const void *src;
	size_t len;
	char *list;
	cl_int err = cl_info_get(d->info, &key, &src, &len);

	if (err != CL_SUCCESS)
		return err;
	list = malloc(len + 1);
	if (list == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	memcpy(list, src, len);
	list[len] = '\0';
	len = cl_extension_filter(list);
	err = cl_info_put(list, len + 1, size, value, size_ret);
	free(list);
	return err;
}

static cl_int
put_extension_versions(struct _cl_device_id *d, size_t size, void *value, size_t *size_ret)
{
	const struct cl_info_key key = key_of(d, CL_DEVICE_EXTENSIONS_WITH_VERSION);
	const cl_name_version *src;
	cl_name_version *list;
	size_t len, nb = 0;
	cl_int err = cl_info_get(d->info, &key, (const void **)&src, &len);

	if (err != CL_SUCCESS)
		return err;
	list = malloc(len + 1);
	if (list == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	for (size_t i = 0; i < len / sizeof(*src); i++)
		if (cl_extension_known(src[i].name, strnlen(src[i].name, sizeof(src[i].name))))
			list[nb++] = src[i];
	err = cl_info_put(list, nb * sizeof(*list), size, value, size_ret);
	free(list);
	return err;
}

/* The host's, without what cannot reach over here. */
static cl_int
put_bits(struct _cl_device_id *d, cl_device_info param, cl_bitfield drop, size_t size, void *value,
	 size_t *size_ret)
{
	cl_bitfield bits;
	const cl_int err = cl_device_fact(d, param, &bits, sizeof(bits));

	if (err != CL_SUCCESS)
		return err;
	bits &= ~drop;
	return cl_info_put(&bits, sizeof(bits), size, value, size_ret);
}

CL_API_ENTRY cl_int CL_API_CALL
clGetDeviceInfo(cl_device_id d, cl_device_info param, size_t size, void *value, size_t *size_ret)
{
	const struct cl_session_info *info = cl_session();
	struct cl_info_key key;

	if (!cl_is(d, CL_KIND_DEVICE))
		return CL_INVALID_DEVICE;
	switch (param) {
	case CL_DEVICE_PLATFORM: {
		const cl_platform_id p = cl_the_platform_object();

		return cl_info_put(&p, sizeof(p), size, value, size_ret);
	}
	case CL_DEVICE_PARENT_DEVICE:
		return cl_info_put(&d->parent, sizeof(d->parent), size, value, size_ret);
	case CL_DEVICE_REFERENCE_COUNT: {
		const cl_uint n = cl_refcount(d);

		return cl_info_put(&n, sizeof(n), size, value, size_ret);
	}
	case CL_DEVICE_AVAILABLE: {
		cl_bool yes = CL_FALSE;

		if (info != NULL)
			cl_device_fact(d, param, &yes, sizeof(yes));
		return cl_info_put(&yes, sizeof(yes), size, value, size_ret);
	}
	case CL_DEVICE_EXTENSIONS:
		return put_extensions(d, size, value, size_ret);
	case CL_DEVICE_EXTENSIONS_WITH_VERSION:
		return put_extension_versions(d, size, value, size_ret);
	case CL_DEVICE_EXECUTION_CAPABILITIES:
		return put_bits(d, param, CL_EXEC_NATIVE_KERNEL, size, value, size_ret);
	case CL_DEVICE_SVM_CAPABILITIES:
		return put_bits(d, param, info == NULL ? ~(cl_bitfield)0 : ~info->svm, size, value,
				size_ret);
	default:
		key = key_of(d, param);
		return cl_info_answer(d->info, &key, size, value, size_ret);
	}
}

/* Sub-devices -------------------------------------------------------------------------------------------------------- */

/* Items of a list of partition properties, the final 0 included; 0: it has no end that makes sense. */
static size_t
partition_items(const cl_device_partition_property *props)
{
	size_t n = 1;

	if (props[0] == CL_DEVICE_PARTITION_BY_COUNTS) {
		/* the counts have an end of their own */
		while (props[n] != CL_DEVICE_PARTITION_BY_COUNTS_LIST_END)
			if (++n > APIR_CL_MAX_ITEMS / 2)
				return 0;
		n++;
		return n + (props[n] == 0);
	}
	while (props[n] != 0)
		if (++n > APIR_CL_MAX_ITEMS / 2)
			return 0;
	return n + 1;
}

static cl_device_id
sub_device(cl_device_id parent, uint64_t id)
{
	cl_device_id d = cl_object_new(CL_KIND_DEVICE, id);

	if (d == NULL) {
		cl_release_id(id);
		return NULL;
	}
	cl_retain(parent);
	d->parent = parent;
	d->info = cl_info_cache_new();
	if (d->info == NULL) {
		cl_release(d);
		return NULL;
	}
	return d;
}

static cl_int
make_sub_devices(cl_device_id parent, size_t n, const uint64_t *props, cl_uint room,
		 cl_device_id *devices, cl_uint *nb_ret)
{
	const size_t most = room < APIR_CL_MAX_ITEMS ? room : APIR_CL_MAX_ITEMS;
	uint64_t *ids = calloc(most + 1, sizeof(*ids));
	size_t len = 0, nb;
	cl_int err;

	if (ids == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	err = rpc_CreateSubDevices(cl_id(parent), n, props, (uint32_t)most, ids,
				   most * sizeof(*ids), &len);
	nb = len / sizeof(*ids);
	if (err == CL_SUCCESS && devices != NULL && nb > most)
		err = CL_INVALID_VALUE;
	if (err == CL_SUCCESS && nb_ret != NULL)
		*nb_ret = (cl_uint)nb;
	for (size_t i = 0; err == CL_SUCCESS && devices != NULL && i < nb; i++) {
		devices[i] = sub_device(parent, ids[i]);
		if (devices[i] != NULL)
			continue;
		err = CL_OUT_OF_HOST_MEMORY;
		for (size_t j = i + 1; j < nb; j++)
			cl_release_id(ids[j]);
		while (i-- > 0)
			cl_release(devices[i]);
		break;
	}
	free(ids);
	return err;
}

CL_API_ENTRY cl_int CL_API_CALL
clCreateSubDevices(cl_device_id in, const cl_device_partition_property *props, cl_uint nb,
		   cl_device_id *devices, cl_uint *nb_ret)
{
	size_t n;

	if (!cl_is(in, CL_KIND_DEVICE))
		return CL_INVALID_DEVICE;
	if (props == NULL || props[0] == 0 || (devices == NULL && nb_ret == NULL) ||
	    (devices != NULL && nb == 0))
		return CL_INVALID_VALUE;
	n = partition_items(props);
	if (n == 0)
		return CL_INVALID_VALUE;
	return make_sub_devices(in, n, (const uint64_t *)props, devices == NULL ? 0 : nb, devices,
				nb_ret);
}

CL_API_ENTRY cl_int CL_API_CALL
clRetainDevice(cl_device_id d)
{
	return cl_api_retain(d, CL_KIND_DEVICE);
}

CL_API_ENTRY cl_int CL_API_CALL
clReleaseDevice(cl_device_id d)
{
	return cl_api_release(d, CL_KIND_DEVICE);
}

static void
end_device(void *obj)
{
	cl_device_id d = obj;

	cl_info_cache_free(d->info);
	d->info = NULL;
	cl_release(d->parent);
}

__attribute__((constructor)) static void
init(void)
{
	cl_object_cleanup(CL_KIND_DEVICE, end_device);
}

/* Timers ------------------------------------------------------------------------------------------------------------- */

CL_API_ENTRY cl_int CL_API_CALL
clGetDeviceAndHostTimer(cl_device_id d, cl_ulong *device_time, cl_ulong *host_time)
{
	if (!cl_is(d, CL_KIND_DEVICE))
		return CL_INVALID_DEVICE;
	if (device_time == NULL || host_time == NULL)
		return CL_INVALID_VALUE;
	return rpc_GetDeviceAndHostTimer(cl_id(d), (uint64_t *)device_time, (uint64_t *)host_time);
}

CL_API_ENTRY cl_int CL_API_CALL
clGetHostTimer(cl_device_id d, cl_ulong *host_time)
{
	if (!cl_is(d, CL_KIND_DEVICE))
		return CL_INVALID_DEVICE;
	if (host_time == NULL)
		return CL_INVALID_VALUE;
	return rpc_GetHostTimer(cl_id(d), (uint64_t *)host_time);
}
