/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_RULES_H
#define L3FWD_RULES_H

/*
 * Routes, read from rule files in the format of DPDK's l3fwd:
 *
 *     # a comment
 *     R10.1.0.0/16 0
 *     R2001:db8::/32 3
 *
 * One prefix and its output port a line. Nothing here needs DPDK.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One route; addr in network order with the bits after the prefix cleared. IPv4 uses its first 4 bytes. */
struct route {
	uint8_t addr[16];
	uint8_t depth; /* bits of the prefix */
	uint8_t port;
	uint32_t line; /* of the file */
};

/* Routes of one family: shorter prefixes first, each prefix once. */
struct route_list {
	struct route *routes;
	uint32_t nb;
	uint8_t addr_len; /* 4 or 16 */
};

/* IPv4 and IPv6. Routes are numbered through: IPv4 first. */
struct rules {
	struct route_list v4, v6;
	unsigned int refs; /* of the control thread, see rules_ref() */
};

/* What a rule file may say. */
struct rules_config {
	const char *file4, *file6; /* NULL: no such routes */
	uint64_t ports;		   /* mask of the output ports there are */
};

/*
 * Read the files. NULL on any error, with err saying what and where ("file:line: why"). warn, if not NULL, is called with
 * a line for each prefix that is there twice: as in l3fwd, the last counts.
 */
struct rules *rules_read(const struct rules_config *cfg, void (*warn)(const char *text), char *err,
			 size_t err_len);
/* The rules are shared by successive route tables. */
struct rules *rules_ref(struct rules *r);
void rules_free(struct rules *r);

/* Route number n (IPv4 first), and the list it is in. */
const struct route *rules_get(const struct rules *r, uint32_t n);
static inline uint32_t
rules_count(const struct rules *r)
{
	return r->v4.nb + r->v6.nb;
}
/* "10.1.0.0/16" of route number n. */
const char *rules_name(const struct rules *r, uint32_t n, char *text, size_t len);
/* Order of a list: depth, then address. */
int route_compare(const struct route *a, const struct route *b);

#endif /* L3FWD_RULES_H */
