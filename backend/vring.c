/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "virtio_apir.h"
#include "vring.h"

int
vring_open(struct vring_dev *vr, const struct mem_table *mem, const struct vring_conf *conf,
	   const char **why)
{
	const uint64_t n = conf->size;

	memset(vr, 0, sizeof(*vr));
	vr->call_fd = -1;
	if (n < APIR_MIN_QUEUE_SIZE || n > APIR_MAX_QUEUE_SIZE || (n & (n - 1)) != 0) {
		*why = "its size is not a power of two from 8 to 1024";
		return -EINVAL;
	}
	if (((uintptr_t)conf->desc & 15) != 0 || ((uintptr_t)conf->avail & 1) != 0 ||
	    ((uintptr_t)conf->used & 3) != 0) {
		*why = "its parts are not aligned as virtio demands (16, 2 and 4 bytes)";
		return -EINVAL;
	}
	/* Both rings are followed by the other side's event index, used or not. */
	if (!mem_holds(mem, conf->desc, n * sizeof(struct vring_desc)) ||
	    !mem_holds(mem, conf->avail, sizeof(struct vring_avail) + (n + 1) * sizeof(uint16_t)) ||
	    !mem_holds(mem, conf->used,
		       sizeof(struct vring_used) + n * sizeof(struct vring_used_elem) +
			       sizeof(uint16_t))) {
		*why = "it is not wholly in guest memory";
		return -EINVAL;
	}
	vr->desc = conf->desc;
	vr->avail = conf->avail;
	vr->used = conf->used;
	vr->size = (uint16_t)n;
	vr->mask = (uint16_t)(n - 1);
	vr->last_avail = conf->last_avail;
	vr->used_idx = conf->last_used;
	vr->event_idx = conf->event_idx;
	vr->call_fd = conf->call_fd;
	vring_no_kick(vr);
	return 0;
}

/* The two event indices stand behind the rings. */
static _Atomic uint16_t *
used_event(const struct vring_dev *vr)
{
	return (_Atomic uint16_t *)&vr->avail->ring[vr->size];
}

static _Atomic uint16_t *
avail_event(const struct vring_dev *vr)
{
	return (_Atomic uint16_t *)(void *)&vr->used->ring[vr->size];
}

void
vring_notify(struct vring_dev *vr, uint16_t nb)
{
	const uint64_t one = 1;

	/* The used index must be visible before the guest's wish is read. */
	atomic_thread_fence(memory_order_seq_cst);
	if (vr->event_idx) {
		const uint16_t event = atomic_load_explicit(used_event(vr), memory_order_relaxed);

		if (!vring_need_event(event, vr->used_idx, (uint16_t)(vr->used_idx - nb)))
			return;
	} else if (VRING_READ(vr->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT) {
		return;
	}
	/* A full eventfd of a hostile guest blocks here: it stops nobody but that guest. */
	if (vr->call_fd >= 0 && write(vr->call_fd, &one, sizeof(one)) < 0)
		return;
}

void
vring_want_kick(struct vring_dev *vr)
{
	if (vr->event_idx)
		atomic_store_explicit(avail_event(vr), vr->last_avail, memory_order_relaxed);
	else
		*(volatile uint16_t *)&vr->used->flags = 0;
	/* The wish must be visible before the available index is read again. */
	atomic_thread_fence(memory_order_seq_cst);
}

void
vring_no_kick(struct vring_dev *vr)
{
	/* With event indices a stale one says the same. */
	if (!vr->event_idx)
		*(volatile uint16_t *)&vr->used->flags = VRING_USED_F_NO_NOTIFY;
}

/* One copy of a descriptor, so that what is checked is what is used. */
static struct vring_desc
read_desc(const struct vring_desc *d)
{
	const volatile uint64_t *w = (const volatile uint64_t *)d;
	const uint64_t v[2] = {w[0], w[1]};
	struct vring_desc copy;

	memcpy(&copy, v, sizeof(copy));
	return copy;
}

enum vring_err
vring_indirect(const struct vring_dev *vr, const struct mem_table *mem,
	       const struct mem_region **hit, uint16_t head, struct vring_table *tbl)
{
	const struct vring_desc d = read_desc(&vr->desc[head]);

	if (d.flags != VRING_DESC_F_INDIRECT || d.len == 0 ||
	    d.len % sizeof(struct vring_desc) != 0 || d.addr % sizeof(struct vring_desc) != 0)
		return VRING_E_LAYOUT;
	if (d.len / sizeof(struct vring_desc) > vr->size)
		return VRING_E_LONG;
	tbl->d = mem_xlate(mem, hit, d.addr, d.len);
	if (tbl->d == NULL)
		return VRING_E_FAULT;
	tbl->n = d.len / sizeof(struct vring_desc);
	return VRING_OK;
}

enum vring_err
vring_walk(const struct vring_dev *vr, const struct mem_table *mem, uint16_t head,
	   struct vring_chain *c)
{
	const struct vring_desc *d = vr->desc;
	struct vring_desc e = read_desc(&d[head]);
	uint32_t n = vr->size;

	memset(c, 0, sizeof(*c));
	if (e.flags & VRING_DESC_F_INDIRECT) {
		struct vring_table tbl;
		const struct mem_region *hit = NULL;
		const enum vring_err err = vring_indirect(vr, mem, &hit, head, &tbl);

		if (err != VRING_OK)
			return err;
		d = tbl.d;
		n = tbl.n;
		e = read_desc(&d[0]);
	}
	/* A chain longer than its table loops. */
	for (uint32_t steps = 0; steps < n; steps++) {
		struct vring_piece *p;

		if (e.flags & VRING_DESC_F_INDIRECT)
			return VRING_E_LAYOUT;
		if (e.flags & VRING_DESC_F_WRITE) {
			if (c->nb_out == VRING_CHAIN_MAX)
				return VRING_E_LONG;
			p = &c->out[c->nb_out++];
			c->out_len += e.len;
		} else {
			if (c->nb_out > 0)
				return VRING_E_LAYOUT;
			if (c->nb_in == VRING_CHAIN_MAX)
				return VRING_E_LONG;
			p = &c->in[c->nb_in++];
			c->in_len += e.len;
		}
		p->gpa = e.addr;
		p->len = e.len;
		if (!(e.flags & VRING_DESC_F_NEXT))
			return VRING_OK;
		if (e.next >= n)
			return VRING_E_LAYOUT;
		e = read_desc(&d[e.next]);
	}
	return VRING_E_LAYOUT;
}
