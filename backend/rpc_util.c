/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc_util.h"

/* Guest memory moves in pieces of this size, so that the vhost thread never waits long for it. */
#define PIECE (4u << 20)

_Static_assert(sizeof(((struct exec_err *)0)->text) <= APIR_RPC_MAX_TEXT, "any text fits a result");

static char *
copy_text(const char *text)
{
	char *p = strdup(text);

	/* XDR has no NULL string. */
	return p != NULL ? p : calloc(1, 1);
}

enum apir_status
rpc_outcome(apir_result *r, enum apir_status status, const char *text)
{
	r->status = status;
	r->text = copy_text(status == APIR_S_OK ? "" : text);
	return status;
}

enum apir_status
rpc_outcomef(apir_result *r, enum apir_status status, const char *fmt, ...)
{
	char text[APIR_RPC_MAX_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return rpc_outcome(r, status, text);
}

enum apir_status
rpc_no_such(apir_result *r, const char *kind, uint32_t id)
{
	return rpc_outcomef(r, APIR_S_NOENT,
			    "no %s 0x%x: it was destroyed, or is another session's", kind, id);
}

enum apir_status
rpc_table_full(apir_result *r, const char *kind)
{
	return rpc_outcomef(r, APIR_S_LIMIT,
			    "%u %ss exist already, the most a session may have: destroy some",
			    OBJTAB_MAX, kind);
}

void
rpc_exec_begin(struct session *s)
{
	pthread_mutex_lock(&s->be->exec_lock);
}

void
rpc_exec_end(struct session *s)
{
	pthread_mutex_unlock(&s->be->exec_lock);
}

/* One piece of range, of which done bytes are done. */
static enum apir_status
one_piece(struct session *s, const apir_range *range, uint64_t done, uint64_t len, piece_fn fn,
	  void *ctx, struct exec_err *err)
{
	/* All of it each time: the table may have changed since the last piece. */
	const struct mem_region *r = mem_find(&s->mem, range->addr, range->len);

	if (r != NULL)
		return fn(ctx, done, r->va + (range->addr - r->gpa) + done, len, err);
	snprintf(err->text, sizeof(err->text),
		 "range 0x%" PRIx64 "+%" PRIu64
		 " is not within one region of the memory shared with the device",
		 (uint64_t)range->addr, (uint64_t)range->len);
	return APIR_S_FAULT;
}

/*
 * With exec, under the executor's lock: that is taken first, because others hold it for long and
 * the vhost thread waits for the memory's; but nobody who holds it waits for memory to come back.
 */
enum apir_status
rpc_each_piece(struct session *s, const apir_range *range, bool exec, piece_fn fn, void *ctx,
	       struct exec_err *err)
{
	enum apir_status st = APIR_S_OK;
	uint64_t done = 0;

	do {
		const uint64_t n = range->len - done < PIECE ? range->len - done : PIECE;

		if (exec)
			rpc_exec_begin(s);
		if (control_mem_try(s)) {
			st = one_piece(s, range, done, n, fn, ctx, err);
			done += n;
			control_mem_end(s);
			if (exec)
				rpc_exec_end(s);
			continue;
		}
		if (exec)
			rpc_exec_end(s);
		if (!control_mem_begin(s))
			return APIR_S_FAULT; /* the guest is gone: nobody reads this */
		control_mem_end(s);
	} while (done < range->len && st == APIR_S_OK);
	return st;
}

/* Room for inline bytes of a reply. */
enum apir_status
rpc_inline_room(apir_read_res *res, uint64_t n)
{
	if (n == 0)
		return APIR_S_OK;
	res->bytes.bytes_val = malloc(n);
	if (res->bytes.bytes_val == NULL)
		return APIR_S_NOMEM;
	res->bytes.bytes_len = (u_int)n;
	return APIR_S_OK;
}

uint64_t
rpc_sink_room(const apir_sink *sink)
{
	if (sink->form == APIR_DATA_SHARED)
		return sink->apir_sink_u.range.len;
	return sink->apir_sink_u.len < APIR_RPC_MAX_INLINE ? sink->apir_sink_u.len
							   : APIR_RPC_MAX_INLINE;
}
