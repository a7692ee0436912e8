/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "worker.h"

/* How long the device may be silent at the end before its packets are given up. */
#define DRAIN_SECONDS 3

static void
drop(struct worker *w, struct rte_mbuf *m, enum l3fwd_drop reason)
{
	count(&w->count[m->port].drop[reason], 1);
	rte_pktmbuf_free(m);
}

/* Output -------------------------------------------------------------------- */

static void
flush_port(struct worker *w, uint16_t port)
{
	const struct port *p = &w->app->ports[port];
	struct tx_buffer *b = &w->tx[port];
	uint64_t bytes = 0;
	uint16_t sent, i;

	for (i = 0; i < b->nb; i++)
		bytes += b->pkts[i]->pkt_len;
	if (p->tx_locks != NULL)
		rte_spinlock_lock(&p->tx_locks[w->txq[port]]);
	sent = rte_eth_tx_burst(port, w->txq[port], b->pkts, b->nb);
	if (p->tx_locks != NULL)
		rte_spinlock_unlock(&p->tx_locks[w->txq[port]]);
	for (i = sent; i < b->nb; i++) {
		bytes -= b->pkts[i]->pkt_len;
		drop(w, b->pkts[i], L3FWD_DROP_TX_FULL);
	}
	count(&w->count[port].tx, sent);
	count(&w->count[port].tx_bytes, bytes);
	b->nb = 0;
}

static void
flush(struct worker *w)
{
	uint16_t port;

	for (port = 0; port < MAX_PORTS; port++)
		if (w->tx[port].nb > 0)
			flush_port(w, port);
}

/* Do with a packet what its verdict says; t are the tables it was routed with. */
static void
deliver(struct worker *w, const struct tables *t, struct rte_mbuf *m, struct rte_apir_verdict v)
{
	struct tx_buffer *b;

	if (v.action == RTE_APIR_ACTION_DROP) {
		drop(w, m, v.port < L3FWD_DROP_KERNEL_END ? v.port : L3FWD_DROP_BAD_VERDICT);
		return;
	}
	if (v.action != RTE_APIR_ACTION_FORWARD || v.port >= MAX_PORTS ||
	    !w->app->ports[v.port].enabled || v.meta >= rules_count(t->rules)) {
		drop(w, m, L3FWD_DROP_BAD_VERDICT);
		return;
	}
	count(&t->hits[w->qp][v.meta], 1);
	b = &w->tx[v.port];
	b->pkts[b->nb++] = m;
	if (b->nb == TX_BURST)
		flush_port(w, v.port);
}

/* Input --------------------------------------------------------------------- */

/* With --count: how many of want packets may still be received. What is not received must be given back. */
static unsigned int
claim(struct app *app, unsigned int want)
{
	uint64_t left = atomic_load_explicit(&app->budget, memory_order_relaxed), take;

	do {
		take = RTE_MIN(left, want);
	} while (!atomic_compare_exchange_weak_explicit(
		&app->budget, &left, left - take, memory_order_relaxed, memory_order_relaxed));
	return take;
}

/* Fill pkts from the rx queues, a different one first each time. */
static unsigned int
receive(struct worker *w, struct rte_mbuf **pkts, unsigned int room)
{
	const bool limited = w->app->opt.count > 0;
	unsigned int got = 0, i, want, n, k;

	for (i = 0; i < w->nb_rx && got < room; i++) {
		const struct rx_queue *q = &w->rx[(w->next_rx + i) % w->nb_rx];
		uint64_t bytes = 0;

		want = limited ? claim(w->app, room - got) : room - got;
		if (want == 0)
			break;
		n = rte_eth_rx_burst(q->port, q->queue, pkts + got, want);
		if (limited && n < want)
			atomic_fetch_add_explicit(&w->app->budget, want - n, memory_order_relaxed);
		if (n == 0)
			continue;
		for (k = 0; k < n; k++) {
			pkts[got + k]->port = q->port;
			bytes += pkts[got + k]->pkt_len;
		}
		count(&w->count[q->port].rx, n);
		count(&w->count[q->port].rx_bytes, bytes);
		got += n;
	}
	w->next_rx = (w->next_rx + 1) % w->nb_rx;
	return got;
}

/* Routes --------------------------------------------------------------------- */

static void
follow_tables(struct worker *w)
{
	struct tables *t = atomic_load_explicit(&w->app->tables, memory_order_acquire);

	/* The control thread sets new ones only after all workers have left those before the current ones. */
	if (t != w->cur) {
		w->prev = w->cur;
		w->prev_left = w->in_flight;
		w->cur = t;
	}
	if (w->prev_left == 0 && atomic_load_explicit(&w->using, memory_order_relaxed) != w->cur)
		atomic_store_explicit(&w->using, w->cur, memory_order_release);
}

/* The device ----------------------------------------------------------------- */

/* Hand what is pending to the device, as far as it takes it. */
static void
enqueue(struct worker *w)
{
	const uint16_t dev = w->app->gpu.dev;
	unsigned int done = 0;

	while (done < w->nb_pend) {
		const unsigned int nb = w->nb_pend - done;
		unsigned int n;

		if (w->verify != NULL && !verify_push(w->verify, w->pend + done, nb, w->cur))
			break;
		n = rte_apir_enqueue_burst(dev, w->qp, w->cur->gpu.pipeline, w->pend + done, nb);
		if (w->verify != NULL)
			verify_unpush(w->verify, nb - n);
		w->in_flight += n;
		done += n;
		if (n == nb || rte_errno == EAGAIN || rte_errno == ENODEV)
			break;
		/* This one cannot be taken at all; the others can. */
		drop(w, w->pend[done++], L3FWD_DROP_REFUSED);
	}
	w->nb_pend -= done;
	memmove(w->pend, w->pend + done, w->nb_pend * sizeof(w->pend[0]));
}

static void
device_failed(struct worker *w, struct rte_mbuf *m, uint16_t status)
{
	uint32_t none = 0;

	if (rte_apir_state(w->app->gpu.dev) != RTE_APIR_RUNNING) {
		drop(w, m, L3FWD_DROP_DEVICE_LOST);
		return;
	}
	drop(w, m, L3FWD_DROP_DEVICE_ERROR);
	atomic_compare_exchange_strong(&w->app->device_status, &none, status + 1u);
}

/* Take back what the device has finished. Returns false if there was nothing. */
static bool
dequeue(struct worker *w)
{
	struct rte_mbuf *pkts[TX_BURST];
	struct rte_apir_verdict verdicts[TX_BURST];
	const struct tables *t;
	uint16_t n, i;

	n = rte_apir_dequeue_burst(w->app->gpu.dev, w->qp, pkts, verdicts, TX_BURST);
	for (i = 0; i < n; i++) {
		t = w->cur;
		if (w->prev_left > 0) {
			t = w->prev;
			w->prev_left--;
		}
		if (w->verify != NULL)
			verify_pop(w->verify, w->app, pkts[i], verdicts[i]);
		if (verdicts[i].action == RTE_APIR_ACTION_ERROR)
			device_failed(w, pkts[i], verdicts[i].port);
		else
			deliver(w, t, pkts[i], verdicts[i]);
	}
	w->in_flight -= n;
	return n > 0;
}

/*
 * One round: receive, enqueue, dequeue, send. A burst is enqueued when it is full, or when the device has nothing to do: the
 * faster packets come, the larger bursts get, with no timer.
 */
static bool
gpu_round(struct worker *w, bool stop)
{
	const unsigned int burst = w->app->opt.burst;
	bool busy = false;
	unsigned int n;

	follow_tables(w);
	if (w->cur != NULL) {
		if (!stop && w->nb_pend < burst) {
			n = receive(w, w->pend + w->nb_pend, burst - w->nb_pend);
			w->nb_pend += n;
			busy = n > 0;
		}
		if (w->nb_pend == burst ||
		    (w->nb_pend > 0 && rte_apir_in_flight(w->app->gpu.dev, w->qp) == 0))
			enqueue(w);
	}
	while (dequeue(w))
		busy = true;
	flush(w);
	return busy;
}

/* At the end: true when there is nothing left to wait for. What cannot reach the device any more is given up. */
static bool
gpu_drained(struct worker *w)
{
	const enum rte_apir_state state = rte_apir_state(w->app->gpu.dev);
	const bool hung = state == RTE_APIR_HUNG || rte_get_timer_cycles() - w->last_busy >
							    DRAIN_SECONDS * rte_get_timer_hz();
	unsigned int i;

	if (w->cur == NULL || state != RTE_APIR_RUNNING || hung) {
		for (i = 0; i < w->nb_pend; i++)
			drop(w, w->pend[i], L3FWD_DROP_DEVICE_LOST);
		w->nb_pend = 0;
	}
	if (hung)
		atomic_store(&w->stuck, w->in_flight);
	return hung || (w->nb_pend == 0 && w->in_flight == 0);
}

/* The CPU --------------------------------------------------------------------- */

static bool
cpu_round(struct worker *w)
{
	struct rte_mbuf *pkts[TX_BURST];
	unsigned int n, i;

	follow_tables(w);
	n = receive(w, pkts, TX_BURST);
	for (i = 0; i < n; i++)
		deliver(w, w->cur, pkts[i],
			cpu_route(w->cur->cpu, w->app->port_table,
				  rte_pktmbuf_mtod(pkts[i], uint8_t *), pkts[i]->data_len,
				  pkts[i]->pkt_len));
	flush(w);
	return n > 0;
}

/* ------------------------------------------------------------------------------ */

static void
worker_run(struct worker *w)
{
	const bool cpu = w->app->opt.cpu;
	bool stop = false, busy;

	while (!stop || (!cpu && !gpu_drained(w))) {
		stop = atomic_load_explicit(&w->app->stop, memory_order_acquire);
		if (!cpu)
			busy = gpu_round(w, stop);
		else
			busy = !stop && cpu_round(w);
		if (busy || !stop)
			w->last_busy = rte_get_timer_cycles();
		/* Polls on, but lets others run where they share this core. */
		if (!busy)
			sched_yield();
	}
}

int
worker_main(void *arg)
{
	struct app *app = arg;
	unsigned int i;

	for (i = 0; i < app->nb_workers; i++)
		if (app->workers[i].lcore == rte_lcore_id())
			worker_run(&app->workers[i]);
	return 0;
}

static struct worker *
worker_of_lcore(struct app *app, unsigned int lcore)
{
	struct worker *w;
	unsigned int i;

	for (i = 0; i < app->nb_workers; i++)
		if (app->workers[i].lcore == lcore)
			return &app->workers[i];
	w = &app->workers[app->nb_workers];
	w->app = app;
	w->lcore = lcore;
	w->qp = app->nb_workers++;
	return w;
}

int
workers_create(struct app *app, char *err, size_t err_len)
{
	const struct options *opt = &app->opt;
	unsigned int i;

	app->workers = rte_zmalloc("l3fwd workers", opt->nb_rx * sizeof(*app->workers),
				   RTE_CACHE_LINE_SIZE);
	if (app->workers == NULL) {
		snprintf(err, err_len, "no memory for %u workers", opt->nb_rx);
		return -1;
	}
	for (i = 0; i < opt->nb_rx; i++) {
		const struct rx_queue *q = &opt->rx[i];
		struct worker *w;

		if (!rte_lcore_is_enabled(q->lcore)) {
			snprintf(err, err_len,
				 "--config: lcore %u is not among EAL's lcores (option -l)",
				 q->lcore);
			return -1;
		}
		w = worker_of_lcore(app, q->lcore);
		w->rx[w->nb_rx++] = *q;
	}
	for (i = 0; opt->verify && i < app->nb_workers; i++) {
		app->workers[i].verify = verify_create((opt->in_flight + 1) * opt->burst);
		if (app->workers[i].verify == NULL) {
			snprintf(err, err_len, "no memory for --verify");
			return -1;
		}
	}
	return 0;
}

void
workers_free(struct app *app)
{
	unsigned int i;

	for (i = 0; i < app->nb_workers; i++)
		verify_free(app->workers[i].verify);
	rte_free(app->workers);
	app->workers = NULL;
	app->nb_workers = 0;
}
