/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mock_exec.h"

struct exec_program {
	char *src;
};
struct exec_kernel {
	struct exec_program *prog;
};
struct exec_buffer {
	uint64_t size;
	uint8_t data[];
};
struct exec_pipeline {
	unsigned int nb;
};
struct exec_queue {
	unsigned int session;
	struct exec_burst b[MOCK_DEPTH];
	struct apir_pkt pkts[MOCK_DEPTH][APIR_MAX_PKTS];
	struct apir_seg segs[MOCK_DEPTH][APIR_MAX_SEGS];
	unsigned int first, next;
	unsigned int held; /* of those from here on flush was not called */
};

struct mock mock;

void
mock_reset(void)
{
	memset(&mock, 0, sizeof(mock));
	mock.may_finish = -1;
}

int
mock_objects(void)
{
	return mock.programs + mock.kernels + mock.buffers + mock.pipelines + mock.queues;
}

static void
info(struct exec_dev *dev, struct exec_info *i)
{
	(void)dev;
	memset(i, 0, sizeof(*i));
	strcpy(i->platform, "mock platform");
	strcpy(i->device, "mock device");
	strcpy(i->driver, "1.0");
	i->copy_mode = APIR_COPY_NONE_RAW;
	i->global_mem = 1 << 30;
	i->numa_node = -1;
}

static enum apir_status
mem_set_(struct exec_dev *dev, unsigned int session, const struct exec_region *regions,
	 unsigned int nb, struct exec_err *err)
{
	(void)dev;
	(void)session;
	(void)regions;
	(void)err;
	mock.mem_regions = (int)nb;
	mock.mem_sets++;
	return APIR_S_OK;
}

static enum apir_status
program_create(struct exec_dev *dev, const char *src, size_t len, const char *options,
	       struct exec_program **prog, const char **log, bool *cached, struct exec_err *err)
{
	(void)dev;
	(void)options;
	mock.building++;
	while (mock.build_waits)
		usleep(100);
	mock.building--;
	*prog = calloc(1, sizeof(**prog));
	(*prog)->src = strndup(src, len);
	mock.programs++;
	*log = "a log of some length";
	*cached = false;
	if (strstr(src, "#error") != NULL) {
		snprintf(err->text, sizeof(err->text), "it does not build");
		return APIR_S_BUILD;
	}
	return APIR_S_OK;
}

static void
program_destroy(struct exec_program *p)
{
	mock.programs--;
	free(p->src);
	free(p);
}

static enum apir_status
kernel_create(struct exec_program *prog, const char *name, struct exec_kernel **k,
	      uint32_t *nb_args, struct exec_err *err)
{
	if (strstr(prog->src, name) == NULL) {
		snprintf(err->text, sizeof(err->text), "no kernel '%s'", name);
		return APIR_S_NOENT;
	}
	*k = calloc(1, sizeof(**k));
	*nb_args = 2;
	mock.kernels++;
	return APIR_S_OK;
}

static void
kernel_destroy(struct exec_kernel *k)
{
	mock.kernels--;
	free(k);
}

static enum apir_status
kernel_set_arg(struct exec_kernel *k, uint32_t index, const void *value, size_t size,
	       struct exec_buffer *buffer, struct exec_err *err)
{
	(void)k;
	if (index >= 2 || (buffer != NULL && size != 0) || (buffer == NULL && size == 0) ||
	    (value != NULL && size != 4)) {
		snprintf(err->text, sizeof(err->text), "argument %u", index);
		return APIR_S_INVAL;
	}
	return APIR_S_OK;
}

static enum apir_status
buffer_create(struct exec_dev *dev, uint64_t size, struct exec_buffer **b, struct exec_err *err)
{
	(void)dev;
	if (size > 1 << 20) {
		snprintf(err->text, sizeof(err->text), "no room");
		return APIR_S_NOMEM;
	}
	*b = calloc(1, sizeof(**b) + size);
	(*b)->size = size;
	mock.buffers++;
	return APIR_S_OK;
}

static void
buffer_destroy(struct exec_buffer *b)
{
	mock.buffers--;
	free(b);
}

static uint64_t
buffer_size(const struct exec_buffer *b)
{
	return b->size;
}

static enum apir_status
buffer_write(struct exec_buffer *b, uint64_t offset, const void *data, uint64_t len,
	     struct exec_err *err)
{
	(void)err;
	memcpy(b->data + offset, data, len);
	return APIR_S_OK;
}

static enum apir_status
buffer_read(struct exec_buffer *b, uint64_t offset, void *data, uint64_t len, struct exec_err *err)
{
	(void)err;
	memcpy(data, b->data + offset, len);
	return APIR_S_OK;
}

static enum apir_status
pipeline_create(struct exec_dev *dev, const struct exec_stage *stages, unsigned int nb,
		struct exec_pipeline **p, struct exec_err *err)
{
	(void)dev;
	(void)stages;
	(void)err;
	*p = calloc(1, sizeof(**p));
	(*p)->nb = nb;
	mock.pipelines++;
	return APIR_S_OK;
}

static void
pipeline_destroy(struct exec_pipeline *p)
{
	mock.pipelines--;
	free(p);
}

static struct exec_queue *
queue_create(struct exec_dev *dev, unsigned int session, int numa_node, struct exec_err *err)
{
	struct exec_queue *q = calloc(1, sizeof(*q));

	(void)dev;
	(void)numa_node;
	(void)err;
	q->session = session;
	for (unsigned int i = 0; i < MOCK_DEPTH; i++) {
		q->b[i].pkts = q->pkts[i];
		q->b[i].segs = q->segs[i];
	}
	mock.queues++;
	return q;
}

static void
queue_destroy(struct exec_queue *q)
{
	/* The contract: no burst is in flight. */
	if (q->first != q->next)
		abort();
	mock.queues--;
	free(q);
}

static struct exec_burst *
burst_get(struct exec_queue *q)
{
	return q->next - q->first == MOCK_DEPTH ? NULL : &q->b[q->next % MOCK_DEPTH];
}

/*
 * A pipeline adds 1 to each packet's first byte and leaves the packet's length as the verdict's
 * word.
 */
static void
run(const struct exec_pipeline *p, struct exec_burst *b)
{
	for (unsigned int i = 0; i < b->nb_pkts; i++) {
		b->verdicts[i] = (struct apir_verdict){0};
		if (p != NULL) {
			++*(uint8_t *)(uintptr_t)b->pkts[i].addr;
			b->verdicts[i].meta = b->pkts[i].len;
		}
	}
	b->status = mock.burst_status;
	b->copied = 0;
}

static bool
submit(struct exec_queue *q, struct exec_pipeline *p, struct exec_burst *b)
{
	mock.last = *b;
	run(p, b);
	if (!mock.async && q->first == q->next)
		return true;
	q->next++;
	mock.running++;
	return false;
}

static void
flush(struct exec_queue *q)
{
	mock.flushed++;
	q->held = q->next;
}

static struct exec_burst *
poll_(struct exec_queue *q)
{
	if (q->first == q->next)
		abort();
	if (mock.may_finish == 0 || (mock.holds && q->held == q->first))
		return NULL;
	if (mock.may_finish > 0)
		mock.may_finish--;
	mock.running--;
	return &q->b[q->first++ % MOCK_DEPTH];
}

const struct exec_ops mock_ops = {
	.name = "mock",
	.info = info,
	.mem_set = mem_set_,
	.program_create = program_create,
	.program_destroy = program_destroy,
	.kernel_create = kernel_create,
	.kernel_destroy = kernel_destroy,
	.kernel_set_arg = kernel_set_arg,
	.buffer_create = buffer_create,
	.buffer_destroy = buffer_destroy,
	.buffer_size = buffer_size,
	.buffer_write = buffer_write,
	.buffer_read = buffer_read,
	.pipeline_create = pipeline_create,
	.pipeline_destroy = pipeline_destroy,
	.queue_create = queue_create,
	.queue_destroy = queue_destroy,
	.burst_get = burst_get,
	.submit = submit,
	.flush = flush,
	.poll = poll_,
};
