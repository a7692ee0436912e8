/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>
#include <string.h>

#include "fake_worker.h"

/* What a handle has besides its id, so that the two are not taken for each other. */
#define HANDLE (UINT64_C(1) << 40)

struct fake fake;
uint8_t fake_pattern[256];

static uint8_t arena[FAKE_ARENA_SIZE];

static void
check(bool ok)
{
	if (!ok)
		abort();
}

void
fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	for (unsigned int i = 0; i < sizeof(fake_pattern); i++)
		fake_pattern[i] = (uint8_t)(i * 7 + 1);
}

void
note_bytes(struct note *n, const void *x, size_t len)
{
	check(len <= sizeof(n->text) - n->len - sizeof(len));
	memcpy(n->text + n->len, &len, sizeof(len));
	n->len += sizeof(len);
	if (len > 0)
		memcpy(n->text + n->len, x, len);
	n->len += len;
}

void
note_u64(struct note *n, uint64_t v)
{
	note_bytes(n, &v, sizeof(v));
}

void
note_u64s(struct note *n, size_t nb, const uint64_t *x)
{
	note_bytes(n, x, x == NULL ? 0 : nb * sizeof(*x));
}

void
note_str(struct note *n, const char *x)
{
	note_bytes(n, x, x == NULL ? 0 : strlen(x) + 1);
}

void
fake_call(uint32_t number)
{
	fake.nb_calls++;
	fake.seen.len = 0;
	note_u64(&fake.seen, number);
}

static uint64_t
id_of(enum cl_kind kind, const void *obj)
{
	const uint64_t id = (uint64_t)(uintptr_t)obj & ~HANDLE;

	check(obj == NULL || (id >> 8 == FAKE_ID(kind, 0) >> 8 && (uintptr_t)obj & HANDLE));
	return id;
}

void
fake_object(enum cl_kind kind, const void *obj)
{
	note_u64(&fake.seen, id_of(kind, obj));
}

void
fake_objects(enum cl_kind kind, size_t n, const void *objects)
{
	const void *const *obj = objects;

	check((n == 0) == (objects == NULL));
	note_u64(&fake.seen, n);
	for (size_t i = 0; i < n; i++) {
		check(obj[i] != NULL);
		fake_object(kind, obj[i]);
	}
}

void
fake_range(const void *p, size_t len)
{
	const uintptr_t at = (uintptr_t)p - (uintptr_t)arena;

	check(p == NULL ? len == 0 : at <= sizeof(arena) && len <= sizeof(arena) - at);
	note_u64(&fake.seen, p == NULL ? 0 : FAKE_ARENA + at);
	note_u64(&fake.seen, len);
}

void
fake_waits(cl_uint n, const cl_event *waits, cl_event *event)
{
	fake_objects(CL_KIND_EVENT, n, waits);
	note_u64(&fake.seen, event != NULL);
	if (event != NULL && fake.err == CL_SUCCESS)
		*event = fake_new(CL_KIND_EVENT);
}

void *
fake_new(enum cl_kind kind)
{
	fake.nb_made++;
	return (void *)(uintptr_t)(FAKE_ID(kind, FAKE_NEW) | HANDLE);
}

/* What the worker has ----------------------------------------------------------------------------------------------- */

void *
srv_find(struct srv *s, enum cl_kind kind, uint64_t id)
{
	(void)s;
	if (id <= FAKE_ID(kind, 0) || id > FAKE_ID(kind, FAKE_LAST))
		return NULL;
	return (void *)(uintptr_t)(id | HANDLE);
}

uint64_t
srv_add(struct srv *s, enum cl_kind kind, void *obj)
{
	(void)s;
	if (fake.no_ids)
		return 0;
	fake.nb_ids++;
	return id_of(kind, obj);
}

bool
srv_range(struct srv *s, uint64_t addr, uint64_t len, void **p)
{
	const uint64_t at = addr - FAKE_ARENA;

	(void)s;
	*p = NULL;
	if (addr == 0 && len == 0)
		return true;
	if (at > sizeof(arena) || len > sizeof(arena) - at)
		return false;
	*p = arena + at;
	return true;
}

void
srv_out_set(struct srv_out *out, const void *src, size_t len)
{
	out->len = len;
	if (len <= out->room)
		memcpy(out->p, src, len);
}
