/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Programs: made from source, IL, binaries and the device's own kernels. cl_build.c makes them executable, cl_program_info.c tells of
 * them.
 */

#include <stdlib.h>
#include <string.h>

#include "cl_arena.h"
#include "cl_program.h"
#include "cl_rpc.h"
#include "cl_session.h"
#include "virtio_apir_cl.h"

static void
more_free(struct cl_program_more *m)
{
	if (m == NULL)
		return;
	for (cl_uint i = 0; i < m->nb_devices; i++)
		cl_release(m->devices[i]);
	if (m->plain_id != 0)
		cl_release_id(m->plain_id);
	pthread_mutex_destroy(&m->lock);
	free(m->devices);
	free(m->text);
	free(m->options);
	free(m);
}

static void
program_cleanup(void *obj)
{
	struct _cl_program *p = obj;

	more_free(p->more);
	p->more = NULL;
	cl_release(p->ctx);
}

__attribute__((constructor)) static void
program_init(void)
{
	cl_object_cleanup(CL_KIND_PROGRAM, program_cleanup);
}

struct _cl_program *
cl_program_new(struct _cl_context *ctx, enum cl_origin origin, cl_uint nb_devices,
	       const cl_device_id *devices, uint64_t id)
{
	struct cl_program_more *m = calloc(1, sizeof(*m));
	struct _cl_program *p = NULL;

	if (devices == NULL) {
		nb_devices = ctx->nb_devices;
		devices = ctx->devices;
	}
	if (m != NULL) {
		pthread_mutex_init(&m->lock, NULL);
		m->origin = origin;
		m->devices = calloc(nb_devices, sizeof(m->devices[0]));
		p = m->devices == NULL ? NULL : cl_object_new(CL_KIND_PROGRAM, id);
	}
	if (p == NULL) {
		more_free(m);
		cl_release_id(id);
		return NULL;
	}
	for (cl_uint i = 0; i < nb_devices; i++) {
		cl_retain(devices[i]);
		m->devices[i] = devices[i];
	}
	m->nb_devices = nb_devices;
	cl_retain(ctx);
	p->ctx = ctx;
	p->more = m;
	return p;
}

bool
cl_program_has(const struct _cl_program *p, const struct _cl_device_id *device)
{
	const struct cl_program_more *m = cl_program_more(p);

	for (cl_uint i = 0; i < m->nb_devices; i++) {
		if (m->devices[i] == device)
			return true;
	}
	return false;
}

static cl_program
done(struct _cl_program *p, cl_int err, cl_int *errcode_ret)
{
	if (errcode_ret != NULL)
		*errcode_ret = err;
	return p;
}

/* A copy in the arena of what does not fit in a call. NULL: no memory. */
static void *
far_copy(const void *src, size_t len)
{
	void *p = cl_arena_alloc(len, 64);

	if (p != NULL)
		memcpy(p, src, len);
	return p;
}

cl_int
cl_program_send_source(const struct _cl_context *ctx, const char *source, size_t len, uint64_t *id)
{
	void *far;
	cl_int err;

	if (len <= APIR_CL_MAX_INLINE)
		return rpc_CreateProgramWithSource(cl_id(ctx), source, 0, 0, id);
	far = far_copy(source, len);
	if (far == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	err = rpc_CreateProgramWithSource(cl_id(ctx), "", cl_arena_addr(far), len, id);
	cl_arena_free(far);
	return err;
}

static size_t
string_len(const char *s, size_t given)
{
	return given != 0 ? given : strlen(s);
}

/* Into one string. NULL: no memory. */
static char *
join(cl_uint count, const char **strings, const size_t *lengths, size_t *len)
{
	size_t n = 1;
	char *text, *p;

	for (cl_uint i = 0; i < count; i++)
		n += string_len(strings[i], lengths == NULL ? 0 : lengths[i]);
	p = text = malloc(n);
	if (text == NULL)
		return NULL;
	for (cl_uint i = 0; i < count; i++) {
		const size_t l = string_len(strings[i], lengths == NULL ? 0 : lengths[i]);

		memcpy(p, strings[i], l);
		p += l;
	}
	*p = '\0';
	*len = n;
	return text;
}

CL_API_ENTRY cl_program CL_API_CALL
clCreateProgramWithSource(cl_context context, cl_uint count, const char **strings,
			  const size_t *lengths, cl_int *errcode_ret)
{
	struct _cl_program *p;
	size_t len = 0;
	uint64_t id = 0;
	char *text;
	cl_int err;

	if (!cl_is(context, CL_KIND_CONTEXT))
		return done(NULL, CL_INVALID_CONTEXT, errcode_ret);
	if (count == 0 || strings == NULL)
		return done(NULL, CL_INVALID_VALUE, errcode_ret);
	for (cl_uint i = 0; i < count; i++) {
		if (strings[i] == NULL)
			return done(NULL, CL_INVALID_VALUE, errcode_ret);
	}
	text = join(count, strings, lengths, &len);
	if (text == NULL)
		return done(NULL, CL_OUT_OF_HOST_MEMORY, errcode_ret);
	err = cl_program_send_source(context, text, len, &id);
	p = err != CL_SUCCESS ? NULL : cl_program_new(context, CL_ORIGIN_SOURCE, 0, NULL, id);
	if (p == NULL) {
		free(text);
		return done(NULL, err != CL_SUCCESS ? err : CL_OUT_OF_HOST_MEMORY, errcode_ret);
	}
	cl_program_more(p)->text = text;
	cl_program_more(p)->text_len = len;
	return done(p, CL_SUCCESS, errcode_ret);
}

CL_API_ENTRY cl_program CL_API_CALL
clCreateProgramWithIL(cl_context context, const void *il, size_t length, cl_int *errcode_ret)
{
	struct _cl_program *p = NULL;
	void *text, *far = NULL;
	uint64_t id = 0;
	cl_int err;

	if (!cl_is(context, CL_KIND_CONTEXT))
		return done(NULL, CL_INVALID_CONTEXT, errcode_ret);
	if (il == NULL || length == 0)
		return done(NULL, CL_INVALID_VALUE, errcode_ret);
	text = malloc(length);
	if (length > APIR_CL_MAX_INLINE)
		far = far_copy(il, length);
	if (text == NULL || (far == NULL && length > APIR_CL_MAX_INLINE)) {
		free(text);
		cl_arena_free(far);
		return done(NULL, CL_OUT_OF_HOST_MEMORY, errcode_ret);
	}
	memcpy(text, il, length);
	if (far != NULL)
		err = rpc_CreateProgramWithIL(cl_id(context), NULL, 0, cl_arena_addr(far), length,
					      &id);
	else
		err = rpc_CreateProgramWithIL(cl_id(context), text, length, 0, 0, &id);
	cl_arena_free(far);
	if (err == CL_SUCCESS) {
		p = cl_program_new(context, CL_ORIGIN_IL, 0, NULL, id);
		err = p == NULL ? CL_OUT_OF_HOST_MEMORY : CL_SUCCESS;
	}
	if (p == NULL) {
		free(text);
		return done(NULL, err, errcode_ret);
	}
	cl_program_more(p)->text = text;
	cl_program_more(p)->text_len = length;
	return done(p, CL_SUCCESS, errcode_ret);
}

/* Ids of a list of devices of ctx; NULL and *err: what is wrong. */
static uint64_t *
device_ids(const struct _cl_context *ctx, cl_uint n, const cl_device_id *list, cl_int *err)
{
	uint64_t *ids;

	if (list == NULL || n == 0) {
		*err = CL_INVALID_VALUE;
		return NULL;
	}
	for (cl_uint i = 0; i < n; i++) {
		if (!cl_is(list[i], CL_KIND_DEVICE) || !cl_context_has(ctx, list[i])) {
			*err = CL_INVALID_DEVICE;
			return NULL;
		}
	}
	ids = calloc(n, sizeof(*ids));
	if (ids == NULL) {
		*err = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	for (cl_uint i = 0; i < n; i++)
		ids[i] = cl_id(list[i]);
	return ids;
}

/* All binaries, one after the other: in memory of the arena if they do not fit in a call. NULL: no memory. */
static uint8_t *
join_binaries(cl_uint n, const size_t *lengths, const unsigned char **binaries, size_t *len)
{
	uint8_t *all, *p;

	*len = 0;
	for (cl_uint i = 0; i < n; i++) {
		if (__builtin_add_overflow(*len, lengths[i], len))
			return NULL;
	}
	p = all = *len > APIR_CL_MAX_INLINE ? cl_arena_alloc(*len, 64) : malloc(*len);
	for (cl_uint i = 0; all != NULL && i < n; i++) {
		memcpy(p, binaries[i], lengths[i]);
		p += lengths[i];
	}
	return all;
}

static cl_int
send_binaries(cl_context context, cl_uint n, const uint64_t *ids, const size_t *lengths,
	      const unsigned char **binaries, cl_int *statuses, uint64_t *id)
{
	const size_t room = n * sizeof(statuses[0]);
	size_t len, got = 0;
	uint8_t *all = join_binaries(n, lengths, binaries, &len);
	const uint64_t *l = (const uint64_t *)lengths;
	cl_int err;

	if (all == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	if (len > APIR_CL_MAX_INLINE) {
		err = rpc_CreateProgramWithBinary(cl_id(context), n, ids, n, l, NULL, 0,
						  cl_arena_addr(all), len, id, statuses, room,
						  &got);
		cl_arena_free(all);
	} else {
		err = rpc_CreateProgramWithBinary(cl_id(context), n, ids, n, l, all, len, 0, 0, id,
						  statuses, room, &got);
		free(all);
	}
	for (cl_uint i = 0; got != room && i < n; i++)
		statuses[i] = err;
	return err;
}

CL_API_ENTRY cl_program CL_API_CALL
clCreateProgramWithBinary(cl_context context, cl_uint num_devices, const cl_device_id *device_list,
			  const size_t *lengths, const unsigned char **binaries,
			  cl_int *binary_status, cl_int *errcode_ret)
{
	struct _cl_program *p = NULL;
	cl_int *statuses;
	uint64_t id = 0, *ids;
	cl_int err;

	if (!cl_is(context, CL_KIND_CONTEXT))
		return done(NULL, CL_INVALID_CONTEXT, errcode_ret);
	ids = device_ids(context, num_devices, device_list, &err);
	if (ids == NULL)
		return done(NULL, err, errcode_ret);
	err = lengths == NULL || binaries == NULL ? CL_INVALID_VALUE : CL_SUCCESS;
	for (cl_uint i = 0; lengths != NULL && binaries != NULL && i < num_devices; i++) {
		const bool bad = lengths[i] == 0 || binaries[i] == NULL;

		if (bad)
			err = CL_INVALID_VALUE;
		if (binary_status != NULL)
			binary_status[i] = bad ? CL_INVALID_VALUE : CL_SUCCESS;
	}
	statuses = calloc(num_devices, sizeof(*statuses));
	if (err == CL_SUCCESS && statuses == NULL)
		err = CL_OUT_OF_HOST_MEMORY;
	if (err == CL_SUCCESS) {
		err = send_binaries(context, num_devices, ids, lengths, binaries, statuses, &id);
		for (cl_uint i = 0; binary_status != NULL && i < num_devices; i++)
			binary_status[i] = statuses[i];
		if (err == CL_SUCCESS) {
			p = cl_program_new(context, CL_ORIGIN_OTHER, num_devices, device_list, id);
			err = p == NULL ? CL_OUT_OF_HOST_MEMORY : CL_SUCCESS;
		}
	}
	free(statuses);
	free(ids);
	return done(p, err, errcode_ret);
}

CL_API_ENTRY cl_program CL_API_CALL
clCreateProgramWithBuiltInKernels(cl_context context, cl_uint num_devices,
				  const cl_device_id *device_list, const char *kernel_names,
				  cl_int *errcode_ret)
{
	struct _cl_program *p = NULL;
	uint64_t id = 0, *ids;
	cl_int err;

	if (!cl_is(context, CL_KIND_CONTEXT))
		return done(NULL, CL_INVALID_CONTEXT, errcode_ret);
	if (kernel_names == NULL)
		return done(NULL, CL_INVALID_VALUE, errcode_ret);
	ids = device_ids(context, num_devices, device_list, &err);
	if (ids == NULL)
		return done(NULL, err, errcode_ret);
	err = rpc_CreateProgramWithBuiltInKernels(cl_id(context), num_devices, ids, kernel_names,
						  &id);
	free(ids);
	if (err == CL_SUCCESS) {
		p = cl_program_new(context, CL_ORIGIN_OTHER, num_devices, device_list, id);
		err = p == NULL ? CL_OUT_OF_HOST_MEMORY : CL_SUCCESS;
	}
	if (p != NULL)
		cl_program_more(p)->arg_info = true;
	return done(p, err, errcode_ret);
}

CL_API_ENTRY cl_int CL_API_CALL
clRetainProgram(cl_program program)
{
	return cl_api_retain(program, CL_KIND_PROGRAM);
}

CL_API_ENTRY cl_int CL_API_CALL
clReleaseProgram(cl_program program)
{
	return cl_api_release(program, CL_KIND_PROGRAM);
}

CL_API_ENTRY cl_int CL_API_CALL
clSetProgramReleaseCallback(cl_program program,
			    void(CL_CALLBACK *pfn_notify)(cl_program program, void *user_data),
			    void *user_data)
{
	(void)user_data;
	if (!cl_is(program, CL_KIND_PROGRAM))
		return CL_INVALID_PROGRAM;
	if (pfn_notify == NULL)
		return CL_INVALID_VALUE;
	/* what a device answers that has no destructors of program scope: OpenCL 3.0 has none */
	return CL_INVALID_OPERATION;
}
