/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_RPC_H
#define APIRD_RPC_H

/**
 * @file
 * Remote procedure calls: an RFC 5531 call in a buffer, dispatched to the apir_*_1_svc()
 * procedures, its reply in another.
 */

#include <stddef.h>
#include <stdint.h>

#include "session.h"

/**
 * Answer the call in in. Returns the bytes of the reply in out, or 0: in holds no call (to what is
 * not a call there is no reply).
 */
size_t rpc_answer(struct session *s, const uint8_t *in, size_t in_len, uint8_t *out, size_t room);

/** The session of a call being answered. */
struct svc_req;
struct session *rpc_session(const struct svc_req *req);

/** A program with its build log. */
struct program {
	struct exec_program *prog;
	const char *log;
};

#endif /* APIRD_RPC_H */
