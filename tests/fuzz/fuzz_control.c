/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * Control messages: raw ones, and remote calls whose arguments are fuzzed. The session is a real
 * one, with real object tables, on an executor that only counts.
 */

#include <stdlib.h>
#include <string.h>

#include "apir_ctl.h"
#include "rig.h"
#include "rpc.h"

#define FIRST_ID 1024u /* generation 1, index 0 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig rig;
static uint8_t in[APIR_CTL_MAX], out[APIR_CTL_MAX];

static void
put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* Header, then a call of procedure proc up to its arguments. */
static size_t
call_head(uint8_t proc, size_t args)
{
	const struct apir_ctl_req h = {
		.magic = APIR_MAGIC, .type = APIR_CTL_RPC, .len = (uint32_t)(40 + args)};
	uint8_t *p = in + sizeof(h);

	memcpy(in, &h, sizeof(h));
	memset(p, 0, 40);
	put32(p, 1);
	put32(p + 8, RPC_MSG_VERSION);
	put32(p + 12, APIR_CTL);
	put32(p + 16, APIR_CTL_V1);
	put32(p + 20, proc % 16);
	return sizeof(h) + 40;
}

/* A program, a kernel, a buffer and a pipeline, each of the id that a table gives first. */
static void
make_objects(void)
{
	struct program *prog = calloc(1, sizeof(*prog));
	struct exec_kernel *k;
	struct exec_buffer *b;
	struct exec_pipeline *p;
	struct exec_err err;
	uint32_t nb_args;
	bool cached;

	memset(&rig.s->programs, 0, sizeof(rig.s->programs));
	memset(&rig.s->kernels, 0, sizeof(rig.s->kernels));
	memset(&rig.s->buffers, 0, sizeof(rig.s->buffers));
	memset(&rig.s->pipelines, 0, sizeof(rig.s->pipelines));
	mock_ops.program_create(NULL, "__kernel void k()", 17, "", &prog->prog, &prog->log, &cached,
				&err);
	mock_ops.kernel_create(prog->prog, "k", &k, &nb_args, &err);
	mock_ops.buffer_create(NULL, 1000, &b, &err);
	mock_ops.pipeline_create(NULL, NULL, 1, &p, &err);
	if (objtab_add(&rig.s->programs, prog) != FIRST_ID ||
	    objtab_add(&rig.s->kernels, k) != FIRST_ID ||
	    objtab_add(&rig.s->buffers, b) != FIRST_ID ||
	    objtab_add(&rig.s->pipelines, p) != FIRST_ID)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct apir_ctl_rsp *rsp = (const struct apir_ctl_rsp *)out;
	size_t len = 0, n, room;
	uint8_t *copy;

	if (rig.s == NULL) {
		rig_backend(1, 0);
		rig_open(&rig, 0);
		rig_hello_ok(&rig);
		make_objects();
	}
	if (size < 3 || size > APIR_CTL_MAX - 100)
		return 0;
	room = data[1] < 64 ? data[1] : APIR_CTL_MAX;
	if (data[0] & 1)
		len = call_head(data[2], size - 3);
	memcpy(in + len, data + 3, size - 3);
	/* Most procedures begin with an id; guessing one is not what takes the time. */
	if ((data[0] & 3) == 3 && size >= 7)
		put32(in + len, FIRST_ID);
	len += size - 3;
	/* To the byte, so that a sanitizer sees the first one too far. */
	copy = malloc(len + 1);
	memcpy(copy, in, len);
	n = control_answer(rig.s, copy, len, out, room);
	free(copy);
	if (n > room || (n != 0 && (n < sizeof(*rsp) || rsp->magic != APIR_MAGIC ||
				    rsp->len != n - sizeof(*rsp))))
		abort();
	if (rig.s->programs.nb + rig.s->buffers.nb + rig.s->pipelines.nb > 200) {
		session_reset(rig.s);
		if (mock.programs + mock.kernels + mock.buffers + mock.pipelines != 0)
			abort();
		make_objects();
	}
	return 0;
}
