/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stddef.h>
#include <sys/random.h>

#include "objtab.h"

#define INDEX_BITS 10
#define GEN_MASK   (UINT32_MAX >> INDEX_BITS)

_Static_assert(OBJTAB_MAX == 1u << INDEX_BITS, "an id is index and generation");

void
objtab_start(struct objtab *t)
{
	uint32_t seed = 0;

	/* Without a seed ids are as good, but those of another session may exist here too. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = 0;
	for (unsigned int i = 0; i < OBJTAB_MAX; i++)
		t->gen[i] = seed & GEN_MASK;
}

uint32_t
objtab_add(struct objtab *t, void *obj)
{
	if (t->nb == OBJTAB_MAX)
		return 0;
	for (unsigned int k = 0; k < OBJTAB_MAX; k++) {
		const unsigned int i = (t->next + k) & (OBJTAB_MAX - 1);
		uint32_t id;

		if (atomic_load_explicit(&t->e[i].id, memory_order_relaxed) != 0)
			continue;
		t->gen[i] = (t->gen[i] + 1) & GEN_MASK;
		if (t->gen[i] == 0)
			t->gen[i] = 1;
		id = t->gen[i] << INDEX_BITS | i;
		atomic_store_explicit(&t->e[i].obj, obj, memory_order_relaxed);
		atomic_store_explicit(&t->e[i].id, id, memory_order_release);
		t->next = i + 1;
		t->nb++;
		return id;
	}
	return 0;
}

void *
objtab_del(struct objtab *t, uint32_t id)
{
	void *obj = objtab_get(t, id);

	if (obj == NULL)
		return NULL;
	atomic_store_explicit(&t->e[id & (OBJTAB_MAX - 1)].id, 0, memory_order_seq_cst);
	t->nb--;
	return obj;
}

void *
objtab_take(struct objtab *t)
{
	for (unsigned int i = 0; i < OBJTAB_MAX && t->nb > 0; i++) {
		const uint32_t id = atomic_load_explicit(&t->e[i].id, memory_order_relaxed);

		if (id != 0)
			return objtab_del(t, id);
	}
	return NULL;
}
