/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The packets: UDP over IPv4 in Ethernet frames, no two alike, in mbufs of an ordinary pool. */

#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#include "gpubench.h"

#define ROUTED_TTL \
	250 /* of the l3fwd case: the same for all, so that they can be set back together */

static struct rte_mempool *pool;

uint64_t
next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/*
 * rte_pktmbuf_pool_create() makes the distance between mbufs an odd number of cache lines, to spread them over memory
 * channels. A GPU asks for memory in pieces of 128 bytes, and of a packet that begins in the middle of one in halves: here
 * all packets begin at a multiple of 128, as 64 private bytes and no spreading make it.
 */
int
packets_pool_create(unsigned int nb)
{
	struct rte_pktmbuf_pool_private private = {.mbuf_data_room_size = RTE_MBUF_DEFAULT_BUF_SIZE,
						   .mbuf_priv_size = 64};

	/* No per-core cache: bursts shall lie one packet after the other, as they do behind a NIC that was just started. */
	pool = rte_mempool_create("gpu-bench", nb,
				  sizeof(struct rte_mbuf) + private.mbuf_priv_size +
					  private.mbuf_data_room_size,
				  0, sizeof(private), rte_pktmbuf_pool_init, &private,
				  rte_pktmbuf_init, NULL, SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_SPREAD);
	if (pool != NULL)
		return 0;
	fprintf(stderr, "apir-gpu-bench: no memory for %u mbufs: %s\n", nb,
		rte_strerror(rte_errno));
	return -1;
}

void
packets_pool_free(void)
{
	rte_mempool_free(pool);
	pool = NULL;
}

unsigned int
packets_stride(void)
{
	return pool->header_size + pool->elt_size + pool->trailer_size;
}

static void
packet_fill(uint8_t *p, const struct test_case *tc, unsigned int n)
{
	uint64_t state = n;
	uint16_t sum;

	for (unsigned int i = 0; i < tc->size + GUARD; i += 4) {
		const uint32_t r = (uint32_t)next_random(&state);

		memcpy(p + i, &r, 4);
	}
	if (tc->kernel == KERNEL_XOR)
		return;
	p[0] &= 0xfe; /* to one station */
	p[12] = 0x08; /* Ethertype IPv4 */
	p[13] = 0x00;
	p[14] = 0x45;
	p[16] = (uint8_t)((tc->size - 14) >> 8);
	p[17] = (uint8_t)(tc->size - 14);
	p[20] = 0x40; /* don't fragment */
	p[21] = 0;
	p[22] = tc->kernel == KERNEL_L3FWD ? ROUTED_TTL : (uint8_t)(1 + n % 255);
	p[23] = 17; /* UDP */
	p[26] = 192;
	p[27] = 0;
	p[28] = 2;
	if (tc->kernel == KERNEL_L3FWD) {
		const uint32_t dst = rte_cpu_to_be_32(routes_destination(next_random(&state)));

		memcpy(p + 30, &dst, 4);
	}
	sum = ipv4_checksum(p + 14);
	p[24] = (uint8_t)(sum >> 8);
	p[25] = (uint8_t)sum;
}

static int
set_create(struct pkt_set *set, const struct test_case *tc, unsigned int first)
{
	const unsigned int stride = tc->size + GUARD;

	set->mbufs = calloc(tc->burst, sizeof(*set->mbufs));
	set->owned = calloc(tc->burst, sizeof(*set->owned));
	set->verdicts = rte_zmalloc("verdicts", tc->burst * sizeof(*set->verdicts), 64);
	set->image = malloc((size_t)tc->burst * stride);
	if (set->mbufs == NULL || set->owned == NULL || set->verdicts == NULL ||
	    set->image == NULL || rte_pktmbuf_alloc_bulk(pool, set->mbufs, tc->burst) != 0) {
		fprintf(stderr, "apir-gpu-bench: no memory for packets\n");
		return -1;
	}
	memcpy(set->owned, set->mbufs, tc->burst * sizeof(*set->owned));
	for (unsigned int i = 0; i < tc->burst; i++) {
		uint8_t *p = (uint8_t *)rte_pktmbuf_append(set->mbufs[i], (uint16_t)tc->size);

		packet_fill(set->image + (size_t)i * stride, tc, first + i);
		memcpy(p, set->image + (size_t)i * stride, stride);
	}
	return 0;
}

struct pkt_set *
sets_create(const struct test_case *tc, unsigned int id)
{
	struct pkt_set *sets = calloc(tc->depth, sizeof(*sets));

	for (unsigned int s = 0; sets != NULL && s < tc->depth; s++)
		if (set_create(&sets[s], tc, (id * tc->depth + s) * tc->burst) != 0) {
			sets_free(sets, tc);
			return NULL;
		}
	return sets;
}

void
sets_free(struct pkt_set *sets, const struct test_case *tc)
{
	for (unsigned int s = 0; sets != NULL && s < tc->depth; s++) {
		if (sets[s].owned != NULL && sets[s].owned[0] != NULL)
			rte_pktmbuf_free_bulk(sets[s].owned, tc->burst);
		free(sets[s].mbufs);
		free(sets[s].owned);
		free(sets[s].image);
		rte_free(sets[s].verdicts);
	}
	free(sets);
}

void
set_refresh(struct pkt_set *set, const struct test_case *tc)
{
	if (likely(tc->kernel != KERNEL_L3FWD || set->since < ROUTED_TTL - 2))
		return;
	for (unsigned int i = 0; i < tc->burst; i++)
		memcpy(rte_pktmbuf_mtod_offset(set->mbufs[i], uint8_t *, 22),
		       set->image + (size_t)i * (tc->size + GUARD) + 22, 4);
	set->since = 0;
}
