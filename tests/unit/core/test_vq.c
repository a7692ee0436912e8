/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The ring, with a device that keeps to the rules. */

#include <sched.h>

#include "vq_fix.h"

static void
create_refuses_bad_sizes(void **state)
{
	static const struct {
		uint16_t size, slots, pkts, segs;
	} bad[] = {
		{0, 1, 1, 1},	    {4, 1, 1, 1},      {24, 1, 1, 1},	{2048, 1, 1, 1},
		{64, 0, 1, 1},	    {64, 3, 1, 1},     {64, 128, 1, 1}, {64, 1, 0, 1},
		{64, 1, 1, 0},	    {64, 1, 2, 1},     {64, 1, 1, 63},	{64, 1, 1, 65535},
		{1024, 1, 1, 1023}, {0x8000, 1, 1, 1},
	};
	struct fix *f = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(apir_vq_create(&f->fe.env, bad[i].size, bad[i].slots, bad[i].pkts,
						bad[i].segs, -1, &f->vq),
				 -EINVAL);
	assert_null(f->vq);
	assert_int_equal(f->fe.live, 0);
	/* the largest there is */
	f->fe.fail_after = 3; /* its slots take two pieces of APIR_DMA_MAX */
	make_vq(f, APIR_MAX_QUEUE_SIZE, 64, APIR_MAX_PKTS, APIR_MAX_SEGS);
}

static void
create_without_memory(void **state)
{
	struct fix *f = *state;
	int n;

	for (n = 0; n < 2; n++) {
		f->fe.fail_after = n;
		fake_env_log_clear(&f->fe);
		assert_int_equal(apir_vq_create(&f->fe.env, 64, 8, 8, 8, -1, &f->vq), -ENOMEM);
		assert_true(fake_env_logged(&f->fe, "shared memory"));
		f->fe.fail_after = n;
		assert_int_equal(apir_vq_create_ctl(&f->fe.env, &f->vq), -ENOMEM);
		assert_int_equal(f->fe.live, 0);
	}
	assert_null(f->vq);
}

/* What the device finds is what the contract says, down to the last field. */
static void
table_as_specified(void **state)
{
	static const uint16_t counts[] = {2, 1, 3};
	struct fix *f = *state;
	struct apir_slot *s;
	struct vring_desc *d, *tbl;
	struct apir_burst_req *req;
	int id, i;

	make_vq(f, 64, 16, 8, 32);
	submit(f, 1);
	answer(f);
	expect_answer(f, 1);

	s = apir_vq_open_slot(f->vq);
	s->req->pipeline = 7;
	s->req->nb_pkts = 3;
	s->req->nb_segs = 6;
	s->req->flags = APIR_BURST_F_SEGS;
	memcpy(s->req + 1, counts, sizeof(counts));
	for (i = 0; i < 6; i++)
		apir_slot_set_seg(s, (uint16_t)i, 0x10000u + i, 100 + i);
	apir_vq_submit(f->vq);

	assert_int_equal(fake_ring_pop(&f->dev), 1);
	id = 1;
	d = &f->dev.desc[id];
	assert_int_equal(d->flags, VRING_DESC_F_INDIRECT);
	assert_int_equal(d->len, 8 * sizeof(*tbl));
	assert_int_equal(d->next, 0);
	tbl = fake_env_va(&f->fe, d->addr, d->len);
	assert_non_null(tbl);
	assert_int_equal(tbl[0].len, sizeof(*req) + sizeof(counts));
	for (i = 0; i < 7; i++)
		assert_int_equal(tbl[i].next, i + 1);
	assert_int_equal(tbl[0].flags, VRING_DESC_F_NEXT);
	for (i = 1; i < 7; i++) {
		assert_int_equal(tbl[i].flags, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE);
		assert_int_equal(tbl[i].addr, 0x10000 + i - 1);
		assert_int_equal(tbl[i].len, 100 + i - 1);
	}
	assert_int_equal(tbl[7].flags, VRING_DESC_F_WRITE);
	assert_int_equal(tbl[7].next, 0);
	assert_int_equal(tbl[7].len, 16 + 3 * 8);
	assert_int_equal(tbl[7].addr, s->rsp_addr);
	req = fake_env_va(&f->fe, tbl[0].addr, tbl[0].len);
	assert_non_null(req);
	assert_int_equal(req->pipeline, 7);
	assert_memory_equal(req + 1, counts, sizeof(counts));
	assert_int_equal(req->resv, 0);
}

/* Slots do not overlap each other, and each of their parts holds what create() was asked for. */
static void
slots_are_apart(void **state)
{
	/* chosen so that rounding up to cache lines hides no missing entry */
	enum { SEGS = 60, PKTS = 31, SLOTS = 8 };
	struct fix *f = *state;
	unsigned char *part[3][SLOTS];
	const size_t len[3] = {(SEGS + 2) * sizeof(struct vring_desc),
			       sizeof(struct apir_burst_req) + PKTS * sizeof(uint16_t),
			       sizeof(struct apir_burst_rsp) + PKTS * sizeof(struct apir_verdict)};
	int i, k;

	make_vq(f, 64, SLOTS, PKTS, SEGS);
	for (i = 0; i < SLOTS; i++) {
		part[0][i] = (unsigned char *)f->vq->slots[i].tbl;
		part[1][i] = (unsigned char *)f->vq->slots[i].req;
		part[2][i] = (unsigned char *)f->vq->slots[i].rsp;
		for (k = 0; k < 3; k++) {
			assert_int_equal((uintptr_t)part[k][i] % 64, 0);
			memset(part[k][i], 3 * i + k, len[k]);
		}
	}
	for (i = 0; i < SLOTS; i++) {
		for (k = 0; k < 3; k++) {
			assert_int_equal(part[k][i][0], 3 * i + k);
			assert_int_equal(part[k][i][len[k] - 1], 3 * i + k);
		}
	}
}

static void
full_ring(void **state)
{
	struct fix *f = *state;
	struct apir_slot *s, *again;
	int i;

	make_vq(f, 16, 8, 4, 4);
	for (i = 0; i < 8; i++) {
		s = apir_vq_open_slot(f->vq);
		assert_ptr_equal(s, apir_vq_open_slot(f->vq));
		submit(f, i);
		assert_int_equal(apir_vq_in_flight(f->vq), i + 1);
	}
	assert_null(apir_vq_open_slot(f->vq));
	assert_int_equal(apir_vq_poll(f->vq, &s), 0);
	answer(f);
	/* the same until released, and not the producer's before */
	assert_int_equal(apir_vq_poll(f->vq, &s), 1);
	assert_int_equal(apir_vq_poll(f->vq, &again), 1);
	assert_ptr_equal(s, again);
	assert_null(apir_vq_open_slot(f->vq));
	apir_vq_release(f->vq);
	assert_ptr_equal(apir_vq_open_slot(f->vq), s);
	assert_int_equal(apir_vq_in_flight(f->vq), 7);
}

static void
indices_wrap(void **state)
{
	struct fix *f = *state;
	uint64_t sent = 0, got = 0;
	unsigned int seed = 1;

	make_vq(f, 32, 8, 4, 4);
	while (got < 140000) {
		int n = rand_r(&seed) % 8 + 1;

		while (n-- > 0 && apir_vq_open_slot(f->vq) != NULL)
			submit(f, sent++);
		for (n = rand_r(&seed) % 8 + 1; n > 0 && got < sent; n--) {
			answer(f);
			expect_answer(f, got++);
		}
		assert_int_equal(apir_vq_in_flight(f->vq), sent - got);
	}
}

static void
kicks_when_asked(void **state)
{
	struct fix *f = *state;
	int i;

	make_vq(f, 16, 4, 4, 4);
	/* a fresh device, that has read nothing, wants to know of the first */
	submit(f, 0);
	assert_int_equal(f->kicked, 1);
	/* it has not asked again: no more */
	submit(f, 1);
	assert_int_equal(f->kicked, 1);
	/* asks for the next */
	fake_ring_set_avail_event(&f->dev, 2);
	submit(f, 2);
	assert_int_equal(f->kicked, 2);
	/* asks for one that is further away */
	fake_ring_set_avail_event(&f->dev, 4);
	submit(f, 3);
	assert_int_equal(f->kicked, 2);
	for (i = 0; i < 4; i++) {
		answer(f);
		expect_answer(f, i);
	}
	submit(f, 4);
	assert_int_equal(f->kicked, 3);
	answer(f);
	expect_answer(f, 4);
	assert_int_equal(f->vq->kicks, 3);

	/* over the end of the index */
	for (i = 5; i < 65535; i++) {
		submit(f, i);
		answer(f);
		expect_answer(f, i);
	}
	f->kicked = 0;
	fake_ring_set_avail_event(&f->dev, 65535);
	submit(f, 65535);
	assert_int_equal(f->kicked, 1);
	submit(f, 65536);
	assert_int_equal(f->kicked, 1);
	fake_ring_set_avail_event(&f->dev, 1);
	submit(f, 65537);
	assert_int_equal(f->kicked, 2);
}

static void
calls_when_asked(void **state)
{
	struct fix *f = *state;
	int i, calls = 0;

	make_vq(f, 16, 4, 4, 4);
	for (i = 0; i < 65540; i++) {
		const bool want = i % 3 == 0 || i == 65535 || i == 65536;
		int id;

		submit(f, i);
		apir_vq_want_call(f->vq, want);
		id = fake_ring_pop(&f->dev);
		assert_int_equal(fake_ring_push(&f->dev, (uint32_t)id, 0), want);
		if (want) {
			struct apir_slot *s;

			/* once asked, told once: the next completion is silent */
			calls++;
			submit(f, i);
			id = fake_ring_pop(&f->dev);
			assert_false(fake_ring_push(&f->dev, (uint32_t)id, 0));
			assert_int_equal(apir_vq_poll(f->vq, &s), 1);
			apir_vq_release(f->vq);
			assert_int_equal(apir_vq_poll(f->vq, &s), 1);
			apir_vq_release(f->vq);
		} else {
			struct apir_slot *s;

			assert_int_equal(apir_vq_poll(f->vq, &s), 1);
			apir_vq_release(f->vq);
		}
	}
	assert_true(calls > 20000);
}

static void
control_ring(void **state)
{
	struct fix *f = *state;
	struct apir_slot *s, *done;
	struct vring_desc *d;
	int i;

	assert_int_equal(apir_vq_create_ctl(&f->fe.env, &f->vq), 0);
	fake_ring_init(&f->dev, &f->fe, f->vq);
	for (i = 0; i < 20; i++) {
		s = apir_vq_open_slot(f->vq);
		assert_non_null(s);
		memset(s->req, i, APIR_CTL_MAX);
		apir_vq_submit_ctl(f->vq, 100 + i);
		assert_null(apir_vq_open_slot(f->vq));

		assert_int_equal(fake_ring_pop(&f->dev), 0);
		d = f->dev.desc;
		assert_int_equal(d[0].flags, VRING_DESC_F_NEXT);
		assert_int_equal(d[0].next, 1);
		assert_int_equal(d[0].len, 100 + i);
		assert_int_equal(d[1].flags, VRING_DESC_F_WRITE);
		assert_int_equal(d[1].len, APIR_CTL_MAX);
		assert_ptr_equal(fake_env_va(&f->fe, d[0].addr, APIR_CTL_MAX), s->req);
		assert_ptr_equal(fake_env_va(&f->fe, d[1].addr, APIR_CTL_MAX), s->rsp);
		fake_ring_push(&f->dev, 0, 500 + i);

		assert_int_equal(apir_vq_poll(f->vq, &done), 1);
		assert_ptr_equal(done, s);
		assert_int_equal(apir_vq_used_len(f->vq), 500 + i);
		apir_vq_release(f->vq);
	}
}

#define THREAD_REQS 200000

static void *
device_thread(void *arg)
{
	struct fix *f = arg;
	uint64_t n = 0;

	while (n < THREAD_REQS) {
		const int id = fake_ring_pop(&f->dev);
		const struct vring_desc *tbl;
		const struct apir_burst_req *req;
		struct apir_burst_rsp *rsp;

		if (id < 0) {
			sched_yield();
			continue;
		}
		tbl = fake_env_va(&f->fe, f->dev.desc[id].addr, f->dev.desc[id].len);
		req = fake_env_va(&f->fe, tbl[0].addr, tbl[0].len);
		rsp = fake_env_va(&f->fe, tbl[2].addr, tbl[2].len);
		rsp->status = APIR_S_OK;
		rsp->verdict[0].meta = (uint32_t)req->cookie * 3;
		fake_ring_push(&f->dev, (uint32_t)id, 24);
		n++;
	}
	return NULL;
}

static void *
producer_thread(void *arg)
{
	struct fix *f = arg;
	uint64_t n = 0;

	while (n < THREAD_REQS) {
		struct apir_slot *s = apir_vq_open_slot(f->vq);

		if (s == NULL) {
			sched_yield();
			continue;
		}
		s->req->nb_pkts = 1;
		s->req->nb_segs = 1;
		s->req->cookie = n++;
		apir_slot_set_seg(s, 0, 0x1000, 60);
		apir_vq_submit(f->vq);
	}
	return NULL;
}

/* Producer, device and consumer each in a thread of its own: nothing is lost, doubled or torn. */
static void
three_threads(void **state)
{
	struct fix *f = *state;
	pthread_t dev, prod;
	uint64_t n = 0, wrong = 0;
	int ret;

	make_vq(f, 64, 16, 4, 4);
	assert_int_equal(pthread_create(&dev, NULL, device_thread, f), 0);
	assert_int_equal(pthread_create(&prod, NULL, producer_thread, f), 0);
	while (n < THREAD_REQS) {
		struct apir_slot *s;

		ret = apir_vq_poll(f->vq, &s);
		if (ret < 0)
			abort();
		if (ret == 0) {
			sched_yield();
			continue;
		}
		wrong += s->rsp->status != APIR_S_OK || s->rsp->verdict[0].meta != (uint32_t)n * 3;
		n++;
		apir_vq_release(f->vq);
	}
	pthread_join(prod, NULL);
	pthread_join(dev, NULL);
	assert_int_equal(wrong, 0);
	assert_int_equal(apir_vq_in_flight(f->vq), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(create_refuses_bad_sizes),
		T(create_without_memory),
		T(table_as_specified),
		T(slots_are_apart),
		T(full_ring),
		T(indices_wrap),
		T(kicks_when_asked),
		T(calls_when_asked),
		T(control_ring),
		T(three_threads),
	};

	return cmocka_run_group_tests_name("vq", tests, NULL, NULL);
}
