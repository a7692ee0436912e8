/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef BURST_FIX_H
#define BURST_FIX_H

/**
 * @file What the tests of bursts share: a data queue over a guest, an executor in the test's hand, a burst of four packets.
 */

#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "burst.h"
#include "mock_exec.h"

#define AT (GUEST_GPA + GUEST_FREE)

static struct guest g;
static struct mem_table mem;
static struct guest_ring r;
static struct dataq *q;
static struct objtab *pipelines;
static struct exec_pipeline *pipe1;
static uint32_t pipe1_id;
static struct exec_queue *xq;
static struct log_limit limit;
static struct guest_burst b;

static void
open_ring(uint16_t size)
{
	struct vring_conf conf;
	const char *why;

	guest_ring(&g, &r, 0, size);
	guest_ring_conf(&r, &conf);
	assert_int_equal(vring_open(&q->vr, &mem, &conf, &why), 0);
}

static int
setup(void **state)
{
	struct exec_err err;

	(void)state;
	mock_reset();
	limit = (struct log_limit)LOG_LIMIT_INIT;
	guest_init(&g);
	mem_set(&mem, g.r, 2);
	q = calloc(1, sizeof(*q));
	pipelines = calloc(1, sizeof(*pipelines));
	mock_ops.pipeline_create(NULL, NULL, 1, &pipe1, &err);
	pipe1_id = objtab_add(pipelines, pipe1);
	xq = mock_ops.queue_create(NULL, 1, -1, &err);
	q->mem = &mem;
	q->ops = &mock_ops;
	q->pipelines = pipelines;
	q->limit = &limit;
	q->max_pkts = APIR_MAX_PKTS;
	q->multi_seg = q->loopback = true;
	q->xq = xq;
	open_ring(256);
	guest_burst(&g, &b, AT, 4, 100);
	guest_name(&r, 0, &b);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	mock.may_finish = -1;
	burst_drain(q);
	mock_ops.queue_destroy(xq);
	mock_ops.pipeline_destroy(pipe1);
	free(q);
	free(pipelines);
	guest_ring_close(&r);
	guest_fini(&g);
	return mock_objects() != 0;
}

/* Offer descriptor 0, let the device work, and give its used length. */
static uint32_t
run(void)
{
	struct vring_used_elem e;

	guest_offer(&r, 0);
	assert_int_equal(burst_run(q, 8), 1);
	assert_int_equal(guest_poll(&r, &e), 1);
	assert_int_equal(e.id, 0);
	return e.len;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif /* BURST_FIX_H */
