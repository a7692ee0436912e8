/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Bursts: what is not lawful is answered and runs not. */

#include "burst_fix.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests_name("burst_bad", tests, NULL, NULL);
}
