/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef VP_FIX_H
#define VP_FIX_H

/**
 * @file
 * What the tests of the virtio PCI transport share: a device that can be changed before it is opened. BARs trap within
 * a test's function only (cmocka has the signals outside of it), so that tests begin and end everything themselves.
 */

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "apir_transport.h"
#include "fake_env.h"
#include "fake_pci.h"
#include "virtio_apir.h"

#define FS	   0x105a
#define BLK	   0x1042
#define TIMEOUT_MS 20u
#define NEED_RESET 0x40u

/* The device's status as the driver goes on. */
#define ST_ACK	   VIRTIO_CONFIG_S_ACKNOWLEDGE
#define ST_DRIVER  (ST_ACK | VIRTIO_CONFIG_S_DRIVER)
#define ST_FEAT_OK (ST_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define ST_RUNS	   (ST_FEAT_OK | VIRTIO_CONFIG_S_DRIVER_OK)

static struct fake_env fe;
static struct fake_pci fp;
static struct apir_transport *t;

static inline void
make(uint16_t device_id, uint16_t nb_queues)
{
	static const uint32_t mark = APIR_MAGIC;

	t = NULL;
	fake_env_init(&fe, 1 << 20);
	fake_pci_init(&fp, device_id, nb_queues);
	if (device_id == FS)
		fake_pci_set_config(&fp, "apir0", sizeof("apir0"));
	else
		memcpy(fp.mem + FAKE_PCI_DEVICE + APIR_BLK_MARK_OFFSET, &mark, sizeof(mark));
	fake_pci_arm(&fp);
}

static inline int
open_it(void)
{
	return apir_virtio_pci_open(&fp.pci, &fe.env, TIMEOUT_MS, &t);
}

static inline void
close_it(void)
{
	t->ops->close(t);
	t = NULL;
}

/* The end of a test: the driver broke no rule and gave all memory back. */
static inline void
unmake(void)
{
	assert_null(t);
	if (fp.wrong != NULL)
		fail_msg("%s", fp.wrong);
	assert_int_equal(fe.live, 0);
	fake_pci_fini(&fp);
	fake_env_fini(&fe);
}

/* The device cannot be opened, and the log has both texts. */
#define assert_refused(err, text, more)                           \
	do {                                                      \
		assert_int_equal(open_it(), -(err));              \
		assert_null(t);                                   \
		assert_true(fake_env_logged(&fe, FAKE_PCI_ADDR)); \
		assert_true(fake_env_logged(&fe, text));          \
		assert_true(fake_env_logged(&fe, more));          \
	} while (0)

#endif /* VP_FIX_H */
