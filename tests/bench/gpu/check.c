/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* What the packets must look like after a kernel ran on them n times, computed here from their first bytes. */

#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "gpubench.h"

#define XOR_KEY	   0x5a17c3e1u /* as in kernels.cl */
#define XOR_PERIOD 64u	       /* so many runs give the first bytes back */

uint16_t
ipv4_checksum(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < 20; i += 2)
		if (i != 10)
			sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void
ttl_set(uint8_t *p, uint8_t ttl)
{
	uint16_t sum;

	p[22] = ttl;
	sum = ipv4_checksum(p + 14);
	p[24] = (uint8_t)(sum >> 8);
	p[25] = (uint8_t)sum;
}

static uint32_t
rotl(uint32_t w, unsigned int n)
{
	return n == 0 ? w : w << n | w >> (32 - n);
}

/* n runs are linear: rotate by n, then xor what n runs make of 0. */
static uint64_t
expect_xor(uint8_t *p, unsigned int size, uint64_t runs)
{
	const unsigned int n = runs % XOR_PERIOD;
	uint32_t of_zero = 0, w;

	for (unsigned int i = 0; i < n; i++)
		of_zero = rotl(of_zero ^ XOR_KEY, 1);
	for (unsigned int i = 0; i + 4 <= size; i += 4) {
		memcpy(&w, p + i, 4);
		w = rotl(w, n % 32) ^ of_zero;
		memcpy(p + i, &w, 4);
	}
	return 1u << 16 | (uint64_t)size << 32;
}

static uint64_t
expect_header(uint8_t *p, uint64_t runs)
{
	const uint8_t before = (uint8_t)(p[22] - (runs - 1));

	ttl_set(p, (uint8_t)(before - 1));
	return before <= 1 ? 1 | 1u << 16 : (uint64_t)(before & 3) << 16;
}

/* rte_lpm's router of l3fwd-gpu does the last of the runs. */
static uint64_t
expect_l3fwd(uint8_t *p, unsigned int size, uint64_t runs)
{
	struct rte_apir_verdict v;

	ttl_set(p, (uint8_t)(p[22] - (runs - 1)));
	v = cpu_route(routes_cpu(), route_ports, p, size, size);
	return v.action | (uint64_t)v.port << 16 | (uint64_t)v.meta << 32;
}

static uint64_t
expect(const struct pkt_set *set, const struct test_case *tc, uint8_t *p)
{
	switch (tc->kernel) {
	case KERNEL_XOR:
		return expect_xor(p, tc->size, set->applied);
	case KERNEL_HEADER:
		return expect_header(p, set->applied);
	default:
		return expect_l3fwd(p, tc->size, set->since);
	}
}

static int
set_check(const struct pkt_set *set, const struct test_case *tc, unsigned int s, const char *side)
{
	const unsigned int stride = tc->size + GUARD;
	uint8_t want[MAX_SIZE + GUARD];

	for (unsigned int i = 0; i < tc->burst; i++) {
		const uint8_t *p = rte_pktmbuf_mtod(set->owned[i], const uint8_t *);
		uint64_t verdict;

		memcpy(want, set->image + (size_t)i * stride, stride);
		verdict = expect(set, tc, want);
		if (set->mbufs[i] != set->owned[i]) {
			fprintf(stderr, "apir-gpu-bench: %s: set %u: mbuf %u is another\n", side, s,
				i);
			return -1;
		}
		if (set->verdicts[i] != verdict) {
			fprintf(stderr,
				"apir-gpu-bench: %s: %s, %u x %u: set %u, packet %u: verdict %#jx, "
				"want %#jx after %ju runs\n",
				side, kernel_names[tc->kernel], tc->burst, tc->size, s, i,
				(uintmax_t)set->verdicts[i], (uintmax_t)verdict,
				(uintmax_t)set->applied);
			return -1;
		}
		for (unsigned int b = 0; memcmp(p, want, stride) != 0 && b < stride; b++)
			if (p[b] != want[b]) {
				fprintf(stderr,
					"apir-gpu-bench: %s: %s, %u x %u: set %u, packet %u: byte "
					"%u is %#x, want %#x after %ju runs\n",
					side, kernel_names[tc->kernel], tc->burst, tc->size, s, i,
					b, p[b], want[b], (uintmax_t)set->applied);
				return -1;
			}
	}
	return 0;
}

int
sets_check(const struct pkt_set *sets, const struct test_case *tc, const char *side)
{
	for (unsigned int s = 0; s < tc->depth; s++)
		if (sets[s].applied > 0 && set_check(&sets[s], tc, s, side) != 0)
			return -1;
	return 0;
}
