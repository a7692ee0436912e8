/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The worker's arena: ranges, and the storage of buffers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "arena.h"

#define GPA    0x100000000ull
#define SIZE   (64u << 20)
#define SHARED (16u << 20)

static struct arena a;
static uint8_t *va;
static int fd;

static int
setup(void **state)
{
	(void)state;
	fd = memfd_create("arena", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	va = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(va, MAP_FAILED);
	arena_init(&a);
	assert_int_equal(arena_open(&a, va, GPA, SIZE, SHARED, 128), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_close(&a);
	munmap(va, SIZE);
	close(fd);
	return 0;
}

static void
ranges(void **state)
{
	(void)state;
	assert_ptr_equal(arena_ptr(&a, GPA, 1), va);
	assert_ptr_equal(arena_ptr(&a, GPA, SIZE), va);
	assert_null(arena_ptr(&a, GPA, SIZE + 1));
	assert_null(arena_ptr(&a, GPA - 1, 2));
	assert_null(arena_ptr(&a, GPA + SIZE, 0));
	assert_null(arena_ptr(&a, GPA + SIZE - 1, 2));
	assert_null(arena_ptr(&a, GPA + 4096, UINT64_MAX - 4095));
	assert_null(arena_ptr(&a, 0, UINT64_MAX));
	assert_ptr_equal(arena_ptr(&a, GPA + SIZE - 1, 1), va + SIZE - 1);
	assert_int_equal(arena_addr(&a, va + 5), GPA + 5);
	assert_int_equal(arena_addr(&a, va + SIZE), 0);
	assert_int_equal(arena_addr(&a, va - 1), 0);
	assert_false(arena_is_shared(&a, va, 1));
	assert_false(arena_is_shared(&a, va + SHARED - 1, 2));
	assert_true(arena_is_shared(&a, va + SHARED, SIZE - SHARED));
	assert_false(arena_is_shared(&a, va + SHARED, SIZE - SHARED + 1));
}

static void
bad_arenas(void **state)
{
	struct arena b;

	(void)state;
	arena_init(&b);
	assert_null(arena_ptr(&b, 0, 0));
	assert_null(arena_ptr(&b, 0, 1));
	assert_null(arena_alloc(&b, 1));
	assert_true(arena_open(&b, va, GPA, 0, 0, 128) < 0);
	assert_true(arena_open(&b, va, GPA, SIZE, SIZE + 4096, 128) < 0);
	assert_true(arena_open(&b, va, UINT64_MAX - 4096, SIZE, 0, 128) < 0);
	assert_true(arena_open(&b, va, GPA, SIZE, SHARED + 1, 128) < 0);
	assert_true(arena_open(&b, va, GPA, SIZE - 1, SHARED, 128) < 0);
	assert_true(arena_open(&b, va, GPA, SIZE, SHARED, 100) < 0);
	assert_true(arena_open(&b, va, GPA, SIZE, SHARED, 32) < 0);
	assert_true(arena_open(&b, va, GPA, SIZE, SHARED, 8192) < 0);
	assert_int_equal(arena_open(&b, va, GPA, SIZE, SIZE, 64), 0);
	assert_null(arena_alloc(&b, 1));
	arena_close(&b);
}

static void
alignment(void **state)
{
	static const uint64_t sizes[] = {1, 127, 128, 129, 4095, 4096, 4097, 65536, 1 << 20};
	struct arena_block *b[2 * sizeof(sizes) / sizeof(sizes[0])];
	const unsigned int n = sizeof(b) / sizeof(b[0]);

	(void)state;
	for (unsigned int i = 0; i < n; i++) {
		const uint64_t size = sizes[i / 2];
		uint8_t *p;

		b[i] = arena_alloc(&a, size);
		assert_non_null(b[i]);
		p = arena_block_ptr(&a, b[i]);
		assert_true(arena_is_shared(&a, p, size));
		assert_int_equal((uintptr_t)p % (size >= 4096 ? 4096 : 128), 0);
		memset(p, (int)i, size);
	}
	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *p = arena_block_ptr(&a, b[i]);

		for (uint64_t k = 0; k < sizes[i / 2]; k++)
			assert_int_equal(p[k], i);
		arena_free(&a, b[i]);
	}
	/* All is one piece again. */
	b[0] = arena_alloc(&a, SIZE - SHARED);
	assert_non_null(b[0]);
	assert_null(arena_alloc(&a, 1));
	arena_free(&a, b[0]);
	assert_null(arena_alloc(&a, SIZE - SHARED + 1));
	assert_null(arena_alloc(&a, UINT64_MAX));
	assert_null(arena_alloc(&a, 0));
}

/* Many at random; none overlaps another, and in the end nothing is lost. */
static void
random_order(void **state)
{
	enum { NB = 512 };
	struct {
		struct arena_block *b;
		uint64_t size;
	} x[NB] = {0};
	unsigned int seed = 1;
	struct arena_block *all;

	(void)state;
	for (unsigned int round = 0; round < 40000; round++) {
		const unsigned int i = (unsigned int)rand_r(&seed) % NB;
		uint32_t *p;

		if (x[i].b != NULL) {
			p = arena_block_ptr(&a, x[i].b);
			assert_int_equal(p[0], i);
			assert_int_equal(p[(x[i].size - 4) / 4], i);
			arena_free(&a, x[i].b);
			x[i].b = NULL;
			continue;
		}
		x[i].size = 4u << (rand_r(&seed) % 18);
		x[i].size += 4u * ((unsigned int)rand_r(&seed) % (unsigned int)x[i].size);
		x[i].b = arena_alloc(&a, x[i].size);
		if (x[i].b == NULL)
			continue;
		p = arena_block_ptr(&a, x[i].b);
		p[0] = p[(x[i].size - 4) / 4] = i;
	}
	for (unsigned int i = 0; i < NB; i++)
		if (x[i].b != NULL)
			arena_free(&a, x[i].b);
	all = arena_alloc(&a, SIZE - SHARED);
	assert_non_null(all);
	arena_free(&a, all);
}

static uint64_t
used_bytes(void)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* What is freed goes back to the system: a large piece at once, small ones when there are many. */
static void
pages_go_back(void **state)
{
	struct arena_block *b = arena_alloc(&a, 8 << 20), *small[256];

	(void)state;
	memset(arena_block_ptr(&a, b), 1, 8 << 20);
	assert_true(used_bytes() >= 8 << 20);
	arena_free(&a, b);
	assert_true(used_bytes() < 1 << 20);
	a.max_dirty = 4 << 20;
	for (unsigned int i = 0; i < 256; i++) {
		small[i] = arena_alloc(&a, 64 << 10);
		memset(arena_block_ptr(&a, small[i]), 1, 64 << 10);
	}
	assert_true(used_bytes() >= 16 << 20);
	for (unsigned int i = 0; i < 256; i++)
		arena_free(&a, small[i]);
	assert_true(used_bytes() <= (4 << 20) + (128 << 10));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_arenas, setup, teardown),
		cmocka_unit_test_setup_teardown(alignment, setup, teardown),
		cmocka_unit_test_setup_teardown(random_order, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_go_back, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
