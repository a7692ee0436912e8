/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The generated public functions: what they check, in which order, and what they make of the worker's answer. */

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "cl_object.h"
#include "cl_rpc.h"

#include <cmocka.h>

/* Objects are alive when their kind is noted in their head. */
static struct _cl_context ctx;
static struct _cl_command_queue queue = {.o = {.magic = CL_KIND_QUEUE, .id = 1}, .ctx = &ctx};
static struct _cl_mem mems[2] = {{.o = {.magic = CL_KIND_MEM, .id = 2}},
				 {.o = {.magic = CL_KIND_MEM, .id = 3}}};
static struct _cl_kernel kernel = {.o = {.magic = CL_KIND_KERNEL, .id = 4}};
static struct _cl_program program = {.o = {.magic = CL_KIND_PROGRAM, .id = 5}};
static struct _cl_event event = {.o = {.magic = CL_KIND_EVENT, .id = 6}};
static struct _cl_mem dead;
static const cl_event list[] = {&event};

#define NEW_ID 77

/* What the worker and the wait list say, and what was asked of them. */
static struct {
	cl_int err, waits_err;
	bool no_memory;
	unsigned int nb;
	uint64_t arg[8];
	size_t n;
	cl_uint nb_waits;
	const cl_event *waits;
	bool wanted;
	cl_command_type type;
} t;

static int
setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	return 0;
}

/* What the functions stand on --------------------------------------------------------------------------------------- */

bool
cl_is(const void *obj, enum cl_kind kind)
{
	return obj != NULL && ((const struct cl_object *)obj)->magic == kind;
}

cl_int
cl_invalid(enum cl_kind kind)
{
	return -1000 - (cl_int)kind;
}

cl_int
cl_waits_check(const struct _cl_context *c, cl_uint n, const cl_event *waits)
{
	assert_ptr_equal(c, &ctx);
	(void)n;
	(void)waits;
	return t.waits_err;
}

struct _cl_event *
cl_event_new(struct _cl_command_queue *q, cl_command_type type, uint64_t id, struct cl_after *after)
{
	assert_ptr_equal(q, &queue);
	assert_int_equal(id, NEW_ID);
	assert_null(after);
	t.type = type;
	return t.no_memory ? NULL : &event;
}

static cl_int
called(cl_uint nb_waits, const cl_event *waits, uint64_t *id)
{
	t.nb++;
	t.nb_waits = nb_waits;
	t.waits = waits;
	t.wanted = id != NULL;
	if (id != NULL)
		*id = t.err == CL_SUCCESS ? NEW_ID : 0;
	return t.err;
}

cl_int
rpc_Flush(uint64_t q)
{
	t.arg[0] = q;
	return called(0, NULL, NULL);
}

cl_int
rpc_EnqueueCopyBuffer(uint64_t q, uint64_t src, uint64_t dst, uint64_t src_offset,
		      uint64_t dst_offset, uint64_t size, cl_uint nb_waits, const cl_event *waits,
		      uint64_t *id)
{
	const uint64_t args[] = {q, src, dst, src_offset, dst_offset, size};

	memcpy(t.arg, args, sizeof(args));
	return called(nb_waits, waits, id);
}

cl_int
rpc_EnqueueMigrateMemObjects(uint64_t q, size_t n, const uint64_t *objects, uint64_t flags,
			     cl_uint nb_waits, const cl_event *waits, uint64_t *id)
{
	t.n = n;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(objects[i], mems[i % 2].o.id);
	t.arg[0] = q;
	t.arg[1] = flags;
	return called(nb_waits, waits, id);
}

cl_int
rpc_SetProgramSpecializationConstant(uint64_t p, uint32_t spec, const void *value, size_t value_len)
{
	t.arg[0] = p;
	t.arg[1] = spec;
	t.n = value_len;
	assert_memory_equal(value, "spec", 4);
	return called(0, NULL, NULL);
}

cl_int
rpc_EnqueueTask(uint64_t q, uint64_t k, cl_uint nb_waits, const cl_event *waits, uint64_t *id)
{
	t.arg[0] = q;
	t.arg[1] = k;
	return called(nb_waits, waits, id);
}

cl_int
rpc_EnqueueMarkerWithWaitList(uint64_t q, cl_uint nb_waits, const cl_event *waits, uint64_t *id)
{
	t.arg[0] = q;
	return called(nb_waits, waits, id);
}

cl_int
rpc_EnqueueBarrierWithWaitList(uint64_t q, cl_uint nb_waits, const cl_event *waits, uint64_t *id)
{
	return rpc_EnqueueMarkerWithWaitList(q, nb_waits, waits, id);
}

/* Tests ------------------------------------------------------------------------------------------------------------- */

static void
arguments(void **state)
{
	const cl_mem both[2] = {&mems[0], &mems[1]};
	cl_event ev = NULL;

	(void)state;
	assert_int_equal(clEnqueueCopyBuffer(&queue, &mems[0], &mems[1], 10, 20, 30, 1, list, &ev),
			 CL_SUCCESS);
	const uint64_t copy[] = {1, 2, 3, 10, 20, 30};
	assert_memory_equal(t.arg, copy, sizeof(copy));
	assert_ptr_equal(ev, &event);
	assert_int_equal(t.nb_waits, 1);
	assert_ptr_equal(t.waits, list);
	assert_int_equal(t.type, CL_COMMAND_COPY_BUFFER);

	assert_int_equal(clEnqueueMigrateMemObjects(&queue, 2, both, CL_MIGRATE_MEM_OBJECT_HOST, 0,
						    NULL, &ev),
			 CL_SUCCESS);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.arg[1], CL_MIGRATE_MEM_OBJECT_HOST);
	assert_int_equal(t.type, CL_COMMAND_MIGRATE_MEM_OBJECTS);

	assert_int_equal(clSetProgramSpecializationConstant(&program, 9, 4, "spec"), CL_SUCCESS);
	assert_int_equal(t.arg[0], 5);
	assert_int_equal(t.arg[1], 9);
	assert_int_equal(t.n, 4);

	assert_int_equal(clEnqueueTask(&queue, &kernel, 0, NULL, &ev), CL_SUCCESS);
	assert_int_equal(t.arg[1], 4);
	assert_int_equal(t.type, CL_COMMAND_TASK);
	assert_int_equal(clEnqueueMarkerWithWaitList(&queue, 0, NULL, &ev), CL_SUCCESS);
	assert_int_equal(t.type, CL_COMMAND_MARKER);
	assert_int_equal(clEnqueueBarrierWithWaitList(&queue, 0, NULL, &ev), CL_SUCCESS);
	assert_int_equal(t.type, CL_COMMAND_BARRIER);
	assert_int_equal(clFlush(&queue), CL_SUCCESS);
	assert_int_equal(t.arg[0], 1);
	assert_int_equal(t.nb, 7);
}

static void
order_of_errors(void **state)
{
	const cl_mem hole[2] = {&mems[0], &dead};
	cl_event ev = NULL;

	(void)state;
	t.waits_err = CL_INVALID_EVENT_WAIT_LIST;
	assert_int_equal(clFlush(NULL), cl_invalid(CL_KIND_QUEUE));
	assert_int_equal(clFlush((cl_command_queue)&mems[0]), cl_invalid(CL_KIND_QUEUE));
	assert_int_equal(clEnqueueCopyBuffer(NULL, NULL, NULL, 0, 0, 0, 0, NULL, &ev),
			 cl_invalid(CL_KIND_QUEUE));
	assert_int_equal(clEnqueueCopyBuffer(&queue, NULL, &mems[0], 0, 0, 0, 0, NULL, &ev),
			 cl_invalid(CL_KIND_MEM));
	assert_int_equal(clEnqueueCopyBuffer(&queue, &mems[0], &dead, 0, 0, 0, 0, NULL, &ev),
			 cl_invalid(CL_KIND_MEM));
	assert_int_equal(clEnqueueCopyBuffer(&queue, &mems[0], &mems[1], 0, 0, 0, 0, NULL, &ev),
			 CL_INVALID_EVENT_WAIT_LIST);
	assert_int_equal(clEnqueueMigrateMemObjects(&queue, 0, hole, 0, 0, NULL, &ev),
			 CL_INVALID_VALUE);
	assert_int_equal(clEnqueueMigrateMemObjects(&queue, 2, NULL, 0, 0, NULL, &ev),
			 CL_INVALID_VALUE);
	assert_int_equal(clEnqueueMigrateMemObjects(&queue, 2, hole, 0, 0, NULL, &ev),
			 cl_invalid(CL_KIND_MEM));
	assert_int_equal(clEnqueueMigrateMemObjects(&queue, 1, hole, 0, 0, NULL, &ev),
			 CL_INVALID_EVENT_WAIT_LIST);
	assert_int_equal(clEnqueueTask(&queue, NULL, 0, NULL, &ev), cl_invalid(CL_KIND_KERNEL));
	assert_int_equal(clEnqueueMarkerWithWaitList(&queue, 0, NULL, &ev),
			 CL_INVALID_EVENT_WAIT_LIST);
	assert_int_equal(clSetProgramSpecializationConstant(NULL, 0, 4, "spec"),
			 cl_invalid(CL_KIND_PROGRAM));
	assert_int_equal(clSetProgramSpecializationConstant(&program, 0, 4, NULL),
			 CL_INVALID_VALUE);
	assert_int_equal(clSetProgramSpecializationConstant(&program, 0, 0, "spec"),
			 CL_INVALID_VALUE);
	assert_int_equal(t.nb, 0);
	assert_null(ev);
}

static void
events(void **state)
{
	cl_event ev = NULL;

	(void)state;
	assert_int_equal(clEnqueueTask(&queue, &kernel, 0, NULL, NULL), CL_SUCCESS);
	assert_false(t.wanted);
	t.err = CL_INVALID_KERNEL_ARGS;
	assert_int_equal(clEnqueueTask(&queue, &kernel, 0, NULL, &ev), CL_INVALID_KERNEL_ARGS);
	assert_true(t.wanted);
	assert_null(ev);
	t.err = CL_SUCCESS;
	t.no_memory = true;
	assert_int_equal(clEnqueueTask(&queue, &kernel, 0, NULL, &ev), CL_OUT_OF_HOST_MEMORY);
	assert_null(ev);
	assert_int_equal(clFlush(&queue), CL_SUCCESS);
	t.err = CL_DEVICE_NOT_AVAILABLE;
	assert_int_equal(clFlush(&queue), CL_DEVICE_NOT_AVAILABLE);
}

/* More than lie on the stack. */
static void
many_objects(void **state)
{
	cl_mem many[1000];

	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		many[i] = &mems[i % 2];
	for (unsigned int n = 31; n < 1000; n += n < 33 ? 1 : 967) {
		assert_int_equal(clEnqueueMigrateMemObjects(&queue, n, many, 0, 0, NULL, NULL),
				 CL_SUCCESS);
		assert_int_equal(t.n, n);
	}
	many[999] = &dead;
	assert_int_equal(clEnqueueMigrateMemObjects(&queue, 1000, many, 0, 0, NULL, NULL),
			 cl_invalid(CL_KIND_MEM));
	many[999] = &mems[1];
	t.waits_err = CL_INVALID_EVENT_WAIT_LIST;
	assert_int_equal(clEnqueueMigrateMemObjects(&queue, 1000, many, 0, 0, NULL, NULL),
			 CL_INVALID_EVENT_WAIT_LIST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(arguments, setup),
		cmocka_unit_test_setup(order_of_errors, setup),
		cmocka_unit_test_setup(events, setup),
		cmocka_unit_test_setup(many_objects, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
