/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_MAP_H
#define APIR_CL_MAP_H

/** @file Mappings of memory objects, for cl_map.c and cl_mapimage.c. */

#include "cl_mem.h"

/**
 * A region that is mapped. The device has its bytes at arena; the program sees them at ptr, which is the same place unless the
 * object lies in memory of the program's own (CL_MEM_USE_HOST_PTR): then they are copied at map and unmap.
 */
struct cl_map {
	struct cl_map *next;
	_Atomic uint32_t refs;
	cl_map_flags flags;
	uint8_t *ptr, *arena;
	struct cl_box box; /**< of ptr */
	/** The worker maps this buffer, from offset on; NULL: the bytes are read into staging and written back from there. */
	struct _cl_mem *in_place;
	uint64_t mapped; /**< what the worker calls it */
	size_t offset;
	size_t origin[3], region[3]; /**< of an image */
	struct cl_staging *s;
	atomic_bool filled; /**< ptr has the bytes */
};

/** What the program sees is a copy. */
static inline bool
cl_map_is_copy(const struct cl_map *m)
{
	return m->ptr != m->arena;
}

/**
 * A new mapping of len bytes that the device shares with us at in_place->storage + offset, or, in_place being NULL, of staging. NULL:
 * no memory. The caller sets ptr if it is not to be the same place.
 */
struct cl_map *cl_map_new(cl_map_flags flags, struct _cl_mem *in_place, size_t offset, size_t len);

struct cl_map_command {
	struct _cl_command_queue *queue;
	struct _cl_mem *mem;
	cl_command_type type;
	bool blocking;
	cl_uint nb_waits;
	const cl_event *waits;
	cl_event *event;
};
/** Enqueue the map; takes over m. Returns the program's pointer or NULL. */
void *cl_map_enqueue(const struct cl_map_command *c, struct cl_map *m, cl_int *err);

#endif /* APIR_CL_MAP_H */
