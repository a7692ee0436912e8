/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_VHOST_H
#define APIRD_VHOST_H

/** @file librte_vhost: from its callbacks to sessions. Nothing else in apird knows it. */

#include "session.h"

/**
 * Start EAL, quietly and without hugepages; be must outlive the process. Returns 0 or -1, logged.
 */
int vhost_init(struct backend *be);

/**
 * Let librte_vhost listen, on a socket that only this process can reach.
 *
 * @return an O_PATH fd of the socket: connect to /proc/self/fd/N; or -1, logged
 */
int vhost_listen(void);

#endif /* APIRD_VHOST_H */
