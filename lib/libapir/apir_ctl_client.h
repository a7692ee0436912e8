/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CTL_CLIENT_H
#define APIR_CTL_CLIENT_H

/**
 * @file
 * Client side of the control queue: HELLO, and an ONC RPC CLIENT whose transport is the control queue, so that
 * the stubs rpcgen makes from apir_ctl.x (apir_program_create_1() and so on) run over it unchanged.
 *
 * Not thread-safe: the caller serialises all calls of one client.
 */

#include <rpc/rpc.h>

#include "apir_transport.h"
#include "apir_vq.h"
#include "virtio_apir.h"

struct apir_ctl;

/**
 * A client on a started transport; sets ctl_vq's notify. call_timeout_ms limits each remote call (program builds take
 * seconds). A request that was never answered holds the queue for good: the device may still write to its buffers.
 */
int apir_ctl_create(struct apir_transport *t, struct apir_vq *ctl_vq, unsigned int call_timeout_ms,
		    struct apir_ctl **out);
void apir_ctl_destroy(struct apir_ctl *c);

/**
 * Introduce the driver to the device; must be the first request.
 *
 * @return 0 and *rsp; -ETIMEDOUT no answer within timeout_ms (memory not shared, or no apir device behind);
 *   -EPROTONOSUPPORT no common version; -EBUSY too many sessions; -EPROTO nonsense; -ENODEV the device went.
 *   Each is logged with both sides' figures.
 */
int apir_ctl_hello(struct apir_ctl *c, const struct apir_hello_req *req, struct apir_hello_rsp *rsp,
		   unsigned int timeout_ms);

/**
 * The RPC handle for the generated stubs; owned by c. Results are zeroed by the caller before a call and released with
 * clnt_freeres() after RPC_SUCCESS; after an error they hold nothing. The stubs' own time limit is ignored.
 *
 * RPC_TIMEDOUT; RPC_CANTSEND an earlier call timed out; RPC_CANTRECV the device is gone; RPC_CANTENCODEARGS too long;
 * RPC_CANTDECODERES nonsense; RPC_SYSTEMERROR the device refuses the message (clnt_geterr(): re_errno). Each is logged.
 */
CLIENT *apir_ctl_client(struct apir_ctl *c);

/**
 * Is the session still there? Calls the NULL procedure.
 *
 * @return 0, or a negative errno: -ETIMEDOUT no answer within timeout_ms; -EAGAIN it answers as one that knows nothing of
 *   us; -ENODEV it is gone
 */
int apir_ctl_ping(struct apir_ctl *c, unsigned int timeout_ms);

/** errno of an enum apir_status, positive (APIR_S_OK: 0). */
int apir_status_errno(uint32_t status);
/** errno of an enum clnt_stat, positive (RPC_SUCCESS: 0). */
int apir_clnt_errno(enum clnt_stat st);
/** Short English text of an enum apir_status; never NULL. */
const char *apir_status_str(uint32_t status);

#endif /* APIR_CTL_CLIENT_H */
