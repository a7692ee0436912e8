/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef FAKE_BUS_H
#define FAKE_BUS_H

/**
 * @file
 * Instead of apir_pci_bus.c and of the virtio PCI transport: a bus with one device, whose control queue is served by a
 * thread of fake_session.h. As on PCI nothing tells that the back-end is gone: it is silent.
 */

#include "apir_private.h"
#include "fake_session.h"

#define FAKE_BUS_ADDR "0000:00:05.0"

struct fake_bus {
	/* behaviour */
	struct fake_session s; /**< what the device answers; its vhost-user side is not used */
	bool no_device;
	struct apir_transport_limits limits;
	int start_ret;
	atomic_int stop_ret;
	bool no_probes;
	/* what was done with it */
	atomic_bool taken;
	atomic_uint opened, closed, kicks;
	unsigned int queues; /**< highest index that was set up, plus 1 */
	uint16_t sizes[1 + APIR_MAX_DATA_QUEUES];
};

extern struct fake_bus fake_bus;

void fake_bus_init(void);
/** Control requests that the driver made available, answered or not. */
unsigned int fake_bus_requests(void);

#endif /* FAKE_BUS_H */
