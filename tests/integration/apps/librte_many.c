/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "librte_app.h"

#define BURST	32
#define THREADS 4
#define ROUNDS	20

static const char set[] = "__kernel void set(APIR_BURST, const uchar v, __global const uint *t)\n"
			  "{\n"
			  "	const uint i = apir_index();\n"
			  "	if (i < apir_count()) apir_data(i)[0] = v + t[0];\n"
			  "}\n";

static int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static uint32_t
set_pipeline(uint16_t dev, uint8_t v, uint32_t t)
{
	const uint32_t k = app_kernel(dev, set, "set");
	uint32_t b, p;

	assert_ok(rte_apir_buffer_create(dev, sizeof(t), &b));
	assert_ok(rte_apir_buffer_write(dev, b, 0, &t, sizeof(t)));
	assert_ok(rte_apir_kernel_set_value(dev, k, 0, &v, 1));
	assert_ok(rte_apir_kernel_set_buffer(dev, k, 1, b));
	p = app_pipeline(dev, k, RTE_APIR_LAUNCH_ITEM);
	assert_ok(rte_apir_kernel_destroy(dev, k));
	assert_ok(rte_apir_buffer_destroy(dev, b));
	return p;
}

/* Two devices of one process on one socket are sessions of their own. The script allows two. */
static void
test_two_devices(void **state)
{
	const struct rte_apir_conf third = {.path = app_sock};
	const uint16_t a = app_open(NULL), b = app_open(NULL);
	struct rte_apir_info ia, ib;
	struct rte_mbuf *m[2];
	uint16_t c;
	uint32_t pa, pb;

	(void)state;
	assert_int_not_equal(a, b);
	assert_ok(rte_apir_info_get(a, &ia));
	assert_ok(rte_apir_info_get(b, &ib));
	assert_int_not_equal(ia.session, ib.session);
	assert_fails(rte_apir_open(&third, &c), EBUSY, "session");
	pa = set_pipeline(a, 1, 10);
	pb = set_pipeline(b, 2, 20);
	app_packets(app_pool, m, 2, 60);
	app_round(a, pa, &m[0], NULL, 1);
	app_round(b, pb, &m[1], NULL, 1);
	assert_int_equal(*rte_pktmbuf_mtod(m[0], uint8_t *), 11);
	assert_int_equal(*rte_pktmbuf_mtod(m[1], uint8_t *), 22);
	rte_pktmbuf_free_bulk(m, 2);
	assert_ok(rte_apir_close(a));
	/* the other one does not notice, and there is room for one again */
	app_packets(app_pool, m, 1, 60);
	app_round(b, pb, m, NULL, 1);
	rte_pktmbuf_free(m[0]);
	c = app_open(NULL);
	app_close(c);
	app_close(b);
}

struct worker {
	pthread_t thread;
	uint16_t dev, qp;
};

/* Programs, kernels, buffers, pipelines made and used from several threads at once. */
static void *
work(void *arg)
{
	struct worker *w = arg;
	struct rte_mbuf *pkts[BURST], *out[BURST];
	unsigned int i, j;

	for (i = 0; i < ROUNDS; i++) {
		const uint32_t p = set_pipeline(w->dev, (uint8_t)i, w->qp * 100u);
		struct rte_apir_stats s;
		struct rte_apir_info info;

		app_packets(app_pool, pkts, BURST, 60);
		assert_int_equal(rte_apir_enqueue_burst(w->dev, w->qp, p, pkts, BURST), BURST);
		assert_ok(rte_apir_info_get(w->dev, &info));
		assert_ok(rte_apir_stats_get(w->dev, w->qp, &s));
		app_dequeue(w->dev, w->qp, out, NULL, BURST);
		for (j = 0; j < BURST; j++)
			assert_int_equal(*rte_pktmbuf_mtod(out[j], uint8_t *),
					 (uint8_t)(i + w->qp * 100u));
		rte_pktmbuf_free_bulk(out, BURST);
		assert_ok(rte_apir_pipeline_destroy(w->dev, p));
		/* each thread's error is its own */
		assert_fails(rte_apir_kernel_set_local(w->dev, 1000000u + w->qp, 0, 64), ENOENT,
			     w->qp == 0	  ? "1000000"
			     : w->qp == 1 ? "1000001"
			     : w->qp == 2 ? "1000002"
					  : "1000003");
	}
	return NULL;
}

static void
test_threads(void **state)
{
	const struct rte_apir_conf conf = {.nb_queue_pairs = THREADS};
	const uint16_t dev = app_open(&conf);
	struct worker w[THREADS];
	uint16_t i;

	(void)state;
	for (i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.dev = dev, .qp = i};
		assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(w[i].thread, NULL), 0);
	app_close(dev);
}

static void *
open_close(void *arg)
{
	unsigned int i;

	for (i = 0; i < ROUNDS / 4; i++) {
		const struct rte_apir_conf conf = {.path = app_sock};
		struct rte_mbuf *m;
		uint16_t dev;

		assert_ok(rte_apir_open(&conf, &dev));
		app_packets(app_pool, &m, 1, 60);
		app_round(dev, RTE_APIR_PIPELINE_LOOPBACK, &m, NULL, 1);
		rte_pktmbuf_free(m);
		assert_ok(rte_apir_close(dev));
	}
	return arg;
}

/* Nothing is left behind, however often; two threads open and close at once. */
static void
test_open_close(void **state)
{
	pthread_t t[2];
	int fds;

	(void)state;
	open_close(NULL);
	fds = count_fds();
	assert_int_equal(pthread_create(&t[0], NULL, open_close, NULL), 0);
	assert_int_equal(pthread_create(&t[1], NULL, open_close, NULL), 0);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	assert_int_equal(count_fds(), fds);
	assert_pool_full();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_two_devices),
	cmocka_unit_test(test_threads),
	cmocka_unit_test(test_open_close),
};
const struct app_group group_many = {"many", tests, RTE_DIM(tests)};
