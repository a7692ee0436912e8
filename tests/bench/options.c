/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The command line. */

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "bench.h"

const char *const case_names[NB_CASES] = {"empty", "header", "payload"};
const char *const case_kernels[NB_CASES] = {"bench_empty", "bench_header", "bench_payload"};

static const char help[] =
	"usage: apir-bench [options] [-- EAL options]\n"
	"\n"
	"Runs the same kernels on the same packets natively (OpenCL in this process) and through\n"
	"apir (librte_apir and an apird), in turn, and checks every byte of every packet.\n"
	"\n"
	"  --case LIST        of empty, header, payload, or none          (default: all)\n"
	"  --burst LIST       packets of a burst, 1 to 1022               (32,64,256,1000)\n"
	"  --size LIST        bytes of a packet, 64 to 1984               (64,1500)\n"
	"  --in-flight N      bursts in flight, 1 to 64                   (8)\n"
	"  --seconds S        time spent on each line of the table        (1.2)\n"
	"  --rounds N         interleaved rounds it is cut into, 1 to 999 (15)\n"
	"  --best             each side's best round instead of medians: for a busy machine\n"
	"  --near NS          count only rounds during which a cache line takes at most NS ns\n"
	"                     between the cores, there and back              (0: all rounds)\n"
	"  --device D         auto, PLATFORM:DEVICE or part of a name     (auto)\n"
	"  --local N          work-items of a work-group, 0 to 4096       (0: each side's "
	"default)\n"
	"  --apird PROGRAM    start this apird                            (that of this build)\n"
	"  --path SOCKET      use an apird that runs already\n"
	"  --guest-core N     core of this process, both sides            (first we may run on)\n"
	"  --apird-core N     core of apird's poll thread                 (second)\n"
	"  --guest-cost       also: what enqueue and dequeue cost the guest\n"
	"  --idle             also: CPU use of an idle apird              (not with --path)\n"
	"  --start            also: start of apird to first packet        (not with --path)\n"
	"  --check            all of these; exit code 1 if a promise of the project is missed\n"
	"  --json[=FILE]      one JSON object a line to stdout (the table to stderr) or FILE\n"
	"  --help             this text\n";

static void __attribute__((noreturn, format(printf, 1, 2))) usage(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "apir-bench: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (see --help)\n");
	exit(2);
}

static double
number(const char *option, const char *text, double min, double max, bool whole)
{
	char *end;
	double v;

	errno = 0;
	v = whole ? (double)strtol(text, &end, 10) : strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || !(v >= min && v <= max))
		usage("--%s: '%s' is not a number from %g to %g", option, text, min, max);
	return v;
}

static unsigned int
list(const char *option, char *text, unsigned int min, unsigned int max, unsigned int *out)
{
	unsigned int nb = 0;

	for (char *save, *s = strtok_r(text, ",", &save); s != NULL;
	     s = strtok_r(NULL, ",", &save)) {
		if (nb == MAX_LIST)
			usage("--%s: more than %u numbers", option, MAX_LIST);
		out[nb++] = (unsigned int)number(option, s, min, max, true);
	}
	if (nb == 0)
		usage("--%s: no number", option);
	return nb;
}

static void
list_cases(struct options *o, char *text)
{
	memset(o->cases, 0, sizeof(o->cases));
	if (strcmp(text, "none") == 0)
		return;
	for (char *save, *s = strtok_r(text, ",", &save); s != NULL;
	     s = strtok_r(NULL, ",", &save)) {
		unsigned int c = 0;

		while (c < NB_CASES && strcmp(s, case_names[c]) != 0)
			c++;
		if (c == NB_CASES)
			usage("--case: '%s' is none of empty, header, payload, none", s);
		o->cases[c] = true;
	}
}

/* The first two cores we may run on, one for each side. */
static void
cores_choose(struct options *o)
{
	int found[2] = {-1, -1};

	if (sched_getaffinity(0, sizeof(o->cpus), &o->cpus) != 0)
		usage("no list of cores: %s", strerror(errno));
	for (int c = 0; c < CPU_SETSIZE && found[1] < 0; c++)
		if (CPU_ISSET(c, &o->cpus) && c != o->guest_core && c != o->apird_core)
			found[found[0] >= 0] = c;
	if (o->guest_core < 0) {
		o->guest_core = found[0];
		found[0] = found[1];
	}
	if (o->apird_core < 0)
		o->apird_core = found[0];
	if (o->guest_core < 0 || o->apird_core < 0 || o->guest_core == o->apird_core)
		usage("guest and apird need a core each: allow two (taskset), or name two "
		      "different ones");
}

static void
defaults(struct options *o)
{
	static const unsigned int bursts[] = {32, 64, 256, 1000}, sizes[] = {64, 1500};

	memset(o, 0, sizeof(*o));
	memset(o->cases, true, sizeof(o->cases));
	memcpy(o->bursts, bursts, sizeof(bursts));
	memcpy(o->sizes, sizes, sizeof(sizes));
	o->nb_bursts = RTE_DIM(bursts);
	o->nb_sizes = RTE_DIM(sizes);
	o->seconds = 1.2;
	o->rounds = DEFAULT_ROUNDS;
	o->in_flight = 8;
	o->guest_core = o->apird_core = -1;
	o->device = "auto";
}

void
options_parse(struct options *o, int argc, char **argv)
{
	enum {
		CASE = 256,
		BURST,
		SIZE,
		IN_FLIGHT,
		SECONDS,
		ROUNDS,
		BEST,
		NEAR,
		DEVICE,
		LOCAL,
		APIRD,
		PATH,
		GUEST_CORE,
		APIRD_CORE,
		GUEST_COST,
		IDLE,
		START,
		CHECK,
		JSON,
		HELP
	};
	static const struct option longs[] = {
		{"case", required_argument, NULL, CASE},
		{"burst", required_argument, NULL, BURST},
		{"size", required_argument, NULL, SIZE},
		{"in-flight", required_argument, NULL, IN_FLIGHT},
		{"seconds", required_argument, NULL, SECONDS},
		{"rounds", required_argument, NULL, ROUNDS},
		{"best", no_argument, NULL, BEST},
		{"near", required_argument, NULL, NEAR},
		{"device", required_argument, NULL, DEVICE},
		{"local", required_argument, NULL, LOCAL},
		{"apird", required_argument, NULL, APIRD},
		{"path", required_argument, NULL, PATH},
		{"guest-core", required_argument, NULL, GUEST_CORE},
		{"apird-core", required_argument, NULL, APIRD_CORE},
		{"guest-cost", no_argument, NULL, GUEST_COST},
		{"idle", no_argument, NULL, IDLE},
		{"start", no_argument, NULL, START},
		{"check", no_argument, NULL, CHECK},
		{"json", optional_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	int opt, at = 0;

	defaults(o);
	while ((opt = getopt_long(argc, argv, "", longs, &at)) != -1) {
		const char *name = opt == '?' ? "" : longs[at].name;

		switch (opt) {
		case CASE:
			list_cases(o, optarg);
			break;
		case BURST:
			o->nb_bursts = list(name, optarg, 1, MAX_BURST, o->bursts);
			break;
		case SIZE:
			o->nb_sizes = list(name, optarg, 64, MAX_SIZE, o->sizes);
			break;
		case IN_FLIGHT:
			o->in_flight = (unsigned int)number(name, optarg, 1, MAX_IN_FLIGHT, true);
			break;
		case SECONDS:
			o->seconds = number(name, optarg, 0.01, 3600, false);
			break;
		case ROUNDS:
			o->rounds = (unsigned int)number(name, optarg, 1, 999, true);
			break;
		case BEST:
			o->best = true;
			break;
		case NEAR:
			o->near_ns = number(name, optarg, 0, 1e6, false);
			break;
		case DEVICE:
			o->device = optarg;
			break;
		case LOCAL:
			o->local_size = (unsigned int)number(name, optarg, 0, 4096, true);
			break;
		case APIRD:
			o->apird = optarg;
			break;
		case PATH:
			o->path = optarg;
			break;
		case GUEST_CORE:
			o->guest_core = (int)number(name, optarg, 0, CPU_SETSIZE - 1, true);
			break;
		case APIRD_CORE:
			o->apird_core = (int)number(name, optarg, 0, CPU_SETSIZE - 1, true);
			break;
		case GUEST_COST:
			o->guest_cost = true;
			break;
		case IDLE:
			o->idle = true;
			break;
		case START:
			o->start = true;
			break;
		case CHECK:
			o->check = o->guest_cost = o->idle = o->start = true;
			break;
		case JSON:
			o->json = true;
			o->json_file = optarg;
			break;
		case HELP:
			fputs(help, stdout);
			exit(0);
		default:
			exit(2); /* getopt has said why */
		}
	}
	if (o->path != NULL && (o->idle || o->start))
		usage("--idle, --start and --check need an apird of our own: leave --path out");
	cores_choose(o);
	o->eal = argv + optind;
	o->nb_eal = argc - optind;
	if (o->nb_eal > 0 && strcmp(argv[optind - 1], "--") != 0)
		usage("'%s' is not an option; EAL options go after --", argv[optind]);
}
