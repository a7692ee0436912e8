/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_PCI_H
#define APIR_PCI_H

/**
 * @file
 * PCI functions that carry the apir device into a virtual machine: which they are, how they are told from other
 * devices of the same kind, and where their virtio structures lie (VIRTIO 1.2, 4.1.4).
 *
 * Nothing here is thread-safe by itself; one thread at a time uses a function.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define APIR_PCI_VENDOR 0x1af4u
/** "0000:00:05.0" and its NUL; domains may have eight digits. */
#define APIR_PCI_ADDR_LEN 18
/** Longest tag of a carrier, its NUL included (struct virtio_fs_config). */
#define APIR_PCI_TAG_LEN 37

/** How a PCI function is reached: DPDK's bus for librte_apir, sysfs for tools. */
struct apir_pci_ops {
	/** Read configuration space. Returns 0 or a negative errno. */
	int (*cfg_read)(void *ctx, uint32_t off, void *buf, uint32_t len);
	/** Write configuration space. Returns 0 or a negative errno. */
	int (*cfg_write)(void *ctx, uint32_t off, const void *buf, uint32_t len);
	/** Where this process sees a memory BAR, and its bytes; NULL: it does not. May itself be NULL. */
	volatile void *(*bar)(void *ctx, unsigned int bar, uint64_t *len);
};

struct apir_pci {
	const struct apir_pci_ops *ops;
	void *ctx;
	char addr[APIR_PCI_ADDR_LEN]; /**< for messages: "0000:00:05.0" */
};

/* Where the virtio structures lie (virtio_pci_caps.c) ------------------------- */

enum apir_pci_struct {
	APIR_PCI_COMMON,
	APIR_PCI_NOTIFY,
	APIR_PCI_ISR,
	APIR_PCI_DEVICE, /**< device-specific configuration; not every device has it */
	APIR_PCI_NB_STRUCTS
};

struct apir_pci_caps {
	struct {
		bool found;
		uint8_t bar;
		uint32_t off, len; /**< in the BAR, bytes */
	} at[APIR_PCI_NB_STRUCTS];
	uint32_t notify_multiplier;
	uint8_t window; /**< of VIRTIO_PCI_CAP_PCI_CFG in configuration space; 0: none */
};

/**
 * Walk the capability list: never endless, nothing believed that does not fit.
 *
 * @param[out] why set on failure: what is wrong
 * @return 0, -ENODEV no virtio 1 device, or the error of cfg_read
 */
int apir_pci_caps_read(const struct apir_pci *pci, struct apir_pci_caps *caps, const char **why);

/**
 * Read device configuration through the window in configuration space, which works whatever driver has the
 * device. @return 0, -ENODEV no window or no such bytes, or the error of cfg_read or cfg_write
 */
int apir_pci_window_read(const struct apir_pci *pci, const struct apir_pci_caps *caps, uint32_t off,
			 void *buf, uint32_t len);

/* Which devices are ours (virtio_pci_carrier.c) ------------------------------- */

/** A device of QEMU's that carries apir. */
struct apir_carrier {
	uint16_t device_id;
	bool is_disk;		/**< others of its kind are disks: not to be touched while in use */
	const char *name;	/**< QEMU's */
	const char *queues_opt; /**< QEMU's property for the number of queues */
	unsigned int extra;	/**< queues that it has beside those counted there */
	uint32_t config_len;	/**< bytes of device configuration that tell */
	/** Is it apir? Sets tag, APIR_PCI_TAG_LEN bytes. */
	bool (*is_ours)(const uint8_t *config, char *tag);
};

#define APIR_NB_CARRIERS 4
/** All of them, ended by device_id 0. */
extern const struct apir_carrier apir_carriers[APIR_NB_CARRIERS + 1];

/** Longest config_len. */
#define APIR_CARRIER_CONFIG_MAX 64

const struct apir_carrier *apir_carrier_find(uint16_t vendor_id, uint16_t device_id);

struct apir_pci_ident {
	const struct apir_carrier *carrier; /**< NULL: no device of these kinds */
	char tag[APIR_PCI_TAG_LEN];	    /**< of foreign devices too */
};

/**
 * Is this function an apir device? Reads configuration space, and device configuration through the window.
 *
 * @return 1 yes; 0 no, and *why says what it is; negative errno: cannot be told, *why says why
 */
int apir_pci_identify(const struct apir_pci *pci, struct apir_pci_ident *ident, const char **why);

/* sysfs (pci_sysfs.c) ---------------------------------------------------------- */

/** Where sysfs is mounted: tests put a folder of their own there. */
extern const char *apir_sysfs;

/** A function reached through sysfs; needs root. */
struct apir_pci_sysfs {
	struct apir_pci pci;
	int cfg_fd;
};

/** Returns 0, -ENODEV no such function, -EINVAL no address, -EACCES. */
int apir_pci_sysfs_open(struct apir_pci_sysfs *s, const char *addr);
void apir_pci_sysfs_close(struct apir_pci_sysfs *s);

/**
 * Take the function for this process, which the kernel's uio drivers do not see to; it ends with the process at the
 * latest. Advisory: for drivers that ask. @return 0, or -EBUSY another one has it
 */
int apir_pci_sysfs_lock(struct apir_pci_sysfs *s);
void apir_pci_sysfs_unlock(struct apir_pci_sysfs *s);

/** Name of the kernel driver that has the function, "" for none. */
void apir_pci_sysfs_driver(const char *addr, char *name, size_t size);

/**
 * A disk that the kernel may be using: its identity is not asked for.
 * Other devices, and disks of no capacity or without the kernel's driver: false.
 */
bool apir_pci_sysfs_is_disk_in_use(const char *addr);

/**
 * Call fn for each function with a carrier's ids, in the order of their addresses, until it returns non-zero.
 * Returns that, or 0, or a negative errno: sysfs cannot be read.
 */
int apir_pci_sysfs_each(int (*fn)(const char *addr, const struct apir_carrier *carrier, void *ctx),
			void *ctx);

/** Write the full form ("0000:00:05.0") of an address with or without domain. Returns 0 or -EINVAL. */
int apir_pci_addr_parse(const char *text, char addr[APIR_PCI_ADDR_LEN]);

#endif /* APIR_PCI_H */
