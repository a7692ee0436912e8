/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>
#include <string.h>

#include "apir_ctl.h"
#include "fake_svc.h"
#include "virtio_apir.h"

int fake_svc_last_proc = -1;

void apir_ctl_1(struct svc_req *rqstp, SVCXPRT *transp);

/* Bytes that apir_buffer_write_1() keeps for apir_buffer_read_1(). */
static char store[APIR_RPC_MAX_INLINE];
static uint64_t store_len;

static bool_t
ok(apir_result *r, const char *text)
{
	r->status = APIR_S_OK;
	r->text = strdup(text);
	return TRUE;
}

bool_t
apir_null_1_svc(void *res, struct svc_req *rq)
{
	(void)res;
	(void)rq;
	return TRUE;
}

bool_t
apir_info_1_svc(apir_info_res *res, struct svc_req *rq)
{
	(void)rq;
	memset(res, 0, sizeof(*res));
	res->platform = strdup("platform");
	res->device = strdup("device");
	res->driver = strdup("driver");
	res->executor = strdup("executor");
	res->max_work_group = 1ull << 40;
	return ok(&res->result, "info");
}

/* id: length of the source. The options come back as text; without any the build fails. */
bool_t
apir_program_create_1_svc(apir_program_args args, apir_program_res *res, struct svc_req *rq)
{
	(void)rq;
	memset(res, 0, sizeof(*res));
	res->id = args.source.form == APIR_DATA_INLINE ? args.source.apir_data_u.bytes.bytes_len
						       : (u_int)args.source.apir_data_u.range.len;
	ok(&res->result, args.options);
	if (args.options[0] == '\0')
		res->result.status = APIR_S_BUILD;
	return TRUE;
}

bool_t
apir_program_log_1_svc(apir_log_args args, apir_read_res *res, struct svc_req *rq)
{
	(void)rq;
	memset(res, 0, sizeof(*res));
	res->total = args.offset;
	res->bytes.bytes_val = strdup("log");
	res->bytes.bytes_len = 3;
	res->n = 3;
	return ok(&res->result, "");
}

bool_t
apir_program_destroy_1_svc(u_int id, apir_result *res, struct svc_req *rq)
{
	(void)rq;
	ok(res, "no such program");
	res->status = id == 1 ? APIR_S_OK : APIR_S_NOENT;
	return TRUE;
}

bool_t
apir_kernel_create_1_svc(apir_kernel_args args, apir_kernel_res *res, struct svc_req *rq)
{
	(void)rq;
	memset(res, 0, sizeof(*res));
	res->id = args.prog + 1;
	res->nb_args = 2;
	return ok(&res->result, args.name);
}

bool_t
apir_kernel_set_arg_1_svc(apir_set_arg_args args, apir_result *res, struct svc_req *rq)
{
	(void)rq;
	ok(res, "");
	res->status = args.index;
	return TRUE;
}

bool_t
apir_kernel_destroy_1_svc(u_int id, apir_result *res, struct svc_req *rq)
{
	(void)id;
	(void)rq;
	return ok(res, "");
}

bool_t
apir_buffer_create_1_svc(apir_buffer_args args, apir_id_res *res, struct svc_req *rq)
{
	(void)rq;
	memset(res, 0, sizeof(*res));
	res->id = (u_int)(args.size >> 20);
	return ok(&res->result, "");
}

bool_t
apir_buffer_write_1_svc(apir_write_args args, apir_result *res, struct svc_req *rq)
{
	(void)rq;
	store_len = args.data.apir_data_u.bytes.bytes_len;
	memcpy(store, args.data.apir_data_u.bytes.bytes_val, store_len);
	return ok(res, "");
}

bool_t
apir_buffer_read_1_svc(apir_read_args args, apir_read_res *res, struct svc_req *rq)
{
	(void)args;
	(void)rq;
	memset(res, 0, sizeof(*res));
	res->bytes.bytes_val = malloc(store_len);
	memcpy(res->bytes.bytes_val, store, store_len);
	res->bytes.bytes_len = (u_int)store_len;
	res->n = store_len;
	return ok(&res->result, "");
}

/* No reply at all: what a server does that does not want to answer. */
bool_t
apir_buffer_destroy_1_svc(u_int id, apir_result *res, struct svc_req *rq)
{
	(void)id;
	(void)rq;
	memset(res, 0, sizeof(*res));
	return FALSE;
}

bool_t
apir_pipeline_create_1_svc(apir_pipeline_args args, apir_id_res *res, struct svc_req *rq)
{
	(void)rq;
	memset(res, 0, sizeof(*res));
	res->id = args.stages.stages_len;
	return ok(&res->result, "");
}

bool_t
apir_pipeline_destroy_1_svc(u_int id, apir_result *res, struct svc_req *rq)
{
	(void)id;
	(void)rq;
	return ok(res, "");
}

int
apir_ctl_1_freeresult(SVCXPRT *xprt, xdrproc_t xres, caddr_t res)
{
	(void)xprt;
	xdr_free(xres, res);
	return TRUE;
}

/* The transport: a call in one piece of memory, the reply into another. */
struct mem_xprt {
	XDR in;
	char *out;
	uint32_t out_size;
	uint32_t out_len;
	uint32_t xid;
};

static bool_t
mem_getargs(SVCXPRT *xprt, xdrproc_t xargs, void *args)
{
	return xargs(&((struct mem_xprt *)xprt->xp_p1)->in, args);
}

static bool_t
mem_reply(SVCXPRT *xprt, struct rpc_msg *reply)
{
	struct mem_xprt *m = xprt->xp_p1;
	XDR out;
	bool_t done;

	reply->rm_xid = m->xid;
	xdrmem_create(&out, m->out, m->out_size, XDR_ENCODE);
	done = xdr_replymsg(&out, reply);
	m->out_len = done ? xdr_getpos(&out) : 0;
	xdr_destroy(&out);
	return done;
}

static bool_t
mem_freeargs(SVCXPRT *xprt, xdrproc_t xargs, void *args)
{
	(void)xprt;
	xdr_free(xargs, args);
	return TRUE;
}

uint32_t
fake_svc_serve(const void *in, uint32_t len, void *out, uint32_t out_size)
{
	static const struct xp_ops ops = {
		.xp_getargs = mem_getargs, .xp_reply = mem_reply, .xp_freeargs = mem_freeargs};
	struct mem_xprt m = {.out = out, .out_size = out_size};
	SVCXPRT xprt = {.xp_ops = &ops, .xp_p1 = &m, .xp_verf = _null_auth};
	char cred[MAX_AUTH_BYTES], verf[MAX_AUTH_BYTES];
	struct svc_req rq = {.rq_xprt = &xprt};
	struct rpc_msg call = {0};

	call.rm_call.cb_cred.oa_base = cred;
	call.rm_call.cb_verf.oa_base = verf;
	xdrmem_create(&m.in, (char *)(uintptr_t)in, len, XDR_DECODE);
	if (xdr_callmsg(&m.in, &call)) {
		m.xid = call.rm_xid;
		rq.rq_prog = call.rm_call.cb_prog;
		rq.rq_vers = call.rm_call.cb_vers;
		rq.rq_proc = call.rm_call.cb_proc;
		if (rq.rq_prog != APIR_CTL) {
			svcerr_noprog(&xprt);
		} else if (rq.rq_vers != APIR_CTL_V1) {
			svcerr_progvers(&xprt, APIR_CTL_V1, APIR_CTL_V1);
		} else {
			fake_svc_last_proc = (int)rq.rq_proc;
			apir_ctl_1(&rq, &xprt);
		}
	}
	xdr_destroy(&m.in);
	return m.out_len;
}
