/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Information from the host's runtime: in the answer, or through the arena when it is too long for that.
 */

#include <string.h>

#include "cl_arena.h"
#include "cl_ask.h"
#include "cl_rpc.h"
#include "virtio_apir_cl.h"

/* *len: in, what there was; out, what there is. value has room for the first. */
static cl_int
ask_far(const struct cl_ask *q, void *value, size_t *len)
{
	void *p = cl_arena_alloc(*len, 64);
	uint64_t size = 0;
	cl_int err;

	if (p == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	err = rpc_GetInfoFar(q->kind, cl_id(q->object), q->other_kind, cl_id(q->other), q->index,
			     q->param, NULL, 0, cl_arena_addr(p), *len, &size);
	if (err == CL_SUCCESS && size <= *len)
		memcpy(value, p, size);
	*len = size;
	cl_arena_free(p);
	return err;
}

cl_int
cl_ask(const struct cl_ask *q, size_t size, void *value, size_t *size_ret)
{
	size_t len = 0;
	cl_int err;

	err = rpc_GetInfo(q->kind, cl_id(q->object), q->other_kind, cl_id(q->other), q->index,
			  q->param, NULL, 0, value, size, &len);
	if (value != NULL && len > APIR_CL_MAX_INLINE && len <= size)
		err = ask_far(q, value, &len);
	if (err != CL_SUCCESS)
		return err;
	if (value != NULL && len > size)
		return CL_INVALID_VALUE;
	if (size_ret != NULL)
		*size_ret = len;
	return CL_SUCCESS;
}
