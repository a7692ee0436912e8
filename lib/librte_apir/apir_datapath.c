/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_errno.h>
#include <rte_prefetch.h>

#include "apir_private.h"

#define MBUFS_AHEAD    16 /* packets */
#define TABLE_AHEAD    32 /* entries of the indirect table */
#define VERDICTS_BLOCK 64

/* What became of one packet: a reason to stop, as a positive errno, or one of these. */
#define ADDED 0
#define FULL  (-1)

static inline struct apir_qp *
find_qp(uint16_t dev_id, uint16_t qp_id)
{
	if (unlikely(dev_id >= RTE_APIR_MAX_DEVS || qp_id >= APIR_MAX_DATA_QUEUES))
		return NULL;
	return atomic_load_explicit(&apir_devs[dev_id].qps[qp_id], memory_order_acquire);
}

/* Enqueue side ------------------------------------------------------------ */

/* The guest address of a segment's data: its virtual one over vhost-user, its physical one on PCI. */
static inline uintptr_t
seg_addr(const struct rte_mbuf *m, uint16_t addr_field)
{
	uintptr_t base;

	memcpy(&base, (const char *)m + addr_field, sizeof(base));
	return base + m->data_off;
}

static bool
search_ranges(struct apir_qp *qp, uintptr_t addr, uint32_t len)
{
	uint8_t i;

	for (i = 0; i < APIR_MEM_MAX_REGIONS; i++) {
		if (apir_span_has(&qp->ranges.r[i], addr, len)) {
			qp->hit = i;
			return true;
		}
	}
	return false;
}

/* Not in the range of the last segment: another range, or memory that is new to the device. */
static bool __attribute__((noinline)) find_range(struct apir_qp *qp, uintptr_t addr, uint32_t len)
{
	if (search_ranges(qp, addr, len))
		return true;
	apir_memory_refresh(qp->dev, addr);
	if (atomic_load_explicit(&qp->dev->mem.gen, memory_order_acquire) == qp->mem_gen)
		return false;
	qp->mem_gen = apir_mem_table_read(&qp->dev->mem, &qp->ranges);
	return search_ranges(qp, addr, len);
}

static inline bool
is_shared(struct apir_qp *qp, uintptr_t addr, uint32_t len)
{
	return likely(apir_span_has(&qp->ranges.r[qp->hit], addr, len)) ||
	       find_range(qp, addr, len);
}

static inline bool
open_burst(struct apir_qp *qp, uint32_t pipeline)
{
	const uint16_t n = atomic_load_explicit(&qp->submitted, memory_order_relaxed) & qp->mask;

	qp->slot = apir_vq_open_slot(qp->vq);
	if (unlikely(qp->slot == NULL))
		return false;
	qp->mbufs = &qp->slot_mbufs[(uint32_t)n * qp->max_burst];
	qp->pipeline = pipeline;
	qp->multi = false;
	qp->nb_pkts = 0;
	qp->nb_segs = 0;
	return true;
}

static void
submit_burst(struct apir_qp *qp)
{
	const uint16_t n = atomic_load_explicit(&qp->submitted, memory_order_relaxed);
	struct apir_burst_req *req = qp->slot->req;
	const uint64_t kicks = qp->vq->kicks;

	*req = (struct apir_burst_req){.pipeline = qp->pipeline,
				       .nb_pkts = qp->nb_pkts,
				       .nb_segs = qp->nb_segs,
				       .flags = qp->multi ? APIR_BURST_F_SEGS : 0};
	qp->slot_pkts[n & qp->mask] = qp->nb_pkts;
	apir_vq_submit(qp->vq);
	apir_count(&qp->enq_bursts, 1);
	apir_count(&qp->enq_pkts, qp->nb_pkts);
	apir_count(&qp->kicks, qp->vq->kicks - kicks);
	qp->slot = NULL;
	qp->nb_pkts = 0;
	atomic_store_explicit(&qp->gathered, 0, memory_order_relaxed);
	/* last: whoever sees the burst counted sees all of it */
	atomic_store_explicit(&qp->submitted, (uint16_t)(n + 1), memory_order_release);
}

static inline uint16_t *
seg_counts(struct apir_qp *qp)
{
	return (uint16_t *)(qp->slot->req + 1);
}

/* From this packet on the burst says how many segments each packet has. */
static inline void
want_counts(struct apir_qp *qp)
{
	uint16_t i;

	if (qp->multi)
		return;
	for (i = 0; i < qp->nb_pkts; i++)
		seg_counts(qp)[i] = 1;
	qp->multi = true;
}

static int __attribute__((noinline)) add_multi(struct apir_qp *qp, struct rte_mbuf *m)
{
	struct rte_mbuf *seg = m;
	uintptr_t addr;
	uint16_t i;

	if (m->nb_segs == 0)
		return ENODATA;
	if (m->nb_segs > APIR_MAX_PKT_SEGS || m->nb_segs > qp->max_segs || !qp->multi_seg)
		return EMSGSIZE;
	if (qp->nb_segs + m->nb_segs > qp->max_segs)
		return FULL;
	/* entries written for a packet that is refused half-way are written again by the next */
	for (i = 0; i < m->nb_segs; i++, seg = seg->next) {
		if (seg == NULL || seg->data_len == 0)
			return ENODATA;
		addr = seg_addr(seg, qp->addr_field);
		if (!is_shared(qp, addr, seg->data_len))
			return EFAULT;
		apir_slot_set_seg(qp->slot, (uint16_t)(qp->nb_segs + i), addr, seg->data_len);
	}
	want_counts(qp);
	seg_counts(qp)[qp->nb_pkts] = m->nb_segs;
	qp->nb_segs += m->nb_segs;
	qp->mbufs[qp->nb_pkts++] = m;
	return ADDED;
}

/* Add one packet to the open burst. */
static inline int
add_packet(struct apir_qp *qp, struct rte_mbuf *m)
{
	const uintptr_t addr = seg_addr(m, qp->addr_field);
	const uint32_t len = m->data_len;

	if (unlikely(qp->nb_pkts == qp->max_burst))
		return FULL;
	if (unlikely(m->nb_segs != 1))
		return add_multi(qp, m);
	if (unlikely(qp->nb_segs == qp->max_segs))
		return FULL;
	if (unlikely(len == 0))
		return ENODATA;
	if (unlikely(!is_shared(qp, addr, len)))
		return EFAULT;
	apir_slot_set_seg(qp->slot, qp->nb_segs++, addr, len);
	if (unlikely(qp->multi))
		seg_counts(qp)[qp->nb_pkts] = 1;
	qp->mbufs[qp->nb_pkts++] = m;
	return ADDED;
}

/*
 * The common case: packets of one segment in the range that had the last one. All in registers; stops at the first packet that
 * is anything else. The device has read the table's lines: they are asked for ahead of the stores.
 */
static inline uint16_t
add_singles(struct apir_qp *qp, struct rte_mbuf **pkts, uint16_t n)
{
	const uintptr_t start = qp->ranges.r[qp->hit].start;
	const uintptr_t size = qp->ranges.r[qp->hit].end - start;
	struct vring_desc *const tbl = qp->slot->tbl + 1 + qp->nb_segs;
	const uint16_t addr_field = qp->addr_field;
	/* length is or-ed in */
	uint64_t word = (uint64_t)(VRING_DESC_F_WRITE | VRING_DESC_F_NEXT) << 32 |
			(uint64_t)(qp->nb_segs + 2) << 48;
	uint16_t i;

	n = RTE_MIN(n, (uint16_t)(qp->max_burst - qp->nb_pkts));
	n = RTE_MIN(n, (uint16_t)(qp->max_segs - qp->nb_segs));
	for (i = 0; i < RTE_MIN(n, TABLE_AHEAD); i += 4)
		__builtin_prefetch(&tbl[i], 1);
	for (i = 0; i < n; i++, word += UINT64_C(1) << 48) {
		const struct rte_mbuf *m = pkts[i];
		const uintptr_t addr = seg_addr(m, addr_field), off = addr - start;
		const uint32_t len = m->data_len;
		const uint64_t desc[2] = {addr, word | len};

		if (i + MBUFS_AHEAD < n)
			rte_prefetch0(pkts[i + MBUFS_AHEAD]);
		if (i % 4 == 0 && i + TABLE_AHEAD < n)
			__builtin_prefetch(&tbl[i + TABLE_AHEAD], 1);
		if (unlikely(m->nb_segs != 1 || len == 0 || off >= size || len > size - off))
			break;
		memcpy(&tbl[i], desc, sizeof(desc));
	}
	memcpy(&qp->mbufs[qp->nb_pkts], pkts, i * sizeof(pkts[0]));
	qp->nb_pkts += i;
	qp->nb_segs += i;
	return i;
}

static uint16_t
add_packets(struct apir_qp *qp, uint32_t pipeline, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	uint16_t i;
	int ret;

	for (i = 0; i < nb_pkts; i++) {
		if (unlikely(qp->nb_pkts == 0) && unlikely(!open_burst(qp, pipeline))) {
			rte_errno = EAGAIN;
			return i;
		}
		if (likely(!qp->multi)) {
			i += add_singles(qp, &pkts[i], (uint16_t)(nb_pkts - i));
			if (likely(i == nb_pkts))
				break;
		}
		ret = add_packet(qp, pkts[i]);
		if (unlikely(ret == FULL)) {
			submit_burst(qp);
			if (unlikely(!open_burst(qp, pipeline))) {
				rte_errno = EAGAIN;
				return i;
			}
			ret = add_packet(qp, pkts[i]);
		}
		if (unlikely(ret != ADDED)) {
			apir_count(&qp->refused, 1);
			rte_errno = ret;
			return i;
		}
	}
	return i;
}

/* Take the enqueue side of a queue pair whose device runs. NULL: rte_errno is set. */
static inline struct apir_qp *
enter(uint16_t dev_id, uint16_t qp_id)
{
	struct apir_qp *qp = find_qp(dev_id, qp_id);

	if (unlikely(qp == NULL || !apir_guard_try(&qp->enq_guard))) {
		rte_errno = ENODEV;
		return NULL;
	}
	if (unlikely(apir_dev_state(qp->dev) != RTE_APIR_RUNNING)) {
		apir_guard_drop(&qp->enq_guard);
		rte_errno = ENODEV;
		return NULL;
	}
	if (unlikely(atomic_load_explicit(&qp->dev->mem.gen, memory_order_acquire) != qp->mem_gen))
		qp->mem_gen = apir_mem_table_read(&qp->dev->mem, &qp->ranges);
	return qp;
}

uint16_t
rte_apir_enqueue_burst(uint16_t dev_id, uint16_t qp_id, uint32_t pipeline, struct rte_mbuf **pkts,
		       uint16_t nb_pkts)
{
	struct apir_qp *qp = enter(dev_id, qp_id);
	uint16_t n;

	if (unlikely(qp == NULL))
		return 0;
	if (unlikely(qp->nb_pkts != 0))
		submit_burst(qp);
	n = add_packets(qp, pipeline, pkts, nb_pkts);
	if (likely(qp->nb_pkts != 0))
		submit_burst(qp);
	apir_guard_drop(&qp->enq_guard);
	return n;
}

uint16_t
rte_apir_gather(uint16_t dev_id, uint16_t qp_id, uint32_t pipeline, struct rte_mbuf **pkts,
		uint16_t nb_pkts)
{
	struct apir_qp *qp = enter(dev_id, qp_id);
	uint16_t n;

	if (unlikely(qp == NULL))
		return 0;
	if (qp->nb_pkts != 0 && qp->pipeline != pipeline)
		submit_burst(qp);
	n = add_packets(qp, pipeline, pkts, nb_pkts);
	/* full by packets or by segments: no later packet can join */
	if (qp->nb_pkts == qp->max_burst || (qp->nb_pkts != 0 && qp->nb_segs == qp->max_segs))
		submit_burst(qp);
	atomic_store_explicit(&qp->gathered, qp->nb_pkts, memory_order_relaxed);
	apir_guard_drop(&qp->enq_guard);
	return n;
}

uint16_t
rte_apir_submit(uint16_t dev_id, uint16_t qp_id)
{
	struct apir_qp *qp = enter(dev_id, qp_id);
	uint16_t n;

	if (unlikely(qp == NULL))
		return 0;
	n = qp->nb_pkts;
	if (n != 0)
		submit_burst(qp);
	apir_guard_drop(&qp->enq_guard);
	return n;
}

uint16_t
rte_apir_gathered(uint16_t dev_id, uint16_t qp_id)
{
	const struct apir_qp *qp = find_qp(dev_id, qp_id);

	return qp == NULL ? 0 : atomic_load_explicit(&qp->gathered, memory_order_relaxed);
}

uint16_t
rte_apir_in_flight(uint16_t dev_id, uint16_t qp_id)
{
	const struct apir_qp *qp = find_qp(dev_id, qp_id);
	uint16_t released;

	if (qp == NULL)
		return 0;
	/* in this order the difference is never negative */
	released = atomic_load_explicit(&qp->released, memory_order_acquire);
	return (uint16_t)(atomic_load_explicit(&qp->submitted, memory_order_relaxed) - released);
}

/* Dequeue side -------------------------------------------------------------- */

static inline void
begin_burst(struct apir_qp *qp, uint16_t n, uint32_t status, const struct apir_burst_rsp *rsp)
{
	qp->active = true;
	qp->off = 0;
	qp->count = qp->slot_pkts[n & qp->mask];
	qp->status = status;
	qp->rsp = rsp;
}

static inline void
end_burst(struct apir_qp *qp)
{
	const uint16_t n = atomic_load_explicit(&qp->released, memory_order_relaxed);

	qp->active = false;
	/* before the slot is open again: the producer writes the twins of a slot it got */
	atomic_store_explicit(&qp->released, (uint16_t)(n + 1), memory_order_release);
	if (likely(qp->rsp != NULL))
		apir_vq_release(qp->vq);
	apir_count(&qp->deq_bursts, 1);
}

/*
 * The device is lost: count what was gathered for it as submitted, so that it comes back like the
 * rest.
 */
static bool __attribute__((cold, noinline)) adopt_gathered(struct apir_qp *qp)
{
	uint16_t n;

	if (!apir_guard_try(&qp->enq_guard))
		return false;
	n = atomic_load_explicit(&qp->submitted, memory_order_relaxed);
	if (qp->nb_pkts != 0) {
		qp->slot_pkts[n & qp->mask] = qp->nb_pkts;
		apir_count(&qp->enq_pkts, qp->nb_pkts);
		apir_count(&qp->enq_bursts, 1);
		qp->nb_pkts = 0;
		atomic_store_explicit(&qp->gathered, 0, memory_order_relaxed);
		atomic_store_explicit(&qp->submitted, ++n, memory_order_release);
	}
	apir_guard_drop(&qp->enq_guard);
	return n != atomic_load_explicit(&qp->released, memory_order_relaxed);
}

/* Make the next complete burst active. */
static inline bool
next_burst(struct apir_qp *qp, bool lost)
{
	const uint16_t n = atomic_load_explicit(&qp->released, memory_order_relaxed);
	const struct apir_burst_rsp *rsp;
	struct apir_slot *slot;
	int ret = 0;

	if (n == atomic_load_explicit(&qp->submitted, memory_order_acquire)) {
		if (likely(!lost) || !adopt_gathered(qp))
			return false;
	}
	if (likely(!qp->broken))
		ret = apir_vq_poll(qp->vq, &slot);
	if (likely(ret > 0)) {
		rsp = slot->rsp;
		begin_burst(qp, n, *(const volatile uint32_t *)&rsp->status, rsp);
		if (unlikely(rsp->copied != 0))
			apir_count(&qp->copied_bytes, rsp->copied);
		return true;
	}
	if (unlikely(ret < 0)) {
		qp->broken = true;
		apir_dev_break(qp->dev);
	}
	if (likely(!lost))
		return false;
	/*
	 * the device went before it answered: nobody writes to these packets any more, and the ring
	 * has no more to say
	 */
	qp->broken = true;
	begin_burst(qp, n, APIR_S_LOST, NULL);
	return true;
}

/*
 * The device can write verdicts while we read them: they are copied, then what the copy says is checked. Most bursts
 * have no drop, and the copy is all. Returns how many drop.
 */
static uint32_t
take_verdicts(const struct apir_verdict *in, struct rte_apir_verdict *out, uint16_t n)
{
	uint64_t none[VERDICTS_BLOCK], four[4], v;
	uint32_t dropped = 0;
	uint16_t i, k, nb;

	for (i = 0; i < n; i += nb) {
		char *copy = out == NULL ? (char *)none : (char *)(out + i);
		uint64_t any = 0;

		nb = RTE_MIN((uint16_t)(n - i), VERDICTS_BLOCK);
		memcpy(copy, &in[i], nb * sizeof(v));
		rte_compiler_barrier(); /* what is checked is the copy */
		for (k = 0; k + 4 <= nb; k += 4) {
			memcpy(four, copy + k * sizeof(v), sizeof(four));
			any |= (four[0] | four[1]) | (four[2] | four[3]);
		}
		for (; k < nb; k++) {
			memcpy(&v, copy + k * sizeof(v), sizeof(v));
			any |= v;
		}
		for (k = 0; unlikely((uint16_t)any != APIR_ACTION_FORWARD) && k < nb; k++) {
			memcpy(&v, copy + k * sizeof(v), sizeof(v));
			if ((uint16_t)v == APIR_ACTION_FORWARD)
				continue;
			v = (v & ~(uint64_t)UINT16_MAX) | RTE_APIR_ACTION_DROP;
			memcpy(copy + k * sizeof(v), &v, sizeof(v));
			dropped++;
		}
	}
	return dropped;
}

static void __attribute__((cold, noinline))
fail_verdicts(uint32_t status, struct rte_apir_verdict *out, uint16_t n)
{
	uint16_t i;

	for (i = 0; out != NULL && i < n; i++)
		out[i] = (struct rte_apir_verdict){
			.action = RTE_APIR_ACTION_ERROR,
			.port = (uint16_t)RTE_MIN(status, (uint32_t)UINT16_MAX)};
}

/* Hand out up to room packets of the active burst. */
static inline uint16_t
hand_out(struct apir_qp *qp, struct rte_mbuf **pkts, struct rte_apir_verdict *verdicts,
	 uint16_t room)
{
	const uint16_t burst = atomic_load_explicit(&qp->released, memory_order_relaxed) & qp->mask;
	const uint16_t n = RTE_MIN((uint16_t)(qp->count - qp->off), room);
	uint32_t dropped;

	memcpy(pkts, &qp->slot_mbufs[(uint32_t)burst * qp->max_burst + qp->off],
	       n * sizeof(pkts[0]));
	if (likely(qp->status == APIR_S_OK)) {
		dropped = take_verdicts(&qp->rsp->verdict[qp->off], verdicts, n);
		if (dropped != 0)
			apir_count(&qp->dropped, dropped);
	} else {
		fail_verdicts(qp->status, verdicts, n);
		apir_count(&qp->errors, n);
	}
	qp->off += n;
	if (qp->off == qp->count)
		end_burst(qp);
	return n;
}

uint16_t
rte_apir_dequeue_burst(uint16_t dev_id, uint16_t qp_id, struct rte_mbuf **pkts,
		       struct rte_apir_verdict *verdicts, uint16_t nb_pkts)
{
	struct apir_qp *qp = find_qp(dev_id, qp_id);
	uint16_t n = 0;
	bool lost;

	if (unlikely(qp == NULL || !apir_guard_try(&qp->deq_guard)))
		return 0;
	/* read before the ring: what a lost device completed is in the ring by then */
	lost = apir_dev_state(qp->dev) == RTE_APIR_LOST;
	while (n < nb_pkts) {
		if (!qp->active && !next_burst(qp, lost))
			break;
		n += hand_out(qp, pkts + n, verdicts != NULL ? verdicts + n : NULL,
			      (uint16_t)(nb_pkts - n));
	}
	if (n != 0)
		apir_count(&qp->deq_pkts, n);
	apir_guard_drop(&qp->deq_guard);
	return n;
}

bool
rte_apir_is_shared(uint16_t dev_id, const void *va, size_t len)
{
	struct apir_spans ranges;
	unsigned int i;

	if (dev_id >= RTE_APIR_MAX_DEVS)
		return false;
	apir_mem_table_read(&apir_devs[dev_id].mem, &ranges);
	if (apir_devs[dev_id].conf.pci)
		return ranges.r[0].end != 0 && apir_iova_contig(va, len);
	for (i = 0; i < APIR_MEM_MAX_REGIONS; i++) {
		if (apir_span_has(&ranges.r[i], (uintptr_t)va, len))
			return true;
	}
	return false;
}
