/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Build options of a tenant's: those that reach nothing outside of its program. */

#include <string.h>

#include "opencl.h"

enum apir_status
ocl_options_check(const char *options, struct exec_err *err)
{
	static const char *const allowed[] = {"-D", "-U", "-cl-", "-w", "-Werror", "-g"};
	const char *p = options;
	size_t len;

	for (;;) {
		bool ok = false;

		p += strspn(p, " \t\n");
		if (*p == '\0')
			return APIR_S_OK;
		len = strcspn(p, " \t\n");
		for (unsigned int i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
			size_t n = strlen(allowed[i]);
			bool prefix = i < 3;

			if (strncmp(p, allowed[i], n) == 0 && (prefix || len == n))
				ok = true;
		}
		if (strncmp(p, "-DAPIR_", 7) == 0 || strncmp(p, "-UAPIR_", 7) == 0)
			ok = false;
		if (memchr(p, '"', len) != NULL || memchr(p, '\'', len) != NULL ||
		    memchr(p, '\\', len) != NULL)
			ok = false;
		if (!ok)
			return exec_err_set(
				err, APIR_S_INVAL,
				"build option '%.*s' is not allowed: use -DNAME[=VALUE] (not "
				"APIR_*, no quotes), -UNAME, -cl-*, -w, -Werror, -g",
				(int)len, p);
		/* "-D NAME": the name is a word of its own. */
		if (len == 2 && (p[1] == 'D' || p[1] == 'U')) {
			p += len;
			p += strspn(p, " \t\n");
			len = strcspn(p, " \t\n");
			if (len == 0 || *p == '-' || strncmp(p, "APIR_", 5) == 0 ||
			    memchr(p, '"', len) != NULL || memchr(p, '\'', len) != NULL ||
			    memchr(p, '\\', len) != NULL)
				return exec_err_set(
					err, APIR_S_INVAL,
					"build option -D or -U needs a name (not APIR_*)");
		}
		p += len;
	}
}

/* A word of build options that reaches no file. */
static bool
word_ok(const char *p, size_t len, bool quoted)
{
	static const char *const begin[] = {"-D", "-U", "-cl-", "-spir-std="};
	static const char *const whole[] = {"-w", "-Werror", "-g", "-create-library",
					    "-enable-link-options"};

	if (p[0] != '-')
		return quoted;
	for (unsigned int i = 0; i < sizeof(begin) / sizeof(begin[0]); i++)
		if (strncmp(p, begin[i], strlen(begin[i])) == 0)
			return true;
	for (unsigned int i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (len == strlen(whole[i]) && strncmp(p, whole[i], len) == 0)
			return true;
	return false;
}

bool
ocl_options_shut(char *options)
{
	bool quoted = false, operand = false;

	for (char *p = options;;) {
		const bool was = quoted;
		size_t len;

		p += strspn(p, " \t\n\r\v\f");
		if (*p == '\0')
			return true;
		len = strcspn(p, " \t\n\r\v\f");
		for (size_t i = 0; i < len; i++)
			quoted ^= p[i] == '"';
		if (!was && !operand && strncmp(p, "-I", 2) == 0) {
			/* its files are in the source */
			size_t dir = len == 2 ? strspn(p + len, " \t") : 0;

			dir += len == 2 ? strcspn(p + len + dir, " \t\n\r\v\f") : 0;
			memset(p, ' ', len + dir);
			p += len + dir;
			quoted = was;
			continue;
		}
		if (!was && !operand && len == 2 && strncmp(p, "-x", 2) == 0) {
			/* the language: a word that is no option */
			operand = true;
			p += len;
			continue;
		}
		if (operand ? *p == '-' || *p == '@' || *p == '/' : !word_ok(p, len, was))
			return false;
		/* "-D NAME" */
		operand = !operand && len == 2 && (p[1] == 'D' || p[1] == 'U') && *p == '-';
		p += len;
	}
}
