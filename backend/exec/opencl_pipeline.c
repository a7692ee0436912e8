/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * Pipelines: kernels with their arguments as they were when the pipeline was made. Each queue gets kernel objects of its
 * own, one for each burst in flight, so that a burst sets no argument and shares nothing with another thread.
 */

#include <stdlib.h>
#include <string.h>

#include "opencl.h"

/* PoCL: as fast as any from 8 to 256. GPUs: two warps or one wavefront. */
#define ITEM_LOCAL 64

/*
 * The work-group size of a stage: what the kernel demands, what the caller wants, or our choice. A group on a CPU is one
 * work-item: a compiler makes vector code of the loop over a packet's bytes, 17 times faster than items that share it.
 */
static enum apir_status
choose_local(struct exec_dev *dev, const struct exec_stage *st, unsigned int index, size_t *local,
	     struct exec_err *err)
{
	size_t demanded[3] = {0, 0, 0}, most = 0, multiple = 0;
	cl_kernel k = st->kernel->k;
	const char *name = st->kernel->sig->name;

	clGetKernelWorkGroupInfo(k, dev->id, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof(demanded),
				 demanded, NULL);
	clGetKernelWorkGroupInfo(k, dev->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof(most), &most, NULL);
	clGetKernelWorkGroupInfo(k, dev->id, CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE,
				 sizeof(multiple), &multiple, NULL);
	if (most == 0 || most > dev->info.max_work_group)
		most = dev->info.max_work_group;
	if (demanded[0] != 0) {
		if (demanded[1] > 1 || demanded[2] > 1)
			return exec_err_set(
				err, APIR_S_INVAL,
				"stage %u, kernel '%s': its reqd_work_group_size(%zu, %zu, %zu) "
				"has more than one dimension; packets have one",
				index, name, demanded[0], demanded[1], demanded[2]);
		if (demanded[0] > dev->info.max_work_group)
			return exec_err_set(
				err, APIR_S_INVAL,
				"stage %u, kernel '%s': its reqd_work_group_size is %zu, the "
				"device's largest is %llu",
				index, name, demanded[0],
				(unsigned long long)dev->info.max_work_group);
		if (st->local_size != 0 && st->local_size != demanded[0])
			return exec_err_set(
				err, APIR_S_INVAL,
				"stage %u, kernel '%s': work-groups of %u are asked for, but its "
				"reqd_work_group_size is %zu",
				index, name, st->local_size, demanded[0]);
		*local = demanded[0];
		return APIR_S_OK;
	}
	if (st->local_size > most)
		return exec_err_set(
			err, APIR_S_INVAL,
			"stage %u, kernel '%s': work-groups of %u are asked for, at most %zu are "
			"possible",
			index, name, st->local_size, most);
	if (st->local_size != 0)
		*local = st->local_size;
	else if (st->group)
		*local = dev->cpu || multiple == 0 ? 1 : multiple;
	else
		*local = ITEM_LOCAL;
	if (*local > most)
		*local = most;
	return APIR_S_OK;
}

static enum apir_status
check_args(struct exec_dev *dev, const struct exec_kernel *k, unsigned int index,
	   struct exec_err *err)
{
	unsigned int hidden = ocl_hidden_args(dev->mode);
	uint64_t local = 0;

	for (unsigned int i = 0; i < k->nb_args; i++) {
		const struct ocl_arg_sig *a = &k->sig->arg[hidden + i];

		if (!k->arg[i].set)
			return exec_err_set(
				err, APIR_S_NOARG,
				"stage %u, kernel '%s': argument %u, '%s %s', was never set", index,
				k->sig->name, i, a->type, a->name);
		if (a->kind == OCL_ARG_LOCAL)
			local += k->arg[i].size;
	}
	if (local > dev->info.local_mem)
		return exec_err_set(
			err, APIR_S_INVAL,
			"stage %u, kernel '%s': its arguments ask for %llu bytes of local memory, "
			"the device has %llu",
			index, k->sig->name, (unsigned long long)local,
			(unsigned long long)dev->info.local_mem);
	return APIR_S_OK;
}

enum apir_status
ocl_stage_make(struct exec_dev *dev, struct ocl_stage *s, const struct exec_stage *st,
	       unsigned int index, struct exec_err *err)
{
	struct exec_kernel *k = st->kernel;
	enum apir_status status = check_args(dev, k, index, err);

	if (status == APIR_S_OK)
		status = choose_local(dev, st, index, &s->local, err);
	if (status != APIR_S_OK)
		return status;
	s->arg = ocl_args_copy(k->arg, k->nb_args);
	if (s->arg == NULL)
		return exec_err_set(err, APIR_S_NOMEM, "out of memory for a pipeline");
	s->nb_args = k->nb_args;
	s->sig = k->sig;
	s->group = st->group;
	s->prog = k->prog;
	s->prog->refs++;
	return APIR_S_OK;
}

void
ocl_stage_free(struct ocl_stage *s)
{
	ocl_args_free(s->arg, s->nb_args);
	ocl_program_destroy(s->prog);
}

enum apir_status
ocl_pipeline_create(struct exec_dev *dev, const struct exec_stage *stages, unsigned int nb,
		    struct exec_pipeline **out, struct exec_err *err)
{
	struct exec_pipeline *p;
	enum apir_status status = APIR_S_OK;

	*out = NULL;
	if (nb == 0 || nb > OCL_MAX_STAGES)
		return exec_err_set(err, APIR_S_INVAL,
				    "a pipeline of %u kernels; 1 to %u are possible", nb,
				    OCL_MAX_STAGES);
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return exec_err_set(err, APIR_S_NOMEM, "out of memory for a pipeline");
	p->dev = dev;
	TAILQ_INSERT_TAIL(&dev->pipelines, p, next);
	for (; p->nb < nb && status == APIR_S_OK; p->nb++)
		status = ocl_stage_make(dev, &p->stage[p->nb], &stages[p->nb], p->nb, err);
	if (status == APIR_S_OK)
		status = ocl_queue_warm(dev, p, err);
	if (status != APIR_S_OK) {
		ocl_pipeline_destroy(p);
		return status;
	}
	for (unsigned int i = 0; i < nb; i++)
		ocl_program_save(p->stage[i].prog);
	*out = p;
	return APIR_S_OK;
}

void
ocl_pipeline_forget(struct exec_pipeline *p, unsigned int slot)
{
	struct ocl_set *set = p->set[slot];

	if (set == NULL)
		return;
	for (unsigned int d = 0; d < OCL_DEPTH; d++)
		for (unsigned int i = 0; i < p->nb; i++)
			if (set->k[d][i] != NULL)
				clReleaseKernel(set->k[d][i]);
	free(set);
	p->set[slot] = NULL;
}

void
ocl_pipeline_destroy(struct exec_pipeline *p)
{
	if (p == NULL)
		return;
	for (unsigned int slot = 0; slot < OCL_MAX_QUEUES; slot++)
		ocl_pipeline_forget(p, slot);
	for (unsigned int i = 0; i < p->nb; i++)
		ocl_stage_free(&p->stage[i]);
	TAILQ_REMOVE(&p->dev->pipelines, p, next);
	free(p);
}

static cl_int
set_hidden(struct exec_dev *dev, struct exec_queue *q, struct ocl_burst *b, cl_kernel k)
{
	cl_int e;

	switch (dev->mode) {
	case APIR_COPY_NONE_RAW:
		if (dev->svm_arg)
			return clSetKernelArgSVMPointer(k, 0, b->table);
		return clSetKernelArg(k, 0, sizeof(b->table_mem), &b->table_mem);
	case APIR_COPY_NONE_BASE:
		e = clSetKernelArg(k, 0, sizeof(b->table_mem), &b->table_mem);
		for (cl_uint i = 0; i < OCL_MAX_REGIONS && e == CL_SUCCESS; i++)
			e = clSetKernelArg(k, 1 + i, sizeof(cl_mem), &q->session->region[i].mem);
		return e;
	default:
		e = clSetKernelArg(k, 0, sizeof(b->dev_mem), &b->dev_mem);
		return e != CL_SUCCESS ? e : clSetKernelArg(k, 1, sizeof(b->dev_mem), &b->dev_mem);
	}
}

/* A kernel object of a stage with the tenant's arguments set. */
static cl_int
make_kernel(struct exec_dev *dev, const struct ocl_stage *s, cl_kernel *out)
{
	unsigned int hidden = ocl_hidden_args(dev->mode);
	const cl_bool yes = CL_TRUE;
	cl_int e;
	cl_kernel k = clCreateKernel(s->prog->prog, s->sig->name, &e);

	for (unsigned int i = 0; k != NULL && i < s->nb_args && e == CL_SUCCESS; i++) {
		const struct ocl_arg *a = &s->arg[i];

		if (a->buffer != NULL)
			e = clSetKernelArg(k, hidden + i, sizeof(a->buffer->mem), &a->buffer->mem);
		else
			e = clSetKernelArg(k, hidden + i, a->size, a->value);
	}
	if (e == CL_SUCCESS && dev->mode == APIR_COPY_NONE_RAW && dev->svm_system)
		e = clSetKernelExecInfo(k, CL_KERNEL_EXEC_INFO_SVM_FINE_GRAIN_SYSTEM, sizeof(yes),
					&yes);
	if (e != CL_SUCCESS && k != NULL) {
		clReleaseKernel(k);
		k = NULL;
	}
	*out = k;
	return e;
}

cl_int
ocl_pipeline_bind(struct exec_pipeline *p, struct exec_queue *q, struct ocl_burst *b, uint32_t gen)
{
	struct ocl_set *set = p->set[q->slot];
	cl_int e = CL_SUCCESS;

	if (set == NULL) {
		set = calloc(1, sizeof(*set));
		if (set == NULL)
			return CL_OUT_OF_HOST_MEMORY;
		p->set[q->slot] = set;
	}
	set->gen[b->index] = 0;
	for (unsigned int i = 0; i < p->nb && e == CL_SUCCESS; i++) {
		cl_kernel *k = &set->k[b->index][i];

		if (*k == NULL)
			e = make_kernel(p->dev, &p->stage[i], k);
		if (e == CL_SUCCESS)
			e = set_hidden(p->dev, q, b, *k);
	}
	if (e == CL_SUCCESS)
		set->gen[b->index] = gen;
	return e;
}
