/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>

#include "table.h"

/*
 * State of a slot: generation in the upper half, LIVE while its id is valid, and how many use the object now. The object goes with the
 * last of them that finds it dead.
 */
#define LIVE  (1ull << 31)
#define USERS (LIVE - 1)
#define NONE  UINT32_MAX

struct table_slot {
	_Atomic uint64_t state;
	void *obj;
	uint32_t kind;
	uint32_t next_free;
};

static uint32_t
generation(uint64_t v)
{
	return (uint32_t)(v >> 32);
}

void
table_init(struct table *t, void (*release)(unsigned int kind, void *obj))
{
	for (unsigned int i = 0; i < TABLE_MAX / TABLE_CHUNK; i++)
		atomic_init(&t->chunk[i], NULL);
	t->release = release;
	pthread_mutex_init(&t->lock, NULL);
	t->nb_made = 0;
	t->first_free = t->last_free = NONE;
}

static struct table_slot *
slot_at(struct table *t, uint32_t i)
{
	struct table_slot *c;

	if (i >= TABLE_MAX)
		return NULL;
	c = atomic_load_explicit(&t->chunk[i / TABLE_CHUNK], memory_order_acquire);
	return c != NULL ? &c[i % TABLE_CHUNK] : NULL;
}

/* Under lock: a slot that has been free for long, or a new one. */
static struct table_slot *
take_free(struct table *t, uint32_t *index)
{
	struct table_slot *c, *s;

	/* A few stay in the list, so that a stale id is of an old generation for a while. */
	if (t->first_free != NONE && (t->nb_made == TABLE_MAX || t->first_free != t->last_free)) {
		*index = t->first_free;
		s = slot_at(t, *index);
		t->first_free = s->next_free;
		if (t->first_free == NONE)
			t->last_free = NONE;
		return s;
	}
	if (t->nb_made == TABLE_MAX)
		return NULL;
	if (t->nb_made % TABLE_CHUNK == 0) {
		c = calloc(TABLE_CHUNK, sizeof(*c));
		if (c == NULL)
			return NULL;
		for (unsigned int i = 0; i < TABLE_CHUNK; i++)
			atomic_init(&c[i].state, 1ull << 32);
		atomic_store_explicit(&t->chunk[t->nb_made / TABLE_CHUNK], c, memory_order_release);
	}
	*index = t->nb_made++;
	return slot_at(t, *index);
}

uint64_t
table_add(struct table *t, unsigned int kind, void *obj)
{
	struct table_slot *s;
	uint32_t index;
	uint64_t gen;

	pthread_mutex_lock(&t->lock);
	s = take_free(t, &index);
	pthread_mutex_unlock(&t->lock);
	if (s == NULL)
		return 0;
	s->obj = obj;
	s->kind = kind;
	gen = generation(atomic_load_explicit(&s->state, memory_order_relaxed));
	atomic_store_explicit(&s->state, gen << 32 | LIVE, memory_order_release);
	return gen << 32 | index;
}

/* Nobody else sees the slot any more. */
static void
finish(struct table *t, struct table_slot *s, uint32_t index)
{
	void *obj = s->obj;
	const unsigned int kind = s->kind;
	uint32_t gen = generation(atomic_load_explicit(&s->state, memory_order_relaxed)) + 1;

	if (gen == 0)
		gen = 1;
	s->obj = NULL;
	s->next_free = NONE;
	atomic_store_explicit(&s->state, (uint64_t)gen << 32, memory_order_release);
	pthread_mutex_lock(&t->lock);
	if (t->last_free == NONE)
		t->first_free = index;
	else
		slot_at(t, t->last_free)->next_free = index;
	t->last_free = index;
	pthread_mutex_unlock(&t->lock);
	t->release(kind, obj);
}

void *
table_get(struct table *t, unsigned int kind, uint64_t id)
{
	struct table_slot *s = slot_at(t, (uint32_t)id);
	uint64_t v;

	if (s == NULL)
		return NULL;
	v = atomic_load_explicit(&s->state, memory_order_relaxed);
	do {
		if (generation(v) != generation(id) || (v & LIVE) == 0)
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(&s->state, &v, v + 1, memory_order_acquire,
							memory_order_relaxed));
	if (s->kind == kind)
		return s->obj;
	table_put(t, id);
	return NULL;
}

void
table_put(struct table *t, uint64_t id)
{
	struct table_slot *s = slot_at(t, (uint32_t)id);
	const uint64_t v = atomic_fetch_sub_explicit(&s->state, 1, memory_order_acq_rel);

	if ((v & LIVE) == 0 && (v & USERS) == 1)
		finish(t, s, (uint32_t)id);
}

bool
table_remove(struct table *t, uint64_t id)
{
	struct table_slot *s = slot_at(t, (uint32_t)id);
	uint64_t v;

	if (s == NULL)
		return false;
	v = atomic_load_explicit(&s->state, memory_order_relaxed);
	do {
		if (generation(v) != generation(id) || (v & LIVE) == 0)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&s->state, &v, v & ~LIVE, memory_order_acq_rel, memory_order_relaxed));
	if ((v & USERS) == 0)
		finish(t, s, (uint32_t)id);
	return true;
}

void
table_clear(struct table *t)
{
	for (uint32_t i = 0; i < t->nb_made; i++) {
		struct table_slot *s = slot_at(t, i);

		if (atomic_load(&s->state) & LIVE)
			t->release(s->kind, s->obj);
	}
	for (unsigned int i = 0; i < TABLE_MAX / TABLE_CHUNK; i++)
		free(atomic_load(&t->chunk[i]));
	pthread_mutex_destroy(&t->lock);
}
