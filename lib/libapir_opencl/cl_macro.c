/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <ctype.h>

#include "cl_macro.h"

#define MAX_DEPTH 32 /* of macros in macros */
#define MAX_ARGS  16

struct piece {
	const char *s;
	size_t len;
};

struct cl_macro {
	struct cl_macro *next;
	struct piece name, body;
	struct piece params[MAX_ARGS];
	unsigned int nb_params;
	bool function;	/* NAME(...) */
	bool option;	/* of the command line: final */
	bool ambiguous; /* defined in several ways */
	char text[];
};

static bool
name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static size_t
name_len(const char *s, const char *end)
{
	size_t n = 0;

	if (s < end && isdigit((unsigned char)*s))
		return 0;
	while (s + n < end && name_char(s[n]))
		n++;
	return n;
}

static bool
same(struct piece a, struct piece b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

static struct piece
trim(const char *s, const char *end)
{
	while (s < end && isspace((unsigned char)*s))
		s++;
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	return (struct piece){s, (size_t)(end - s)};
}

static struct cl_macro *
find(const struct cl_macros *m, struct piece name)
{
	for (struct cl_macro *x = m->first; x != NULL; x = x->next) {
		if (same(x->name, name))
			return x;
	}
	return NULL;
}

/* (A, B): where it ends, NULL if it is something else. */
static const char *
parse_params(struct cl_macro *x, const char *p, const char *end)
{
	x->function = true;
	for (p++; p < end; p++) {
		const char *from = p;

		while (p < end && *p != ',' && *p != ')')
			p++;
		if (p == end)
			return NULL;
		if (trim(from, p).len > 0) {
			if (x->nb_params == MAX_ARGS)
				return NULL;
			x->params[x->nb_params++] = trim(from, p);
		}
		if (*p == ')')
			return p + 1;
	}
	return NULL;
}

/* NULL: not a definition, or no memory. option: the body comes after '=', and is 1 without one. */
static struct cl_macro *
parse(const char *s, size_t len, bool option)
{
	struct cl_macro *x = calloc(1, sizeof(*x) + len + 1);
	const char *p, *end;

	if (x == NULL)
		return NULL;
	memcpy(x->text, s, len);
	end = x->text + len;
	p = trim(x->text, end).s;
	x->name = (struct piece){p, name_len(p, end)};
	p += x->name.len;
	if (x->name.len > 0 && p < end && *p == '(')
		p = parse_params(x, p, end);
	if (x->name.len == 0 || p == NULL) {
		free(x);
		return NULL;
	}
	x->option = option;
	if (option && p < end && *p == '=')
		x->body = trim(p + 1, end);
	else if (option)
		x->body = (struct piece){"1", 1};
	else
		x->body = trim(p, end);
	return x;
}

static void
add(struct cl_macros *m, struct cl_macro *x)
{
	struct cl_macro *old = x == NULL ? NULL : find(m, x->name);

	if (old == NULL && x != NULL) {
		x->next = m->first;
		m->first = x;
		return;
	}
	if (old != NULL && !old->option &&
	    (old->function != x->function || !same(old->body, x->body)))
		old->ambiguous = true;
	free(x);
}

void
cl_macro_option(struct cl_macros *m, const char *s, size_t len)
{
	add(m, parse(s, len, true));
}

void
cl_macro_define(struct cl_macros *m, const char *s, size_t len)
{
	add(m, parse(s, len, false));
}

void
cl_macros_free(struct cl_macros *m)
{
	while (m->first != NULL) {
		struct cl_macro *x = m->first;

		m->first = x->next;
		free(x);
	}
}

/* Past a string or character that begins at p. */
static const char *
skip_quoted(const char *p, const char *end)
{
	const char quote = *p++;

	while (p < end && *p != quote)
		p += *p == '\\' && p + 1 < end ? 2 : 1;
	return p < end ? p + 1 : end;
}

/* The arguments from '(' on: where they end, NULL if they do not. */
static const char *
parse_args(const char *p, const char *end, struct piece *args, unsigned int *nb)
{
	const char *from = ++p;
	unsigned int depth = 0;

	*nb = 0;
	while (p < end) {
		if (*p == '"' || *p == '\'') {
			p = skip_quoted(p, end);
			continue;
		}
		if (depth == 0 && (*p == ',' || *p == ')')) {
			if (*nb == MAX_ARGS)
				return NULL;
			args[(*nb)++] = trim(from, p);
			from = p + 1;
			if (*p == ')')
				return p + 1;
		}
		depth += *p == '(';
		depth -= *p == ')' && depth > 0;
		p++;
	}
	return NULL;
}

static void
stringify(struct piece arg, struct cl_text *out)
{
	cl_text_puts(out, "\"");
	for (size_t i = 0; i < arg.len; i++) {
		if (arg.s[i] == '"' || arg.s[i] == '\\')
			cl_text_puts(out, "\\");
		cl_text_add(out, &arg.s[i], 1);
	}
	cl_text_puts(out, "\"");
}

static bool expand(const struct cl_macros *m, const char *p, const char *end, unsigned int depth,
		   struct cl_text *out);

/* A function's body with its arguments in it. */
static bool
substitute(const struct cl_macros *m, const struct cl_macro *x, const struct piece *args,
	   unsigned int depth, struct cl_text *out)
{
	const char *p = x->body.s, *end = p + x->body.len;
	bool hash = false;

	while (p < end) {
		const size_t n = name_len(p, end);
		unsigned int i = 0;

		if (n == 0 && *p == '#' && p + 1 < end && p[1] == '#') {
			p += 2; /* what stands on both sides is one */
			continue;
		}
		if (n == 0) {
			if (hash)
				cl_text_puts(out, "#");
			hash = *p == '#';
			if (!hash)
				cl_text_add(out, p, 1);
			p++;
			continue;
		}
		while (i < x->nb_params && !same(x->params[i], (struct piece){p, n}))
			i++;
		if (i == x->nb_params)
			cl_text_add(out, p, n);
		else if (hash)
			stringify(args[i], out);
		else if (!expand(m, args[i].s, args[i].s + args[i].len, depth + 1, out))
			return false;
		hash = false;
		p += n;
	}
	return true;
}

/* The macro whose name ended at p: where the text goes on, NULL if it cannot be told. */
static const char *
call(const struct cl_macros *m, const struct cl_macro *x, const char *p, const char *end,
     unsigned int depth, struct cl_text *out)
{
	struct piece args[MAX_ARGS];
	struct cl_text body = {.max = out->max};
	const char *next = p;
	unsigned int nb;
	bool ok;

	if (x->ambiguous || depth == MAX_DEPTH)
		return NULL;
	if (x->function) {
		while (p < end && isspace((unsigned char)*p))
			p++;
		if (p == end || *p != '(') {
			cl_text_add(out, x->name.s, x->name.len);
			return next;
		}
		next = parse_args(p, end, args, &nb);
		if (next == NULL || nb < x->nb_params)
			return NULL;
		ok = substitute(m, x, args, depth, &body);
	} else {
		cl_text_add(&body, x->body.s, x->body.len);
		ok = true;
	}
	if (ok && body.len > 0)
		ok = expand(m, body.s, body.s + body.len, depth + 1, out);
	cl_text_free(&body);
	return ok ? next : NULL;
}

static bool
expand(const struct cl_macros *m, const char *p, const char *end, unsigned int depth,
       struct cl_text *out)
{
	while (p != NULL && p < end && !out->bad) {
		const char *from = p;
		const size_t n = name_len(p, end);
		const struct cl_macro *x = n == 0 ? NULL : find(m, (struct piece){p, n});

		if (x != NULL) {
			p = call(m, x, p + n, end, depth, out);
			continue;
		}
		if (*p == '"' || *p == '\'')
			p = skip_quoted(p, end);
		else if (isdigit((unsigned char)*p))
			while (p < end && name_char(*p))
				p++;
		else
			p += n > 0 ? n : 1;
		cl_text_add(out, from, (size_t)(p - from));
	}
	return p != NULL && !out->bad;
}

bool
cl_macro_expand(const struct cl_macros *m, const char *s, size_t len, struct cl_text *out)
{
	return expand(m, s, s + len, 0, out);
}
