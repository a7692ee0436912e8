/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <rte_cycles.h>

#include "net_apir.h"

/** A stop waits for what is in flight as long as timeout_us= says, within these bounds. */
#define STOP_WAIT_MIN_US 1000000u
#define STOP_WAIT_MAX_US 5000000u
#define STOP_POLL_US	 50u
/** Between two attempts to build on a back-end on which the kernel did not build, ms. */
#define REBUILD_MS 30000u

bool
apir_link_worth_a_try(struct apir_port *port)
{
	const uint64_t now = rte_get_timer_cycles();
	struct stat st;

	if (port->args.pci != NULL || strcmp(port->info.transport, "virtio-pci") == 0)
		return true;
	if (stat(port->where, &st) != 0) {
		/* nothing was named: the library looks for a device on PCI too, once */
		if (port->args.path != NULL || port->tried_at != 0)
			return false;
		port->tried_at = now;
		return true;
	}
	/* A back-end that was killed leaves its socket; the next one makes a new file. */
	if (st.st_ino == port->tried_inode && now - port->tried_at < rte_get_timer_hz())
		return false;
	port->tried_inode = st.st_ino;
	port->tried_at = now;
	return true;
}

static void
write_link(struct apir_port *port, bool up)
{
	const struct rte_eth_link link = {
		.link_speed = RTE_ETH_SPEED_NUM_100G,
		.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
		.link_autoneg = RTE_ETH_LINK_FIXED,
		.link_status = up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN,
	};

	rte_eth_linkstatus_set(&rte_eth_devices[port->data->port_id], &link);
}

/* With the lock held. */
static bool
link_is_up(const struct apir_port *port)
{
	return port->started && port->state == APIR_LINK_OK &&
	       rte_apir_state(port->dev_id) == RTE_APIR_RUNNING;
}

/* With the lock held: packets may go, or may not. */
static void
open_queues(struct apir_port *port)
{
	uint16_t i;

	for (i = 0; i < port->data->nb_rx_queues; i++)
		atomic_store_explicit(&port->qps[i].pipeline, port->pipeline, memory_order_relaxed);
}

static void
shut_queues(struct apir_port *port)
{
	uint16_t i;

	for (i = 0; i < port->max_queues; i++)
		apir_qp_shut(&port->qps[i]);
}

/*
 * With the lock held, which is let go while the application is told, if there is anything to tell.
 */
static void
tell_link(struct apir_port *port)
{
	const bool up = link_is_up(port);

	write_link(port, up);
	if (port->link_told == up)
		return;
	port->link_told = up;
	if (!port->started)
		return;
	pthread_mutex_unlock(&port->lock);
	APIR_PORT_LOG(port, NOTICE, "link %s", up ? "up" : "down");
	rte_eth_dev_callback_process(&rte_eth_devices[port->data->port_id], RTE_ETH_EVENT_INTR_LSC,
				     NULL);
	pthread_mutex_lock(&port->lock);
}

/*
 * Takes back what is left in the queues. polled: leave it to the application. True: nothing is
 * left.
 */
static bool
take_back(struct apir_port *port, bool polled)
{
	bool empty = true;
	uint16_t i;

	for (i = 0; i < port->max_queues; i++) {
		if (!polled)
			empty &= apir_qp_drain(&port->qps[i]);
		else if (rte_apir_in_flight(port->dev_id, i) != 0 ||
			 rte_apir_gathered(port->dev_id, i) != 0)
			empty = false;
	}
	return empty;
}

/* The thread tries again and again: each reason is logged when it is new. */
static void
log_failure(struct apir_port *port, const char *why)
{
	if (strcmp(port->failure, why) == 0)
		return;
	snprintf(port->failure, sizeof(port->failure), "%s", why);
	APIR_PORT_LOG(port, WARNING, "not connected yet: %s", why);
}

/* The lock is not held. Returns the new state of the link. */
static enum apir_link_state
connect_again(struct apir_port *port, uint32_t *pipeline)
{
	int ret;

	if (rte_apir_state(port->dev_id) != RTE_APIR_RUNNING) {
		if (!apir_link_worth_a_try(port))
			return APIR_LINK_LOST;
		ret = rte_apir_reconnect(port->dev_id);
		if (ret != 0 && ret != -EALREADY) {
			log_failure(port, rte_apir_last_error());
			return APIR_LINK_LOST;
		}
		apir_ctr_add(&port->reconnects, 1);
	}
	if (apir_kernel_build(port, pipeline) == 0)
		return APIR_LINK_OK;
	return rte_apir_state(port->dev_id) == RTE_APIR_RUNNING ? APIR_LINK_NO_PROG
								: APIR_LINK_LOST;
}

/* With the lock held, which is let go in between. */
static void
recover(struct apir_port *port, bool polled)
{
	uint32_t pipeline = port->pipeline;
	enum apir_link_state next = port->state;
	bool empty;

	pthread_mutex_unlock(&port->lock);
	empty = take_back(port, polled);
	if (next == APIR_LINK_HUNG) {
		if (rte_apir_state(port->dev_id) == RTE_APIR_LOST)
			next = APIR_LINK_LOST;
		else if (empty)
			next = APIR_LINK_OK;
	} else if (empty) {
		next = connect_again(port, &pipeline);
	}
	pthread_mutex_lock(&port->lock);
	/*
	 * Lost again meanwhile: the lost callback has seen to it that the state is looked at anew.
	 */
	if (next == APIR_LINK_OK && rte_apir_state(port->dev_id) != RTE_APIR_RUNNING)
		next = APIR_LINK_LOST;
	port->state = next;
	if (next != APIR_LINK_OK)
		return;
	port->pipeline = pipeline;
	port->failure[0] = '\0';
	atomic_store_explicit(&port->overdue, false, memory_order_relaxed);
	if (port->started)
		open_queues(port);
}

static void
sleep_ms(struct apir_port *port, unsigned int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	while (!port->thread_stop && pthread_cond_timedwait(&port->wake, &port->lock, &until) == 0)
		;
}

/* One for each port that ever lost its back-end: brings it back, and sleeps while all is well. */
static APIR_THREAD_RET
link_thread(void *arg)
{
	struct apir_port *port = arg;
	bool fresh = true; /* at first, what came back is left to the application */

	pthread_mutex_lock(&port->lock);
	while (!port->thread_stop) {
		tell_link(port);
		if (port->state == APIR_LINK_OK) {
			fresh = true;
			if (!port->thread_stop && port->state == APIR_LINK_OK)
				pthread_cond_wait(&port->wake, &port->lock);
			continue;
		}
		recover(port, fresh && port->started);
		fresh = false;
		if (port->state != APIR_LINK_OK)
			sleep_ms(port, port->state == APIR_LINK_NO_PROG
					       ? RTE_MAX(REBUILD_MS, port->args.reconnect_ms)
					       : port->args.reconnect_ms);
	}
	pthread_mutex_unlock(&port->lock);
	return APIR_THREAD_END;
}

/* With the lock held: the link goes down for this reason. */
static void
link_lost(struct apir_port *port, enum apir_link_state why)
{
	char name[16];

	if (port->thread_stop)
		return;
	port->state = why;
	if (port->thread_runs) {
		pthread_cond_signal(&port->wake);
		return;
	}
	snprintf(name, sizeof(name), "apir-link-%u", port->data->port_id);
	if (apir_ctrl_thread_create(&port->thread, name, link_thread, port) == 0)
		port->thread_runs = true;
	else
		APIR_PORT_LOG(port, ERR, "no thread to connect again: the port stays down");
}

/* In a thread of librte_apir. */
static void
on_lost(uint16_t dev_id __rte_unused, void *arg)
{
	struct apir_port *port = arg;

	pthread_mutex_lock(&port->lock);
	APIR_PORT_LOG(port, WARNING, "%s: the back-end is gone, connecting again every %u ms",
		      port->where, port->args.reconnect_ms);
	apir_ctr_add(&port->lost, 1);
	/*
	 * Unless the thread, awake for another reason, was faster than this call and has connected
	 * again.
	 */
	if (rte_apir_state(port->dev_id) != RTE_APIR_RUNNING) {
		shut_queues(port);
		link_lost(port, APIR_LINK_LOST);
	}
	pthread_mutex_unlock(&port->lock);
}

void
apir_link_overdue(struct apir_qp *qp)
{
	struct apir_port *port = qp->port;

	if (atomic_exchange_explicit(&port->overdue, true, memory_order_relaxed))
		return;
	pthread_mutex_lock(&port->lock);
	if (port->state == APIR_LINK_OK && rte_apir_state(port->dev_id) != RTE_APIR_LOST) {
		APIR_PORT_LOG(port, ERR,
			      "rx queue %u: no burst came back for %u us (timeout_us=): nothing is "
			      "sent until it does",
			      qp->qp_id, port->args.timeout_us);
		apir_ctr_add(&port->timeouts, 1);
		shut_queues(port);
		link_lost(port, APIR_LINK_HUNG);
	} else {
		atomic_store_explicit(&port->overdue, false, memory_order_relaxed);
	}
	pthread_mutex_unlock(&port->lock);
}

void
apir_link_init(struct apir_port *port)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&port->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&port->wake, &attr);
	pthread_condattr_destroy(&attr);
	write_link(port, false);
}

void
apir_link_watch(struct apir_port *port)
{
	rte_apir_lost_callback_set(port->dev_id, on_lost, port);
	/* It may have gone before anyone listened. */
	if (rte_apir_state(port->dev_id) == RTE_APIR_LOST) {
		pthread_mutex_lock(&port->lock);
		link_lost(port, APIR_LINK_LOST);
		pthread_mutex_unlock(&port->lock);
	}
}

void
apir_link_fini(struct apir_port *port)
{
	bool runs;

	rte_apir_lost_callback_set(port->dev_id, NULL, NULL);
	pthread_mutex_lock(&port->lock);
	port->thread_stop = true;
	runs = port->thread_runs;
	pthread_cond_signal(&port->wake);
	pthread_mutex_unlock(&port->lock);
	if (runs)
		apir_ctrl_thread_join(port->thread);
	pthread_cond_destroy(&port->wake);
	pthread_mutex_destroy(&port->lock);
}

void
apir_link_start(struct apir_port *port)
{
	pthread_mutex_lock(&port->lock);
	port->started = true;
	if (port->state == APIR_LINK_OK)
		open_queues(port);
	port->link_told = link_is_up(port);
	write_link(port, port->link_told);
	pthread_mutex_unlock(&port->lock);
}

void
apir_link_stop(struct apir_port *port)
{
	const uint32_t most = port->args.timeout_us == 0
				      ? STOP_WAIT_MAX_US
				      : RTE_MAX(RTE_MIN(port->args.timeout_us, STOP_WAIT_MAX_US),
						STOP_WAIT_MIN_US);
	uint64_t until;
	bool empty;

	pthread_mutex_lock(&port->lock);
	port->started = false;
	port->link_told = false;
	shut_queues(port);
	write_link(port, false);
	pthread_mutex_unlock(&port->lock);

	until = rte_get_timer_cycles() + rte_get_timer_hz() / 1000000 * most;
	while (!(empty = take_back(port, false)) && rte_get_timer_cycles() < until)
		rte_delay_us_sleep(STOP_POLL_US);
	if (!empty)
		APIR_PORT_LOG(port, ERR,
			      "stop: the back-end did not return all packets within %u us; they "
			      "are freed once it does",
			      most);
}

int
apir_link_update(struct rte_eth_dev *dev, int wait_to_complete __rte_unused)
{
	struct apir_port *port = apir_port_of(dev);

	pthread_mutex_lock(&port->lock);
	write_link(port, link_is_up(port));
	pthread_mutex_unlock(&port->lock);
	return 0;
}
