/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Programs. */

#include <stdlib.h>
#include <string.h>

#include "cl_dispatch.h"
#include "opencl.h"

/* A copy of what the program may still change: it is read more than once. NULL: no memory. */
static void *
copy_of(const void *src, size_t len)
{
	char *p = malloc(len + 1);

	if (p == NULL)
		return NULL;
	if (len > 0)
		memcpy(p, src, len);
	p[len] = '\0';
	return p;
}

cl_int
srv_CreateProgramWithSource(struct srv *s, cl_context ctx, const char *source, void *far,
			    size_t far_len, cl_program *program)
{
	char *copy = copy_of(far != NULL ? far : source, far != NULL ? far_len : strlen(source));
	const char *text = copy;
	cl_int err = CL_OUT_OF_HOST_MEMORY;

	(void)s;
	/* The compiler's messages quote what it includes. */
	if (copy != NULL && ocl_source_shut(copy) == 0)
		*program = clCreateProgramWithSource(ctx, 1, &text, NULL, &err);
	free(copy);
	return err;
}

cl_int
srv_CreateProgramWithBinary(struct srv *s, cl_context ctx, size_t n, const cl_device_id *devices,
			    size_t l, const uint64_t *lengths, const void *binaries,
			    size_t binaries_len, void *far, size_t far_len, cl_program *program,
			    struct srv_out *statuses)
{
	const size_t total = far != NULL ? far_len : binaries_len;
	const unsigned char **bin = calloc(n + 1, sizeof(*bin));
	cl_int *status = calloc(n + 1, sizeof(*status));
	uint8_t *copy = copy_of(far != NULL ? far : binaries, total);
	cl_int err = CL_SUCCESS;
	size_t at = 0;

	(void)s;
	if (bin == NULL || status == NULL || copy == NULL)
		err = CL_OUT_OF_HOST_MEMORY;
	else if (l != n)
		err = CL_INVALID_VALUE;
	for (size_t i = 0; i < n && err == CL_SUCCESS; i++) {
		if (lengths[i] > total - at)
			err = CL_INVALID_VALUE;
		bin[i] = lengths[i] > 0 ? copy + at : NULL;
		at += lengths[i];
	}
	if (err == CL_SUCCESS) {
		*program = clCreateProgramWithBinary(ctx, (cl_uint)n, devices, lengths, bin, status,
						     &err);
		srv_out_set(statuses, status, n * sizeof(*status));
	}
	free(copy);
	free(status);
	free(bin);
	return err;
}

cl_int
srv_CreateProgramWithIL(struct srv *s, cl_context ctx, const void *il, size_t il_len, void *far,
			size_t far_len, cl_program *program)
{
	void *copy = copy_of(far != NULL ? far : il, far != NULL ? far_len : il_len);
	cl_int err = CL_OUT_OF_HOST_MEMORY;

	if (copy != NULL && s->sh->version >= 210)
		*program = clCreateProgramWithIL(ctx, copy, far != NULL ? far_len : il_len, &err);
	else if (copy != NULL)
		err = CL_INVALID_OPERATION;
	free(copy);
	return err;
}

/* Building ----------------------------------------------------------------------------------------------------------- */

/* What to tell when it is done. */
struct told {
	struct shared *sh;
	uint64_t token;
	cl_int failure; /* what to call it */
};

/* The first device's that did not get there. */
static cl_int
result_of(cl_program program, cl_int failure)
{
	cl_device_id *devices = NULL;
	cl_build_status status;
	cl_uint nb = 0;
	cl_int err = CL_SUCCESS;

	clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof(nb), &nb, NULL);
	devices = calloc(nb + 1, sizeof(cl_device_id));
	if (devices == NULL ||
	    clGetProgramInfo(program, CL_PROGRAM_DEVICES, nb * sizeof(cl_device_id), devices,
			     NULL) != CL_SUCCESS)
		err = failure;
	for (cl_uint i = 0; i < nb && err == CL_SUCCESS; i++)
		if (clGetProgramBuildInfo(program, devices[i], CL_PROGRAM_BUILD_STATUS,
					  sizeof(status), &status, NULL) != CL_SUCCESS ||
		    status == CL_BUILD_ERROR)
			err = failure;
	free(devices);
	return err;
}

static void CL_CALLBACK
on_done(cl_program program, void *user)
{
	struct told *t = user;

	if (!notice_add(&t->sh->notices, CL_NOTICE_BUILD, t->token, result_of(program, t->failure),
			NULL))
		log_limited(&t->sh->limit, LOG_WARNING,
			    "session %u: the OpenCL program does not fetch what it asked to be "
			    "told: a callback of a build is lost",
			    t->sh->session);
	free(t);
}

/* True if t, NULL for token 0, is what the call gets. */
static bool
tell(struct srv *s, uint64_t token, cl_int failure, struct told **t)
{
	*t = NULL;
	if (token == 0)
		return true;
	*t = malloc(sizeof(**t));
	if (*t != NULL)
		**t = (struct told){s->sh, token, failure};
	return *t != NULL;
}

/* To be changed; NULL: no memory. */
static char *
own_options(const char *options)
{
	return strdup(options != NULL ? options : "");
}

/*
 * A call that is refused may have told or not, as it may natively: what was to be told is left to the callback, which may come later.
 */
cl_int
srv_BuildProgram(struct srv *s, cl_program program, size_t n, const cl_device_id *devices,
		 const char *options, uint64_t notify)
{
	char *own = own_options(options);
	struct told *t = NULL;
	cl_int err = own == NULL ? CL_OUT_OF_HOST_MEMORY : CL_INVALID_BUILD_OPTIONS;

	if (own != NULL && ocl_options_shut(own))
		err = tell(s, notify, CL_BUILD_PROGRAM_FAILURE, &t)
			      ? clBuildProgram(program, (cl_uint)n, devices, own,
					       t != NULL ? on_done : NULL, t)
			      : CL_OUT_OF_HOST_MEMORY;
	free(own);
	return err;
}

/* h names, one after the other, into list. False: not so many, or one that the runtime would write to elsewhere. */
static bool
split(const char *names, size_t len, size_t h, const char **list)
{
	size_t at = 0;

	for (size_t i = 0; i < h; i++) {
		const char *end = at < len ? memchr(names + at, '\0', len - at) : NULL;

		if (end == NULL || !ocl_header_name_ok(names + at))
			return false;
		list[i] = names + at;
		at = (size_t)(end - names) + 1;
	}
	return at == len;
}

cl_int
srv_CompileProgram(struct srv *s, cl_program program, size_t n, const cl_device_id *devices,
		   const char *options, size_t h, const cl_program *headers, const void *names,
		   size_t names_len, uint64_t notify)
{
	const char **list = calloc(h + 1, sizeof(*list));
	/* What is checked stays so. */
	char *own_names = copy_of(names, names_len);
	char *own = own_options(options);
	struct told *t = NULL;
	cl_int err = CL_OUT_OF_HOST_MEMORY;

	if (list == NULL || own == NULL || own_names == NULL)
		err = CL_OUT_OF_HOST_MEMORY;
	else if (!split(own_names, names_len, h, list))
		err = CL_INVALID_VALUE;
	else if (!ocl_options_shut(own))
		err = CL_INVALID_COMPILER_OPTIONS;
	else if (tell(s, notify, CL_COMPILE_PROGRAM_FAILURE, &t))
		err = clCompileProgram(program, (cl_uint)n, devices, own, (cl_uint)h, headers,
				       h > 0 ? list : NULL, t != NULL ? on_done : NULL, t);
	free(own);
	free(own_names);
	free(list);
	return err;
}

cl_int
srv_LinkProgram(struct srv *s, cl_context ctx, size_t n, const cl_device_id *devices,
		const char *options, size_t p, const cl_program *programs, uint64_t notify,
		cl_program *program)
{
	char *own = own_options(options);
	struct told *t = NULL;
	cl_int err = CL_OUT_OF_HOST_MEMORY;

	if (own != NULL && !ocl_options_shut(own))
		err = CL_INVALID_LINKER_OPTIONS;
	else if (own != NULL && tell(s, notify, CL_LINK_PROGRAM_FAILURE, &t))
		*program = clLinkProgram(ctx, (cl_uint)n, devices, own, (cl_uint)p, programs,
					 t != NULL ? on_done : NULL, t, &err);
	free(own);
	return err;
}

cl_int
srv_UnloadCompiler(struct srv *s)
{
	return clUnloadPlatformCompiler(s->sh->platform);
}

/* Binaries ----------------------------------------------------------------------------------------------------------- */

/* The binary of device i of nb. */
static cl_int
fetch(cl_program program, cl_uint nb, cl_uint i, size_t size, uint8_t **bin)
{
	unsigned char **list = calloc(nb, sizeof(*list));
	cl_int err = CL_OUT_OF_HOST_MEMORY;

	*bin = malloc(size + 1);
	if (list != NULL && *bin != NULL) {
		list[i] = *bin;
		err = clGetProgramInfo(program, CL_PROGRAM_BINARIES, nb * sizeof(*list), list,
				       NULL);
	}
	free(list);
	return err;
}

cl_int
srv_GetProgramBinary(struct srv *s, cl_program program, cl_device_id device, uint64_t offset,
		     uint64_t *total, struct srv_out *part)
{
	cl_device_id *devices;
	size_t *sizes;
	uint8_t *bin = NULL;
	cl_uint nb = 0, i = 0;
	cl_int err;

	(void)s;
	err = clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof(nb), &nb, NULL);
	if (err != CL_SUCCESS)
		return err;
	devices = calloc(nb + 1, sizeof(cl_device_id));
	sizes = calloc(nb + 1, sizeof(*sizes));
	err = CL_OUT_OF_HOST_MEMORY;
	if (devices == NULL || sizes == NULL)
		goto out;
	err = clGetProgramInfo(program, CL_PROGRAM_DEVICES, nb * sizeof(cl_device_id), devices,
			       NULL);
	if (err == CL_SUCCESS)
		err = clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, nb * sizeof(*sizes), sizes,
				       NULL);
	while (err == CL_SUCCESS && i < nb && devices[i] != device)
		i++;
	if (err == CL_SUCCESS && i == nb)
		err = CL_INVALID_DEVICE;
	if (err != CL_SUCCESS)
		goto out;
	*total = sizes[i];
	if (offset >= sizes[i] || part->room == 0)
		goto out;
	err = fetch(program, nb, i, sizes[i], &bin);
	if (err == CL_SUCCESS)
		srv_out_set(part, bin + offset,
			    sizes[i] - offset < part->room ? sizes[i] - offset : part->room);
out:
	free(bin);
	free(sizes);
	free(devices);
	return err;
}
