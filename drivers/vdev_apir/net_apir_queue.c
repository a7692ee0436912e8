/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>

#include <rte_malloc.h>

#include "net_apir.h"

/*
 * Packets come back in the sender's mbufs; only copies are made in this pool, in as many segments
 * as they need.
 */
static int
check_buffers(const struct apir_port *port, struct rte_mempool *pool, uint32_t mtu)
{
	const uint32_t room = rte_pktmbuf_data_room_size(pool);
	const uint32_t need = RTE_PKTMBUF_HEADROOM + mtu + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;

	if (port->data->scattered_rx || room >= need)
		return 0;
	APIR_PORT_LOG(
		port, ERR,
		"MTU %u needs a data room of %u bytes, mempool %s has %u: use larger mbufs or "
		"turn on the rx offload scatter",
		mtu, need, pool->name, room);
	return -EINVAL;
}

int
apir_rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc __rte_unused,
		    unsigned int socket_id __rte_unused,
		    const struct rte_eth_rxconf *conf __rte_unused, struct rte_mempool *pool)
{
	struct apir_port *port = apir_port_of(dev);
	struct apir_qp *qp = &port->qps[id];
	int ret;

	ret = check_buffers(port, pool, dev->data->mtu);
	if (ret != 0)
		return ret;
	qp->pool = pool;
	dev->data->rx_queues[id] = qp;
	return 0;
}

void
apir_rx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	struct apir_qp *qp = dev->data->rx_queues[id];

	if (qp != NULL)
		qp->pool = NULL;
	dev->data->rx_queues[id] = NULL;
}

int
apir_tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc, unsigned int socket_id,
		    const struct rte_eth_txconf *conf __rte_unused)
{
	struct apir_port *port = apir_port_of(dev);
	struct apir_txq *txq = port->txqs[id];

	if (txq == NULL)
		txq = rte_zmalloc_socket("net_apir_txq", sizeof(*txq), RTE_CACHE_LINE_SIZE,
					 (int)socket_id);
	if (txq == NULL) {
		APIR_PORT_LOG(port, ERR, "no memory for tx queue %u", id);
		return -ENOMEM;
	}
	txq->nb_desc = nb_desc;
	port->txqs[id] = txq;
	dev->data->tx_queues[id] = txq;
	return 0;
}

void
apir_tx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	dev->data->tx_queues[id] = NULL;
}

void
apir_rxq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_rxq_info *info)
{
	const struct apir_port *port = apir_port_of(dev);

	info->mp = port->qps[id].pool;
	info->scattered_rx = dev->data->scattered_rx;
	info->nb_desc = (uint16_t)RTE_MIN(port->info.nb_bursts * port->info.max_burst, UINT16_MAX);
	info->conf.offloads = dev->data->dev_conf.rxmode.offloads;
}

void
apir_txq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_txq_info *info)
{
	const struct apir_txq *txq = dev->data->tx_queues[id];

	info->nb_desc = txq->nb_desc;
	info->conf.offloads = dev->data->dev_conf.txmode.offloads;
}

int
apir_mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
	struct apir_port *port = apir_port_of(dev);
	uint16_t i;
	int ret;

	for (i = 0; i < dev->data->nb_rx_queues; i++) {
		if (dev->data->rx_queues == NULL || dev->data->rx_queues[i] == NULL)
			continue;
		ret = check_buffers(port, port->qps[i].pool, mtu);
		if (ret != 0)
			return ret;
	}
	return 0;
}
