/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* What the host tells of its objects, but for values that hold handles or pointers of its own. */

#include "cl_dispatch.h"

/* A question to the host. */
struct question {
	void *obj, *other;
	cl_uint param, index;
};

typedef cl_int (*ask_fn)(const struct question *q, size_t size, void *value, size_t *size_ret);

#define ASK(name, call, ...)                                                                \
	static cl_int name(const struct question *q, size_t size, void *value, size_t *ret) \
	{                                                                                   \
		return call(q->obj, __VA_ARGS__, size, value, ret);                         \
	}

ASK(ask_platform, clGetPlatformInfo, q->param)
ASK(ask_device, clGetDeviceInfo, q->param)
ASK(ask_context, clGetContextInfo, q->param)
ASK(ask_queue, clGetCommandQueueInfo, q->param)
ASK(ask_mem, clGetMemObjectInfo, q->param)
ASK(ask_image, clGetImageInfo, q->param)
ASK(ask_pipe, clGetPipeInfo, q->param)
ASK(ask_sampler, clGetSamplerInfo, q->param)
ASK(ask_program, clGetProgramInfo, q->param)
ASK(ask_build, clGetProgramBuildInfo, q->other, q->param)
ASK(ask_kernel, clGetKernelInfo, q->param)
ASK(ask_kernel_arg, clGetKernelArgInfo, q->index, q->param)
ASK(ask_work_group, clGetKernelWorkGroupInfo, q->other, q->param)
ASK(ask_event, clGetEventInfo, q->param)
ASK(ask_profiling, clGetEventProfilingInfo, q->param)

/* Who is asked for parameters first..last of a kind; the rest of the kind follows with 0..UINT32_MAX. */
static const struct {
	enum cl_kind kind;
	cl_uint first, last;
	ask_fn ask;
	cl_int invalid;
} asked[] = {
	{CL_KIND_PLATFORM, 0, UINT32_MAX, ask_platform, CL_INVALID_PLATFORM},
	{CL_KIND_DEVICE, 0, UINT32_MAX, ask_device, CL_INVALID_DEVICE},
	{CL_KIND_CONTEXT, 0, UINT32_MAX, ask_context, CL_INVALID_CONTEXT},
	{CL_KIND_QUEUE, 0, UINT32_MAX, ask_queue, CL_INVALID_COMMAND_QUEUE},
	{CL_KIND_MEM, CL_IMAGE_FORMAT, CL_IMAGE_NUM_SAMPLES, ask_image, CL_INVALID_MEM_OBJECT},
	{CL_KIND_MEM, CL_PIPE_PACKET_SIZE, CL_PIPE_MAX_PACKETS, ask_pipe, CL_INVALID_MEM_OBJECT},
	{CL_KIND_MEM, 0, UINT32_MAX, ask_mem, CL_INVALID_MEM_OBJECT},
	{CL_KIND_SAMPLER, 0, UINT32_MAX, ask_sampler, CL_INVALID_SAMPLER},
	{CL_KIND_PROGRAM, CL_PROGRAM_BUILD_STATUS, CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE,
	 ask_build, CL_INVALID_PROGRAM},
	{CL_KIND_PROGRAM, 0, UINT32_MAX, ask_program, CL_INVALID_PROGRAM},
	{CL_KIND_KERNEL, CL_KERNEL_ARG_ADDRESS_QUALIFIER, CL_KERNEL_ARG_NAME, ask_kernel_arg,
	 CL_INVALID_KERNEL},
	{CL_KIND_KERNEL, CL_KERNEL_WORK_GROUP_SIZE, CL_KERNEL_GLOBAL_WORK_SIZE, ask_work_group,
	 CL_INVALID_KERNEL},
	{CL_KIND_KERNEL, 0, UINT32_MAX, ask_kernel, CL_INVALID_KERNEL},
	{CL_KIND_EVENT, CL_PROFILING_COMMAND_QUEUED, CL_PROFILING_COMMAND_COMPLETE, ask_profiling,
	 CL_INVALID_EVENT},
	{CL_KIND_EVENT, 0, UINT32_MAX, ask_event, CL_INVALID_EVENT},
};

/* Their values are handles or addresses; of a program's binaries the host would even write to addresses that it finds there. */
static bool
holds_objects(cl_uint param)
{
	switch (param) {
	case CL_CONTEXT_DEVICES:
	case CL_CONTEXT_PROPERTIES:
	case CL_DEVICE_PLATFORM:
	case CL_DEVICE_PARENT_DEVICE:
	case CL_QUEUE_CONTEXT:
	case CL_QUEUE_DEVICE:
	case CL_QUEUE_DEVICE_DEFAULT:
	case CL_MEM_HOST_PTR:
	case CL_MEM_CONTEXT:
	case CL_MEM_ASSOCIATED_MEMOBJECT:
	case CL_IMAGE_BUFFER:
	case CL_SAMPLER_CONTEXT:
	case CL_PROGRAM_CONTEXT:
	case CL_PROGRAM_DEVICES:
	case CL_PROGRAM_BINARIES:
	case CL_KERNEL_CONTEXT:
	case CL_KERNEL_PROGRAM:
	case CL_EVENT_COMMAND_QUEUE:
	case CL_EVENT_CONTEXT:
		return true;
	default:
		return false;
	}
}

/* Straight into the answer if it fits; its size in any case. */
static cl_int
answer(ask_fn ask, const struct question *q, struct srv_out *out)
{
	size_t size = 0;
	cl_int err;

	if (out->room > 0 && ask(q, out->room, out->p, &size) == CL_SUCCESS && size <= out->room) {
		out->len = size;
		return CL_SUCCESS;
	}
	err = ask(q, 0, NULL, &size);
	if (err != CL_SUCCESS)
		return err;
	out->len = size;
	/* It has grown in between, or the host wants a buffer for no bytes. */
	return size > out->room ? CL_SUCCESS : ask(q, out->room, out->p, &out->len);
}

static cl_int
get_info(struct srv *s, uint32_t kind, uint64_t object, uint32_t other_kind, uint64_t other,
	 uint64_t index, uint32_t param, size_t input_len, struct srv_out *value)
{
	struct question q = {.param = param, .index = (cl_uint)index};
	unsigned int i = 0;

	while (i < sizeof(asked) / sizeof(asked[0]) &&
	       (asked[i].kind != kind || param < asked[i].first || param > asked[i].last))
		i++;
	if (i == sizeof(asked) / sizeof(asked[0]) || input_len != 0 || holds_objects(param))
		return CL_INVALID_VALUE;
	q.obj = kind == CL_KIND_PLATFORM ? (void *)s->sh->platform : srv_find(s, kind, object);
	if (q.obj == NULL)
		return asked[i].invalid;
	if (other != 0) {
		q.other = other_kind == CL_KIND_DEVICE ? srv_find(s, CL_KIND_DEVICE, other) : NULL;
		if (q.other == NULL)
			return CL_INVALID_DEVICE;
	}
	if (index != q.index)
		return CL_INVALID_ARG_INDEX;
	return answer(asked[i].ask, &q, value);
}

cl_int
srv_GetInfo(struct srv *s, uint32_t kind, uint64_t object, uint32_t other_kind, uint64_t other,
	    uint64_t index, uint32_t param, const void *input, size_t input_len,
	    struct srv_out *value)
{
	(void)input;
	return get_info(s, kind, object, other_kind, other, index, param, input_len, value);
}

cl_int
srv_GetInfoFar(struct srv *s, uint32_t kind, uint64_t object, uint32_t other_kind, uint64_t other,
	       uint64_t index, uint32_t param, const void *input, size_t input_len, void *value,
	       size_t value_len, uint64_t *size)
{
	struct srv_out out = {.p = value, .room = value_len};
	const cl_int err =
		get_info(s, kind, object, other_kind, other, index, param, input_len, &out);

	(void)input;
	*size = out.len;
	return err;
}

static cl_int
ask_formats(const struct question *q, size_t size, void *value, size_t *ret)
{
	const cl_mem_flags flags = *(const cl_mem_flags *)q->other;
	cl_uint nb = 0;
	const cl_int err = clGetSupportedImageFormats(
		q->obj, flags, q->param, (cl_uint)(size / sizeof(cl_image_format)), value, &nb);

	*ret = nb * sizeof(cl_image_format);
	return err;
}

cl_int
srv_GetSupportedImageFormats(struct srv *s, cl_context ctx, uint64_t flags, uint32_t type,
			     struct srv_out *formats)
{
	struct question q = {.obj = ctx, .other = &flags, .param = type};

	(void)s;
	return answer(ask_formats, &q, formats);
}

cl_int
srv_GetKernelSubGroupInfo(struct srv *s, cl_kernel kernel, cl_device_id device, uint32_t param,
			  const void *input, size_t input_len, struct srv_out *value)
{
	cl_int err;

	(void)s;
	err = clGetKernelSubGroupInfo(kernel, device, param, input_len, input, value->room,
				      value->room > 0 ? value->p : NULL, &value->len);
	if (err == CL_INVALID_VALUE && value->room > 0)
		err = clGetKernelSubGroupInfo(kernel, device, param, input_len, input, 0, NULL,
					      &value->len);
	return err;
}
