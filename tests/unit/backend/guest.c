/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "virtio_apir.h"

void
guest_init(struct guest *g)
{
	assert_int_equal(posix_memalign((void **)&g->mem, 4096, GUEST_SIZE), 0);
	assert_int_equal(posix_memalign((void **)&g->mem2, 4096, GUEST_SIZE2), 0);
	memset(g->mem, 0, GUEST_SIZE);
	memset(g->mem2, 0, GUEST_SIZE2);
	g->r[0] = (struct mem_region){GUEST_GPA, GUEST_SIZE, g->mem};
	g->r[1] = (struct mem_region){GUEST_GPA2, GUEST_SIZE2, g->mem2};
}

void
guest_fini(struct guest *g)
{
	free(g->mem);
	free(g->mem2);
}

void *
guest_at(struct guest *g, uint64_t gpa)
{
	if (gpa >= GUEST_GPA2)
		return g->mem2 + (gpa - GUEST_GPA2);
	return g->mem + (gpa - GUEST_GPA);
}

void
guest_ring(struct guest *g, struct guest_ring *r, unsigned int q, uint16_t size)
{
	uint8_t *base = g->mem + GUEST_RING(q);

	memset(base, 0, GUEST_RING_SPACE);
	r->desc = (struct vring_desc *)base;
	r->avail = (struct vring_avail *)(base + size * sizeof(struct vring_desc));
	r->used = (struct vring_used *)(base + GUEST_RING_SPACE / 2 + 0x1000);
	r->size = size;
	r->seen = 0;
	r->kick_fd = eventfd(0, EFD_CLOEXEC);
	r->call_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(r->kick_fd >= 0 && r->call_fd >= 0);
}

void
guest_ring_close(struct guest_ring *r)
{
	close(r->kick_fd);
	close(r->call_fd);
}

void
guest_ring_conf(const struct guest_ring *r, struct vring_conf *conf)
{
	*conf = (struct vring_conf){
		.desc = r->desc,
		.avail = r->avail,
		.used = r->used,
		.size = r->size,
		.event_idx = true,
		.kick_fd = r->kick_fd,
		.call_fd = r->call_fd,
	};
}

void
guest_offer(struct guest_ring *r, uint16_t head)
{
	const uint16_t idx = r->avail->idx;
	_Atomic uint16_t *avail_event = (void *)&r->used->ring[r->size];
	const uint64_t one = 1;

	r->avail->ring[idx % r->size] = head;
	atomic_store_explicit((_Atomic uint16_t *)&r->avail->idx, idx + 1, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (vring_need_event(atomic_load_explicit(avail_event, memory_order_relaxed),
			     (uint16_t)(idx + 1), idx))
		assert_int_equal(write(r->kick_fd, &one, sizeof(one)), sizeof(one));
}

int
guest_poll(struct guest_ring *r, struct vring_used_elem *e)
{
	const uint16_t idx =
		atomic_load_explicit((_Atomic uint16_t *)&r->used->idx, memory_order_acquire);

	if (idx == r->seen)
		return 0;
	*e = r->used->ring[r->seen++ % r->size];
	return 1;
}

struct vring_used_elem
guest_wait(struct guest_ring *r)
{
	struct vring_used_elem e = {0};
	const struct timespec ts = {.tv_nsec = 100000};

	/* The test's own timeout ends this if the answer never comes. */
	while (!guest_poll(r, &e))
		nanosleep(&ts, NULL);
	return e;
}

void
guest_burst(struct guest *g, struct guest_burst *b, uint64_t gpa, uint16_t nb, uint32_t len)
{
	b->n = nb + 2u;
	b->tbl_gpa = gpa;
	b->hdr_gpa = gpa + b->n * sizeof(struct vring_desc);
	b->rsp_gpa = b->hdr_gpa + 32;
	b->pkt_gpa = b->rsp_gpa + sizeof(*b->rsp) + nb * sizeof(struct apir_verdict);
	b->tbl = guest_at(g, b->tbl_gpa);
	b->hdr = guest_at(g, b->hdr_gpa);
	b->rsp = guest_at(g, b->rsp_gpa);
	*b->hdr = (struct apir_burst_req){.nb_pkts = nb, .nb_segs = nb, .cookie = 77};
	memset(b->rsp, 0xee, sizeof(*b->rsp) + nb * sizeof(struct apir_verdict));
	b->tbl[0] = (struct vring_desc){b->hdr_gpa, sizeof(*b->hdr), VRING_DESC_F_NEXT, 1};
	for (uint16_t i = 0; i < nb; i++)
		b->tbl[1 + i] = (struct vring_desc){b->pkt_gpa + (uint64_t)i * len, len,
						    VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
						    (uint16_t)(i + 2)};
	b->tbl[b->n - 1] = (struct vring_desc){
		b->rsp_gpa, (uint32_t)(sizeof(*b->rsp) + nb * sizeof(struct apir_verdict)),
		VRING_DESC_F_WRITE, 0};
}

void
guest_name(struct guest_ring *r, uint16_t head, const struct guest_burst *b)
{
	r->desc[head] = (struct vring_desc){
		b->tbl_gpa, (uint32_t)(b->n * sizeof(struct vring_desc)), VRING_DESC_F_INDIRECT, 0};
}
