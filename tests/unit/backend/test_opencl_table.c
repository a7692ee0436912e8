/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The worker's objects by their ids: stale, foreign and wrong ones, and threads that use what others release. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "table.h"

#define KIND_A 3u
#define KIND_B 4u

static struct table t;
static _Atomic unsigned int released;

static void
release(unsigned int kind, void *obj)
{
	assert_true(kind == KIND_A || kind == KIND_B);
	*(_Atomic int *)obj = -1;
	atomic_fetch_add(&released, 1);
}

static int
setup(void **state)
{
	(void)state;
	table_init(&t, release);
	released = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	table_clear(&t);
	return 0;
}

static void
get_and_remove(void **state)
{
	static _Atomic int a, b;
	const uint64_t ia = table_add(&t, KIND_A, &a), ib = table_add(&t, KIND_B, &b);

	(void)state;
	assert_int_not_equal(ia, 0);
	assert_int_not_equal(ib, 0);
	assert_int_not_equal(ia, ib);
	assert_ptr_equal(table_get(&t, KIND_A, ia), &a);
	table_put(&t, ia);
	assert_null(table_get(&t, KIND_B, ia));
	assert_int_equal(released, 0);
	assert_true(table_remove(&t, ia));
	assert_int_equal(a, -1);
	assert_false(table_remove(&t, ia));
	assert_null(table_get(&t, KIND_A, ia));
	assert_int_equal(released, 1);
	assert_int_equal(b, 0);
}

static void
no_such_id(void **state)
{
	static _Atomic int a;
	const uint64_t id = table_add(&t, KIND_A, &a);
	const uint64_t bad[] = {0,
				1,
				UINT64_MAX,
				id + 1,
				id + (1ull << 32),
				id | TABLE_MAX,
				id ^ (1ull << 63),
				TABLE_CHUNK,
				1ull << 32 | (TABLE_MAX - 1)};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(table_get(&t, KIND_A, bad[i]));
		assert_false(table_remove(&t, bad[i]));
	}
	assert_int_equal(released, 0);
}

/* What is in use goes when the last user puts it back. */
static void
removed_while_used(void **state)
{
	static _Atomic int a;
	const uint64_t id = table_add(&t, KIND_A, &a);

	(void)state;
	assert_ptr_equal(table_get(&t, KIND_A, id), &a);
	assert_ptr_equal(table_get(&t, KIND_A, id), &a);
	assert_true(table_remove(&t, id));
	assert_false(table_remove(&t, id));
	assert_null(table_get(&t, KIND_A, id));
	table_put(&t, id);
	assert_int_equal(released, 0);
	table_put(&t, id);
	assert_int_equal(released, 1);
}

/* A place is used again, under another id. */
static void
ids_do_not_come_back(void **state)
{
	static _Atomic int a;
	uint64_t old[100];

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		old[i] = table_add(&t, KIND_A, &a);
		for (unsigned int k = 0; k < i; k++)
			assert_int_not_equal(old[k], old[i]);
		assert_true(table_remove(&t, old[i]));
	}
	assert_true(t.nb_made < 10);
	for (unsigned int i = 0; i < 100; i++)
		assert_null(table_get(&t, KIND_A, old[i]));
}

static void
too_many(void **state)
{
	static _Atomic int a;
	uint64_t last = 0;

	(void)state;
	for (unsigned int i = 0; i < TABLE_MAX; i++) {
		last = table_add(&t, KIND_A, &a);
		assert_int_not_equal(last, 0);
	}
	assert_int_equal(table_add(&t, KIND_A, &a), 0);
	assert_true(table_remove(&t, last));
	assert_int_not_equal(table_add(&t, KIND_A, &a), 0);
}

/* Threads: each object is released once, and never while somebody has it. */
#define NB_THREADS 4
#define NB_SHARED  8
#define ROUNDS	   20000

static _Atomic uint64_t ids[NB_SHARED];
static _Atomic unsigned int made;

static void *
worker(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		_Atomic uint64_t *at = &ids[rand_r(&seed) % NB_SHARED];
		const uint64_t id = atomic_load(at);
		_Atomic int *obj = table_get(&t, KIND_B, id), *fresh;

		if (obj != NULL) {
			if (atomic_load(obj) != 7)
				abort();
			table_put(&t, id);
		}
		if (i % 8 == 0) {
			fresh = malloc(sizeof(*fresh));
			*fresh = 7;
			atomic_fetch_add(&made, 1);
			table_remove(&t, atomic_exchange(at, table_add(&t, KIND_B, fresh)));
		}
	}
	return NULL;
}

static void
release_keep(unsigned int kind, void *obj)
{
	release(kind, obj);
	free(obj);
}

static void
threads(void **state)
{
	pthread_t tid[NB_THREADS];

	(void)state;
	t.release = release_keep;
	for (uintptr_t i = 0; i < NB_THREADS; i++)
		assert_int_equal(pthread_create(&tid[i], NULL, worker, (void *)(i + 1)), 0);
	for (unsigned int i = 0; i < NB_THREADS; i++)
		pthread_join(tid[i], NULL);
	for (unsigned int i = 0; i < NB_SHARED; i++)
		table_remove(&t, ids[i]);
	assert_int_equal(released, made);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(get_and_remove, setup, teardown),
		cmocka_unit_test_setup_teardown(no_such_id, setup, teardown),
		cmocka_unit_test_setup_teardown(removed_while_used, setup, teardown),
		cmocka_unit_test_setup_teardown(ids_do_not_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
