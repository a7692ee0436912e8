/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <rpc/rpc.h>
#include <string.h>

#include "apir_ctl.h"
#include "rpc.h"
#include "rpc_util.h"

/*
 * The procedures of apir_ctl.x. Each returns TRUE with a result whose strings are allocated
 * (apir_ctl_1_freeresult() frees them). Arguments are a private copy, within the bounds of the IDL;
 * ranges of guest memory in them are checked here.
 */

bool_t
apir_null_1_svc(void *res, struct svc_req *req)
{
	(void)res;
	(void)req;
	return TRUE;
}

bool_t
apir_info_1_svc(apir_info_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_info info;

	memset(res, 0, sizeof(*res));
	rpc_exec_begin(s);
	s->be->ops->info(s->be->dev, &info);
	rpc_exec_end(s);
	rpc_outcome(&res->result, APIR_S_OK, NULL);
	res->platform = strndup(info.platform, APIR_RPC_MAX_NAME);
	res->device = strndup(info.device, APIR_RPC_MAX_NAME);
	res->driver = strndup(info.driver, APIR_RPC_MAX_NAME);
	res->executor = strndup(s->be->ops->name, APIR_RPC_MAX_NAME);
	res->copy_mode = info.copy_mode;
	res->compute_units = info.compute_units;
	res->max_work_group = info.max_work_group;
	res->local_mem = info.local_mem;
	res->global_mem = info.global_mem;
	res->used_mem = info.used_mem;
	return TRUE;
}

bool_t
apir_kernel_create_1_svc(apir_kernel_args args, apir_kernel_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct program *p = objtab_get(&s->programs, args.prog);
	struct exec_kernel *k = NULL;
	struct exec_err err = {{0}};
	enum apir_status st;
	uint32_t nb_args = 0;

	memset(res, 0, sizeof(*res));
	if (p == NULL) {
		rpc_no_such(&res->result, "program", args.prog);
		return TRUE;
	}
	if (s->kernels.nb == OBJTAB_MAX) {
		rpc_table_full(&res->result, "kernel");
		return TRUE;
	}
	rpc_exec_begin(s);
	st = s->be->ops->kernel_create(p->prog, args.name, &k, &nb_args, &err);
	rpc_exec_end(s);
	if (st == APIR_S_OK) {
		res->id = objtab_add(&s->kernels, k);
		res->nb_args = nb_args;
	}
	rpc_outcome(&res->result, st, err.text);
	return TRUE;
}

bool_t
apir_kernel_set_arg_1_svc(apir_set_arg_args args, apir_result *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_kernel *k = objtab_get(&s->kernels, args.kernel);
	struct exec_buffer *b = NULL;
	struct exec_err err = {{0}};
	const void *value = NULL;
	enum apir_status st;
	size_t size = 0;

	if (k == NULL) {
		rpc_no_such(res, "kernel", args.kernel);
		return TRUE;
	}
	switch (args.arg.kind) {
	case APIR_ARG_VALUE:
		value = args.arg.apir_arg_u.value.value_val;
		size = args.arg.apir_arg_u.value.value_len;
		break;
	case APIR_ARG_BUFFER:
		b = objtab_get(&s->buffers, args.arg.apir_arg_u.buffer);
		if (b == NULL) {
			rpc_no_such(res, "buffer", args.arg.apir_arg_u.buffer);
			return TRUE;
		}
		break;
	case APIR_ARG_LOCAL:
		size = args.arg.apir_arg_u.local_size;
		break;
	}
	if (b == NULL && size == 0) {
		rpc_outcomef(res, APIR_S_INVAL, "argument %u has a size of 0 bytes", args.index);
		return TRUE;
	}
	rpc_exec_begin(s);
	st = s->be->ops->kernel_set_arg(k, args.index, value, size, b, &err);
	rpc_exec_end(s);
	rpc_outcome(res, st, err.text);
	return TRUE;
}

bool_t
apir_kernel_destroy_1_svc(u_int id, apir_result *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_kernel *k = objtab_del(&s->kernels, id);

	if (k == NULL) {
		rpc_no_such(res, "kernel", id);
		return TRUE;
	}
	rpc_exec_begin(s);
	s->be->ops->kernel_destroy(k);
	rpc_exec_end(s);
	rpc_outcome(res, APIR_S_OK, NULL);
	return TRUE;
}

bool_t
apir_pipeline_create_1_svc(apir_pipeline_args args, apir_id_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_stage stages[APIR_RPC_MAX_STAGES];
	struct exec_pipeline *p = NULL;
	struct exec_err err = {{0}};
	enum apir_status st;
	const unsigned int nb = args.stages.stages_len;

	memset(res, 0, sizeof(*res));
	if (nb == 0) {
		rpc_outcome(&res->result, APIR_S_INVAL, "a pipeline of no kernels");
		return TRUE;
	}
	if (nb > 1 && !(s->features & APIR_F_PIPELINE)) {
		rpc_outcome(&res->result, APIR_S_INVAL,
			    "a pipeline of several kernels without APIR_F_PIPELINE");
		return TRUE;
	}
	if (s->pipelines.nb == OBJTAB_MAX) {
		rpc_table_full(&res->result, "pipeline");
		return TRUE;
	}
	for (unsigned int i = 0; i < nb; i++) {
		const apir_stage *g = &args.stages.stages_val[i];

		stages[i].kernel = objtab_get(&s->kernels, g->kernel);
		if (stages[i].kernel == NULL) {
			rpc_no_such(&res->result, "kernel", g->kernel);
			return TRUE;
		}
		if (g->launch != APIR_LAUNCH_ITEM && g->launch != APIR_LAUNCH_GROUP) {
			rpc_outcomef(&res->result, APIR_S_INVAL, "stage %u: launch %d is unknown",
				     i, (int)g->launch);
			return TRUE;
		}
		stages[i].group = g->launch == APIR_LAUNCH_GROUP;
		stages[i].local_size = g->local_size;
	}
	rpc_exec_begin(s);
	atomic_store(&s->be->making, s->id);
	st = s->be->ops->pipeline_create(s->be->dev, stages, nb, &p, &err);
	atomic_store(&s->be->making, 0);
	atomic_fetch_add(&s->be->made, 1);
	rpc_exec_end(s);
	if (st == APIR_S_OK)
		res->id = objtab_add(&s->pipelines, p);
	rpc_outcome(&res->result, st, err.text);
	return TRUE;
}

bool_t
apir_pipeline_destroy_1_svc(u_int id, apir_result *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_pipeline *p = objtab_del(&s->pipelines, id);

	if (p == NULL) {
		rpc_no_such(res, "pipeline", id);
		return TRUE;
	}
	/* A poll thread may have found it just before: when all have gone round once, none has. */
	poll_sync(s->be->poll);
	rpc_exec_begin(s);
	s->be->ops->pipeline_destroy(p);
	rpc_exec_end(s);
	rpc_outcome(res, APIR_S_OK, NULL);
	return TRUE;
}
