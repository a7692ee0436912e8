/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_OPENCL_DEVICE_H
#define APIRD_OPENCL_DEVICE_H

/**
 * @file
 * The device that apird has chosen; but where it had the choice and took PoCL's "basic" for packets, programs get what they would have
 * natively, the device of all cores: the other runs one command at a time inside the call, and some programs wait for ever there.
 */

#include "srv.h"

/**
 * Find it again and set what sh has of it. text is as for --device; any: the operator has named none.
 *
 * @param why of 1024 bytes: what is wrong
 * @return 0 or -1
 */
int device_find(struct shared *sh, const char *text, bool any, char *why);

/** What programs may use of the device's shared virtual memory, provided that the arena is at the same address on both sides. */
uint64_t device_svm(const struct shared *sh);

#endif /* APIRD_OPENCL_DEVICE_H */
