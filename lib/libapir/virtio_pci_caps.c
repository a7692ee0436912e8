/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "apir_pci.h"

/* The list's entries are 4 bytes at least and lie in 192 bytes: more of them are a loop. */
#define MAX_CAPS 48

/* What the driver needs of each structure; alignment as in VIRTIO 1.2, 4.1.4. */
static const struct {
	const char *missing;
	uint32_t min_len, align;
} structs[APIR_PCI_NB_STRUCTS] = {
	[APIR_PCI_COMMON] = {"it has no common configuration: no virtio 1 device", 56, 4},
	[APIR_PCI_NOTIFY] = {"it has no notification area: no virtio 1 device", 2, 2},
	[APIR_PCI_ISR] = {"it has no interrupt status: no virtio 1 device", 1, 1},
	[APIR_PCI_DEVICE] = {NULL, 1, 1}, /* read byte by byte */
};

static int
struct_of(uint8_t cfg_type)
{
	switch (cfg_type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		return APIR_PCI_COMMON;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		return APIR_PCI_NOTIFY;
	case VIRTIO_PCI_CAP_ISR_CFG:
		return APIR_PCI_ISR;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		return APIR_PCI_DEVICE;
	default:
		return -1;
	}
}

/* One vendor capability. Of several of a kind the first that we can use counts (VIRTIO 1.2, 4.1.4.1). */
static int
take_cap(const struct apir_pci *pci, uint8_t pos, uint8_t cap_len, struct apir_pci_caps *caps)
{
	struct virtio_pci_notify_cap cap = {0};
	const uint32_t want = cap_len < sizeof(cap) ? cap_len : (uint32_t)sizeof(cap);
	int ret, s;

	if (cap_len < sizeof(cap.cap))
		return 0;
	ret = pci->ops->cfg_read(pci->ctx, pos, &cap, want);
	if (ret != 0)
		return ret;
	if (cap.cap.cfg_type == VIRTIO_PCI_CAP_PCI_CFG && caps->window == 0 &&
	    cap_len >= sizeof(struct virtio_pci_cfg_cap))
		caps->window = pos;
	s = struct_of(cap.cap.cfg_type);
	if (s < 0 || caps->at[s].found)
		return 0;
	if (cap.cap.bar >= PCI_STD_NUM_BARS || cap.cap.length < structs[s].min_len ||
	    cap.cap.offset > UINT32_MAX - cap.cap.length || cap.cap.offset % structs[s].align != 0)
		return 0;
	if (s == APIR_PCI_NOTIFY) {
		if (cap_len < sizeof(cap))
			return 0;
		caps->notify_multiplier = cap.notify_off_multiplier;
	}
	caps->at[s].bar = cap.cap.bar;
	caps->at[s].off = cap.cap.offset;
	caps->at[s].len = cap.cap.length;
	caps->at[s].found = true;
	return 0;
}

static int
walk(const struct apir_pci *pci, struct apir_pci_caps *caps, const char **why)
{
	uint16_t status;
	uint8_t pos, head[3];
	unsigned int n;
	int ret;

	*why = "its configuration space cannot be read";
	ret = pci->ops->cfg_read(pci->ctx, PCI_STATUS, &status, sizeof(status));
	if (ret == 0)
		ret = pci->ops->cfg_read(pci->ctx, PCI_CAPABILITY_LIST, &pos, sizeof(pos));
	if (ret != 0)
		return ret;
	if (!(status & PCI_STATUS_CAP_LIST))
		pos = 0;
	for (n = 0; pos >= PCI_STD_HEADER_SIZEOF && n < MAX_CAPS; n++) {
		pos &= ~3u;
		ret = pci->ops->cfg_read(pci->ctx, pos, head, sizeof(head));
		if (ret == 0 && head[0] == PCI_CAP_ID_VNDR)
			ret = take_cap(pci, pos, head[2], caps);
		if (ret != 0)
			return ret;
		pos = head[1];
	}
	return 0;
}

int
apir_pci_caps_read(const struct apir_pci *pci, struct apir_pci_caps *caps, const char **why)
{
	unsigned int s;
	int ret;

	memset(caps, 0, sizeof(*caps));
	ret = walk(pci, caps, why);
	for (s = 0; ret == 0 && s < APIR_PCI_NB_STRUCTS; s++) {
		if (caps->at[s].found || structs[s].missing == NULL)
			continue;
		*why = structs[s].missing;
		ret = -ENODEV;
	}
	return ret;
}

int
apir_pci_window_read(const struct apir_pci *pci, const struct apir_pci_caps *caps, uint32_t off,
		     void *buf, uint32_t len)
{
	const uint8_t window = caps->window;
	uint32_t i, at, one = 1;
	int ret;

	if (window == 0 || !caps->at[APIR_PCI_DEVICE].found ||
	    off > caps->at[APIR_PCI_DEVICE].len || len > caps->at[APIR_PCI_DEVICE].len - off)
		return -ENODEV;
	ret = pci->ops->cfg_write(pci->ctx, window + VIRTIO_PCI_CAP_BAR,
				  &caps->at[APIR_PCI_DEVICE].bar, 1);
	if (ret == 0)
		ret = pci->ops->cfg_write(pci->ctx, window + VIRTIO_PCI_CAP_LENGTH, &one,
					  sizeof(one));
	/* byte by byte: any other width must be that of the field */
	for (i = 0; ret == 0 && i < len; i++) {
		at = caps->at[APIR_PCI_DEVICE].off + off + i;
		ret = pci->ops->cfg_write(pci->ctx, window + VIRTIO_PCI_CAP_OFFSET, &at,
					  sizeof(at));
		if (ret == 0)
			ret = pci->ops->cfg_read(
				pci->ctx,
				window +
					(uint32_t)offsetof(struct virtio_pci_cfg_cap, pci_cfg_data),
				(uint8_t *)buf + i, 1);
	}
	return ret;
}
