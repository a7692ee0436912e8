/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * An OpenCL program like any other, for test_opencl.py: it knows nothing of apir and uses the first device of
 * the first platform, or of the one named.
 * Ends with 0 if all was as it should be, and says what was not.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "opencl_app.h"

#define N	(1u << 16)
#define THREADS 8
#define ROUNDS	200

static const char source[] =
	"__kernel void add(__global uint *a, uint n, __local uint *l)\n"
	"{\n"
	"	l[get_local_id(0)] = n;\n"
	"	barrier(CLK_LOCAL_MEM_FENCE);\n"
	"	a[get_global_id(0)] += l[get_local_size(0) - 1 - get_local_id(0)];\n"
	"}\n"
	"__kernel void twice(__global uint *a) { a[get_global_id(0)] *= 2; }\n"
	"__kernel void say(uint n) { printf(\"kernel says %u\\n\", n); }\n"
	"__kernel void wild(ulong at) { *(__global uint *)at = 1; }\n";

cl_platform_id platform;
cl_device_id device;
cl_context ctx;
cl_program program;
const char *platform_name;

static void
find_platform(void)
{
	cl_platform_id all[8];
	char name[256];
	cl_uint nb;

	CHECK(clGetPlatformIDs(8, all, &nb) == CL_SUCCESS);
	for (cl_uint i = 0; i < nb && i < 8; i++) {
		OK(clGetPlatformInfo(all[i], CL_PLATFORM_NAME, sizeof(name), name, NULL));
		if (platform_name != NULL && strcmp(name, platform_name) != 0)
			continue;
		platform = all[i];
		return;
	}
	CHECK(!"a platform of that name");
}

void
begin(void)
{
	const char *text = source;
	cl_int err;

	find_platform();
	CHECK(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL) == CL_SUCCESS);
	ctx = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
	CHECK(err == CL_SUCCESS);
	program = clCreateProgramWithSource(ctx, 1, &text, NULL, &err);
	CHECK(err == CL_SUCCESS);
	CHECK(clBuildProgram(program, 0, NULL, "", NULL, NULL) == CL_SUCCESS);
}

cl_kernel
kernel(const char *name)
{
	cl_int err;
	cl_kernel k = clCreateKernel(program, name, &err);

	CHECK(err == CL_SUCCESS);
	return k;
}

cl_command_queue
queue(cl_command_queue_properties properties)
{
	const cl_queue_properties list[] = {CL_QUEUE_PROPERTIES, properties, 0};
	cl_int err;
	cl_command_queue q = clCreateCommandQueueWithProperties(ctx, device, list, &err);

	CHECK(err == CL_SUCCESS);
	return q;
}

cl_program
source_program(const char *text)
{
	cl_int err;
	cl_program p = clCreateProgramWithSource(ctx, 1, &text, NULL, &err);

	OK(err);
	return p;
}

cl_mem
buffer(cl_mem_flags flags, size_t size, void *host)
{
	cl_int err;
	cl_mem mem = clCreateBuffer(ctx, flags, size, host, &err);

	OK(err);
	return mem;
}

void
pattern(void *p, size_t size, unsigned int seed)
{
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525u + 1013904223u;
		((uint8_t *)p)[i] = (uint8_t)(x >> 24);
	}
}

void
show(const char *what, const void *p, size_t size)
{
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ ((const uint8_t *)p)[i]) * 16777619u;
	printf("%s: %zu bytes, %08x\n", what, size, sum);
}

void
end(void)
{
	OK(clReleaseProgram(program));
	OK(clReleaseContext(ctx));
}

/* Each way into a buffer and out of it, around a kernel that adds n to each word. */
static void
add(cl_command_queue q, cl_kernel k, uint32_t n, size_t words)
{
	uint32_t *a = malloc(words * 4), *b = malloc(words * 4), *m;
	const size_t local = words % 64 == 0 ? 64 : 1;
	cl_event ev[2];
	cl_int err;
	cl_mem mem;

	CHECK(a != NULL && b != NULL);
	for (size_t i = 0; i < words; i++)
		a[i] = (uint32_t)i * 2654435761u;
	mem = clCreateBuffer(ctx, CL_MEM_READ_WRITE, words * 4, NULL, &err);
	CHECK(err == CL_SUCCESS);
	CHECK(clSetKernelArg(k, 0, sizeof(mem), &mem) == CL_SUCCESS);
	CHECK(clSetKernelArg(k, 1, sizeof(n), &n) == CL_SUCCESS);
	CHECK(clSetKernelArg(k, 2, local * 4, NULL) == CL_SUCCESS);
	CHECK(clEnqueueWriteBuffer(q, mem, CL_FALSE, 0, words * 4, a, 0, NULL, &ev[0]) ==
	      CL_SUCCESS);
	CHECK(clEnqueueNDRangeKernel(q, k, 1, NULL, &words, &local, 1, ev, &ev[1]) == CL_SUCCESS);
	memset(b, 0xee, words * 4);
	CHECK(clEnqueueReadBuffer(q, mem, CL_TRUE, 0, words * 4, b, 1, &ev[1], NULL) == CL_SUCCESS);
	for (size_t i = 0; i < words; i++)
		CHECK(b[i] == a[i] + n);
	/* the other way round: blocking write, map */
	CHECK(clEnqueueWriteBuffer(q, mem, CL_TRUE, 0, words * 4, a, 0, NULL, NULL) == CL_SUCCESS);
	CHECK(clEnqueueNDRangeKernel(q, k, 1, NULL, &words, &local, 0, NULL, NULL) == CL_SUCCESS);
	m = clEnqueueMapBuffer(q, mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, words * 4, 0, NULL,
			       NULL, &err);
	CHECK(err == CL_SUCCESS);
	for (size_t i = 0; i < words; i++)
		CHECK(m[i] == a[i] + n);
	m[words - 1] = 4711;
	CHECK(clEnqueueUnmapMemObject(q, mem, m, 0, NULL, NULL) == CL_SUCCESS);
	CHECK(clFinish(q) == CL_SUCCESS);
	CHECK(clEnqueueReadBuffer(q, mem, CL_TRUE, (words - 1) * 4, 4, b, 0, NULL, NULL) ==
	      CL_SUCCESS);
	CHECK(b[0] == 4711);
	clReleaseEvent(ev[0]);
	clReleaseEvent(ev[1]);
	CHECK(clReleaseMemObject(mem) == CL_SUCCESS);
	free(a);
	free(b);
}

static void
compute(void)
{
	static const size_t sizes[] = {1, 3, 64, 1024, N, 2 * N, 10u << 20};
	cl_command_queue q = queue(0);
	cl_kernel k = kernel("add");

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		add(q, k, (uint32_t)i + 1, sizes[i]);
	clReleaseKernel(k);
	clReleaseCommandQueue(q);
	printf("computed\n");
}

static void *
thread(void *arg)
{
	cl_command_queue q = queue(0);
	cl_kernel k = kernel("add");

	for (unsigned int i = 0; i < ROUNDS; i++)
		add(q, k, (uint32_t)(uintptr_t)arg * ROUNDS + i, 64 + 64 * (i % 7));
	clReleaseKernel(k);
	clReleaseCommandQueue(q);
	return NULL;
}

static void
threads(void)
{
	pthread_t t[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, thread, (void *)i) == 0);
	for (unsigned int i = 0; i < THREADS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	printf("%u threads\n", THREADS);
}

/* What a program is told of its mistakes. */
static void
mistakes(void)
{
	const char *text = "__kernel void f(void) { no_such_thing(); }\n";
	cl_command_queue q = queue(0);
	char log[4096] = "", byte;
	cl_program p;
	cl_int err;
	cl_mem mem;

	p = clCreateProgramWithSource(ctx, 1, &text, NULL, &err);
	CHECK(err == CL_SUCCESS);
	CHECK(clBuildProgram(p, 0, NULL, "", NULL, NULL) == CL_BUILD_PROGRAM_FAILURE);
	CHECK(clGetProgramBuildInfo(p, device, CL_PROGRAM_BUILD_LOG, sizeof(log), log, NULL) ==
	      CL_SUCCESS);
	CHECK(strstr(log, "no_such_thing") != NULL);
	CHECK(clBuildProgram(p, 0, NULL, "-include /etc/passwd", NULL, NULL) != CL_SUCCESS);
	CHECK(clReleaseProgram(p) == CL_SUCCESS);
	CHECK(clReleaseProgram(p) == CL_INVALID_PROGRAM);
	text = "#include \"/etc/passwd\"\n";
	p = clCreateProgramWithSource(ctx, 1, &text, NULL, &err);
	CHECK(err == CL_SUCCESS);
	err = clBuildProgram(p, 0, NULL, "", NULL, NULL);
	CHECK(err == CL_BUILD_PROGRAM_FAILURE);
	CHECK(clReleaseProgram(p) == CL_SUCCESS);

	CHECK(clCreateBuffer(ctx, CL_MEM_READ_WRITE, 0, NULL, &err) == NULL &&
	      err == CL_INVALID_BUFFER_SIZE);
	mem = clCreateBuffer(ctx, CL_MEM_READ_WRITE, 64, NULL, &err);
	CHECK(err == CL_SUCCESS);
	CHECK(clEnqueueReadBuffer(q, mem, CL_TRUE, 64, 1, &byte, 0, NULL, NULL) ==
	      CL_INVALID_VALUE);
	CHECK(clEnqueueReadBuffer(NULL, mem, CL_TRUE, 0, 1, &byte, 0, NULL, NULL) ==
	      CL_INVALID_COMMAND_QUEUE);
	CHECK(clCreateKernel(program, "none", &err) == NULL && err == CL_INVALID_KERNEL_NAME);
	CHECK(clReleaseMemObject(mem) == CL_SUCCESS);
	CHECK(clEnqueueReadBuffer(q, mem, CL_TRUE, 0, 1, &byte, 0, NULL, NULL) ==
	      CL_INVALID_MEM_OBJECT);
	clReleaseCommandQueue(q);
	printf("mistakes told\n");
}

static _Atomic int called;

static void CL_CALLBACK
on_complete(cl_event ev, cl_int status, void *user)
{
	cl_command_type type;

	/* a callback may call */
	if (status == CL_COMPLETE && user == &called &&
	    clGetEventInfo(ev, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL) == CL_SUCCESS &&
	    type == CL_COMMAND_NDRANGE_KERNEL)
		atomic_fetch_add(&called, 1);
}

/* A chain that a user event holds, a callback, and what kernels print. */
static void
events(void)
{
	cl_command_queue q =
		queue(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | CL_QUEUE_PROFILING_ENABLE);
	cl_kernel k = kernel("say");
	const size_t one = 1;
	cl_ulong start, end;
	uint32_t n = 4711;
	cl_event user, ev;
	cl_int err, status;

	user = clCreateUserEvent(ctx, &err);
	CHECK(err == CL_SUCCESS);
	CHECK(clSetKernelArg(k, 0, sizeof(n), &n) == CL_SUCCESS);
	CHECK(clEnqueueNDRangeKernel(q, k, 1, NULL, &one, NULL, 1, &user, &ev) == CL_SUCCESS);
	CHECK(clSetEventCallback(ev, CL_COMPLETE, on_complete, &called) == CL_SUCCESS);
	CHECK(clFlush(q) == CL_SUCCESS);
	CHECK(clGetEventInfo(ev, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status,
			     NULL) == CL_SUCCESS);
	CHECK(status > CL_COMPLETE);
	CHECK(atomic_load(&called) == 0);
	CHECK(clSetUserEventStatus(user, CL_COMPLETE) == CL_SUCCESS);
	CHECK(clWaitForEvents(1, &ev) == CL_SUCCESS);
	/* what the kernel printed is before this */
	printf("waited\n");
	while (atomic_load(&called) == 0)
		usleep(1000);
	CHECK(clGetEventProfilingInfo(ev, CL_PROFILING_COMMAND_START, sizeof(start), &start,
				      NULL) == CL_SUCCESS);
	CHECK(clGetEventProfilingInfo(ev, CL_PROFILING_COMMAND_END, sizeof(end), &end, NULL) ==
	      CL_SUCCESS);
	CHECK(start <= end);
	clReleaseEvent(user);
	clReleaseEvent(ev);
	clReleaseKernel(k);
	clReleaseCommandQueue(q);
	printf("called back\n");
}

/* Works until it gets an error, or is killed. */
static void
endless(void)
{
	cl_command_queue q = queue(0);
	uint32_t word = 1;
	cl_int err;
	cl_mem mem = clCreateBuffer(ctx, CL_MEM_READ_WRITE, 4, NULL, &err);

	CHECK(err == CL_SUCCESS);
	printf("working\n");
	do {
		err = clEnqueueWriteBuffer(q, mem, CL_TRUE, 0, 4, &word, 0, NULL, NULL);
		err = err == CL_SUCCESS ? clFinish(q) : err;
	} while (err == CL_SUCCESS);
	printf("error %d\n", err);
	clReleaseMemObject(mem);
	clReleaseCommandQueue(q);
}

/* A kernel that takes its process with it. */
static void
crash(void)
{
	cl_command_queue q = queue(0);
	cl_kernel k = kernel("wild");
	const size_t one = 1;
	uint64_t at = 16;
	cl_int err;

	CHECK(clSetKernelArg(k, 0, sizeof(at), &at) == CL_SUCCESS);
	err = clEnqueueNDRangeKernel(q, k, 1, NULL, &one, NULL, 0, NULL, NULL);
	err = err == CL_SUCCESS ? clFinish(q) : err;
	CHECK(err != CL_SUCCESS);
	CHECK(clCreateBuffer(ctx, CL_MEM_READ_WRITE, 4, NULL, &err) == NULL && err != CL_SUCCESS);
	clReleaseKernel(k);
	clReleaseCommandQueue(q);
	printf("error after the crash\n");
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} parts[] = {
		{"compute", compute},	  {"threads", threads}, {"mistakes", mistakes},
		{"events", events},	  {"endless", endless}, {"crash", crash},
		{"transfers", transfers}, {"buffers", buffers}, {"arguments", arguments},
		{"builds", builds},	  {"order", order},	{"callbacks", callbacks},
		{"prints", prints},	  {"invalid", invalid}, {"released", released},
		{"foreign", foreign},	  {"forked", forked},
	};

	if (argc > 2)
		platform_name = argv[2];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 2 && strcmp(argv[1], "platforms") == 0) {
		platforms();
		return 0;
	}
	for (size_t i = 0; argc >= 2 && i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(argv[1], parts[i].name) != 0)
			continue;
		begin();
		parts[i].run();
		end();
		return 0;
	}
	fprintf(stderr, "usage: opencl-app PART [PLATFORM]\nparts: platforms");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		fprintf(stderr, ", %s", parts[i].name);
	fprintf(stderr, "\n");
	return 2;
}
