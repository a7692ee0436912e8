/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_OPENCL_TABLE_H
#define APIRD_OPENCL_TABLE_H

/**
 * @file
 * The program's objects by their ids. Any thread; looking one up takes no lock. What is looked up stays until it is put back, also
 * when another thread removes it meanwhile.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TABLE_CHUNK 1024u
/** Most objects at a time. */
#define TABLE_MAX (1u << 20)

struct table_slot;

struct table {
	_Atomic(struct table_slot *) chunk[TABLE_MAX / TABLE_CHUNK];
	void (*release)(unsigned int kind,
			void *obj); /**< called once for each, when nobody uses it any more */
	pthread_mutex_t lock;
	/* under lock */
	uint32_t nb_made; /**< slots there are */
	uint32_t first_free,
		last_free; /**< lists are first in, first out: an id comes back as late as can be */
};

void table_init(struct table *t, void (*release)(unsigned int kind, void *obj));
/** Release all that is there; nobody uses the table any more. */
void table_clear(struct table *t);

/** An id for obj, never 0; 0: too many, or no memory. kind is not 0. */
uint64_t table_add(struct table *t, unsigned int kind, void *obj);
/** The object, until table_put(); NULL: the id is unknown, gone, or of another kind. */
void *table_get(struct table *t, unsigned int kind, uint64_t id);
/** After a table_get() that found something. */
void table_put(struct table *t, uint64_t id);
/** From here on the id is unknown. Returns false if it was. */
bool table_remove(struct table *t, uint64_t id);

#endif /* APIRD_OPENCL_TABLE_H */
