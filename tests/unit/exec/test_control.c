/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* What goes wrong with programs, kernels, arguments, buffers and pipelines: refused, with a text that says what and how to mend it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define QUOTA (1u << 20)

static const char *mode, *device;
static struct t_env env;
static struct exec_program *prog;
static struct exec_err err;

/* Build and expect a failure: the program (NULL if there is none) and its log. */
static struct exec_program *
refused(const char *source, size_t len, const char *options, enum apir_status expected,
	const char **log)
{
	struct exec_program *p = NULL;
	bool cached = true;

	err.text[0] = '\0';
	assert_status(
		expected,
		env.ops->program_create(env.dev, source, len, options, &p, log, &cached, &err),
		err);
	assert_false(cached);
	return p;
}

static void
test_build_log(void **state)
{
	static const char source[] = "__kernel void a(APIR_BURST)\n"
				     "{\n"
				     "	apir_drop(apir_index(), no_such_name);\n"
				     "}\n";
	struct exec_kernel *k;
	struct exec_program *p;
	const char *log;
	uint32_t nb;

	(void)state;
	p = refused(source, sizeof(source) - 1, "", APIR_S_BUILD, &log);
	assert_non_null(p);
	assert_text(err.text, "build log");
	/* The line is the user's, not counted from our headers. */
	assert_text(log, "kernel.cl:3:");
	assert_text(log, "no_such_name");
	assert_status(APIR_S_BUILD, env.ops->kernel_create(p, "a", &k, &nb, &err), err);
	assert_text(err.text, "did not build");
	env.ops->program_destroy(p);
}

static void
test_long_build_log(void **state)
{
	/* An error a line, in more lines than any fixed buffer has room for. */
	const unsigned int lines = 400;
	char *source = calloc(1, lines * 100), *at = source;
	struct exec_program *p;
	const char *log;

	(void)state;
	for (unsigned int i = 0; i < lines; i++)
		at += sprintf(at, "#warning apir test line %u, padded so that it is long enough\n",
			      i);
	sprintf(at, "#error the end\n__kernel void a(APIR_BURST) {}\n");
	p = refused(source, strlen(source), "", APIR_S_BUILD, &log);
	assert_text(log, "the end");
	assert_text(log, "line 0,");
	assert_text(log, "line 399,");
	assert_true(strlen(log) > 20000);
	env.ops->program_destroy(p);
	free(source);
}

static void
test_not_a_program(void **state)
{
	static const char elf[] = "\177ELF\2\1\1\0\0\0\0\0";
	const char *log;

	(void)state;
	assert_null(refused("", 0, "", APIR_S_INVAL, &log));
	assert_text(err.text, "empty");
	assert_null(refused(" \n\t\n", 4, "", APIR_S_INVAL, &log));
	assert_text(err.text, "empty");
	assert_null(refused("\0\0", 2, "", APIR_S_INVAL, &log));
	assert_text(err.text, "empty");
	assert_null(refused(elf, sizeof(elf), "", APIR_S_INVAL, &log));
	assert_text(err.text, "not a text");
	assert_null(refused("int a;\n#include \"/etc/hostname\"\n", 31, "", APIR_S_INVAL, &log));
	assert_text(err.text, "kernel.cl:2: #include");
	assert_null(refused("int a;", 6, "-I/etc", APIR_S_INVAL, &log));
	assert_text(err.text, "'-I/etc'");
}

static void
test_options(void **state)
{
	static const char source[] = "__kernel void a(APIR_BURST)\n"
				     "{\n"
				     "	if (apir_index() < apir_count())\n"
				     "		apir_forward_meta(apir_index(), 0, NUMBER);\n"
				     "}\n";
	struct exec_program *p = NULL;
	struct exec_pipeline *pipe;
	struct exec_kernel *k;
	const char *log;
	bool cached;

	(void)state;
	assert_status(APIR_S_OK,
		      env.ops->program_create(env.dev, source, sizeof(source), "-D NUMBER=4321 -w",
					      &p, &log, &cached, &err),
		      err);
	k = t_kernel(&env, p, "a", 0);
	pipe = t_pipeline(&env, k, false, 0);
	t_run_ok(&env, pipe, t_burst(&env, 1, 64));
	assert_int_equal(env.verdicts[0].meta, 4321);
	env.ops->pipeline_destroy(pipe);
	env.ops->kernel_destroy(k);
	env.ops->program_destroy(p);
}

static void
test_kernel_names(void **state)
{
	struct exec_kernel *k = NULL;
	struct exec_program *empty;
	uint32_t nb;

	(void)state;
	assert_status(APIR_S_NOENT, env.ops->kernel_create(prog, "nothing", &k, &nb, &err), err);
	assert_null(k);
	assert_text(err.text, "no kernel 'nothing'");
	assert_text(err.text, "facts");
	assert_text(err.text, "tally");
	assert_status(APIR_S_INVAL, env.ops->kernel_create(prog, "no_burst", &k, &nb, &err), err);
	assert_null(k);
	assert_text(err.text, "no_burst");
	assert_text(err.text, "first parameter must be APIR_BURST");
	/* A function is no kernel. */
	assert_status(APIR_S_NOENT, env.ops->kernel_create(prog, "first_byte", &k, &nb, &err), err);
	empty = t_program(&env, "static int nothing(int a) { return a; }\n");
	assert_status(APIR_S_NOENT, env.ops->kernel_create(empty, "a", &k, &nb, &err), err);
	assert_text(err.text, "no kernel at all");
	env.ops->program_destroy(empty);
}

static void
test_arguments(void **state)
{
	struct exec_kernel *k = t_kernel(&env, prog, "kinds", 5);
	struct exec_buffer *buf;
	const uint8_t bytes[64] = {0};

	(void)state;
	assert_status(APIR_S_OK, env.ops->buffer_create(env.dev, 64, &buf, &err), err);
#define REFUSED(index, value, size, buffer, part)                                                 \
	do {                                                                                      \
		assert_status(APIR_S_INVAL,                                                       \
			      env.ops->kernel_set_arg(k, index, value, size, buffer, &err), err); \
		assert_text(err.text, "'kinds'");                                                 \
		assert_text(err.text, part);                                                      \
	} while (0)
	REFUSED(5, bytes, 4, NULL, "5 arguments after APIR_BURST, there is no argument 5");
	REFUSED(UINT32_MAX, bytes, 4, NULL, "there is no argument 4294967295");
	REFUSED(0, bytes, 2, NULL,
		"argument 0, 'uint value': a value of 2 bytes is given, it needs 4");
	REFUSED(0, bytes, 8, NULL, "it needs 4");
	REFUSED(0, NULL, 0, buf, "a device buffer is given, it needs a value");
	REFUSED(0, NULL, 4, NULL, "local memory is given, it needs a value");
	REFUSED(1, bytes, 8, NULL,
		"argument 1, 'uint* buffer': a value is given, it needs a device buffer");
	REFUSED(1, NULL, 64, NULL, "it needs a device buffer");
	REFUSED(2, bytes, 4, NULL,
		"argument 2, 'uint* local_words': a value is given, it needs a size of local");
	REFUSED(2, NULL, 0, buf, "it needs a size of local memory");
	REFUSED(2, NULL, 0, NULL, "0 bytes of local memory");
	REFUSED(2, NULL, 1u << 30, NULL, "bytes of local memory; 1 to");
	REFUSED(3, bytes, 12, NULL,
		"argument 3, 'float4 vector': a value of 12 bytes is given, it needs 16");
	REFUSED(4, bytes, 0, NULL, "argument 4, 'struct pair p': a value of 0 bytes");
#undef REFUSED
	env.ops->buffer_destroy(buf);
	env.ops->kernel_destroy(k);
}

static void
test_pipelines(void **state)
{
	struct exec_kernel *kinds = t_kernel(&env, prog, "kinds", 5);
	struct exec_kernel *facts = t_kernel(&env, prog, "facts", 0);
	struct exec_kernel *fours = t_kernel(&env, prog, "fours", 0);
	struct exec_kernel *two = t_kernel(&env, prog, "two_dimensions", 0);
	struct exec_program *large =
		t_program(&env, "__kernel __attribute__((reqd_work_group_size(1000000, 1, 1)))\n"
				"void million(APIR_BURST) {}\n");
	struct exec_kernel *million = t_kernel(&env, large, "million", 0);
	struct exec_stage stages[17];
	struct exec_pipeline *p = NULL;
	struct exec_info info;

	(void)state;
	env.ops->info(env.dev, &info);
	for (unsigned int i = 0; i < 17; i++)
		stages[i] = (struct exec_stage){.kernel = facts};
#define REFUSED(nb, status, part)                                                              \
	do {                                                                                   \
		assert_status(status, env.ops->pipeline_create(env.dev, stages, nb, &p, &err), \
			      err);                                                            \
		assert_null(p);                                                                \
		assert_text(err.text, part);                                                   \
	} while (0)
	REFUSED(0, APIR_S_INVAL, "1 to 16");
	REFUSED(17, APIR_S_INVAL, "1 to 16");
	stages[1].kernel = kinds;
	REFUSED(2, APIR_S_NOARG,
		"stage 1, kernel 'kinds': argument 0, 'uint value', was never set");
	t_uint(&env, kinds, 0, 1);
	REFUSED(2, APIR_S_NOARG, "argument 1, 'uint* buffer', was never set");
	stages[1] = (struct exec_stage){.kernel = fours, .group = true, .local_size = 8};
	REFUSED(2, APIR_S_INVAL, "reqd_work_group_size is 4");
	stages[1] = (struct exec_stage){.kernel = two};
	REFUSED(2, APIR_S_INVAL, "more than one dimension");
	stages[1] = (struct exec_stage){.kernel = million};
	REFUSED(2, APIR_S_INVAL, "its reqd_work_group_size is 1000000, the device's largest is");
	stages[1] = (struct exec_stage){.kernel = facts, .local_size = info.max_work_group + 1};
	REFUSED(2, APIR_S_INVAL, "at most");
#undef REFUSED
	env.ops->kernel_destroy(kinds);
	env.ops->kernel_destroy(facts);
	env.ops->kernel_destroy(fours);
	env.ops->kernel_destroy(two);
	env.ops->kernel_destroy(million);
	env.ops->program_destroy(large);
}

static void
test_buffers(void **state)
{
	struct exec_buffer *b = NULL, *more = NULL;
	struct exec_info before, info;
	uint8_t bytes[16] = {1};

	(void)state;
	env.ops->info(env.dev, &before);
	assert_status(APIR_S_INVAL, env.ops->buffer_create(env.dev, 0, &b, &err), err);
	assert_status(APIR_S_NOMEM, env.ops->buffer_create(env.dev, UINT64_MAX, &b, &err), err);
	assert_null(b);
	assert_status(APIR_S_NOMEM, env.ops->buffer_create(env.dev, QUOTA + 1, &b, &err), err);
	assert_text(err.text, "--max-device-memory");
	assert_status(APIR_S_OK, env.ops->buffer_create(env.dev, 1000, &b, &err), err);
	env.ops->info(env.dev, &info);
	assert_int_equal(info.used_mem, before.used_mem + 1000);
	assert_status(APIR_S_NOMEM,
		      env.ops->buffer_create(env.dev, QUOTA - before.used_mem - 999, &more, &err),
		      err);
	assert_status(APIR_S_OK,
		      env.ops->buffer_create(env.dev, QUOTA - before.used_mem - 1000, &more, &err),
		      err);
	env.ops->buffer_destroy(more);
	assert_status(APIR_S_INVAL, env.ops->buffer_write(b, 1001, bytes, 0, &err), err);
	assert_status(APIR_S_INVAL, env.ops->buffer_write(b, 990, bytes, 11, &err), err);
	assert_text(err.text, "11 bytes at offset 990 of a buffer of 1000");
	assert_status(APIR_S_INVAL, env.ops->buffer_write(b, UINT64_MAX, bytes, 2, &err), err);
	assert_status(APIR_S_INVAL, env.ops->buffer_read(b, 2, bytes, UINT64_MAX - 1, &err), err);
	assert_status(APIR_S_OK, env.ops->buffer_write(b, 1000, bytes, 0, &err), err);
	assert_status(APIR_S_OK, env.ops->buffer_write(b, 984, bytes, 16, &err), err);
	env.ops->buffer_destroy(b);
	env.ops->info(env.dev, &info);
	assert_int_equal(info.used_mem, before.used_mem);
}

static void
test_regions(void **state)
{
	struct exec_region regions[9];

	(void)state;
	for (unsigned int i = 0; i < 9; i++)
		regions[i] = (struct exec_region){env.mem[0] + 4096 * i, 4096};
	if (strcmp(mode, "base") != 0)
		return;
	assert_status(APIR_S_LIMIT, env.ops->mem_set(env.dev, 99, regions, 9, &err), err);
	assert_text(err.text, "--single-file-segments");
	regions[1].size = UINT64_MAX / 2;
	assert_status(APIR_S_TOOBIG, env.ops->mem_set(env.dev, 99, regions, 2, &err), err);
	assert_text(err.text, "region 1");
}

static int
setup(void **state)
{
	struct exec_config cfg = t_config(device, mode);
	char *source;

	(void)state;
	cfg.max_device_memory = QUOTA;
	t_open(&env, &cfg);
	source = t_file(TEST_DIR, "kernels.cl");
	prog = t_program(&env, source);
	free(source);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (env.dev == NULL)
		return 0; /* setup failed */
	env.ops->program_destroy(prog);
	t_close(&env);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build_log),     cmocka_unit_test(test_long_build_log),
		cmocka_unit_test(test_not_a_program), cmocka_unit_test(test_options),
		cmocka_unit_test(test_kernel_names),  cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_pipelines),     cmocka_unit_test(test_buffers),
		cmocka_unit_test(test_regions),
	};

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: %s raw|base|staged [DEVICE]\n", argv[0]);
		return 2;
	}
	mode = argv[1];
	device = argc > 2 ? argv[2] : "basic";
	if (t_skip(device))
		return 77;
	return cmocka_run_group_tests(tests, setup, teardown);
}
