/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>

#include "rpc_calls.h"
#include "cl_session.h"
#include "dispatch.h"
#include "fake_worker.h"

#define IDS(kind)                                                    \
	{                                                            \
		FAKE_ID(kind, 1), FAKE_ID(kind, 2), FAKE_ID(kind, 3) \
	}

const uint64_t rpc_u64s[4] = {11, UINT64_MAX, 33, 44};
const uint64_t rpc_ids[CL_KIND_MAX + 1][3] = {
	[CL_KIND_DEVICE] = IDS(CL_KIND_DEVICE),	  [CL_KIND_CONTEXT] = IDS(CL_KIND_CONTEXT),
	[CL_KIND_QUEUE] = IDS(CL_KIND_QUEUE),	  [CL_KIND_MEM] = IDS(CL_KIND_MEM),
	[CL_KIND_SAMPLER] = IDS(CL_KIND_SAMPLER), [CL_KIND_PROGRAM] = IDS(CL_KIND_PROGRAM),
	[CL_KIND_KERNEL] = IDS(CL_KIND_KERNEL),	  [CL_KIND_EVENT] = IDS(CL_KIND_EVENT),
};
static struct _cl_event events[2] = {{.o.id = FAKE_ID(CL_KIND_EVENT, 1)},
				     {.o.id = FAKE_ID(CL_KIND_EVENT, 2)}};
const cl_event rpc_waits[2] = {&events[0], &events[1]};

void (*rpc_hook)(const uint8_t *req, size_t len, size_t rsp_len);
size_t rpc_room, rpc_cut;
bool rpc_lost;

static struct cl_lane lane;
static bool taken;
static uint8_t args[APIR_CTL_MAX];
static uint8_t *req, *rsp;

void
rpc_reset(void)
{
	fake_reset();
	rpc_hook = NULL;
	rpc_room = APIR_CTL_MAX;
	rpc_cut = 0;
	rpc_lost = false;
}

void
rpc_check(cl_int err, const struct note *want)
{
	assert_int_equal(err, fake.err);
	assert_false(taken);
	assert_int_equal(fake.seen.len, want->len);
	assert_memory_equal(fake.seen.text, want->text, want->len);
}

void
rpc_expect_objects(struct note *want, enum cl_kind kind, size_t n)
{
	note_u64(want, n);
	for (size_t i = 0; i < n; i++)
		note_u64(want, rpc_ids[kind][i]);
}

void
rpc_expect_waits(struct note *want, size_t n, bool wanted)
{
	rpc_expect_objects(want, CL_KIND_EVENT, n);
	note_u64(want, wanted);
}

/* The lane ---------------------------------------------------------------------------------------------------------- */

struct cl_lane *
cl_lane_begin(uint32_t call)
{
	if (rpc_lost)
		return NULL;
	assert_false(taken);
	taken = true;
	/* what was there before must not be sent */
	memset(args, 0xee, sizeof(args));
	lane.call = call;
	lane.args =
		(struct cl_enc){.p = args, .end = args + sizeof(args) - sizeof(struct apir_cl_req)};
	lane.res = (struct cl_dec){.p = args, .end = args};
	return &lane;
}

cl_int
cl_lane_call(struct cl_lane *l)
{
	const size_t len = (size_t)(l->args.p - args);
	const struct apir_cl_req h = {
		.magic = APIR_CL_MAGIC, .call = l->call, .len = (uint32_t)len};
	struct apir_cl_rsp r;
	size_t n;

	if (l->args.bad)
		return CL_OUT_OF_HOST_MEMORY;
	/* to the byte, so that a sanitizer sees the first one too far */
	req = malloc(sizeof(h) + len);
	rsp = malloc(rpc_room);
	assert_true(req != NULL && rsp != NULL);
	memcpy(req, &h, sizeof(h));
	memcpy(req + sizeof(h), args, len);
	memset(rsp, 0xee, rpc_room);
	n = cl_dispatch(NULL, req, sizeof(h) + len, rsp, rpc_room);
	assert_in_range(n, sizeof(r), rpc_room);
	memcpy(&r, rsp, sizeof(r));
	assert_int_equal(r.magic, APIR_CL_MAGIC);
	assert_int_equal(r.len, n - sizeof(r));
	/* nothing is sent that nobody wrote */
	assert_null(memchr(rsp + sizeof(r), 0xee, r.len));
	if (rpc_hook != NULL)
		rpc_hook(req, sizeof(h) + len, n);
	if (r.status != APIR_S_OK)
		return CL_DEVICE_NOT_AVAILABLE;
	n -= rpc_cut < r.len ? rpc_cut : r.len;
	l->res = (struct cl_dec){.p = rsp + sizeof(r), .end = rsp + n};
	return r.err;
}

void
cl_lane_end(struct cl_lane *l)
{
	assert_ptr_equal(l, &lane);
	assert_true(taken);
	taken = false;
	free(req);
	free(rsp);
	req = rsp = NULL;
}
