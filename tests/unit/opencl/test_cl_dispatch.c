/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* What a hostile guest sends. Every request is refused, or its call gets what it may get; fake_worker.c checks that. */

#include <stdlib.h>

#include "rpc_calls.h"
#include "cl_calls.h"
#include "cl_rpc.h"
#include "dispatch.h"
#include "fake_worker.h"

#define HEAD sizeof(struct apir_cl_req)

/* Calls noted while a hook tries requests are not those that rpc_check() looks for. */
static struct fake before;
static unsigned int nb_tried;

static int
setup(void **state)
{
	(void)state;
	rpc_reset();
	nb_tried = 0;
	return 0;
}

/* Send a request; len is put right in its head. The answer is whole, whatever it is. */
static struct apir_cl_rsp
answer(const uint8_t *req, size_t len, size_t room)
{
	uint8_t *in = malloc(len), *out = malloc(room);
	struct apir_cl_rsp r;
	size_t n;

	assert_true(in != NULL && out != NULL);
	memcpy(in, req, len);
	if (len >= HEAD)
		((struct apir_cl_req *)in)->len = (uint32_t)(len - HEAD);
	n = cl_dispatch(NULL, in, len, out, room);
	assert_in_range(n, sizeof(r), room);
	memcpy(&r, out, sizeof(r));
	assert_int_equal(r.magic, APIR_CL_MAGIC);
	assert_int_equal(r.len, n - sizeof(r));
	assert_int_equal(r.flags, 0);
	nb_tried++;
	free(in);
	free(out);
	return r;
}

static void
refused(const uint8_t *req, size_t len, enum apir_status status)
{
	const unsigned int calls = fake.nb_calls;
	const struct apir_cl_rsp r = answer(req, len, APIR_CTL_MAX);

	assert_int_equal(r.status, status);
	assert_int_equal(r.len, 0);
	assert_int_equal(fake.nb_calls, calls);
}

static void
run_all(void (*hook)(const uint8_t *req, size_t len, size_t rsp_len))
{
	rpc_hook = hook;
	for (size_t i = 0; i < rpc_nb_calls; i++) {
		rpc_calls[i].full();
		rpc_calls[i].bare();
	}
	assert_in_range(nb_tried, rpc_nb_calls, UINT32_MAX);
}

static void
cut(const uint8_t *req, size_t len, size_t rsp_len)
{
	uint8_t *more = calloc(1, len + 8);

	(void)rsp_len;
	before = fake;
	assert_non_null(more);
	memcpy(more, req, len);
	for (size_t n = 0; n < len; n++)
		refused(req, n, APIR_S_MALFORMED);
	for (size_t n = len + 1; n <= len + 8; n++)
		refused(more, n, APIR_S_MALFORMED);
	free(more);
	fake = before;
}

static void
truncated(void **state)
{
	(void)state;
	run_all(cut);
}

static void
shrink(const uint8_t *req, size_t len, size_t rsp_len)
{
	before = fake;
	for (size_t room = sizeof(struct apir_cl_rsp); room < rsp_len; room++) {
		const unsigned int calls = fake.nb_calls;
		const struct apir_cl_rsp r = answer(req, len, room);

		if (r.status == APIR_S_TOOBIG) {
			assert_int_equal(fake.nb_calls, calls);
			assert_int_equal(r.len, 0);
		} else {
			/* only bytes may be left out */
			assert_int_equal(r.status, APIR_S_OK);
			assert_in_range(rsp_len, r.len + sizeof(r) + FAKE_OUT_LEN, APIR_CTL_MAX);
		}
	}
	nb_tried++;
	fake = before;
}

static void
no_room_for_results(void **state)
{
	(void)state;
	run_all(shrink);
}

static cl_int
invalid(unsigned int kind)
{
	static const cl_int err[] = {
		[CL_KIND_DEVICE] = CL_INVALID_DEVICE,	    [CL_KIND_CONTEXT] = CL_INVALID_CONTEXT,
		[CL_KIND_QUEUE] = CL_INVALID_COMMAND_QUEUE, [CL_KIND_MEM] = CL_INVALID_MEM_OBJECT,
		[CL_KIND_SAMPLER] = CL_INVALID_SAMPLER,	    [CL_KIND_PROGRAM] = CL_INVALID_PROGRAM,
		[CL_KIND_KERNEL] = CL_INVALID_KERNEL,	    [CL_KIND_EVENT] = CL_INVALID_EVENT,
	};

	return err[kind];
}

/* Put words where ids are: of another kind, stale, none. */
static void
other_objects(const uint8_t *req, size_t len, size_t rsp_len)
{
	uint8_t *copy = malloc(len);

	(void)rsp_len;
	before = fake;
	assert_non_null(copy);
	for (size_t at = HEAD; at < len; at += 8) {
		unsigned int kind;
		uint64_t id;

		memcpy(copy, req, len);
		memcpy(&id, req + at, 8);
		kind = (unsigned int)(id >> 8) & 0xff;
		if (kind < CL_KIND_DEVICE || kind > CL_KIND_MAX || id != FAKE_ID(kind, id & 0xff))
			continue;
		const uint64_t bad[] = {
			FAKE_ID(kind == CL_KIND_MEM ? CL_KIND_EVENT : CL_KIND_MEM, 1),
			FAKE_ID(kind, FAKE_LAST + 1),
			id | UINT64_C(1) << 32,
			UINT64_MAX,
			1,
		};
		for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			struct apir_cl_rsp r;

			memcpy(copy + at, &bad[i], 8);
			r = answer(copy, len, APIR_CTL_MAX);
			assert_int_equal(r.status, APIR_S_OK);
			assert_int_equal(r.len, 0);
			if (r.err != CL_INVALID_EVENT_WAIT_LIST || kind != CL_KIND_EVENT)
				assert_int_equal(r.err, invalid(kind));
			assert_int_equal(fake.nb_calls, before.nb_calls);
		}
	}
	nb_tried++;
	free(copy);
	fake = before;
}

static void
wrong_objects(void **state)
{
	(void)state;
	run_all(other_objects);
}

/* Any word may be a count, a length or an address. What is let through has been checked by the fakes. */
static void
big_words(const uint8_t *req, size_t len, size_t rsp_len)
{
	static const uint64_t big[] = {0,
				       1,
				       7,
				       APIR_CL_MAX_ITEMS + 1,
				       APIR_CL_MAX_INLINE + 1,
				       FAKE_ARENA + FAKE_ARENA_SIZE,
				       UINT32_MAX,
				       UINT64_C(1) << 32,
				       (UINT64_C(1) << 32) + 1,
				       UINT64_C(1) << 60,
				       UINT64_C(1) << 61,
				       (UINT64_C(1) << 61) + 1,
				       UINT64_C(1) << 63,
				       UINT64_MAX - 7,
				       UINT64_MAX - 6,
				       UINT64_MAX};
	uint8_t *copy = malloc(len);

	(void)rsp_len;
	before = fake;
	assert_non_null(copy);
	for (size_t at = HEAD; at < len; at += 8) {
		memcpy(copy, req, len);
		for (unsigned int i = 0; i < sizeof(big) / sizeof(big[0]); i++) {
			const unsigned int calls = fake.nb_calls;
			struct apir_cl_rsp r;

			memcpy(copy + at, &big[i], 8);
			r = answer(copy, len, APIR_CTL_MAX);
			assert_true(r.status == APIR_S_OK || r.status == APIR_S_MALFORMED);
			assert_true(fake.nb_calls == calls + 1 || r.status != APIR_S_OK ||
				    r.err != CL_SUCCESS);
		}
	}
	nb_tried++;
	free(copy);
	fake = before;
}

static void
wrong_numbers(void **state)
{
	(void)state;
	run_all(big_words);
}

/* Requests by hand -------------------------------------------------------------------------------------------------- */

/* A request of words after the head, in space for the longest. */
static uint64_t words[APIR_CTL_MAX / 8];

static size_t
request(uint32_t call, size_t n, const uint64_t *args)
{
	const struct apir_cl_req h = {.magic = APIR_CL_MAGIC, .call = call};

	memset(words, 0, sizeof(words));
	memcpy(words, &h, sizeof(h));
	memcpy(words + 2, args, n * 8);
	return HEAD + n * 8;
}

static void
send_refused(size_t len)
{
	refused((const uint8_t *)words, len, APIR_S_MALFORMED);
}

static cl_int
send_err(size_t len)
{
	const struct apir_cl_rsp r = answer((const uint8_t *)words, len, APIR_CTL_MAX);

	assert_int_equal(r.status, APIR_S_OK);
	return r.err;
}

static void
heads(void **state)
{
	struct apir_cl_req h = {.magic = APIR_CL_MAGIC, .call = APIR_CL_CALL_UNLOAD_COMPILER};
	static const uint32_t unknown[] = {0, 19, 1023, 1024, UINT32_MAX};
	struct apir_cl_rsp r;
	uint8_t *out = (uint8_t *)&r;

	(void)state;
	assert_int_equal(answer((uint8_t *)&h, sizeof(h), sizeof(r)).status, APIR_S_OK);
	assert_int_equal(fake.nb_calls, 1);
	h.magic = APIR_MAGIC;
	refused((uint8_t *)&h, sizeof(h), APIR_S_MALFORMED);
	h.magic = APIR_CL_MAGIC;
	for (unsigned int i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		h.call = unknown[i];
		refused((uint8_t *)&h, sizeof(h), APIR_S_UNSUPPORTED);
	}
	h.call = APIR_CL_CALL_UNLOAD_COMPILER;
	/* a length that is not that of the message */
	h.len = 8;
	assert_int_equal(cl_dispatch(NULL, (uint8_t *)&h, sizeof(h), out, sizeof(r)), 16);
	assert_int_equal(r.status, APIR_S_MALFORMED);
	h.len = (uint32_t)-16;
	assert_int_equal(cl_dispatch(NULL, (uint8_t *)&h, 0, out, sizeof(r)), 16);
	assert_int_equal(r.status, APIR_S_MALFORMED);
	h.len = 0;
	/* not even room for the head of the answer */
	assert_int_equal(cl_dispatch(NULL, (uint8_t *)&h, sizeof(h), out, 15), 0);
	assert_int_equal(cl_dispatch(NULL, (uint8_t *)&h, sizeof(h), out, 0), 0);
	assert_int_equal(fake.nb_calls, 1);
}

static void
dimensions(void **state)
{
	/* queue, kernel, dim, then offset, global, local as count and items, waits, wanted */
	uint64_t args[] = {
		FAKE_ID(CL_KIND_QUEUE, 1), FAKE_ID(CL_KIND_KERNEL, 1), 2, 0, 2, 64, 64, 0, 0, 0};
	size_t len = request(APIR_CL_CALL_ENQUEUE_ND_RANGE_KERNEL, 10, args);

	(void)state;
	assert_int_equal(send_err(len), CL_SUCCESS);
	/* the host would read as many as dim says */
	static const uint64_t dims[] = {0, 1, 3, 4, UINT32_MAX};
	for (unsigned int i = 0; i < sizeof(dims) / sizeof(dims[0]); i++) {
		args[2] = dims[i];
		send_refused(request(APIR_CL_CALL_ENQUEUE_ND_RANGE_KERNEL, 10, args));
	}
	/* without any sizes it is for the host to say what it thinks of it */
	const uint64_t none[] = {
		FAKE_ID(CL_KIND_QUEUE, 1), FAKE_ID(CL_KIND_KERNEL, 1), 77, 0, 0, 0, 0, 0};
	assert_int_equal(send_err(request(APIR_CL_CALL_ENQUEUE_ND_RANGE_KERNEL, 8, none)),
			 CL_SUCCESS);
}

static void
three_of_each(void **state)
{
	/* queue, image, two origins and a region */
	uint64_t args[17] = {FAKE_ID(CL_KIND_QUEUE, 1), FAKE_ID(CL_KIND_MEM, 1),
			     FAKE_ID(CL_KIND_MEM, 2)};

	(void)state;
	args[3] = args[7] = args[11] = 3;
	assert_int_equal(send_err(request(APIR_CL_CALL_ENQUEUE_COPY_IMAGE, 17, args)), CL_SUCCESS);
	/* two and four; none */
	args[3] = 2;
	args[6] = 4;
	args[7] = 0;
	send_refused(request(APIR_CL_CALL_ENQUEUE_COPY_IMAGE, 17, args));
	memset(args + 3, 0, sizeof(args) - 3 * 8);
	send_refused(request(APIR_CL_CALL_ENQUEUE_COPY_IMAGE, 8, args));
}

static void
too_many(void **state)
{
	const uint64_t head[] = {FAKE_ID(CL_KIND_QUEUE, 1)};
	size_t n;

	(void)state;
	for (n = APIR_CL_MAX_ITEMS; n <= APIR_CL_MAX_ITEMS + 1; n++) {
		request(APIR_CL_CALL_ENQUEUE_MIGRATE_MEM_OBJECTS, 1, head);
		words[3] = n;
		for (size_t i = 0; i < n; i++)
			words[4 + i] = FAKE_ID(CL_KIND_MEM, 1);
		if (n == APIR_CL_MAX_ITEMS)
			assert_int_equal(send_err(HEAD + 16 + n * 8 + 24), CL_SUCCESS);
		else
			send_refused(HEAD + 16 + n * 8 + 24);
	}
	for (n = APIR_CL_MAX_INLINE; n <= APIR_CL_MAX_INLINE + 8; n += 8) {
		request(APIR_CL_CALL_CREATE_KERNEL, 1, (uint64_t[]){FAKE_ID(CL_KIND_PROGRAM, 1)});
		words[3] = n;
		memset(words + 4, 'x', n);
		if (n == APIR_CL_MAX_INLINE)
			assert_int_equal(send_err(HEAD + 16 + n), CL_SUCCESS);
		else
			send_refused(HEAD + 16 + n);
	}
	send_refused(sizeof(words));
	assert_int_equal(fake.nb_calls, 2);
}

static void
ranges(void **state)
{
	static const struct {
		uint64_t addr, len;
		bool good;
	} t[] = {
		{0, 0, true},
		{FAKE_ARENA, 0, true},
		{FAKE_ARENA, FAKE_ARENA_SIZE, true},
		{FAKE_ARENA + FAKE_ARENA_SIZE - 1, 1, true},
		{0, 1, false},
		{FAKE_ARENA - 1, 1, false},
		{FAKE_ARENA, FAKE_ARENA_SIZE + 1, false},
		{FAKE_ARENA + FAKE_ARENA_SIZE, 1, false},
		{FAKE_ARENA + 8, UINT64_MAX - 7, false},
		{UINT64_MAX, 1, false},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const unsigned int calls = fake.nb_calls;
		const uint64_t args[] = {FAKE_ID(CL_KIND_QUEUE, 1),
					 FAKE_ID(CL_KIND_MEM, 1),
					 1,
					 0,
					 t[i].addr,
					 t[i].len,
					 0,
					 0};
		const cl_int err = send_err(request(APIR_CL_CALL_ENQUEUE_WRITE_BUFFER, 8, args));

		assert_int_equal(err, t[i].good ? CL_SUCCESS : CL_INVALID_VALUE);
		assert_int_equal(fake.nb_calls, calls + t[i].good);
	}
}

static void
halves(void **state)
{
	uint64_t args[] = {FAKE_ID(CL_KIND_EVENT, 1), (uint64_t)(int64_t)-5};

	(void)state;
	assert_int_equal(send_err(request(APIR_CL_CALL_SET_USER_EVENT_STATUS, 2, args)),
			 CL_SUCCESS);
	args[1] = (uint32_t)-5;
	send_refused(request(APIR_CL_CALL_SET_USER_EVENT_STATUS, 2, args));
	args[1] = UINT64_C(1) << 32;
	send_refused(request(APIR_CL_CALL_SET_USER_EVENT_STATUS, 2, args));
}

static void
no_null(void **state)
{
	uint64_t args[] = {0, FAKE_ID(CL_KIND_MEM, 1), FAKE_ID(CL_KIND_MEM, 2), 0, 0, 1, 0, 0};

	(void)state;
	assert_int_equal(send_err(request(APIR_CL_CALL_ENQUEUE_COPY_BUFFER, 8, args)),
			 CL_INVALID_COMMAND_QUEUE);
	args[0] = FAKE_ID(CL_KIND_QUEUE, 1);
	args[2] = 0;
	assert_int_equal(send_err(request(APIR_CL_CALL_ENQUEUE_COPY_BUFFER, 8, args)),
			 CL_INVALID_MEM_OBJECT);
	/* the first that is wrong counts; so does what is malformed, more than that */
	args[0] = 0;
	assert_int_equal(send_err(request(APIR_CL_CALL_ENQUEUE_COPY_BUFFER, 8, args)),
			 CL_INVALID_COMMAND_QUEUE);
	send_refused(request(APIR_CL_CALL_ENQUEUE_COPY_BUFFER, 7, args));
	/* a list with a hole */
	const uint64_t waits[] = {FAKE_ID(CL_KIND_QUEUE, 1), 2, FAKE_ID(CL_KIND_EVENT, 1), 0, 1};
	assert_int_equal(send_err(request(APIR_CL_CALL_ENQUEUE_MARKER_WITH_WAIT_LIST, 5, waits)),
			 CL_INVALID_EVENT_WAIT_LIST);
	assert_int_equal(fake.nb_calls, 0);
}

static void
no_ids_left(void **state)
{
	const uint64_t program = FAKE_ID(CL_KIND_PROGRAM, 1), queue = FAKE_ID(CL_KIND_QUEUE, 1);
	uint64_t id = 5;

	(void)state;
	fake.no_ids = true;
	assert_int_equal(rpc_CreateKernel(program, "k", &id), CL_OUT_OF_HOST_MEMORY);
	assert_int_equal(id, 0);
	id = 5;
	assert_int_equal(rpc_EnqueueBarrierWithWaitList(queue, 0, NULL, &id),
			 CL_OUT_OF_HOST_MEMORY);
	assert_int_equal(id, 0);
	assert_int_equal(rpc_EnqueueBarrierWithWaitList(queue, 0, NULL, NULL), CL_SUCCESS);
}

static void
names(void **state)
{
	(void)state;
	assert_string_equal(apir_cl_call_name(APIR_CL_CALL_OPEN), "Open");
	assert_string_equal(apir_cl_call_name(APIR_CL_CALL_ENQUEUE_SVM_MEMCPY), "EnqueueSVMMemcpy");
	assert_string_equal(apir_cl_call_name(0), "unknown");
	assert_string_equal(apir_cl_call_name(UINT32_MAX), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(truncated, setup),
		cmocka_unit_test_setup(no_room_for_results, setup),
		cmocka_unit_test_setup(wrong_objects, setup),
		cmocka_unit_test_setup(wrong_numbers, setup),
		cmocka_unit_test_setup(heads, setup),
		cmocka_unit_test_setup(dimensions, setup),
		cmocka_unit_test_setup(three_of_each, setup),
		cmocka_unit_test_setup(too_many, setup),
		cmocka_unit_test_setup(ranges, setup),
		cmocka_unit_test_setup(halves, setup),
		cmocka_unit_test_setup(no_null, setup),
		cmocka_unit_test_setup(no_ids_left, setup),
		cmocka_unit_test_setup(names, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
