/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_pci.h"
#include "fake_pci_bar.h"

/* Configuration space ------------------------------------------------------------ */

/* The window's data, if these bytes are read. */
static void
fill_window(struct fake_pci *fp, uint32_t off, uint32_t len)
{
	struct virtio_pci_cfg_cap c;

	if (fp->window == 0 ||
	    off != fp->window + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data))
		return;
	memcpy(&c, &fp->cfg[fp->window], sizeof(c));
	if (c.cap.bar != FAKE_PCI_BAR || c.cap.length != len || c.cap.offset % len != 0 ||
	    c.cap.offset > FAKE_PCI_BYTES - len)
		fp->wrong = "window: no such bytes, or of another width";
	else
		memcpy(&fp->cfg[off], fp->mem + c.cap.offset, len);
}

static int
cfg_read(void *ctx, uint32_t off, void *buf, uint32_t len)
{
	struct fake_pci *fp = ctx;

	if (++fp->cfg_reads == fp->cfg_read_fails)
		return -EACCES;
	if (off > sizeof(fp->cfg) || len > sizeof(fp->cfg) - off) {
		fp->wrong = "read behind configuration space";
		return -EINVAL;
	}
	fill_window(fp, off, len);
	memcpy(buf, &fp->cfg[off], len);
	return 0;
}

static int
cfg_write(void *ctx, uint32_t off, const void *buf, uint32_t len)
{
	struct fake_pci *fp = ctx;

	if (++fp->cfg_writes == fp->cfg_write_fails)
		return -EROFS;
	if (fp->window == 0 || off < fp->window + (uint32_t)VIRTIO_PCI_CAP_BAR ||
	    off + len > fp->window + sizeof(struct virtio_pci_cfg_cap)) {
		fp->wrong = "write to configuration space other than the window";
		return -EINVAL;
	}
	memcpy(&fp->cfg[off], buf, len);
	return 0;
}

static volatile void *
map_bar(void *ctx, unsigned int bar, uint64_t *len)
{
	const struct fake_pci *fp = ctx;

	if (bar != FAKE_PCI_BAR || fp->bar_is_unmapped)
		return NULL;
	*len = fp->bar_len;
	return fp->bar;
}

static const struct apir_pci_ops ops = {
	.cfg_read = cfg_read, .cfg_write = cfg_write, .bar = map_bar};

static uint8_t
append(struct fake_pci *fp, uint8_t id, uint8_t len)
{
	const uint8_t pos = fp->next_cap;

	if (pos + len > (int)sizeof(fp->cfg))
		abort();
	fp->cfg[fp->last_cap] = pos;
	fp->cfg[pos] = id;
	fp->cfg[pos + 1] = 0;
	fp->cfg[pos + 2] = len;
	fp->last_cap = pos + 1;
	fp->next_cap = (uint8_t)(pos + ((len + 3) & ~3));
	return pos;
}

uint8_t
fake_pci_add_cap(struct fake_pci *fp, uint8_t type, uint8_t bar, uint32_t off, uint32_t len,
		 uint8_t cap_len)
{
	const uint8_t pos = append(fp, PCI_CAP_ID_VNDR, cap_len);
	const uint32_t step = FAKE_PCI_DOORBELL_STEP;

	fp->cfg[pos + VIRTIO_PCI_CAP_CFG_TYPE] = type;
	fp->cfg[pos + VIRTIO_PCI_CAP_BAR] = bar;
	memcpy(&fp->cfg[pos + VIRTIO_PCI_CAP_OFFSET], &off, sizeof(off));
	memcpy(&fp->cfg[pos + VIRTIO_PCI_CAP_LENGTH], &len, sizeof(len));
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
		fp->notify_cap = pos;
		memcpy(&fp->cfg[pos + VIRTIO_PCI_NOTIFY_CAP_MULT], &step, sizeof(step));
	}
	if (type == VIRTIO_PCI_CAP_PCI_CFG && fp->window == 0)
		fp->window = pos;
	return pos;
}

uint8_t
fake_pci_add_foreign_cap(struct fake_pci *fp, uint8_t id)
{
	return append(fp, id, 8);
}

/* Making one ------------------------------------------------------------------------- */

void
fake_pci_set_config(struct fake_pci *fp, const void *bytes, size_t len)
{
	memcpy(fp->mem + FAKE_PCI_DEVICE, bytes, len);
}

void
fake_pci_init_bare(struct fake_pci *fp, uint16_t device_id)
{
	const uint16_t id[2] = {APIR_PCI_VENDOR, device_id}, status = PCI_STATUS_CAP_LIST;
	const int fd = memfd_create("fake_pci", MFD_CLOEXEC);
	unsigned int i;

	memset(fp, 0, sizeof(*fp));
	if (fd < 0 || ftruncate(fd, FAKE_PCI_BYTES) != 0)
		abort();
	fp->bar = mmap(NULL, FAKE_PCI_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fp->mem = mmap(NULL, FAKE_PCI_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fp->bar == MAP_FAILED || fp->mem == MAP_FAILED)
		abort();
	close(fd);
	fp->bar_len = FAKE_PCI_BYTES;
	fp->pci = (struct apir_pci){.ops = &ops, .ctx = fp, .addr = FAKE_PCI_ADDR};
	memcpy(&fp->cfg[PCI_VENDOR_ID], id, sizeof(id));
	memcpy(&fp->cfg[PCI_STATUS], &status, sizeof(status));
	fp->last_cap = PCI_CAPABILITY_LIST;
	fp->next_cap = PCI_STD_HEADER_SIZEOF;
	for (i = 0; i < FAKE_PCI_MAX_QUEUES; i++) {
		fp->max_size[i] = 128;
		fp->queue[i].notify_off = (uint16_t)(FAKE_PCI_MAX_QUEUES - 1 - i);
	}
	fake_pci_bar_reset(fp);
}

void
fake_pci_init(struct fake_pci *fp, uint16_t device_id, uint16_t nb_queues)
{
	fake_pci_init_bare(fp, device_id);
	fake_pci_add_foreign_cap(fp, PCI_CAP_ID_MSIX);
	fake_pci_add_cap(fp, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_PCI_BAR, FAKE_PCI_COMMON, 56, 16);
	fake_pci_add_cap(fp, VIRTIO_PCI_CAP_NOTIFY_CFG, FAKE_PCI_BAR, FAKE_PCI_NOTIFY, 0x1000, 20);
	fake_pci_add_cap(fp, VIRTIO_PCI_CAP_ISR_CFG, FAKE_PCI_BAR, FAKE_PCI_ISR, 1, 16);
	fake_pci_add_cap(fp, VIRTIO_PCI_CAP_DEVICE_CFG, FAKE_PCI_BAR, FAKE_PCI_DEVICE, 60, 16);
	fake_pci_add_cap(fp, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0, 20);
	fp->nb_queues = nb_queues;
	fp->offered = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |
		      1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << 27 /* ANY_LAYOUT */ | 1;
}

void
fake_pci_fini(struct fake_pci *fp)
{
	fake_pci_bar_disarm(fp);
	munmap(fp->bar, FAKE_PCI_BYTES);
	munmap(fp->mem, FAKE_PCI_BYTES);
}
