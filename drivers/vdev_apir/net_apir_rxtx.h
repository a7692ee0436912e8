/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef NET_APIR_RXTX_H
#define NET_APIR_RXTX_H

/**
 * @file
 * The data path. It is compiled twice: net_apir_rxtx.c and net_apir_vlan.c define what the bursts
 * are called and whether they push tags. So a packet is asked about a tag only with verdict_vlan=,
 * and without it the code is what it would be if there were no tags.
 */

#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_prefetch.h>

#include "net_apir.h"
#include "net_apir_vlan.h"
#include "rte_pmd_apir.h"

/** Packets dequeued at once: their verdicts lie on the stack. */
#define RX_CHUNK 64
/** Fruitless polls between two looks at the clock. */
#define POLLS_PER_CLOCK 64
#define PREFETCH_AHEAD	4
/** Whose data is fetched, where a tag is pushed. Nearer, since the mbuf must have come by then. */
#define PREFETCH_DATA 2

/* Several segments, or an external buffer, or little headroom, or shared. */
static bool
in_place_slow(const struct rte_mbuf *m)
{
	if (RTE_MBUF_DIRECT(m) && m->data_off < APIR_MIN_HEADROOM)
		return false;
	for (; m != NULL; m = m->next) {
		if (rte_mbuf_refcnt_read(m) != 1 || RTE_MBUF_CLONED(m))
			return false;
		if (RTE_MBUF_HAS_EXTBUF(m) && rte_mbuf_ext_refcnt_read(m->shinfo) != 1)
			return false;
	}
	return true;
}

/*
 * May the kernel write to this packet where it lies? Whether its memory is shared is seen by
 * rte_apir_gather().
 */
static inline bool
in_place(const struct rte_mbuf *m)
{
	if (RXTX_VLAN && unlikely(!apir_vlan_fits(m, APIR_MIN_HEADROOM)))
		return false;
	if (likely(m->nb_segs == 1 && rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m) &&
		   m->data_off >= APIR_MIN_HEADROOM))
		return true;
	return in_place_slow(m);
}

/**
 * Send a copy of m, which must not be written to or is out of the back-end's sight.
 *
 * @return true: m is dealt with, sent or dropped; false: no room now, m stays with the application
 */
static bool
tx_copy(struct apir_txq *txq, uint32_t pipeline, struct rte_mbuf *m)
{
	struct apir_qp *qp = txq->qp;
	const uint32_t len = m->pkt_len;
	struct rte_mbuf *copy;

	copy = rte_pktmbuf_copy(m, qp->pool, 0, UINT32_MAX);
	if (copy == NULL) {
		apir_ctr_add(len == 0 ? &txq->ctrs.invalid : &txq->ctrs.nomem, 1);
		rte_pktmbuf_free(m);
		return true;
	}
	if (rte_apir_gather(qp->dev_id, qp->qp_id, pipeline, &copy, 1) == 1) {
		apir_ctr_add(&txq->ctrs.copied, 1);
		apir_ctr_add(&txq->ctrs.copied_bytes, len);
		apir_ctr_add(&txq->ctrs.packets, 1);
		apir_ctr_add(&txq->ctrs.bytes, len);
		rte_pktmbuf_free(m);
		return true;
	}
	rte_pktmbuf_free(copy);
	if (rte_errno == EAGAIN || rte_errno == ENODEV)
		return false;
	apir_ctr_add(&txq->ctrs.invalid, 1);
	rte_pktmbuf_free(m);
	return true;
}

/*
 * Sends the packets at the start of pkts that go in place. *stuck: the one after them has to be
 * copied.
 */
static inline uint16_t
tx_in_place(struct apir_txq *txq, uint32_t pipeline, struct rte_mbuf **pkts, uint16_t nb_pkts,
	    bool *stuck)
{
	struct apir_qp *qp = txq->qp;
	uint64_t bytes = 0;
	uint16_t run, taken, i;

	/*
	 * Lengths are summed first: a packet that is taken may be back and freed by the poller at
	 * once.
	 */
	for (run = 0; run < nb_pkts && in_place(pkts[run]); run++)
		bytes += pkts[run]->pkt_len;
	*stuck = run < nb_pkts;
	if (run == 0)
		return 0;
	taken = rte_apir_gather(qp->dev_id, qp->qp_id, pipeline, pkts, run);
	if (unlikely(taken < run)) {
		*stuck = rte_errno != EAGAIN && rte_errno != ENODEV;
		for (i = taken; i < run; i++)
			bytes -= pkts[i]->pkt_len;
	}
	apir_ctr_add(&txq->ctrs.packets, taken);
	apir_ctr_add(&txq->ctrs.bytes, bytes);
	return taken;
}

uint16_t
TX_BURST(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct apir_txq *txq = queue;
	struct apir_qp *qp = txq->qp;
	uint32_t pipeline;
	uint16_t done = 0;
	bool stuck;

	/* Seen before the lock too, so that nobody waits for the link thread. */
	if (unlikely(atomic_load_explicit(&qp->pipeline, memory_order_relaxed) == APIR_NO_PIPELINE))
		return 0;
	rte_spinlock_lock(&qp->tx_lock);
	pipeline = atomic_load_explicit(&qp->pipeline, memory_order_relaxed);
	while (done < nb_pkts && pipeline != APIR_NO_PIPELINE) {
		done += tx_in_place(txq, pipeline, pkts + done, nb_pkts - done, &stuck);
		if (done == nb_pkts)
			break;
		if (!stuck || !tx_copy(txq, pipeline, pkts[done])) {
			apir_ctr_add(&txq->ctrs.ring_full, nb_pkts - done);
			break;
		}
		done++;
	}
	/*
	 * Self-clocking: an idle back-end gets what there is; a busy one finds a fuller burst when
	 * it is through.
	 */
	if (rte_apir_in_flight(qp->dev_id, qp->qp_id) == 0)
		rte_apir_submit(qp->dev_id, qp->qp_id);
	rte_spinlock_unlock(&qp->tx_lock);
	return done;
}

/*
 * An application sees what a NIC would have given it: nothing of what the packet was on its way
 * here.
 */
static inline void
rx_fresh(const struct apir_qp *qp, struct rte_mbuf *m, const struct rte_apir_verdict *v)
{
	m->port = qp->port_id;
	m->ol_flags &= RTE_MBUF_F_EXTERNAL;
	m->packet_type = 0;
	m->vlan_tci = 0;
	m->vlan_tci_outer = 0;
	if (qp->verdict_offset >= 0)
		*rte_pmd_apir_verdict(m, qp->verdict_offset) = (struct rte_pmd_apir_verdict){
			.port = v->port,
			.meta = v->meta,
		};
}

/* Counts a packet that is not handed on. */
static void
rx_refuse(struct apir_qp *qp, const struct rte_apir_verdict *v)
{
	uint64_t bit;

	if (v->action != RTE_APIR_ACTION_ERROR) {
		apir_ctr_add(&qp->ctrs.dropped, 1);
		apir_ctr_add(v->port < APIR_NB_REASONS ? &qp->ctrs.reason[v->port]
						       : &qp->ctrs.reason_other,
			     1);
		return;
	}
	apir_ctr_add(&qp->ctrs.errors, 1);
	bit = UINT64_C(1) << RTE_MIN(v->port, 63);
	if ((qp->status_seen & bit) == 0) {
		qp->status_seen |= bit;
		APIR_PORT_LOG(qp->port, ERR,
			      "packets of rx queue %u failed at the back-end: %s (logged once; "
			      "xstat rx_backend_errors counts)",
			      qp->qp_id, rte_apir_status_str(v->port));
	}
}

/* Pushes the tag of the verdict. False: it cannot be, the packet is counted and must be freed. */
static inline bool
rx_tag(struct apir_qp *qp, struct rte_mbuf *m, const struct rte_apir_verdict *v)
{
	const uint32_t vid = (uint32_t)qp->verdict_vlan + v->port;
	const bool in_range = vid <= APIR_VLAN_MAX_VID;

	if (likely(in_range && apir_vlan_push(m, (uint16_t)vid)))
		return true;
	apir_vlan_refuse(qp, m, v, in_range);
	return false;
}

/* Keeps the packets to be handed on, in order, and frees the others. Returns how many are kept. */
static inline uint16_t
rx_sort(struct apir_qp *qp, struct rte_mbuf **pkts, const struct rte_apir_verdict *v, uint16_t nb)
{
	struct rte_mbuf *gone[RX_CHUNK];
	unsigned int nb_gone = 0;
	uint64_t bytes = 0;
	uint16_t i, kept = 0;

	for (i = 0; i < nb; i++) {
		struct rte_mbuf *m = pkts[i];

		if (i + PREFETCH_AHEAD < nb)
			rte_prefetch0(pkts[i + PREFETCH_AHEAD]);
		if (RXTX_VLAN && i + PREFETCH_DATA < nb)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + PREFETCH_DATA], void *));
		if (likely(v[i].action == RTE_APIR_ACTION_FORWARD)) {
			if (RXTX_VLAN && unlikely(!rx_tag(qp, m, &v[i]))) {
				gone[nb_gone++] = m;
				continue;
			}
			rx_fresh(qp, m, &v[i]);
			bytes += m->pkt_len;
			pkts[kept++] = m;
		} else {
			rx_refuse(qp, &v[i]);
			gone[nb_gone++] = m;
		}
	}
	if (nb_gone > 0)
		rte_pktmbuf_free_bulk(gone, nb_gone);
	apir_ctr_add(&qp->ctrs.packets, kept);
	apir_ctr_add(&qp->ctrs.bytes, bytes);
	return kept;
}

/* Nothing came though something is in flight: from time to time, see for how long. */
static void
rx_check_clock(struct apir_qp *qp)
{
	uint64_t now;

	if (++qp->idle_polls < POLLS_PER_CLOCK)
		return;
	qp->idle_polls = 0;
	now = rte_get_tsc_cycles();
	if (qp->waiting_since == 0)
		qp->waiting_since = now;
	else if (now - qp->waiting_since > qp->timeout_cycles)
		apir_link_overdue(qp);
}

/*
 * After a poll: a gathered burst must not wait for company when nothing is in flight that would
 * bring it.
 */
static inline void
rx_kick(struct apir_qp *qp, bool got)
{
	if (rte_apir_in_flight(qp->dev_id, qp->qp_id) != 0) {
		if (got)
			qp->waiting_since = 0;
		else if (qp->timeout_cycles != 0)
			rx_check_clock(qp);
		return;
	}
	qp->waiting_since = 0;
	if (rte_apir_gathered(qp->dev_id, qp->qp_id) == 0 || !rte_spinlock_trylock(&qp->tx_lock))
		return;
	rte_apir_submit(qp->dev_id, qp->qp_id);
	rte_spinlock_unlock(&qp->tx_lock);
}

uint16_t
RX_BURST(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct rte_apir_verdict v[RX_CHUNK];
	struct apir_qp *qp = queue;
	uint16_t seen = 0, kept = 0, want, n;

	if (!rte_spinlock_trylock(&qp->rx_lock))
		return 0;
	while (seen < nb_pkts) {
		want = RTE_MIN(nb_pkts - seen, RX_CHUNK);
		n = rte_apir_dequeue_burst(qp->dev_id, qp->qp_id, pkts + kept, v, want);
		seen += n;
		kept += rx_sort(qp, pkts + kept, v, n);
		if (n < want)
			break;
	}
	rx_kick(qp, seen > 0);
	rte_spinlock_unlock(&qp->rx_lock);
	return kept;
}

#endif /* NET_APIR_RXTX_H */
