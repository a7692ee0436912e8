/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <inttypes.h>
#include <rpc/rpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apir_ctl.h"
#include "hello.h"
#include "log.h"
#include "rpc.h"
#include "rpc_util.h"

/* Programs and their build logs. See rpc.c. */

static enum apir_status
copy_piece(void *ctx, uint64_t done, uint8_t *va, uint64_t len, struct exec_err *err)
{
	(void)err;
	memcpy((char *)ctx + done, va, len);
	return APIR_S_OK;
}

/* The source, copied before anything looks at it: the guest may change it meanwhile. */
static enum apir_status
get_source(struct session *s, const apir_data *d, char **src, size_t *len, struct exec_err *err)
{
	const uint64_t n = d->form == APIR_DATA_INLINE ? d->apir_data_u.bytes.bytes_len
						       : d->apir_data_u.range.len;
	enum apir_status st = APIR_S_OK;

	if (n == 0) {
		snprintf(err->text, sizeof(err->text), "the program source is empty");
		return APIR_S_INVAL;
	}
	if (n > MAX_SOURCE) {
		snprintf(err->text, sizeof(err->text),
			 "a program source of %" PRIu64 " bytes: at most %u are possible", n,
			 MAX_SOURCE);
		return APIR_S_TOOBIG;
	}
	*src = malloc(n + 1);
	if (*src == NULL) {
		snprintf(err->text, sizeof(err->text), "the host is out of memory");
		return APIR_S_NOMEM;
	}
	(*src)[n] = '\0';
	*len = n;
	if (d->form == APIR_DATA_INLINE)
		memcpy(*src, d->apir_data_u.bytes.bytes_val, n);
	else
		st = rpc_each_piece(s, &d->apir_data_u.range, false, copy_piece, *src, err);
	if (st != APIR_S_OK)
		free(*src);
	return st;
}

bool_t
apir_program_create_1_svc(apir_program_args args, apir_program_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	const struct exec_ops *ops = s->be->ops;
	struct program *p = NULL;
	struct exec_err err = {{0}};
	enum apir_status st;
	char *src;
	size_t len;
	bool cached = false;

	memset(res, 0, sizeof(*res));
	if (s->programs.nb == OBJTAB_MAX) {
		rpc_table_full(&res->result, "program");
		return TRUE;
	}
	st = get_source(s, &args.source, &src, &len, &err);
	if (st != APIR_S_OK) {
		rpc_outcome(&res->result, st, err.text);
		return TRUE;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		free(src);
		rpc_outcome(&res->result, APIR_S_NOMEM, "the host is out of memory");
		return TRUE;
	}
	rpc_exec_begin(s);
	st = ops->program_create(s->be->dev, src, len, args.options, &p->prog, &p->log, &cached,
				 &err);
	rpc_exec_end(s);
	free(src);
	if (p->log == NULL)
		p->log = "";
	if (st == APIR_S_OK || st == APIR_S_BUILD) {
		res->id = objtab_add(&s->programs, p);
		res->log_len = strlen(p->log);
		res->cached = cached;
	} else {
		free(p);
	}
	rpc_outcome(&res->result, st, err.text);
	log_limited(&s->be->limit, st == APIR_S_OK ? LOG_DEBUG : LOG_INFO,
		    "session %u: program of %zu bytes: %s%s", s->id, len,
		    st == APIR_S_OK ? (cached ? "from the cache" : "built") : "not built: ",
		    st == APIR_S_OK ? "" : err.text);
	return TRUE;
}

struct log_piece {
	const char *from;
};

static enum apir_status
log_out(void *ctx, uint64_t done, uint8_t *va, uint64_t len, struct exec_err *err)
{
	(void)err;
	memcpy(va, ((struct log_piece *)ctx)->from + done, len);
	return APIR_S_OK;
}

bool_t
apir_program_log_1_svc(apir_log_args args, apir_read_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct program *p = objtab_get(&s->programs, args.prog);
	struct exec_err err = {{0}};
	enum apir_status st;
	uint64_t n;

	memset(res, 0, sizeof(*res));
	if (p == NULL) {
		rpc_no_such(&res->result, "program", args.prog);
		return TRUE;
	}
	res->total = strlen(p->log);
	if (args.offset > res->total) {
		rpc_outcomef(&res->result, APIR_S_INVAL,
			     "offset %" PRIu64 " in a log of %" PRIu64 " bytes",
			     (uint64_t)args.offset, (uint64_t)res->total);
		return TRUE;
	}
	n = rpc_sink_room(&args.sink);
	if (n > res->total - args.offset)
		n = res->total - args.offset;
	if (args.sink.form == APIR_DATA_INLINE || n == 0) {
		st = rpc_inline_room(res, n);
		if (st == APIR_S_OK && n > 0)
			memcpy(res->bytes.bytes_val, p->log + args.offset, n);
	} else {
		struct log_piece piece = {.from = p->log + args.offset};
		const apir_range range = {args.sink.apir_sink_u.range.addr, n};

		st = rpc_each_piece(s, &range, false, log_out, &piece, &err);
	}
	if (st == APIR_S_OK)
		res->n = n;
	rpc_outcome(&res->result, st, err.text);
	return TRUE;
}

bool_t
apir_program_destroy_1_svc(u_int id, apir_result *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct program *p = objtab_del(&s->programs, id);

	if (p == NULL) {
		rpc_no_such(res, "program", id);
		return TRUE;
	}
	rpc_exec_begin(s);
	s->be->ops->program_destroy(p->prog);
	rpc_exec_end(s);
	free(p);
	rpc_outcome(res, APIR_S_OK, NULL);
	return TRUE;
}
