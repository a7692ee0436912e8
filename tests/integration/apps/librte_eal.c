/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>

#include "librte_app.h"

/* Run by the script with several kinds of EAL memory. */

static void
test_refused(void **state)
{
	const struct rte_apir_conf conf = {.path = app_sock};
	uint16_t dev;

	(void)state;
	assert_fails(rte_apir_open(&conf, &dev), ENOTSUP, "--single-file-segments");
	assert_pool_full();
}

static void
test_loopback(void **state)
{
	const uint16_t dev = app_open(NULL);
	struct rte_apir_verdict v[32];
	struct rte_mbuf *pkts[32];
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		app_packets(app_pool, pkts, 32, 60);
		app_round(dev, RTE_APIR_PIPELINE_LOOPBACK, pkts, v, 32);
		assert_int_equal(v[31].action, RTE_APIR_ACTION_FORWARD);
		assert_int_equal(rte_pktmbuf_mtod(pkts[31], uint8_t *)[0], 31);
		rte_pktmbuf_free_bulk(pkts, 32);
	}
	app_close(dev);
}

static const struct CMUnitTest refused_tests[] = {cmocka_unit_test(test_refused)};
const struct app_group group_refused = {"refused", refused_tests, RTE_DIM(refused_tests)};
static const struct CMUnitTest loopback_tests[] = {cmocka_unit_test(test_loopback)};
const struct app_group group_loopback = {"loopback", loopback_tests, RTE_DIM(loopback_tests)};
