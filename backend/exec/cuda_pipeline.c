/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Programs as modules of the driver, and pipelines: each kernel with its arguments laid out for the launch. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda.h"

#define LOG_SIZE    8192
#define LOCAL_ALIGN 16u /* the widest access of a GPU */

static enum apir_status
load(struct exec_program *p, const char *ptx, struct exec_err *err)
{
	static const char hint[] = "NVIDIA's assembler refuses the program";
	struct exec_dev *dev = p->dev;
	char log[LOG_SIZE] = "";
	int option[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	void *value[] = {log, (void *)(uintptr_t)(sizeof(log) - 1)};
	CUmodule m = NULL;
	CUresult e = cuda_enter(dev);
	enum apir_status status;

	if (e == CUDA_SUCCESS)
		e = dev->cuda->cu->cuModuleLoadDataEx(&m, ptx, 2, option, value);
	if (e == CUDA_SUCCESS) {
		p->module = m;
		return APIR_S_OK;
	}
	status = cuda_fail(dev, e, err, hint);
	if (log[0] != '\0')
		exec_err_add(err, ": %.600s", log);
	return status == APIR_S_NOMEM ? status : APIR_S_UNSUPPORTED;
}

enum apir_status
cuda_program_create(struct exec_dev *dev, const char *src, size_t len, const char *options,
		    struct exec_program **prog, const char **log, bool *cached,
		    struct exec_err *err)
{
	enum apir_status status =
		ocl_program_create(dev, src, len, options, prog, log, cached, err);
	char *ptx = NULL;
	uint8_t *bin;
	size_t size;

	if (status != APIR_S_OK)
		return status;
	bin = ocl_program_binary(*prog, &size);
	if (bin == NULL)
		status = exec_err_set(err, APIR_S_DEVICE,
				      "NVIDIA's OpenCL compiler gives no PTX for the program");
	else
		status = cuda_ptx_rewrite((const char *)bin, size, &ptx, err);
	if (status == APIR_S_OK)
		status = load(*prog, ptx, err);
	free(ptx);
	free(bin);
	if (status == APIR_S_OK) {
		ocl_program_save(*prog);
		return APIR_S_OK;
	}
	if (status == APIR_S_UNSUPPORTED)
		exec_err_add(err, " (apird --executor opencl runs it, on copies of the packets)");
	ocl_program_destroy(*prog);
	*prog = NULL;
	*log = "";
	return status;
}

void
cuda_module_free(struct exec_program *p)
{
	if (p->module != NULL && cuda_enter(p->dev) == CUDA_SUCCESS)
		p->dev->cuda->cu->cuModuleUnload(p->module);
}

/* Where each parameter of the launch lies. */
static enum apir_status
lay_out(struct cuda_stage *st, struct exec_err *err)
{
	const struct ocl_stage *s = &st->s;
	const unsigned int hidden = ocl_hidden_args(APIR_COPY_NONE_RAW);

	st->nb_params = s->nb_args + hidden + 1;
	if (st->nb_params > CUDA_ARGS)
		return exec_err_set(err, APIR_S_LIMIT,
				    "kernel '%s' has %u arguments; %u are possible", s->sig->name,
				    s->nb_args, CUDA_ARGS - hidden - 1);
	for (unsigned int i = 0; i < s->nb_args; i++) {
		struct ocl_arg *a = &s->arg[i];
		const unsigned int at = hidden + i;

		if (a->value != NULL) {
			st->param[at] = a->value;
			continue;
		}
		if (a->buffer != NULL) {
			st->value[at] = a->buffer->ptr;
		} else {
			st->value[at] = st->shared;
			st->shared +=
				(uint32_t)(a->size + LOCAL_ALIGN - 1) / LOCAL_ALIGN * LOCAL_ALIGN;
		}
		st->param[at] = &st->value[at];
	}
	return APIR_S_OK;
}

static enum apir_status
stage_make(struct exec_dev *dev, struct cuda_stage *st, const struct exec_stage *stage,
	   unsigned int index, struct exec_err *err)
{
	const struct cuda_api *cu = dev->cuda->cu;
	enum apir_status status = ocl_stage_make(dev, &st->s, stage, index, err);
	int threads = 0, fixed = 0;
	CUresult e;

	if (status != APIR_S_OK)
		return status;
	e = cu->cuModuleGetFunction(&st->f, st->s.prog->module, st->s.sig->name);
	if (e == CUDA_SUCCESS)
		e = cu->cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK,
					   st->f);
	if (e == CUDA_SUCCESS)
		e = cu->cuFuncGetAttribute(&fixed, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, st->f);
	if (e != CUDA_SUCCESS)
		return cuda_fail(dev, e, err, "stage %u, kernel '%s'", index, st->s.sig->name);
	if (st->s.local > (size_t)threads)
		return exec_err_set(err, APIR_S_INVAL,
				    "stage %u, kernel '%s': work-groups of %zu are asked for, its "
				    "registers allow %d",
				    index, st->s.sig->name, st->s.local, threads);
	status = lay_out(st, err);
	if (status == APIR_S_OK && st->shared + (uint64_t)fixed > dev->info.local_mem)
		return exec_err_set(err, APIR_S_INVAL,
				    "stage %u, kernel '%s': %llu bytes of local memory in all, the "
				    "device has %llu",
				    index, st->s.sig->name,
				    (unsigned long long)st->shared + (unsigned int)fixed,
				    (unsigned long long)dev->info.local_mem);
	return status;
}

enum apir_status
cuda_pipeline_create(struct exec_dev *dev, const struct exec_stage *stages, unsigned int nb,
		     struct exec_pipeline **out, struct exec_err *err)
{
	enum apir_status status = APIR_S_OK;
	struct cuda_pipeline *p;

	*out = NULL;
	if (nb == 0 || nb > OCL_MAX_STAGES)
		return exec_err_set(err, APIR_S_INVAL,
				    "a pipeline of %u kernels; 1 to %u are possible", nb,
				    OCL_MAX_STAGES);
	if (cuda_enter(dev) != CUDA_SUCCESS)
		return exec_err_set(err, APIR_S_DEVICE, "%s", dev->cuda->lost_text);
	p = calloc(1, sizeof(*p) + nb * sizeof(p->stage[0]));
	if (p == NULL)
		return exec_err_set(err, APIR_S_NOMEM, "out of memory for a pipeline");
	p->dev = dev;
	for (; p->nb < nb && status == APIR_S_OK; p->nb++)
		status = stage_make(dev, &p->stage[p->nb], &stages[p->nb], p->nb, err);
	if (status == APIR_S_OK)
		status = cuda_queue_warm(dev, p, err);
	if (status != APIR_S_OK) {
		cuda_pipeline_destroy((struct exec_pipeline *)p);
		return status;
	}
	*out = (struct exec_pipeline *)p;
	return APIR_S_OK;
}

void
cuda_pipeline_destroy(struct exec_pipeline *pipeline)
{
	struct cuda_pipeline *p = (struct cuda_pipeline *)pipeline;

	if (p == NULL)
		return;
	for (unsigned int i = 0; i < p->nb; i++)
		ocl_stage_free(&p->stage[i].s);
	free(p);
}
