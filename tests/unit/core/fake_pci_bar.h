/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef FAKE_PCI_BAR_H
#define FAKE_PCI_BAR_H

/** @file What fake_pci.c asks of fake_pci_bar.c. */

#include "fake_pci.h"

/** As after power-on. */
void fake_pci_bar_reset(struct fake_pci *fp);
void fake_pci_bar_disarm(const struct fake_pci *fp);

#endif /* FAKE_PCI_BAR_H */
