/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Packing and unpacking, and every call's way from the guest's function to the worker's and back. */

#include "rpc_calls.h"
#include "cl_rpc.h"
#include "cl_wire.h"
#include "fake_worker.h"

static int
setup(void **state)
{
	(void)state;
	rpc_reset();
	return 0;
}

static void
items(void **state)
{
	uint8_t buf[64];
	struct cl_enc e = {.p = buf, .end = buf + sizeof(buf)};
	struct cl_dec d = {.p = buf, .end = buf + sizeof(buf)};

	(void)state;
	memset(buf, 0xee, sizeof(buf));
	cl_put(&e, UINT64_C(0x1122334455667788));
	cl_put_bytes(&e, "hello", 5);
	cl_put_bytes(&e, NULL, 0);
	cl_put(&e, (uint64_t)(int64_t)-5);
	cl_put(&e, UINT32_MAX);
	assert_false(e.bad);
	assert_int_equal(e.p - buf, 48);

	assert_true(cl_get(&d) == UINT64_C(0x1122334455667788));
	assert_int_equal(cl_get(&d), 5);
	assert_memory_equal(cl_take(&d, 5), "hello\0\0", 8);
	assert_int_equal(cl_get(&d), 0);
	assert_non_null(cl_take(&d, 0));
	assert_int_equal(cl_get_i32(&d), -5);
	assert_int_equal(cl_get_u32(&d), UINT32_MAX);
	assert_false(d.bad);
	assert_int_equal(d.p - buf, 48);
}

static void
no_room(void **state)
{
	uint8_t buf[24];
	struct cl_enc e = {.p = buf, .end = buf + sizeof(buf)};

	(void)state;
	cl_put_bytes(&e, fake_pattern, 16);
	assert_false(e.bad);
	assert_ptr_equal(e.p, e.end);
	cl_put(&e, 1);
	assert_true(e.bad);

	e = (struct cl_enc){.p = buf, .end = buf + sizeof(buf)};
	cl_put_bytes(&e, fake_pattern, 17);
	assert_true(e.bad);
	/* and what would fit is not put after what did not */
	e.p = buf;
	assert_null(cl_room(&e, 8));

	e = (struct cl_enc){.p = buf, .end = buf + sizeof(buf)};
	assert_null(cl_room(&e, SIZE_MAX));
	e = (struct cl_enc){.p = buf, .end = buf + sizeof(buf)};
	assert_null(cl_room(&e, SIZE_MAX - 7));
}

static void
not_there(void **state)
{
	const uint64_t words[2] = {UINT64_MAX, 1};
	const uint8_t *buf = (const uint8_t *)words;
	struct cl_dec d = {.p = buf, .end = buf + 8};

	(void)state;
	assert_true(cl_get(&d) == UINT64_MAX);
	assert_int_equal(cl_get(&d), 0);
	assert_true(d.bad);
	d = (struct cl_dec){.p = buf, .end = buf + 8};
	assert_null(cl_take(&d, 9));
	assert_int_equal(cl_get(&d), 0);
	static const uint64_t too_long[] = {SIZE_MAX, SIZE_MAX - 7, UINT64_C(1) << 63, 17};
	for (unsigned int i = 0; i < 4; i++) {
		d = (struct cl_dec){.p = buf, .end = buf + 16};
		assert_null(cl_take(&d, too_long[i]));
		assert_true(d.bad);
	}
}

static void
out_of_range(void **state)
{
	static const struct {
		uint64_t v;
		bool u32, i32;
	} t[] = {
		{0, true, true},
		{INT32_MAX, true, true},
		{UINT64_C(1) << 31, true, false},
		{UINT32_MAX, true, false},
		{UINT64_C(1) << 32, false, false},
		{UINT64_C(1) << 63, false, false},
		{(uint64_t)INT32_MIN, false, true},
		{(uint64_t)INT32_MIN - 1, false, false},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const uint8_t *p = (const uint8_t *)&t[i].v;
		struct cl_dec d = {.p = p, .end = p + 8};

		cl_get_u32(&d);
		assert_int_equal(d.bad, !t[i].u32);
		d = (struct cl_dec){.p = p, .end = p + 8};
		cl_get_i32(&d);
		assert_int_equal(d.bad, !t[i].i32);
	}
}

static void
counts(void **state)
{
	static const struct {
		uint64_t n;
		uint32_t max;
		bool good;
	} t[] = {
		{0, 0, true},
		{1, 0, false},
		{2, 2, true},
		{3, 2, false},
		{3, 3, false}, /* two follow */
		{UINT64_MAX, UINT32_MAX, false},
		{UINT64_C(1) << 61, UINT32_MAX, false},
		{UINT64_C(0x2000000000000001), UINT32_MAX, false},
		{UINT64_C(1) << 32, UINT32_MAX, false},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint64_t words[3] = {t[i].n, 5, 6};
		struct cl_dec d = {.p = (uint8_t *)words, .end = (uint8_t *)(words + 3)};

		assert_int_equal(cl_get_count(&d, t[i].max), t[i].good ? t[i].n : 0);
		assert_int_equal(d.bad, !t[i].good);
	}
}

/* The calls --------------------------------------------------------------------------------------------------------- */

/* What has not been written (0xee) is not sent: what pads is 0. */
static void
nothing_leaks(const uint8_t *req, size_t len, size_t rsp_len)
{
	(void)rsp_len;
	assert_null(memchr(req, 0xee, len));
}

static void
every_call(void **state)
{
	(void)state;
	rpc_hook = nothing_leaks;
	for (size_t i = 0; i < rpc_nb_calls; i++) {
		rpc_calls[i].full();
		assert_int_equal(fake.nb_calls, 2 * i + 1);
		rpc_calls[i].bare();
		assert_int_equal(fake.nb_calls, 2 * i + 2);
		assert_int_equal(fake.nb_made, fake.nb_ids);
	}
}

static void
every_call_fails(void **state)
{
	(void)state;
	for (size_t i = 0; i < rpc_nb_calls; i++) {
		fake.err = -1000 - (cl_int)i;
		rpc_calls[i].bare();
	}
}

static void
fails_without_results(void **state)
{
	uint64_t kernel = 5, event = 5;

	(void)state;
	fake.err = CL_INVALID_KERNEL_NAME;
	assert_int_equal(rpc_CreateKernel(FAKE_ID(CL_KIND_PROGRAM, 1), "none", &kernel), fake.err);
	assert_int_equal(kernel, 0);
	assert_int_equal(rpc_EnqueueTask(FAKE_ID(CL_KIND_QUEUE, 1), FAKE_ID(CL_KIND_KERNEL, 1), 0,
					 NULL, &event),
			 fake.err);
	assert_int_equal(event, 0);
	assert_int_equal(fake.nb_ids, 0);
}

static void
session_lost(void **state)
{
	uint64_t kernel = 5, event = 5;
	size_t len = 5;

	(void)state;
	rpc_lost = true;
	assert_int_equal(rpc_CreateKernel(1, "k", &kernel), CL_DEVICE_NOT_AVAILABLE);
	assert_int_equal(rpc_EnqueueTask(1, 1, 0, NULL, &event), CL_DEVICE_NOT_AVAILABLE);
	assert_int_equal(rpc_ReadOutput(NULL, 0, &len), CL_DEVICE_NOT_AVAILABLE);
	assert_int_equal(rpc_Flush(1), CL_DEVICE_NOT_AVAILABLE);
	assert_int_equal(kernel + event + len, 0);
	assert_int_equal(fake.nb_calls, 0);
}

/* An answer that lacks results is as good as none. */
static void
answer_cut(void **state)
{
	const uint64_t program = FAKE_ID(CL_KIND_PROGRAM, 1);
	uint8_t text[FAKE_OUT_LEN];
	uint64_t kernel;
	size_t len;

	(void)state;
	rpc_cut = 8;
	assert_int_equal(rpc_CreateKernel(program, "k", &kernel), CL_DEVICE_NOT_AVAILABLE);
	assert_int_equal(rpc_ReadOutput(text, sizeof(text), &len), CL_DEVICE_NOT_AVAILABLE);
	assert_int_equal(len, 0);
	rpc_cut = SIZE_MAX;
	assert_int_equal(rpc_ReadOutput(text, sizeof(text), &len), CL_DEVICE_NOT_AVAILABLE);
	assert_int_equal(len, 0);
	/* with an error there need be none */
	fake.err = CL_INVALID_KERNEL_NAME;
	assert_int_equal(rpc_CreateKernel(program, "k", &kernel), fake.err);
	assert_int_equal(rpc_ReadOutput(text, sizeof(text), &len), fake.err);
}

static void
room_for_bytes(void **state)
{
	uint8_t text[FAKE_OUT_LEN];
	size_t len;

	(void)state;
	memset(text, 0, sizeof(text));
	assert_int_equal(rpc_ReadOutput(text, FAKE_OUT_LEN - 1, &len), CL_SUCCESS);
	assert_int_equal(len, FAKE_OUT_LEN);
	for (unsigned int i = 0; i < FAKE_OUT_LEN; i++)
		assert_int_equal(text[i], 0);
	assert_int_equal(rpc_ReadOutput(NULL, 1000, &len), CL_SUCCESS);
	assert_int_equal(len, FAKE_OUT_LEN);
	assert_int_equal(rpc_ReadOutput(text, FAKE_OUT_LEN, NULL), CL_SUCCESS);
	assert_memory_equal(text, fake_pattern, FAKE_OUT_LEN);
	/* the answer has less room than the guest */
	rpc_room = sizeof(struct apir_cl_rsp) + 16 + FAKE_OUT_LEN / 8 * 8;
	assert_int_equal(rpc_ReadOutput(text, FAKE_OUT_LEN, &len), CL_OUT_OF_HOST_MEMORY);
	assert_int_equal(len, FAKE_OUT_LEN);
}

/* What does not fit is not sent in part, and not cut. */
static void
too_long(void **state)
{
	static char big[APIR_CL_MAX_INLINE + 2];
	static uint64_t numbers[APIR_CL_MAX_ITEMS + 1];
	static cl_event events[APIR_CL_MAX_ITEMS + 1];
	const uint64_t queue = FAKE_ID(CL_KIND_QUEUE, 1), mem = FAKE_ID(CL_KIND_MEM, 1);
	const uint64_t ctx = FAKE_ID(CL_KIND_CONTEXT, 1), dev = FAKE_ID(CL_KIND_DEVICE, 1);
	uint64_t id;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	for (unsigned int i = 0; i <= APIR_CL_MAX_ITEMS; i++)
		events[i] = rpc_waits[0];
	assert_int_equal(rpc_CreateKernel(FAKE_ID(CL_KIND_PROGRAM, 1), big, &id),
			 CL_OUT_OF_HOST_MEMORY);
	assert_int_equal(
		rpc_EnqueueFillBuffer(queue, mem, big, APIR_CL_MAX_INLINE + 1, 0, 1, 0, NULL, NULL),
		CL_OUT_OF_HOST_MEMORY);
	assert_int_equal(rpc_EnqueueFillBuffer(queue, mem, big, SIZE_MAX, 0, 1, 0, NULL, NULL),
			 CL_OUT_OF_HOST_MEMORY);
	assert_int_equal(rpc_CreateQueue(ctx, dev, APIR_CL_MAX_ITEMS + 1, numbers, &id),
			 CL_OUT_OF_HOST_MEMORY);
	assert_int_equal(rpc_CreateQueue(ctx, dev, SIZE_MAX / 8 + 2, numbers, &id),
			 CL_OUT_OF_HOST_MEMORY);
	assert_int_equal(rpc_EnqueueMarkerWithWaitList(queue, APIR_CL_MAX_ITEMS + 1, events, NULL),
			 CL_OUT_OF_HOST_MEMORY);
	/* each is short enough, but not both together */
	assert_int_equal(rpc_EnqueueFillBuffer(queue, mem, big, APIR_CL_MAX_INLINE, 0, 1,
					       APIR_CL_MAX_ITEMS, events, NULL),
			 CL_OUT_OF_HOST_MEMORY);
	assert_int_equal(fake.nb_calls, 0);
	assert_int_equal(
		rpc_EnqueueFillBuffer(queue, mem, big, APIR_CL_MAX_INLINE, 0, 1, 0, NULL, NULL),
		CL_SUCCESS);
	assert_int_equal(rpc_EnqueueMarkerWithWaitList(queue, APIR_CL_MAX_ITEMS, events, NULL),
			 CL_SUCCESS);
	assert_int_equal(rpc_CreateQueue(ctx, dev, APIR_CL_MAX_ITEMS, numbers, &id), CL_SUCCESS);
	big[APIR_CL_MAX_INLINE] = '\0';
	assert_int_equal(rpc_CreateKernel(FAKE_ID(CL_KIND_PROGRAM, 1), big, &id), CL_SUCCESS);
	assert_int_equal(fake.nb_calls, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(items, setup),
		cmocka_unit_test_setup(no_room, setup),
		cmocka_unit_test_setup(not_there, setup),
		cmocka_unit_test_setup(out_of_range, setup),
		cmocka_unit_test_setup(counts, setup),
		cmocka_unit_test_setup(every_call, setup),
		cmocka_unit_test_setup(every_call_fails, setup),
		cmocka_unit_test_setup(fails_without_results, setup),
		cmocka_unit_test_setup(session_lost, setup),
		cmocka_unit_test_setup(answer_cut, setup),
		cmocka_unit_test_setup(room_for_bytes, setup),
		cmocka_unit_test_setup(too_long, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
