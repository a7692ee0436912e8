/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

static int max_level = LOG_INFO;
static const char *log_name = "apird";

static const struct {
	const char *name;
	int level;
} levels[] = {
	{"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
	{"info", LOG_INFO}, {"debug", LOG_DEBUG},
};

#define NB_LEVELS (sizeof(levels) / sizeof(levels[0]))

void
log_set_level(int level)
{
	max_level = level;
}

void
log_set_name(const char *name)
{
	log_name = name;
}

bool
log_enabled(int level)
{
	return level <= max_level;
}

int
log_level_of(const char *name)
{
	for (unsigned int i = 0; i < NB_LEVELS; i++)
		if (!strcmp(levels[i].name, name))
			return levels[i].level;
	return -1;
}

static const char *
level_name(int level)
{
	for (unsigned int i = 0; i < NB_LEVELS; i++)
		if (levels[i].level >= level)
			return levels[i].name;
	return "debug";
}

static void
vlog(int level, const char *fmt, va_list ap)
{
	char line[1536];
	struct timespec ts;
	struct tm tm;
	size_t n;
	int len;

	if (!log_enabled(level))
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	n = strftime(line, sizeof(line), "%Y-%m-%d %H:%M:%S", &tm);
	len = snprintf(line + n, sizeof(line) - n, ".%03ld %s %s: ", ts.tv_nsec / 1000000, log_name,
		       level_name(level));
	n += (size_t)len;
	len = vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	if (len < 0)
		return;
	len = (size_t)len < sizeof(line) - n - 1 ? len : (int)(sizeof(line) - n - 2);
	for (int i = 0; i < len; i++)
		if ((unsigned char)line[n + i] < 0x20 || line[n + i] == 0x7f)
			line[n + i] = line[n + i] == '\n' ? ' ' : '?';
	n += (size_t)len;
	line[n++] = '\n';
	/* One write a line, so that lines of several threads never mix. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

void
log_msg(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(level, fmt, ap);
	va_end(ap);
}

int
log_limit_take(struct log_limit *limit, uint64_t now_ns, uint64_t *suppressed)
{
	const uint64_t period = 1000000000ull;
	int ok = 0;

	pthread_mutex_lock(&limit->lock);
	if (limit->last_ns == 0)
		limit->last_ns = now_ns;
	while (now_ns - limit->last_ns >= period && limit->tokens < LOG_LIMIT_BURST) {
		limit->tokens++;
		limit->last_ns += period;
	}
	if (limit->tokens == LOG_LIMIT_BURST)
		limit->last_ns = now_ns;
	if (limit->tokens > 0) {
		limit->tokens--;
		*suppressed = limit->suppressed;
		limit->suppressed = 0;
		ok = 1;
	} else {
		limit->suppressed++;
	}
	pthread_mutex_unlock(&limit->lock);
	return ok;
}

void
log_limited(struct log_limit *limit, int level, const char *fmt, ...)
{
	struct timespec ts;
	uint64_t suppressed;
	va_list ap;

	if (!log_enabled(level))
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (!log_limit_take(limit, (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec,
			    &suppressed))
		return;
	if (suppressed)
		log_msg(LOG_WARNING, "%llu more lines like the next were not written",
			(unsigned long long)suppressed);
	va_start(ap, fmt);
	vlog(level, fmt, ap);
	va_end(ap);
}
