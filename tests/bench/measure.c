/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * What is timed, and how. The two sides run in turn, in slices of some ten milliseconds, because a shared machine
 * is now faster, now slower: each pair of slices gives one ratio, and the median of the ratios counts.
 */

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "bench.h"

#define MIN_SAMPLES	  20u
#define MAX_SAMPLES	  4096u /* and two turns of the most sets there can be */
#define MAX_ROUNDS	  1000u
#define CALIBRATION_TURNS 17u /* odd: see whole_turns() */
#define IDLE_SETTLE_S	  1
#define IDLE_SECONDS	  5
#define LEFT_OUT_S	  120
#define LEFT_OUT_PAUSE_US 20000

static int
compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double
median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), compare);
	return n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/*
 * A slice runs the kernel an odd number of times on each set: then bytes it has not touched, or treated wrongly
 * time and again, are not what they must be. (Xored twice with the wrong key they would be right.)
 */
static unsigned int
whole_turns(const struct traffic *t, double bursts)
{
	return ((unsigned int)(bursts / (2.0 * t->nb_sets)) * 2 + 1) * t->nb_sets;
}

static double
extreme(const double *v, unsigned int n, bool largest)
{
	double best = v[0];

	for (unsigned int i = 1; i < n; i++)
		best = largest ? RTE_MAX(best, v[i]) : RTE_MIN(best, v[i]);
	return best;
}

/* One slice: caches and the other side's sleep are left out by two turns of warming up. */
static double
slice(const struct side *s, struct traffic *t, unsigned int nb)
{
	uint64_t cycles;

	if (s->throughput(t, 2 * t->nb_sets) == 0)
		return -1;
	cycles = s->throughput(t, nb);
	if (cycles == 0 || traffic_check(t, s->name) != 0)
		return -1;
	return (double)cycles / (double)rte_get_tsc_hz();
}

static double
latency(const struct side *s, struct traffic *t, unsigned int nb, uint64_t *cycles, double *us)
{
	if (s->latency(t, 2 * t->nb_sets, cycles) != 0 || s->latency(t, nb, cycles) != 0 ||
	    traffic_check(t, s->name) != 0)
		return -1;
	for (unsigned int i = 0; i < nb; i++)
		us[i] = (double)cycles[i] * 1e6 / (double)rte_get_tsc_hz();
	return median(us, nb);
}

struct rounds {
	double native_mpps[MAX_ROUNDS], apir_mpps[MAX_ROUNDS], ratio[MAX_ROUNDS];
	double native_us[MAX_ROUNDS], apir_us[MAX_ROUNDS], added_us[MAX_ROUNDS];
	double core_ns[MAX_ROUNDS];
	uint64_t cycles[MAX_SAMPLES + 2 * MAX_IN_FLIGHT];
	double us[MAX_SAMPLES + 2 * MAX_IN_FLIGHT];
};

/* One round: a slice of each measure for each side; the side that goes first changes. */
static int
round_run(struct rounds *r, unsigned int i, struct traffic *t, unsigned int nb,
	  unsigned int samples)
{
	const struct side *const sides[] = {&side_native, &side_apir};
	double s[2], us[2];

	for (unsigned int k = 0; k < 2; k++) {
		const unsigned int which = (k + i) % 2;

		s[which] = slice(sides[which], t, nb);
		if (s[which] <= 0)
			return -1;
	}
	for (unsigned int k = 0; k < 2; k++) {
		const unsigned int which = (k + i) % 2;

		us[which] = latency(sides[which], t, samples, r->cycles, r->us);
		if (us[which] <= 0)
			return -1;
	}
	r->native_mpps[i] = (double)nb * t->burst / s[0] / 1e6;
	r->apir_mpps[i] = (double)nb * t->burst / s[1] / 1e6;
	r->ratio[i] = s[0] / s[1];
	r->native_us[i] = us[0];
	r->apir_us[i] = us[1];
	r->added_us[i] = us[1] - us[0];
	return 0;
}

static int
traffic_begin(struct traffic *t, const struct options *o, enum bench_case c, unsigned int burst,
	      unsigned int size)
{
	if (traffic_create(t, c, burst, size, o->in_flight) != 0)
		return -1;
	if (side_native.throughput(t, t->nb_sets) != 0 && traffic_check(t, "native") == 0)
		return 0;
	traffic_free(t);
	return -1;
}

static void
line_fill(const struct options *o, struct line *l, struct rounds *r, unsigned int n)
{
	l->core_ns = median(r->core_ns, n);
	if (o->best) {
		l->native_mpps = extreme(r->native_mpps, n, true);
		l->apir_mpps = extreme(r->apir_mpps, n, true);
		l->ratio = l->apir_mpps / l->native_mpps;
		l->native_us = extreme(r->native_us, n, false);
		l->apir_us = extreme(r->apir_us, n, false);
		l->added_us = l->apir_us - l->native_us;
		return;
	}
	l->native_mpps = median(r->native_mpps, n);
	l->apir_mpps = median(r->apir_mpps, n);
	l->ratio = median(r->ratio, n);
	l->native_us = median(r->native_us, n);
	l->apir_us = median(r->apir_us, n);
	l->added_us = median(r->added_us, n);
}

/*
 * A round between two looks at how far the cores are apart. With --near, one during which they were farther is left out
 * and run again, for as long as LEFT_OUT_S allows. @return 0; 1 left out; -1
 */
static int
round_near(const struct options *o, struct rounds *r, unsigned int i, struct traffic *t,
	   unsigned int nb, unsigned int samples)
{
	const double before = measure_cores(o);
	double after;

	if (before < 0 || (o->near_ns > 0 && before > o->near_ns))
		return before < 0 ? -1 : 1;
	if (round_run(r, i, t, nb, samples) != 0)
		return -1;
	after = measure_cores(o);
	r->core_ns[i] = RTE_MAX(before, after);
	return after < 0 ? -1 : o->near_ns > 0 && after > o->near_ns;
}

static int
rounds_run(const struct options *o, struct rounds *r, struct traffic *t, struct line *l)
{
	const double burst_s = slice(&side_native, t, CALIBRATION_TURNS * t->nb_sets) /
			       (CALIBRATION_TURNS * t->nb_sets);
	const double bursts = o->seconds / o->rounds / 4 / burst_s;
	const uint64_t end = rte_rdtsc() + LEFT_OUT_S * rte_get_tsc_hz();
	unsigned int i = 0, samples;

	if (burst_s <= 0)
		return -1;
	samples = RTE_MIN(whole_turns(t, bursts), whole_turns(t, MAX_SAMPLES));
	samples = RTE_MAX(samples, whole_turns(t, MIN_SAMPLES));
	while (i < o->rounds) {
		int rc = round_near(o, r, i, t, whole_turns(t, bursts), samples);

		if (rc < 0)
			return -1;
		if (rc == 0) {
			i++;
			continue;
		}
		l->left_out++;
		if (rte_rdtsc() > end) {
			fprintf(stderr,
				"apir-bench: for %d s the cores were farther apart than --near "
				"allows: choose others (--guest-core, --apird-core) or leave it "
				"out\n",
				LEFT_OUT_S);
			return -1;
		}
		usleep(LEFT_OUT_PAUSE_US);
	}
	return 0;
}

int
measure_line(const struct options *o, struct line *l)
{
	struct rounds *r = calloc(1, sizeof(*r));
	struct traffic t;
	int rc;

	if (r == NULL)
		return -1;
	rc = traffic_begin(&t, o, l->kernel, l->burst, l->size);
	if (rc == 0) {
		rc = rounds_run(o, r, &t, l);
		traffic_free(&t);
	}
	if (rc == 0)
		line_fill(o, l, r, o->rounds);
	free(r);
	return rc;
}

int
measure_cost(const struct options *o, struct cost_line *c)
{
	const unsigned int rounds = o->rounds;
	double enqueue[MAX_ROUNDS], dequeue[MAX_ROUNDS];
	struct guest_cost cost;
	struct traffic t;
	int rc = 0;

	if (traffic_begin(&t, o, CASE_HEADER, c->burst, c->size) != 0)
		return -1;
	for (unsigned int i = 0; i < rounds && rc == 0; i++) {
		const unsigned int nb = whole_turns(&t, 2e6 / rounds / c->burst);

		rc = apir_side_cost(&t, 2 * t.nb_sets, &cost);
		if (rc == 0)
			rc = apir_side_cost(&t, nb, &cost);
		if (rc == 0)
			rc = traffic_check(&t, "apir");
		enqueue[i] =
			(double)cost.enqueue * 1e9 / (double)rte_get_tsc_hz() / (double)cost.pkts;
		dequeue[i] =
			(double)cost.dequeue * 1e9 / (double)rte_get_tsc_hz() / (double)cost.pkts;
	}
	c->enqueue_ns = o->best ? extreme(enqueue, rounds, false) : median(enqueue, rounds);
	c->dequeue_ns = o->best ? extreme(dequeue, rounds, false) : median(dequeue, rounds);
	traffic_free(&t);
	return rc;
}

int
measure_idle(const struct backend *b, double *percent)
{
	uint64_t cpu, start;

	sleep(IDLE_SETTLE_S); /* let it fall asleep */
	cpu = backend_cpu_ns(b);
	start = rte_rdtsc();
	sleep(IDLE_SECONDS);
	cpu = backend_cpu_ns(b) - cpu;
	*percent = (double)cpu / 1e9 / ((double)(rte_rdtsc() - start) / (double)rte_get_tsc_hz()) *
		   100;
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	RTE_SET_USED(st);
	RTE_SET_USED(type);
	RTE_SET_USED(ftw);
	return remove(path);
}

static int
start_once(const struct options *o, const char *cache, struct start_times *times)
{
	struct backend b;
	struct traffic t;
	bool retry = true;
	int rc = -1;

	if (traffic_create(&t, CASE_HEADER, 64, 64, 1) != 0)
		return -1;
	times->start = rte_rdtsc();
	if (backend_start(&b, o, native_device_spec(), cache) == 0 && backend_wait(&b) == 0) {
		times->socket = rte_rdtsc();
		while (rc != 0 && retry && backend_alive(&b))
			rc = apir_first_packet(b.socket, o, &t, times, &retry);
	}
	backend_stop(&b);
	if (rc == 0)
		rc = traffic_check(&t, "apir");
	traffic_free(&t);
	return rc;
}

int
measure_start(const struct options *o, struct extras *x)
{
	char cache[] = "/tmp/apir-bench-cache-XXXXXX";

	if (mkdtemp(cache) == NULL) {
		fprintf(stderr, "apir-bench: no temporary folder: %s\n", strerror(errno));
		return -1;
	}
	if (start_once(o, cache, &x->cold) == 0 && start_once(o, cache, &x->cached) == 0)
		x->started = true;
	nftw(cache, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return x->started ? 0 : -1;
}
