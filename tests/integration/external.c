/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* A program of somebody else's: built against the installed librte_apir.pc (tests/run_install). */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_apir.h>
#include <rte_eal.h>

int
main(int argc, char **argv)
{
	struct rte_apir_conf conf = {.path = "/nonexistent/apir.sock"};
	uint16_t dev_id;
	int rc;

	if (rte_eal_init(argc, argv) < 0)
		return 1;
	rc = rte_apir_open(&conf, &dev_id);
	printf("rte_apir_open: %d, \"%s\"\n", rc, rte_apir_last_error());
	rte_eal_cleanup();
	if (rc != -ENOENT || strstr(rte_apir_last_error(), conf.path) == NULL)
		return 1;
	return 0;
}
