/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_TABLES_H
#define L3FWD_TABLES_H

/* One set of routes in use: the rules, the tables made of them, and how many packets each route got. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"
#include "gpu.h"
#include "rules.h"

struct app;

struct tables {
	struct rules *rules;
	struct cpu_fib *cpu; /* with --cpu and --verify */
	bool on_gpu;
	struct gpu_tables gpu;	  /* without --cpu */
	uint64_t *before;	  /* packets of each route in earlier sets */
	_Atomic uint64_t *hits[]; /* of each worker: packets of each route */
};

/* Make tables of rules, of which they take a reference. NULL with err set on failure. */
struct tables *tables_create(struct app *app, struct rules *rules, char *err, size_t err_len);
/* No worker uses them any more. NULL is fine. */
void tables_free(struct app *app, struct tables *t);
/* Packets of route number n, those of earlier sets included. */
uint64_t tables_hits(const struct app *app, const struct tables *t, uint32_t n);
/* Let routes that are in both sets go on counting from where the old one stands. */
void tables_inherit(const struct app *app, struct tables *t, const struct tables *old);

#endif /* L3FWD_TABLES_H */
