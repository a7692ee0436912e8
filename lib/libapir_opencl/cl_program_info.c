/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * What programs tell of themselves and of their builds.
 */

#include <stdlib.h>
#include <string.h>

#include "cl_ask.h"
#include "cl_program.h"
#include "cl_rpc.h"
#include "virtio_apir_cl.h"

static cl_int
info_binary_sizes(cl_program p, size_t size, void *value, size_t *size_ret)
{
	const struct cl_program_more *m = cl_program_more(p);
	size_t *sizes = calloc(m->nb_devices, sizeof(*sizes));
	cl_int err = sizes == NULL ? CL_OUT_OF_HOST_MEMORY : CL_SUCCESS;

	for (cl_uint i = 0; err == CL_SUCCESS && i < m->nb_devices; i++) {
		uint64_t total = 0;

		err = rpc_GetProgramBinary(cl_id(p), cl_id(m->devices[i]), 0, &total, NULL, 0,
					   NULL);
		sizes[i] = total;
	}
	if (err == CL_SUCCESS)
		err = cl_info_put(sizes, m->nb_devices * sizeof(*sizes), size, value, size_ret);
	free(sizes);
	return err;
}

/* A device's binary goes to `to`, which has room for as much as it was told to be. */
static cl_int
copy_binary(cl_program p, const struct _cl_device_id *device, unsigned char *to)
{
	uint8_t piece[16384];
	uint64_t total = 0, off = 0;
	size_t part;
	cl_int err;

	do {
		part = 0;
		err = rpc_GetProgramBinary(cl_id(p), cl_id(device), off, &total, piece,
					   sizeof(piece), &part);
		if (err != CL_SUCCESS)
			return err;
		if (part > sizeof(piece) || part > total - off)
			return CL_OUT_OF_RESOURCES;
		memcpy(to + off, piece, part);
		off += part;
	} while (part > 0 && off < total);
	return CL_SUCCESS;
}

static cl_int
info_binaries(cl_program p, size_t size, void *value, size_t *size_ret)
{
	const struct cl_program_more *m = cl_program_more(p);
	const size_t len = m->nb_devices * sizeof(unsigned char *);
	unsigned char **to = value;
	cl_int err = CL_SUCCESS;

	if (value != NULL && size < len)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; to != NULL && err == CL_SUCCESS && i < m->nb_devices; i++) {
		if (to[i] != NULL)
			err = copy_binary(p, m->devices[i], to[i]);
	}
	if (err == CL_SUCCESS && size_ret != NULL)
		*size_ret = len;
	return err;
}

CL_API_ENTRY cl_int CL_API_CALL
clGetProgramInfo(cl_program program, cl_program_info param_name, size_t param_value_size,
		 void *param_value, size_t *param_value_size_ret)
{
	const struct cl_program_more *m;
	struct cl_ask ask = {.object = program, .kind = CL_KIND_PROGRAM, .param = param_name};
	const void *src;
	size_t len;
	cl_context ctx;
	cl_uint n;

	if (!cl_is(program, CL_KIND_PROGRAM))
		return CL_INVALID_PROGRAM;
	m = cl_program_more(program);
	switch (param_name) {
	case CL_PROGRAM_REFERENCE_COUNT:
		/* its kernels count, as elsewhere */
		n = cl_refcount(program) + atomic_load(&program->nb_kernels);
		src = &n;
		len = sizeof(n);
		break;
	case CL_PROGRAM_CONTEXT:
		ctx = program->ctx;
		src = &ctx;
		len = sizeof(ctx);
		break;
	case CL_PROGRAM_NUM_DEVICES:
		src = &m->nb_devices;
		len = sizeof(m->nb_devices);
		break;
	case CL_PROGRAM_DEVICES:
		src = m->devices;
		len = m->nb_devices * sizeof(m->devices[0]);
		break;
	case CL_PROGRAM_SOURCE:
		if (m->origin != CL_ORIGIN_SOURCE)
			return cl_ask(&ask, param_value_size, param_value, param_value_size_ret);
		src = m->text;
		len = m->text_len;
		break;
	case CL_PROGRAM_IL:
		src = m->text;
		len = m->origin == CL_ORIGIN_IL ? m->text_len : 0;
		break;
	case CL_PROGRAM_BINARY_SIZES:
		return info_binary_sizes(program, param_value_size, param_value,
					 param_value_size_ret);
	case CL_PROGRAM_BINARIES:
		return info_binaries(program, param_value_size, param_value, param_value_size_ret);
	default:
		return cl_ask(&ask, param_value_size, param_value, param_value_size_ret);
	}
	return cl_info_put(src, len, param_value_size, param_value, param_value_size_ret);
}

CL_API_ENTRY cl_int CL_API_CALL
clGetProgramBuildInfo(cl_program program, cl_device_id device, cl_program_build_info param_name,
		      size_t param_value_size, void *param_value, size_t *param_value_size_ret)
{
	const struct cl_ask ask = {
		.object = program,
		.kind = CL_KIND_PROGRAM,
		.other = device,
		.other_kind = CL_KIND_DEVICE,
		.param = param_name,
	};
	struct cl_program_more *m;
	const char *options;
	cl_int err;

	if (!cl_is(program, CL_KIND_PROGRAM))
		return CL_INVALID_PROGRAM;
	if (!cl_is(device, CL_KIND_DEVICE) || !cl_program_has(program, device))
		return CL_INVALID_DEVICE;
	if (param_name != CL_PROGRAM_BUILD_OPTIONS)
		return cl_ask(&ask, param_value_size, param_value, param_value_size_ret);
	/* the worker's have more in them than the program said */
	m = cl_program_more(program);
	pthread_mutex_lock(&m->lock);
	options = m->options == NULL ? "" : m->options;
	err = cl_info_put(options, strlen(options) + 1, param_value_size, param_value,
			  param_value_size_ret);
	pthread_mutex_unlock(&m->lock);
	return err;
}
