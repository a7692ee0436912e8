/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef TEST_CL_NOTE_H
#define TEST_CL_NOTE_H

/** @file What one side gave or got, written down so that it can be compared. */

#include <stddef.h>
#include <stdint.h>

struct note {
	uint8_t text[128 * 1024];
	size_t len;
};

void note_u64(struct note *n, uint64_t v);
/** A count and the numbers; x NULL: none. */
void note_u64s(struct note *n, size_t nb, const uint64_t *x);
/** A length and the bytes. */
void note_bytes(struct note *n, const void *x, size_t len);
/** NULL is another thing than "". */
void note_str(struct note *n, const char *x);

/* Objects: FAKE_ID(kind, 1) to FAKE_ID(kind, FAKE_LAST) are there, FAKE_NEW is what calls make. */
#define FAKE_ID(kind, k) (UINT64_C(0xabcd0000) | (uint64_t)(kind) << 8 | (k))
#define FAKE_LAST	 3
#define FAKE_NEW	 0xff

/** Where the arena lies, as the guest names it. */
#define FAKE_ARENA	UINT64_C(0x10000)
#define FAKE_ARENA_SIZE 4096

/** Bytes, for arguments and for results. */
#define FAKE_OUT_LEN 77
extern uint8_t fake_pattern[256];

#endif /* TEST_CL_NOTE_H */
