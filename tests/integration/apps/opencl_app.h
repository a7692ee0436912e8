/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */
/**
 * @file
 * What the parts of opencl-app share: one context on the first device of a platform, with one program.
 */

#ifndef OPENCL_APP_H
#define OPENCL_APP_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include <CL/cl_ext.h>

/** End the program with a message unless this is so. */
#define CHECK(cond)                                                                   \
	do {                                                                          \
		if (!(cond)) {                                                        \
			printf("opencl-app: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			exit(1);                                                      \
		}                                                                     \
	} while (0)

/** End the program unless a call answers with this code. */
#define CODE(call, code)                                                                           \
	do {                                                                                       \
		const cl_int got_ = (call);                                                        \
		if (got_ != (code)) {                                                              \
			printf("opencl-app: %s:%d: %s is %d, not %s\n", __FILE__, __LINE__, #call, \
			       got_, #code);                                                       \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define OK(call) CODE(call, CL_SUCCESS)

extern cl_platform_id platform;
extern cl_device_id device;
extern cl_context ctx;
extern cl_program program;

/** The name of the platform to use; NULL: the first. */
extern const char *platform_name;

/** Find platform and device, make context and program. */
void begin(void);
/** Release them. */
void end(void);
/** A kernel of the program. */
cl_kernel kernel(const char *name);
/** A queue. */
cl_command_queue queue(cl_command_queue_properties properties);
/** A program of this source, not built. */
cl_program source_program(const char *text);
/** A buffer. */
cl_mem buffer(cl_mem_flags flags, size_t size, void *host);
/** Fill memory with bytes that depend on seed. */
void pattern(void *p, size_t size, unsigned int seed);
/** Say on standard output what memory holds, for comparison with another run. */
void show(const char *what, const void *p, size_t size);

/* The parts, each in a file of its own; those of opencl_app.c are there. */
void transfers(void);
void buffers(void);
void arguments(void);
void builds(void);
void order(void);
void callbacks(void);
void prints(void);
void invalid(void);
void released(void);
void foreign(void);
void forked(void);
void platforms(void);

#endif
