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

static struct rte_mbuf *in[4 * BURST], *out[4 * BURST];
static struct rte_apir_verdict v[4 * BURST];

static int
setup(void **state)
{
	(void)state;
	fake_device_open(BURSTS, BURST, BURST);
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
enqueue(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		in[i] = env_packet(1, 60);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, 1, in, (uint16_t)n), n);
}

static uint16_t
dequeue(uint16_t n)
{
	memset(v, 0xff, sizeof(v));
	return rte_apir_dequeue_burst(FAKE_DEV, 0, out, v, n);
}

static void
test_verdicts(void **state)
{
	struct fake_request r;

	(void)state;
	enqueue(4);
	assert_int_equal(dequeue(4), 0);
	assert_true(fake_pop(&r));
	assert_int_equal(dequeue(4), 0);
	r.rsp->verdict[0] = (struct apir_verdict){APIR_ACTION_FORWARD, 3, 0xdeadbeef};
	r.rsp->verdict[1] = (struct apir_verdict){APIR_ACTION_DROP, 9, 1};
	r.rsp->verdict[2] = (struct apir_verdict){2, 5, 0};
	r.rsp->verdict[3] = (struct apir_verdict){RTE_APIR_ACTION_ERROR, APIR_S_LOST, 0};
	fake_complete(&r, APIR_S_OK);
	assert_int_equal(dequeue(32), 4);
	assert_memory_equal(in, out, 4 * sizeof(in[0]));
	assert_int_equal(v[0].action, RTE_APIR_ACTION_FORWARD);
	assert_int_equal(v[0].port, 3);
	assert_int_equal(v[0].meta, 0xdeadbeef);
	assert_int_equal(v[1].action, RTE_APIR_ACTION_DROP);
	assert_int_equal(v[1].port, 9);
	/* whatever else a kernel writes is a drop: an error it cannot claim */
	assert_int_equal(v[2].action, RTE_APIR_ACTION_DROP);
	assert_int_equal(v[2].port, 5);
	assert_int_equal(v[3].action, RTE_APIR_ACTION_DROP);
	assert_int_equal(atomic_load(&fake_qp()->dropped), 3);
	assert_int_equal(atomic_load(&fake_qp()->errors), 0);
	assert_int_equal(rte_apir_in_flight(FAKE_DEV, 0), 0);
	rte_pktmbuf_free_bulk(out, 4);
}

static void
test_status(void **state)
{
	struct fake_request r;
	unsigned int i;

	(void)state;
	enqueue(3);
	assert_true(fake_pop(&r));
	r.rsp->copied = 180;
	fake_complete(&r, APIR_S_TIMEOUT);
	assert_int_equal(dequeue(8), 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(v[i].action, RTE_APIR_ACTION_ERROR);
		assert_int_equal(v[i].port, APIR_S_TIMEOUT);
	}
	rte_pktmbuf_free_bulk(out, 3);
	/* a status that does not fit 16 bits does not become success */
	enqueue(1);
	assert_true(fake_pop(&r));
	fake_complete(&r, 0x10000);
	assert_int_equal(dequeue(8), 1);
	assert_int_equal(v[0].action, RTE_APIR_ACTION_ERROR);
	assert_int_equal(v[0].port, 0xffff);
	rte_pktmbuf_free_bulk(out, 1);
	assert_int_equal(atomic_load(&fake_qp()->errors), 4);
	assert_int_equal(atomic_load(&fake_qp()->copied_bytes), 180);
}

/* Any number at a time, across bursts, in order. */
static void
test_partial(void **state)
{
	struct fake_request r;
	unsigned int at, i;

	(void)state;
	for (at = 1; at <= 3 * BURST; at++) {
		unsigned int got = 0;

		enqueue(3 * BURST);
		for (i = 0; i < 3; i++) {
			assert_true(fake_pop(&r));
			r.rsp->verdict[1].port = (uint16_t)(i + 1);
			fake_complete(&r, APIR_S_OK);
		}
		while (got < 3 * BURST) {
			const uint16_t n = rte_apir_dequeue_burst(FAKE_DEV, 0, out + got, v + got,
								  (uint16_t)at);

			assert_int_equal(n, RTE_MIN(at, 3 * BURST - got));
			got += n;
		}
		assert_int_equal(dequeue(1), 0);
		assert_memory_equal(in, out, 3 * BURST * sizeof(in[0]));
		rte_pktmbuf_free_bulk(out, 3 * BURST);
	}
}

static void
test_verdicts_across(void **state)
{
	struct fake_request r;

	(void)state;
	enqueue(BURST);
	assert_true(fake_pop(&r));
	r.rsp->verdict[5].port = 55;
	fake_complete(&r, APIR_S_OK);
	assert_int_equal(dequeue(5), 5);
	rte_pktmbuf_free_bulk(out, 5);
	assert_int_equal(dequeue(5), 3);
	assert_int_equal(v[0].port, 55);
	rte_pktmbuf_free_bulk(out, 3);
}

static void
set_state(int s)
{
	atomic_store(&apir_devs[FAKE_DEV].state, s);
}

/*
 * Lost: what was completed first, half handed out or not; then the rest, then what was only
 * gathered.
 */
static void
test_lost(void **state)
{
	struct rte_mbuf *late;
	struct fake_request r;
	unsigned int i;

	(void)state;
	enqueue(2 * BURST + 2);
	assert_true(fake_pop(&r));
	fake_complete(&r, APIR_S_OK);
	assert_int_equal(rte_apir_dequeue_burst(FAKE_DEV, 0, out, v, 3), 3);
	late = env_packet(1, 60);
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, 1, &late, 1), 1);
	set_state(RTE_APIR_LOST);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, 1, in, 1), 0);
	assert_int_equal(rte_errno, ENODEV);
	assert_int_equal(rte_apir_dequeue_burst(FAKE_DEV, 0, out + 3, v + 3, 4 * BURST - 3),
			 2 * BURST + 2 + 1 - 3);
	assert_memory_equal(in, out, (2 * BURST + 2) * sizeof(in[0]));
	assert_ptr_equal(out[2 * BURST + 2], late);
	for (i = 0; i < 2 * BURST + 3; i++) {
		assert_int_equal(v[i].action,
				 i < BURST ? RTE_APIR_ACTION_FORWARD : RTE_APIR_ACTION_ERROR);
		assert_int_equal(v[i].port, i < BURST ? 0 : APIR_S_LOST);
	}
	assert_int_equal(dequeue(8), 0);
	assert_true(apir_qp_idle(fake_qp()));
	assert_int_equal(rte_apir_in_flight(FAKE_DEV, 0), 0);
	assert_int_equal(rte_apir_gathered(FAKE_DEV, 0), 0);
	rte_pktmbuf_free_bulk(out, 2 * BURST + 3);
}

/* The enqueue side is still inside: what it gathers is taken back by the next call. */
static void
test_lost_while_enqueuing(void **state)
{
	(void)state;
	in[0] = env_packet(1, 60);
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, 1, in, 1), 1);
	assert_true(apir_guard_try(&fake_qp()->enq_guard));
	set_state(RTE_APIR_LOST);
	assert_int_equal(dequeue(8), 0);
	apir_guard_drop(&fake_qp()->enq_guard);
	assert_int_equal(dequeue(8), 1);
	assert_ptr_equal(out[0], in[0]);
	rte_pktmbuf_free(out[0]);
}

static void
test_hung(void **state)
{
	struct fake_request r;

	(void)state;
	enqueue(2 * BURST);
	set_state(RTE_APIR_HUNG);
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, 1, in, 1), 0);
	/* the device still has them, and what it completes is good */
	assert_int_equal(dequeue(32), 0);
	assert_true(fake_pop(&r));
	fake_complete(&r, APIR_S_OK);
	assert_int_equal(dequeue(32), BURST);
	assert_int_equal(v[0].action, RTE_APIR_ACTION_FORWARD);
	rte_pktmbuf_free_bulk(out, BURST);
}

static void
assert_broken(void)
{
	int wakes;

	assert_int_equal(dequeue(32), 0);
	/*
	 * nothing is submitted any more, and the service thread is asked once to stop the transport
	 */
	assert_int_equal(rte_apir_state(FAKE_DEV), RTE_APIR_HUNG);
	assert_int_equal(dequeue(32), 0);
	assert_true(atomic_load(&apir_devs[FAKE_DEV].break_it));
	assert_int_equal(sem_getvalue(&apir_devs[FAKE_DEV].wake, &wakes), 0);
	assert_int_equal(wakes, 1);
	/* stopped: all come back */
	set_state(RTE_APIR_LOST);
	assert_int_equal(dequeue(32), BURST);
	assert_int_equal(v[0].action, RTE_APIR_ACTION_ERROR);
	assert_int_equal(v[0].port, APIR_S_LOST);
	rte_pktmbuf_free_bulk(out, BURST);
}

static void
test_broken_id(void **state)
{
	(void)state;
	enqueue(BURST);
	fake_used(3, 1);
	assert_broken();
}

static void
test_broken_index(void **state)
{
	(void)state;
	enqueue(BURST);
	fake_used(0, 2);
	assert_broken();
}

/* A device completes what it was never given. */
static void
test_early_completion(void **state)
{
	(void)state;
	fake_used(0, 1);
	assert_int_equal(dequeue(32), 0);
	in[0] = env_packet(1, 60);
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, 1, in, 1), 1);
	assert_int_equal(dequeue(32), 0);
	assert_int_equal(rte_apir_gathered(FAKE_DEV, 0), 1);
}

/* What a slot's memory says after submission is the device's word: the driver keeps its own. */
static void
test_overwritten(void **state)
{
	struct fake_request r;

	(void)state;
	enqueue(BURST);
	assert_true(fake_pop(&r));
	memset((void *)(uintptr_t)r.req, 0xff, sizeof(*r.req));
	memset((void *)(uintptr_t)r.segs, 0xff, BURST * sizeof(r.segs[0]));
	fake_complete(&r, APIR_S_OK);
	assert_int_equal(dequeue(32), BURST);
	assert_memory_equal(in, out, BURST * sizeof(in[0]));
	rte_pktmbuf_free_bulk(out, BURST);
}

/* Close frees the packets that never came back, those half handed out too. */
static void
test_close_frees(void **state)
{
	struct fake_request r;
	struct rte_mbuf *late = env_packet(1, 60);

	(void)state;
	enqueue(2 * BURST);
	assert_int_equal(rte_apir_gather(FAKE_DEV, 0, 1, &late, 1), 1);
	assert_true(fake_pop(&r));
	fake_complete(&r, APIR_S_OK);
	assert_int_equal(dequeue(3), 3);
	rte_pktmbuf_free_bulk(out, 3);
}

static void
test_reset(void **state)
{
	struct fake_request r;

	(void)state;
	enqueue(BURST);
	set_state(RTE_APIR_LOST);
	assert_int_equal(dequeue(32), BURST);
	rte_pktmbuf_free_bulk(out, BURST);
	apir_qp_reset(fake_qp());
	fake_device_close();
	fake_device_open(BURSTS, BURST, BURST);
	enqueue(2);
	assert_true(fake_pop(&r));
	fake_complete(&r, APIR_S_OK);
	assert_int_equal(dequeue(32), 2);
	rte_pktmbuf_free_bulk(out, 2);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_verdicts),     T(test_status),
		T(test_partial),      T(test_verdicts_across),
		T(test_lost),	      T(test_lost_while_enqueuing),
		T(test_hung),	      T(test_broken_id),
		T(test_broken_index), T(test_early_completion),
		T(test_overwritten),  T(test_close_frees),
		T(test_reset),
	};

	return cmocka_run_group_tests(tests, env_start, env_stop);
}
