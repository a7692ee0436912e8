/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * What every IPv4 router does to a header: check it, take one off the time to live, and mend the checksum for that
 * (RFC 1624) instead of adding it up anew. One work-item a packet; only the first 34 bytes are touched.
 */

enum { ETH_LEN = 14, IPV4_MIN = 20 };

/* Reasons of a drop, in the verdict's port. */
enum { DROP_SHORT = 1, DROP_NOT_IPV4 = 2, DROP_HEADER = 3, DROP_TTL = 4 };

/* Network byte order, whatever the address. */
static uint load_be16(__global const uchar *p)
{
	return (uint)p[0] << 8 | p[1];
}

static void store_be16(__global uchar *p, uint v)
{
	p[0] = (uchar)(v >> 8);
	p[1] = (uchar)v;
}

__kernel void ttl(APIR_BURST, const uint port)
{
	const uint i = apir_index();
	__global uchar *ip;
	uint sum;

	if (i >= apir_count())
		return;
	if (apir_len(i) < ETH_LEN + IPV4_MIN) {
		apir_drop(i, DROP_SHORT);
		return;
	}
	ip = apir_data(i) + ETH_LEN;
	if (load_be16(ip - 2) != 0x0800) {
		apir_drop(i, DROP_NOT_IPV4);
		return;
	}
	if (ip[0] >> 4 != 4 || (ip[0] & 15) * 4 < IPV4_MIN) {
		apir_drop(i, DROP_HEADER);
		return;
	}
	if (ip[8] <= 1) {
		apir_drop(i, DROP_TTL);
		return;
	}
	/* The word that holds the time to live falls by 0x0100: HC' = ~(~HC + ~m + m'), in one's complement. */
	sum = (~load_be16(ip + 10) & 0xffff) + (~load_be16(ip + 8) & 0xffff);
	ip[8] -= 1;
	sum += load_be16(ip + 8);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	store_be16(ip + 10, ~sum);
	apir_forward(i, port);
}
