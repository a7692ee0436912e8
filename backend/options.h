/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_OPTIONS_H
#define APIRD_OPTIONS_H

/** @file Command line of apird. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "poller.h"

#define OPTIONS_DEFAULT_SOCKET "/run/apir/apir0.sock"

enum options_mode { MODE_SERVE, MODE_HELP, MODE_VERSION, MODE_CAPABILITIES, MODE_LIST_DEVICES };

struct options {
	enum options_mode mode;
	const char *socket_path;
	bool client;
	int fd; /**< -1: none */
	const char *device;
	unsigned int queues;
	int cpus[POLL_MAX_THREADS];
	unsigned int nb_cpus; /**< 0: one thread, not pinned */
	unsigned int idle_us;
	uint64_t max_device_memory; /**< 0: no limit */
	unsigned int max_sessions;
	unsigned int kernel_timeout_ms;
	const char *cache_dir; /**< NULL: no cache */
	const char *executor;  /**< "auto" or an executor's name */
	const char *copy_mode;
	bool opencl; /**< guests' OpenCL programs are served */
	int log_level;
	char cache_buf[4096];
};

/**
 * Read the command line.
 *
 * @param why of at least 256 bytes: one line that says what is wrong and what would be right
 * @return 0, or -1
 */
int options_parse(struct options *o, int argc, char **argv, char *why, size_t why_size);

/** What --help says. */
void options_help(FILE *out);

/** A list of CPUs such as "0,2-5". Returns how many, or -1: not such a list, or more than max. */
int options_cpu_list(const char *text, int *cpus, unsigned int max);
/** A size such as "512M". Returns 0 or -1. */
int options_size(const char *text, uint64_t *size);

#endif /* APIRD_OPTIONS_H */
