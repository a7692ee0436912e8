/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Kernels, their arguments and functions; cuda_ptx_lex.c has the rules for single tokens. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_ptx.h"
#include "cuda_ptx_lex.h"
#include "exec_err.h"

#define LEN_MAX (64u << 20)

/* A statement of a kernel, as far as a load of an argument goes. */
#define STMT_TOKENS 8
struct stmt {
	struct token t[STMT_TOKENS];
	size_t nb;	       /* also of those that t has no room for */
	size_t braces;	       /* open in it */
	const struct arg *use; /* the last that it names */
};

static int
arg_cmp(const void *a, const void *b)
{
	return ptx_str_cmp(((const struct arg *)a)->name, ((const struct arg *)b)->name);
}

static int
func_cmp(const void *a, const void *b)
{
	const struct func *f = a, *g = b;
	int d = ptx_str_cmp(f->name, g->name);

	return d != 0 ? d : g->body - f->body;
}

/* One parameter of a kernel; ends at the comma or bracket after it. */
static void
parse_arg(struct ptx *x, unsigned int index)
{
	struct arg a = {0}, *p;
	bool wide = false, ptr = false, global = false;

	while (ptx_next(x) != T_END && !ptx_is(&x->t, T_OTHER, ",") &&
	       !ptx_is(&x->t, T_OTHER, ")")) {
		if (x->t.kind == T_WORD)
			a.name = x->t.str;
		if (ptx_is(&x->t, T_DOT, ".u64") || ptx_is(&x->t, T_DOT, ".b64"))
			wide = true;
		/* Of a pointer's qualifiers only the state space can be these. */
		ptr |= ptx_is(&x->t, T_DOT, ".ptr");
		global |= ptr && ptx_is(&x->t, T_DOT, ".global");
		a.local |= ptr && ptx_is(&x->t, T_DOT, ".shared");
		if (ptr && x->t.kind != T_WORD)
			x->out_len = x->prev_end;
	}
	if (!a.local && !(index == 0 && wide && global))
		return;
	if (a.name.s == NULL || !wide) {
		ptx_refuse(x, "parameter %u is a pointer without a name or of less than 64 bits",
			   index);
		return;
	}
	p = ptx_grow(x, (void **)&x->args, x->nb_args, &x->cap_args, sizeof(*p));
	if (p == NULL)
		return;
	*p = a;
	x->nb_args++;
	x->dynamic |= a.local;
}

/* Code after a load of an argument. */
static void
add_to_load(struct ptx *x, const struct stmt *st)
{
	const struct token *t = st->t;
	struct str reg = t[3].str;

	if (st->nb != STMT_TOKENS || !ptx_is(&t[0], T_WORD, "ld") ||
	    !ptx_is(&t[1], T_DOT, ".param") ||
	    !(ptx_is(&t[2], T_DOT, ".u64") || ptx_is(&t[2], T_DOT, ".b64")) ||
	    t[3].kind != T_WORD || reg.s[0] != '%' || reg.len > NAME_MAX ||
	    !ptx_is(&t[4], T_OTHER, ",") || !ptx_is(&t[5], T_OTHER, "[") || t[6].kind != T_WORD ||
	    !ptx_is(&t[7], T_OTHER, "]")) {
		ptx_refuse(x, "parameter %.*s is used other than by a plain ld.param.u64",
			   CLIP(st->use->name));
		return;
	}
	if (st->use->local)
		ptx_insert_fmt(
			x, x->out_len,
			"\n\t{\n\t.reg .u64 \t%%apir_s;\n\tmov.u64 \t%%apir_s, apir_dynamic;\n"
			"\tadd.u64 \t%.*s, %.*s, %%apir_s;\n\t}",
			(int)reg.len, reg.s, (int)reg.len, reg.s);
	else
		ptx_insert_fmt(x, x->out_len,
			       "\n\t{\n\t.reg .u32 \t%%apir_n, %%apir_y;\n\t.reg .u64 \t%%apir_o;\n"
			       "\tld.param.u32 \t%%apir_n, [%.*s_apir_first];\n"
			       "\tmov.u32 \t%%apir_y, %%ctaid.y;\n"
			       "\tadd.u32 \t%%apir_n, %%apir_n, %%apir_y;\n"
			       "\tand.b32 \t%%apir_n, %%apir_n, %u;\n"
			       "\tcvt.u64.u32 \t%%apir_o, %%apir_n;\n"
			       "\tshl.b64 \t%%apir_o, %%apir_o, %u;\n"
			       "\tadd.u64 \t%.*s, %.*s, %%apir_o;\n\t}",
			       (int)x->name.len, x->name.s, PTX_SLOTS - 1u, PTX_STRIDE_SHIFT + 0u,
			       (int)reg.len, reg.s, (int)reg.len, reg.s);
}

/* A statement ends: with a semicolon, or as a label, line number or scope. */
static void
stmt_end(struct ptx *x, struct stmt *st, bool semicolon)
{
	if (st->use != NULL && semicolon)
		add_to_load(x, st);
	else if (st->use != NULL)
		ptx_refuse(x, "parameter %.*s is used other than by a plain ld.param.u64",
			   CLIP(st->use->name));
	st->nb = 0;
	st->braces = 0;
	st->use = NULL;
}

static void
stmt_add(struct ptx *x, struct stmt *st)
{
	struct arg key = {.name = x->t.str};

	if (st->nb < STMT_TOKENS)
		st->t[st->nb] = x->t;
	st->nb++;
	if (st->use == NULL && x->t.kind == T_WORD && x->nb_args > 0)
		st->use = bsearch(&key, x->args, x->nb_args, sizeof(*x->args), arg_cmp);
}

/* After the opening brace, to the closing one. */
static void
parse_body(struct ptx *x)
{
	struct stmt st = {0};
	size_t depth = 1;

	while (depth > 0 && ptx_next(x) != T_END) {
		/* The only statement that a line ends. */
		if (st.nb > 0 && ptx_is(&st.t[0], T_DOT, ".loc") && x->t.newline)
			stmt_end(x, &st, false);
		if (ptx_is(&x->t, T_DOT, ".entry") || ptx_is(&x->t, T_DOT, ".func")) {
			ptx_unexpected(x, "a statement");
		} else if (ptx_is(&x->t, T_OTHER, ";")) {
			stmt_end(x, &st, true);
		} else if (ptx_is(&x->t, T_OTHER, ":") && st.nb == 1) {
			stmt_end(x, &st, false);
		} else if (ptx_is(&x->t, T_OTHER, "{")) {
			depth++;
			if (st.nb > 0) {
				st.braces++;
				stmt_add(x, &st);
			}
		} else if (ptx_is(&x->t, T_OTHER, "}")) {
			depth--;
			if (st.braces > 0) {
				st.braces--;
				stmt_add(x, &st);
			} else {
				stmt_end(x, &st, false);
			}
		} else {
			stmt_add(x, &st);
		}
	}
	if (depth > 0)
		ptx_unexpected(x, "the end of its code");
}

static void
parse_entry(struct ptx *x)
{
	unsigned int index = 0;

	x->nb_args = 0;
	if (ptx_next(x) != T_WORD || x->t.str.len > NAME_MAX || ptx_str_is(x->t.str, "vprintf")) {
		ptx_unexpected(x, "a kernel's name");
		return;
	}
	x->where = "kernel";
	x->name = x->t.str;
	ptx_next(x);
	if (ptx_is(&x->t, T_OTHER, "(")) {
		/* An empty list is one parameter of no tokens. */
		do {
			parse_arg(x, index++);
		} while (ptx_is(&x->t, T_OTHER, ","));
		ptx_insert_fmt(x, x->prev_end, "%s\n\t.param .u32 %.*s_apir_first",
			       ptx_is(&x->prev, T_OTHER, "(") ? "" : ",", (int)x->name.len,
			       x->name.s);
		ptx_next(x);
	} else {
		ptx_insert_fmt(x, x->prev_end, "(\n\t.param .u32 %.*s_apir_first\n)",
			       (int)x->name.len, x->name.s);
	}
	if (x->nb_args > 1)
		qsort(x->args, x->nb_args, sizeof(*x->args), arg_cmp);
	while (x->t.kind != T_END && !ptx_is(&x->t, T_OTHER, "{")) {
		/* A pragma of the kernel ends with one, and nothing else. */
		if (ptx_is(&x->t, T_OTHER, ";") && x->prev.kind != T_STRING)
			break;
		ptx_next(x);
	}
	if (ptx_is(&x->t, T_OTHER, "{"))
		parse_body(x);
	else
		ptx_unexpected(x, "its code");
	x->nb_args = 0;
	x->where = NULL;
}

/* Tokens to the bracket that closes. The last word is the name of what a function returns. */
static struct str
parse_list(struct ptx *x, bool *b32)
{
	struct str name = {0};

	while (ptx_next(x) != T_END && !ptx_is(&x->t, T_OTHER, ")")) {
		*b32 |= ptx_is(&x->t, T_DOT, ".b32") && ptx_is(&x->prev, T_DOT, ".param");
		if (x->t.kind == T_WORD)
			name = x->t.str;
	}
	return name;
}

/* vprintf's declaration becomes one that prints nothing. external: where .extern stands in the output, or 0. */
static void
define_printf(struct ptx *x, size_t external, struct str ret, bool b32)
{
	if (ret.s == NULL || ret.len > NAME_MAX || !b32) {
		ptx_refuse(x, "vprintf does not return a .b32");
		return;
	}
	if (external != 0)
		memset(x->out + external, ' ', strlen(".extern"));
	if (x->printf_defined)
		return;
	x->printf_defined = true;
	x->out_len = x->t.out;
	ptx_insert_fmt(x, x->out_len,
		       "{\n\t.reg .b32 \t%%apir_z;\n\tmov.b32 \t%%apir_z, 0;\n"
		       "\tst.param.b32 \t[%.*s+0], %%apir_z;\n\tret;\n}",
		       (int)ret.len, ret.s);
}

static void
parse_func(struct ptx *x)
{
	size_t external = ptx_is(&x->prev, T_DOT, ".extern") ? x->prev.out : 0;
	struct str ret = {0};
	struct func *f;
	bool b32 = false, unused = false;

	ptx_next(x);
	if (ptx_is(&x->t, T_OTHER, "(")) {
		ret = parse_list(x, &b32);
		ptx_next(x);
	}
	if (x->t.kind != T_WORD) {
		ptx_unexpected(x, "a function's name");
		return;
	}
	x->where = "function";
	x->name = x->t.str;
	ptx_next(x);
	if (ptx_is(&x->t, T_OTHER, "(")) {
		parse_list(x, &unused);
		ptx_next(x);
	}
	while (x->t.kind != T_END && !ptx_is(&x->t, T_OTHER, "{") &&
	       !(ptx_is(&x->t, T_OTHER, ";") && x->prev.kind != T_STRING))
		ptx_next(x);
	if (x->t.kind == T_END) {
		ptx_unexpected(x, "its code");
	} else if (ptx_str_is(x->name, "vprintf")) {
		if (ptx_is(&x->t, T_OTHER, "{"))
			ptx_refuse(x, "the name vprintf is taken: it is the compiler's own");
		else
			define_printf(x, external, ret, b32);
	} else {
		f = ptx_grow(x, (void **)&x->funcs, x->nb_funcs, &x->cap_funcs, sizeof(*f));
		if (f == NULL)
			return;
		*f = (struct func){x->name, ptx_is(&x->t, T_OTHER, "{")};
		x->nb_funcs++;
		if (f->body)
			parse_body(x);
	}
	x->where = NULL;
}

/* Each function has a body. */
static void
check_funcs(struct ptx *x)
{
	if (x->nb_funcs > 1)
		qsort(x->funcs, x->nb_funcs, sizeof(*x->funcs), func_cmp);
	for (size_t i = 0; i < x->nb_funcs; i++)
		if (!x->funcs[i].body &&
		    (i == 0 || ptx_str_cmp(x->funcs[i].name, x->funcs[i - 1].name) != 0))
			ptx_refuse(x, "calls function %.*s, which the driver would have to provide",
				   CLIP(x->funcs[i].name));
}

static void
parse_module(struct ptx *x)
{
	size_t depth = 0;

	while (ptx_next(x) != T_END) {
		if (ptx_is(&x->t, T_OTHER, "{"))
			depth++;
		else if (ptx_is(&x->t, T_OTHER, "}") && depth-- == 0)
			ptx_unexpected(x, "a directive");
		else if (depth > 0 &&
			 (ptx_is(&x->t, T_DOT, ".entry") || ptx_is(&x->t, T_DOT, ".func")))
			ptx_unexpected(x, "data");
		else if (ptx_is(&x->t, T_DOT, ".version"))
			x->version = true;
		else if (ptx_is(&x->t, T_DOT, ".target"))
			x->target = true;
		else if (ptx_is(&x->t, T_NUMBER, "64") &&
			 ptx_is(&x->prev, T_DOT, ".address_size") && x->head_end == 0)
			x->head_end = x->out_len;
		else if (ptx_is(&x->t, T_DOT, ".entry"))
			parse_entry(x);
		else if (ptx_is(&x->t, T_DOT, ".func"))
			parse_func(x);
	}
	if (depth > 0)
		ptx_unexpected(x, "'}'");
	check_funcs(x);
}

static bool
is_text(const char *s, size_t len)
{
	size_t i = 0;

	for (size_t n = 0; n < len; n++) {
		unsigned char c = s[n];

		if ((c < ' ' && !isspace(c)) || c == 0x7f)
			return false;
	}
	while (i < len && isspace((unsigned char)s[i]))
		i++;
	return i < len && (s[i] == '.' || s[i] == '/');
}

enum apir_status
cuda_ptx_rewrite(const char *ptx, size_t len, char **out, struct exec_err *err)
{
	static const char dynamic[] = "\n.extern .shared .align 16 .b8 apir_dynamic[];";
	struct ptx x = {.s = ptx, .err = err, .status = APIR_S_OK};

	*out = NULL;
	while (len > 0 && ptx[len - 1] == '\0')
		len--;
	x.len = len;
	if (len > LEN_MAX)
		ptx_refuse(&x, "a PTX text of more than %u MiB", LEN_MAX >> 20);
	else if (!is_text(ptx, len))
		ptx_refuse(&x, "the compiler's binary is no PTX text");
	if (x.status == APIR_S_OK)
		parse_module(&x);
	if (!x.version || !x.target || x.head_end == 0)
		ptx_refuse(&x, "the compiler's binary is no PTX text");
	if (x.dynamic)
		ptx_insert(&x, x.head_end, dynamic, strlen(dynamic));
	if (x.status == APIR_S_OK) {
		x.out[x.out_len] = '\0';
		*out = x.out;
	} else {
		free(x.out);
	}
	free(x.args);
	free(x.funcs);
	return x.status;
}
