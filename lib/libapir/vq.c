/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apir_vq.h"
#include "vq_ctl.h"

#define LINE	    64u
#define CTL_SIZE    APIR_MIN_QUEUE_SIZE
#define ROUND_UP(n) (((size_t)(n) + LINE - 1) & ~(size_t)(LINE - 1))

/* The device writes and reads these while we do. */
static inline uint16_t
ring_load(const __virtio16 *p, memory_order order)
{
	return atomic_load_explicit((const _Atomic uint16_t *)p, order);
}

static inline void
ring_store(__virtio16 *p, uint16_t v, memory_order order)
{
	atomic_store_explicit((_Atomic uint16_t *)p, v, order);
}

/* VIRTIO_RING_F_EVENT_IDX puts one more entry behind each ring. */
static inline __virtio16 *
used_event(const struct apir_vq *vq)
{
	return &vq->avail->ring[vq->size];
}

static inline __virtio16 *
avail_event(const struct apir_vq *vq)
{
	return (__virtio16 *)&vq->used->ring[vq->size];
}

static inline uint16_t
at_most(uint16_t n, uint16_t max)
{
	return n < max ? n : max;
}

static inline bool
is_pow2(uint16_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static void
no_notify(void *ctx)
{
	(void)ctx;
}

static size_t
avail_bytes(uint16_t size)
{
	return sizeof(struct vring_avail) + ((size_t)size + 1) * sizeof(__virtio16);
}

static size_t
used_bytes(uint16_t size)
{
	return sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) +
	       sizeof(__virtio16);
}

/* Each of the three parts begins a cache line: no line is written by both sides. */
static int
alloc_rings(struct apir_vq *vq, int numa_node)
{
	const size_t avail = ROUND_UP(vq->size * sizeof(struct vring_desc));
	const size_t used = avail + ROUND_UP(avail_bytes(vq->size));
	const size_t total = used + ROUND_UP(used_bytes(vq->size));
	const struct apir_env *env = vq->env;

	vq->ring_mem = env->dma_alloc(env, total, LINE, numa_node);
	if (vq->ring_mem == NULL) {
		apir_log(env, APIR_LOG_ERR,
			 "no %zu bytes of shared memory left for a queue of %u entries: give "
			 "the program more memory or ask for smaller queues",
			 total, vq->size);
		return -ENOMEM;
	}
	vq->desc = vq->ring_mem;
	vq->avail = (struct vring_avail *)((char *)vq->ring_mem + avail);
	vq->used = (struct vring_used *)((char *)vq->ring_mem + used);
	vq->desc_addr = env->dma_addr(env, vq->desc);
	vq->avail_addr = env->dma_addr(env, vq->avail);
	vq->used_addr = env->dma_addr(env, vq->used);
	return 0;
}

/*
 * Slots in as few allocations as APIR_DMA_MAX lets pass, each slot cut into table, request and response by the three sizes
 * given.
 */
static int
alloc_slots(struct apir_vq *vq, size_t tbl, size_t req, size_t rsp, int numa_node)
{
	const size_t stride = ROUND_UP(tbl) + ROUND_UP(req) + ROUND_UP(rsp);
	const struct apir_env *env = vq->env;
	const uint16_t each = at_most((uint16_t)(APIR_DMA_MAX / stride), vq->nb_slots);
	const uint16_t nb_mem = (uint16_t)((vq->nb_slots + each - 1) / each);
	uint16_t i;

	vq->slots = calloc(vq->nb_slots, sizeof(vq->slots[0]));
	vq->slot_mem = calloc(nb_mem, sizeof(vq->slot_mem[0]));
	if (vq->slots == NULL || vq->slot_mem == NULL)
		return -ENOMEM;
	for (vq->nb_slot_mem = 0; vq->nb_slot_mem < nb_mem; vq->nb_slot_mem++) {
		const uint16_t left = (uint16_t)(vq->nb_slots - vq->nb_slot_mem * each);
		void *mem = env->dma_alloc(env, stride * at_most(each, left), LINE, numa_node);

		vq->slot_mem[vq->nb_slot_mem] = mem;
		if (mem != NULL)
			continue;
		apir_log(env, APIR_LOG_ERR,
			 "no %zu bytes of shared memory left for %u requests in flight: give "
			 "the program more memory, or ask for fewer or smaller bursts",
			 stride * vq->nb_slots, vq->nb_slots);
		return -ENOMEM;
	}
	for (i = 0; i < vq->nb_slots; i++) {
		struct apir_slot *s = &vq->slots[i];
		char *p = (char *)vq->slot_mem[i / each] + i % each * stride;

		s->tbl = (struct vring_desc *)p;
		s->req = (struct apir_burst_req *)(p + ROUND_UP(tbl));
		s->rsp = (struct apir_burst_rsp *)(p + ROUND_UP(tbl) + ROUND_UP(req));
		s->tbl_addr = env->dma_addr(env, s->tbl);
		s->req_addr = env->dma_addr(env, s->req);
		s->rsp_addr = env->dma_addr(env, s->rsp);
	}
	return 0;
}

static void
reset_data_desc(struct apir_vq *vq)
{
	uint16_t i;

	for (i = 0; i < vq->nb_slots; i++) {
		vq->desc[i].addr = vq->slots[i].tbl_addr;
		vq->desc[i].flags = VRING_DESC_F_INDIRECT;
	}
}

static void
reset_ctl_desc(struct apir_vq *vq)
{
	vq->desc[0].addr = vq->slots[0].req_addr;
	vq->desc[0].flags = VRING_DESC_F_NEXT;
	vq->desc[0].next = 1;
	vq->desc[1].addr = vq->slots[0].rsp_addr;
	vq->desc[1].len = APIR_CTL_MAX;
	vq->desc[1].flags = VRING_DESC_F_WRITE;
}

void
apir_vq_reset(struct apir_vq *vq)
{
	uint16_t i;

	/* all of it again: a device that is gone may have written anywhere */
	memset(vq->desc, 0, vq->size * sizeof(struct vring_desc));
	memset(vq->avail, 0, avail_bytes(vq->size));
	memset(vq->used, 0, used_bytes(vq->size));
	if (vq->max_pkts == 0)
		reset_ctl_desc(vq);
	else
		reset_data_desc(vq);
	for (i = 0; i < vq->size; i++)
		vq->avail->ring[i] = i & (vq->nb_slots - 1);
	for (i = 0; vq->max_pkts != 0 && i < vq->nb_slots; i++)
		memset(vq->slots[i].req, 0, sizeof(struct apir_burst_req));

	atomic_store(&vq->head, 0);
	atomic_store(&vq->tail, 0);
	vq->tail_seen = 0;
	vq->used_seen = 0;
	vq->broken = false;
	vq->kicks = 0;
	apir_vq_want_call(vq, false);
}

static struct apir_vq *
new_vq(const struct apir_env *env, uint16_t size, uint16_t nb_slots)
{
	struct apir_vq *vq = aligned_alloc(LINE, ROUND_UP(sizeof(*vq)));

	if (vq == NULL)
		return NULL;
	memset(vq, 0, sizeof(*vq));
	vq->env = env;
	vq->size = size;
	vq->nb_slots = nb_slots;
	vq->notify = no_notify;
	return vq;
}

int
apir_vq_create(const struct apir_env *env, uint16_t size, uint16_t nb_slots, uint16_t max_pkts,
	       uint16_t max_segs, int numa_node, struct apir_vq **out)
{
	struct apir_vq *vq;
	int ret;

	if (!is_pow2(size) || size < APIR_MIN_QUEUE_SIZE || size > APIR_MAX_QUEUE_SIZE)
		return -EINVAL;
	if (!is_pow2(nb_slots) || nb_slots > size)
		return -EINVAL;
	if (max_segs == 0 || max_segs > APIR_MAX_SEGS || max_segs + 2u > size)
		return -EINVAL;
	if (max_pkts == 0 || max_pkts > max_segs)
		return -EINVAL;

	vq = new_vq(env, size, nb_slots);
	if (vq == NULL)
		return -ENOMEM;
	vq->max_pkts = max_pkts;
	vq->max_segs = max_segs;
	ret = alloc_rings(vq, numa_node);
	if (ret == 0)
		ret = alloc_slots(vq, (max_segs + 2u) * sizeof(struct vring_desc),
				  sizeof(struct apir_burst_req) + max_pkts * sizeof(uint16_t),
				  sizeof(struct apir_burst_rsp) +
					  max_pkts * sizeof(struct apir_verdict),
				  numa_node);
	if (ret != 0) {
		apir_vq_destroy(vq);
		return ret;
	}
	apir_vq_reset(vq);
	*out = vq;
	return 0;
}

int
apir_vq_create_ctl(const struct apir_env *env, struct apir_vq **out)
{
	struct apir_vq *vq = new_vq(env, CTL_SIZE, 1);
	int ret;

	if (vq == NULL)
		return -ENOMEM;
	ret = alloc_rings(vq, -1);
	if (ret == 0)
		ret = alloc_slots(vq, 0, APIR_CTL_MAX, APIR_CTL_MAX, -1);
	if (ret != 0) {
		apir_vq_destroy(vq);
		return ret;
	}
	apir_vq_reset(vq);
	*out = vq;
	return 0;
}

void
apir_vq_destroy(struct apir_vq *vq)
{
	if (vq == NULL)
		return;
	while (vq->nb_slot_mem > 0)
		vq->env->dma_free(vq->env, vq->slot_mem[--vq->nb_slot_mem]);
	free(vq->slot_mem);
	if (vq->ring_mem != NULL)
		vq->env->dma_free(vq->env, vq->ring_mem);
	free(vq->slots);
	free(vq);
}

/* The ring names slot head % nb_slots already: moving the index is all that publishes it. */
static inline void
publish(struct apir_vq *vq, uint16_t head)
{
	const uint16_t next = (uint16_t)(head + 1);

	/* before the index, so that a consumer never sees more completions than requests */
	atomic_store_explicit(&vq->head, next, memory_order_relaxed);
	ring_store(&vq->avail->idx, next, memory_order_release);
	/* the device stores avail_event and reads idx, we the reverse: one sees the other */
	atomic_thread_fence(memory_order_seq_cst);
	if (vring_need_event(ring_load(avail_event(vq), memory_order_relaxed), next, head)) {
		vq->kicks++;
		vq->notify(vq->notify_ctx);
	}
}

void
apir_vq_submit(struct apir_vq *vq)
{
	const uint16_t head = atomic_load_explicit(&vq->head, memory_order_relaxed);
	const uint16_t i = head & (vq->nb_slots - 1);
	struct apir_slot *s = &vq->slots[i];
	const volatile struct apir_burst_req *req = s->req;
	/* the device can write there: it must not choose which entry of the table is ours */
	const uint16_t nb_segs = at_most(req->nb_segs, vq->max_segs);
	const uint16_t nb_pkts = at_most(req->nb_pkts, vq->max_pkts);
	const uint16_t last = (uint16_t)(nb_segs + 1);
	uint32_t req_len = sizeof(*req);

	if (req->flags & APIR_BURST_F_SEGS)
		req_len += nb_pkts * (uint32_t)sizeof(uint16_t);
	s->tbl[0] = (struct vring_desc){
		.addr = s->req_addr, .len = req_len, .flags = VRING_DESC_F_NEXT, .next = 1};
	s->tbl[last] = (struct vring_desc){
		.addr = s->rsp_addr,
		.len = (uint32_t)(sizeof(*s->rsp) + nb_pkts * sizeof(struct apir_verdict)),
		.flags = VRING_DESC_F_WRITE};
	s->rsp->status = APIR_S_LOST;
	vq->desc[i].len = (uint32_t)((last + 1u) * sizeof(struct vring_desc));
	publish(vq, head);

	/* not while the device has it: that would take the lines away from under it */
	if ((uint16_t)(head + 1 - vq->tail_seen) >= vq->nb_slots)
		return;
	s = &vq->slots[(head + 1) & (vq->nb_slots - 1)];
	__builtin_prefetch(s->req, 1);
	__builtin_prefetch(s->tbl, 1);
}

void
apir_vq_submit_ctl(struct apir_vq *vq, uint32_t len)
{
	vq->desc[0].len = len;
	publish(vq, atomic_load_explicit(&vq->head, memory_order_relaxed));
}

uint32_t
apir_vq_used_len(const struct apir_vq *vq)
{
	const uint16_t tail = atomic_load_explicit(&vq->tail, memory_order_relaxed);
	const volatile struct vring_used_elem *e = &vq->used->ring[tail & (vq->size - 1)];

	return e->len;
}

/* See how far the device is. Returns 1 if there is something new, 0, or -EPROTO. */
static inline int
refresh_used(struct apir_vq *vq, uint16_t tail)
{
	const uint16_t idx = ring_load(&vq->used->idx, memory_order_acquire);

	if (idx == tail)
		return 0;
	if ((uint16_t)(idx - tail) > apir_vq_in_flight(vq))
		return -EPROTO;
	vq->used_seen = idx;
	return 1;
}

static int __attribute__((cold))
ring_broken(struct apir_vq *vq, const char *what, uint32_t got, uint32_t want)
{
	/* every later poll takes the path that looks at broken */
	vq->used_seen = atomic_load_explicit(&vq->tail, memory_order_relaxed);
	if (!vq->broken)
		apir_log(vq->env, APIR_LOG_ERR,
			 "the device broke a virtqueue: %s %u where %u was due; the queue is "
			 "stopped",
			 what, got, want);
	vq->broken = true;
	return -EPROTO;
}

int
apir_vq_poll(struct apir_vq *vq, struct apir_slot **slot)
{
	const uint16_t tail = atomic_load_explicit(&vq->tail, memory_order_relaxed);
	const uint16_t i = tail & (vq->nb_slots - 1);
	const volatile struct vring_used_elem *e;
	uint32_t id;

	if (tail == vq->used_seen) {
		const int ret = vq->broken ? -EPROTO : refresh_used(vq, tail);

		if (ret == 0)
			return 0;
		if (ret < 0)
			return ring_broken(vq, "used index", vq->used->idx, tail);
	}
	e = &vq->used->ring[tail & (vq->size - 1)];
	id = e->id;
	if (id != i)
		return ring_broken(vq, "used element", id, i);
	*slot = &vq->slots[i];
	__builtin_prefetch((*slot)->rsp);
	return 1;
}

void
apir_vq_release(struct apir_vq *vq)
{
	const uint16_t tail = atomic_load_explicit(&vq->tail, memory_order_relaxed);

	/* what was read from the slot was read before the producer may fill it again */
	atomic_store_explicit(&vq->tail, (uint16_t)(tail + 1), memory_order_release);
}

void
apir_vq_want_call(struct apir_vq *vq, bool on)
{
	const uint16_t tail = atomic_load_explicit(&vq->tail, memory_order_relaxed);

	/* it notifies when its index passes this one: the next, or 2^16 completions away */
	ring_store(used_event(vq), on ? tail : (uint16_t)(tail - 1), memory_order_relaxed);
	/* the caller polls next: the device must see the wish before we see its index */
	atomic_thread_fence(memory_order_seq_cst);
}
