/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Open, describe and close the device. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "opencl.h"

const char *
ocl_mode_name(enum apir_copy_mode mode)
{
	switch (mode) {
	case APIR_COPY_NONE_RAW:
		return "raw";
	case APIR_COPY_NONE_BASE:
		return "base";
	default:
		return "staged";
	}
}

enum apir_status
ocl_mem_take(struct exec_dev *dev, uint64_t bytes, struct exec_err *err)
{
	uint64_t used = atomic_load_explicit(&dev->used_mem, memory_order_relaxed);

	do {
		if (used > dev->max_mem || bytes > dev->max_mem - used)
			return exec_err_set(
				err, APIR_S_NOMEM,
				"%llu bytes of device memory asked for, %llu of %llu are in use "
				"(the limit is apird's --max-device-memory or the device's own)",
				(unsigned long long)bytes, (unsigned long long)used,
				(unsigned long long)dev->max_mem);
	} while (!atomic_compare_exchange_weak_explicit(
		&dev->used_mem, &used, used + bytes, memory_order_relaxed, memory_order_relaxed));
	return APIR_S_OK;
}

void
ocl_mem_give(struct exec_dev *dev, uint64_t bytes)
{
	atomic_fetch_sub_explicit(&dev->used_mem, bytes, memory_order_relaxed);
}

static void
read_info(struct exec_dev *dev)
{
	struct exec_info *i = &dev->info;
	cl_device_svm_capabilities svm = 0;
	cl_ulong mem = 0, local = 0, alloc = 0, constant = 0;
	size_t group = 0;
	cl_uint units = 0;
	unsigned int major = 1, minor = 2;
	char text[256];

	clGetPlatformInfo(dev->platform, CL_PLATFORM_NAME, sizeof(i->platform) - 1, i->platform,
			  NULL);
	ocl_device_string(dev->id, CL_DEVICE_NAME, i->device, sizeof(i->device));
	ocl_device_string(dev->id, CL_DRIVER_VERSION, i->driver, sizeof(i->driver));
	ocl_device_string(dev->id, CL_DEVICE_VERSION, text, sizeof(text));
	if (sscanf(text, "OpenCL %u.%u", &major, &minor) == 2)
		dev->version = major * 100 + minor * 10;
	else
		dev->version = 120;
	clGetDeviceInfo(dev->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(units), &units, NULL);
	clGetDeviceInfo(dev->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(group), &group, NULL);
	clGetDeviceInfo(dev->id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(local), &local, NULL);
	clGetDeviceInfo(dev->id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(mem), &mem, NULL);
	clGetDeviceInfo(dev->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(alloc), &alloc, NULL);
	clGetDeviceInfo(dev->id, CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE, sizeof(constant), &constant,
			NULL);
	if (dev->version >= 200 && clGetDeviceInfo(dev->id, CL_DEVICE_SVM_CAPABILITIES, sizeof(svm),
						   &svm, NULL) == CL_SUCCESS) {
		dev->svm_arg = svm != 0;
		dev->svm_system = (svm & CL_DEVICE_SVM_FINE_GRAIN_SYSTEM) != 0;
	}
	i->compute_units = units;
	i->max_work_group = group;
	i->local_mem = local;
	i->global_mem = mem;
	i->numa_node = ocl_find_node(dev->id);
	dev->max_alloc = alloc;
	dev->max_constant = constant;
}

/* What a driver has to say of its own accord; it may come from a thread of the driver's. */
static void CL_CALLBACK
on_driver_message(const char *text, const void *data, size_t size, void *arg)
{
	struct exec_dev *dev = arg;

	(void)data;
	(void)size;
	OCL_LOG(dev, LOG_WARNING, "OpenCL driver: %s", text);
}

struct exec_dev *
ocl_device_make(const struct ocl_found *f, const struct exec_config *cfg, enum apir_copy_mode mode,
		struct exec_err *err)
{
	const cl_context_properties props[] = {CL_CONTEXT_PLATFORM,
					       (cl_context_properties)f->platform, 0};
	struct exec_dev *dev = calloc(1, sizeof(*dev));
	cl_int e;

	if (dev == NULL) {
		exec_err_set(err, APIR_S_NOMEM, "out of memory opening OpenCL device %u:%u", f->p,
			     f->d);
		return NULL;
	}
	TAILQ_INIT(&dev->sessions);
	TAILQ_INIT(&dev->pipelines);
	dev->platform = f->platform;
	dev->id = f->id;
	dev->log = cfg->log;
	dev->mode = mode;
	dev->sync = ocl_found_is_basic(f);
	dev->cpu = (f->type & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR)) == 0;
	dev->max_pkts = cfg->max_pkts != 0 ? cfg->max_pkts : APIR_MAX_PKTS;
	dev->max_segs = cfg->max_segs != 0 ? cfg->max_segs : APIR_MAX_SEGS;
	read_info(dev);
	dev->max_mem = cfg->max_device_memory != 0 ? cfg->max_device_memory : dev->info.global_mem;
	snprintf(dev->info.index, sizeof(dev->info.index), "%u:%u", f->p, f->d);
	dev->info.copy_mode = mode;
	dev->info.synchronous = dev->sync;

	dev->ctx = clCreateContext(props, 1, &dev->id, on_driver_message, dev, &e);
	if (dev->ctx == NULL) {
		exec_err_set(err, ocl_status(e), "OpenCL device %u:%u '%s': no context: %s", f->p,
			     f->d, f->name, ocl_strerror(e));
		goto fail;
	}
	dev->ctl = clCreateCommandQueue(dev->ctx, dev->id, 0, &e);
	if (dev->ctl == NULL) {
		exec_err_set(err, ocl_status(e), "OpenCL device %u:%u '%s': no command queue: %s",
			     f->p, f->d, f->name, ocl_strerror(e));
		goto fail;
	}
	dev->cache_dir = ocl_cache_open(dev, cfg->cache_dir);
	return dev;
fail:
	ocl_close(dev);
	return NULL;
}

/* The first of the matching devices that works. */
static struct exec_dev *
open_first(const struct ocl_found *list, const unsigned int *order, unsigned int nb,
	   const struct exec_config *cfg, struct exec_err *err)
{
	enum apir_copy_mode mode[nb];
	bool works[nb];
	int best = -1;
	struct exec_dev *dev;
	bool any = cfg->device == NULL || cfg->device[0] == '\0' ||
		   strcasecmp(cfg->device, "auto") == 0;

	/* Among GPUs the fastest copy mode wins; below them the first that works does. */
	for (unsigned int i = 0; i < nb; i++) {
		const struct ocl_found *f = &list[order[i]];

		if (best >= 0 && (!any || !(f->type & CL_DEVICE_TYPE_GPU)))
			break;
		works[i] = ocl_probe(f, cfg, &mode[i], err) == 0;
		if (!works[i]) {
			if (!any)
				return NULL; /* he asked for this one: do not take another silently */
			if (cfg->log != NULL)
				cfg->log(LOG_WARNING, "%s", err->text);
			continue;
		}
		if (best < 0 || mode[i] > mode[best])
			best = (int)i;
	}
	if (best < 0)
		return NULL;
	dev = ocl_device_make(&list[order[best]], cfg, mode[best], err);
	if (dev == NULL)
		return NULL;
	if (nb > 1 && !any)
		OCL_LOG(dev, LOG_NOTICE, "'%s' matches %u OpenCL devices, taking the first, %u:%u",
			cfg->device, nb, list[order[best]].p, list[order[best]].d);
	OCL_LOG(dev, LOG_INFO,
		"OpenCL device %u:%u '%s' of '%s' (driver %s): copy mode %s, zero copy %s",
		list[order[best]].p, list[order[best]].d, dev->info.device, dev->info.platform,
		dev->info.driver, ocl_mode_name(dev->mode),
		dev->mode == APIR_COPY_STAGED ? "no" : "yes");
	return dev;
}

struct exec_dev *
ocl_open(const struct exec_config *cfg, struct exec_err *err)
{
	struct exec_err own = {""};
	struct exec_dev *dev = NULL;
	struct ocl_found *list;
	unsigned int *order;
	unsigned int nb, found;

	if (err == NULL)
		err = &own;
	nb = ocl_find_all(&list, err);
	if (nb == 0)
		return NULL;
	order = calloc(nb, sizeof(*order));
	if (order == NULL) {
		exec_err_set(err, APIR_S_NOMEM, "out of memory opening an OpenCL device");
		goto out;
	}
	found = ocl_find_match(list, nb, cfg->device, order, err);
	if (found > 0)
		dev = open_first(list, order, found, cfg, err);
out:
	free(order);
	free(list);
	return dev;
}

void
ocl_close(struct exec_dev *dev)
{
	if (dev == NULL)
		return;
	if (dev->warm != NULL)
		ocl_queue_destroy(dev->warm);
	ocl_session_clear(&dev->warm_session);
	while (!TAILQ_EMPTY(&dev->sessions))
		ocl_session_free(dev, TAILQ_FIRST(&dev->sessions));
	if (dev->warm_mem != NULL)
		munmap(dev->warm_mem, dev->warm_size);
	if (dev->ctl != NULL)
		clReleaseCommandQueue(dev->ctl);
	if (dev->ctx != NULL)
		clReleaseContext(dev->ctx);
	free(dev->cache_dir);
	free(dev);
}

void
ocl_info(struct exec_dev *dev, struct exec_info *info)
{
	*info = dev->info;
	info->used_mem = atomic_load_explicit(&dev->used_mem, memory_order_relaxed);
}
