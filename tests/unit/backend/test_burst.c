/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Bursts: what is lawful arrives at the executor as it is in guest memory, and is answered in order. */

#include "burst_fix.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(loopback),
		T(pipeline_runs_in_place),
		T(largest_burst),
		T(packets_in_both_regions),
		T(changed_after_the_check),
		T(held_back_until_flushed),
		T(order_is_kept),
		T(executor_is_full),
		T(device_failure),
		T(broken_ring_stops_the_queue_alone),
		T(budget),
	};

	return cmocka_run_group_tests_name("burst", tests, NULL, NULL);
}
