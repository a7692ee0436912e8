/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef RIG_H
#define RIG_H

/** @file A session of the real back-end on a guest and an executor of the test's own. */

#include <rpc/rpc.h>

#include "guest.h"
#include "hello.h"
#include "mock_exec.h"
#include "session.h"

#define RIG_QUEUES  2
#define RIG_IN	    (GUEST_GPA + GUEST_FREE)
#define RIG_OUT	    (RIG_IN + APIR_CTL_MAX)
#define RIG_FREE    (RIG_OUT + APIR_CTL_MAX)
#define RIG_SOCKETS 16 /* sessions at a time */

struct rig {
	struct guest g;
	struct guest_ring ctl, data[RIG_QUEUES];
	uint16_t base[1 + RIG_QUEUES][2]; /* where the rings stand, as the front-end is told */
	struct session *s;
	uint32_t xid;
};

extern struct backend rig_be;

/** The back-end, with its poll threads. */
void rig_backend(unsigned int max_sessions, unsigned int idle_us);
/** Ends it; all sessions must have ended. */
void rig_backend_end(void);

/** A guest with rings, its session started. */
void rig_open(struct rig *r, int vid);
/** End the session and wait until it is gone. */
void rig_close(struct rig *r);
void rig_wait_gone(void);

/**
 * Send in of len bytes on the control queue, give the device room bytes for its answer; returns the
 * used length.
 */
uint32_t rig_ctl(struct rig *r, const void *in, uint32_t len, void *out, uint32_t room);
/** Only offer the request; rig_ctl_wait() gets the answer. */
void rig_ctl_send(struct rig *r, const void *in, uint32_t len, uint32_t room);
uint32_t rig_ctl_wait(struct rig *r, void *out, uint32_t room);

/** A lawful HELLO. */
void rig_hello_req(struct apir_hello_req *req);
/** Say HELLO; returns the status. */
unsigned int rig_hello(struct rig *r, const struct apir_hello_req *req, struct apir_hello_rsp *rsp);
/** Say a lawful HELLO that must succeed. */
void rig_hello_ok(struct rig *r);

/** xdr_void() as an xdrproc_t. */
bool_t rig_void(XDR *x, ...);

/**
 * One remote call that must be answered; the result is decoded into res, to be freed with
 * xdr_free().
 */
void rig_call(struct rig *r, unsigned int proc, xdrproc_t xargs, void *args, xdrproc_t xres,
	      void *res);
/** The call as a control message; returns its length. */
uint32_t rig_encode(struct rig *r, uint8_t *msg, unsigned int proc, xdrproc_t xargs, void *args);

/** Offer a burst of 3 packets of 60 bytes, in memory of its own, in a slot of data queue q. */
void rig_burst(struct rig *r, unsigned int q, uint16_t slot, struct guest_burst *b);
/** One such burst in slot 0 comes back untouched. */
void rig_loopback_works(struct rig *r, unsigned int q);

#endif /* RIG_H */
