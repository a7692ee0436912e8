/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal_memconfig.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#include "apir_private.h"
#include "apir_regions.h"

#define EVENT_NAME "apir"

/* The memory lock: see apir_private.h for its place among the locks. */
static pthread_mutex_t mem_lock = PTHREAD_MUTEX_INITIALIZER;
static bool have_events;

/* Operations of struct apir_env ------------------------------------------- */

static void *
dma_alloc(const struct apir_env *env, size_t size, size_t align, int numa_node)
{
	void *p = rte_zmalloc_socket("apir", size, (unsigned int)align, numa_node);

	RTE_SET_USED(env);
	if (p == NULL && numa_node != SOCKET_ID_ANY)
		p = rte_zmalloc_socket("apir", size, (unsigned int)align, SOCKET_ID_ANY);
	return p;
}

static void
dma_free(const struct apir_env *env, void *p)
{
	RTE_SET_USED(env);
	rte_free(p);
}

/* Over vhost-user a guest address is an address of this process. */
static uint64_t
dma_addr(const struct apir_env *env, const void *p)
{
	RTE_SET_USED(env);
	return (uintptr_t)p;
}

/*
 * The transport asks while it starts: apir_memory_attach() holds the locks, and publishes what was
 * told.
 */
static int
mem_regions(const struct apir_env *env, struct apir_mem_region *regions, unsigned int max)
{
	struct apir_dev *dev = env->ctx;
	const int ret =
		apir_regions_get(regions, RTE_MIN(max, (unsigned int)APIR_MEM_MAX_REGIONS), NULL);

	if (ret > 0) {
		memcpy(dev->regions, regions, (unsigned int)ret * sizeof(regions[0]));
		dev->nb_regions = (unsigned int)ret;
	}
	return ret;
}

void
apir_memory_env(struct apir_dev *dev)
{
	dev->env = (struct apir_env){
		.dma_alloc = dma_alloc,
		.dma_free = dma_free,
		.dma_addr = dma_addr,
		.mem_regions = mem_regions,
		.vlog = apir_env_vlog,
		.ctx = dev,
	};
}

/* The data path's table ------------------------------------------------------ */

void
apir_mem_table_write(struct apir_mem_table *t, const struct apir_spans *in)
{
	const uint32_t gen = atomic_load_explicit(&t->gen, memory_order_relaxed) + 1;
	unsigned int i;

	/* a reader that sees what follows sees at least the generation of the last write, too */
	atomic_thread_fence(memory_order_release);
	for (i = 0; i < APIR_MEM_MAX_REGIONS; i++) {
		atomic_store_explicit(&t->copy[gen & 1][i].start, in->r[i].start,
				      memory_order_relaxed);
		atomic_store_explicit(&t->copy[gen & 1][i].end, in->r[i].end, memory_order_relaxed);
	}
	atomic_store_explicit(&t->gen, gen, memory_order_release);
}

static void
publish(struct apir_dev *dev)
{
	struct apir_spans ranges = {0};
	unsigned int i;

	for (i = 0; i < dev->nb_regions; i++) {
		ranges.r[i].start = (uintptr_t)dev->regions[i].va;
		ranges.r[i].end = (uintptr_t)dev->regions[i].va + dev->regions[i].size;
	}
	apir_mem_table_write(&dev->mem, &ranges);
}

/* Following EAL's memory ------------------------------------------------------- */

static bool
same_regions(const struct apir_dev *dev, const struct apir_mem_region *r, unsigned int nb)
{
	unsigned int i;

	if (nb != dev->nb_regions)
		return false;
	for (i = 0; i < nb; i++) {
		if (r[i].va != dev->regions[i].va || r[i].size != dev->regions[i].size ||
		    r[i].fd != dev->regions[i].fd || r[i].fd_offset != dev->regions[i].fd_offset)
			return false;
	}
	return true;
}

/*
 * Tell one device. What goes must be refused by the data path before the device loses it, what
 * comes may be used only when the device has it.
 */
static int
update_device(struct apir_dev *dev, const struct apir_mem_region *regions, unsigned int nb,
	      bool goes)
{
	int ret;

	if (!goes) {
		ret = dev->t->ops->update_mem(dev->t, regions, nb);
		if (ret != 0)
			return ret;
	}
	memcpy(dev->regions, regions, nb * sizeof(regions[0]));
	dev->nb_regions = nb;
	publish(dev);
	return goes ? dev->t->ops->update_mem(dev->t, regions, nb) : 0;
}

static bool
anybody_follows(void)
{
	uint16_t i;

	for (i = 0; i < RTE_APIR_MAX_DEVS; i++) {
		if (apir_devs[i].follows)
			return true;
	}
	return false;
}

/* Called by EAL with its memory lock held, before memory goes or after it came. */
static void
on_mem_event(enum rte_mem_event event, const void *addr, size_t len, void *arg)
{
	const struct apir_hole hole = {.addr = (uintptr_t)addr, .len = len};
	const bool goes = event == RTE_MEM_EVENT_FREE;
	struct apir_mem_region regions[APIR_MEM_MAX_REGIONS];
	int nb = 0, ret;
	uint16_t i;

	RTE_SET_USED(arg);
	pthread_mutex_lock(&mem_lock);
	/* devices on PCI do not, and EAL need not have memory that can be shared for their sake */
	if (anybody_follows())
		nb = apir_regions_get(regions, APIR_MEM_MAX_REGIONS, goes ? &hole : NULL);
	for (i = 0; nb > 0 && i < RTE_APIR_MAX_DEVS; i++) {
		struct apir_dev *dev = &apir_devs[i];

		if (!dev->follows)
			continue;
		ret = update_device(dev, regions, (unsigned int)nb, goes);
		if (ret != 0)
			APIR_LOG(ERR,
				 "device %u: the back-end did not follow a change of memory at %p, "
				 "%zu bytes: "
				 "%s\n",
				 i, addr, len, strerror(-ret));
	}
	pthread_mutex_unlock(&mem_lock);
}

int
apir_memory_init(void)
{
	if (rte_mem_event_callback_register(EVENT_NAME, on_mem_event, NULL) == 0) {
		have_events = true;
		return 0;
	}
	/* memory that cannot change (--no-huge) has no events */
	if (rte_errno == ENOTSUP)
		return 0;
	return apir_err(rte_errno, "cannot follow EAL's memory: %s", rte_strerror(rte_errno));
}

void
apir_memory_fini(void)
{
	if (have_events)
		rte_mem_event_callback_unregister(EVENT_NAME, NULL);
	have_events = false;
	pthread_mutex_lock(&mem_lock);
	apir_extmem_close();
	pthread_mutex_unlock(&mem_lock);
}

int
apir_memory_attach(struct apir_dev *dev, int (*connect)(struct apir_dev *dev))
{
	int ret;

	rte_mcfg_mem_read_lock();
	pthread_mutex_lock(&mem_lock);
	ret = connect(dev);
	if (ret == 0) {
		publish(dev);
		dev->follows = true;
	}
	pthread_mutex_unlock(&mem_lock);
	rte_mcfg_mem_read_unlock();
	return ret;
}

void
apir_memory_detach(struct apir_dev *dev)
{
	pthread_mutex_lock(&mem_lock);
	dev->follows = false;
	dev->nb_regions = 0;
	publish(dev);
	pthread_mutex_unlock(&mem_lock);
}

static bool
knows(const struct apir_dev *dev, uintptr_t addr)
{
	unsigned int i;

	for (i = 0; i < dev->nb_regions; i++) {
		if (addr - (uintptr_t)dev->regions[i].va < dev->regions[i].size)
			return true;
	}
	return false;
}

/*
 * rte_extmem_register() gives no event, and a device may have missed one. So memory that EAL knows
 * and the device does not is looked at once more, when a packet lies in it; once a second if that
 * leads to nothing.
 */
void
apir_memory_refresh(struct apir_dev *dev, uintptr_t addr)
{
	const uint64_t last = atomic_load_explicit(&dev->refreshed, memory_order_relaxed);
	struct apir_mem_region regions[APIR_MEM_MAX_REGIONS];
	bool settled;
	int nb = 0;

	if (dev->conf.pci || rte_mem_virt2memseg_list((const void *)addr) == NULL ||
	    apir_extmem_refused(addr))
		return;
	if (last != 0 && rte_rdtsc() - last < rte_get_tsc_hz())
		return;
	rte_mcfg_mem_read_lock();
	pthread_mutex_lock(&mem_lock);
	/* another queue pair may have met it first */
	if (dev->follows && !knows(dev, addr))
		nb = apir_regions_get(regions, APIR_MEM_MAX_REGIONS, NULL);
	if (nb > 0 && !same_regions(dev, regions, (unsigned int)nb))
		update_device(dev, regions, (unsigned int)nb, false);
	settled = knows(dev, addr) || apir_extmem_refused(addr);
	pthread_mutex_unlock(&mem_lock);
	rte_mcfg_mem_read_unlock();
	atomic_store_explicit(&dev->refreshed, settled ? 0 : rte_rdtsc(), memory_order_relaxed);
}
