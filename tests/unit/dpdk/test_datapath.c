/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <string.h>

#include <rte_errno.h>

#include "dpdk_env.h"
#include "fake_device.h"

#define BURSTS 4
#define BURST  8
#define SEGS   12
#define PIPE   7

static int
setup(void **state)
{
	(void)state;
	fake_device_open(BURSTS, BURST, SEGS);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fake_device_close();
	assert_pool_full();
	return 0;
}

static void
fill(struct rte_mbuf **pkts, unsigned int n, unsigned int nb_segs)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		pkts[i] = env_packet(nb_segs, (uint16_t)(60 + i));
}

static void
test_one_burst(void **state)
{
	struct rte_mbuf *in[5];
	struct rte_apir_stats s;
	struct fake_request r;
	unsigned int i;

	(void)state;
	fill(in, 5, 1);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, in, 5), 5);
	assert_int_equal(rte_apir_in_flight(FAKE_DEV, 0), 1);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->pipeline, PIPE);
	assert_int_equal(r.req->nb_pkts, 5);
	assert_int_equal(r.req->flags, 0);
	for (i = 0; i < 5; i++) {
		assert_int_equal(r.segs[i].addr, rte_pktmbuf_mtod(in[i], uintptr_t));
		assert_int_equal(r.segs[i].len, 60 + i);
	}
	assert_false(fake_pop(&r));
	apir_devs[FAKE_DEV].open = true;
	assert_int_equal(rte_apir_stats_get(FAKE_DEV, 0, &s), 0);
	apir_devs[FAKE_DEV].open = false;
	assert_int_equal(s.enq_pkts, 5);
	assert_int_equal(s.enq_bursts, 1);
}

static void
test_cut_by_packets(void **state)
{
	struct rte_mbuf *in[2 * BURST + 1];
	struct fake_request r;

	(void)state;
	fill(in, RTE_DIM(in), 1);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, in, RTE_DIM(in)), RTE_DIM(in));
	assert_int_equal(rte_apir_in_flight(FAKE_DEV, 0), 3);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->nb_pkts, BURST);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->nb_pkts, BURST);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->nb_pkts, 1);
	assert_int_equal(r.segs[0].addr, rte_pktmbuf_mtod(in[2 * BURST], uintptr_t));
}

static void
test_segments(void **state)
{
	struct rte_mbuf *in[4];
	struct fake_request r;

	(void)state;
	/*
	 * counts appear with the first packet of several segments, for those before it too: 1 1 3 1
	 */
	fill(in, 4, 1);
	rte_pktmbuf_free(in[2]);
	in[2] = env_packet(3, 100);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, in, 4), 4);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->flags, APIR_BURST_F_SEGS);
	assert_int_equal(r.req->nb_pkts, 4);
	assert_int_equal(r.req->nb_segs, 6);
	assert_int_equal(r.counts[0], 1);
	assert_int_equal(r.counts[1], 1);
	assert_int_equal(r.counts[2], 3);
	assert_int_equal(r.counts[3], 1);
	assert_int_equal(r.segs[3].addr, rte_pktmbuf_mtod(in[2]->next, uintptr_t));
	assert_int_equal(r.segs[5].addr, rte_pktmbuf_mtod(in[3], uintptr_t));
	fake_complete(&r, APIR_S_OK);
	assert_int_equal(rte_apir_dequeue_burst(FAKE_DEV, 0, in, NULL, 4), 4);
	rte_pktmbuf_free_bulk(in, 4);
}

static void
test_cut_by_segments(void **state)
{
	struct rte_mbuf *in[5];
	struct fake_request r;

	(void)state;
	/* 5 and 5 of 12 segments leave no room for 5 more */
	fill(in, 5, 5);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, in, 5), 5);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->nb_pkts, 2);
	assert_int_equal(r.req->nb_segs, 10);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->nb_pkts, 2);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->nb_pkts, 1);
	assert_int_equal(r.counts[0], 5);
}

static void
test_too_many_segments(void **state)
{
	struct rte_mbuf *in[2] = {env_packet(1, 60), env_packet(SEGS + 1, 60)};

	(void)state;
	rte_errno = 0;
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, in, 2), 1);
	assert_int_equal(rte_errno, EMSGSIZE);
	rte_pktmbuf_free(in[1]);
	/* a device that takes one segment only */
	fake_qp()->multi_seg = false;
	in[1] = env_packet(2, 60);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, &in[1], 1), 0);
	assert_int_equal(rte_errno, EMSGSIZE);
	rte_pktmbuf_free(in[1]);
	assert_int_equal(atomic_load(&fake_qp()->refused), 2);
}

/* A refused packet leaves no trace in the burst: the next one takes its place. */
static void
test_refused_half_way(void **state)
{
	struct rte_mbuf *in[3];
	struct fake_request r;

	(void)state;
	in[0] = env_packet(1, 60);
	in[1] = env_packet(3, 60);
	in[2] = env_packet(1, 61);
	in[1]->next->next->data_len = 0;
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, PIPE, in, 3), 1);
	assert_int_equal(rte_errno, ENODATA);
	assert_int_equal(rte_apir_gathered(FAKE_DEV, 0), 1);
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, PIPE, &in[2], 1), 1);
	assert_int_equal(rte_apir_submit(FAKE_DEV, 0), 2);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->nb_segs, 2);
	assert_int_equal(r.req->flags, 0);
	assert_int_equal(r.segs[1].len, 61);
	in[1]->next->next->data_len = 60;
	rte_pktmbuf_free(in[1]);
}

static void
test_empty(void **state)
{
	struct rte_mbuf *m = env_packet(1, 0);

	(void)state;
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, &m, 1), 0);
	assert_int_equal(rte_errno, ENODATA);
	m->nb_segs = 0;
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, &m, 1), 0);
	assert_int_equal(rte_errno, ENODATA);
	m->nb_segs = 1;
	rte_pktmbuf_free(m);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, &m, 0), 0);
	assert_int_equal(rte_apir_in_flight(FAKE_DEV, 0), 0);
}

static void
test_not_shared(void **state)
{
	struct rte_mbuf *in[3];

	(void)state;
	fill(in, 3, 1);
	/* only the second packet; one byte short of the third */
	fake_share(rte_pktmbuf_mtod(in[1], void *), in[1]->data_len);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, &in[1], 1), 1);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, in, 1), 0);
	assert_int_equal(rte_errno, EFAULT);
	fake_share(rte_pktmbuf_mtod(in[2], void *), in[2]->data_len - 1u);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, &in[2], 1), 0);
	assert_int_equal(rte_errno, EFAULT);
	assert_true(rte_apir_is_shared(FAKE_DEV, rte_pktmbuf_mtod(in[2], void *), 1));
	assert_false(
		rte_apir_is_shared(FAKE_DEV, rte_pktmbuf_mtod(in[2], void *), in[2]->data_len));
	/* the table is followed at once */
	fake_share(rte_pktmbuf_mtod(in[2], void *), in[2]->data_len);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, &in[2], 1), 1);
	rte_pktmbuf_free(in[0]);
}

static void
test_gather(void **state)
{
	struct rte_mbuf *in[BURST + 3];
	struct fake_request r;

	(void)state;
	fill(in, RTE_DIM(in), 1);
	assert_int_equal(rte_apir_submit(FAKE_DEV, 0), 0);
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, PIPE, in, 3), 3);
	assert_int_equal(rte_apir_gathered(FAKE_DEV, 0), 3);
	assert_int_equal(rte_apir_in_flight(FAKE_DEV, 0), 0);
	assert_false(fake_pop(&r));
	/* full: submitted at once, the rest begins the next */
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, PIPE, in + 3, BURST - 3), BURST - 3);
	assert_int_equal(rte_apir_gathered(FAKE_DEV, 0), 0);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->nb_pkts, BURST);
	/* another pipeline: what was gathered goes first */
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, PIPE, in + BURST, 1), 1);
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, PIPE + 1, in + BURST + 1, 1), 1);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->pipeline, PIPE);
	assert_int_equal(r.req->nb_pkts, 1);
	/* and before a burst that is enqueued */
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE + 1, in + BURST + 2, 1), 1);
	assert_true(fake_pop(&r));
	assert_int_equal(r.segs[0].addr, rte_pktmbuf_mtod(in[BURST + 1], uintptr_t));
	assert_true(fake_pop(&r));
	assert_int_equal(r.segs[0].addr, rte_pktmbuf_mtod(in[BURST + 2], uintptr_t));
}

static void
test_full_ring(void **state)
{
	struct rte_mbuf *in[BURSTS * BURST + 2], *out[BURST];
	struct fake_request r;

	(void)state;
	fill(in, RTE_DIM(in), 1);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, in, RTE_DIM(in)),
			 BURSTS * BURST);
	assert_int_equal(rte_errno, EAGAIN);
	assert_int_equal(rte_apir_in_flight(FAKE_DEV, 0), BURSTS);
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, PIPE, &in[BURSTS * BURST], 1), 0);
	assert_int_equal(rte_errno, EAGAIN);
	/* one burst wholly back makes room for one */
	assert_true(fake_pop(&r));
	fake_complete(&r, APIR_S_OK);
	assert_int_equal(rte_apir_dequeue_burst(FAKE_DEV, 0, out, NULL, BURST - 1), BURST - 1);
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, PIPE, &in[BURSTS * BURST], 1), 0);
	assert_int_equal(rte_apir_dequeue_burst(FAKE_DEV, 0, &out[BURST - 1], NULL, 1), 1);
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, PIPE, &in[BURSTS * BURST], 2), 2);
	assert_memory_equal(in, out, sizeof(out));
	rte_pktmbuf_free_bulk(out, BURST);
}

/* Slots and indexes come round. */
static void
test_wrap(void **state)
{
	struct rte_mbuf *in[3], *out[3];
	struct fake_request r;
	unsigned int i;

	(void)state;
	fill(in, 3, 1);
	for (i = 0; i < 70000; i++) {
		assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, i, in, 3), 3);
		assert_true(fake_pop(&r));
		assert_int_equal(r.req->pipeline, i);
		fake_complete(&r, APIR_S_OK);
		assert_int_equal(rte_apir_dequeue_burst(FAKE_DEV, 0, out, NULL, 3), 3);
		assert_memory_equal(in, out, sizeof(out));
	}
	rte_pktmbuf_free_bulk(out, 3);
}

static void
test_nobody_home(void **state)
{
	struct rte_mbuf *m = env_packet(1, 60);

	(void)state;
	assert_int_equal(rte_apir_enqueue_burst(RTE_APIR_MAX_DEVS, 0, PIPE, &m, 1), 0);
	assert_int_equal(rte_errno, ENODEV);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 1, PIPE, &m, 1), 0);
	assert_int_equal(rte_errno, ENODEV);
	assert_int_equal(rte_apir_gather(FAKE_DEV + 1, 0, PIPE, &m, 1), 0);
	assert_int_equal(rte_apir_submit(FAKE_DEV, UINT16_MAX), 0);
	assert_int_equal(rte_apir_dequeue_burst(UINT16_MAX, 0, &m, NULL, 1), 0);
	assert_int_equal(rte_apir_in_flight(FAKE_DEV + 1, 0), 0);
	assert_int_equal(rte_apir_gathered(UINT16_MAX, 0), 0);
	assert_false(rte_apir_is_shared(UINT16_MAX, m, 1));
	/* control has the queue pair: the data path leaves at once */
	apir_qp_hold_all(&apir_devs[FAKE_DEV]);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, &m, 1), 0);
	assert_int_equal(rte_errno, ENODEV);
	assert_int_equal(rte_apir_dequeue_burst(FAKE_DEV, 0, &m, NULL, 1), 0);
	apir_qp_drop_all(&apir_devs[FAKE_DEV]);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, &m, 1), 1);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_one_burst),
		T(test_cut_by_packets),
		T(test_segments),
		T(test_cut_by_segments),
		T(test_too_many_segments),
		T(test_refused_half_way),
		T(test_empty),
		T(test_not_shared),
		T(test_gather),
		T(test_full_ring),
		T(test_wrap),
		T(test_nobody_home),
	};

	return cmocka_run_group_tests(tests, env_start, env_stop);
}
