/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_VRING_H
#define APIRD_VRING_H

/**
 * @file
 * Device side of a split virtqueue. Everything in the ring is written by the guest at any time:
 * each field is read once, checked, then used. One thread at a time works on a ring.
 */

#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mem.h"

struct vring_dev {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t size;
	uint16_t mask;
	uint16_t last_avail; /**< next entry of the available ring to read */
	uint16_t used_idx;   /**< next entry of the used ring to write */
	bool event_idx;	     /**< VIRTIO_RING_F_EVENT_IDX was negotiated */
	bool broken;	     /**< the guest broke the ring: it is not read any more */
	int call_fd;	     /**< eventfd that notifies the guest, -1: the guest polls */
};

/** Where the front-end says a ring lies (addresses of this process), and where it stands. */
struct vring_conf {
	void *desc, *avail, *used;
	uint32_t size;
	uint16_t last_avail, last_used;
	bool event_idx;
	int kick_fd, call_fd; /**< -1: none */
};

/**
 * Take a ring over. Its three parts must lie in guest memory and its size within the contract's
 * limits.
 *
 * @return 0, or -EINVAL and *why is what is wrong
 */
int vring_open(struct vring_dev *vr, const struct mem_table *mem, const struct vring_conf *conf,
	       const char **why);

/** One read of a value the guest may change at any time. */
#define VRING_READ(p) (*(const volatile __typeof__(p) *)&(p))

/**
 * Requests the guest has made available and that were not popped. A jump by more than the ring's
 * size breaks it.
 */
static inline uint16_t
vring_avail(struct vring_dev *vr)
{
	const uint16_t idx =
		atomic_load_explicit((_Atomic uint16_t *)&vr->avail->idx, memory_order_acquire);
	const uint16_t n = (uint16_t)(idx - vr->last_avail);

	if (__builtin_expect(n > vr->size, 0)) {
		vr->broken = true;
		return 0;
	}
	return n;
}

/**
 * Take the next request; only when vring_avail() is not 0. Returns its descriptor, or -1: the ring
 * is broken.
 */
static inline int
vring_pop(struct vring_dev *vr)
{
	const uint16_t head = VRING_READ(vr->avail->ring[vr->last_avail & vr->mask]);

	if (__builtin_expect(head >= vr->size, 0)) {
		vr->broken = true;
		return -1;
	}
	vr->last_avail++;
	return head;
}

/** Complete a request: len bytes were written to its buffers. */
static inline void
vring_push(struct vring_dev *vr, uint16_t head, uint32_t len)
{
	struct vring_used_elem *e = &vr->used->ring[vr->used_idx & vr->mask];

	e->id = head;
	e->len = len;
	vr->used_idx++;
	atomic_store_explicit((_Atomic uint16_t *)&vr->used->idx, vr->used_idx,
			      memory_order_release);
}

/**
 * Does the guest want to be notified of the last nb completions, as far as can be seen without waiting for them to be
 * visible to it? False may be wrong: vring_notify() settles it.
 */
static inline bool
vring_wants_notify(const struct vring_dev *vr, uint16_t nb)
{
	if (!vr->event_idx)
		return !(VRING_READ(vr->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(VRING_READ(vr->avail->ring[vr->size]), vr->used_idx,
				(uint16_t)(vr->used_idx - nb));
}

/** Notify the guest of nb completions just pushed, if it wants that. */
void vring_notify(struct vring_dev *vr, uint16_t nb);

/** Ask the guest for a notification at its next request; look at vring_avail() again afterwards. */
void vring_want_kick(struct vring_dev *vr);
/** Requests are polled for again: notifications are of no use. */
void vring_no_kick(struct vring_dev *vr);

/**
 * An indirect table, checked to lie wholly in guest memory. Its entries are not yet checked, and
 * may change.
 */
struct vring_table {
	const struct vring_desc *d;
	uint32_t n;
};

enum vring_err {
	VRING_OK = 0,
	VRING_E_LAYOUT, /**< no indirect descriptor, or a table of odd size or alignment */
	VRING_E_LONG,	/**< more entries than the ring has */
	VRING_E_FAULT,	/**< not guest memory */
};

/** The indirect table of request head, as data queues use it. */
enum vring_err vring_indirect(const struct vring_dev *vr, const struct mem_table *mem,
			      const struct mem_region **hit, uint16_t head,
			      struct vring_table *tbl);

/** A chain of any lawful form, as the control queue takes it. Addresses are the guest's. */
#define VRING_CHAIN_MAX 16
struct vring_piece {
	uint64_t gpa;
	uint32_t len;
};
struct vring_chain {
	struct vring_piece in[VRING_CHAIN_MAX],
		out[VRING_CHAIN_MAX]; /**< to be read, to be written */
	unsigned int nb_in, nb_out;
	uint64_t in_len, out_len;
};

/** Walk the chain of request head: never endless, whatever it holds. */
enum vring_err vring_walk(const struct vring_dev *vr, const struct mem_table *mem, uint16_t head,
			  struct vring_chain *c);

#endif /* APIRD_VRING_H */
