/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_STATS_H
#define L3FWD_STATS_H

#include <stdio.h>

#include "app.h"

/* Counters of a port, summed over the workers. */
struct port_totals {
	uint64_t rx, rx_bytes, tx, tx_bytes, dropped;
	uint64_t drop[L3FWD_DROP_END];
	uint64_t missed; /* by the port itself, before this program saw them */
};

struct totals {
	struct port_totals ports[MAX_PORTS];
	uint64_t rx, tx, dropped; /* of all ports */
};

/* What is not in the counters, for the summary. */
struct run_info {
	double seconds;
	unsigned int reloads, reconnects;
};

const char *stats_drop_name(unsigned int reason);

void stats_collect(const struct app *app, struct totals *t);
/* A table of all ports, with rates since an earlier collection, seconds ago. */
void stats_print(const struct app *app, const struct totals *now, const struct totals *before,
		 double seconds, double since_start);
/* At the end: ports, drops by reason, routes. tables: those with the routes' counters, may be NULL. */
void stats_summary(const struct app *app, const struct totals *t, const struct tables *tables,
		   const struct run_info *info);
/* The same as one JSON object. Returns 0 or -1 with err set. */
int stats_json(const struct app *app, const struct totals *t, const struct tables *tables,
	       const struct run_info *info, char *err, size_t err_len);

#endif /* L3FWD_STATS_H */
