/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_WATCHDOG_H
#define APIRD_WATCHDOG_H

/**
 * @file
 * What ends this process when its guest makes going on impossible: a kernel that does not return
 * (there is no other way to stop one on a CPU), or memory that the guest takes away under us. One
 * process serves one guest, so that nobody else is harmed.
 */

#include "session.h"

#define EXIT_KERNEL_TIMEOUT 3
#define EXIT_GUEST_MEMORY   4
#define EXIT_DEVICE_LOST    5

struct watchdog {
	struct backend *be;
	unsigned int timeout_ms;
	uint64_t last_ms;
	unsigned int made;  /**< pipelines made, as seen last */
	uint64_t making_ms; /**< how long one is being made */
};

/** How often to call watchdog_tick(). */
unsigned int watchdog_period_ms(const struct watchdog *w);
/** Look once; does not return when a kernel runs too long. */
void watchdog_tick(void *watchdog);

/** Say why before dying of a fault: of a kernel's doing, or in guest memory. */
void watchdog_catch_faults(void);

#endif /* APIRD_WATCHDOG_H */
