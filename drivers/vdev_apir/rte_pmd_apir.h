/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef RTE_PMD_APIR_H
#define RTE_PMD_APIR_H

/**
 * @file rte_pmd_apir.h
 *
 * What the PMD net_apir tells an application beyond ethdev: the verdict that a kernel gave to a
 * received packet.
 *
 * It lies in a dynamic field of the mbuf, which the PMD registers when the first port with kernel=
 * is probed:
 *
 * @code
 *   int offset = rte_pmd_apir_verdict_offset();    // once, after the ports are probed
 *   ...
 *   n = rte_eth_rx_burst(port, queue, pkts, 32);
 *   out = rte_pmd_apir_verdict(pkts[0], offset)->port;
 * @endcode
 *
 * An application need not link to the PMD. One that cannot be changed reads the port as a VLAN tag:
 * verdict_vlan=, with which the field is the same.
 */

#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Name of the dynamic field. */
#define RTE_PMD_APIR_DYNFIELD_NAME "rte_apir_dynfield_port"

/** Content of the dynamic field; valid in packets received from a net_apir port with kernel=. */
struct rte_pmd_apir_verdict {
	uint16_t port;	   /**< as in apir_forward(i, port); 0 if the kernel gave no verdict */
	uint16_t reserved; /**< 0 */
	uint32_t meta;	   /**< as in apir_forward_meta(i, port, meta) */
};

/**
 * Offset of the field in struct rte_mbuf, or -1 (rte_errno ENOENT) when no port with kernel= was
 * probed.
 */
static inline int
rte_pmd_apir_verdict_offset(void)
{
	return rte_mbuf_dynfield_lookup(RTE_PMD_APIR_DYNFIELD_NAME, NULL);
}

/** The field in a packet. offset: of rte_pmd_apir_verdict_offset(), not negative. */
static inline struct rte_pmd_apir_verdict *
rte_pmd_apir_verdict(struct rte_mbuf *pkt, int offset)
{
	return RTE_MBUF_DYNFIELD(pkt, offset, struct rte_pmd_apir_verdict *);
}

#ifdef __cplusplus
}
#endif

#endif /* RTE_PMD_APIR_H */
