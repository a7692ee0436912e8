/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Does a kernel's work on host memory come out right? Found by running one. */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "exec_err.h"
#include "exec_probe.h"

#define PROBE_STRIDE  2432u /* as packets lie in an mbuf pool */
#define PROBE_LEN     200u
#define PROBE_SESSION 0u
#define PROBE_MASK    0x5au
#define PROBE_REGIONS 2u
#define PROBE_SIZE    (1u << 20) /* bytes of each region */
#define PROBE_VERDICT (PROBE_SIZE - 4096u)
#define PROBE_WAIT_S  5
#define ROUNDS	      3 /* a driver that works on a shadow copy of host memory can be right once */

static const char probe_source[] = "__kernel void probe(APIR_BURST, const uint mask)\n"
				   "{\n"
				   "	const uint i = apir_index();\n"
				   "	if (i >= apir_count()) return;\n"
				   "	__global uchar *p = apir_data(i);\n"
				   "	for (uint b = 0; b < apir_len(i); b++)\n"
				   "		p[b] ^= (uchar)mask;\n"
				   "	apir_forward_meta(i, i, (uint)apir_cookie() + p[0]);\n"
				   "}\n";

/* What the probe works on. */
struct probe {
	const struct exec_ops *ops;
	struct exec_dev *dev;
	struct exec_program *prog;
	struct exec_kernel *kernel;
	struct exec_pipeline *pipe;
	struct exec_queue *queue;
	uint8_t *mem[PROBE_REGIONS];
};

static uint8_t
pattern(unsigned int round, unsigned int packet, unsigned int byte)
{
	return (uint8_t)(round * 101 + packet * 7 + byte);
}

/* Packets lie in both regions. */
static uint8_t *
packet(const struct probe *p, unsigned int i)
{
	return p->mem[i % PROBE_REGIONS] + i * PROBE_STRIDE;
}

static bool
one_round(struct probe *p, unsigned int round)
{
	struct exec_burst *b = p->ops->burst_get(p->queue);
	struct apir_verdict *v = (struct apir_verdict *)(p->mem[1] + PROBE_VERDICT);
	struct timespec begin, now;
	bool ok = true;

	if (b == NULL)
		return false;
	for (unsigned int i = 0; i < PROBE_PKTS; i++) {
		for (unsigned int n = 0; n < PROBE_LEN; n++)
			packet(p, i)[n] = pattern(round, i, n);
		b->pkts[i].addr = (uintptr_t)packet(p, i);
		b->pkts[i].len = PROBE_LEN;
		b->pkts[i].nseg = 1;
		b->pkts[i].extra = 0;
	}
	b->nb_pkts = PROBE_PKTS;
	b->nb_extra = 0;
	b->cookie = round + 1000;
	b->verdicts = v;
	if (!p->ops->submit(p->queue, p->pipe, b)) {
		if (p->ops->flush != NULL)
			p->ops->flush(p->queue);
		clock_gettime(CLOCK_MONOTONIC, &begin);
		while ((b = p->ops->poll(p->queue)) == NULL) {
			clock_gettime(CLOCK_MONOTONIC, &now);
			if (now.tv_sec - begin.tv_sec > PROBE_WAIT_S)
				return false;
		}
	}
	if (b->status != APIR_S_OK)
		return false;
	for (unsigned int i = 0; i < PROBE_PKTS; i++) {
		for (unsigned int n = 0; n < PROBE_LEN; n++)
			ok &= packet(p, i)[n] == (uint8_t)(pattern(round, i, n) ^ PROBE_MASK);
		ok &= packet(p, i)[PROBE_LEN] == 0;
		ok &= v[i].action == APIR_ACTION_FORWARD && v[i].port == i &&
		      v[i].meta == round + 1000 + packet(p, i)[0];
	}
	return ok;
}

static enum apir_status
prepare(struct probe *p, struct exec_err *err)
{
	struct exec_region regions[PROBE_REGIONS];
	struct exec_stage stage = {.group = false};
	const uint32_t mask = PROBE_MASK;
	enum apir_status s;
	const char *log;
	bool cached;
	uint32_t nb;

	for (unsigned int i = 0; i < PROBE_REGIONS; i++) {
		/* Shared, as guest memory is. */
		p->mem[i] = mmap(NULL, PROBE_SIZE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (p->mem[i] == MAP_FAILED) {
			p->mem[i] = NULL;
			return exec_err_set(err, APIR_S_NOMEM, "out of memory for a probe");
		}
		regions[i].va = p->mem[i];
		regions[i].size = PROBE_SIZE;
	}
	s = p->ops->mem_set(p->dev, PROBE_SESSION, regions, PROBE_REGIONS, err);
	if (s == APIR_S_OK)
		s = p->ops->program_create(p->dev, probe_source, sizeof(probe_source) - 1, "",
					   &p->prog, &log, &cached, err);
	if (s == APIR_S_BUILD)
		exec_err_set(err, s,
			     "the device's compiler does not build apir's own kernel: %.800s", log);
	if (s == APIR_S_OK)
		s = p->ops->kernel_create(p->prog, "probe", &p->kernel, &nb, err);
	if (s == APIR_S_OK)
		s = p->ops->kernel_set_arg(p->kernel, 0, &mask, sizeof(mask), NULL, err);
	stage.kernel = p->kernel;
	if (s == APIR_S_OK)
		s = p->ops->pipeline_create(p->dev, &stage, 1, &p->pipe, err);
	if (s != APIR_S_OK)
		return s;
	p->queue = p->ops->queue_create(p->dev, PROBE_SESSION, -1, err);
	return p->queue != NULL ? APIR_S_OK : APIR_S_NOMEM;
}

static void
finish(struct probe *p)
{
	if (p->queue != NULL)
		p->ops->queue_destroy(p->queue);
	if (p->pipe != NULL)
		p->ops->pipeline_destroy(p->pipe);
	if (p->kernel != NULL)
		p->ops->kernel_destroy(p->kernel);
	if (p->prog != NULL)
		p->ops->program_destroy(p->prog);
	p->ops->mem_set(p->dev, PROBE_SESSION, NULL, 0, NULL);
	for (unsigned int i = 0; i < PROBE_REGIONS; i++)
		if (p->mem[i] != NULL)
			munmap(p->mem[i], PROBE_SIZE);
}

bool
exec_probe(const struct exec_ops *ops, struct exec_dev *dev, struct exec_err *err)
{
	struct probe p = {.ops = ops, .dev = dev};
	bool ok = prepare(&p, err) == APIR_S_OK;

	for (unsigned int round = 0; ok && round < ROUNDS; round++) {
		ok = one_round(&p, round);
		if (!ok)
			exec_err_set(err, APIR_S_DEVICE,
				     "a kernel's work on host memory does not come out right");
	}
	finish(&p);
	return ok;
}
