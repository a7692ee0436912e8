/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* What a tenant hands us to compile: a text on its own, with options that reach nothing outside of it. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "opencl.h"

/* The source as the preprocessor sees it after its first two steps: trigraphs replaced, spliced lines joined. */
struct logical {
	char *c;
	size_t *at; /* where each character stands in the source */
	size_t len;
};

static int
logical_make(const char *s, struct logical *l)
{
	size_t len = strlen(s), i = 0, n = 0, skip;

	l->c = malloc(len + 2);
	l->at = malloc((len + 2) * sizeof(*l->at));
	if (l->c == NULL || l->at == NULL)
		return -1;
	while (i < len) {
		char c = s[i];

		skip = 1;
		if (s[i] == '?' && s[i + 1] == '?' && (s[i + 2] == '=' || s[i + 2] == '/')) {
			c = s[i + 2] == '=' ? '#' : '\\';
			skip = 3;
		}
		if (c == '\\') {
			/* Compilers take blanks between the backslash and the end of the line. */
			size_t end = i + skip + strspn(s + i + skip, " \t\v\f\r");

			if (s[end] == '\n') {
				i = end + 1;
				continue;
			}
		}
		l->c[n] = c;
		l->at[n++] = i;
		i += skip;
	}
	l->c[n] = l->c[n + 1] = '\0';
	l->at[n] = l->at[n + 1] = len;
	l->len = n;
	return 0;
}

/* Past blanks and comments; ends stay. */
static size_t
skip_blank(const char *c, size_t i)
{
	for (;;) {
		if (c[i] == '/' && c[i + 1] == '*') {
			for (i += 2; c[i] != '\0' && !(c[i] == '*' && c[i + 1] == '/'); i++)
				;
			i += c[i] != '\0' ? 2 : 0;
		} else if (c[i] == '/' && c[i + 1] == '/') {
			i += strcspn(c + i, "\n");
		} else if (c[i] != '\0' && strchr(" \t\v\f\r", c[i]) != NULL) {
			i++;
		} else {
			return i;
		}
	}
}

/* The rest of a line: past strings and comments, which may hold anything. */
static size_t
skip_line(const char *c, size_t i)
{
	for (;;) {
		i = skip_blank(c, i);
		if (c[i] == '\0' || c[i] == '\n')
			return i;
		if (c[i] == '"' || c[i] == '\'') {
			char quote = c[i++];

			while (c[i] != '\0' && c[i] != '\n' && c[i] != quote)
				i += c[i] == '\\' && c[i + 1] != '\0' && c[i + 1] != '\n' ? 2 : 1;
			i += c[i] == quote ? 1 : 0;
		} else {
			i++;
		}
	}
}

static bool
names_our_header(const char *s)
{
	static const char *const ours[] = {"\"apir_kernel.h\"", "<apir_kernel.h>",
					   "<apir/apir_kernel.h>", "\"apir_table.h\""};

	for (unsigned int n = 0; n < sizeof(ours) / sizeof(ours[0]); n++)
		if (strncmp(s, ours[n], strlen(ours[n])) == 0)
			return true;
	return false;
}

static unsigned int
line_of(const char *s, size_t at)
{
	unsigned int line = 1;

	for (size_t i = 0; i < at; i++)
		line += s[i] == '\n';
	return line;
}

/* One line of l from i on: refuse it if it includes a file. Returns where it ends. */
static size_t
check_line(char *s, const struct logical *l, size_t i, enum apir_status *status,
	   struct exec_err *err)
{
	static const char *const words[] = {"include", "include_next", "import", "embed"};
	const char *c = l->c;
	size_t start = skip_blank(c, i), end, len;

	if (c[start] == '#')
		i = start + 1;
	else if (c[start] == '%' && c[start + 1] == ':')
		i = start + 2;
	else
		return skip_line(c, start);
	i = skip_blank(c, i);
	len = strspn(c + i, "abcdefghijklmnopqrstuvwxyz_");
	end = skip_line(c, i);
	for (unsigned int w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
		if (len != strlen(words[w]) || strncmp(c + i, words[w], len) != 0)
			continue;
		if (names_our_header(c + skip_blank(c, i + len))) {
			for (size_t b = l->at[start]; b < l->at[end]; b++)
				s[b] = s[b] == '\n' ? '\n' : ' ';
		} else {
			*status = exec_err_set(
				err, APIR_S_INVAL,
				"kernel.cl:%u: #%s is not available: a program is one text "
				"(apir_kernel.h already stands before it)",
				line_of(s, l->at[start]), words[w]);
		}
	}
	return end;
}

/*
 * A compiler's message quotes the lines of an included file: #include would let a guest read the host's files. Our own
 * header is already there: including it, as editors like it, is blanked out.
 */
static enum apir_status
check_directives(char *s, struct exec_err *err)
{
	enum apir_status status = APIR_S_OK;
	struct logical l = {0};
	size_t i = 0;

	if (logical_make(s, &l) != 0)
		status = exec_err_set(err, APIR_S_NOMEM, "out of memory for a program");
	while (status == APIR_S_OK && i < l.len) {
		i = check_line(s, &l, i, &status, err);
		i += l.c[i] == '\n' ? 1 : 0;
	}
	free(l.c);
	free(l.at);
	return status;
}

char *
ocl_source_copy(const char *src, size_t len, struct exec_err *err)
{
	unsigned int line = 1;
	bool empty = true;
	char *s;

	while (len > 0 && src[len - 1] == '\0')
		len--;
	s = malloc(len + 1);
	if (s == NULL) {
		exec_err_set(err, APIR_S_NOMEM, "out of memory for a program of %zu bytes", len);
		return NULL;
	}
	memcpy(s, src, len);
	s[len] = '\0';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = s[i];

		if (c == '\n')
			line++;
		if (!isspace(c))
			empty = false;
		if ((c < ' ' && !isspace(c)) || c == 0x7f) {
			exec_err_set(err, APIR_S_INVAL,
				     "kernel.cl:%u: byte 0x%02x at offset %zu: the program is not "
				     "a text; "
				     "OpenCL C source is needed, not a binary",
				     line, c, i);
			goto bad;
		}
	}
	if (empty) {
		exec_err_set(err, APIR_S_INVAL,
			     "the program is empty: no OpenCL C in its %zu bytes", len);
		goto bad;
	}
	if (check_directives(s, err) != APIR_S_OK)
		goto bad;
	return s;
bad:
	free(s);
	return NULL;
}

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
