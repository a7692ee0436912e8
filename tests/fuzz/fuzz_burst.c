/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * A data queue on fuzzed guest memory. The input is a list of writes over a lawful picture (a ring
 * of bursts of one and of several segments), so that a few bytes of it already reach deep. What
 * reaches the executor must lie in guest memory, and every request must come back.
 */

#include <stdlib.h>
#include <string.h>

#include "burst.h"
#include "guest.h"
#include "mock_exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SLOTS	   4
#define AT(slot)   (GUEST_GPA + GUEST_FREE + (slot)*0x400u)
#define MAX_WRITES 64

struct patch {
	uint8_t where; /* ring, or one of the slots */
	uint8_t width;
	uint16_t offset;
	uint64_t value;
} __attribute__((packed));

static struct guest g;
static struct mem_table mem;
static struct guest_ring ring;
static struct objtab pipelines;
static struct exec_queue *xq;
static uint32_t pipeline_id;
static struct log_limit limit = LOG_LIMIT_INIT;

static void
init(void)
{
	struct exec_pipeline *p;
	struct exec_err err;

	log_set_level(LOG_EMERG);
	mock_reset();
	guest_init(&g);
	mem_set(&mem, g.r, 2);
	mock_ops.pipeline_create(NULL, NULL, 1, &p, &err);
	pipeline_id = objtab_add(&pipelines, p);
	xq = mock_ops.queue_create(NULL, 1, -1, &err);
	guest_ring(&g, &ring, 0, 16);
}

static void
lawful_picture(void)
{
	struct guest_burst b;

	memset(g.mem, 0, GUEST_FREE + 0x2000);
	ring.seen = 0;
	for (uint16_t i = 0; i < SLOTS; i++) {
		guest_burst(&g, &b, AT(i), 4, 60);
		if (i & 1)
			b.hdr->pipeline = pipeline_id;
		if (i == 2) {
			uint16_t *counts = (uint16_t *)(b.hdr + 1);

			b.hdr->flags = APIR_BURST_F_SEGS;
			b.hdr->nb_pkts = 2;
			counts[0] = 3;
			counts[1] = 1;
			b.tbl[0].len = 28;
		}
		guest_name(&ring, i, &b);
		ring.avail->ring[i] = i;
	}
	ring.avail->idx = SLOTS;
}

static void
apply(const struct patch *p)
{
	uint8_t *base = p->where == 0 ? g.mem : guest_at(&g, AT(p->where % SLOTS));
	const size_t span = p->where == 0 ? GUEST_RING_SPACE : 0x400;
	const size_t width = 1u << (p->width % 4);
	const size_t offset = p->offset % (span - 8);
	uint64_t v = p->value;

	/* Small numbers become addresses near the edges, where the bugs are. */
	if (p->width & 0x80)
		v = GUEST_GPA2 + (int16_t)p->value;
	else if (p->width & 0x40)
		v = GUEST_GPA2 + GUEST_SIZE2 + (int16_t)p->value;
	memcpy(base + offset, &v, width);
}

static void
check(bool in_memory)
{
	if (!in_memory)
		abort();
}

/* The executor's view: all of it in one region or the other. */
static void
check_burst(const struct exec_burst *b)
{
	check(b->nb_pkts >= 1 && b->nb_pkts <= APIR_MAX_PKTS);
	check(mem_holds(&mem, b->verdicts, b->nb_pkts * sizeof(struct apir_verdict)));
	for (uint32_t i = 0; i < b->nb_pkts; i++) {
		const struct apir_pkt *p = &b->pkts[i];

		check(p->len > 0 && mem_holds(&mem, (void *)(uintptr_t)p->addr, p->len));
		check(p->nseg >= 1 && p->nseg <= APIR_MAX_PKT_SEGS);
		check(p->nseg == 1 || p->extra + p->nseg - 1u <= b->nb_extra);
	}
	for (uint32_t i = 0; i < b->nb_extra; i++)
		check(mem_holds(&mem, (void *)(uintptr_t)b->segs[i].addr, b->segs[i].len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vring_conf conf;
	const char *why;
	struct dataq *q;

	if (xq == NULL)
		init();
	lawful_picture();
	for (unsigned int i = 0; i < MAX_WRITES && size >= sizeof(struct patch); i++) {
		struct patch p;

		memcpy(&p, data, sizeof(p));
		apply(&p);
		data += sizeof(p);
		size -= sizeof(p);
	}
	guest_ring_conf(&ring, &conf);
	conf.call_fd = -1;
	q = calloc(1, sizeof(*q));
	check(vring_open(&q->vr, &mem, &conf, &why) == 0);
	q->mem = &mem;
	q->ops = &mock_ops;
	q->pipelines = &pipelines;
	q->limit = &limit;
	q->max_pkts = APIR_MAX_PKTS;
	q->multi_seg = q->loopback = true;
	q->xq = xq;
	mock.async = size & 1;
	for (unsigned int i = 0; i < 40; i++) {
		mock.last.nb_pkts = 0;
		if (burst_run(q, 1) == 0)
			break;
		if (mock.last.nb_pkts != 0)
			check_burst(&mock.last);
	}
	burst_drain(q);
	check(q->vr.broken || q->vr.used_idx == q->vr.last_avail);
	check(q->stats.bursts == q->vr.used_idx);
	free(q);
	return 0;
}
