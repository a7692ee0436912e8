/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_BENCH_SOURCES_H
#define APIR_BENCH_SOURCES_H

extern const char source_bench[];  /**< bench.cl */
extern const char source_native[]; /**< the same after the headers that apird puts before it */

#endif /* APIR_BENCH_SOURCES_H */
