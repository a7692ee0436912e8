/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The packets: UDP over IPv4 in Ethernet frames, no two alike. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#include "bench.h"

static struct rte_mempool *pool;

int
packets_pool_create(unsigned int nb_mbufs)
{
	pool = rte_pktmbuf_pool_create("bench", nb_mbufs, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				       SOCKET_ID_ANY);
	if (pool == NULL) {
		fprintf(stderr,
			"apir-bench: no memory for %u mbufs: %s; free hugepages or lower --burst "
			"or --in-flight\n",
			nb_mbufs, rte_strerror(rte_errno));
		return -1;
	}
	return 0;
}

void
packets_pool_free(void)
{
	rte_mempool_free(pool);
	pool = NULL;
}

static uint64_t
next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* Packet number n: random bytes (the guard too), and headers that a router takes. */
static void
packet_fill(uint8_t *p, unsigned int size, unsigned int n)
{
	uint64_t state = n;
	uint16_t sum;

	for (unsigned int i = 0; i < size + GUARD_BYTES; i++)
		p[i] = (uint8_t)next_random(&state);
	p[12] = 0x08; /* Ethertype IPv4 */
	p[13] = 0x00;
	p[14] = 0x45;
	p[16] = (uint8_t)((size - 14) >> 8);
	p[17] = (uint8_t)(size - 14);
	p[20] = 0x40; /* don't fragment */
	p[21] = 0;
	p[22] = (uint8_t)(1 + n % 255); /* every TTL occurs */
	p[23] = 17;			/* UDP */
	sum = ipv4_header_checksum(p + 14);
	p[24] = (uint8_t)(sum >> 8);
	p[25] = (uint8_t)sum;
}

static int
set_create(struct traffic *t, unsigned int s)
{
	struct pkt_set *set = &t->sets[s];

	set->mbufs = calloc(t->burst, sizeof(*set->mbufs));
	set->owned = calloc(t->burst, sizeof(*set->owned));
	set->verdicts = rte_zmalloc("bench verdicts", t->burst * sizeof(uint64_t), 64);
	if (set->mbufs == NULL || set->owned == NULL || set->verdicts == NULL)
		return -1;
	for (unsigned int i = 0; i < t->burst; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		unsigned int n = s * t->burst + i;
		uint8_t *first = t->original + (size_t)n * (t->size + GUARD_BYTES);

		if (m == NULL)
			return -1;
		set->owned[i] = set->mbufs[i] = m;
		packet_fill(first, t->size, n);
		memcpy(rte_pktmbuf_mtod(m, void *), first, t->size + GUARD_BYTES);
		m->data_len = (uint16_t)t->size;
		m->pkt_len = t->size;
	}
	return 0;
}

int
traffic_create(struct traffic *t, enum bench_case kernel, unsigned int burst, unsigned int size,
	       unsigned int nb_sets)
{
	memset(t, 0, sizeof(*t));
	t->kernel = kernel;
	t->burst = burst;
	t->size = size;
	t->nb_sets = nb_sets;
	t->sets = calloc(nb_sets, sizeof(*t->sets));
	t->original = malloc((size_t)nb_sets * burst * (size + GUARD_BYTES));
	if (t->sets == NULL || t->original == NULL)
		goto fail;
	for (unsigned int s = 0; s < nb_sets; s++)
		if (set_create(t, s) != 0)
			goto fail;
	return 0;
fail:
	fprintf(stderr, "apir-bench: no memory for %u bursts of %u packets\n", nb_sets, burst);
	traffic_free(t);
	return -1;
}

void
traffic_free(struct traffic *t)
{
	for (unsigned int s = 0; t->sets != NULL && s < t->nb_sets; s++) {
		struct pkt_set *set = &t->sets[s];

		for (unsigned int i = 0; set->owned != NULL && i < t->burst; i++)
			rte_pktmbuf_free(set->owned[i]);
		free(set->mbufs);
		free(set->owned);
		rte_free(set->verdicts);
	}
	free(t->sets);
	free(t->original);
	memset(t, 0, sizeof(*t));
}
