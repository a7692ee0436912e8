/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The data path of a device on PCI: segments are named by physical address. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "dpdk_env.h"
#include "fake_device.h"

#define BURSTS 4
#define BURST  8
#define SEGS   12
#define PIPE   7
#define PAGE   4096u

/* Packets whose addresses a test changes; teardown puts them right again. */
static struct {
	struct rte_mbuf *m;
	rte_iova_t iova;
} changed[64];
static unsigned int nb_changed;

static int
setup(void **state)
{
	(void)state;
	nb_changed = 0;
	fake_device_open_pci(BURSTS, BURST, SEGS);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fake_device_close();
	while (nb_changed-- > 0)
		changed[nb_changed].m->buf_iova = changed[nb_changed].iova;
	assert_pool_full();
	return 0;
}

static void
move(struct rte_mbuf *m, rte_iova_t iova)
{
	assert_true(nb_changed < RTE_DIM(changed));
	changed[nb_changed].m = m;
	changed[nb_changed++].iova = m->buf_iova;
	m->buf_iova = iova;
}

static struct rte_mbuf *
packet_at(rte_iova_t iova, uint16_t len)
{
	struct rte_mbuf *m = env_packet(1, len);

	move(m, iova);
	return m;
}

/* What the device takes by name is where the packet's data lies in physical memory, and nothing of ours. */
static void
test_addresses(void **state)
{
	struct rte_mbuf *in[BURST], *out[BURST];
	struct fake_request r;
	unsigned int i;

	(void)state;
	for (i = 0; i < BURST; i++)
		in[i] = packet_at(0x100000000ull + (BURST - i) * 0x10000000ull, (uint16_t)(60 + i));
	/* headers were cut off and put before */
	assert_non_null(rte_pktmbuf_adj(in[2], 14));
	assert_non_null(rte_pktmbuf_prepend(in[3], 100));
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, in, BURST), BURST);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->nb_pkts, BURST);
	for (i = 0; i < BURST; i++) {
		assert_int_equal(r.segs[i].addr, in[i]->buf_iova + in[i]->data_off);
		assert_int_equal(r.segs[i].len, in[i]->data_len);
		assert_int_not_equal(r.segs[i].addr, rte_pktmbuf_mtod(in[i], uintptr_t));
	}
	assert_int_equal(r.segs[2].addr, in[2]->buf_iova + RTE_PKTMBUF_HEADROOM + 14);
	assert_int_equal(r.segs[3].addr, in[3]->buf_iova + RTE_PKTMBUF_HEADROOM - 100);
	/* and what comes back is the packet */
	fake_complete(&r, APIR_S_OK);
	assert_int_equal(rte_apir_dequeue_burst(FAKE_DEV, 0, out, NULL, BURST), BURST);
	for (i = 0; i < BURST; i++)
		assert_ptr_equal(out[i], in[i]);
	rte_pktmbuf_free_bulk(out, BURST);
}

static void
test_segments(void **state)
{
	struct rte_mbuf *in[3], *seg, *out[3];
	struct fake_request r;
	unsigned int i, n = 0;

	(void)state;
	in[0] = env_packet(1, 60);
	in[1] = env_packet(4, 100);
	in[2] = env_packet(2, 70);
	for (i = 0; i < 3; i++) {
		for (seg = in[i]; seg != NULL; seg = seg->next)
			move(seg, 0x200000000ull + 0x100000ull * n++);
	}
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, in, 3), 3);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->flags, APIR_BURST_F_SEGS);
	assert_int_equal(r.req->nb_segs, 7);
	assert_int_equal(r.counts[1], 4);
	for (i = 0; i < 7; i++)
		assert_int_equal(r.segs[i].addr,
				 0x200000000ull + 0x100000ull * i + RTE_PKTMBUF_HEADROOM);
	fake_complete(&r, APIR_S_OK);
	assert_int_equal(rte_apir_dequeue_burst(FAKE_DEV, 0, out, NULL, 3), 3);
	rte_pktmbuf_free_bulk(out, 3);
}

/* Refused: the packets before it go, it does not. */
static void
refused(struct rte_mbuf *bad)
{
	struct rte_mbuf *in[2] = {env_packet(1, 60), bad}, *out[2];
	struct fake_request r;

	move(in[0], 0x300000000ull);
	rte_errno = 0;
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, in, 2), 1);
	assert_int_equal(rte_errno, EFAULT);
	/* as the first of a burst as well */
	rte_errno = 0;
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, &bad, 1), 0);
	assert_int_equal(rte_errno, EFAULT);
	assert_true(fake_pop(&r));
	assert_int_equal(r.req->nb_pkts, 1);
	assert_false(fake_pop(&r));
	fake_complete(&r, APIR_S_OK);
	assert_int_equal(rte_apir_dequeue_burst(FAKE_DEV, 0, out, NULL, 2), 1);
	rte_pktmbuf_free(out[0]);
	rte_pktmbuf_free(bad);
}

static void
test_no_address(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	/* the headroom makes it wrap; without any it does not */
	refused(packet_at(RTE_BAD_IOVA, 60));
	m = packet_at(RTE_BAD_IOVA, 60);
	m->data_off = 0;
	refused(m);
	m = packet_at(RTE_BAD_IOVA, 60);
	m->data_off = 1;
	refused(m);
	m = packet_at(RTE_BAD_IOVA, 60);
	m->data_off = UINT16_MAX;
	refused(m);
	/* in a later segment */
	m = env_packet(3, 60);
	move(m->next->next, RTE_BAD_IOVA);
	move(m, 0x300000000ull);
	move(m->next, 0x300000000ull);
	refused(m);
}

static void
test_low_address(void **state)
{
	(void)state;
	refused(packet_at(0, 60));
	refused(packet_at(PAGE, 60));
	refused(packet_at(APIR_IOVA_MIN - RTE_PKTMBUF_HEADROOM - 1, 60));
}

static void
test_high_address(void **state)
{
	(void)state;
	refused(packet_at(APIR_IOVA_END, 60));
	refused(packet_at(APIR_IOVA_END - RTE_PKTMBUF_HEADROOM, 1));
	/* its last byte is one too far */
	refused(packet_at(APIR_IOVA_END - RTE_PKTMBUF_HEADROOM - 59, 60));
	refused(packet_at((rte_iova_t)1 << 63, 60));
}

static void
test_edges(void **state)
{
	struct rte_mbuf *in[2] = {
		packet_at(APIR_IOVA_MIN - RTE_PKTMBUF_HEADROOM, 60),
		packet_at(APIR_IOVA_END - RTE_PKTMBUF_HEADROOM - 60, 60),
	};
	struct fake_request r;

	(void)state;
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, in, 2), 2);
	assert_true(fake_pop(&r));
	assert_int_equal(r.segs[0].addr, APIR_IOVA_MIN);
	assert_int_equal(r.segs[1].addr + 60, APIR_IOVA_END);
}

/* Physical contiguity ------------------------------------------------------------------ */

/* EAL without hugepages has physical addresses that are its virtual ones: changed here, page by page. */
static void
test_contig(void **state)
{
	char *p = rte_zmalloc(NULL, 4 * PAGE, PAGE);
	char here[64];
	struct rte_memseg *ms;
	rte_iova_t iova;

	(void)state;
	assert_non_null(p);
	ms = rte_mem_virt2memseg(p + PAGE, NULL);
	assert_non_null(ms);
	assert_int_equal(ms->len, PAGE);
	assert_ptr_equal(ms->addr, p + PAGE);
	assert_true(apir_iova_contig(p, 4 * PAGE));
	assert_true(apir_iova_contig(p + 100, 2 * PAGE));
	assert_true(apir_iova_contig(p + 4 * PAGE - 1, 1));
	assert_false(apir_iova_contig(p, 0));
	/* memory that EAL does not know, and a range that ends in such */
	assert_false(apir_iova_contig(here, sizeof(here)));
	assert_false(apir_iova_contig(p, (size_t)1 << 40));

	iova = ms->iova;
	ms->iova = iova + PAGE;
	assert_false(apir_iova_contig(p, 4 * PAGE));
	assert_false(apir_iova_contig(p + PAGE - 1, 2));
	assert_false(apir_iova_contig(p + 2 * PAGE - 1, 2));
	/* within each page there is no gap */
	assert_true(apir_iova_contig(p, PAGE));
	assert_true(apir_iova_contig(p + PAGE, PAGE));
	assert_true(apir_iova_contig(p + 2 * PAGE, 2 * PAGE));
	ms->iova = RTE_BAD_IOVA;
	assert_false(apir_iova_contig(p + PAGE, 1));
	assert_true(apir_iova_contig(p, PAGE));
	ms->iova = iova;
	assert_true(apir_iova_contig(p, 4 * PAGE));
	/* the end of EAL's memory is no page without a length */
	assert_true(apir_iova_contig(env_pool, sizeof(*env_pool)));
	rte_free(p);
}

/* Physical addresses of neighbours lie apart, on (true) or as they were. */
static int
scatter(const struct rte_memseg_list *msl, const struct rte_memseg *ms, void *arg)
{
	const uint64_t n = ((uintptr_t)ms->addr - (uintptr_t)msl->base_va) / PAGE;

	((struct rte_memseg *)(uintptr_t)ms)->iova =
		*(const bool *)arg ? 0x100000000ull + n * 2 * PAGE : (uintptr_t)ms->addr;
	return 0;
}

static void
test_alloc(void **state)
{
	struct apir_dev *dev = &apir_devs[FAKE_DEV];
	struct rte_malloc_socket_stats before, after;
	const struct apir_env saved = dev->env;
	struct apir_mem_region region;
	struct apir_env env;
	bool apart = true;
	unsigned int i;
	char *p;

	(void)state;
	apir_iova_env(dev);
	env = dev->env;
	dev->env = saved;
	assert_ptr_equal(env.ctx, dev);
	p = env.dma_alloc(&env, 3 * PAGE, 64, SOCKET_ID_ANY);
	assert_non_null(p);
	/* within one page of twice that size, were there such */
	assert_int_equal((uintptr_t)p % (4 * PAGE), 0);
	for (i = 0; i < 3 * PAGE; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(env.dma_addr(&env, p + 5000), rte_mem_virt2iova(p + 5000));
	env.dma_free(&env, p);
	/* a node that is not there gives way to any */
	p = env.dma_alloc(&env, 64, 64, 1);
	assert_non_null(p);
	env.dma_free(&env, p);
	assert_int_equal(env.mem_regions(&env, &region, 1), 0);

	assert_int_equal(rte_malloc_get_socket_stats(0, &before), 0);
	assert_int_equal(rte_memseg_walk(scatter, &apart), 0);
	p = env.dma_alloc(&env, 2 * PAGE, 64, SOCKET_ID_ANY);
	apart = false;
	assert_int_equal(rte_memseg_walk(scatter, &apart), 0);
	assert_null(p);
	/* what lies across a gap was given back */
	assert_int_equal(rte_malloc_get_socket_stats(0, &after), 0);
	assert_int_equal(after.alloc_count, before.alloc_count);
	apart = true;
	assert_int_equal(rte_memseg_walk(scatter, &apart), 0);
	p = env.dma_alloc(&env, PAGE / 2 + 1, 64, SOCKET_ID_ANY);
	apart = false;
	assert_int_equal(rte_memseg_walk(scatter, &apart), 0);
	/* what fits a page is put into one */
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % PAGE, 0);
	env.dma_free(&env, p);
}

static void
test_is_shared(void **state)
{
	char here[64], *p = rte_malloc(NULL, 4 * PAGE, PAGE);
	struct rte_memseg *ms;
	rte_iova_t iova;

	(void)state;
	assert_true(rte_apir_is_shared(FAKE_DEV, p, 4 * PAGE));
	assert_false(rte_apir_is_shared(FAKE_DEV, here, sizeof(here)));
	ms = rte_mem_virt2memseg(p + PAGE, NULL);
	iova = ms->iova;
	ms->iova += PAGE;
	assert_false(rte_apir_is_shared(FAKE_DEV, p, 4 * PAGE));
	ms->iova = iova;
	rte_free(p);
}

static int
connect_fails(struct apir_dev *dev)
{
	(void)dev;
	return -EPROTO;
}

/* Nothing is taken before the device runs. */
static void
test_attach(void **state)
{
	const struct apir_spans none = {0};
	struct apir_dev *dev = &apir_devs[FAKE_DEV];
	struct rte_mbuf *m = packet_at(0x300000000ull, 60);

	(void)state;
	apir_mem_table_write(&dev->mem, &none);
	assert_int_equal(apir_iova_attach(dev, connect_fails), -EPROTO);
	assert_false(rte_apir_is_shared(FAKE_DEV, env_pool, 1));
	assert_int_equal(rte_apir_enqueue_burst(FAKE_DEV, 0, PIPE, &m, 1), 0);
	assert_int_equal(rte_errno, EFAULT);
	rte_pktmbuf_free(m);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_addresses),    T(test_segments), T(test_no_address), T(test_low_address),
		T(test_high_address), T(test_edges),	T(test_contig),	    T(test_alloc),
		T(test_is_shared),    T(test_attach),
	};

	/* a DPDK whose mbufs have no physical addresses has no device on PCI */
	if (APIR_MBUF_IOVA_FIELD == offsetof(struct rte_mbuf, buf_addr)) {
		fprintf(stderr, "skipped: this DPDK's mbufs have no physical addresses\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, env_start, env_stop);
}
