/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_log.h>

#include "fake_apir.h"
#include "pmd_env.h"

struct rte_mempool *env_pool, *env_rx_pool;
uint64_t env_rx_offloads;
uint32_t env_mtu;

static char folder[] = "/tmp/apir-pmd-XXXXXX";
static FILE *log_file;
static char *log_text;
static size_t log_len, log_seen;

static pthread_mutex_t link_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t link_cond = PTHREAD_COND_INITIALIZER;
static unsigned int link_events[2]; /* down, up */

int
env_init(void **state)
{
	char *args[] = {"pmd", "--no-huge", "-m",	   "64", "--no-pci", "--no-telemetry",
			"-l",  "0",	    "--no-shconf", NULL};

	(void)state;
	if (rte_eal_init(9, args) < 0)
		return -1;
	env_pool = rte_pktmbuf_pool_create("sent", POOL_SIZE, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	env_rx_pool = rte_pktmbuf_pool_create("rx", POOL_SIZE, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (mkdtemp(folder) == NULL)
		return -1;
	log_file = open_memstream(&log_text, &log_len);
	if (log_file == NULL || rte_openlog_stream(log_file) != 0)
		return -1;
	return env_pool == NULL || env_rx_pool == NULL ? -1 : 0;
}

int
env_fini(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (system(command) != 0)
		return -1;
	rte_openlog_stream(NULL);
	fclose(log_file);
	free(log_text);
	rte_mempool_free(env_pool);
	rte_mempool_free(env_rx_pool);
	return rte_eal_cleanup();
}

int
env_setup(void **state)
{
	(void)state;
	fake_reset();
	env_rx_offloads = 0;
	env_mtu = 0;
	link_events[0] = link_events[1] = 0;
	env_log();
	return 0;
}

int
env_teardown(void **state)
{
	(void)state;
	assert_int_equal(rte_eth_dev_count_avail(), 0);
	assert_false(fake_is_open);
	assert_int_equal(rte_mempool_avail_count(env_pool), POOL_SIZE);
	assert_int_equal(rte_mempool_avail_count(env_rx_pool), POOL_SIZE);
	return 0;
}

int
env_probe(const char *devargs)
{
	return rte_vdev_init(VDEV, devargs);
}

uint16_t
env_start(uint16_t nb_rx, uint16_t nb_tx)
{
	struct rte_eth_conf conf = {
		.rxmode = {.offloads = env_rx_offloads, .mtu = env_mtu},
		.intr_conf = {.lsc = 1},
	};
	uint16_t port, i;

	assert_int_equal(rte_eth_dev_get_port_by_name(VDEV, &port), 0);
	assert_int_equal(rte_eth_dev_configure(port, nb_rx, nb_tx, &conf), 0);
	for (i = 0; i < nb_tx; i++)
		assert_int_equal(rte_eth_tx_queue_setup(port, i, 512, 0, NULL), 0);
	for (i = 0; i < nb_rx; i++)
		assert_int_equal(rte_eth_rx_queue_setup(port, i, 512, 0, NULL, env_rx_pool), 0);
	assert_int_equal(rte_eth_dev_start(port), 0);
	return port;
}

uint16_t
env_port_up(const char *devargs, uint16_t nb_rx, uint16_t nb_tx)
{
	assert_int_equal(env_probe(devargs), 0);
	return env_start(nb_rx, nb_tx);
}

void
env_port_down(uint16_t port)
{
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(rte_eth_dev_close(port), 0);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
}

struct rte_mbuf *
env_packet(uint16_t len, uint8_t mark)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(env_pool);

	assert_non_null(m);
	if (len > 0) {
		memset(rte_pktmbuf_append(m, len), 0xee, len);
		*rte_pktmbuf_mtod(m, uint8_t *) = mark;
	}
	return m;
}

uint8_t
env_mark(const struct rte_mbuf *m)
{
	return *rte_pktmbuf_mtod(m, const uint8_t *);
}

uint16_t
env_send(uint16_t port, uint16_t queue, uint16_t n, uint8_t mark)
{
	struct rte_mbuf *pkts[n];
	uint16_t i, sent;

	for (i = 0; i < n; i++)
		pkts[i] = env_packet(60, (uint8_t)(mark + i));
	sent = rte_eth_tx_burst(port, queue, pkts, n);
	rte_pktmbuf_free_bulk(pkts + sent, n - sent);
	return sent;
}

uint16_t
env_receive(uint16_t port, uint16_t queue, uint16_t n)
{
	struct rte_mbuf *pkts[n];
	uint16_t got = rte_eth_rx_burst(port, queue, pkts, n);

	rte_pktmbuf_free_bulk(pkts, got);
	return got;
}

uint64_t
env_xstat(uint16_t port, const char *name)
{
	uint64_t id, value;

	if (rte_eth_xstats_get_id_by_name(port, name, &id) != 0)
		fail_msg("there is no xstat %s", name);
	assert_int_equal(rte_eth_xstats_get_by_id(port, &id, &value, 1), 1);
	return value;
}

const char *
env_log(void)
{
	static char copy[16384];

	fflush(log_file);
	snprintf(copy, sizeof(copy), "%s", log_text + log_seen);
	log_seen = log_len;
	return copy;
}

const char *
env_file(const char *name, const void *data, size_t len)
{
	static char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	return path;
}

const char *
env_kernel(void)
{
	static char arg[300];

	snprintf(arg, sizeof(arg), "kernel=%s", env_file("k.cl", "source", 6));
	return arg;
}

static int
on_link(uint16_t port, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct rte_eth_link link;

	(void)type;
	(void)arg;
	(void)ret;
	rte_eth_link_get_nowait(port, &link);
	pthread_mutex_lock(&link_lock);
	link_events[link.link_status]++;
	pthread_cond_broadcast(&link_cond);
	pthread_mutex_unlock(&link_lock);
	return 0;
}

void
env_watch_link(uint16_t port)
{
	assert_int_equal(rte_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_LSC, on_link, NULL),
			 0);
}

void
env_wait_link(bool up, unsigned int n)
{
	struct timespec until;
	unsigned int seen;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	pthread_mutex_lock(&link_lock);
	while (link_events[up] < n && ret == 0)
		ret = pthread_cond_timedwait(&link_cond, &link_lock, &until);
	seen = link_events[up];
	pthread_mutex_unlock(&link_lock);
	assert_int_equal(seen, n);
}
