/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_EXEC_ERR_H
#define APIR_EXEC_ERR_H

/**
 * @file
 * Texts of errors.
 */

#include "exec.h"

/** Put a text into err (may be NULL); returns status, so that a failure is one statement. */
enum apir_status exec_err_set(struct exec_err *err, enum apir_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** Append to the text of err (may be NULL); cut at its end. */
void exec_err_add(struct exec_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif /* APIR_EXEC_ERR_H */
