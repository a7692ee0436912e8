/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_WIRE_H
#define APIR_CL_WIRE_H

/**
 * @file
 * Packing and unpacking of calls, for both sides: 8-byte items in a buffer. What does not fit, or is not there, makes the whole
 * message bad: the caller looks once, at the end.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cl_enc {
	uint8_t *p, *end; /**< both multiples of 8 */
	bool bad;	  /**< something did not fit */
};

struct cl_dec {
	const uint8_t *p, *end;
	bool bad; /**< something was not there, or out of its range */
};

static inline size_t
cl_pad(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

/** Room for n bytes (padded), or NULL. */
static inline void *
cl_room(struct cl_enc *e, size_t n)
{
	uint8_t *p = e->p;

	if (e->bad || n > (size_t)(e->end - p) || cl_pad(n) > (size_t)(e->end - p)) {
		e->bad = true;
		return NULL;
	}
	e->p += cl_pad(n);
	return p;
}

static inline void
cl_put(struct cl_enc *e, uint64_t v)
{
	void *p = cl_room(e, sizeof(v));

	if (p != NULL)
		memcpy(p, &v, sizeof(v));
}

/** A length and the bytes. */
static inline void
cl_put_bytes(struct cl_enc *e, const void *src, size_t n)
{
	uint8_t *p;

	cl_put(e, n);
	p = cl_room(e, n);
	if (p == NULL)
		return;
	if (n > 0)
		memcpy(p, src, n);
	/* what pads tells nobody what lay there before */
	memset(p + n, 0, cl_pad(n) - n);
}

/** n bytes (padded) that are there, or NULL. */
static inline const void *
cl_take(struct cl_dec *d, uint64_t n)
{
	const uint8_t *p = d->p;

	if (d->bad || n > (size_t)(d->end - p) || cl_pad(n) > (size_t)(d->end - p)) {
		d->bad = true;
		return NULL;
	}
	d->p += cl_pad(n);
	return p;
}

static inline uint64_t
cl_get(struct cl_dec *d)
{
	const void *p = cl_take(d, sizeof(uint64_t));
	uint64_t v = 0;

	if (p != NULL)
		memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t
cl_get_u32(struct cl_dec *d)
{
	const uint64_t v = cl_get(d);

	if (v > UINT32_MAX)
		d->bad = true;
	return (uint32_t)v;
}

static inline int32_t
cl_get_i32(struct cl_dec *d)
{
	const int64_t v = (int64_t)cl_get(d);

	if (v < INT32_MIN || v > INT32_MAX)
		d->bad = true;
	return (int32_t)v;
}

/** A count of items of 8 bytes that follow; at most max. */
static inline uint32_t
cl_get_count(struct cl_dec *d, uint32_t max)
{
	const uint64_t n = cl_get(d);

	if (n > max || n * 8 > (size_t)(d->end - d->p))
		d->bad = true;
	return d->bad ? 0 : (uint32_t)n;
}

#endif /* APIR_CL_WIRE_H */
