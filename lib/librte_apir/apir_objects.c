/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apir_objects.h"

/* Remote calls: what they have in common ---------------------------------- */

struct apir_dev *
apir_call_begin(uint16_t dev_id, CLIENT **clnt)
{
	struct apir_dev *dev = apir_dev_lock_running(dev_id);

	if (dev != NULL)
		*clnt = apir_ctl_client(dev->ctl);
	return dev;
}

int
apir_call_end(struct apir_dev *dev, int ret)
{
	apir_dev_unlock(dev);
	return ret;
}

int
apir_call_check(struct apir_dev *dev, enum clnt_stat st, const apir_result *res, const char *what)
{
	int err;

	if (st != RPC_SUCCESS) {
		err = apir_clnt_errno(st);
		if (st == RPC_TIMEDOUT || st == RPC_CANTSEND) {
			/*
			 * The answer may still come, into memory that others use by then: end the
			 * session first.
			 */
			apir_err(err,
				 "device %u: %s was not answered within %u ms "
				 "(rte_apir_conf.build_timeout_ms): "
				 "the session with %s is ended",
				 dev->id, what, dev->conf.build_timeout_ms, dev->conf.path);
			apir_dev_fail(dev);
			return -err;
		}
		if (err == ENODEV)
			return apir_err(err,
					"device %u: %s: the back-end at %s went before it answered",
					dev->id, what, dev->conf.path);
		return apir_err(err, "device %u: %s: %s", dev->id, what, clnt_sperrno(st));
	}
	if (res->status == APIR_S_OK)
		return 0;
	return apir_err(apir_status_errno(res->status), "%s: %s", what,
			res->text != NULL && res->text[0] != '\0' ? res->text
								  : apir_status_str(res->status));
}

/* An object of id 0 does not exist: a device that names one is broken. */
static int
check_id(uint32_t id, const char *what)
{
	return id != 0 ? 0
		       : apir_err(EPROTO, "%s: the device gave it id 0, which is no object's",
				  what);
}

static int
destroy(uint16_t dev_id, uint32_t id, enum clnt_stat (*stub)(u_int, apir_result *, CLIENT *),
	const char *what)
{
	apir_result res = {0};
	enum clnt_stat st;
	CLIENT *clnt;
	struct apir_dev *dev = apir_call_begin(dev_id, &clnt);
	int ret;

	if (dev == NULL)
		return -ENODEV;
	st = stub(id, &res, clnt);
	ret = apir_call_check(dev, st, &res, what);
	if (st == RPC_SUCCESS)
		xdr_free((xdrproc_t)xdr_apir_result, &res);
	return apir_call_end(dev, ret);
}

/* Kernels ------------------------------------------------------------------ */

int
rte_apir_kernel_create(uint16_t dev_id, uint32_t program, const char *name, uint32_t *kernel,
		       uint32_t *nb_args)
{
	apir_kernel_args args = {.prog = program, .name = (char *)(uintptr_t)name};
	apir_kernel_res res = {0};
	enum clnt_stat st;
	struct apir_dev *dev;
	CLIENT *clnt;
	int ret;

	apir_err_begin();
	if (name == NULL || kernel == NULL)
		return apir_err(EINVAL, "kernel: no name, or no place for its id");
	if (name[0] == '\0' || strlen(name) > APIR_RPC_MAX_NAME)
		return apir_err(EINVAL, "kernel: a name of %zu bytes: 1..%u are possible",
				strlen(name), APIR_RPC_MAX_NAME);
	dev = apir_call_begin(dev_id, &clnt);
	if (dev == NULL)
		return -ENODEV;
	st = apir_kernel_create_1(args, &res, clnt);
	ret = apir_call_check(dev, st, &res.result, "kernel");
	if (ret == 0)
		ret = check_id(res.id, "kernel");
	if (ret == 0) {
		*kernel = res.id;
		if (nb_args != NULL)
			*nb_args = res.nb_args;
	}
	if (st == RPC_SUCCESS)
		xdr_free((xdrproc_t)xdr_apir_kernel_res, &res);
	return apir_call_end(dev, ret);
}

int
rte_apir_kernel_destroy(uint16_t dev_id, uint32_t kernel)
{
	return destroy(dev_id, kernel, apir_kernel_destroy_1, "kernel");
}

static int
set_arg(uint16_t dev_id, apir_set_arg_args args)
{
	apir_result res = {0};
	enum clnt_stat st;
	CLIENT *clnt;
	struct apir_dev *dev = apir_call_begin(dev_id, &clnt);
	char what[64];
	int ret;

	if (dev == NULL)
		return -ENODEV;
	snprintf(what, sizeof(what), "kernel %u, argument %u", args.kernel, args.index);
	st = apir_kernel_set_arg_1(args, &res, clnt);
	ret = apir_call_check(dev, st, &res, what);
	if (st == RPC_SUCCESS)
		xdr_free((xdrproc_t)xdr_apir_result, &res);
	return apir_call_end(dev, ret);
}

int
rte_apir_kernel_set_value(uint16_t dev_id, uint32_t kernel, uint32_t index, const void *value,
			  size_t size)
{
	apir_set_arg_args args = {.kernel = kernel, .index = index, .arg.kind = APIR_ARG_VALUE};

	apir_err_begin();
	if (value == NULL || size == 0 || size > APIR_RPC_MAX_VALUE)
		return apir_err(
			EINVAL,
			"kernel %u, argument %u: a value of %zu bytes%s: 1..%u are possible",
			kernel, index, size, value == NULL ? " at NULL" : "", APIR_RPC_MAX_VALUE);
	args.arg.apir_arg_u.value.value_len = (u_int)size;
	args.arg.apir_arg_u.value.value_val = (char *)(uintptr_t)value;
	return set_arg(dev_id, args);
}

int
rte_apir_kernel_set_buffer(uint16_t dev_id, uint32_t kernel, uint32_t index, uint32_t buffer)
{
	apir_set_arg_args args = {.kernel = kernel, .index = index, .arg.kind = APIR_ARG_BUFFER};

	args.arg.apir_arg_u.buffer = buffer;
	return set_arg(dev_id, args);
}

int
rte_apir_kernel_set_local(uint16_t dev_id, uint32_t kernel, uint32_t index, size_t size)
{
	apir_set_arg_args args = {.kernel = kernel, .index = index, .arg.kind = APIR_ARG_LOCAL};

	apir_err_begin();
	if (size == 0)
		return apir_err(EINVAL, "kernel %u, argument %u: local memory of 0 bytes", kernel,
				index);
	args.arg.apir_arg_u.local_size = size;
	return set_arg(dev_id, args);
}

/* Programs and buffers: what does not move data ------------------------------ */

int
rte_apir_program_destroy(uint16_t dev_id, uint32_t program)
{
	return destroy(dev_id, program, apir_program_destroy_1, "program");
}

int
rte_apir_buffer_create(uint16_t dev_id, size_t size, uint32_t *buffer)
{
	apir_buffer_args args = {.size = size};
	apir_id_res res = {0};
	enum clnt_stat st;
	struct apir_dev *dev;
	CLIENT *clnt;
	int ret;

	apir_err_begin();
	if (size == 0 || buffer == NULL)
		return apir_err(EINVAL, "buffer: %s",
				size == 0 ? "0 bytes" : "no place for its id");
	dev = apir_call_begin(dev_id, &clnt);
	if (dev == NULL)
		return -ENODEV;
	st = apir_buffer_create_1(args, &res, clnt);
	ret = apir_call_check(dev, st, &res.result, "buffer");
	if (ret == 0)
		ret = check_id(res.id, "buffer");
	if (ret == 0)
		*buffer = res.id;
	if (st == RPC_SUCCESS)
		xdr_free((xdrproc_t)xdr_apir_id_res, &res);
	return apir_call_end(dev, ret);
}

int
rte_apir_buffer_destroy(uint16_t dev_id, uint32_t buffer)
{
	return destroy(dev_id, buffer, apir_buffer_destroy_1, "buffer");
}

/* Pipelines ------------------------------------------------------------------- */

int
rte_apir_pipeline_create(uint16_t dev_id, const struct rte_apir_stage *stages, unsigned int nb,
			 uint32_t *pipeline)
{
	apir_stage wire[RTE_APIR_MAX_STAGES];
	apir_pipeline_args args = {.stages.stages_len = nb, .stages.stages_val = wire};
	apir_id_res res = {0};
	struct apir_dev *dev;
	enum clnt_stat st;
	unsigned int i;
	CLIENT *clnt;
	int ret;

	apir_err_begin();
	if (stages == NULL || pipeline == NULL || nb == 0 || nb > RTE_APIR_MAX_STAGES)
		return apir_err(EINVAL, "pipeline: %u kernels: 1..%u are possible", nb,
				RTE_APIR_MAX_STAGES);
	for (i = 0; i < nb; i++) {
		if (stages[i].launch != RTE_APIR_LAUNCH_ITEM &&
		    stages[i].launch != RTE_APIR_LAUNCH_GROUP)
			return apir_err(EINVAL,
					"pipeline: kernel %u of it has launch %d: %d (item) and %d "
					"(group) are "
					"possible",
					i, stages[i].launch, RTE_APIR_LAUNCH_ITEM,
					RTE_APIR_LAUNCH_GROUP);
		wire[i] = (apir_stage){.kernel = stages[i].kernel,
				       .launch = stages[i].launch == RTE_APIR_LAUNCH_GROUP
							 ? APIR_LAUNCH_GROUP
							 : APIR_LAUNCH_ITEM,
				       .local_size = stages[i].local_size};
	}
	dev = apir_call_begin(dev_id, &clnt);
	if (dev == NULL)
		return -ENODEV;
	st = apir_pipeline_create_1(args, &res, clnt);
	ret = apir_call_check(dev, st, &res.result, "pipeline");
	if (ret == 0)
		ret = check_id(res.id, "pipeline");
	if (ret == 0)
		*pipeline = res.id;
	if (st == RPC_SUCCESS)
		xdr_free((xdrproc_t)xdr_apir_id_res, &res);
	return apir_call_end(dev, ret);
}

int
rte_apir_pipeline_destroy(uint16_t dev_id, uint32_t pipeline)
{
	return destroy(dev_id, pipeline, apir_pipeline_destroy_1, "pipeline");
}

/* Information ------------------------------------------------------------------ */

static void
fill_info(const struct apir_dev *dev, const apir_info_res *res, struct rte_apir_info *info)
{
	static const char *const modes[] = {[APIR_COPY_STAGED] = "staged",
					    [APIR_COPY_NONE_BASE] = "base",
					    [APIR_COPY_NONE_RAW] = "raw"};

	memset(info, 0, sizeof(*info));
	snprintf(info->platform, sizeof(info->platform), "%s", res->platform);
	snprintf(info->device, sizeof(info->device), "%s", res->device);
	snprintf(info->driver, sizeof(info->driver), "%s", res->driver);
	snprintf(info->executor, sizeof(info->executor), "%.63s", res->executor);
	info->zero_copy =
		res->copy_mode == APIR_COPY_NONE_BASE || res->copy_mode == APIR_COPY_NONE_RAW;
	snprintf(info->copy_mode, sizeof(info->copy_mode), "%s",
		 res->copy_mode < RTE_DIM(modes) ? modes[res->copy_mode] : "unknown");
	info->compute_units = res->compute_units;
	info->max_work_group = res->max_work_group;
	info->local_mem = res->local_mem;
	info->max_device_memory = dev->hello.max_device_memory;
	info->used_device_memory = res->used_mem;
	info->nb_queue_pairs = dev->conf.nb_queue_pairs;
	info->nb_bursts = dev->conf.nb_bursts;
	info->max_burst = dev->conf.max_burst;
	info->max_segs = dev->conf.max_segs;
	info->version = dev->hello.version;
	info->session = dev->hello.session;
	snprintf(info->transport, sizeof(info->transport), "%s", dev->t->ops->name);
	snprintf(info->address, sizeof(info->address), "%s", dev->conf.path);
}

int
rte_apir_info_get(uint16_t dev_id, struct rte_apir_info *info)
{
	apir_info_res res = {0};
	struct apir_dev *dev;
	enum clnt_stat st;
	CLIENT *clnt;
	int ret;

	apir_err_begin();
	if (info == NULL)
		return apir_err(EINVAL, "rte_apir_info_get() without a place for the information");
	dev = apir_call_begin(dev_id, &clnt);
	if (dev == NULL)
		return -ENODEV;
	st = apir_info_1(&res, clnt);
	ret = apir_call_check(dev, st, &res.result, "information");
	if (ret == 0)
		fill_info(dev, &res, info);
	if (st == RPC_SUCCESS)
		xdr_free((xdrproc_t)xdr_apir_info_res, &res);
	return apir_call_end(dev, ret);
}
