/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_PCI_BUS_H
#define APIR_PCI_BUS_H

/**
 * @file
 * apir devices on DPDK's PCI bus. EAL finds them when it starts: they must be bound to uio_pci_generic or
 * vfio-pci by then. Foreign devices of the same kinds are left alone.
 */

#include "apir_pci.h"

struct apir_pci_dev;

/**
 * Take a device for one rte_apir device. Any thread.
 *
 * @param addr full form; NULL: the only one there is
 * @return 0; negative errno with a text (apir_err()): -ENODEV no such device or not usable, -EINVAL addr is NULL and
 *   there are several, -EBUSY taken already, -ENOTSUP EAL's addresses are not physical ones
 */
int apir_pci_claim(const char *addr, struct apir_pci_dev **out);
/** NULL is allowed. */
void apir_pci_release(struct apir_pci_dev *dev);
/** The function itself, for the transport. */
const struct apir_pci *apir_pci_func(const struct apir_pci_dev *dev);

/** Has EAL found an apir device, taken or not? */
bool apir_pci_usable(void);
/** Does this machine have any apir device on PCI, usable or not? */
bool apir_pci_any(void);

#endif /* APIR_PCI_BUS_H */
