/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Arguments of kernels. Handles among them are addresses in this process: the worker gets ids, so it must be known which arguments are
 * handles.
 */

#include <ctype.h>
#include <string.h>

#include "cl_arena.h"
#include "cl_ask.h"
#include "cl_kernel.h"
#include "cl_rpc.h"
#include "virtio_apir_cl.h"

static bool
takes_null(const struct _cl_kernel *k, cl_uint index, size_t size)
{
	return rpc_SetKernelArg(cl_id(k), index, CL_ARG_KIND_NULL, size, 0, NULL, 0) == CL_SUCCESS;
}

/*
 * Nobody tells what the argument is, but no value at all is one for memory objects, of a handle's size, and for local memory, of
 * any. The argument gets its right value thereafter.
 */
static enum cl_arg_type
probe(const struct _cl_kernel *k, cl_uint index)
{
	if (!takes_null(k, index, sizeof(cl_mem)))
		return CL_ARG_UNKNOWN;
	return takes_null(k, index, 3 * sizeof(cl_mem)) ? CL_ARG_LOCAL : CL_ARG_MEM;
}

enum cl_arg_type
cl_arg_type(const struct _cl_kernel *k, cl_uint index)
{
	struct cl_ask ask = {.object = k, .kind = CL_KIND_KERNEL, .index = index};
	struct cl_arg *arg = &cl_kernel_more(k)->args[index];
	cl_kernel_arg_address_qualifier space = 0;
	char name[64] = "";

	if (arg->type != CL_ARG_UNASKED)
		return arg->type;
	ask.param = CL_KERNEL_ARG_ADDRESS_QUALIFIER;
	if (cl_ask(&ask, sizeof(space), &space, NULL) != CL_SUCCESS) {
		arg->type = probe(k, index);
	} else if (space == CL_KERNEL_ARG_ADDRESS_LOCAL) {
		arg->type = CL_ARG_LOCAL;
	} else if (space == CL_KERNEL_ARG_ADDRESS_GLOBAL ||
		   space == CL_KERNEL_ARG_ADDRESS_CONSTANT) {
		arg->type = CL_ARG_MEM;
	} else {
		/* a user's type may have a longer name: then it is none of these */
		ask.param = CL_KERNEL_ARG_TYPE_NAME;
		cl_ask(&ask, sizeof(name), name, NULL);
		if (strcmp(name, "sampler_t") == 0)
			arg->type = CL_ARG_SAMPLER;
		else if (strcmp(name, "queue_t") == 0)
			arg->type = CL_ARG_QUEUE;
		else if (strncmp(name, "image", 5) == 0 && isdigit((unsigned char)name[5]))
			arg->type = CL_ARG_MEM;
		else
			arg->type = CL_ARG_BYTES;
	}
	return arg->type;
}

/* A handle of this kind; size and value are the program's. */
static cl_int
handle_value(struct cl_arg_value *v, enum cl_arg_kind as, enum cl_kind kind, cl_int invalid)
{
	const void *handle;

	if (v->size != sizeof(handle))
		return CL_INVALID_ARG_SIZE;
	memcpy(&handle, v->bytes, sizeof(handle));
	/* a memory object may be NULL */
	if ((handle != NULL || kind != CL_KIND_MEM) && !cl_is(handle, kind))
		return invalid;
	v->kind = as;
	v->object = cl_id(handle);
	return CL_SUCCESS;
}

/* Nobody knows what the argument is: eight bytes that are a handle of ours are meant as one. */
static cl_int
unknown_value(struct cl_arg_value *v)
{
	const void *handle;

	v->kind = CL_ARG_KIND_BYTES;
	if (v->size != sizeof(handle))
		return CL_SUCCESS;
	memcpy(&handle, v->bytes, sizeof(handle));
	if (cl_is(handle, CL_KIND_MEM))
		v->kind = CL_ARG_KIND_MEM;
	else if (cl_is(handle, CL_KIND_SAMPLER))
		v->kind = CL_ARG_KIND_SAMPLER;
	else if (cl_is(handle, CL_KIND_QUEUE))
		v->kind = CL_ARG_KIND_QUEUE;
	if (v->kind != CL_ARG_KIND_BYTES)
		v->object = cl_id(handle);
	return CL_SUCCESS;
}

static cl_int
value_of(struct cl_arg_value *v, enum cl_arg_type type)
{
	if (v->bytes == NULL) {
		v->kind = CL_ARG_KIND_NULL;
		return CL_SUCCESS;
	}
	switch (type) {
	case CL_ARG_LOCAL:
		return CL_INVALID_ARG_VALUE;
	case CL_ARG_MEM:
		return handle_value(v, CL_ARG_KIND_MEM, CL_KIND_MEM, CL_INVALID_MEM_OBJECT);
	case CL_ARG_SAMPLER:
		return handle_value(v, CL_ARG_KIND_SAMPLER, CL_KIND_SAMPLER, CL_INVALID_SAMPLER);
	case CL_ARG_QUEUE:
		return handle_value(v, CL_ARG_KIND_QUEUE, CL_KIND_QUEUE, CL_INVALID_DEVICE_QUEUE);
	case CL_ARG_UNKNOWN:
		return unknown_value(v);
	default:
		v->kind = CL_ARG_KIND_BYTES;
		return v->size > APIR_CL_MAX_INLINE ? CL_INVALID_ARG_SIZE : CL_SUCCESS;
	}
}

static bool
has_value(const struct cl_arg *arg, const struct cl_arg_value *v)
{
	return arg->set && arg->kind == v->kind && arg->size == v->size &&
	       arg->object == v->object &&
	       (v->kind != CL_ARG_KIND_BYTES ||
		(v->size <= CL_ARG_KEPT && memcmp(arg->bytes, v->bytes, v->size) == 0));
}

/* Unless the worker has it already: programs set all arguments before each launch. With the lock held. */
static cl_int
send_value(const struct _cl_kernel *k, cl_uint index, const struct cl_arg_value *v)
{
	const bool bytes = v->kind == CL_ARG_KIND_BYTES;
	struct cl_arg *arg = &cl_kernel_more(k)->args[index];
	cl_int err;

	if (has_value(arg, v))
		return CL_SUCCESS;
	err = rpc_SetKernelArg(cl_id(k), index, v->kind, v->size, v->object,
			       bytes ? v->bytes : NULL, bytes ? v->size : 0);
	if (err != CL_SUCCESS) {
		arg->set = false;
		return err;
	}
	arg->set = !bytes || v->size <= CL_ARG_KEPT;
	arg->kind = v->kind;
	arg->size = v->size;
	arg->object = v->object;
	if (bytes && arg->set)
		memcpy(arg->bytes, v->bytes, v->size);
	return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL
clSetKernelArg(cl_kernel kernel, cl_uint arg_index, size_t arg_size, const void *arg_value)
{
	struct cl_arg_value v = {.size = arg_size, .bytes = arg_value};
	struct cl_kernel_more *m;
	cl_int err;

	if (!cl_is(kernel, CL_KIND_KERNEL))
		return CL_INVALID_KERNEL;
	m = cl_kernel_more(kernel);
	if (arg_index >= m->nb_args)
		return CL_INVALID_ARG_INDEX;
	pthread_mutex_lock(&m->lock);
	err = value_of(&v, cl_arg_type(kernel, arg_index));
	if (err == CL_SUCCESS)
		err = send_value(kernel, arg_index, &v);
	pthread_mutex_unlock(&m->lock);
	return err;
}

CL_API_ENTRY cl_int CL_API_CALL
clSetKernelArgSVMPointer(cl_kernel kernel, cl_uint arg_index, const void *arg_value)
{
	const struct cl_arg_value v = {
		.kind = CL_ARG_KIND_SVM,
		.object = (uintptr_t)arg_value,
	};
	struct cl_kernel_more *m;
	cl_int err;

	if (!cl_is(kernel, CL_KIND_KERNEL))
		return CL_INVALID_KERNEL;
	m = cl_kernel_more(kernel);
	if (arg_index >= m->nb_args)
		return CL_INVALID_ARG_INDEX;
	if (arg_value != NULL && !cl_arena_holds(arg_value, 1))
		return CL_INVALID_ARG_VALUE;
	pthread_mutex_lock(&m->lock);
	err = send_value(kernel, arg_index, &v);
	pthread_mutex_unlock(&m->lock);
	return err;
}

CL_API_ENTRY cl_int CL_API_CALL
clSetKernelExecInfo(cl_kernel kernel, cl_kernel_exec_info param_name, size_t param_value_size,
		    const void *param_value)
{
	if (!cl_is(kernel, CL_KIND_KERNEL))
		return CL_INVALID_KERNEL;
	if (param_value == NULL)
		return CL_INVALID_VALUE;
	return rpc_SetKernelExecInfo(cl_id(kernel), param_name, param_value, param_value_size);
}
