/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * Sharing with OpenGL and EGL, whose objects live in the guest: no context is made from theirs, and each function says what its
 * specification has for that.
 */

#include "cl_object.h"
#include "cl_unsupported.h"

static void *
refuse(cl_int *errcode, cl_int err)
{
	if (errcode != NULL)
		*errcode = err;
	return NULL;
}

/* There is no GL context behind any context. */
static cl_mem
no_gl_context(cl_int *errcode)
{
	return refuse(errcode, CL_INVALID_CONTEXT);
}

static cl_int
no_gl_queue(cl_command_queue q)
{
	return cl_is(q, CL_KIND_QUEUE) ? CL_INVALID_CONTEXT : CL_INVALID_COMMAND_QUEUE;
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateFromGLBuffer(cl_context ctx, cl_mem_flags flags, cl_GLuint buffer, cl_int *errcode)
{
	(void)ctx;
	(void)flags;
	(void)buffer;
	return no_gl_context(errcode);
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateFromGLTexture(cl_context ctx, cl_mem_flags flags, cl_GLenum target, cl_GLint level,
		      cl_GLuint texture, cl_int *errcode)
{
	(void)ctx;
	(void)flags;
	(void)target;
	(void)level;
	(void)texture;
	return no_gl_context(errcode);
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateFromGLTexture2D(cl_context ctx, cl_mem_flags flags, cl_GLenum target, cl_GLint level,
			cl_GLuint texture, cl_int *errcode)
{
	return clCreateFromGLTexture(ctx, flags, target, level, texture, errcode);
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateFromGLTexture3D(cl_context ctx, cl_mem_flags flags, cl_GLenum target, cl_GLint level,
			cl_GLuint texture, cl_int *errcode)
{
	return clCreateFromGLTexture(ctx, flags, target, level, texture, errcode);
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateFromGLRenderbuffer(cl_context ctx, cl_mem_flags flags, cl_GLuint buffer, cl_int *errcode)
{
	(void)ctx;
	(void)flags;
	(void)buffer;
	return no_gl_context(errcode);
}

CL_API_ENTRY cl_int CL_API_CALL
clGetGLObjectInfo(cl_mem mem, cl_gl_object_type *type, cl_GLuint *name)
{
	(void)type;
	(void)name;
	return cl_is(mem, CL_KIND_MEM) ? CL_INVALID_GL_OBJECT : CL_INVALID_MEM_OBJECT;
}

CL_API_ENTRY cl_int CL_API_CALL
clGetGLTextureInfo(cl_mem mem, cl_gl_texture_info param, size_t size, void *value, size_t *size_ret)
{
	(void)param;
	(void)size;
	(void)value;
	(void)size_ret;
	return cl_is(mem, CL_KIND_MEM) ? CL_INVALID_GL_OBJECT : CL_INVALID_MEM_OBJECT;
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueAcquireGLObjects(cl_command_queue q, cl_uint nb, const cl_mem *objects, cl_uint nb_waits,
			  const cl_event *waits, cl_event *event)
{
	(void)nb;
	(void)objects;
	(void)nb_waits;
	(void)waits;
	(void)event;
	return no_gl_queue(q);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueReleaseGLObjects(cl_command_queue q, cl_uint nb, const cl_mem *objects, cl_uint nb_waits,
			  const cl_event *waits, cl_event *event)
{
	(void)nb;
	(void)objects;
	(void)nb_waits;
	(void)waits;
	(void)event;
	return no_gl_queue(q);
}

CL_API_ENTRY cl_int CL_API_CALL
clGetGLContextInfoKHR(const cl_context_properties *props, cl_gl_context_info param, size_t size,
		      void *value, size_t *size_ret)
{
	(void)props;
	(void)param;
	(void)size;
	(void)value;
	(void)size_ret;
	return CL_INVALID_GL_SHAREGROUP_REFERENCE_KHR;
}

CL_API_ENTRY cl_event CL_API_CALL
clCreateEventFromGLsyncKHR(cl_context ctx, cl_GLsync sync, cl_int *errcode)
{
	(void)ctx;
	(void)sync;
	return refuse(errcode, CL_INVALID_CONTEXT);
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateFromEGLImageKHR(cl_context ctx, CLeglDisplayKHR display, CLeglImageKHR image,
			cl_mem_flags flags, const cl_egl_image_properties_khr *props,
			cl_int *errcode)
{
	(void)display;
	(void)image;
	(void)flags;
	(void)props;
	return refuse(errcode,
		      cl_is(ctx, CL_KIND_CONTEXT) ? CL_INVALID_OPERATION : CL_INVALID_CONTEXT);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueAcquireEGLObjectsKHR(cl_command_queue q, cl_uint nb, const cl_mem *objects,
			      cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	(void)nb;
	(void)objects;
	(void)nb_waits;
	(void)waits;
	(void)event;
	return cl_is(q, CL_KIND_QUEUE) ? CL_INVALID_OPERATION : CL_INVALID_COMMAND_QUEUE;
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueReleaseEGLObjectsKHR(cl_command_queue q, cl_uint nb, const cl_mem *objects,
			      cl_uint nb_waits, const cl_event *waits, cl_event *event)
{
	return clEnqueueAcquireEGLObjectsKHR(q, nb, objects, nb_waits, waits, event);
}

CL_API_ENTRY cl_event CL_API_CALL
clCreateEventFromEGLSyncKHR(cl_context ctx, CLeglSyncKHR sync, CLeglDisplayKHR display,
			    cl_int *errcode)
{
	(void)sync;
	(void)display;
	return refuse(errcode,
		      cl_is(ctx, CL_KIND_CONTEXT) ? CL_INVALID_OPERATION : CL_INVALID_CONTEXT);
}

/* Device fission became part of OpenCL 1.2, with other numbers: devices of today do not have the extension. */
CL_API_ENTRY cl_int CL_API_CALL
clCreateSubDevicesEXT(cl_device_id device, const cl_device_partition_property_ext *props,
		      cl_uint nb, cl_device_id *devices, cl_uint *nb_ret)
{
	(void)props;
	(void)nb;
	(void)devices;
	(void)nb_ret;
	return cl_is(device, CL_KIND_DEVICE) ? CL_INVALID_VALUE : CL_INVALID_DEVICE;
}

CL_API_ENTRY cl_int CL_API_CALL
clRetainDeviceEXT(cl_device_id device)
{
	return cl_api_retain(device, CL_KIND_DEVICE);
}

CL_API_ENTRY cl_int CL_API_CALL
clReleaseDeviceEXT(cl_device_id device)
{
	return cl_api_release(device, CL_KIND_DEVICE);
}
