/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Which copy mode works is found by running a kernel, in a context of its own that a fault may spoil. */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exec_probe.h"
#include "opencl.h"

static bool
mode_works(const struct ocl_found *f, const struct exec_config *cfg, enum apir_copy_mode mode,
	   struct exec_err *err)
{
	struct exec_config quiet = *cfg;
	struct exec_dev *dev;
	bool ok;

	/* A failure is an answer here, nothing for the log; and the probe needs little memory whatever the guest may have. */
	quiet.log = NULL;
	quiet.max_pkts = PROBE_PKTS;
	quiet.max_segs = PROBE_PKTS;
	quiet.max_device_memory = 0;
	dev = ocl_device_make(f, &quiet, mode, err);
	ok = dev != NULL && exec_probe(&exec_opencl_ops, dev, err);
	ocl_close(dev);
	return ok;
}

/* Addresses of the host mean something to the device: else the probe itself would fault, on a GPU with noise in its log. */
static bool
may_take_addresses(const struct ocl_found *f)
{
	cl_device_svm_capabilities svm = 0;
	char version[64];

	if ((f->type & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR)) == 0)
		return true;
	ocl_device_string(f->id, CL_DEVICE_VERSION, version, sizeof(version));
	if (strncmp(version, "OpenCL 1.", 9) == 0 ||
	    clGetDeviceInfo(f->id, CL_DEVICE_SVM_CAPABILITIES, sizeof(svm), &svm, NULL) !=
		    CL_SUCCESS)
		return false;
	return (svm & CL_DEVICE_SVM_FINE_GRAIN_SYSTEM) != 0;
}

int
ocl_probe(const struct ocl_found *f, const struct exec_config *cfg, enum apir_copy_mode *mode,
	  struct exec_err *err)
{
	static const enum apir_copy_mode fastest_first[] = {APIR_COPY_NONE_RAW, APIR_COPY_NONE_BASE,
							    APIR_COPY_STAGED};
	const char *want = cfg->copy_mode;
	bool any = want == NULL || want[0] == '\0' || strcasecmp(want, "auto") == 0, known = any;
	struct exec_err why = {"the device takes no addresses of host memory"};

	for (unsigned int i = 0; i < 3; i++) {
		const char *name = ocl_mode_name(fastest_first[i]);

		if (!any && strcasecmp(want, name) != 0)
			continue;
		known = true;
		if (fastest_first[i] == APIR_COPY_NONE_RAW && !may_take_addresses(f))
			continue;
		if (mode_works(f, cfg, fastest_first[i], &why)) {
			*mode = fastest_first[i];
			return 0;
		}
	}
	if (!known)
		exec_err_set(err, APIR_S_INVAL,
			     "copy mode '%s' is unknown: it is auto, raw, base or staged", want);
	else if (any)
		exec_err_set(err, APIR_S_DEVICE,
			     "OpenCL device %u:%u '%s' does not work in any copy mode: %.800s",
			     f->p, f->d, f->name, why.text);
	else
		exec_err_set(err, APIR_S_UNSUPPORTED,
			     "copy mode '%s' does not work on OpenCL device %u:%u '%s': %.700s; "
			     "use auto",
			     want, f->p, f->d, f->name, why.text);
	return -1;
}
