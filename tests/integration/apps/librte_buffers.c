/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdlib.h>

#include <rte_malloc.h>

#include "librte_app.h"

#define MIB  ((size_t)1 << 20)
#define WIDE (64 * MIB)

static void
fill(uint8_t *p, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (uint8_t)(seed >> 24);
	}
}

static void
test_zeroed(void **state)
{
	const uint16_t dev = app_open(NULL);
	static uint8_t got[10000], zero[10000];
	uint32_t b;

	(void)state;
	memset(got, 1, sizeof(got));
	assert_ok(rte_apir_buffer_create(dev, sizeof(got), &b));
	assert_ok(rte_apir_buffer_read(dev, b, 0, got, sizeof(got)));
	assert_memory_equal(got, zero, sizeof(got));
	assert_ok(rte_apir_buffer_destroy(dev, b));
	assert_fails(rte_apir_buffer_read(dev, b, 0, got, 1), ENOENT, "buffer");
	assert_fails(rte_apir_buffer_destroy(dev, b), ENOENT, "buffer");
	app_close(dev);
}

/*
 * Every way that bytes take: in the call, through shared memory of ours, in the caller's shared
 * memory.
 */
static void
test_pieces(void **state)
{
	static const size_t lens[] = {1,     8191,    8192, 8193,    49152,
				      49153, MIB - 1, MIB,  MIB + 1, 3 * MIB + 7};
	const uint16_t dev = app_open(NULL);
	const size_t size = 4 * MIB;
	uint8_t *want, *got, *shared;
	unsigned int i;
	uint32_t b;

	(void)state;
	want = calloc(1, size);
	got = malloc(size);
	shared = rte_malloc(NULL, size, 0);
	assert_true(want != NULL && got != NULL && shared != NULL);
	assert_true(rte_apir_is_shared(dev, shared, size));
	assert_false(rte_apir_is_shared(dev, got, 1));
	assert_ok(rte_apir_buffer_create(dev, size, &b));
	for (i = 0; i < RTE_DIM(lens); i++) {
		const size_t at = i * 1001;

		fill(want + at, lens[i], i);
		assert_ok(rte_apir_buffer_write(dev, b, at, want + at, lens[i]));
		memset(got, 0xaa, size);
		assert_ok(rte_apir_buffer_read(dev, b, at, got, lens[i]));
		assert_memory_equal(got, want + at, lens[i]);
		fill(shared, lens[i], i + 100);
		memcpy(want + at, shared, lens[i]);
		assert_ok(rte_apir_buffer_write(dev, b, at, shared, lens[i]));
		memset(shared, 0, lens[i]);
		assert_ok(rte_apir_buffer_read(dev, b, at, shared, lens[i]));
		assert_memory_equal(shared, want + at, lens[i]);
	}
	/* nothing beside was touched */
	assert_ok(rte_apir_buffer_read(dev, b, 0, got, size));
	assert_memory_equal(got, want, size);
	rte_free(shared);
	free(want);
	free(got);
	app_close(dev);
}

static void
test_ranges(void **state)
{
	const uint16_t dev = app_open(NULL);
	uint8_t bytes[20000] = {0};
	uint32_t b;

	(void)state;
	assert_ok(rte_apir_buffer_create(dev, 10000, &b));
	assert_ok(rte_apir_buffer_write(dev, b, 9999, bytes, 1));
	assert_ok(rte_apir_buffer_write(dev, b, 0, bytes, 10000));
	assert_ok(rte_apir_buffer_write(dev, b, 0, bytes, 0));
	assert_fails(rte_apir_buffer_write(dev, b, 10000, bytes, 1), EINVAL, "buffer write");
	assert_fails(rte_apir_buffer_write(dev, b, 0, bytes, 10001), EINVAL, "buffer write");
	assert_fails(rte_apir_buffer_write(dev, b, (size_t)-2, bytes, 1), EINVAL, "buffer write");
	assert_fails(rte_apir_buffer_read(dev, b, 9000, bytes, 1001), EINVAL, "buffer read");
	assert_fails(rte_apir_buffer_read(dev, b, 1, bytes, 20000), EINVAL, "buffer read");
	assert_fails(rte_apir_buffer_write(dev, b + 9, 0, bytes, 1), ENOENT, "buffer");
	app_close(dev);
}

static void
test_64_mib(void **state)
{
	const uint16_t dev = app_open(NULL);
	uint8_t *want = malloc(WIDE), *got = malloc(WIDE);
	uint32_t b;

	(void)state;
	assert_true(want != NULL && got != NULL);
	fill(want, WIDE, 5);
	assert_ok(rte_apir_buffer_create(dev, WIDE, &b));
	assert_ok(rte_apir_buffer_write(dev, b, 0, want, WIDE));
	assert_ok(rte_apir_buffer_read(dev, b, 0, got, WIDE));
	assert_memory_equal(got, want, WIDE);
	free(want);
	free(got);
	app_close(dev);
}

/* The script starts apird with --max-device-memory 80M. */
static void
test_quota(void **state)
{
	const uint16_t dev = app_open(NULL);
	struct rte_apir_info info;
	uint32_t a, b;

	(void)state;
	assert_ok(rte_apir_info_get(dev, &info));
	assert_int_equal(info.max_device_memory, 80 * MIB);
	assert_int_equal(info.used_device_memory, 0);
	assert_ok(rte_apir_buffer_create(dev, WIDE, &a));
	assert_ok(rte_apir_info_get(dev, &info));
	assert_true(info.used_device_memory >= WIDE);
	assert_fails(rte_apir_buffer_create(dev, 17 * MIB, &b), ENOMEM, "buffer");
	assert_fails(rte_apir_buffer_create(dev, SIZE_MAX, &b), ENOMEM, "buffer");
	assert_ok(rte_apir_buffer_destroy(dev, a));
	assert_ok(rte_apir_buffer_create(dev, 17 * MIB, &b));
	app_close(dev);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_zeroed), cmocka_unit_test(test_pieces), cmocka_unit_test(test_ranges),
	cmocka_unit_test(test_64_mib), cmocka_unit_test(test_quota),
};
const struct app_group group_buffers = {"buffers", tests, RTE_DIM(tests)};
