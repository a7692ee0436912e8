/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef FAKE_SVC_H
#define FAKE_SVC_H

/**
 * @file
 * The server's half of the control RPC for tests: the dispatch that rpcgen makes, over memory, with procedures that
 * answer with what they were asked.
 */

#include <stdint.h>

/** Serve one RFC 5531 call message of len bytes; returns the length of the reply put into out, 0 if there is none. */
uint32_t fake_svc_serve(const void *in, uint32_t len, void *out, uint32_t out_size);

/** Program number of the last accepted call's procedure, -1 before the first. */
extern int fake_svc_last_proc;

#endif /* FAKE_SVC_H */
