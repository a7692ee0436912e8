/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * The router: one work-item a packet. apir_kernel.h and l3fwd_shared.h stand before this file.
 *
 * Packets are in the memory of the host, so that each access may cross PCIe. All of a header is loaded at once, before the
 * first decision, in words as wide as its place allows: 16 bytes where the packet begins at a multiple of 16, as mbufs do
 * unless somebody moved them. What changes is stored as wide, neighbours that stay included: one crossing rather than five.
 */

#ifndef __ENDIAN_LITTLE__
#error "l3fwd.cl is written for little-endian devices"
#endif

/* A packet starts where its sender liked, but nearly always at a multiple of 4. */
static inline bool aligned(__global const uchar *p)
{
	return ((ulong)p & 3) == 0;
}

static inline uint load32(__global const uchar *p, bool al)
{
	return al ? *(__global const uint *)p : as_uint(vload4(0, p));
}

static inline uint load16(__global const uchar *p, bool al)
{
	return al ? *(__global const ushort *)p : as_ushort(vload2(0, p));
}

static inline void store32(__global uchar *p, uint v, bool al)
{
	if (al)
		*(__global uint *)p = v;
	else
		vstore4(as_uchar4(v), 0, p);
}

static inline uint4 load128(__global const uchar *p)
{
	return *(__global const uint4 *)(__global const void *)p;
}

static inline void store128(__global uchar *p, uint4 v)
{
	*(__global uint4 *)(__global void *)p = v;
}

/*
 * The words of a frame from 2 bytes before its IP header, which are aligned when the frame is; of the last one only the
 * lower half counts. wide: how the frame lies.
 */
struct header {
	uint w[11];
	bool wide, vlan;
	uint4 first, second; /* wide: the frame's first 32 bytes */
};

#define WIDE_BYTES 48u /* of a frame whose IPv4 header is loaded wide */
#define WIDE6_BYTES 64u /* whose IPv6 header is too */

static inline void load_wide(struct header *h, __global const uchar *p, uint len)
{
	const uint4 a = load128(p), b = load128(p + 16), c = load128(p + 32);
	const uint4 d = len >= WIDE6_BYTES ? load128(p + 48) : (uint4)(0);

	h->wide = true;
	h->first = a;
	h->second = b;
	h->vlan = (a.w & 0xffff) == 0x0081;
	h->w[0] = h->vlan ? b.x : a.w;
	h->w[1] = h->vlan ? b.y : b.x;
	h->w[2] = h->vlan ? b.z : b.y;
	h->w[3] = h->vlan ? b.w : b.z;
	h->w[4] = h->vlan ? c.x : b.w;
	h->w[5] = h->vlan ? c.y : c.x;
	h->w[6] = h->vlan ? c.z : c.y;
	h->w[7] = h->vlan ? c.w : c.z;
	h->w[8] = h->vlan ? d.x : c.w;
	h->w[9] = h->vlan ? d.y : d.x;
	h->w[10] = h->vlan ? d.z : d.y;
}

/* nb words and a half from q. */
static inline void load_narrow(struct header *h, __global const uchar *q, uint nb, bool al)
{
	for (uint i = 0; i < 10; i++)
		if (i < nb)
			h->w[i] = load32(q + 4 * i, al);
	if (nb == 10)
		h->w[10] = load16(q + 40, al);
	else
		h->w[5] = load16(q + 20, al);
}

/* New Ethernet addresses, and words 2 and 3 of the header. */
static inline void store_header(const struct header *h, __global uchar *p, __global uchar *q,
				__global const struct l3fwd_port *port, uint w2, uint w3, bool al)
{
	const uint m0 = port->mac[0], m1 = port->mac[1], m2 = port->mac[2];

	if (!h->wide) {
		store32(p, m0, al);
		store32(p + 4, m1, al);
		store32(p + 8, m2, al);
		store32(q + 8, w2, al);
		store32(q + 12, w3, al);
		return;
	}
	store128(p, (uint4)(m0, m1, m2, h->first.w));
	if (h->vlan)
		store128(p + 16, (uint4)(h->second.xy, w2, w3));
	else
		store128(p + 16, (uint4)(h->second.x, w2, w3, h->second.w));
}

/* Between network order and ours. */
static inline uint swap16(uint v)
{
	return (v & 0xff) << 8 | (v >> 8 & 0xff);
}

static inline uint swap32(uint v)
{
	return as_uint(as_uchar4(v).wzyx);
}

/* One's complement sums do not care for byte order (RFC 1071): words are added as they lie. */
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
 * RFC 1624, equation 3, for a word that is smaller by one: ~(~HC + ~m + m'), where ~m + m' is 0xfffe. The time
 * to live is the low byte of its word here.
 */
static inline uint checksum_after_decrement(uint check)
{
	return ~fold((~check & 0xffff) + 0xfffe) & 0xffff;
}

static inline uint child(__global const uint *table, uint entry, uint root, uint byte)
{
	return table[(1u << root) + (entry & ~L3FWD_CHILD) * L3FWD_NODE_SIZE + byte];
}

/* RFC 1812 5.3.7, RFC 3927 2.7: this network, loopback, link-local, class E and limited broadcast. */
static inline bool never_forwarded4(uint a)
{
	const uint net = a >> 24;

	return net == 0 || net == 127 || net >= 240 || a >> 16 == 0xa9fe;
}

static inline bool multicast4(uint a)
{
	return a >> 28 == 14;
}

/*
 * p: the frame; q: 2 bytes before the IP header, so that q is aligned when p is; avail: bytes from the IP header to the
 * end of the packet; first: those of them in the first segment. Returns a leaf, or 0 with *drop set.
 */
static inline uint route4(const struct header *h, __global uchar *p, __global uchar *q, uint first, uint avail,
			  bool group, bool al, __global const uint *fib,
			  __global const struct l3fwd_port *ports, uint *drop)
{
	const uint w0 = h->w[0], w1 = h->w[1], w2 = h->w[2], w3 = h->w[3], w4 = h->w[4], w5 = h->w[5] & 0xffff;
	const uint ihl = (w0 >> 16 & 0xf) * 4;
	const uint total = swap16(w1);
	const uint src = swap32(w3 >> 16 | w4 << 16), dst = swap32(w4 >> 16 | w5 << 16);
	const uint ttl = w2 >> 16 & 0xff;

	if ((w0 >> 20 & 0xf) != 4 || ihl < L3FWD_IPV4_LEN || total < ihl) {
		*drop = L3FWD_DROP_BAD_HEADER;
		return 0;
	}
	if (ihl > first || total > avail) {
		*drop = L3FWD_DROP_TOO_SHORT;
		return 0;
	}
	uint sum = (w0 >> 16) + halves(w1) + halves(w2) + halves(w3) + halves(w4) + w5;
	for (uint o = L3FWD_IPV4_LEN; o < ihl; o += 4)
		sum += load16(q + 2 + o, al) + load16(q + 4 + o, al);
	if (fold(sum) != 0xffff) {
		*drop = L3FWD_DROP_BAD_CHECKSUM;
		return 0;
	}
	if (never_forwarded4(src) || never_forwarded4(dst) || multicast4(src)) {
		*drop = L3FWD_DROP_BAD_ADDRESS;
		return 0;
	}
	if (group || multicast4(dst)) {
		*drop = L3FWD_DROP_GROUP;
		return 0;
	}
	if (ttl <= 1) {
		*drop = L3FWD_DROP_TTL;
		return 0;
	}
	uint leaf = fib[dst >> 8];
	if (leaf & L3FWD_CHILD)
		leaf = child(fib, leaf, L3FWD_ROOT4_BITS, dst & 0xff);
	if (leaf == 0) {
		*drop = L3FWD_DROP_NO_ROUTE;
		return 0;
	}
	__global const struct l3fwd_port *port = &ports[L3FWD_LEAF_PORT(leaf)];
	if (total > port->mtu) {
		*drop = L3FWD_DROP_TOO_BIG;
		return 0;
	}
	store_header(h, p, q, port, w2 - (1u << 16), (w3 & 0xffff0000) | checksum_after_decrement(w3), al);
	return leaf;
}

/* As route4(). */
static inline uint route6(const struct header *h, __global uchar *p, __global uchar *q, uint avail, bool group,
			  bool al, __global const uint *fib, __global const struct l3fwd_port *ports, uint *drop)
{
	const uint w0 = h->w[0], w1 = h->w[1], w2 = h->w[2];
	const uint s0 = w2 >> 16, s1 = h->w[3], s2 = h->w[4], s3 = h->w[5], sd = h->w[6];
	const uint d0 = sd >> 16, d1 = h->w[7], d2 = h->w[8], d3 = h->w[9], d4 = h->w[10] & 0xffff;
	const uint total = swap16(w1 >> 16) + L3FWD_IPV6_LEN;
	const uint hops = w2 >> 8 & 0xff;

	if ((w0 >> 20 & 0xf) != 6) {
		*drop = L3FWD_DROP_BAD_HEADER;
		return 0;
	}
	if (total > avail) {
		*drop = L3FWD_DROP_TOO_SHORT;
		return 0;
	}
	/* RFC 4291: the unspecified address, loopback, link-local; a group as the source. */
	if (((s0 | s1 | s2 | s3) == 0 && ((sd & 0xffff) == 0 || (sd & 0xffff) == 0x0100)) ||
	    ((d0 | d1 | d2 | d3) == 0 && (d4 == 0 || d4 == 0x0100)) || (s0 & 0xc0ff) == 0x80fe ||
	    (d0 & 0xc0ff) == 0x80fe || (s0 & 0xff) == 0xff) {
		*drop = L3FWD_DROP_BAD_ADDRESS;
		return 0;
	}
	if (group || (d0 & 0xff) == 0xff) {
		*drop = L3FWD_DROP_GROUP;
		return 0;
	}
	if (hops <= 1) {
		*drop = L3FWD_DROP_TTL;
		return 0;
	}
	/* The destination starts at q + 26; the loop ends at the last byte even if the table were wrong. */
	uint leaf = fib[swap16(d0)];
	for (uint o = 28; (leaf & L3FWD_CHILD) && o < 42; o++)
		leaf = child(fib, leaf, L3FWD_ROOT6_BITS, q[o]);
	if (leaf == 0 || (leaf & L3FWD_CHILD)) {
		*drop = L3FWD_DROP_NO_ROUTE;
		return 0;
	}
	__global const struct l3fwd_port *port = &ports[L3FWD_LEAF_PORT(leaf)];
	if (total > port->mtu) {
		*drop = L3FWD_DROP_TOO_BIG;
		return 0;
	}
	store_header(h, p, q, port, w2 - (1u << 8), s1, al);
	return leaf;
}

__kernel void l3fwd(APIR_BURST, __global const uint *restrict fib4, __global const uint *restrict fib6,
		    __global const struct l3fwd_port *restrict ports)
{
	const uint i = apir_index();
	if (i >= apir_count())
		return;

	__global uchar *p = apir_data(i);
	const uint first = apir_len(i);
	uint len = first;
	for (uint s = 1; s < apir_seg_count(i); s++)
		len += apir_seg_len(i, s);

	/* The headers must be in the first segment: where they are not, nothing sane has sent the packet. */
	if (first < L3FWD_ETHER_LEN + L3FWD_IPV4_LEN) {
		apir_drop(i, L3FWD_DROP_TOO_SHORT);
		return;
	}
	const bool al = aligned(p);
	struct header h = {.wide = false};
	bool group;
	uint type, l2 = L3FWD_ETHER_LEN;

	if (first >= WIDE_BYTES && ((ulong)p & 15) == 0) {
		load_wide(&h, p, first);
		group = h.first.x & 1;
		type = swap16(h.vlan ? h.second.x & 0xffff : h.first.w & 0xffff);
	} else {
		group = p[0] & 1;
		type = swap16(load16(p + 12, al));
		h.vlan = type == L3FWD_TYPE_VLAN;
		if (h.vlan)
			type = swap16(load16(p + 16, al));
	}
	if (h.vlan)
		l2 += L3FWD_VLAN_LEN;

	__global uchar *q = p + l2 - 2;
	uint drop = L3FWD_DROP_NOT_IP, leaf = 0;
	if (type == L3FWD_TYPE_IPV4) {
		if (first < l2 + L3FWD_IPV4_LEN) {
			drop = L3FWD_DROP_TOO_SHORT;
		} else {
			if (!h.wide)
				load_narrow(&h, q, 5, al);
			leaf = route4(&h, p, q, first - l2, len - l2, group, al, fib4, ports, &drop);
		}
	} else if (type == L3FWD_TYPE_IPV6) {
		if (first < l2 + L3FWD_IPV6_LEN) {
			drop = L3FWD_DROP_TOO_SHORT;
		} else {
			if (!h.wide || first < WIDE6_BYTES)
				load_narrow(&h, q, 10, al);
			leaf = route6(&h, p, q, len - l2, group, al, fib6, ports, &drop);
		}
	}
	if (leaf == 0)
		apir_drop(i, drop);
	else
		apir_forward_meta(i, L3FWD_LEAF_PORT(leaf), L3FWD_LEAF_ROUTE(leaf));
}
