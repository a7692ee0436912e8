/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_bus.h"

struct fake_bus fake_bus;
static _Atomic(struct vring_avail *) ctl_avail;

/* The bus ------------------------------------------------------------------------------ */

int
apir_pci_claim(const char *addr, struct apir_pci_dev **out)
{
	if (fake_bus.no_device || (addr != NULL && strcmp(addr, FAKE_BUS_ADDR) != 0))
		return apir_err(ENODEV, "there is no such PCI device");
	if (atomic_exchange(&fake_bus.taken, true))
		return apir_err(EBUSY, "the apir device %s is open already", FAKE_BUS_ADDR);
	*out = (struct apir_pci_dev *)&fake_bus;
	return 0;
}

void
apir_pci_release(struct apir_pci_dev *dev)
{
	if (dev != NULL)
		atomic_store(&fake_bus.taken, false);
}

const struct apir_pci *
apir_pci_func(const struct apir_pci_dev *dev)
{
	static const struct apir_pci pci = {.addr = FAKE_BUS_ADDR};

	return dev == (struct apir_pci_dev *)&fake_bus ? &pci : NULL;
}

bool
apir_pci_usable(void)
{
	return !fake_bus.no_device;
}

bool
apir_pci_any(void)
{
	return !fake_bus.no_device;
}

/* The transport ------------------------------------------------------------------------ */

static int
fb_queue_setup(struct apir_transport *t, uint16_t idx, const struct apir_vq *vq)
{
	struct fake_queue *q = &fake_bus.s.be.queue[idx];

	if (idx > fake_bus.limits.nb_data_queues || vq->size > fake_bus.limits.queue_size) {
		apir_log(t->env, APIR_LOG_ERR, "queue %u of %u entries is too much", idx, vq->size);
		return -EINVAL;
	}
	if (fake_bus.queues <= idx)
		fake_bus.queues = idx + 1u;
	fake_bus.sizes[idx] = vq->size;
	/* EAL without hugepages: guest addresses are those of this process */
	q->num = vq->size;
	q->addr.desc = vq->desc_addr;
	q->addr.avail = vq->avail_addr;
	q->addr.used = vq->used_addr;
	return 0;
}

static int
fb_start(struct apir_transport *t)
{
	struct fake_queue *q = &fake_bus.s.be.queue[APIR_CTL_QUEUE];

	(void)t;
	if (fake_bus.start_ret != 0)
		return fake_bus.start_ret;
	q->enabled = true;
	atomic_store(&ctl_avail, (struct vring_avail *)q->addr.avail);
	fake_session_serve(&fake_bus.s);
	return 0;
}

static int
fb_stop(struct apir_transport *t)
{
	const int ret = atomic_load(&fake_bus.stop_ret);

	(void)t;
	if (ret != 0)
		return ret;
	atomic_store(&ctl_avail, NULL);
	fake_session_quiet(&fake_bus.s);
	return 0;
}

static void
fb_kick(struct apir_transport *t, uint16_t idx)
{
	(void)t;
	(void)idx;
	atomic_fetch_add(&fake_bus.kicks, 1);
}

static void
fb_limits(struct apir_transport *t, struct apir_transport_limits *limits)
{
	(void)t;
	*limits = fake_bus.limits;
}

static int
fb_call_fd(struct apir_transport *t, uint16_t idx)
{
	(void)t;
	(void)idx;
	return -1;
}

static bool
fb_alive(struct apir_transport *t)
{
	(void)t;
	return true;
}

static int
fb_update_mem(struct apir_transport *t, const struct apir_mem_region *regions, unsigned int nb)
{
	(void)t;
	(void)regions;
	(void)nb;
	return 0;
}

static void
fb_close(struct apir_transport *t)
{
	atomic_fetch_add(&fake_bus.closed, 1);
	free(t);
}

#define FB_OPS                                                                          \
	.name = "fake-pci", .silent = "nobody is there", .queue_setup = fb_queue_setup, \
	.start = fb_start, .stop = fb_stop, .kick = fb_kick, .limits = fb_limits,       \
	.call_fd = fb_call_fd, .alive = fb_alive, .update_mem = fb_update_mem, .close = fb_close

static const struct apir_transport_ops fb_ops = {FB_OPS, .probes = true};
static const struct apir_transport_ops fb_ops_no_probes = {FB_OPS};

int
apir_virtio_pci_open(const struct apir_pci *pci, const struct apir_env *env,
		     unsigned int timeout_ms, struct apir_transport **out)
{
	struct apir_transport *t = calloc(1, sizeof(*t));

	if (t == NULL || pci == NULL || timeout_ms == 0)
		abort();
	t->ops = fake_bus.no_probes ? &fb_ops_no_probes : &fb_ops;
	t->env = env;
	atomic_fetch_add(&fake_bus.opened, 1);
	*out = t;
	return 0;
}

unsigned int
fake_bus_requests(void)
{
	struct vring_avail *avail = atomic_load(&ctl_avail);

	return avail == NULL ? 0 : atomic_load((_Atomic uint16_t *)&avail->idx);
}

void
fake_bus_init(void)
{
	memset(&fake_bus, 0, sizeof(fake_bus));
	fake_session_init(&fake_bus.s);
	fake_bus.limits = (struct apir_transport_limits){.nb_data_queues = 4, .queue_size = 1024};
}
