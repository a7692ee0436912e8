/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include "apir_env.h"

void
apir_log(const struct apir_env *env, enum apir_log_level level, const char *fmt, ...)
{
	va_list ap;

	if (env == NULL || env->vlog == NULL)
		return;
	va_start(ap, fmt);
	env->vlog(env, level, fmt, ap);
	va_end(ap);
}
