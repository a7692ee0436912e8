/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "fake_apir.h"
#include "net_apir.h"
#include "pmd_env.h"
#include "rte_pmd_apir.h"

/* An idle back-end gets the first packet at once; what comes while it is busy waits for company. */
static void
test_self_clocking(void **state)
{
	uint16_t port = env_port_up("", 1, 1);

	(void)state;
	assert_int_equal(env_send(port, 0, 1, 0), 1);
	assert_int_equal(fake_submitted(0), 1);
	assert_int_equal(env_send(port, 0, 3, 1), 3);
	assert_int_equal(env_send(port, 0, 2, 4), 2);
	assert_int_equal(fake_submitted(0), 1);
	fake_complete(0, 1);
	/* the poll that finds nothing more in flight sends what has gathered */
	assert_int_equal(env_receive(port, 0, 32), 1);
	assert_int_equal(fake_submitted(0), 2);
	assert_int_equal(fake_burst_pkts(0, 1), 5);
	fake_complete(0, 1);
	assert_int_equal(env_receive(port, 0, 32), 5);
	assert_int_equal(env_receive(port, 0, 32), 0);
	assert_int_equal(env_xstat(port, "tx_bursts"), 2);
	assert_int_equal(env_xstat(port, "tx_burst_packets_average"), 3);
	env_port_down(port);
}

/* A full burst does not wait, whatever is in flight. */
static void
test_full_burst_goes(void **state)
{
	uint16_t port = env_port_up("burst=4", 1, 1);

	(void)state;
	assert_int_equal(env_send(port, 0, 1, 0), 1);
	assert_int_equal(env_send(port, 0, 3, 1), 3);
	assert_int_equal(fake_submitted(0), 1);
	assert_int_equal(env_send(port, 0, 2, 4), 2);
	assert_int_equal(fake_submitted(0), 2);
	assert_int_equal(fake_burst_pkts(0, 1), 4);
	fake_complete(0, 2);
	assert_int_equal(env_receive(port, 0, 32), 5);
	fake_complete(0, 1);
	assert_int_equal(env_receive(port, 0, 32), 1);
	env_port_down(port);
}

/*
 * While a burst is handed out bit by bit it counts as in flight: what gathers meanwhile goes with
 * its last packet.
 */
static void
test_flush_after_last_packet(void **state)
{
	uint16_t port = env_port_up("", 1, 1);

	(void)state;
	assert_int_equal(env_send(port, 0, 6, 0), 6);
	assert_int_equal(env_send(port, 0, 1, 6), 1);
	fake_complete(0, 1);
	assert_int_equal(env_receive(port, 0, 4), 4);
	assert_int_equal(fake_submitted(0), 1);
	assert_int_equal(env_receive(port, 0, 4), 2);
	assert_int_equal(fake_submitted(0), 2);
	fake_complete(0, 1);
	assert_int_equal(env_receive(port, 0, 4), 1);
	env_port_down(port);
}

static void
test_full_ring(void **state)
{
	uint16_t port = env_port_up("burst=4,nb_bursts=2", 1, 1);

	(void)state;
	assert_int_equal(env_send(port, 0, 20, 0), 8);
	assert_int_equal(env_send(port, 0, 5, 8), 0);
	assert_int_equal(env_xstat(port, "tx_ring_full_packets"), 17);
	fake_complete(0, 1);
	assert_int_equal(env_receive(port, 0, 32), 4);
	assert_int_equal(env_send(port, 0, 5, 8), 4);
	fake_complete(0, 2);
	assert_int_equal(env_receive(port, 0, 32), 8);
	env_port_down(port);
}

/* The very same mbufs, in the order they were sent, more of them than one chunk of the poll. */
static void
test_order_and_identity(void **state)
{
	enum { N = 200 };
	struct rte_mbuf *sent[N], *got[N];
	uint16_t port = env_port_up("burst=50", 1, 1);
	unsigned int i;

	(void)state;
	fake_auto_complete = true;
	for (i = 0; i < N; i++)
		sent[i] = env_packet(60, (uint8_t)i);
	assert_int_equal(rte_eth_tx_burst(port, 0, sent, N), N);
	assert_int_equal(rte_eth_rx_burst(port, 0, got, N), N);
	for (i = 0; i < N; i++) {
		assert_ptr_equal(got[i], sent[i]);
		assert_int_equal(env_mark(got[i]), (uint8_t)i);
		assert_int_equal(got[i]->pkt_len, 60);
	}
	rte_pktmbuf_free_bulk(got, N);
	assert_int_equal(env_xstat(port, "rx_q0_packets"), N);
	assert_int_equal(env_xstat(port, "rx_q0_bytes"), N * 60);
	assert_int_equal(env_xstat(port, "tx_q0_packets"), N);
	assert_int_equal(env_xstat(port, "tx_q0_bytes"), N * 60);
	env_port_down(port);
}

/* Tx queue i comes back on rx queue i % (rx queues). */
static void
test_queue_mapping(void **state)
{
	uint16_t port = env_port_up("queues=2", 2, 5);
	uint16_t i;

	(void)state;
	fake_auto_complete = true;
	for (i = 0; i < 5; i++) {
		assert_int_equal(env_send(port, i, 3, 0), 3);
		assert_int_equal(env_receive(port, (i + 1) % 2, 32), 0);
		assert_int_equal(env_receive(port, i % 2, 32), 3);
	}
	assert_int_equal(env_xstat(port, "rx_q0_packets"), 9);
	assert_int_equal(env_xstat(port, "rx_q1_packets"), 6);
	assert_int_equal(env_xstat(port, "tx_q4_packets"), 3);
	env_port_down(port);
}

static struct rte_apir_verdict
by_mark(unsigned int i, struct rte_mbuf *m)
{
	const uint8_t mark = env_mark(m);

	(void)i;
	switch (mark % 4) {
	case 0:
		return (struct rte_apir_verdict){
			.action = RTE_APIR_ACTION_FORWARD, .port = mark, .meta = mark * 1000u};
	case 1:
		return (struct rte_apir_verdict){.action = RTE_APIR_ACTION_DROP, .port = 3};
	case 2:
		return (struct rte_apir_verdict){.action = RTE_APIR_ACTION_DROP, .port = 8};
	default:
		return (struct rte_apir_verdict){.action = RTE_APIR_ACTION_FORWARD};
	}
}

static void
test_verdicts(void **state)
{
	struct rte_mbuf *got[32];
	struct rte_pmd_apir_verdict *v;
	uint16_t port, i;
	int offset;

	(void)state;
	port = env_port_up(env_kernel(), 1, 1);
	offset = rte_pmd_apir_verdict_offset();
	assert_true(offset >= 0);
	fake_auto_complete = true;
	fake_verdict = by_mark;
	assert_int_equal(env_send(port, 0, 16, 0), 16);
	assert_int_equal(rte_eth_rx_burst(port, 0, got, 32), 8);
	for (i = 0; i < 8; i++) {
		const uint8_t mark = (uint8_t)(i / 2 * 4 + (i & 1) * 3);

		assert_int_equal(env_mark(got[i]), mark);
		v = rte_pmd_apir_verdict(got[i], offset);
		assert_int_equal(v->port, mark % 4 == 0 ? mark : 0);
		assert_int_equal(v->meta, mark % 4 == 0 ? mark * 1000u : 0);
	}
	rte_pktmbuf_free_bulk(got, 8);
	assert_int_equal(env_xstat(port, "rx_verdict_dropped"), 8);
	assert_int_equal(env_xstat(port, "rx_q0_dropped"), 8);
	assert_int_equal(env_xstat(port, "rx_reason_3_dropped"), 4);
	assert_int_equal(env_xstat(port, "rx_reason_0_dropped"), 0);
	assert_int_equal(env_xstat(port, "rx_reason_other_dropped"), 4);
	assert_int_equal(env_xstat(port, "rx_backend_errors"), 0);
	env_port_down(port);
}

/* Packets of a failed burst are freed and counted, and the reason is logged once. */
static void
test_failed_burst(void **state)
{
	struct rte_eth_stats stats;
	uint16_t port = env_port_up("", 1, 1);
	const char *log;

	(void)state;
	fake_auto_complete = true;
	fake_status = 5;
	env_log();
	assert_int_equal(env_send(port, 0, 4, 0), 4);
	assert_int_equal(env_receive(port, 0, 32), 0);
	log = env_log();
	assert_non_null(strstr(log, "rx queue 0 failed at the back-end: failed"));
	assert_int_equal(env_send(port, 0, 4, 0), 4);
	assert_int_equal(env_receive(port, 0, 32), 0);
	assert_string_equal(env_log(), "");
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ierrors, 8);
	assert_int_equal(stats.ipackets, 0);
	assert_int_equal(env_xstat(port, "rx_backend_errors"), 8);
	assert_int_equal(env_xstat(port, "rx_q0_errors"), 8);
	env_port_down(port);
}

/* What a packet was before says nothing of what comes out; where its data lies stays. */
static void
test_fresh_on_rx(void **state)
{
	struct rte_mbuf *m = env_packet(100, 1), *got;
	uint16_t port = env_port_up("", 1, 1);

	(void)state;
	fake_auto_complete = true;
	m->port = 99;
	m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_RSS_HASH |
		      RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	m->packet_type = RTE_PTYPE_L3_IPV4;
	m->vlan_tci = 5;
	m->vlan_tci_outer = 6;
	assert_non_null(rte_pktmbuf_adj(m, 10));
	assert_int_equal(rte_eth_tx_burst(port, 0, &m, 1), 1);
	assert_int_equal(rte_eth_rx_burst(port, 0, &got, 1), 1);
	assert_ptr_equal(got, m);
	assert_int_equal(got->port, port);
	assert_int_equal(got->ol_flags, 0);
	assert_int_equal(got->packet_type, 0);
	assert_int_equal(got->vlan_tci, 0);
	assert_int_equal(got->vlan_tci_outer, 0);
	assert_int_equal(got->data_off, RTE_PKTMBUF_HEADROOM + 10);
	assert_int_equal(got->pkt_len, 90);
	assert_int_equal(got->nb_segs, 1);
	rte_pktmbuf_free(got);
	env_port_down(port);
}

static void
test_multi_seg(void **state)
{
	struct rte_mbuf *head = env_packet(60, 7), *got;
	uint16_t port = env_port_up("", 1, 1);

	(void)state;
	fake_auto_complete = true;
	assert_int_equal(rte_pktmbuf_chain(head, env_packet(30, 8)), 0);
	assert_int_equal(rte_pktmbuf_chain(head, env_packet(10, 9)), 0);
	assert_int_equal(rte_eth_tx_burst(port, 0, &head, 1), 1);
	assert_int_equal(rte_eth_rx_burst(port, 0, &got, 1), 1);
	assert_ptr_equal(got, head);
	assert_int_equal(got->nb_segs, 3);
	assert_int_equal(got->pkt_len, 100);
	assert_int_equal(env_mark(got->next->next), 9);
	rte_pktmbuf_free(got);
	assert_int_equal(env_xstat(port, "tx_q0_bytes"), 100);
	assert_int_equal(env_xstat(port, "tx_copied_packets"), 0);
	env_port_down(port);
}

/*
 * Two senders on one queue pair and a poller, all at once: each packet comes back once, each
 * sender's in order.
 */
enum { SENDERS = 2, EACH = 20000 };
static _Atomic bool poller_ends;
static uint32_t received[SENDERS];

struct sender {
	pthread_t thread;
	uint16_t port, queue;
};

static void *
send_all(void *arg)
{
	const struct sender *s = arg;
	struct rte_mbuf *pkts[8];
	uint32_t next = 0;
	uint16_t n, i, sent;

	while (next < EACH) {
		for (n = 0; n < 8 && next + n < EACH; n++) {
			do {
				pkts[n] = rte_pktmbuf_alloc(env_pool);
			} while (pkts[n] == NULL);
			rte_pktmbuf_append(pkts[n], 60);
			rte_pktmbuf_mtod(pkts[n], uint32_t *)[0] = s->queue;
			rte_pktmbuf_mtod(pkts[n], uint32_t *)[1] = next + n;
		}
		for (sent = 0; sent < n;)
			sent += rte_eth_tx_burst(s->port, s->queue, pkts + sent, n - sent);
		for (i = 0; i < n; i++)
			next++;
	}
	return NULL;
}

static void *
receive_all(void *arg)
{
	const uint16_t port = *(const uint16_t *)arg;
	struct rte_mbuf *pkts[32];
	uint16_t n, i;

	while (!poller_ends) {
		n = rte_eth_rx_burst(port, 0, pkts, 32);
		for (i = 0; i < n; i++) {
			const uint32_t *data = rte_pktmbuf_mtod(pkts[i], uint32_t *);

			if (data[0] < SENDERS && data[1] == received[data[0]])
				received[data[0]]++;
			rte_pktmbuf_free(pkts[i]);
		}
		if (received[0] == EACH && received[1] == EACH)
			break;
	}
	return NULL;
}

static void
test_senders_and_poller(void **state)
{
	uint16_t port = env_port_up("burst=16,nb_bursts=4", 1, SENDERS);
	struct sender senders[SENDERS];
	pthread_t poller;
	uint16_t i;

	(void)state;
	fake_auto_complete = true;
	memset(received, 0, sizeof(received));
	poller_ends = false;
	assert_int_equal(pthread_create(&poller, NULL, receive_all, &port), 0);
	for (i = 0; i < SENDERS; i++) {
		senders[i].port = port;
		senders[i].queue = i;
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]),
				 0);
	}
	for (i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	pthread_join(poller, NULL);
	assert_int_equal(received[0], EACH);
	assert_int_equal(received[1], EACH);
	assert_int_equal(env_xstat(port, "rx_q0_packets"), SENDERS * EACH);
	env_port_down(port);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, env_setup, env_teardown)
	const struct CMUnitTest tests[] = {
		T(test_self_clocking), T(test_full_burst_goes),	   T(test_flush_after_last_packet),
		T(test_full_ring),     T(test_order_and_identity), T(test_queue_mapping),
		T(test_verdicts),      T(test_failed_burst),	   T(test_fresh_on_rx),
		T(test_multi_seg),     T(test_senders_and_poller),
	};

	return cmocka_run_group_tests(tests, env_init, env_fini);
}
