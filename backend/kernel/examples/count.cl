/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Counts packets and bytes for each port that an earlier kernel of the pipeline chose: the counters lie in device memory,
 * two 32-bit words a port, and the application reads them when it likes. Each work-group adds up in local memory first, so
 * that few atomics reach the device's memory.
 */

__kernel void count(APIR_BURST, __global volatile uint *counters, const uint nb_ports, __local volatile uint *sums)
{
	const uint i = apir_index();
	const uint me = (uint)get_local_id(0), all = (uint)get_local_size(0);

	for (uint c = me; c < 2 * nb_ports; c += all)
		sums[c] = 0;
	barrier(CLK_LOCAL_MEM_FENCE);

	/* No return before the last barrier: every work-item of a group must reach it. */
	if (i < apir_count() && apir_verdict_action(i) == 0 && apir_verdict_port(i) < nb_ports) {
		const uint port = apir_verdict_port(i);
		uint bytes = 0;

		for (uint s = 0; s < apir_seg_count(i); s++)
			bytes += apir_seg_len(i, s);
		atomic_inc(&sums[2 * port]);
		atomic_add(&sums[2 * port + 1], bytes);
	}
	barrier(CLK_LOCAL_MEM_FENCE);

	for (uint c = me; c < 2 * nb_ports; c += all)
		if (sums[c] != 0)
			atomic_add(&counters[c], sums[c]);
}
