/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_RPC_UTIL_H
#define APIRD_RPC_UTIL_H

/** @file What the remote procedures share: results, the executor's lock, ranges of guest memory. */

#include <rpc/rpc.h>

#include "apir_ctl.h"
#include "session.h"

/** Set a result: text is that of a failure. Returns status. */
enum apir_status rpc_outcome(apir_result *r, enum apir_status status, const char *text);
enum apir_status rpc_outcomef(apir_result *r, enum apir_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
enum apir_status rpc_no_such(apir_result *r, const char *kind, uint32_t id);
enum apir_status rpc_table_full(apir_result *r, const char *kind);

/** Around each control call of the executor. */
void rpc_exec_begin(struct session *s);
void rpc_exec_end(struct session *s);

/** Do something with a piece of a range of guest memory, done bytes from its start. */
typedef enum apir_status (*piece_fn)(void *ctx, uint64_t done, uint8_t *va, uint64_t len,
				     struct exec_err *err);

/**
 * Do something with each piece of a range of guest memory, in order.
 *
 * @param exec with the executor's lock held
 */
enum apir_status rpc_each_piece(struct session *s, const apir_range *range, bool exec, piece_fn fn,
				void *ctx, struct exec_err *err);

/** Room for n inline bytes of a reply. */
enum apir_status rpc_inline_room(apir_read_res *res, uint64_t n);
/** Bytes that a sink takes. */
uint64_t rpc_sink_room(const apir_sink *sink);

#endif /* APIRD_RPC_UTIL_H */
