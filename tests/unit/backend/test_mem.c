/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Guest addresses: every way to reach outside a region. */

#include <errno.h>
#include <string.h>

#include "guest.h"

static struct guest g;
static struct mem_table t;

static int
setup(void **state)
{
	(void)state;
	guest_init(&g);
	return mem_set(&t, g.r, 2);
}

static int
teardown(void **state)
{
	(void)state;
	guest_fini(&g);
	return 0;
}

static void *
xlate(uint64_t gpa, uint64_t len)
{
	const struct mem_region *hit = NULL;

	return mem_xlate(&t, &hit, gpa, len);
}

static void
region_edges(void **state)
{
	(void)state;
	assert_ptr_equal(xlate(GUEST_GPA, 1), g.mem);
	assert_ptr_equal(xlate(GUEST_GPA, GUEST_SIZE), g.mem);
	assert_ptr_equal(xlate(GUEST_GPA + GUEST_SIZE - 1, 1), g.mem + GUEST_SIZE - 1);
	assert_ptr_equal(xlate(GUEST_GPA2, GUEST_SIZE2), g.mem2);
	assert_null(xlate(GUEST_GPA - 1, 1));
	assert_null(xlate(GUEST_GPA - 1, 2));
	assert_null(xlate(GUEST_GPA2 + GUEST_SIZE2, 1));
	assert_null(xlate(0, 1));
}

static void
range_crosses_end(void **state)
{
	(void)state;
	assert_null(xlate(GUEST_GPA2 + GUEST_SIZE2 - 1, 2));
	assert_null(xlate(GUEST_GPA2, GUEST_SIZE2 + 1));
	assert_null(xlate(GUEST_GPA2, UINT64_MAX));
}

static void
adjacent_regions(void **state)
{
	/* The guest sees them touch; here they do not. */
	(void)state;
	assert_null(xlate(GUEST_GPA2 - 1, 2));
	assert_null(xlate(GUEST_GPA, GUEST_SIZE + 1));
	assert_ptr_equal(xlate(GUEST_GPA2 - 1, 1), g.mem + GUEST_SIZE - 1);
}

static void
address_overflow(void **state)
{
	(void)state;
	assert_null(xlate(UINT64_MAX, 1));
	assert_null(xlate(UINT64_MAX, 2));
	assert_null(xlate(GUEST_GPA + 8, UINT64_MAX - 4));
	assert_null(xlate(GUEST_GPA + 8, (uint64_t)-8));
	assert_null(xlate(UINT64_MAX - GUEST_SIZE, GUEST_SIZE + 1));
}

static void
zero_length(void **state)
{
	(void)state;
	assert_null(xlate(GUEST_GPA, 0));
	assert_null(xlate(GUEST_GPA2 + GUEST_SIZE2, 0));
	assert_null(xlate(0, 0));
}

static void
last_region_is_kept(void **state)
{
	const struct mem_region *hit = NULL;

	(void)state;
	assert_non_null(mem_xlate(&t, &hit, GUEST_GPA2 + 4, 4));
	assert_ptr_equal(hit, &t.r[1]);
	assert_null(mem_xlate(&t, &hit, 4, 4));
	assert_ptr_equal(hit, &t.r[1]);
	assert_ptr_equal(mem_xlate(&t, &hit, GUEST_GPA + 4, 4), g.mem + 4);
	assert_ptr_equal(hit, &t.r[0]);
}

static void
copies(void **state)
{
	uint8_t b[8];

	(void)state;
	memcpy(g.mem + 100, "abcdefgh", 8);
	assert_true(mem_copy_from(&t, b, GUEST_GPA + 100, 8));
	assert_memory_equal(b, "abcdefgh", 8);
	assert_true(mem_copy_to(&t, GUEST_GPA2 + GUEST_SIZE2 - 8, b, 8));
	assert_memory_equal(g.mem2 + GUEST_SIZE2 - 8, "abcdefgh", 8);
	g.mem[GUEST_SIZE - 1] = 'x';
	assert_false(mem_copy_to(&t, GUEST_GPA2 - 1, b, 8));
	assert_int_equal(g.mem[GUEST_SIZE - 1], 'x');
	assert_false(mem_copy_from(&t, b, GUEST_GPA2 + GUEST_SIZE2 - 7, 8));
}

static void
bad_tables(void **state)
{
	struct mem_region r[MEM_MAX_REGIONS + 1];
	struct mem_table other;

	(void)state;
	memcpy(r, g.r, sizeof(g.r));
	r[1].gpa = GUEST_GPA2 - 1;
	assert_int_equal(mem_set(&other, r, 2), -EINVAL);
	assert_int_equal(other.nb, 0);
	r[1] = g.r[1];
	r[1].size = 0;
	assert_int_equal(mem_set(&other, r, 2), -EINVAL);
	r[1] = g.r[1];
	r[1].gpa = UINT64_MAX - 100;
	assert_int_equal(mem_set(&other, r, 2), -EINVAL);
	r[1].size = 101; /* the last byte has the last address */
	assert_int_equal(mem_set(&other, r, 2), 0);
	r[1] = g.r[1];
	r[1].va = NULL;
	assert_int_equal(mem_set(&other, r, 2), -EINVAL);
	for (unsigned int i = 0; i <= MEM_MAX_REGIONS; i++)
		r[i] = (struct mem_region){i * 16, 16, g.mem + i * 16};
	assert_int_equal(mem_set(&other, r, MEM_MAX_REGIONS), 0);
	assert_int_equal(mem_set(&other, r, MEM_MAX_REGIONS + 1), -EINVAL);
	assert_int_equal(mem_set(&other, NULL, 0), 0);
}

static void
host_ranges(void **state)
{
	(void)state;
	assert_true(mem_holds(&t, g.mem, GUEST_SIZE));
	assert_false(mem_holds(&t, g.mem + 1, GUEST_SIZE));
	assert_false(mem_holds(&t, g.mem - 1, 2));
	assert_false(mem_holds(&t, NULL, 1));
	assert_false(mem_holds(&t, g.mem + 8, UINT64_MAX));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(region_edges),	    cmocka_unit_test(range_crosses_end),
		cmocka_unit_test(adjacent_regions), cmocka_unit_test(address_overflow),
		cmocka_unit_test(zero_length),	    cmocka_unit_test(last_region_is_kept),
		cmocka_unit_test(copies),	    cmocka_unit_test(bad_tables),
		cmocka_unit_test(host_ranges),
	};

	return cmocka_run_group_tests_name("mem", tests, setup, teardown);
}
