/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Programs: faults and what is said of them, headers, linking, binaries.
 */

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "opencl_app.h"

/* Longer than what goes into one answer. */
#define LONG_LOG 65536

static void
run(cl_program p, const char *name, cl_uint want)
{
	cl_command_queue q = queue(0);
	cl_mem mem = buffer(CL_MEM_READ_WRITE, 4, NULL);
	const size_t one = 1;
	cl_uint got = 0;
	cl_kernel k;
	cl_int err;

	k = clCreateKernel(p, name, &err);
	OK(err);
	OK(clSetKernelArg(k, 0, sizeof(mem), &mem));
	OK(clEnqueueNDRangeKernel(q, k, 1, NULL, &one, NULL, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(q, mem, CL_TRUE, 0, 4, &got, 0, NULL, NULL));
	CHECK(got == want);
	OK(clReleaseKernel(k));
	OK(clReleaseMemObject(mem));
	OK(clReleaseCommandQueue(q));
}

/* The build log, to be freed. */
static char *
log_of(cl_program p, size_t *len)
{
	char *log;

	OK(clGetProgramBuildInfo(p, device, CL_PROGRAM_BUILD_LOG, 0, NULL, len));
	log = malloc(*len + 1);
	CHECK(log != NULL);
	OK(clGetProgramBuildInfo(p, device, CL_PROGRAM_BUILD_LOG, *len, log, NULL));
	log[*len] = '\0';
	return log;
}

static void
faults(void)
{
	cl_program p =
		source_program("kernel void f(global uint *a)\n{\n\t*a = missing_name;\n}\n");
	cl_build_status status;
	size_t len, room = 1 << 18, at = 0;
	char *log, *text = malloc(room), small[4];
	cl_kernel k;
	cl_int err;

	CODE(clBuildProgram(p, 0, NULL, NULL, NULL, NULL), CL_BUILD_PROGRAM_FAILURE);
	OK(clGetProgramBuildInfo(p, device, CL_PROGRAM_BUILD_STATUS, sizeof(status), &status,
				 NULL));
	CHECK(status == CL_BUILD_ERROR);
	log = log_of(p, &len);
	CHECK(strstr(log, "missing_name") != NULL && strlen(log) + 1 == len);
	free(log);
	CODE(clGetProgramBuildInfo(p, device, CL_PROGRAM_BUILD_LOG, sizeof(small), small, NULL),
	     CL_INVALID_VALUE);
	k = clCreateKernel(p, "f", &err);
	CHECK(k == NULL);
	CODE(err, CL_INVALID_PROGRAM_EXECUTABLE);
	OK(clReleaseProgram(p));

	CHECK(text != NULL);
	for (unsigned int i = 0; i < 1500; i++)
		at += (size_t)snprintf(text + at, room - at, "#warning number %u of many\n", i);
	snprintf(text + at, room - at, "kernel void f(void) { last_fault(); }\n");
	p = source_program(text);
	CODE(clBuildProgram(p, 0, NULL, NULL, NULL, NULL), CL_BUILD_PROGRAM_FAILURE);
	log = log_of(p, &len);
	CHECK(len > LONG_LOG && strlen(log) + 1 == len);
	CHECK(strstr(log, "number 0 of") != NULL && strstr(log, "number 1499 of") != NULL);
	CHECK(strstr(log, "last_fault") != NULL);
	free(log);
	OK(clReleaseProgram(p));
	free(text);
	printf("faults told\n");
}

static struct {
	cl_program p;
	_Atomic int called;
} told;

static void CL_CALLBACK
on_built(cl_program p, void *user)
{
	told.p = p;
	atomic_fetch_add(&told.called, user == &told ? 1 : 100);
}

static void
wait_told(int times)
{
	while (atomic_load(&told.called) < times)
		usleep(1000);
	CHECK(atomic_load(&told.called) == times);
}

static void
linked(void)
{
	const char *name = "sub/give.h";
	cl_program header = source_program("uint give(uint x);\n#define GIVEN 41\n");
	cl_program part[2], p;
	cl_int err;

	part[0] = source_program("#include \"sub/give.h\"\n"
				 "kernel void f(global uint *a) { *a = give(GIVEN); }\n");
	part[1] = source_program("uint give(uint x) { return x + MORE; }\n");
	/* without its header */
	CODE(clCompileProgram(part[0], 0, NULL, NULL, 0, NULL, NULL, NULL, NULL),
	     CL_COMPILE_PROGRAM_FAILURE);
	OK(clCompileProgram(part[0], 0, NULL, NULL, 1, &header, &name, NULL, NULL));
	OK(clCompileProgram(part[1], 1, &device, "-DMORE=1", 0, NULL, NULL, on_built, &told));
	wait_told(1);
	CHECK(told.p == part[1]);
	p = clLinkProgram(ctx, 0, NULL, NULL, 2, part, NULL, NULL, &err);
	OK(err);
	run(p, "f", 42);
	OK(clReleaseProgram(p));
	/* one part is missing */
	p = clLinkProgram(ctx, 0, NULL, NULL, 1, part, NULL, NULL, &err);
	printf("linked without a part: %d\n", err);
	if (p != NULL)
		OK(clReleaseProgram(p));
	OK(clReleaseProgram(part[0]));
	OK(clReleaseProgram(part[1]));
	OK(clReleaseProgram(header));

	atomic_store(&told.called, 0);
	p = source_program("kernel void f(global uint *a) { *a = 43; }\n");
	OK(clBuildProgram(p, 0, NULL, NULL, on_built, &told));
	wait_told(1);
	CHECK(told.p == p);
	run(p, "f", 43);
	OK(clReleaseProgram(p));
	printf("linked\n");
}

static void
binaries(void)
{
	cl_program p = source_program("kernel void f(global uint *a) { *a = 44; }\n"), again;
	unsigned char *bin;
	const unsigned char *from;
	char names[64];
	cl_int err, status = 1;
	size_t size;

	OK(clBuildProgram(p, 0, NULL, NULL, NULL, NULL));
	OK(clGetProgramInfo(p, CL_PROGRAM_BINARY_SIZES, sizeof(size), &size, NULL));
	CHECK(size > 0);
	bin = malloc(size);
	CHECK(bin != NULL);
	OK(clGetProgramInfo(p, CL_PROGRAM_BINARIES, sizeof(bin), &bin, NULL));
	OK(clReleaseProgram(p));
	from = bin;
	again = clCreateProgramWithBinary(ctx, 1, &device, &size, &from, &status, &err);
	OK(err);
	OK(status);
	OK(clBuildProgram(again, 0, NULL, NULL, NULL, NULL));
	OK(clGetProgramInfo(again, CL_PROGRAM_KERNEL_NAMES, sizeof(names), names, NULL));
	CHECK(strcmp(names, "f") == 0);
	run(again, "f", 44);
	OK(clReleaseProgram(again));
	memset(bin, 0x5a, size);
	CHECK(clCreateProgramWithBinary(ctx, 1, &device, &size, &from, &status, &err) == NULL);
	CODE(err, CL_INVALID_BINARY);
	CODE(status, CL_INVALID_BINARY);
	free(bin);
	printf("binary again\n");
}

void
builds(void)
{
	faults();
	linked();
	binaries();
}
