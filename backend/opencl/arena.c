/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arena.h"

#define PAGE 4096u
/* Pages of such a piece go back at once; those of smaller ones when there are many. */
#define PUNCH_MIN (1u << 20)
#define MAX_DIRTY (64u << 20)
/* Free blocks looked at in one bucket. */
#define LOOKS 32

void
arena_init(struct arena *a)
{
	memset(a, 0, sizeof(*a));
	pthread_mutex_init(&a->lock, NULL);
}

static unsigned int
bucket_of(const struct arena *a, uint64_t len)
{
	return 63u - (unsigned int)__builtin_clzll(len / a->granule);
}

static void
bucket_add(struct arena *a, struct arena_block *b)
{
	struct arena_block **head = &a->bucket[bucket_of(a, b->len)];

	b->free = true;
	b->bprev = NULL;
	b->bnext = *head;
	if (*head != NULL)
		(*head)->bprev = b;
	*head = b;
}

static void
bucket_remove(struct arena *a, struct arena_block *b)
{
	if (b->bprev != NULL)
		b->bprev->bnext = b->bnext;
	else
		a->bucket[bucket_of(a, b->len)] = b->bnext;
	if (b->bnext != NULL)
		b->bnext->bprev = b->bprev;
	b->free = false;
}

int
arena_open(struct arena *a, uint8_t *va, uint64_t gpa, uint64_t size, uint64_t shared,
	   uint32_t granule)
{
	struct arena_block *b;

	if (size == 0 || shared > size || gpa + (size - 1) < gpa || granule < 64 ||
	    granule > PAGE || (granule & (granule - 1)) != 0 || shared % PAGE != 0 ||
	    size % PAGE != 0 || (uintptr_t)va % PAGE != 0)
		return -EINVAL;
	a->gpa = gpa;
	a->va = va;
	a->shared = shared;
	a->granule = granule;
	a->max_dirty = MAX_DIRTY;
	a->dirty = 0;
	if (shared < size) {
		b = calloc(1, sizeof(*b));
		if (b == NULL)
			return -ENOMEM;
		b->off = shared;
		b->len = size - shared;
		bucket_add(a, b);
	}
	a->size = size;
	return 0;
}

void
arena_close(struct arena *a)
{
	/* Used blocks are their holders' to free: only what is on no list but ours goes here. */
	for (unsigned int i = 0; i < ARENA_BUCKETS; i++)
		while (a->bucket[i] != NULL) {
			struct arena_block *b = a->bucket[i];

			bucket_remove(a, b);
			if (b->prev != NULL)
				b->prev->next = b->next;
			if (b->next != NULL)
				b->next->prev = b->prev;
			free(b);
		}
	a->size = 0;
	pthread_mutex_destroy(&a->lock);
}

void *
arena_ptr(const struct arena *a, uint64_t gpa, uint64_t len)
{
	const uint64_t off = gpa - a->gpa;

	if (off >= a->size || len > a->size - off)
		return NULL;
	return a->va + off;
}

uint64_t
arena_addr(const struct arena *a, const void *p)
{
	const uint64_t off = (uintptr_t)p - (uintptr_t)a->va;

	return off < a->size ? a->gpa + off : 0;
}

bool
arena_is_shared(const struct arena *a, const void *p, uint64_t len)
{
	const uint64_t off = (uintptr_t)p - (uintptr_t)a->va;

	return off < a->size && off >= a->shared && len <= a->size - off;
}

/* Give whole pages back to the system. Shared memory that cannot do that keeps them. */
static void
punch(const struct arena *a, uint64_t off, uint64_t len)
{
	const uint64_t first = (off + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	const uint64_t end = (off + len) & ~(uint64_t)(PAGE - 1);

	if (first < end)
		madvise(a->va + first, end - first, MADV_REMOVE);
}

/* Where a piece would begin in b, or UINT64_MAX: too small. */
static uint64_t
fit(const struct arena_block *b, uint64_t len, uint64_t align)
{
	const uint64_t start = (b->off + align - 1) & ~(align - 1);

	return start - b->off <= b->len && len <= b->len - (start - b->off) ? start : UINT64_MAX;
}

static struct arena_block *
find_free(const struct arena *a, uint64_t len, uint64_t align)
{
	const unsigned int first = bucket_of(a, len);
	struct arena_block *b;

	for (unsigned int i = first; i < ARENA_BUCKETS; i++) {
		unsigned int looks = 0;

		for (b = a->bucket[i]; b != NULL && looks < LOOKS; b = b->bnext, looks++)
			if (fit(b, len, align) != UINT64_MAX)
				return b;
	}
	/* What was passed over before there is no room is worth a look. */
	for (b = a->bucket[first]; b != NULL; b = b->bnext)
		if (fit(b, len, align) != UINT64_MAX)
			return b;
	return NULL;
}

/* Make n, which is new, the free neighbour of b at [off, off + len); before: in front of it. */
static void
insert(struct arena *a, struct arena_block *b, struct arena_block *n, uint64_t off, uint64_t len,
       bool before)
{
	n->off = off;
	n->len = len;
	n->dirty = b->dirty;
	n->prev = before ? b->prev : b;
	n->next = before ? b : b->next;
	if (n->prev != NULL)
		n->prev->next = n;
	if (n->next != NULL)
		n->next->prev = n;
	bucket_add(a, n);
}

struct arena_block *
arena_alloc(struct arena *a, uint64_t size)
{
	struct arena_block *b, *head = NULL, *tail = NULL;
	uint64_t len, align, start, end;

	if (size == 0 || size > a->size)
		return NULL;
	align = size >= PAGE ? PAGE : a->granule;
	len = (size + a->granule - 1) & ~(uint64_t)(a->granule - 1);
	pthread_mutex_lock(&a->lock);
	b = find_free(a, len, align);
	if (b == NULL)
		goto out;
	start = fit(b, len, align);
	end = b->off + b->len;
	if (start > b->off)
		head = calloc(1, sizeof(*head));
	if (start + len < end)
		tail = calloc(1, sizeof(*tail));
	if ((start > b->off && head == NULL) || (start + len < end && tail == NULL)) {
		free(head);
		free(tail);
		b = NULL;
		goto out;
	}
	bucket_remove(a, b);
	if (head != NULL)
		insert(a, b, head, b->off, start - b->off, true);
	if (tail != NULL)
		insert(a, b, tail, start + len, end - start - len, false);
	b->off = start;
	b->len = len;
	if (b->dirty)
		a->dirty -= len < a->dirty ? len : a->dirty;
	b->dirty = false;
out:
	pthread_mutex_unlock(&a->lock);
	return b;
}

/* Let b swallow its next neighbour; neither is in a bucket. */
static void
swallow(struct arena_block *b)
{
	struct arena_block *n = b->next;

	b->len += n->len;
	b->dirty |= n->dirty;
	b->next = n->next;
	if (b->next != NULL)
		b->next->prev = b;
	free(n);
}

static void
punch_all(struct arena *a)
{
	for (unsigned int i = 0; i < ARENA_BUCKETS; i++)
		for (struct arena_block *b = a->bucket[i]; b != NULL; b = b->bnext) {
			if (b->dirty)
				punch(a, b->off, b->len);
			b->dirty = false;
		}
	a->dirty = 0;
}

void
arena_free(struct arena *a, struct arena_block *b)
{
	const bool dirty = b->len < PUNCH_MIN;

	if (!dirty)
		punch(a, b->off, b->len);
	pthread_mutex_lock(&a->lock);
	b->dirty = dirty;
	if (dirty)
		a->dirty += b->len;
	if (b->next != NULL && b->next->free) {
		bucket_remove(a, b->next);
		swallow(b);
	}
	if (b->prev != NULL && b->prev->free) {
		b = b->prev;
		bucket_remove(a, b);
		swallow(b);
	}
	bucket_add(a, b);
	if (a->dirty > a->max_dirty)
		punch_all(a);
	pthread_mutex_unlock(&a->lock);
}
