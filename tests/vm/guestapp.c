/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/**
 * @file
 * A small DPDK program for the guests of tests/vm, on librte_apir:
 *
 *   guestapp EAL-OPTIONS -- open    [CONF...]  open the device, say what it is, close it
 *   guestapp EAL-OPTIONS -- where   [CONF...]  where packets lie, and where the kernel finds them
 *   guestapp EAL-OPTIONS -- load    [CONF...]  bursts until a line comes on stdin, every byte checked
 *   guestapp EAL-OPTIONS -- cost    [CONF...]  ticks of the guest's clock for enqueue and dequeue
 *
 * CONF: path=, pci=, timeout_ms=, queues=, burst=, and pool= packets. Exit code 0: all is well; else the reason is on stderr.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include <rte_apir.h>

#define POOL  2047
#define BURST 64
#define LEN   200u

static struct rte_mempool *pool;
static unsigned int pool_size = POOL;
static uint16_t dev;

static void
fail(const char *what)
{
	fprintf(stderr, "guestapp: %s\n", what);
	exit(1);
}

static void
must(int ret, const char *what)
{
	if (ret == 0)
		return;
	fprintf(stderr, "guestapp: %s: %s\n", what, rte_apir_last_error());
	exit(1);
}

static uint32_t
make_pipeline(const char *source, const char *name, uint32_t buffer)
{
	struct rte_apir_stage stage = {0};
	uint32_t prog, pipeline;

	must(rte_apir_program_create(dev, source, strlen(source), NULL, &prog, NULL), "program");
	must(rte_apir_kernel_create(dev, prog, name, &stage.kernel, NULL), "kernel");
	if (buffer != 0)
		must(rte_apir_kernel_set_buffer(dev, stage.kernel, 0, buffer), "argument");
	must(rte_apir_pipeline_create(dev, &stage, 1, &pipeline), "pipeline");
	return pipeline;
}

static void
fill(struct rte_mbuf *m, uint8_t seed)
{
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, LEN);

	for (uint32_t i = 0; i < LEN; i++)
		p[i] = (uint8_t)(seed + i);
}

/* One burst there and back: the same mbufs, in order, each byte as the kernel leaves it. Returns packets lost with the back-end. */
static unsigned int
round_trip(uint32_t pipeline, uint8_t seed, uint8_t key, uint64_t ticks[2])
{
	struct rte_apir_verdict v[BURST];
	struct rte_mbuf *in[BURST], *out[BURST];
	unsigned int n = 0, lost = 0, got;
	const uint64_t limit = rte_get_timer_cycles() + 60 * rte_get_timer_hz();
	uint64_t t;

	if (rte_pktmbuf_alloc_bulk(pool, in, BURST) != 0)
		fail("an mbuf is missing");
	for (unsigned int i = 0; i < BURST; i++)
		fill(in[i], (uint8_t)(seed + i));
	t = rte_rdtsc();
	got = rte_apir_enqueue_burst(dev, 0, pipeline, in, BURST);
	ticks[0] = rte_rdtsc() - t;
	if (got != BURST) {
		fprintf(stderr, "guestapp: %u of %u packets are taken: %s\n", got, BURST,
			rte_strerror(rte_errno));
		exit(1);
	}
	while (n < BURST) {
		t = rte_rdtsc();
		got = rte_apir_dequeue_burst(dev, 0, out + n, v + n, (uint16_t)(BURST - n));
		ticks[1] = rte_rdtsc() - t;
		n += got;
		if (rte_get_timer_cycles() > limit)
			fail("a burst did not come back within a minute");
	}
	for (unsigned int i = 0; i < BURST; i++) {
		const uint8_t *p = rte_pktmbuf_mtod(out[i], uint8_t *);

		if (out[i] != in[i])
			fail("another mbuf came back");
		lost += v[i].action != RTE_APIR_ACTION_FORWARD;
		for (uint32_t k = 0; v[i].action == RTE_APIR_ACTION_FORWARD && k < LEN; k++)
			if (p[k] != (uint8_t)((uint8_t)(seed + i + k) ^ key))
				fail("a byte is wrong");
	}
	rte_pktmbuf_free_bulk(out, BURST);
	return lost;
}

static const char where_source[] = "__kernel void where(APIR_BURST, __global ulong *out)\n"
				   "{\n"
				   "	const uint i = apir_index();\n"
				   "	if (i >= apir_count()) return;\n"
				   "	out[i] = (ulong)apir_data(i);\n"
				   "	apir_data(i)[0] ^= 0x55;\n"
				   "}\n";

static int
by_address(const void *a, const void *b)
{
	const rte_iova_t x = (*(struct rte_mbuf *const *)a)->buf_iova;
	const rte_iova_t y = (*(struct rte_mbuf *const *)b)->buf_iova;

	return x < y ? -1 : x > y;
}

/* The packets that lie lowest and highest in physical memory: all mbufs are looked at. */
static void
take_outermost(struct rte_mbuf **in)
{
	struct rte_mbuf **all = calloc(pool_size, sizeof(*all));

	if (all == NULL || rte_pktmbuf_alloc_bulk(pool, all, pool_size) != 0)
		fail("an mbuf is missing");
	qsort(all, pool_size, sizeof(*all), by_address);
	memcpy(in, all, BURST / 2 * sizeof(*all));
	memcpy(in + BURST / 2, all + pool_size - BURST / 2, BURST / 2 * sizeof(*all));
	rte_pktmbuf_free_bulk(all + BURST / 2, pool_size - BURST);
	free(all);
}

/* One line a packet: its guest-physical address, and where the kernel read it, as apird sees that. */
static int
where(void)
{
	struct rte_mbuf *in[BURST], *out[BURST];
	uint64_t seen[BURST];
	struct rte_apir_stats stats;
	uint32_t buffer, p;
	unsigned int n = 0;

	must(rte_apir_buffer_create(dev, sizeof(seen), &buffer), "buffer");
	p = make_pipeline(where_source, "where", buffer);
	take_outermost(in);
	for (unsigned int i = 0; i < BURST; i++)
		fill(in[i], (uint8_t)i);
	if (rte_apir_enqueue_burst(dev, 0, p, in, BURST) != BURST)
		fail("not all packets are taken");
	while (n < BURST)
		n += rte_apir_dequeue_burst(dev, 0, out + n, NULL, (uint16_t)(BURST - n));
	must(rte_apir_buffer_read(dev, buffer, 0, seen, sizeof(seen)), "read");
	for (unsigned int i = 0; i < BURST; i++) {
		if (out[i] != in[i] || *rte_pktmbuf_mtod(out[i], uint8_t *) != (uint8_t)(i ^ 0x55))
			fail("not the packet that was sent");
		printf("packet %u: physical 0x%" PRIx64 " kernel 0x%" PRIx64 "\n", i,
		       (uint64_t)rte_pktmbuf_iova(in[i]), seen[i]);
	}
	must(rte_apir_stats_get(dev, 0, &stats), "statistics");
	printf("copied %" PRIu64 "\n", stats.copied_bytes);
	rte_pktmbuf_free_bulk(out, BURST);
	return 0;
}

static const char xor_source[] =
	"__kernel void flip(APIR_BURST)\n"
	"{\n"
	"	const uint i = apir_index();\n"
	"	if (i >= apir_count()) return;\n"
	"	for (uint k = 0; k < apir_len(i); k++) apir_data(i)[k] ^= 0xa5;\n"
	"}\n";

static int
load(void)
{
	const uint32_t p = make_pipeline(xor_source, "flip", 0);
	struct pollfd in = {.fd = 0, .events = POLLIN};
	uint64_t bursts = 0, ticks[2];

	puts("running");
	fflush(stdout);
	while (poll(&in, 1, 0) == 0) {
		if (round_trip(p, (uint8_t)bursts, 0xa5, ticks) != 0)
			fail("packets failed at the back-end");
		bursts++;
	}
	printf("%" PRIu64 " bursts of %u packets, each byte right\n", bursts, BURST);
	return 0;
}

/* The least of many rounds: what no interrupt disturbed. The clock ticks as the machine is run: see tests/vm. */
static int
cost(void)
{
	uint64_t least[2] = {UINT64_MAX, UINT64_MAX}, ticks[2], clock = UINT64_MAX, t;

	for (unsigned int i = 0; i < 300; i++) {
		if (round_trip(0, (uint8_t)i, 0, ticks) != 0)
			fail("packets failed at the back-end");
		t = rte_rdtsc();
		clock = RTE_MIN(clock, rte_rdtsc() - t);
		least[0] = RTE_MIN(least[0], ticks[0]);
		least[1] = RTE_MIN(least[1], ticks[1]);
	}
	printf("enqueue %" PRIu64 " dequeue %" PRIu64 " ticks for a burst of %u\n",
	       least[0] - clock, least[1] - clock, BURST);
	return 0;
}

static int
show(void)
{
	struct rte_apir_info info;

	must(rte_apir_info_get(dev, &info), "information");
	printf("open: %s %s, %s, %s, %u queues, bursts of %u\n", info.transport, info.address,
	       info.device, info.copy_mode, info.nb_queue_pairs, info.max_burst);
	return 0;
}

static void
parse(struct rte_apir_conf *conf, char *arg)
{
	if (strncmp(arg, "path=", 5) == 0)
		conf->path = arg + 5;
	else if (strncmp(arg, "pci=", 4) == 0)
		conf->pci = arg + 4;
	else if (strncmp(arg, "timeout_ms=", 11) == 0)
		conf->timeout_ms = (uint32_t)atoi(arg + 11);
	else if (strncmp(arg, "queues=", 7) == 0)
		conf->nb_queue_pairs = (uint16_t)atoi(arg + 7);
	else if (strncmp(arg, "burst=", 6) == 0)
		conf->max_burst = (uint16_t)atoi(arg + 6);
	else if (strncmp(arg, "pool=", 5) == 0)
		pool_size = (unsigned int)atoi(arg + 5);
	else
		fail("what is that argument?");
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*fn)(void);
	} commands[] = {{"open", show}, {"where", where}, {"load", load}, {"cost", cost}};
	struct rte_apir_conf conf = {.name = "guestapp"};
	const int used = rte_eal_init(argc, argv);
	unsigned int c;
	int ret = 2;

	if (used < 0)
		fail("EAL does not start");
	if (used + 1 >= argc)
		fail("open, where, load or cost?");
	for (int i = used + 2; i < argc; i++)
		parse(&conf, argv[i]);
	must(rte_apir_open(&conf, &dev), "open");
	pool = rte_pktmbuf_pool_create("packets", pool_size, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (pool == NULL)
		fail("no pool");
	for (c = 0; c < RTE_DIM(commands); c++)
		if (strcmp(argv[used + 1], commands[c].name) == 0)
			ret = commands[c].fn();
	must(rte_apir_close(dev), "close");
	if (ret == 0 && rte_mempool_avail_count(pool) != pool_size)
		fail("mbufs are missing from the pool");
	if (ret == 0)
		puts("done");
	rte_eal_cleanup();
	return ret;
}
