/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <rpc/rpc.h>
#include <string.h>

#include "apir_ctl.h"
#include "rpc.h"

/*
 * libtirpc's server side over two buffers: rpcgen's dispatch function runs over the virtqueue as it
 * would over a socket.
 */

void apir_ctl_1(struct svc_req *rqstp, SVCXPRT *transp);

struct buf_xprt {
	SVCXPRT xprt;
	struct session *s;
	XDR in;
	uint8_t *out;
	size_t room, out_len;
	uint32_t xid;
};

static bool_t
buf_recv(SVCXPRT *xprt, struct rpc_msg *msg)
{
	(void)xprt;
	(void)msg;
	return FALSE;
}

static enum xprt_stat
buf_stat(SVCXPRT *xprt)
{
	(void)xprt;
	return XPRT_IDLE;
}

static bool_t
buf_getargs(SVCXPRT *xprt, xdrproc_t proc, void *args)
{
	struct buf_xprt *b = xprt->xp_p1;

	if (proc(&b->in, args))
		return TRUE;
	/* What was decoded before the message broke off would be lost. */
	xdr_free(proc, args);
	return FALSE;
}

static bool_t
buf_freeargs(SVCXPRT *xprt, xdrproc_t proc, void *args)
{
	(void)xprt;
	xdr_free(proc, args);
	return TRUE;
}

static bool_t
buf_reply(SVCXPRT *xprt, struct rpc_msg *msg)
{
	struct buf_xprt *b = xprt->xp_p1;
	XDR x;

	msg->rm_xid = b->xid;
	xdrmem_create(&x, (char *)b->out, (u_int)b->room, XDR_ENCODE);
	b->out_len = xdr_replymsg(&x, msg) ? xdr_getpos(&x) : 0;
	xdr_destroy(&x);
	return b->out_len > 0;
}

static void
buf_destroy(SVCXPRT *xprt)
{
	(void)xprt;
}

static bool_t
buf_control(SVCXPRT *xprt, const u_int rq, void *in)
{
	(void)xprt;
	(void)rq;
	(void)in;
	return FALSE;
}

static const struct xp_ops ops = {
	.xp_recv = buf_recv,
	.xp_stat = buf_stat,
	.xp_getargs = buf_getargs,
	.xp_reply = buf_reply,
	.xp_freeargs = buf_freeargs,
	.xp_destroy = buf_destroy,
};
static const struct xp_ops2 ops2 = {.xp_control = buf_control};

struct session *
rpc_session(const struct svc_req *req)
{
	return ((struct buf_xprt *)req->rq_xprt->xp_p1)->s;
}

size_t
rpc_answer(struct session *s, const uint8_t *in, size_t in_len, uint8_t *out, size_t room)
{
	char cred[MAX_AUTH_BYTES], verf[MAX_AUTH_BYTES];
	struct rpc_msg msg = {0};
	struct svc_req req = {0};
	struct buf_xprt b = {.s = s, .out = out, .room = room};

	/* xdr_callmsg() decodes into these, and allocates where there are none. */
	msg.rm_call.cb_cred.oa_base = cred;
	msg.rm_call.cb_verf.oa_base = verf;
	xdrmem_create(&b.in, (char *)(uintptr_t)in, (u_int)in_len, XDR_DECODE);
	if (!xdr_callmsg(&b.in, &msg)) {
		xdr_destroy(&b.in);
		return 0;
	}
	b.xid = msg.rm_xid;
	b.xprt.xp_fd = -1;
	b.xprt.xp_ops = &ops;
	b.xprt.xp_ops2 = &ops2;
	b.xprt.xp_p1 = &b;
	b.xprt.xp_verf = _null_auth;
	req.rq_xprt = &b.xprt;
	req.rq_prog = msg.rm_call.cb_prog;
	req.rq_vers = msg.rm_call.cb_vers;
	req.rq_proc = msg.rm_call.cb_proc;
	/* Credentials are not looked at: who reaches the queue is the guest. */
	req.rq_cred = msg.rm_call.cb_cred;
	if (req.rq_prog != APIR_CTL)
		svcerr_noprog(&b.xprt);
	else if (req.rq_vers != APIR_CTL_V1)
		svcerr_progvers(&b.xprt, APIR_CTL_V1, APIR_CTL_V1);
	else
		apir_ctl_1(&req, &b.xprt);
	xdr_destroy(&b.in);
	return b.out_len;
}

int
apir_ctl_1_freeresult(SVCXPRT *xprt, xdrproc_t proc, caddr_t result)
{
	(void)xprt;
	xdr_free(proc, result);
	return 1;
}
