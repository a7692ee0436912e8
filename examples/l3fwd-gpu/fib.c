/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fib.h"
#include "l3fwd_shared.h"

static uint32_t *
node_of(const struct fib *fib, uint32_t entry)
{
	return fib->entries + ((size_t)1 << fib->root_bits) +
	       (size_t)(entry & ~L3FWD_CHILD) * L3FWD_NODE_SIZE;
}

/* A new node whose entries all say what the entry above it said. Returns its number or FIB_MAX_NODES. */
static uint32_t
node_create(struct fib *fib, uint32_t inherited)
{
	const uint32_t n = fib->nb_nodes;
	uint32_t *entries, i;

	if (n == FIB_MAX_NODES)
		return FIB_MAX_NODES;
	if (n == fib->room) {
		uint32_t room = fib->room == 0 ? 64 : fib->room * 2;

		entries = realloc(fib->entries,
				  (((size_t)1 << fib->root_bits) + (size_t)room * L3FWD_NODE_SIZE) *
					  sizeof(*entries));
		if (entries == NULL)
			return FIB_MAX_NODES;
		fib->entries = entries;
		fib->room = room;
	}
	fib->nb_nodes++;
	entries = node_of(fib, n);
	for (i = 0; i < L3FWD_NODE_SIZE; i++)
		entries[i] = inherited;
	return n;
}

/*
 * Routes come with shorter prefixes first: what a route covers holds no node yet, and is overwritten as a whole.
 */
static int
insert(struct fib *fib, const struct route *r, uint32_t leaf)
{
	unsigned int bits = fib->root_bits, done = 0;
	size_t base = 0; /* index of the current table: the array may move */
	size_t index = 0, i;

	for (i = 0; i < bits / 8; i++)
		index = index << 8 | r->addr[i];
	while (r->depth > done + bits) {
		uint32_t entry = fib->entries[base + index], n;

		if ((entry & L3FWD_CHILD) == 0) {
			n = node_create(fib, entry);
			if (n == FIB_MAX_NODES)
				return -1;
			fib->entries[base + index] = L3FWD_CHILD | n;
			entry = n;
		}
		done += bits;
		bits = L3FWD_NODE_BITS;
		base = node_of(fib, entry) - fib->entries;
		index = r->addr[done / 8];
	}
	for (i = 0; i < (size_t)1 << (done + bits - r->depth); i++)
		fib->entries[base + index + i] = leaf;
	return 0;
}

int
fib_build(struct fib *fib, const struct route_list *list, uint32_t first, char *err, size_t err_len)
{
	const char *family = list->addr_len == 16 ? "IPv6" : "IPv4";
	uint32_t i;

	memset(fib, 0, sizeof(*fib));
	fib->root_bits = list->addr_len == 16 ? L3FWD_ROOT6_BITS : L3FWD_ROOT4_BITS;
	fib->entries = calloc((size_t)1 << fib->root_bits, sizeof(*fib->entries));
	if (fib->entries == NULL) {
		snprintf(err, err_len, "no memory for the %s table", family);
		return -1;
	}
	for (i = 0; i < list->nb; i++) {
		const struct route *r = &list->routes[i];

		if (insert(fib, r, L3FWD_LEAF(first + i, r->port)) != 0) {
			snprintf(err, err_len,
				 "the %s routes need more memory than there is, or more than %u "
				 "table nodes",
				 family, FIB_MAX_NODES);
			fib_free(fib);
			return -1;
		}
	}
	return 0;
}

void
fib_free(struct fib *fib)
{
	free(fib->entries);
	fib->entries = NULL;
}
