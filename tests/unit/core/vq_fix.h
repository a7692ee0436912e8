/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef VQ_FIX_H
#define VQ_FIX_H

/** @file What the tests of the ring share: a queue, its device's side, and bursts of one packet. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_ring.h"
#include "vq_ctl.h"

struct fix {
	struct fake_env fe;
	struct apir_vq *vq;
	struct fake_ring dev;
	int kicked;
};

static inline void
count_kick(void *ctx)
{
	((struct fix *)ctx)->kicked++;
}

static inline void
make_vq(struct fix *f, uint16_t size, uint16_t nb_slots, uint16_t max_pkts, uint16_t max_segs)
{
	assert_int_equal(apir_vq_create(&f->fe.env, size, nb_slots, max_pkts, max_segs, -1, &f->vq),
			 0);
	f->vq->notify = count_kick;
	f->vq->notify_ctx = f;
	fake_ring_init(&f->dev, &f->fe, f->vq);
	assert_non_null(f->dev.desc);
	assert_non_null(f->dev.avail);
	assert_non_null(f->dev.used);
}

static inline int
setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	fake_env_init(&f->fe, 4 << 20);
	*state = f;
	return 0;
}

static inline int
teardown(void **state)
{
	struct fix *f = *state;
	int live;

	apir_vq_destroy(f->vq);
	live = f->fe.live;
	fake_env_fini(&f->fe);
	free(f);
	return live;
}

/* One packet of a burst with a cookie. */
static inline void
submit(struct fix *f, uint64_t cookie)
{
	struct apir_slot *s = apir_vq_open_slot(f->vq);

	assert_non_null(s);
	s->req->nb_pkts = 1;
	s->req->nb_segs = 1;
	s->req->cookie = cookie;
	apir_slot_set_seg(s, 0, 0x1000, 60);
	apir_vq_submit(f->vq);
}

/* Complete the oldest request as a device that answers with its cookie. */
static inline void
answer(struct fix *f)
{
	const int id = fake_ring_pop(&f->dev);
	struct vring_desc *tbl;
	struct apir_burst_req *req;
	struct apir_burst_rsp *rsp;

	assert_true(id >= 0);
	tbl = fake_env_va(&f->fe, f->dev.desc[id].addr, f->dev.desc[id].len);
	assert_non_null(tbl);
	req = fake_env_va(&f->fe, tbl[0].addr, tbl[0].len);
	rsp = fake_env_va(&f->fe, tbl[2].addr, tbl[2].len);
	assert_non_null(req);
	assert_non_null(rsp);
	rsp->status = APIR_S_OK;
	rsp->verdict[0].meta = (uint32_t)req->cookie;
	fake_ring_push(&f->dev, (uint32_t)id, 24);
}

static inline void
expect_answer(struct fix *f, uint64_t cookie)
{
	struct apir_slot *s = NULL;

	assert_int_equal(apir_vq_poll(f->vq, &s), 1);
	assert_int_equal(s->rsp->status, APIR_S_OK);
	assert_int_equal(s->rsp->verdict[0].meta, (uint32_t)cookie);
	apir_vq_release(f->vq);
}

#endif /* VQ_FIX_H */
