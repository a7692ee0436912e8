/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* NVIDIA's driver, found at run time. */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"

#define LIBRARY	    "libcuda.so.1"
#define MIN_VERSION 12000 /* the first with all the functions under these names */

static const struct {
	const char *symbol;
	size_t offset;
} functions[] = {
#define CUDA_ENTRY(name, symbol, params) {symbol, offsetof(struct cuda_api, name)},
	CUDA_FUNCTIONS(CUDA_ENTRY)
#undef CUDA_ENTRY
};

static void
set_environment(void)
{
	/* Read once by the driver. Streams that share a hardware queue wait for each other: 8 is the default, 32 the most. */
	setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
	/* Code goes to the GPU when a module is loaded, not in front of its first burst. */
	setenv("CUDA_MODULE_LOADING", "EAGER", 0);
}

static int
resolve(void *lib, struct cuda_api *cu, struct exec_err *err)
{
	for (unsigned int i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *f = dlsym(lib, functions[i].symbol);

		if (f == NULL) {
			exec_err_set(err, APIR_S_UNSUPPORTED,
				     "NVIDIA's driver is too old: " LIBRARY
				     " has no %s; version 525 or later is needed",
				     functions[i].symbol);
			return -1;
		}
		memcpy((char *)cu + functions[i].offset, &f, sizeof(f));
	}
	return 0;
}

const struct cuda_api *
cuda_api_load(struct exec_err *err)
{
	static struct cuda_api api;
	static void *lib;
	CUresult e;

	if (api.version != 0)
		return &api;
	set_environment();
	if (lib == NULL)
		lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL) {
		exec_err_set(err, APIR_S_NOENT,
			     "NVIDIA's driver is not installed or not in the library path: %s",
			     dlerror());
		return NULL;
	}
	if (resolve(lib, &api, err) != 0)
		return NULL;
	e = api.cuInit(0);
	if (e != CUDA_SUCCESS) {
		exec_err_set(err, APIR_S_DEVICE,
			     "NVIDIA's driver does not start: %s (is the kernel module loaded, "
			     "are /dev/nvidia* there and this user's?)",
			     cuda_strerror(&api, e));
		return NULL;
	}
	e = api.cuDriverGetVersion(&api.version);
	if (e != CUDA_SUCCESS || api.version < MIN_VERSION) {
		exec_err_set(err, APIR_S_UNSUPPORTED,
			     "NVIDIA's driver is too old: it has CUDA %d.%d, 12.0 or later is "
			     "needed (driver 525)",
			     api.version / 1000, api.version % 1000 / 10);
		api.version = 0;
		return NULL;
	}
	return &api;
}

const char *
cuda_strerror(const struct cuda_api *cu, CUresult e)
{
	static _Thread_local char text[256];
	const char *name = NULL, *what = NULL;

	cu->cuGetErrorName(e, &name);
	cu->cuGetErrorString(e, &what);
	if (name == NULL)
		snprintf(text, sizeof(text), "CUDA error %d", e);
	else
		snprintf(text, sizeof(text), "%s: %s", name, what != NULL ? what : "");
	return text;
}
