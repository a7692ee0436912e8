/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Remote procedures: what they do, and malformed calls. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apir_ctl.h"
#include "rig.h"
#include "rpc.h"

static struct rig rig;

#define CALL_(proc, name, args, res)                                  \
	rig_call(&rig, proc, (xdrproc_t)xdr_apir_##name##_args, args, \
		 (xdrproc_t)xdr_apir_##name##_res, res)

static int
setup(void **state)
{
	(void)state;
	rig_backend(1, 50);
	rig_open(&rig, 0);
	rig_hello_ok(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	rig_backend_end();
	return 0;
}

static void
destroy(unsigned int proc, u_int id, unsigned int status)
{
	apir_result res = {0};

	rig_call(&rig, proc, (xdrproc_t)xdr_u_int, &id, (xdrproc_t)xdr_apir_result, &res);
	assert_int_equal(res.status, status);
	assert_true((strlen(res.text) == 0) == (status == APIR_S_OK));
	xdr_free((xdrproc_t)xdr_apir_result, &res);
}

static u_int
program(const char *src, unsigned int status)
{
	apir_program_args args = {.source.form = APIR_DATA_INLINE, .options = "-DX"};
	apir_program_res res = {0};

	args.source.apir_data_u.bytes.bytes_val = (char *)(uintptr_t)src;
	args.source.apir_data_u.bytes.bytes_len = (u_int)strlen(src);
	CALL_(APIR_PROGRAM_CREATE, program, &args, &res);
	assert_int_equal(res.result.status, status);
	xdr_free((xdrproc_t)xdr_apir_program_res, &res);
	return res.id;
}

static unsigned int
program_at(uint64_t addr, uint64_t len)
{
	apir_program_args args = {.source.form = APIR_DATA_SHARED, .options = ""};
	apir_program_res res = {0};

	args.source.apir_data_u.range = (apir_range){addr, len};
	CALL_(APIR_PROGRAM_CREATE, program, &args, &res);
	xdr_free((xdrproc_t)xdr_apir_program_res, &res);
	return res.result.status;
}

static u_int
kernel(u_int prog, const char *name, unsigned int status)
{
	apir_kernel_args args = {prog, (char *)(uintptr_t)name};
	apir_kernel_res res = {0};

	CALL_(APIR_KERNEL_CREATE, kernel, &args, &res);
	assert_int_equal(res.result.status, status);
	if (status == APIR_S_OK)
		assert_int_equal(res.nb_args, 2);
	xdr_free((xdrproc_t)xdr_apir_kernel_res, &res);
	return res.id;
}

static u_int
buffer(uint64_t size, unsigned int status)
{
	apir_buffer_args args = {size};
	apir_id_res res = {0};

	rig_call(&rig, APIR_BUFFER_CREATE, (xdrproc_t)xdr_apir_buffer_args, &args,
		 (xdrproc_t)xdr_apir_id_res, &res);
	assert_int_equal(res.result.status, status);
	xdr_free((xdrproc_t)xdr_apir_id_res, &res);
	return res.id;
}

static u_int
pipeline(const apir_stage *stages, u_int nb, unsigned int status)
{
	apir_pipeline_args args = {.stages = {nb, (apir_stage *)(uintptr_t)stages}};
	apir_id_res res = {0};

	rig_call(&rig, APIR_PIPELINE_CREATE, (xdrproc_t)xdr_apir_pipeline_args, &args,
		 (xdrproc_t)xdr_apir_id_res, &res);
	assert_int_equal(res.result.status, status);
	xdr_free((xdrproc_t)xdr_apir_id_res, &res);
	return res.id;
}

static void
null_and_info(void **state)
{
	apir_info_res res = {0};

	(void)state;
	rig_call(&rig, APIR_NULL, rig_void, NULL, rig_void, NULL);
	rig_call(&rig, APIR_INFO, rig_void, NULL, (xdrproc_t)xdr_apir_info_res, &res);
	assert_int_equal(res.result.status, APIR_S_OK);
	assert_string_equal(res.device, "mock device");
	assert_string_equal(res.platform, "mock platform");
	assert_string_equal(res.executor, "mock");
	assert_int_equal(res.copy_mode, APIR_COPY_NONE_RAW);
	xdr_free((xdrproc_t)xdr_apir_info_res, &res);
}

static void
whole_life(void **state)
{
	const u_int prog = program("__kernel void ttl()", APIR_S_OK);
	const u_int k = kernel(prog, "ttl", APIR_S_OK);
	const apir_stage st[2] = {{k, APIR_LAUNCH_ITEM, 0}, {k, APIR_LAUNCH_GROUP, 32}};
	const u_int p = pipeline(st, 2, APIR_S_OK);
	struct guest_burst b;

	(void)state;
	guest_burst(&rig.g, &b, RIG_FREE, 3, 60);
	b.hdr->pipeline = p;
	guest_name(&rig.data[0], 0, &b);
	guest_offer(&rig.data[0], 0);
	guest_wait(&rig.data[0]);
	assert_int_equal(b.rsp->status, APIR_S_OK);
	assert_int_equal(b.rsp->verdict[2].meta, 60);
	destroy(APIR_PIPELINE_DESTROY, p, APIR_S_OK);
	guest_offer(&rig.data[0], 0);
	guest_wait(&rig.data[0]);
	assert_int_equal(b.rsp->status, APIR_S_NOENT);
	destroy(APIR_PIPELINE_DESTROY, p, APIR_S_NOENT);
	destroy(APIR_KERNEL_DESTROY, k, APIR_S_OK);
	destroy(APIR_KERNEL_DESTROY, k, APIR_S_NOENT);
	destroy(APIR_PROGRAM_DESTROY, prog, APIR_S_OK);
	destroy(APIR_PROGRAM_DESTROY, 0, APIR_S_NOENT);
	assert_int_equal(mock.programs + mock.kernels + mock.pipelines, 0);
}

static void
pipeline_destroyed_in_flight(void **state)
{
	const u_int k = kernel(program("__kernel void ttl()", APIR_S_OK), "ttl", APIR_S_OK);
	const apir_stage st = {k, APIR_LAUNCH_ITEM, 0};
	const u_int p = pipeline(&st, 1, APIR_S_OK);
	struct guest_burst b;
	uint8_t *msg = malloc(APIR_CTL_MAX);
	u_int id = p;
	uint32_t len;

	(void)state;
	mock.async = true;
	mock.may_finish = 0;
	guest_burst(&rig.g, &b, RIG_FREE, 3, 60);
	b.hdr->pipeline = p;
	guest_name(&rig.data[0], 0, &b);
	guest_offer(&rig.data[0], 0);
	while (mock.running == 0)
		usleep(100);
	len = rig_encode(&rig, msg, APIR_PIPELINE_DESTROY, (xdrproc_t)xdr_u_int, &id);
	rig_ctl_send(&rig, msg, len, APIR_CTL_MAX);
	/* The pipeline cannot go while its burst runs. */
	usleep(2000);
	assert_int_equal(mock.pipelines, 1);
	mock.may_finish = -1;
	assert_true(rig_ctl_wait(&rig, msg, APIR_CTL_MAX) > 16);
	assert_int_equal(mock.pipelines, 0);
	assert_int_equal(mock.running, 0);
	free(msg);
}

static void
program_log(void **state)
{
	const u_int prog = program("#error", APIR_S_BUILD);
	apir_log_args args = {.prog = prog, .offset = 2, .sink.form = APIR_DATA_INLINE};
	apir_read_res res = {0};

	(void)state;
	args.sink.apir_sink_u.len = 3;
	rig_call(&rig, APIR_PROGRAM_LOG, (xdrproc_t)xdr_apir_log_args, &args,
		 (xdrproc_t)xdr_apir_read_res, &res);
	assert_int_equal(res.result.status, APIR_S_OK);
	assert_int_equal(res.total, strlen("a log of some length"));
	assert_int_equal(res.n, 3);
	assert_memory_equal(res.bytes.bytes_val, "log", 3);
	xdr_free((xdrproc_t)xdr_apir_read_res, &res);
	args.offset = 15;
	args.sink.form = APIR_DATA_SHARED;
	args.sink.apir_sink_u.range = (apir_range){RIG_FREE, 100};
	memset(&res, 0, sizeof(res));
	rig_call(&rig, APIR_PROGRAM_LOG, (xdrproc_t)xdr_apir_log_args, &args,
		 (xdrproc_t)xdr_apir_read_res, &res);
	assert_int_equal(res.n, 5);
	assert_memory_equal(guest_at(&rig.g, RIG_FREE), "ength\0", 6);
	xdr_free((xdrproc_t)xdr_apir_read_res, &res);
	args.offset = UINT64_MAX;
	memset(&res, 0, sizeof(res));
	rig_call(&rig, APIR_PROGRAM_LOG, (xdrproc_t)xdr_apir_log_args, &args,
		 (xdrproc_t)xdr_apir_read_res, &res);
	assert_int_equal(res.result.status, APIR_S_INVAL);
	xdr_free((xdrproc_t)xdr_apir_read_res, &res);
	destroy(APIR_PROGRAM_DESTROY, prog, APIR_S_OK);
}

static void
program_sources(void **state)
{
	(void)state;
	program("", APIR_S_INVAL);
	strcpy(guest_at(&rig.g, RIG_FREE), "__kernel void a()");
	assert_int_equal(program_at(RIG_FREE, 17), APIR_S_OK);
	assert_int_equal(program_at(RIG_FREE, 0), APIR_S_INVAL);
	assert_int_equal(program_at(RIG_FREE, (4 << 20) + 1), APIR_S_TOOBIG);
	assert_int_equal(program_at(RIG_FREE, UINT64_MAX), APIR_S_TOOBIG);
	assert_int_equal(program_at(GUEST_GPA2 - 1, 2), APIR_S_FAULT);
	assert_int_equal(program_at(0, 100), APIR_S_FAULT);
	assert_int_equal(program_at(UINT64_MAX - 5, 100), APIR_S_FAULT);
	assert_int_equal(mock.programs, 1);
}

static unsigned int
write_(u_int b, uint64_t offset, uint64_t addr, uint64_t len)
{
	apir_write_args args = {.buffer = b, .offset = offset, .data.form = APIR_DATA_SHARED};
	apir_result res = {0};

	args.data.apir_data_u.range = (apir_range){addr, len};
	rig_call(&rig, APIR_BUFFER_WRITE, (xdrproc_t)xdr_apir_write_args, &args,
		 (xdrproc_t)xdr_apir_result, &res);
	xdr_free((xdrproc_t)xdr_apir_result, &res);
	return res.status;
}

static unsigned int
read_(u_int b, uint64_t offset, uint64_t addr, uint64_t len)
{
	apir_read_args args = {.buffer = b, .offset = offset, .sink.form = APIR_DATA_SHARED};
	apir_read_res res = {0};

	args.sink.apir_sink_u.range = (apir_range){addr, len};
	rig_call(&rig, APIR_BUFFER_READ, (xdrproc_t)xdr_apir_read_args, &args,
		 (xdrproc_t)xdr_apir_read_res, &res);
	xdr_free((xdrproc_t)xdr_apir_read_res, &res);
	return res.result.status;
}

static void
buffers(void **state)
{
	const u_int b = buffer(1000, APIR_S_OK);
	uint8_t *p = guest_at(&rig.g, RIG_FREE);
	apir_write_args w = {.buffer = b, .offset = 10, .data.form = APIR_DATA_INLINE};
	apir_read_args rd = {.buffer = b, .offset = 9, .sink.form = APIR_DATA_INLINE};
	apir_read_res res = {0};
	apir_result wres = {0};

	(void)state;
	buffer(0, APIR_S_INVAL);
	buffer(UINT64_MAX, APIR_S_NOMEM);
	w.data.apir_data_u.bytes.bytes_val = (char *)"hello";
	w.data.apir_data_u.bytes.bytes_len = 5;
	rig_call(&rig, APIR_BUFFER_WRITE, (xdrproc_t)xdr_apir_write_args, &w,
		 (xdrproc_t)xdr_apir_result, &wres);
	assert_int_equal(wres.status, APIR_S_OK);
	xdr_free((xdrproc_t)xdr_apir_result, &wres);
	rd.sink.apir_sink_u.len = 7;
	rig_call(&rig, APIR_BUFFER_READ, (xdrproc_t)xdr_apir_read_args, &rd,
		 (xdrproc_t)xdr_apir_read_res, &res);
	assert_int_equal(res.total, 1000);
	assert_int_equal(res.n, 7);
	assert_memory_equal(res.bytes.bytes_val, "\0hello\0", 7);
	xdr_free((xdrproc_t)xdr_apir_read_res, &res);

	memset(p, 'z', 1000);
	assert_int_equal(write_(b, 0, RIG_FREE, 1000), APIR_S_OK);
	memset(p, 0, 1000);
	assert_int_equal(read_(b, 990, RIG_FREE, 10), APIR_S_OK);
	assert_memory_equal(p, "zzzzzzzzzz\0", 11);
	/* Out of the buffer */
	assert_int_equal(write_(b, 1, RIG_FREE, 1000), APIR_S_INVAL);
	assert_int_equal(write_(b, UINT64_MAX, RIG_FREE, 2), APIR_S_INVAL);
	assert_int_equal(write_(b, 0, RIG_FREE, UINT64_MAX), APIR_S_INVAL);
	assert_int_equal(read_(b, 1000, RIG_FREE, 1), APIR_S_INVAL);
	/* Out of memory shared */
	assert_int_equal(write_(b, 0, GUEST_GPA2 - 1, 2), APIR_S_FAULT);
	assert_int_equal(read_(b, 0, GUEST_GPA2 + GUEST_SIZE2 - 9, 10), APIR_S_FAULT);
	assert_int_equal(read_(b, 0, 0, 10), APIR_S_FAULT);
	assert_int_equal(write_(b + 1024, 0, RIG_FREE, 1), APIR_S_NOENT);
	assert_int_equal(read_(0, 0, RIG_FREE, 1), APIR_S_NOENT);
	destroy(APIR_BUFFER_DESTROY, b, APIR_S_OK);
	destroy(APIR_BUFFER_DESTROY, b, APIR_S_NOENT);
}

static unsigned int
set_arg(u_int k, u_int index, apir_arg arg)
{
	apir_set_arg_args args = {.kernel = k, .index = index, .arg = arg};
	apir_result res = {0};

	rig_call(&rig, APIR_KERNEL_SET_ARG, (xdrproc_t)xdr_apir_set_arg_args, &args,
		 (xdrproc_t)xdr_apir_result, &res);
	xdr_free((xdrproc_t)xdr_apir_result, &res);
	return res.status;
}

static void
kernel_arguments(void **state)
{
	const u_int k = kernel(program("__kernel void ttl()", APIR_S_OK), "ttl", APIR_S_OK);
	const u_int b = buffer(100, APIR_S_OK);
	apir_arg value = {.kind = APIR_ARG_VALUE, .apir_arg_u.value = {4, (char *)"abcd"}};
	apir_arg buf = {.kind = APIR_ARG_BUFFER, .apir_arg_u.buffer = b};
	apir_arg local = {.kind = APIR_ARG_LOCAL, .apir_arg_u.local_size = 128};

	(void)state;
	kernel(12345, "ttl", APIR_S_NOENT);
	assert_int_equal(set_arg(k, 0, value), APIR_S_OK);
	assert_int_equal(set_arg(k, 1, buf), APIR_S_OK);
	assert_int_equal(set_arg(k, 1, local), APIR_S_OK);
	assert_int_equal(set_arg(k, 2, value), APIR_S_INVAL);
	assert_int_equal(set_arg(k + 1024, 0, value), APIR_S_NOENT);
	value.apir_arg_u.value.value_len = 0;
	assert_int_equal(set_arg(k, 0, value), APIR_S_INVAL);
	local.apir_arg_u.local_size = 0;
	assert_int_equal(set_arg(k, 0, local), APIR_S_INVAL);
	buf.apir_arg_u.buffer = b + 1024;
	assert_int_equal(set_arg(k, 0, buf), APIR_S_NOENT);
}

static void
pipelines(void **state)
{
	const u_int k = kernel(program("__kernel void ttl()", APIR_S_OK), "ttl", APIR_S_OK);
	const apir_stage good = {k, APIR_LAUNCH_GROUP, 0};
	const apir_stage no_kernel = {k + 1024, APIR_LAUNCH_ITEM, 0};
	const apir_stage odd_launch = {k, (apir_launch)7, 0};

	(void)state;
	pipeline(NULL, 0, APIR_S_INVAL);
	pipeline(&no_kernel, 1, APIR_S_NOENT);
	pipeline(&odd_launch, 1, APIR_S_INVAL);
	pipeline(&good, 1, APIR_S_OK);
}

static void
too_many_objects(void **state)
{
	u_int first;

	(void)state;
	first = buffer(1, APIR_S_OK);
	for (unsigned int i = 1; i < OBJTAB_MAX; i++)
		buffer(1, APIR_S_OK);
	buffer(1, APIR_S_LIMIT);
	assert_int_equal(mock.buffers, OBJTAB_MAX);
	destroy(APIR_BUFFER_DESTROY, first, APIR_S_OK);
	buffer(1, APIR_S_OK);
}

/* The reply's accept_stat, or -1: no reply, -2: not an accepted one. */
static int
accept_stat(const uint8_t *call, size_t len)
{
	uint8_t out[1024];
	struct rpc_msg reply = {0};
	const size_t n = rpc_answer(rig.s, call, len, out, sizeof(out));
	XDR x;

	if (n == 0)
		return -1;
	xdrmem_create(&x, (char *)out, (u_int)n, XDR_DECODE);
	reply.acpted_rply.ar_verf = _null_auth;
	reply.acpted_rply.ar_results.proc = rig_void;
	assert_true(xdr_replymsg(&x, &reply));
	return reply.rm_reply.rp_stat == MSG_ACCEPTED ? (int)reply.acpted_rply.ar_stat : -2;
}

static void
malformed_calls(void **state)
{
	uint8_t *msg = malloc(APIR_CTL_MAX), *call = msg + sizeof(struct apir_ctl_req);
	apir_stage st[3] = {{1, APIR_LAUNCH_ITEM, 0}};
	apir_pipeline_args args = {.stages = {3, st}};
	size_t len;

	(void)state;
	len = rig_encode(&rig, msg, APIR_PIPELINE_CREATE, (xdrproc_t)xdr_apir_pipeline_args,
			 &args) -
	      sizeof(struct apir_ctl_req);
	assert_int_equal(accept_stat(call, len), SUCCESS);
	/* Cut short anywhere: no call at all, or its arguments do not decode; nothing leaks. */
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n + 1);

		memcpy(cut, call, n);
		assert_int_equal(accept_stat(cut, n), n < 40 ? -1 : GARBAGE_ARGS);
		free(cut);
	}
	/* More stages than the IDL allows, than memory has */
	memcpy(call + 40, "\0\0\0\x11", 4);
	assert_int_equal(accept_stat(call, len), GARBAGE_ARGS);
	memcpy(call + 40, "\xff\xff\xff\xff", 4);
	assert_int_equal(accept_stat(call, len), GARBAGE_ARGS);
	memcpy(call + 40, "\0\0\0\x03", 4);
	/* procedure, version, program, RPC version, direction */
	call[23] = 99;
	assert_int_equal(accept_stat(call, len), PROC_UNAVAIL);
	call[23] = APIR_PIPELINE_CREATE;
	call[19] = 2;
	assert_int_equal(accept_stat(call, len), PROG_MISMATCH);
	call[19] = 1;
	call[15] ^= 1;
	assert_int_equal(accept_stat(call, len), PROG_UNAVAIL);
	call[15] ^= 1;
	call[11] = 3;
	assert_int_equal(accept_stat(call, len), -1);
	call[11] = 2;
	call[7] = 1;
	assert_int_equal(accept_stat(call, len), -1);
	call[7] = 0;
	/* credentials longer than any */
	memcpy(call + 28, "\0\0\x40\0", 4);
	assert_int_equal(accept_stat(call, len), -1);
	free(msg);
}

static void
malformed_unions(void **state)
{
	uint8_t *msg = malloc(APIR_CTL_MAX), *call = msg + sizeof(struct apir_ctl_req);
	apir_program_args args = {.source.form = APIR_DATA_INLINE, .options = "-cl-opt"};
	size_t len;

	(void)state;
	args.source.apir_data_u.bytes.bytes_val = (char *)"abcd";
	args.source.apir_data_u.bytes.bytes_len = 4;
	len = rig_encode(&rig, msg, APIR_PROGRAM_CREATE, (xdrproc_t)xdr_apir_program_args, &args) -
	      sizeof(struct apir_ctl_req);
	assert_int_equal(accept_stat(call, len), SUCCESS);
	call[43] = 2; /* neither inline nor shared */
	assert_int_equal(accept_stat(call, len), GARBAGE_ARGS);
	call[43] = 0;
	call[46] = 0xc0; /* 49156 bytes */
	assert_int_equal(accept_stat(call, len), GARBAGE_ARGS);
	memcpy(call + 44, "\0\0\0\x04", 4);
	memcpy(call + 52, "\0\0\x10\x01", 4); /* options of 4097 bytes */
	assert_int_equal(accept_stat(call, len), GARBAGE_ARGS);
	memcpy(call + 52, "\0\0\x01\0", 4); /* options longer than the message */
	assert_int_equal(accept_stat(call, len), GARBAGE_ARGS);
	free(msg);
}

static void
reply_without_room(void **state)
{
	uint8_t *msg = malloc(APIR_CTL_MAX), *call = msg + sizeof(struct apir_ctl_req), out[64];
	const size_t len =
		rig_encode(&rig, msg, APIR_INFO, rig_void, NULL) - sizeof(struct apir_ctl_req);

	/* The reply does not fit, but that it failed does; then not even that. */
	(void)state;
	assert_int_equal(rpc_answer(rig.s, call, len, out, 40), 24);
	assert_int_equal(out[23], SYSTEM_ERR);
	assert_int_equal(rpc_answer(rig.s, call, len, out, 20), 0);
	free(msg);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(null_and_info),    T(whole_life),	  T(pipeline_destroyed_in_flight),
		T(program_log),	     T(program_sources),  T(buffers),
		T(kernel_arguments), T(pipelines),	  T(too_many_objects),
		T(malformed_calls),  T(malformed_unions), T(reply_without_room),
	};

	return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
