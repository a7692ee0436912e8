/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CL/cl.h>
#include <cmocka.h>
#include <rte_apir.h>
#include <rte_eal.h>

#include "apir_table.h"
#include "kernel_run.h"

#define MAX_SEGS 3

static cl_context ctx;
static cl_command_queue queue;
static cl_program program;
static cl_kernel kernel;
static cl_mem fib_mem[2], port_mem;
static struct fib fibs[2];
static struct cpu_fib *cpu_fib;
static struct rules *rules;
static struct l3fwd_port ports[256];
static uint32_t mtus[RUN_PORTS];
static uint32_t generation;

static char *
slurp(const char *dir, const char *name, size_t *len)
{
	char path[4096], *text;
	FILE *f;

	snprintf(path, sizeof(path), "%s%s%s", dir, *dir ? "/" : "", name);
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg("%s cannot be opened", path);
	fseek(f, 0, SEEK_END);
	*len = ftell(f);
	rewind(f);
	text = malloc(*len + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, *len, f), *len);
	text[*len] = '\0';
	fclose(f);
	return text;
}

/* PoCL takes host addresses in a kernel, which is what the raw mode is. */
static cl_device_id
find_pocl(void)
{
	cl_platform_id platforms[16];
	cl_uint nb = 0, i;
	cl_device_id dev;
	char name[128];

	clGetPlatformIDs(16, platforms, &nb);
	for (i = 0; i < nb && i < 16; i++) {
		clGetPlatformInfo(platforms[i], CL_PLATFORM_NAME, sizeof(name), name, NULL);
		if (strcmp(name, "Portable Computing Language") == 0 &&
		    clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_CPU, 1, &dev, NULL) == CL_SUCCESS)
			return dev;
	}
	fail_msg("PoCL is not installed: the package is pocl-opencl-icd");
	return NULL;
}

static void
start_eal(void)
{
	static char a0[] = "test", a1[] = "--no-huge", a2[] = "--no-shconf", a3[] = "--no-pci",
		    a4[] = "-m", a5[] = "640", a6[] = "--no-telemetry", a7[] = "-l", a8[] = "0",
		    a9[] = "--log-level=lib.eal:4";
	char *argv[] = {a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, NULL};

	assert_true(rte_eal_init(10, argv) >= 0);
}

int
run_setup(void **state)
{
	const char *names[] = {"apir_table.h", "apir_kernel.h", ""};
	const char *dirs[] = {TEST_KERNEL_HEADERS, TEST_KERNEL_HEADERS, TEST_KERNEL};
	char *text[3], *log;
	size_t len[3], log_len;
	cl_device_id dev;
	cl_int err;
	int i;

	(void)state;
	start_eal();
	dev = find_pocl();
	ctx = clCreateContext(NULL, 1, &dev, NULL, NULL, &err);
	assert_int_equal(err, CL_SUCCESS);
	queue = clCreateCommandQueueWithProperties(ctx, dev, NULL, &err);
	assert_int_equal(err, CL_SUCCESS);
	for (i = 0; i < 3; i++)
		text[i] = i < 2 ? slurp(dirs[i], names[i], &len[i]) : slurp("", dirs[i], &len[i]);
	program = clCreateProgramWithSource(ctx, 3, (const char **)text, len, &err);
	assert_int_equal(err, CL_SUCCESS);
	err = clBuildProgram(program, 1, &dev, "-Werror", NULL, NULL);
	if (err != CL_SUCCESS) {
		clGetProgramBuildInfo(program, dev, CL_PROGRAM_BUILD_LOG, 0, NULL, &log_len);
		log = malloc(log_len + 1);
		assert_non_null(log);
		clGetProgramBuildInfo(program, dev, CL_PROGRAM_BUILD_LOG, log_len, log, NULL);
		fail_msg("l3fwd.cl does not build: %s", log);
	}
	kernel = clCreateKernel(program, "l3fwd", &err);
	assert_int_equal(err, CL_SUCCESS);
	for (i = 0; i < 3; i++)
		free(text[i]);
	for (i = 0; i < RUN_PORTS; i++)
		mtus[i] = 1500;
	return 0;
}

static void
free_tables(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (fib_mem[i] != NULL)
			clReleaseMemObject(fib_mem[i]);
		fib_mem[i] = NULL;
		fib_free(&fibs[i]);
	}
	if (port_mem != NULL)
		clReleaseMemObject(port_mem);
	port_mem = NULL;
	cpu_fib_free(cpu_fib);
	cpu_fib = NULL;
	rules_free(rules);
	rules = NULL;
}

int
run_teardown(void **state)
{
	(void)state;
	free_tables();
	clReleaseKernel(kernel);
	clReleaseProgram(program);
	clReleaseCommandQueue(queue);
	clReleaseContext(ctx);
	return rte_eal_cleanup();
}

void
run_set_mtu(unsigned int port, uint32_t mtu)
{
	mtus[port] = mtu;
}

const struct l3fwd_port *
run_ports(void)
{
	return ports;
}

const struct rules *
run_rules(void)
{
	return rules;
}

/* A file in memory, with a name. */
static int
text_file(const char *text, char *path, size_t len)
{
	int fd = memfd_create("rules", 0);

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	snprintf(path, len, "/proc/self/fd/%d", fd);
	return fd;
}

static struct rules *
rules_from_text(const char *rules4, const char *rules6)
{
	char name4[64], name6[64], err[512] = "";
	struct rules_config cfg = {.ports = (1 << RUN_PORTS) - 1};
	struct rules *r;
	int fd4 = -1, fd6 = -1;

	if (rules4 != NULL) {
		fd4 = text_file(rules4, name4, sizeof(name4));
		cfg.file4 = name4;
	}
	if (rules6 != NULL) {
		fd6 = text_file(rules6, name6, sizeof(name6));
		cfg.file6 = name6;
	}
	r = rules_read(&cfg, NULL, err, sizeof(err));
	if (fd4 >= 0)
		close(fd4);
	if (fd6 >= 0)
		close(fd6);
	if (r == NULL)
		fail_msg("%s", err);
	return r;
}

void
run_set_rules(const char *rules4, const char *rules6)
{
	char err[512] = "";
	cl_int cl_err;
	unsigned int i, b;

	free_tables();
	rules = rules_from_text(rules4, rules6);
	assert_int_equal(fib_build(&fibs[0], &rules->v4, 0, err, sizeof(err)), 0);
	assert_int_equal(fib_build(&fibs[1], &rules->v6, rules->v4.nb, err, sizeof(err)), 0);
	cpu_fib = cpu_fib_create(rules, generation++, err, sizeof(err));
	if (cpu_fib == NULL)
		fail_msg("%s", err);
	memset(ports, 0, sizeof(ports));
	for (i = 0; i < RUN_PORTS; i++) {
		for (b = 0; b < sizeof(ports[i].mac); b++)
			((uint8_t *)ports[i].mac)[b] = 0x10 * i + b + 2;
		ports[i].mtu = mtus[i];
	}
	for (i = 0; i < 2; i++) {
		fib_mem[i] = clCreateBuffer(ctx, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR,
					    fib_size(&fibs[i]), fibs[i].entries, &cl_err);
		assert_int_equal(cl_err, CL_SUCCESS);
		assert_int_equal(clSetKernelArg(kernel, 1 + i, sizeof(cl_mem), &fib_mem[i]),
				 CL_SUCCESS);
	}
	port_mem = clCreateBuffer(ctx, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, sizeof(ports), ports,
				  &cl_err);
	assert_int_equal(cl_err, CL_SUCCESS);
	assert_int_equal(clSetKernelArg(kernel, 3, sizeof(cl_mem), &port_mem), CL_SUCCESS);
}

/* A packet in memory that the kernel may see: every segment in pages of its own, a forbidden page behind each. */
struct placed {
	uint8_t *map, *seg[MAX_SEGS];
	size_t map_len;
	uint32_t seg_len[MAX_SEGS];
	uint16_t nb;
};

static void
place(const struct test_packet *p, struct placed *out)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	size_t at = 0, room, size[MAX_SEGS];
	uint32_t rest = p->len - p->first, done = 0;
	unsigned int s;

	out->nb = 0;
	out->seg_len[out->nb++] = p->first;
	if (rest > 1) {
		out->seg_len[out->nb++] = rest / 2;
		rest -= rest / 2;
	}
	if (rest > 0)
		out->seg_len[out->nb++] = rest;
	out->map_len = 0;
	for (s = 0; s < out->nb; s++) {
		size[s] = (out->seg_len[s] + 64 + page - 1) / page * page + page;
		out->map_len += size[s];
	}
	out->map = mmap(NULL, out->map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	assert_true(out->map != MAP_FAILED);
	for (s = 0; s < out->nb; s++) {
		room = size[s] - page;
		assert_int_equal(mprotect(out->map + at + room, page, PROT_NONE), 0);
		out->seg[s] =
			out->map + at + (p->guarded || s > 0 ? room - out->seg_len[s] : p->offset);
		memcpy(out->seg[s], p->data + done, out->seg_len[s]);
		done += out->seg_len[s];
		at += size[s];
	}
}

static void
compare(const struct test_packet *p, const struct placed *pl, uint64_t word, uint32_t n,
	struct test_result *res)
{
	struct rte_apir_verdict got = {word & 0xffff, word >> 16 & 0xffff, word >> 32}, want;
	uint8_t *expect = malloc(p->len), *data = malloc(p->len);
	uint32_t done = 0, s, b;

	assert_non_null(expect);
	assert_non_null(data);
	memcpy(expect, p->data, p->len);
	want = cpu_route(cpu_fib, ports, expect, p->first, p->len);
	for (s = 0; s < pl->nb; s++) {
		memcpy(data + done, pl->seg[s], pl->seg_len[s]);
		done += pl->seg_len[s];
	}
	if (got.action != want.action || got.port != want.port || got.meta != want.meta)
		fail_msg("packet %u of %u bytes: the kernel says %u,%u,%u, the CPU %u,%u,%u", n,
			 p->len, got.action, got.port, got.meta, want.action, want.port, want.meta);
	for (b = 0; b < p->len; b++)
		if (data[b] != expect[b])
			fail_msg("packet %u of %u bytes: byte %u is %02x, and %02x from the CPU", n,
				 p->len, b, data[b], expect[b]);
	free(expect);
	if (res != NULL) {
		res->verdict = got;
		res->data = data;
	} else {
		free(data);
	}
}

static void
run_batch(const struct test_packet *pkts, uint32_t nb, struct test_result *results)
{
	const size_t table_len = sizeof(struct apir_table) + nb * sizeof(struct apir_pkt) +
				 nb * 2 * sizeof(struct apir_seg);
	struct apir_table *table = aligned_alloc(64, (table_len + 63) / 64 * 64);
	uint64_t *verdicts = calloc(nb, sizeof(*verdicts));
	struct placed *placed = calloc(nb, sizeof(*placed));
	struct apir_pkt *pkt = (struct apir_pkt *)(table + 1);
	struct apir_seg *seg;
	size_t global = (nb + 31) / 32 * 32, local = 32;
	uint32_t i, s, extra = 0;
	cl_mem mem;
	cl_int err;

	assert_true(table != NULL && verdicts != NULL && placed != NULL);
	memset(table, 0, sizeof(*table));
	table->count = nb;
	table->segs_off = sizeof(*table) + nb * sizeof(*pkt);
	table->verdicts = (uintptr_t)verdicts;
	seg = (struct apir_seg *)((uint8_t *)table + table->segs_off);
	for (i = 0; i < nb; i++) {
		place(&pkts[i], &placed[i]);
		pkt[i].addr = (uintptr_t)placed[i].seg[0];
		pkt[i].len = placed[i].seg_len[0];
		pkt[i].nseg = placed[i].nb;
		pkt[i].extra = extra;
		for (s = 1; s < placed[i].nb; s++) {
			seg[extra].addr = (uintptr_t)placed[i].seg[s];
			seg[extra++].len = placed[i].seg_len[s];
		}
		verdicts[i] = UINT64_MAX;
	}
	mem = clCreateBuffer(ctx, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, table_len, table, &err);
	assert_int_equal(err, CL_SUCCESS);
	assert_int_equal(clSetKernelArg(kernel, 0, sizeof(mem), &mem), CL_SUCCESS);
	assert_int_equal(
		clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL),
		CL_SUCCESS);
	assert_int_equal(clFinish(queue), CL_SUCCESS);
	clReleaseMemObject(mem);
	for (i = 0; i < nb; i++) {
		compare(&pkts[i], &placed[i], verdicts[i], i, results == NULL ? NULL : &results[i]);
		munmap(placed[i].map, placed[i].map_len);
	}
	free(table);
	free(verdicts);
	free(placed);
}

void
run_packets(const struct test_packet *pkts, uint32_t nb, struct test_result *results)
{
	/* Each packet takes mappings, of which a process has about 65000. */
	const uint32_t step = 4096;
	uint32_t i;

	for (i = 0; i < nb; i += step)
		run_batch(pkts + i, nb - i < step ? nb - i : step,
			  results == NULL ? NULL : results + i);
}

void
run_free_results(struct test_result *results, uint32_t nb)
{
	uint32_t i;

	for (i = 0; i < nb; i++)
		free(results[i].data);
}
