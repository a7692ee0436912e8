/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * The last resort: a device that cannot reach guest memory gets a copy of the packets, and they are copied back. One
 * block a burst: table, segments, verdicts, then each segment's bytes; it goes there whole, and back from the verdicts on.
 * Kernels read verdicts, so they go there zeroed: 8 bytes a packet on the way cost less than a command that fills them.
 *
 * On a device that runs beside us upload, kernels and download have a queue each, and each burst's events tie its three:
 * while one burst's kernels run, the next is uploaded and the one before comes back.
 */

#include <numa.h>
#include <numaif.h>
#include <string.h>

#include "opencl.h"

#define FIRST_CAP (256u << 10)
#define MASK_BITS 1024

static size_t
align_up(size_t n)
{
	return (n + OCL_ALIGN - 1) / OCL_ALIGN * OCL_ALIGN;
}

void
ocl_staged_free(struct exec_queue *q, struct ocl_burst *b)
{
	if (b->pinned != NULL) {
		/* Where there is the least to wait for: no other burst's kernels. */
		clEnqueueUnmapMemObject(q->up, b->pinned_mem, b->pinned, 0, NULL, NULL);
		clFinish(q->up);
	}
	if (b->pinned_mem != NULL)
		clReleaseMemObject(b->pinned_mem);
	if (b->dev_mem != NULL)
		clReleaseMemObject(b->dev_mem);
	ocl_mem_give(q->dev, b->staged_cap);
	b->pinned = NULL;
	b->pinned_mem = NULL;
	b->dev_mem = NULL;
	b->staged_cap = 0;
}

/* Pinned memory comes from the driver: all that can be said is which node to prefer while it allocates. */
static cl_int
alloc_pinned(struct exec_queue *q, struct ocl_burst *b, size_t cap)
{
	unsigned long mask[MASK_BITS / (8 * sizeof(long))] = {0};
	int policy = MPOL_DEFAULT;
	bool prefer = q->node >= 0 && numa_available() >= 0 && q->node <= numa_max_node() &&
		      get_mempolicy(&policy, mask, MASK_BITS, NULL, 0) == 0;
	cl_int e;

	if (prefer)
		numa_set_preferred(q->node);
	b->pinned_mem = clCreateBuffer(q->dev->ctx, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, cap,
				       NULL, &e);
	if (b->pinned_mem != NULL) {
		b->pinned =
			clEnqueueMapBuffer(q->up, b->pinned_mem, CL_TRUE,
					   CL_MAP_READ | CL_MAP_WRITE, 0, cap, 0, NULL, NULL, &e);
		if (b->pinned != NULL)
			memset(b->pinned, 0, cap);
	}
	if (prefer)
		set_mempolicy(policy, mask, MASK_BITS);
	return e;
}

/* Room for a burst of len bytes. */
static cl_int
reserve(struct exec_queue *q, struct ocl_burst *b, size_t len)
{
	size_t cap = FIRST_CAP;
	cl_int e;

	if (OCL_LIKELY(len <= b->staged_cap))
		return CL_SUCCESS;
	while (cap < len)
		cap *= 2;
	ocl_staged_free(q, b);
	if (cap > q->dev->max_alloc || ocl_mem_take(q->dev, cap, NULL) != APIR_S_OK)
		return CL_MEM_OBJECT_ALLOCATION_FAILURE;
	b->staged_cap = cap;
	if (++b->gen == 0)
		b->gen = 1;
	e = alloc_pinned(q, b, cap);
	if (e == CL_SUCCESS)
		b->dev_mem = clCreateBuffer(q->dev->ctx, CL_MEM_READ_WRITE, cap, NULL, &e);
	if (e != CL_SUCCESS)
		ocl_staged_free(q, b);
	return e;
}

cl_int
ocl_staged_begin(struct exec_queue *q, struct ocl_burst *b)
{
	const uint32_t nb = b->b.nb_pkts, extra = b->b.nb_extra;
	const size_t pkts_off = sizeof(struct apir_table);
	const size_t segs_off = pkts_off + nb * sizeof(struct apir_pkt);
	size_t len = align_up(segs_off + extra * sizeof(struct apir_seg)), bytes = 0;
	struct apir_table *t;
	struct apir_pkt *pkts;
	struct apir_seg *segs;
	cl_int e;

	b->verdicts_off = len;
	len += align_up(nb * sizeof(struct apir_verdict));
	for (uint32_t i = 0; i < nb; i++)
		bytes += align_up(b->b.pkts[i].len);
	for (uint32_t i = 0; i < extra; i++)
		bytes += align_up(b->b.segs[i].len);
	b->staged_len = len + bytes;
	e = reserve(q, b, b->staged_len);
	if (OCL_UNLIKELY(e != CL_SUCCESS))
		return e;

	t = (struct apir_table *)b->pinned;
	pkts = (struct apir_pkt *)(b->pinned + pkts_off);
	segs = (struct apir_seg *)(b->pinned + segs_off);
	*t = *b->table;
	t->segs_off = segs_off;
	t->verdicts = b->verdicts_off;
	memset(b->pinned + b->verdicts_off, 0, nb * sizeof(struct apir_verdict));
	for (uint32_t i = 0; i < nb; i++) {
		const struct apir_pkt *p = &b->b.pkts[i];

		pkts[i] = *p;
		pkts[i].addr = len;
		memcpy(b->pinned + len, (const void *)(uintptr_t)p->addr, p->len);
		b->b.copied += 2 * p->len;
		len += align_up(p->len);
	}
	for (uint32_t i = 0; i < extra; i++) {
		const struct apir_seg *s = &b->b.segs[i];

		segs[i].addr = len;
		segs[i].len = s->len;
		memcpy(b->pinned + len, (const void *)(uintptr_t)s->addr, s->len);
		b->b.copied += 2 * s->len;
		len += align_up(s->len);
	}
	return clEnqueueWriteBuffer(q->up, b->dev_mem, CL_FALSE, 0, b->staged_len, b->pinned, 0,
				    NULL, q->up != q->cq ? &b->sent : NULL);
}

cl_int
ocl_staged_end(struct exec_queue *q, struct ocl_burst *b, cl_event *event)
{
	const bool tied = b->ran != NULL;

	return clEnqueueReadBuffer(q->down, b->dev_mem, CL_FALSE, b->verdicts_off,
				   b->staged_len - b->verdicts_off, b->pinned + b->verdicts_off,
				   tied ? 1 : 0, tied ? &b->ran : NULL, event);
}

void
ocl_staged_scatter(struct ocl_burst *b)
{
	const uint32_t nb = b->b.nb_pkts, extra = b->b.nb_extra;
	size_t at = b->verdicts_off;

	memcpy(b->b.verdicts, b->pinned + at, nb * sizeof(struct apir_verdict));
	at += align_up(nb * sizeof(struct apir_verdict));
	for (uint32_t i = 0; i < nb; i++) {
		memcpy((void *)(uintptr_t)b->b.pkts[i].addr, b->pinned + at, b->b.pkts[i].len);
		at += align_up(b->b.pkts[i].len);
	}
	for (uint32_t i = 0; i < extra; i++) {
		memcpy((void *)(uintptr_t)b->b.segs[i].addr, b->pinned + at, b->b.segs[i].len);
		at += align_up(b->b.segs[i].len);
	}
}
