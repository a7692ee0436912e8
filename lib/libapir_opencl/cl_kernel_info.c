/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * What kernels tell of themselves.
 */

#include "cl_ask.h"
#include "cl_info.h"
#include "cl_kernel.h"
#include "cl_program.h"
#include "cl_rpc.h"

CL_API_ENTRY cl_int CL_API_CALL
clGetKernelInfo(cl_kernel kernel, cl_kernel_info param_name, size_t param_value_size,
		void *param_value, size_t *param_value_size_ret)
{
	const struct cl_info_key key = {
		.object = cl_is(kernel, CL_KIND_KERNEL) ? cl_id(kernel) : 0,
		.kind = CL_KIND_KERNEL,
		.param = param_name,
	};
	const struct cl_kernel_more *m;
	const void *src;
	size_t len;
	cl_program program;
	cl_context ctx;
	cl_uint n;

	if (!cl_is(kernel, CL_KIND_KERNEL))
		return CL_INVALID_KERNEL;
	m = cl_kernel_more(kernel);
	switch (param_name) {
	case CL_KERNEL_NUM_ARGS:
		src = &m->nb_args;
		len = sizeof(m->nb_args);
		break;
	case CL_KERNEL_REFERENCE_COUNT:
		n = cl_refcount(kernel);
		src = &n;
		len = sizeof(n);
		break;
	case CL_KERNEL_CONTEXT:
		ctx = kernel->program->ctx;
		src = &ctx;
		len = sizeof(ctx);
		break;
	case CL_KERNEL_PROGRAM:
		program = kernel->program;
		src = &program;
		len = sizeof(program);
		break;
	case CL_KERNEL_FUNCTION_NAME:
	case CL_KERNEL_ATTRIBUTES:
		return cl_info_answer(m->info, &key, param_value_size, param_value,
				      param_value_size_ret);
	default:
		return CL_INVALID_VALUE;
	}
	return cl_info_put(src, len, param_value_size, param_value, param_value_size_ret);
}

CL_API_ENTRY cl_int CL_API_CALL
clGetKernelArgInfo(cl_kernel kernel, cl_uint arg_index, cl_kernel_arg_info param_name,
		   size_t param_value_size, void *param_value, size_t *param_value_size_ret)
{
	const struct cl_ask ask = {
		.object = kernel,
		.kind = CL_KIND_KERNEL,
		.index = arg_index,
		.param = param_name,
	};

	if (!cl_is(kernel, CL_KIND_KERNEL))
		return CL_INVALID_KERNEL;
	if (arg_index >= cl_kernel_more(kernel)->nb_args)
		return CL_INVALID_ARG_INDEX;
	if (param_name < CL_KERNEL_ARG_ADDRESS_QUALIFIER || param_name > CL_KERNEL_ARG_NAME)
		return CL_INVALID_VALUE;
	if (!cl_kernel_more(kernel)->arg_info)
		return CL_KERNEL_ARG_INFO_NOT_AVAILABLE;
	return cl_ask(&ask, param_value_size, param_value, param_value_size_ret);
}

/* The device that is asked about; NULL: none, or it is not said which. */
static const struct _cl_device_id *
asked_device(const struct _cl_kernel *k, const struct _cl_device_id *device)
{
	const struct cl_program_more *m = cl_program_more(k->program);

	if (device == NULL)
		return m->nb_devices == 1 ? m->devices[0] : NULL;
	return cl_is(device, CL_KIND_DEVICE) && cl_program_has(k->program, device) ? device : NULL;
}

CL_API_ENTRY cl_int CL_API_CALL
clGetKernelWorkGroupInfo(cl_kernel kernel, cl_device_id device,
			 cl_kernel_work_group_info param_name, size_t param_value_size,
			 void *param_value, size_t *param_value_size_ret)
{
	struct cl_info_key key;
	struct cl_ask ask;

	if (!cl_is(kernel, CL_KIND_KERNEL))
		return CL_INVALID_KERNEL;
	ask = (struct cl_ask){
		.object = kernel,
		.kind = CL_KIND_KERNEL,
		.other = asked_device(kernel, device),
		.other_kind = CL_KIND_DEVICE,
		.param = param_name,
	};
	if (ask.other == NULL)
		return CL_INVALID_DEVICE;
	switch (param_name) {
	case CL_KERNEL_WORK_GROUP_SIZE:
	case CL_KERNEL_COMPILE_WORK_GROUP_SIZE:
	case CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE:
	case CL_KERNEL_PRIVATE_MEM_SIZE:
		key = (struct cl_info_key){
			.object = cl_id(kernel),
			.kind = CL_KIND_KERNEL,
			.other = cl_id(ask.other),
			.other_kind = CL_KIND_DEVICE,
			.param = param_name,
		};
		return cl_info_answer(cl_kernel_more(kernel)->info, &key, param_value_size,
				      param_value, param_value_size_ret);
	default:
		/* local memory changes with the arguments */
		return cl_ask(&ask, param_value_size, param_value, param_value_size_ret);
	}
}

CL_API_ENTRY cl_int CL_API_CALL
clGetKernelSubGroupInfo(cl_kernel kernel, cl_device_id device, cl_kernel_sub_group_info param_name,
			size_t input_value_size, const void *input_value, size_t param_value_size,
			void *param_value, size_t *param_value_size_ret)
{
	const struct _cl_device_id *asked;
	size_t len = 0;
	cl_int err;

	if (!cl_is(kernel, CL_KIND_KERNEL))
		return CL_INVALID_KERNEL;
	asked = asked_device(kernel, device);
	if (asked == NULL)
		return CL_INVALID_DEVICE;
	err = rpc_GetKernelSubGroupInfo(cl_id(kernel), cl_id(asked), param_name, input_value,
					input_value_size, param_value, param_value_size, &len);
	if (err != CL_SUCCESS)
		return err;
	if (param_value != NULL && len > param_value_size)
		return CL_INVALID_VALUE;
	if (param_value_size_ret != NULL)
		*param_value_size_ret = len;
	return CL_SUCCESS;
}
