/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef FAKE_APIR_H
#define FAKE_APIR_H

/**
 * @file A librte_apir that a test holds in its hand: bursts complete when the test says so, with
 * the verdicts it wants, and the back-end goes, hangs and comes back on command. One device; every
 * function may be called from any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_apir.h>

#define FAKE_MAX_BURSTS 64
#define FAKE_MAX_BURST	1024

/** Verdict of packet i since the last fake_reset(). */
typedef struct rte_apir_verdict (*fake_verdict_fn)(unsigned int i, struct rte_mbuf *m);

/** Everything anew, device closed. */
void fake_reset(void);

/** The next calls fail with this negative errno; 0: they work. */
extern int fake_open_error, fake_reconnect_error, fake_program_error, fake_kernel_error,
	fake_pipeline_error;
/** The next n calls of rte_apir_open() fail with -ECONNREFUSED. */
extern unsigned int fake_open_refusals;
/** rte_apir_open() with more queue pairs fails with -EINVAL. */
extern uint16_t fake_most_queues;
/** Parameters after APIR_BURST that each kernel has. */
extern uint32_t fake_nb_args;
/** The back-end goes just before the callback is set: nobody is told. */
extern bool fake_lose_at_callback_set;
/** Bursts complete as soon as they are submitted. */
extern bool fake_auto_complete;
extern fake_verdict_fn fake_verdict;
/** Status of the bursts that complete; not 0: they failed. */
extern uint16_t fake_status;
/** Packets with data in this range are outside shared memory. */
extern uintptr_t fake_unshared_start, fake_unshared_end;

/** What has been asked for. */
extern struct rte_apir_conf fake_conf;
extern char fake_log[4096];	       /**< control calls, "name(values) " each */
extern unsigned int fake_live_objects; /**< programs, kernels, buffers, pipelines not destroyed */
extern unsigned int fake_opens, fake_reconnects;
extern bool fake_is_open;

/** Complete the oldest n bursts of a queue pair. */
void fake_complete(uint16_t qp, unsigned int n);
unsigned int fake_submitted(uint16_t qp); /**< bursts, ever */
unsigned int fake_burst_pkts(uint16_t qp,
			     unsigned int burst); /**< packets of burst number n, ever */
uint32_t fake_burst_pipeline(uint16_t qp, unsigned int burst);
/** The back-end dies: everything in flight comes back as an error, the callback is called. */
void fake_lose(void);
/** As rte_apir_state() says it; in flight stays in flight. */
void fake_hang(bool hung);

#endif /* FAKE_APIR_H */
