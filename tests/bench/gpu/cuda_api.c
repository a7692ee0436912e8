/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The CUDA driver, and OpenCL C to PTX by NVIDIA's OpenCL. */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "cuda_api.h"

struct cuda_api cu;

int
cuda_fail(const char *what, CUresult rc)
{
	const char *name = "?";

	if (rc == CUDA_SUCCESS) {
		fprintf(stderr, "apir-gpu-bench: direct: %s\n", what);
		return -1;
	}
	if (cu.error_name != NULL)
		cu.error_name(rc, &name);
	fprintf(stderr, "apir-gpu-bench: direct: %s: %s (%d)\n", what, name, rc);
	return -1;
}

int
cuda_load(void)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

	if (lib == NULL) {
		fprintf(stderr, "apir-gpu-bench: direct: %s\n", dlerror());
		return -1;
	}
#define CUDA_LOAD(member, name, parameters)                                               \
	*(void **)&cu.member = dlsym(lib, name);                                          \
	if (cu.member == NULL) {                                                          \
		fprintf(stderr, "apir-gpu-bench: direct: libcuda.so.1 lacks %s\n", name); \
		return -1;                                                                \
	}
	CUDA_FUNCTIONS(CUDA_LOAD)
#undef CUDA_LOAD
	return 0;
}

static cl_device_id
nvidia_device(void)
{
	cl_platform_id platforms[16];
	cl_device_id device;
	cl_uint nb = 0;

	if (clGetPlatformIDs(16, platforms, &nb) != CL_SUCCESS)
		return NULL;
	for (cl_uint p = 0; p < nb && p < 16; p++) {
		char name[256] = "";

		clGetPlatformInfo(platforms[p], CL_PLATFORM_NAME, sizeof(name), name, NULL);
		if (strcasestr(name, "nvidia") != NULL &&
		    clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_GPU, 1, &device, NULL) ==
			    CL_SUCCESS)
			return device;
	}
	return NULL;
}

/*
 * What OpenCL's launcher would put into %envregN (offsets, numbers of groups, dimensions), for a launch of one
 * dimension without offset.
 */
static const char *
envreg_value(unsigned long n)
{
	if (n <= 5)
		return "0";
	if (n == 6)
		return "%nctaid.x";
	return n <= 9 ? "1" : NULL;
}

static char *
ptx_fit(const char *ptx)
{
	static const char word[] = "%envreg";
	char *out = malloc(strlen(ptx) * 2 + 1), *to = out;
	const char *at;

	if (out == NULL)
		return NULL;
	while ((at = strstr(ptx, word)) != NULL) {
		char *end;
		const char *value = envreg_value(strtoul(at + strlen(word), &end, 10));

		if (value == NULL) {
			fprintf(stderr, "apir-gpu-bench: direct: PTX uses %.12s\n", at);
			free(out);
			return NULL;
		}
		memcpy(to, ptx, (size_t)(at - ptx));
		to = stpcpy(to + (at - ptx), value);
		ptx = end;
	}
	strcpy(to, ptx);
	return out;
}

static char *
program_ptx(cl_program program)
{
	unsigned char *binary;
	size_t size = 0;
	char *ptx = NULL;

	if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof(size), &size, NULL) !=
		    CL_SUCCESS ||
	    (binary = calloc(1, size + 1)) == NULL)
		return NULL;
	if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof(binary), &binary, NULL) ==
	    CL_SUCCESS)
		ptx = ptx_fit((const char *)binary);
	free(binary);
	return ptx;
}

char *
ptx_build(const char *source)
{
	cl_device_id device = nvidia_device();
	cl_context context;
	cl_program program;
	char *ptx = NULL;
	cl_int err;

	if (device == NULL) {
		fprintf(stderr, "apir-gpu-bench: direct: no NVIDIA OpenCL platform: see "
				"OCL_ICD_VENDORS\n");
		return NULL;
	}
	context = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
	if (context == NULL) {
		fprintf(stderr, "apir-gpu-bench: direct: clCreateContext: %d\n", err);
		return NULL;
	}
	program = clCreateProgramWithSource(context, 1, &source, NULL, &err);
	if (program != NULL)
		err = clBuildProgram(program, 1, &device, "-DAPIR_MODE_RAW", NULL, NULL);
	if (program != NULL && err == CL_SUCCESS) {
		ptx = program_ptx(program);
	} else if (program != NULL) {
		static char log[16384];

		clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof(log) - 1, log,
				      NULL);
		fprintf(stderr, "apir-gpu-bench: direct: clBuildProgram: %d\n%s\n", err, log);
	}
	if (program != NULL)
		clReleaseProgram(program);
	clReleaseContext(context);
	return ptx;
}
