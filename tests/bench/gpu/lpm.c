/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * The CPU that a GPU must beat: DPDK's l3fwd on one core. Four look-ups at once by rte_lpm, addresses, TTL and checksum
 * rewritten, on the packets and the routes of the other sides.
 */

#include <string.h>

#include <rte_errno.h>
#include <rte_lpm.h>
#include <rte_prefetch.h>
#include <rte_version.h>

#include "gpubench.h"

#define AHEAD 8u /* packets that are asked for early */
#define MISS  0xffffffu

static struct rte_lpm *lpm;

static int
lpm_open(const struct options *o)
{
	struct rte_lpm_config cfg = {.max_rules = routes.v4.nb + 1,
				     .number_tbl8s = routes.v4.nb + 1};

	RTE_SET_USED(o);
	lpm = rte_lpm_create("gpu_bench", SOCKET_ID_ANY, &cfg);
	if (lpm == NULL) {
		fprintf(stderr, "apir-gpu-bench: lpm: %s\n", rte_strerror(rte_errno));
		return -1;
	}
	for (uint32_t i = 0; i < routes.v4.nb; i++) {
		const struct route *r = &routes.v4.routes[i];
		uint32_t addr;

		memcpy(&addr, r->addr, 4);
		if (rte_lpm_add(lpm, rte_be_to_cpu_32(addr), r->depth, i * NB_PORTS + r->port) <
		    0) {
			fprintf(stderr, "apir-gpu-bench: lpm: route %u does not fit\n", i);
			return -1;
		}
	}
	return 0;
}

static void
lpm_close(void)
{
	rte_lpm_free(lpm);
	lpm = NULL;
}

static int
lpm_prepare(struct queue *q)
{
	RTE_SET_USED(q);
	return 0;
}

/* Next hop known: what is left of the work on one packet. */
static inline uint64_t
forward(uint8_t *p, uint32_t hop)
{
	const uint32_t port = hop % NB_PORTS;
	uint16_t sum;
	uint32_t s;

	if (unlikely(hop == MISS))
		return 1 | (uint64_t)L3FWD_DROP_NO_ROUTE << 16;
	if (unlikely(p[14] != 0x45 || p[22] <= 1))
		return 1 | (uint64_t)L3FWD_DROP_TTL << 16;
	memcpy(p, route_ports[port].mac, 12);
	p[22]--;
	memcpy(&sum, p + 24, 2);
	s = (uint16_t)~sum + 0xfffeu; /* RFC 1624, equation 3 */
	s = (s & 0xffff) + (s >> 16);
	sum = (uint16_t) ~(s + (s >> 16));
	memcpy(p + 24, &sum, 2);
	return (uint64_t)port << 16 | (uint64_t)(hop / NB_PORTS) << 32;
}

static inline uint32_t
destination(const struct rte_mbuf *m)
{
	uint32_t a;

	memcpy(&a, rte_pktmbuf_mtod_offset(m, const uint8_t *, 30), 4);
	return rte_be_to_cpu_32(a);
}

static int
lpm_submit(struct queue *q, unsigned int s)
{
	struct pkt_set *set = &q->sets[s];
	struct rte_mbuf **m = set->mbufs;
	const unsigned int nb = q->tc->burst;
	unsigned int i = 0;
	uint32_t hops[4];

	for (; i < AHEAD && i < nb; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	for (i = 0; i + 4 <= nb; i += 4) {
		const xmm_t ip =
			_mm_set_epi32((int)destination(m[i + 3]), (int)destination(m[i + 2]),
				      (int)destination(m[i + 1]), (int)destination(m[i]));

		for (unsigned int k = i + AHEAD; k < i + AHEAD + 4 && k < nb; k++)
			rte_prefetch0(rte_pktmbuf_mtod(m[k], void *));
		rte_lpm_lookupx4(lpm, ip, hops, MISS);
		for (unsigned int k = 0; k < 4; k++)
			set->verdicts[i + k] =
				forward(rte_pktmbuf_mtod(m[i + k], uint8_t *), hops[k]);
	}
	for (; i < nb; i++) {
		uint32_t hop = MISS;

		if (rte_lpm_lookup(lpm, destination(m[i]), &hop) != 0)
			hop = MISS;
		set->verdicts[i] = forward(rte_pktmbuf_mtod(m[i], uint8_t *), hop);
	}
	return 0;
}

static int
lpm_poll(struct queue *q, unsigned int s)
{
	RTE_SET_USED(q);
	RTE_SET_USED(s);
	return 1;
}

static void
lpm_describe(FILE *f)
{
	fprintf(f, "\"device\": \"one CPU core, rte_lpm of %s\"", rte_version());
}

const struct side side_lpm = {
	.name = "lpm",
	.open = lpm_open,
	.close = lpm_close,
	.prepare = lpm_prepare,
	.submit = lpm_submit,
	.poll = lpm_poll,
	.describe = lpm_describe,
};
