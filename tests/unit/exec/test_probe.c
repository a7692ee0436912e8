/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * The probe against a driver that, as NVIDIA's, keeps a copy of "host" buffers in device memory: PoCL with clCreateBuffer
 * wrapped so that a buffer over host memory becomes a copy of it.
 */

#include <string.h>

#include "opencl.h"
#include "util.h"

static bool copies; /* the driver makes copies now */
static unsigned int nb_copies;
static struct exec_err err;

cl_mem __real_clCreateBuffer(cl_context ctx, cl_mem_flags flags, size_t size, void *host,
			     cl_int *e);
cl_mem __wrap_clCreateBuffer(cl_context ctx, cl_mem_flags flags, size_t size, void *host,
			     cl_int *e);

cl_mem
__wrap_clCreateBuffer(cl_context ctx, cl_mem_flags flags, size_t size, void *host, cl_int *e)
{
	if (copies && (flags & CL_MEM_USE_HOST_PTR) != 0) {
		flags = (flags & ~(cl_mem_flags)CL_MEM_USE_HOST_PTR) | CL_MEM_COPY_HOST_PTR;
		nb_copies++;
	}
	return __real_clCreateBuffer(ctx, flags, size, host, e);
}

static void
test_in_place(void **state)
{
	struct exec_config cfg = t_config("basic", "base");
	struct exec_dev *dev;

	(void)state;
	copies = false;
	dev = exec_opencl_ops.open(&cfg, &err);
	assert_non_null(dev);
	exec_opencl_ops.close(dev);
}

static void
test_copies_are_found_out(void **state)
{
	struct exec_config cfg = t_config("basic", "base");
	struct exec_info info;
	struct exec_dev *dev;

	(void)state;
	copies = true;
	nb_copies = 0;
	assert_null(exec_opencl_ops.open(&cfg, &err));
	assert_true(nb_copies > 0);
	assert_text(err.text, "copy mode 'base' does not work on OpenCL device");
	assert_text(err.text, "does not come out right; use auto");

	/* Staging asks nothing of the driver but copies. */
	cfg.copy_mode = "staged";
	dev = exec_opencl_ops.open(&cfg, &err);
	assert_non_null(dev);
	exec_opencl_ops.info(dev, &info);
	assert_int_equal(info.copy_mode, APIR_COPY_STAGED);
	exec_opencl_ops.close(dev);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_copies_are_found_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
