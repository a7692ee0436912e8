/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * Queues: bursts to the GPU and back. A launch costs microseconds of this core and of the GPU whatever it does, so bursts
 * that wait behind others share one: those of one pipeline and one size become the rows of its grid. Nothing is held back for
 * company: while fewer than CUDA_STREAMS launches are in flight, what there is goes.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuda.h"

#define STRIDE	    (1u << PTX_STRIDE_SHIFT)
#define TABLES	    ((size_t)PTX_SLOTS * STRIDE)
#define MARK_WORDS  16 /* each mark has a cache line of its own */
#define MEMORY	    (TABLES + 4096)
#define ASK_EVERY   1024  /* vain polls before the driver is asked for errors */
#define PACKET_ROOM 65536 /* so much a new pipeline's kernels may touch of a packet */
#define PACKET_LEN  64

static_assert(CUDA_STREAMS * MARK_WORDS * sizeof(uint32_t) <= MEMORY - TABLES, "room for marks");

static inline struct cuda_slot *
slot_of(struct cuda_queue *q, uint32_t i)
{
	return &q->slot[i & (PTX_SLOTS - 1)];
}

static inline struct apir_table *
table_of(struct cuda_queue *q, uint32_t i)
{
	return (struct apir_table *)(q->tables + (size_t)(i & (PTX_SLOTS - 1)) * STRIDE);
}

static void
queue_free(struct cuda_queue *q)
{
	const struct cuda_api *cu = q->dev->cuda->cu;

	for (unsigned int i = 0; i < CUDA_STREAMS; i++)
		if (q->stream[i] != NULL) {
			cu->cuStreamSynchronize(q->stream[i]);
			cu->cuStreamDestroy(q->stream[i]);
		}
	cuda_host_free(q->dev, q->tables, MEMORY);
	free(q);
}

struct exec_queue *
cuda_queue_create(struct exec_dev *dev, unsigned int session, int numa_node, struct exec_err *err)
{
	const size_t segs_off = sizeof(struct apir_table) + dev->max_pkts * sizeof(struct apir_pkt);
	struct cuda_queue *q = aligned_alloc(64, (sizeof(*q) + 63) / 64 * 64);
	CUresult e;

	(void)session;
	if (q == NULL) {
		exec_err_set(err, APIR_S_NOMEM, "out of memory for a queue");
		return NULL;
	}
	memset(q, 0, sizeof(*q));
	q->dev = dev;
	e = cuda_enter(dev);
	for (unsigned int i = 0; i < CUDA_STREAMS && e == CUDA_SUCCESS; i++)
		e = dev->cuda->cu->cuStreamCreate(&q->stream[i], CU_STREAM_NON_BLOCKING);
	if (e != CUDA_SUCCESS) {
		cuda_fail(dev, e, err, "no stream for a queue");
		queue_free(q);
		return NULL;
	}
	q->tables = cuda_host_alloc(dev, MEMORY, numa_node, err);
	if (q->tables == NULL) {
		queue_free(q);
		return NULL;
	}
	q->mark = (volatile uint32_t *)(q->tables + TABLES);
	for (uint32_t i = 0; i < PTX_SLOTS; i++) {
		struct apir_table *t = table_of(q, i);

		t->segs_off = (uint32_t)segs_off;
		q->slot[i].b.pkts = (struct apir_pkt *)(t + 1);
		q->slot[i].b.segs = (struct apir_seg *)((uint8_t *)t + segs_off);
	}
	return (struct exec_queue *)q;
}

void
cuda_queue_destroy(struct exec_queue *queue)
{
	struct cuda_queue *q = (struct cuda_queue *)queue;

	if (q == NULL)
		return;
	cuda_enter(q->dev);
	queue_free(q);
}

struct exec_burst *
cuda_burst_get(struct exec_queue *queue)
{
	struct cuda_queue *q = (struct cuda_queue *)queue;

	if (OCL_UNLIKELY(q->tail - q->head == PTX_SLOTS))
		return NULL;
	return &slot_of(q, q->tail)->b;
}

/* Tell of the 1st, 2nd, 4th, 8th ... failure. */
static void
failed(struct cuda_queue *q, const char *what, CUresult e)
{
	q->nb_errors++;
	snprintf(q->error, sizeof(q->error), "%s: %s", what, cuda_strerror(q->dev->cuda->cu, e));
	cuda_note_lost(q->dev, e, what);
	if ((q->nb_errors & (q->nb_errors - 1)) == 0)
		OCL_LOG(q->dev, LOG_ERR, "a burst failed: %s (failure %llu of its queue)", q->error,
			(unsigned long long)q->nb_errors);
}

/* Slots up to end are done. */
static void
finish(struct cuda_queue *q, uint32_t from, uint32_t end, uint32_t status)
{
	for (uint32_t i = from; i != end; i++) {
		struct cuda_slot *s = slot_of(q, i);

		if (s->done)
			continue;
		s->b.status = status;
		s->done = true;
	}
}

/* One launch of each kernel over the bursts first..end-1, which have the same pipeline and size. */
static CUresult
launch(struct cuda_queue *q, uint32_t first, uint32_t end)
{
	const struct cuda_api *cu = q->dev->cuda->cu;
	const struct cuda_slot *s = slot_of(q, first);
	const unsigned int at = q->batch_tail % CUDA_STREAMS;
	const uint32_t n = s->b.nb_pkts;
	uint8_t *tables = q->tables;
	uint32_t row = first & (PTX_SLOTS - 1);
	CUresult e = cuda_enter(q->dev);

	for (unsigned int i = 0; i < s->p->nb && e == CUDA_SUCCESS; i++) {
		const struct cuda_stage *st = &s->p->stage[i];
		const unsigned int local = (unsigned int)st->s.local;
		const unsigned int groups = st->s.group ? n : (n + local - 1) / local;
		void *param[CUDA_ARGS];

		memcpy(param, st->param, st->nb_params * sizeof(param[0]));
		param[0] = &tables;
		param[st->nb_params - 1] = &row;
		e = cu->cuLaunchKernel(st->f, groups, end - first, 1, local, 1, 1, st->shared,
				       q->stream[at], param, NULL);
	}
	if (e == CUDA_SUCCESS) {
		q->batch[at].end = end;
		q->batch[at].mark++;
		e = cu->cuStreamWriteValue32(q->stream[at],
					     (CUdeviceptr)(uintptr_t)&q->mark[at * MARK_WORDS],
					     q->batch[at].mark, 0);
	}
	if (OCL_LIKELY(e == CUDA_SUCCESS)) {
		q->batch_tail++;
		return e;
	}
	/* What was started of it must not touch the packets once they are given back. */
	cu->cuStreamSynchronize(q->stream[at]);
	return e;
}

/* Launch what waits, as far as streams are free. */
static void
launch_waiting(struct cuda_queue *q)
{
	while (q->launched != q->tail && q->batch_tail - q->batch_head < CUDA_STREAMS) {
		const struct cuda_slot *s = slot_of(q, q->launched);
		uint32_t end = q->launched + 1;
		CUresult e;

		if (s->done) {
			q->launched++;
			continue;
		}
		while (end != q->tail && end - q->launched < CUDA_BATCH) {
			const struct cuda_slot *o = slot_of(q, end);

			if (o->done || o->p != s->p || o->b.nb_pkts != s->b.nb_pkts)
				break;
			end++;
		}
		e = launch(q, q->launched, end);
		if (OCL_UNLIKELY(e != CUDA_SUCCESS)) {
			failed(q, "launching the kernels", e);
			finish(q, q->launched, end, APIR_S_DEVICE);
		}
		q->launched = end;
	}
}

void
cuda_flush(struct exec_queue *queue)
{
	launch_waiting((struct cuda_queue *)queue);
}

bool
cuda_submit(struct exec_queue *queue, struct exec_pipeline *p, struct exec_burst *burst)
{
	struct cuda_queue *q = (struct cuda_queue *)queue;
	struct cuda_slot *s = (struct cuda_slot *)burst;
	struct apir_table *t;

	burst->copied = 0;
	burst->status = APIR_S_OK;
	s->done = true;
	if (OCL_UNLIKELY(burst->nb_pkts > q->dev->max_pkts || burst->nb_extra > q->dev->max_segs)) {
		burst->status = APIR_S_TOOBIG;
	} else if (OCL_UNLIKELY((uintptr_t)burst->verdicts % sizeof(*burst->verdicts) != 0)) {
		burst->status = APIR_S_MALFORMED; /* kernels write them whole */
	} else {
		memset(burst->verdicts, 0, burst->nb_pkts * sizeof(*burst->verdicts));
		if (p != NULL && OCL_LIKELY(burst->nb_pkts > 0)) {
			t = table_of(q, q->tail);
			t->count = burst->nb_pkts;
			t->verdicts = (uintptr_t)burst->verdicts;
			t->cookie = burst->cookie;
			s->p = (const struct cuda_pipeline *)p;
			s->done = false;
		}
	}
	if (s->done && q->head == q->tail)
		return true;
	q->tail++;
	return false;
}

/* Is the oldest launch done? With many vain looks, ask the driver whether it ever will be. */
static void
look(struct cuda_queue *q)
{
	while (q->batch_head != q->batch_tail) {
		const unsigned int at = q->batch_head % CUDA_STREAMS;
		const struct cuda_batch *b = &q->batch[at];
		CUresult e;

		if (q->mark[at * MARK_WORDS] != b->mark) {
			if (OCL_LIKELY(++q->polls < ASK_EVERY))
				return;
			q->polls = 0;
			e = q->dev->cuda->cu->cuStreamQuery(q->stream[at]);
			if (e == CUDA_ERROR_NOT_READY || e == CUDA_SUCCESS)
				return;
			failed(q, "running the kernels", e);
			finish(q, q->head, b->end, APIR_S_DEVICE);
		} else {
			/* What the GPU wrote before its mark is there to read after it. */
			atomic_thread_fence(memory_order_acquire);
			finish(q, q->head, b->end, APIR_S_OK);
		}
		q->polls = 0;
		q->batch_head++;
	}
}

struct exec_burst *
cuda_poll(struct exec_queue *queue)
{
	struct cuda_queue *q = (struct cuda_queue *)queue;
	struct cuda_slot *s;

	if (q->head == q->tail)
		return NULL;
	s = slot_of(q, q->head);
	if (!s->done) {
		look(q);
		launch_waiting(q);
		if (!s->done)
			return NULL;
	}
	if (q->launched == q->head)
		q->launched++;
	q->head++;
	return &s->b;
}

/* The queue and the packets that a new pipeline sees first. */
static enum apir_status
warm_make(struct exec_dev *dev, struct exec_err *err)
{
	struct cuda_dev *c = dev->cuda;

	if (c->warm_mem == NULL) {
		c->warm_size = PACKET_ROOM + dev->max_pkts * sizeof(struct apir_verdict);
		c->warm_size = (c->warm_size + 4095) / 4096 * 4096;
		c->warm_mem = cuda_host_alloc(dev, c->warm_size, -1, err);
	}
	if (c->warm_mem != NULL && c->warm == NULL)
		c->warm = (struct cuda_queue *)cuda_queue_create(dev, 0, -1, err);
	return c->warm != NULL ? APIR_S_OK : APIR_S_NOMEM;
}

enum apir_status
cuda_queue_warm(struct exec_dev *dev, const struct cuda_pipeline *p, struct exec_err *err)
{
	struct cuda_dev *c = dev->cuda;
	enum apir_status status = warm_make(dev, err);
	struct exec_queue *q = (struct exec_queue *)c->warm;
	struct exec_burst *b;

	if (status != APIR_S_OK)
		return status;
	b = cuda_burst_get(q);
	for (unsigned int i = 0; i < dev->max_pkts; i++)
		/* Real memory, in case a kernel does not ask apir_count(). */
		b->pkts[i] = (struct apir_pkt){
			.addr = (uintptr_t)c->warm_mem, .len = PACKET_LEN, .nseg = 1};
	b->nb_pkts = dev->max_pkts;
	b->nb_extra = 0;
	b->cookie = 0;
	b->verdicts = (struct apir_verdict *)((uint8_t *)c->warm_mem + PACKET_ROOM);
	if (!cuda_submit(q, (struct exec_pipeline *)(uintptr_t)p, b)) {
		table_of(c->warm, c->warm->head)->count = 0;
		cuda_flush(q);
		for (unsigned int i = 0; i < CUDA_STREAMS; i++)
			c->cu->cuStreamSynchronize(c->warm->stream[i]);
		while ((b = cuda_poll(q)) == NULL)
			;
	}
	if (b->status == APIR_S_OK)
		return APIR_S_OK;
	return exec_err_set(err, b->status,
			    "the pipeline does not run on the device: %s (too much local memory, "
			    "registers, or too large a work-group?)",
			    c->warm->error);
}
