/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Work on every byte of every segment, one work-group a packet: its work-items share the bytes out. On a CPU a group has
 * one work-item, and the compiler turns the loop into vector instructions; on a GPU neighbouring items take neighbouring
 * bytes, which the memory likes best.
 */

__kernel void xor(APIR_BURST, const uchar mask)
{
	const uint i = apir_group_index();

	if (i >= apir_count())
		return;
	for (uint s = 0; s < apir_seg_count(i); s++) {
		__global uchar *p = apir_seg_data(i, s);
		const uint len = apir_seg_len(i, s);

		for (uint b = (uint)get_local_id(0); b < len; b += (uint)get_local_size(0))
			p[b] ^= mask;
	}
}
