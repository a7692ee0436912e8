/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_WORKER_H
#define L3FWD_WORKER_H

#include "app.h"
#include "verify.h"

/* Packets of one tx_burst. */
#define TX_BURST 64
/* Most packets of a burst of the device (options.c). */
#define MAX_BURST 1022

struct tx_buffer {
	uint16_t nb;
	struct rte_mbuf *pkts[TX_BURST];
};

/* One lcore that forwards: its rx queues, its queue pair of the device, its tx queue on each port. */
struct worker {
	struct app *app;
	unsigned int lcore;
	uint16_t qp; /* number of the worker, and of its queue pair */
	uint16_t txq[MAX_PORTS];
	struct rx_queue rx[MAX_RX_QUEUES];
	unsigned int nb_rx, next_rx;

	struct rte_mbuf *pend[MAX_BURST]; /* received, not yet with the device */
	unsigned int nb_pend;
	uint64_t in_flight; /* packets with the device */
	uint64_t last_busy; /* timer cycles: when something last happened */

	/*
	 * Routes are replaced as in RCU: packets are enqueued with the current tables, while up to prev_left
	 * packets in flight still use the ones before. When none does, "using" tells the control thread, which frees them.
	 */
	struct tables *cur, *prev;
	uint64_t prev_left;
	_Atomic(struct tables *) using;

	struct verify *verify;
	struct tx_buffer tx[MAX_PORTS];
	struct port_count count[MAX_PORTS];
	_Atomic uint64_t stuck; /* packets that a hung back-end keeps, known at the end */
} __rte_cache_aligned;

/* Make the workers that --config asks for. Returns 0 or -1 with err set. */
int workers_create(struct app *app, char *err, size_t err_len);
void workers_free(struct app *app);

/* To be run on each lcore: forwards until app->stop if the lcore has a worker. arg: struct app. */
int worker_main(void *arg);

#endif /* L3FWD_WORKER_H */
