/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <string.h>

#include "cl_mem.h"

bool
cl_add_product(size_t *sum, size_t a, size_t b)
{
	size_t p;

	return !__builtin_mul_overflow(a, b, &p) && !__builtin_add_overflow(*sum, p, sum);
}

bool
cl_box_bytes(const struct cl_box *b, size_t *bytes)
{
	size_t n;

	return !__builtin_mul_overflow(b->row, b->rows, &n) &&
	       !__builtin_mul_overflow(n, b->slices, bytes);
}

bool
cl_box_extent(const struct cl_box *b, size_t *extent)
{
	*extent = b->row;
	return cl_add_product(extent, b->rows - 1, b->row_pitch) &&
	       cl_add_product(extent, b->slices - 1, b->slice_pitch);
}

/* A pitch with nothing after it does not matter. */
static bool
slice_dense(const struct cl_box *b)
{
	return b->rows == 1 || b->row_pitch == b->row;
}

bool
cl_box_dense(const struct cl_box *b)
{
	return slice_dense(b) && (b->slices == 1 || b->slice_pitch == b->rows * b->row);
}

static void
copy(uint8_t *dst, const uint8_t *src, const struct cl_box *b, size_t dst_row, size_t dst_slice,
     size_t src_row, size_t src_slice)
{
	for (size_t z = 0; z < b->slices; z++) {
		if (slice_dense(b)) {
			memcpy(dst + z * dst_slice, src + z * src_slice, b->row * b->rows);
			continue;
		}
		for (size_t y = 0; y < b->rows; y++)
			memcpy(dst + z * dst_slice + y * dst_row, src + z * src_slice + y * src_row,
			       b->row);
	}
}

void
cl_box_pack(void *dense, const void *loose, const struct cl_box *b)
{
	if (cl_box_dense(b))
		memcpy(dense, loose, b->row * b->rows * b->slices);
	else
		copy(dense, loose, b, b->row, b->row * b->rows, b->row_pitch, b->slice_pitch);
}

void
cl_box_unpack(void *loose, const void *dense, const struct cl_box *b)
{
	if (cl_box_dense(b))
		memcpy(loose, dense, b->row * b->rows * b->slices);
	else
		copy(loose, dense, b, b->row_pitch, b->slice_pitch, b->row, b->row * b->rows);
}
