/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <string.h>

#include "apir_ctl.h"
#include "ctl_client.h"

static enum clnt_stat
fail(struct apir_ctl *c, enum clnt_stat st, int err)
{
	memset(&c->err, 0, sizeof(c->err));
	c->err.re_status = st;
	c->err.re_errno = err;
	return st;
}

static bool
encode_call(struct apir_ctl *c, rpcproc_t proc, xdrproc_t xargs, void *args, uint32_t *len)
{
	struct rpc_msg call = {.rm_xid = ++c->xid, .rm_direction = CALL};
	XDR xdrs;
	bool ok;

	call.rm_call.cb_rpcvers = RPC_MSG_VERSION;
	call.rm_call.cb_prog = c->prog;
	call.rm_call.cb_vers = c->vers;
	call.rm_call.cb_proc = proc;
	call.rm_call.cb_cred = _null_auth;
	call.rm_call.cb_verf = _null_auth;
	xdrmem_create(&xdrs, (char *)c->tx, sizeof(c->tx), XDR_ENCODE);
	ok = xdr_callmsg(&xdrs, &call) && xargs(&xdrs, args);
	*len = xdr_getpos(&xdrs);
	xdr_destroy(&xdrs);
	return ok;
}

/* The result is decoded apart from the header, once that is known to be of an accepted call. */
static bool_t
no_result(XDR *xdrs, ...)
{
	(void)xdrs;
	return TRUE;
}

/* The reply's header and, if the call was accepted, its result. */
static enum clnt_stat
decode_reply(struct apir_ctl *c, uint32_t len, xdrproc_t xres, void *res)
{
	struct rpc_msg reply = {0};
	enum clnt_stat st;
	XDR xdrs;

	reply.acpted_rply.ar_verf = _null_auth;
	reply.acpted_rply.ar_results.proc = no_result;
	xdrmem_create(&xdrs, (char *)c->rx, len, XDR_DECODE);
	if (!xdr_replymsg(&xdrs, &reply) || reply.rm_xid != c->xid) {
		apir_log(c->t->env, APIR_LOG_ERR,
			 "the device's answer of %u bytes is no reply to remote call %u", len,
			 c->xid);
		st = fail(c, RPC_CANTDECODERES, EPROTO);
	} else {
		_seterr_reply(&reply, &c->err);
		st = c->err.re_status;
		if (st == RPC_SUCCESS && !xres(&xdrs, res)) {
			/* half a result is none: give back what of it was allocated */
			xdr_free(xres, res);
			apir_log(c->t->env, APIR_LOG_ERR,
				 "the result of remote call %u does not decode: it has %u bytes "
				 "with its header",
				 c->xid, len);
			st = fail(c, RPC_CANTDECODERES, EPROTO);
		}
	}
	xdrs.x_op = XDR_FREE;
	if (reply.rm_reply.rp_stat == MSG_ACCEPTED && reply.acpted_rply.ar_verf.oa_base != NULL)
		xdr_opaque_auth(&xdrs, &reply.acpted_rply.ar_verf);
	xdr_destroy(&xdrs);
	return st;
}

static enum clnt_stat
ctl_call(CLIENT *clnt, rpcproc_t proc, xdrproc_t xargs, void *args, xdrproc_t xres, void *res,
	 struct timeval timeout)
{
	struct apir_ctl *c = clnt->cl_private;
	uint32_t len, rx_len;
	uint16_t status;
	int ret;

	(void)timeout; /* the stubs' constant; the device's own limit holds */
	if (!encode_call(c, proc, xargs, args, &len)) {
		apir_log(c->t->env, APIR_LOG_ERR,
			 "the arguments of remote procedure %u do not encode: too long, or more "
			 "than %zu bytes together",
			 (unsigned int)proc, sizeof(c->tx));
		return fail(c, RPC_CANTENCODEARGS, E2BIG);
	}
	ret = apir_ctl_exchange(c, APIR_CTL_RPC, len, c->call_timeout_ms, &status, &rx_len);
	switch (ret) {
	case 0:
		break;
	case -ETIMEDOUT:
		return fail(c, RPC_TIMEDOUT, ETIMEDOUT);
	case -EBUSY:
		return fail(c, RPC_CANTSEND, ETIMEDOUT);
	case -ENODEV:
		return fail(c, RPC_CANTRECV, ENODEV);
	default:
		return fail(c, RPC_CANTDECODERES, -ret);
	}
	if (status != APIR_S_OK) {
		apir_log(c->t->env, APIR_LOG_ERR, "the device refuses remote procedure %u: %s",
			 (unsigned int)proc, apir_status_str(status));
		return fail(c, RPC_SYSTEMERROR, apir_status_errno(status));
	}
	return decode_reply(c, rx_len, xres, res);
}

static void
ctl_abort(CLIENT *clnt)
{
	(void)clnt; /* a call is over when ctl_call() returns */
}

static void
ctl_geterr(CLIENT *clnt, struct rpc_err *err)
{
	const struct apir_ctl *c = clnt->cl_private;

	*err = c->err;
}

static bool_t
ctl_freeres(CLIENT *clnt, xdrproc_t xres, void *res)
{
	(void)clnt;
	xdr_free(xres, res);
	return TRUE;
}

static void
ctl_destroy(CLIENT *clnt)
{
	(void)clnt; /* owned by the control client */
}

static bool_t
ctl_control(CLIENT *clnt, u_int request, void *info)
{
	struct apir_ctl *c = clnt->cl_private;
	struct timeval *tv = info;
	uint64_t ms;

	if (info == NULL)
		return FALSE;
	switch (request) {
	case CLSET_TIMEOUT:
		if (tv->tv_sec < 0 || tv->tv_usec < 0 || tv->tv_usec >= 1000000 ||
		    tv->tv_sec > INT32_MAX / 1000)
			return FALSE;
		ms = (uint64_t)tv->tv_sec * 1000 + (uint64_t)tv->tv_usec / 1000;
		if (ms == 0)
			return FALSE;
		c->call_timeout_ms = (unsigned int)ms;
		return TRUE;
	case CLGET_TIMEOUT:
		tv->tv_sec = c->call_timeout_ms / 1000;
		tv->tv_usec = c->call_timeout_ms % 1000 * 1000;
		return TRUE;
	case CLGET_XID:
		*(uint32_t *)info = c->xid;
		return TRUE;
	case CLSET_XID:
		c->xid = *(uint32_t *)info - 1; /* the next call increments it */
		return TRUE;
	case CLGET_VERS:
		*(rpcvers_t *)info = c->vers;
		return TRUE;
	case CLSET_VERS:
		c->vers = *(rpcvers_t *)info;
		return TRUE;
	case CLGET_PROG:
		*(rpcprog_t *)info = c->prog;
		return TRUE;
	case CLSET_PROG:
		c->prog = *(rpcprog_t *)info;
		return TRUE;
	default:
		return FALSE;
	}
}

int
apir_ctl_ping(struct apir_ctl *c, unsigned int timeout_ms)
{
	const unsigned int usual = c->call_timeout_ms;
	const struct timeval ignored = {0};
	enum clnt_stat st;

	c->call_timeout_ms = timeout_ms;
	memset(&c->err, 0, sizeof(c->err));
	st = clnt_call(&c->clnt, NULLPROC, no_result, NULL, no_result, NULL, ignored);
	c->call_timeout_ms = usual;
	/* the message was refused: the reason tells a device that was started again from others */
	if (st == RPC_SYSTEMERROR && c->err.re_errno != 0)
		return -c->err.re_errno;
	return -apir_clnt_errno(st);
}

int
apir_ctl_clnt_init(struct apir_ctl *c)
{
	/* libtirpc declares the table's fields, not its users, const */
	static struct clnt_ops ops = {
		.cl_call = ctl_call,
		.cl_abort = ctl_abort,
		.cl_geterr = ctl_geterr,
		.cl_freeres = ctl_freeres,
		.cl_destroy = ctl_destroy,
		.cl_control = ctl_control,
	};

	c->prog = APIR_CTL;
	c->vers = APIR_CTL_V1;
	c->clnt.cl_auth = authnone_create();
	if (c->clnt.cl_auth == NULL)
		return -ENOMEM;
	c->clnt.cl_ops = &ops;
	c->clnt.cl_private = c;
	return 0;
}

void
apir_ctl_clnt_fini(struct apir_ctl *c)
{
	auth_destroy(c->clnt.cl_auth);
}
