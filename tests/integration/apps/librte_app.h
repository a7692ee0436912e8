/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef LIBRTE_APP_H
#define LIBRTE_APP_H

/**
 * @file
 * A DPDK program that uses every function of rte_apir.h on a real apird. test_librte.py starts
 * apird and this program, and does with apird what the program asks for.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <rte_apir.h>
#include <rte_mbuf.h>

#define POOL_SIZE 4095
#define NB_DATA	  1024 /* data bytes of a packet of app_pool, after the headroom */

extern const char *app_sock;
extern struct rte_mempool *app_pool;

/**
 * Ask the test script for "stop", "cont" (SIGSTOP, SIGCONT of apird), "kill" (SIGKILL, waits for
 * its end), "start".
 */
void app_ask(const char *what);

/** Open a device with defaults, or with conf. Fails the test if that fails. */
uint16_t app_open(const struct rte_apir_conf *conf);
void app_close(uint16_t dev);

/** A program of one kernel, and a pipeline of it without arguments. */
uint32_t app_kernel(uint16_t dev, const char *source, const char *name);
uint32_t app_pipeline(uint16_t dev, uint32_t kernel, enum rte_apir_launch launch);
uint32_t app_simple(uint16_t dev, const char *source, const char *name);

/** n packets of len bytes, byte j of packet i being i + j. */
void app_packets(struct rte_mempool *pool, struct rte_mbuf **pkts, unsigned int n, uint16_t len);
/** Dequeue exactly n packets; fails the test if they do not come within a minute. */
void app_dequeue(uint16_t dev, uint16_t qp, struct rte_mbuf **pkts, struct rte_apir_verdict *v,
		 unsigned int n);
/** Enqueue all of them, dequeue all of them: the same, in order. */
void app_round(uint16_t dev, uint32_t pipeline, struct rte_mbuf **pkts, struct rte_apir_verdict *v,
	       unsigned int n);
/** Seconds since some moment, for time limits. */
double app_now(void);
void app_wait_state(uint16_t dev, enum rte_apir_state state);

#define assert_pool_full() assert_int_equal(rte_mempool_avail_count(app_pool), POOL_SIZE)
#define assert_ok(call)                                                            \
	do {                                                                       \
		const int rc_ = (call);                                            \
		if (rc_ != 0)                                                      \
			fail_msg("%s: %d, %s", #call, rc_, rte_apir_last_error()); \
	} while (0)
#define assert_fails(call, err, text)                                                  \
	do {                                                                           \
		const int rc_ = (call);                                                \
		if (rc_ != -(err) || strstr(rte_apir_last_error(), text) == NULL)      \
			fail_msg("%s: %d, \"%s\"; expected %d and \"%s\"", #call, rc_, \
				 rte_apir_last_error(), -(err), text);                 \
	} while (0)

/** Groups of tests, by name. need_eal: EAL is up and app_pool made when they run. */
struct app_group {
	const char *name;
	const struct CMUnitTest *tests;
	size_t nb;
};
extern const struct app_group group_objects, group_buffers, group_bursts, group_memory,
	group_extmem, group_lost, group_hung, group_many, group_zero, group_refused, group_loopback;
int app_run(const struct app_group *g);

#endif /* LIBRTE_APP_H */
