/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include <rte_errno.h>

#include "librte_app.h"

#define BURST	32
#define HANG_MS 3000 /* more than a busy machine needs to answer */

static const char inc[] = "__kernel void inc(APIR_BURST)\n"
			  "{\n"
			  "	const uint i = apir_index();\n"
			  "	if (i < apir_count()) apir_data(i)[0]++;\n"
			  "}\n";

static atomic_uint lost_calls;

static void
on_lost(uint16_t dev_id, void *arg)
{
	assert_int_equal(rte_apir_state(dev_id), RTE_APIR_LOST);
	assert_ptr_equal(arg, &lost_calls);
	atomic_fetch_add(&lost_calls, 1);
}

static void
await_call(unsigned int n)
{
	const double end = app_now() + 60;

	while (atomic_load(&lost_calls) < n) {
		sched_yield();
		if (app_now() > end)
			fail_msg("the lost callback was not called");
	}
}

/* Everything in flight, and what was only gathered, comes back, with an error. */
static void
test_killed(void **state)
{
	const uint16_t dev = app_open(NULL);
	uint32_t p = app_simple(dev, inc, "inc"), id;
	struct rte_mbuf *pkts[5 * BURST + 3], *out[6 * BURST];
	struct rte_apir_verdict v[6 * BURST];
	struct rte_apir_stats s;
	unsigned int i;

	(void)state;
	assert_ok(rte_apir_lost_callback_set(dev, on_lost, &lost_calls));
	assert_fails(rte_apir_reconnect(dev), EALREADY, "not lost");
	app_packets(app_pool, pkts, RTE_DIM(pkts), 60);
	app_ask("stop");
	for (i = 0; i < 5; i++)
		assert_int_equal(rte_apir_enqueue_burst(dev, 0, p, pkts + i * BURST, BURST), BURST);
	assert_int_equal(rte_apir_gather(dev, 0, p, pkts + 5 * BURST, 3), 3);
	assert_int_equal(rte_apir_dequeue_burst(dev, 0, out, v, RTE_DIM(out)), 0);
	app_ask("kill");
	app_wait_state(dev, RTE_APIR_LOST);
	await_call(1);

	assert_int_equal(rte_apir_enqueue_burst(dev, 0, p, pkts, 1), 0);
	assert_int_equal(rte_errno, ENODEV);
	assert_fails(rte_apir_buffer_create(dev, 100, &id), ENODEV, "lost");
	assert_fails(rte_apir_reconnect(dev), EAGAIN, "in flight");
	assert_int_equal(rte_apir_dequeue_burst(dev, 0, out, v, 7), 7);
	assert_fails(rte_apir_reconnect(dev), EAGAIN, "in flight");
	assert_int_equal(rte_apir_dequeue_burst(dev, 0, out + 7, v + 7, RTE_DIM(out) - 7),
			 RTE_DIM(pkts) - 7);
	assert_memory_equal(out, pkts, sizeof(pkts));
	for (i = 0; i < RTE_DIM(pkts); i++) {
		assert_int_equal(v[i].action, RTE_APIR_ACTION_ERROR);
		assert_string_equal(rte_apir_status_str(v[i].port),
				    "the device went before it answered");
		/* the kernel never ran: apird stood still from enqueue to its end */
		assert_int_equal(*rte_pktmbuf_mtod(pkts[i], uint8_t *), (uint8_t)i);
	}
	assert_ok(rte_apir_stats_get(dev, 0, &s));
	assert_int_equal(s.errors, RTE_DIM(pkts));
	assert_int_equal(s.enq_pkts, s.deq_pkts);
	rte_pktmbuf_free_bulk(pkts, RTE_DIM(pkts));
	assert_pool_full();

	/* nobody there, then a new one: objects are to be made anew */
	assert_fails(rte_apir_reconnect(dev), ECONNREFUSED, app_sock);
	assert_int_equal(rte_apir_state(dev), RTE_APIR_LOST);
	app_ask("start");
	assert_ok(rte_apir_reconnect(dev));
	assert_int_equal(rte_apir_state(dev), RTE_APIR_RUNNING);
	app_packets(app_pool, pkts, BURST, 60);
	app_round(dev, p, pkts, v, BURST);
	assert_int_equal(v[0].action, RTE_APIR_ACTION_ERROR);
	p = app_simple(dev, inc, "inc");
	app_round(dev, p, pkts, v, BURST);
	assert_int_equal(v[0].action, RTE_APIR_ACTION_FORWARD);
	assert_int_equal(*rte_pktmbuf_mtod(pkts[5], uint8_t *), 6);
	rte_pktmbuf_free_bulk(pkts, BURST);
	assert_int_equal(atomic_load(&lost_calls), 1);
	app_close(dev);
}

/* A thread that sends as fast as it can, and counts. */
struct sender {
	uint16_t dev;
	uint32_t pipeline;
	pthread_t thread;
	atomic_ulong good;
	unsigned long sent, back, errors;
};

static void *
run_sender(void *arg)
{
	struct sender *s = arg;
	struct rte_apir_verdict v[BURST];
	struct rte_mbuf *pkts[BURST];
	uint16_t n, i;

	for (;;) {
		const bool lost = rte_apir_state(s->dev) == RTE_APIR_LOST;

		if (rte_pktmbuf_alloc_bulk(app_pool, pkts, BURST) == 0) {
			for (i = 0; i < BURST; i++)
				rte_pktmbuf_append(pkts[i], 60);
			/* some gathered, so that they are lost unsubmitted too */
			n = rte_apir_enqueue_burst(s->dev, 0, s->pipeline, pkts, BURST - 1);
			n += n == BURST - 1 ? rte_apir_gather(s->dev, 0, s->pipeline, pkts + n, 1)
					    : 0;
			s->sent += n;
			rte_pktmbuf_free_bulk(pkts + n, BURST - n);
		}
		n = rte_apir_dequeue_burst(s->dev, 0, pkts, v, BURST);
		for (i = 0; i < n; i++)
			s->errors += v[i].action == RTE_APIR_ACTION_ERROR;
		s->back += n;
		if (n != 0 && v[0].action == RTE_APIR_ACTION_FORWARD)
			atomic_fetch_add(&s->good, n);
		rte_pktmbuf_free_bulk(pkts, n);
		if (lost && n == 0)
			return NULL;
	}
}

static void
test_killed_under_load(void **state)
{
	struct sender s = {.dev = app_open(NULL)};
	unsigned int round;

	(void)state;
	for (round = 0; round < 5; round++) {
		s.pipeline = app_simple(s.dev, inc, "inc");
		s.sent = s.back = s.errors = 0;
		atomic_store(&s.good, 0);
		assert_int_equal(pthread_create(&s.thread, NULL, run_sender, &s), 0);
		while (atomic_load(&s.good) < 50 * BURST)
			sched_yield();
		app_ask("kill");
		assert_int_equal(pthread_join(s.thread, NULL), 0);
		assert_int_equal(s.sent, s.back);
		assert_pool_full();
		app_ask("start");
		assert_ok(rte_apir_reconnect(s.dev));
	}
	app_close(s.dev);
}

struct writer {
	uint16_t dev;
	uint32_t buffer;
	atomic_uint writes;
};

static void *
write_until_lost(void *arg)
{
	static uint8_t data[100000];
	struct writer *w = arg;
	int ret;

	do {
		ret = rte_apir_buffer_write(w->dev, w->buffer, 0, data, sizeof(data));
		atomic_fetch_add(&w->writes, 1);
	} while (ret == 0);
	assert_int_equal(ret, -ENODEV);
	return NULL;
}

/* A control call that waits when the back-end goes. */
static void
test_killed_in_call(void **state)
{
	struct writer w = {.dev = app_open(NULL)};
	pthread_t t;

	(void)state;
	assert_ok(rte_apir_buffer_create(w.dev, 100000, &w.buffer));
	assert_int_equal(pthread_create(&t, NULL, write_until_lost, &w), 0);
	while (atomic_load(&w.writes) < 3)
		sched_yield();
	app_ask("kill");
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(rte_apir_state(w.dev), RTE_APIR_LOST);
	app_close(w.dev);
	app_ask("start");
}

/* Closed with packets in flight: they are freed. */
static void
test_close_in_flight(void **state)
{
	const uint16_t dev = app_open(NULL);
	const uint32_t p = app_simple(dev, inc, "inc");
	struct rte_mbuf *pkts[4 * BURST];

	(void)state;
	app_packets(app_pool, pkts, RTE_DIM(pkts), 60);
	assert_int_equal(rte_apir_enqueue_burst(dev, 0, p, pkts, 3 * BURST), 3 * BURST);
	assert_int_equal(rte_apir_gather(dev, 0, p, pkts + 3 * BURST, BURST), BURST);
	app_close(dev);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_killed),
	cmocka_unit_test(test_killed_under_load),
	cmocka_unit_test(test_killed_in_call),
	cmocka_unit_test(test_close_in_flight),
};
const struct app_group group_lost = {"lost", tests, RTE_DIM(tests)};

/* A back-end that hangs ------------------------------------------------------- */

static void
test_hung_close(void **state)
{
	const struct rte_apir_conf conf = {.timeout_ms = HANG_MS};
	const uint16_t dev = app_open(&conf);
	const uint32_t p = app_simple(dev, inc, "inc");
	struct rte_mbuf *pkts[2 * BURST], *out[2 * BURST];
	struct rte_apir_verdict v[2 * BURST];
	struct rte_apir_stats s;

	(void)state;
	app_packets(app_pool, pkts, 2 * BURST, 60);
	app_ask("stop");
	assert_int_equal(rte_apir_enqueue_burst(dev, 0, p, pkts, 2 * BURST), 2 * BURST);
	/* it may write to them whenever it goes on: they stay */
	assert_fails(rte_apir_close(dev), EBUSY, "hangs");
	assert_int_equal(rte_apir_state(dev), RTE_APIR_HUNG);
	assert_fails(rte_apir_close(dev), EBUSY, "hangs");
	assert_fails(rte_apir_reconnect(dev), EBUSY, "hangs");
	assert_int_equal(rte_apir_dequeue_burst(dev, 0, out, v, 2 * BURST), 0);
	assert_int_equal(rte_apir_enqueue_burst(dev, 0, p, pkts, 1), 0);
	assert_int_equal(rte_errno, ENODEV);
	assert_ok(rte_apir_stats_get(dev, 0, &s));
	assert_true(s.timeouts >= 1);
	app_ask("kill");
	app_wait_state(dev, RTE_APIR_LOST);
	app_dequeue(dev, 0, out, v, BURST);
	assert_int_equal(v[0].action, RTE_APIR_ACTION_ERROR);
	rte_pktmbuf_free_bulk(out, BURST);
	/* close frees the other half */
	app_close(dev);
	app_ask("start");
}

static void
test_hung_open(void **state)
{
	const struct rte_apir_conf conf = {.path = app_sock, .timeout_ms = HANG_MS};
	uint16_t dev;

	(void)state;
	app_ask("stop");
	assert_fails(rte_apir_open(&conf, &dev), ETIMEDOUT, "did not answer");
	app_ask("cont");
	dev = app_open(NULL);
	app_close(dev);
}

/*
 * A control call without an answer ends the session: the answer could come into memory that others
 * use by then.
 */
static void
test_hung_call(void **state)
{
	const struct rte_apir_conf conf = {.timeout_ms = HANG_MS, .build_timeout_ms = HANG_MS};
	const uint16_t dev = app_open(&conf);
	uint32_t id;

	(void)state;
	assert_ok(rte_apir_lost_callback_set(dev, on_lost, &lost_calls));
	atomic_store(&lost_calls, 0);
	app_ask("stop");
	assert_fails(rte_apir_buffer_create(dev, 100, &id), ETIMEDOUT, "3000 ms");
	assert_int_equal(rte_apir_state(dev), RTE_APIR_HUNG);
	assert_fails(rte_apir_buffer_create(dev, 100, &id), ENODEV, "hangs");
	app_ask("kill");
	app_wait_state(dev, RTE_APIR_LOST);
	await_call(1);
	app_ask("start");
	assert_ok(rte_apir_reconnect(dev));
	assert_ok(rte_apir_buffer_create(dev, 100, &id));
	app_close(dev);
}

static const struct CMUnitTest hung_tests[] = {
	cmocka_unit_test(test_hung_open),
	cmocka_unit_test(test_hung_close),
	cmocka_unit_test(test_hung_call),
};
const struct app_group group_hung = {"hung", hung_tests, RTE_DIM(hung_tests)};
