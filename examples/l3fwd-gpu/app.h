/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_APP_H
#define L3FWD_APP_H

/* The whole router: what its parts share. */

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <rte_spinlock.h>

#include "gpu.h"
#include "l3fwd_shared.h"
#include "options.h"
#include "tables.h"

/* What happened on a port; written by one worker, read by the control thread. Drops belong to the input port. */
struct port_count {
	_Atomic uint64_t rx, rx_bytes, tx, tx_bytes;
	_Atomic uint64_t drop[L3FWD_DROP_END];
};

/* Add to a counter that only one thread writes. */
static inline void
count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static inline uint64_t
counted(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

struct port {
	bool enabled, started;
	char name[RTE_ETH_NAME_MAX_LEN];
	uint16_t nb_rxq, nb_txq;
	rte_spinlock_t *tx_locks; /* nb_txq of them if workers share queues, else NULL */
};

struct worker;

struct app {
	struct options opt;
	struct port ports[MAX_PORTS];
	struct l3fwd_port port_table[256]; /* for both routers, indexed by port */
	struct rte_mempool *pool;
	struct gpu gpu;

	struct worker *workers;
	unsigned int nb_workers;

	/* The tables for packets taken from now on; NULL: take none. Set by the control thread alone. */
	_Atomic(struct tables *) tables;
	atomic_bool stop;
	_Atomic uint64_t budget; /* packets that may still be taken, with --count */
	_Atomic uint64_t mismatches, verified;
	_Atomic uint32_t device_status; /* of the first burst that failed, plus 1 */

	struct control *control;
};

/* One line on stdout, or on stderr for what is wrong. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* L3FWD_APP_H */
