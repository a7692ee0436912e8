/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include "librte_app.h"

#define BURST 32

/* Zero copy, shown: where the kernel finds each byte, and when it looks. */

static const char where[] = "__kernel void where(APIR_BURST, __global ulong *out)\n"
			    "{\n"
			    "	const uint i = apir_index();\n"
			    "	if (i >= apir_count()) return;\n"
			    "	out[i] = (ulong)apir_data(i);\n"
			    "	apir_forward_meta(i, 0, apir_data(i)[7]);\n"
			    "}\n";

static uint32_t
where_pipeline(uint16_t dev, uint32_t *buffer)
{
	const uint32_t k = app_kernel(dev, where, "where");

	assert_ok(rte_apir_buffer_create(dev, BURST * sizeof(uint64_t), buffer));
	assert_ok(rte_apir_kernel_set_buffer(dev, k, 0, *buffer));
	return app_pipeline(dev, k, RTE_APIR_LAUNCH_ITEM);
}

/*
 * The back-end maps the same memory at one place of its own: the addresses that a kernel sees
 * differ from ours by one constant for all packets. A copy could not keep the distances of packets
 * that lie in a pool.
 */
static void
test_addresses(void **state)
{
	const uint16_t dev = app_open(NULL);
	struct rte_mbuf *pkts[BURST];
	uint64_t seen[BURST];
	uint32_t buffer, p;
	unsigned int i;
	void *data[BURST];

	(void)state;
	p = where_pipeline(dev, &buffer);
	app_packets(app_pool, pkts, BURST, 60);
	for (i = 0; i < BURST; i++)
		data[i] = rte_pktmbuf_mtod(pkts[i], void *);
	app_round(dev, p, pkts, NULL, BURST); /* the same mbufs come back */
	assert_ok(rte_apir_buffer_read(dev, buffer, 0, seen, sizeof(seen)));
	for (i = 0; i < BURST; i++) {
		assert_ptr_equal(rte_pktmbuf_mtod(pkts[i], void *),
				 data[i]); /* and their data did not move */
		assert_int_not_equal(seen[i], 0);
		assert_int_equal(seen[i] - (uintptr_t)data[i], seen[0] - (uintptr_t)data[0]);
	}
	rte_pktmbuf_free_bulk(pkts, BURST);
	app_close(dev);
}

/*
 * Bytes written after enqueue, while the back-end stands still, are the bytes that the kernel sees.
 */
static void
test_late_bytes(void **state)
{
	const uint16_t dev = app_open(NULL);
	struct rte_apir_verdict v[BURST];
	struct rte_mbuf *pkts[BURST];
	struct rte_apir_stats stats;
	uint32_t buffer, p;
	unsigned int i;

	(void)state;
	p = where_pipeline(dev, &buffer);
	app_packets(app_pool, pkts, BURST, 60);
	app_ask("stop");
	assert_int_equal(rte_apir_enqueue_burst(dev, 0, p, pkts, BURST), BURST);
	assert_int_equal(rte_apir_in_flight(dev, 0), 1);
	for (i = 0; i < BURST; i++)
		rte_pktmbuf_mtod(pkts[i], uint8_t *)[7] = (uint8_t)(200 - i);
	app_ask("cont");
	app_dequeue(dev, 0, pkts, v, BURST);
	for (i = 0; i < BURST; i++)
		assert_int_equal(v[i].meta, 200 - i);
	assert_ok(rte_apir_stats_get(dev, 0, &stats));
	assert_int_equal(stats.copied_bytes, 0);
	rte_pktmbuf_free_bulk(pkts, BURST);
	app_close(dev);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_addresses),
	cmocka_unit_test(test_late_bytes),
};
const struct app_group group_zero = {"zero", tests, RTE_DIM(tests)};
