/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "worker.h"

/* Between two looks at everything. */
#define TICK_US	      5000
#define RETRY_SECONDS 0.1
#define STALL_SECONDS 3
#define ERR_LEN	      65536 /* a build log has room */

struct control {
	struct tables *current;	 /* in use; NULL while the device is lost */
	struct tables *retiring; /* replaced, and still in use by some worker */
	struct tables *past;	 /* those of the session that was lost: for their counters */
	struct rules *rules;	 /* what the next tables are made of */
	struct totals before;	 /* of the last statistics */
	struct run_info info;
	double start, last_stats, last_packet, last_try;
	double last_progress;
	uint64_t last_rx, last_done;
	bool lost, stall_told, error_told, failed, finished;
	char err[ERR_LEN];
};

static volatile sig_atomic_t quit, reload;

static void
on_signal(int sig)
{
	if (sig == SIGHUP)
		reload = 1;
	else
		quit = 1;
}

void
control_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void
warn(const char *text)
{
	complain("warning: %s", text);
}

static struct rules *
read_rules(struct app *app)
{
	const struct rules_config cfg = {
		.file4 = app->opt.rule4, .file6 = app->opt.rule6, .ports = app->opt.port_mask};

	return rules_read(&cfg, warn, app->control->err, ERR_LEN);
}

static void
tell_routes(const struct app *app, const char *what)
{
	say("routes %s: %u IPv4, %u IPv6", what, app->control->rules->v4.nb,
	    app->control->rules->v6.nb);
}

int
control_create(struct app *app, char *err, size_t err_len)
{
	struct control *c = calloc(1, sizeof(*c));

	app->control = c;
	if (c == NULL) {
		snprintf(err, err_len, "out of memory");
		return -1;
	}
	c->rules = read_rules(app);
	if (c->rules != NULL)
		c->current = tables_create(app, c->rules, c->err, ERR_LEN);
	if (c->current == NULL) {
		snprintf(err, err_len, "%s", c->err);
		return -1;
	}
	tell_routes(app, "read");
	atomic_store(&app->tables, c->current);
	return 0;
}

/* At the end: what they have on the device ends with the session, whether it still answers or not. */
static void
drop_tables(struct app *app, struct tables *t)
{
	if (t != NULL)
		t->on_gpu = false;
	tables_free(app, t);
}

void
control_free(struct app *app)
{
	struct control *c = app->control;

	if (c == NULL)
		return;
	atomic_store(&app->tables, NULL);
	drop_tables(app, c->current);
	drop_tables(app, c->retiring);
	drop_tables(app, c->past);
	rules_free(c->rules);
	free(c);
	app->control = NULL;
}

/* Replacing tables ----------------------------------------------------------- */

/* Workers use t from their next round on; what they used so far is freed when all have let go of it (retire()). */
static void
publish(struct app *app, struct tables *t)
{
	struct control *c = app->control;

	c->retiring = c->current;
	c->current = t;
	if (t != NULL && c->past != NULL) {
		tables_inherit(app, t, c->past);
		tables_free(app, c->past);
		c->past = NULL;
	}
	atomic_store_explicit(&app->tables, t, memory_order_release);
}

/* Returns true if nothing is on its way out. */
static bool
retire(struct app *app)
{
	struct control *c = app->control;
	unsigned int w;

	if (c->retiring == NULL)
		return true;
	for (w = 0; w < app->nb_workers; w++)
		if (atomic_load_explicit(&app->workers[w].using, memory_order_acquire) !=
		    c->current)
			return false;
	if (c->current != NULL) {
		tables_inherit(app, c->current, c->retiring);
		tables_free(app, c->retiring);
	} else {
		/* Their ids belonged to the old session: in a new one they may name something else. */
		c->past = c->retiring;
		c->past->on_gpu = false;
	}
	c->retiring = NULL;
	return true;
}

static void
use_rules(struct control *c, struct rules *rules)
{
	rules_free(c->rules);
	c->rules = rules;
}

static void
reload_routes(struct app *app)
{
	struct control *c = app->control;
	struct rules *rules = read_rules(app);
	struct tables *t;

	if (rules == NULL) {
		complain("%s; the routes stay as they are", c->err);
		return;
	}
	t = c->lost ? NULL : tables_create(app, rules, c->err, ERR_LEN);
	if (t != NULL) {
		use_rules(c, rules);
		publish(app, t);
		c->info.reloads++;
		tell_routes(app, "read anew");
	} else if (c->lost || rte_apir_state(app->gpu.dev) == RTE_APIR_LOST) {
		use_rules(c, rules);
		c->info.reloads++;
		tell_routes(app, "read anew, for when the device is back");
	} else {
		complain("%s; the routes stay as they are", c->err);
		rules_free(rules);
	}
}

/* The device ------------------------------------------------------------------ */

/* The session is new: everything in it must be made again. */
static void
restore(struct app *app)
{
	struct control *c = app->control;
	struct tables *t = NULL;

	if (gpu_load(&app->gpu, app->port_table, RTE_DIM(app->port_table), c->err, ERR_LEN) == 0)
		t = tables_create(app, c->rules, c->err, ERR_LEN);
	if (t != NULL) {
		publish(app, t);
		c->lost = false;
		c->info.reconnects++;
		say("the device is back: %s", app->gpu.info.device);
	} else if (rte_apir_state(app->gpu.dev) != RTE_APIR_LOST) {
		complain("the device is back, but: %s", c->err);
		c->failed = true;
	}
}

static void
watch_device(struct app *app, double t)
{
	struct control *c = app->control;
	const enum rte_apir_state state = rte_apir_state(app->gpu.dev);
	uint32_t status = atomic_load(&app->device_status);

	if (status != 0 && !c->error_told) {
		c->error_told = true;
		complain("the device failed on a burst: %s", rte_apir_status_str(status - 1));
	}
	if (state != RTE_APIR_LOST)
		return;
	if (!c->lost) {
		c->lost = true;
		complain("apird at %s is gone; waiting for it", app->gpu.info.address);
	}
	if (c->current != NULL && retire(app))
		publish(app, NULL);
	if (c->current != NULL || !retire(app) || t - c->last_try < RETRY_SECONDS)
		return;
	c->last_try = t;
	switch (gpu_reconnect(&app->gpu, c->err, ERR_LEN)) {
	case 0:
		restore(app);
		break;
	case -1:
		complain("%s", c->err);
		c->failed = true;
		break;
	default:
		break;
	}
}

/* The end ----------------------------------------------------------------------- */

static void
watch_traffic(struct app *app, double t)
{
	struct control *c = app->control;
	struct totals sum;
	bool all_done;

	stats_collect(app, &sum);
	all_done = sum.rx == sum.tx + sum.dropped;
	if (all_done || c->lost || c->last_done != sum.tx + sum.dropped) {
		c->last_done = sum.tx + sum.dropped;
		c->last_progress = t;
		c->stall_told = false;
	} else if (!c->stall_told && t - c->last_progress >= STALL_SECONDS) {
		c->stall_told = true;
		complain("apird at %s does not answer: %" PRIu64 " packets wait",
			 app->gpu.info.address, sum.rx - sum.tx - sum.dropped);
	}
	if (sum.rx != c->last_rx || !all_done || c->lost) {
		c->last_rx = sum.rx;
		c->last_packet = t;
	}
	if (app->opt.idle_ms > 0 && (t - c->last_packet) * 1000 >= app->opt.idle_ms)
		c->finished = true;
	if (app->opt.count > 0 && sum.rx >= app->opt.count && all_done)
		c->finished = true;
	if (app->opt.stats_period > 0 && t - c->last_stats >= app->opt.stats_period) {
		stats_print(app, &sum, &c->before, t - c->last_stats, t - c->start);
		c->before = sum;
		c->last_stats = t;
	}
}

void
control_run(struct app *app)
{
	struct control *c = app->control;
	double t = now();

	c->start = c->last_stats = c->last_packet = c->last_progress = t;
	while (!quit && !c->finished && !c->failed) {
		usleep(TICK_US);
		t = now();
		if (!app->opt.cpu)
			watch_device(app, t);
		if (retire(app) && reload) {
			reload = 0;
			reload_routes(app);
		}
		watch_traffic(app, t);
	}
	c->info.seconds = now() - c->start;
	if (c->lost && !c->failed) {
		complain("ended without a device: apird at %s is gone", app->gpu.info.address);
		c->failed = true;
	}
	atomic_store_explicit(&app->stop, true, memory_order_release);
}

bool
control_failed(const struct app *app)
{
	return app->control->failed;
}

const struct tables *
control_tables(const struct app *app)
{
	const struct control *c = app->control;

	return c->current != NULL ? c->current : c->past != NULL ? c->past : c->retiring;
}

const struct run_info *
control_info(const struct app *app)
{
	return &app->control->info;
}
