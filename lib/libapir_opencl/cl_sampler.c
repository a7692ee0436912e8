/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>

#include "cl_mem.h"

/* The list's values, if each name is known and there once at most; what is not named has its default. */
static cl_int
parse(struct _cl_sampler *s, const cl_sampler_properties *p)
{
	bool seen[3] = {false, false, false};

	s->normalized = CL_TRUE;
	s->addressing = CL_ADDRESS_CLAMP;
	s->filter = CL_FILTER_NEAREST;
	for (; p != NULL && *p != 0; p += 2) {
		const size_t i = (size_t)(*p - CL_SAMPLER_NORMALIZED_COORDS);

		if (*p < CL_SAMPLER_NORMALIZED_COORDS || *p > CL_SAMPLER_FILTER_MODE || seen[i])
			return CL_INVALID_VALUE;
		seen[i] = true;
		if (*p == CL_SAMPLER_NORMALIZED_COORDS)
			s->normalized = (cl_bool)p[1];
		else if (*p == CL_SAMPLER_ADDRESSING_MODE)
			s->addressing = (cl_addressing_mode)p[1];
		else
			s->filter = (cl_filter_mode)p[1];
	}
	if (s->normalized > CL_TRUE || s->addressing < CL_ADDRESS_NONE ||
	    s->addressing > CL_ADDRESS_MIRRORED_REPEAT || s->filter < CL_FILTER_NEAREST ||
	    s->filter > CL_FILTER_LINEAR)
		return CL_INVALID_VALUE;
	if (!s->normalized && s->addressing >= CL_ADDRESS_REPEAT)
		return CL_INVALID_VALUE;
	return CL_SUCCESS;
}

static struct _cl_sampler *
create(struct _cl_context *ctx, const cl_sampler_properties *props, bool keep, cl_int *err)
{
	struct _cl_sampler like, *s;
	cl_sampler_properties all[7];
	uint64_t id;

	*err = parse(&like, props);
	if (*err != CL_SUCCESS)
		return NULL;
	all[0] = CL_SAMPLER_NORMALIZED_COORDS;
	all[1] = like.normalized;
	all[2] = CL_SAMPLER_ADDRESSING_MODE;
	all[3] = like.addressing;
	all[4] = CL_SAMPLER_FILTER_MODE;
	all[5] = like.filter;
	all[6] = 0;
	*err = rpc_CreateSampler(cl_id(ctx), 7, all, &id);
	if (*err != CL_SUCCESS)
		return NULL;
	s = cl_object_new(CL_KIND_SAMPLER, id);
	if (s == NULL) {
		cl_release_id(id);
		*err = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	cl_retain(ctx);
	s->ctx = ctx;
	s->normalized = like.normalized;
	s->addressing = like.addressing;
	s->filter = like.filter;
	if (keep && !cl_props_copy(props, 2, &s->props, &s->nb_props)) {
		cl_release(s);
		*err = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	return s;
}

static cl_sampler
create_checked(cl_context ctx, const cl_sampler_properties *props, bool keep, cl_int *errcode_ret)
{
	struct _cl_sampler *s = NULL;
	cl_int err = CL_SUCCESS;

	if (!cl_is(ctx, CL_KIND_CONTEXT))
		err = CL_INVALID_CONTEXT;
	else
		s = create(ctx, props, keep, &err);
	if (errcode_ret != NULL)
		*errcode_ret = err;
	return s;
}

CL_API_ENTRY cl_sampler CL_API_CALL
clCreateSamplerWithProperties(cl_context ctx, const cl_sampler_properties *props,
			      cl_int *errcode_ret)
{
	return create_checked(ctx, props, true, errcode_ret);
}

CL_API_ENTRY cl_sampler CL_API_CALL
clCreateSampler(cl_context ctx, cl_bool normalized, cl_addressing_mode addressing,
		cl_filter_mode filter, cl_int *errcode_ret)
{
	const cl_sampler_properties props[] = {CL_SAMPLER_NORMALIZED_COORDS,
					       normalized,
					       CL_SAMPLER_ADDRESSING_MODE,
					       addressing,
					       CL_SAMPLER_FILTER_MODE,
					       filter,
					       0};

	return create_checked(ctx, props, false, errcode_ret);
}

CL_API_ENTRY cl_int CL_API_CALL
clRetainSampler(cl_sampler s)
{
	return cl_api_retain(s, CL_KIND_SAMPLER);
}

CL_API_ENTRY cl_int CL_API_CALL
clReleaseSampler(cl_sampler s)
{
	return cl_api_release(s, CL_KIND_SAMPLER);
}

CL_API_ENTRY cl_int CL_API_CALL
clGetSamplerInfo(cl_sampler s, cl_sampler_info name, size_t size, void *value, size_t *size_ret)
{
	cl_uint refs;

	if (!cl_is(s, CL_KIND_SAMPLER))
		return CL_INVALID_SAMPLER;
	switch (name) {
	case CL_SAMPLER_REFERENCE_COUNT:
		refs = cl_refcount(s);
		return cl_info_put(&refs, sizeof(refs), size, value, size_ret);
	case CL_SAMPLER_CONTEXT:
		return cl_info_put(&s->ctx, sizeof(cl_context), size, value, size_ret);
	case CL_SAMPLER_NORMALIZED_COORDS:
		return cl_info_put(&s->normalized, sizeof(s->normalized), size, value, size_ret);
	case CL_SAMPLER_ADDRESSING_MODE:
		return cl_info_put(&s->addressing, sizeof(s->addressing), size, value, size_ret);
	case CL_SAMPLER_FILTER_MODE:
		return cl_info_put(&s->filter, sizeof(s->filter), size, value, size_ret);
	case CL_SAMPLER_PROPERTIES:
		return cl_info_put(s->props, s->nb_props * sizeof(*s->props), size, value,
				   size_ret);
	default:
		return CL_INVALID_VALUE;
	}
}

static void
end(void *obj)
{
	struct _cl_sampler *s = obj;

	free(s->props);
	cl_release(s->ctx);
}

__attribute__((constructor)) static void
set_up(void)
{
	cl_object_cleanup(CL_KIND_SAMPLER, end);
}
