/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_devargs.h>
#include <rte_lcore.h>

#include "capture.h"
#include "ports.h"
#include "worker.h"

/* mbufs an lcore keeps for itself. */
#define POOL_CACHE 256

/* Captures that net_pcap reads must be whole. */
static int
check_captures(char *err, size_t err_len)
{
	struct rte_devargs *da;

	RTE_EAL_DEVARGS_FOREACH("vdev", da)
	{
		if (strncmp(da->name, "net_pcap", 8) == 0 && da->args != NULL &&
		    capture_check_devargs(da->args, err, err_len) != 0)
			return -1;
	}
	return 0;
}

static int
count_queues(struct app *app, char *err, size_t err_len)
{
	const struct options *opt = &app->opt;
	unsigned int i;

	for (i = 0; i < opt->nb_rx; i++) {
		const struct rx_queue *q = &opt->rx[i];

		if (!app->ports[q->port].enabled) {
			snprintf(err, err_len,
				 "--config: there is no port %u, or it is not in the port mask",
				 q->port);
			return -1;
		}
		app->ports[q->port].nb_rxq = RTE_MAX(app->ports[q->port].nb_rxq, q->queue + 1);
	}
	for (i = 0; i < opt->nb_rx; i++) {
		unsigned int j, nb = 0;

		for (j = 0; j < opt->nb_rx; j++)
			nb += opt->rx[j].port == opt->rx[i].port;
		if (nb != app->ports[opt->rx[i].port].nb_rxq) {
			snprintf(err, err_len,
				 "--config: the queues of port %u must be 0, 1, 2 and so on, with "
				 "no gap",
				 opt->rx[i].port);
			return -1;
		}
	}
	return 0;
}

int
ports_find(struct app *app, char *err, size_t err_len)
{
	struct options *opt = &app->opt;
	uint64_t there = 0;
	uint16_t port;

	if (check_captures(err, err_len) != 0)
		return -1;
	RTE_ETH_FOREACH_DEV(port) {
		there |= UINT64_C(1) << port;
	}
	if (there == 0) {
		snprintf(err, err_len,
			 "EAL has found no port: name one with --vdev=net_... or -a PCI-ADDRESS, "
			 "before '--'");
		return -1;
	}
	if (opt->port_mask == 0)
		opt->port_mask = there;
	if ((opt->port_mask & ~there) != 0) {
		snprintf(err, err_len, "-p %" PRIx64 ": port %d is not there; there are %x",
			 opt->port_mask, __builtin_ctzll(opt->port_mask & ~there),
			 (unsigned int)there);
		return -1;
	}
	for (port = 0; port < MAX_PORTS; port++) {
		struct port *p = &app->ports[port];

		p->enabled = (opt->port_mask >> port & 1) != 0;
		if (p->enabled && rte_eth_dev_get_name_by_port(port, p->name) != 0)
			snprintf(p->name, sizeof(p->name), "port%u", port);
	}
	if (opt->nb_rx == 0) {
		for (port = 0; port < MAX_PORTS; port++)
			if (app->ports[port].enabled)
				opt->rx[opt->nb_rx++] =
					(struct rx_queue){port, 0, rte_get_main_lcore()};
	}
	return count_queues(app, err, err_len);
}

static int
create_pool(struct app *app, char *err, size_t err_len)
{
	const struct options *opt = &app->opt;
	unsigned int nb = 0;
	uint16_t port;

	/* All that can hold packets at once: rings, bursts in flight and pending, tx buffers, lcore caches. */
	for (port = 0; port < MAX_PORTS; port++)
		if (app->ports[port].enabled)
			nb += app->ports[port].nb_rxq * opt->rx_descs +
			      app->ports[port].nb_txq * opt->tx_descs;
	nb += app->nb_workers * ((opt->cpu ? 1 : opt->in_flight + 1) * opt->burst +
				 MAX_PORTS * TX_BURST + 2 * POOL_CACHE);
	app->pool = rte_pktmbuf_pool_create("l3fwd", nb, POOL_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					    SOCKET_ID_ANY);
	if (app->pool == NULL) {
		snprintf(err, err_len,
			 "no memory for %u packets (%u MiB): more hugepages, a smaller --burst, "
			 "--in-flight or --rx-queue-size",
			 nb, (unsigned int)((uint64_t)nb * 2400 >> 20));
		return -1;
	}
	return 0;
}

static int
check_limits(uint16_t port, const struct port *p, const struct rte_eth_dev_info *info, char *err,
	     size_t err_len)
{
	if (p->nb_rxq > info->max_rx_queues) {
		snprintf(err, err_len, "port %u (%s) has %u rx queues, and --config wants %u", port,
			 p->name, info->max_rx_queues, p->nb_rxq);
		return -1;
	}
	if (info->max_tx_queues == 0) {
		snprintf(err, err_len, "port %u (%s) has no tx queue", port, p->name);
		return -1;
	}
	return 0;
}

static int
configure(struct app *app, uint16_t port, char *err, size_t err_len)
{
	const struct options *opt = &app->opt;
	struct port *p = &app->ports[port];
	uint16_t rxd = opt->rx_descs, txd = opt->tx_descs, q;
	const uint32_t mtu = opt->max_pkt_len - RTE_ETHER_HDR_LEN;
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	const char *what;
	int ret;

	memset(&conf, 0, sizeof(conf));
	what = "cannot be asked";
	ret = rte_eth_dev_info_get(port, &info);
	if (ret != 0)
		goto fail;
	if (check_limits(port, p, &info, err, err_len) != 0)
		return -1;
	conf.rxmode.mtu = mtu;
	if (mtu > RTE_MBUF_DEFAULT_DATAROOM - RTE_ETHER_HDR_LEN)
		conf.rxmode.offloads |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	conf.txmode.offloads |= info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (p->nb_rxq > 1) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IP & info.flow_type_rss_offloads;
		if (conf.rx_adv_conf.rss_conf.rss_hf == 0)
			conf.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
	}
	what = "refuses its configuration (--max-pkt-len, --config)";
	ret = rte_eth_dev_configure(port, p->nb_rxq, p->nb_txq, &conf);
	if (ret == 0)
		ret = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rxd, &txd);
	for (q = 0; ret == 0 && q < p->nb_rxq; q++)
		ret = rte_eth_rx_queue_setup(port, q, rxd, rte_eth_dev_socket_id(port), NULL,
					     app->pool);
	for (q = 0; ret == 0 && q < p->nb_txq; q++)
		ret = rte_eth_tx_queue_setup(port, q, txd, rte_eth_dev_socket_id(port), NULL);
	if (ret != 0)
		goto fail;
	what = "does not start";
	ret = rte_eth_dev_start(port);
	if (ret != 0)
		goto fail;
	p->started = true;
	if (opt->promiscuous) {
		what = "has no promiscuous mode";
		ret = rte_eth_promiscuous_enable(port);
		if (ret != 0)
			goto fail;
	}
	return 0;
fail:
	snprintf(err, err_len, "port %u (%s) %s: %s", port, p->name, what, rte_strerror(-ret));
	return -1;
}

static int
fill_table(struct app *app, uint16_t port, char *err, size_t err_len)
{
	struct l3fwd_port *t = &app->port_table[port];
	struct rte_ether_addr mac;
	uint16_t mtu;

	if (rte_eth_macaddr_get(port, &mac) != 0 || rte_eth_dev_get_mtu(port, &mtu) != 0) {
		snprintf(err, err_len, "port %u (%s) does not tell its address or MTU", port,
			 app->ports[port].name);
		return -1;
	}
	memcpy(t->mac, &app->opt.eth_dest[port], RTE_ETHER_ADDR_LEN);
	memcpy((uint8_t *)t->mac + RTE_ETHER_ADDR_LEN, &mac, RTE_ETHER_ADDR_LEN);
	t->mtu = mtu;
	return 0;
}

/* One tx queue a worker; where the port has fewer, workers share them under locks. */
static int
assign_tx_queues(struct app *app, uint16_t port, char *err, size_t err_len)
{
	struct port *p = &app->ports[port];
	struct rte_eth_dev_info info;
	unsigned int i;
	int ret;

	ret = rte_eth_dev_info_get(port, &info);
	if (ret != 0) {
		snprintf(err, err_len, "port %u (%s) cannot be asked: %s", port, p->name,
			 rte_strerror(-ret));
		return -1;
	}
	p->nb_txq = RTE_MIN(app->nb_workers, RTE_MAX(info.max_tx_queues, 1u));
	for (i = 0; i < app->nb_workers; i++)
		app->workers[i].txq[port] = i % p->nb_txq;
	if (p->nb_txq == app->nb_workers)
		return 0;
	p->tx_locks = calloc(p->nb_txq, sizeof(*p->tx_locks));
	if (p->tx_locks == NULL) {
		snprintf(err, err_len, "out of memory");
		return -1;
	}
	for (i = 0; i < p->nb_txq; i++)
		rte_spinlock_init(&p->tx_locks[i]);
	return 0;
}

int
ports_start(struct app *app, char *err, size_t err_len)
{
	uint16_t port;

	for (port = 0; port < MAX_PORTS; port++)
		if (app->ports[port].enabled && assign_tx_queues(app, port, err, err_len) != 0)
			return -1;
	if (create_pool(app, err, err_len) != 0)
		return -1;
	for (port = 0; port < MAX_PORTS; port++) {
		struct rte_ether_addr mac;
		char text[RTE_ETHER_ADDR_FMT_SIZE];

		if (!app->ports[port].enabled)
			continue;
		if (configure(app, port, err, err_len) != 0 ||
		    fill_table(app, port, err, err_len) != 0)
			return -1;
		rte_eth_macaddr_get(port, &mac);
		rte_ether_format_addr(text, sizeof(text), &mac);
		say("port %u: %s, %s, MTU %u", port, app->ports[port].name, text,
		    app->port_table[port].mtu);
	}
	return 0;
}

void
ports_stop(struct app *app)
{
	uint16_t port;

	for (port = 0; port < MAX_PORTS; port++) {
		struct port *p = &app->ports[port];

		if (!p->enabled)
			continue;
		if (p->started)
			rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
		free(p->tx_locks);
		p->tx_locks = NULL;
	}
}
