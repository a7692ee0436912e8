/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Ids of objects. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "objtab.h"

static int
setup(void **state)
{
	*state = calloc(1, sizeof(struct objtab));
	return *state == NULL;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static void
ids_name_their_object(void **state)
{
	struct objtab *t = *state;
	int a, b;
	const uint32_t ia = objtab_add(t, &a), ib = objtab_add(t, &b);

	assert_int_not_equal(ia, 0);
	assert_int_not_equal(ia, ib);
	assert_ptr_equal(objtab_get(t, ia), &a);
	assert_ptr_equal(objtab_get(t, ib), &b);
	assert_null(objtab_get(t, 0));
	assert_null(objtab_get(t, ia ^ 0x80000000u));
	assert_null(objtab_get(t, UINT32_MAX));
}

static void
tables_differ(void **state)
{
	struct objtab *t = *state, *u = calloc(1, sizeof(*u));
	unsigned int same = 0;
	int a;

	assert_non_null(u);
	/* By chance in 4 million two tables begin alike; not eight times. */
	for (unsigned int i = 0; i < 8; i++) {
		objtab_start(t);
		objtab_start(u);
		same += objtab_add(t, &a) == objtab_add(u, &a);
	}
	assert_true(same < 8);
	free(u);
}

static void
stale_ids_name_nothing(void **state)
{
	struct objtab *t = *state;
	int a;
	const uint32_t id = objtab_add(t, &a);

	assert_ptr_equal(objtab_del(t, id), &a);
	assert_null(objtab_get(t, id));
	assert_null(objtab_del(t, id));
	/* Not soon again, also when the table has gone round. */
	for (unsigned int i = 0; i < 5 * OBJTAB_MAX; i++) {
		const uint32_t other = objtab_add(t, &a);

		assert_int_not_equal(other, id);
		assert_int_not_equal(other, 0);
		objtab_del(t, other);
	}
	assert_null(objtab_get(t, id));
}

static void
generations_wrap_round_zero(void **state)
{
	struct objtab *t = *state;
	uint32_t id;
	int a;

	t->gen[0] = UINT32_MAX >> 10;
	id = objtab_add(t, &a);
	assert_int_equal(id & (OBJTAB_MAX - 1), 0);
	assert_int_not_equal(id, 0);
}

static void
full_table(void **state)
{
	struct objtab *t = *state;
	uint32_t ids[OBJTAB_MAX];
	int a;

	for (unsigned int i = 0; i < OBJTAB_MAX; i++) {
		ids[i] = objtab_add(t, &a);
		assert_int_not_equal(ids[i], 0);
	}
	assert_int_equal(objtab_add(t, &a), 0);
	assert_ptr_equal(objtab_del(t, ids[500]), &a);
	assert_int_not_equal(objtab_add(t, &a), 0);
	assert_int_equal(objtab_add(t, &a), 0);
	for (unsigned int i = 0; i < OBJTAB_MAX; i++)
		assert_non_null(objtab_take(t));
	assert_null(objtab_take(t));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(ids_name_their_object),	T(tables_differ), T(stale_ids_name_nothing),
		T(generations_wrap_round_zero), T(full_table),
	};

	return cmocka_run_group_tests_name("objtab", tests, NULL, NULL);
}
