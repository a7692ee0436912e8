/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* What a tenant hands us to compile: a text that reaches no file of the host's. */

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

static const char *const reads_file[] = {"include", "include_next", "import", "embed"};

/*
 * One line of l from *i on, which ends there afterwards. Returns the directive if it reads a file, else NULL; start: of the
 * line, operand: what it reads.
 */
static const char *
next_line(const struct logical *l, size_t *i, size_t *start, size_t *operand)
{
	const char *c = l->c;
	size_t at, len;

	*start = skip_blank(c, *i);
	if (c[*start] == '#') {
		at = *start + 1;
	} else if (c[*start] == '%' && c[*start + 1] == ':') {
		at = *start + 2;
	} else {
		*i = skip_line(c, *start);
		return NULL;
	}
	at = skip_blank(c, at);
	len = strspn(c + at, "abcdefghijklmnopqrstuvwxyz_");
	*operand = skip_blank(c, at + len);
	*i = skip_line(c, at);
	for (unsigned int w = 0; w < sizeof(reads_file) / sizeof(reads_file[0]); w++)
		if (len == strlen(reads_file[w]) && strncmp(c + at, reads_file[w], len) == 0)
			return reads_file[w];
	return NULL;
}

/* Lines stay lines. */
static void
blank(char *s, const struct logical *l, size_t start, size_t end)
{
	for (size_t b = l->at[start]; b < l->at[end]; b++)
		s[b] = s[b] == '\n' ? '\n' : ' ';
}

/* One line of l from i on: refuse it if it includes a file. Returns where it ends. */
static size_t
check_line(char *s, const struct logical *l, size_t i, enum apir_status *status,
	   struct exec_err *err)
{
	size_t start, operand;
	const char *word = next_line(l, &i, &start, &operand);

	if (word != NULL && names_our_header(l->c + operand))
		blank(s, l, start, i);
	else if (word != NULL)
		*status = exec_err_set(err, APIR_S_INVAL,
				       "kernel.cl:%u: #%s is not available: a program is one text "
				       "(apir_kernel.h already stands before it)",
				       line_of(s, l->at[start]), word);
	return i;
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

bool
ocl_header_name_ok(const char *name)
{
	if (name[0] == '\0' || name[0] == '/' || strchr(name, '\\') != NULL)
		return false;
	for (const char *p = name; p != NULL; p = strchr(p, '/')) {
		p += *p == '/' ? 1 : 0;
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
			return false;
	}
	return true;
}

/* What an operand names, as far as that is certain without its macros. */
static bool
operand_ok(const char *c)
{
	char name[1024];
	size_t len;

	if (*c != '"' && *c != '<')
		return false;
	len = strcspn(c + 1, *c == '"' ? "\"\n" : ">\n");
	if (len >= sizeof(name))
		return false;
	memcpy(name, c + 1, len);
	name[len] = '\0';
	return ocl_header_name_ok(name);
}

int
ocl_source_shut(char *s)
{
	static const char instead[] = "#error";
	struct logical l = {0};
	size_t i = 0, start, operand;
	const int ret = logical_make(s, &l);

	while (ret == 0 && i < l.len) {
		if (next_line(&l, &i, &start, &operand) != NULL && !operand_ok(l.c + operand)) {
			char *p = s + l.at[start];

			blank(s, &l, start, i);
			if (strspn(p, " ") >= strlen(instead))
				memcpy(p, instead, strlen(instead));
		}
		i += l.c[i] == '\n' ? 1 : 0;
	}
	free(l.c);
	free(l.at);
	return ret;
}
