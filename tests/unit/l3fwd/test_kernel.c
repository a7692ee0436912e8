/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Random packets and random route tables: the kernel against rte_lpm and rte_lpm6. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_run.h"
#include "packets.h"

#define ROUTES	600 /* of each family */
#define PACKETS 4096

static uint64_t state;

/* xorshift64*: the same packets on each machine. */
static uint32_t
rnd(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1d) >> 32;
}

static uint32_t
below(uint32_t n)
{
	return rnd() % n;
}

static bool
one_in(uint32_t n)
{
	return below(n) == 0;
}

/* Addresses from few first bytes, so that prefixes lie within each other. */
static uint32_t
random_address4(void)
{
	static const uint32_t nets[] = {0x0a000000, 0xc0a80000, 0x08080800, 0xcb007100, 0x64400000};

	if (one_in(8))
		return rnd();
	return nets[below(5)] ^ (rnd() & (one_in(2) ? 0x3ff : 0x3ffff));
}

static void
random_address6(uint8_t *a)
{
	static const uint8_t net[4][6] = {{0x20, 0x01, 0x0d, 0xb8, 0, 1},
					  {0x20, 0x01, 0x0d, 0xb8, 1, 1},
					  {0x26, 0x00},
					  {0xfd, 0x12}};
	unsigned int i;

	for (i = 0; i < 16; i++)
		a[i] = one_in(3) ? rnd() : below(2);
	if (!one_in(8))
		memcpy(a, net[below(4)], 6);
}

static char *
random_rules4(bool with_default)
{
	char *text = malloc(ROUTES * 40), *p = text;
	unsigned int i;
	uint32_t a;

	assert_non_null(text);
	if (with_default)
		p += sprintf(p, "R0.0.0.0/0 7\n");
	for (i = 0; i < ROUTES; i++) {
		a = random_address4();
		p += sprintf(p, "R%u.%u.%u.%u/%u %u\n", a >> 24, a >> 16 & 0xff, a >> 8 & 0xff,
			     a & 0xff, 4 + below(29), below(RUN_PORTS));
	}
	return text;
}

static char *
random_rules6(bool with_default)
{
	char *text = malloc(ROUTES * 64), *p = text;
	unsigned int i, j;
	uint8_t a[16];

	assert_non_null(text);
	if (with_default)
		p += sprintf(p, "R::/0 6\n");
	for (i = 0; i < ROUTES; i++) {
		random_address6(a);
		p += sprintf(p, "R");
		for (j = 0; j < 16; j += 2)
			p += sprintf(p, "%s%x", j == 0 ? "" : ":", a[j] << 8 | a[j + 1]);
		p += sprintf(p, "/%u %u\n", 8 + below(121), below(RUN_PORTS));
	}
	return text;
}

/* Usually an address within a route. */
static uint32_t
destination4(void)
{
	const struct route_list *list = &run_rules()->v4;
	const struct route *r;
	uint32_t a;

	if (list->nb == 0 || one_in(4))
		return random_address4();
	r = &list->routes[below(list->nb)];
	a = (uint32_t)r->addr[0] << 24 | r->addr[1] << 16 | r->addr[2] << 8 | r->addr[3];
	return r->depth == 32 ? a : a | (rnd() & (UINT32_MAX >> r->depth));
}

static void
destination6(uint8_t *a)
{
	const struct route_list *list = &run_rules()->v6;
	unsigned int bit;

	random_address6(a);
	if (list->nb == 0 || one_in(4))
		return;
	memcpy(a, list->routes[below(list->nb)].addr, 16);
	/* Flip what lies behind a random bit. */
	for (bit = below(129); bit < 128; bit++)
		a[bit / 8] ^= (rnd() & 1) << (7 - bit % 8);
}

static uint8_t
random_ttl(void)
{
	return one_in(8) ? below(3) : 2 + below(254);
}

static uint32_t
random_payload(void)
{
	return one_in(16) ? 1400 + below(3000) : below(200);
}

static uint32_t
random_valid(uint8_t *frame, uint8_t **ip)
{
	uint32_t len;

	if (one_in(2)) {
		struct ipv4_spec s = {.src = one_in(8) ? rnd() : 0xc0000200 + below(256),
				      .dst = destination4(),
				      .ttl = random_ttl(),
				      .options = one_in(4) ? 4 * below(11) : 0,
				      .id = rnd(),
				      .fragment = one_in(4) ? rnd() : 0,
				      .payload = random_payload(),
				      .vlan = one_in(4),
				      .padding = one_in(4) ? below(30) : 0};

		len = packet_ipv4(frame, &s);
		*ip = frame + packet_l2(s.vlan);
	} else {
		struct ipv6_spec s = {.hops = random_ttl(),
				      .payload = random_payload(),
				      .vlan = one_in(4),
				      .padding = one_in(4) ? below(30) : 0};

		random_address6(s.src);
		destination6(s.dst);
		len = packet_ipv6(frame, &s);
		*ip = frame + packet_l2(s.vlan);
	}
	return len;
}

/* Harm done to one packet of three. */
static uint32_t
spoil(uint8_t *frame, uint8_t *ip, uint32_t len)
{
	switch (below(9)) {
	case 0:
		ip[below(20)] ^= 1 << below(8);
		break;
	case 1:
		ip[0] = rnd();
		if (one_in(2))
			packet_checksum(ip);
		break;
	case 2:
		ip[2] = below(8);
		ip[3] = rnd();
		packet_checksum(ip);
		break;
	case 3:
		return 1 + below(len);
	case 4:
		frame[0] |= 1;
		break;
	case 5:
		frame[12 + below(2)] = rnd();
		break;
	case 6:
		ip[12 + below(8)] = rnd();
		packet_checksum(ip);
		break;
	case 7:
		ip[10] = ip[11] = one_in(2) ? 0 : 0xff;
		break;
	case 8:
		ip[8 + below(32)] = rnd();
		break;
	}
	return len;
}

static void
random_packet(struct test_packet *p)
{
	uint8_t frame[PACKET_ROOM] = {0}, *ip;

	p->len = random_valid(frame, &ip);
	if (one_in(3))
		p->len = spoil(frame, ip, p->len);
	p->data = malloc(p->len);
	assert_non_null(p->data);
	memcpy(p->data, frame, p->len);
	p->first = one_in(8) ? 1 + below(p->len) : p->len;
	p->guarded = one_in(2);
	p->offset = one_in(2) ? 0 : below(64);
}

static void
run_random(uint64_t seed, bool defaults)
{
	static struct test_packet pkts[PACKETS];
	static struct test_result res[PACKETS];
	unsigned int drops[L3FWD_DROP_KERNEL_END] = {0}, forwarded = 0, i;
	char *rules4, *rules6;

	state = seed;
	rules4 = random_rules4(defaults);
	rules6 = random_rules6(defaults);
	run_set_rules(rules4, rules6);
	free(rules4);
	free(rules6);
	for (i = 0; i < PACKETS; i++)
		random_packet(&pkts[i]);
	run_packets(pkts, PACKETS, res);
	for (i = 0; i < PACKETS; i++) {
		free(pkts[i].data);
		if (res[i].verdict.action == RTE_APIR_ACTION_FORWARD)
			forwarded++;
		else
			drops[res[i].verdict.port]++;
	}
	run_free_results(res, PACKETS);
	/* The packets must reach everything, or the comparison proves little. */
	assert_true(forwarded > PACKETS / 8);
	for (i = 0; i < L3FWD_DROP_KERNEL_END; i++) {
		if (drops[i] == 0 && !(defaults && i == L3FWD_DROP_NO_ROUTE))
			fail_msg("seed %llu: no packet was dropped for reason %u",
				 (unsigned long long)seed, i);
	}
	if (defaults)
		assert_int_equal(drops[L3FWD_DROP_NO_ROUTE], 0);
}

static void
test_random(void **st)
{
	uint64_t seed;

	(void)st;
	for (seed = 1; seed <= 6; seed++)
		run_random(seed * 1000003, false);
}

static void
test_random_with_default_routes(void **st)
{
	(void)st;
	run_random(77, true);
	run_random(78, true);
}

/* Only one family has routes: the other's packets have none. */
static void
test_one_family(void **st)
{
	static struct test_packet pkts[512];
	static struct test_result res[512];
	char *rules = random_rules4(true);
	unsigned int i, seen = 0;

	(void)st;
	state = 5;
	run_set_rules(rules, NULL);
	free(rules);
	for (i = 0; i < 512; i++)
		random_packet(&pkts[i]);
	run_packets(pkts, 512, res);
	for (i = 0; i < 512; i++) {
		seen += res[i].verdict.action == RTE_APIR_ACTION_DROP &&
			res[i].verdict.port == L3FWD_DROP_NO_ROUTE;
		free(pkts[i].data);
	}
	run_free_results(res, 512);
	assert_true(seen > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_random_with_default_routes),
		cmocka_unit_test(test_one_family),
	};

	return cmocka_run_group_tests_name("l3fwd kernel, random", tests, run_setup, run_teardown);
}
