/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_lpm.h>
#include <rte_lpm6.h>

#include "compat.h"
#include "cpu.h"

struct cpu_fib {
	const struct rules *rules;
	struct rte_lpm *lpm4;
	struct rte_lpm6 *lpm6;
};

static uint16_t
net16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t
net32(const uint8_t *p)
{
	return (uint32_t)net16(p) << 16 | net16(p + 2);
}

static int
compare_addr(const void *a, const void *b)
{
	const struct route *const *ra = a, *const *rb = b;

	return memcmp((*ra)->addr, (*rb)->addr, sizeof((*ra)->addr));
}

/* How many nodes of 256 entries a list needs below the 24 bits that rte_lpm and rte_lpm6 start with; 0: no memory. */
static uint32_t
count_tbl8(const struct route_list *list)
{
	const struct route **sorted = calloc(list->nb + 1, sizeof(*sorted));
	uint32_t nodes = 1, i;
	unsigned int bytes;

	if (sorted == NULL)
		return 0;
	for (i = 0; i < list->nb; i++)
		sorted[i] = &list->routes[i];
	qsort(sorted, list->nb, sizeof(*sorted), compare_addr);
	for (bytes = 3; bytes < list->addr_len; bytes++) {
		const struct route *prev = NULL;

		for (i = 0; i < list->nb; i++) {
			if (sorted[i]->depth <= bytes * 8)
				continue;
			if (prev == NULL || memcmp(prev->addr, sorted[i]->addr, bytes) != 0)
				nodes++;
			prev = sorted[i];
		}
	}
	free(sorted);
	return nodes;
}

/* Both libraries lack the default route: a list has it first, and the lookups fall back to it. */
static bool
has_default(const struct route_list *list)
{
	return list->nb > 0 && list->routes[0].depth == 0;
}

static int
create4(struct cpu_fib *fib, const char *name)
{
	const struct route_list *list = &fib->rules->v4;
	struct rte_lpm_config cfg = {.max_rules = list->nb + 1, .number_tbl8s = count_tbl8(list)};
	uint32_t i;
	int ret;

	fib->lpm4 = rte_lpm_create(name, SOCKET_ID_ANY, &cfg);
	if (fib->lpm4 == NULL)
		return -rte_errno;
	for (i = has_default(list); i < list->nb; i++) {
		const struct route *r = &list->routes[i];

		ret = rte_lpm_add(fib->lpm4, net32(r->addr), r->depth, i);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int
create6(struct cpu_fib *fib, const char *name)
{
	const struct route_list *list = &fib->rules->v6;
	struct rte_lpm6_config cfg = {.max_rules = list->nb + 1, .number_tbl8s = count_tbl8(list)};
	uint32_t i;
	int ret;

	fib->lpm6 = rte_lpm6_create(name, SOCKET_ID_ANY, &cfg);
	if (fib->lpm6 == NULL)
		return -rte_errno;
	for (i = has_default(list); i < list->nb; i++) {
		const struct route *r = &list->routes[i];

		ret = rte_lpm6_add(fib->lpm6, LPM6_ADDR(r->addr), r->depth, i);
		if (ret < 0)
			return ret;
	}
	return 0;
}

struct cpu_fib *
cpu_fib_create(const struct rules *rules, uint32_t id, char *err, size_t err_len)
{
	struct cpu_fib *fib = calloc(1, sizeof(*fib));
	char name[32];
	int ret;

	if (fib == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	fib->rules = rules;
	snprintf(name, sizeof(name), "l3fwd_%u", id);
	ret = create4(fib, name);
	if (ret == 0)
		ret = create6(fib, name);
	if (ret != 0) {
		snprintf(err, err_len,
			 "rte_lpm cannot hold the routes: %s (its tables need 160 MiB of hugepages "
			 "and more)",
			 rte_strerror(-ret));
		cpu_fib_free(fib);
		return NULL;
	}
	return fib;
}

void
cpu_fib_free(struct cpu_fib *fib)
{
	if (fib == NULL)
		return;
	rte_lpm_free(fib->lpm4);
	rte_lpm6_free(fib->lpm6);
	free(fib);
}

static struct rte_apir_verdict
drop(enum l3fwd_drop reason)
{
	return (struct rte_apir_verdict){.action = RTE_APIR_ACTION_DROP, .port = reason};
}

static bool
is_multicast4(uint32_t a)
{
	return a >> 24 >= 224 && a >> 24 <= 239;
}

/* This network, loopback, link-local; multicast is no source; class E and limited broadcast. */
static bool
is_bad_source4(uint32_t a)
{
	return a >> 24 == 0 || a >> 24 == 127 || a >> 16 == (169 << 8 | 254) || a >> 24 >= 224;
}

static bool
is_bad_destination4(uint32_t a)
{
	return is_bad_source4(a) && !is_multicast4(a);
}

/* The unspecified address, loopback and link-local addresses. */
static bool
is_local6(const uint8_t *a)
{
	static const uint8_t zero[16];

	return (memcmp(a, zero, 15) == 0 && a[15] <= 1) || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
}

/* The checks of RFC 1812 5.2.2 and 5.3 in the order of enum l3fwd_drop, then the lookup. *route: its number. */
static int
check4(const struct cpu_fib *fib, const uint8_t *frame, const uint8_t *ip, uint32_t first,
       uint32_t avail, uint32_t *route)
{
	const uint32_t header = (ip[0] & 0xf) * 4, total = net16(ip + 2);
	const uint32_t src = net32(ip + 12), dst = net32(ip + 16);
	uint32_t hop;

	if (ip[0] >> 4 != 4 || header < 20 || total < header)
		return L3FWD_DROP_BAD_HEADER;
	if (header > first || total > avail)
		return L3FWD_DROP_TOO_SHORT;
	if (rte_raw_cksum(ip, header) != 0xffff)
		return L3FWD_DROP_BAD_CHECKSUM;
	if (is_bad_source4(src) || is_bad_destination4(dst))
		return L3FWD_DROP_BAD_ADDRESS;
	if ((frame[0] & RTE_ETHER_GROUP_ADDR) != 0 || is_multicast4(dst))
		return L3FWD_DROP_GROUP;
	if (ip[8] <= 1)
		return L3FWD_DROP_TTL;
	if (rte_lpm_lookup(fib->lpm4, dst, &hop) == 0)
		*route = hop;
	else if (has_default(&fib->rules->v4))
		*route = 0;
	else
		return L3FWD_DROP_NO_ROUTE;
	return -1;
}

static int
check6(const struct cpu_fib *fib, const uint8_t *frame, const uint8_t *ip, uint32_t avail,
       uint32_t *route)
{
	const uint8_t *src = ip + 8, *dst = ip + 24;
	uint32_t hop;

	if (ip[0] >> 4 != 6)
		return L3FWD_DROP_BAD_HEADER;
	if (net16(ip + 4) + 40u > avail)
		return L3FWD_DROP_TOO_SHORT;
	if (is_local6(src) || is_local6(dst) || src[0] == 0xff)
		return L3FWD_DROP_BAD_ADDRESS;
	if ((frame[0] & RTE_ETHER_GROUP_ADDR) != 0 || dst[0] == 0xff)
		return L3FWD_DROP_GROUP;
	if (ip[7] <= 1)
		return L3FWD_DROP_TTL;
	if (rte_lpm6_lookup(fib->lpm6, LPM6_ADDR(dst), &hop) == 0)
		*route = fib->rules->v4.nb + hop;
	else if (has_default(&fib->rules->v6))
		*route = fib->rules->v4.nb;
	else
		return L3FWD_DROP_NO_ROUTE;
	return -1;
}

struct rte_apir_verdict
cpu_route(const struct cpu_fib *fib, const struct l3fwd_port *ports, uint8_t *frame, uint32_t first,
	  uint32_t len)
{
	uint32_t l2 = RTE_ETHER_HDR_LEN, route = 0, total;
	uint8_t *ip, port;
	uint16_t type;
	int reason;

	if (first < RTE_ETHER_HDR_LEN + 20)
		return drop(L3FWD_DROP_TOO_SHORT);
	type = net16(frame + 12);
	if (type == RTE_ETHER_TYPE_VLAN) {
		type = net16(frame + 16);
		l2 += RTE_VLAN_HLEN;
	}
	ip = frame + l2;
	if (type != RTE_ETHER_TYPE_IPV4 && type != RTE_ETHER_TYPE_IPV6)
		return drop(L3FWD_DROP_NOT_IP);
	if (first < l2 + (type == RTE_ETHER_TYPE_IPV4 ? 20 : 40))
		return drop(L3FWD_DROP_TOO_SHORT);
	if (type == RTE_ETHER_TYPE_IPV4) {
		reason = check4(fib, frame, ip, first - l2, len - l2, &route);
		total = net16(ip + 2);
	} else {
		reason = check6(fib, frame, ip, len - l2, &route);
		total = net16(ip + 4) + 40u;
	}
	if (reason >= 0)
		return drop(reason);
	port = rules_get(fib->rules, route)->port;
	if (total > ports[port].mtu)
		return drop(L3FWD_DROP_TOO_BIG);

	memcpy(frame, ports[port].mac, sizeof(ports[port].mac));
	if (type == RTE_ETHER_TYPE_IPV4) {
		struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)ip;

		h->time_to_live--;
		h->hdr_checksum = 0;
		h->hdr_checksum = rte_ipv4_cksum(h);
	} else {
		ip[7]--;
	}
	return (struct rte_apir_verdict){
		.action = RTE_APIR_ACTION_FORWARD, .port = port, .meta = route};
}
