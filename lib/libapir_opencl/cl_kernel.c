/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Kernels: made and released. cl_kernel_arg.c sets their arguments, cl_kernel_info.c tells of them.
 */

#include <stdlib.h>

#include "cl_info.h"
#include "cl_kernel.h"
#include "cl_program.h"
#include "cl_rpc.h"
#include "cl_session.h"

static void
more_free(struct cl_kernel_more *m)
{
	if (m == NULL)
		return;
	pthread_mutex_destroy(&m->lock);
	cl_info_cache_free(m->info);
	free(m->args);
	free(m);
}

static void
kernel_cleanup(void *obj)
{
	struct _cl_kernel *k = obj;

	more_free(k->more);
	k->more = NULL;
	atomic_fetch_sub(&k->program->nb_kernels, 1);
	cl_release(k->program);
}

__attribute__((constructor)) static void
kernel_init(void)
{
	cl_object_cleanup(CL_KIND_KERNEL, kernel_cleanup);
}

static struct cl_kernel_more *
more_new(uint64_t id, cl_int *err)
{
	struct cl_kernel_more *m = calloc(1, sizeof(*m));
	cl_uint n = 0;
	size_t len = 0;

	*err = CL_OUT_OF_HOST_MEMORY;
	if (m == NULL)
		return NULL;
	pthread_mutex_init(&m->lock, NULL);
	m->info = cl_info_cache_new();
	if (m->info != NULL)
		*err = rpc_GetInfo(CL_KIND_KERNEL, id, 0, 0, 0, CL_KERNEL_NUM_ARGS, NULL, 0, &n,
				   sizeof(n), &len);
	if (*err == CL_SUCCESS) {
		m->nb_args = len == sizeof(n) ? n : 0;
		m->args = calloc((size_t)m->nb_args + 1, sizeof(m->args[0]));
		*err = m->args == NULL ? CL_OUT_OF_HOST_MEMORY : CL_SUCCESS;
	}
	if (*err != CL_SUCCESS) {
		more_free(m);
		return NULL;
	}
	return m;
}

/* Takes the id over, whatever happens. NULL: *err says why. */
static struct _cl_kernel *
kernel_new(struct _cl_program *program, uint64_t id, cl_int *err)
{
	struct cl_kernel_more *m = more_new(id, err);
	struct _cl_kernel *k = m == NULL ? NULL : cl_object_new(CL_KIND_KERNEL, id);

	if (k == NULL) {
		if (m != NULL)
			*err = CL_OUT_OF_HOST_MEMORY;
		more_free(m);
		cl_release_id(id);
		return NULL;
	}
	m->arg_info = cl_program_more(program)->arg_info;
	cl_retain(program);
	atomic_fetch_add(&program->nb_kernels, 1);
	k->program = program;
	k->more = m;
	return k;
}

CL_API_ENTRY cl_kernel CL_API_CALL
clCreateKernel(cl_program program, const char *kernel_name, cl_int *errcode_ret)
{
	struct _cl_kernel *k = NULL;
	uint64_t id = 0;
	cl_int err;

	if (!cl_is(program, CL_KIND_PROGRAM)) {
		err = CL_INVALID_PROGRAM;
	} else if (kernel_name == NULL) {
		err = CL_INVALID_VALUE;
	} else {
		err = rpc_CreateKernel(cl_id(program), kernel_name, &id);
		if (err == CL_SUCCESS)
			k = kernel_new(program, id, &err);
	}
	if (errcode_ret != NULL)
		*errcode_ret = err;
	return k;
}

/* All of a program's, of which there are n. */
static cl_int
create_all(cl_program program, cl_uint n, cl_kernel *kernels)
{
	uint64_t *ids = calloc((size_t)n + 1, sizeof(*ids));
	uint32_t nb = 0;
	size_t len = 0;
	cl_uint made = 0, i = 0;
	cl_int err;

	if (ids == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	err = rpc_CreateKernelsInProgram(cl_id(program), n, &nb, ids, n * sizeof(*ids), &len);
	if (err == CL_SUCCESS && len != n * sizeof(*ids))
		err = CL_OUT_OF_RESOURCES;
	for (; err == CL_SUCCESS && i < n; i++) {
		kernels[i] = kernel_new(program, ids[i], &err);
		if (kernels[i] != NULL)
			made++;
	}
	if (err != CL_SUCCESS && i > 0) {
		for (; i < n; i++)
			cl_release_id(ids[i]);
		while (made > 0)
			cl_release(kernels[--made]);
	}
	free(ids);
	return err;
}

CL_API_ENTRY cl_int CL_API_CALL
clCreateKernelsInProgram(cl_program program, cl_uint num_kernels, cl_kernel *kernels,
			 cl_uint *num_kernels_ret)
{
	uint32_t nb = 0;
	cl_int err;

	if (!cl_is(program, CL_KIND_PROGRAM))
		return CL_INVALID_PROGRAM;
	/* how many there are */
	err = rpc_CreateKernelsInProgram(cl_id(program), 0, &nb, NULL, 0, NULL);
	if (err != CL_SUCCESS)
		return err;
	if (kernels != NULL) {
		if (num_kernels < nb)
			return CL_INVALID_VALUE;
		err = create_all(program, nb, kernels);
	}
	if (err == CL_SUCCESS && num_kernels_ret != NULL)
		*num_kernels_ret = nb;
	return err;
}

/* A clone has its arguments set already: nobody needs to find out by trial what they are. */
static void
copy_types(struct _cl_kernel *clone, const struct _cl_kernel *k)
{
	struct cl_kernel_more *to = cl_kernel_more(clone), *from = cl_kernel_more(k);

	to->arg_info = from->arg_info;
	pthread_mutex_lock(&from->lock);
	for (cl_uint i = 0; i < to->nb_args && i < from->nb_args; i++)
		to->args[i].type = from->args[i].type;
	pthread_mutex_unlock(&from->lock);
}

CL_API_ENTRY cl_kernel CL_API_CALL
clCloneKernel(cl_kernel source_kernel, cl_int *errcode_ret)
{
	struct _cl_kernel *k = NULL;
	uint64_t id = 0;
	cl_int err = CL_INVALID_KERNEL;

	if (cl_is(source_kernel, CL_KIND_KERNEL)) {
		err = rpc_CloneKernel(cl_id(source_kernel), &id);
		if (err == CL_SUCCESS)
			k = kernel_new(source_kernel->program, id, &err);
		if (k != NULL)
			copy_types(k, source_kernel);
	}
	if (errcode_ret != NULL)
		*errcode_ret = err;
	return k;
}

CL_API_ENTRY cl_int CL_API_CALL
clRetainKernel(cl_kernel kernel)
{
	return cl_api_retain(kernel, CL_KIND_KERNEL);
}

CL_API_ENTRY cl_int CL_API_CALL
clReleaseKernel(cl_kernel kernel)
{
	return cl_api_release(kernel, CL_KIND_KERNEL);
}
