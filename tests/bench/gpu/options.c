/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "gpubench.h"

const char *const kernel_names[NB_KERNELS] = {"xor", "header", "l3fwd"};
const char *const kernel_functions[NB_KERNELS] = {"bench_xor", "bench_header", "l3fwd"};
static const char *const side_names[NB_SIDES] = {"direct", "apir", "lpm"};

static void
help(void)
{
	printf("usage: apir-gpu-bench --mode SIDES [options]\n"
	       "\n"
	       "Runs packet kernels on bursts of mbufs and checks every byte. Several sides run in "
	       "turn, on the same\n"
	       "packets. Writes JSON lines.\n"
	       "\n"
	       "  --mode LIST       sides: direct (CUDA driver API in this process), apir "
	       "(librte_apir and a\n"
	       "                    running apird), lpm (rte_lpm on a core; l3fwd only); both: "
	       "direct,apir\n"
	       "  --kernel LIST     xor, header, l3fwd (default: all)\n"
	       "  --burst LIST      packets of a burst, 1..%u (default 32,64,128,256,512,1022)\n"
	       "  --size LIST       bytes of a packet, multiples of 4, 64..%u (default "
	       "64,256,1024,1500)\n"
	       "  --window PKTS     packets in flight on a queue; at most %u bursts (default "
	       "8192)\n"
	       "  --queues N        queues, each with an lcore, 1..%u (default 1)\n"
	       "  --cores LIST      CPUs of the lcores, one a queue (default 0)\n"
	       "  --streams N       CUDA streams a queue of the direct side, 1..16 (default 4)\n"
	       "  --rounds N        slices of each side, 1..%u (default 9)\n"
	       "  --slice-ms N      length of a slice (default 50)\n"
	       "  --latency N       bursts sent alone, for latency; 0: none (default 500)\n"
	       "  --routes N        IPv4 routes of l3fwd, 9..65536 (default 16384)\n"
	       "  --path SOCKET     apird's socket\n"
	       "  --kernels DIR     has kernels.cl, l3fwd.cl, apir_table.h, apir_kernel.h (default "
	       ".)\n"
	       "  --barrier FILE    shared with the other processes of the run: slices begin "
	       "together\n"
	       "  --peers N         how many they are\n"
	       "  --label TEXT      put into each line (default main)\n"
	       "  --output FILE     (default: standard output)\n"
	       "  --huge-dir DIR    EAL's\n"
	       "  --plugin FILE     EAL's -d: librte_mempool_ring.so where DPDK is not installed\n",
	       MAX_BURST, MAX_SIZE, MAX_DEPTH, MAX_QUEUES, MAX_ROUNDS);
}

static void __attribute__((noreturn, format(printf, 1, 2))) usage(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fprintf(stderr, "apir-gpu-bench: ");
	vfprintf(stderr, format, ap);
	fprintf(stderr, " (see --help)\n");
	va_end(ap);
	exit(2);
}

static unsigned int
number(const char *name, const char *text, unsigned int low, unsigned int high)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || v < low || v > high)
		usage("%s %s: a number of %u..%u is needed", name, text, low, high);
	return (unsigned int)v;
}

static unsigned int
numbers(const char *name, char *text, unsigned int low, unsigned int high, unsigned int *v)
{
	unsigned int n = 0;

	for (char *s = strtok(text, ","); s != NULL; s = strtok(NULL, ",")) {
		if (n == MAX_LIST)
			usage("%s: too many", name);
		v[n++] = number(name, s, low, high);
	}
	return n;
}

static void
names(const char *option, char *text, const char *const *known, unsigned int nb, bool *on)
{
	for (char *s = strtok(text, ","); s != NULL; s = strtok(NULL, ",")) {
		unsigned int i = 0;

		while (i < nb && strcmp(s, known[i]) != 0)
			i++;
		if (i == nb)
			usage("%s: unknown '%s'", option, s);
		on[i] = true;
	}
}

static void
defaults(struct options *o)
{
	static const unsigned int bursts[] = {32, 64, 128, 256, 512, MAX_BURST};
	static const unsigned int sizes[] = {64, 256, 1024, 1500};

	memset(o, 0, sizeof(*o));
	memcpy(o->bursts, bursts, sizeof(bursts));
	memcpy(o->sizes, sizes, sizeof(sizes));
	o->nb_bursts = RTE_DIM(bursts);
	o->nb_sizes = RTE_DIM(sizes);
	o->window = 8192;
	o->queues = 1;
	o->streams = 4;
	o->rounds = 9;
	o->slice_ms = 50;
	o->latency_bursts = 500;
	o->routes = 16384;
	o->cores = "0";
	o->kernel_dir = ".";
	o->peers = 1;
	o->label = "main";
}

static void
option_set(struct options *o, int c)
{
	switch (c) {
	case 'm':
		if (strcmp(optarg, "both") == 0)
			o->sides[SIDE_DIRECT] = o->sides[SIDE_APIR] = true;
		else
			names("--mode", optarg, side_names, NB_SIDES, o->sides);
		break;
	case 'k':
		names("--kernel", optarg, kernel_names, NB_KERNELS, o->kernels);
		break;
	case 'b':
		o->nb_bursts = numbers("--burst", optarg, 1, MAX_BURST, o->bursts);
		break;
	case 's':
		o->nb_sizes = numbers("--size", optarg, 64, MAX_SIZE, o->sizes);
		break;
	case 'w':
		o->window = number("--window", optarg, 1, MAX_DEPTH * MAX_BURST);
		break;
	case 'q':
		o->queues = number("--queues", optarg, 1, MAX_QUEUES);
		break;
	case 'S':
		o->streams = number("--streams", optarg, 1, 16);
		break;
	case 'r':
		o->rounds = number("--rounds", optarg, 1, MAX_ROUNDS);
		break;
	case 't':
		o->slice_ms = number("--slice-ms", optarg, 1, 60000);
		break;
	case 'l':
		o->latency_bursts = number("--latency", optarg, 0, 1000000);
		break;
	case 'R':
		o->routes = number("--routes", optarg, 9, 65536);
		break;
	case 'n':
		o->peers = number("--peers", optarg, 1, 64);
		break;
	case 'h':
		help();
		exit(0);
	default:
		usage("wrong option");
	}
}

static void
check(const struct options *o)
{
	bool any = false;

	for (unsigned int s = 0; s < NB_SIDES; s++)
		any |= o->sides[s];
	if (!any)
		usage("--mode is missing");
	if (o->sides[SIDE_APIR] && o->path == NULL)
		usage("--path is missing");
	for (unsigned int s = 0; s < o->nb_sizes; s++)
		if (o->sizes[s] % 4 != 0)
			usage("--size %u: must be a multiple of 4", o->sizes[s]);
}

void
options_parse(struct options *o, int argc, char **argv)
{
	enum { TEXT = 256 };
	const char **const texts[] = {&o->cores, &o->path,   &o->kernel_dir, &o->barrier,
				      &o->label, &o->output, &o->huge_dir,   &o->plugin};
	static const struct option longs[] = {
		{"mode", 1, NULL, 'm'},		{"kernel", 1, NULL, 'k'},
		{"burst", 1, NULL, 'b'},	{"size", 1, NULL, 's'},
		{"window", 1, NULL, 'w'},	{"queues", 1, NULL, 'q'},
		{"streams", 1, NULL, 'S'},	{"rounds", 1, NULL, 'r'},
		{"slice-ms", 1, NULL, 't'},	{"latency", 1, NULL, 'l'},
		{"routes", 1, NULL, 'R'},	{"peers", 1, NULL, 'n'},
		{"help", 0, NULL, 'h'},		{"cores", 1, NULL, TEXT},
		{"path", 1, NULL, TEXT + 1},	{"kernels", 1, NULL, TEXT + 2},
		{"barrier", 1, NULL, TEXT + 3}, {"label", 1, NULL, TEXT + 4},
		{"output", 1, NULL, TEXT + 5},	{"huge-dir", 1, NULL, TEXT + 6},
		{"plugin", 1, NULL, TEXT + 7},	{NULL, 0, NULL, 0},
	};
	int c;

	defaults(o);
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c >= TEXT)
			*texts[c - TEXT] = optarg;
		else
			option_set(o, c);
	}
	if (optind < argc)
		usage("unknown argument '%s'", argv[optind]);
	if (!o->kernels[KERNEL_XOR] && !o->kernels[KERNEL_HEADER] && !o->kernels[KERNEL_L3FWD])
		o->kernels[KERNEL_XOR] = o->kernels[KERNEL_HEADER] = o->kernels[KERNEL_L3FWD] =
			true;
	check(o);
}

static unsigned int
depth_of(const struct options *o, unsigned int burst)
{
	return RTE_MIN(RTE_MAX(o->window / burst, 1u), MAX_DEPTH);
}

unsigned int
options_max_depth(const struct options *o)
{
	unsigned int max = 1;

	for (unsigned int i = 0; i < o->nb_bursts; i++)
		max = RTE_MAX(max, depth_of(o, o->bursts[i]));
	return max;
}

void
test_case_set(struct test_case *tc, const struct options *o, enum kernel k, unsigned int burst,
	      unsigned int size)
{
	const unsigned int words = rte_align32pow2(size / 4);

	tc->kernel = k;
	tc->burst = burst;
	tc->size = size;
	tc->depth = depth_of(o, burst);
	tc->group = k == KERNEL_XOR;
	/* A warp at least; a work-item for each word, as far as that goes. The same on all sides. */
	tc->local = tc->group ? RTE_MIN(RTE_MAX(words, 32u), 256u) : 64;
}
