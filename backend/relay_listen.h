/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_RELAY_LISTEN_H
#define APIRD_RELAY_LISTEN_H

/** @file The sockets that front-ends come in by. Sockets returned do not block. */

#include <stdbool.h>
#include <sys/stat.h>

/**
 * Listen on path; a dead process's socket there is removed, its folder created. -1 after logging
 * why. st: of the file.
 */
int listen_on(const char *path, struct stat *st);

/** Connect to path: an fd, or -1 and errno. */
int listen_connect(const char *path);

/** Check an inherited socket. 0, or -1 after logging what is wrong with it. */
int listen_inherited(int fd, bool *listening);

#endif /* APIRD_RELAY_LISTEN_H */
