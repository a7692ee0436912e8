/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CTL_CLIENT_PRIV_H
#define APIR_CTL_CLIENT_PRIV_H

/** @file The control client's own structure, shared by its files. */

#include "apir_ctl_client.h"

#define APIR_CTL_PAYLOAD_MAX (APIR_CTL_MAX - sizeof(struct apir_ctl_req))

struct apir_ctl {
	struct apir_transport *t;
	struct apir_vq *vq;
	unsigned int call_timeout_ms;
	CLIENT clnt;
	uint32_t xid;
	rpcprog_t prog;
	rpcvers_t vers;
	struct rpc_err err;
	uint64_t tx[APIR_CTL_PAYLOAD_MAX /
		    sizeof(uint64_t)]; /* payloads; private, the device does not see them */
	uint64_t rx[APIR_CTL_PAYLOAD_MAX / sizeof(uint64_t)];
};

/**
 * Send c->tx[0..len) and wait for the answer, which is then in c->rx.
 *
 * @param[out] status of the message (enum apir_status)
 * @param[out] rx_len bytes in c->rx
 * @return 0; -ETIMEDOUT; -EBUSY an earlier request was never answered and holds the queue,
 *   nothing was sent; -ENODEV; -EPROTO nonsense. Logged.
 */
int apir_ctl_exchange(struct apir_ctl *c, enum apir_ctl_type type, uint32_t len,
		      unsigned int timeout_ms, uint16_t *status, uint32_t *rx_len);

/** Make c->clnt an RPC handle of APIR_CTL over c. */
int apir_ctl_clnt_init(struct apir_ctl *c);
void apir_ctl_clnt_fini(struct apir_ctl *c);

#endif /* APIR_CTL_CLIENT_PRIV_H */
