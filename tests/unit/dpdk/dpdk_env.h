/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef DPDK_ENV_H
#define DPDK_ENV_H

/** @file EAL for the unit tests of librte_apir: no hugepages, no devices, nothing left on disk. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rte_mbuf.h>

#define ENV_POOL_SIZE 2047

/** Packets for the tests; assert_pool_full() says that none is missing. */
extern struct rte_mempool *env_pool;

/** Group setup and teardown. */
int env_start(void **state);
int env_stop(void **state);

/** A packet of nb_segs segments of len bytes each. */
struct rte_mbuf *env_packet(unsigned int nb_segs, uint16_t len);
#define assert_pool_full() assert_int_equal(rte_mempool_avail_count(env_pool), ENV_POOL_SIZE)

/** True if the calling thread's last error has text in it. */
#define assert_error_names(text)                                                          \
	do {                                                                              \
		if (strstr(rte_apir_last_error(), text) == NULL)                          \
			fail_msg("\"%s\" does not name %s", rte_apir_last_error(), text); \
	} while (0)

/** Open descriptors of this process. */
int env_count_fds(void);

#endif /* DPDK_ENV_H */
