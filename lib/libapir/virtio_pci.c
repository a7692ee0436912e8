/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apir_pci.h"
#include "apir_transport.h"
#include "apir_vq.h"
#include "virtio_apir.h"

/*
 * The modern virtio PCI transport (VIRTIO 1.2, 4.1). The carriers give no interrupt that we would use: completions are
 * polled for. Requests name guest-physical addresses, with a virtual IOMMU too: the carriers do not offer
 * VIRTIO_F_ACCESS_PLATFORM, so that the device goes past it.
 */

#define VP_MAX_QUEUES (1u + APIR_MAX_DATA_QUEUES)
#define VP_NO_VECTOR  0xffffu
#define VP_GONE	      0xffu /* what reads of a function that was unplugged give */
#define VP_NEED_RESET 0x40u /* DEVICE_NEEDS_RESET */

/* Of queues that nobody uses: all of them lie in the same memory, which neither side ever writes to but for event indexes. */
#define IDLE_SIZE  APIR_MIN_QUEUE_SIZE
#define IDLE_AVAIL (IDLE_SIZE * sizeof(struct vring_desc))
#define IDLE_USED  (IDLE_AVAIL + 64)
#define IDLE_BYTES (IDLE_USED + 128)

struct vp_queue {
	const struct apir_vq *vq;
	volatile uint16_t *doorbell;
};

struct vp_transport {
	struct apir_transport base; /* first: the ops get a pointer to it */
	char addr[APIR_PCI_ADDR_LEN];
	unsigned int timeout_ms;
	const struct apir_carrier *carrier;
	char tag[APIR_PCI_TAG_LEN];
	struct apir_pci_caps caps;
	volatile struct virtio_pci_common_cfg *common;
	volatile uint8_t *notify;
	uint16_t nb_queues;  /* of the device: all of them must be set up */
	uint16_t queue_size; /* most entries that each of them takes */
	void *idle_ring;
	struct vp_queue queue[VP_MAX_QUEUES];
	bool running; /* from DRIVER_OK to reset */
};

static inline struct vp_transport *
to_vp(struct apir_transport *t)
{
	return (struct vp_transport *)t;
}

/* What was written to memory is visible before the device hears of it. */
static inline void
io_wmb(void)
{
#ifdef __aarch64__
	__asm__ volatile("dmb oshst" ::: "memory");
#else
	atomic_thread_fence(memory_order_release);
#endif
}

static void
nap_ms(void)
{
	const struct timespec ts = {.tv_nsec = 1000000};

	nanosleep(&ts, NULL);
}

/* The device is at rest: it touches no memory of ours. */
static int
reset(struct vp_transport *t)
{
	unsigned int waited;
	uint8_t status;

	atomic_thread_fence(memory_order_seq_cst);
	t->common->device_status = 0;
	for (waited = 0;; waited++) {
		status = t->common->device_status;
		if (status == 0 || status == VP_GONE)
			break;
		if (waited >= t->timeout_ms) {
			apir_log(t->base.env, APIR_LOG_ERR,
				 "%s: the device does not finish its reset within %u ms (status "
				 "0x%x): QEMU hangs",
				 t->addr, t->timeout_ms, status);
			return -ETIMEDOUT;
		}
		nap_ms();
	}
	t->running = false;
	if (status == 0)
		return 0;
	apir_log(t->base.env, APIR_LOG_ERR, "%s: the device is gone: it was unplugged", t->addr);
	return -ENODEV;
}

static uint64_t
offered_features(struct vp_transport *t)
{
	uint64_t lo;

	t->common->device_feature_select = 0;
	lo = t->common->device_feature;
	t->common->device_feature_select = 1;
	return lo | (uint64_t)t->common->device_feature << 32;
}

static int
agree_features(struct vp_transport *t)
{
	static const struct {
		unsigned int bit;
		const char *name, *mend;
	} need[] = {
		{VIRTIO_F_VERSION_1, "VIRTIO_F_VERSION_1",
		 "remove disable-modern=on from QEMU's -device"},
		{VIRTIO_RING_F_INDIRECT_DESC, "VIRTIO_RING_F_INDIRECT_DESC",
		 "remove indirect_desc=off from QEMU's -device"},
		{VIRTIO_RING_F_EVENT_IDX, "VIRTIO_RING_F_EVENT_IDX",
		 "remove event_idx=off from QEMU's -device"},
	};
	const uint64_t offered = offered_features(t);
	uint64_t want = 0;
	unsigned int i;

	for (i = 0; i < sizeof(need) / sizeof(need[0]); i++) {
		want |= 1ull << need[i].bit;
		if (offered & (1ull << need[i].bit))
			continue;
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: the device lacks %s (it offers 0x%" PRIx64 "): %s", t->addr,
			 need[i].name, offered, need[i].mend);
		return -EPROTO;
	}
	if (offered & (1ull << VIRTIO_F_ACCESS_PLATFORM)) {
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: the device sees memory through the virtual IOMMU, which apird does "
			 "not: remove iommu_platform=on from QEMU's -device",
			 t->addr);
		return -EPROTO;
	}
	t->common->guest_feature_select = 0;
	t->common->guest_feature = (uint32_t)want;
	t->common->guest_feature_select = 1;
	t->common->guest_feature = (uint32_t)(want >> 32);
	t->common->device_status |= VIRTIO_CONFIG_S_FEATURES_OK;
	if (t->common->device_status & VIRTIO_CONFIG_S_FEATURES_OK)
		return 0;
	apir_log(t->base.env, APIR_LOG_ERR,
		 "%s: the device refuses the features 0x%" PRIx64 ", all of which it offers",
		 t->addr, want);
	return -EPROTO;
}

/* Bytes of one of the device's structures, where they lie in a BAR. */
static volatile uint8_t *
map_struct(struct vp_transport *t, const struct apir_pci *pci, enum apir_pci_struct s)
{
	uint64_t len = 0;
	volatile uint8_t *bar = NULL;

	if (pci->ops->bar != NULL)
		bar = pci->ops->bar(pci->ctx, t->caps.at[s].bar, &len);
	if (bar != NULL && t->caps.at[s].off <= len && t->caps.at[s].len <= len - t->caps.at[s].off)
		return bar + t->caps.at[s].off;
	apir_log(t->base.env, APIR_LOG_ERR,
		 "%s: BAR %u of %" PRIu64 " bytes does not hold what the device says it does "
		 "(%u bytes at 0x%x)",
		 t->addr, t->caps.at[s].bar, len, t->caps.at[s].len, t->caps.at[s].off);
	return NULL;
}

/* Is it an apir device at all? */
static int
identify(struct vp_transport *t, const struct apir_pci *pci)
{
	struct apir_pci_ident ident;
	const char *why;
	const int ret = apir_pci_identify(pci, &ident, &why);

	if (ret > 0) {
		t->carrier = ident.carrier;
		memcpy(t->tag, ident.tag, sizeof(t->tag));
		return 0;
	}
	apir_log(t->base.env, APIR_LOG_ERR, "%s: this is no apir device: %s%s%s%s%s", t->addr, why,
		 ident.tag[0] != '\0' ? " ('" : "", ident.tag, ident.tag[0] != '\0' ? "')" : "",
		 ret < 0 ? "" : "; left alone");
	return ret < 0 ? ret : -ENODEV;
}

static int
map_device(struct vp_transport *t, const struct apir_pci *pci)
{
	const char *why;
	int ret;

	ret = identify(t, pci);
	if (ret != 0)
		return ret;
	ret = apir_pci_caps_read(pci, &t->caps, &why);
	if (ret != 0) {
		apir_log(t->base.env, APIR_LOG_ERR, "%s: %s", t->addr, why);
		return ret;
	}
	t->common = (volatile void *)map_struct(t, pci, APIR_PCI_COMMON);
	t->notify = map_struct(t, pci, APIR_PCI_NOTIFY);
	if (t->common == NULL || t->notify == NULL)
		return -ENODEV;
	return 0;
}

/* How many queues, of what size: read after the reset, when sizes are the largest. */
static int
read_queues(struct vp_transport *t)
{
	const char *opt = t->carrier->queues_opt;
	uint16_t i, size;

	t->nb_queues = t->common->num_queues;
	t->queue_size = APIR_MAX_QUEUE_SIZE;
	if (t->nb_queues < 2 || t->nb_queues > VP_MAX_QUEUES) {
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: the device has %u queues: 2 to %u are possible, one of them for "
			 "control: give QEMU's %s %s=%u to %u",
			 t->addr, t->nb_queues, VP_MAX_QUEUES, t->carrier->name, opt,
			 2 - t->carrier->extra, VP_MAX_QUEUES - t->carrier->extra);
		return -EINVAL;
	}
	for (i = 0; i < t->nb_queues; i++) {
		t->common->queue_select = i;
		size = t->common->queue_size;
		if (size < APIR_MIN_QUEUE_SIZE || (size & (size - 1)) != 0) {
			apir_log(t->base.env, APIR_LOG_ERR,
				 "%s: queue %u of the device has %u entries: a power of two of "
				 "%u to %u is needed (QEMU's queue-size=)",
				 t->addr, i, size, APIR_MIN_QUEUE_SIZE, APIR_MAX_QUEUE_SIZE);
			return -EINVAL;
		}
		if (size < t->queue_size)
			t->queue_size = size;
	}
	return 0;
}

static int
vp_queue_setup(struct apir_transport *tr, uint16_t idx, const struct apir_vq *vq)
{
	struct vp_transport *t = to_vp(tr);

	if (t->running)
		return -EBUSY;
	if (idx >= t->nb_queues) {
		apir_log(tr->env, APIR_LOG_ERR,
			 "%s: queue %u asked for, but the device has only %u: give QEMU's %s a "
			 "larger %s=",
			 t->addr, idx, t->nb_queues, t->carrier->name, t->carrier->queues_opt);
		return -EINVAL;
	}
	if (vq->size > t->queue_size) {
		apir_log(tr->env, APIR_LOG_ERR,
			 "%s: a queue of %u entries is needed for such bursts, but the device "
			 "allows %u: ask for smaller bursts, or give QEMU's %s queue-size=%u",
			 t->addr, vq->size, t->queue_size, t->carrier->name, vq->size);
		return -EINVAL;
	}
	t->queue[idx].vq = vq;
	return 0;
}

static void
set_addr(volatile uint32_t *lo, volatile uint32_t *hi, uint64_t addr)
{
	*lo = (uint32_t)addr;
	*hi = (uint32_t)(addr >> 32);
}

/* One ring, which lies at these three guest addresses. */
static int
enable_queue(struct vp_transport *t, uint16_t i, uint16_t size, uint64_t desc, uint64_t avail,
	     uint64_t used)
{
	volatile struct virtio_pci_common_cfg *c = t->common;
	uint64_t off;

	c->queue_select = i;
	c->queue_size = size;
	c->queue_msix_vector = VP_NO_VECTOR;
	set_addr(&c->queue_desc_lo, &c->queue_desc_hi, desc);
	set_addr(&c->queue_avail_lo, &c->queue_avail_hi, avail);
	set_addr(&c->queue_used_lo, &c->queue_used_hi, used);
	off = (uint64_t)c->queue_notify_off * t->caps.notify_multiplier;
	if (off + sizeof(uint16_t) > t->caps.at[APIR_PCI_NOTIFY].len || (off & 1) != 0) {
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: the doorbell of queue %u lies outside the device's notification "
			 "area",
			 t->addr, i);
		return -EPROTO;
	}
	t->queue[i].doorbell = (volatile uint16_t *)(t->notify + off);
	c->queue_enable = 1;
	return 0;
}

/*
 * All queues that the device has: librte_vhost starts it when each of QEMU's rings is there. Those of no use are the
 * smallest ring.
 */
static int
enable_queues(struct vp_transport *t)
{
	const struct apir_env *env = t->base.env;
	uint64_t idle;
	uint16_t i;
	int ret = 0;

	if (t->idle_ring == NULL)
		t->idle_ring = env->dma_alloc(env, IDLE_BYTES, 64, -1);
	if (t->idle_ring == NULL) {
		apir_log(env, APIR_LOG_ERR, "no memory left for the rings of unused queues");
		return -ENOMEM;
	}
	idle = env->dma_addr(env, t->idle_ring);
	for (i = 0; ret == 0 && i < t->nb_queues; i++) {
		const struct apir_vq *vq = t->queue[i].vq;

		ret = vq != NULL ? enable_queue(t, i, vq->size, vq->desc_addr, vq->avail_addr,
						vq->used_addr)
				 : enable_queue(t, i, IDLE_SIZE, idle, idle + IDLE_AVAIL,
						idle + IDLE_USED);
	}
	return ret;
}

static int
vp_start(struct apir_transport *tr)
{
	struct vp_transport *t = to_vp(tr);
	int ret;

	if (t->running)
		return -EBUSY;
	if (t->queue[APIR_CTL_QUEUE].vq == NULL)
		return -EINVAL;
	ret = enable_queues(t);
	if (ret != 0)
		return ret;
	t->running = true;
	io_wmb();
	t->common->device_status |= VIRTIO_CONFIG_S_DRIVER_OK;
	if (!(t->common->device_status & VP_NEED_RESET))
		return 0;
	apir_log(tr->env, APIR_LOG_ERR, "%s: the device does not start: see QEMU's log", t->addr);
	return -EPROTO;
}

static int
vp_stop(struct apir_transport *tr)
{
	struct vp_transport *t = to_vp(tr);
	int ret;

	if (!t->running)
		return 0;
	ret = reset(t);
	return ret == -ENODEV ? 0 : ret;
}

static void
vp_kick(struct apir_transport *tr, uint16_t idx)
{
	io_wmb();
	*to_vp(tr)->queue[idx].doorbell = idx;
}

static int
vp_call_fd(struct apir_transport *tr, uint16_t idx)
{
	(void)tr;
	(void)idx;
	return -1;
}

/* Of a back-end that is gone QEMU tells us nothing: its silence must be noticed. */
static bool
vp_alive(struct apir_transport *tr)
{
	const struct vp_transport *t = to_vp(tr);
	const uint8_t status = t->common->device_status;

	return status != VP_GONE && !(status & VP_NEED_RESET) &&
	       (!t->running || (status & VIRTIO_CONFIG_S_DRIVER_OK));
}

static int
vp_update_mem(struct apir_transport *tr, const struct apir_mem_region *regions, unsigned int nb)
{
	/* QEMU shares all of the guest's memory, and tells of changes itself */
	(void)tr;
	(void)regions;
	(void)nb;
	return 0;
}

static void
vp_limits(struct apir_transport *tr, struct apir_transport_limits *limits)
{
	limits->nb_data_queues = to_vp(tr)->nb_queues - 1;
	limits->queue_size = to_vp(tr)->queue_size;
}

static void
vp_close(struct apir_transport *tr)
{
	struct vp_transport *t = to_vp(tr);

	/* on failure the device may still read the idle ring: better lost than written to by another */
	if (t->idle_ring != NULL && vp_stop(tr) == 0)
		tr->env->dma_free(tr->env, t->idle_ring);
	free(t);
}

static const struct apir_transport_ops vp_ops = {
	.name = "virtio-pci",
	.silent = "QEMU gives no sign of it: is apird connected to the device's socket (apird "
		  "--client "
		  "where QEMU listens, else without), and does it share the guest's memory (QEMU: "
		  "-object memory-backend-memfd or -file with share=on, and -numa node,memdev=)? "
		  "QEMU's and apird's logs tell",
	.probes = true,
	.queue_setup = vp_queue_setup,
	.start = vp_start,
	.stop = vp_stop,
	.kick = vp_kick,
	.call_fd = vp_call_fd,
	.alive = vp_alive,
	.update_mem = vp_update_mem,
	.limits = vp_limits,
	.close = vp_close,
};

int
apir_virtio_pci_open(const struct apir_pci *pci, const struct apir_env *env,
		     unsigned int timeout_ms, struct apir_transport **out)
{
	struct vp_transport *t;
	int ret;

	if (timeout_ms == 0)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->base.ops = &vp_ops;
	t->base.env = env;
	t->timeout_ms = timeout_ms;
	memcpy(t->addr, pci->addr, sizeof(t->addr));
	ret = map_device(t, pci);
	if (ret == 0)
		ret = reset(t);
	if (ret == 0) {
		t->common->device_status |= VIRTIO_CONFIG_S_ACKNOWLEDGE;
		t->common->device_status |= VIRTIO_CONFIG_S_DRIVER;
		ret = agree_features(t);
		if (ret == 0)
			ret = read_queues(t);
		if (ret != 0)
			t->common->device_status |= VIRTIO_CONFIG_S_FAILED;
	}
	if (ret != 0) {
		vp_close(&t->base);
		return ret;
	}
	apir_log(env, APIR_LOG_INFO, "%s: %s '%s', %u queues of up to %u entries", t->addr,
		 t->carrier->name, t->tag, t->nb_queues, t->queue_size);
	*out = &t->base;
	return 0;
}
