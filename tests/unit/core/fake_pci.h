/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef FAKE_PCI_H
#define FAKE_PCI_H

/**
 * @file
 * A virtio PCI function in memory, for tests: configuration space with its window, and a BAR whose every access traps,
 * so that the registers behave as a device's do: selectors, reset, refusals. Each write is recorded in order.
 */

#include <linux/virtio_pci.h>
#include <stdbool.h>

#include "apir_pci.h"

#define FAKE_PCI_ADDR "0000:00:05.0"
/** Where things lie in the BAR. */
#define FAKE_PCI_BAR	4u
#define FAKE_PCI_COMMON 0x0u
#define FAKE_PCI_ISR	0x100u
#define FAKE_PCI_DEVICE 0x200u
#define FAKE_PCI_NOTIFY 0x1000u
#define FAKE_PCI_BYTES	0x2000u
/** Of the n-th doorbell from the first, bytes; they are laid out backwards, so that they are not taken for granted. */
#define FAKE_PCI_DOORBELL_STEP 4u
#define FAKE_PCI_MAX_QUEUES    80u
#define FAKE_PCI_MAX_WRITES    4096u

/** Offset of a register of the common configuration, as in struct fake_pci_write. */
#define FAKE_PCI_REG(field) \
	(FAKE_PCI_COMMON + (uint32_t)offsetof(struct virtio_pci_common_cfg, field))

struct fake_pci_queue {
	uint16_t size, vector, enable, notify_off;
	uint64_t desc, avail, used;
};

struct fake_pci_write {
	uint32_t off;	/**< in the BAR */
	uint16_t queue; /**< queue_select at that time */
	uint32_t value;
};

struct fake_pci {
	struct apir_pci pci;
	/* configuration space */
	uint8_t cfg[256];
	uint8_t next_cap, last_cap, window, notify_cap;
	unsigned int cfg_reads, cfg_writes;
	unsigned int cfg_read_fails, cfg_write_fails; /**< the n-th does, from 1; 0: none */
	const char *wrong;			      /**< what the driver did that no driver may */
	/* BAR */
	char *bar;	      /**< the driver's view */
	char *mem;	      /**< the device's own */
	uint64_t bar_len;     /**< as the driver is told */
	bool bar_is_unmapped; /**< the driver is told that it has none */
	/* the device */
	uint64_t offered, accepted;
	uint16_t nb_queues;
	uint8_t status;
	unsigned int reset_reads; /**< reads of the status until a reset is done */
	unsigned int resetting;
	bool never_resets, refuses_features, fails_to_start;
	bool gone; /**< unplugged: reads give ones */
	struct fake_pci_queue queue[FAKE_PCI_MAX_QUEUES];
	uint16_t max_size[FAKE_PCI_MAX_QUEUES];			  /**< sizes after a reset */
	void (*on_doorbell)(struct fake_pci *fp, uint16_t value); /**< in a signal handler */
	void *user;
	struct fake_pci_write write[FAKE_PCI_MAX_WRITES];
	unsigned int nb_writes;
	unsigned int accesses; /**< of the BAR, reads too */
};

/** Why BARs cannot be trapped here; NULL: they can. */
const char *fake_pci_cannot_trap(void);

/** A function without capabilities: fake_pci_add_cap() gives it some. The BAR does not trap yet. */
void fake_pci_init_bare(struct fake_pci *fp, uint16_t device_id);
/** A good device of nb_queues queues of 128 entries, and window. */
void fake_pci_init(struct fake_pci *fp, uint16_t device_id, uint16_t nb_queues);
/** From here on each access of the BAR traps. In the test's own function: cmocka sets signal handlers before it. */
void fake_pci_arm(struct fake_pci *fp);
void fake_pci_fini(struct fake_pci *fp);

/** Append a virtio capability. Returns its place in configuration space. */
uint8_t fake_pci_add_cap(struct fake_pci *fp, uint8_t type, uint8_t bar, uint32_t off, uint32_t len,
			 uint8_t cap_len);
/** Append one of another kind, 8 bytes long. */
uint8_t fake_pci_add_foreign_cap(struct fake_pci *fp, uint8_t id);

/** Bytes of device configuration. */
void fake_pci_set_config(struct fake_pci *fp, const void *bytes, size_t len);

#endif /* FAKE_PCI_H */
