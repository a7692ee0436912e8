/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef FAKE_DEVICE_H
#define FAKE_DEVICE_H

/**
 * @file
 * Device 0 without a back-end: its queue pair 0 is made as rte_apir_open() makes it, and the test
 * plays the device on the ring. It can misbehave as no real device does.
 */

#include "apir_private.h"

#define FAKE_DEV 0

/** A request as the device sees it. */
struct fake_request {
	const struct apir_burst_req *req;
	const uint16_t *counts; /**< with APIR_BURST_F_SEGS */
	const struct vring_desc *segs;
	struct apir_burst_rsp *rsp;
	uint32_t rsp_len;
};

/**
 * Queue pair with room for bursts of max_burst packets in max_segs segments, nb_bursts in flight.
 * EAL's memory is shared.
 */
void fake_device_open(uint16_t nb_bursts, uint16_t max_burst, uint16_t max_segs);
/** The same on PCI: segments are named by their physical address, of which all that can be are shared. */
void fake_device_open_pci(uint16_t nb_bursts, uint16_t max_burst, uint16_t max_segs);
/** As rte_apir_close() would: frees the packets it still has. */
void fake_device_close(void);
struct apir_qp *fake_qp(void);

/** Share exactly this with the device. */
void fake_share(const void *va, size_t len);

/**
 * Next request; false if there is none. Checks that its descriptors are as the contract wants them.
 */
bool fake_pop(struct fake_request *r);
/** Complete the oldest request that is not complete. */
void fake_complete(struct fake_request *r, uint32_t status);
/** Write a used element and index of any value. */
void fake_used(uint32_t id, uint16_t idx);

#endif /* FAKE_DEVICE_H */
