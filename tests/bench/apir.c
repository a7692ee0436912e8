/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The other side: the same packets through librte_apir, as a guest program does. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>

#include <rte_apir.h>

#include "bench.h"
#include "consume.h"
#include "sources.h"

#define QP		0
#define PATIENCE_S	10 /* no packet for so long: give up */
#define POLLS_PER_CLOCK 65536u

static struct {
	bool open;
	uint16_t dev;
	uint32_t pipelines[NB_CASES];
	struct rte_apir_info info;
} side;

static int
fail(const char *what)
{
	fprintf(stderr, "apir-bench: apir side: %s: %s\n", what, rte_apir_last_error());
	return -1;
}

static int
device_open(const char *path, const struct options *o, uint16_t *dev)
{
	const struct rte_apir_conf conf = {
		.path = path,
		.name = "apir-bench",
		.nb_queue_pairs = 1,
		.nb_bursts = (uint16_t)rte_align32pow2(o->in_flight),
		.max_burst = MAX_BURST,
	};

	return rte_apir_open(&conf, dev);
}

static int
pipeline_create(uint16_t dev, uint32_t program, const struct options *o, enum bench_case c,
		uint32_t *pipeline)
{
	struct rte_apir_stage stage = {
		.launch = RTE_APIR_LAUNCH_ITEM,
		.local_size = o->local_size,
	};

	if (rte_apir_kernel_create(dev, program, case_kernels[c], &stage.kernel, NULL) != 0)
		return fail(case_kernels[c]);
	if (rte_apir_pipeline_create(dev, &stage, 1, pipeline) != 0)
		return fail("pipeline");
	return 0;
}

static int
program_create(uint16_t dev, uint32_t *program)
{
	char *log = NULL;
	int rc;

	rc = rte_apir_program_create(dev, source_bench, strlen(source_bench), NULL, program, &log);
	if (rc != 0) {
		fail("program");
		if (log != NULL)
			fprintf(stderr, "%s\n", log);
	}
	free(log);
	return rc;
}

int
apir_side_open(const char *path, const struct options *o)
{
	uint32_t program;

	if (device_open(path, o, &side.dev) != 0)
		return fail(path);
	side.open = true;
	if (rte_apir_info_get(side.dev, &side.info) != 0)
		return fail("info");
	if (program_create(side.dev, &program) != 0)
		return -1;
	for (unsigned int c = 0; c < NB_CASES; c++)
		if (pipeline_create(side.dev, program, o, c, &side.pipelines[c]) != 0)
			return -1;
	return 0;
}

void
apir_side_close(void)
{
	if (side.open && rte_apir_close(side.dev) != 0)
		fail("close");
	side.open = false;
}

const char *
apir_device_name(void)
{
	return side.info.device;
}

const char *
apir_copy_mode(void)
{
	return side.info.copy_mode;
}

/* Where a program keeps a burst between dequeue and enqueue. */
static struct rte_mbuf *hand_mbufs[MAX_BURST];
static struct rte_apir_verdict hand_verdicts[MAX_BURST];

static inline int
burst_send(uint16_t dev, uint32_t pipeline, struct rte_mbuf **mbufs, unsigned int burst)
{
	uint16_t nb = rte_apir_enqueue_burst(dev, QP, pipeline, mbufs, (uint16_t)burst);

	if (likely(nb == burst))
		return 0;
	fprintf(stderr, "apir-bench: apir side: enqueue took %u of %u packets: %s\n", nb, burst,
		rte_strerror(rte_errno));
	return -1;
}

static inline int
burst_receive(uint16_t dev, struct rte_mbuf **mbufs, struct rte_apir_verdict *verdicts,
	      unsigned int burst)
{
	unsigned int got = 0, polls = 0;
	uint64_t deadline = 0;

	while (got < burst) {
		uint16_t nb = rte_apir_dequeue_burst(dev, QP, mbufs + got, verdicts + got,
						     (uint16_t)(burst - got));

		got += nb;
		if (likely(nb > 0 || ++polls % POLLS_PER_CLOCK != 0))
			continue;
		if (deadline == 0)
			deadline = rte_rdtsc() + PATIENCE_S * rte_get_tsc_hz();
		if (rte_rdtsc() > deadline || rte_apir_state(dev) != RTE_APIR_RUNNING) {
			fprintf(stderr,
				"apir-bench: apir side: no packet back from apird (%u of %u)\n",
				got, burst);
			return -1;
		}
	}
	consume((const uint64_t *)verdicts, burst);
	return 0;
}

/* One set's packets to its own arrays, where they are checked. */
static inline int
set_receive(uint16_t dev, struct traffic *t, unsigned int s)
{
	struct pkt_set *set = &t->sets[s];

	set->applied++;
	return burst_receive(dev, set->mbufs, (struct rte_apir_verdict *)set->verdicts, t->burst);
}

static inline unsigned int
advance(const struct traffic *t, unsigned int s)
{
	return s + 1 == t->nb_sets ? 0 : s + 1;
}

/* In flight all the time: as many bursts as there are sets. nb is a multiple of their number. */
static uint64_t
apir_throughput(struct traffic *t, unsigned int nb)
{
	const uint32_t pipeline = side.pipelines[t->kernel];
	const uint64_t start = rte_rdtsc();

	for (unsigned int s = 0; s < t->nb_sets; s++)
		if (burst_send(side.dev, pipeline, t->sets[s].mbufs, t->burst) != 0)
			return 0;
	for (unsigned int i = 0; i < nb - t->nb_sets; i++)
		if (burst_receive(side.dev, hand_mbufs, hand_verdicts, t->burst) != 0 ||
		    burst_send(side.dev, pipeline, hand_mbufs, t->burst) != 0)
			return 0;
	for (unsigned int s = 0; s < t->nb_sets; s++) {
		t->sets[s].applied += nb / t->nb_sets - 1;
		if (set_receive(side.dev, t, s) != 0)
			return 0;
	}
	return rte_rdtsc() - start;
}

static int
apir_latency(struct traffic *t, unsigned int nb, uint64_t *out)
{
	const uint32_t pipeline = side.pipelines[t->kernel];

	for (unsigned int i = 0; i < nb; i++) {
		const uint64_t start = rte_rdtsc();

		if (burst_send(side.dev, pipeline, t->sets[t->next].mbufs, t->burst) != 0 ||
		    set_receive(side.dev, t, t->next) != 0)
			return -1;
		out[i] = rte_rdtsc() - start;
		t->next = advance(t, t->next);
	}
	return 0;
}

/* What reading the clock twice in a row adds. */
static uint64_t
clock_cost(void)
{
	uint64_t best = UINT64_MAX;

	for (unsigned int i = 0; i < 1000; i++) {
		const uint64_t a = rte_rdtsc_precise();
		const uint64_t d = rte_rdtsc_precise() - a;

		best = RTE_MIN(best, d);
	}
	return best;
}

int
apir_side_cost(struct traffic *t, unsigned int nb, struct guest_cost *cost)
{
	const uint32_t pipeline = side.pipelines[t->kernel];
	const uint64_t clock = clock_cost();
	unsigned int sent = 0, send = t->next, receive = t->next, got = 0, idle = 0;
	unsigned int received = 0;

	memset(cost, 0, sizeof(*cost));
	while (received < nb) {
		struct pkt_set *set = &t->sets[receive];
		uint64_t start;
		uint16_t n;

		if (sent < nb && sent - received < t->nb_sets) {
			start = rte_rdtsc_precise();
			if (burst_send(side.dev, pipeline, t->sets[send].mbufs, t->burst) != 0)
				return -1;
			cost->enqueue += rte_rdtsc_precise() - start - clock;
			send = advance(t, send);
			sent++;
			continue;
		}
		start = rte_rdtsc_precise();
		n = rte_apir_dequeue_burst(side.dev, QP, set->mbufs + got,
					   (struct rte_apir_verdict *)(set->verdicts + got),
					   (uint16_t)(t->burst - got));
		if (n == 0) { /* waiting is not the guest's cost */
			if (++idle % (POLLS_PER_CLOCK * 1024) == 0 &&
			    rte_apir_state(side.dev) != RTE_APIR_RUNNING)
				return fail("apird is gone");
			continue;
		}
		cost->dequeue += rte_rdtsc_precise() - start - clock;
		cost->pkts += n;
		got += n;
		if (got < t->burst)
			continue;
		consume(set->verdicts, t->burst);
		set->applied++;
		got = 0;
		receive = advance(t, receive);
		received++;
	}
	t->next = receive;
	return 0;
}

int
apir_first_packet(const char *path, const struct options *o, struct traffic *t,
		  struct start_times *times, bool *retry)
{
	uint32_t program, pipeline;
	uint16_t dev;
	int rc;

	rc = device_open(path, o, &dev);
	*retry = rc == -ENOENT || rc == -ECONNREFUSED;
	if (rc != 0)
		return *retry ? -1 : fail(path);
	times->open = rte_rdtsc();
	rc = program_create(dev, &program);
	times->program = rte_rdtsc();
	if (rc == 0)
		rc = pipeline_create(dev, program, o, t->kernel, &pipeline);
	times->pipeline = rte_rdtsc();
	if (rc == 0)
		rc = burst_send(dev, pipeline, t->sets[0].mbufs, t->burst);
	if (rc == 0)
		rc = set_receive(dev, t, 0);
	times->packet = rte_rdtsc();
	if (rte_apir_close(dev) != 0)
		rc = fail("close");
	return rc;
}

const struct side side_apir = {
	.name = "apir",
	.throughput = apir_throughput,
	.latency = apir_latency,
};
