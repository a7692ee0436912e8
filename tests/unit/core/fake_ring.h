/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef FAKE_RING_H
#define FAKE_RING_H

/** @file The device's side of a split ring with VIRTIO_RING_F_EVENT_IDX, for tests: believes its driver. */

#include "apir_vq.h"
#include "fake_env.h"

struct fake_ring {
	const struct fake_env *fe;
	uint16_t size;
	uint16_t last_avail;
	uint16_t used_idx;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
};

static inline void
fake_ring_init(struct fake_ring *r, const struct fake_env *fe, const struct apir_vq *vq)
{
	*r = (struct fake_ring){.fe = fe, .size = vq->size};
	/* through guest addresses: those are what the device is told */
	r->desc = fake_env_va(fe, vq->desc_addr, sizeof(struct vring_desc) * vq->size);
	r->avail = fake_env_va(fe, vq->avail_addr, 6 + 2 * vq->size);
	r->used = fake_env_va(fe, vq->used_addr, 6 + 8 * vq->size);
}

static inline uint16_t
fake_ring_used_event(const struct fake_ring *r)
{
	return atomic_load((_Atomic uint16_t *)&r->avail->ring[r->size]);
}

static inline void
fake_ring_set_avail_event(struct fake_ring *r, uint16_t v)
{
	atomic_store((_Atomic uint16_t *)&r->used->ring[r->size], v);
}

/** Index of the next request's first descriptor, or -1. */
static inline int
fake_ring_pop(struct fake_ring *r)
{
	const uint16_t idx =
		atomic_load_explicit((_Atomic uint16_t *)&r->avail->idx, memory_order_acquire);

	if (idx == r->last_avail)
		return -1;
	return r->avail->ring[r->last_avail++ & (r->size - 1)];
}

/** Complete request id. Returns true if the driver wants a notification. */
static inline bool
fake_ring_push(struct fake_ring *r, uint32_t id, uint32_t len)
{
	r->used->ring[r->used_idx & (r->size - 1)] = (struct vring_used_elem){.id = id, .len = len};
	r->used_idx++;
	atomic_store((_Atomic uint16_t *)&r->used->idx, r->used_idx);
	return vring_need_event(fake_ring_used_event(r), r->used_idx, (uint16_t)(r->used_idx - 1));
}

#endif /* FAKE_RING_H */
