/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "watchdog.h"

unsigned int
watchdog_period_ms(const struct watchdog *w)
{
	const unsigned int ms = w->timeout_ms / 4;

	return ms < 10 ? 10 : ms > 1000 ? 1000 : ms;
}

void
watchdog_tick(void *watchdog)
{
	struct watchdog *w = watchdog;
	const uint64_t period = watchdog_period_ms(w);
	const struct dataq *q;
	struct timespec ts;
	uint64_t now, step;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	step = now - w->last_ms;
	w->last_ms = now;
	/* After a stop of the whole process (or none of us connected) the clock has gone on alone. */
	if (step > 2 * period)
		step = 2 * period;
	q = poll_stuck(w->poll, step, w->timeout_ms);
	if (q == NULL)
		return;
	log_msg(LOG_ERR,
		"session %u: pipeline 0x%x on queue %u has run for more than %u ms: apird ends, the only way to "
		"stop it; mend the kernel, or start apird with a larger --kernel-timeout-ms",
		q->session, atomic_load_explicit(&q->pipeline, memory_order_relaxed), q->index,
		w->timeout_ms);
	_exit(EXIT_KERNEL_TIMEOUT);
}

static void
on_sigbus(int sig)
{
	static const char text[] =
		"apird error: the guest's memory went away (its file was made shorter, or there is no free "
		"hugepage for it): apird ends\n";

	(void)sig;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_GUEST_MEMORY);
	_exit(EXIT_GUEST_MEMORY);
}

void
watchdog_catch_sigbus(void)
{
	struct sigaction sa = {.sa_handler = on_sigbus};

	sigaction(SIGBUS, &sa, NULL);
}
