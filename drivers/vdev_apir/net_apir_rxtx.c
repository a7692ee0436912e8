/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#define RXTX_VLAN false
#define RX_BURST  apir_rx_burst
#define TX_BURST  apir_tx_burst
#include "net_apir_rxtx.h"

bool
apir_qp_drain(struct apir_qp *qp)
{
	struct rte_apir_verdict v[RX_CHUNK];
	struct rte_mbuf *pkts[RX_CHUNK];
	uint16_t n, i;
	bool empty;

	rte_spinlock_lock(&qp->tx_lock);
	rte_apir_submit(qp->dev_id, qp->qp_id);
	rte_spinlock_unlock(&qp->tx_lock);
	rte_spinlock_lock(&qp->rx_lock);
	while ((n = rte_apir_dequeue_burst(qp->dev_id, qp->qp_id, pkts, v, RX_CHUNK)) > 0) {
		for (i = 0; i < n; i++) {
			if (v[i].action == RTE_APIR_ACTION_FORWARD)
				apir_ctr_add(&qp->ctrs.unpolled, 1);
			else
				rx_refuse(qp, &v[i]);
		}
		rte_pktmbuf_free_bulk(pkts, n);
	}
	qp->waiting_since = 0;
	empty = rte_apir_in_flight(qp->dev_id, qp->qp_id) == 0 &&
		rte_apir_gathered(qp->dev_id, qp->qp_id) == 0;
	rte_spinlock_unlock(&qp->rx_lock);
	return empty;
}

void
apir_qp_shut(struct apir_qp *qp)
{
	atomic_store_explicit(&qp->pipeline, APIR_NO_PIPELINE, memory_order_relaxed);
	rte_spinlock_lock(&qp->tx_lock);
	rte_spinlock_unlock(&qp->tx_lock);
}
