/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <string.h>

#include "burst.h"
#include "log.h"

#define SEG_FLAGS   (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE)
#define AHEAD	    1	/* requests whose memory is asked for while another runs */
#define HINT_MAX    512 /* bytes of a table or response: the processor goes on by itself */
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

static inline void
count(_Atomic uint64_t *c, uint64_t n)
{
	/* One writer: a plain addition does. */
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* A descriptor as two words, each read once: address; length, flags << 32, next << 48. */
struct raw_desc {
	uint64_t addr;
	uint64_t rest;
};

static inline struct raw_desc
read_raw(const struct vring_desc *d)
{
	const volatile uint64_t *w = (const volatile uint64_t *)d;

	return (struct raw_desc){w[0], w[1]};
}

static inline uint32_t
raw_len(struct raw_desc d)
{
	return (uint32_t)d.rest;
}

/* flags and next in one compare */
static inline uint32_t
raw_link(struct raw_desc d)
{
	return (uint32_t)(d.rest >> 32);
}

static inline uint32_t
link_of(uint32_t flags, uint32_t next)
{
	return flags | next << 16;
}

enum apir_status
burst_open(struct dataq *q, uint16_t head, struct burst_req *r)
{
	struct raw_desc d;
	uint32_t hdr_len;
	const void *hdr;

	r->rsp = NULL;
	r->counts = NULL;
	switch (vring_indirect(&q->vr, q->mem, &q->tbl_hit, head, &r->tbl)) {
	case VRING_OK:
		break;
	case VRING_E_FAULT:
		return APIR_S_FAULT;
	case VRING_E_LONG:
		return APIR_S_TOOBIG;
	case VRING_E_LAYOUT:
		return APIR_S_MALFORMED;
	}
	/* The response first, so that all that is wrong elsewhere can be answered. */
	d = read_raw(&r->tbl.d[r->tbl.n - 1]);
	if ((raw_link(d) & 0xffff) != VRING_DESC_F_WRITE || raw_len(d) < sizeof(*r->rsp) ||
	    d.addr % sizeof(struct apir_verdict) != 0)
		return APIR_S_MALFORMED;
	r->rsp = mem_xlate(q->mem, &q->hdr_hit, d.addr, raw_len(d));
	if (r->rsp == NULL)
		return APIR_S_FAULT;
	const uint32_t rsp_len = raw_len(d);

	if (r->tbl.n < 3)
		return APIR_S_MALFORMED;
	d = read_raw(&r->tbl.d[0]);
	hdr_len = raw_len(d);
	if (raw_link(d) != link_of(VRING_DESC_F_NEXT, 1) || hdr_len < sizeof(r->hdr))
		return APIR_S_MALFORMED;
	hdr = mem_xlate(q->mem, &q->hdr_hit, d.addr, hdr_len);
	r->hdr_va = hdr;
	if (hdr == NULL)
		return APIR_S_FAULT;
	memcpy(&r->hdr, hdr, sizeof(r->hdr));
	/* From here on the copy counts: the compiler may not read the original again. */
	__asm__ volatile("" ::: "memory");

	const uint32_t nb_pkts = r->hdr.nb_pkts, nb_segs = r->hdr.nb_segs;

	if ((r->hdr.flags & ~APIR_BURST_F_ALL) != 0 || r->hdr.resv != 0)
		return APIR_S_MALFORMED;
	if (nb_pkts > q->max_pkts || nb_segs > APIR_MAX_SEGS)
		return APIR_S_TOOBIG;
	if (nb_pkts == 0 || nb_segs + 2 != r->tbl.n ||
	    rsp_len < sizeof(*r->rsp) + nb_pkts * sizeof(struct apir_verdict))
		return APIR_S_MALFORMED;
	if (r->hdr.flags & APIR_BURST_F_SEGS) {
		if (!q->multi_seg || nb_segs < nb_pkts ||
		    hdr_len < sizeof(r->hdr) + nb_pkts * sizeof(uint16_t))
			return APIR_S_MALFORMED;
		r->counts = (const void *)((const uint8_t *)hdr + sizeof(r->hdr));
	} else if (nb_segs != nb_pkts) {
		return APIR_S_MALFORMED;
	}
	return APIR_S_OK;
}

/*
 * What is wrong with a segment, or where it lies when it is in another region than the one before.
 */
static enum apir_status
other_segment(struct dataq *q, struct raw_desc d, uint32_t next, void **va)
{
	if (raw_link(d) != link_of(SEG_FLAGS, next) || raw_len(d) == 0)
		return APIR_S_MALFORMED;
	if (raw_len(d) > APIR_MAX_SEG_LEN)
		return APIR_S_TOOBIG;
	*va = mem_xlate(q->mem, &q->hit, d.addr, raw_len(d));
	return *va == NULL ? APIR_S_FAULT : APIR_S_OK;
}

/* The common case, one segment a packet: the loop that every packet goes through. */
static enum apir_status
fill_single(struct dataq *q, const struct burst_req *r, struct apir_pkt *pkts)
{
	const uint32_t n = r->hdr.nb_pkts;
	const struct vring_desc *d = &r->tbl.d[1];
	uint32_t link = link_of(SEG_FLAGS, 2);
	uint64_t base = 0, size = 0;
	uintptr_t va = 0;

	if (q->hit != NULL) {
		base = q->hit->gpa;
		size = q->hit->size;
		va = (uintptr_t)q->hit->va;
	}
	for (uint32_t i = 0; i < n; i++, link += 1u << 16) {
		const struct raw_desc e = read_raw(&d[i]);
		const uint32_t len = raw_len(e);
		const uint64_t off = e.addr - base;
		/* As two words: length and one segment, no further ones. */
		uint64_t w[2] = {va + off, (uint64_t)len | 1ull << 32};

		if (unlikely(raw_link(e) != link || len - 1 >= APIR_MAX_SEG_LEN || off >= size ||
			     len > size - off)) {
			void *p;
			const enum apir_status st = other_segment(q, e, link >> 16, &p);

			if (st != APIR_S_OK)
				return st;
			w[0] = (uintptr_t)p;
			base = q->hit->gpa;
			size = q->hit->size;
			va = (uintptr_t)q->hit->va;
		}
		memcpy(&pkts[i], w, sizeof(w));
	}
	return APIR_S_OK;
}

static enum apir_status
fill_multi(struct dataq *q, const struct burst_req *r, struct exec_burst *b)
{
	const uint32_t nb_segs = r->hdr.nb_segs;
	uint32_t seg = 0, extra = 0;

	for (uint32_t i = 0; i < r->hdr.nb_pkts; i++) {
		const uint32_t k = ((const volatile struct u16_any *)&r->counts[i])->v;

		if (k == 0 || k > nb_segs - seg)
			return APIR_S_MALFORMED;
		if (k > APIR_MAX_PKT_SEGS)
			return APIR_S_TOOBIG;
		b->pkts[i].nseg = (uint16_t)k;
		b->pkts[i].extra = (uint16_t)extra;
		for (uint32_t s = 0; s < k; s++, seg++) {
			const struct raw_desc d = read_raw(&r->tbl.d[1 + seg]);
			void *p;
			const enum apir_status st = other_segment(q, d, seg + 2, &p);

			if (st != APIR_S_OK)
				return st;
			if (s == 0) {
				b->pkts[i].addr = (uintptr_t)p;
				b->pkts[i].len = raw_len(d);
			} else {
				b->segs[extra].addr = (uintptr_t)p;
				b->segs[extra].len = raw_len(d);
				extra++;
			}
		}
	}
	if (seg != nb_segs)
		return APIR_S_MALFORMED;
	b->nb_extra = extra;
	return APIR_S_OK;
}

_Static_assert(sizeof(struct apir_pkt) == 16, "fill_single() writes it as two words");

enum apir_status
burst_fill(struct dataq *q, const struct burst_req *r, struct exec_burst *b)
{
	b->nb_pkts = r->hdr.nb_pkts;
	b->nb_extra = 0;
	b->cookie = r->hdr.cookie;
	b->verdicts = r->rsp->verdict;
	return r->counts != NULL ? fill_multi(q, r, b) : fill_single(q, r, b->pkts);
}

static void
notify(struct dataq *q)
{
	if (q->unnotified != 0)
		vring_notify(&q->vr, q->unnotified);
	q->unnotified = 0;
}

/* Answer a request and hand it back to the guest. */
static void
complete(struct dataq *q, const struct burst_slot *s, uint32_t status, uint32_t copied)
{
	uint32_t len = 0;

	if (s->rsp != NULL) {
		volatile struct apir_burst_rsp *rsp = s->rsp;

		rsp->status = status;
		rsp->copied = copied;
		rsp->resv = 0;
		len = sizeof(*s->rsp);
		if (status == APIR_S_OK)
			len += s->nb_pkts * sizeof(struct apir_verdict);
	}
	count(&q->stats.bursts, 1);
	if (likely(status == APIR_S_OK)) {
		count(&q->stats.pkts, s->nb_pkts);
		if (copied)
			count(&q->stats.copied, copied);
	} else {
		count(&q->stats.errors, 1);
	}
	vring_push(&q->vr, s->head, len);
	q->unnotified++;
	/* A fence for each burst would wait for the ring's line to come from the guest's core: one a batch does. */
	if (unlikely(vring_wants_notify(&q->vr, q->unnotified)))
		notify(q);
}

static void
set_in_flight(struct dataq *q)
{
	atomic_store_explicit(&q->in_flight, (uint16_t)(q->next - q->first), memory_order_relaxed);
}

/* Complete what the executor has finished, in order. */
static unsigned int
reap(struct dataq *q)
{
	struct exec_queue *xq = atomic_load_explicit(&q->xq, memory_order_relaxed);
	unsigned int n = 0;

	while (q->first != q->next) {
		const struct burst_slot *s = &q->fifo[q->first & (APIR_MAX_QUEUE_SIZE - 1)];

		if (s->failed) {
			complete(q, s, s->status, 0);
		} else {
			const struct exec_burst *b = q->ops->poll(xq);

			if (b == NULL)
				break;
			complete(q, s, b->status, b->copied);
		}
		q->first++;
		n++;
	}
	set_in_flight(q);
	return n;
}

/*
 * Have a request's memory in the cache by the time it is its turn. Drivers use the same memory for the same descriptor again
 * and again: where it was the last time is a hint that costs no access to the guest's memory, and a wrong one costs nothing.
 */
static void
prefetch(struct dataq *q, uint16_t ahead)
{
	const uint16_t head =
		VRING_READ(q->vr.avail->ring[(q->vr.last_avail + ahead) & q->vr.mask]);
	const struct burst_hint *h;

	if (unlikely(head >= q->vr.size))
		return;
	h = &q->hint[head];
	for (uint32_t i = 0; i < h->tbl_len; i += 64)
		__builtin_prefetch((const char *)h->tbl + i);
	__builtin_prefetch(h->hdr);
	for (uint32_t i = 0; i < h->rsp_len; i += 64)
		__builtin_prefetch((const char *)h->rsp + i, 1);
}

static void
remember(struct dataq *q, uint16_t head, const struct burst_req *r)
{
	const uint32_t tbl = r->tbl.n * (uint32_t)sizeof(struct vring_desc);
	const uint32_t rsp =
		(uint32_t)(sizeof(*r->rsp) + r->hdr.nb_pkts * sizeof(struct apir_verdict));

	q->hint[head] = (struct burst_hint){
		.tbl = r->tbl.d,
		.hdr = r->hdr_va,
		.rsp = r->rsp,
		.tbl_len = tbl < HINT_MAX ? tbl : HINT_MAX,
		.rsp_len = rsp < HINT_MAX ? rsp : HINT_MAX,
	};
}

/* One request of those available. Returns false when the executor takes no more for now. */
static bool
one(struct dataq *q, uint16_t available)
{
	struct exec_queue *xq = atomic_load_explicit(&q->xq, memory_order_acquire);
	struct exec_pipeline *p = NULL;
	struct exec_burst *b = NULL;
	struct burst_slot s = {0};
	struct burst_req r;
	int head;

	if (likely(xq != NULL)) {
		b = q->ops->burst_get(xq);
		if (b == NULL)
			return false;
	}
	head = vring_pop(&q->vr);
	if (unlikely(head < 0))
		return false;
	s.head = (uint16_t)head;
	s.status = burst_open(q, s.head, &r);
	s.rsp = r.rsp;
	if (unlikely(xq == NULL)) {
		s.status = APIR_S_NOTREADY;
	} else if (likely(s.status == APIR_S_OK)) {
		s.nb_pkts = r.hdr.nb_pkts;
		if (r.hdr.pipeline != APIR_PIPELINE_LOOPBACK)
			p = objtab_get(q->pipelines, r.hdr.pipeline);
		if (unlikely(p == NULL &&
			     (r.hdr.pipeline != APIR_PIPELINE_LOOPBACK || !q->loopback)))
			s.status = APIR_S_NOENT;
		if (likely(s.status == APIR_S_OK))
			s.status = burst_fill(q, &r, b);
	}
	s.failed = s.status != APIR_S_OK;
	if (likely(!s.failed)) {
		atomic_store_explicit(&q->pipeline, r.hdr.pipeline, memory_order_relaxed);
		remember(q, s.head, &r);
		if (available > AHEAD)
			prefetch(q, AHEAD - 1);
		if (q->ops->submit(xq, p, b)) {
			complete(q, &s, b->status, b->copied);
			return true;
		}
	} else if (q->first == q->next) {
		complete(q, &s, s.status, 0);
		return true;
	}
	q->fifo[q->next & (APIR_MAX_QUEUE_SIZE - 1)] = s;
	q->next++;
	set_in_flight(q);
	return true;
}

unsigned int
burst_run(struct dataq *q, unsigned int budget)
{
	unsigned int done = 0;
	uint16_t n;

	if (q->first != q->next)
		done = reap(q);
	if (unlikely(q->vr.broken)) {
		notify(q);
		return done;
	}
	n = vring_avail(&q->vr);
	if (n > budget)
		n = (uint16_t)budget;
	for (uint16_t i = 0; i < AHEAD && i < n; i++)
		prefetch(q, i);
	while (n > 0) {
		/*
		 * A guest that offers a slot again before it is answered has more in flight than
		 * its ring.
		 */
		if (unlikely((uint16_t)(q->next - q->first) >= q->vr.size))
			break;
		if (!one(q, n))
			break;
		n--;
		done++;
	}
	if (q->first != q->next && q->ops->flush != NULL)
		q->ops->flush(atomic_load_explicit(&q->xq, memory_order_relaxed));
	notify(q);
	if (unlikely(q->vr.broken))
		log_limited(q->limit, LOG_ERR,
			    "session %u: queue %u: the guest broke the ring (available index or "
			    "entry out of range): "
			    "the queue is stopped until it is set up again",
			    q->session, q->index);
	return done;
}

void
burst_drain(struct dataq *q)
{
	while (q->first != q->next)
		reap(q);
	notify(q);
}
