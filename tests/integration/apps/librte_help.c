/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <sched.h>
#include <time.h>

#include <rte_errno.h>

#include "librte_app.h"

#define PATIENCE 60.0 /* seconds; only a broken build waits that long */

double
app_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

int
app_run(const struct app_group *g)
{
	/* cmocka's own entry, since the group is chosen at run time */
	return _cmocka_run_group_tests(g->name, g->tests, g->nb, NULL, NULL);
}

uint16_t
app_open(const struct rte_apir_conf *conf)
{
	struct rte_apir_conf c = {0};
	uint16_t dev = UINT16_MAX;

	if (conf != NULL)
		c = *conf;
	c.path = app_sock;
	assert_ok(rte_apir_open(&c, &dev));
	assert_int_equal(rte_apir_state(dev), RTE_APIR_RUNNING);
	return dev;
}

void
app_close(uint16_t dev)
{
	assert_ok(rte_apir_close(dev));
	assert_int_equal(rte_apir_close(dev), -ENODEV);
	assert_pool_full();
}

uint32_t
app_kernel(uint16_t dev, const char *source, const char *name)
{
	uint32_t program = 0, kernel = 0;

	assert_ok(rte_apir_program_create(dev, source, strlen(source), NULL, &program, NULL));
	assert_ok(rte_apir_kernel_create(dev, program, name, &kernel, NULL));
	assert_ok(rte_apir_program_destroy(dev, program));
	return kernel;
}

uint32_t
app_pipeline(uint16_t dev, uint32_t kernel, enum rte_apir_launch launch)
{
	const struct rte_apir_stage stage = {.kernel = kernel, .launch = launch};
	uint32_t pipeline = 0;

	assert_ok(rte_apir_pipeline_create(dev, &stage, 1, &pipeline));
	return pipeline;
}

uint32_t
app_simple(uint16_t dev, const char *source, const char *name)
{
	const uint32_t kernel = app_kernel(dev, source, name);
	const uint32_t pipeline = app_pipeline(dev, kernel, RTE_APIR_LAUNCH_ITEM);

	assert_ok(rte_apir_kernel_destroy(dev, kernel));
	return pipeline;
}

void
app_packets(struct rte_mempool *pool, struct rte_mbuf **pkts, unsigned int n, uint16_t len)
{
	unsigned int i;
	uint16_t j;

	assert_int_equal(rte_pktmbuf_alloc_bulk(pool, pkts, n), 0);
	for (i = 0; i < n; i++) {
		uint8_t *p = (uint8_t *)rte_pktmbuf_append(pkts[i], len);

		assert_non_null(p);
		for (j = 0; j < len; j++)
			p[j] = (uint8_t)(i + j);
	}
}

void
app_dequeue(uint16_t dev, uint16_t qp, struct rte_mbuf **pkts, struct rte_apir_verdict *v,
	    unsigned int n)
{
	const double end = app_now() + PATIENCE;
	unsigned int got = 0;

	while (got < n) {
		const uint16_t k = rte_apir_dequeue_burst(
			dev, qp, pkts + got, v != NULL ? v + got : NULL, (uint16_t)(n - got));

		got += k;
		if (k == 0)
			sched_yield();
		if (app_now() > end)
			fail_msg("%u of %u packets came back", got, n);
	}
	assert_int_equal(rte_apir_dequeue_burst(dev, qp, pkts, v, 0), 0);
}

void
app_round(uint16_t dev, uint32_t pipeline, struct rte_mbuf **pkts, struct rte_apir_verdict *v,
	  unsigned int n)
{
	struct rte_mbuf *out[n];

	assert_int_equal(rte_apir_enqueue_burst(dev, 0, pipeline, pkts, (uint16_t)n), n);
	app_dequeue(dev, 0, out, v, n);
	assert_memory_equal(out, pkts, n * sizeof(out[0]));
	assert_int_equal(rte_apir_in_flight(dev, 0), 0);
}

void
app_wait_state(uint16_t dev, enum rte_apir_state state)
{
	const double end = app_now() + PATIENCE;

	while (rte_apir_state(dev) != state) {
		sched_yield();
		if (app_now() > end)
			fail_msg("device %u is in state %d, not %d", dev, rte_apir_state(dev),
				 state);
	}
}
