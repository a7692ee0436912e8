/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * Which copy mode works is found by running a kernel on real memory, in a context of its own that a fault may spoil: twice,
 * since a driver that works on a shadow copy of host memory can be right once.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <time.h>

#include "opencl.h"

#define PROBE_PKTS    48u
#define PROBE_STRIDE  2432u /* as packets lie in an mbuf pool */
#define PROBE_LEN     200u
#define PROBE_SESSION 0u
#define PROBE_MASK    0x5au
#define PROBE_REGIONS 2u
#define PROBE_SIZE    (1u << 20) /* bytes of each region */
#define PROBE_VERDICT (PROBE_SIZE - 4096u)
#define PROBE_WAIT_S  5

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
	struct exec_burst *b = ocl_burst_get(p->queue);
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
	if (!ocl_submit(p->queue, p->pipe, b)) {
		clock_gettime(CLOCK_MONOTONIC, &begin);
		while ((b = ocl_poll(p->queue)) == NULL) {
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
	const cl_uint mask = PROBE_MASK;
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
	s = ocl_mem_set(p->dev, PROBE_SESSION, regions, PROBE_REGIONS, err);
	if (s == APIR_S_OK)
		s = ocl_program_create(p->dev, probe_source, sizeof(probe_source) - 1, "", &p->prog,
				       &log, &cached, err);
	if (s == APIR_S_BUILD)
		exec_err_set(err, s,
			     "the device's compiler does not build apir's own kernel: %.800s", log);
	if (s == APIR_S_OK)
		s = ocl_kernel_create(p->prog, "probe", &p->kernel, &nb, err);
	if (s == APIR_S_OK)
		s = ocl_kernel_set_arg(p->kernel, 0, &mask, sizeof(mask), NULL, err);
	stage.kernel = p->kernel;
	if (s == APIR_S_OK)
		s = ocl_pipeline_create(p->dev, &stage, 1, &p->pipe, err);
	if (s != APIR_S_OK)
		return s;
	p->queue = ocl_queue_create(p->dev, PROBE_SESSION, -1, err);
	return p->queue != NULL ? APIR_S_OK : APIR_S_NOMEM;
}

static void
finish(struct probe *p)
{
	ocl_queue_destroy(p->queue);
	ocl_pipeline_destroy(p->pipe);
	ocl_kernel_destroy(p->kernel);
	ocl_program_destroy(p->prog);
	if (p->dev != NULL)
		ocl_mem_set(p->dev, PROBE_SESSION, NULL, 0, NULL);
	ocl_close(p->dev);
	for (unsigned int i = 0; i < PROBE_REGIONS; i++)
		if (p->mem[i] != NULL)
			munmap(p->mem[i], PROBE_SIZE);
}

static bool
mode_works(const struct ocl_found *f, const struct exec_config *cfg, enum apir_copy_mode mode,
	   struct exec_err *err)
{
	struct exec_config quiet = *cfg;
	struct probe p = {0};
	bool ok;

	/* A failure is an answer here, nothing for the log; and the probe needs little memory whatever the guest may have. */
	quiet.log = NULL;
	quiet.max_pkts = PROBE_PKTS;
	quiet.max_segs = PROBE_PKTS;
	quiet.max_device_memory = 0;
	p.dev = ocl_device_make(f, &quiet, mode, err);
	ok = p.dev != NULL && prepare(&p, err) == APIR_S_OK;
	for (unsigned int round = 0; ok && round < 3; round++) {
		ok = one_round(&p, round);
		if (!ok)
			exec_err_set(err, APIR_S_DEVICE,
				     "a kernel's work on host memory does not come out right");
	}
	finish(&p);
	return ok;
}

/* Addresses of the host mean something to the device: else the probe itself would fault, on a GPU with noise in its log. */
static bool
may_take_addresses(const struct ocl_found *f)
{
	cl_device_svm_capabilities svm = 0;
	char version[64];

	if ((f->type & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR)) == 0)
		return true;
	ocl_device_string(f->id, CL_DEVICE_VERSION, version, sizeof(version));
	if (strncmp(version, "OpenCL 1.", 9) == 0 ||
	    clGetDeviceInfo(f->id, CL_DEVICE_SVM_CAPABILITIES, sizeof(svm), &svm, NULL) !=
		    CL_SUCCESS)
		return false;
	return (svm & CL_DEVICE_SVM_FINE_GRAIN_SYSTEM) != 0;
}

int
ocl_probe(const struct ocl_found *f, const struct exec_config *cfg, enum apir_copy_mode *mode,
	  struct exec_err *err)
{
	static const enum apir_copy_mode fastest_first[] = {APIR_COPY_NONE_RAW, APIR_COPY_NONE_BASE,
							    APIR_COPY_STAGED};
	const char *want = cfg->copy_mode;
	bool any = want == NULL || want[0] == '\0' || strcasecmp(want, "auto") == 0, known = any;
	struct exec_err why = {"the device takes no addresses of host memory"};

	for (unsigned int i = 0; i < 3; i++) {
		const char *name = ocl_mode_name(fastest_first[i]);

		if (!any && strcasecmp(want, name) != 0)
			continue;
		known = true;
		if (fastest_first[i] == APIR_COPY_NONE_RAW && !may_take_addresses(f))
			continue;
		if (mode_works(f, cfg, fastest_first[i], &why)) {
			*mode = fastest_first[i];
			return 0;
		}
	}
	if (!known)
		exec_err_set(err, APIR_S_INVAL,
			     "copy mode '%s' is unknown: it is auto, raw, base or staged", want);
	else if (any)
		exec_err_set(err, APIR_S_DEVICE,
			     "OpenCL device %u:%u '%s' does not work in any copy mode: %.800s",
			     f->p, f->d, f->name, why.text);
	else
		exec_err_set(err, APIR_S_UNSUPPORTED,
			     "copy mode '%s' does not work on OpenCL device %u:%u '%s': %.700s; "
			     "use auto",
			     want, f->p, f->d, f->name, why.text);
	return -1;
}
