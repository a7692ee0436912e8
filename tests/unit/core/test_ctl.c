/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The control client and its RPC handle, against a device in another thread. */

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apir_ctl.h"
#include "apir_ctl_client.h"
#include "fake_ctl.h"
#include "fake_svc.h"

#define HDR sizeof(struct apir_ctl_rsp)

static struct fake_ctl dev;
static struct apir_ctl *ctl;
static CLIENT *clnt;

/* Frame a payload of len bytes that lies behind rsp's header already. */
static int64_t
frame(void *rsp, enum apir_ctl_type type, enum apir_status status, uint32_t len)
{
	*(struct apir_ctl_rsp *)rsp = (struct apir_ctl_rsp){.magic = APIR_MAGIC,
							    .type = (uint16_t)type,
							    .status = (uint16_t)status,
							    .len = len};
	return (int64_t)(HDR + len);
}

/* An honest device. */
static int64_t
serve_rpc(struct fake_ctl *d, const void *req, uint32_t len, void *rsp)
{
	const struct apir_ctl_req *h = req;
	uint32_t n;

	(void)d;
	if (len < sizeof(*h) || h->magic != APIR_MAGIC || h->type != APIR_CTL_RPC || h->resv != 0 ||
	    h->resv2 != 0 || h->len != len - sizeof(*h))
		return frame(rsp, APIR_CTL_RPC, APIR_S_MALFORMED, 0);
	n = fake_svc_serve(h + 1, h->len, (char *)rsp + HDR, APIR_CTL_MAX - HDR);
	return n == 0 ? FAKE_CTL_SILENT : frame(rsp, APIR_CTL_RPC, APIR_S_OK, n);
}

static void
start(fake_ctl_answer_fn answer)
{
	fake_ctl_start(&dev, answer);
	assert_int_equal(apir_ctl_create(&dev.base, dev.vq, 10000, &ctl), 0);
	clnt = apir_ctl_client(ctl);
}

static int
teardown(void **state)
{
	(void)state;
	apir_ctl_destroy(ctl);
	fake_ctl_stop(&dev);
	return 0;
}

static void
set_timeout_ms(unsigned int ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	assert_true(clnt_control(clnt, CLSET_TIMEOUT, &tv));
}

static int
last_errno(void)
{
	struct rpc_err err;

	clnt_geterr(clnt, &err);
	return err.re_errno;
}

static void
every_procedure(void **state)
{
	static char src[] = "kernel", opts[] = "-DX", name[] = "ttl", none[] = "";
	static apir_stage stages[3];
	apir_program_args pa = {.source = {.form = APIR_DATA_INLINE, .apir_data_u.bytes = {6, src}},
				.options = opts};
	apir_log_args la = {.prog = 6, .offset = 1ull << 40};
	apir_kernel_args ka = {.prog = 6, .name = name};
	apir_set_arg_args sa = {.index = 11, .arg = {.kind = APIR_ARG_LOCAL}};
	apir_buffer_args ba = {.size = 33ull << 20};
	apir_pipeline_args la3 = {.stages = {3, stages}};
	apir_info_res info = {0};
	apir_program_res pr = {0};
	apir_read_res lr = {0};
	apir_kernel_res kr = {0};
	apir_result r = {0};
	apir_id_res ir = {0};

	(void)state;
	start(serve_rpc);
	assert_int_equal(apir_null_1(NULL, clnt), RPC_SUCCESS);

	assert_int_equal(apir_info_1(&info, clnt), RPC_SUCCESS);
	assert_string_equal(info.executor, "executor");
	assert_int_equal(info.max_work_group, 1ull << 40);
	assert_true(clnt_freeres(clnt, (xdrproc_t)xdr_apir_info_res, &info));

	assert_int_equal(apir_program_create_1(pa, &pr, clnt), RPC_SUCCESS);
	assert_int_equal(pr.id, 6);
	assert_int_equal(pr.result.status, APIR_S_OK);
	assert_string_equal(pr.result.text, "-DX");
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_program_res, &pr);
	pa.source.form = APIR_DATA_SHARED;
	pa.source.apir_data_u.range = (apir_range){.addr = 1, .len = 99};
	pa.options = none;
	assert_int_equal(apir_program_create_1(pa, &pr, clnt), RPC_SUCCESS);
	assert_int_equal(pr.id, 99);
	assert_int_equal(pr.result.status, APIR_S_BUILD);
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_program_res, &pr);

	assert_int_equal(apir_program_log_1(la, &lr, clnt), RPC_SUCCESS);
	assert_int_equal(lr.total, 1ull << 40);
	assert_int_equal(lr.bytes.bytes_len, 3);
	assert_memory_equal(lr.bytes.bytes_val, "log", 3);
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_read_res, &lr);

	assert_int_equal(apir_program_destroy_1(2, &r, clnt), RPC_SUCCESS);
	assert_int_equal(r.status, APIR_S_NOENT);
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_result, &r);

	assert_int_equal(apir_kernel_create_1(ka, &kr, clnt), RPC_SUCCESS);
	assert_int_equal(kr.id, 7);
	assert_string_equal(kr.result.text, "ttl");
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_kernel_res, &kr);
	assert_int_equal(apir_kernel_set_arg_1(sa, &r, clnt), RPC_SUCCESS);
	assert_int_equal(r.status, 11);
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_result, &r);
	assert_int_equal(apir_kernel_destroy_1(7, &r, clnt), RPC_SUCCESS);
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_result, &r);
	assert_int_equal(fake_svc_last_proc, APIR_KERNEL_DESTROY);

	assert_int_equal(apir_buffer_create_1(ba, &ir, clnt), RPC_SUCCESS);
	assert_int_equal(ir.id, 33);
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_id_res, &ir);
	assert_int_equal(apir_pipeline_create_1(la3, &ir, clnt), RPC_SUCCESS);
	assert_int_equal(ir.id, 3);
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_id_res, &ir);
	assert_int_equal(apir_pipeline_destroy_1(3, &r, clnt), RPC_SUCCESS);
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_result, &r);
	assert_int_equal(fake_svc_last_proc, APIR_PIPELINE_DESTROY);
}

static void
largest_payload_both_ways(void **state)
{
	char *data = malloc(APIR_RPC_MAX_INLINE + 1);
	apir_write_args w = {.data = {.form = APIR_DATA_INLINE,
				      .apir_data_u.bytes = {APIR_RPC_MAX_INLINE, data}}};
	apir_read_args rd = {.sink = {.form = APIR_DATA_INLINE}};
	apir_read_res rr = {0};
	apir_result r = {0};
	unsigned int i;

	(void)state;
	start(serve_rpc);
	for (i = 0; i < APIR_RPC_MAX_INLINE; i++)
		data[i] = (char)(i * 7 + i / 256);
	assert_int_equal(apir_buffer_write_1(w, &r, clnt), RPC_SUCCESS);
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_result, &r);
	assert_int_equal(apir_buffer_read_1(rd, &rr, clnt), RPC_SUCCESS);
	assert_int_equal(rr.bytes.bytes_len, APIR_RPC_MAX_INLINE);
	assert_memory_equal(rr.bytes.bytes_val, data, APIR_RPC_MAX_INLINE);
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_read_res, &rr);

	/* one more is refused here, and harms nothing */
	w.data.apir_data_u.bytes.bytes_len++;
	i = (unsigned int)atomic_load(&dev.seen);
	assert_int_equal(apir_buffer_write_1(w, &r, clnt), RPC_CANTENCODEARGS);
	assert_int_equal(last_errno(), E2BIG);
	assert_int_equal(atomic_load(&dev.seen), i);
	assert_int_equal(apir_null_1(NULL, clnt), RPC_SUCCESS);
	free(data);
}

/* The transport may have no descriptor to sleep on. */
static void
works_without_notifications(void **state)
{
	int i;

	(void)state;
	start(serve_rpc);
	dev.hide_call_fd = true;
	for (i = 0; i < 5; i++)
		assert_int_equal(apir_null_1(NULL, clnt), RPC_SUCCESS);
}

static void
many_calls(void **state)
{
	int i;

	(void)state;
	start(serve_rpc);
	for (i = 0; i < 3000; i++)
		assert_int_equal(apir_null_1(NULL, clnt), RPC_SUCCESS);
	assert_int_equal(atomic_load(&dev.seen), 3000);
}

static void
wrong_program_version_procedure(void **state)
{
	rpcprog_t prog = APIR_CTL + 1;
	rpcvers_t vers = 9;
	struct rpc_err err;
	apir_result r = {.text = (char[]){"x"}};

	(void)state;
	start(serve_rpc);
	assert_true(clnt_control(clnt, CLSET_VERS, &vers));
	assert_int_equal(apir_null_1(NULL, clnt), RPC_PROGVERSMISMATCH);
	clnt_geterr(clnt, &err);
	assert_int_equal(err.re_vers.low, 1);
	assert_int_equal(err.re_vers.high, 1);
	vers = 1;
	assert_true(clnt_control(clnt, CLSET_VERS, &vers));
	assert_true(clnt_control(clnt, CLSET_PROG, &prog));
	assert_int_equal(apir_null_1(NULL, clnt), RPC_PROGUNAVAIL);
	prog = APIR_CTL;
	assert_true(clnt_control(clnt, CLSET_PROG, &prog));
	assert_int_equal(clnt_call(clnt, 99, (xdrproc_t)xdr_apir_result, &r,
				   (xdrproc_t)xdr_apir_result, &r, ((struct timeval){0})),
			 RPC_PROCUNAVAIL);
	/* arguments of another procedure do not decode there */
	assert_int_equal(clnt_call(clnt, APIR_BUFFER_WRITE, (xdrproc_t)xdr_apir_result, &r,
				   (xdrproc_t)xdr_apir_result, &r, ((struct timeval){0})),
			 RPC_CANTDECODEARGS);
}

static void
control_operations(void **state)
{
	struct timeval tv = {.tv_sec = 0, .tv_usec = 0};
	uint32_t xid = 77, got;

	(void)state;
	start(serve_rpc);
	assert_false(clnt_control(clnt, CLSET_TIMEOUT, &tv));
	tv.tv_sec = -1;
	assert_false(clnt_control(clnt, CLSET_TIMEOUT, &tv));
	tv = (struct timeval){.tv_sec = 0, .tv_usec = 1000000};
	assert_false(clnt_control(clnt, CLSET_TIMEOUT, &tv));
	assert_true(clnt_control(clnt, CLGET_TIMEOUT, &tv));
	assert_int_equal(tv.tv_sec, 10);
	assert_true(clnt_control(clnt, CLSET_XID, &xid));
	assert_int_equal(apir_null_1(NULL, clnt), RPC_SUCCESS);
	assert_true(clnt_control(clnt, CLGET_XID, &got));
	assert_int_equal(got, 77);
	assert_false(clnt_control(clnt, CLGET_FD, &got));
	assert_false(clnt_control(clnt, CLGET_XID, NULL));
}

/* Each of these is an answer that no honest device gives; which one is chosen by lie. */
static enum {
	LIE_USED_0,
	LIE_USED_SHORT,
	LIE_USED_HUGE,
	LIE_MAGIC,
	LIE_TYPE,
	LIE_LEN,
	LIE_LEN_MAX,
	LIE_EMPTY,
	LIE_XID,
	LIE_NO_REPLY,
	LIE_TRUNCATED,
	LIE_TEXT,
	LIE_VERF,
	NB_LIES
} lie;

static int64_t
serve_lies(struct fake_ctl *d, const void *req, uint32_t len, void *rsp)
{
	struct apir_ctl_rsp *h = rsp;
	uint32_t *xdr = (uint32_t *)(h + 1);
	const int64_t used = serve_rpc(d, req, len, rsp);

	switch (lie) {
	case LIE_USED_0:
		return 0;
	case LIE_USED_SHORT:
		return HDR - 1;
	case LIE_USED_HUGE:
		return UINT32_MAX;
	case LIE_MAGIC:
		h->magic++;
		return used;
	case LIE_TYPE:
		h->type = APIR_CTL_HELLO;
		return used;
	case LIE_LEN:
		h->len++;
		return used;
	case LIE_LEN_MAX:
		h->len = UINT32_MAX;
		return APIR_CTL_MAX;
	case LIE_EMPTY:
		h->len = 0;
		return HDR;
	case LIE_XID:
		xdr[0]++;
		return used;
	case LIE_NO_REPLY: /* a call */
		xdr[1] = htonl(0);
		return used;
	case LIE_TRUNCATED:
		h->len -= 4;
		return used - 4;
	case LIE_TEXT: /* xid, direction, status, verifier (2 words), accepted, then the result's status */
		xdr[7] = htonl(APIR_RPC_MAX_TEXT + 1);
		return used;
	case LIE_VERF:
		xdr[4] = htonl(0x7fffffff);
		return used;
	default:
		return used;
	}
}

static void
lies_are_refused(void **state)
{
	apir_result r = {0};

	(void)state;
	start(serve_lies);
	for (lie = 0; lie < NB_LIES; lie++) {
		fake_env_log_clear(&dev.fe);
		if (apir_program_destroy_1(1, &r, clnt) != RPC_CANTDECODERES)
			fail_msg("lie %d is believed", lie);
		assert_int_equal(last_errno(), EPROTO);
		assert_true(fake_env_logged(&dev.fe, "the device's answer") ||
			    fake_env_logged(&dev.fe, "the device answered") ||
			    fake_env_logged(&dev.fe, "does not decode"));
		assert_null(r.text);
	}
	/* each was one message: the next is not taken for its answer */
	assert_int_equal(apir_program_destroy_1(1, &r, clnt), RPC_SUCCESS);
	assert_int_equal(r.status, APIR_S_OK);
	clnt_freeres(clnt, (xdrproc_t)xdr_apir_result, &r);
}

/* Half a result is none: what of it was allocated is given back. */
static void
half_a_result(void **state)
{
	apir_info_res info = {0};

	(void)state;
	start(serve_lies);
	lie = LIE_TRUNCATED;
	assert_int_equal(apir_info_1(&info, clnt), RPC_CANTDECODERES);
	assert_null(info.result.text);
	assert_null(info.platform);
	assert_null(info.executor);
}

/* Answers only once the driver has asked to be woken. */
static int64_t
serve_sleeper(struct fake_ctl *d, const void *req, uint32_t len, void *rsp)
{
	const int64_t used = serve_rpc(d, req, len, rsp);

	while (fake_ring_used_event(&d->ring) != d->ring.used_idx)
		sched_yield();
	return used;
}

static void
asks_to_be_woken(void **state)
{
	int i;

	(void)state;
	start(serve_sleeper);
	for (i = 0; i < 5; i++)
		assert_int_equal(apir_null_1(NULL, clnt), RPC_SUCCESS);
}

static int64_t
serve_status(struct fake_ctl *d, const void *req, uint32_t len, void *rsp)
{
	(void)d;
	(void)req;
	(void)len;
	return frame(rsp, APIR_CTL_RPC, APIR_S_NOTREADY, 0);
}

static void
message_status_is_reported(void **state)
{
	(void)state;
	start(serve_status);
	assert_int_equal(apir_null_1(NULL, clnt), RPC_SYSTEMERROR);
	assert_int_equal(last_errno(), EAGAIN);
	assert_true(fake_env_logged(&dev.fe, "HELLO has not succeeded"));
}

static int64_t
serve_denied(struct fake_ctl *d, const void *req, uint32_t len, void *rsp)
{
	uint32_t *xdr = (uint32_t *)((char *)rsp + HDR);

	(void)d;
	(void)len;
	xdr[0] = *(const uint32_t *)((const char *)req + sizeof(struct apir_ctl_req));
	xdr[1] = htonl(REPLY);
	xdr[2] = htonl(MSG_DENIED);
	xdr[3] = htonl(AUTH_ERROR);
	xdr[4] = htonl(AUTH_TOOWEAK);
	return frame(rsp, APIR_CTL_RPC, APIR_S_OK, 20);
}

static void
denied_call(void **state)
{
	(void)state;
	start(serve_denied);
	assert_int_equal(apir_null_1(NULL, clnt), RPC_AUTHERROR);
	assert_int_equal(apir_clnt_errno(RPC_AUTHERROR), EACCES);
}

static int64_t
serve_silence(struct fake_ctl *d, const void *req, uint32_t len, void *rsp)
{
	(void)d;
	(void)req;
	(void)len;
	(void)rsp;
	return FAKE_CTL_SILENT;
}

/* The buffers stay the device's: it may answer at any time. */
static void
timeout_ends_the_queue(void **state)
{
	char before[256];

	(void)state;
	start(serve_silence);
	set_timeout_ms(60);
	assert_int_equal(apir_null_1(NULL, clnt), RPC_TIMEDOUT);
	assert_int_equal(last_errno(), ETIMEDOUT);
	assert_true(fake_env_logged(&dev.fe, "within 60 ms"));
	memcpy(before, dev.vq->slots[0].req, sizeof(before));

	assert_int_equal(apir_null_1(NULL, clnt), RPC_CANTSEND);
	assert_int_equal(last_errno(), ETIMEDOUT);
	assert_int_equal(apir_clnt_errno(RPC_CANTSEND), ETIMEDOUT);
	assert_memory_equal(before, dev.vq->slots[0].req, sizeof(before));
	/* not even when the answer has come by now */
	fake_ring_push(&dev.ring, 0, HDR);
	assert_int_equal(apir_null_1(NULL, clnt), RPC_CANTSEND);
	assert_memory_equal(before, dev.vq->slots[0].req, sizeof(before));
	assert_true(atomic_load(&dev.seen) <= 1);
}

static int64_t
serve_death(struct fake_ctl *d, const void *req, uint32_t len, void *rsp)
{
	(void)req;
	(void)len;
	(void)rsp;
	fake_ctl_die(d);
	return FAKE_CTL_SILENT;
}

/* A death ends the wait long before the limit, notified or not. */
static void
death_during_a_call(void **state)
{
	(void)state;
	start(serve_death);
	set_timeout_ms(1000000);
	assert_int_equal(apir_null_1(NULL, clnt), RPC_CANTRECV);
	assert_int_equal(apir_null_1(NULL, clnt), RPC_CANTRECV);
	assert_int_equal(last_errno(), ENODEV);
	assert_int_equal(apir_clnt_errno(RPC_CANTRECV), ENODEV);
	assert_int_equal(atomic_load(&dev.seen), 1);
}

static void
broken_ring_during_a_call(void **state)
{
	(void)state;
	start(serve_rpc);
	dev.id_error = 1;
	assert_int_equal(apir_null_1(NULL, clnt), RPC_CANTDECODERES);
	assert_true(fake_env_logged(&dev.fe, "broke a virtqueue"));
	assert_int_equal(apir_null_1(NULL, clnt), RPC_CANTSEND);
}

static void
status_tables(void **state)
{
	uint32_t s;
	int st;

	(void)state;
	start(serve_rpc);
	assert_int_equal(apir_status_errno(APIR_S_OK), 0);
	for (s = 1; s <= APIR_S_NOARG; s++) {
		assert_true(apir_status_errno(s) > 0);
		assert_string_not_equal(apir_status_str(s), apir_status_str(1000));
	}
	assert_int_equal(apir_status_errno(APIR_S_BUILD), ENOEXEC);
	assert_int_equal(apir_status_errno(APIR_S_LOST), ENODEV);
	for (s = APIR_S_NOARG + 1; s < APIR_S_LOST; s++)
		assert_int_equal(apir_status_errno(s), EPROTO);
	assert_int_equal(apir_status_errno(UINT32_MAX), EPROTO);
	assert_non_null(apir_status_str(UINT32_MAX));
	assert_int_equal(apir_clnt_errno(RPC_SUCCESS), 0);
	for (st = 1; st < 100; st++)
		assert_true(apir_clnt_errno((enum clnt_stat)st) > 0);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_procedure),
		T(largest_payload_both_ways),
		T(works_without_notifications),
		T(many_calls),
		T(wrong_program_version_procedure),
		T(control_operations),
		T(lies_are_refused),
		T(half_a_result),
		T(asks_to_be_woken),
		T(message_status_is_reported),
		T(denied_call),
		T(timeout_ends_the_queue),
		T(death_during_a_call),
		T(broken_ring_during_a_call),
		T(status_tables),
	};

	return cmocka_run_group_tests_name("ctl", tests, NULL, NULL);
}
