/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Open and close an NVIDIA GPU: its OpenCL device to compile, its driver API context to run. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "cuda.h"
#include "exec_probe.h"

/* The context that is this thread's. */
static _Thread_local CUcontext current;

/* Errors of single calls; after any other the context answers every call with the same error. */
static bool
is_passing(CUresult e)
{
	return e == CUDA_SUCCESS || e == CUDA_ERROR_NOT_READY || e == CUDA_ERROR_OUT_OF_MEMORY ||
	       e < 700; /* CUDA_ERROR_ILLEGAL_ADDRESS, the first of a kernel's own */
}

CUresult
cuda_enter(struct exec_dev *dev)
{
	CUresult e;

	if (OCL_LIKELY(current == dev->cuda->ctx))
		return CUDA_SUCCESS;
	e = dev->cuda->cu->cuCtxSetCurrent(dev->cuda->ctx);
	if (e == CUDA_SUCCESS)
		current = dev->cuda->ctx;
	return e;
}

bool
cuda_note_lost(struct exec_dev *dev, CUresult e, const char *where)
{
	struct cuda_dev *c = dev->cuda;

	if (is_passing(e) || e == 701 || e == 712 || e == 713)
		return false; /* too many resources, registered twice, not registered */
	if (atomic_load(&c->lost))
		return true;
	snprintf(c->lost_text, sizeof(c->lost_text), "%s: %s", where, cuda_strerror(c->cu, e));
	atomic_store(&c->lost, true);
	return true;
}

const char *
cuda_lost(struct exec_dev *dev)
{
	return atomic_load(&dev->cuda->lost) ? dev->cuda->lost_text : NULL;
}

enum apir_status
cuda_fail(struct exec_dev *dev, CUresult e, struct exec_err *err, const char *what, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, what);
	vsnprintf(text, sizeof(text), what, ap);
	va_end(ap);
	cuda_note_lost(dev, e, text);
	return exec_err_set(err, e == CUDA_ERROR_OUT_OF_MEMORY ? APIR_S_NOMEM : APIR_S_DEVICE,
			    "%s: %s", text, cuda_strerror(dev->cuda->cu, e));
}

static bool
is_nvidia(const struct ocl_found *f)
{
	return (f->type & CL_DEVICE_TYPE_GPU) != 0 && strcmp(f->platform_name, "NVIDIA CUDA") == 0;
}

/* The driver API's device for an OpenCL device: the one on the same place of the bus. */
static enum apir_status
find_device(struct exec_dev *dev, struct exec_err *err)
{
	struct cuda_dev *c = dev->cuda;
	char bus[32];
	int direct = 0;
	CUresult e;

	if (ocl_find_bus(dev->id, bus, sizeof(bus)) != 0)
		return exec_err_set(err, APIR_S_DEVICE,
				    "NVIDIA's OpenCL does not tell where '%s' is on the PCI bus",
				    dev->info.device);
	e = c->cu->cuDeviceGetByPCIBusId(&c->id, bus);
	if (e == CUDA_SUCCESS)
		e = c->cu->cuDeviceGetAttribute(
			&direct, CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM,
			c->id);
	if (e != CUDA_SUCCESS)
		return cuda_fail(dev, e, err, "'%s' at %s", dev->info.device, bus);
	if (direct == 0)
		return exec_err_set(err, APIR_S_UNSUPPORTED,
				    "'%s' does not take the host's addresses for registered memory",
				    dev->info.device);
	return APIR_S_OK;
}

static struct exec_dev *
device_make(const struct ocl_found *f, const struct exec_config *cfg, struct exec_err *err)
{
	const struct cuda_api *cu = cuda_api_load(err);
	struct exec_dev *dev;
	struct cuda_dev *c;
	CUresult e;

	if (cu == NULL)
		return NULL;
	dev = ocl_device_make(f, cfg, APIR_COPY_NONE_RAW, err);
	if (dev == NULL)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		exec_err_set(err, APIR_S_NOMEM, "out of memory opening '%s'", f->name);
		ocl_close(dev);
		return NULL;
	}
	c->cu = cu;
	TAILQ_INIT(&c->regions);
	dev->cuda = c;
	dev->buffer_free = cuda_buffer_free;
	dev->module_free = cuda_module_free;
	if (dev->max_pkts * sizeof(struct apir_pkt) + dev->max_segs * sizeof(struct apir_seg) +
		    sizeof(struct apir_table) >
	    1u << PTX_STRIDE_SHIFT) {
		exec_err_set(err, APIR_S_TOOBIG, "bursts of %u packets and %u segments",
			     dev->max_pkts, dev->max_segs);
		goto fail;
	}
	if (find_device(dev, err) != APIR_S_OK)
		goto fail;
	/* Refused where the context is another's already: the flags only choose how to wait. */
	cu->cuDevicePrimaryCtxSetFlags(c->id, CU_CTX_SCHED_SPIN);
	e = cu->cuDevicePrimaryCtxRetain(&c->ctx, c->id);
	if (e == CUDA_SUCCESS)
		e = cuda_enter(dev);
	if (e == CUDA_SUCCESS)
		e = cu->cuStreamCreate(&c->ctl, CU_STREAM_NON_BLOCKING);
	if (e == CUDA_SUCCESS)
		return dev;
	cuda_fail(dev, e, err, "no context on '%s'", f->name);
fail:
	cuda_close(dev);
	return NULL;
}

/* The NVIDIA GPU that cfg->device names, if what it names is one. */
static const struct ocl_found *
choose(const struct ocl_found *list, unsigned int nb, const struct exec_config *cfg,
       struct exec_err *err)
{
	unsigned int order[nb], found = ocl_find_match(list, nb, cfg->device, order, err);
	const bool any = cfg->device == NULL || cfg->device[0] == '\0' ||
			 strcasecmp(cfg->device, "auto") == 0;

	for (unsigned int i = 0; i < found; i++) {
		if (is_nvidia(&list[order[i]]))
			return &list[order[i]];
		if (!any)
			break;
	}
	if (found > 0)
		exec_err_set(err, APIR_S_NOENT,
			     "'%s' is no NVIDIA GPU with NVIDIA's OpenCL (apird --list-devices)",
			     any ? "auto" : list[order[0]].name);
	return NULL;
}

struct exec_dev *
cuda_open(const struct exec_config *cfg, struct exec_err *err)
{
	struct exec_err own = {""};
	struct ocl_found *list;
	const struct ocl_found *f;
	struct exec_dev *dev = NULL;
	unsigned int nb;

	if (err == NULL)
		err = &own;
	if (cfg->copy_mode != NULL && cfg->copy_mode[0] != '\0' &&
	    strcasecmp(cfg->copy_mode, "auto") != 0 && strcasecmp(cfg->copy_mode, "raw") != 0) {
		exec_err_set(err, APIR_S_INVAL,
			     "copy mode '%s': the executor cuda has raw only; use --executor "
			     "opencl",
			     cfg->copy_mode);
		return NULL;
	}
	if (cfg->cache_dir != NULL && cfg->cache_dir[0] != '\0')
		setenv("CUDA_CACHE_PATH", cfg->cache_dir, 0); /* home folders may be out of reach */
	nb = ocl_find_all(&list, err);
	if (nb == 0)
		return NULL;
	f = choose(list, nb, cfg, err);
	if (f != NULL)
		dev = device_make(f, cfg, err);
	if (dev != NULL && !exec_probe(&exec_cuda_ops, dev, err)) {
		cuda_close(dev);
		dev = NULL;
	}
	if (dev != NULL)
		OCL_LOG(dev, LOG_INFO,
			"NVIDIA GPU %u:%u '%s' (driver %s, CUDA %d.%d): zero copy through the "
			"driver API",
			f->p, f->d, dev->info.device, dev->info.driver,
			dev->cuda->cu->version / 1000, dev->cuda->cu->version % 1000 / 10);
	free(list);
	return dev;
}

void
cuda_close(struct exec_dev *dev)
{
	struct cuda_dev *c = dev != NULL ? dev->cuda : NULL;

	if (c == NULL)
		return;
	if (c->ctx != NULL) {
		cuda_enter(dev);
		cuda_queue_destroy((struct exec_queue *)c->warm);
		cuda_host_free(dev, c->warm_mem, c->warm_size);
		while (!TAILQ_EMPTY(&c->regions))
			cuda_mem_set(dev, TAILQ_FIRST(&c->regions)->session, NULL, 0, NULL);
		if (c->ctl != NULL)
			c->cu->cuStreamDestroy(c->ctl);
		c->cu->cuCtxSetCurrent(NULL);
		current = NULL;
		c->cu->cuDevicePrimaryCtxRelease(c->id);
	}
	free(c);
	dev->cuda = NULL;
	ocl_close(dev);
}
