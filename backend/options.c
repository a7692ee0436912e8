/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "options.h"
#include "virtio_apir.h"

#define DEFAULT_QUEUES	     8
#define DEFAULT_IDLE_US	     100
#define DEFAULT_MAX_SESSIONS 16
#define DEFAULT_TIMEOUT_MS   10000

enum {
	OPT_SOCKET_PATH = 256,
	OPT_CLIENT,
	OPT_FD,
	OPT_CAPABILITIES,
	OPT_DEVICE,
	OPT_LIST_DEVICES,
	OPT_EXECUTOR,
	OPT_QUEUES,
	OPT_CORES,
	OPT_IDLE_US,
	OPT_MAX_DEVICE_MEMORY,
	OPT_MAX_SESSIONS,
	OPT_KERNEL_TIMEOUT_MS,
	OPT_CACHE_DIR,
	OPT_NO_CACHE,
	OPT_COPY_MODE,
	OPT_OPENCL,
	OPT_LOG_LEVEL,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{"socket-path", required_argument, NULL, OPT_SOCKET_PATH},
	{"client", no_argument, NULL, OPT_CLIENT},
	{"fd", required_argument, NULL, OPT_FD},
	{"print-capabilities", no_argument, NULL, OPT_CAPABILITIES},
	{"device", required_argument, NULL, OPT_DEVICE},
	{"list-devices", no_argument, NULL, OPT_LIST_DEVICES},
	{"executor", required_argument, NULL, OPT_EXECUTOR},
	{"queues", required_argument, NULL, OPT_QUEUES},
	{"cores", required_argument, NULL, OPT_CORES},
	{"idle-us", required_argument, NULL, OPT_IDLE_US},
	{"max-device-memory", required_argument, NULL, OPT_MAX_DEVICE_MEMORY},
	{"max-sessions", required_argument, NULL, OPT_MAX_SESSIONS},
	{"kernel-timeout-ms", required_argument, NULL, OPT_KERNEL_TIMEOUT_MS},
	{"cache-dir", required_argument, NULL, OPT_CACHE_DIR},
	{"no-cache", no_argument, NULL, OPT_NO_CACHE},
	{"copy-mode", required_argument, NULL, OPT_COPY_MODE},
	{"opencl", required_argument, NULL, OPT_OPENCL},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

void
options_help(FILE *out)
{
	fprintf(out,
		"usage: apird [options]\n"
		"\n"
		"Runs the packet kernels of one guest on an OpenCL device. The guest, a DPDK "
		"program or a\n"
		"virtual machine, connects to a vhost-user socket. apird stays in the foreground "
		"and\n"
		"ends on SIGTERM or SIGINT.\n"
		"\n"
		"Socket:\n"
		"  --socket-path PATH       listen on PATH (default %s)\n"
		"  --client                 connect to --socket-path, and again when the "
		"connection ends\n"
		"                           (default: listen)\n"
		"  --fd N                   use the inherited socket N, listening or connected, "
		"instead of\n"
		"                           --socket-path (default: none)\n"
		"  --print-capabilities     print the capabilities of this back-end as JSON and "
		"exit\n"
		"\n"
		"Device:\n"
		"  --device DEV             auto, PLATFORM:DEVICE by index, or part of a name "
		"(default auto)\n"
		"  --list-devices           print the devices there are and exit\n"
		"  --executor NAME          auto, cuda (NVIDIA, zero copy) or opencl (any "
		"device); auto takes\n"
		"                           cuda where the device allows it (default auto)\n"
		"  --copy-mode MODE         how kernels reach packets: auto, raw, base or staged "
		"(default auto)\n"
		"  --max-device-memory SIZE most device memory the guest may hold, with suffix K, "
		"M or G;\n"
		"                           0: what the device has (default 0)\n"
		"  --kernel-timeout-ms N    end when a kernel runs longer than this, 1..3600000 "
		"(default %u)\n"
		"  --cache-dir DIR          keep built programs here (default "
		"$XDG_CACHE_HOME/apir, else\n"
		"                           /var/cache/apir for root and ~/.cache/apir for "
		"others)\n"
		"  --no-cache               keep none (default: keep)\n"
		"  --opencl on|off          run OpenCL programs of guests, too, each in a process "
		"of its own\n"
		"                           (default on)\n"
		"\n"
		"Limits and threads:\n"
		"  --queues N               most data queues of a session, 1..%u (default %u)\n"
		"  --max-sessions N         most connections served at a time, 1..256 (default "
		"%u)\n"
		"  --cores LIST             one poll thread on each of these CPUs, such as 2,4-6\n"
		"                           (default: one thread, not pinned)\n"
		"  --idle-us N              poll so long without work before sleeping, 0..1000000; "
		"0: sleep at\n"
		"                           once (default %u)\n"
		"\n"
		"  --log-level LEVEL        error, warning, info or debug (default info)\n"
		"  --help                   print this and exit\n"
		"  --version                print the version and exit\n"
		"\n"
		"Exit codes: 0 ended as asked, 1 failed to start, 2 wrong command line, 3 a kernel "
		"ran too\n"
		"long, 4 the guest took its memory away, 5 the device was lost.\n",
		OPTIONS_DEFAULT_SOCKET, DEFAULT_TIMEOUT_MS, APIR_MAX_DATA_QUEUES, DEFAULT_QUEUES,
		DEFAULT_MAX_SESSIONS, DEFAULT_IDLE_US);
}

static int
number(const char *text, uint64_t *v)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	*v = strtoull(text, &end, 10);
	return errno != 0 || *end != '\0' ? -1 : 0;
}

int
options_size(const char *text, uint64_t *size)
{
	unsigned int shift = 0;
	char *end;
	uint64_t v;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno != 0)
		return -1;
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	}
	if (shift > 0)
		end++;
	if (*end != '\0' || (shift > 0 && v > UINT64_MAX >> shift))
		return -1;
	*size = v << shift;
	return 0;
}

int
options_cpu_list(const char *text, int *cpus, unsigned int max)
{
	unsigned int n = 0;

	while (*text != '\0') {
		unsigned long first, last;
		char *end;

		if (*text < '0' || *text > '9')
			return -1;
		first = last = strtoul(text, &end, 10);
		if (*end == '-') {
			text = end + 1;
			if (*text < '0' || *text > '9')
				return -1;
			last = strtoul(text, &end, 10);
		}
		if (last < first || last >= CPU_SETSIZE || last - first >= max - n)
			return -1;
		for (unsigned long c = first; c <= last; c++) {
			for (unsigned int i = 0; i < n; i++)
				if (cpus[i] == (int)c)
					return -1;
			cpus[n++] = (int)c;
		}
		text = end;
		if (*text == ',') {
			text++;
			if (*text == '\0')
				return -1;
		} else if (*text != '\0') {
			return -1;
		}
	}
	return n > 0 ? (int)n : -1;
}

static int __attribute__((format(printf, 3, 4))) wrong(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return -1;
}

static int
ranged(const char *name, const char *text, uint64_t min, uint64_t max, unsigned int *v, char *why,
       size_t size)
{
	uint64_t n;

	if (number(text, &n) != 0 || n < min || n > max)
		return wrong(why, size,
			     "%s '%s': a number from %" PRIu64 " to %" PRIu64 " is needed", name,
			     text, min, max);
	*v = (unsigned int)n;
	return 0;
}

static int
cores(struct options *o, const char *text, char *why, size_t size)
{
	cpu_set_t allowed;
	const int n = options_cpu_list(text, o->cpus, POLL_MAX_THREADS);

	if (n < 0)
		return wrong(
			why, size,
			"--cores '%s': a list of at most %d different CPUs such as 2,4-6 is needed",
			text, POLL_MAX_THREADS);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
		for (int i = 0; i < n; i++)
			if (!CPU_ISSET(o->cpus[i], &allowed))
				return wrong(why, size,
					     "--cores '%s': CPU %d is not there or not allowed for "
					     "this process",
					     text, o->cpus[i]);
	o->nb_cpus = (unsigned int)n;
	return 0;
}

static int
one_of(const char *name, const char *text, const char *const *words, char *why, size_t size)
{
	for (unsigned int i = 0; words[i] != NULL; i++)
		if (!strcmp(text, words[i]))
			return 0;
	snprintf(why, size, "%s '%s': one of", name, text);
	for (unsigned int i = 0; words[i] != NULL; i++) {
		const size_t n = strlen(why);

		snprintf(why + n, size - n, " %s", words[i]);
	}
	strncat(why, " is needed", size - strlen(why) - 1);
	return -1;
}

static void
default_cache(struct options *o)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	o->cache_dir = o->cache_buf;
	if (xdg != NULL && xdg[0] == '/')
		snprintf(o->cache_buf, sizeof(o->cache_buf), "%s/apir", xdg);
	else if (geteuid() == 0)
		snprintf(o->cache_buf, sizeof(o->cache_buf), "/var/cache/apir");
	else if (home != NULL && home[0] == '/')
		snprintf(o->cache_buf, sizeof(o->cache_buf), "%s/.cache/apir", home);
	else
		o->cache_dir = NULL;
}

static int
take(struct options *o, int opt, const char *arg, char *why, size_t size)
{
	static const char *const modes[] = {"auto", "raw", "base", "staged", NULL};
	static const char *const executors[] = {"auto", "cuda", "opencl", NULL};
	static const char *const on_off[] = {"on", "off", NULL};
	static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
	unsigned int fd = 0;

	switch (opt) {
	case OPT_SOCKET_PATH:
		o->socket_path = arg;
		/* struct sockaddr_un holds so much. */
		if (arg[0] == '\0' || strlen(arg) > 107)
			return wrong(why, size,
				     "--socket-path: a path of 1 to 107 bytes is needed");
		return 0;
	case OPT_CLIENT:
		o->client = true;
		return 0;
	case OPT_FD:
		if (ranged("--fd", arg, 0, 1 << 20, &fd, why, size) != 0)
			return -1;
		o->fd = (int)fd;
		return 0;
	case OPT_CAPABILITIES:
		o->mode = MODE_CAPABILITIES;
		return 0;
	case OPT_DEVICE:
		o->device = arg;
		return 0;
	case OPT_LIST_DEVICES:
		o->mode = MODE_LIST_DEVICES;
		return 0;
	case OPT_EXECUTOR:
		o->executor = arg;
		return one_of("--executor", arg, executors, why, size);
	case OPT_QUEUES:
		return ranged("--queues", arg, 1, APIR_MAX_DATA_QUEUES, &o->queues, why, size);
	case OPT_CORES:
		return cores(o, arg, why, size);
	case OPT_IDLE_US:
		return ranged("--idle-us", arg, 0, 1000000, &o->idle_us, why, size);
	case OPT_MAX_DEVICE_MEMORY:
		if (options_size(arg, &o->max_device_memory) != 0)
			return wrong(why, size,
				     "--max-device-memory '%s': a number with suffix K, M or G, or "
				     "none, is needed",
				     arg);
		return 0;
	case OPT_MAX_SESSIONS:
		return ranged("--max-sessions", arg, 1, 256, &o->max_sessions, why, size);
	case OPT_KERNEL_TIMEOUT_MS:
		return ranged("--kernel-timeout-ms", arg, 1, 3600000, &o->kernel_timeout_ms, why,
			      size);
	case OPT_CACHE_DIR:
		o->cache_dir = arg;
		return 0;
	case OPT_NO_CACHE:
		o->cache_dir = NULL;
		return 0;
	case OPT_COPY_MODE:
		o->copy_mode = arg;
		return one_of("--copy-mode", arg, modes, why, size);
	case OPT_OPENCL:
		o->opencl = strcmp(arg, "off") != 0;
		return one_of("--opencl", arg, on_off, why, size);
	case OPT_LOG_LEVEL:
		o->log_level = log_level_of(arg);
		return one_of("--log-level", arg, levels, why, size);
	case OPT_HELP:
		o->mode = MODE_HELP;
		return 0;
	case OPT_VERSION:
		o->mode = MODE_VERSION;
		return 0;
	}
	return -1;
}

int
options_parse(struct options *o, int argc, char **argv, char *why, size_t why_size)
{
	int opt, at;

	memset(o, 0, sizeof(*o));
	o->fd = -1;
	o->device = "auto";
	o->queues = DEFAULT_QUEUES;
	o->idle_us = DEFAULT_IDLE_US;
	o->max_sessions = DEFAULT_MAX_SESSIONS;
	o->kernel_timeout_ms = DEFAULT_TIMEOUT_MS;
	o->executor = "auto";
	o->copy_mode = "auto";
	o->opencl = true;
	o->log_level = LOG_INFO;
	default_cache(o);

	optind = 0;
	opterr = 0;
	while (at = optind > 0 ? optind : 1,
	       (opt = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (opt == ':')
			return wrong(why, why_size, "%s needs a value (see --help)", argv[at]);
		if (opt == '?')
			return wrong(why, why_size, "unknown or ambiguous option '%s' (see --help)",
				     argv[at]);
		if (take(o, opt, optarg, why, why_size) != 0)
			return -1;
		if (o->mode == MODE_HELP || o->mode == MODE_VERSION)
			return 0;
	}
	if (optind < argc)
		return wrong(why, why_size, "unexpected argument '%s' (see --help)", argv[optind]);
	if (o->fd >= 0 && (o->socket_path != NULL || o->client))
		return wrong(why, why_size,
			     "--fd excludes --socket-path and --client: give one of them");
	if (o->socket_path == NULL)
		o->socket_path = OPTIONS_DEFAULT_SOCKET;
	return 0;
}
