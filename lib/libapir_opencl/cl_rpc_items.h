/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_RPC_ITEMS_H
#define APIR_CL_RPC_ITEMS_H

/** @file The items of a call as the guest packs and unpacks them; for the generated cl_rpc.c and cl_api.c alone. */

#include <stdlib.h>

#include "cl_object.h"
#include "cl_session.h"

static_assert(sizeof(size_t) == sizeof(uint64_t), "the API's size_t are sent as they lie there");

/** x NULL: no items. */
static inline void
cl_put_u64s(struct cl_enc *e, size_t n, const uint64_t *x)
{
	void *p;

	if (x == NULL)
		n = 0;
	if (n > APIR_CL_MAX_ITEMS)
		e->bad = true;
	cl_put(e, n);
	p = cl_room(e, n * sizeof(*x));
	if (p != NULL && n > 0)
		memcpy(p, x, n * sizeof(*x));
}

/** At most APIR_CL_MAX_INLINE bytes. x NULL: none. */
static inline void
cl_put_inline(struct cl_enc *e, const void *x, size_t len)
{
	if (x == NULL)
		len = 0;
	if (len > APIR_CL_MAX_INLINE)
		e->bad = true;
	else
		cl_put_bytes(e, x, len);
}

/** x NULL: an empty one. */
static inline void
cl_put_str(struct cl_enc *e, const char *x)
{
	cl_put_inline(e, x, x == NULL ? 0 : strlen(x));
}

/** The wait list, and whether an event is wanted. */
static inline void
cl_put_waits(struct cl_enc *e, cl_uint n, const cl_event *waits, bool wanted)
{
	if (n > APIR_CL_MAX_ITEMS)
		e->bad = true;
	cl_put(e, n);
	for (cl_uint i = 0; i < n && !e->bad; i++)
		cl_put(e, cl_id(waits[i]));
	cl_put(e, wanted);
}

/** How many bytes of a result are asked for. */
static inline size_t
cl_inline_room(const void *x, size_t room)
{
	if (x == NULL)
		return 0;
	return room < APIR_CL_MAX_INLINE ? room : APIR_CL_MAX_INLINE;
}

static inline void
cl_res_u64(struct cl_lane *l, uint64_t *x)
{
	const uint64_t v = cl_get(&l->res);

	if (x != NULL)
		*x = v;
}

static inline void
cl_res_u32(struct cl_lane *l, uint32_t *x)
{
	const uint32_t v = cl_get_u32(&l->res);

	if (x != NULL)
		*x = v;
}

static inline void
cl_res_i32(struct cl_lane *l, int32_t *x)
{
	const int32_t v = cl_get_i32(&l->res);

	if (x != NULL)
		*x = v;
}

/** Returns err, or CL_OUT_OF_HOST_MEMORY: there is room for them, but not in an answer. */
static inline cl_int
cl_res_bytes(struct cl_lane *l, cl_int err, void *x, size_t room, size_t *x_len)
{
	const uint64_t size = cl_get(&l->res);
	const uint64_t n = cl_get(&l->res);
	const void *src = cl_take(&l->res, n);

	if (n > cl_inline_room(x, room) || (n != 0 && n != size))
		l->res.bad = true;
	if (l->res.bad)
		return err;
	if (x_len != NULL)
		*x_len = size;
	if (n > 0)
		memcpy(x, src, n);
	if (err == CL_SUCCESS && x != NULL && size <= room && n != size)
		err = CL_OUT_OF_HOST_MEMORY;
	return err;
}

/** Give the lane back. An answer that does not hold what it must is as good as none. */
static inline cl_int
cl_rpc_end(struct cl_lane *l, cl_int err)
{
	if (err == CL_SUCCESS && l->res.bad)
		err = CL_DEVICE_NOT_AVAILABLE;
	cl_lane_end(l);
	return err;
}

#define CL_FEW_IDS 32

/**
 * Ids of n > 0 objects of one kind, in few[CL_FEW_IDS] or in memory of their own. NULL: *err is the reason.
 * Give them to cl_ids_end().
 */
static inline uint64_t *
cl_ids_begin(uint64_t *few, size_t n, const void *objects, enum cl_kind kind, cl_int *err)
{
	const void *const *obj = objects;
	uint64_t *ids = n <= CL_FEW_IDS ? few : calloc(n, sizeof(*ids));

	if (ids == NULL) {
		*err = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		if (!cl_is(obj[i], kind)) {
			*err = cl_invalid(kind);
			if (ids != few)
				free(ids);
			return NULL;
		}
		ids[i] = cl_id(obj[i]);
	}
	return ids;
}

static inline void
cl_ids_end(const uint64_t *few, uint64_t *ids)
{
	if (ids != few)
		free(ids);
}

#endif /* APIR_CL_RPC_ITEMS_H */
