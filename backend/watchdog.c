/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
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

static void __attribute__((noreturn, format(printf, 2, 4)))
give_up(const struct watchdog *w, const char *fmt, unsigned int session, ...)
{
	char what[128];
	va_list ap;

	va_start(ap, session);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	log_msg(LOG_ERR,
		"session %u: %s has run for more than %u ms: apird ends, the only way to stop it; "
		"mend the "
		"kernel, or start apird with a larger --kernel-timeout-ms",
		session, what, w->timeout_ms);
	_exit(EXIT_KERNEL_TIMEOUT);
}

/* A new pipeline runs once while it is made: on no poll thread, but it can hang as well. */
static void
check_making(struct watchdog *w, uint64_t step)
{
	const unsigned int session = atomic_load(&w->be->making);
	const unsigned int made = atomic_load(&w->be->made);

	w->making_ms = session != 0 && made == w->made ? w->making_ms + step : 0;
	w->made = made;
	if (w->making_ms > w->timeout_ms)
		give_up(w, "a new pipeline", session);
}

/*
 * A kernel that goes astray on a GPU ends the whole process's access to it. The bursts in flight have been answered with
 * APIR_S_DEVICE by then; front-ends connect again and rebuild their sessions when apird is back.
 */
static void
check_lost(const struct watchdog *w)
{
	const struct backend *be = w->be;
	const char *why = be->ops->lost != NULL ? be->ops->lost(be->dev) : NULL;

	if (why == NULL)
		return;
	log_msg(LOG_ERR,
		"the device is lost to this process: %s: a kernel reads or writes where it should "
		"not, or the GPU failed (dmesg); apird ends, to be started again",
		why);
	_exit(EXIT_DEVICE_LOST);
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
	/*
	 * After a stop of the whole process (or none of us connected) the clock has gone on alone.
	 */
	if (step > 2 * period)
		step = 2 * period;
	check_lost(w);
	check_making(w, step);
	q = poll_stuck(w->be->poll, step, w->timeout_ms);
	if (q != NULL)
		give_up(w, "pipeline 0x%x on queue %u", q->session,
			atomic_load_explicit(&q->pipeline, memory_order_relaxed), q->index);
}

/* In a signal handler: nothing but write() and _exit(). */
static void
say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static void
on_fault(int sig)
{
	if (sig == SIGBUS) {
		say("apird error: the guest's memory went away (its file was made shorter, or "
		    "there is no free "
		    "hugepage for it): apird ends\n");
		_exit(EXIT_GUEST_MEMORY);
	}
	if (poll_current() != NULL)
		say("apird error: a fault while a kernel of the guest ran: it reads or writes "
		    "where it should not; "
		    "apird ends\n");
	else
		say("apird error: a fault outside of any kernel's run: this is a bug of apird or "
		    "of the OpenCL "
		    "driver\n");
	/* The handler was for once: the second time it is the system's, with a core dump. */
	raise(sig);
}

void
watchdog_catch_faults(void)
{
	struct sigaction sa = {.sa_handler = on_fault, .sa_flags = (int)SA_RESETHAND | SA_ONSTACK};

	sigaction(SIGBUS, &sa, NULL);
#ifndef __SANITIZE_ADDRESS__
	/* A sanitizer has more to say. */
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
#endif
}
