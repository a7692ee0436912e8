/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "librte_app.h"

static const char two_kernels[] = "__kernel void add(APIR_BURST, const uint n, __global const uint "
				  "*table, __local uint *tmp)\n"
				  "{\n"
				  "	const uint i = apir_index();\n"
				  "	if (i >= apir_count()) return;\n"
				  "	tmp[0] = table[1];\n"
				  "	apir_data(i)[0] += n + table[1];\n"
				  "}\n"
				  "__kernel void stamp(APIR_BURST, const uchar v)\n"
				  "{\n"
				  "	const uint i = apir_index();\n"
				  "	if (i < apir_count()) apir_data(i)[1] = v;\n"
				  "}\n"
				  "__kernel void foreign(__global uint *p) { *p = 1; }\n";

static void
test_info(void **state)
{
	const struct rte_apir_conf conf = {.nb_queue_pairs = 2,
					   .nb_bursts = 8,
					   .max_burst = 64,
					   .max_segs = 100,
					   .name = "info test"};
	const uint16_t dev = app_open(&conf);
	struct rte_apir_info info;

	(void)state;
	assert_ok(rte_apir_info_get(dev, &info));
	assert_true(info.platform[0] != '\0' && info.device[0] != '\0' && info.driver[0] != '\0');
	assert_string_equal(info.executor, "opencl");
	assert_true(info.zero_copy);
	assert_string_equal(info.copy_mode, "raw");
	assert_true(info.compute_units >= 1 && info.max_work_group >= 1 && info.local_mem >= 1024);
	assert_true(info.max_device_memory > 0);
	assert_int_equal(info.nb_queue_pairs, 2);
	assert_int_equal(info.nb_bursts, 8);
	assert_int_equal(info.max_burst, 64);
	assert_int_equal(info.max_segs, 100);
	assert_int_equal(info.version >> 16, 1);
	app_close(dev);
}

static void
test_program(void **state)
{
	const uint16_t dev = app_open(NULL);
	uint32_t program = 0, other = 0;
	char *log = NULL;

	(void)state;
	assert_ok(rte_apir_program_create(dev, two_kernels, strlen(two_kernels), NULL, &program,
					  &log));
	assert_int_not_equal(program, 0);
	assert_non_null(log);
	free(log);
	/* no NUL is needed behind the source, and options reach the compiler */
	assert_ok(rte_apir_program_create(dev, "constant int x = N;garbage", 19, "-DN=3", &other,
					  NULL));
	assert_ok(rte_apir_program_destroy(dev, other));
	assert_fails(rte_apir_program_destroy(dev, other), ENOENT, "program");
	assert_ok(rte_apir_program_destroy(dev, program));
	app_close(dev);
}

static void
test_build_log(void **state)
{
	static const char bad[] = "__kernel void k(APIR_BURST) { undeclared_thing = 1; }\n";
	const uint16_t dev = app_open(NULL);
	uint32_t program = 77;
	char *log = NULL, *many;
	unsigned int i;
	size_t len = 0;

	(void)state;
	assert_fails(rte_apir_program_create(dev, bad, strlen(bad), NULL, &program, &log), ENOEXEC,
		     "undeclared_thing");
	assert_non_null(log);
	assert_non_null(strstr(log, "undeclared_thing"));
	free(log);
	/* without a place for the log the text names the error all the same */
	assert_fails(rte_apir_program_create(dev, bad, strlen(bad), NULL, &program, NULL), ENOEXEC,
		     "undeclared_thing");
	assert_int_equal(program, 77);
	/*
	 * a log of many lines comes whole: the compiler stops after some errors, but not after
	 * warnings
	 */
	many = malloc(400000);
	assert_non_null(many);
	for (i = 0; i < 2000; i++)
		len += (size_t)sprintf(many + len, "void f%u(void) { int unused_%u = 0; 7; }\n", i,
				       i);
	len += (size_t)sprintf(many + len, "void g(void) { the_end = 1; }\n");
	assert_fails(rte_apir_program_create(dev, many, len, NULL, &program, &log), ENOEXEC,
		     "the_end");
	assert_non_null(strstr(log, "the_end"));
	assert_true(strlen(log) > 100000);
	free(log);
	free(many);
	app_close(dev);
}

static void
test_source_size(void **state)
{
	static const char kernel[] = "\n__kernel void k(APIR_BURST) {}\n";
	const size_t sizes[] = {1000, 9000, 70000, 500000};
	const uint16_t dev = app_open(NULL);
	uint32_t program, k;
	unsigned int i;
	char *text;

	(void)state;
	/* inline, and named in shared memory */
	for (i = 0; i < RTE_DIM(sizes); i++) {
		text = malloc(sizes[i]);
		assert_non_null(text);
		memset(text, ' ', sizes[i]);
		memcpy(text + sizes[i] - strlen(kernel), kernel, strlen(kernel));
		assert_ok(rte_apir_program_create(dev, text, sizes[i], NULL, &program, NULL));
		assert_ok(rte_apir_kernel_create(dev, program, "k", &k, NULL));
		assert_ok(rte_apir_kernel_destroy(dev, k));
		assert_ok(rte_apir_program_destroy(dev, program));
		free(text);
	}
	assert_fails(rte_apir_program_create(dev, kernel, (size_t)1 << 30, NULL, &program, NULL),
		     E2BIG, "1073741824");
	app_close(dev);
}

static void
test_kernel(void **state)
{
	const uint16_t dev = app_open(NULL);
	uint32_t program, k, nb_args = 99;

	(void)state;
	assert_ok(rte_apir_program_create(dev, two_kernels, strlen(two_kernels), NULL, &program,
					  NULL));
	assert_ok(rte_apir_kernel_create(dev, program, "add", &k, &nb_args));
	assert_int_equal(nb_args, 3);
	assert_ok(rte_apir_kernel_destroy(dev, k));
	assert_fails(rte_apir_kernel_destroy(dev, k), ENOENT, "kernel");
	/* the text lists what there is */
	assert_fails(rte_apir_kernel_create(dev, program, "nothing", &k, NULL), ENOENT, "stamp");
	assert_fails(rte_apir_kernel_create(dev, program, "foreign", &k, NULL), EINVAL,
		     "APIR_BURST");
	assert_fails(rte_apir_kernel_create(dev, program + 1000, "add", &k, NULL), ENOENT,
		     "kernel");
	assert_ok(rte_apir_program_destroy(dev, program));
	app_close(dev);
}

static void
test_arguments(void **state)
{
	const uint16_t dev = app_open(NULL);
	const uint32_t k = app_kernel(dev, two_kernels, "add");
	const struct rte_apir_stage stage = {.kernel = k};
	uint32_t n = 1, buffer, p;
	uint64_t wide = 1;

	(void)state;
	assert_ok(rte_apir_buffer_create(dev, 64, &buffer));
	assert_fails(rte_apir_pipeline_create(dev, &stage, 1, &p), ENOMSG, "add");
	assert_fails(rte_apir_kernel_set_value(dev, k, 0, &wide, sizeof(wide)), EINVAL,
		     "argument 0");
	assert_fails(rte_apir_kernel_set_value(dev, k, 3, &n, sizeof(n)), EINVAL, "argument 3");
	assert_fails(rte_apir_kernel_set_value(dev, k, UINT32_MAX, &n, sizeof(n)), EINVAL,
		     "argument");
	assert_fails(rte_apir_kernel_set_value(dev, k + 999, 0, &n, sizeof(n)), ENOENT, "kernel");
	assert_fails(rte_apir_kernel_set_buffer(dev, k, 1, buffer + 999), ENOENT, "argument 1");
	assert_fails(rte_apir_kernel_set_buffer(dev, k, 0, buffer), EINVAL, "argument 0");
	assert_fails(rte_apir_kernel_set_local(dev, k, 0, 64), EINVAL, "argument 0");
	assert_ok(rte_apir_kernel_set_value(dev, k, 0, &n, sizeof(n)));
	assert_ok(rte_apir_kernel_set_buffer(dev, k, 1, buffer));
	/* the text says which one is missing */
	assert_fails(rte_apir_pipeline_create(dev, &stage, 1, &p), ENOMSG, "2");
	assert_ok(rte_apir_kernel_set_local(dev, k, 2, 64));
	assert_ok(rte_apir_pipeline_create(dev, &stage, 1, &p));
	assert_ok(rte_apir_pipeline_destroy(dev, p));
	assert_fails(rte_apir_pipeline_destroy(dev, p), ENOENT, "pipeline");
	app_close(dev);
}

static void
test_pipeline(void **state)
{
	const uint16_t dev = app_open(NULL);
	struct rte_apir_stage stages[RTE_APIR_MAX_STAGES] = {{0}};
	const uint32_t k = app_kernel(dev, two_kernels, "stamp");
	const uint8_t v = 3;
	uint32_t p;
	unsigned int i;

	(void)state;
	assert_ok(rte_apir_kernel_set_value(dev, k, 0, &v, 1));
	for (i = 0; i < RTE_APIR_MAX_STAGES; i++)
		stages[i].kernel = k;
	assert_ok(rte_apir_pipeline_create(dev, stages, RTE_APIR_MAX_STAGES, &p));
	assert_ok(rte_apir_pipeline_destroy(dev, p));
	stages[RTE_APIR_MAX_STAGES - 1].kernel = k + 999;
	assert_fails(rte_apir_pipeline_create(dev, stages, RTE_APIR_MAX_STAGES, &p), ENOENT,
		     "pipeline");
	stages[0].local_size = 1u << 30;
	assert_fails(rte_apir_pipeline_create(dev, stages, 1, &p), EINVAL, "pipeline");
	/* pipeline 0 is there without being made, and stays */
	assert_fails(rte_apir_pipeline_destroy(dev, RTE_APIR_PIPELINE_LOOPBACK), ENOENT,
		     "pipeline");
	app_close(dev);
}

/* A pipeline keeps what it was made of: values, buffers, kernels. */
static void
test_snapshot(void **state)
{
	const uint16_t dev = app_open(NULL);
	const uint32_t k = app_kernel(dev, two_kernels, "add");
	const uint32_t table[2] = {0, 100}, other[2] = {0, 50};
	uint32_t n = 1, a, b, old, new;
	struct rte_mbuf *m;

	(void)state;
	assert_ok(rte_apir_buffer_create(dev, sizeof(table), &a));
	assert_ok(rte_apir_buffer_create(dev, sizeof(table), &b));
	assert_ok(rte_apir_buffer_write(dev, a, 0, table, sizeof(table)));
	assert_ok(rte_apir_buffer_write(dev, b, 0, other, sizeof(other)));
	assert_ok(rte_apir_kernel_set_value(dev, k, 0, &n, sizeof(n)));
	assert_ok(rte_apir_kernel_set_buffer(dev, k, 1, a));
	assert_ok(rte_apir_kernel_set_local(dev, k, 2, 64));
	old = app_pipeline(dev, k, RTE_APIR_LAUNCH_ITEM);
	n = 2;
	assert_ok(rte_apir_kernel_set_value(dev, k, 0, &n, sizeof(n)));
	assert_ok(rte_apir_kernel_set_buffer(dev, k, 1, b));
	new = app_pipeline(dev, k, RTE_APIR_LAUNCH_ITEM);
	assert_int_not_equal(old, new);
	assert_ok(rte_apir_buffer_destroy(dev, a));
	assert_ok(rte_apir_buffer_destroy(dev, b));
	assert_ok(rte_apir_kernel_destroy(dev, k));

	app_packets(app_pool, &m, 1, 60);
	app_round(dev, old, &m, NULL, 1);
	assert_int_equal(*rte_pktmbuf_mtod(m, uint8_t *), 101);
	app_round(dev, new, &m, NULL, 1);
	assert_int_equal(*rte_pktmbuf_mtod(m, uint8_t *), 153);
	rte_pktmbuf_free(m);
	app_close(dev);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_info),	  cmocka_unit_test(test_program),
	cmocka_unit_test(test_build_log), cmocka_unit_test(test_source_size),
	cmocka_unit_test(test_kernel),	  cmocka_unit_test(test_arguments),
	cmocka_unit_test(test_pipeline),  cmocka_unit_test(test_snapshot),
};
const struct app_group group_objects = {"objects", tests, RTE_DIM(tests)};
