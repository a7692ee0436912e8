/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/**
 * @file
 * The bursts of a port with verdict_vlan=.
 */

#define RXTX_VLAN true
#define RX_BURST  apir_rx_burst_vlan
#define TX_BURST  apir_tx_burst_vlan
#include "net_apir_rxtx.h"

void
apir_vlan_refuse(struct apir_qp *qp, const struct rte_mbuf *m, const struct rte_apir_verdict *v,
		 bool in_range)
{
	apir_ctr *ctr = in_range ? &qp->ctrs.vlan_untaggable : &qp->ctrs.vlan_range;

	apir_ctr_add(ctr, 1);
	if (apir_ctr_get(ctr) != 1)
		return;
	if (in_range)
		APIR_PORT_LOG(
			qp->port, ERR,
			"rx queue %u: a packet takes no tag and is dropped: headroom %u, first "
			"segment %u bytes, references %u (logged once; xstat "
			"rx_vlan_untaggable_dropped counts)",
			qp->qp_id, m->data_off, m->data_len, rte_mbuf_refcnt_read(m));
	else
		APIR_PORT_LOG(
			qp->port, ERR,
			"rx queue %u: port verdict %u has no VLAN with verdict_vlan=%u, the "
			"largest is %u: dropped (logged once; xstat rx_vlan_range_dropped counts)",
			qp->qp_id, v->port, qp->verdict_vlan, APIR_VLAN_MAX_VID - qp->verdict_vlan);
}
