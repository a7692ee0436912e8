/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_COMPAT_H
#define L3FWD_COMPAT_H

/* What differs between the releases of DPDK that this program builds with: 22.11 and later. */

#include <pthread.h>

#include <rte_ip.h>
#include <rte_lcore.h>
#include <rte_version.h>

/* An IPv6 address as rte_lpm6 takes it. */
#if RTE_VERSION >= RTE_VERSION_NUM(24, 11, 0, 0)
#include <rte_ip6.h>
#define LPM6_ADDR(bytes) ((const struct rte_ipv6_addr *)(bytes))
#else
#define LPM6_ADDR(bytes) (bytes)
#endif

/* A thread that runs where no lcore does: THREAD_MAIN(name, arg) { ...; THREAD_RETURN; } */
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
#include <rte_thread.h>
typedef rte_thread_t aside_thread;
#define THREAD_MAIN(name, arg) static uint32_t name(void *arg)
#define THREAD_RETURN	       return 0
#define thread_create_aside(thread, name, func, arg) \
	rte_thread_create_control(thread, name, func, arg)
#define thread_join_aside(thread) rte_thread_join(thread, NULL)
#else
typedef pthread_t aside_thread;
#define THREAD_MAIN(name, arg) static void *name(void *arg)
#define THREAD_RETURN	       return NULL
#define thread_create_aside(thread, name, func, arg) \
	rte_ctrl_thread_create(thread, name, NULL, func, arg)
#define thread_join_aside(thread) pthread_join(thread, NULL)
#endif

#endif /* L3FWD_COMPAT_H */
