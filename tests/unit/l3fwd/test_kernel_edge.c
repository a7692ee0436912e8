/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The corners of the kernel, one by one: each drop reason, checksums, prefix lengths, alignment. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_run.h"
#include "packets.h"

#define SRC 0xc0000201 /* 192.0.2.1 */
#define DST 0x0a010203 /* 10.1.2.3 */

static const struct ipv4_spec good4 = {.src = SRC, .dst = DST, .ttl = 64, .id = 7, .payload = 26};
static const struct ipv6_spec good6 = {.src = {0x20, 0x01, 0x0d, 0xb8, [15] = 1},
				       .dst = {0x20, 0x01, 0x0d, 0xb8, 9, [15] = 9},
				       .hops = 64,
				       .payload = 30};

/* Every way a packet can lie in memory gives the same answer, and it is the CPU's. Returns it, with the bytes in frame. */
static struct rte_apir_verdict
route(uint8_t *frame, uint32_t len, uint32_t first)
{
	struct test_packet p[9];
	struct test_result r[9];
	struct rte_apir_verdict v;
	unsigned int i;

	for (i = 0; i < 9; i++)
		p[i] = (struct test_packet){
			.data = frame, .len = len, .first = first, .guarded = i == 8, .offset = i};
	run_packets(p, 9, r);
	v = r[0].verdict;
	for (i = 1; i < 9; i++) {
		assert_memory_equal(&r[i].verdict, &v, sizeof(v));
		assert_memory_equal(r[i].data, r[0].data, len);
	}
	memcpy(frame, r[0].data, len);
	run_free_results(r, 9);
	return v;
}

static void
assert_drop(uint8_t *frame, uint32_t len, uint32_t first, enum l3fwd_drop reason)
{
	uint8_t before[PACKET_ROOM];
	struct rte_apir_verdict v;

	memcpy(before, frame, len);
	v = route(frame, len, first);
	assert_int_equal(v.action, RTE_APIR_ACTION_DROP);
	assert_int_equal(v.port, reason);
	assert_memory_equal(before, frame, len);
}

/* route_number: of the verdict's meta. */
static void
assert_forward(uint8_t *frame, uint32_t len, uint32_t first, unsigned int port,
	       unsigned int route_number)
{
	uint8_t before[PACKET_ROOM];
	struct rte_apir_verdict v;

	memcpy(before, frame, len);
	v = route(frame, len, first);
	assert_int_equal(v.action, RTE_APIR_ACTION_FORWARD);
	assert_int_equal(v.port, port);
	assert_int_equal(v.meta, route_number);
	assert_memory_equal(frame, run_ports()[port].mac, 12);
	/* All but addresses, time to live and checksum is as it was. */
	assert_memory_equal(frame + 12, before + 12, 8);
	if (frame[12] == 0x08) {
		assert_int_equal(frame[22], before[22] - 1);
		assert_int_equal(packet_sum(frame + 14), 0xffff);
		assert_memory_equal(frame + 26, before + 26, len - 26);
	}
}

static void
simple_rules(void)
{
	run_set_rules("R10.1.0.0/16 3\n", "R2001:db8:900::/40 5\n");
}

static void
test_forward(void **st)
{
	uint8_t f[PACKET_ROOM];
	struct ipv4_spec s = good4;
	struct ipv6_spec s6 = good6;
	uint32_t len;

	(void)st;
	simple_rules();
	len = packet_ipv4(f, &s);
	assert_forward(f, len, len, 3, 0);
	len = packet_ipv6(f, &s6);
	assert_forward(f, len, len, 5, 1);
	assert_int_equal(f[21], 63);
	/* One VLAN tag stays as it is. */
	s.vlan = s6.vlan = true;
	len = packet_ipv4(f, &s);
	assert_int_equal(route(f, len, len).port, 3);
	assert_int_equal(f[14] << 8 | f[15], 0x2123);
	assert_int_equal(f[18 + 8], 63);
	assert_int_equal(packet_sum(f + 18), 0xffff);
	len = packet_ipv6(f, &s6);
	assert_int_equal(route(f, len, len).port, 5);
	assert_int_equal(f[18 + 7], 63);
}

static void
test_options_and_fragments(void **st)
{
	uint8_t f[PACKET_ROOM];
	struct ipv4_spec s = good4;
	uint32_t len;

	(void)st;
	simple_rules();
	for (s.options = 4; s.options <= 40; s.options += 4) {
		len = packet_ipv4(f, &s);
		assert_forward(f, len, len, 3, 0);
		/* An option counts in the checksum. */
		len = packet_ipv4(f, &s);
		f[14 + 20 + s.options - 1] ^= 1;
		assert_drop(f, len, len, L3FWD_DROP_BAD_CHECKSUM);
	}
	s.options = 0;
	s.fragment = 0x2000; /* more fragments */
	len = packet_ipv4(f, &s);
	assert_forward(f, len, len, 3, 0);
	s.fragment = 0x1fff; /* the last offset */
	len = packet_ipv4(f, &s);
	assert_forward(f, len, len, 3, 0);
}

static void
test_too_short(void **st)
{
	uint8_t f[PACKET_ROOM];
	struct ipv4_spec s = good4;
	struct ipv6_spec s6 = good6;
	uint32_t len, cut;

	(void)st;
	simple_rules();
	for (s.vlan = s6.vlan = false;; s.vlan = s6.vlan = true) {
		/* Each length up to the whole packet. */
		len = packet_ipv4(f, &s);
		for (cut = 1; cut < len; cut++)
			assert_drop(f, cut, cut, L3FWD_DROP_TOO_SHORT);
		len = packet_ipv6(f, &s6);
		for (cut = 1; cut < len; cut++)
			assert_drop(f, cut, cut, L3FWD_DROP_TOO_SHORT);
		if (s.vlan)
			break;
	}
	/* A header without payload is whole. */
	s = good4;
	s.payload = 0;
	len = packet_ipv4(f, &s);
	assert_int_equal(len, 34);
	assert_forward(f, len, len, 3, 0);
	s6 = good6;
	s6.payload = 0;
	len = packet_ipv6(f, &s6);
	assert_forward(f, len, len, 5, 1);
	/* Options that the first segment lacks. */
	s.options = 40;
	len = packet_ipv4(f, &s);
	assert_drop(f, len, 14 + 59, L3FWD_DROP_TOO_SHORT);
	assert_forward(f, len, 14 + 60, 3, 0);
}

static void
test_segments(void **st)
{
	uint8_t f[PACKET_ROOM];
	struct ipv4_spec s = good4;
	struct ipv6_spec s6 = good6;
	uint32_t len, first;

	(void)st;
	simple_rules();
	s.payload = s6.payload = 1400;
	for (first = 1; first < 80; first++) {
		len = packet_ipv4(f, &s);
		if (first < 34)
			assert_drop(f, len, first, L3FWD_DROP_TOO_SHORT);
		else
			assert_forward(f, len, first, 3, 0);
		len = packet_ipv6(f, &s6);
		if (first < 54)
			assert_drop(f, len, first, L3FWD_DROP_TOO_SHORT);
		else
			assert_forward(f, len, first, 5, 1);
	}
	/* The last byte is missing, several segments on. */
	len = packet_ipv4(f, &s);
	assert_drop(f, len - 1, 100, L3FWD_DROP_TOO_SHORT);
}

static void
test_not_ip(void **st)
{
	static const uint16_t types[] = {0x0806, 0x0000, 0x05dc, 0x88cc, 0x8847,
					 0x88a8, 0xffff, 0x0008, 0xdd86};
	uint8_t f[PACKET_ROOM];
	uint32_t len;
	size_t i;

	(void)st;
	simple_rules();
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		len = packet_ipv4(f, &good4);
		f[12] = types[i] >> 8;
		f[13] = types[i];
		assert_drop(f, len, len, L3FWD_DROP_NOT_IP);
	}
	/* Two tags. */
	len = packet_ipv4(f, &good4);
	f[12] = f[16] = 0x81;
	f[13] = f[17] = 0;
	assert_drop(f, len, len, L3FWD_DROP_NOT_IP);
}

static void
test_bad_header(void **st)
{
	uint8_t f[PACKET_ROOM];
	uint32_t len, v;

	(void)st;
	simple_rules();
	for (v = 0; v < 16; v++) {
		len = packet_ipv4(f, &good4);
		f[14] = v << 4 | 5;
		packet_checksum(f + 14);
		if (v != 4)
			assert_drop(f, len, len, L3FWD_DROP_BAD_HEADER);
		len = packet_ipv6(f, &good6);
		f[14] = v << 4;
		if (v != 6)
			assert_drop(f, len, len, L3FWD_DROP_BAD_HEADER);
		if (v < 5) {
			len = packet_ipv4(f, &good4);
			f[14] = 0x40 | v;
			packet_checksum(f + 14);
			assert_drop(f, len, len, L3FWD_DROP_BAD_HEADER);
		}
	}
	/* A total length that does not hold the header. */
	for (v = 0; v < 20; v++) {
		len = packet_ipv4(f, &good4);
		f[16] = 0;
		f[17] = v;
		packet_checksum(f + 14);
		assert_drop(f, len, len, L3FWD_DROP_BAD_HEADER);
	}
	/* One too long for what is there. */
	len = packet_ipv4(f, &good4);
	f[17]++;
	packet_checksum(f + 14);
	assert_drop(f, len, len, L3FWD_DROP_TOO_SHORT);
}

/*
 * Each value a checksum can have, by way of the identification field: the result must be that of a computation from
 * scratch, which run_packets() compares with. 0x0000 also in its other form, 0xffff (RFC 1624).
 */
static void
test_every_checksum(void **st)
{
	static struct test_packet p[65536];
	static bool seen[65536];
	uint8_t f[PACKET_ROOM];
	struct ipv4_spec s = good4;
	uint32_t i, len, check, zero = UINT32_MAX, values = 0;

	(void)st;
	simple_rules();
	s.payload = 0;
	for (i = 0; i < 65536; i++) {
		s.id = i;
		len = packet_ipv4(f, &s);
		check = f[24] << 8 | f[25];
		values += !seen[check];
		seen[check] = true;
		if (check == 0)
			zero = i;
		p[i] = (struct test_packet){
			.data = malloc(len), .len = len, .first = len, .offset = 0};
		assert_non_null(p[i].data);
		memcpy(p[i].data, f, len);
	}
	assert_int_equal(values, 65535); /* all but 0xffff */
	run_packets(p, 65536, NULL);
	for (i = 0; i < 65536; i++)
		free(p[i].data);

	assert_true(zero != UINT32_MAX);
	s.id = zero;
	len = packet_ipv4(f, &s);
	assert_forward(f, len, len, 3, 0);
	len = packet_ipv4(f, &s);
	f[24] = f[25] = 0xff;
	assert_forward(f, len, len, 3, 0);
	/* And one whose new checksum is 0x0000. */
	for (i = 0; i < 65536; i++) {
		s.id = i;
		len = packet_ipv4(f, &s);
		if (f[24] == 0xfe && f[25] == 0xff)
			break;
	}
	assert_true(i < 65536);
	assert_forward(f, len, len, 3, 0);
	assert_int_equal(f[24] << 8 | f[25], 0);
}

static void
test_bad_checksum(void **st)
{
	uint8_t f[PACKET_ROOM];
	uint32_t len, bit;

	(void)st;
	simple_rules();
	for (bit = 0; bit < 16; bit++) {
		len = packet_ipv4(f, &good4);
		f[24 + bit / 8] ^= 1 << bit % 8;
		assert_drop(f, len, len, L3FWD_DROP_BAD_CHECKSUM);
	}
	len = packet_ipv4(f, &good4);
	f[24] = f[25] = 0;
	assert_drop(f, len, len, L3FWD_DROP_BAD_CHECKSUM);
	f[24] = f[25] = 0xff;
	assert_drop(f, len, len, L3FWD_DROP_BAD_CHECKSUM);
}

static void
test_ttl(void **st)
{
	uint8_t f[PACKET_ROOM];
	struct ipv4_spec s = good4;
	struct ipv6_spec s6 = good6;
	unsigned int ttl;
	uint32_t len;

	(void)st;
	simple_rules();
	for (ttl = 0; ttl < 256; ttl += ttl < 3 ? 1 : 84) {
		s.ttl = s6.hops = ttl;
		len = packet_ipv4(f, &s);
		if (ttl <= 1)
			assert_drop(f, len, len, L3FWD_DROP_TTL);
		else
			assert_forward(f, len, len, 3, 0);
		len = packet_ipv6(f, &s6);
		if (ttl <= 1)
			assert_drop(f, len, len, L3FWD_DROP_TTL);
		else
			assert_forward(f, len, len, 5, 1);
	}
}

static void
test_addresses(void **st)
{
	static const uint32_t bad_src[] = {0x00000000, 0x00ffffff, 0x7f000001,
					   0x7fffffff, 0xa9fe0101, 0xe0000001,
					   0xefffffff, 0xf0000000, 0xffffffff};
	static const uint32_t bad_dst[] = {0x00000000, 0x00ffffff, 0x7f000001,
					   0xa9fe0101, 0xf0000000, 0xffffffff};
	static const uint32_t group[] = {0xe0000000, 0xe0000001, 0xefffffff};
	static const uint32_t good[] = {0x01000000, 0x7e000001, 0x80000001,
					0xa9fd0001, 0xa9ff0001, 0xdfffffff};
	uint8_t f[PACKET_ROOM];
	struct ipv4_spec s;
	uint32_t len;
	size_t i;

	(void)st;
	/* A default route: the address alone decides. */
	run_set_rules("R0.0.0.0/0 2\n", "R::/0 2\n");
	for (i = 0; i < sizeof(bad_src) / sizeof(bad_src[0]); i++) {
		s = good4;
		s.src = bad_src[i];
		len = packet_ipv4(f, &s);
		assert_drop(f, len, len, L3FWD_DROP_BAD_ADDRESS);
	}
	for (i = 0; i < sizeof(bad_dst) / sizeof(bad_dst[0]); i++) {
		s = good4;
		s.dst = bad_dst[i];
		len = packet_ipv4(f, &s);
		assert_drop(f, len, len, L3FWD_DROP_BAD_ADDRESS);
	}
	for (i = 0; i < sizeof(group) / sizeof(group[0]); i++) {
		s = good4;
		s.dst = group[i];
		len = packet_ipv4(f, &s);
		assert_drop(f, len, len, L3FWD_DROP_GROUP);
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		s = good4;
		s.src = s.dst = good[i];
		len = packet_ipv4(f, &s);
		assert_forward(f, len, len, 2, 0);
	}
	/* Unicast IP in a broadcast and in a multicast frame. */
	len = packet_ipv4(f, &good4);
	memset(f, 0xff, 6);
	assert_drop(f, len, len, L3FWD_DROP_GROUP);
	len = packet_ipv6(f, &good6);
	f[0] = 0x33;
	assert_drop(f, len, len, L3FWD_DROP_GROUP);
}

static void
test_addresses6(void **st)
{
	static const struct {
		uint8_t first[2], last;
		bool bad_src, bad_dst, group;
	} cases[] = {
		{{0, 0}, 0, true, true, false},		/* :: */
		{{0, 0}, 1, true, true, false},		/* ::1 */
		{{0, 0}, 2, false, false, false},	/* ::2 */
		{{0, 1}, 1, false, false, false},	/* 1::1 */
		{{0xfe, 0x80}, 1, true, true, false},	/* fe80::1 */
		{{0xfe, 0xbf}, 1, true, true, false},	/* the end of fe80::/10 */
		{{0xfe, 0xc0}, 1, false, false, false}, /* fec0::1 */
		{{0xfe, 0x7f}, 1, false, false, false},
		{{0xff, 0x02}, 1, true, false, true}, /* ff02::1 */
		{{0xfd, 0x00}, 1, false, false, false},
	};
	uint8_t f[PACKET_ROOM];
	struct ipv6_spec s;
	uint32_t len;
	size_t i;

	(void)st;
	run_set_rules(NULL, "R::/0 2\n");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t a[16] = {cases[i].first[0], cases[i].first[1], [15] = cases[i].last};

		s = good6;
		memcpy(s.src, a, 16);
		len = packet_ipv6(f, &s);
		if (cases[i].bad_src)
			assert_drop(f, len, len, L3FWD_DROP_BAD_ADDRESS);
		else
			assert_forward(f, len, len, 2, 0);
		s = good6;
		memcpy(s.dst, a, 16);
		len = packet_ipv6(f, &s);
		if (cases[i].bad_dst)
			assert_drop(f, len, len, L3FWD_DROP_BAD_ADDRESS);
		else if (cases[i].group)
			assert_drop(f, len, len, L3FWD_DROP_GROUP);
		else
			assert_forward(f, len, len, 2, 0);
	}
}

static void
test_no_route_and_mtu(void **st)
{
	uint8_t f[PACKET_ROOM];
	struct ipv4_spec s = good4;
	struct ipv6_spec s6 = good6;
	uint32_t len;

	(void)st;
	run_set_mtu(3, 1000);
	run_set_mtu(5, 1280);
	simple_rules();
	s.dst = 0x0a020203;
	len = packet_ipv4(f, &s);
	assert_drop(f, len, len, L3FWD_DROP_NO_ROUTE);
	s6.dst[4] = 0x0a;
	len = packet_ipv6(f, &s6);
	assert_drop(f, len, len, L3FWD_DROP_NO_ROUTE);
	s = good4;
	s6 = good6;
	s.payload = 980;
	len = packet_ipv4(f, &s);
	assert_forward(f, len, len, 3, 0);
	s.payload++;
	len = packet_ipv4(f, &s);
	assert_drop(f, len, len, L3FWD_DROP_TOO_BIG);
	s6.payload = 1240;
	len = packet_ipv6(f, &s6);
	assert_forward(f, len, len, 5, 1);
	s6.payload++;
	len = packet_ipv6(f, &s6);
	assert_drop(f, len, len, L3FWD_DROP_TOO_BIG);
	/* Padding does not count. */
	s.payload--;
	s.padding = 46;
	len = packet_ipv4(f, &s);
	assert_forward(f, len, len, 3, 0);
	run_set_mtu(3, 1500);
	run_set_mtu(5, 1500);
}

/* A nest of all 33 prefix lengths around one address: each must win exactly where no longer one does. */
static void
test_every_prefix_length4(void **st)
{
	uint8_t f[PACKET_ROOM];
	char text[4096], *p = text;
	struct ipv4_spec s = good4;
	unsigned int d;
	uint32_t len;

	(void)st;
	for (d = 0; d <= 32; d++)
		p += sprintf(p, "R10.1.2.3/%u %u\n", d, d % RUN_PORTS);
	run_set_rules(text, NULL);
	for (d = 0; d <= 32; d++) {
		/* Agrees in d bits, and no more. */
		s.dst = d == 32 ? DST : DST ^ (1u << (31 - d));
		len = packet_ipv4(f, &s);
		if (s.dst >> 24 == 0 || s.dst >> 28 >= 14)
			continue;
		assert_forward(f, len, len, d % RUN_PORTS, d);
	}
}

static void
test_every_prefix_length6(void **st)
{
	uint8_t f[PACKET_ROOM];
	char text[8192], *p = text;
	struct ipv6_spec s = good6;
	unsigned int d;
	uint32_t len;

	(void)st;
	for (d = 0; d <= 128; d++)
		p += sprintf(p, "R2001:db8:900:0:123:4567:89ab:cdef/%u %u\n", d, d % RUN_PORTS);
	run_set_rules(NULL, text);
	for (d = 0; d <= 128; d++) {
		static const uint8_t dst[16] = {0x20, 1,    0x0d, 0xb8, 9,    0,    0,	  0,
						0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};

		memcpy(s.dst, dst, 16);
		if (d < 128)
			s.dst[d / 8] ^= 0x80 >> d % 8;
		len = packet_ipv6(f, &s);
		assert_forward(f, len, len, d % RUN_PORTS, d);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_options_and_fragments),
		cmocka_unit_test(test_too_short),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_not_ip),
		cmocka_unit_test(test_bad_header),
		cmocka_unit_test(test_every_checksum),
		cmocka_unit_test(test_bad_checksum),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_addresses6),
		cmocka_unit_test(test_no_route_and_mtu),
		cmocka_unit_test(test_every_prefix_length4),
		cmocka_unit_test(test_every_prefix_length6),
	};

	return cmocka_run_group_tests_name("l3fwd kernel, corners", tests, run_setup, run_teardown);
}
