/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The allocator of the arena's lower part. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cl_arena.h"
#include "cl_session.h"

#define MIB  ((size_t)1 << 20)
#define SIZE (256 * MIB)

static unsigned int complaints;

void
cl_debug(const char *fmt, ...)
{
	(void)fmt;
	complaints++;
}

static int
setup(void **state)
{
	(void)state;
	complaints = 0;
	return cl_arena_open(SIZE, false);
}

static int
teardown(void **state)
{
	(void)state;
	cl_arena_close();
	return 0;
}

static size_t
memory_in_use(void)
{
	void *base;
	size_t size;
	struct stat st;
	int fd;

	cl_arena_whole(&base, &size, &fd);
	assert_int_equal(fstat(fd, &st), 0);
	return (size_t)st.st_blocks * 512;
}

static void
aligned_and_apart(void **state)
{
	static const size_t sizes[] = {0,     1,     64,    65,	   1000,   4096,
				       32768, 32769, 65536, 65537, 3 * MIB};
	uint8_t *p[11][4];

	(void)state;
	for (size_t i = 0; i < 11; i++)
		for (size_t a = 0; a < 4; a++) {
			const size_t align = (size_t)64 << 5 * a; /* up to 2 MiB */

			p[i][a] = cl_arena_alloc(sizes[i], align);
			assert_non_null(p[i][a]);
			assert_int_equal((uintptr_t)p[i][a] % align, 0);
			memset(p[i][a], (int)(i * 4 + a), sizes[i]);
		}
	for (size_t i = 0; i < 11; i++)
		for (size_t a = 0; a < 4; a++) {
			for (size_t k = 0; k < sizes[i]; k++)
				if (p[i][a][k] != i * 4 + a)
					fail_msg("piece %zu/%zu: byte %zu", i, a, k);
			cl_arena_free(p[i][a]);
		}
	/* but for a slab of each size, all of it is one piece again */
	p[0][0] = cl_arena_alloc(SIZE - 16 * MIB, 64);
	assert_non_null(p[0][0]);
	assert_int_equal(complaints, 0);
}

static void
full(void **state)
{
	void *a, *b;

	(void)state;
	assert_null(cl_arena_alloc(SIZE + 1, 64));
	assert_null(cl_arena_alloc(SIZE_MAX, 64));
	assert_null(cl_arena_alloc(64, (size_t)1 << 40));
	a = cl_arena_alloc(SIZE, 64);
	assert_non_null(a);
	assert_null(cl_arena_alloc(1, 64));
	assert_null(cl_arena_alloc(65536, 64));
	cl_arena_free(a);
	a = cl_arena_alloc(SIZE / 2, 64);
	b = cl_arena_alloc(SIZE / 2, 64);
	assert_non_null(a);
	assert_non_null(b);
	cl_arena_free(a);
	assert_null(cl_arena_alloc(SIZE / 2 + 1, 64));
	cl_arena_free(b);
	assert_non_null(cl_arena_alloc(SIZE, 64));
}

static void
coalesces_in_any_order(void **state)
{
	void *p[64];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 64; i++) {
			p[i] = cl_arena_alloc(SIZE / 64, 64);
			assert_non_null(p[i]);
		}
		for (size_t i = 0; i < 64; i++)
			cl_arena_free(p[(i * (size_t)(round == 0   ? 1
						      : round == 1 ? 63
								   : 29)) %
					64]);
		p[0] = cl_arena_alloc(SIZE, 64);
		assert_non_null(p[0]);
		cl_arena_free(p[0]);
	}
}

static void
zeroed_after_use(void **state)
{
	static const size_t sizes[] = {64, 5000, 200000, 10 * MIB};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		uint8_t *p = cl_arena_alloc(sizes[i], 64);

		memset(p, 0xff, sizes[i]);
		cl_arena_free(p);
		p = cl_arena_zalloc(sizes[i], 64);
		for (size_t k = 0; k < sizes[i]; k++)
			if (p[k] != 0)
				fail_msg("piece %zu: byte %zu", i, k);
		cl_arena_free(p);
	}
}

static void
large_pieces_go_back_to_the_system(void **state)
{
	size_t before;
	uint8_t *p[3];

	(void)state;
	before = memory_in_use();
	for (size_t i = 0; i < 3; i++) {
		p[i] = cl_arena_alloc(64 * MIB, 64);
		memset(p[i], 1, 64 * MIB);
	}
	assert_true(memory_in_use() >= before + 192 * MIB);
	for (size_t i = 0; i < 3; i++)
		cl_arena_free(p[i]);
	/* some is kept for the next one */
	assert_true(memory_in_use() <= before + 96 * MIB);
}

static void
wrong_pointers_change_nothing(void **state)
{
	uint8_t *big = cl_arena_alloc(MIB, 64), *small = cl_arena_alloc(100, 64);
	int local;

	(void)state;
	cl_arena_free(NULL);
	cl_arena_free(&local);
	assert_int_equal(complaints, 0);
	cl_arena_free(big + 64);
	cl_arena_free(big + 65536);
	cl_arena_free(small + 64);
	assert_int_equal(complaints, 3);
	cl_arena_free(small);
	cl_arena_free(small);
	cl_arena_free(big);
	cl_arena_free(big);
	assert_int_equal(complaints, 5);
	assert_non_null(cl_arena_alloc(SIZE - 2 * MIB, 64));
}

static void
addresses(void **state)
{
	uint8_t *p = cl_arena_alloc(1000, 64);
	const uint64_t addr = cl_arena_addr(p);
	void *base;
	size_t size;
	int fd;

	(void)state;
	cl_arena_whole(&base, &size, &fd);
	assert_ptr_equal(cl_arena_ptr(addr, 1000), p);
	assert_true(cl_arena_holds(base, size));
	assert_false(cl_arena_holds(base, size + 1));
	assert_false(cl_arena_holds((uint8_t *)base + 1, size));
	assert_false(cl_arena_holds((uint8_t *)base - 1, 1));
	assert_false(cl_arena_holds((uint8_t *)base + size, 1));
	assert_false(cl_arena_holds(p, SIZE_MAX));
	assert_false(cl_arena_holds(NULL, 0));
	assert_null(cl_arena_ptr(UINT64_MAX, 2));
}

static void
upper_part_is_not_ours(void **state)
{
	void *base, *p;
	size_t size;
	uint64_t at;
	int fd;

	(void)state;
	cl_arena_whole(&base, &size, &fd);
	at = cl_arena_addr(base) + 16 * MIB;
	assert_int_equal(cl_arena_limit(cl_arena_addr(base) - 1), -EINVAL);
	assert_int_equal(cl_arena_limit(cl_arena_addr(base) + size + 1), -EINVAL);
	p = cl_arena_alloc(32 * MIB, 64);
	assert_int_equal(cl_arena_limit(at), -ENOSPC);
	cl_arena_free(p);
	p = cl_arena_alloc(100, 64);
	assert_int_equal(cl_arena_limit(at), 0);
	assert_null(cl_arena_alloc(16 * MIB, 64));
	assert_non_null(cl_arena_alloc(16 * MIB - 65536, 64));
	assert_null(cl_arena_alloc(65536, 64));
	assert_true(cl_arena_holds(base, size));
	cl_arena_free((uint8_t *)base + 32 * MIB);
	assert_int_equal(complaints, 1);
	assert_non_null(p);
}

#define NB_THREADS 4

static void *
churn(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	uint8_t *p[64] = {NULL};
	size_t len[64] = {0};
	intptr_t bad = 0;

	for (unsigned int n = 0; n < 20000; n++) {
		const unsigned int i = (unsigned int)rand_r(&seed) % 64;

		if (p[i] != NULL) {
			bad += p[i][0] != (uint8_t)i || p[i][len[i] - 1] != (uint8_t)i;
			cl_arena_free(p[i]);
			p[i] = NULL;
			continue;
		}
		len[i] = 2 + (size_t)rand_r(&seed) % (n % 16 == 0 ? 400000 : 2000);
		p[i] = cl_arena_alloc(len[i], 64);
		if (p[i] == NULL) {
			bad++;
			continue;
		}
		p[i][0] = p[i][len[i] - 1] = (uint8_t)i;
	}
	for (unsigned int i = 0; i < 64; i++)
		cl_arena_free(p[i]);
	return (void *)bad;
}

static void
threads(void **state)
{
	pthread_t t[NB_THREADS];

	(void)state;
	for (size_t i = 0; i < NB_THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn, (void *)(i + 1)), 0);
	for (size_t i = 0; i < NB_THREADS; i++) {
		void *bad;

		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	assert_int_equal(complaints, 0);
	/* slabs may stay, anywhere in the part that was in use */
	assert_non_null(cl_arena_alloc(SIZE / 2, 64));
}

/* Runs in the child: nothing of cmocka's. */
static int
in_child(uint8_t *of_parent)
{
	uint8_t *p;

	if (cl_arena_holds(of_parent, 1) || cl_arena_alloc(64, 64) != NULL)
		return 1;
	cl_arena_free(of_parent);
	if (cl_arena_open(SIZE, false) != 0)
		return 2;
	p = cl_arena_alloc(MIB, 64);
	if (p == NULL)
		return 3;
	memset(p, 7, MIB);
	return 0;
}

static void
child_has_its_own(void **state)
{
	uint8_t *p = cl_arena_alloc(MIB, 64);
	int status;
	pid_t pid;

	(void)state;
	memset(p, 1, MIB);
	cl_arena_fork_prepare();
	pid = fork();
	if (pid == 0) {
		cl_arena_fork_child();
		_exit(in_child(p));
	}
	cl_arena_fork_parent();
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(p[0], 1);
	assert_int_equal(p[MIB - 1], 1);
	cl_arena_free(p);
	assert_int_equal(complaints, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(aligned_and_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(full, setup, teardown),
		cmocka_unit_test_setup_teardown(coalesces_in_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(zeroed_after_use, setup, teardown),
		cmocka_unit_test_setup_teardown(large_pieces_go_back_to_the_system, setup,
						teardown),
		cmocka_unit_test_setup_teardown(wrong_pointers_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(upper_part_is_not_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(threads, setup, teardown),
		cmocka_unit_test_setup_teardown(child_has_its_own, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
