/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* apir-gpu-bench: see gpubench.h. */

#include <errno.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "gpubench.h"

static const struct side *const sides[NB_SIDES] = {&side_direct, &side_apir, &side_lpm};

static unsigned int
mbufs_needed(const struct options *o)
{
	unsigned int largest = 0;

	for (unsigned int i = 0; i < o->nb_bursts; i++)
		largest = RTE_MAX(largest, o->bursts[i]);
	return o->queues * RTE_MAX(o->window, largest) + 64;
}

/* No devices, no files, memory that one file descriptor shares. */
static int
eal_start(const struct options *o)
{
	char mem[16];
	char *argv[24] = {(char *)"apir-gpu-bench",
			  (char *)"-l",
			  (char *)(uintptr_t)o->cores,
			  (char *)"-m",
			  mem,
			  (char *)"--in-memory",
			  (char *)"--single-file-segments",
			  (char *)"--no-pci",
			  (char *)"--no-telemetry",
			  (char *)"--log-level=lib.eal:error"};
	/* Rings and tables of the bursts, the packets, and two or three route tables of 64 MiB and more. */
	const unsigned int mib = 48 + o->queues * options_max_depth(o) / 16 +
				 mbufs_needed(o) / 400 + (o->kernels[KERNEL_L3FWD] ? 200 : 0) +
				 (o->sides[SIDE_LPM] ? 100 : 0);
	int argc = 10;

	snprintf(mem, sizeof(mem), "%u", mib);
	if (o->huge_dir != NULL) {
		argv[argc++] = (char *)"--huge-dir";
		argv[argc++] = (char *)(uintptr_t)o->huge_dir;
	}
	if (o->plugin != NULL) {
		argv[argc++] = (char *)"-d";
		argv[argc++] = (char *)(uintptr_t)o->plugin;
	}
	if (rte_eal_init(argc, argv) < 0) {
		fprintf(stderr,
			"apir-gpu-bench: EAL does not start: %s; it needs %s MiB of hugepages and "
			"root\n",
			rte_strerror(rte_errno), mem);
		return -1;
	}
	if (rte_lcore_count() == o->queues)
		return 0;
	fprintf(stderr, "apir-gpu-bench: --cores %s: one CPU for each of %u queues is needed\n",
		o->cores, o->queues);
	return -1;
}

static int
run(const struct options *o, FILE *out)
{
	int rc = -1;

	if (packets_pool_create(mbufs_needed(o)) != 0 || barrier_open(o) != 0)
		return -1;
	if (o->kernels[KERNEL_L3FWD] && routes_create(o->routes) != 0)
		goto end;
	for (unsigned int s = 0; s < NB_SIDES; s++)
		if (o->sides[s] && sides[s]->open(o) != 0)
			goto close;
	rc = measure_all(o, out);
close:
	for (unsigned int s = 0; s < NB_SIDES; s++)
		if (o->sides[s])
			sides[s]->close();
end:
	routes_free();
	packets_pool_free();
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o;
	FILE *out = stdout;
	int rc;

	options_parse(&o, argc, argv);
	if (eal_start(&o) != 0)
		return 1;
	if (o.output != NULL)
		out = fopen(o.output, "we");
	if (out == NULL) {
		fprintf(stderr, "apir-gpu-bench: %s: %s\n", o.output, strerror(errno));
		return 1;
	}
	rc = run(&o, out);
	if (fflush(out) != 0)
		rc = -1;
	rte_eal_cleanup();
	return rc == 0 ? 0 : 1;
}
