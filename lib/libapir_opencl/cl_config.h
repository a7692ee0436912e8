/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_CONFIG_H
#define APIR_CL_CONFIG_H

/**
 * @file
 * Where the device is: APIR_DEVICE of the environment, else /etc/apir.conf (APIR_CONF names another file).
 *
 * The file has lines `key=value`; what follows a # is a comment. Keys: `device` (`path=SOCKET`, or `pci=ADDRESS`), `arena` (size of the
 * arena in MiB), `hugepages` (0 or 1). APIR_DEVICE is a value of `device` and goes before the file's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CL_CONFIG_FILE "/etc/apir.conf"
/** Most bytes of a value, NUL included. */
#define CL_CONFIG_VALUE 1024

struct cl_config {
	char path[CL_CONFIG_VALUE]; /**< vhost-user socket; empty: none */
	char pci[CL_CONFIG_VALUE];  /**< PCI address; empty: none */
	uint64_t arena;		    /**< bytes; 0: as large as the machine's memory */
	bool hugepages;
};

/**
 * Read the configuration.
 *
 * @return 0; -ENOENT nothing is configured; -EINVAL a value makes no sense (said with cl_debug()); another negative
 *   errno: the file cannot be read
 */
int cl_config_read(struct cl_config *c);

#endif /* APIR_CL_CONFIG_H */
