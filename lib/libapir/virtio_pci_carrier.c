/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_fs.h>
#include <stdio.h>
#include <string.h>

#include "apir_pci.h"
#include "virtio_apir.h"

#define TAG_PREFIX "apir"

static bool
fs_is_ours(const uint8_t *config, char *tag)
{
	snprintf(tag, APIR_PCI_TAG_LEN, "%.*s", (int)sizeof(((struct virtio_fs_config *)0)->tag),
		 (const char *)config);
	return strncmp(tag, TAG_PREFIX, strlen(TAG_PREFIX)) == 0;
}

/* A disk of no sectors with our mark where its geometry would be, which the device does not offer to tell. */
static bool
blk_is_ours(const uint8_t *config, char *tag)
{
	uint64_t capacity;
	uint32_t mark;

	memcpy(&capacity, config, sizeof(capacity));
	memcpy(&mark, config + APIR_BLK_MARK_OFFSET, sizeof(mark));
	snprintf(tag, APIR_PCI_TAG_LEN, capacity == 0 && mark == APIR_MAGIC ? "apir" : "");
	return tag[0] != '\0';
}

/* The id is ours alone. */
static bool
own_is_ours(const uint8_t *config, char *tag)
{
	(void)config;
	snprintf(tag, APIR_PCI_TAG_LEN, "apir");
	return true;
}

_Static_assert(sizeof(struct virtio_fs_config) <= APIR_CARRIER_CONFIG_MAX, "carrier");
_Static_assert(APIR_BLK_MARK_OFFSET == offsetof(struct virtio_blk_config, geometry), "carrier");

const struct apir_carrier apir_carriers[APIR_NB_CARRIERS + 1] = {
	{
		.device_id = 0x105a,
		.name = "vhost-user-fs-pci",
		.queues_opt = "num-request-queues",
		.extra = 1, /* the high-priority queue */
		.config_len = sizeof(((struct virtio_fs_config *)0)->tag),
		.is_ours = fs_is_ours,
	},
	{
		.device_id = 0x1042,
		.is_disk = true,
		.name = "vhost-user-blk-pci",
		.queues_opt = "num-queues",
		.config_len = APIR_BLK_MARK_OFFSET + sizeof(uint32_t),
		.is_ours = blk_is_ours,
	},
	{
		/* the same where QEMU keeps the legacy interface beside the modern one */
		.device_id = 0x1001,
		.is_disk = true,
		.name = "vhost-user-blk-pci",
		.queues_opt = "num-queues",
		.config_len = APIR_BLK_MARK_OFFSET + sizeof(uint32_t),
		.is_ours = blk_is_ours,
	},
	{
		.device_id = 0x1040 + VIRTIO_ID_APIR,
		.name = "vhost-user-test-device-pci",
		.queues_opt = "num_vqs",
		.is_ours = own_is_ours,
	},
	{.device_id = 0},
};

const struct apir_carrier *
apir_carrier_find(uint16_t vendor_id, uint16_t device_id)
{
	const struct apir_carrier *c;

	if (vendor_id != APIR_PCI_VENDOR)
		return NULL;
	for (c = apir_carriers; c->device_id != 0; c++) {
		if (c->device_id == device_id)
			return c;
	}
	return NULL;
}

int
apir_pci_identify(const struct apir_pci *pci, struct apir_pci_ident *ident, const char **why)
{
	uint8_t config[APIR_CARRIER_CONFIG_MAX];
	struct apir_pci_caps caps;
	uint16_t id[2];
	int ret;

	memset(ident, 0, sizeof(*ident));
	*why = "its configuration space cannot be read";
	ret = pci->ops->cfg_read(pci->ctx, PCI_VENDOR_ID, id, sizeof(id));
	if (ret != 0)
		return ret;
	ident->carrier = apir_carrier_find(id[0], id[1]);
	if (ident->carrier == NULL) {
		*why = "it is of another kind";
		return 0;
	}
	ret = apir_pci_caps_read(pci, &caps, why);
	if (ret != 0)
		return ret == -ENODEV ? 0 : ret;
	*why = "its device configuration cannot be read";
	if (ident->carrier->config_len != 0)
		ret = apir_pci_window_read(pci, &caps, 0, config, ident->carrier->config_len);
	if (ret != 0)
		return ret;
	*why = ident->carrier->is_disk ? "it is a disk" : "its tag does not begin with 'apir'";
	return ident->carrier->is_ours(config, ident->tag) ? 1 : 0;
}
