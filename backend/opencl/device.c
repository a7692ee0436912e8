/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "opencl.h"

/* Of the same platform, but not basic; f itself if there is none. */
static const struct ocl_found *
parallel_one(const struct ocl_found *list, unsigned int nb, const struct ocl_found *f)
{
	for (unsigned int i = 0; ocl_found_is_basic(f) && i < nb; i++)
		if (list[i].platform == f->platform && list[i].usable &&
		    !ocl_found_is_basic(&list[i]))
			return &list[i];
	return f;
}

int
device_find(struct shared *sh, const char *text, bool any, char *why)
{
	struct exec_err err = {{0}};
	struct ocl_found *list;
	unsigned int order[1024], nb, major = 1, minor = 2;
	cl_bool unified = CL_FALSE;
	cl_uint bits = 0;
	char version[128];

	nb = ocl_find_all(&list, &err);
	if (nb > 0 && nb <= sizeof(order) / sizeof(order[0]) &&
	    ocl_find_match(list, nb, text, order, &err) > 0) {
		const struct ocl_found *f = &list[order[0]];

		if (any)
			f = parallel_one(list, nb, f);
		sh->platform = f->platform;
		sh->device = f->id;
	}
	free(list);
	if (sh->device == NULL) {
		snprintf(why, sizeof(err.text), "%s", err.text);
		return -1;
	}
	ocl_device_string(sh->device, CL_DEVICE_VERSION, version, sizeof(version));
	if (sscanf(version, "OpenCL %u.%u", &major, &minor) != 2)
		minor = 0;
	sh->version = major * 100 + minor * 10;
	clGetDeviceInfo(sh->device, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(unified), &unified, NULL);
	clGetDeviceInfo(sh->device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(bits), &bits, NULL);
	clGetDeviceInfo(sh->device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(sh->max_alloc),
			&sh->max_alloc, NULL);
	sh->unified = unified != CL_FALSE;
	sh->align = 64;
	while (sh->align < bits / 8 && sh->align < 4096)
		sh->align *= 2;
	return 0;
}

/*
 * Memory that the host's runtime has not allocated is no shared virtual memory to it, unless it takes any pointer: by its own
 * account, or as PoCL's CPU devices do.
 */
uint64_t
device_svm(const struct shared *sh)
{
	cl_device_svm_capabilities caps = 0;
	cl_device_type type = 0;
	char name[64] = "";

	if (!sh->unified || clGetDeviceInfo(sh->device, CL_DEVICE_SVM_CAPABILITIES, sizeof(caps),
					    &caps, NULL) != CL_SUCCESS)
		return 0;
	clGetDeviceInfo(sh->device, CL_DEVICE_TYPE, sizeof(type), &type, NULL);
	clGetPlatformInfo(sh->platform, CL_PLATFORM_NAME, sizeof(name) - 1, name, NULL);
	if ((caps & CL_DEVICE_SVM_FINE_GRAIN_SYSTEM) == 0 &&
	    ((type & CL_DEVICE_TYPE_CPU) == 0 || strcmp(name, "Portable Computing Language") != 0))
		return 0;
	return caps & (CL_DEVICE_SVM_COARSE_GRAIN_BUFFER | CL_DEVICE_SVM_FINE_GRAIN_BUFFER |
		       CL_DEVICE_SVM_ATOMICS);
}
