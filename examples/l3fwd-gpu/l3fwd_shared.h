/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_SHARED_H
#define L3FWD_SHARED_H

/*
 * What the host and the kernel must agree on. Read by C and by OpenCL C: the build puts this file before l3fwd.cl.
 */

/* Without any #include: a kernel program is one text. */
typedef unsigned int l3fwd_u32;

/* Why a packet is dropped, in the order of the checks. Names for people are in stats.c. */
enum l3fwd_drop {
	L3FWD_DROP_TOO_SHORT,	 /* the packet ends before its headers or its length field say */
	L3FWD_DROP_NOT_IP,	 /* another EtherType */
	L3FWD_DROP_BAD_HEADER,	 /* version, header length or total length are impossible */
	L3FWD_DROP_BAD_CHECKSUM, /* of the IPv4 header */
	L3FWD_DROP_BAD_ADDRESS,	 /* addresses that no router may forward */
	L3FWD_DROP_GROUP,	 /* broadcast or multicast, of Ethernet or of IP */
	L3FWD_DROP_TTL,		 /* time to live or hop limit is used up */
	L3FWD_DROP_NO_ROUTE,	 /* no prefix matches */
	L3FWD_DROP_TOO_BIG,	 /* larger than the MTU of the output port */
	L3FWD_DROP_KERNEL_END,
	/* From here on: found by the host. */
	L3FWD_DROP_BAD_VERDICT =
		L3FWD_DROP_KERNEL_END, /* the kernel named no such port or reason */
	L3FWD_DROP_REFUSED,	       /* the device cannot take this packet */
	L3FWD_DROP_DEVICE_LOST,	       /* it was in flight when the back-end went away */
	L3FWD_DROP_DEVICE_ERROR,       /* the device failed to run the kernel on it */
	L3FWD_DROP_TX_FULL,	       /* the output port did not take it */
	L3FWD_DROP_END
};

/* Ethernet, one 802.1Q tag, IPv4 without options, IPv6. */
#define L3FWD_ETHER_LEN 14
#define L3FWD_VLAN_LEN	4
#define L3FWD_IPV4_LEN	20
#define L3FWD_IPV6_LEN	40
#define L3FWD_TYPE_IPV4 0x0800
#define L3FWD_TYPE_IPV6 0x86dd
#define L3FWD_TYPE_VLAN 0x8100

/*
 * Route tables: arrays of 32-bit entries. First a root that is indexed by the first bits of the address, then nodes of
 * 256 entries, each indexed by the next byte. With a root of 24 bits that is DIR-24-8, which IPv4 uses; IPv6 has
 * a root of 16 bits and up to 14 nodes on a path.
 *
 * An entry is 0 (no route), or L3FWD_CHILD | number of the node to go on with, or a leaf: route + 1 and port.
 */
#define L3FWD_ROOT4_BITS 24
#define L3FWD_ROOT6_BITS 16
#define L3FWD_NODE_BITS	 8
#define L3FWD_NODE_SIZE	 256u
#define L3FWD_CHILD	 0x80000000u

#define L3FWD_LEAF(route, port) (((l3fwd_u32)(route) + 1) << 8 | (l3fwd_u32)(port))
#define L3FWD_LEAF_PORT(leaf)	((leaf)&0xff)
#define L3FWD_LEAF_ROUTE(leaf)	(((leaf) >> 8) - 1)
/* Most routes, IPv4 and IPv6 together: what a leaf and rte_lpm6's 21-bit next hop can both hold. */
#define L3FWD_MAX_ROUTES ((1u << 21) - 1)

/* What the kernel needs to know of an output port. */
struct l3fwd_port {
	l3fwd_u32 mac[3]; /* the first 12 bytes of each frame: destination and source address */
	l3fwd_u32 mtu;	  /* most bytes of an IP packet */
};

#endif /* L3FWD_SHARED_H */
