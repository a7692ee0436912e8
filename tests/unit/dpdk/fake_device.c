/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <string.h>

#include "apir_regions.h"
#include "dpdk_env.h"
#include "fake_device.h"

static uint16_t next_avail, next_used;

static void
share_all(struct apir_dev *dev)
{
	struct apir_mem_region r[APIR_MEM_MAX_REGIONS];
	struct apir_spans spans = {0};
	int nb = apir_regions_get(r, APIR_MEM_MAX_REGIONS, NULL), i;

	assert_true(nb > 0);
	for (i = 0; i < nb; i++)
		spans.r[i] = (struct apir_span){.start = (uintptr_t)r[i].va,
						.end = (uintptr_t)r[i].va + r[i].size};
	apir_mem_table_write(&dev->mem, &spans);
}

static int
no_connect(struct apir_dev *dev)
{
	(void)dev;
	return 0;
}

static void
open_device(uint16_t nb_bursts, uint16_t max_burst, uint16_t max_segs, bool pci)
{
	struct apir_dev *dev = &apir_devs[FAKE_DEV];

	sem_init(&dev->wake, 0, 0);
	apir_memory_env(dev);
	dev->conf = (struct apir_conf){.pci = pci,
				       .nb_queue_pairs = 1,
				       .nb_bursts = nb_bursts,
				       .max_burst = max_burst,
				       .max_segs = max_segs};
	assert_int_equal(apir_qp_create(dev, 0), 0);
	fake_qp()->multi_seg = true;
	if (pci)
		assert_int_equal(apir_iova_attach(dev, no_connect), 0);
	else
		share_all(dev);
	next_avail = next_used = 0;
	atomic_store(&dev->state, RTE_APIR_RUNNING);
}

void
fake_device_open(uint16_t nb_bursts, uint16_t max_burst, uint16_t max_segs)
{
	open_device(nb_bursts, max_burst, max_segs, false);
}

void
fake_device_open_pci(uint16_t nb_bursts, uint16_t max_burst, uint16_t max_segs)
{
	open_device(nb_bursts, max_burst, max_segs, true);
}

void
fake_device_close(void)
{
	struct apir_dev *dev = &apir_devs[FAKE_DEV];

	atomic_store(&dev->state, RTE_APIR_LOST);
	atomic_store(&dev->break_it, false);
	apir_qp_destroy(dev, 0);
	dev->conf.pci = false;
	sem_destroy(&dev->wake);
}

struct apir_qp *
fake_qp(void)
{
	return atomic_load(&apir_devs[FAKE_DEV].qps[0]);
}

void
fake_share(const void *va, size_t len)
{
	struct apir_spans spans = {.r[3] = {.start = (uintptr_t)va, .end = (uintptr_t)va + len}};

	apir_mem_table_write(&apir_devs[FAKE_DEV].mem, &spans);
}

bool
fake_pop(struct fake_request *r)
{
	const struct apir_vq *vq = fake_qp()->vq;
	const struct vring_desc *d, *tbl;
	uint16_t n, i;

	if (vq->avail->idx == next_avail)
		return false;
	d = &vq->desc[vq->avail->ring[next_avail++ & (vq->size - 1)]];
	assert_int_equal(d->flags, VRING_DESC_F_INDIRECT);
	assert_int_equal(d->len % sizeof(*tbl), 0);
	tbl = (const struct vring_desc *)d->addr;
	n = (uint16_t)(d->len / sizeof(*tbl));
	assert_true(n >= 3);
	for (i = 0; i < n; i++) {
		assert_int_equal(tbl[i].flags & VRING_DESC_F_NEXT,
				 i + 1 < n ? VRING_DESC_F_NEXT : 0);
		assert_int_equal(tbl[i].flags & VRING_DESC_F_WRITE, i > 0 ? VRING_DESC_F_WRITE : 0);
		assert_true(i + 1 == n || tbl[i].next == i + 1);
	}
	r->req = (const struct apir_burst_req *)tbl[0].addr;
	r->counts = (const uint16_t *)(r->req + 1);
	r->segs = tbl + 1;
	r->rsp = (struct apir_burst_rsp *)tbl[n - 1].addr;
	r->rsp_len = tbl[n - 1].len;
	assert_int_equal(r->req->nb_segs, n - 2);
	assert_int_equal(r->rsp_len,
			 sizeof(*r->rsp) + r->req->nb_pkts * sizeof(struct apir_verdict));
	assert_int_equal(tbl[0].len, sizeof(*r->req) + ((r->req->flags & APIR_BURST_F_SEGS)
								? r->req->nb_pkts * sizeof(uint16_t)
								: 0));
	memset(r->rsp->verdict, 0, r->req->nb_pkts * sizeof(struct apir_verdict));
	r->rsp->copied = 0;
	return true;
}

void
fake_used(uint32_t id, uint16_t idx)
{
	struct apir_vq *vq = fake_qp()->vq;

	vq->used->ring[next_used & (vq->size - 1)] = (struct vring_used_elem){.id = id};
	atomic_store((_Atomic uint16_t *)&vq->used->idx, idx);
}

void
fake_complete(struct fake_request *r, uint32_t status)
{
	const uint32_t id = next_used & (fake_qp()->vq->nb_slots - 1);

	r->rsp->status = status;
	fake_used(id, (uint16_t)(next_used + 1));
	next_used++;
}
