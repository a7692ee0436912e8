/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Kernels that use each thing a packet kernel may use.
 */
#include <apir/apir_kernel.h> /* for editors: apird takes it out */

struct pair {
	uint a;
	ushort b;
};

/* A function of a tenant's own, given the burst. */
static uint first_byte(APIR_BURST, uint i)
{
	return apir_data(i)[0];
}

/* Everything that can be read of a packet goes into its verdict. */
__kernel void facts(APIR_BURST)
{
	const uint i = apir_index();

	if (i >= apir_count())
		return;
	apir_verdict(i, i & 1, first_byte(APIR_BURST_ARGS, i) | apir_seg_count(i) << 8, apir_len(i) + (uint)apir_cookie());
}

/* Adds a value to every byte of every segment. */
__kernel void add(APIR_BURST, const uint value)
{
	const uint i = apir_index();

	if (i >= apir_count())
		return;
	for (uint s = 0; s < apir_seg_count(i); s++)
		for (uint b = 0; b < apir_seg_len(i, s); b++)
			apir_seg_data(i, s)[b] += (uchar)value;
}

/* Bytes through a table in device memory. */
__kernel void translate(APIR_BURST, __global const uchar *table)
{
	const uint i = apir_group_index();

	if (i >= apir_count())
		return;
	for (uint b = (uint)get_local_id(0); b < apir_len(i); b += (uint)get_local_size(0))
		apir_data(i)[b] = table[apir_data(i)[b]];
}

/* The same through __constant memory, chosen by a struct given by value. */
__kernel void constant_pair(APIR_BURST, __constant uint *words, const struct pair p)
{
	const uint i = apir_index();

	if (i < apir_count())
		apir_forward_meta(i, p.b, words[p.a]);
}

/* Sum of all bytes of a packet, its work-items together, in local memory. */
__kernel void sum(APIR_BURST, __local uint *part)
{
	const uint i = apir_group_index(), me = (uint)get_local_id(0);
	uint s = 0;

	for (uint b = me; i < apir_count() && b < apir_len(i); b += (uint)get_local_size(0))
		s += apir_data(i)[b];
	part[me] = s;
	barrier(CLK_LOCAL_MEM_FENCE);
	if (me != 0 || i >= apir_count())
		return;
	for (uint n = 1; n < get_local_size(0); n++)
		s += part[n];
	apir_forward_meta(i, 3, s);
}

/* Drops packets with an odd first byte. */
__kernel void drop_odd(APIR_BURST)
{
	const uint i = apir_index();

	if (i >= apir_count())
		return;
	if (apir_data(i)[0] & 1)
		apir_drop(i, 9);
	else
		apir_forward_meta(i, 4, apir_data(i)[0]);
}

/* Second stage: marks what the first let through. */
__kernel void mark(APIR_BURST)
{
	const uint i = apir_index();

	if (i < apir_count() && apir_verdict_action(i) == 0)
		apir_forward_meta(i, apir_verdict_port(i) + 1, apir_verdict_meta(i) + 1000);
}

/* Counts packets and the largest length, with atomics on device memory. */
__kernel void tally(APIR_BURST, __global volatile uint *counter)
{
	const uint i = apir_index();

	if (i >= apir_count())
		return;
	atomic_inc(&counter[0]);
	atomic_max(&counter[1], apir_len(i));
}

__kernel __attribute__((reqd_work_group_size(4, 1, 1))) void fours(APIR_BURST)
{
	const uint i = apir_group_index();

	if (i < apir_count() && get_local_id(0) == 3)
		apir_forward_meta(i, 0, (uint)get_local_size(0));
}

/* Says the work-group size. */
__kernel void local_size(APIR_BURST)
{
	const uint i = apir_index();

	if (i < apir_count())
		apir_forward_meta(i, 0, (uint)get_local_size(0));
}

/* For refusals. */
__kernel __attribute__((reqd_work_group_size(2, 2, 1))) void two_dimensions(APIR_BURST)
{
}

__kernel void no_burst(__global uint *x)
{
	x[0] = 1;
}

/* Arguments of each kind, for checks. */
__kernel void kinds(APIR_BURST, const uint value, __global uint *buffer, __local uint *local_words, const float4 vector,
		    const struct pair p)
{
	const uint i = apir_index();

	if (i < apir_count())
		apir_forward_meta(i, 0, value + buffer[0] + (uint)vector.x + p.a);
	if (i == 0)
		local_words[0] = 0;
}
