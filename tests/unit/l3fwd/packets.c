/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <string.h>

#include "packets.h"

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

uint32_t
packet_l2(bool vlan)
{
	return vlan ? 18 : 14;
}

static uint8_t *
put_ether(uint8_t *frame, bool vlan, uint16_t type)
{
	static const uint8_t mac[12] = {2, 0, 0, 0, 9, 1, 2, 0, 0, 0, 9, 2};

	memcpy(frame, mac, 12);
	if (vlan) {
		put16(frame + 12, 0x8100);
		put16(frame + 14, 0x2123);
	}
	put16(frame + packet_l2(vlan) - 2, type);
	return frame + packet_l2(vlan);
}

static void
put_payload(uint8_t *p, uint32_t len, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		p[i] = seed * 31 + i * 7;
}

uint16_t
packet_sum(const uint8_t *ip)
{
	uint32_t sum = 0, i;

	for (i = 0; i < (ip[0] & 0xfu) * 4; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

void
packet_checksum(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, ~packet_sum(ip));
}

uint32_t
packet_ipv4(uint8_t *frame, const struct ipv4_spec *s)
{
	uint8_t *ip = put_ether(frame, s->vlan, 0x0800);
	const uint32_t header = 20 + s->options;

	ip[0] = 0x40 | header / 4;
	ip[1] = 0;
	put16(ip + 2, header + s->payload);
	put16(ip + 4, s->id);
	put16(ip + 6, s->fragment);
	ip[8] = s->ttl;
	ip[9] = 17;
	put32(ip + 12, s->src);
	put32(ip + 16, s->dst);
	memset(ip + 20, 1, s->options);
	packet_checksum(ip);
	put_payload(ip + header, s->payload + s->padding, s->id);
	return ip - frame + header + s->payload + s->padding;
}

uint32_t
packet_ipv6(uint8_t *frame, const struct ipv6_spec *s)
{
	uint8_t *ip = put_ether(frame, s->vlan, 0x86dd);

	put32(ip, 0x60012345);
	put16(ip + 4, s->payload);
	ip[6] = 17;
	ip[7] = s->hops;
	memcpy(ip + 8, s->src, 16);
	memcpy(ip + 24, s->dst, 16);
	put_payload(ip + 40, s->payload + s->padding, s->dst[15]);
	return ip - frame + 40 + s->payload + s->padding;
}
