/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef TEST_CL_RPC_CALLS_H
#define TEST_CL_RPC_CALLS_H

/** @file The guest's side: a lane that calls the dispatcher, and each of the calls with arguments. */

#include <setjmp.h>
#include <stdarg.h>

#include "cl_object.h"
#include "note.h"

#include <cmocka.h>

/** Makes the call and checks what arrived and what came back. */
struct rpc_call {
	const char *name;
	void (*full)(void); /**< all there can be */
	void (*bare)(void); /**< no optional arguments, empty arrays, no results wanted */
};
extern const struct rpc_call rpc_calls[]; /* rpc_calls.c, generated */
extern const size_t rpc_nb_calls;

/** Called with each request, before it is answered, to try what else could be done with it. */
extern void (*rpc_hook)(const uint8_t *req, size_t len, size_t rsp_len);
/** The room of responses; APIR_CTL_MAX at first. */
extern size_t rpc_room;
/** The next call finds no session; calls answer so. */
extern bool rpc_lost;
/** Answer with so many bytes less of results. */
extern size_t rpc_cut;

/** What is given as arguments. */
extern const uint64_t rpc_u64s[4];
extern const uint64_t rpc_ids[CL_KIND_MAX + 1][3];
extern const cl_event rpc_waits[2];

void rpc_reset(void);
/** err is what the worker returned, and the worker has seen what is wanted. */
void rpc_check(cl_int err, const struct note *want);
/** Write down what is expected. */
#define expect_objects(kind, n) rpc_expect_objects(&want, kind, n)
#define expect_waits(n, wanted) rpc_expect_waits(&want, n, wanted)
void rpc_expect_objects(struct note *want, enum cl_kind kind, size_t n);
void rpc_expect_waits(struct note *want, size_t n, bool wanted);

#endif /* TEST_CL_RPC_CALLS_H */
