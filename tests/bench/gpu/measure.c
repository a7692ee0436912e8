/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Cases, rounds and slices: the sides run in turn on the same packets, and every byte is checked after each turn. */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "gpubench.h"

#define PATIENCE_S	10 /* no burst back for so long: give up */
#define BARRIER_S	90 /* another process does not come */
#define MAX_SLICES	4096u
#define WARM_BURSTS	20u /* before latency is counted */
#define WARM_MS		5   /* of each slice, not counted */
#define POLLS_PER_CLOCK 4096u

static const struct side *const sides[NB_SIDES] = {&side_direct, &side_apir, &side_lpm};

/** In a file that all processes of a run map. TSC counts alike for all of them. */
static struct barrier {
	_Atomic uint32_t arrived;
	_Atomic uint64_t begin[MAX_SLICES];
} * barrier;
static unsigned int peers = 1, slice_number;

int
barrier_open(const struct options *o)
{
	int fd;

	if (o->barrier == NULL)
		return 0;
	peers = o->peers;
	fd = open(o->barrier, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*barrier)) != 0)
		goto fail;
	barrier = mmap(NULL, sizeof(*barrier), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (barrier != MAP_FAILED)
		return 0;
	fd = -1;
fail:
	fprintf(stderr, "apir-gpu-bench: %s: %s\n", o->barrier, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* When (TSC) the counted part of the next slice begins. 0: another process has not come. */
static uint64_t
slice_begin(void)
{
	const uint64_t hz = rte_get_tsc_hz();
	const unsigned int n = slice_number++;
	uint64_t begin, deadline;

	if (barrier == NULL)
		return rte_rdtsc() + hz * WARM_MS / 1000;
	if (n >= MAX_SLICES)
		return 0;
	if (atomic_fetch_add(&barrier->arrived, 1) + 1 == (n + 1) * peers)
		atomic_store(&barrier->begin[n], rte_rdtsc() + hz / 20);
	deadline = rte_rdtsc() + BARRIER_S * hz;
	while ((begin = atomic_load(&barrier->begin[n])) == 0) {
		if (rte_rdtsc() > deadline) {
			fprintf(stderr, "apir-gpu-bench: the other processes do not come\n");
			return 0;
		}
		usleep(500); /* they may need this core */
	}
	return begin;
}

static inline void
burst_done(struct queue *q, unsigned int s)
{
	consume(q->sets[s].verdicts, q->tc->burst);
	q->sets[s].applied++;
	q->sets[s].since++;
}

/* Wait for the oldest burst. @return 0, or -1 after printing why */
static int
burst_wait(struct queue *q, unsigned int s)
{
	uint64_t polls = 0, deadline = 0;
	int rc;

	while ((rc = q->side->poll(q, s)) == 0) {
		if (likely(++polls % POLLS_PER_CLOCK != 0))
			continue;
		if (deadline == 0)
			deadline = rte_rdtsc() + PATIENCE_S * rte_get_tsc_hz();
		if (rte_rdtsc() > deadline) {
			fprintf(stderr, "apir-gpu-bench: %s: no packet back for %d s\n",
				q->side->name, PATIENCE_S);
			return -1;
		}
	}
	if (unlikely(rc < 0))
		return -1;
	burst_done(q, s);
	return 0;
}

static int
queue_latency(struct queue *q)
{
	unsigned int s = 0;

	for (unsigned int i = 0; i < WARM_BURSTS + q->nb_latency; i++) {
		uint64_t start;

		set_refresh(&q->sets[s], q->tc);
		start = rte_rdtsc();
		if (q->side->submit(q, s) != 0 || burst_wait(q, s) != 0)
			return -1;
		if (i >= WARM_BURSTS)
			q->latency[i - WARM_BURSTS] = rte_rdtsc() - start;
		s = s + 1 == q->tc->depth ? 0 : s + 1;
	}
	return 0;
}

/* As many bursts in flight as there are sets; those that come back between begin and end count. */
static int
queue_throughput(struct queue *q)
{
	const unsigned int depth = q->tc->depth;
	unsigned int send = 0, receive = 0, in_flight = 0;
	bool stop = false;

	q->done = 0;
	while (!stop || in_flight > 0) {
		uint64_t now;

		if (in_flight < depth && !stop) {
			set_refresh(&q->sets[send], q->tc);
			if (q->side->submit(q, send) != 0)
				return -1;
			send = send + 1 == depth ? 0 : send + 1;
			in_flight++;
			continue;
		}
		if (burst_wait(q, receive) != 0)
			return -1;
		receive = receive + 1 == depth ? 0 : receive + 1;
		in_flight--;
		now = rte_rdtsc();
		q->done += now >= q->begin && now < q->end;
		stop = now >= q->end;
	}
	return 0;
}

static int
queue_run(void *arg)
{
	struct queue *q = arg;

	q->rc = q->side->prepare(q);
	if (q->rc == 0)
		q->rc = q->latency != NULL ? queue_latency(q) : queue_throughput(q);
	return 0;
}

/* The first queue runs here, the others on the workers. */
static int
queues_run(struct queue *queues, unsigned int nb)
{
	unsigned int lcore, q = 1;
	int rc;

	RTE_LCORE_FOREACH_WORKER(lcore) {
		if (q < nb)
			rte_eal_remote_launch(queue_run, &queues[q++], lcore);
	}
	queue_run(&queues[0]);
	rte_eal_mp_wait_lcore();
	rc = queues[0].rc;
	for (q = 1; q < nb; q++)
		rc |= queues[q].rc;
	return rc != 0 ? -1 : 0;
}

static int
compare_cycles(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int
measure_latency(const struct options *o, const struct side *side, struct queue *q, struct result *r)
{
	uint64_t *cycles = calloc(o->latency_bursts + 1, sizeof(*cycles));
	const double us = 1e6 / (double)rte_get_tsc_hz();
	const unsigned int n = o->latency_bursts;
	int rc = -1;

	if (cycles == NULL)
		return -1;
	q->side = side;
	q->latency = cycles;
	q->nb_latency = n;
	if (queues_run(q, 1) == 0)
		rc = sets_check(q->sets, q->tc, side->name);
	q->latency = NULL;
	if (n > 0) {
		qsort(cycles, n, sizeof(*cycles), compare_cycles);
		r->us_median = (double)cycles[n / 2] * us;
		r->us_p99 = (double)cycles[(uint64_t)n * 99 / 100] * us;
	}
	free(cycles);
	return rc;
}

static int
measure_slice(const struct options *o, const struct side *side, struct queue *q, struct result *r)
{
	const uint64_t begin = slice_begin(), len = rte_get_tsc_hz() * o->slice_ms / 1000;
	uint64_t done = 0;

	if (begin == 0)
		return -1;
	for (unsigned int i = 0; i < o->queues; i++) {
		q[i].side = side;
		q[i].begin = begin;
		q[i].end = begin + len;
	}
	if (queues_run(q, o->queues) != 0)
		return -1;
	for (unsigned int i = 0; i < o->queues; i++) {
		done += q[i].done;
		if (sets_check(q[i].sets, q[i].tc, side->name) != 0)
			return -1;
	}
	r->mpps[r->nb++] = (double)(done * q->tc->burst) / (o->slice_ms * 1e3);
	return 0;
}

static int
compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
median(const double *v, unsigned int n)
{
	double sorted[MAX_ROUNDS];

	if (n == 0)
		return 0;
	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), compare_doubles);
	return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static void
result_write(FILE *out, const struct options *o, const struct side *side, const struct queue *q,
	     const struct result *r)
{
	const struct test_case *tc = q->tc;
	uint64_t runs = 0;

	for (unsigned int i = 0; i < o->queues; i++)
		for (unsigned int s = 0; s < tc->depth; s++)
			runs += q[i].sets[s].applied;
	fprintf(out,
		"{\"type\": \"case\", \"label\": \"%s\", \"side\": \"%s\", \"kernel\": \"%s\", "
		"\"burst\": %u, \"size\": %u, \"queues\": %u, \"in_flight\": %u, \"peers\": %u, "
		"\"local\": %u, \"mpps\": %.4f, \"rounds\": [",
		o->label, side->name, kernel_names[tc->kernel], tc->burst, tc->size, o->queues,
		tc->depth, peers, tc->local, median(r->mpps, r->nb));
	for (unsigned int i = 0; i < r->nb; i++)
		fprintf(out, "%s%.4f", i > 0 ? ", " : "", r->mpps[i]);
	fprintf(out, "], ");
	if (o->latency_bursts > 0)
		fprintf(out, "\"us_median\": %.3f, \"us_p99\": %.3f, ", r->us_median, r->us_p99);
	fprintf(out, "\"checked_bursts\": %ju}\n", (uintmax_t)runs);
	fflush(out);
}

static bool
side_runs(const struct options *o, unsigned int s, const struct test_case *tc)
{
	return o->sides[s] && (s != SIDE_LPM || tc->kernel == KERNEL_L3FWD);
}

static int
measure_sides(const struct options *o, struct queue *q, FILE *out)
{
	struct result results[NB_SIDES];
	unsigned int s;

	memset(results, 0, sizeof(results));
	for (s = 0; s < NB_SIDES; s++)
		if (side_runs(o, s, q->tc) && measure_latency(o, sides[s], q, &results[s]) != 0)
			return -1;
	for (unsigned int r = 0; r < o->rounds; r++)
		for (s = 0; s < NB_SIDES; s++)
			if (side_runs(o, s, q->tc) &&
			    measure_slice(o, sides[s], q, &results[s]) != 0)
				return -1;
	for (s = 0; s < NB_SIDES; s++)
		if (side_runs(o, s, q->tc))
			result_write(out, o, sides[s], q, &results[s]);
	return 0;
}

static int
measure_case(const struct options *o, const struct test_case *tc, FILE *out)
{
	struct queue queues[MAX_QUEUES];
	int rc = 0;

	memset(queues, 0, sizeof(queues));
	for (unsigned int i = 0; i < o->queues; i++) {
		queues[i] = (struct queue){.id = i, .tc = tc, .sets = sets_create(tc, i)};
		if (queues[i].sets == NULL)
			rc = -1;
	}
	if (rc == 0)
		rc = measure_sides(o, queues, out);
	/* After a failure the device may still write into packets and verdicts. */
	for (unsigned int i = 0; rc == 0 && i < o->queues; i++)
		sets_free(queues[i].sets, tc);
	return rc;
}

int
measure_all(const struct options *o, FILE *out)
{
	struct test_case tc;

	for (unsigned int s = 0; s < NB_SIDES; s++)
		if (o->sides[s]) {
			fprintf(out,
				"{\"type\": \"side\", \"label\": \"%s\", \"side\": \"%s\", "
				"\"stride\": %u, ",
				o->label, sides[s]->name, packets_stride());
			sides[s]->describe(out);
			fprintf(out, "}\n");
		}
	for (enum kernel k = 0; k < NB_KERNELS; k++)
		for (unsigned int s = 0; o->kernels[k] && s < o->nb_sizes; s++)
			for (unsigned int b = 0; b < o->nb_bursts; b++) {
				test_case_set(&tc, o, k, o->bursts[b], o->sizes[s]);
				if (measure_case(o, &tc, out) != 0)
					return -1;
			}
	return 0;
}
