/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_CONTROL_H
#define L3FWD_CONTROL_H

/*
 * The control thread: statistics, new routes on SIGHUP, a back-end that went and comes back, and when to end. It is
 * the only one that makes, replaces and frees tables; it never makes a packet wait.
 */

#include "app.h"
#include "stats.h"

/* Take SIGHUP, SIGINT and SIGTERM. */
void control_signals(void);

/* Read the rules and make the first tables. Returns 0 or -1 with err set. */
int control_create(struct app *app, char *err, size_t err_len);
void control_free(struct app *app);

/* Runs until there is a reason to end, and then sets app->stop. */
void control_run(struct app *app);

/* After control_run(): did anything fail; the tables with the routes' counters; the rest for the summary. */
bool control_failed(const struct app *app);
const struct tables *control_tables(const struct app *app);
const struct run_info *control_info(const struct app *app);

#endif /* L3FWD_CONTROL_H */
