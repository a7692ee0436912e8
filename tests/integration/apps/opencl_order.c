/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * What happens when: events, out of order queues, callbacks, destructors, and what kernels print.
 */

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "opencl_app.h"

#define WORDS 1024u

static void
times(const char *what, cl_event ev)
{
	cl_ulong t[4];

	for (unsigned int i = 0; i < 4; i++)
		OK(clGetEventProfilingInfo(ev, CL_PROFILING_COMMAND_QUEUED + i, sizeof(t[i]), &t[i],
					   NULL));
	if (t[0] == 0 || t[0] > t[1] || t[1] > t[2] || t[2] > t[3]) {
		printf("opencl-app: %s: times %lu %lu %lu %lu\n", what, t[0], t[1], t[2], t[3]);
		exit(1);
	}
}

/* Two branches of commands in one out of order queue, held by a user event, that meet before a read. */
static void
branches(void)
{
	cl_command_queue q =
		queue(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | CL_QUEUE_PROFILING_ENABLE);
	static cl_uint in[WORDS], out[WORDS];
	const size_t words = WORDS;
	cl_kernel k = kernel("twice");
	cl_event user, ev[6];
	cl_mem mem[2];
	cl_int err, status;

	pattern(in, sizeof(in), 21);
	user = clCreateUserEvent(ctx, &err);
	OK(err);
	for (unsigned int i = 0; i < 2; i++) {
		mem[i] = buffer(CL_MEM_READ_WRITE, sizeof(in), NULL);
		OK(clEnqueueWriteBuffer(q, mem[i], CL_FALSE, 0, sizeof(in), in, 1, &user, &ev[i]));
		OK(clSetKernelArg(k, 0, sizeof(mem[i]), &mem[i]));
		OK(clEnqueueNDRangeKernel(q, k, 1, NULL, &words, NULL, 1, &ev[i], &ev[2 + i]));
	}
	OK(clEnqueueCopyBuffer(q, mem[0], mem[1], 0, 0, sizeof(in) / 2, 2, &ev[2], &ev[4]));
	OK(clEnqueueReadBuffer(q, mem[1], CL_FALSE, 0, sizeof(out), out, 1, &ev[4], &ev[5]));
	OK(clFlush(q));
	for (unsigned int i = 0; i < 6; i++) {
		OK(clGetEventInfo(ev[i], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status,
				  NULL));
		CHECK(status > CL_COMPLETE);
	}
	CODE(clGetEventProfilingInfo(ev[5], CL_PROFILING_COMMAND_END, sizeof(cl_ulong),
				     &(cl_ulong){0}, NULL),
	     CL_PROFILING_INFO_NOT_AVAILABLE);
	OK(clSetUserEventStatus(user, CL_COMPLETE));
	CODE(clSetUserEventStatus(user, CL_COMPLETE), CL_INVALID_OPERATION);
	OK(clWaitForEvents(1, &ev[5]));
	show("branches", out, sizeof(out));
	for (unsigned int i = 0; i < WORDS; i++)
		CHECK(out[i] == 2 * in[i]);
	OK(clFinish(q));
	for (unsigned int i = 0; i < 6; i++) {
		times("a command", ev[i]);
		OK(clReleaseEvent(ev[i]));
	}
	OK(clReleaseEvent(user));
	OK(clReleaseMemObject(mem[0]));
	OK(clReleaseMemObject(mem[1]));
	OK(clReleaseKernel(k));
	OK(clReleaseCommandQueue(q));
}

/* One buffer goes from queue to queue; each command waits for the one before. */
static void
relay(void)
{
	cl_command_queue q[3] = {queue(0), queue(CL_QUEUE_PROFILING_ENABLE),
				 queue(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE)};
	cl_mem mem = buffer(CL_MEM_READ_WRITE, 4, NULL);
	cl_kernel k = kernel("twice");
	cl_event last = NULL, ev;
	const size_t one = 1;
	cl_uint v = 1;

	OK(clEnqueueWriteBuffer(q[0], mem, CL_FALSE, 0, 4, &v, 0, NULL, &last));
	OK(clSetKernelArg(k, 0, sizeof(mem), &mem));
	for (unsigned int i = 0; i < 30; i++) {
		OK(clEnqueueNDRangeKernel(q[i % 3], k, 1, NULL, &one, NULL, 1, &last, &ev));
		OK(clFlush(q[i % 3]));
		OK(clReleaseEvent(last));
		last = ev;
	}
	OK(clEnqueueBarrierWithWaitList(q[2], 1, &last, &ev));
	OK(clEnqueueReadBuffer(q[2], mem, CL_TRUE, 0, 4, &v, 1, &ev, NULL));
	CHECK(v == 1u << 30);
	OK(clReleaseEvent(last));
	OK(clReleaseEvent(ev));
	OK(clReleaseKernel(k));
	OK(clReleaseMemObject(mem));
	for (unsigned int i = 0; i < 3; i++)
		OK(clReleaseCommandQueue(q[i]));
}

void
order(void)
{
	branches();
	relay();
	printf("in order\n");
}

static struct {
	cl_command_queue q;
	cl_mem mem;
	_Atomic int done;
} work;

/* Goes on with the work where the command before ended: a callback is a place to call from. */
static void CL_CALLBACK
go_on(cl_event ev, cl_int status, void *user)
{
	const cl_uint one = 1;
	cl_event next;

	(void)ev;
	CHECK(status == CL_COMPLETE && user == &work);
	if (atomic_fetch_add(&work.done, 1) + 1 >= 5)
		return;
	OK(clEnqueueFillBuffer(work.q, work.mem, &one, 4, 0, 4, 0, NULL, &next));
	OK(clSetEventCallback(next, CL_COMPLETE, go_on, &work));
	OK(clFlush(work.q));
	OK(clReleaseEvent(next));
}

static char trail[16];
static _Atomic unsigned int steps;

static void CL_CALLBACK
mem_gone(cl_mem mem, void *user)
{
	(void)mem;
	trail[atomic_load(&steps)] = *(const char *)user;
	atomic_fetch_add(&steps, 1);
}

static void CL_CALLBACK
context_gone(cl_context c, void *user)
{
	(void)c;
	trail[atomic_load(&steps)] = *(const char *)user;
	atomic_fetch_add(&steps, 1);
}

void
callbacks(void)
{
	const cl_uint zero = 0;
	cl_event ev, user;
	cl_context own;
	cl_mem mem;
	cl_int err;

	work.q = queue(0);
	work.mem = buffer(CL_MEM_READ_WRITE, 4, NULL);
	user = clCreateUserEvent(ctx, &err);
	OK(err);
	OK(clEnqueueFillBuffer(work.q, work.mem, &zero, 4, 0, 4, 1, &user, &ev));
	OK(clSetEventCallback(ev, CL_COMPLETE, go_on, &work));
	OK(clReleaseEvent(ev));
	OK(clFlush(work.q));
	usleep(20000);
	CHECK(atomic_load(&work.done) == 0);
	OK(clSetUserEventStatus(user, CL_COMPLETE));
	while (atomic_load(&work.done) < 5)
		usleep(1000);
	OK(clFinish(work.q));
	/* complete by now: called all the same */
	OK(clSetEventCallback(user, CL_COMPLETE, go_on, &work));
	while (atomic_load(&work.done) < 6)
		usleep(1000);
	OK(clFinish(work.q));
	OK(clReleaseEvent(user));
	OK(clReleaseMemObject(work.mem));
	OK(clReleaseCommandQueue(work.q));
	printf("%d callbacks\n", atomic_load(&work.done));

	/* those of a buffer run in the reverse order, and before those of its context */
	own = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
	OK(err);
	OK(clSetContextDestructorCallback(own, context_gone, "c"));
	mem = clCreateBuffer(own, CL_MEM_READ_WRITE, 4096, NULL, &err);
	OK(err);
	OK(clSetMemObjectDestructorCallback(mem, mem_gone, "1"));
	OK(clSetMemObjectDestructorCallback(mem, mem_gone, "2"));
	OK(clRetainMemObject(mem));
	OK(clReleaseMemObject(mem));
	OK(clReleaseContext(own));
	usleep(20000);
	CHECK(atomic_load(&steps) == 0);
	OK(clReleaseMemObject(mem));
	while (atomic_load(&steps) < 3)
		usleep(1000);
	printf("gone: %s\n", trail);
}

/* What kernels print is there before what the program prints after them. */
void
prints(void)
{
	cl_command_queue q = queue(0);
	cl_kernel k = kernel("say");
	const size_t items[] = {1, 7, 300};

	for (cl_uint i = 0; i < 3; i++) {
		OK(clSetKernelArg(k, 0, sizeof(i), &i));
		OK(clEnqueueNDRangeKernel(q, k, 1, NULL, &items[i], NULL, 0, NULL, NULL));
		OK(clFinish(q));
		printf("after %u\n", i);
	}
	OK(clReleaseKernel(k));
	OK(clReleaseCommandQueue(q));
}
