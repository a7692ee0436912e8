/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_BENCH_CONSUME_H
#define APIR_BENCH_CONSUME_H

#include <stdint.h>

/** What both sides do with the verdicts of a burst, as any program would: look at each. */
static inline void
consume(const uint64_t *verdicts, unsigned int nb)
{
	uint64_t drops = 0;

	for (unsigned int i = 0; i < nb; i++)
		drops += (verdicts[i] & 0xffff) != 0;
	__asm__ volatile("" : : "r"(drops) : "memory");
}

#endif /* APIR_BENCH_CONSUME_H */
