/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Kernels and their arguments. */

#include <stdlib.h>
#include <string.h>

#include "cl_dispatch.h"

cl_int
srv_CreateKernelsInProgram(struct srv *s, cl_program program, uint32_t room, uint32_t *nb,
			   struct srv_out *ids)
{
	cl_kernel *list;
	uint64_t id;
	cl_int err;

	err = clCreateKernelsInProgram(program, 0, NULL, nb);
	if (err != CL_SUCCESS || room == 0)
		return err;
	if (room < *nb || *nb * sizeof(id) > ids->room)
		return CL_INVALID_VALUE;
	list = calloc(*nb + 1u, sizeof(cl_kernel));
	if (list == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	err = clCreateKernelsInProgram(program, *nb, list, NULL);
	for (uint32_t i = 0; i < *nb && err == CL_SUCCESS; i++) {
		id = srv_add(s, CL_KIND_KERNEL, list[i]);
		memcpy((uint8_t *)ids->p + i * sizeof(id), &id, sizeof(id));
	}
	if (err == CL_SUCCESS)
		ids->len = *nb * sizeof(id);
	free(list);
	return err;
}

enum arg_kind { ARG_BYTES, ARG_MEM, ARG_SAMPLER, ARG_QUEUE, ARG_LOCAL, ARG_SVM };

/*
 * Bytes that the host would take for one of its handles and follow: what the kernel wants there is an object, and the program gave none
 * of its own. CL_SUCCESS: they are no such.
 */
static cl_int
check_bytes(cl_kernel kernel, cl_uint index)
{
	cl_kernel_arg_address_qualifier where;
	char type[256];
	cl_int err;

	/* Without this information (it is optional) they are passed on. */
	err = clGetKernelArgInfo(kernel, index, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof(where),
				 &where, NULL);
	if (err != CL_SUCCESS)
		return err == CL_INVALID_ARG_INDEX ? err : CL_SUCCESS;
	if (where == CL_KERNEL_ARG_ADDRESS_GLOBAL || where == CL_KERNEL_ARG_ADDRESS_CONSTANT)
		return CL_INVALID_MEM_OBJECT;
	if (where == CL_KERNEL_ARG_ADDRESS_LOCAL)
		return CL_INVALID_ARG_VALUE;
	if (clGetKernelArgInfo(kernel, index, CL_KERNEL_ARG_TYPE_NAME, sizeof(type), type, NULL) !=
	    CL_SUCCESS)
		return CL_SUCCESS;
	if (strcmp(type, "sampler_t") == 0)
		return CL_INVALID_SAMPLER;
	if (strcmp(type, "queue_t") == 0)
		return CL_INVALID_DEVICE_QUEUE;
	return CL_SUCCESS;
}

static cl_int
set_bytes(cl_kernel kernel, cl_uint index, uint64_t size, const void *value, size_t len)
{
	cl_int err = CL_SUCCESS;

	if (len == 0)
		return clSetKernelArg(kernel, index, size, NULL);
	if (len != size)
		return CL_INVALID_ARG_SIZE;
	if (size == sizeof(void *))
		err = check_bytes(kernel, index);
	return err == CL_SUCCESS ? clSetKernelArg(kernel, index, size, value) : err;
}

/* An object of the program's, or its NULL. */
static cl_int
set_object(struct srv *s, cl_kernel kernel, cl_uint index, uint64_t size, enum cl_kind kind,
	   uint64_t id, cl_int invalid)
{
	void *obj = NULL;

	if (id != 0) {
		obj = srv_find(s, kind, id);
		if (obj == NULL)
			return invalid;
	}
	return clSetKernelArg(kernel, index, size, &obj);
}

static cl_int
set_svm(struct srv *s, cl_kernel kernel, cl_uint index, uint64_t addr)
{
	void *p = NULL;

	if (s->sh->svm.caps == 0)
		return CL_INVALID_OPERATION;
	if (addr != 0) {
		p = arena_ptr(&s->sh->arena, addr, 0);
		if (p == NULL)
			return CL_INVALID_ARG_VALUE;
	}
	return clSetKernelArgSVMPointer(kernel, index, p);
}

cl_int
srv_SetKernelArg(struct srv *s, cl_kernel kernel, uint32_t index, uint32_t kind, uint64_t size,
		 uint64_t object, const void *value, size_t value_len)
{
	switch ((enum arg_kind)kind) {
	case ARG_BYTES:
		return set_bytes(kernel, index, size, value, value_len);
	case ARG_MEM:
		return set_object(s, kernel, index, size, CL_KIND_MEM, object,
				  CL_INVALID_MEM_OBJECT);
	case ARG_SAMPLER:
		return set_object(s, kernel, index, size, CL_KIND_SAMPLER, object,
				  CL_INVALID_SAMPLER);
	case ARG_QUEUE:
		return set_object(s, kernel, index, size, CL_KIND_QUEUE, object,
				  CL_INVALID_DEVICE_QUEUE);
	case ARG_LOCAL:
		return clSetKernelArg(kernel, index, size, NULL);
	case ARG_SVM:
		return set_svm(s, kernel, index, object);
	}
	return CL_INVALID_VALUE;
}

cl_int
srv_SetKernelExecInfo(struct srv *s, cl_kernel kernel, uint32_t param, const void *value,
		      size_t value_len)
{
	void *p[APIR_CL_MAX_INLINE / sizeof(void *)];
	uint64_t addr;

	if (param != CL_KERNEL_EXEC_INFO_SVM_PTRS)
		return clSetKernelExecInfo(kernel, param, value_len, value);
	if (value_len % sizeof(addr) != 0 || value_len > sizeof(p))
		return CL_INVALID_VALUE;
	for (size_t i = 0; i < value_len / sizeof(addr); i++) {
		memcpy(&addr, (const uint8_t *)value + i * sizeof(addr), sizeof(addr));
		p[i] = addr != 0 ? arena_ptr(&s->sh->arena, addr, 0) : NULL;
		if (addr != 0 && p[i] == NULL)
			return CL_INVALID_VALUE;
	}
	return clSetKernelExecInfo(kernel, param, value_len, value_len > 0 ? p : NULL);
}
