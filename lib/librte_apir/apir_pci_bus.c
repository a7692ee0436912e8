/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <rte_bus_pci.h>
#include <rte_eal.h>

#include <bus_pci_driver.h>

#include "apir_pci_bus.h"
#include "apir_private.h"

struct apir_pci_dev {
	TAILQ_ENTRY(apir_pci_dev) next;
	struct rte_pci_device *rte;
	struct apir_pci_sysfs sysfs; /* configuration space: the same way for every kernel driver */
	struct apir_pci pci;
	bool taken;
};

static TAILQ_HEAD(, apir_pci_dev) devs = TAILQ_HEAD_INITIALIZER(devs);
static pthread_mutex_t devs_lock = PTHREAD_MUTEX_INITIALIZER;

/* As the transport reaches a device ------------------------------------------- */

static int
bus_cfg_read(void *ctx, uint32_t off, void *buf, uint32_t len)
{
	struct apir_pci_dev *d = ctx;

	return d->sysfs.pci.ops->cfg_read(d->sysfs.pci.ctx, off, buf, len);
}

static int
bus_cfg_write(void *ctx, uint32_t off, const void *buf, uint32_t len)
{
	struct apir_pci_dev *d = ctx;

	return d->sysfs.pci.ops->cfg_write(d->sysfs.pci.ctx, off, buf, len);
}

static volatile void *
bus_bar(void *ctx, unsigned int bar, uint64_t *len)
{
	const struct apir_pci_dev *d = ctx;

	if (bar >= PCI_MAX_RESOURCE)
		return NULL;
	*len = d->rte->mem_resource[bar].len;
	return d->rte->mem_resource[bar].addr;
}

static const struct apir_pci_ops bus_ops = {
	.cfg_read = bus_cfg_read,
	.cfg_write = bus_cfg_write,
	.bar = bus_bar,
};

const struct apir_pci *
apir_pci_func(const struct apir_pci_dev *dev)
{
	return &dev->pci;
}

/* What EAL finds ---------------------------------------------------------------- */

/* Can DPDK map it? EAL asks this of drivers that have their devices mapped before probe(). */
static bool
can_map(const struct rte_pci_device *rte)
{
	return rte->kdrv == RTE_PCI_KDRV_UIO_GENERIC || rte->kdrv == RTE_PCI_KDRV_VFIO ||
	       rte->kdrv == RTE_PCI_KDRV_IGB_UIO;
}

/* Returns as EAL wants it: 0 ours, 1 not ours, negative: ours but of no use. */
static int
probe(struct rte_pci_driver *drv, struct rte_pci_device *rte)
{
	struct apir_pci_dev *d;
	struct apir_pci_ident ident;
	const char *why = "no configuration space in sysfs";
	int ret;

	RTE_SET_USED(drv);
	if (!can_map(rte))
		return 1; /* the kernel's own driver has it */
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->rte = rte;
	ret = apir_pci_sysfs_open(&d->sysfs, rte->name);
	if (ret == 0)
		ret = apir_pci_identify(&d->sysfs.pci, &ident, &why);
	if (ret == 0) {
		APIR_LOG(DEBUG, "%s is no apir device: %s\n", rte->name, why);
		ret = 1;
		goto not_ours;
	}
	if (ret < 0) {
		APIR_LOG(ERR, "%s cannot be used: %s\n", rte->name, why);
		goto not_ours;
	}
	d->pci.ops = &bus_ops;
	d->pci.ctx = d;
	memcpy(d->pci.addr, d->sysfs.pci.addr, sizeof(d->pci.addr));
	pthread_mutex_lock(&devs_lock);
	TAILQ_INSERT_TAIL(&devs, d, next);
	pthread_mutex_unlock(&devs_lock);
	APIR_LOG(INFO, "%s: %s '%s'\n", d->pci.addr, ident.carrier->name, ident.tag);
	return 0;

not_ours:
	apir_pci_sysfs_close(&d->sysfs);
	free(d);
	return ret;
}

static int
unplug(struct rte_pci_device *rte)
{
	struct apir_pci_dev *d;

	pthread_mutex_lock(&devs_lock);
	TAILQ_FOREACH(d, &devs, next)
		if (d->rte == rte)
			break;
	if (d != NULL && d->taken) {
		pthread_mutex_unlock(&devs_lock);
		APIR_LOG(ERR, "%s is in use: close the device first\n", d->pci.addr);
		return -EBUSY;
	}
	if (d != NULL)
		TAILQ_REMOVE(&devs, d, next);
	pthread_mutex_unlock(&devs_lock);
	if (d == NULL)
		return 0;
	apir_pci_sysfs_close(&d->sysfs);
	free(d);
	return 0;
}

/* The carriers' ids, ended by vendor_id 0. */
static struct rte_pci_id ids[APIR_NB_CARRIERS + 1];

RTE_INIT(apir_pci_ids)
{
	unsigned int i;

	for (i = 0; i < APIR_NB_CARRIERS; i++)
		ids[i] = (struct rte_pci_id){
			RTE_PCI_DEVICE(APIR_PCI_VENDOR, apir_carriers[i].device_id)};
}

static struct rte_pci_driver driver = {
	.id_table = ids,
	.probe = probe,
	.remove = unplug,
};

RTE_PMD_REGISTER_PCI(apir_pci, driver);
RTE_PMD_REGISTER_KMOD_DEP(apir_pci, "* uio_pci_generic | vfio-pci");

/* Why there is none --------------------------------------------------------------- */

/* Is the function at addr an apir device? Disks that are in use are not asked. */
static bool
is_apir(const char *addr, const char **why)
{
	struct apir_pci_ident ident;
	struct apir_pci_sysfs s;
	bool ours = false;
	int ret;

	*why = "it is a disk in use";
	if (apir_pci_sysfs_is_disk_in_use(addr))
		return false;
	ret = apir_pci_sysfs_open(&s, addr);
	*why = ret == -ENODEV ? "there is no such PCI device" : strerror(-ret);
	if (ret == 0) {
		ret = apir_pci_identify(&s.pci, &ident, why);
		ours = ret > 0;
	}
	apir_pci_sysfs_close(&s);
	return ours;
}

/* EAL has no such device for us: find the reason. Returns a negative errno, with a text. */
static int
explain(const char *addr)
{
	char name[64];
	const char *why;

	if (!is_apir(addr, &why))
		return apir_err(ENODEV, "%s is no apir device: %s", addr, why);
	apir_pci_sysfs_driver(addr, name, sizeof(name));
	if (strcmp(name, "uio_pci_generic") != 0 && strcmp(name, "vfio-pci") != 0 &&
	    strcmp(name, "igb_uio") != 0)
		return apir_err(ENODEV,
				"the apir device %s is bound to %s%s: give it to DPDK with "
				"apir-bind %s, then start again",
				addr, name[0] != '\0' ? "the kernel's driver " : "no driver", name,
				addr);
	if (!rte_eal_has_pci())
		return apir_err(ENODEV,
				"EAL runs with --no-pci, and the apir device %s is on PCI: leave "
				"that option out",
				addr);
	if (rte_eal_iova_mode() != RTE_IOVA_PA)
		return apir_err(ENOTSUP,
				"the apir device %s needs physical addresses, but EAL uses virtual "
				"ones: add --iova-mode=pa to EAL's options, use hugepages, and run "
				"as root",
				addr);
	return apir_err(ENODEV,
			"EAL did not take the apir device %s: it was bound or plugged in after EAL "
			"started, or left out by -a or -b (EAL's log tells more with "
			"--log-level=bus.pci:debug)",
			addr);
}

struct search {
	unsigned int nb;
	char addr[APIR_PCI_ADDR_LEN];
};

static int
count_ours(const char *addr, const struct apir_carrier *carrier, void *ctx)
{
	struct search *s = ctx;
	const char *why;

	RTE_SET_USED(carrier);
	if (!is_apir(addr, &why))
		return 0;
	if (s->nb++ == 0)
		snprintf(s->addr, sizeof(s->addr), "%s", addr);
	return 0;
}

bool
apir_pci_usable(void)
{
	bool any;

	pthread_mutex_lock(&devs_lock);
	any = !TAILQ_EMPTY(&devs);
	pthread_mutex_unlock(&devs_lock);
	return any;
}

bool
apir_pci_any(void)
{
	struct search s = {0};

	apir_pci_sysfs_each(count_ours, &s);
	return s.nb != 0 || apir_pci_usable();
}

/* Taking one ------------------------------------------------------------------------ */

/* With the lock held. */
static struct apir_pci_dev *
find(const char *addr, unsigned int *nb)
{
	struct apir_pci_dev *d, *found = NULL;

	*nb = 0;
	TAILQ_FOREACH(d, &devs, next) {
		if (addr != NULL && strcmp(d->pci.addr, addr) != 0)
			continue;
		found = d;
		++*nb;
	}
	return found;
}

/* With the lock held. */
static int
several(void)
{
	char list[256] = "";
	struct apir_pci_dev *d;
	size_t len = 0;

	TAILQ_FOREACH(d, &devs, next) {
		len += (size_t)snprintf(list + len, sizeof(list) - len, " %s", d->pci.addr);
		if (len >= sizeof(list))
			break;
	}
	return apir_err(EINVAL, "there are several apir devices, say which with pci=:%s", list);
}

/*
 * With the lock held. BARs are mapped no sooner than this: as soon as any process lets go of a device that it has
 * mapped, uio_pci_generic takes bus mastering from it, and so from the process that uses it.
 */
static int
take(struct apir_pci_dev *d)
{
	int ret;

	if (apir_pci_sysfs_lock(&d->sysfs) != 0)
		return apir_err(EBUSY, "the apir device %s is in use by another process",
				d->pci.addr);
	ret = rte_pci_map_device(d->rte);
	if (ret == 0) {
		d->taken = true;
		return 0;
	}
	apir_pci_sysfs_unlock(&d->sysfs);
	return apir_err(ENODEV, "the apir device %s cannot be mapped: EAL's log says why",
			d->pci.addr);
}

int
apir_pci_claim(const char *addr, struct apir_pci_dev **out)
{
	struct search s = {0};
	struct apir_pci_dev *d;
	unsigned int nb;
	int ret = 0;

	pthread_mutex_lock(&devs_lock);
	d = find(addr, &nb);
	if (nb > 1)
		ret = several();
	else if (d != NULL && d->taken)
		ret = apir_err(EBUSY, "the apir device %s is open already", d->pci.addr);
	else if (d != NULL && rte_eal_iova_mode() != RTE_IOVA_PA)
		ret = apir_err(ENOTSUP,
			       "the apir device %s takes physical addresses, but EAL uses virtual "
			       "ones: add --iova-mode=pa to EAL's options",
			       d->pci.addr);
	else if (d != NULL)
		ret = take(d);
	pthread_mutex_unlock(&devs_lock);
	if (ret != 0)
		return ret;
	*out = d;
	if (d != NULL)
		return 0;
	if (addr != NULL)
		return explain(addr);
	apir_pci_sysfs_each(count_ours, &s);
	if (s.nb != 0)
		return explain(s.addr);
	return apir_err(ENODEV, "this machine has no apir device on PCI: give QEMU one (see "
				"doc/guests.md), or name apird's socket with path=");
}

void
apir_pci_release(struct apir_pci_dev *dev)
{
	if (dev == NULL)
		return;
	pthread_mutex_lock(&devs_lock);
	rte_pci_unmap_device(dev->rte);
	apir_pci_sysfs_unlock(&dev->sysfs);
	dev->taken = false;
	pthread_mutex_unlock(&devs_lock);
}
