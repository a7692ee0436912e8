/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "apir_private.h"
#include "dpdk_env.h"

#define FLIPS 200000u

static struct apir_mem_table table;

static void
test_span(void **state)
{
	const struct apir_span s = {.start = 0x1000, .end = 0x2000};
	const struct apir_span none = {0};
	const struct apir_span top = {.start = UINTPTR_MAX - 0xfff, .end = UINTPTR_MAX};

	(void)state;
	assert_true(apir_span_has(&s, 0x1000, 0x1000));
	assert_true(apir_span_has(&s, 0x1fff, 1));
	assert_false(apir_span_has(&s, 0xfff, 2));
	assert_false(apir_span_has(&s, 0x1fff, 2));
	assert_false(apir_span_has(&s, 0x2000, 0));
	assert_false(apir_span_has(&s, 0x1000, SIZE_MAX));
	assert_false(apir_span_has(&none, 0, 0));
	assert_false(apir_span_has(&none, 0, 1));
	assert_false(apir_span_has(&top, UINTPTR_MAX - 1, 0x1000));
}

static void
test_table(void **state)
{
	struct apir_spans in = {.r[2] = {.start = 1, .end = 2}}, out;
	uint32_t gen;

	(void)state;
	gen = apir_mem_table_read(&table, &out);
	apir_mem_table_write(&table, &in);
	assert_int_not_equal(apir_mem_table_read(&table, &out), gen);
	assert_memory_equal(&in, &out, sizeof(in));
}

/* Contents n: every span is [n, n + 1 + index]. */
static void
fill(struct apir_spans *s, uintptr_t n)
{
	unsigned int i;

	for (i = 0; i < APIR_MEM_MAX_REGIONS; i++)
		s->r[i] = (struct apir_span){.start = n, .end = n + 1 + i};
}

static void *
writer(void *arg)
{
	struct apir_spans s;
	uintptr_t n;

	for (n = 1; n <= FLIPS; n++) {
		fill(&s, n);
		apir_mem_table_write(&table, &s);
	}
	return arg;
}

/* A reader never sees a mixture of two contents, and never an older one than before. */
static void
test_table_threads(void **state)
{
	struct apir_spans got, want;
	uintptr_t last = 0;
	pthread_t t;

	(void)state;
	fill(&want, 0);
	apir_mem_table_write(&table, &want);
	assert_int_equal(pthread_create(&t, NULL, writer, NULL), 0);
	while (last < FLIPS) {
		apir_mem_table_read(&table, &got);
		assert_true(got.r[0].start >= last);
		last = got.r[0].start;
		fill(&want, last);
		assert_memory_equal(&got, &want, sizeof(got));
	}
	assert_int_equal(pthread_join(t, NULL), 0);
}

static void
test_env(void **state)
{
	struct apir_dev *dev = &apir_devs[0];
	char *p, zero[4096] = {0};

	(void)state;
	apir_memory_env(dev);
	p = dev->env.dma_alloc(&dev->env, 4096, 4096, 0);
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % 4096, 0);
	assert_memory_equal(p, zero, sizeof(zero));
	assert_int_equal(dev->env.dma_addr(&dev->env, p), (uintptr_t)p);
	dev->env.dma_free(&dev->env, p);
	/* a node without memory gives way to another */
	p = dev->env.dma_alloc(&dev->env, 64, 64, 7);
	assert_non_null(p);
	dev->env.dma_free(&dev->env, p);
	assert_null(dev->env.dma_alloc(&dev->env, (size_t)1 << 40, 64, 0));
}

/* EAL without events (--no-huge) is no error. */
static void
test_events(void **state)
{
	(void)state;
	assert_int_equal(apir_memory_init(), 0);
	apir_memory_fini();
	assert_int_equal(apir_memory_init(), 0);
	apir_memory_fini();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_span),	      cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_threads), cmocka_unit_test(test_env),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, env_start, env_stop);
}
