/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * The kernels of apir-gpu-bench, on both sides. Running one again and again must stay predictable, so that all bytes
 * can be checked outside the timed section, and a burst that was left out must show: see check.c.
 */

/*
 * One work-group a packet; every word is read, xored and written in place. The rotation makes the n-th run differ
 * from the run before it: with xor alone, two lost bursts would look like none.
 */
__kernel void bench_xor(APIR_BURST)
{
	const uint i = apir_group_index();

	if (i >= apir_count())
		return;
	__global uint *w = (__global uint *)(__global void *)apir_data(i);
	const uint len = apir_len(i), words = len / 4;

	for (uint j = get_local_id(0); j < words; j += get_local_size(0))
		w[j] = rotate(w[j] ^ 0x5a17c3e1u, 1u);
	if (get_local_id(0) == 0)
		apir_forward_meta(i, 1, len);
}

static inline uint fold(uint sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static inline uint halves(uint w)
{
	return (w & 0xffff) + (w >> 16);
}

/*
 * One work-item a packet: IPv4 header checked, one hop less (TTL wraps), checksum by RFC 1624 equation 3, dropped if
 * expired. 36 bytes are read with three loads and 16 written with one store, because each may cross PCIe by itself.
 */
__kernel void bench_header(APIR_BURST)
{
	const uint i = apir_index();

	if (i >= apir_count())
		return;
	__global uchar *p = apir_data(i);
	if (apir_len(i) < 36 || ((ulong)p & 15) != 0) {
		apir_drop(i, 4);
		return;
	}
	const uint4 a = *(__global const uint4 *)(__global void *)p;
	uint4 b = *(__global const uint4 *)(__global void *)(p + 16);
	const uint c = *(__global const uint *)(__global void *)(p + 32);

	/* Bytes as they lie, little-endian: type in 12, 13; version in 14; TTL in 22; checksum in 24, 25. */
	if ((a.w & 0xffff) != 0x0008 || (a.w >> 16 & 0xff) != 0x45) {
		apir_drop(i, 2);
		return;
	}
	if (fold((a.w >> 16) + halves(b.x) + halves(b.y) + halves(b.z) + halves(b.w) + (c & 0xffff)) != 0xffff) {
		apir_drop(i, 3);
		return;
	}
	const uint before = b.y >> 16, ttl = before & 0xff;
	const uint after = (before & 0xff00) | ((ttl - 1) & 0xff);
	const uint sum = fold((~b.z & 0xffff) + (~before & 0xffff) + after);

	b.y = (b.y & 0xffff) | after << 16;
	b.z = (b.z & 0xffff0000) | (~sum & 0xffff);
	*(__global uint4 *)(__global void *)(p + 16) = b;
	if (ttl <= 1)
		apir_drop(i, 1);
	else
		apir_forward(i, ttl & 3);
}
