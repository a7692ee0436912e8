/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#include "librte_app.h"

#define MIB    ((size_t)1 << 20)
#define BURST  32
#define FLIGHT 8 /* bursts that the traffic thread keeps in flight */

static const char inc[] = "__kernel void inc(APIR_BURST)\n"
			  "{\n"
			  "	const uint i = apir_index();\n"
			  "	if (i < apir_count()) apir_data(i)[0]++;\n"
			  "}\n";

/*
 * Packets that go round without end: each comes back once for each time it went, its first byte one
 * higher.
 */
struct traffic {
	uint16_t dev, qp;
	uint32_t pipeline;
	pthread_t thread;
	atomic_bool quit;
	atomic_ulong rounds;
};

static void
one_round(struct traffic *t, struct rte_mbuf **pkts, uint8_t count)
{
	struct rte_mbuf *out[FLIGHT * BURST];
	struct rte_apir_verdict v[FLIGHT * BURST];
	unsigned int i, n = 0;

	for (i = 0; i < FLIGHT; i++)
		assert_int_equal(
			rte_apir_enqueue_burst(t->dev, t->qp, t->pipeline, pkts + i * BURST, BURST),
			BURST);
	while (n < FLIGHT * BURST) {
		const uint16_t k = rte_apir_dequeue_burst(t->dev, t->qp, out + n, v + n,
							  (uint16_t)(FLIGHT * BURST - n));

		n += k;
		if (k == 0)
			sched_yield();
	}
	for (i = 0; i < n; i++) {
		assert_ptr_equal(out[i], pkts[i]);
		assert_int_equal(v[i].action, RTE_APIR_ACTION_FORWARD);
		assert_int_equal(*rte_pktmbuf_mtod(out[i], uint8_t *), count);
	}
}

static void *
run_traffic(void *arg)
{
	struct traffic *t = arg;
	struct rte_mbuf *pkts[FLIGHT * BURST];
	uint8_t count = 0;
	unsigned int i;

	app_packets(app_pool, pkts, FLIGHT * BURST, 60);
	for (i = 0; i < FLIGHT * BURST; i++)
		*rte_pktmbuf_mtod(pkts[i], uint8_t *) = 0;
	while (!atomic_load(&t->quit)) {
		one_round(t, pkts, ++count);
		atomic_fetch_add(&t->rounds, 1);
	}
	rte_pktmbuf_free_bulk(pkts, FLIGHT * BURST);
	return NULL;
}

static void
start_traffic(struct traffic *t, uint16_t dev, uint16_t qp, uint32_t pipeline)
{
	*t = (struct traffic){.dev = dev, .qp = qp, .pipeline = pipeline};
	assert_int_equal(pthread_create(&t->thread, NULL, run_traffic, t), 0);
}

/* Some more packets have gone round since. */
static void
await_traffic(struct traffic *t, unsigned long rounds)
{
	const unsigned long until = atomic_load(&t->rounds) + rounds;
	const double end = app_now() + 60;

	while (atomic_load(&t->rounds) < until) {
		sched_yield();
		if (app_now() > end)
			fail_msg("traffic stands still");
	}
}

static void
stop_traffic(struct traffic *t)
{
	struct rte_apir_stats s;

	await_traffic(t, 2);
	atomic_store(&t->quit, true);
	assert_int_equal(pthread_join(t->thread, NULL), 0);
	assert_ok(rte_apir_stats_get(t->dev, t->qp, &s));
	assert_int_equal(s.refused, 0);
	assert_int_equal(s.errors, 0);
	assert_int_equal(s.dropped, 0);
	assert_int_equal(s.enq_pkts, s.deq_pkts);
}

static atomic_uint came, went;

static void
count_event(enum rte_mem_event type, const void *addr, size_t len, void *arg)
{
	(void)addr;
	(void)len;
	(void)arg;
	atomic_fetch_add(type == RTE_MEM_EVENT_ALLOC ? &came : &went, 1);
}

/* EAL's memory grows and shrinks; not a packet is lost, and what is new can be used at once. */
static void
test_grow_and_shrink(void **state)
{
	const uint16_t dev = app_open(NULL);
	const uint32_t pipeline = app_simple(dev, inc, "inc");
	struct traffic t;
	unsigned int i;
	uint8_t *p;

	(void)state;
	assert_int_equal(rte_mem_event_callback_register("count", count_event, NULL), 0);
	start_traffic(&t, dev, 0, pipeline);
	for (i = 0; i < 10; i++) {
		/* more than is free in what EAL began with */
		p = rte_malloc(NULL, 160 * MIB, 0);
		assert_non_null(p);
		assert_true(rte_apir_is_shared(dev, p, 160 * MIB));
		await_traffic(&t, 3);
		rte_free(p);
		assert_false(rte_apir_is_shared(dev, p, 160 * MIB));
		await_traffic(&t, 3);
	}
	stop_traffic(&t);
	assert_true(atomic_load(&came) >= 10 && atomic_load(&went) >= 10);
	assert_int_equal(rte_mem_event_callback_unregister("count", NULL), 0);
	app_close(dev);
}

static void
test_new_pool(void **state)
{
	const struct rte_apir_conf conf = {.nb_queue_pairs = 2};
	const uint16_t dev = app_open(&conf);
	const uint32_t pipeline = app_simple(dev, inc, "inc");
	struct rte_mbuf *pkts[BURST], *out[BURST];
	struct rte_apir_verdict v[BURST];
	struct rte_mempool *pool;
	struct traffic t;
	unsigned int i, round;
	uint8_t *filler;

	(void)state;
	start_traffic(&t, dev, 0, pipeline);
	for (round = 0; round < 3; round++) {
		/* take what is there, so that the pool needs memory of its own */
		filler = rte_malloc(NULL, 120 * MIB, 0);
		pool = rte_pktmbuf_pool_create("new", 16383, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM,
					       SOCKET_ID_ANY);
		assert_non_null(pool);
		for (i = 0; i < 16383 / BURST; i++) {
			app_packets(pool, pkts, BURST, 60);
			assert_int_equal(rte_apir_enqueue_burst(dev, 1, pipeline, pkts, BURST),
					 BURST);
			app_dequeue(dev, 1, out, v, BURST);
			assert_memory_equal(pkts, out, sizeof(out));
			assert_int_equal(v[BURST - 1].action, RTE_APIR_ACTION_FORWARD);
			assert_int_equal(*rte_pktmbuf_mtod(out[0], uint8_t *), 1);
			rte_pktmbuf_free_bulk(out, BURST);
		}
		rte_mempool_free(pool);
		rte_free(filler);
	}
	stop_traffic(&t);
	app_close(dev);
}

static void
on_ext_free(void *addr, void *arg)
{
	(void)addr;
	(void)arg;
}

static struct rte_mbuf_ext_shared_info shinfo = {.free_cb = on_ext_free};

/* A packet that lies at va. */
static struct rte_mbuf *
packet_at(void *va, uint16_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(app_pool);

	assert_non_null(m);
	rte_mbuf_ext_refcnt_set(&shinfo, 1);
	rte_pktmbuf_attach_extbuf(m, va, 0, 2048, &shinfo);
	assert_non_null(rte_pktmbuf_append(m, len));
	*rte_pktmbuf_mtod(m, uint8_t *) = 41;
	return m;
}

/* A packet at va goes round. */
static void
assert_works_at(uint16_t dev, uint16_t qp, uint32_t pipeline, void *va)
{
	struct rte_mbuf *m = packet_at(va, 100), *out;
	struct rte_apir_verdict v;

	if (rte_apir_enqueue_burst(dev, qp, pipeline, &m, 1) != 1)
		fail_msg("packet at %p is refused: %s", va, rte_strerror(rte_errno));
	app_dequeue(dev, qp, &out, &v, 1);
	assert_int_equal(v.action, RTE_APIR_ACTION_FORWARD);
	assert_int_equal(*(uint8_t *)va, 42);
	rte_pktmbuf_free(out);
}

static void
assert_refused_at(uint16_t dev, uint32_t pipeline, void *va)
{
	struct rte_mbuf *m = packet_at(va, 100);

	assert_int_equal(rte_apir_enqueue_burst(dev, 0, pipeline, &m, 1), 0);
	assert_int_equal(rte_errno, EFAULT);
	rte_pktmbuf_free(m);
}

/* Memory in many pieces: more than vhost-user takes, so holes are shared too. */
static void
test_many_pieces(void **state)
{
	const struct rte_apir_conf conf = {.nb_queue_pairs = 2};
	const uint16_t dev = app_open(&conf);
	const uint32_t pipeline = app_simple(dev, inc, "inc");
	struct traffic t;
	unsigned int i;
	void *p[48];

	(void)state;
	start_traffic(&t, dev, 0, pipeline);
	for (i = 0; i < RTE_DIM(p); i++) {
		p[i] = rte_malloc(NULL, 5 * MIB, 0);
		assert_non_null(p[i]);
	}
	for (i = 0; i < RTE_DIM(p); i += 2)
		rte_free(p[i]);
	for (i = 1; i < RTE_DIM(p); i += 2) {
		assert_true(rte_apir_is_shared(dev, p[i], 5 * MIB));
		assert_works_at(dev, 1, pipeline, p[i]);
		assert_works_at(dev, 1, pipeline, (char *)p[i] + 5 * MIB - 4096);
	}
	for (i = 1; i < RTE_DIM(p); i += 2)
		rte_free(p[i]);
	stop_traffic(&t);
	app_close(dev);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_grow_and_shrink),
	cmocka_unit_test(test_new_pool),
	cmocka_unit_test(test_many_pieces),
};
const struct app_group group_memory = {"memory", tests, RTE_DIM(tests)};

/* External memory ------------------------------------------------------------- */

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static void *
map_memfd(size_t len, unsigned int flags, int *fd)
{
	void *p;

	*fd = memfd_create("ext", MFD_CLOEXEC | flags);
	assert_true(*fd >= 0);
	assert_int_equal(ftruncate(*fd, (off_t)len), 0);
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static void
test_ext_before_open(void **state)
{
	uint32_t pipeline;
	uint16_t dev;
	char *p;
	int fd;

	(void)state;
	p = map_memfd(8 * MIB, 0, &fd);
	assert_int_equal(rte_extmem_register(p, 8 * MIB, NULL, 0, 4096), 0);
	dev = app_open(NULL);
	pipeline = app_simple(dev, inc, "inc");
	assert_true(rte_apir_is_shared(dev, p, 8 * MIB));
	assert_works_at(dev, 0, pipeline, p);
	assert_works_at(dev, 0, pipeline, p + 8 * MIB - 2048);
	app_close(dev);
	assert_int_equal(rte_extmem_unregister(p, 8 * MIB), 0);
	munmap(p, 8 * MIB);
	close(fd);
}

/* EAL tells nobody: the first packet in it does. */
static void
test_ext_after_open(void **state)
{
	const uint16_t dev = app_open(NULL);
	const uint32_t pipeline = app_simple(dev, inc, "inc");
	struct traffic t;
	char *p;
	int fd;

	(void)state;
	p = map_memfd(8 * MIB, MFD_HUGETLB, &fd);
	assert_refused_at(dev, pipeline, p);
	assert_ok(rte_apir_stats_reset(dev, 0));
	assert_int_equal(rte_extmem_register(p, 8 * MIB, NULL, 0, 2 * MIB), 0);
	assert_works_at(dev, 0, pipeline, p + 3 * MIB);
	assert_true(rte_apir_is_shared(dev, p, 8 * MIB));
	start_traffic(&t, dev, 0, pipeline);
	await_traffic(&t, 2);
	stop_traffic(&t);
	/* gone: the next change of memory takes it away */
	assert_int_equal(rte_extmem_unregister(p, 8 * MIB), 0);
	rte_free(rte_malloc(NULL, 160 * MIB, 0));
	assert_false(rte_apir_is_shared(dev, p, 1));
	app_close(dev);
	munmap(p, 8 * MIB);
	close(fd);
}

static void
test_ext_private(void **state)
{
	uint16_t dev = app_open(NULL);
	uint32_t pipeline = app_simple(dev, inc, "inc");
	struct rte_apir_stats s;
	unsigned int i;
	char *p;

	(void)state;
	p = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(rte_extmem_register(p, 4 * MIB, NULL, 0, 4096), 0);
	for (i = 0; i < 5; i++)
		assert_refused_at(dev, pipeline, p + i * 4096);
	assert_ok(rte_apir_stats_get(dev, 0, &s));
	assert_int_equal(s.refused, 5);
	app_close(dev);
	/* there at open: opens all the same */
	dev = app_open(NULL);
	pipeline = app_simple(dev, inc, "inc");
	assert_refused_at(dev, pipeline, p);
	app_close(dev);
	assert_int_equal(rte_extmem_unregister(p, 4 * MIB), 0);
	munmap(p, 4 * MIB);
}

/* A heap of external memory: EAL does tell of it. */
static void
test_ext_heap(void **state)
{
	const uint16_t dev = app_open(NULL);
	const uint32_t pipeline = app_simple(dev, inc, "inc");
	struct rte_mbuf *pkts[BURST];
	struct rte_mempool *pool;
	unsigned int i;
	char *p;
	int fd;

	(void)state;
	p = map_memfd(32 * MIB, 0, &fd);
	assert_int_equal(rte_malloc_heap_create("ext"), 0);
	assert_int_equal(rte_malloc_heap_memory_add("ext", p, 32 * MIB, NULL, 0, 4096), 0);
	assert_true(rte_apir_is_shared(dev, p, 32 * MIB));
	pool = rte_pktmbuf_pool_create("ext", 4095, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM,
				       rte_malloc_heap_get_socket("ext"));
	assert_non_null(pool);
	for (i = 0; i < 4095 / BURST; i++) {
		app_packets(pool, pkts, BURST, 60);
		app_round(dev, pipeline, pkts, NULL, BURST);
		assert_int_equal(*rte_pktmbuf_mtod(pkts[3], uint8_t *), 4);
		rte_pktmbuf_free_bulk(pkts, BURST);
	}
	rte_mempool_free(pool);
	assert_int_equal(rte_malloc_heap_memory_remove("ext", p, 32 * MIB), 0);
	assert_false(rte_apir_is_shared(dev, p, 1));
	assert_int_equal(rte_malloc_heap_destroy("ext"), 0);
	assert_refused_at(dev, pipeline, p);
	munmap(p, 32 * MIB);
	close(fd);
	app_close(dev);
}

static const struct CMUnitTest ext_tests[] = {
	cmocka_unit_test(test_ext_before_open),
	cmocka_unit_test(test_ext_after_open),
	cmocka_unit_test(test_ext_private),
	cmocka_unit_test(test_ext_heap),
};
const struct app_group group_extmem = {"extmem", ext_tests, RTE_DIM(ext_tests)};
