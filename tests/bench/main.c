/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* apir-bench: see bench.h, and doc/performance.md for what it is for. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "bench.h"

#define MAX_EAL_ARGS 64

static unsigned int
largest(const unsigned int *v, unsigned int nb)
{
	unsigned int max = 0;

	for (unsigned int i = 0; i < nb; i++)
		max = RTE_MAX(max, v[i]);
	return max;
}

/* One core, no devices, no files, memory that one file descriptor shares. */
static int
eal_start(const struct options *o, unsigned int nb_mbufs)
{
	char core[16], mem[16];
	char *argv[MAX_EAL_ARGS] = {(char *)"apir-bench",
				    (char *)"-l",
				    core,
				    (char *)"-m",
				    mem,
				    (char *)"--in-memory",
				    (char *)"--single-file-segments",
				    (char *)"--no-pci",
				    (char *)"--no-telemetry",
				    (char *)"--log-level=lib.eal:error"};
	int argc = 10;

	snprintf(core, sizeof(core), "%d", o->guest_core);
	snprintf(mem, sizeof(mem), "%u", 32 + nb_mbufs / 400);
	if (o->nb_eal > MAX_EAL_ARGS - argc - 1) {
		fprintf(stderr, "apir-bench: too many EAL options\n");
		return -1;
	}
	for (int i = 0; i < o->nb_eal; i++)
		argv[argc++] = o->eal[i];
	if (rte_eal_init(argc, argv) >= 0)
		return 0;
	fprintf(stderr,
		"apir-bench: EAL does not start: %s; it needs %s MiB of hugepages and root\n",
		rte_strerror(rte_errno), mem);
	return -1;
}

static int
measure_all(const struct options *o, struct report *r, const struct backend *b)
{
	struct extras x = {.idle_cpu = -1};

	for (unsigned int c = 0; c < NB_CASES; c++)
		for (unsigned int s = 0; o->cases[c] && s < o->nb_sizes; s++)
			for (unsigned int i = 0; i < o->nb_bursts; i++) {
				struct line l = {
					.kernel = c, .burst = o->bursts[i], .size = o->sizes[s]};

				if (measure_line(o, &l) != 0)
					return -1;
				report_line(r, &l);
			}
	for (unsigned int s = 0; o->guest_cost && s < o->nb_sizes; s++)
		for (unsigned int i = 0; i < o->nb_bursts; i++) {
			struct cost_line l = {.burst = o->bursts[i], .size = o->sizes[s]};

			if (measure_cost(o, &l) != 0)
				return -1;
			report_cost(r, &l);
		}
	if ((o->idle && measure_idle(b, &x.idle_cpu) != 0) ||
	    (o->start && measure_start(o, &x) != 0))
		return -1;
	report_extras(r, &x);
	return 0;
}

static int
sides_open(const struct options *o, struct backend *b)
{
	const char *path = o->path;

	if (native_open(o->device, o->local_size, MAX_BURST) != 0)
		return -1;
	if (path == NULL) {
		if (backend_start(b, o, native_device_spec(), NULL) != 0 || backend_wait(b) != 0)
			return -1;
		path = b->socket;
	}
	if (apir_side_open(path, o) != 0) {
		backend_alive(b);
		return -1;
	}
	if (strcmp(apir_device_name(), native_device_name()) != 0) {
		fprintf(stderr,
			"apir-bench: apird runs on '%s', the native side on '%s': give --device\n",
			apir_device_name(), native_device_name());
		return -1;
	}
	fprintf(stderr,
		"device: %s; apird's copy mode: %s; bursts in flight: %u; cores: guest %d, apird "
		"%d\n",
		native_device_name(), apir_copy_mode(), o->in_flight, o->guest_core, o->apird_core);
	return 0;
}

int
main(int argc, char **argv)
{
	struct options o;
	struct backend b = {.pid = -1};
	struct report *r;
	unsigned int nb_mbufs;
	int rc = 1;

	options_parse(&o, argc, argv);
	nb_mbufs = RTE_MAX(o.in_flight * largest(o.bursts, o.nb_bursts), 64u);
	r = report_open(&o);
	if (r == NULL)
		return 1;
	if (eal_start(&o, nb_mbufs) == 0) {
		if (packets_pool_create(nb_mbufs) == 0 && sides_open(&o, &b) == 0 &&
		    measure_all(&o, r, &b) == 0)
			rc = o.check && report_check(r) > 0;
		apir_side_close();
		backend_stop(&b);
		native_close();
		packets_pool_free();
		rte_eal_cleanup();
	}
	report_close(r);
	return rc;
}
