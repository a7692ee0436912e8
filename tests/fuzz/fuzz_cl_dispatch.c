/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * Calls of an OpenCL program, as the worker takes them apart. The input is a number of a call, then words; small ones become ids,
 * counts or addresses, so that a few bytes of it already reach deep. The calls themselves only look at all that they are given.
 */

#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "fake_worker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a byte of the input says of the word it stands for. */
static uint64_t
word(const uint8_t **data, const uint8_t *end)
{
	uint64_t v = 0;
	const uint8_t b = *(*data)++;

	switch (b >> 4) {
	case 0:
	case 1:
		return b; /* a count, a length, a flag */
	case 14:
		return FAKE_ARENA + (b & 15) * 256;
	case 15:
		for (unsigned int i = 0; i < 8 && *data < end; i++)
			v = v << 8 | *(*data)++;
		return v;
	default:
		/* an object: rarely one that is not there */
		return FAKE_ID(b >> 4, b & 3);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	struct apir_cl_req h = {.magic = APIR_CL_MAGIC};
	struct apir_cl_rsp r;
	static uint64_t words[1024];
	size_t n = 0, len, room;
	uint8_t *req, *rsp;

	if (size < 4)
		return 0;
	if (fake_pattern[0] == 0)
		fake_reset();
	fake.err = data[0] & 1 ? CL_OUT_OF_RESOURCES : CL_SUCCESS;
	fake.no_ids = data[0] & 2;
	room = data[0] & 4 ? data[1] : APIR_CTL_MAX;
	h.call = data[2];
	if (data[0] & 8)
		h.call |= (uint32_t)data[3] << 16;
	for (data += 4; data < end && n < 1024;)
		words[n++] = word(&data, end);
	len = sizeof(h) + n * 8;
	h.len = (uint32_t)(n * 8);
	/* to the byte, so that a sanitizer sees the first one too far */
	req = malloc(len);
	rsp = malloc(room + 1);
	memcpy(req, &h, sizeof(h));
	memcpy(req + sizeof(h), words, n * 8);
	n = cl_dispatch(NULL, req, len, rsp, room);
	if (n > room || (n == 0) != (room < sizeof(r)))
		abort();
	if (n != 0) {
		memcpy(&r, rsp, sizeof(r));
		if (r.magic != APIR_CL_MAGIC || r.len != n - sizeof(r) || r.flags != 0)
			abort();
	}
	free(req);
	free(rsp);
	return 0;
}
