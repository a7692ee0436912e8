/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>

#include <rte_errno.h>

#include "librte_app.h"

#define BURST 64

/* Every byte of every segment, and a verdict made of what was there. */
static const char work[] =
	"__kernel void work(APIR_BURST)\n"
	"{\n"
	"	const uint i = apir_index();\n"
	"	uint sum = 0;\n"
	"	if (i >= apir_count()) return;\n"
	"	for (uint s = 0; s < apir_seg_count(i); s++) {\n"
	"		__global uchar *p = apir_seg_data(i, s);\n"
	"		for (uint j = 0; j < apir_seg_len(i, s); j++) {\n"
	"			sum += p[j];\n"
	"			p[j] = (uchar)(p[j] * 3 + s);\n"
	"		}\n"
	"	}\n"
	"	if (sum % 5 == 0) apir_drop(i, sum % 1000);\n"
	"	else apir_forward_meta(i, sum % 7, sum);\n"
	"}\n"
	"__kernel void mark(APIR_BURST)\n"
	"{\n"
	"	const uint i = apir_index();\n"
	"	if (i >= apir_count()) return;\n"
	"	if (i % 2) apir_drop(i, 11);\n"
	"	else apir_forward_meta(i, 5, 6);\n"
	"}\n"
	"__kernel void add_port(APIR_BURST)\n"
	"{\n"
	"	const uint i = apir_index();\n"
	"	if (i >= apir_count()) return;\n"
	"	apir_data(i)[0] = (uchar)apir_verdict_action(i);\n"
	"	if (apir_verdict_action(i) == 0)\n"
	"		apir_forward_meta(i, apir_verdict_port(i) + 1, apir_verdict_meta(i) + 1);\n"
	"}\n"
	"__kernel void group(APIR_BURST, __local uint *part)\n"
	"{\n"
	"	const uint i = apir_group_index(), l = get_local_id(0);\n"
	"	uint sum = 0;\n"
	"	for (uint j = l; j < apir_len(i); j += get_local_size(0)) sum += apir_data(i)[j];\n"
	"	part[l] = sum;\n"
	"	barrier(CLK_LOCAL_MEM_FENCE);\n"
	"	if (l == 0) {\n"
	"		for (uint k = 1; k < get_local_size(0); k++) sum += part[k];\n"
	"		apir_forward_meta(i, get_local_size(0), sum);\n"
	"	}\n"
	"}\n"
	"__kernel void odd(APIR_BURST)\n"
	"{\n"
	"	const uint i = apir_index();\n"
	"	if (i < apir_count()) apir_verdict(i, 2 + i, 3, 4);\n"
	"}\n";

/* What "work" does, on the CPU. */
static void
reference(struct rte_mbuf *m, struct rte_apir_verdict *v)
{
	uint32_t sum = 0, s = 0;
	uint16_t j;

	for (; m != NULL; m = m->next, s++) {
		uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);

		for (j = 0; j < m->data_len; j++) {
			sum += p[j];
			p[j] = (uint8_t)(p[j] * 3 + s);
		}
	}
	memset(v, 0, sizeof(*v));
	v->action = sum % 5 == 0 ? RTE_APIR_ACTION_DROP : RTE_APIR_ACTION_FORWARD;
	v->port = (uint16_t)(sum % 5 == 0 ? sum % 1000 : sum % 7);
	v->meta = sum % 5 == 0 ? 0 : sum;
}

static struct rte_mbuf *
packet(unsigned int nb_segs, unsigned int seed)
{
	struct rte_mbuf *head = NULL, *seg;
	unsigned int i;

	for (i = 0; i < nb_segs; i++) {
		app_packets(app_pool, &seg, 1, (uint16_t)(1 + (seed * 37 + i * 211) % NB_DATA));
		*rte_pktmbuf_mtod(seg, uint8_t *) = (uint8_t)seed;
		if (head == NULL)
			head = seg;
		else
			assert_int_equal(rte_pktmbuf_chain(head, seg), 0);
	}
	return head;
}

static void
assert_same_packet(struct rte_mbuf *a, struct rte_mbuf *b)
{
	for (; a != NULL && b != NULL; a = a->next, b = b->next) {
		assert_int_equal(a->data_len, b->data_len);
		assert_memory_equal(rte_pktmbuf_mtod(a, void *), rte_pktmbuf_mtod(b, void *),
				    a->data_len);
	}
	assert_ptr_equal(a, b);
}

static uint64_t
dropped(const struct rte_apir_verdict *v, unsigned int n)
{
	uint64_t drops = 0;

	while (n-- > 0)
		drops += v[n].action == RTE_APIR_ACTION_DROP;
	return drops;
}

/* Packets of max_segs segments at most, byte for byte and verdict for verdict as on the CPU. */
static void
check_work(unsigned int max_segs)
{
	const struct rte_apir_conf conf = {.max_burst = BURST, .max_segs = 256};
	const uint16_t dev = app_open(&conf);
	const uint32_t pipeline = app_simple(dev, work, "work");
	struct rte_mbuf *pkts[BURST], *copy[BURST];
	struct rte_apir_verdict v[BURST], want[BURST];
	struct rte_apir_stats stats;
	uint64_t drops = 0;
	unsigned int i, round;

	for (round = 0; round < 8; round++) {
		for (i = 0; i < BURST; i++) {
			pkts[i] = packet(1 + (i + round) % max_segs, i + round * BURST);
			copy[i] = packet(1 + (i + round) % max_segs, i + round * BURST);
			reference(copy[i], &want[i]);
		}
		app_round(dev, pipeline, pkts, v, BURST);
		assert_memory_equal(v, want, sizeof(v));
		drops += dropped(v, BURST);
		for (i = 0; i < BURST; i++)
			assert_same_packet(pkts[i], copy[i]);
		rte_pktmbuf_free_bulk(pkts, BURST);
		rte_pktmbuf_free_bulk(copy, BURST);
	}
	assert_true(drops > 0);
	assert_ok(rte_apir_stats_get(dev, 0, &stats));
	assert_int_equal(stats.enq_pkts, 8 * BURST);
	assert_int_equal(stats.deq_pkts, 8 * BURST);
	assert_int_equal(stats.enq_bursts, stats.deq_bursts);
	assert_int_equal(stats.dropped, drops);
	assert_int_equal(stats.errors, 0);
	assert_int_equal(stats.refused, 0);
	assert_int_equal(stats.copied_bytes, 0);
	assert_ok(rte_apir_stats_reset(dev, 0));
	assert_ok(rte_apir_stats_get(dev, 0, &stats));
	assert_int_equal(stats.enq_pkts + stats.deq_pkts + stats.dropped + stats.enq_bursts, 0);
	assert_fails(rte_apir_stats_get(dev, 1, &stats), EINVAL, "queue pairs 0..0");
	app_close(dev);
}

static void
test_single_segment(void **state)
{
	(void)state;
	check_work(1);
}

static void
test_multi_segment(void **state)
{
	(void)state;
	check_work(5);
}

static void
test_most_segments(void **state)
{
	const struct rte_apir_conf conf = {.max_burst = 4, .max_segs = 100};
	const uint16_t dev = app_open(&conf);
	const uint32_t pipeline = app_simple(dev, work, "work");
	struct rte_mbuf *m = packet(64, 3), *copy = packet(64, 3), *too_many = packet(65, 3);
	struct rte_apir_verdict v, want;

	(void)state;
	reference(copy, &want);
	app_round(dev, pipeline, &m, &v, 1);
	assert_memory_equal(&v, &want, sizeof(v));
	assert_same_packet(m, copy);
	assert_int_equal(rte_apir_enqueue_burst(dev, 0, pipeline, &too_many, 1), 0);
	assert_int_equal(rte_errno, EMSGSIZE);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(copy);
	rte_pktmbuf_free(too_many);
	app_close(dev);
}

/* Kernels of a pipeline run one after another; each sees the verdicts of those before it. */
static void
test_stages(void **state)
{
	const uint16_t dev = app_open(NULL);
	const uint32_t mark = app_kernel(dev, work, "mark"),
		       add = app_kernel(dev, work, "add_port");
	const struct rte_apir_stage stages[3] = {
		{.kernel = mark}, {.kernel = add}, {.kernel = add}};
	struct rte_apir_verdict v[BURST];
	struct rte_mbuf *pkts[BURST];
	unsigned int i;
	uint32_t p;

	(void)state;
	assert_ok(rte_apir_pipeline_create(dev, stages, 3, &p));
	app_packets(app_pool, pkts, BURST, 60);
	app_round(dev, p, pkts, v, BURST);
	for (i = 0; i < BURST; i++) {
		assert_int_equal(*rte_pktmbuf_mtod(pkts[i], uint8_t *), i % 2);
		assert_int_equal(v[i].action, i % 2);
		assert_int_equal(v[i].port, i % 2 ? 11 : 7);
		assert_int_equal(v[i].meta, i % 2 ? 0 : 8);
	}
	rte_pktmbuf_free_bulk(pkts, BURST);
	app_close(dev);
}

static void
test_group_launch(void **state)
{
	const uint16_t dev = app_open(NULL);
	const uint32_t k = app_kernel(dev, work, "group");
	const struct rte_apir_stage stage = {
		.kernel = k, .launch = RTE_APIR_LAUNCH_GROUP, .local_size = 16};
	struct rte_apir_verdict v[BURST];
	struct rte_mbuf *pkts[BURST];
	unsigned int i, j;
	uint32_t p;

	(void)state;
	assert_ok(rte_apir_kernel_set_local(dev, k, 0, 16 * sizeof(uint32_t)));
	assert_ok(rte_apir_pipeline_create(dev, &stage, 1, &p));
	app_packets(app_pool, pkts, BURST, 777);
	app_round(dev, p, pkts, v, BURST);
	for (i = 0; i < BURST; i++) {
		uint32_t sum = 0;

		for (j = 0; j < 777; j++)
			sum += rte_pktmbuf_mtod(pkts[i], uint8_t *)[j];
		assert_int_equal(v[i].port, 16);
		assert_int_equal(v[i].meta, sum);
	}
	rte_pktmbuf_free_bulk(pkts, BURST);
	app_close(dev);
}

/* A kernel cannot claim an error: what is not forward is drop. */
static void
test_odd_verdicts(void **state)
{
	const uint16_t dev = app_open(NULL);
	const uint32_t p = app_simple(dev, work, "odd");
	struct rte_apir_verdict v[BURST];
	struct rte_mbuf *pkts[BURST];
	unsigned int i;

	(void)state;
	app_packets(app_pool, pkts, BURST, 60);
	app_round(dev, p, pkts, v, BURST);
	for (i = 0; i < BURST; i++) {
		assert_int_equal(v[i].action, RTE_APIR_ACTION_DROP);
		assert_int_equal(v[i].port, 3);
		assert_int_equal(v[i].meta, 4);
	}
	rte_pktmbuf_free_bulk(pkts, BURST);
	app_close(dev);
}

static void
test_no_pipeline(void **state)
{
	const uint16_t dev = app_open(NULL);
	const uint32_t p = app_simple(dev, work, "work");
	struct rte_apir_verdict v[3];
	struct rte_mbuf *pkts[3];
	unsigned int i;

	(void)state;
	app_packets(app_pool, pkts, 3, 60);
	app_round(dev, p + 100, pkts, v, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(v[i].action, RTE_APIR_ACTION_ERROR);
		assert_string_equal(rte_apir_status_str(v[i].port), "no object of that id");
	}
	/* the queue goes on; a destroyed pipeline is one that is not there */
	app_round(dev, p, pkts, v, 3);
	assert_int_not_equal(v[0].action, RTE_APIR_ACTION_ERROR);
	assert_ok(rte_apir_pipeline_destroy(dev, p));
	app_round(dev, p, pkts, v, 3);
	assert_int_equal(v[0].action, RTE_APIR_ACTION_ERROR);
	rte_pktmbuf_free_bulk(pkts, 3);
	app_close(dev);
}

/* Two queue pairs, gathered packets, more bursts than the ring holds. */
static void
test_queues(void **state)
{
	const struct rte_apir_conf conf = {.nb_queue_pairs = 2, .nb_bursts = 4, .max_burst = 16};
	const uint16_t dev = app_open(&conf);
	const uint32_t p = app_simple(dev, work, "mark");
	struct rte_mbuf *pkts[5 * 16], *out[5 * 16];
	struct rte_apir_verdict v[5 * 16];
	uint16_t q, n;

	(void)state;
	for (q = 0; q < 2; q++) {
		app_packets(app_pool, pkts, 5 * 16, 60);
		assert_int_equal(rte_apir_gather(dev, q, p, pkts, 7), 7);
		assert_int_equal(rte_apir_gathered(dev, q), 7);
		assert_int_equal(rte_apir_gathered(dev, !q), 0);
		assert_int_equal(rte_apir_submit(dev, q), 7);
		assert_int_equal(rte_apir_in_flight(dev, q), 1);
		assert_int_equal(rte_apir_in_flight(dev, !q), 0);
		/* three slots are left, whatever has come back: nothing is dequeued yet */
		n = rte_apir_enqueue_burst(dev, q, p, pkts + 7, 5 * 16 - 7);
		assert_int_equal(n, 3 * 16);
		assert_int_equal(rte_errno, EAGAIN);
		app_dequeue(dev, q, out, v, 7u + n);
		assert_memory_equal(pkts, out, (7u + n) * sizeof(out[0]));
		rte_pktmbuf_free_bulk(pkts, 5 * 16);
	}
	app_close(dev);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_single_segment), cmocka_unit_test(test_multi_segment),
	cmocka_unit_test(test_most_segments),  cmocka_unit_test(test_stages),
	cmocka_unit_test(test_group_launch),   cmocka_unit_test(test_odd_verdicts),
	cmocka_unit_test(test_no_pipeline),    cmocka_unit_test(test_queues),
};
const struct app_group group_bursts = {"bursts", tests, RTE_DIM(tests)};
