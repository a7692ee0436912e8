/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The ring, with a device that lies. */

#include "vq_fix.h"

/* The device can write to the request before it is submitted: counts that it forges must not lead us elsewhere. */
static void
forged_counts_stay_inside(void **state)
{
	struct fix *f = *state;
	struct vring_desc after;
	struct apir_slot *s;

	make_vq(f, 64, 2, 30, 60);
	s = apir_vq_open_slot(f->vq);
	/* what lies behind the table */
	memcpy(&after, &s->tbl[62], sizeof(after));
	s->req->nb_segs = 0xffff;
	s->req->nb_pkts = 0xffff;
	s->req->flags = APIR_BURST_F_SEGS;
	apir_vq_submit(f->vq);
	assert_int_equal(f->dev.desc[0].len, 62 * sizeof(struct vring_desc));
	assert_int_equal(s->tbl[0].len, sizeof(struct apir_burst_req) + 30 * sizeof(uint16_t));
	assert_int_equal(s->tbl[61].addr, s->rsp_addr);
	assert_int_equal(s->tbl[61].len, sizeof(struct apir_burst_rsp) + 30 * 8);
	assert_memory_equal(&after, &s->tbl[62], sizeof(after));
}

/* A device that completes a request without answering it. */
static void
no_response_is_lost(void **state)
{
	struct fix *f = *state;
	struct apir_slot *s;
	int i;

	make_vq(f, 8, 1, 4, 4);
	for (i = 0; i < 2; i++) {
		submit(f, i);
		answer(f);
		expect_answer(f, i);
	}
	submit(f, 3);
	fake_ring_push(&f->dev, 0, 0);
	assert_int_equal(apir_vq_poll(f->vq, &s), 1);
	assert_int_equal(s->rsp->status, APIR_S_LOST);
}

static void
wrong_id_refused(void **state)
{
	struct fix *f = *state;
	struct apir_slot *s;

	make_vq(f, 16, 4, 4, 4);
	submit(f, 0);
	submit(f, 1);
	/* out of order */
	fake_ring_push(&f->dev, 1, 24);
	assert_int_equal(apir_vq_poll(f->vq, &s), -EPROTO);
	assert_true(fake_env_logged(&f->fe, "used element 1 where 0 was due"));
	/* and repairing it does not help */
	f->dev.used->ring[0].id = 0;
	fake_ring_push(&f->dev, 1, 24);
	assert_int_equal(apir_vq_poll(f->vq, &s), -EPROTO);

	apir_vq_reset(f->vq);
	fake_ring_init(&f->dev, &f->fe, f->vq);
	submit(f, 0);
	fake_ring_push(&f->dev, 0xffffffff, 24);
	assert_int_equal(apir_vq_poll(f->vq, &s), -EPROTO);
}

/* An id is checked for each request, not only for the first that a poll finds. */
static void
repeated_id_refused(void **state)
{
	struct fix *f = *state;
	struct apir_slot *s;

	make_vq(f, 16, 4, 4, 4);
	submit(f, 0);
	submit(f, 1);
	answer(f);
	fake_ring_push(&f->dev, 0, 24);
	expect_answer(f, 0);
	assert_int_equal(apir_vq_poll(f->vq, &s), -EPROTO);
}

static void
used_index_jump_refused(void **state)
{
	static const int jumps[] = {3, 17, 0x8000, 0xffff /* backwards */};
	struct fix *f = *state;
	struct apir_slot *s;
	size_t i;

	make_vq(f, 16, 4, 4, 4);
	for (i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		apir_vq_reset(f->vq);
		fake_ring_init(&f->dev, &f->fe, f->vq);
		submit(f, 0);
		submit(f, 1);
		f->dev.used->idx = (uint16_t)jumps[i];
		assert_int_equal(apir_vq_poll(f->vq, &s), -EPROTO);
		f->dev.used->idx = 1;
		assert_int_equal(apir_vq_poll(f->vq, &s), -EPROTO);
	}
	/* nothing in flight: nothing can complete */
	apir_vq_reset(f->vq);
	f->dev.used->idx = 1;
	assert_int_equal(apir_vq_poll(f->vq, &s), -EPROTO);
}

static void
reset_restores(void **state)
{
	struct fix *f = *state;
	struct apir_slot *s;
	int i;

	make_vq(f, 16, 4, 4, 4);
	for (i = 0; i < 3; i++)
		submit(f, i);
	answer(f);
	expect_answer(f, 0);
	/* a device that went wild */
	memset(f->dev.desc, 0x5a, 16 * sizeof(struct vring_desc));
	memset(f->dev.avail, 0x5a, 6 + 2 * 16);
	memset(f->dev.used, 0x5a, 6 + 8 * 16);
	f->vq->slots[1].req->resv = 9;
	assert_int_equal(apir_vq_poll(f->vq, &s), -EPROTO);

	apir_vq_reset(f->vq);
	fake_ring_init(&f->dev, &f->fe, f->vq);
	f->kicked = 0;
	assert_int_equal(apir_vq_in_flight(f->vq), 0);
	assert_int_equal(apir_vq_poll(f->vq, &s), 0);
	assert_int_equal(f->vq->slots[1].req->resv, 0);
	for (i = 0; i < 4; i++)
		submit(f, i);
	assert_null(apir_vq_open_slot(f->vq));
	assert_int_equal(f->kicked, 1);
	for (i = 0; i < 4; i++) {
		answer(f);
		expect_answer(f, i);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(forged_counts_stay_inside), T(no_response_is_lost),	  T(wrong_id_refused),
		T(repeated_id_refused),	      T(used_index_jump_refused), T(reset_restores),
	};

	return cmocka_run_group_tests_name("vq_hostile", tests, NULL, NULL);
}
