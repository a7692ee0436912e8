/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_KIND_H
#define APIR_CL_KIND_H

/** @file Kinds of objects, as both sides number them (GetInfo names them on the wire). */

enum cl_kind {
	CL_KIND_PLATFORM = 1,
	CL_KIND_DEVICE,
	CL_KIND_CONTEXT,
	CL_KIND_QUEUE,
	CL_KIND_MEM,
	CL_KIND_SAMPLER,
	CL_KIND_PROGRAM,
	CL_KIND_KERNEL,
	CL_KIND_EVENT,
	CL_KIND_MAX = CL_KIND_EVENT,
};

#endif /* APIR_CL_KIND_H */
