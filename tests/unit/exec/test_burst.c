/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * Bursts through real kernels on a real device, byte for byte. Arguments: device and copy mode; exit code 77 (skipped) if
 * the device is not there.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static const char *device, *mode;
static struct t_env env;
static struct exec_program *prog;

static uint8_t
pattern(unsigned int i, unsigned int b)
{
	return (uint8_t)(i * 31 + b * 3 + 1);
}

/* nb packets of len bytes, each with its pattern, and one byte after each that must stay. */
static void
fill(unsigned int nb, unsigned int len)
{
	for (unsigned int i = 0; i < nb; i++) {
		for (unsigned int b = 0; b < len; b++)
			t_packet(&env, i)[b] = pattern(i, b);
		t_packet(&env, i)[len] = 0xa5;
	}
}

static void
check_after(unsigned int nb, unsigned int len)
{
	for (unsigned int i = 0; i < nb; i++)
		assert_int_equal(t_packet(&env, i)[len], 0xa5);
}

static void
check_copied(const struct exec_burst *b, unsigned int bytes)
{
	struct exec_info info;

	env.ops->info(env.dev, &info);
	assert_int_equal(b->copied, info.copy_mode == APIR_COPY_STAGED ? 2 * bytes : 0);
}

static void
check_verdict(unsigned int i, unsigned int action, unsigned int port, unsigned int meta)
{
	assert_int_equal(env.verdicts[i].action, action);
	assert_int_equal(env.verdicts[i].port, port);
	assert_int_equal(env.verdicts[i].meta, meta);
}

static void
test_info(void **state)
{
	struct exec_info info;

	(void)state;
	env.ops->info(env.dev, &info);
	if (strcmp(mode, "raw") == 0)
		assert_int_equal(info.copy_mode, APIR_COPY_NONE_RAW);
	if (strcmp(mode, "base") == 0)
		assert_int_equal(info.copy_mode, APIR_COPY_NONE_BASE);
	if (strcmp(mode, "staged") == 0)
		assert_int_equal(info.copy_mode, APIR_COPY_STAGED);
	assert_true(strlen(info.platform) > 0 && strlen(info.device) > 0);
	assert_true(strlen(info.driver) > 0);
	assert_true(info.compute_units > 0 && info.max_work_group > 0 && info.global_mem > 0);
	assert_true(info.numa_node >= -1);
	if (strcmp(device, "basic") == 0)
		assert_true(info.synchronous);
}

static void
test_loopback(void **state)
{
	struct exec_burst *b;

	(void)state;
	fill(64, 60);
	b = t_run_ok(&env, NULL, t_burst(&env, 64, 60));
	assert_int_equal(b->copied, 0);
	for (unsigned int i = 0; i < 64; i++) {
		check_verdict(i, 0, 0, 0);
		for (unsigned int n = 0; n < 60; n++)
			assert_int_equal(t_packet(&env, i)[n], pattern(i, n));
	}
}

static void
test_facts(void **state)
{
	struct exec_kernel *k = t_kernel(&env, prog, "facts", 0);
	struct exec_pipeline *p = t_pipeline(&env, k, false, 0);
	/* Below, at and above a work-group, and the most. */
	static const unsigned int counts[] = {1, 2, 32, 63, 64, 65, T_PKTS};

	(void)state;
	fill(T_PKTS, 100);
	for (unsigned int c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		struct exec_burst *b = t_burst(&env, counts[c], 100);

		b->cookie = 5000 + c;
		b = t_run_ok(&env, p, b);
		check_copied(b, counts[c] * 100);
		for (unsigned int i = 0; i < counts[c]; i++)
			check_verdict(i, i & 1, pattern(i, 0) | 1 << 8, 100 + 5000 + c);
		/* Not a verdict more. */
		if (counts[c] < T_PKTS)
			assert_int_equal(env.verdicts[counts[c]].action, 0xeeee);
	}
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(k);
}

static void
test_add_every_byte(void **state)
{
	struct exec_kernel *k = t_kernel(&env, prog, "add", 1);
	struct exec_pipeline *p;

	(void)state;
	t_uint(&env, k, 0, 77);
	p = t_pipeline(&env, k, false, 0);
	fill(T_PKTS, 1500);
	check_copied(t_run_ok(&env, p, t_burst(&env, T_PKTS, 1500)), T_PKTS * 1500);
	for (unsigned int i = 0; i < T_PKTS; i++)
		for (unsigned int n = 0; n < 1500; n++)
			assert_int_equal(t_packet(&env, i)[n], (uint8_t)(pattern(i, n) + 77));
	check_after(T_PKTS, 1500);
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(k);
}

/* Packets of one to four segments, some of one byte, in both regions. */
static void
test_segments(void **state)
{
	struct exec_kernel *k = t_kernel(&env, prog, "add", 1);
	struct exec_pipeline *p;
	struct exec_burst *b;
	unsigned int extra = 0, bytes = 0;

	(void)state;
	t_uint(&env, k, 0, 200);
	p = t_pipeline(&env, k, false, 0);
	fill(T_PKTS, 2000);
	b = t_burst(&env, 40, 300);
	for (unsigned int i = 0; i < 40; i++) {
		b->pkts[i].nseg = 1 + i % 4;
		b->pkts[i].extra = extra;
		bytes += 300;
		for (unsigned int s = 1; s < b->pkts[i].nseg; s++) {
			/* Segments lie in packet slots that are no packet of this burst. */
			b->segs[extra].addr = (uintptr_t)t_packet(&env, 40 + extra);
			b->segs[extra].len = s == 2 ? 1 : 150 + i;
			bytes += b->segs[extra].len;
			extra++;
		}
	}
	b->nb_extra = extra;
	b = t_run_ok(&env, p, b);
	check_copied(b, bytes);
	extra = 0;
	for (unsigned int i = 0; i < 40; i++) {
		for (unsigned int n = 0; n < 2000; n++)
			assert_int_equal(t_packet(&env, i)[n],
					 (uint8_t)(pattern(i, n) + (n < 300 ? 200 : 0)));
		for (unsigned int s = 1; s < 1 + i % 4; s++, extra++) {
			unsigned int len = s == 2 ? 1 : 150 + i;

			for (unsigned int n = 0; n < 2000; n++)
				assert_int_equal(
					t_packet(&env, 40 + extra)[n],
					(uint8_t)(pattern(40 + extra, n) + (n < len ? 200 : 0)));
		}
	}
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(k);
}

static void
test_buffer_table(void **state)
{
	struct exec_kernel *k = t_kernel(&env, prog, "translate", 1);
	struct exec_err err = {""};
	struct exec_pipeline *p;
	struct exec_buffer *buf;
	uint8_t table[256], back[256];

	(void)state;
	for (unsigned int i = 0; i < 256; i++)
		table[i] = (uint8_t)(255 - i);
	assert_status(APIR_S_OK, env.ops->buffer_create(env.dev, 256, &buf, &err), err);
	assert_int_equal(env.ops->buffer_size(buf), 256);
	assert_status(APIR_S_OK, env.ops->buffer_read(buf, 0, back, 256, &err), err);
	for (unsigned int i = 0; i < 256; i++)
		assert_int_equal(back[i], 0);
	assert_status(APIR_S_OK, env.ops->buffer_write(buf, 0, table, 100, &err), err);
	assert_status(APIR_S_OK, env.ops->buffer_write(buf, 100, table + 100, 156, &err), err);
	assert_status(APIR_S_OK, env.ops->buffer_read(buf, 10, back, 200, &err), err);
	assert_memory_equal(back, table + 10, 200);
	assert_status(APIR_S_OK, env.ops->kernel_set_arg(k, 0, NULL, 0, buf, &err), err);
	/* Work-groups of our choice, of one, and of an odd size. */
	for (uint32_t local = 0; local < 8; local += local == 0 ? 1 : 6) {
		p = t_pipeline(&env, k, true, local);
		fill(T_PKTS, 333);
		t_run_ok(&env, p, t_burst(&env, T_PKTS, 333));
		for (unsigned int i = 0; i < T_PKTS; i++)
			for (unsigned int n = 0; n < 333; n++)
				assert_int_equal(t_packet(&env, i)[n], 255 - pattern(i, n));
		check_after(T_PKTS, 333);
		env.ops->pipeline_destroy(p);
	}
	/* The kernel and the pipeline hold the buffer as long as they need it. */
	p = t_pipeline(&env, k, true, 0);
	env.ops->buffer_destroy(buf);
	env.ops->kernel_destroy(k);
	fill(2, 10);
	t_run_ok(&env, p, t_burst(&env, 2, 10));
	assert_int_equal(t_packet(&env, 1)[3], 255 - pattern(1, 3));
	env.ops->pipeline_destroy(p);
}

static void
test_constant_and_struct(void **state)
{
	struct exec_kernel *k = t_kernel(&env, prog, "constant_pair", 2);
	struct {
		uint32_t a;
		uint16_t b;
	} pair = {2, 777};
	const uint32_t words[4] = {10, 20, 30, 40};
	struct exec_err err = {""};
	struct exec_pipeline *p;
	struct exec_buffer *buf;

	(void)state;
	assert_status(APIR_S_OK, env.ops->buffer_create(env.dev, sizeof(words), &buf, &err), err);
	assert_status(APIR_S_OK, env.ops->buffer_write(buf, 0, words, sizeof(words), &err), err);
	assert_status(APIR_S_OK, env.ops->kernel_set_arg(k, 0, NULL, 0, buf, &err), err);
	t_value(&env, k, 1, &pair, sizeof(pair));
	p = t_pipeline(&env, k, false, 0);
	/* The pipeline is a snapshot: what is set later is not in it. */
	pair.b = 1;
	t_value(&env, k, 1, &pair, sizeof(pair));
	t_run_ok(&env, p, t_burst(&env, 3, 64));
	for (unsigned int i = 0; i < 3; i++)
		check_verdict(i, 0, 777, 30);
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(k);
	env.ops->buffer_destroy(buf);
}

static void
test_local_memory(void **state)
{
	struct exec_kernel *k = t_kernel(&env, prog, "sum", 1);
	struct exec_err err = {""};
	struct exec_pipeline *p;

	(void)state;
	assert_status(APIR_S_OK, env.ops->kernel_set_arg(k, 0, NULL, 16 * 4, NULL, &err), err);
	p = t_pipeline(&env, k, true, 16);
	fill(50, 600);
	t_run_ok(&env, p, t_burst(&env, 50, 600));
	for (unsigned int i = 0; i < 50; i++) {
		unsigned int sum = 0;

		for (unsigned int n = 0; n < 600; n++)
			sum += pattern(i, n);
		check_verdict(i, 0, 3, sum);
	}
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(k);
}

/* The second kernel reads the verdicts of the first; the third counts. */
static void
test_stages(void **state)
{
	struct exec_kernel *k[3] = {t_kernel(&env, prog, "drop_odd", 0),
				    t_kernel(&env, prog, "mark", 0),
				    t_kernel(&env, prog, "tally", 1)};
	struct exec_stage stages[3] = {
		{.kernel = k[0]}, {.kernel = k[1], .local_size = 8}, {.kernel = k[2]}};
	struct exec_err err = {""};
	struct exec_pipeline *p;
	struct exec_buffer *buf;
	uint32_t counters[2];

	(void)state;
	assert_status(APIR_S_OK, env.ops->buffer_create(env.dev, 8, &buf, &err), err);
	assert_status(APIR_S_OK, env.ops->kernel_set_arg(k[2], 0, NULL, 0, buf, &err), err);
	assert_status(APIR_S_OK, env.ops->pipeline_create(env.dev, stages, 3, &p, &err), err);
	/* Making it left no trace. */
	assert_status(APIR_S_OK, env.ops->buffer_read(buf, 0, counters, 8, &err), err);
	assert_int_equal(counters[0], 0);
	fill(100, 70);
	for (unsigned int round = 0; round < 3; round++)
		t_run_ok(&env, p, t_burst(&env, 100 - round, 70 - round));
	for (unsigned int i = 0; i < 98; i++)
		if (pattern(i, 0) & 1)
			check_verdict(i, 1, 9, 0);
		else
			check_verdict(i, 0, 5, 1000 + pattern(i, 0));
	assert_status(APIR_S_OK, env.ops->buffer_read(buf, 0, counters, 8, &err), err);
	assert_int_equal(counters[0], 100 + 99 + 98);
	assert_int_equal(counters[1], 70);
	env.ops->pipeline_destroy(p);
	for (unsigned int i = 0; i < 3; i++)
		env.ops->kernel_destroy(k[i]);
	env.ops->buffer_destroy(buf);
}

static void
test_work_group_sizes(void **state)
{
	struct exec_kernel *fours = t_kernel(&env, prog, "fours", 0);
	struct exec_kernel *size = t_kernel(&env, prog, "local_size", 0);
	struct exec_pipeline *p;

	(void)state;
	p = t_pipeline(&env, fours, true, 0);
	t_run_ok(&env, p, t_burst(&env, 9, 64));
	for (unsigned int i = 0; i < 9; i++)
		check_verdict(i, 0, 0, 4);
	env.ops->pipeline_destroy(p);
	p = t_pipeline(&env, size, false, 16);
	t_run_ok(&env, p, t_burst(&env, 33, 64));
	for (unsigned int i = 0; i < 33; i++)
		check_verdict(i, 0, 0, 16);
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(fours);
	env.ops->kernel_destroy(size);
}

/* As many bursts in flight as fit, loopbacks among them: they come back in order, each with its own result. */
static void
test_in_flight(void **state)
{
	struct exec_kernel *k = t_kernel(&env, prog, "add", 1);
	struct exec_pipeline *p;
	struct exec_info info;
	unsigned int sent = 0, got = 0;

	(void)state;
	env.ops->info(env.dev, &info);
	t_uint(&env, k, 0, 1);
	p = t_pipeline(&env, k, false, 0);
	fill(T_PKTS, 64);
	while (got < 50) {
		struct exec_burst *b = sent < 50 ? env.ops->burst_get(env.queue) : NULL;

		if (b != NULL) {
			unsigned int n = sent++;

			/* The same burst until it is submitted. */
			assert_ptr_equal(env.ops->burst_get(env.queue), b);
			b->pkts[0] = (struct apir_pkt){
				.addr = (uintptr_t)t_packet(&env, n), .len = 8, .nseg = 1};
			b->nb_pkts = 1;
			b->nb_extra = 0;
			b->verdicts = &env.verdicts[n];
			b->cookie = n;
			if (!env.ops->submit(env.queue, n % 5 == 4 ? NULL : p, b))
				continue;
			assert_int_equal(got, n); /* complete at once: all before it are, too */
		} else {
			assert_true(sent > got);
			b = env.ops->poll(env.queue);
			if (b == NULL)
				continue;
		}
		assert_int_equal(b->cookie, got);
		assert_int_equal(b->status, APIR_S_OK);
		for (unsigned int i = 0; i < 64; i++)
			assert_int_equal(
				t_packet(&env, got)[i],
				(uint8_t)(pattern(got, i) + (i < 8 && got % 5 != 4 ? 1 : 0)));
		got++;
	}
	assert_null(env.ops->poll(env.queue));
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(k);
}

static void
test_bad_bursts(void **state)
{
	struct exec_kernel *k = t_kernel(&env, prog, "facts", 0);
	struct exec_pipeline *p = t_pipeline(&env, k, false, 0);
	struct exec_info info;
	struct exec_burst *b;

	(void)state;
	env.ops->info(env.dev, &info);
	b = t_burst(&env, 1, 64);
	b->nb_pkts = T_PKTS + 1;
	assert_int_equal(t_run(&env, p, b)->status, APIR_S_TOOBIG);
	b = t_burst(&env, 1, 64);
	b->nb_extra = T_SEGS + 1;
	assert_int_equal(t_run(&env, p, b)->status, APIR_S_TOOBIG);
	b = t_burst(&env, 1, 64);
	b->verdicts = (struct apir_verdict *)((uint8_t *)env.verdicts + 4);
	assert_int_equal(t_run(&env, p, b)->status, APIR_S_MALFORMED);
	if (info.copy_mode == APIR_COPY_NONE_BASE) {
		/* Outside of what was said to be the guest's memory. */
		b = t_burst(&env, 2, 64);
		b->pkts[1].addr = (uintptr_t)&info;
		assert_int_equal(t_run(&env, p, b)->status, APIR_S_FAULT);
	}
	/* None of it hurts the next one. */
	b = t_burst(&env, 0, 64);
	assert_int_equal(t_run(&env, p, b)->status, APIR_S_OK);
	fill(1, 64);
	b = t_run_ok(&env, p, t_burst(&env, 1, 64));
	check_verdict(0, 0, pattern(0, 0) | 1 << 8, 64);
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(k);
}

/* A pipeline works on queues made before and after it, and after the guest's memory was replaced. */
static void
test_queues_and_memory(void **state)
{
	struct exec_kernel *k = t_kernel(&env, prog, "facts", 0);
	struct exec_pipeline *p = t_pipeline(&env, k, false, 0);
	struct exec_queue *first = env.queue;
	struct exec_err err = {""};
	struct exec_region regions[2] = {{env.mem[1], T_MEM}, {env.mem[0], T_MEM}};

	(void)state;
	fill(20, 64);
	t_run_ok(&env, p, t_burst(&env, 20, 64));
	env.queue = env.ops->queue_create(env.dev, T_SESSION, -1, &err);
	assert_non_null(env.queue);
	t_run_ok(&env, p, t_burst(&env, 20, 64));
	check_verdict(19, 1, pattern(19, 0) | 1 << 8, 64);
	assert_status(APIR_S_OK, env.ops->mem_set(env.dev, T_SESSION, regions, 2, &err), err);
	t_run_ok(&env, p, t_burst(&env, 20, 64));
	for (unsigned int i = 0; i < 20; i++)
		check_verdict(i, i & 1, pattern(i, 0) | 1 << 8, 64);
	env.ops->queue_destroy(env.queue);
	env.queue = first;
	t_run_ok(&env, p, t_burst(&env, 20, 64));
	check_verdict(18, 0, pattern(18, 0) | 1 << 8, 64);
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(k);
}

static int
setup(void **state)
{
	struct exec_config cfg = t_config(device, mode);
	char *source;

	(void)state;
	t_open(&env, &cfg);
	source = t_file(TEST_DIR, "kernels.cl");
	prog = t_program(&env, source);
	free(source);
	return 0;
}

static int
teardown(void **state)
{
	struct exec_info info;

	(void)state;
	if (env.dev == NULL)
		return 0; /* setup failed */
	env.ops->program_destroy(prog);
	env.ops->queue_destroy(env.queue);
	env.queue = NULL;
	env.ops->info(env.dev, &info);
	if (info.copy_mode != APIR_COPY_STAGED)
		assert_int_equal(info.used_mem, 0);
	t_close(&env);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_add_every_byte),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_buffer_table),
		cmocka_unit_test(test_constant_and_struct),
		cmocka_unit_test(test_local_memory),
		cmocka_unit_test(test_stages),
		cmocka_unit_test(test_work_group_sizes),
		cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_bad_bursts),
		cmocka_unit_test(test_queues_and_memory),
	};

	if (argc != 3) {
		fprintf(stderr, "usage: %s DEVICE raw|base|staged\n", argv[0]);
		return 2;
	}
	if (t_skip(argv[1]))
		return 77;
	device = argv[1];
	mode = argv[2];
	return cmocka_run_group_tests(tests, setup, teardown);
}
