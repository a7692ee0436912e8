/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The output, and the rules that need no more than a token and the one after it. */

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_ptx_lex.h"
#include "exec_err.h"

#define OUT_MAX (256u << 20) /* code added to each load of an argument multiplies */

void
ptx_refuse(struct ptx *x, const char *fmt, ...)
{
	char what[700];
	va_list ap;

	if (x->status != APIR_S_OK)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (x->where != NULL)
		x->status = exec_err_set(x->err, APIR_S_UNSUPPORTED, "%s %.*s: %s", x->where,
					 CLIP(x->name), what);
	else
		x->status = exec_err_set(x->err, APIR_S_UNSUPPORTED, "program: %s", what);
}

static void
no_memory(struct ptx *x)
{
	if (x->status == APIR_S_OK)
		x->status = exec_err_set(x->err, APIR_S_NOMEM,
					 "out of memory for a program of %zu bytes", x->len);
}

/* Make room in the output: len bytes and a NUL. */
static bool
reserve(struct ptx *x, size_t len)
{
	size_t cap = x->out_cap;
	char *p;

	if (x->status != APIR_S_OK)
		return false;
	if (x->out_len + len > OUT_MAX) {
		ptx_refuse(x, "the program grows to more than %u MiB", OUT_MAX >> 20);
		return false;
	}
	if (x->out_len + len + 1 <= cap)
		return true;
	while (cap < x->out_len + len + 1)
		cap += cap / 2 + 256;
	p = realloc(x->out, cap);
	if (p == NULL) {
		no_memory(x);
		return false;
	}
	x->out = p;
	x->out_cap = cap;
	return true;
}

void
ptx_insert(struct ptx *x, size_t at, const char *s, size_t len)
{
	if (len == 0 || !reserve(x, len))
		return;
	memmove(x->out + at + len, x->out + at, x->out_len - at);
	memcpy(x->out + at, s, len);
	x->out_len += len;
}

static void
emit(struct ptx *x, const char *s, size_t len)
{
	ptx_insert(x, x->out_len, s, len);
}

/* Texts with names of at most NAME_MAX bytes. */
void
ptx_insert_fmt(struct ptx *x, size_t at, const char *fmt, ...)
{
	char text[3 * NAME_MAX + 1024];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(text))
		ptx_refuse(x, "a name is too long");
	else
		ptx_insert(x, at, text, len);
}

/* One more element of an array. */
void *
ptx_grow(struct ptx *x, void **array, size_t nb, size_t *cap, size_t size)
{
	if (nb == *cap) {
		size_t n = *cap * 2 + 16;
		void *p = realloc(*array, n * size);

		if (p == NULL) {
			no_memory(x);
			return NULL;
		}
		*array = p;
		*cap = n;
	}
	return (char *)*array + nb * size;
}

bool
ptx_str_is(struct str a, const char *text)
{
	return a.len == strlen(text) && memcmp(a.s, text, a.len) == 0;
}

static bool
str_starts(struct str a, const char *text)
{
	return a.len >= strlen(text) && memcmp(a.s, text, strlen(text)) == 0;
}

static bool
str_ends(struct str a, const char *text)
{
	size_t n = strlen(text);

	return a.len >= n && memcmp(a.s + a.len - n, text, n) == 0;
}

int
ptx_str_cmp(struct str a, struct str b)
{
	int d = memcmp(a.s, b.s, a.len < b.len ? a.len : b.len);

	return d != 0 ? d : (a.len > b.len) - (a.len < b.len);
}

bool
ptx_is(const struct token *t, enum kind kind, const char *text)
{
	return t->kind == kind && ptx_str_is(t->str, text);
}

static bool
of_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$';
}

static size_t
word_end(const struct ptx *x, size_t i)
{
	while (i < x->len && of_word(x->s[i]))
		i++;
	return i;
}

static char
peek(const struct ptx *x, size_t i)
{
	return i < x->len ? x->s[i] : '\0';
}

/* Past blanks and comments. */
static size_t
skip_blank(struct ptx *x, size_t i)
{
	const char *end;

	for (;;) {
		while (i < x->len && isspace((unsigned char)x->s[i]))
			i++;
		if (peek(x, i) != '/')
			return i;
		if (peek(x, i + 1) == '/') {
			end = memchr(x->s + i, '\n', x->len - i);
			i = end != NULL ? (size_t)(end - x->s) : x->len;
		} else if (peek(x, i + 1) == '*') {
			end = memmem(x->s + i + 2, x->len - i - 2, "*/", 2);
			if (end == NULL) {
				ptx_refuse(x, "the text ends within a comment");
				return x->len;
			}
			i = end + 2 - x->s;
		} else {
			return i;
		}
	}
}

/* Where the token at i ends. */
static size_t
lex(struct ptx *x, size_t i, enum kind *kind)
{
	char c = x->s[i];

	if (isdigit((unsigned char)c)) {
		*kind = T_NUMBER;
		while (i < x->len && (of_word(x->s[i]) || x->s[i] == '.'))
			i++;
		return i;
	}
	if (c == '"') {
		*kind = T_STRING;
		for (i++; i < x->len && x->s[i] != '"'; i++)
			i += x->s[i] == '\\';
		if (i >= x->len) {
			ptx_refuse(x, "the text ends within a string");
			return x->len;
		}
		return i + 1;
	}
	*kind = T_WORD;
	if (of_word(c))
		return word_end(x, i);
	if (c == '%' && of_word(peek(x, i + 1)))
		return word_end(x, i + 1);
	*kind = T_DOT;
	if (c == '.' && of_word(peek(x, i + 1)))
		return word_end(x, i + 1);
	*kind = T_OTHER;
	/* As in .shared::cta: no label. */
	return i + (c == ':' && peek(x, i + 1) == ':' ? 2 : 1);
}

/* %ctaid and %nctaid: the token becomes register and component. Returns what to write. */
static struct str
convert_grid(struct ptx *x)
{
	bool count = x->t.str.s[1] == 'n';
	size_t i = skip_blank(x, x->at), end = word_end(x, i + (peek(x, i) == '.'));
	struct str part = {x->s + i, end - i};

	if (ptx_str_is(part, ".x")) {
		return x->t.str;
	} else if (ptx_str_is(part, ".y") || ptx_str_is(part, ".z")) {
		x->at = end;
		x->t.str.len = x->s + end - x->t.str.s;
		return (struct str){count ? "1" : "0", 1};
	}
	ptx_refuse(x, "register %.*s as a whole is not available: a launch is one-dimensional",
		   CLIP(x->t.str));
	return x->t.str;
}

/* What to write for a register. */
static struct str
convert_register(struct ptx *x)
{
	struct str str = x->t.str;

	if (ptx_str_is(str, "%ctaid") || ptx_str_is(str, "%nctaid"))
		return convert_grid(x);
	if (str_starts(str, "%envreg") && str.len > 7 && isdigit((unsigned char)str.s[7])) {
		if (str.len != 8)
			ptx_refuse(x, "register %.*s is not known", CLIP(str));
		else if (str.s[7] < '6')
			return (struct str){"0", 1};
		else if (str.s[7] == '6')
			return (struct str){"%nctaid.x", 9};
		return (struct str){"1", 1};
	}
	if (ptx_str_is(str, "%gridid") || str_starts(str, "%cluster") ||
	    str_starts(str, "%nclusterid") || ptx_str_is(str, "%is_explicit_cluster"))
		ptx_refuse(x, "register %.*s is not available", CLIP(str));
	if (str_starts(str, "%apir_"))
		ptx_refuse(x, "the name %.*s is taken: it is apir's own", CLIP(str));
	return str;
}

static struct str
convert_word(struct ptx *x)
{
	static const char *const image[] = {"tex",  "tld4",  "txq", "suld",
					    "sust", "sured", "suq", "istypep"};
	struct str str = x->t.str;

	if (str.s[0] == '%')
		return convert_register(x);
	for (unsigned int i = 0; i < sizeof(image) / sizeof(image[0]); i++)
		if (ptx_str_is(str, image[i]) && peek(x, skip_blank(x, x->at)) == '.')
			ptx_refuse(x, "images are not available (instruction %s)", image[i]);
	if (str_starts(str, "apir_dynamic") || str_starts(str, "apir_vprintf") ||
	    str_ends(str, "_apir_first"))
		ptx_refuse(x, "the name %.*s is taken: it is apir's own", CLIP(str));
	return ptx_str_is(str, "vprintf") ? (struct str){"apir_vprintf", 12} : str;
}

static struct str
convert_dot(struct ptx *x)
{
	struct str str = x->t.str;

	if (ptx_str_is(str, ".texref") || ptx_str_is(str, ".samplerref") ||
	    ptx_str_is(str, ".surfref"))
		ptx_refuse(x, "images are not available (%.*s)", CLIP(str));
	return ptx_str_is(str, ".const") ? (struct str){".global", 7} : str;
}

/* Read a token and write it, with what stands before it. T_END also after an error. */
enum kind
ptx_next(struct ptx *x)
{
	size_t start = x->at;
	struct str str;

	x->prev = x->t;
	x->prev_end = x->out_len;
	x->at = skip_blank(x, start);
	emit(x, x->s + start, x->at - start);
	x->t = (struct token){.kind = T_END, .out = x->out_len};
	x->t.newline = memchr(x->s + start, '\n', x->at - start) != NULL;
	if (x->at == x->len || x->status != APIR_S_OK)
		return T_END;
	start = x->at;
	x->at = lex(x, start, &x->t.kind);
	x->t.str = str = (struct str){x->s + start, x->at - start};
	if (x->t.kind == T_WORD)
		str = convert_word(x);
	else if (x->t.kind == T_DOT)
		str = convert_dot(x);
	emit(x, str.s, str.len);
	if (x->status != APIR_S_OK)
		x->t.kind = T_END;
	return x->t.kind;
}

/* The token at hand is not what has to stand here. */
void
ptx_unexpected(struct ptx *x, const char *wanted)
{
	if (x->t.kind == T_END)
		ptx_refuse(x, "the text ends before %s", wanted);
	else
		ptx_refuse(x, "'%.*s' where %s is expected", CLIP(x->t.str), wanted);
}
