/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The apir side: the same packets through librte_apir, as a guest program does. */

#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>

#include <rte_apir.h>

#include "fib.h"
#include "gpubench.h"

#define PIPELINES_PER_KERNEL 8u /* one for each work-group size */
#define POLLS_PER_STATE	     65536u

struct made {
	unsigned int local;
	uint32_t pipeline;
};

static struct {
	bool open;
	uint16_t dev;
	uint32_t programs[2]; /* kernels.cl, l3fwd.cl */
	uint32_t fib4, fib6, ports;
	struct made made[NB_KERNELS][PIPELINES_PER_KERNEL];
	uint32_t current[MAX_QUEUES];
	unsigned int polls[MAX_QUEUES];
	struct rte_apir_info info;
} side;

static int
fail(const char *what)
{
	fprintf(stderr, "apir-gpu-bench: apir: %s: %s\n", what, rte_apir_last_error());
	return -1;
}

static int
program_create(const struct options *o, const char *file, uint32_t *program)
{
	const char *const files[] = {file, NULL};
	char *source = kernel_source(o, files), *log = NULL;
	int rc;

	if (source == NULL)
		return -1;
	rc = rte_apir_program_create(side.dev, source, strlen(source), NULL, program, &log);
	if (rc != 0) {
		fail(file);
		fprintf(stderr, "%s\n", log != NULL ? log : "");
	}
	free(log);
	free(source);
	return rc;
}

static int
upload(const void *data, size_t size, uint32_t *buffer)
{
	const size_t step = 1u << 20;

	if (rte_apir_buffer_create(side.dev, size, buffer) != 0)
		return fail("route tables");
	for (size_t at = 0; at < size; at += step)
		if (rte_apir_buffer_write(side.dev, *buffer, at, (const uint8_t *)data + at,
					  RTE_MIN(step, size - at)) != 0)
			return fail("route tables");
	return 0;
}

static int
tables_upload(void)
{
	struct fib fib;
	char err[256];
	int rc;

	if (fib_build(&fib, &routes.v4, 0, err, sizeof(err)) != 0)
		return fail(err);
	rc = upload(fib.entries, fib_size(&fib), &side.fib4);
	fib_free(&fib);
	if (rc != 0)
		return -1;
	if (fib_build(&fib, &routes.v6, routes.v4.nb, err, sizeof(err)) != 0)
		return fail(err);
	rc = upload(fib.entries, fib_size(&fib), &side.fib6);
	fib_free(&fib);
	return rc != 0 ? -1 : upload(route_ports, sizeof(route_ports), &side.ports);
}

static int
side_open(const struct options *o)
{
	const struct rte_apir_conf conf = {
		.path = o->path,
		.name = "apir-gpu-bench",
		.nb_queue_pairs = (uint16_t)o->queues,
		.nb_bursts = (uint16_t)rte_align32pow2(options_max_depth(o)),
		.max_burst = MAX_BURST,
		.socket_id = SOCKET_ID_ANY,
	};

	if (rte_apir_open(&conf, &side.dev) != 0)
		return fail(o->path);
	side.open = true;
	if (program_create(o, "kernels.cl", &side.programs[0]) != 0)
		return -1;
	if (o->kernels[KERNEL_L3FWD] &&
	    (program_create(o, "l3fwd.cl", &side.programs[1]) != 0 || tables_upload() != 0))
		return -1;
	return rte_apir_info_get(side.dev, &side.info) != 0 ? fail("info") : 0;
}

static void
side_close(void)
{
	if (side.open && rte_apir_close(side.dev) != 0)
		fail("close");
	side.open = false;
}

static int
pipeline_create(const struct test_case *tc, uint32_t *pipeline)
{
	const bool l3fwd = tc->kernel == KERNEL_L3FWD;
	struct rte_apir_stage stage = {
		.launch = tc->group ? RTE_APIR_LAUNCH_GROUP : RTE_APIR_LAUNCH_ITEM,
		.local_size = tc->local,
	};

	if (rte_apir_kernel_create(side.dev, side.programs[l3fwd], kernel_functions[tc->kernel],
				   &stage.kernel, NULL) != 0)
		return fail(kernel_functions[tc->kernel]);
	if (l3fwd && (rte_apir_kernel_set_buffer(side.dev, stage.kernel, 0, side.fib4) != 0 ||
		      rte_apir_kernel_set_buffer(side.dev, stage.kernel, 1, side.fib6) != 0 ||
		      rte_apir_kernel_set_buffer(side.dev, stage.kernel, 2, side.ports) != 0))
		return fail("arguments");
	return rte_apir_pipeline_create(side.dev, &stage, 1, pipeline) != 0 ? fail("pipeline") : 0;
}

static int
side_prepare(struct queue *q)
{
	static rte_spinlock_t lock = RTE_SPINLOCK_INITIALIZER;
	struct made *m = side.made[q->tc->kernel];
	unsigned int i = 0;
	int rc = 0;

	rte_spinlock_lock(&lock);
	while (i < PIPELINES_PER_KERNEL - 1 && m[i].pipeline != 0 && m[i].local != q->tc->local)
		i++;
	if (m[i].pipeline == 0 || m[i].local != q->tc->local) {
		m[i].local = q->tc->local;
		rc = pipeline_create(q->tc, &m[i].pipeline);
	}
	side.current[q->id] = m[i].pipeline;
	rte_spinlock_unlock(&lock);
	q->got = 0;
	return rc;
}

static int
side_submit(struct queue *q, unsigned int s)
{
	const uint16_t burst = (uint16_t)q->tc->burst;
	const uint16_t nb = rte_apir_enqueue_burst(side.dev, (uint16_t)q->id, side.current[q->id],
						   q->sets[s].mbufs, burst);

	if (likely(nb == burst))
		return 0;
	fprintf(stderr, "apir-gpu-bench: apir: enqueue took %u of %u packets: %s\n", nb, burst,
		rte_strerror(rte_errno));
	return -1;
}

static int
side_poll(struct queue *q, unsigned int s)
{
	struct pkt_set *set = &q->sets[s];
	const unsigned int burst = q->tc->burst;

	q->got += rte_apir_dequeue_burst(side.dev, (uint16_t)q->id, set->mbufs + q->got,
					 (struct rte_apir_verdict *)(set->verdicts + q->got),
					 (uint16_t)(burst - q->got));
	if (q->got == burst) {
		q->got = 0;
		return 1;
	}
	if (unlikely(++side.polls[q->id] % POLLS_PER_STATE == 0) &&
	    rte_apir_state(side.dev) != RTE_APIR_RUNNING) {
		fprintf(stderr, "apir-gpu-bench: apir: apird is gone\n");
		return -1;
	}
	return 0;
}

static void
side_describe(FILE *f)
{
	const struct rte_apir_info *i = &side.info;

	fprintf(f,
		"\"device\": \"%s\", \"driver\": \"%s\", \"executor\": \"%s\", \"copy_mode\": "
		"\"%s\", "
		"\"zero_copy\": %s",
		i->device, i->driver, i->executor, i->copy_mode, i->zero_copy ? "true" : "false");
}

const struct side side_apir = {
	.name = "apir",
	.open = side_open,
	.close = side_close,
	.prepare = side_prepare,
	.submit = side_submit,
	.poll = side_poll,
	.describe = side_describe,
};
