/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_LOG_H
#define APIRD_LOG_H

/**
 * @file
 * Log lines for operators, on stderr: time, level, text. Levels are those of syslog(3).
 * Thread-safe. Control characters of the text (some comes from guests) are masked.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

/** Lines of a level above this are not written. */
void log_set_level(int level);
/** Whose lines these are; "apird" unless another process says so, before its first line. */
void log_set_name(const char *name);
/** True if lines of this level are written. */
bool log_enabled(int level);
/** Level of a name ("error", "warning", "info", "debug"), or -1. */
int log_level_of(const char *name);

void log_msg(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * Keeps a source that a guest controls from filling the disk: LOG_LIMIT_BURST lines, then one a
 * second.
 */
#define LOG_LIMIT_BURST 100
struct log_limit {
	pthread_mutex_t lock;
	uint64_t last_ns;
	uint64_t suppressed;
	unsigned int tokens;
};

#define LOG_LIMIT_INIT                                                       \
	{                                                                    \
		.lock = PTHREAD_MUTEX_INITIALIZER, .tokens = LOG_LIMIT_BURST \
	}

void log_limited(struct log_limit *limit, int level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * True if a line may be written at time now_ns; *suppressed is how many were not since the last.
 */
int log_limit_take(struct log_limit *limit, uint64_t now_ns, uint64_t *suppressed);

#endif /* APIRD_LOG_H */
