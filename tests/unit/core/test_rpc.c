/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The generated XDR filters: what goes in comes out, and nothing that breaks the IDL's bounds gets through. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apir_ctl.h"
#include "virtio_apir.h"

/* The generated filters have typed parameters; libtirpc passes them about as this. */
typedef bool_t (*filter_fn)(XDR *, void *);

#define FILTER(type)                               \
	static bool_t f_##type(XDR *xdrs, void *p) \
	{                                          \
		return xdr_##type(xdrs, p);        \
	}
FILTER(apir_program_args)
FILTER(apir_log_args)
FILTER(apir_kernel_args)
FILTER(apir_set_arg_args)
FILTER(apir_buffer_args)
FILTER(apir_write_args)
FILTER(apir_read_args)
FILTER(apir_pipeline_args)
FILTER(apir_result)
FILTER(apir_id_res)
FILTER(apir_read_res)
FILTER(apir_info_res)
FILTER(apir_program_res)
FILTER(apir_kernel_res)
FILTER(u_int)

static char source[] = "__kernel void k(APIR_BURST) {}";
static char opts[] = "-DA=1";
static char text[] = "why";
static apir_stage stages[2] = {{.kernel = 1, .launch = APIR_LAUNCH_GROUP, .local_size = 64},
			       {.kernel = 2}};

static apir_program_args program_inline = {
	.source = {.form = APIR_DATA_INLINE, .apir_data_u.bytes = {sizeof(source) - 1, source}},
	.options = opts};
static apir_program_args program_shared = {
	.source = {.form = APIR_DATA_SHARED, .apir_data_u.range = {0x123456789abcdef0, 77}},
	.options = opts};
static apir_log_args log_inline = {.prog = 3,
				   .offset = 1ull << 40,
				   .sink = {.form = APIR_DATA_INLINE, .apir_sink_u.len = 100}};
static apir_log_args log_shared = {.prog = 3,
				   .sink = {.form = APIR_DATA_SHARED, .apir_sink_u.range = {1, 2}}};
static apir_kernel_args kernel = {.prog = 9, .name = opts};
static apir_set_arg_args arg_value = {
	.kernel = 1, .index = 2, .arg = {.kind = APIR_ARG_VALUE, .apir_arg_u.value = {5, source}}};
static apir_set_arg_args arg_buffer = {.kernel = 1,
				       .arg = {.kind = APIR_ARG_BUFFER, .apir_arg_u.buffer = 8}};
static apir_set_arg_args arg_local = {
	.kernel = 1, .arg = {.kind = APIR_ARG_LOCAL, .apir_arg_u.local_size = 1ull << 33}};
static u_int id = 0xfedcba98;
static apir_buffer_args buffer = {.size = 1ull << 35};
static apir_write_args write_inline = {
	.buffer = 4,
	.offset = 1ull << 34,
	.data = {.form = APIR_DATA_INLINE, .apir_data_u.bytes = {7, source}}};
static apir_read_args read_shared = {
	.buffer = 4, .sink = {.form = APIR_DATA_SHARED, .apir_sink_u.range = {5, 6}}};
static apir_pipeline_args pipeline = {.stages = {2, stages}};
static apir_result result = {.status = APIR_S_BUILD, .text = text};
static apir_id_res id_res = {.result = {.text = text}, .id = 5};
static apir_read_res read_res = {
	.result = {.text = text}, .n = 3, .total = 1ull << 36, .bytes = {3, source}};
static apir_info_res info_res = {.result = {.text = text},
				 .platform = opts,
				 .device = text,
				 .driver = source,
				 .executor = opts,
				 .compute_units = 4,
				 .used_mem = 1ull << 37};
static apir_program_res program_res = {
	.result = {.text = text}, .id = 1, .log_len = 99, .cached = TRUE};
static apir_kernel_res kernel_res = {.result = {.text = text}, .id = 1, .nb_args = 3};

#define ROW(type, v)                          \
	{                                     \
#v, f_##type, &(v), sizeof(v) \
	}
static const struct {
	const char *name;
	filter_fn filter;
	void *value;
	size_t size;
} rows[] = {
	ROW(apir_program_args, program_inline),
	ROW(apir_program_args, program_shared),
	ROW(apir_log_args, log_inline),
	ROW(apir_log_args, log_shared),
	ROW(u_int, id),
	ROW(apir_kernel_args, kernel),
	ROW(apir_set_arg_args, arg_value),
	ROW(apir_set_arg_args, arg_buffer),
	ROW(apir_set_arg_args, arg_local),
	ROW(apir_buffer_args, buffer),
	ROW(apir_write_args, write_inline),
	ROW(apir_read_args, read_shared),
	ROW(apir_pipeline_args, pipeline),
	ROW(apir_result, result),
	ROW(apir_id_res, id_res),
	ROW(apir_read_res, read_res),
	ROW(apir_info_res, info_res),
	ROW(apir_program_res, program_res),
	ROW(apir_kernel_res, kernel_res),
};
#define NB_ROWS (sizeof(rows) / sizeof(rows[0]))

static uint64_t wire[APIR_CTL_MAX / 8];
static uint64_t wire2[APIR_CTL_MAX / 8];

/* Returns the bytes written, 0 when the filter refuses. */
static u_int
encode(filter_fn filter, void *v, uint64_t *buf)
{
	XDR xdrs;
	u_int n;

	xdrmem_create(&xdrs, (char *)buf, sizeof(wire), XDR_ENCODE);
	n = filter(&xdrs, v) ? xdr_getpos(&xdrs) : 0;
	xdr_destroy(&xdrs);
	return n;
}

/* Into a zeroed *v; to be released with release(). */
static bool
decode(filter_fn filter, void *v, size_t size, const void *buf, u_int len)
{
	/* in memory of exactly that size, so that a sanitizer sees a read beyond it */
	char *exact = malloc(len + 1);
	XDR xdrs;
	bool ok;

	memset(v, 0, size);
	memcpy(exact, buf, len);
	xdrmem_create(&xdrs, exact, len, XDR_DECODE);
	ok = filter(&xdrs, v);
	xdr_destroy(&xdrs);
	free(exact);
	return ok;
}

static void
release(filter_fn filter, void *v)
{
	XDR xdrs = {.x_op = XDR_FREE};

	filter(&xdrs, v);
}

static void
round_trips(void **state)
{
	union {
		uint64_t align;
		char bytes[512];
	} v;
	size_t i;

	(void)state;
	for (i = 0; i < NB_ROWS; i++) {
		const u_int n = encode(rows[i].filter, rows[i].value, wire);

		assert_true(rows[i].size <= sizeof(v));
		if (n == 0 || !decode(rows[i].filter, &v, rows[i].size, wire, n))
			fail_msg("%s does not go through", rows[i].name);
		assert_int_equal(encode(rows[i].filter, &v, wire2), n);
		assert_memory_equal(wire, wire2, n);
		release(rows[i].filter, &v);
	}
}

/* Field by field, where the bytes of both encodings could be wrong alike. */
static void
values_survive(void **state)
{
	apir_program_args p;
	apir_pipeline_args l;
	u_int n;

	(void)state;
	n = encode(f_apir_program_args, &program_inline, wire);
	assert_true(decode(f_apir_program_args, &p, sizeof(p), wire, n));
	assert_int_equal(p.source.apir_data_u.bytes.bytes_len, sizeof(source) - 1);
	assert_memory_equal(p.source.apir_data_u.bytes.bytes_val, source, sizeof(source) - 1);
	assert_string_equal(p.options, opts);
	release(f_apir_program_args, &p);

	n = encode(f_apir_program_args, &program_shared, wire);
	assert_true(decode(f_apir_program_args, &p, sizeof(p), wire, n));
	assert_int_equal(p.source.form, APIR_DATA_SHARED);
	assert_int_equal(p.source.apir_data_u.range.addr, 0x123456789abcdef0);
	assert_int_equal(p.source.apir_data_u.range.len, 77);
	release(f_apir_program_args, &p);

	n = encode(f_apir_pipeline_args, &pipeline, wire);
	assert_true(decode(f_apir_pipeline_args, &l, sizeof(l), wire, n));
	assert_int_equal(l.stages.stages_len, 2);
	assert_memory_equal(l.stages.stages_val, stages, sizeof(stages));
	release(f_apir_pipeline_args, &l);
}

static void
truncated_is_refused(void **state)
{
	union {
		uint64_t align;
		char bytes[512];
	} v;
	size_t i;
	u_int cut;

	(void)state;
	for (i = 0; i < NB_ROWS; i++) {
		const u_int n = encode(rows[i].filter, rows[i].value, wire);

		assert_true(n > 0);
		for (cut = 0; cut < n; cut++) {
			if (decode(rows[i].filter, &v, rows[i].size, wire, cut))
				fail_msg("%s decodes from %u of its %u bytes", rows[i].name, cut,
					 n);
			release(rows[i].filter, &v);
		}
	}
}

static void
too_long_is_not_sent(void **state)
{
	static char big[APIR_RPC_MAX_INLINE + 2];
	static apir_stage many[APIR_RPC_MAX_STAGES + 1];
	apir_program_args p = program_inline;
	apir_kernel_args k = {.name = big};
	apir_set_arg_args a = arg_value;
	apir_write_args w = write_inline;
	apir_pipeline_args l = {.stages = {APIR_RPC_MAX_STAGES + 1, many}};
	apir_result r = {.text = big};

	(void)state;
	memset(big, 'x', APIR_RPC_MAX_INLINE + 1);
	p.source.apir_data_u.bytes.bytes_val = big;
	p.source.apir_data_u.bytes.bytes_len = APIR_RPC_MAX_INLINE;
	assert_true(encode(f_apir_program_args, &p, wire) > APIR_RPC_MAX_INLINE);
	p.source.apir_data_u.bytes.bytes_len++;
	assert_int_equal(encode(f_apir_program_args, &p, wire), 0);
	w.data.apir_data_u.bytes = p.source.apir_data_u.bytes;
	assert_int_equal(encode(f_apir_write_args, &w, wire), 0);
	assert_int_equal(encode(f_apir_pipeline_args, &l, wire), 0);

	big[APIR_RPC_MAX_OPTIONS + 1] = '\0';
	p = program_inline;
	p.options = big;
	assert_int_equal(encode(f_apir_program_args, &p, wire), 0);
	big[APIR_RPC_MAX_TEXT + 1] = '\0';
	assert_int_equal(encode(f_apir_result, &r, wire), 0);
	a.arg.apir_arg_u.value.value_len = APIR_RPC_MAX_VALUE + 1;
	a.arg.apir_arg_u.value.value_val = big;
	assert_int_equal(encode(f_apir_set_arg_args, &a, wire), 0);
	big[APIR_RPC_MAX_NAME + 1] = '\0';
	assert_int_equal(encode(f_apir_kernel_args, &k, wire), 0);
	big[APIR_RPC_MAX_NAME] = '\0';
	assert_true(encode(f_apir_kernel_args, &k, wire) > 0);
}

/* A peer that does not use our filters: the word at at of a good message is replaced by v. */
static void
expect_refused(filter_fn filter, void *good, size_t size, unsigned int at, uint32_t v)
{
	union {
		uint64_t align;
		char bytes[512];
	} out;
	const uint32_t be = htonl(v);

	memset(wire, 0, sizeof(wire));
	assert_true(encode(filter, good, wire) > at * 4);
	memcpy((char *)wire + at * 4, &be, sizeof(be));
	/* as if all the bytes it claims were there */
	assert_false(decode(filter, &out, size, wire, sizeof(wire)));
	release(filter, &out);
}

static void
forged_lengths_are_refused(void **state)
{
	static const struct {
		filter_fn filter;
		void *good;
		size_t size;
		unsigned int at; /* the word of the length */
		uint32_t max;
	} forged[] = {
		{f_apir_program_args, &program_inline, sizeof(program_inline), 1,
		 APIR_RPC_MAX_INLINE},
		{f_apir_program_args, &program_shared, sizeof(program_shared), 5,
		 APIR_RPC_MAX_OPTIONS},
		{f_apir_kernel_args, &kernel, sizeof(kernel), 1, APIR_RPC_MAX_NAME},
		{f_apir_set_arg_args, &arg_value, sizeof(arg_value), 3, APIR_RPC_MAX_VALUE},
		{f_apir_write_args, &write_inline, sizeof(write_inline), 4, APIR_RPC_MAX_INLINE},
		{f_apir_pipeline_args, &pipeline, sizeof(pipeline), 0, APIR_RPC_MAX_STAGES},
		{f_apir_result, &result, sizeof(result), 1, APIR_RPC_MAX_TEXT},
		{f_apir_read_res, &read_res, sizeof(read_res), 7, APIR_RPC_MAX_INLINE},
		{f_apir_info_res, &info_res, sizeof(info_res), 3, APIR_RPC_MAX_NAME},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		expect_refused(forged[i].filter, forged[i].good, forged[i].size, forged[i].at,
			       forged[i].max + 1);
		expect_refused(forged[i].filter, forged[i].good, forged[i].size, forged[i].at,
			       0x7fffffff);
		expect_refused(forged[i].filter, forged[i].good, forged[i].size, forged[i].at,
			       0xffffffff);
	}
}

static void
unknown_arms_are_refused(void **state)
{
	(void)state;
	expect_refused(f_apir_program_args, &program_shared, sizeof(program_shared), 0, 2);
	expect_refused(f_apir_log_args, &log_inline, sizeof(log_inline), 3, 0xffffffff);
	expect_refused(f_apir_set_arg_args, &arg_buffer, sizeof(arg_buffer), 2, 3);
	expect_refused(f_apir_write_args, &write_inline, sizeof(write_inline), 3, 7);
	expect_refused(f_apir_read_args, &read_shared, sizeof(read_shared), 3, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(values_survive),
		cmocka_unit_test(truncated_is_refused),
		cmocka_unit_test(too_long_is_not_sent),
		cmocka_unit_test(forged_lengths_are_refused),
		cmocka_unit_test(unknown_arms_are_refused),
	};

	return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
