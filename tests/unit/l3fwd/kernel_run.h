/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef KERNEL_RUN_H
#define KERNEL_RUN_H

/*
 * Runs l3fwd.cl natively on PoCL, with the packet table filled in by hand as apird does it in its raw mode, and
 * holds each packet against cpu_route().
 */

#include <stdbool.h>
#include <stdint.h>

#include "cpu.h"
#include "fib.h"
#include "l3fwd_shared.h"
#include "rules.h"

#define RUN_MAX_PKTS 65536
#define RUN_PORTS    8

/* A packet as it is sent into both routers. */
struct test_packet {
	uint8_t *data;
	uint32_t len;
	uint32_t first;	 /* bytes of the first segment; the rest is in one or two more */
	bool guarded;	 /* the first segment ends where readable memory ends */
	uint32_t offset; /* of its start from a multiple of 64, when not guarded */
};

/* What the kernel made of it, in one piece. */
struct test_result {
	struct rte_apir_verdict verdict;
	uint8_t *data;
};

/* Group fixtures of cmocka: compile the kernel (it fails with the build log if it does not), and let all go. */
int run_setup(void **state);
int run_teardown(void **state);

/* Tables of these rules for both routers, from the texts of rule files (NULL: none). */
void run_set_rules(const char *rules4, const char *rules6);
/* MTU of a port; 1500 until set. Takes effect with run_set_rules(). */
void run_set_mtu(unsigned int port, uint32_t mtu);
const struct l3fwd_port *run_ports(void);
const struct rules *run_rules(void);

/*
 * Run nb packets through the kernel and, one by one, through cpu_route(); verdict and all bytes must be the same. results,
 * if not NULL, gets what came out, to be freed with run_free_results().
 */
void run_packets(const struct test_packet *pkts, uint32_t nb, struct test_result *results);
void run_free_results(struct test_result *results, uint32_t nb);

#endif /* KERNEL_RUN_H */
