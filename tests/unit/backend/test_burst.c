/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * Bursts: what is lawful arrives at the executor as it is in guest memory, what is not is answered
 * and runs not.
 */

#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "burst.h"
#include "mock_exec.h"

#define AT (GUEST_GPA + GUEST_FREE)

static struct guest g;
static struct mem_table mem;
static struct guest_ring r;
static struct dataq *q;
static struct objtab *pipelines;
static struct exec_pipeline *pipe1;
static uint32_t pipe1_id;
static struct exec_queue *xq;
static struct log_limit limit;
static struct guest_burst b;

static void
open_ring(uint16_t size)
{
	struct vring_conf conf;
	const char *why;

	guest_ring(&g, &r, 0, size);
	guest_ring_conf(&r, &conf);
	assert_int_equal(vring_open(&q->vr, &mem, &conf, &why), 0);
}

static int
setup(void **state)
{
	struct exec_err err;

	(void)state;
	mock_reset();
	limit = (struct log_limit)LOG_LIMIT_INIT;
	guest_init(&g);
	mem_set(&mem, g.r, 2);
	q = calloc(1, sizeof(*q));
	pipelines = calloc(1, sizeof(*pipelines));
	mock_ops.pipeline_create(NULL, NULL, 1, &pipe1, &err);
	pipe1_id = objtab_add(pipelines, pipe1);
	xq = mock_ops.queue_create(NULL, 1, -1, &err);
	q->mem = &mem;
	q->ops = &mock_ops;
	q->pipelines = pipelines;
	q->limit = &limit;
	q->max_pkts = APIR_MAX_PKTS;
	q->multi_seg = q->loopback = true;
	q->xq = xq;
	open_ring(256);
	guest_burst(&g, &b, AT, 4, 100);
	guest_name(&r, 0, &b);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	mock.may_finish = -1;
	burst_drain(q);
	mock_ops.queue_destroy(xq);
	mock_ops.pipeline_destroy(pipe1);
	free(q);
	free(pipelines);
	guest_ring_close(&r);
	guest_fini(&g);
	return mock_objects() != 0;
}

/* Offer descriptor 0, let the device work, and give its used length. */
static uint32_t
run(void)
{
	struct vring_used_elem e;

	guest_offer(&r, 0);
	assert_int_equal(burst_run(q, 8), 1);
	assert_int_equal(guest_poll(&r, &e), 1);
	assert_int_equal(e.id, 0);
	return e.len;
}

static void
refused(enum apir_status status)
{
	const uint64_t before = q->stats.errors;

	mock.last.nb_pkts = 0;
	assert_int_equal(run(), sizeof(*b.rsp));
	assert_int_equal(b.rsp->status, status);
	assert_int_equal(b.rsp->copied, 0);
	assert_int_equal(b.rsp->resv, 0);
	assert_int_equal(mock.last.nb_pkts, 0); /* the executor has not seen it */
	assert_int_equal(q->stats.errors, before + 1);
	assert_false(q->vr.broken);
}

static void
unanswerable(void)
{
	const uint64_t before = q->stats.errors;

	mock.last.nb_pkts = 0;
	assert_int_equal(run(), 0);
	assert_int_equal(b.rsp->status, 0xeeeeeeee);
	assert_int_equal(mock.last.nb_pkts, 0);
	assert_int_equal(q->stats.errors, before + 1);
}

static void
loopback(void **state)
{
	(void)state;
	assert_int_equal(run(), 16 + 4 * 8);
	assert_int_equal(b.rsp->status, APIR_S_OK);
	assert_int_equal(mock.last.nb_pkts, 4);
	assert_int_equal(mock.last.nb_extra, 0);
	assert_int_equal(mock.last.cookie, 77);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(mock.last.pkts[i].addr,
				 (uintptr_t)guest_at(&g, b.pkt_gpa + i * 100));
		assert_int_equal(mock.last.pkts[i].len, 100);
		assert_int_equal(mock.last.pkts[i].nseg, 1);
		assert_int_equal(mock.last.pkts[i].extra, 0);
	}
	assert_int_equal(q->stats.bursts, 1);
	assert_int_equal(q->stats.pkts, 4);
}

static void
pipeline_runs_in_place(void **state)
{
	uint8_t *p = guest_at(&g, b.pkt_gpa + 100);

	(void)state;
	b.hdr->pipeline = pipe1_id;
	p[0] = 7;
	assert_int_equal(run(), 16 + 4 * 8);
	assert_int_equal(p[0], 8);
	assert_int_equal(b.rsp->verdict[1].meta, 100);
}

static void
largest_burst(void **state)
{
	(void)state;
	guest_ring_close(&r);
	open_ring(1024);
	guest_burst(&g, &b, AT, APIR_MAX_PKTS, 1);
	guest_name(&r, 0, &b);
	assert_int_equal(run(), 16 + 8 * APIR_MAX_PKTS);
	assert_int_equal(mock.last.nb_pkts, APIR_MAX_PKTS);
}

static void
packets_in_both_regions(void **state)
{
	(void)state;
	b.tbl[2].addr = GUEST_GPA2;
	b.tbl[2].len = GUEST_SIZE2 - 1;
	b.tbl[3].addr = GUEST_GPA2 + GUEST_SIZE2 - 5;
	b.tbl[3].len = 5;
	run();
	assert_int_equal(b.rsp->status, APIR_S_OK);
	assert_int_equal(mock.last.pkts[1].addr, (uintptr_t)g.mem2);
	assert_int_equal(mock.last.pkts[2].addr, (uintptr_t)g.mem2 + GUEST_SIZE2 - 5);
	assert_int_equal(mock.last.pkts[3].addr, (uintptr_t)guest_at(&g, b.pkt_gpa + 300));
}

static void
packet_crosses_region_end(void **state)
{
	(void)state;
	b.tbl[2].addr = GUEST_GPA2 - 99;
	refused(APIR_S_FAULT);
	b.tbl[2].addr = GUEST_GPA2 + GUEST_SIZE2 - 99;
	refused(APIR_S_FAULT);
	b.tbl[2].addr = UINT64_MAX - 50;
	refused(APIR_S_FAULT);
	b.tbl[2].addr = 0;
	refused(APIR_S_FAULT);
	b.tbl[2].addr = GUEST_GPA - 1;
	refused(APIR_S_FAULT);
}

static void
packet_length_not_checked(void **state)
{
	(void)state;
	b.tbl[1].len = 0;
	refused(APIR_S_MALFORMED);
	b.tbl[1].len = 65536;
	refused(APIR_S_TOOBIG);
	b.tbl[1].len = UINT32_MAX;
	refused(APIR_S_TOOBIG);
	b.tbl[1].len = 65535;
	run();
	assert_int_equal(b.rsp->status, APIR_S_OK);
}

static void
entry_flags(void **state)
{
	static const uint16_t bad[] = {0, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE, 7, 0x8003, 0xffff};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		b.tbl[3].flags = bad[i];
		refused(APIR_S_MALFORMED);
	}
	b.tbl[3].flags = 3;
	b.tbl[0].flags = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE;
	refused(APIR_S_MALFORMED);
}

static void
chain_that_loops(void **state)
{
	(void)state;
	b.tbl[3].next = 1;
	refused(APIR_S_MALFORMED);
	b.tbl[3].next = 3;
	refused(APIR_S_MALFORMED);
	b.tbl[3].next = 5;
	refused(APIR_S_MALFORMED);
	b.tbl[3].next = 4;
	b.tbl[0].next = 0;
	refused(APIR_S_MALFORMED);
}

static void
nested_indirect_entry(void **state)
{
	(void)state;
	b.tbl[2].flags = VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT | VRING_DESC_F_WRITE;
	refused(APIR_S_MALFORMED);
}

static void
empty_burst(void **state)
{
	(void)state;
	b.hdr->nb_pkts = b.hdr->nb_segs = 0;
	refused(APIR_S_MALFORMED);
	/* A table of nothing but header and response. */
	guest_burst(&g, &b, AT, 0, 0);
	guest_name(&r, 0, &b);
	refused(APIR_S_MALFORMED);
}

static void
counts_disagree(void **state)
{
	(void)state;
	b.hdr->nb_segs = 3;
	refused(APIR_S_MALFORMED);
	b.hdr->nb_segs = 5;
	refused(APIR_S_MALFORMED);
	b.hdr->nb_segs = 4;
	b.hdr->nb_pkts = 3;
	refused(APIR_S_MALFORMED);
	b.hdr->nb_pkts = 5;
	refused(APIR_S_MALFORMED);
	b.hdr->nb_pkts = UINT16_MAX;
	refused(APIR_S_TOOBIG);
	b.hdr->nb_pkts = 4;
	b.hdr->nb_segs = UINT16_MAX;
	refused(APIR_S_TOOBIG);
}

static void
header_fields(void **state)
{
	(void)state;
	b.hdr->resv = 1;
	refused(APIR_S_MALFORMED);
	b.hdr->resv = 0;
	b.hdr->flags = 2;
	refused(APIR_S_MALFORMED);
	b.hdr->flags = 0;
	b.hdr->pipeline = pipe1_id + 1;
	refused(APIR_S_NOENT);
	b.hdr->pipeline = UINT32_MAX;
	refused(APIR_S_NOENT);
	b.hdr->pipeline = 0;
	b.tbl[0].len = 23;
	refused(APIR_S_MALFORMED);
	b.tbl[0].len = 24;
	b.tbl[0].addr = GUEST_GPA2 - 23;
	refused(APIR_S_FAULT);
	/* It may lie anywhere. */
	memmove((uint8_t *)b.hdr + 3, b.hdr, sizeof(*b.hdr));
	b.tbl[0].addr = b.hdr_gpa + 3;
	run();
	assert_int_equal(b.rsp->status, APIR_S_OK);
}

static void
what_hello_left_out(void **state)
{
	(void)state;
	q->loopback = false;
	refused(APIR_S_NOENT);
	q->loopback = true;
	q->multi_seg = false;
	b.hdr->flags = APIR_BURST_F_SEGS;
	refused(APIR_S_MALFORMED);
	b.hdr->flags = 0;
	q->max_pkts = 3;
	refused(APIR_S_TOOBIG);
	q->xq = NULL;
	refused(APIR_S_NOTREADY);
	q->xq = xq;
}

static void
response_not_found(void **state)
{
	struct vring_desc *last = &b.tbl[b.n - 1];

	(void)state;
	last->flags = 0;
	unanswerable();
	last->flags = VRING_DESC_F_WRITE | VRING_DESC_F_NEXT;
	unanswerable();
	last->flags = VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT;
	unanswerable();
	last->flags = VRING_DESC_F_WRITE;
	last->len = 15;
	unanswerable();
	last->len = 16 + 4 * 8;
	last->addr += 4;
	unanswerable();
	last->addr = GUEST_GPA2 - 40;
	unanswerable();
	last->addr = 0;
	unanswerable();
	last->addr = b.rsp_gpa;
	last->len = UINT32_MAX;
	unanswerable();
}

static void
response_too_short_for_verdicts(void **state)
{
	(void)state;
	b.tbl[b.n - 1].len = 16 + 4 * 8 - 1;
	refused(APIR_S_MALFORMED);
}

static void
table_bad(void **state)
{
	(void)state;
	r.desc[0].flags = VRING_DESC_F_WRITE;
	unanswerable();
	r.desc[0].flags = VRING_DESC_F_INDIRECT;
	r.desc[0].len -= 8;
	unanswerable();
	r.desc[0].len = 257 * 16;
	unanswerable();
	r.desc[0].len = 6 * 16;
	r.desc[0].addr = GUEST_GPA2 - 16;
	unanswerable();
}

static void
multi_segment(void **state)
{
	uint16_t *counts;

	/* 8 segments in 3 packets; the header, now longer, lies behind all else. */
	(void)state;
	guest_burst(&g, &b, AT, 8, 50);
	guest_name(&r, 0, &b);
	b.hdr = memcpy(guest_at(&g, b.pkt_gpa + 1000), b.hdr, sizeof(*b.hdr));
	b.tbl[0].addr = b.pkt_gpa + 1000;
	b.tbl[0].len = 24 + 6;
	counts = (uint16_t *)(b.hdr + 1);
	b.hdr->nb_pkts = 3;
	b.hdr->flags = APIR_BURST_F_SEGS;
	counts[0] = 1;
	counts[1] = 5;
	counts[2] = 2;
	b.tbl[4].len = 33;
	assert_int_equal(run(), 16 + 3 * 8);
	assert_int_equal(b.rsp->status, APIR_S_OK);
	assert_int_equal(mock.last.nb_pkts, 3);
	assert_int_equal(mock.last.nb_extra, 5);
	assert_int_equal(mock.last.pkts[1].nseg, 5);
	assert_int_equal(mock.last.pkts[1].extra, 0);
	assert_int_equal(mock.last.pkts[2].extra, 4);
	assert_int_equal(mock.last.pkts[2].nseg, 2);
	assert_int_equal(mock.last.segs[1].len, 33);
	assert_int_equal(mock.last.segs[4].addr, (uintptr_t)guest_at(&g, b.pkt_gpa + 7 * 50));

	counts[1] = 6; /* sum too large */
	refused(APIR_S_MALFORMED);
	counts[1] = 4; /* too small */
	refused(APIR_S_MALFORMED);
	counts[0] = 0;
	counts[1] = 6;
	refused(APIR_S_MALFORMED);
	counts[0] = UINT16_MAX;
	refused(APIR_S_MALFORMED);
	counts[0] = 1;
	counts[1] = 5;
	b.tbl[0].len = 24 + 5; /* counts cut short */
	refused(APIR_S_MALFORMED);
	b.tbl[0].len = 24 + 6;
	b.hdr->nb_pkts = 9; /* more packets than segments */
	refused(APIR_S_MALFORMED);
	b.hdr->nb_pkts = 3;
	b.tbl[3].addr = 1;
	refused(APIR_S_FAULT);
}

static void
too_many_segments_of_a_packet(void **state)
{
	uint16_t *counts;

	(void)state;
	guest_burst(&g, &b, AT, 65, 10);
	guest_name(&r, 0, &b);
	counts = (uint16_t *)(b.hdr + 1);
	b.hdr->nb_pkts = 1;
	b.hdr->flags = APIR_BURST_F_SEGS;
	b.tbl[0].len = 26;
	counts[0] = 65;
	refused(APIR_S_TOOBIG);
}

/* Each field is read once: the executor sees what was checked, whatever the guest writes after. */
static void
changed_after_the_check(void **state)
{
	struct vring_used_elem e;

	(void)state;
	mock.async = true;
	mock.may_finish = 0;
	guest_offer(&r, 0);
	assert_int_equal(burst_run(q, 8), 1);
	b.tbl[1].addr = 0;
	b.tbl[1].len = UINT32_MAX;
	b.tbl[b.n - 1].addr = 0;
	b.hdr->nb_pkts = 1000;
	r.desc[0].addr = 0;
	mock.may_finish = -1;
	assert_int_equal(burst_run(q, 8), 1);
	assert_int_equal(guest_poll(&r, &e), 1);
	assert_int_equal(e.len, 16 + 4 * 8);
	assert_int_equal(b.rsp->status, APIR_S_OK);
	assert_int_equal(mock.last.pkts[0].len, 100);
}

/* What an executor holds back, to run it together, is started once for all that there was. */
static void
held_back_until_flushed(void **state)
{
	struct vring_used_elem e;

	(void)state;
	mock.async = true;
	mock.holds = true;
	mock.flushed = 0;
	for (unsigned int i = 0; i < 3; i++)
		guest_offer(&r, 0);
	assert_int_equal(burst_run(q, 8), 3);
	assert_int_equal(mock.flushed, 1);
	assert_int_equal(burst_run(q, 8), 3);
	assert_int_equal(mock.flushed, 1); /* nothing is in flight any more */
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(guest_poll(&r, &e), 1);
	assert_int_equal(guest_poll(&r, &e), 0);
}

static void
order_is_kept(void **state)
{
	struct guest_burst bad;
	struct vring_used_elem e;

	/* good, bad, good: the bad one waits for its turn. */
	(void)state;
	mock.async = true;
	mock.may_finish = 0;
	guest_burst(&g, &bad, AT + 0x4000, 2, 8);
	bad.hdr->resv = 1;
	guest_name(&r, 1, &bad);
	guest_name(&r, 2, &b);
	guest_offer(&r, 0);
	guest_offer(&r, 1);
	guest_offer(&r, 2);
	assert_int_equal(burst_run(q, 8), 3);
	assert_int_equal(guest_poll(&r, &e), 0);
	assert_int_equal(q->in_flight, 3);
	mock.may_finish = 1;
	assert_int_equal(burst_run(q, 8), 2);
	assert_int_equal(guest_poll(&r, &e), 1);
	assert_int_equal(e.id, 0);
	assert_int_equal(guest_poll(&r, &e), 1);
	assert_int_equal(e.id, 1);
	assert_int_equal(bad.rsp->status, APIR_S_MALFORMED);
	assert_int_equal(guest_poll(&r, &e), 0);
	mock.may_finish = -1;
	burst_drain(q);
	assert_int_equal(guest_poll(&r, &e), 1);
	assert_int_equal(e.id, 2);
	assert_int_equal(q->in_flight, 0);
}

static void
executor_is_full(void **state)
{
	struct vring_used_elem e;

	(void)state;
	mock.async = true;
	mock.may_finish = 0;
	for (unsigned int i = 0; i < MOCK_DEPTH + 3; i++) {
		guest_name(&r, (uint16_t)i, &b);
		guest_offer(&r, (uint16_t)i);
	}
	assert_int_equal(burst_run(q, 100), MOCK_DEPTH);
	assert_int_equal(burst_run(q, 100), 0);
	mock.may_finish = -1;
	while (burst_run(q, 100) != 0)
		;
	for (unsigned int i = 0; i < MOCK_DEPTH + 3; i++) {
		assert_int_equal(guest_poll(&r, &e), 1);
		assert_int_equal(e.id, i);
	}
}

static void
device_failure(void **state)
{
	(void)state;
	mock.burst_status = APIR_S_DEVICE;
	assert_int_equal(run(), 16);
	assert_int_equal(b.rsp->status, APIR_S_DEVICE);
	assert_int_equal(q->stats.errors, 1);
	assert_int_equal(q->stats.pkts, 0);
}

static void
broken_ring_stops_the_queue_alone(void **state)
{
	(void)state;
	r.avail->idx += 300;
	assert_int_equal(burst_run(q, 8), 0);
	assert_true(q->vr.broken);
	/* Not looked at again, whatever the guest does. */
	r.avail->idx = 1;
	assert_int_equal(burst_run(q, 8), 0);
}

static void
budget(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 3; i++) {
		guest_name(&r, i, &b);
		guest_offer(&r, i);
	}
	assert_int_equal(burst_run(q, 2), 2);
	assert_int_equal(burst_run(q, 2), 1);
	assert_int_equal(burst_run(q, 2), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {T(loopback),
					   T(pipeline_runs_in_place),
					   T(largest_burst),
					   T(packets_in_both_regions),
					   T(packet_crosses_region_end),
					   T(packet_length_not_checked),
					   T(entry_flags),
					   T(chain_that_loops),
					   T(nested_indirect_entry),
					   T(empty_burst),
					   T(counts_disagree),
					   T(header_fields),
					   T(what_hello_left_out),
					   T(response_not_found),
					   T(response_too_short_for_verdicts),
					   T(table_bad),
					   T(multi_segment),
					   T(too_many_segments_of_a_packet),
					   T(changed_after_the_check),
					   T(held_back_until_flushed),
					   T(order_is_kept),
					   T(executor_is_full),
					   T(device_failure),
					   T(broken_ring_stops_the_queue_alone),
					   T(budget)};

	return cmocka_run_group_tests_name("burst", tests, NULL, NULL);
}
