/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Which device a text means, what is listed, and what is said when there is none. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl.h"
#include "util.h"

static struct exec_err err;

/* A machine with two GPUs, an accelerator, PoCL and another CPU platform. */
static const struct ocl_found machine[] = {
	{.p = 0,
	 .d = 0,
	 .type = CL_DEVICE_TYPE_CPU,
	 .usable = true,
	 .platform_name = "Other CPU",
	 .name = "Xeon"},
	{.p = 1,
	 .d = 0,
	 .type = CL_DEVICE_TYPE_CPU,
	 .usable = true,
	 .platform_name = "Portable Computing Language",
	 .name = "pthread-x"},
	{.p = 1,
	 .d = 1,
	 .type = CL_DEVICE_TYPE_CPU,
	 .usable = true,
	 .platform_name = "Portable Computing Language",
	 .name = "basic-x"},
	{.p = 2,
	 .d = 0,
	 .type = CL_DEVICE_TYPE_ACCELERATOR,
	 .usable = true,
	 .platform_name = "FPGA Inc",
	 .name = "Board"},
	{.p = 3,
	 .d = 0,
	 .type = CL_DEVICE_TYPE_GPU,
	 .usable = false,
	 .unusable = "no compiler",
	 .platform_name = "GPU Corp",
	 .name = "GPU Zero"},
	{.p = 3,
	 .d = 1,
	 .type = CL_DEVICE_TYPE_GPU,
	 .usable = true,
	 .platform_name = "GPU Corp",
	 .name = "GPU One"},
	{.p = 3,
	 .d = 12,
	 .type = CL_DEVICE_TYPE_GPU,
	 .usable = true,
	 .platform_name = "GPU Corp",
	 .name = "GPU Two"},
};
#define NB (sizeof(machine) / sizeof(machine[0]))

static void
matches(const char *text, unsigned int nb, const unsigned int *want)
{
	unsigned int order[NB], found;

	err.text[0] = '\0';
	found = ocl_find_match(machine, NB, text, order, &err);
	assert_int_equal(found, nb);
	for (unsigned int i = 0; i < nb; i++)
		assert_int_equal(order[i], want[i]);
}
#define MATCHES(text, ...)                                              \
	do {                                                            \
		const unsigned int want_[] = {__VA_ARGS__};             \
		matches(text, sizeof(want_) / sizeof(want_[0]), want_); \
	} while (0)

static void
test_match(void **state)
{
	(void)state;
	MATCHES("auto", 5, 6, 3, 2, 0, 1);
	MATCHES("AUTO", 5, 6, 3, 2, 0, 1);
	MATCHES(NULL, 5, 6, 3, 2, 0, 1);
	MATCHES("", 5, 6, 3, 2, 0, 1);
	MATCHES("1:1", 2);
	MATCHES("3:12", 6);
	MATCHES("basic", 2);
	MATCHES("BASIC", 2);
	MATCHES("portable", 1, 2);
	MATCHES("gpu", 5, 6);
	MATCHES("xeon", 0);
}

/* PoCL 4 renamed its devices: the old names still find them. */
static void
test_renamed(void **state)
{
	static const struct ocl_found later[] = {
		{.usable = true,
		 .platform_name = "Portable Computing Language",
		 .name = "cpu-minimal-x"},
		{.d = 1,
		 .usable = true,
		 .platform_name = "Portable Computing Language",
		 .name = "cpu-x"},
	};
	unsigned int order[2];

	(void)state;
	assert_true(ocl_found_is_basic(&later[0]));
	assert_false(ocl_found_is_basic(&later[1]));
	assert_int_equal(ocl_find_match(later, 2, "basic", order, &err), 1);
	assert_int_equal(order[0], 0);
	assert_int_equal(ocl_find_match(later, 2, "pthread", order, &err), 1);
	assert_int_equal(order[0], 1);
}

static void
test_no_match(void **state)
{
	(void)state;
	matches("nvidia", 0, NULL);
	assert_text(err.text, "no OpenCL device matches 'nvidia'");
	/* It lists all there are, by index and name. */
	assert_text(err.text, "0:0 'Xeon' of 'Other CPU'");
	assert_text(err.text, "1:1 'basic-x' of 'Portable Computing Language'");
	assert_text(err.text, "3:0 'GPU Zero' of 'GPU Corp' (no compiler)");
	assert_text(err.text, "3:12 'GPU Two'");
	matches("9:9", 0, NULL);
	matches("1:", 0, NULL);
	matches("1:1x", 0, NULL);
	matches("3:0", 0, NULL);
	assert_text(err.text, "'3:0' cannot be used: no compiler");
}

static void
test_list(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int nb;

	(void)state;
	nb = exec_opencl_ops.list(f);
	fclose(f);
	assert_true(nb >= 2);
	assert_text(text, "0:0  ");
	assert_text(text, "basic");
	assert_text(text, "pthread");
	assert_text(text, "Portable Computing Language");
	free(text);
}

static void
test_open(void **state)
{
	struct exec_config cfg = t_config("no such device", "auto");
	struct exec_info info;
	struct exec_dev *dev;

	(void)state;
	assert_null(exec_opencl_ops.open(&cfg, &err));
	assert_text(err.text, "no OpenCL device matches 'no such device'; there are: 0:0 '");
	assert_null(exec_opencl_ops.open(&cfg, NULL));

	cfg = t_config("basic", "fast");
	assert_null(exec_opencl_ops.open(&cfg, &err));
	assert_text(err.text, "copy mode 'fast' is unknown: it is auto, raw, base or staged");

	/* Two match: the first is taken, and the log says so. */
	cfg = t_config("portable computing", "auto");
	t_log_text[0] = '\0';
	dev = exec_opencl_ops.open(&cfg, &err);
	assert_non_null(dev);
	exec_opencl_ops.info(dev, &info);
	assert_int_equal(strncmp(info.device, "basic", 5), 0);
	assert_true(info.synchronous);
	assert_int_equal(info.copy_mode, APIR_COPY_NONE_RAW);
	assert_text(t_log_text, "matches 2 OpenCL devices, taking the first");
	assert_text(t_log_text, "copy mode raw, zero copy yes");
	exec_opencl_ops.close(dev);

	cfg = t_config("0:1", "staged");
	t_log_text[0] = '\0';
	dev = exec_opencl_ops.open(&cfg, &err);
	assert_non_null(dev);
	exec_opencl_ops.info(dev, &info);
	assert_int_equal(strncmp(info.device, "pthread", 7), 0);
	assert_false(info.synchronous);
	assert_text(t_log_text, "zero copy no");
	exec_opencl_ops.close(dev);
}

/* This test runs in a process whose OpenCL loader finds no driver. */
static void
test_no_platform(void **state)
{
	struct exec_config cfg = t_config("auto", "auto");
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_null(exec_opencl_ops.open(&cfg, &err));
	assert_text(err.text, "install pocl-opencl-icd");
	assert_int_equal(exec_opencl_ops.list(f), 0);
	fclose(f);
	assert_text(text, "install pocl-opencl-icd");
	free(text);
}

/* oclgrind's device takes no raw addresses, but works in place on buffers over host memory. */
static void
test_oclgrind(void **state)
{
	struct exec_config cfg = t_config("oclgrind", "raw");
	struct exec_info info;
	struct exec_dev *dev;

	(void)state;
	assert_null(exec_opencl_ops.open(&cfg, &err));
	assert_text(err.text, "copy mode 'raw' does not work on OpenCL device 0:0");
	assert_text(err.text, "takes no addresses of host memory; use auto");
	cfg.copy_mode = "auto";
	dev = exec_opencl_ops.open(&cfg, &err);
	assert_non_null(dev);
	exec_opencl_ops.info(dev, &info);
	assert_int_equal(info.copy_mode, APIR_COPY_NONE_BASE);
	exec_opencl_ops.close(dev);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),	 cmocka_unit_test(test_renamed),
		cmocka_unit_test(test_no_match), cmocka_unit_test(test_list),
		cmocka_unit_test(test_open),
	};
	const struct CMUnitTest none[] = {cmocka_unit_test(test_no_platform)};
	const struct CMUnitTest oclgrind[] = {cmocka_unit_test(test_oclgrind)};

	if (argc == 2 && strcmp(argv[1], "none") == 0)
		return cmocka_run_group_tests(none, NULL, NULL);
	if (argc == 2 && strcmp(argv[1], "oclgrind") == 0)
		return cmocka_run_group_tests(oclgrind, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
