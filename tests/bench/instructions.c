/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/**
 * @file
 * What a packet costs the guest, for tests/bench/instructions.py to count under callgrind: bursts through the data path
 * of librte_apir, over either transport's addresses, with a device that answers at once. The transports themselves do
 * nothing for a packet, nor for a burst but ring a doorbell when the device sleeps, which this one never does.
 *
 *   apir-instructions vhost-user|virtio-pci PACKETS BURSTS
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_mbuf.h>

#include "apir_private.h"

#define DEV 0

static struct rte_mempool *pool;
static uint16_t used;

/* A queue pair of a running device, without a device. */
static struct apir_qp *
make_qp(bool pci, uint16_t burst)
{
	struct apir_dev *dev = &apir_devs[DEV];
	const struct apir_spans all = {.r[0] = {.start = APIR_IOVA_MIN, .end = APIR_IOVA_END}};
	struct apir_qp *qp;

	apir_memory_env(dev);
	dev->conf = (struct apir_conf){.pci = pci,
				       .nb_queue_pairs = 1,
				       .nb_bursts = 32,
				       .max_burst = burst,
				       .max_segs = burst};
	if (apir_qp_create(dev, 0) != 0)
		exit(1);
	qp = atomic_load(&dev->qps[0]);
	qp->multi_seg = true;
	apir_mem_table_write(&dev->mem, &all);
	atomic_store(&dev->state, RTE_APIR_RUNNING);
	return qp;
}

/* The oldest burst is done: all of its packets go on. */
static void
complete(struct apir_qp *qp)
{
	struct apir_vq *vq = qp->vq;
	const uint16_t slot = used & (vq->nb_slots - 1);
	struct apir_burst_rsp *rsp = vq->slots[slot].rsp;

	memset(rsp, 0, sizeof(*rsp) + qp->max_burst * sizeof(rsp->verdict[0]));
	vq->used->ring[used & (vq->size - 1)] = (struct vring_used_elem){.id = slot};
	atomic_store((_Atomic uint16_t *)&vq->used->idx, ++used);
}

int
main(int argc, char **argv)
{
	char *eal[] = {argv[0],
		       "--no-huge",
		       "--no-pci",
		       "--no-shconf",
		       "--no-telemetry",
		       "-m",
		       "64",
		       "--log-level=*:error",
		       "-l",
		       "0",
		       NULL};
	struct rte_apir_verdict v[APIR_MAX_PKTS];
	struct rte_mbuf *in[APIR_MAX_PKTS], *out[APIR_MAX_PKTS];
	unsigned long packets, bursts;
	struct apir_qp *qp;

	if (argc != 4 || (packets = strtoul(argv[2], NULL, 10)) < 1 || packets > APIR_MAX_PKTS) {
		fputs("usage: apir-instructions vhost-user|virtio-pci PACKETS BURSTS\n", stderr);
		return 2;
	}
	bursts = strtoul(argv[3], NULL, 10);
	if (rte_eal_init(RTE_DIM(eal) - 1, eal) < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("packets", 2047, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (pool == NULL || rte_pktmbuf_alloc_bulk(pool, in, (unsigned int)packets) != 0)
		return 1;
	qp = make_qp(strcmp(argv[1], "virtio-pci") == 0, (uint16_t)packets);
	for (unsigned long i = 0; i < packets; i++)
		rte_pktmbuf_append(in[i], 60);
	for (unsigned long b = 0; b < bursts; b++) {
		if (rte_apir_enqueue_burst(DEV, 0, 0, in, (uint16_t)packets) != packets)
			return 1;
		complete(qp);
		if (rte_apir_dequeue_burst(DEV, 0, out, v, (uint16_t)packets) != packets ||
		    memcmp(in, out, packets * sizeof(in[0])) != 0)
			return 1;
	}
	/* the addresses that the device got are of the kind that was asked for */
	for (unsigned long i = 0; i < packets; i++) {
		const uint64_t want =
			strcmp(argv[1], "virtio-pci") == 0
				? rte_pktmbuf_iova(in[i])
				: (uint64_t)(uintptr_t)rte_pktmbuf_mtod(in[i], void *);

		if (qp->vq->slots[0].tbl[1 + i].addr != want)
			return 1;
	}
	return 0;
}
