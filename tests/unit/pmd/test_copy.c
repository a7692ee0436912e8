/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* What is not sent in place, and why. */

#include <stdlib.h>
#include <string.h>

#include "fake_apir.h"
#include "net_apir.h"
#include "pmd_env.h"

static uint16_t port;

static int
setup(void **state)
{
	env_setup(state);
	fake_auto_complete = true;
	return 0;
}

/* Sends m alone and gives back what comes. */
static struct rte_mbuf *
round_trip(struct rte_mbuf *m)
{
	struct rte_mbuf *got = NULL;

	assert_int_equal(rte_eth_tx_burst(port, 0, &m, 1), 1);
	rte_eth_rx_burst(port, 0, &got, 1);
	return got;
}

static void
expect_copies(uint64_t packets, uint64_t bytes)
{
	assert_int_equal(env_xstat(port, "tx_copied_packets"), packets);
	assert_int_equal(env_xstat(port, "tx_copied_bytes"), bytes);
	assert_int_equal(env_xstat(port, "tx_q0_copied"), packets);
}

/* A copy in the rx queue's pool, with full headroom and the same bytes; the original is freed. */
static void
expect_copied(struct rte_mbuf *m)
{
	const uint32_t len = m->pkt_len;
	uint8_t want[4096], buf[4096];
	struct rte_mbuf *got;

	memcpy(want, rte_pktmbuf_read(m, 0, len, buf), len);
	got = round_trip(m);
	assert_non_null(got);
	assert_ptr_equal(got->pool, env_rx_pool);
	assert_int_equal(got->pkt_len, len);
	assert_int_equal(got->data_off, RTE_PKTMBUF_HEADROOM);
	assert_int_equal(got->ol_flags, 0);
	assert_memory_equal(rte_pktmbuf_read(got, 0, len, buf), want, len);
	rte_pktmbuf_free(got);
	expect_copies(1, len);
}

static void
test_plain_is_not_copied(void **state)
{
	struct rte_mbuf *m = env_packet(100, 1), *got;

	(void)state;
	port = env_port_up("", 1, 1);
	got = round_trip(m);
	assert_ptr_equal(got, m);
	expect_copies(0, 0);
	rte_pktmbuf_free(got);
	env_port_down(port);
}

static void
test_shared_reference(void **state)
{
	struct rte_mbuf *m = env_packet(100, 1);

	(void)state;
	port = env_port_up("", 1, 1);
	rte_mbuf_refcnt_update(m, 1);
	expect_copied(m);
	assert_int_equal(rte_mbuf_refcnt_read(m), 1); /* ours */
	rte_pktmbuf_free(m);
	env_port_down(port);
}

static void
test_shared_reference_in_second_segment(void **state)
{
	struct rte_mbuf *m = env_packet(100, 1), *tail = env_packet(50, 2);

	(void)state;
	port = env_port_up("", 1, 1);
	rte_mbuf_refcnt_update(tail, 1);
	rte_pktmbuf_chain(m, tail);
	expect_copied(m);
	rte_pktmbuf_free(tail);
	env_port_down(port);
}

static void
test_clone(void **state)
{
	struct rte_mbuf *m = env_packet(100, 1), *clone = rte_pktmbuf_clone(m, env_pool);

	(void)state;
	port = env_port_up("", 1, 1);
	assert_non_null(clone);
	expect_copied(clone);
	rte_pktmbuf_free(m);
	env_port_down(port);
}

static void
test_little_headroom(void **state)
{
	struct rte_mbuf *m = env_packet(100, 1), *got;

	(void)state;
	port = env_port_up("", 1, 1);
	rte_pktmbuf_prepend(m, RTE_PKTMBUF_HEADROOM - APIR_MIN_HEADROOM);
	got = round_trip(m);
	assert_ptr_equal(got, m);
	expect_copies(0, 0);
	rte_pktmbuf_prepend(got, 1);
	expect_copied(got);
	env_port_down(port);
}

static void
test_not_shared_memory(void **state)
{
	struct rte_mbuf *pkts[5], *got[5];
	unsigned int i;

	(void)state;
	port = env_port_up("", 1, 1);
	for (i = 0; i < 5; i++)
		pkts[i] = env_packet(100, (uint8_t)i);
	fake_unshared_start = rte_pktmbuf_mtod(pkts[2], uintptr_t);
	fake_unshared_end = fake_unshared_start + 1;
	assert_int_equal(rte_eth_tx_burst(port, 0, pkts, 5), 5);
	assert_int_equal(rte_eth_rx_burst(port, 0, got, 5), 5);
	for (i = 0; i < 5; i++) { /* in order, and only the one is copied */
		assert_int_equal(env_mark(got[i]), i);
		assert_int_equal(got[i] == pkts[i], i != 2);
	}
	rte_pktmbuf_free_bulk(got, 5);
	expect_copies(1, 100);
	assert_int_equal(env_xstat(port, "tx_q0_packets"), 5);
	assert_int_equal(env_xstat(port, "tx_q0_bytes"), 500);
	env_port_down(port);
}

static void
free_ext(void *addr, void *arg)
{
	(void)addr;
	(*(unsigned int *)arg)++;
}

static struct rte_mbuf *
external(void *buf, uint16_t size, unsigned int *freed)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(env_pool);
	struct rte_mbuf_ext_shared_info *info;
	uint16_t len = size;

	info = rte_pktmbuf_ext_shinfo_init_helper(buf, &len, free_ext, freed);
	assert_non_null(info);
	rte_pktmbuf_attach_extbuf(m, buf, (rte_iova_t)(uintptr_t)buf, len, info);
	memset(rte_pktmbuf_append(m, 100), 0xaa, 100);
	return m;
}

/*
 * An external buffer of one owner is as good as the mbuf's own, and needs no headroom: its owner
 * chose it so.
 */
static void
test_external_buffer(void **state)
{
	unsigned int freed = 0;
	void *buf = malloc(2048);
	struct rte_mbuf *m = external(buf, 2048, &freed), *got;

	(void)state;
	port = env_port_up("", 1, 1);
	got = round_trip(m);
	assert_ptr_equal(got, m);
	assert_true(RTE_MBUF_HAS_EXTBUF(got));
	expect_copies(0, 0);
	rte_pktmbuf_free(got);
	assert_int_equal(freed, 1);
	env_port_down(port);
	free(buf);
}

static void
test_external_buffer_shared(void **state)
{
	unsigned int freed = 0;
	void *buf = malloc(2048);
	struct rte_mbuf *m = external(buf, 2048, &freed);
	struct rte_mbuf *other = rte_pktmbuf_clone(m, env_pool);

	(void)state;
	port = env_port_up("", 1, 1);
	expect_copied(m);
	assert_int_equal(freed, 0);
	rte_pktmbuf_free(other);
	assert_int_equal(freed, 1);
	env_port_down(port);
	free(buf);
}

/* More segments than a burst may have: the copy has as few as it needs. */
static void
test_many_segments(void **state)
{
	struct rte_mbuf *m = env_packet(10, 0);
	unsigned int i;

	(void)state;
	port = env_port_up("", 1, 1);
	for (i = 1; i < 70; i++)
		rte_pktmbuf_chain(m, env_packet(10, (uint8_t)i));
	expect_copied(m);
	env_port_down(port);
}

static void
test_empty_segment(void **state)
{
	struct rte_mbuf *m = env_packet(60, 1);

	(void)state;
	port = env_port_up("", 1, 1);
	rte_pktmbuf_chain(m, env_packet(0, 0));
	rte_pktmbuf_chain(m, env_packet(40, 2));
	expect_copied(m);
	env_port_down(port);
}

static void
test_empty_packet_is_dropped(void **state)
{
	struct rte_eth_stats stats;

	(void)state;
	port = env_port_up("", 1, 1);
	assert_null(round_trip(env_packet(0, 0)));
	assert_int_equal(env_xstat(port, "tx_invalid_dropped"), 1);
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.oerrors, 1);
	assert_int_equal(stats.opackets, 0);
	env_port_down(port);
}

/* Neither the packet nor a copy lies in shared memory. */
static void
test_nothing_shared_is_dropped(void **state)
{
	(void)state;
	port = env_port_up("", 1, 1);
	fake_unshared_end = UINTPTR_MAX;
	assert_null(round_trip(env_packet(100, 0)));
	assert_int_equal(env_xstat(port, "tx_invalid_dropped"), 1);
	expect_copies(0, 0);
	env_port_down(port);
}

static void
test_pool_empty_is_dropped(void **state)
{
	struct rte_mbuf *all[POOL_SIZE], *pkts[3], *got[3];
	unsigned int i;

	(void)state;
	port = env_port_up("", 1, 1);
	assert_int_equal(rte_pktmbuf_alloc_bulk(env_rx_pool, all, POOL_SIZE), 0);
	for (i = 0; i < 3; i++)
		pkts[i] = env_packet(60, (uint8_t)i);
	rte_mbuf_refcnt_update(pkts[1], 1);
	assert_int_equal(rte_eth_tx_burst(port, 0, pkts, 3), 3);
	assert_int_equal(rte_eth_rx_burst(port, 0, got, 3), 2);
	assert_ptr_equal(got[0], pkts[0]);
	assert_ptr_equal(got[1], pkts[2]);
	assert_int_equal(env_xstat(port, "tx_nomem_dropped"), 1);
	expect_copies(0, 0);
	rte_pktmbuf_free_bulk(got, 2);
	assert_int_equal(rte_mbuf_refcnt_read(pkts[1]), 1);
	rte_pktmbuf_free(pkts[1]);
	rte_pktmbuf_free_bulk(all, POOL_SIZE);
	env_port_down(port);
}

/* No room for the copy: the packet stays with the application, untouched. */
static void
test_full_ring_keeps_packet(void **state)
{
	struct rte_mbuf *m = env_packet(60, 0);

	(void)state;
	port = env_port_up("burst=4,nb_bursts=1", 1, 1);
	fake_auto_complete = false;
	assert_int_equal(env_send(port, 0, 4, 0), 4);
	rte_mbuf_refcnt_update(m, 1);
	assert_int_equal(rte_eth_tx_burst(port, 0, &m, 1), 0);
	assert_int_equal(rte_mbuf_refcnt_read(m), 2);
	assert_int_equal(rte_mempool_avail_count(env_rx_pool), POOL_SIZE);
	expect_copies(0, 0);
	assert_int_equal(env_xstat(port, "tx_ring_full_packets"), 1);
	rte_mbuf_refcnt_update(m, -1);
	rte_pktmbuf_free(m);
	fake_complete(0, 1);
	assert_int_equal(env_receive(port, 0, 8), 4);
	env_port_down(port);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, env_teardown)
	const struct CMUnitTest tests[] = {
		T(test_plain_is_not_copied),
		T(test_shared_reference),
		T(test_shared_reference_in_second_segment),
		T(test_clone),
		T(test_little_headroom),
		T(test_not_shared_memory),
		T(test_external_buffer),
		T(test_external_buffer_shared),
		T(test_many_segments),
		T(test_empty_segment),
		T(test_empty_packet_is_dropped),
		T(test_nothing_shared_is_dropped),
		T(test_pool_empty_is_dropped),
		T(test_full_ring_keeps_packet),
	};

	return cmocka_run_group_tests(tests, env_init, env_fini);
}
