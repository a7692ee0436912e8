/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_OBJTAB_H
#define APIRD_OBJTAB_H

/**
 * @file
 * Ids of a guest's objects. An id is an index and a generation, never 0, so that a stale id names
 * nothing. One thread adds and deletes; any thread may look up, without a lock.
 */

#include <stdatomic.h>
#include <stdint.h>

#define OBJTAB_MAX 1024u

struct objtab {
	struct {
		_Atomic uint32_t id; /**< 0: free */
		_Atomic(void *) obj;
	} e[OBJTAB_MAX];
	uint32_t gen[OBJTAB_MAX]; /**< last generation used */
	unsigned int nb;
	unsigned int next; /**< where to look for a free entry first */
};

/**
 * Start an empty, zeroed table at generations of its own, so that a driver that still uses the ids of a session before
 * (of an apird before) names nothing here.
 */
void objtab_start(struct objtab *t);
/** Returns the new id, or 0 when the table is full. */
uint32_t objtab_add(struct objtab *t, void *obj);
/**
 * Forget the id. Returns its object, NULL when there is none. A reader may still hold it: wait for
 * those.
 */
void *objtab_del(struct objtab *t, uint32_t id);

static inline void *
objtab_get(const struct objtab *t, uint32_t id)
{
	const unsigned int i = id & (OBJTAB_MAX - 1);

	if (id == 0 || atomic_load_explicit(&t->e[i].id, memory_order_acquire) != id)
		return NULL;
	return atomic_load_explicit(&t->e[i].obj, memory_order_relaxed);
}

/** Take any object out, for clearing the table; NULL when it is empty. */
void *objtab_take(struct objtab *t);

#endif /* APIRD_OBJTAB_H */
