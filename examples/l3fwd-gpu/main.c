/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * l3fwd-gpu: routes IPv4 and IPv6 between ethdev ports with a kernel on the host's OpenCL device.
 *
 * Where to look: gpu.c is all that talks to the device but for the bursts, which worker.c sends through it; control.c
 * replaces routes under traffic; l3fwd.cl is the kernel. See doc/l3fwd-gpu.md.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "app.h"
#include "compat.h"
#include "control.h"
#include "ports.h"
#include "stats.h"
#include "worker.h"

#define EXIT_USAGE 2
#define ERR_LEN	   65536

static struct app app;

void
say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	flockfile(stdout);
	printf("l3fwd-gpu: ");
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	funlockfile(stdout);
	va_end(ap);
}

void
complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	flockfile(stderr);
	fprintf(stderr, "l3fwd-gpu: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	funlockfile(stderr);
	va_end(ap);
}

/* Not on an lcore: those are for packets. */
THREAD_MAIN(control_main, arg)
{
	control_run(arg);
	THREAD_RETURN;
}

static int
open_device(char *err, size_t err_len)
{
	if (gpu_open(&app.gpu, &app.opt, app.nb_workers, err, err_len) != 0)
		return -1;
	if (gpu_load(&app.gpu, app.port_table, RTE_DIM(app.port_table), err, err_len) != 0)
		return -1;
	say("device: %s (%s), zero copy: %s", app.gpu.info.device, app.gpu.info.platform,
	    app.gpu.info.zero_copy ? "yes" : "no");
	return 0;
}

static int
forward(void)
{
	aside_thread thread;

	if (thread_create_aside(&thread, "l3fwd-ctl", control_main, &app) != 0) {
		complain("the control thread does not start");
		return -1;
	}
	rte_eal_mp_remote_launch(worker_main, &app, CALL_MAIN);
	rte_eal_mp_wait_lcore();
	thread_join_aside(thread);
	return 0;
}

/* Everything that came in must be accounted for. */
static bool
check_packets(const struct totals *t)
{
	uint64_t stuck = 0;
	unsigned int w;

	for (w = 0; w < app.nb_workers; w++)
		stuck += atomic_load(&app.workers[w].stuck);
	if (stuck > 0)
		complain("%" PRIu64 " packets are still with apird, which does not answer", stuck);
	else if (t->rx != t->tx + t->dropped)
		complain("%" PRIu64 " packets came, and only %" PRIu64 " are accounted for", t->rx,
			 t->tx + t->dropped);
	return stuck == 0 && t->rx == t->tx + t->dropped;
}

static bool
summarize(char *err, size_t err_len)
{
	struct totals t;
	bool good;
	unsigned int i;

	stats_collect(&app, &t);
	stats_summary(&app, &t, control_tables(&app), control_info(&app));
	good = check_packets(&t) && !control_failed(&app);
	for (i = 0; i < MAX_PORTS; i++)
		good = good && t.ports[i].drop[L3FWD_DROP_DEVICE_ERROR] == 0;
	if (atomic_load(&app.mismatches) > 0)
		good = false;
	if (app.opt.json != NULL &&
	    stats_json(&app, &t, control_tables(&app), control_info(&app), err, err_len) != 0) {
		complain("%s", err);
		good = false;
	}
	return good;
}

/* With the ports closed and the device gone, every mbuf must be back. */
static bool
check_leaks(void)
{
	const unsigned int out = app.pool == NULL ? 0 : rte_mempool_in_use_count(app.pool);

	if (out > 0)
		complain("%u mbufs are leaked", out);
	return out == 0;
}

static int
run(void)
{
	static char err[ERR_LEN];
	bool good = false, device = false;

	if (ports_find(&app, err, sizeof(err)) != 0 ||
	    workers_create(&app, err, sizeof(err)) != 0 || ports_start(&app, err, sizeof(err)) != 0)
		goto fail;
	if (!app.opt.cpu) {
		if (open_device(err, sizeof(err)) != 0) {
			device = app.gpu.source != NULL;
			goto fail;
		}
		device = true;
	}
	if (control_create(&app, err, sizeof(err)) != 0)
		goto fail;
	atomic_store(&app.budget, app.opt.count);
	control_signals();
	say("forwarding on %u lcore%s", app.nb_workers, app.nb_workers == 1 ? "" : "s");
	good = forward() == 0 && summarize(err, sizeof(err));
	goto end;
fail:
	complain("%s", err);
end:
	control_free(&app);
	ports_stop(&app);
	if (device && gpu_close(&app.gpu, err, sizeof(err)) != 0) {
		complain("%s", err);
		good = false;
	} else if (!check_leaks()) {
		good = false;
	}
	workers_free(&app);
	rte_mempool_free(app.pool);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static unsigned int
free_hugepages(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	unsigned int n = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%u", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

int
main(int argc, char **argv)
{
	int own = argc, ret, i;

	/* Our own options first: a mistake there needs no EAL to be found. */
	for (i = 1; i < argc && own == argc; i++)
		if (strcmp(argv[i], "--") == 0)
			own = i;
	for (i = 1; i < own; i++)
		if (strcmp(argv[i], "--help") == 0)
			own = i - 1;
	ret = options_parse(&app.opt, argc - own, argv + own);
	if (ret != 0)
		return ret > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	if (rte_eal_init(own, argv) < 0) {
		complain("EAL does not start: %s (its own lines above say more); %u hugepages of 2 "
			 "MiB are "
			 "free: if that is too few for -m, reserve some: hugeadm --pool-pages-min "
			 "2MB:512",
			 rte_strerror(rte_errno), free_hugepages());
		return EXIT_FAILURE;
	}
	ret = run();
	rte_eal_cleanup();
	return ret;
}
