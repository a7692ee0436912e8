/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * The native side: what a DPDK program would do with OpenCL alone. It fills the packet table from the mbufs, launches the
 * kernel and waits, on one core. Arguments are set once.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <CL/cl.h>
#include <rte_cycles.h>
#include <rte_malloc.h>

#include "apir_table.h"
#include "bench.h"
#include "consume.h"
#include "sources.h"

#define MAX_DEVICES 64u

static struct {
	cl_device_id device;
	cl_context context;
	cl_command_queue queue;
	cl_program program;
	cl_kernel kernels[NB_CASES];
	size_t local_size;
	struct apir_table *table;
	char spec[16];
	char name[256];
} native;

static int
fail(const char *what, cl_int err)
{
	fprintf(stderr, "apir-bench: native side: %s: OpenCL error %d\n", what, err);
	return -1;
}

/* "P:D", part of a name, or "auto": the first GPU, else the first device. */
static bool
device_matches(const char *want, unsigned int p, unsigned int d, const char *platform,
	       const char *device, cl_device_type type, bool gpu_only)
{
	char spec[16];

	if (strcmp(want, "auto") == 0)
		return !gpu_only || (type & CL_DEVICE_TYPE_GPU) != 0;
	snprintf(spec, sizeof(spec), "%u:%u", p, d);
	return strcmp(want, spec) == 0 || strcasestr(device, want) != NULL ||
	       strcasestr(platform, want) != NULL;
}

static bool
find_among(const char *want, cl_platform_id *platforms, cl_uint nb_platforms, bool gpu_only)
{
	for (cl_uint p = 0; p < nb_platforms; p++) {
		cl_device_id devices[MAX_DEVICES];
		char platform[256] = "";
		cl_uint nb = 0;

		if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, MAX_DEVICES, devices, &nb) !=
		    CL_SUCCESS)
			continue;
		clGetPlatformInfo(platforms[p], CL_PLATFORM_NAME, sizeof(platform), platform, NULL);
		for (cl_uint d = 0; d < RTE_MIN(nb, MAX_DEVICES); d++) {
			cl_device_type type = 0;

			native.name[0] = '\0';
			clGetDeviceInfo(devices[d], CL_DEVICE_NAME, sizeof(native.name),
					native.name, NULL);
			clGetDeviceInfo(devices[d], CL_DEVICE_TYPE, sizeof(type), &type, NULL);
			if (!device_matches(want, p, d, platform, native.name, type, gpu_only))
				continue;
			native.device = devices[d];
			snprintf(native.spec, sizeof(native.spec), "%u:%u", p, d);
			return true;
		}
	}
	return false;
}

static int
device_find(const char *want)
{
	cl_platform_id platforms[16];
	cl_uint nb = 0;

	/* PoCL's device that runs in the calling thread, as apird chooses; before PoCL is first used. */
	setenv("POCL_DEVICES", "basic", 0);
	if (clGetPlatformIDs(RTE_DIM(platforms), platforms, &nb) != CL_SUCCESS || nb == 0) {
		fprintf(stderr, "apir-bench: no OpenCL platform: install one (pocl-opencl-icd)\n");
		return -1;
	}
	nb = RTE_MIN(nb, (cl_uint)RTE_DIM(platforms));
	if ((strcmp(want, "auto") == 0 && find_among(want, platforms, nb, true)) ||
	    find_among(want, platforms, nb, false))
		return 0;
	fprintf(stderr, "apir-bench: no OpenCL device matches --device %s: clinfo -l lists them\n",
		want);
	return -1;
}

/* Whether kernels may follow host pointers: guaranteed with fine-grain system SVM; PoCL's CPU devices can and don't say so. */
static bool
reads_host_pointers(void)
{
	cl_device_svm_capabilities svm = 0;
	cl_device_type type = 0;
	char version[256] = "";

	clGetDeviceInfo(native.device, CL_DEVICE_SVM_CAPABILITIES, sizeof(svm), &svm, NULL);
	clGetDeviceInfo(native.device, CL_DEVICE_TYPE, sizeof(type), &type, NULL);
	clGetDeviceInfo(native.device, CL_DEVICE_VERSION, sizeof(version), version, NULL);
	return (svm & CL_DEVICE_SVM_FINE_GRAIN_SYSTEM) != 0 ||
	       ((type & CL_DEVICE_TYPE_CPU) != 0 && strcasestr(version, "pocl") != NULL);
}

static int
program_build(void)
{
	const char *source = source_native;
	cl_int err;

	native.program = clCreateProgramWithSource(native.context, 1, &source, NULL, &err);
	if (native.program == NULL)
		return fail("clCreateProgramWithSource", err);
	err = clBuildProgram(native.program, 1, &native.device, "-DAPIR_MODE_RAW", NULL, NULL);
	if (err != CL_SUCCESS) {
		static char log[16384];

		clGetProgramBuildInfo(native.program, native.device, CL_PROGRAM_BUILD_LOG,
				      sizeof(log) - 1, log, NULL);
		fprintf(stderr, "%s\n", log);
		return fail("clBuildProgram", err);
	}
	for (unsigned int c = 0; c < NB_CASES; c++) {
		native.kernels[c] = clCreateKernel(native.program, case_kernels[c], &err);
		if (native.kernels[c] == NULL)
			return fail(case_kernels[c], err);
		err = clSetKernelArgSVMPointer(native.kernels[c], 0, native.table);
		if (err != CL_SUCCESS)
			return fail("clSetKernelArgSVMPointer", err);
	}
	return 0;
}

int
native_open(const char *device, unsigned int local_size, unsigned int max_burst)
{
	cl_int err;

	if (device_find(device) != 0)
		return -1;
	if (!reads_host_pointers()) {
		fprintf(stderr,
			"apir-bench: %s: its kernels can't follow host pointers, so that the "
			"native side can't run on it: choose another --device\n",
			native.name);
		return -1;
	}
	native.local_size = local_size > 0 ? local_size : NATIVE_LOCAL_SIZE;
	native.table = rte_zmalloc(
		"bench table", sizeof(struct apir_table) + max_burst * sizeof(struct apir_pkt), 64);
	if (native.table == NULL) {
		fprintf(stderr, "apir-bench: no memory for the packet table\n");
		return -1;
	}
	native.context = clCreateContext(NULL, 1, &native.device, NULL, NULL, &err);
	if (native.context == NULL)
		return fail("clCreateContext", err);
	native.queue =
		clCreateCommandQueueWithProperties(native.context, native.device, NULL, &err);
	if (native.queue == NULL)
		return fail("clCreateCommandQueueWithProperties", err);
	return program_build();
}

void
native_close(void)
{
	for (unsigned int c = 0; c < NB_CASES; c++)
		if (native.kernels[c] != NULL)
			clReleaseKernel(native.kernels[c]);
	if (native.program != NULL)
		clReleaseProgram(native.program);
	if (native.queue != NULL)
		clReleaseCommandQueue(native.queue);
	if (native.context != NULL)
		clReleaseContext(native.context);
	rte_free(native.table);
	memset(&native, 0, sizeof(native));
}

const char *
native_device_spec(void)
{
	return native.spec;
}

const char *
native_device_name(void)
{
	return native.name;
}

/* What apird does with a burst, from mbufs instead of descriptors. */
static void
table_fill(struct apir_table *t, const struct pkt_set *set, unsigned int nb)
{
	struct apir_pkt *pkts = (struct apir_pkt *)(t + 1);

	t->count = nb;
	t->segs_off = (uint32_t)(sizeof(*t) + nb * sizeof(*pkts));
	t->verdicts = (uintptr_t)set->verdicts;
	t->cookie = 0;
	for (unsigned int i = 0; i < nb; i++) {
		const struct rte_mbuf *m = set->mbufs[i];

		pkts[i].addr = rte_pktmbuf_mtod(m, uintptr_t);
		pkts[i].len = m->data_len;
		pkts[i].nseg = m->nb_segs;
		pkts[i].extra = 0;
	}
	memset(set->verdicts, 0, nb * sizeof(uint64_t));
}

static inline cl_int
native_burst(struct traffic *t)
{
	const size_t local = native.local_size;
	const size_t global = (t->burst + local - 1) / local * local;
	struct pkt_set *set = &t->sets[t->next];
	cl_int err;

	table_fill(native.table, set, t->burst);
	err = clEnqueueNDRangeKernel(native.queue, native.kernels[t->kernel], 1, NULL, &global,
				     &local, 0, NULL, NULL);
	if (err != CL_SUCCESS)
		return err;
	err = clFinish(native.queue);
	set->applied++;
	t->next = t->next + 1 == t->nb_sets ? 0 : t->next + 1;
	consume(set->verdicts, t->burst);
	return err;
}

static uint64_t
native_throughput(struct traffic *t, unsigned int nb)
{
	const uint64_t start = rte_rdtsc();

	for (unsigned int i = 0; i < nb; i++) {
		cl_int err = native_burst(t);

		if (err != CL_SUCCESS) {
			fail("launch", err);
			return 0;
		}
	}
	return rte_rdtsc() - start;
}

static int
native_latency(struct traffic *t, unsigned int nb, uint64_t *out)
{
	for (unsigned int i = 0; i < nb; i++) {
		const uint64_t start = rte_rdtsc();
		cl_int err = native_burst(t);

		out[i] = rte_rdtsc() - start;
		if (err != CL_SUCCESS)
			return fail("launch", err);
	}
	return 0;
}

const struct side side_native = {
	.name = "native",
	.throughput = native_throughput,
	.latency = native_latency,
};
