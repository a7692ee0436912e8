/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_VERIFY_H
#define L3FWD_VERIFY_H

/*
 * --verify: a copy of each packet waits, in the order of the queue pair, until the device returns the packet; then the CPU
 * routes the copy with the same routes, and both must agree in the verdict and in every byte.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_apir.h>
#include <rte_mbuf.h>

struct app;
struct tables;
struct verify;

/* For up to max packets at once. NULL: no memory. */
struct verify *verify_create(unsigned int max);
void verify_free(struct verify *v);

/* Copy packets that are about to be enqueued with tables t. Returns false if there is no memory. */
bool verify_push(struct verify *v, struct rte_mbuf *const *pkts, unsigned int nb,
		 const struct tables *t);
/* The last nb of them were not taken. */
void verify_unpush(struct verify *v, unsigned int nb);
/* The oldest has come back. Counts in app, and shows the first mismatch of all. */
void verify_pop(struct verify *v, struct app *app, const struct rte_mbuf *m,
		struct rte_apir_verdict got);

#endif /* L3FWD_VERIFY_H */
