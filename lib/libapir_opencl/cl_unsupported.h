/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_UNSUPPORTED_H
#define APIR_CL_UNSUPPORTED_H

/**
 * @file
 * Functions of the dispatch table that headers declare only as types of pointers, or not for every version: those of
 * extensions that a device behind another process cannot have.
 */

#include <CL/cl_egl.h>
#include <CL/cl_ext.h>
#include <CL/cl_gl.h>

#endif /* APIR_CL_UNSUPPORTED_H */
