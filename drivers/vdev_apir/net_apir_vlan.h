/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef NET_APIR_VLAN_H
#define NET_APIR_VLAN_H

/**
 * @file
 * verdict_vlan=: the port verdict as an 802.1Q tag in the packet's bytes.
 *
 * In the bytes, not in mbuf->vlan_tci with RTE_MBUF_F_RX_VLAN_STRIPPED: Open vSwitch reads neither
 * flag nor field, it parses the packet. Outermost and with EtherType 0x8100, whatever tags the
 * packet has, so that dl_vlan matches it and strip_vlan gives the packet back. Priority and DEI are
 * 0. The meta word is not in it: 12 bits are all there are.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "net_apir.h"

/** Largest VID: 4095 is reserved. */
#define APIR_VLAN_MAX_VID 4094

/**
 * What apir_vlan_push() will ask of a packet, asked before it is sent, when it can still be copied:
 * a buffer of its own (before the data of an external one may lie what is its owner's), the
 * addresses in the first segment, and a headroom that leaves min_headroom.
 */
static inline bool
apir_vlan_fits(const struct rte_mbuf *m, uint16_t min_headroom)
{
	return RTE_MBUF_DIRECT(m) && m->data_off >= min_headroom + RTE_VLAN_HLEN &&
	       (m->data_len >= 2 * RTE_ETHER_ADDR_LEN || m->nb_segs == 1);
}

/**
 * Push a tag, as rte_vlan_insert() would, without its call of memmove(). The mbuf grows by 4 bytes
 * out of its headroom.
 *
 * @return false: the mbuf is shared, or not direct, or has too little headroom, or its first segment
 * is shorter than the addresses; nothing has been touched
 */
static inline bool
apir_vlan_push(struct rte_mbuf *m, uint16_t vid)
{
	const rte_be32_t tag = rte_cpu_to_be_32((uint32_t)RTE_ETHER_TYPE_VLAN << 16 | vid);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	uint64_t head;
	uint32_t tail;

	if (unlikely(!RTE_MBUF_DIRECT(m) || rte_mbuf_refcnt_read(m) != 1 ||
		     m->data_off < RTE_VLAN_HLEN || m->data_len < 2 * RTE_ETHER_ADDR_LEN))
		return false;
	/* both loaded before anything is stored: they overlap */
	memcpy(&head, p, sizeof(head));
	memcpy(&tail, p + sizeof(head), sizeof(tail));
	p -= RTE_VLAN_HLEN;
	memcpy(p, &head, sizeof(head));
	memcpy(p + sizeof(head), &tail, sizeof(tail));
	memcpy(p + 2 * RTE_ETHER_ADDR_LEN, &tag, sizeof(tag));
	m->data_off -= RTE_VLAN_HLEN;
	m->data_len += RTE_VLAN_HLEN;
	m->pkt_len += RTE_VLAN_HLEN;
	/* lengths of headers that are no more; OVS lets what has a tso_segsz be longer than the MTU */
	m->tx_offload = 0;
	return true;
}

/**
 * Count, and log the first time, a packet that gets no tag and must be freed. in_range: its verdict
 * has a VID.
 */
void apir_vlan_refuse(struct apir_qp *qp, const struct rte_mbuf *m,
		      const struct rte_apir_verdict *v, bool in_range);

#endif /* NET_APIR_VLAN_H */
