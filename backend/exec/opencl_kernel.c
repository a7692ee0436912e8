/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Kernels and their arguments: checked here, kept as our own copy, used when a pipeline is made. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl.h"

unsigned int
ocl_hidden_args(enum apir_copy_mode mode)
{
	switch (mode) {
	case APIR_COPY_NONE_RAW:
		return 1;
	case APIR_COPY_NONE_BASE:
		return 1 + OCL_MAX_REGIONS;
	default:
		return 2;
	}
}

static const struct ocl_kernel_sig *
find_sig(const struct exec_program *prog, const char *name)
{
	for (unsigned int i = 0; i < prog->sigs.nb; i++)
		if (strcmp(prog->sigs.kernel[i].name, name) == 0)
			return &prog->sigs.kernel[i];
	return NULL;
}

static enum apir_status
no_such_kernel(const struct exec_program *prog, const char *name, struct exec_err *err)
{
	exec_err_set(err, APIR_S_NOENT, "the program has no kernel '%s'; ", name);
	if (prog->sigs.nb == 0)
		exec_err_add(err, "it has no kernel at all (declare one with __kernel)");
	else
		exec_err_add(err, "it has");
	for (unsigned int i = 0; i < prog->sigs.nb; i++)
		exec_err_add(err, "%s %s", i == 0 ? "" : ",", prog->sigs.kernel[i].name);
	return APIR_S_NOENT;
}

enum apir_status
ocl_kernel_create(struct exec_program *prog, const char *name, struct exec_kernel **out,
		  uint32_t *nb_args, struct exec_err *err)
{
	unsigned int hidden = ocl_hidden_args(prog->dev->mode);
	const struct ocl_kernel_sig *sig;
	struct exec_kernel *k;
	cl_int e;

	*out = NULL;
	*nb_args = 0;
	if (prog->prog == NULL)
		return exec_err_set(err, APIR_S_BUILD,
				    "kernel '%s': its program did not build: see its build log",
				    name);
	sig = find_sig(prog, name);
	if (sig == NULL)
		return no_such_kernel(prog, name, err);
	if (sig->nb_args < hidden || strcmp(sig->arg[0].name, "apir_t") != 0)
		return exec_err_set(err, APIR_S_INVAL,
				    "kernel '%s' is no packet kernel: its first parameter must be "
				    "APIR_BURST, as in __kernel void %s(APIR_BURST, ...)",
				    name, name);
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return exec_err_set(err, APIR_S_NOMEM, "out of memory for kernel '%s'", name);
	k->nb_args = sig->nb_args - hidden;
	k->arg = calloc(k->nb_args + 1, sizeof(*k->arg));
	if (k->arg == NULL) {
		free(k);
		return exec_err_set(err, APIR_S_NOMEM, "out of memory for kernel '%s'", name);
	}
	k->k = clCreateKernel(prog->prog, name, &e);
	if (k->k == NULL) {
		free(k->arg);
		free(k);
		return exec_err_set(err, ocl_status(e), "kernel '%s': %s", name, ocl_strerror(e));
	}
	k->prog = prog;
	prog->refs++;
	k->sig = sig;
	*nb_args = k->nb_args;
	*out = k;
	return APIR_S_OK;
}

void
ocl_args_free(struct ocl_arg *arg, unsigned int nb)
{
	if (arg == NULL)
		return;
	for (unsigned int i = 0; i < nb; i++) {
		free(arg[i].value);
		ocl_buffer_destroy(arg[i].buffer);
	}
	free(arg);
}

struct ocl_arg *
ocl_args_copy(const struct ocl_arg *arg, unsigned int nb)
{
	struct ocl_arg *copy = calloc(nb + 1, sizeof(*copy));

	if (copy == NULL)
		return NULL;
	for (unsigned int i = 0; i < nb; i++) {
		copy[i].set = arg[i].set;
		copy[i].size = arg[i].size;
		if (arg[i].value != NULL) {
			copy[i].value = malloc(arg[i].size);
			if (copy[i].value == NULL) {
				ocl_args_free(copy, i);
				return NULL;
			}
			memcpy(copy[i].value, arg[i].value, arg[i].size);
		}
		if (arg[i].buffer != NULL) {
			copy[i].buffer = arg[i].buffer;
			copy[i].buffer->refs++;
		}
	}
	return copy;
}

void
ocl_kernel_destroy(struct exec_kernel *k)
{
	if (k == NULL)
		return;
	ocl_args_free(k->arg, k->nb_args);
	clReleaseKernel(k->k);
	ocl_program_destroy(k->prog);
	free(k);
}

static const char *
given_name(const void *value, const struct exec_buffer *buffer)
{
	if (buffer != NULL)
		return "a device buffer";
	return value != NULL ? "a value" : "local memory";
}

static const char *
wanted_name(enum ocl_arg_kind kind)
{
	switch (kind) {
	case OCL_ARG_BUFFER:
	case OCL_ARG_CONSTANT:
		return "a device buffer";
	case OCL_ARG_LOCAL:
		return "a size of local memory";
	default:
		return "a value";
	}
}

/* Is what is given of the kind and size that the parameter has? */
static enum apir_status
check_arg(const struct exec_kernel *k, const struct ocl_arg_sig *a, uint32_t index,
	  const void *value, size_t size, const struct exec_buffer *buffer, struct exec_err *err)
{
	const struct exec_dev *dev = k->prog->dev;
	bool ok;
	size_t want;

	switch (a->kind) {
	case OCL_ARG_BUFFER:
	case OCL_ARG_CONSTANT:
		ok = buffer != NULL && value == NULL;
		break;
	case OCL_ARG_LOCAL:
		ok = buffer == NULL && value == NULL;
		break;
	case OCL_ARG_VALUE:
		ok = buffer == NULL && value != NULL;
		break;
	default:
		return exec_err_set(
			err, APIR_S_INVAL,
			"kernel '%s' argument %u, '%s %s': images, samplers and the like are "
			"not for packet kernels",
			k->sig->name, index, a->type, a->name);
	}
	if (!ok)
		return exec_err_set(err, APIR_S_INVAL,
				    "kernel '%s' argument %u, '%s %s': %s is given, it needs %s",
				    k->sig->name, index, a->type, a->name,
				    given_name(value, buffer), wanted_name(a->kind));
	if (a->kind == OCL_ARG_LOCAL && (size == 0 || size > dev->info.local_mem))
		return exec_err_set(
			err, APIR_S_INVAL,
			"kernel '%s' argument %u, '%s %s': %zu bytes of local memory; 1 to "
			"%llu are possible",
			k->sig->name, index, a->type, a->name, size,
			(unsigned long long)dev->info.local_mem);
	if (a->kind == OCL_ARG_CONSTANT && buffer->size > dev->max_constant)
		return exec_err_set(
			err, APIR_S_INVAL,
			"kernel '%s' argument %u, '%s %s': a buffer of %llu bytes, the "
			"device's __constant memory takes %llu: declare it __global const",
			k->sig->name, index, a->type, a->name, (unsigned long long)buffer->size,
			(unsigned long long)dev->max_constant);
	if (a->kind != OCL_ARG_VALUE)
		return APIR_S_OK;
	want = ocl_type_size(a->type);
	if (size == 0)
		return exec_err_set(err, APIR_S_INVAL,
				    "kernel '%s' argument %u, '%s %s': a value of 0 bytes is given",
				    k->sig->name, index, a->type, a->name);
	if (want != 0 && size != want)
		return exec_err_set(
			err, APIR_S_INVAL,
			"kernel '%s' argument %u, '%s %s': a value of %zu bytes is given, "
			"it needs %zu",
			k->sig->name, index, a->type, a->name, size, want);
	return APIR_S_OK;
}

enum apir_status
ocl_kernel_set_arg(struct exec_kernel *k, uint32_t index, const void *value, size_t size,
		   struct exec_buffer *buffer, struct exec_err *err)
{
	unsigned int at = ocl_hidden_args(k->prog->dev->mode) + index;
	const struct ocl_arg_sig *a;
	enum apir_status status;
	struct ocl_arg *arg;
	void *copy = NULL;
	cl_int e;

	if (index >= k->nb_args)
		return exec_err_set(
			err, APIR_S_INVAL,
			"kernel '%s' has %u argument%s after APIR_BURST, there is no argument "
			"%u (the first is 0)",
			k->sig->name, k->nb_args, k->nb_args == 1 ? "" : "s", index);
	a = &k->sig->arg[at];
	status = check_arg(k, a, index, value, size, buffer, err);
	if (status != APIR_S_OK)
		return status;
	/* The driver's own check. It may know the size of a tenant's struct (PoCL does not). */
	if (buffer == NULL)
		e = clSetKernelArg(k->k, at, size, value);
	else if (buffer->mem != NULL)
		e = clSetKernelArg(k->k, at, sizeof(buffer->mem), &buffer->mem);
	else
		e = CL_SUCCESS;
	if (e != CL_SUCCESS)
		return exec_err_set(err,
				    ocl_status(e) == APIR_S_NOMEM ? APIR_S_NOMEM : APIR_S_INVAL,
				    "kernel '%s' argument %u, '%s %s': %zu bytes refused: %s",
				    k->sig->name, index, a->type, a->name, size, ocl_strerror(e));
	if (value != NULL) {
		copy = malloc(size);
		if (copy == NULL)
			return exec_err_set(err, APIR_S_NOMEM, "out of memory for an argument");
		memcpy(copy, value, size);
	}
	arg = &k->arg[index];
	if (buffer != NULL)
		buffer->refs++;
	free(arg->value);
	ocl_buffer_destroy(arg->buffer);
	arg->set = true;
	arg->size = size;
	arg->value = copy;
	arg->buffer = buffer;
	return APIR_S_OK;
}
