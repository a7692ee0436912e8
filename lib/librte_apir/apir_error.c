/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdio.h>

#include "apir_private.h"

RTE_LOG_REGISTER(apir_logtype, lib.apir, NOTICE);

#define TEXT_LEN 1280

/* Plain thread-local storage: threads that EAL does not know get an error text too. */
static __thread char err_text[TEXT_LEN];
static __thread bool err_set;
static __thread bool err_quiet;

void
apir_err_begin(void)
{
	err_set = false;
}

void
apir_err_quiet(bool quiet)
{
	err_quiet = quiet;
}

static uint32_t
err_level(void)
{
	return err_quiet ? RTE_LOG_DEBUG : RTE_LOG_ERR;
}

int
apir_err(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err_text, sizeof(err_text), fmt, ap);
	va_end(ap);
	err_set = true;
	rte_log(err_level(), apir_logtype, "apir: %s\n", err_text);
	return -err;
}

int
apir_err_core(int ret, const char *fmt, ...)
{
	va_list ap;

	if (err_set)
		return ret;
	va_start(ap, fmt);
	vsnprintf(err_text, sizeof(err_text), fmt, ap);
	va_end(ap);
	err_set = true;
	rte_log(err_level(), apir_logtype, "apir: %s\n", err_text);
	return ret;
}

void
apir_env_vlog(const struct apir_env *env, enum apir_log_level level, const char *fmt, va_list ap)
{
	static const uint32_t levels[] = {
		[APIR_LOG_WARNING] = RTE_LOG_WARNING,
		[APIR_LOG_INFO] = RTE_LOG_INFO,
		[APIR_LOG_DEBUG] = RTE_LOG_DEBUG,
	};
	char text[TEXT_LEN];

	RTE_SET_USED(env);
	vsnprintf(text, sizeof(text), fmt, ap);
	rte_log(level == APIR_LOG_ERR ? err_level() : levels[level], apir_logtype, "apir: %s\n",
		text);
	if (level == APIR_LOG_ERR && !err_set) {
		/* what the core says of an error, the cause first, is what the caller wants to read */
		snprintf(err_text, sizeof(err_text), "%s", text);
		err_set = true;
	}
}

const char *
rte_apir_last_error(void)
{
	return err_text;
}

const char *
rte_apir_status_str(uint16_t status)
{
	return apir_status_str(status);
}
