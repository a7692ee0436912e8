/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>
#include <string.h>

#include "cl_platform.h"
#include "cl_rpc.h"
#include "cl_session.h"

#define ON_HOST	  (CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | CL_QUEUE_PROFILING_ENABLE)
#define ON_DEVICE (CL_QUEUE_ON_DEVICE | CL_QUEUE_ON_DEVICE_DEFAULT)
#define MAX_PROPS 64u

struct wish {
	cl_command_queue_properties properties;
	cl_uint size;
	size_t nb; /* values of the list, the final 0 included */
	bool sized;
};

static cl_int
one_of_three(cl_queue_properties v)
{
	return v == 1 || v == 2 || v == 4 ? CL_SUCCESS : CL_INVALID_VALUE;
}

static cl_int
read_props(const cl_queue_properties *props, struct wish *w)
{
	cl_int err;

	memset(w, 0, sizeof(*w));
	if (props == NULL)
		return CL_SUCCESS;
	for (; props[w->nb] != 0; w->nb += 2) {
		const cl_queue_properties v = props[w->nb + 1];

		if (w->nb >= MAX_PROPS)
			return CL_INVALID_VALUE;
		switch (props[w->nb]) {
		case CL_QUEUE_PROPERTIES:
			if ((v & ~(cl_queue_properties)(ON_HOST | ON_DEVICE)) != 0)
				return CL_INVALID_VALUE;
			w->properties = v;
			break;
		case CL_QUEUE_SIZE:
			w->size = (cl_uint)v;
			w->sized = true;
			break;
		case CL_QUEUE_PRIORITY_KHR:
		case CL_QUEUE_THROTTLE_KHR:
			err = one_of_three(v);
			if (err != CL_SUCCESS)
				return err;
			break;
		default:
			return CL_INVALID_VALUE;
		}
	}
	w->nb++;
	/* a queue on the device is out of order; only there there is a default one, and a size */
	if ((w->properties & CL_QUEUE_ON_DEVICE) != 0 &&
	    (w->properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) == 0)
		return CL_INVALID_VALUE;
	if ((w->properties & CL_QUEUE_ON_DEVICE) == 0 &&
	    (w->sized || (w->properties & CL_QUEUE_ON_DEVICE_DEFAULT) != 0))
		return CL_INVALID_VALUE;
	return CL_SUCCESS;
}

static void
end_queue(void *obj)
{
	cl_command_queue q = obj;

	free(q->props);
	q->props = NULL;
	cl_release(q->device);
	cl_release(q->ctx);
}

__attribute__((constructor)) static void
init(void)
{
	cl_object_cleanup(CL_KIND_QUEUE, end_queue);
}

static cl_command_queue
create(cl_context ctx, cl_device_id device, const cl_queue_properties *props, const struct wish *w,
       cl_int *err)
{
	cl_command_queue q = cl_object_new(CL_KIND_QUEUE, 0);

	if (q == NULL) {
		*err = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	cl_retain(ctx);
	cl_retain(device);
	q->ctx = ctx;
	q->device = device;
	q->properties = w->properties;
	q->size = w->size;
	*err = CL_SUCCESS;
	if (w->nb > 0) {
		q->props = malloc(w->nb * sizeof(props[0]));
		if (q->props != NULL)
			memcpy(q->props, props, w->nb * sizeof(props[0]));
		else
			*err = CL_OUT_OF_HOST_MEMORY;
		q->nb_props = w->nb;
	}
	/* the names and values, without the 0 at their end */
	if (*err == CL_SUCCESS)
		*err = rpc_CreateQueue(cl_id(ctx), cl_id(device), w->nb > 0 ? w->nb - 1 : 0,
				       (const uint64_t *)props, &q->o.id);
	if (*err != CL_SUCCESS) {
		cl_release(q);
		return NULL;
	}
	return q;
}

static cl_int
check(cl_context ctx, cl_device_id device)
{
	if (!cl_is(ctx, CL_KIND_CONTEXT))
		return CL_INVALID_CONTEXT;
	if (!cl_is(device, CL_KIND_DEVICE) || !cl_context_has(ctx, device))
		return CL_INVALID_DEVICE;
	return CL_SUCCESS;
}

/* Asked here: there are hosts that end the process rather than say that they have no queues on the device. */
static cl_int
check_on_device(cl_device_id device, const struct wish *w)
{
	cl_command_queue_properties has = 0;
	cl_uint most = 0;

	if ((w->properties & CL_QUEUE_ON_DEVICE) == 0)
		return CL_SUCCESS;
	if (cl_device_fact(device, CL_DEVICE_MAX_ON_DEVICE_QUEUES, &most, sizeof(most)) !=
		    CL_SUCCESS ||
	    cl_device_fact(device, CL_DEVICE_QUEUE_ON_DEVICE_PROPERTIES, &has, sizeof(has)) !=
		    CL_SUCCESS)
		return CL_INVALID_QUEUE_PROPERTIES;
	return most == 0 || (w->properties & ON_HOST & ~has) != 0 ? CL_INVALID_QUEUE_PROPERTIES
								  : CL_SUCCESS;
}

/* The default one, once made, is given out again. */
static cl_command_queue
default_queue(cl_context ctx, cl_device_id device)
{
	cl_command_queue q = atomic_load(&device->default_queue);

	return cl_is(q, CL_KIND_QUEUE) && q->ctx == ctx ? q : NULL;
}

CL_API_ENTRY cl_command_queue CL_API_CALL
clCreateCommandQueueWithProperties(cl_context ctx, cl_device_id device,
				   const cl_queue_properties *props, cl_int *errcode)
{
	cl_command_queue q = NULL;
	struct wish w;
	cl_int err = check(ctx, device);

	if (err == CL_SUCCESS)
		err = read_props(props, &w);
	if (err == CL_SUCCESS)
		err = check_on_device(device, &w);
	if (err == CL_SUCCESS && (w.properties & CL_QUEUE_ON_DEVICE_DEFAULT) != 0) {
		q = default_queue(ctx, device);
		if (q != NULL)
			cl_api_retain(q, CL_KIND_QUEUE);
	}
	if (err == CL_SUCCESS && q == NULL) {
		q = create(ctx, device, props, &w, &err);
		if (q != NULL && (w.properties & CL_QUEUE_ON_DEVICE_DEFAULT) != 0)
			atomic_store(&device->default_queue, q);
	}
	if (errcode != NULL)
		*errcode = err;
	return q;
}

CL_API_ENTRY cl_command_queue CL_API_CALL
clCreateCommandQueue(cl_context ctx, cl_device_id device, cl_command_queue_properties properties,
		     cl_int *errcode)
{
	const cl_queue_properties props[] = {CL_QUEUE_PROPERTIES, properties, 0};
	struct wish w = {.properties = properties, .nb = 3};
	cl_command_queue q = NULL;
	cl_int err = check(ctx, device);

	if (err == CL_SUCCESS && (properties & ~(cl_command_queue_properties)ON_HOST) != 0)
		err = CL_INVALID_VALUE;
	if (err == CL_SUCCESS)
		q = create(ctx, device, props, &w, &err);
	if (q != NULL)
		q->nb_props = 0; /* it was made without a list */
	if (errcode != NULL)
		*errcode = err;
	return q;
}

CL_API_ENTRY cl_int CL_API_CALL
clRetainCommandQueue(cl_command_queue q)
{
	return cl_api_retain(q, CL_KIND_QUEUE);
}

CL_API_ENTRY cl_int CL_API_CALL
clReleaseCommandQueue(cl_command_queue q)
{
	if (!cl_is(q, CL_KIND_QUEUE))
		return CL_INVALID_COMMAND_QUEUE;
	/* the last release flushes, and does not wait for another call as the worker's does */
	if (cl_refcount(q) == 1 && (q->properties & CL_QUEUE_ON_DEVICE) == 0)
		rpc_Flush(cl_id(q));
	return cl_api_release(q, CL_KIND_QUEUE);
}

CL_API_ENTRY cl_int CL_API_CALL
clGetCommandQueueInfo(cl_command_queue q, cl_command_queue_info param, size_t size, void *value,
		      size_t *size_ret)
{
	cl_command_queue dflt;
	cl_uint n;

	if (!cl_is(q, CL_KIND_QUEUE))
		return CL_INVALID_COMMAND_QUEUE;
	switch (param) {
	case CL_QUEUE_CONTEXT:
		return cl_info_put(&q->ctx, sizeof(q->ctx), size, value, size_ret);
	case CL_QUEUE_DEVICE:
		return cl_info_put(&q->device, sizeof(q->device), size, value, size_ret);
	case CL_QUEUE_REFERENCE_COUNT:
		n = cl_refcount(q);
		return cl_info_put(&n, sizeof(n), size, value, size_ret);
	case CL_QUEUE_PROPERTIES:
		return cl_info_put(&q->properties, sizeof(q->properties), size, value, size_ret);
	case CL_QUEUE_SIZE:
		if ((q->properties & CL_QUEUE_ON_DEVICE) == 0)
			return CL_INVALID_COMMAND_QUEUE;
		return cl_info_put(&q->size, sizeof(q->size), size, value, size_ret);
	case CL_QUEUE_DEVICE_DEFAULT:
		dflt = default_queue(q->ctx, q->device);
		return cl_info_put(&dflt, sizeof(dflt), size, value, size_ret);
	case CL_QUEUE_PROPERTIES_ARRAY:
		return cl_info_put(q->props, q->nb_props * sizeof(q->props[0]), size, value,
				   size_ret);
	default:
		return CL_INVALID_VALUE;
	}
}

CL_API_ENTRY cl_int CL_API_CALL
clSetCommandQueueProperty(cl_command_queue q, cl_command_queue_properties properties,
			  cl_bool enable, cl_command_queue_properties *old)
{
	(void)properties;
	(void)enable;
	(void)old;
	/* of OpenCL 1.0; since then a queue stays as it was made */
	return cl_is(q, CL_KIND_QUEUE) ? CL_INVALID_OPERATION : CL_INVALID_COMMAND_QUEUE;
}

CL_API_ENTRY cl_int CL_API_CALL
clSetDefaultDeviceCommandQueue(cl_context ctx, cl_device_id device, cl_command_queue q)
{
	cl_device_device_enqueue_capabilities can = 0;
	cl_int err;

	if (!cl_is(ctx, CL_KIND_CONTEXT))
		return CL_INVALID_CONTEXT;
	if (!cl_is(device, CL_KIND_DEVICE) || !cl_context_has(ctx, device))
		return CL_INVALID_DEVICE;
	/* a host before OpenCL 3.0 does not say: it answers by itself */
	if (cl_device_fact(device, CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES, &can, sizeof(can)) ==
		    CL_SUCCESS &&
	    (can & CL_DEVICE_QUEUE_REPLACEABLE_DEFAULT) == 0)
		return CL_INVALID_OPERATION;
	if (!cl_is(q, CL_KIND_QUEUE) || q->ctx != ctx)
		return CL_INVALID_COMMAND_QUEUE;
	err = rpc_SetDefaultDeviceCommandQueue(cl_id(ctx), cl_id(device), cl_id(q));
	if (err == CL_SUCCESS)
		atomic_store(&device->default_queue, q);
	return err;
}

CL_API_ENTRY cl_int CL_API_CALL
clFinish(cl_command_queue q)
{
	cl_int err;

	if (!cl_is(q, CL_KIND_QUEUE))
		return CL_INVALID_COMMAND_QUEUE;
	err = rpc_Finish(cl_id(q));
	cl_events_reap(q);
	return err;
}
