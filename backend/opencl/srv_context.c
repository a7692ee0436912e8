/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Contexts, queues, sub-devices. */

#include <stdlib.h>
#include <string.h>

#include "cl_dispatch.h"

/* Pairs of a property and its value, up to a 0. */
#define MAX_PROPS 64

/* A list of properties with its end. Returns their number, or -1: too many, or half a pair. */
static int
take_props(const uint64_t *props, size_t n, uint64_t *out)
{
	size_t nb = 0;

	while (nb < n && props[nb] != 0) {
		if (nb + 2 > MAX_PROPS || nb + 2 > n)
			return -1;
		out[nb] = props[nb];
		out[nb + 1] = props[nb + 1];
		nb += 2;
	}
	out[nb] = 0;
	return (int)nb;
}

/* Whom to tell of errors in a context. */
struct told {
	struct shared *sh;
	uint64_t token;
};

static void CL_CALLBACK
on_context_error(const char *text, const void *info, size_t size, void *user)
{
	const struct told *t = user;

	(void)info;
	(void)size;
	notice_add(&t->sh->notices, CL_NOTICE_CONTEXT, t->token, 0, text);
}

static void CL_CALLBACK
on_context_gone(cl_context ctx, void *user)
{
	(void)ctx;
	free(user);
}

cl_int
srv_CreateContext(struct srv *s, size_t n, const uint64_t *props, size_t m,
		  const cl_device_id *devices, uint64_t notify, cl_context *ctx)
{
	uint64_t p[MAX_PROPS + 1];
	const int nb = take_props(props, n, p);
	struct told *t = NULL;
	cl_int err;

	if (nb < 0)
		return CL_INVALID_PROPERTY;
	for (int i = 0; i < nb; i += 2)
		if (p[i] == CL_CONTEXT_PLATFORM)
			p[i + 1] = (uintptr_t)s->sh->platform;
	if (notify != 0) {
		t = malloc(sizeof(*t));
		if (t == NULL)
			return CL_OUT_OF_HOST_MEMORY;
		*t = (struct told){s->sh, notify};
	}
	*ctx = clCreateContext(n == 0 ? NULL : (const cl_context_properties *)p, (cl_uint)m,
			       devices, t != NULL ? on_context_error : NULL, t, &err);
	/* Without that call (before OpenCL 3.0) it stays, as it may still be used. */
	if (*ctx == NULL)
		free(t);
	else if (t != NULL && s->sh->version >= 300)
		clSetContextDestructorCallback(*ctx, on_context_gone, t);
	return err;
}

cl_int
srv_CreateQueue(struct srv *s, cl_context ctx, cl_device_id device, size_t n, const uint64_t *props,
		cl_command_queue *queue)
{
	uint64_t p[MAX_PROPS + 1];
	const int nb = take_props(props, n, p);
	cl_command_queue_properties bits = 0;
	cl_int err;

	if (nb < 0)
		return CL_INVALID_VALUE;
	if (s->sh->version >= 200) {
		*queue = clCreateCommandQueueWithProperties(ctx, device, n == 0 ? NULL : p, &err);
		return err;
	}
	for (int i = 0; i < nb; i += 2) {
		if (p[i] != CL_QUEUE_PROPERTIES)
			return CL_INVALID_QUEUE_PROPERTIES;
		bits = p[i + 1];
	}
	*queue = clCreateCommandQueue(ctx, device, bits, &err);
	return err;
}

cl_int
srv_Finish(struct srv *s, cl_command_queue queue)
{
	s->waited = true;
	return clFinish(queue);
}

cl_int
srv_CreateSubDevices(struct srv *s, cl_device_id device, size_t n, const uint64_t *props,
		     uint32_t room, struct srv_out *ids)
{
	/* Counts and names follow one another here, not pairs: only the end is ours. */
	cl_device_partition_property p[MAX_PROPS + 1];
	cl_device_id *list;
	uint64_t *id;
	cl_uint nb = 0;
	cl_int err;

	if (n > MAX_PROPS)
		return CL_INVALID_VALUE;
	if (n > 0)
		memcpy(p, props, n * sizeof(p[0]));
	p[n] = 0;
	err = clCreateSubDevices(device, n > 0 ? p : NULL, 0, NULL, &nb);
	if (err != CL_SUCCESS || room == 0) {
		ids->len = nb * sizeof(*id);
		return err;
	}
	list = calloc(nb > 0 ? nb : 1, sizeof(*list) + sizeof(*id));
	if (list == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	id = (uint64_t *)(list + nb);
	ids->len = nb * sizeof(*id);
	if (room < nb || ids->len > ids->room)
		err = CL_INVALID_VALUE;
	else
		err = clCreateSubDevices(device, p, nb, list, NULL);
	for (cl_uint i = 0; i < nb && err == CL_SUCCESS; i++) {
		id[i] = srv_add(s, CL_KIND_DEVICE, list[i]);
		if (id[i] == 0)
			err = CL_OUT_OF_HOST_MEMORY;
	}
	if (err == CL_SUCCESS)
		srv_out_set(ids, id, nb * sizeof(*id));
	free(list);
	return err;
}
