/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "options.h"
#include "relay.h"
#include "vhost.h"
#include "watchdog.h"

/* How long sessions may take to end when we are told to. */
#define END_MS 600

static struct backend be = {
	.exec_lock = PTHREAD_MUTEX_INITIALIZER,
	.mem_lock = PTHREAD_MUTEX_INITIALIZER,
	.limit = LOG_LIMIT_INIT,
};

static int
list_devices(void)
{
	int total = 0;

	for (unsigned int i = 0; exec_all[i] != NULL; i++) {
		const int n = exec_all[i]->list(stdout);

		total += n > 0 ? n : 0;
	}
	if (total == 0)
		fprintf(stderr, "apird: no OpenCL device found: install a driver, for the CPU "
				"pocl-opencl-icd\n");
	return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const char *
copy_mode_text(enum apir_copy_mode mode)
{
	switch (mode) {
	case APIR_COPY_NONE_RAW:
		return "yes (raw)";
	case APIR_COPY_NONE_BASE:
		return "yes (base)";
	default:
		return "no (staged)";
	}
}

/* Most of what an executor has to tell a guest can cause. */
static void __attribute__((format(printf, 2, 3))) exec_log(int level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_limited(&be.limit, level, "%s", text);
}

/* The first executor that has the device. */
static int
open_device(const struct options *o)
{
	const struct exec_config cfg = {
		.device = o->device,
		.copy_mode = o->copy_mode,
		.cache_dir = o->cache_dir,
		.max_device_memory = o->max_device_memory,
		.max_pkts = APIR_MAX_PKTS,
		.max_segs = APIR_MAX_SEGS,
		.log = exec_log,
	};
	struct exec_err err = {{0}}, why = {{0}};
	const bool any = !strcmp(o->executor, "auto");

	for (unsigned int i = 0; exec_all[i] != NULL && be.dev == NULL; i++) {
		if (!any && strcmp(o->executor, exec_all[i]->name) != 0)
			continue;
		be.ops = exec_all[i];
		be.dev = be.ops->open(&cfg, &err);
		if (be.dev == NULL && any && exec_all[i + 1] != NULL) {
			why = err;
			err.text[0] = '\0';
		}
	}
	/* On an NVIDIA GPU that is a loss worth knowing of. */
	if (be.dev != NULL && any && why.text[0] != '\0') {
		be.ops->info(be.dev, &be.info);
		log_msg(strstr(be.info.platform, "NVIDIA") != NULL ? LOG_WARNING : LOG_DEBUG,
			"executor cuda is not used: %s", why.text);
	}
	if (be.dev == NULL) {
		/* Lists of devices have lines of their own. */
		fprintf(stderr, "apird: %s\n", err.text);
		return -1;
	}
	be.ops->info(be.dev, &be.info);
	return 0;
}

/* Without it OpenCL programs are told that there is no OpenCL here; all else works. */
static void
find_worker(const struct options *o)
{
	static char path[4096];

	if (!o->opencl)
		return;
	if (be.info.index[0] != '\0' && worker_find(path, sizeof(path), APIRD_WORKER) == 0)
		be.worker_path = path;
	else
		log_msg(LOG_WARNING,
			"OpenCL programs of guests are not served: no program to execute at %s",
			path);
}

static int
start_polling(const struct options *o)
{
	const struct poll_conf conf = {
		.cpus = o->cpus,
		.nb_cpus = o->nb_cpus,
		.idle_us = o->idle_us,
		.numa_node = be.info.numa_node,
	};
	const int ret = poll_start(&conf, &be.poll);

	if (ret != 0)
		log_msg(LOG_ERR, "poll threads cannot start: %s", strerror(-ret));
	return ret;
}

static void
raise_fd_limit(void)
{
	struct rlimit rl;

	/* A session may hold two eventfds for each of 65 queues, and our copies of them. */
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static void
wait_for_sessions(void)
{
	const struct timespec ts = {.tv_nsec = 2000000};

	for (int ms = 0; ms < END_MS && atomic_load(&be.nb_connections) > 0; ms += 2)
		nanosleep(&ts, NULL);
}

static int
serve(const struct options *o, int signal_fd)
{
	struct watchdog dog = {.be = &be, .timeout_ms = o->kernel_timeout_ms};
	struct relay_conf rc = {
		.path = o->socket_path, .client = o->client, .fd = o->fd, .be = &be};
	struct relay *relay;

	be.max_queues = o->queues;
	be.max_sessions = o->max_sessions;
	be.max_device_memory = o->max_device_memory;
	be.cache_dir = o->cache_dir;
	be.any_device = strcmp(o->device, "auto") == 0;
	be.idle_us = o->idle_us;
	be.log_level = o->log_level;
	raise_fd_limit();
	watchdog_catch_faults();
	if (open_device(o) != 0 || vhost_init(&be) != 0 || start_polling(o) != 0)
		return EXIT_FAILURE;
	find_worker(o);
	rc.lib_fd = vhost_listen();
	if (rc.lib_fd < 0 || relay_open(&rc, &relay) != 0)
		return EXIT_FAILURE;
	log_msg(LOG_INFO,
		"apird %s on %s%s: device '%s' (%s, driver %s), executor %s, zero_copy %s, %u data "
		"queues and %u "
		"sessions at most, %u poll thread%s, idle after %u us",
		APIR_RELEASE, o->fd >= 0 ? "inherited socket" : o->socket_path,
		o->client ? " (client)" : "", be.info.device, be.info.platform, be.info.driver,
		be.ops->name, copy_mode_text(be.info.copy_mode), o->queues, o->max_sessions,
		o->nb_cpus > 0 ? o->nb_cpus : 1, o->nb_cpus > 1 ? "s" : "", o->idle_us);
	log_msg(LOG_DEBUG, "OpenCL programs of guests: %s",
		be.worker_path != NULL ? be.worker_path : "not served");
	relay_run(relay, signal_fd, watchdog_period_ms(&dog), watchdog_tick, &dog);
	log_msg(LOG_INFO, "ending");
	relay_close(relay);
	wait_for_sessions();
	if (atomic_load(&be.nb_connections) == 0) {
		poll_stop(be.poll);
		be.ops->close(be.dev);
	} else {
		log_msg(LOG_WARNING, "a kernel or a build still runs: not waited for");
		_exit(EXIT_SUCCESS);
	}
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct options o;
	char why[512];
	sigset_t set;
	int signal_fd, ret;

	if (options_parse(&o, argc, argv, why, sizeof(why)) != 0) {
		fprintf(stderr, "apird: %s\n", why);
		return 2;
	}
	switch (o.mode) {
	case MODE_HELP:
		options_help(stdout);
		return EXIT_SUCCESS;
	case MODE_VERSION:
		printf("apird %s (contract %u.%u)\n", APIR_RELEASE, APIR_VERSION_MAJOR,
		       APIR_VERSION_MINOR);
		return EXIT_SUCCESS;
	case MODE_CAPABILITIES:
		/* In a virtual machine QEMU's carrier is vhost-user-fs. */
		puts("{\n  \"type\": \"fs\"\n}");
		return EXIT_SUCCESS;
	case MODE_LIST_DEVICES:
		return list_devices();
	case MODE_SERVE:
		break;
	}
	log_set_level(o.log_level);
	/* Before any thread starts, so that none of them is interrupted. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0) {
		fprintf(stderr, "apird: signalfd: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	ret = serve(&o, signal_fd);
	fflush(NULL);
	return ret;
}
