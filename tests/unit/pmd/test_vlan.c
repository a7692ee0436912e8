/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* verdict_vlan=: what gets which tag, and what gets none. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_apir.h"
#include "net_apir.h"
#include "net_apir_vlan.h"
#include "pmd_env.h"
#include "rte_pmd_apir.h"

#define BASE 100

static uint16_t port, verdict_port;

static struct rte_apir_verdict
one_verdict(unsigned int i, struct rte_mbuf *m)
{
	(void)i;
	(void)m;
	return (struct rte_apir_verdict){.port = verdict_port, .meta = 0x12345678};
}

static int
setup(void **state)
{
	env_setup(state);
	fake_auto_complete = true;
	fake_verdict = one_verdict;
	verdict_port = 2;
	return 0;
}

static void
port_up(unsigned int base)
{
	char devargs[400];

	snprintf(devargs, sizeof(devargs), "%s,verdict_vlan=%u", env_kernel(), base);
	port = env_port_up(devargs, 1, 1);
}

/* A packet whose bytes are 0, 1, 2, ... with this EtherType. */
static struct rte_mbuf *
counting(uint16_t len, uint16_t type)
{
	struct rte_mbuf *m = env_packet(len, 0);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	uint16_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)i;
	if (len >= 14) {
		p[12] = (uint8_t)(type >> 8);
		p[13] = (uint8_t)type;
	}
	return m;
}

static void
send_one(struct rte_mbuf *m)
{
	assert_int_equal(rte_eth_tx_burst(port, 0, &m, 1), 1);
}

static struct rte_mbuf *
receive_one(void)
{
	struct rte_mbuf *got;

	return rte_eth_rx_burst(port, 0, &got, 1) == 1 ? got : NULL;
}

/* These len bytes, with a tag of this VID after the addresses, and nothing else in the TCI. */
static void
expect_tagged(const struct rte_mbuf *m, const uint8_t *bytes, uint32_t len, uint16_t vid)
{
	uint8_t want[len + 4], buf[len + 4];

	memcpy(want, bytes, 12);
	want[12] = 0x81;
	want[13] = 0x00;
	want[14] = (uint8_t)(vid >> 8);
	want[15] = (uint8_t)vid;
	memcpy(want + 16, bytes + 12, len - 12);
	assert_non_null(m);
	assert_int_equal(m->pkt_len, len + 4);
	assert_memory_equal(rte_pktmbuf_read(m, 0, len + 4, buf), want, len + 4);
	rte_mbuf_sanity_check(m, 1);
}

/* Sends m and expects it back with a tag; gives back what came. */
static struct rte_mbuf *
expect_round_trip(struct rte_mbuf *m, uint16_t vid)
{
	const uint32_t len = m->pkt_len;
	uint8_t bytes[len], buf[len];
	struct rte_mbuf *got;

	memcpy(bytes, rte_pktmbuf_read(m, 0, len, buf), len);
	send_one(m);
	got = receive_one();
	expect_tagged(got, bytes, len, vid);
	return got;
}

static void
expect_drops(uint64_t range, uint64_t untaggable)
{
	struct rte_eth_stats stats;

	assert_int_equal(env_xstat(port, "rx_vlan_range_dropped"), range);
	assert_int_equal(env_xstat(port, "rx_vlan_untaggable_dropped"), untaggable);
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ierrors, range + untaggable);
	assert_int_equal(env_xstat(port, "rx_verdict_dropped"), 0);
}

/* The very mbuf, with the tag; its dynamic field says the same as without. */
static void
test_tag(void **state)
{
	struct rte_mbuf *m, *got;
	const struct rte_pmd_apir_verdict *v;

	(void)state;
	port_up(BASE);
	m = counting(60, 0x0800);
	got = expect_round_trip(m, BASE + 2);
	assert_ptr_equal(got, m);
	v = rte_pmd_apir_verdict(got, rte_pmd_apir_verdict_offset());
	assert_int_equal(v->port, 2);
	assert_int_equal(v->meta, 0x12345678);
	rte_pktmbuf_free(got);
	/* counted as the application gets it */
	assert_int_equal(env_xstat(port, "tx_q0_bytes"), 60);
	assert_int_equal(env_xstat(port, "rx_q0_bytes"), 64);
	assert_int_equal(env_xstat(port, "tx_copied_packets"), 0);
	expect_drops(0, 0);
	env_port_down(port);
}

static void
test_no_verdict(void **state)
{
	(void)state;
	port_up(BASE);
	fake_verdict = NULL;
	rte_pktmbuf_free(expect_round_trip(counting(60, 0x0800), BASE));
	env_port_down(port);
}

static void
test_off(void **state)
{
	struct rte_mbuf *m, *got;

	(void)state;
	port = env_port_up(env_kernel(), 1, 1);
	m = counting(60, 0x0800);
	send_one(m);
	got = receive_one();
	assert_ptr_equal(got, m);
	assert_int_equal(got->pkt_len, 60);
	assert_int_equal(env_mark(got), 0);
	assert_int_equal(got->data_off, RTE_PKTMBUF_HEADROOM);
	rte_pktmbuf_free(got);
	expect_drops(0, 0);
	env_port_down(port);
}

/* The ends of what a tag can say. Beyond them nothing wraps around. */
static void
test_range(void **state)
{
	static const uint16_t beyond[] = {5, 6, 4096 - 4090 + BASE, 65535};
	const char *log;
	unsigned int i;

	(void)state;
	port_up(4090);
	verdict_port = 0;
	rte_pktmbuf_free(expect_round_trip(counting(60, 0x0800), 4090));
	verdict_port = 4;
	rte_pktmbuf_free(expect_round_trip(counting(60, 0x0800), 4094));
	env_log();
	for (i = 0; i < RTE_DIM(beyond); i++) {
		verdict_port = beyond[i];
		send_one(counting(60, 0x0800));
		assert_null(receive_one());
	}
	log = env_log();
	assert_non_null(strstr(log, "port verdict 5 has no VLAN with verdict_vlan=4090, the "
				    "largest is 4"));
	assert_null(strstr(log, "port verdict 6")); /* once is enough */
	expect_drops(RTE_DIM(beyond), 0);
	assert_int_equal(rte_eth_xstats_reset(port), 0);
	expect_drops(0, 0);
	env_port_down(port);
}

static void
test_ends_of_base(void **state)
{
	(void)state;
	port_up(1);
	verdict_port = 0;
	rte_pktmbuf_free(expect_round_trip(counting(60, 0x0800), 1));
	verdict_port = 4093;
	rte_pktmbuf_free(expect_round_trip(counting(60, 0x0800), 4094));
	env_port_down(port);
	port_up(4094);
	verdict_port = 0;
	rte_pktmbuf_free(expect_round_trip(counting(60, 0x0800), 4094));
	env_port_down(port);
}

/* The new tag is the outer one, and 0x8100 whatever the inner is; the inner keeps its priority. */
static void
test_tagged_already(void **state)
{
	static const uint16_t types[] = {0x8100, 0x88a8};
	unsigned int i;

	(void)state;
	port_up(BASE);
	for (i = 0; i < RTE_DIM(types); i++) {
		struct rte_mbuf *m = counting(64, types[i]);

		rte_pktmbuf_mtod(m, uint8_t *)[14] = 0xa0;
		rte_pktmbuf_free(expect_round_trip(m, BASE + 2));
	}
	env_port_down(port);
}

/* Nothing of what the packet was before: the lengths would be wrong by 4 now. */
static void
test_nothing_stale(void **state)
{
	struct rte_mbuf *m = counting(100, 0x0800), *got;

	(void)state;
	port_up(BASE);
	m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_TX_VLAN |
		      RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TUNNEL_VXLAN;
	m->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4;
	m->vlan_tci = 0xfffe;
	m->vlan_tci_outer = 6;
	m->l2_len = 14;
	m->l3_len = 20;
	m->tso_segsz = 1000;
	m->outer_l2_len = 14;
	got = expect_round_trip(m, BASE + 2);
	assert_int_equal(got->port, port);
	assert_int_equal(got->ol_flags, 0);
	assert_int_equal(got->packet_type, 0);
	assert_int_equal(got->vlan_tci, 0);
	assert_int_equal(got->vlan_tci_outer, 0);
	assert_int_equal(got->tx_offload, 0);
	rte_pktmbuf_free(got);
	env_port_down(port);
}

/* The tag takes 4 bytes, and leaves at least what a port without tags leaves. */
static void
test_headroom(void **state)
{
	struct rte_mbuf *m, *got;

	(void)state;
	port_up(BASE);
	got = expect_round_trip(counting(60, 0x0800), BASE + 2);
	assert_int_equal(got->data_off, RTE_PKTMBUF_HEADROOM - 4);
	rte_pktmbuf_free(got);
	m = counting(60, 0x0800);
	assert_non_null(rte_pktmbuf_prepend(m, RTE_PKTMBUF_HEADROOM - APIR_MIN_HEADROOM - 4));
	got = expect_round_trip(m, BASE + 2);
	assert_ptr_equal(got, m);
	assert_int_equal(got->data_off, APIR_MIN_HEADROOM);
	assert_int_equal(env_xstat(port, "tx_copied_packets"), 0);
	/* one byte less than it needs: copied on the way out, not dropped on the way back */
	assert_non_null(rte_pktmbuf_adj(got, 3));
	got = expect_round_trip(got, BASE + 2);
	assert_ptr_not_equal(got, m);
	assert_int_equal(got->data_off, RTE_PKTMBUF_HEADROOM - 4);
	assert_int_equal(env_xstat(port, "tx_copied_packets"), 1);
	rte_pktmbuf_free(got);
	expect_drops(0, 0);
	env_port_down(port);
}

/* Sent as it should be, and pulled about by somebody while the kernel had it. */
static void
test_headroom_gone_in_flight(void **state)
{
	struct rte_mbuf *m, *got;
	const char *log;

	(void)state;
	port_up(BASE);
	m = counting(60, 0x0800);
	send_one(m);
	m->data_off = 4;
	got = receive_one();
	assert_ptr_equal(got, m);
	assert_int_equal(got->data_off, 0);
	rte_pktmbuf_free(got);
	env_log();
	m = counting(60, 0x0800);
	send_one(m);
	m->data_off = 3;
	assert_null(receive_one());
	log = env_log();
	assert_non_null(strstr(log, "a packet takes no tag and is dropped: headroom 3, first "
				    "segment 60 bytes, references 1"));
	expect_drops(0, 1);
	env_port_down(port);
}

/* Who holds it too must not see it change. */
static void
test_shared_in_flight(void **state)
{
	struct rte_mbuf *m;
	uint8_t want[60];

	(void)state;
	port_up(BASE);
	m = counting(60, 0x0800);
	memcpy(want, rte_pktmbuf_mtod(m, void *), 60);
	send_one(m);
	rte_mbuf_refcnt_update(m, 1);
	assert_null(receive_one());
	assert_int_equal(rte_mbuf_refcnt_read(m), 1); /* ours */
	assert_int_equal(m->pkt_len, 60);
	assert_int_equal(m->data_off, RTE_PKTMBUF_HEADROOM);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), want, 60);
	rte_pktmbuf_free(m);
	expect_drops(0, 1);
	env_port_down(port);
}

/* Shared before it is sent: a copy goes, as without tags, and takes the tag. */
static void
test_shared_is_copied(void **state)
{
	struct rte_mbuf *m, *clone, *got;

	(void)state;
	port_up(BASE);
	m = counting(60, 0x0800);
	clone = rte_pktmbuf_clone(m, env_pool);
	assert_non_null(clone);
	got = expect_round_trip(clone, BASE + 2);
	assert_ptr_equal(got->pool, env_rx_pool);
	rte_pktmbuf_free(got);
	assert_int_equal(m->pkt_len, 60);
	assert_int_equal(rte_pktmbuf_mtod(m, uint8_t *)[12], 0x08);
	rte_pktmbuf_free(m);
	expect_drops(0, 0);
	env_port_down(port);
}

static void
free_ext(void *addr, void *arg)
{
	(void)addr;
	(*(unsigned int *)arg)++;
}

/* What lies before the data of an external buffer is its owner's. */
static void
test_external_buffer(void **state)
{
	uint16_t size = 2048;
	uint8_t *buf = malloc(size), before[256];
	struct rte_mbuf_ext_shared_info *info;
	unsigned int freed = 0;
	struct rte_mbuf *m, *got;

	(void)state;
	port_up(BASE);
	memset(buf, 0x77, size);
	memset(before, 0x77, sizeof(before));
	m = rte_pktmbuf_alloc(env_pool);
	assert_non_null(m);
	info = rte_pktmbuf_ext_shinfo_init_helper(buf, &size, free_ext, &freed);
	rte_pktmbuf_attach_extbuf(m, buf, (rte_iova_t)(uintptr_t)buf, size, info);
	m->data_off = sizeof(before);
	memset(rte_pktmbuf_append(m, 60), 0xaa, 60);
	assert_false(apir_vlan_push(m, 5));
	got = expect_round_trip(m, BASE + 2);
	assert_int_equal(freed, 1);
	assert_memory_equal(buf, before, sizeof(before));
	assert_int_equal(got->ol_flags, 0);
	assert_int_equal(env_xstat(port, "tx_copied_packets"), 1);
	rte_pktmbuf_free(got);
	expect_drops(0, 0);
	env_port_down(port);
	free(buf);
}

static void
test_segments(void **state)
{
	struct rte_mbuf *m, *got;

	(void)state;
	port_up(BASE);
	m = counting(12, 0); /* the addresses alone */
	assert_int_equal(rte_pktmbuf_chain(m, counting(50, 0x0800)), 0);
	assert_int_equal(rte_pktmbuf_chain(m, counting(30, 0x0800)), 0);
	got = expect_round_trip(m, BASE + 2);
	assert_ptr_equal(got, m);
	assert_int_equal(got->nb_segs, 3);
	assert_int_equal(got->data_len, 16);
	rte_pktmbuf_free(got);
	assert_int_equal(env_xstat(port, "tx_copied_packets"), 0);
	/* the addresses in two segments: the copy has them in one */
	m = counting(11, 0);
	assert_int_equal(rte_pktmbuf_chain(m, counting(50, 0x0800)), 0);
	got = expect_round_trip(m, BASE + 2);
	assert_int_equal(got->nb_segs, 1);
	rte_pktmbuf_free(got);
	assert_int_equal(env_xstat(port, "tx_copied_packets"), 1);
	expect_drops(0, 0);
	env_port_down(port);
}

static void
test_short_packets(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	port_up(BASE);
	send_one(counting(11, 0));
	assert_null(receive_one());
	m = counting(5, 0); /* no copy makes that longer */
	assert_int_equal(rte_pktmbuf_chain(m, counting(6, 0)), 0);
	send_one(m);
	assert_null(receive_one());
	expect_drops(0, 2);
	rte_pktmbuf_free(expect_round_trip(counting(12, 0), BASE + 2));
	rte_pktmbuf_free(expect_round_trip(counting(13, 0), BASE + 2));
	expect_drops(0, 2);
	env_port_down(port);
}

/* Data up to the very end of a buffer: the tag takes nothing there. */
static void
test_full_buffer(void **state)
{
	(void)state;
	port_up(BASE);
	rte_pktmbuf_free(expect_round_trip(counting(RTE_MBUF_DEFAULT_DATAROOM, 0x0800), BASE + 2));
	assert_int_equal(env_xstat(port, "tx_copied_packets"), 0);
	env_port_down(port);
}

/* Tags fit into what the port says of its frames: they take the place that the CRC has there. */
static void
test_frame_size(void **state)
{
	struct rte_eth_dev_info info;

	(void)state;
	port_up(BASE);
	assert_int_equal(rte_eth_dev_info_get(port, &info), 0);
	assert_int_equal(info.max_mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN, info.max_rx_pktlen);
	env_port_down(port);
}

/* Packet i by i: tagged, beyond the range, dropped by the kernel, tagged but too short. */
static struct rte_apir_verdict
by_number(unsigned int i, struct rte_mbuf *m)
{
	(void)m;
	switch (i % 4) {
	case 1:
		return (struct rte_apir_verdict){.port = 5000};
	case 2:
		return (struct rte_apir_verdict){.action = RTE_APIR_ACTION_DROP, .port = 3};
	default:
		return (struct rte_apir_verdict){.port = (uint16_t)i};
	}
}

/* More than one chunk of the poll, everything in it, in order. */
static void
test_mixed_burst(void **state)
{
	enum { N = 200 };
	struct rte_mbuf *pkts[N], *got[N];
	struct rte_eth_stats stats;
	unsigned int i;

	(void)state;
	port_up(BASE);
	fake_verdict = by_number;
	for (i = 0; i < N; i++)
		pkts[i] = i % 4 == 3 ? counting(8, 0) : env_packet(60, (uint8_t)i);
	assert_int_equal(rte_eth_tx_burst(port, 0, pkts, N), N);
	assert_int_equal(rte_eth_rx_burst(port, 0, got, N), N / 4);
	for (i = 0; i < N / 4; i++) {
		const uint8_t *p = rte_pktmbuf_mtod(got[i], uint8_t *);

		assert_ptr_equal(got[i], pkts[4 * i]);
		assert_int_equal(p[0], (uint8_t)(4 * i));
		assert_int_equal(p[12] << 8 | p[13], 0x8100);
		assert_int_equal(p[14] << 8 | p[15], BASE + 4 * i);
	}
	rte_pktmbuf_free_bulk(got, N / 4);
	assert_int_equal(env_xstat(port, "rx_vlan_range_dropped"), N / 4);
	assert_int_equal(env_xstat(port, "rx_verdict_dropped"), N / 4);
	assert_int_equal(env_xstat(port, "rx_reason_3_dropped"), N / 4);
	assert_int_equal(env_xstat(port, "rx_vlan_untaggable_dropped"), N / 4);
	assert_int_equal(env_xstat(port, "rx_q0_packets"), N / 4);
	assert_int_equal(env_xstat(port, "rx_q0_bytes"), N / 4 * 64);
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ierrors, N / 2);
	env_port_down(port);
}

/* A failed burst has no verdicts: nothing is tagged, whatever stands in its place. */
static void
test_failed_burst(void **state)
{
	(void)state;
	port_up(BASE);
	fake_status = 5;
	send_one(counting(60, 0x0800));
	assert_null(receive_one());
	assert_int_equal(env_xstat(port, "rx_backend_errors"), 1);
	assert_int_equal(env_xstat(port, "rx_vlan_range_dropped"), 0);
	env_port_down(port);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, env_teardown)
	const struct CMUnitTest tests[] = {
		T(test_tag),
		T(test_no_verdict),
		T(test_off),
		T(test_range),
		T(test_ends_of_base),
		T(test_tagged_already),
		T(test_nothing_stale),
		T(test_headroom),
		T(test_headroom_gone_in_flight),
		T(test_shared_in_flight),
		T(test_shared_is_copied),
		T(test_external_buffer),
		T(test_segments),
		T(test_short_packets),
		T(test_full_buffer),
		T(test_frame_size),
		T(test_mixed_burst),
		T(test_failed_burst),
	};

	return cmocka_run_group_tests(tests, env_init, env_fini);
}
