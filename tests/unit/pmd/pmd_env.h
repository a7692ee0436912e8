/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef PMD_ENV_H
#define PMD_ENV_H

/**
 * @file
 * EAL without hugepages or devices, the PMD linked in, and ports of it that talk to fake_apir.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define POOL_SIZE 1023
#define VDEV	  "net_apir0"

/** Where tests take mbufs; where rx queues have their copies made. */
extern struct rte_mempool *env_pool, *env_rx_pool;
/** Offloads and MTU of the next env_port_up(); 0: none, 1500. */
extern uint64_t env_rx_offloads;
extern uint32_t env_mtu;

/** cmocka group setup and teardown: EAL and pools. */
int env_init(void **state);
int env_fini(void **state);
/** cmocka test setup: fake reset. */
int env_setup(void **state);
/** cmocka test teardown: no port is left, every mbuf is back, no object of the back-end leaked. */
int env_teardown(void **state);

/** Probe VDEV. @return as rte_vdev_init() */
int env_probe(const char *devargs);
/** Configure and start VDEV, which is probed. @return its port */
uint16_t env_start(uint16_t nb_rx, uint16_t nb_tx);
/** Both. */
uint16_t env_port_up(const char *devargs, uint16_t nb_rx, uint16_t nb_tx);
/** Stop, close and remove. */
void env_port_down(uint16_t port);

/** A packet of len bytes, the first of which is mark. */
struct rte_mbuf *env_packet(uint16_t len, uint8_t mark);
uint8_t env_mark(const struct rte_mbuf *m);
/**
 * Send n new packets marked mark, mark + 1, ... on a tx queue; those not taken are freed. @return
 * how many were taken
 */
uint16_t env_send(uint16_t port, uint16_t queue, uint16_t n, uint8_t mark);
/** Receive and free. @return how many */
uint16_t env_receive(uint16_t port, uint16_t queue, uint16_t n);

/** Value of an xstat, which must exist. */
uint64_t env_xstat(uint16_t port, const char *name);

/** What was logged since the last call (or the start); valid until the next. */
const char *env_log(void);

/**
 * Write a file in a folder of the test's own, which goes with env_fini(). @return its path, valid
 * until the next call
 */
const char *env_file(const char *name, const void *data, size_t len);
/** "kernel=FILE" of a kernel file k.cl whose text is "source". */
const char *env_kernel(void);

/** Count link events of a port. */
void env_watch_link(uint16_t port);
/**
 * Wait until the link was told to be up (or down) for the n-th time, n from 1; fails after a
 * minute.
 */
void env_wait_link(bool up, unsigned int n);

#endif /* PMD_ENV_H */
