/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_KERNEL_H
#define APIR_CL_KERNEL_H

/** @file What the files of kernels share. */

#include "cl_object.h"

/** What an argument of a kernel is. */
enum cl_arg_type {
	CL_ARG_UNASKED = 0,
	CL_ARG_UNKNOWN, /**< nobody tells: to be seen from the value */
	CL_ARG_BYTES,
	CL_ARG_MEM,
	CL_ARG_SAMPLER,
	CL_ARG_QUEUE,
	CL_ARG_LOCAL,
};

/** How SetKernelArg names what it sends. */
enum cl_arg_kind {
	CL_ARG_KIND_BYTES = 0,
	CL_ARG_KIND_MEM,
	CL_ARG_KIND_SAMPLER,
	CL_ARG_KIND_QUEUE,
	CL_ARG_KIND_NULL,
	CL_ARG_KIND_SVM,
};

/** A value as it is sent. */
struct cl_arg_value {
	enum cl_arg_kind kind;
	size_t size;
	uint64_t object;   /**< id, or the address of shared virtual memory */
	const void *bytes; /**< size bytes */
};

struct cl_arg {
	enum cl_arg_type type;
	bool set; /**< the worker has this value */
	enum cl_arg_kind kind;
	size_t size;
	uint64_t object;
#define CL_ARG_KEPT 64 /* longer ones are sent again each time */
	uint8_t bytes[CL_ARG_KEPT];
};

/** What a kernel's `more` is. */
struct cl_kernel_more {
	bool arg_info; /**< the program may ask for it */
	struct cl_info_cache *info;
	cl_uint nb_args;
	pthread_mutex_t lock; /**< of args */
	struct cl_arg *args;
};

static inline struct cl_kernel_more *
cl_kernel_more(const struct _cl_kernel *k)
{
	return k->more;
}

/** What the argument is; asks the worker the first time. With the lock held. */
enum cl_arg_type cl_arg_type(const struct _cl_kernel *k, cl_uint index);

#endif /* APIR_CL_KERNEL_H */
