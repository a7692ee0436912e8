/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Queues: bursts to the device and back. submit and poll are the hot path. */

#include <numa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "opencl.h"

#define WARM_PACKET_ROOM 65536 /* so much a new pipeline's kernels may touch of a packet */
#define WARM_PACKET_LEN	 64

static size_t
page_align(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

/* Memory on the NUMA node of the queue, if that is known. */
static void *
node_alloc(size_t size, int node)
{
	void *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		return NULL;
	if (node >= 0 && numa_available() >= 0 && node <= numa_max_node())
		numa_tonode_memory(m, size, node);
	memset(m, 0, size); /* its pages are there before the first burst */
	return m;
}

static enum apir_status
burst_make(struct exec_queue *q, unsigned int index, struct exec_err *err)
{
	struct exec_dev *dev = q->dev;
	struct ocl_burst *b = &q->burst[index];
	size_t segs_off = sizeof(struct apir_table) + dev->max_pkts * sizeof(struct apir_pkt);
	cl_int e;

	b->index = index;
	b->gen = 1;
	b->table_size = page_align(segs_off + dev->max_segs * sizeof(struct apir_seg));
	b->table = node_alloc(b->table_size, q->node);
	if (b->table == NULL)
		return exec_err_set(err, APIR_S_NOMEM, "out of memory for a queue's packet table");
	b->table->segs_off = segs_off;
	b->b.pkts = (struct apir_pkt *)(b->table + 1);
	b->b.segs = (struct apir_seg *)((uint8_t *)b->table + segs_off);
	if (dev->mode == APIR_COPY_STAGED || (dev->mode == APIR_COPY_NONE_RAW && dev->svm_arg))
		return APIR_S_OK;
	b->table_mem = clCreateBuffer(dev->ctx, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
				      b->table_size, b->table, &e);
	if (b->table_mem == NULL)
		return exec_err_set(err, ocl_status(e), "no buffer for a queue's packet table: %s",
				    ocl_strerror(e));
	return APIR_S_OK;
}

/* One in-order queue, or three that overlap: a device that runs beside us can copy while it computes. */
static cl_int
queues_make(struct exec_queue *q)
{
	const bool overlap = q->dev->mode == APIR_COPY_STAGED && !q->dev->sync;
	cl_command_queue *const cq[] = {&q->cq, &q->up, &q->down};
	cl_int e = CL_SUCCESS;

	for (unsigned int i = 0; i < 3 && e == CL_SUCCESS; i++)
		if (i == 0 || overlap)
			*cq[i] = clCreateCommandQueue(q->dev->ctx, q->dev->id, 0, &e);
		else
			*cq[i] = q->cq;
	return e;
}

/* Wait until nothing of the queue's runs any more; in the order in which the queues wait for each other. */
static void
queues_finish(struct exec_queue *q)
{
	if (q->up != q->cq)
		clFinish(q->up);
	clFinish(q->cq);
	if (q->down != q->cq)
		clFinish(q->down);
}

static void
event_drop(cl_event *event)
{
	if (*event != NULL)
		clReleaseEvent(*event);
	*event = NULL;
}

static void
queue_free(struct exec_queue *q)
{
	for (unsigned int i = 0; i < q->depth; i++) {
		struct ocl_burst *b = &q->burst[i];

		event_drop(&b->event);
		ocl_staged_free(q, b);
		if (b->table_mem != NULL)
			clReleaseMemObject(b->table_mem);
		if (b->table != NULL)
			munmap(b->table, b->table_size);
	}
	if (q->up != NULL && q->up != q->cq)
		clReleaseCommandQueue(q->up);
	if (q->down != NULL && q->down != q->cq)
		clReleaseCommandQueue(q->down);
	if (q->cq != NULL)
		clReleaseCommandQueue(q->cq);
	free(q);
}

static int
slot_take(struct exec_dev *dev)
{
	for (unsigned int i = 0; i < OCL_MAX_QUEUES; i++)
		if ((dev->slots[i / 64] >> (i % 64) & 1) == 0) {
			dev->slots[i / 64] |= 1ull << (i % 64);
			return (int)i;
		}
	return -1;
}

static struct exec_queue *
queue_make(struct exec_dev *dev, struct ocl_session *s, unsigned int depth, int node,
	   struct exec_err *err)
{
	struct exec_queue *q = aligned_alloc(64, (sizeof(*q) + 63) / 64 * 64);
	enum apir_status status = APIR_S_OK;
	int slot = slot_take(dev);
	cl_int e;

	if (q == NULL || slot < 0) {
		free(q);
		exec_err_set(err, slot < 0 ? APIR_S_LIMIT : APIR_S_NOMEM,
			     slot < 0 ? "too many queues on one device"
				      : "out of memory for a queue");
		return NULL;
	}
	memset(q, 0, sizeof(*q));
	q->dev = dev;
	q->session = s;
	q->slot = slot;
	q->node = node;
	e = queues_make(q);
	if (e != CL_SUCCESS)
		status = exec_err_set(err, ocl_status(e), "no OpenCL command queue: %s",
				      ocl_strerror(e));
	while (status == APIR_S_OK && q->depth < depth)
		status = burst_make(q, q->depth++, err);
	if (status != APIR_S_OK) {
		dev->slots[q->slot / 64] &= ~(1ull << (q->slot % 64));
		queue_free(q);
		return NULL;
	}
	return q;
}

struct exec_queue *
ocl_queue_create(struct exec_dev *dev, unsigned int session, int numa_node, struct exec_err *err)
{
	struct ocl_session *s = ocl_session_get(dev, session);
	struct exec_queue *q;

	if (s == NULL) {
		exec_err_set(err, APIR_S_NOMEM, "out of memory for a queue");
		return NULL;
	}
	q = queue_make(dev, s, dev->sync ? 1 : OCL_DEPTH, numa_node, err);
	if (q != NULL)
		s->users++;
	else
		ocl_session_put(dev, s);
	return q;
}

void
ocl_queue_destroy(struct exec_queue *q)
{
	struct exec_dev *dev;
	struct exec_pipeline *p;

	if (q == NULL)
		return;
	dev = q->dev;
	queues_finish(q);
	TAILQ_FOREACH(p, &dev->pipelines, next) {
		ocl_pipeline_forget(p, q->slot);
	}
	dev->slots[q->slot / 64] &= ~(1ull << (q->slot % 64));
	if (q->session != &dev->warm_session) {
		q->session->users--;
		ocl_session_put(dev, q->session);
	}
	queue_free(q);
}

struct exec_burst *
ocl_burst_get(struct exec_queue *q)
{
	if (OCL_UNLIKELY(q->tail - q->head == q->depth))
		return NULL;
	return &q->burst[q->tail % q->depth].b;
}

/* Tell of the 1st, 2nd, 4th, 8th ... failure. */
static enum apir_status
failed(struct exec_queue *q, const char *what, cl_int e)
{
	q->nb_errors++;
	snprintf(q->error, sizeof(q->error), "%s: %s", what, ocl_strerror(e));
	if ((q->nb_errors & (q->nb_errors - 1)) == 0)
		OCL_LOG(q->dev, LOG_ERR, "a burst failed: %s (failure %llu of its queue)", q->error,
			(unsigned long long)q->nb_errors);
	return ocl_status(e) == APIR_S_NOMEM ? APIR_S_NOMEM : APIR_S_DEVICE;
}

/* Everything between a filled burst and its commands being under way. */
static enum apir_status
start(struct exec_queue *q, struct exec_pipeline *p, struct ocl_burst *b)
{
	struct exec_dev *dev = q->dev;
	struct apir_table *t = b->table;
	const uint32_t n = b->b.nb_pkts;
	uint32_t gen;
	struct ocl_set *set;
	cl_event *event = dev->sync ? NULL : &b->event;
	cl_event *last = dev->mode != APIR_COPY_STAGED ? event : q->down != q->cq ? &b->ran : NULL;
	cl_int e;

	t->count = b->warm ? 0 : n;
	t->verdicts = (uintptr_t)b->b.verdicts;
	t->cookie = b->b.cookie;
	if (dev->mode == APIR_COPY_NONE_BASE) {
		if (OCL_UNLIKELY(!ocl_session_translate(q->session, &b->b, t)))
			return APIR_S_FAULT;
		gen = q->session->gen;
	} else {
		if (dev->mode == APIR_COPY_STAGED) {
			e = ocl_staged_begin(q, b);
			if (OCL_UNLIKELY(e != CL_SUCCESS))
				return failed(q, "copying packets to the device", e);
			/* Another queue may wait only for what was flushed. */
			if (b->sent != NULL && OCL_UNLIKELY((e = clFlush(q->up)) != CL_SUCCESS))
				return failed(q, "running the kernels", e);
		}
		gen = b->gen;
	}
	set = p->set[q->slot];
	if (OCL_UNLIKELY(set == NULL || set->gen[b->index] != gen)) {
		e = ocl_pipeline_bind(p, q, b, gen);
		if (e != CL_SUCCESS)
			return failed(q, "setting kernel arguments", e);
		set = p->set[q->slot];
	}
	for (unsigned int i = 0; i < p->nb; i++) {
		const struct ocl_stage *s = &p->stage[i];
		const size_t local = s->local;
		const size_t global = s->group ? n * local : (n + local - 1) / local * local;
		const bool tied = i == 0 && b->sent != NULL;

		e = clEnqueueNDRangeKernel(q->cq, set->k[b->index][i], 1, NULL, &global, &local,
					   tied ? 1 : 0, tied ? &b->sent : NULL,
					   i + 1 == p->nb ? last : NULL);
		if (OCL_UNLIKELY(e != CL_SUCCESS))
			return failed(q, s->sig->name, e);
	}
	if (dev->mode == APIR_COPY_STAGED) {
		if (b->ran != NULL && OCL_UNLIKELY((e = clFlush(q->cq)) != CL_SUCCESS))
			return failed(q, "running the kernels", e);
		e = ocl_staged_end(q, b, event);
		if (OCL_UNLIKELY(e != CL_SUCCESS))
			return failed(q, "copying packets from the device", e);
	}
	/* In-line, the launch was the run: nothing is left to wait for. */
	e = !dev->sync ? clFlush(q->down) : dev->in_line ? CL_SUCCESS : clFinish(q->cq);
	if (OCL_UNLIKELY(e != CL_SUCCESS))
		return failed(q, "running the kernels", e);
	if (dev->sync && dev->mode == APIR_COPY_STAGED)
		ocl_staged_scatter(b);
	return APIR_S_OK;
}

bool
ocl_submit(struct exec_queue *q, struct exec_pipeline *p, struct exec_burst *burst)
{
	struct ocl_burst *b = (struct ocl_burst *)burst;
	enum apir_status status = APIR_S_OK;

	burst->copied = 0;
	if (OCL_UNLIKELY(burst->nb_pkts > q->dev->max_pkts || burst->nb_extra > q->dev->max_segs)) {
		status = APIR_S_TOOBIG;
	} else if (OCL_UNLIKELY((uintptr_t)burst->verdicts % sizeof(*burst->verdicts) != 0)) {
		status = APIR_S_MALFORMED; /* kernels write them whole */
	} else {
		memset(burst->verdicts, 0, burst->nb_pkts * sizeof(*burst->verdicts));
		if (p != NULL && OCL_LIKELY(burst->nb_pkts > 0))
			status = start(q, p, b);
		/* The driver keeps what its commands still wait for. */
		event_drop(&b->sent);
		event_drop(&b->ran);
	}
	burst->status = status;
	if (OCL_UNLIKELY(status != APIR_S_OK)) {
		/* What was started of it must not touch the packets once they are given back. */
		queues_finish(q);
		event_drop(&b->event);
	}
	if (b->event == NULL && q->head == q->tail)
		return true;
	q->tail++;
	return false;
}

struct exec_burst *
ocl_poll(struct exec_queue *q)
{
	struct ocl_burst *b;
	cl_int state = CL_COMPLETE, e;

	if (q->head == q->tail)
		return NULL;
	b = &q->burst[q->head % q->depth];
	if (b->event != NULL) {
		e = clGetEventInfo(b->event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(state),
				   &state, NULL);
		if (e == CL_SUCCESS && state > CL_COMPLETE)
			return NULL;
		if (OCL_UNLIKELY(e != CL_SUCCESS || state < 0))
			b->b.status = failed(q, "running the kernels", e != CL_SUCCESS ? e : state);
		else if (q->dev->mode == APIR_COPY_STAGED)
			ocl_staged_scatter(b);
		event_drop(&b->event);
	}
	q->head++;
	return &b->b;
}

/* Has a launch run the kernel when it returns? Asked of the device rather than believed of its name. */
static bool
runs_in_line(struct exec_queue *q, struct exec_pipeline *p)
{
	const size_t one = p->stage[0].local;
	cl_int state = CL_QUEUED;
	cl_event event;

	if (clEnqueueNDRangeKernel(q->cq, p->set[q->slot]->k[0][0], 1, NULL, &one, &one, 0, NULL,
				   &event) != CL_SUCCESS)
		return false;
	clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(state), &state, NULL);
	clFinish(q->cq);
	clReleaseEvent(event);
	return state == CL_COMPLETE;
}

/* The queue and the packets that a new pipeline sees first. */
static enum apir_status
warm_make(struct exec_dev *dev, struct exec_err *err)
{
	size_t size = page_align(WARM_PACKET_ROOM + dev->max_pkts * sizeof(struct apir_verdict));
	struct exec_region region = {.size = size};
	enum apir_status status = APIR_S_OK;

	if (dev->warm != NULL)
		return APIR_S_OK;
	if (dev->warm_mem == NULL) {
		dev->warm_mem = node_alloc(size, -1);
		dev->warm_size = size;
	}
	if (dev->warm_mem == NULL)
		return exec_err_set(err, APIR_S_NOMEM, "out of memory for a pipeline");
	region.va = dev->warm_mem;
	dev->warm_session.gen = 1;
	if (dev->mode == APIR_COPY_NONE_BASE)
		status = ocl_session_set(dev, &dev->warm_session, &region, 1, err);
	if (status != APIR_S_OK)
		return status;
	dev->warm = queue_make(dev, &dev->warm_session, 1, -1, err);
	return dev->warm != NULL ? APIR_S_OK : APIR_S_NOMEM;
}

enum apir_status
ocl_queue_warm(struct exec_dev *dev, struct exec_pipeline *p, struct exec_err *err)
{
	enum apir_status status = warm_make(dev, err);
	struct exec_burst *b;

	if (status != APIR_S_OK)
		return status;
	b = ocl_burst_get(dev->warm);
	for (unsigned int i = 0; i < dev->max_pkts; i++) {
		/* Real memory, in case a kernel does not ask apir_count(). */
		b->pkts[i].addr = (uintptr_t)dev->warm_mem;
		b->pkts[i].len = WARM_PACKET_LEN;
		b->pkts[i].nseg = 1;
		b->pkts[i].extra = 0;
	}
	b->nb_pkts = dev->max_pkts;
	b->nb_extra = 0;
	b->cookie = 0;
	b->verdicts = (struct apir_verdict *)((uint8_t *)dev->warm_mem + WARM_PACKET_ROOM);
	((struct ocl_burst *)b)->warm = true;
	if (!ocl_submit(dev->warm, p, b)) {
		queues_finish(dev->warm);
		while ((b = ocl_poll(dev->warm)) == NULL)
			;
	}
	if (b->status != APIR_S_OK)
		return exec_err_set(err, b->status,
				    "the pipeline does not run on the device: %s (too much local "
				    "memory, registers, or too large a work-group?)",
				    dev->warm->error);
	if (dev->sync && dev->mode != APIR_COPY_STAGED)
		dev->in_line = runs_in_line(dev->warm, p);
	return APIR_S_OK;
}
