/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <linux/virtio_config.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "fake_pci.h"
#include "fake_pci_bar.h"

/*
 * The BAR is mapped twice. The driver's mapping has no access: a touch of it raises SIGSEGV, where the device gives its
 * registers their values and lets the one instruction pass; SIGTRAP comes right after it, where the device takes
 * what was written. Nothing runs beside the driver, so that each test sees the same each time.
 */

#define TRAP_FLAG   0x100 /* of RFLAGS */
#define FAULT_WRITE 2	  /* of the page fault's error code */

static struct fake_pci *armed;

static volatile struct virtio_pci_common_cfg *
regs(const struct fake_pci *fp)
{
	return (volatile void *)(fp->mem + FAKE_PCI_COMMON);
}

void
fake_pci_bar_reset(struct fake_pci *fp)
{
	unsigned int i;

	fp->status = 0;
	fp->accepted = 0;
	memset(fp->mem + FAKE_PCI_COMMON, 0, sizeof(struct virtio_pci_common_cfg));
	for (i = 0; i < FAKE_PCI_MAX_QUEUES; i++)
		fp->queue[i] = (struct fake_pci_queue){.size = fp->max_size[i],
						       .notify_off = fp->queue[i].notify_off};
}

/* What a read finds. */
static void
before(struct fake_pci *fp, uint32_t off, bool is_write)
{
	volatile struct virtio_pci_common_cfg *r = regs(fp);
	const struct fake_pci_queue none = {0};
	const struct fake_pci_queue *q;

	if (fp->gone) {
		memset(fp->mem, 0xff, FAKE_PCI_BYTES);
		return;
	}
	if (off == FAKE_PCI_REG(device_status) && !is_write && fp->resetting != 0 &&
	    --fp->resetting == 0)
		fake_pci_bar_reset(fp);
	q = r->queue_select < fp->nb_queues ? &fp->queue[r->queue_select] : &none;
	r->device_feature = r->device_feature_select < 2
				    ? (uint32_t)(fp->offered >> (r->device_feature_select * 32))
				    : 0;
	r->num_queues = fp->nb_queues;
	r->device_status = fp->status;
	r->queue_size = q->size;
	r->queue_msix_vector = q->vector;
	r->queue_enable = q->enable;
	r->queue_notify_off = q->notify_off;
	r->queue_desc_lo = (uint32_t)q->desc;
	r->queue_desc_hi = (uint32_t)(q->desc >> 32);
	r->queue_avail_lo = (uint32_t)q->avail;
	r->queue_avail_hi = (uint32_t)(q->avail >> 32);
	r->queue_used_lo = (uint32_t)q->used;
	r->queue_used_hi = (uint32_t)(q->used >> 32);
}

static void
set_status(struct fake_pci *fp, uint8_t v)
{
	if (v != 0) {
		if (fp->refuses_features)
			v &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
		if (fp->fails_to_start && (v & VIRTIO_CONFIG_S_DRIVER_OK))
			v |= 0x40; /* DEVICE_NEEDS_RESET */
		fp->status = v;
	} else if (fp->never_resets || fp->reset_reads != 0) {
		fp->resetting = fp->never_resets ? 0 : fp->reset_reads;
	} else {
		fake_pci_bar_reset(fp);
	}
}

static uint64_t
both(uint32_t lo, uint32_t hi)
{
	return lo | (uint64_t)hi << 32;
}

/* Bytes of the register at off. */
static uint32_t
width(uint32_t off)
{
	if (off == FAKE_PCI_REG(device_status) || off == FAKE_PCI_REG(config_generation))
		return 1;
	if (off >= FAKE_PCI_NOTIFY ||
	    (off >= FAKE_PCI_REG(msix_config) && off < FAKE_PCI_REG(queue_desc_lo)))
		return 2;
	return 4;
}

/* Something was written: record it, and do as a device does. */
static void
after(struct fake_pci *fp, uint32_t off)
{
	volatile struct virtio_pci_common_cfg *r = regs(fp);
	struct fake_pci_write w = {.off = off, .queue = r->queue_select};
	struct fake_pci_queue *q = &fp->queue[w.queue % FAKE_PCI_MAX_QUEUES];
	const uint32_t len = width(off);

	memcpy(&w.value, fp->mem + off, len);
	if (off % len != 0)
		fp->wrong = "write inside a register";
	if (fp->nb_writes < FAKE_PCI_MAX_WRITES)
		fp->write[fp->nb_writes++] = w;
	else
		fp->wrong = "too many writes";
	if (fp->gone)
		return;
	if (off >= FAKE_PCI_NOTIFY) {
		if (!(fp->status & VIRTIO_CONFIG_S_DRIVER_OK))
			fp->wrong = "doorbell of a device that does not run";
		if (fp->on_doorbell != NULL)
			fp->on_doorbell(fp, (uint16_t)w.value);
		return;
	}
	if (off == FAKE_PCI_REG(device_status)) {
		set_status(fp, (uint8_t)w.value);
	} else if (off == FAKE_PCI_REG(guest_feature)) {
		const unsigned int shift = r->guest_feature_select * 32;

		fp->accepted &= ~((uint64_t)UINT32_MAX << shift);
		fp->accepted |= (uint64_t)w.value << shift;
	} else if (off >= FAKE_PCI_REG(queue_size) && w.queue < fp->nb_queues) {
		if (q->enable != 0 || !(fp->status & VIRTIO_CONFIG_S_FEATURES_OK) ||
		    (fp->status & VIRTIO_CONFIG_S_DRIVER_OK))
			fp->wrong = "write to a queue that is enabled, or at a wrong time";
		q->size = r->queue_size;
		q->vector = r->queue_msix_vector;
		q->enable = r->queue_enable;
		q->desc = both(r->queue_desc_lo, r->queue_desc_hi);
		q->avail = both(r->queue_avail_lo, r->queue_avail_hi);
		q->used = both(r->queue_used_lo, r->queue_used_hi);
	} else if (off > FAKE_PCI_REG(queue_select)) {
		fp->wrong = "write to a register that does not exist";
	}
}

#ifdef __x86_64__
static struct sigaction old_segv;
static uint32_t touched;
static bool touch_writes;

static void
on_segv(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;
	const uintptr_t off =
		(uintptr_t)si->si_addr - (uintptr_t)(armed != NULL ? armed->bar : NULL);

	if (armed == NULL || off >= FAKE_PCI_BYTES) {
		/* not the BAR: comes again at once, for whom it concerns */
		sigaction(sig, &old_segv, NULL);
		return;
	}
	touched = (uint32_t)off;
	touch_writes = (uc->uc_mcontext.gregs[REG_ERR] & FAULT_WRITE) != 0;
	armed->accesses++;
	before(armed, touched, touch_writes);
	mprotect(armed->bar, FAKE_PCI_BYTES, PROT_READ | PROT_WRITE);
	uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void
on_trap(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;

	(void)sig;
	(void)si;
	uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	mprotect(armed->bar, FAKE_PCI_BYTES, PROT_NONE);
	if (touch_writes)
		after(armed, touched);
}
#endif

const char *
fake_pci_cannot_trap(void)
{
#ifdef __x86_64__
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL
		       ? "valgrind does not single-step"
		       : NULL;
#else
	return "single-stepping is written for x86-64";
#endif
}

void
fake_pci_arm(struct fake_pci *fp)
{
#ifdef __x86_64__
	struct sigaction segv = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};
	struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};

	armed = fp;
	if (sigaction(SIGSEGV, &segv, &old_segv) != 0 || sigaction(SIGTRAP, &trap, NULL) != 0 ||
	    mprotect(fp->bar, FAKE_PCI_BYTES, PROT_NONE) != 0)
		abort();
#else
	/* nobody calls this: see fake_pci_cannot_trap() */
	(void)before;
	(void)after;
	(void)fp;
	abort();
#endif
}

void
fake_pci_bar_disarm(const struct fake_pci *fp)
{
	if (armed == fp)
		armed = NULL;
}
