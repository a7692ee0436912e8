/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef RTE_APIR_COMPAT_H
#define RTE_APIR_COMPAT_H

/**
 * @file
 * Every difference between the DPDK releases that apir builds with (22.11, 24.11, 25.11), in one
 * place. Other files name no version.
 */

#include <rte_version.h>

#if RTE_VERSION < RTE_VERSION_NUM(22, 11, 0, 0)
#error "apir needs DPDK 22.11 or later"
#endif

/*
 * 24.03: dev_supported_ptypes_get tells how many there are. Write its last parameter as
 * "struct rte_eth_dev *dev APIR_ETH_PTYPES_PARAM" and call APIR_ETH_PTYPES_COUNT(array) before
 * returning.
 */
#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
#define APIR_ETH_PTYPES_PARAM	 , size_t *no_of_elements
#define APIR_ETH_PTYPES_COUNT(a) (*no_of_elements = RTE_DIM(a))
#else
#define APIR_ETH_PTYPES_PARAM
#define APIR_ETH_PTYPES_COUNT(a) RTE_SET_USED(a)
#endif

/*
 * 25.11: the counters of each queue left struct rte_eth_stats for an argument of their own, which
 * may be NULL. Write the operation as "stats_get(struct rte_eth_dev *dev, struct rte_eth_stats
 * *stats APIR_ETH_QSTATS_PARAM)" and store with APIR_ETH_QSTATS_SET(stats, q_ipackets, i, value).
 */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
#define APIR_ETH_QSTATS_PARAM , struct eth_queue_stats *qstats
#define APIR_ETH_QSTATS_SET(stats, field, i, value)                      \
	do {                                                             \
		RTE_SET_USED(stats);                                     \
		if (qstats != NULL && (i) < RTE_ETHDEV_QUEUE_STAT_CNTRS) \
			qstats->field[i] = (value);                      \
	} while (0)
#else
#define APIR_ETH_QSTATS_PARAM
#define APIR_ETH_QSTATS_SET(stats, field, i, value)    \
	do {                                           \
		if ((i) < RTE_ETHDEV_QUEUE_STAT_CNTRS) \
			(stats)->field[i] = (value);   \
	} while (0)
#endif

/*
 * 24.11: rte_kvargs_process() refuses a key without a value; the old meaning has a name of its own.
 */
#if RTE_VERSION >= RTE_VERSION_NUM(24, 11, 0, 0)
#define apir_kvargs_process rte_kvargs_process_opt
#else
#define apir_kvargs_process rte_kvargs_process
#endif

/*
 * 23.11: control threads have DPDK's own type, and return a number. Write their function as
 * "static APIR_THREAD_RET fn(void *arg)", ending in "return APIR_THREAD_END;".
 */
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
#include <rte_thread.h>
typedef rte_thread_t apir_ctrl_thread;
#define APIR_THREAD_RET uint32_t
#define APIR_THREAD_END 0
#define apir_ctrl_thread_create(thread, name, fn, arg) \
	rte_thread_create_control(thread, name, fn, arg)
#define apir_ctrl_thread_join(thread) rte_thread_join(thread, NULL)
#else
#include <pthread.h>
#include <rte_lcore.h>
typedef pthread_t apir_ctrl_thread;
#define APIR_THREAD_RET void *
#define APIR_THREAD_END NULL
#define apir_ctrl_thread_create(thread, name, fn, arg) \
	rte_ctrl_thread_create(thread, name, NULL, fn, arg)
#define apir_ctrl_thread_join(thread) pthread_join(thread, NULL)
#endif

/* 24.11: rte_lpm6 and others take a struct for 16 bytes of IPv6 address. */
#if RTE_VERSION >= RTE_VERSION_NUM(24, 11, 0, 0)
#define APIR_IPV6(bytes) ((const struct rte_ipv6_addr *)(bytes))
#else
#define APIR_IPV6(bytes) ((const uint8_t *)(bytes))
#endif

/*
 * Where an mbuf keeps the physical address of its data. A DPDK that was built without it has no
 * physical addresses at all (RTE_IOVA_IN_MBUF, in 22.11 RTE_IOVA_AS_PA), and no device on PCI.
 */
#if (defined(RTE_IOVA_IN_MBUF) && RTE_IOVA_IN_MBUF) || (defined(RTE_IOVA_AS_PA) && RTE_IOVA_AS_PA)
#define APIR_MBUF_IOVA_FIELD offsetof(struct rte_mbuf, buf_iova)
#else
#define APIR_MBUF_IOVA_FIELD offsetof(struct rte_mbuf, buf_addr)
#endif

#endif /* RTE_APIR_COMPAT_H */
