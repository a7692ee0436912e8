/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * What the packets must look like after a kernel ran on them n times. Each case has a short way to say so:
 * empty: unchanged; header: TTL - n, checksum computed anew (not incrementally, as the kernel does); payload: xored if n is odd.
 */

#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define PAYLOAD_KEY 0x5a /* as in bench.cl */

uint16_t
ipv4_header_checksum(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < 20; i += 2)
		if (i != 10)
			sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Turn the packet's first bytes into those after n runs; returns the verdict of the last. */
static uint64_t
expect(enum bench_case kernel, uint8_t *p, unsigned int size, uint64_t n)
{
	uint64_t action, port;
	uint8_t before;
	uint16_t sum;

	switch (kernel) {
	case CASE_HEADER:
		if (n == 0)
			return 0;
		before = (uint8_t)(p[22] - (n - 1));
		p[22] = (uint8_t)(before - 1);
		sum = ipv4_header_checksum(p + 14);
		p[24] = (uint8_t)(sum >> 8);
		p[25] = (uint8_t)sum;
		action = before <= 1;
		port = before <= 1 ? 1 : before & 3;
		return action | port << 16;
	case CASE_PAYLOAD:
		for (unsigned int i = 0; n % 2 == 1 && i < size; i++)
			p[i] ^= PAYLOAD_KEY;
		return 0;
	default:
		return 0;
	}
}

static int
set_check(const struct traffic *t, unsigned int s, uint8_t *want, const char *side)
{
	const struct pkt_set *set = &t->sets[s];
	const size_t len = t->size + GUARD_BYTES;

	for (unsigned int i = 0; i < t->burst; i++) {
		const uint8_t *got;
		uint64_t verdict;

		if (set->mbufs[i] != set->owned[i]) {
			fprintf(stderr,
				"apir-bench: %s %s: packet %u of burst %u came back as another "
				"mbuf\n",
				side, case_names[t->kernel], i, s);
			return -1;
		}
		memcpy(want, t->original + ((size_t)s * t->burst + i) * len, len);
		verdict = expect(t->kernel, want, t->size, set->applied);
		got = rte_pktmbuf_mtod(set->mbufs[i], const uint8_t *);
		for (size_t j = 0; memcmp(got, want, len) != 0 && j < len; j++) {
			if (got[j] == want[j])
				continue;
			fprintf(stderr,
				"apir-bench: %s %s: packet %u of burst %u, byte %zu of %u is "
				"0x%02x after %llu runs, not 0x%02x\n",
				side, case_names[t->kernel], i, s, j, t->size, got[j],
				(unsigned long long)set->applied, want[j]);
			return -1;
		}
		if (set->applied > 0 && set->verdicts[i] != verdict) {
			fprintf(stderr,
				"apir-bench: %s %s: packet %u of burst %u has verdict 0x%llx after "
				"%llu runs, not 0x%llx\n",
				side, case_names[t->kernel], i, s,
				(unsigned long long)set->verdicts[i],
				(unsigned long long)set->applied, (unsigned long long)verdict);
			return -1;
		}
	}
	return 0;
}

int
traffic_check(const struct traffic *t, const char *side)
{
	uint8_t *want = malloc(t->size + GUARD_BYTES);
	int rc = 0;

	if (want == NULL)
		return -1;
	for (unsigned int s = 0; rc == 0 && s < t->nb_sets; s++)
		rc = set_check(t, s, want, side);
	free(want);
	return rc;
}
