/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef TEST_PACKETS_H
#define TEST_PACKETS_H

/* Builds packets byte by byte, with no help from the code under test. */

#include <stdbool.h>
#include <stdint.h>

struct ipv4_spec {
	uint32_t src, dst; /* host order */
	uint8_t ttl;
	uint8_t options; /* bytes, a multiple of 4 up to 40 */
	uint16_t id, fragment;
	uint16_t payload;
	bool vlan;
	uint16_t padding; /* bytes after the IP packet */
};

struct ipv6_spec {
	uint8_t src[16], dst[16];
	uint8_t hops;
	uint16_t payload;
	bool vlan;
	uint16_t padding;
};

#define PACKET_ROOM 9216

/* Write a right packet to frame (PACKET_ROOM bytes); returns its length. */
uint32_t packet_ipv4(uint8_t *frame, const struct ipv4_spec *spec);
uint32_t packet_ipv6(uint8_t *frame, const struct ipv6_spec *spec);
/* Bytes before the IP header. */
uint32_t packet_l2(bool vlan);
/* Compute the header checksum anew. */
void packet_checksum(uint8_t *ip);
/* The sum of a header in one's complement: 0xffff if its checksum is right. */
uint16_t packet_sum(const uint8_t *ip);

#endif /* TEST_PACKETS_H */
