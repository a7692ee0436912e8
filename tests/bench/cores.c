/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * How far the two cores are from each other. A virtual machine's cores may move, so that the same pair is near at
 * one time (110 ns there and back) and far at another (500 ns): a line of the table means little without it.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_pause.h>

#include "bench.h"

#define TURNS	   200u
#define BLOCKS	   40u
#define PATIENCE_S 2 /* the other core may be busy with something else */

struct ball {
	_Atomic unsigned int at __attribute__((aligned(64)));
	_Atomic bool quit __attribute__((aligned(64)));
	cpu_set_t core;
};

static void *
return_ball(void *arg)
{
	struct ball *b = arg;
	unsigned int seen = 0;

	sched_setaffinity(0, sizeof(b->core), &b->core);
	while (!atomic_load_explicit(&b->quit, memory_order_relaxed)) {
		const unsigned int at = atomic_load_explicit(&b->at, memory_order_acquire);

		if (at == seen || at % 2 == 0)
			continue;
		seen = at;
		atomic_store_explicit(&b->at, at + 1, memory_order_release);
	}
	return NULL;
}

/* Cycles of one block of turns; given up when the other core has no time for it. */
static uint64_t
block(struct ball *b, unsigned int *at)
{
	const uint64_t start = rte_rdtsc(), end = start + PATIENCE_S * rte_get_tsc_hz();

	for (unsigned int i = 0; i < TURNS; i++) {
		atomic_store_explicit(&b->at, *at + 1, memory_order_release);
		while (atomic_load_explicit(&b->at, memory_order_acquire) != *at + 2)
			if (rte_rdtsc() > end)
				return rte_rdtsc() - start;
		*at += 2;
	}
	return rte_rdtsc() - start;
}

double
measure_cores(const struct options *o)
{
	struct ball b = {0};
	unsigned int at = 0;
	double best = -1;
	pthread_t other;

	CPU_ZERO(&b.core);
	CPU_SET(o->apird_core, &b.core);
	if (pthread_create(&other, NULL, return_ball, &b) != 0) {
		fprintf(stderr, "apir-bench: can't start a thread on core %d\n", o->apird_core);
		return -1;
	}
	for (unsigned int i = 0; i < BLOCKS; i++) {
		const uint64_t cycles = block(&b, &at);
		const double ns = (double)cycles * 1e9 / (double)rte_get_tsc_hz() / TURNS;

		if (best < 0 || ns < best)
			best = ns;
		if (cycles > PATIENCE_S * rte_get_tsc_hz())
			break; /* and who threw last is not known */
	}
	atomic_store(&b.quit, true);
	pthread_join(other, NULL);
	return best;
}
