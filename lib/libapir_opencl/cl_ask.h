/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_ASK_H
#define APIR_CL_ASK_H

/** @file Information that the host's runtime is asked for, of any length. */

#include "cl_object.h"

/** What is asked: see GetInfo of opencl.idl. */
struct cl_ask {
	const void *object;
	enum cl_kind kind;
	const void *other;	 /**< the second object */
	enum cl_kind other_kind; /**< 0: the question has none */
	uint64_t index;
	uint32_t param;
};

/** The answer as a clGet...Info() gives it. */
cl_int cl_ask(const struct cl_ask *q, size_t size, void *value, size_t *size_ret);

#endif /* APIR_CL_ASK_H */
