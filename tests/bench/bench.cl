/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * The kernels apir-bench runs on both sides. Applying one again and again must stay predictable, so that the
 * bytes can be checked outside the timed section: see check.c.
 */

/* What a launch costs. */
__kernel void bench_empty(APIR_BURST)
{
}

/* A router's work on the header: one hop less (TTL wraps), checksum by RFC 1624 equation 3, drop if expired. */
__kernel void bench_header(APIR_BURST)
{
	const uint i = apir_index();

	if (i >= apir_count())
		return;
	__global uchar *p = apir_data(i);
	if (apir_len(i) < 34 || p[12] != 0x08 || p[13] != 0x00 || p[14] != 0x45) {
		apir_drop(i, 2);
		return;
	}

	/* Bytes 22, 23 are TTL and protocol, 24, 25 the checksum: words as the wire has them, big-endian. */
	const uint ttl = p[22];
	const uint before = ttl << 8 | p[23];
	const uint after = ((ttl - 1) & 0xff) << 8 | p[23];
	const uint check = (uint)p[24] << 8 | p[25];
	uint sum = (~check & 0xffff) + (~before & 0xffff) + after;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	p[22] = (uchar)(ttl - 1);
	p[24] = (uchar)(~sum >> 8);
	p[25] = (uchar)~sum;
	if (ttl <= 1)
		apir_drop(i, 1);
	else
		apir_forward(i, ttl & 3);
}

/* Every byte of the packet is read and written. */
__kernel void bench_payload(APIR_BURST)
{
	const uint i = apir_index();

	if (i >= apir_count())
		return;
	__global uchar *p = apir_data(i);
	const uint len = apir_len(i);

	for (uint j = 0; j < len; j++)
		p[j] ^= 0x5a;
}
