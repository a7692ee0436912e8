/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_WATCHDOG_H
#define APIRD_WATCHDOG_H

/**
 * @file
 * What ends this process when its guest makes going on impossible: a kernel that does not return (there is no
 * other way to stop one on a CPU), or memory that the guest takes away under us. One process serves
 * one guest, so that nobody else is harmed.
 */

#include "session.h"

#define EXIT_KERNEL_TIMEOUT 3
#define EXIT_GUEST_MEMORY   4

struct watchdog {
	struct poll *poll;
	unsigned int timeout_ms;
	uint64_t last_ms;
};

/** How often to call watchdog_tick(). */
unsigned int watchdog_period_ms(const struct watchdog *w);
/** Look once; does not return when a kernel runs too long. */
void watchdog_tick(void *watchdog);

/** Say why before dying of a fault in guest memory. */
void watchdog_catch_sigbus(void);

#endif /* APIRD_WATCHDOG_H */
