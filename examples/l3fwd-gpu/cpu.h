/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_CPU_H
#define L3FWD_CPU_H

/*
 * The router on the CPU, with rte_lpm and rte_lpm6: what --cpu runs, and what --verify holds the kernel against.
 * It shares no code with the kernel, and computes each checksum from scratch.
 */

#include <stdint.h>

#include <rte_apir.h>

#include "l3fwd_shared.h"
#include "rules.h"

struct cpu_fib;

/* Build the tables. id: makes their names unique in this process. NULL with err set on failure. */
struct cpu_fib *cpu_fib_create(const struct rules *rules, uint32_t id, char *err, size_t err_len);
void cpu_fib_free(struct cpu_fib *fib);

/*
 * Route one packet in place. first: bytes that follow frame directly (its first segment); len: of the whole packet.
 * A packet that is dropped is not changed. The verdict is that of the kernel: port and route, or the reason.
 */
struct rte_apir_verdict cpu_route(const struct cpu_fib *fib, const struct l3fwd_port *ports,
				  uint8_t *frame, uint32_t first, uint32_t len);

#endif /* L3FWD_CPU_H */
