/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_EXEC_CUDA_PTX_LEX_H
#define APIR_EXEC_CUDA_PTX_LEX_H

/**
 * @file
 * PTX as tokens: read, changed and written one by one. Internal to cuda_ptx*.c.
 */

#include <stdbool.h>
#include <stddef.h>

#include "exec.h"

#define NAME_MAX 1024u /* of what is copied into added code: keeps the work linear */

/* printf("%.*s"): names in messages, not longer than helps. */
#define CLIP(str) (int)((str).len < 200 ? (str).len : 200), (str).s

enum kind {
	T_END,
	T_WORD, /* identifier, register, opcode */
	T_DOT,	/* directive or qualifier, with its dot */
	T_NUMBER,
	T_STRING,
	T_OTHER,
};

struct str {
	const char *s;
	size_t len;
};

struct token {
	enum kind kind;
	struct str str;
	size_t out;   /* where it begins in the output */
	bool newline; /* there is one before it */
};

/* An argument whose loads are added to. */
struct arg {
	struct str name;
	bool local; /* else the packet tables */
};

struct func {
	struct str name;
	bool body;
};

struct ptx {
	const char *s;
	size_t len;
	size_t at;
	struct token t, prev;
	size_t prev_end; /* where prev ends in the output */

	char *out;
	size_t out_len;
	size_t out_cap;

	const char *where; /* "kernel " or "function " */
	struct str name;   /* of it */

	struct arg *args; /* of the kernel at hand, by name */
	size_t nb_args;
	size_t cap_args;
	struct func *funcs;
	size_t nb_funcs;
	size_t cap_funcs;

	size_t head_end; /* in the output, after .address_size 64; 0: not seen */
	bool version;
	bool target;
	bool dynamic;
	bool printf_defined;

	enum apir_status status;
	struct exec_err *err;
};

void ptx_refuse(struct ptx *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void ptx_insert(struct ptx *x, size_t at, const char *s, size_t len);

/** Texts with names of at most NAME_MAX bytes. */
void ptx_insert_fmt(struct ptx *x, size_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** One more element of an array. */
void *ptx_grow(struct ptx *x, void **array, size_t nb, size_t *cap, size_t size);

bool ptx_str_is(struct str a, const char *text);

int ptx_str_cmp(struct str a, struct str b);

bool ptx_is(const struct token *t, enum kind kind, const char *text);

/** Read a token and write it, with what stands before it. T_END also after an error. */
enum kind ptx_next(struct ptx *x);

/** The token at hand is not what has to stand here. */
void ptx_unexpected(struct ptx *x, const char *wanted);

#endif /* APIR_EXEC_CUDA_PTX_LEX_H */
