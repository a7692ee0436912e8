/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cl_arena.h"
#include "cl_info.h"
#include "cl_object.h"
#include "cl_session.h"

#define NB_BUCKETS 64u
/* Values are small, as a rule: tried first, on the stack. */
#define FEW 512u

/* Never changed once it is in its list. */
struct entry {
	struct entry *next;
	struct cl_info_key key;
	cl_int err;
	size_t len;
	uint8_t value[] __attribute__((aligned(8)));
};

struct cl_info_cache {
	_Atomic(struct entry *) bucket[NB_BUCKETS];
};

struct cl_info_cache *
cl_info_cache_new(void)
{
	return calloc(1, sizeof(struct cl_info_cache));
}

void
cl_info_cache_free(struct cl_info_cache *c)
{
	if (c == NULL)
		return;
	for (unsigned int i = 0; i < NB_BUCKETS; i++) {
		struct entry *e = atomic_load(&c->bucket[i]);

		while (e != NULL) {
			struct entry *next = e->next;

			free(e);
			e = next;
		}
	}
	free(c);
}

static bool
same(const struct cl_info_key *a, const struct cl_info_key *b)
{
	return a->param == b->param && a->object == b->object && a->other == b->other &&
	       a->index == b->index && a->kind == b->kind && a->other_kind == b->other_kind;
}

static cl_int
ask(const struct cl_info_key *k, void *value, size_t room, size_t *len)
{
	return rpc_GetInfo(k->kind, k->object, k->other_kind, k->other, k->index, k->param, NULL, 0,
			   value, room, len);
}

/* A value too large for a call. */
static cl_int
ask_far(const struct cl_info_key *k, size_t len, struct entry *e)
{
	uint64_t size = 0;
	void *far = cl_arena_alloc(len, 64);
	cl_int err;

	if (far == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	err = rpc_GetInfoFar(k->kind, k->object, k->other_kind, k->other, k->index, k->param, NULL,
			     0, cl_arena_addr(far), len, &size);
	if (err == CL_SUCCESS && size > len)
		err = CL_OUT_OF_RESOURCES; /* it has grown meanwhile */
	if (err == CL_SUCCESS) {
		memcpy(e->value, far, size);
		e->len = size;
	}
	/* a lost worker may still write there */
	if (err != CL_DEVICE_NOT_AVAILABLE)
		cl_arena_free(far);
	return err;
}

static struct entry *
fetch(const struct cl_info_key *k, cl_int *err)
{
	uint8_t few[FEW];
	struct entry *e;
	size_t len = 0;

	*err = ask(k, few, sizeof(few), &len);
	if (*err != CL_SUCCESS)
		len = 0;
	e = malloc(sizeof(*e) + len);
	if (e == NULL) {
		*err = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	e->key = *k;
	e->len = len;
	if (len <= sizeof(few)) {
		memcpy(e->value, few, len);
	} else if (len <= APIR_CL_MAX_INLINE) {
		*err = ask(k, e->value, len, &e->len);
		if (*err == CL_SUCCESS && e->len > len)
			*err = CL_OUT_OF_RESOURCES;
	} else {
		*err = ask_far(k, len, e);
	}
	e->err = *err;
	if (*err == CL_SUCCESS || *err == CL_INVALID_VALUE)
		return e;
	free(e);
	return NULL;
}

cl_int
cl_info_get(struct cl_info_cache *c, const struct cl_info_key *key, const void **value, size_t *len)
{
	_Atomic(struct entry *) *bucket = &c->bucket[(key->param ^ key->index) % NB_BUCKETS];
	struct entry *e = atomic_load_explicit(bucket, memory_order_acquire);
	cl_int err;

	while (e != NULL && !same(&e->key, key))
		e = e->next;
	if (e == NULL) {
		e = fetch(key, &err);
		if (e == NULL)
			return err;
		/* another thread may have been faster: twice the same does no harm */
		e->next = atomic_load(bucket);
		while (!atomic_compare_exchange_weak(bucket, &e->next, e))
			;
	}
	*value = e->value;
	*len = e->len;
	return e->err;
}

cl_int
cl_info_answer(struct cl_info_cache *c, const struct cl_info_key *key, size_t size, void *value,
	       size_t *size_ret)
{
	const void *src = NULL;
	size_t len = 0;
	const cl_int err = cl_info_get(c, key, &src, &len);

	return err == CL_SUCCESS ? cl_info_put(src, len, size, value, size_ret) : err;
}
