/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "apir_private.h"

/*
 * On PCI nothing tells that the back-end has come back: HELLO is said again and again, and the first tries, which are
 * most likely in vain, wait no longer than this.
 */
#define HELLO_AGAIN_MS 250u
/* How often, and how patiently, a back-end is asked whether it lives, where its end cannot be seen. */
#define PROBE_MS      500
#define PROBE_WAIT_MS 2000u

/* Whoever makes the device lost says so, once. */
static void
now_lost(struct apir_dev *dev, bool tell)
{
	if (atomic_exchange(&dev->state, RTE_APIR_LOST) == RTE_APIR_LOST || !tell)
		return;
	/* locks may be held here: the service thread calls the application */
	atomic_store(&dev->tell, true);
	sem_post(&dev->wake);
}

/* The transport's thread: the back-end is gone. */
static void
on_lost(void *ctx)
{
	struct apir_dev *dev = ctx;

	atomic_store(&dev->gone, true);
	now_lost(dev, true);
}

static void
notify_data(void *ctx)
{
	const struct apir_qp *qp = ctx;
	struct apir_transport *t = qp->dev->t;

	t->ops->kick(t, qp->index);
}

static int
setup_queues(struct apir_dev *dev)
{
	struct apir_transport *t = dev->t;
	uint16_t i;
	int ret;

	ret = t->ops->queue_setup(t, APIR_CTL_QUEUE, dev->ctl_vq);
	for (i = 0; ret == 0 && i < dev->conf.nb_queue_pairs; i++) {
		struct apir_qp *qp = atomic_load(&dev->qps[i]);

		qp->index = APIR_DATA_QUEUE(i);
		qp->vq->notify = notify_data;
		qp->vq->notify_ctx = qp;
		ret = t->ops->queue_setup(t, qp->index, qp->vq);
	}
	return ret;
}

static int
start(struct apir_dev *dev)
{
	return dev->t->ops->start(dev->t);
}

/* A limit that the caller asked for must hold; a default gives way to what the device offers. */
static int
limit(const char *field, uint16_t *v, bool set, uint32_t max)
{
	if (*v <= max)
		return 0;
	if (set || max == 0)
		return apir_err(EINVAL, "rte_apir_conf.%s is %u, but the back-end allows 1..%u",
				field, *v, max);
	*v = (uint16_t)max;
	return 0;
}

static int
hello(struct apir_dev *dev)
{
	struct apir_conf *c = &dev->conf;
	struct apir_hello_req req = {
		.version_min = APIR_VERSION,
		.version_max = APIR_VERSION,
		.features = APIR_F_LOOPBACK | APIR_F_MULTI_SEG | APIR_F_PIPELINE,
		.nb_data_queues = c->nb_queue_pairs,
		.max_pkts = c->max_burst,
	};
	int ret;

	snprintf(req.driver_name, sizeof(req.driver_name), "%s", c->name);
	ret = apir_ctl_hello(dev->ctl, &req, &dev->hello, dev->hello_ms);
	/* the next try is more patient: a back-end that has just come may be slow */
	dev->hello_ms = RTE_MIN(dev->hello_ms * 2, c->timeout_ms);
	if (ret != 0)
		return ret;
	if (c->nb_queue_pairs > dev->hello.max_data_queues)
		return apir_err(EINVAL,
				"rte_apir_conf.nb_queue_pairs is %u, but the back-end allows 1..%u",
				c->nb_queue_pairs, dev->hello.max_data_queues);
	if (limit("max_segs", &c->max_segs, c->max_segs_set, dev->hello.max_segs) != 0)
		return -EINVAL;
	return limit("max_burst", &c->max_burst, c->max_burst_set,
		     RTE_MIN(dev->hello.max_pkts, (uint32_t)c->max_segs));
}

static int
agree(struct apir_dev *dev)
{
	uint16_t i;
	int ret;

	ret = apir_ctl_create(dev->t, dev->ctl_vq, dev->conf.build_timeout_ms, &dev->ctl);
	if (ret == 0)
		ret = hello(dev);
	for (i = 0; ret == 0 && i < dev->conf.nb_queue_pairs; i++) {
		struct apir_qp *qp = atomic_load(&dev->qps[i]);

		/* what the slots were made for may be more: never less */
		qp->max_burst = dev->conf.max_burst;
		qp->max_segs = dev->conf.max_segs;
		qp->multi_seg = (dev->hello.features & APIR_F_MULTI_SEG) != 0;
	}
	return ret;
}

int
apir_link_choose(struct apir_dev *dev)
{
	struct apir_conf *c = &dev->conf;
	const struct apir_pci *pci;
	int ret;

	/* a device that is of no use yet is better explained than a socket that is not there */
	if (c->choose && (apir_pci_usable() || (access(c->path, F_OK) != 0 && apir_pci_any()))) {
		c->pci = true;
		c->path[0] = '\0';
	}
	if (!c->pci)
		return 0;
	ret = apir_pci_claim(c->path[0] != '\0' ? c->path : NULL, &dev->pci);
	if (ret != 0)
		return ret;
	pci = apir_pci_func(dev->pci);
	snprintf(c->path, sizeof(c->path), "%s", pci->addr);
	return 0;
}

/* Defaults give way to what the device's rings hold; what was asked for is checked when the queues are set up. */
static void
adapt(struct apir_conf *c, const struct apir_transport_limits *l, bool queues_exist)
{
	const uint16_t segs = (uint16_t)(l->queue_size - 2);

	if (!c->nb_bursts_set && !queues_exist)
		c->nb_bursts = RTE_MIN(c->nb_bursts, l->queue_size);
	if (!c->max_burst_set)
		c->max_burst = RTE_MIN(c->max_burst, segs);
	if (!c->max_segs_set)
		c->max_segs = RTE_MAX(c->max_burst, RTE_MIN(c->max_segs, segs));
	if (c->fewer_queue_pairs && !queues_exist)
		c->nb_queue_pairs = RTE_MIN(c->nb_queue_pairs, l->nb_data_queues);
}

int
apir_link_open(struct apir_dev *dev)
{
	struct apir_conf *c = &dev->conf;
	struct apir_transport_limits limits;
	int ret;

	atomic_store(&dev->gone, false);
	dev->stopped = false;
	if (c->pci)
		ret = apir_virtio_pci_open(apir_pci_func(dev->pci), &dev->env, c->timeout_ms,
					   &dev->t);
	else
		ret = apir_vhost_user_open(c->path, &dev->env, c->timeout_ms, on_lost, dev,
					   &dev->t);
	if (ret != 0) {
		dev->t = NULL;
		return apir_err_core(ret, "cannot connect to %s: %s", c->path, strerror(-ret));
	}
	dev->t->ops->limits(dev->t, &limits);
	adapt(c, &limits, dev->ctl_vq != NULL);
	return 0;
}

int
apir_link_up(struct apir_dev *dev)
{
	int ret;

	ret = setup_queues(dev);
	if (ret == 0)
		ret = dev->conf.pci ? apir_iova_attach(dev, start) : apir_memory_attach(dev, start);
	if (ret == 0)
		ret = agree(dev);
	if (ret != 0)
		return apir_err_core(ret, "cannot set up a session with %s: %s", dev->conf.path,
				     strerror(-ret));
	if (dev->conf.pci)
		dev->hello_ms = HELLO_AGAIN_MS;
	APIR_LOG(INFO, "device %u: session %u on %s, %s, %s\n", dev->id, dev->hello.session,
		 dev->conf.path, dev->hello.device_name,
		 dev->hello.copy_mode == APIR_COPY_STAGED ? "packets are copied" : "zero copy");
	return 0;
}

void
apir_link_down(struct apir_dev *dev)
{
	apir_memory_detach(dev);
	apir_ctl_destroy(dev->ctl);
	dev->ctl = NULL;
	if (dev->t != NULL)
		dev->t->ops->close(dev->t);
	dev->t = NULL;
}

int
apir_link_stop(struct apir_dev *dev, bool tell)
{
	uint16_t i;
	int ret = 0;

	if (dev->t == NULL || dev->stopped)
		return 0;
	if (!atomic_load(&dev->gone)) {
		/* nothing is submitted any more, and what completes is still handed out */
		atomic_store(&dev->state, RTE_APIR_HUNG);
		apir_memory_detach(dev);
		ret = dev->t->ops->stop(dev->t);
	}
	if (ret == 0 || atomic_load(&dev->gone)) {
		apir_memory_detach(dev);
		dev->stopped = true;
		now_lost(dev, tell);
		return 0;
	}
	for (i = 0; i < dev->conf.nb_queue_pairs; i++) {
		struct apir_qp *qp = atomic_load(&dev->qps[i]);

		if (qp != NULL && rte_apir_in_flight(dev->id, i) != 0)
			apir_count(&qp->timeouts, 1);
	}
	return ret;
}

void
apir_link_run(struct apir_dev *dev)
{
	atomic_store(&dev->state, RTE_APIR_RUNNING);
	/* it may have gone between its last answer and the line above */
	if (atomic_load(&dev->gone))
		now_lost(dev, true);
}

int
apir_link_probe_ms(const struct apir_dev *dev)
{
	return dev->conf.pci ? PROBE_MS : 0;
}

void
apir_link_probe(struct apir_dev *dev)
{
	int ret;

	/* who has the lock talks to the back-end, or waits for this thread's end */
	if (pthread_mutex_trylock(&dev->lock) != 0)
		return;
	if (dev->open && apir_dev_state(dev) == RTE_APIR_RUNNING && dev->t->ops->probes) {
		ret = apir_ctl_ping(dev->ctl, RTE_MIN(dev->conf.timeout_ms, PROBE_WAIT_MS));
		if (ret != 0) {
			APIR_LOG(ERR, "device %u: the session with %s is over: %s\n", dev->id,
				 dev->conf.path,
				 ret == -ETIMEDOUT ? "its back-end does not answer"
				 : ret == -EAGAIN  ? "its back-end was started again"
						   : strerror(-ret));
			apir_dev_fail(dev);
		}
	}
	pthread_mutex_unlock(&dev->lock);
}
