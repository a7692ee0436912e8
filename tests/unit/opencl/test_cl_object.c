/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Handles: what lives, what is dead, what never was one. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cl_object.h"
#include "cl_session.h"

const struct _cl_icd_dispatch cl_dispatch_table;
static uint32_t session = 1;
static uint64_t released[16];
static unsigned int nb_released, nb_ended;

uint32_t
cl_session_number(void)
{
	return session;
}

void
cl_release_id(uint64_t id)
{
	released[nb_released++ % 16] = id;
}

static void
ended(void *obj)
{
	assert_non_null(obj);
	nb_ended++;
}

static int
setup(void **state)
{
	(void)state;
	session = 1;
	nb_released = nb_ended = 0;
	cl_object_cleanup(CL_KIND_EVENT, ended);
	return 0;
}

static void
kinds(void **state)
{
	void *obj[CL_KIND_MAX + 1];

	(void)state;
	for (unsigned int k = 1; k <= CL_KIND_MAX; k++) {
		obj[k] = cl_object_new(k, 100 + k);
		assert_non_null(obj[k]);
		assert_int_equal(cl_id(obj[k]), 100 + k);
		assert_ptr_equal(((struct cl_object *)obj[k])->dispatch, &cl_dispatch_table);
	}
	for (unsigned int k = 1; k <= CL_KIND_MAX; k++)
		for (unsigned int j = 1; j <= CL_KIND_MAX; j++)
			assert_int_equal(cl_is(obj[j], k), j == k);
	for (unsigned int k = 1; k <= CL_KIND_MAX; k++)
		cl_release(obj[k]);
	assert_int_equal(nb_released, CL_KIND_MAX);
	assert_int_equal(nb_ended, 1);
}

static void
no_handles(void **state)
{
	uint64_t local[64] = {0};
	char *e = cl_object_new(CL_KIND_EVENT, 1);

	(void)state;
	memcpy(local, e, sizeof(struct cl_object));
	for (unsigned int k = 1; k <= CL_KIND_MAX; k++) {
		assert_false(cl_is(NULL, k));
		assert_false(cl_is(local, k));
		assert_false(cl_is((void *)1, k));
		assert_false(cl_is((void *)UINTPTR_MAX, k));
		/* never touched: these are no addresses of memory */
		assert_false(cl_is((void *)((uintptr_t)1 << 63), k));
		assert_false(cl_is(e + 8, k));
		assert_false(cl_is(e + 64, k));
		assert_false(cl_is(e + (1 << 20), k));
	}
	assert_int_equal(cl_api_retain(local, CL_KIND_EVENT), CL_INVALID_EVENT);
	assert_int_equal(cl_api_release(NULL, CL_KIND_MEM), CL_INVALID_MEM_OBJECT);
	cl_release(e);
}

static void
counts(void **state)
{
	cl_event e = cl_object_new(CL_KIND_EVENT, 5);

	(void)state;
	assert_int_equal(cl_refcount(e), 1);
	assert_int_equal(cl_api_retain(e, CL_KIND_EVENT), CL_SUCCESS);
	assert_int_equal(cl_refcount(e), 2);
	/* our own references are nobody's business */
	cl_retain(e);
	assert_int_equal(cl_refcount(e), 2);
	assert_int_equal(cl_api_release(e, CL_KIND_EVENT), CL_SUCCESS);
	assert_int_equal(cl_api_release(e, CL_KIND_EVENT), CL_SUCCESS);
	assert_int_equal(nb_ended, 0);
	/* nor can the program release them */
	assert_int_equal(cl_api_release(e, CL_KIND_EVENT), CL_INVALID_EVENT);
	assert_true(cl_is(e, CL_KIND_EVENT));
	cl_release(e);
	assert_int_equal(nb_ended, 1);
	assert_int_equal(released[0], 5);
	assert_false(cl_is(e, CL_KIND_EVENT));
	assert_int_equal(cl_api_release(e, CL_KIND_EVENT), CL_INVALID_EVENT);
	assert_int_equal(cl_api_retain(e, CL_KIND_EVENT), CL_INVALID_EVENT);
	cl_release(NULL);
}

static void
roots_are_not_counted(void **state)
{
	cl_device_id d = cl_object_new(CL_KIND_DEVICE, 1), sub = cl_object_new(CL_KIND_DEVICE, 2);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(cl_api_release(d, CL_KIND_DEVICE), CL_SUCCESS);
	assert_int_equal(cl_refcount(d), 1);
	sub->parent = d;
	assert_int_equal(cl_api_retain(sub, CL_KIND_DEVICE), CL_SUCCESS);
	assert_int_equal(cl_refcount(sub), 2);
	assert_int_equal(cl_api_release(sub, CL_KIND_DEVICE), CL_SUCCESS);
	assert_int_equal(cl_api_release(sub, CL_KIND_DEVICE), CL_SUCCESS);
	assert_int_equal(cl_api_release(sub, CL_KIND_DEVICE), CL_INVALID_DEVICE);
}

static void
dead_ones_rest(void **state)
{
	cl_event e = cl_object_new(CL_KIND_EVENT, 1), n;
	unsigned int i;

	(void)state;
	e->type = 77;
	cl_release(e);
	for (i = 0; i < 10000; i++) {
		n = cl_object_new(CL_KIND_EVENT, 2);
		assert_non_null(n);
		assert_int_equal(n->type, 0);
		if (n == e)
			break;
		n->type = 77;
		cl_release(n);
	}
	/* not at once, but one day */
	assert_true(i >= 32 && i < 10000);
	cl_release(n);
}

static void
many(void **state)
{
	enum { NB = 20000 };
	cl_mem *m = calloc(NB, sizeof(*m));

	(void)state;
	assert_non_null(m);
	for (int i = 0; i < NB; i++) {
		m[i] = cl_object_new(CL_KIND_MEM, 0);
		assert_non_null(m[i]);
	}
	for (int i = 0; i < NB; i++)
		assert_true(cl_is(m[i], CL_KIND_MEM));
	for (int i = 0; i < NB; i++)
		cl_release(m[i]);
	for (int i = 0; i < NB; i++)
		assert_false(cl_is(m[i], CL_KIND_MEM));
	free(m);
}

static void
other_session(void **state)
{
	cl_event e = cl_object_new(CL_KIND_EVENT, 9);
	cl_platform_id p = cl_object_new(CL_KIND_PLATFORM, 0);

	(void)state;
	session = 2;
	assert_false(cl_is(e, CL_KIND_EVENT));
	assert_int_equal(cl_api_release(e, CL_KIND_EVENT), CL_INVALID_EVENT);
	/* the loader knows the platform from before the fork */
	assert_true(cl_is(p, CL_KIND_PLATFORM));
	/* its id means something else now */
	cl_release(e);
	assert_int_equal(nb_released, 0);
}

static void
info(void **state)
{
	char value[8] = "zzzzzzz";
	size_t size = 0;

	(void)state;
	assert_int_equal(cl_info_put("abc", 4, 0, NULL, &size), CL_SUCCESS);
	assert_int_equal(size, 4);
	size = 99;
	assert_int_equal(cl_info_put("abc", 4, 3, value, &size), CL_INVALID_VALUE);
	assert_int_equal(size, 99);
	assert_string_equal(value, "zzzzzzz");
	assert_int_equal(cl_info_put("abc", 4, 8, value, NULL), CL_SUCCESS);
	assert_string_equal(value, "abc");
	assert_int_equal(cl_info_put(NULL, 0, 0, value, &size), CL_SUCCESS);
	assert_int_equal(size, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(kinds, setup),
		cmocka_unit_test_setup(no_handles, setup),
		cmocka_unit_test_setup(counts, setup),
		cmocka_unit_test_setup(roots_are_not_counted, setup),
		cmocka_unit_test_setup(dead_ones_rest, setup),
		cmocka_unit_test_setup(many, setup),
		cmocka_unit_test_setup(other_session, setup),
		cmocka_unit_test_setup(info, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
