/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_EXTENSION_H
#define APIR_CL_EXTENSION_H

/** @file Extensions: which of the host's a guest may use. */

#include <stdbool.h>
#include <stddef.h>

/** True if an extension works through us: it needs no function of the host's library that we lack. */
bool cl_extension_known(const char *name, size_t len);
/** Of a list with spaces between names, keep those that work. In place; returns the length without the NUL. */
size_t cl_extension_filter(char *list);

#endif /* APIR_CL_EXTENSION_H */
