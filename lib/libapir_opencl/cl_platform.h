/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_PLATFORM_H
#define APIR_CL_PLATFORM_H

/** @file The platform and its root device, for the files that make contexts and answer the loader. */

#include "cl_object.h"

/** The session has been opened: its device is the root device now. False: no memory. One thread at a time. */
bool cl_roots_make(uint64_t device);
/**
 * The root device, also when the session is lost; opens a session if the process has none. NULL: there never was one.
 */
struct _cl_device_id *cl_root_device(void);
/** The platform, whether there is a session or not. */
struct _cl_platform_id *cl_the_platform_object(void);
/** CL_SUCCESS if types (a mask of CL_DEVICE_TYPE_*) has the root device; CL_INVALID_DEVICE_TYPE, CL_DEVICE_NOT_FOUND, ... */
cl_int cl_device_of_type(cl_device_type types, struct _cl_device_id **device);
/** A value of the device's that does not change. */
cl_int cl_device_fact(struct _cl_device_id *device, cl_device_info param, void *value, size_t size);

#endif /* APIR_CL_PLATFORM_H */
