/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_malloc.h>

#include "net_apir.h"

/* Sums over a port. All members are uint64_t, so that they can be subtracted one by one. */
struct port_sums {
	struct {
		uint64_t packets, bytes, dropped, reason[APIR_NB_REASONS], reason_other, errors,
			unpolled, vlan_range, vlan_untaggable;
	} rx;
	struct {
		uint64_t packets, bytes, ring_full, copied, copied_bytes, nomem, invalid;
	} tx;
	uint64_t enq_bursts, enq_pkts, deq_bursts, backend_copied_bytes, kicks;
	uint64_t lost, reconnects, timeouts;
};

#define NB_SUMS	   (sizeof(struct port_sums) / sizeof(uint64_t))
#define NB_RX_CTRS (sizeof(struct apir_rx_ctrs) / sizeof(apir_ctr))
#define NB_TX_CTRS (sizeof(struct apir_tx_ctrs) / sizeof(apir_ctr))

static_assert(sizeof(struct apir_rx_ctrs) == sizeof(((struct port_sums *)0)->rx), "same counters");
static_assert(sizeof(struct apir_tx_ctrs) == sizeof(((struct port_sums *)0)->tx), "same counters");

/*
 * Nobody writes to a counter but the thread that counts: a reset remembers where each of them
 * stood.
 */
struct apir_stats_base {
	struct port_sums port;
	uint64_t rx[RTE_MAX_QUEUES_PER_PORT][NB_RX_CTRS];
	uint64_t tx[RTE_MAX_QUEUES_PER_PORT][NB_TX_CTRS];
};

/* One xstat of the port: where its value lies in the sums. */
static const struct {
	const char *name;
	size_t offset;
} port_xstats[] = {
#define X(name, field)                                  \
	{                                               \
		name, offsetof(struct port_sums, field) \
	}
	X("tx_bursts", enq_bursts),
	X("rx_bursts", deq_bursts),
	X("tx_ring_full_packets", tx.ring_full),
	X("tx_copied_packets", tx.copied),
	X("tx_copied_bytes", tx.copied_bytes),
	X("tx_nomem_dropped", tx.nomem),
	X("tx_invalid_dropped", tx.invalid),
	X("tx_kicks", kicks),
	X("rx_verdict_dropped", rx.dropped),
	X("rx_reason_0_dropped", rx.reason[0]),
	X("rx_reason_1_dropped", rx.reason[1]),
	X("rx_reason_2_dropped", rx.reason[2]),
	X("rx_reason_3_dropped", rx.reason[3]),
	X("rx_reason_4_dropped", rx.reason[4]),
	X("rx_reason_5_dropped", rx.reason[5]),
	X("rx_reason_6_dropped", rx.reason[6]),
	X("rx_reason_7_dropped", rx.reason[7]),
	X("rx_reason_other_dropped", rx.reason_other),
	X("rx_unpolled_dropped", rx.unpolled),
	X("rx_vlan_range_dropped", rx.vlan_range),
	X("rx_vlan_untaggable_dropped", rx.vlan_untaggable),
	X("rx_backend_errors", rx.errors),
	X("backend_copied_bytes", backend_copied_bytes),
	X("backend_timeout_errors", timeouts),
	X("backend_lost_errors", lost),
	X("backend_reconnects", reconnects),
#undef X
};
static_assert(APIR_NB_REASONS == 8, "port_xstats lists them");

/* The one that is no counter. */
#define AVERAGE_NAME   "tx_burst_packets_average"
#define NB_PORT_XSTATS (RTE_DIM(port_xstats) + 1)

static const struct {
	const char *name;
	size_t offset;
} rxq_xstats[] =
	{
		{"packets", offsetof(struct apir_rx_ctrs, packets)},
		{"bytes", offsetof(struct apir_rx_ctrs, bytes)},
		{"dropped", offsetof(struct apir_rx_ctrs, dropped)},
		{"errors", offsetof(struct apir_rx_ctrs, errors)},
},
  txq_xstats[] = {
	  {"packets", offsetof(struct apir_tx_ctrs, packets)},
	  {"bytes", offsetof(struct apir_tx_ctrs, bytes)},
	  {"ring_full", offsetof(struct apir_tx_ctrs, ring_full)},
	  {"copied", offsetof(struct apir_tx_ctrs, copied)},
};

static void
add(uint64_t *sums, const void *ctrs, unsigned int nb)
{
	const apir_ctr *c = ctrs;
	unsigned int i;

	for (i = 0; i < nb; i++)
		sums[i] += apir_ctr_get(&c[i]);
}

static const struct apir_rx_ctrs *
rx_ctrs(const struct apir_port *port, uint16_t i)
{
	return &port->qps[i].ctrs;
}

static const struct apir_tx_ctrs *
tx_ctrs(const struct apir_port *port, uint16_t i)
{
	const struct apir_txq *txq = port->txqs[i];

	return txq == NULL ? NULL : &txq->ctrs;
}

/* What librte_apir counts. It waits while the link thread connects or builds. */
static void
sum_up_backend(const struct apir_port *port, struct port_sums *s)
{
	struct rte_apir_stats qp;
	uint16_t i;

	for (i = 0; i < port->max_queues; i++) {
		if (rte_apir_stats_get(port->dev_id, i, &qp) != 0)
			continue;
		s->enq_bursts += qp.enq_bursts;
		s->enq_pkts += qp.enq_pkts;
		s->deq_bursts += qp.deq_bursts;
		s->backend_copied_bytes += qp.copied_bytes;
		s->kicks += qp.kicks;
	}
}

/* Since the port is there. */
static void
sum_up(const struct apir_port *port, struct port_sums *s, bool backend)
{
	uint16_t i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < port->max_queues; i++)
		add((uint64_t *)&s->rx, rx_ctrs(port, i), NB_RX_CTRS);
	/* those too that the application has now fewer of */
	for (i = 0; i < RTE_DIM(port->txqs); i++)
		if (tx_ctrs(port, i) != NULL)
			add((uint64_t *)&s->tx, tx_ctrs(port, i), NB_TX_CTRS);
	s->lost = apir_ctr_get(&port->lost);
	s->reconnects = apir_ctr_get(&port->reconnects);
	s->timeouts = apir_ctr_get(&port->timeouts);
	if (backend)
		sum_up_backend(port, s);
}

/* Since the last reset. What is not asked of the back-end is 0: never below. */
static void
sum_since_reset(const struct apir_port *port, struct port_sums *s, bool backend)
{
	const uint64_t *base = (const uint64_t *)&port->base->port;
	uint64_t *v = (uint64_t *)s;
	unsigned int i;

	sum_up(port, s, backend);
	for (i = 0; i < NB_SUMS; i++)
		v[i] -= RTE_MIN(base[i], v[i]);
}

/* A counter at offset of a queue, since the last reset; 0 if there is no such queue. */
static uint64_t
ctr_since(const void *ctrs, size_t offset, const uint64_t *base)
{
	if (ctrs == NULL)
		return 0;
	return apir_ctr_get((const apir_ctr *)((const char *)ctrs + offset)) -
	       base[offset / sizeof(apir_ctr)];
}

#define RX_SINCE(port, i, field) \
	ctr_since(rx_ctrs(port, i), offsetof(struct apir_rx_ctrs, field), (port)->base->rx[i])
#define TX_SINCE(port, i, field) \
	ctr_since(tx_ctrs(port, i), offsetof(struct apir_tx_ctrs, field), (port)->base->tx[i])

int
apir_stats_init(struct apir_port *port)
{
	port->base = rte_zmalloc("net_apir_stats", sizeof(*port->base), 0);
	return port->base == NULL ? -ENOMEM : 0;
}

int
apir_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats APIR_ETH_QSTATS_PARAM)
{
	const struct apir_port *port = apir_port_of(dev);
	struct port_sums s;
	uint16_t i;

	sum_since_reset(port, &s, false);
	stats->ipackets = s.rx.packets;
	stats->ibytes = s.rx.bytes;
	stats->imissed = s.rx.unpolled;
	stats->ierrors = s.rx.errors + s.rx.vlan_range + s.rx.vlan_untaggable;
	stats->opackets = s.tx.packets;
	stats->obytes = s.tx.bytes;
	stats->oerrors = s.tx.nomem + s.tx.invalid;
	for (i = 0; i < dev->data->nb_rx_queues; i++) {
		APIR_ETH_QSTATS_SET(stats, q_ipackets, i, RX_SINCE(port, i, packets));
		APIR_ETH_QSTATS_SET(stats, q_ibytes, i, RX_SINCE(port, i, bytes));
		APIR_ETH_QSTATS_SET(stats, q_errors, i, RX_SINCE(port, i, errors));
	}
	for (i = 0; i < dev->data->nb_tx_queues; i++) {
		APIR_ETH_QSTATS_SET(stats, q_opackets, i, TX_SINCE(port, i, packets));
		APIR_ETH_QSTATS_SET(stats, q_obytes, i, TX_SINCE(port, i, bytes));
	}
	return 0;
}

int
apir_stats_reset(struct rte_eth_dev *dev)
{
	struct apir_port *port = apir_port_of(dev);
	struct apir_stats_base *base = port->base;
	uint16_t i;

	memset(base, 0, sizeof(*base));
	sum_up(port, &base->port, true);
	for (i = 0; i < port->max_queues; i++)
		add(base->rx[i], rx_ctrs(port, i), NB_RX_CTRS);
	for (i = 0; i < RTE_DIM(port->txqs); i++)
		if (tx_ctrs(port, i) != NULL)
			add(base->tx[i], tx_ctrs(port, i), NB_TX_CTRS);
	return 0;
}

static unsigned int
nb_xstats(const struct rte_eth_dev *dev)
{
	return NB_PORT_XSTATS + dev->data->nb_rx_queues * RTE_DIM(rxq_xstats) +
	       dev->data->nb_tx_queues * RTE_DIM(txq_xstats);
}

int
apir_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names, unsigned int n)
{
	const unsigned int nb = nb_xstats(dev);
	unsigned int i, k, at = 0;

	if (names == NULL || n < nb)
		return (int)nb;
	for (i = 0; i < RTE_DIM(port_xstats); i++)
		snprintf(names[at++].name, sizeof(names->name), "%s", port_xstats[i].name);
	snprintf(names[at++].name, sizeof(names->name), "%s", AVERAGE_NAME);
	for (i = 0; i < dev->data->nb_rx_queues; i++)
		for (k = 0; k < RTE_DIM(rxq_xstats); k++)
			snprintf(names[at++].name, sizeof(names->name), "rx_q%u_%s", i,
				 rxq_xstats[k].name);
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		for (k = 0; k < RTE_DIM(txq_xstats); k++)
			snprintf(names[at++].name, sizeof(names->name), "tx_q%u_%s", i,
				 txq_xstats[k].name);
	return (int)nb;
}

int
apir_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int n)
{
	const struct apir_port *port = apir_port_of(dev);
	const unsigned int nb = nb_xstats(dev);
	unsigned int i, k, at = 0;
	struct port_sums s;

	if (xstats == NULL || n < nb)
		return (int)nb;
	sum_since_reset(port, &s, true);
	for (i = 0; i < RTE_DIM(port_xstats); i++)
		xstats[at++].value = *(uint64_t *)((char *)&s + port_xstats[i].offset);
	xstats[at++].value = s.enq_bursts == 0 ? 0 : s.enq_pkts / s.enq_bursts;
	for (i = 0; i < dev->data->nb_rx_queues; i++)
		for (k = 0; k < RTE_DIM(rxq_xstats); k++)
			xstats[at++].value = ctr_since(rx_ctrs(port, i), rxq_xstats[k].offset,
						       port->base->rx[i]);
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		for (k = 0; k < RTE_DIM(txq_xstats); k++)
			xstats[at++].value = ctr_since(tx_ctrs(port, i), txq_xstats[k].offset,
						       port->base->tx[i]);
	for (i = 0; i < nb; i++)
		xstats[i].id = i;
	return (int)nb;
}
