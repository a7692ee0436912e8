/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <sched.h>
#include <string.h>

#include <rte_malloc.h>

#include "apir_private.h"

/* Memory of the data path: hugepages of the right node where there are some, else of any node. */
static void *
near_alloc(size_t size, int socket_id)
{
	void *p = rte_zmalloc_socket("apir_qp", size, APIR_LINE, socket_id);

	if (p == NULL && socket_id != SOCKET_ID_ANY)
		p = rte_zmalloc_socket("apir_qp", size, APIR_LINE, SOCKET_ID_ANY);
	return p;
}

static void
qp_free(struct apir_qp *qp)
{
	apir_vq_destroy(qp->vq);
	rte_free(qp->slot_mbufs);
	rte_free(qp->slot_pkts);
	rte_free(qp);
}

int
apir_qp_create(struct apir_dev *dev, uint16_t idx)
{
	const struct apir_conf *c = &dev->conf;
	struct apir_qp *qp = near_alloc(sizeof(*qp), c->socket_id);
	int ret;

	if (qp == NULL)
		return apir_err(ENOMEM, "no memory for queue pair %u: give EAL more memory", idx);
	qp->dev = dev;
	qp->max_burst = c->max_burst;
	qp->max_segs = c->max_segs;
	qp->mask = c->nb_bursts - 1;
	qp->addr_field = c->pci ? APIR_MBUF_IOVA_FIELD : offsetof(struct rte_mbuf, buf_addr);
	qp->slot_mbufs =
		near_alloc(sizeof(qp->slot_mbufs[0]) * c->nb_bursts * c->max_burst, c->socket_id);
	qp->slot_pkts = near_alloc(sizeof(qp->slot_pkts[0]) * c->nb_bursts, c->socket_id);
	if (qp->slot_mbufs == NULL || qp->slot_pkts == NULL) {
		qp_free(qp);
		return apir_err(
			ENOMEM,
			"no memory for %u bursts of %u packets in queue pair %u: give EAL more "
			"memory, or lower rte_apir_conf.nb_bursts or max_burst",
			c->nb_bursts, c->max_burst, idx);
	}
	ret = apir_vq_create(&dev->env, apir_conf_ring_size(c), c->nb_bursts, c->max_burst,
			     c->max_segs, c->socket_id, &qp->vq);
	if (ret != 0) {
		qp_free(qp);
		return apir_err_core(ret, "no ring for queue pair %u: %s", idx, strerror(-ret));
	}
	atomic_store(&dev->qps[idx], qp);
	return 0;
}

/* Back to their pools: the device is gone, and so is whoever would dequeue them. */
static void
free_packets(struct apir_qp *qp)
{
	uint16_t n = atomic_load(&qp->released);
	uint16_t skip = qp->active ? qp->off : 0;
	struct rte_mbuf **pkts;

	for (; n != atomic_load(&qp->submitted); n++) {
		pkts = &qp->slot_mbufs[(uint32_t)(n & qp->mask) * qp->max_burst];
		rte_pktmbuf_free_bulk(pkts + skip, qp->slot_pkts[n & qp->mask] - skip);
		skip = 0;
	}
	if (qp->nb_pkts != 0)
		rte_pktmbuf_free_bulk(qp->mbufs, qp->nb_pkts);
}

void
apir_qp_destroy(struct apir_dev *dev, uint16_t idx)
{
	struct apir_qp *qp = atomic_exchange(&dev->qps[idx], NULL);

	if (qp == NULL)
		return;
	free_packets(qp);
	qp_free(qp);
}

static void
hold(atomic_bool *guard)
{
	/* the data path holds it for one burst, or while it tells the back-end of new memory */
	while (!apir_guard_try(guard))
		sched_yield();
}

void
apir_qp_hold_all(struct apir_dev *dev)
{
	uint16_t i;

	for (i = 0; i < dev->conf.nb_queue_pairs; i++) {
		struct apir_qp *qp = atomic_load(&dev->qps[i]);

		hold(&qp->enq_guard);
		hold(&qp->deq_guard);
	}
}

void
apir_qp_drop_all(struct apir_dev *dev)
{
	uint16_t i;

	for (i = 0; i < dev->conf.nb_queue_pairs; i++) {
		struct apir_qp *qp = atomic_load(&dev->qps[i]);

		apir_guard_drop(&qp->deq_guard);
		apir_guard_drop(&qp->enq_guard);
	}
}

bool
apir_qp_idle(const struct apir_qp *qp)
{
	return qp->nb_pkts == 0 && atomic_load(&qp->submitted) == atomic_load(&qp->released);
}

void
apir_qp_reset(struct apir_qp *qp)
{
	qp->slot = NULL;
	qp->nb_segs = 0;
	qp->multi = false;
	qp->active = false;
	qp->broken = false;
	qp->off = 0;
	atomic_store(&qp->submitted, 0);
	atomic_store(&qp->released, 0);
	apir_vq_reset(qp->vq);
}
