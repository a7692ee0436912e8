/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_VQ_H
#define APIR_VQ_H

/**
 * @file
 * Driver side of one virtqueue: a split ring whose requests complete in order.
 *
 * Order makes the ring simple: request number n always uses slot n % nb_slots, descriptor of the same index,
 * so that the available ring is written once, at creation, and nothing is allocated, searched or linked later.
 *
 * @code
 *   producer:  s = apir_vq_open_slot(vq)  ->  fill s->tbl[1..], *s->req  ->  apir_vq_submit(vq, n)
 *   consumer:  s = apir_vq_poll(vq)       ->  read *s->rsp                ->  apir_vq_release(vq)
 * @endcode
 *
 * One producer and one consumer may run at the same time, in different threads. Each of the two sides is one
 * thread at a time. Everything in slots lies in memory the device can write: the consumer believes none of it
 * without a check.
 */

#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "apir_env.h"
#include "virtio_apir.h"

/** Memory of one request in flight; all of it is made once. */
struct apir_slot {
	struct vring_desc *tbl; /**< indirect table: [0] header, [1..] segments, last response */
	struct apir_burst_req *req; /**< header; nb_pkts uint16_t segment counts may follow */
	struct apir_burst_rsp *rsp; /**< response, written by the device */
	uint64_t req_addr;	    /**< guest addresses of the three */
	uint64_t rsp_addr;
	uint64_t tbl_addr;
};

struct apir_vq {
	/* producer's cache line */
	_Atomic uint16_t head __attribute__((aligned(64))); /**< requests submitted, modulo 2^16 */
	uint16_t tail_seen;				    /**< the producer's copy of tail */
	uint64_t kicks;					    /**< notifications sent */
	/* consumer's cache line */
	_Atomic uint16_t tail __attribute__((aligned(64))); /**< requests released, modulo 2^16 */
	uint16_t used_seen; /**< the consumer's checked copy of the device's used index */
	bool broken;	    /**< the device broke the ring: nothing completes any more */
	/* read-only after creation */
	uint16_t size __attribute__((aligned(64))); /**< entries of the ring, a power of two */
	uint16_t nb_slots; /**< requests in flight at most, a power of two <= size */
	uint16_t max_pkts;
	uint16_t max_segs;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint64_t desc_addr, avail_addr, used_addr; /**< guest addresses */
	struct apir_slot *slots;
	void (*notify)(
		void *ctx); /**< rings the device's doorbell; does nothing until its owner sets it */
	void *notify_ctx;
	const struct apir_env *env;
	void *ring_mem, **slot_mem;
	uint16_t nb_slot_mem;
};

/**
 * Make a data queue.
 *
 * @param size ring entries, power of two, APIR_MIN_QUEUE_SIZE..APIR_MAX_QUEUE_SIZE and >= max_segs + 2
 *   (a chain is never longer than its ring)
 * @param nb_slots power of two, 1..size
 * @param max_pkts 1..max_segs
 * @param max_segs 1..APIR_MAX_SEGS
 * @return 0, -EINVAL, -ENOMEM (no shared memory left: logged)
 */
int apir_vq_create(const struct apir_env *env, uint16_t size, uint16_t nb_slots, uint16_t max_pkts,
		   uint16_t max_segs, int numa_node, struct apir_vq **out);

/** Make the control queue's ring: one request at a time, two direct-addressed buffers of APIR_CTL_MAX bytes each. */
int apir_vq_create_ctl(const struct apir_env *env, struct apir_vq **out);

void apir_vq_destroy(struct apir_vq *vq);

/** Back to the state after creation, for a new device. Neither producer nor consumer may run. */
void apir_vq_reset(struct apir_vq *vq);

/** Requests submitted and not yet released. */
static inline uint16_t
apir_vq_in_flight(const struct apir_vq *vq)
{
	const uint16_t tail = atomic_load_explicit(&vq->tail, memory_order_acquire);

	/* tail first: it never passes head, so that the difference cannot wrap */
	return (uint16_t)(atomic_load_explicit(&vq->head, memory_order_relaxed) - tail);
}

/** Producer: the slot to fill next, or NULL when all are in flight. The same slot until it is submitted. */
static inline struct apir_slot *
apir_vq_open_slot(struct apir_vq *vq)
{
	const uint16_t head = atomic_load_explicit(&vq->head, memory_order_relaxed);

	if ((uint16_t)(head - vq->tail_seen) >= vq->nb_slots) {
		vq->tail_seen = atomic_load_explicit(&vq->tail, memory_order_acquire);
		if ((uint16_t)(head - vq->tail_seen) >= vq->nb_slots)
			return NULL;
	}
	return &vq->slots[head & (vq->nb_slots - 1)];
}

/** Producer: name one packet segment in entry i (0-based among segments) of the open slot. */
static inline void
apir_slot_set_seg(struct apir_slot *s, uint16_t i, uint64_t addr, uint32_t len)
{
	struct vring_desc *d = &s->tbl[1 + i];

	d->addr = addr;
	d->len = len;
	d->flags = VRING_DESC_F_WRITE | VRING_DESC_F_NEXT;
	d->next = (uint16_t)(i + 2);
}

/**
 * Producer: publish the open slot, whose *req and segments are filled in, and notify the device if it asked for it.
 * Writes the table's first and last entries from req->nb_pkts, nb_segs and flags, which the caller keeps within
 * max_pkts and max_segs, and sets rsp->status to APIR_S_LOST: a device that completes without an answer is seen.
 */
void apir_vq_submit(struct apir_vq *vq);

/**
 * Consumer: the oldest request, if it is complete.
 *
 * @return 1 and *slot; 0 nothing complete; -EPROTO the device broke the ring (index out of range, wrong id):
 *   the queue must not be used any more, all its requests count as lost.
 */
int apir_vq_poll(struct apir_vq *vq, struct apir_slot **slot);

/** Consumer: give the slot last polled back to the producer; once for each poll that gave one. */
void apir_vq_release(struct apir_vq *vq);

/**
 * Consumer: ask the device for a notification at the next completion (true), or for none (false: the state after
 * creation). Poll once more after asking, before sleeping: what completed meanwhile gives no notification.
 */
void apir_vq_want_call(struct apir_vq *vq, bool on);

#endif /* APIR_VQ_H */
