/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * A program's mistakes: handles that are none, of another kind, of another platform, released; sizes out of range; fork().
 */

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "opencl_app.h"

void
invalid(void)
{
	static const cl_context_properties wrong[] = {0x7777, 1, 0};
	const size_t one = 1, seven = 7, three = 3, origin[3] = {0}, region[3] = {64, 2, 1};
	cl_command_queue q = queue(0);
	cl_mem mem = buffer(CL_MEM_READ_WRITE, 64, NULL);
	cl_kernel k = kernel("twice");
	cl_event no = NULL, ev, of_mem = (cl_event)mem;
	unsigned char bytes[64];
	cl_int err;

	/* NULL */
	CODE(clFinish(NULL), CL_INVALID_COMMAND_QUEUE);
	CODE(clReleaseMemObject(NULL), CL_INVALID_MEM_OBJECT);
	CODE(clRetainContext(NULL), CL_INVALID_CONTEXT);
	CODE(clWaitForEvents(1, &no), CL_INVALID_EVENT);
	CODE(clWaitForEvents(0, NULL), CL_INVALID_VALUE);
	CODE(clEnqueueReadBuffer(q, NULL, CL_TRUE, 0, 1, bytes, 0, NULL, NULL),
	     CL_INVALID_MEM_OBJECT);
	CODE(clEnqueueReadBuffer(q, mem, CL_TRUE, 0, 1, NULL, 0, NULL, NULL), CL_INVALID_VALUE);
	CODE(clEnqueueNDRangeKernel(q, NULL, 1, NULL, &one, NULL, 0, NULL, NULL),
	     CL_INVALID_KERNEL);
	/* of another kind */
	CODE(clFinish((cl_command_queue)mem), CL_INVALID_COMMAND_QUEUE);
	CODE(clReleaseKernel((cl_kernel)q), CL_INVALID_KERNEL);
	CODE(clWaitForEvents(1, &of_mem), CL_INVALID_EVENT);
	CODE(clReleaseProgram((cl_program)ctx), CL_INVALID_PROGRAM);
	CODE(clEnqueueReadBuffer(q, (cl_mem)k, CL_TRUE, 0, 1, bytes, 0, NULL, NULL),
	     CL_INVALID_MEM_OBJECT);
	CODE(clSetKernelArg(k, 0, sizeof(q), &q), CL_INVALID_MEM_OBJECT);
	/* wait lists */
	CODE(clEnqueueReadBuffer(q, mem, CL_TRUE, 0, 1, bytes, 1, NULL, NULL),
	     CL_INVALID_EVENT_WAIT_LIST);
	CODE(clEnqueueReadBuffer(q, mem, CL_TRUE, 0, 1, bytes, 0, &no, NULL),
	     CL_INVALID_EVENT_WAIT_LIST);
	CODE(clEnqueueReadBuffer(q, mem, CL_TRUE, 0, 1, bytes, 1, &no, NULL),
	     CL_INVALID_EVENT_WAIT_LIST);
	CODE(clEnqueueMarkerWithWaitList(q, 1, &of_mem, NULL), CL_INVALID_EVENT_WAIT_LIST);
	/* out of range */
	CODE(clEnqueueWriteBuffer(q, mem, CL_TRUE, 60, 5, bytes, 0, NULL, NULL), CL_INVALID_VALUE);
	CODE(clEnqueueWriteBuffer(q, mem, CL_TRUE, SIZE_MAX, 2, bytes, 0, NULL, NULL),
	     CL_INVALID_VALUE);
	CODE(clEnqueueFillBuffer(q, mem, bytes, 3, 0, 6, 0, NULL, NULL), CL_INVALID_VALUE);
	CODE(clEnqueueFillBuffer(q, mem, bytes, 4, 2, 8, 0, NULL, NULL), CL_INVALID_VALUE);
	CODE(clEnqueueWriteBufferRect(q, mem, CL_TRUE, origin, origin, region, 0, 0, 0, 0, bytes, 0,
				      NULL, NULL),
	     CL_INVALID_VALUE);
	CHECK(clEnqueueMapBuffer(q, mem, CL_TRUE, CL_MAP_READ, 32, 33, 0, NULL, NULL, &err) ==
	      NULL);
	CODE(err, CL_INVALID_VALUE);
	CODE(clEnqueueUnmapMemObject(q, mem, bytes, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK(clCreateBuffer(ctx, CL_MEM_READ_WRITE, SIZE_MAX, NULL, &err) == NULL);
	CODE(err, CL_INVALID_BUFFER_SIZE);
	CHECK(clCreateBuffer(ctx, CL_MEM_USE_HOST_PTR, 64, NULL, &err) == NULL);
	CODE(err, CL_INVALID_HOST_PTR);
	CHECK(clCreateBuffer(ctx, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, 64, NULL, &err) == NULL);
	CODE(err, CL_INVALID_VALUE);
	/* launches */
	OK(clSetKernelArg(k, 0, sizeof(mem), &mem));
	CODE(clEnqueueNDRangeKernel(q, k, 0, NULL, &one, NULL, 0, NULL, NULL),
	     CL_INVALID_WORK_DIMENSION);
	CODE(clEnqueueNDRangeKernel(q, k, 9, NULL, &one, NULL, 0, NULL, NULL),
	     CL_INVALID_WORK_DIMENSION);
	err = clEnqueueNDRangeKernel(q, k, 1, NULL, &seven, &three, 0, NULL, NULL);
	CHECK(err == CL_SUCCESS || err == CL_INVALID_WORK_GROUP_SIZE);
	OK(clFinish(q));
	/* information */
	CODE(clGetMemObjectInfo(mem, 0x4242, 0, NULL, NULL), CL_INVALID_VALUE);
	CODE(clGetDeviceInfo(device, CL_DEVICE_NAME, 1, bytes, NULL), CL_INVALID_VALUE);
	CODE(clGetDeviceInfo((cl_device_id)ctx, CL_DEVICE_NAME, 1, bytes, NULL), CL_INVALID_DEVICE);
	OK(clEnqueueMarkerWithWaitList(q, 0, NULL, &ev));
	CODE(clSetUserEventStatus(ev, CL_COMPLETE), CL_INVALID_EVENT);
	CODE(clGetEventProfilingInfo(ev, CL_PROFILING_COMMAND_END, sizeof(cl_ulong), bytes, NULL),
	     CL_PROFILING_INFO_NOT_AVAILABLE);
	CHECK(clCreateContext(wrong, 1, &device, NULL, NULL, &err) == NULL);
	CODE(err, CL_INVALID_PROPERTY);
	CHECK(clCreateContext(NULL, 0, NULL, NULL, NULL, &err) == NULL);
	CODE(err, CL_INVALID_VALUE);
	CHECK(clCreateProgramWithSource(ctx, 0, NULL, NULL, &err) == NULL);
	CODE(err, CL_INVALID_VALUE);
	OK(clReleaseEvent(ev));
	OK(clReleaseKernel(k));
	OK(clReleaseMemObject(mem));
	OK(clReleaseCommandQueue(q));
	printf("all refused\n");
}

static void CL_CALLBACK
never(cl_event ev, cl_int status, void *user)
{
	(void)ev;
	(void)status;
	(void)user;
	CHECK(!"called for a dead event");
}

/* Used after release, with as many new objects made since that any memory given back would be in use again. */
void
released(void)
{
	cl_command_queue q = queue(0), live = queue(0);
	cl_mem mem = buffer(CL_MEM_READ_WRITE, 64, NULL), more[64];
	cl_program p = source_program("kernel void f(global uint *a) { *a = 1; }\n");
	cl_sampler s;
	cl_context own;
	unsigned char bytes[64];
	const size_t one = 1;
	cl_event ev;
	cl_kernel k;
	cl_int err;

	OK(clBuildProgram(p, 0, NULL, NULL, NULL, NULL));
	k = clCreateKernel(p, "f", &err);
	OK(err);
	OK(clEnqueueMarkerWithWaitList(q, 0, NULL, &ev));
	own = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
	OK(err);
	OK(clFinish(q));
	s = clCreateSampler(ctx, CL_FALSE, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST, &err);
	CHECK(err == CL_SUCCESS || err == CL_INVALID_OPERATION);
	if (s != NULL)
		OK(clReleaseSampler(s));
	OK(clReleaseEvent(ev));
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
	OK(clReleaseMemObject(mem));
	OK(clReleaseCommandQueue(q));
	OK(clReleaseContext(own));
	for (unsigned int round = 0; round < 2; round++) {
		CODE(clWaitForEvents(1, &ev), CL_INVALID_EVENT);
		CODE(clReleaseEvent(ev), CL_INVALID_EVENT);
		CODE(clSetEventCallback(ev, CL_COMPLETE, never, NULL), CL_INVALID_EVENT);
		CODE(clReleaseSampler(s), CL_INVALID_SAMPLER);
		CODE(clRetainKernel(k), CL_INVALID_KERNEL);
		CODE(clEnqueueNDRangeKernel(live, k, 1, NULL, &one, NULL, 0, NULL, NULL),
		     CL_INVALID_KERNEL);
		CODE(clBuildProgram(p, 0, NULL, NULL, NULL, NULL), CL_INVALID_PROGRAM);
		CODE(clReleaseMemObject(mem), CL_INVALID_MEM_OBJECT);
		CODE(clEnqueueReadBuffer(live, mem, CL_TRUE, 0, 1, bytes, 0, NULL, NULL),
		     CL_INVALID_MEM_OBJECT);
		CODE(clFlush(q), CL_INVALID_COMMAND_QUEUE);
		CHECK(clCreateBuffer(own, 0, 64, NULL, &err) == NULL);
		CODE(err, CL_INVALID_CONTEXT);
		for (unsigned int i = 0; i < 64; i++)
			if (round == 0)
				more[i] = buffer(CL_MEM_READ_WRITE, 64, NULL);
			else
				OK(clReleaseMemObject(more[i]));
	}
	OK(clReleaseCommandQueue(live));
	printf("all dead\n");
}

/* Objects of the other platform. */
void
foreign(void)
{
	cl_platform_id all[4];
	cl_device_id dev;
	cl_context theirs = NULL;
	cl_command_queue q = queue(0);
	unsigned char byte = 0;
	cl_event ev;
	cl_mem mem;
	cl_uint nb;
	cl_int err;

	OK(clGetPlatformIDs(4, all, &nb));
	CHECK(nb == 2);
	OK(clGetDeviceIDs(all[all[0] == platform], CL_DEVICE_TYPE_ALL, 1, &dev, NULL));
	theirs = clCreateContext(NULL, 1, &dev, NULL, NULL, &err);
	OK(err);
	mem = clCreateBuffer(theirs, CL_MEM_READ_WRITE, 4096, NULL, &err);
	OK(err);
	ev = clCreateUserEvent(theirs, &err);
	OK(err);
	CODE(clEnqueueReadBuffer(q, mem, CL_TRUE, 0, 1, &byte, 0, NULL, NULL),
	     CL_INVALID_MEM_OBJECT);
	CODE(clEnqueueMarkerWithWaitList(q, 1, &ev, NULL), CL_INVALID_EVENT_WAIT_LIST);
	CHECK(clCreateCommandQueueWithProperties(ctx, dev, NULL, &err) == NULL);
	CODE(err, CL_INVALID_DEVICE);
	OK(clReleaseEvent(ev));
	OK(clReleaseMemObject(mem));
	OK(clReleaseContext(theirs));
	OK(clReleaseCommandQueue(q));
	printf("strangers refused\n");
}

static void
twice_in(cl_command_queue q, cl_uint v)
{
	cl_mem mem = buffer(CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, 4, &v);
	cl_kernel k = kernel("twice");
	const size_t one = 1;
	cl_uint got;

	OK(clSetKernelArg(k, 0, sizeof(mem), &mem));
	OK(clEnqueueNDRangeKernel(q, k, 1, NULL, &one, NULL, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(q, mem, CL_TRUE, 0, 4, &got, 0, NULL, NULL));
	CHECK(got == 2 * v);
	OK(clReleaseKernel(k));
	OK(clReleaseMemObject(mem));
}

void
forked(void)
{
	cl_command_queue q = queue(0), own;
	int status;
	pid_t pid;

	twice_in(q, 21);
	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CODE(clFinish(q), CL_INVALID_COMMAND_QUEUE);
		begin();
		own = queue(0);
		/* nor are the parent's objects any of its own session's */
		CODE(clFinish(q), CL_INVALID_COMMAND_QUEUE);
		for (cl_uint i = 0; i < 50; i++)
			twice_in(own, i);
		OK(clReleaseCommandQueue(own));
		printf("child\n");
		exit(0);
	}
	for (cl_uint i = 0; i < 50; i++)
		twice_in(q, i);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	twice_in(q, 7);
	OK(clReleaseCommandQueue(q));
	printf("parent\n");
}

/* Which platforms there are, each with its number of devices. */
void
platforms(void)
{
	cl_platform_id all[8];
	char name[256];
	cl_uint nb = 0, devices;
	const cl_int err = clGetPlatformIDs(8, all, &nb);

	if (err != CL_SUCCESS) {
		printf("error %d\n", err);
		return;
	}
	for (cl_uint i = 0; i < nb; i++) {
		OK(clGetPlatformInfo(all[i], CL_PLATFORM_NAME, sizeof(name), name, NULL));
		OK(clGetDeviceIDs(all[i], CL_DEVICE_TYPE_ALL, 0, NULL, &devices));
		printf("%s: %u\n", name, devices);
	}
}
