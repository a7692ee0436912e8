/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The direct side: what a DPDK program does that owns the GPU and launches its kernels through CUDA's driver API. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_memory.h>

#include "apir_table.h"
#include "cuda_api.h"
#include "fib.h"
#include "gpubench.h"

#define MAX_RANGES  256u
#define MAX_STREAMS 16u

struct slot {
	struct apir_table *table;
	CUevent event;
};

static struct {
	CUcontext context;
	CUfunction functions[NB_KERNELS];
	CUdeviceptr fib4, fib6, ports;
	struct slot *slots[MAX_QUEUES];
	CUstream streams[MAX_QUEUES][MAX_STREAMS];
	unsigned int nb_streams, nb_slots, nb_queues;
	pthread_mutex_t lock;
	void *ranges[MAX_RANGES]; /* registered with the driver */
	unsigned int nb_ranges;
	size_t registered;
	char name[256];
	int driver;
} direct = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int
range_register(const struct rte_memseg_list *msl, const struct rte_memseg *ms, size_t len,
	       void *arg)
{
	CUdeviceptr seen = 0;
	CUresult rc;

	RTE_SET_USED(arg);
	if (msl->external)
		return 0;
	if (direct.nb_ranges == MAX_RANGES)
		return cuda_fail("too many memory ranges", 0);
	rc = cu.host_register(ms->addr, len,
			      CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
	if (rc != CUDA_SUCCESS)
		return cuda_fail("cuMemHostRegister", rc);
	direct.ranges[direct.nb_ranges++] = ms->addr;
	direct.registered += len;
	rc = cu.host_device_pointer(&seen, ms->addr, 0);
	if (rc != CUDA_SUCCESS || seen != (uintptr_t)ms->addr)
		return cuda_fail("the device sees the packets at other addresses", rc);
	return 0;
}

static void
memory_unregister(void)
{
	while (direct.nb_ranges > 0)
		cu.host_unregister(direct.ranges[--direct.nb_ranges]);
	direct.registered = 0;
}

static int
range_count(const struct rte_memseg_list *msl, const struct rte_memseg *ms, size_t len, void *arg)
{
	RTE_SET_USED(ms);
	if (!msl->external)
		*(size_t *)arg += len;
	return 0;
}

/* All of EAL's memory, again if it has grown. */
static int
memory_register(void)
{
	size_t now = 0;

	rte_memseg_contig_walk(range_count, &now);
	if (now == direct.registered)
		return 0;
	memory_unregister();
	return rte_memseg_contig_walk(range_register, NULL);
}

static int
device_open(void)
{
	CUdevice device;
	CUresult rc;
	int same = 0;

	if (cuda_load() != 0)
		return -1;
	rc = cu.init(0);
	if (rc == CUDA_SUCCESS)
		rc = cu.device_get(&device, 0);
	if (rc != CUDA_SUCCESS)
		return cuda_fail("no device", rc);
	cu.device_name(direct.name, sizeof(direct.name), device);
	cu.driver_version(&direct.driver);
	rc = cu.device_attribute(&same, CU_ATTR_HOST_POINTER_FOR_REGISTERED, device);
	if (rc != CUDA_SUCCESS || !same)
		return cuda_fail("kernels can't use host pointers of registered memory", rc);
	rc = cu.ctx_create(&direct.context, CU_CTX_SCHED_SPIN | CU_CTX_MAP_HOST, device);
	return rc == CUDA_SUCCESS ? 0 : cuda_fail("cuCtxCreate", rc);
}

static int
module_open(const struct options *o, const char *const *files, enum kernel first, enum kernel last)
{
	char *source = kernel_source(o, files), *ptx = NULL;
	CUmodule module;
	CUresult rc;

	if (source != NULL)
		ptx = ptx_build(source);
	free(source);
	if (ptx == NULL)
		return -1;
	rc = cu.module_load(&module, ptx);
	free(ptx);
	if (rc != CUDA_SUCCESS)
		return cuda_fail("cuModuleLoadData", rc);
	for (enum kernel k = first; k <= last; k++) {
		rc = cu.module_function(&direct.functions[k], module, kernel_functions[k]);
		if (rc != CUDA_SUCCESS)
			return cuda_fail(kernel_functions[k], rc);
	}
	return 0;
}

static int
upload(const void *data, size_t size, CUdeviceptr *to)
{
	CUresult rc = cu.mem_alloc(to, size);

	if (rc == CUDA_SUCCESS)
		rc = cu.copy_to_device(*to, data, size);
	return rc == CUDA_SUCCESS ? 0 : cuda_fail("route tables", rc);
}

static int
tables_upload(void)
{
	struct fib fib;
	char err[256];
	int rc;

	if (fib_build(&fib, &routes.v4, 0, err, sizeof(err)) != 0)
		goto fail;
	rc = upload(fib.entries, fib_size(&fib), &direct.fib4);
	fib_free(&fib);
	if (rc != 0)
		return -1;
	if (fib_build(&fib, &routes.v6, routes.v4.nb, err, sizeof(err)) != 0)
		goto fail;
	rc = upload(fib.entries, fib_size(&fib), &direct.fib6);
	fib_free(&fib);
	return rc != 0 ? -1 : upload(route_ports, sizeof(route_ports), &direct.ports);
fail:
	fprintf(stderr, "apir-gpu-bench: direct: %s\n", err);
	return -1;
}

static int
queue_open(unsigned int q)
{
	CUresult rc = CUDA_SUCCESS;

	direct.slots[q] = calloc(direct.nb_slots, sizeof(struct slot));
	if (direct.slots[q] == NULL)
		return cuda_fail("no memory", 0);
	for (unsigned int i = 0; i < direct.nb_streams && rc == CUDA_SUCCESS; i++)
		rc = cu.stream_create(&direct.streams[q][i], CU_STREAM_NON_BLOCKING);
	for (unsigned int s = 0; s < direct.nb_slots && rc == CUDA_SUCCESS; s++) {
		struct slot *slot = &direct.slots[q][s];

		slot->table = rte_zmalloc(
			"table", sizeof(struct apir_table) + MAX_BURST * sizeof(struct apir_pkt),
			64);
		if (slot->table == NULL)
			return cuda_fail("no hugepages for packet tables", 0);
		rc = cu.event_create(&slot->event, CU_EVENT_DISABLE_TIMING);
	}
	return rc == CUDA_SUCCESS ? 0 : cuda_fail("streams and events", rc);
}

static int
direct_open(const struct options *o)
{
	static const char *const bench[] = {"apir_table.h", "apir_kernel.h", "kernels.cl", NULL};
	static const char *const l3fwd[] = {"apir_table.h", "apir_kernel.h", "l3fwd.cl", NULL};

	direct.nb_streams = RTE_MIN(o->streams, MAX_STREAMS);
	direct.nb_slots = options_max_depth(o);
	direct.nb_queues = o->queues;
	if (device_open() != 0 || module_open(o, bench, KERNEL_XOR, KERNEL_HEADER) != 0)
		return -1;
	if (o->kernels[KERNEL_L3FWD] &&
	    (module_open(o, l3fwd, KERNEL_L3FWD, KERNEL_L3FWD) != 0 || tables_upload() != 0))
		return -1;
	for (unsigned int q = 0; q < o->queues; q++)
		if (queue_open(q) != 0)
			return -1;
	return 0;
}

static void
direct_close(void)
{
	if (direct.context != NULL) {
		cu.ctx_sync();
		memory_unregister();
		cu.ctx_destroy(direct.context);
		direct.context = NULL;
	}
	for (unsigned int q = 0; q < direct.nb_queues; q++) {
		for (unsigned int s = 0; direct.slots[q] != NULL && s < direct.nb_slots; s++)
			rte_free(direct.slots[q][s].table);
		free(direct.slots[q]);
		direct.slots[q] = NULL;
	}
}

static int
direct_prepare(struct queue *q)
{
	CUresult rc = cu.ctx_set(direct.context);
	int ret;

	RTE_SET_USED(q);
	if (rc != CUDA_SUCCESS)
		return cuda_fail("cuCtxSetCurrent", rc);
	pthread_mutex_lock(&direct.lock);
	ret = memory_register();
	pthread_mutex_unlock(&direct.lock);
	return ret;
}

/* As apird does for each burst. */
static inline void
table_fill(struct apir_table *t, struct pkt_set *set, unsigned int nb)
{
	struct apir_pkt *pkts = (struct apir_pkt *)(t + 1);

	t->count = nb;
	t->segs_off = (uint32_t)(sizeof(*t) + nb * sizeof(*pkts));
	t->verdicts = (uintptr_t)set->verdicts;
	for (unsigned int i = 0; i < nb; i++) {
		const struct rte_mbuf *m = set->mbufs[i];

		pkts[i].addr = rte_pktmbuf_mtod(m, uintptr_t);
		pkts[i].len = m->data_len;
		pkts[i].nseg = m->nb_segs;
		pkts[i].extra = 0;
	}
	memset(set->verdicts, 0, nb * sizeof(uint64_t));
}

static int
direct_submit(struct queue *q, unsigned int s)
{
	const struct test_case *tc = q->tc;
	struct slot *slot = &direct.slots[q->id][s];
	CUstream stream = direct.streams[q->id][s % direct.nb_streams];
	CUdeviceptr table = (uintptr_t)slot->table;
	void *params[] = {&table, &direct.fib4, &direct.fib6, &direct.ports};
	const unsigned int groups = tc->group ? tc->burst : (tc->burst + tc->local - 1) / tc->local;
	CUresult rc;

	table_fill(slot->table, &q->sets[s], tc->burst);
	rc = cu.launch(direct.functions[tc->kernel], groups, 1, 1, tc->local, 1, 1, 0, stream,
		       params, NULL);
	if (likely(rc == CUDA_SUCCESS))
		rc = cu.event_record(slot->event, stream);
	return likely(rc == CUDA_SUCCESS) ? 0 : cuda_fail("launch", rc);
}

static int
direct_poll(struct queue *q, unsigned int s)
{
	const CUresult rc = cu.event_query(direct.slots[q->id][s].event);

	if (rc == CUDA_ERROR_NOT_READY)
		return 0;
	return likely(rc == CUDA_SUCCESS) ? 1 : cuda_fail("kernel", rc);
}

static void
direct_describe(FILE *f)
{
	fprintf(f, "\"device\": \"%s\", \"driver\": %d, \"streams\": %u", direct.name,
		direct.driver, direct.nb_streams);
}

const struct side side_direct = {
	.name = "direct",
	.open = direct_open,
	.close = direct_close,
	.prepare = direct_prepare,
	.submit = direct_submit,
	.poll = direct_poll,
	.describe = direct_describe,
};
