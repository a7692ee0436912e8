/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The back-end goes, comes back, hangs. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus_vdev.h>

#include "fake_apir.h"
#include "net_apir.h"
#include "pmd_env.h"

static char sock[256], devargs[600];

/* Devargs of a socket that is there, so that connecting to it is tried. */
static const char *
with(const char *more)
{
	snprintf(sock, sizeof(sock), "%s", env_file("apird.sock", "", 0));
	snprintf(devargs, sizeof(devargs), "path=%s,reconnect_ms=10%s", sock, more);
	return devargs;
}

static bool
link_is_up(uint16_t port)
{
	struct rte_eth_link link;

	assert_int_equal(rte_eth_link_get(port, &link), 0);
	return link.link_status == RTE_ETH_LINK_UP;
}

static void
test_up_while_started(void **state)
{
	struct rte_eth_link link;
	uint16_t port;

	(void)state;
	assert_int_equal(env_probe(with("")), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(VDEV, &port), 0);
	assert_false(link_is_up(port));
	env_start(1, 1);
	assert_int_equal(rte_eth_link_get(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_UP);
	assert_int_equal(link.link_speed, RTE_ETH_SPEED_NUM_100G);
	assert_int_equal(link.link_duplex, RTE_ETH_LINK_FULL_DUPLEX);
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_false(link_is_up(port));
	assert_int_equal(rte_eth_dev_start(port), 0);
	env_port_down(port);
}

/*
 * Everything in flight and gathered comes back, is freed and counted; then traffic goes on with a
 * pipeline made anew.
 */
static void
test_lost_and_back(void **state)
{
	uint32_t old_pipeline;
	uint16_t port;
	char more[300];

	(void)state;
	snprintf(more, sizeof(more), ",%s", env_kernel());
	port = env_port_up(with(more), 1, 1);
	env_watch_link(port);
	assert_int_equal(env_send(port, 0, 5, 0), 5);
	assert_int_equal(env_send(port, 0, 3, 5), 3);
	old_pipeline = fake_burst_pipeline(0, 0);
	fake_reconnect_error = -ECONNREFUSED;
	fake_lose();
	env_wait_link(false, 1);
	assert_false(link_is_up(port));
	/* nothing is taken, nothing blocks, nothing is dropped on the quiet */
	assert_int_equal(env_send(port, 0, 4, 0), 0);
	assert_int_equal(env_receive(port, 0, 32), 0);
	/* a new back-end makes a new socket, even at the same name */
	assert_int_equal(rename(env_file("new.sock", "", 0), sock), 0);
	fake_reconnect_error = 0;
	env_wait_link(true, 1);
	assert_true(link_is_up(port));
	assert_int_equal(rte_mempool_avail_count(env_pool), POOL_SIZE);
	assert_int_equal(env_xstat(port, "rx_backend_errors"), 8);
	assert_int_equal(env_xstat(port, "backend_lost_errors"), 1);
	assert_int_equal(env_xstat(port, "backend_reconnects"), 1);
	assert_int_equal(fake_live_objects, 1);

	fake_auto_complete = true;
	assert_int_equal(env_send(port, 0, 4, 0), 4);
	assert_int_equal(env_receive(port, 0, 32), 4);
	assert_int_not_equal(fake_burst_pipeline(0, 2), old_pipeline);
	assert_int_not_equal(fake_burst_pipeline(0, 2), RTE_APIR_PIPELINE_LOOPBACK);
	env_port_down(port);
}

/* Again and again, with traffic at each time. */
static void
test_lost_often(void **state)
{
	uint16_t port = env_port_up(with(""), 1, 1);
	unsigned int i;

	(void)state;
	env_watch_link(port);
	for (i = 1; i <= 10; i++) {
		assert_int_equal(env_send(port, 0, 5, 0), 5);
		assert_int_equal(rename(env_file("new.sock", "", 0), sock), 0);
		fake_lose();
		env_wait_link(true, i);
		env_wait_link(false, i);
	}
	assert_int_equal(env_xstat(port, "rx_backend_errors"), 50);
	assert_int_equal(fake_reconnects, 10);
	env_port_down(port);
}

/*
 * Nobody polls: the packets are taken back all the same, and what was complete is counted as such.
 */
static void
test_lost_unpolled(void **state)
{
	uint16_t port = env_port_up(with(",burst=4"), 1, 1);

	(void)state;
	env_watch_link(port);
	assert_int_equal(env_send(port, 0, 4, 0), 4);
	assert_int_equal(env_send(port, 0, 4, 0), 4);
	fake_complete(0, 1);
	fake_lose();
	env_wait_link(true, 1);
	assert_int_equal(env_xstat(port, "rx_unpolled_dropped"), 4);
	assert_int_equal(env_xstat(port, "rx_backend_errors"), 4);
	assert_int_equal(rte_mempool_avail_count(env_pool), POOL_SIZE);
	env_port_down(port);
}

static void
test_lost_while_stopped(void **state)
{
	uint16_t port = env_port_up(with(""), 1, 1);

	(void)state;
	env_watch_link(port);
	assert_int_equal(rte_eth_dev_stop(port), 0);
	fake_reconnect_error = -ECONNREFUSED;
	fake_lose();
	assert_int_equal(rte_eth_dev_start(port), 0);
	assert_false(link_is_up(port));
	assert_int_equal(env_send(port, 0, 4, 0), 0);
	assert_int_equal(rename(env_file("new.sock", "", 0), sock), 0);
	fake_reconnect_error = 0;
	env_wait_link(true, 1);
	fake_auto_complete = true;
	assert_int_equal(env_send(port, 0, 4, 0), 4);
	assert_int_equal(env_receive(port, 0, 32), 4);
	env_port_down(port);
}

/* Gone between the probe's last call and the moment somebody listens. */
static void
test_lost_before_watched(void **state)
{
	uint16_t port;

	(void)state;
	fake_lose_at_callback_set = true;
	port = env_port_up(with(""), 1, 1);
	env_watch_link(port);
	if (!link_is_up(port))
		env_wait_link(true, 1);
	assert_int_equal(fake_reconnects, 1);
	env_port_down(port);
}

static void
test_closed_while_lost(void **state)
{
	uint16_t port = env_port_up(with(""), 1, 1);

	(void)state;
	env_watch_link(port);
	assert_int_equal(env_send(port, 0, 5, 0), 5);
	fake_reconnect_error = -ECONNREFUSED;
	fake_lose();
	env_wait_link(false, 1);
	env_port_down(port);
}

/*
 * The new back-end cannot build the kernel: the port stays down, nothing leaks, and it can be
 * removed.
 */
static void
test_back_without_kernel(void **state)
{
	uint16_t port;
	char more[300];

	(void)state;
	snprintf(more, sizeof(more), ",%s", env_kernel());
	port = env_port_up(with(more), 1, 1);
	env_watch_link(port);
	fake_program_error = -ENOEXEC;
	fake_lose();
	env_wait_link(false, 1);
	while (fake_reconnects == 0)
		usleep(1000);
	assert_false(link_is_up(port));
	assert_int_equal(env_send(port, 0, 5, 0), 0);
	env_port_down(port);
	assert_int_equal(fake_live_objects, 0);
	assert_non_null(strstr(env_log(), "does not build"));
}

/* Poll until the clock has been looked at twice. */
static void
poll_in_vain(uint16_t port)
{
	unsigned int i;

	for (i = 0; i < 1000; i++)
		assert_int_equal(env_receive(port, 0, 32), 0);
}

/*
 * A burst is overdue: down and counted once; up again when the back-end lets go. No packet is lost.
 */
static void
test_hung_and_back(void **state)
{
	uint16_t port = env_port_up(with(",timeout_us=1"), 1, 1);

	(void)state;
	env_watch_link(port);
	assert_int_equal(env_send(port, 0, 5, 0), 5);
	assert_int_equal(env_send(port, 0, 2, 5), 2);
	poll_in_vain(port);
	env_wait_link(false, 1);
	poll_in_vain(port);
	assert_int_equal(env_xstat(port, "backend_timeout_errors"), 1);
	assert_non_null(strstr(env_log(), "timeout_us="));
	assert_int_equal(env_send(port, 0, 4, 0), 0);
	fake_auto_complete = true;
	fake_complete(0, 1);
	assert_int_equal(env_receive(port, 0, 32), 5);
	assert_int_equal(env_receive(port, 0, 32), 2);
	env_wait_link(true, 1);
	assert_int_equal(env_send(port, 0, 4, 0), 4);
	assert_int_equal(env_receive(port, 0, 32), 4);
	assert_int_equal(fake_reconnects, 0);
	env_port_down(port);
}

/* The hung back-end is killed: connected again. */
static void
test_hung_and_lost(void **state)
{
	uint16_t port = env_port_up(with(",timeout_us=1"), 1, 1);

	(void)state;
	env_watch_link(port);
	assert_int_equal(env_send(port, 0, 5, 0), 5);
	poll_in_vain(port);
	env_wait_link(false, 1);
	fake_lose();
	env_wait_link(true, 1);
	assert_int_equal(env_xstat(port, "rx_backend_errors"), 5);
	assert_int_equal(fake_reconnects, 1);
	env_port_down(port);
}

static void
test_never_overdue(void **state)
{
	uint16_t port = env_port_up(with(",timeout_us=0"), 1, 1);

	(void)state;
	assert_int_equal(env_send(port, 0, 5, 0), 5);
	poll_in_vain(port);
	assert_true(link_is_up(port));
	assert_int_equal(env_xstat(port, "backend_timeout_errors"), 0);
	fake_complete(0, 1);
	assert_int_equal(env_receive(port, 0, 32), 5);
	env_port_down(port);
}

/*
 * Stop and close cannot wait for ever for a hung back-end: its packets are freed as soon as it lets
 * go.
 */
static void
test_close_while_hung(void **state)
{
	uint16_t port = env_port_up(with(",timeout_us=1"), 1, 1);

	(void)state;
	assert_int_equal(env_send(port, 0, 5, 0), 5);
	fake_hang(true);
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_non_null(strstr(env_log(), "did not return all packets"));
	assert_int_equal(rte_eth_dev_close(port), 0);
	assert_non_null(strstr(env_log(), "hangs and holds packets of this process"));
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
	assert_true(fake_is_open);
	assert_int_equal(rte_mempool_avail_count(env_pool), POOL_SIZE - 5);
	fake_hang(false);
	/* the next probe, of any port, closes what was left behind */
	fake_open_error = -ENOENT;
	assert_int_equal(env_probe(""), -ENOENT);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, env_setup, env_teardown)
	const struct CMUnitTest tests[] = {
		T(test_up_while_started),  T(test_lost_and_back),	T(test_lost_often),
		T(test_lost_unpolled),	   T(test_lost_while_stopped),	T(test_lost_before_watched),
		T(test_closed_while_lost), T(test_back_without_kernel), T(test_hung_and_back),
		T(test_hung_and_lost),	   T(test_never_overdue),	T(test_close_while_hung),
	};

	return cmocka_run_group_tests(tests, env_init, env_fini);
}
