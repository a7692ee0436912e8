/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <inttypes.h>
#include <rpc/rpc.h>
#include <stdlib.h>
#include <string.h>

#include "apir_ctl.h"
#include "rpc.h"
#include "rpc_util.h"

/* Device memory. See rpc.c. */

bool_t
apir_buffer_create_1_svc(apir_buffer_args args, apir_id_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_buffer *b = NULL;
	struct exec_err err = {{0}};
	enum apir_status st;

	memset(res, 0, sizeof(*res));
	if (s->buffers.nb == OBJTAB_MAX) {
		rpc_table_full(&res->result, "buffer");
		return TRUE;
	}
	if (args.size == 0) {
		rpc_outcome(&res->result, APIR_S_INVAL,
			    "a buffer of 0 bytes: at least 1 is needed");
		return TRUE;
	}
	rpc_exec_begin(s);
	st = s->be->ops->buffer_create(s->be->dev, args.size, &b, &err);
	rpc_exec_end(s);
	if (st == APIR_S_OK)
		res->id = objtab_add(&s->buffers, b);
	rpc_outcome(&res->result, st, err.text);
	return TRUE;
}

/* A buffer being read or written by a range of guest memory. */
struct transfer {
	struct session *s;
	struct exec_buffer *b;
	uint64_t offset;
};

static enum apir_status
write_piece(void *ctx, uint64_t done, uint8_t *va, uint64_t len, struct exec_err *err)
{
	struct transfer *t = ctx;

	return t->s->be->ops->buffer_write(t->b, t->offset + done, va, len, err);
}

static enum apir_status
read_piece(void *ctx, uint64_t done, uint8_t *va, uint64_t len, struct exec_err *err)
{
	struct transfer *t = ctx;

	return t->s->be->ops->buffer_read(t->b, t->offset + done, va, len, err);
}

/* Checked whole, so that a range that ends outside changes nothing. */
static enum apir_status
check_range(apir_result *res, uint64_t size, uint64_t offset, uint64_t len)
{
	if (offset > size || len > size - offset)
		return rpc_outcomef(res, APIR_S_INVAL,
				    "bytes %" PRIu64 "+%" PRIu64 " of a buffer of %" PRIu64
				    " bytes: out of range",
				    offset, len, size);
	return APIR_S_OK;
}

bool_t
apir_buffer_write_1_svc(apir_write_args args, apir_result *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_buffer *b = objtab_get(&s->buffers, args.buffer);
	struct transfer t = {.s = s, .b = b, .offset = args.offset};
	const bool shared = args.data.form == APIR_DATA_SHARED;
	const uint64_t len =
		shared ? args.data.apir_data_u.range.len : args.data.apir_data_u.bytes.bytes_len;
	struct exec_err err = {{0}};
	enum apir_status st = APIR_S_OK;

	if (b == NULL) {
		rpc_no_such(res, "buffer", args.buffer);
		return TRUE;
	}
	if (check_range(res, s->be->ops->buffer_size(b), args.offset, len) != APIR_S_OK)
		return TRUE;
	if (shared) {
		st = rpc_each_piece(s, &args.data.apir_data_u.range, true, write_piece, &t, &err);
	} else if (len > 0) {
		rpc_exec_begin(s);
		st = write_piece(&t, 0, (uint8_t *)args.data.apir_data_u.bytes.bytes_val, len,
				 &err);
		rpc_exec_end(s);
	}
	rpc_outcome(res, st, err.text);
	return TRUE;
}

bool_t
apir_buffer_read_1_svc(apir_read_args args, apir_read_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_buffer *b = objtab_get(&s->buffers, args.buffer);
	struct transfer t = {.s = s, .b = b, .offset = args.offset};
	const uint64_t len = rpc_sink_room(&args.sink);
	struct exec_err err = {{0}};
	enum apir_status st;

	memset(res, 0, sizeof(*res));
	if (b == NULL) {
		rpc_no_such(&res->result, "buffer", args.buffer);
		return TRUE;
	}
	res->total = s->be->ops->buffer_size(b);
	if (check_range(&res->result, res->total, args.offset, len) != APIR_S_OK)
		return TRUE;
	if (args.sink.form == APIR_DATA_SHARED) {
		st = rpc_each_piece(s, &args.sink.apir_sink_u.range, true, read_piece, &t, &err);
	} else {
		st = rpc_inline_room(res, len);
		if (st == APIR_S_OK && len > 0) {
			rpc_exec_begin(s);
			st = read_piece(&t, 0, (uint8_t *)res->bytes.bytes_val, len, &err);
			rpc_exec_end(s);
		}
	}
	if (st == APIR_S_OK)
		res->n = len;
	rpc_outcome(&res->result, st, err.text);
	return TRUE;
}

bool_t
apir_buffer_destroy_1_svc(u_int id, apir_result *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_buffer *b = objtab_del(&s->buffers, id);

	if (b == NULL) {
		rpc_no_such(res, "buffer", id);
		return TRUE;
	}
	rpc_exec_begin(s);
	s->be->ops->buffer_destroy(b);
	rpc_exec_end(s);
	rpc_outcome(res, APIR_S_OK, NULL);
	return TRUE;
}
