/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exec_err.h"

enum apir_status
exec_err_set(struct exec_err *err, enum apir_status status, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return status;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return status;
}

void
exec_err_add(struct exec_err *err, const char *fmt, ...)
{
	size_t at;
	va_list ap;

	if (err == NULL)
		return;
	at = strnlen(err->text, sizeof(err->text) - 1);
	va_start(ap, fmt);
	vsnprintf(err->text + at, sizeof(err->text) - at, fmt, ap);
	va_end(ap);
}
