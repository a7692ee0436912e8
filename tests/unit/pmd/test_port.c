/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The port as ethdev sees it. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus_vdev.h>

#include "fake_apir.h"
#include "net_apir.h"
#include "pmd_env.h"

static void
test_open_as_asked(void **state)
{
	(void)state;
	assert_int_equal(env_probe("path=/a.sock,queues=3,burst=20,nb_bursts=8"), 0);
	assert_string_equal(fake_conf.path, "/a.sock");
	assert_int_equal(fake_conf.nb_queue_pairs, 3);
	assert_int_equal(fake_conf.max_burst, 20);
	assert_int_equal(fake_conf.max_segs, 64); /* of one packet, whatever the burst */
	assert_int_equal(fake_conf.nb_bursts, 8);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);

	assert_int_equal(env_probe(""), 0);
	assert_string_equal(fake_conf.path, RTE_APIR_DEFAULT_PATH);
	assert_int_equal(fake_conf.nb_queue_pairs, 8);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
}

static void
test_open_on_pci(void **state)
{
	(void)state;
	assert_int_equal(env_probe("pci=0000:00:05.0"), 0);
	assert_string_equal(fake_conf.pci, "0000:00:05.0");
	assert_true(fake_conf.fewer_queue_pairs);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
	/* as many as asked for, or none */
	assert_int_equal(env_probe("pci=0000:00:05.0,queues=2"), 0);
	assert_false(fake_conf.fewer_queue_pairs);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
	/* with neither, the library chooses */
	assert_int_equal(env_probe(""), 0);
	assert_null(fake_conf.pci);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
	fake_open_error = -EBUSY;
	assert_int_equal(env_probe("pci=0000:00:05.0"), -EBUSY);
	assert_non_null(strstr(env_log(), VDEV ": pci=0000:00:05.0: "));
}

/* On PCI a missing back-end shows by its silence alone: that is waited out too. */
static void
test_wait_on_pci(void **state)
{
	(void)state;
	fake_open_error = -ETIMEDOUT;
	assert_int_equal(env_probe("pci=0000:00:05.0,wait_ms=50"), -ETIMEDOUT);
	assert_true(fake_opens > 1);
	fake_opens = 0;
	assert_int_equal(env_probe("pci=0000:00:05.0"), -ETIMEDOUT);
	assert_int_equal(fake_opens, 1);
}

/* Not told how many queues, the port takes what the back-end grants. */
static void
test_fewer_queues_than_default(void **state)
{
	struct rte_eth_dev_info info;
	uint16_t port;

	(void)state;
	fake_most_queues = 5;
	assert_int_equal(env_probe(""), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(VDEV, &port), 0);
	assert_int_equal(rte_eth_dev_info_get(port, &info), 0);
	assert_int_equal(info.max_rx_queues, 4);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
	/* told, it does not */
	assert_int_equal(env_probe("queues=8"), -EINVAL);
}

static void
test_bad_devargs(void **state)
{
	(void)state;
	assert_int_equal(env_probe("burst=4096"), -EINVAL);
	assert_non_null(strstr(env_log(), VDEV ": burst=4096: must be a number from 1 to 1022\n"));
	assert_int_equal(env_probe("colour=red"), -EINVAL);
	assert_non_null(strstr(env_log(), VDEV ": unknown argument 'colour'; known are: path,"));
	assert_int_equal(fake_opens, 0);
}

static void
test_open_fails(void **state)
{
	static const int errors[] = {ENOENT, ECONNREFUSED, EBUSY, ENOTSUP, EPROTONOSUPPORT, ENOMEM};
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(errors); i++) {
		fake_open_error = -errors[i];
		assert_int_equal(env_probe("path=/no.sock"), -errors[i]);
		assert_non_null(strstr(env_log(), VDEV ": path=/no.sock: "));
	}
	assert_int_equal(fake_opens, RTE_DIM(errors));
}

/* The socket is there but nobody listens yet; then somebody does. */
static void
test_wait_for_back_end(void **state)
{
	char devargs[300];

	(void)state;
	fake_open_refusals = 1;
	snprintf(devargs, sizeof(devargs), "wait_ms=600000,path=%s", env_file("sock", "", 0));
	assert_int_equal(env_probe(devargs), 0);
	assert_int_equal(fake_opens, 2);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
}

/*
 * What waits for ever is not waited for longer than asked, and the one try that is logged is the
 * last.
 */
static void
test_wait_in_vain(void **state)
{
	(void)state;
	fake_open_error = -ENOENT;
	assert_int_equal(env_probe("wait_ms=30,path=/there/is/no.sock"), -ENOENT);
	assert_int_equal(fake_opens, 1);
}

static void
test_info(void **state)
{
	struct rte_eth_dev_info info;
	uint16_t port = env_port_up("queues=4", 1, 1);
	char fw[128];

	(void)state;
	assert_int_equal(rte_eth_dev_info_get(port, &info), 0);
	assert_string_equal(info.driver_name, "net_apir");
	assert_int_equal(info.max_rx_queues, 4);
	assert_true(info.max_tx_queues > 64);
	assert_int_equal(info.min_mtu, 68);
	assert_int_equal(info.max_mtu, 65517);
	/* nothing that software has to do for us: testpmd's csum mode must not leave it out */
	assert_int_equal(info.tx_offload_capa, RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	assert_int_equal(info.rx_offload_capa, RTE_ETH_RX_OFFLOAD_SCATTER);
	assert_int_equal(rte_eth_dev_fw_version_get(port, fw, sizeof(fw)), 0);
	assert_string_equal(fw, "apird, opencl, zero copy");
	assert_true(rte_eth_dev_fw_version_get(port, fw, 4) > 4);
	env_port_down(port);
}

static void
test_configure(void **state)
{
	struct rte_eth_conf conf = {0};
	uint16_t port;

	(void)state;
	assert_int_equal(env_probe("queues=2"), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(VDEV, &port), 0);
	assert_int_equal(rte_eth_dev_configure(port, 0, 1, &conf), -EINVAL);
	assert_non_null(strstr(env_log(), "configure at least 1"));
	assert_int_equal(rte_eth_dev_configure(port, 3, 1, &conf), -EINVAL);
	conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
	assert_int_equal(rte_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
}

static void
test_start_without_queues(void **state)
{
	struct rte_eth_conf conf = {0};
	uint16_t port;

	(void)state;
	assert_int_equal(env_probe(""), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(VDEV, &port), 0);
	assert_int_equal(rte_eth_dev_configure(port, 1, 1, &conf), 0);
	assert_int_equal(rte_eth_dev_start(port), -EINVAL);
	assert_non_null(strstr(env_log(), "rx queue 0 is not set up"));
	assert_int_equal(rte_eth_rx_queue_setup(port, 0, 64, 0, NULL, env_rx_pool), 0);
	assert_int_equal(rte_eth_dev_start(port), -EINVAL);
	assert_non_null(strstr(env_log(), "tx queue 0 is not set up"));
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
}

static void
test_mtu(void **state)
{
	uint16_t port = env_port_up("", 1, 1), mtu;

	(void)state;
	assert_int_equal(rte_eth_dev_set_mtu(port, 67), -EINVAL);
	assert_int_equal(rte_eth_dev_set_mtu(port, 65518), -EINVAL);
	assert_int_equal(rte_eth_dev_set_mtu(port, 68), 0);
	assert_int_equal(rte_eth_dev_set_mtu(port, 2030), 0); /* 2048 with headers */
	assert_int_equal(rte_eth_dev_set_mtu(port, 2031), -EINVAL);
	assert_non_null(
		strstr(env_log(), "MTU 2031 needs a data room of 2177 bytes, mempool rx has 2176"));
	assert_int_equal(rte_eth_dev_get_mtu(port, &mtu), 0);
	assert_int_equal(mtu, 2030);
	env_port_down(port);

	env_rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER;
	port = env_port_up("", 1, 1);
	assert_int_equal(rte_eth_dev_set_mtu(port, 65517), 0);
	env_port_down(port);
}

static void
test_mtu_at_queue_setup(void **state)
{
	struct rte_eth_conf conf = {.rxmode = {.mtu = 9000}};
	uint16_t port;

	(void)state;
	assert_int_equal(env_probe(""), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(VDEV, &port), 0);
	assert_int_equal(rte_eth_dev_configure(port, 1, 1, &conf), 0);
	assert_int_equal(rte_eth_rx_queue_setup(port, 0, 64, 0, NULL, env_rx_pool), -EINVAL);
	assert_non_null(strstr(env_log(), "MTU 9000"));
	conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_SCATTER;
	assert_int_equal(rte_eth_dev_configure(port, 1, 1, &conf), 0);
	assert_int_equal(rte_eth_rx_queue_setup(port, 0, 64, 0, NULL, env_rx_pool), 0);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
}

static void
test_mac_and_filters(void **state)
{
	struct rte_ether_addr mac, other = {{2, 0, 0, 1, 2, 3}};
	uint16_t port = env_port_up("", 1, 1);

	(void)state;
	assert_int_equal(rte_eth_macaddr_get(port, &mac), 0);
	assert_true(rte_is_local_admin_ether_addr(&mac));
	assert_true(rte_is_unicast_ether_addr(&mac));
	assert_int_equal(rte_eth_dev_default_mac_addr_set(port, &other), 0);
	assert_int_equal(rte_eth_macaddr_get(port, &mac), 0);
	assert_true(rte_is_same_ether_addr(&mac, &other));
	assert_int_equal(rte_eth_promiscuous_disable(port), 0);
	assert_int_equal(rte_eth_promiscuous_get(port), 0);
	assert_int_equal(rte_eth_promiscuous_enable(port), 0);
	assert_int_equal(rte_eth_allmulticast_disable(port), 0);
	assert_int_equal(rte_eth_allmulticast_enable(port), 0);
	env_port_down(port);
}

static void
test_stats_and_reset(void **state)
{
	struct rte_eth_stats stats;
	uint16_t port = env_port_up("queues=2", 2, 2);

	(void)state;
	fake_auto_complete = true;
	assert_int_equal(env_send(port, 0, 5, 0), 5);
	assert_int_equal(env_send(port, 1, 3, 0), 3);
	assert_int_equal(env_receive(port, 0, 32), 5);
	assert_int_equal(env_receive(port, 1, 32), 3);
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ipackets, 8);
	assert_int_equal(stats.ibytes, 480);
	assert_int_equal(stats.opackets, 8);
	assert_int_equal(stats.obytes, 480);
	assert_int_equal(stats.ierrors, 0);
	assert_int_equal(stats.oerrors, 0);
	assert_int_equal(env_xstat(port, "rx_q1_packets"), 3);
	assert_int_equal(env_xstat(port, "tx_bursts"), 2);
	assert_int_equal(env_xstat(port, "tx_burst_packets_average"), 4);

	assert_int_equal(rte_eth_stats_reset(port), 0);
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ipackets, 0);
	assert_int_equal(stats.obytes, 0);
	assert_int_equal(env_xstat(port, "rx_q1_packets"), 0);
	assert_int_equal(env_xstat(port, "tx_bursts"), 0);
	assert_int_equal(env_xstat(port, "tx_burst_packets_average"), 0);
	assert_int_equal(env_send(port, 0, 2, 0), 2);
	assert_int_equal(env_receive(port, 0, 32), 2);
	assert_int_equal(env_xstat(port, "rx_q0_packets"), 2);
	assert_int_equal(rte_eth_xstats_reset(port), 0);
	assert_int_equal(env_xstat(port, "rx_q0_packets"), 0);
	env_port_down(port);
}

static void
test_xstat_names(void **state)
{
	struct rte_eth_xstat_name *names;
	struct rte_eth_xstat *values;
	uint16_t port = env_port_up("queues=20", 20, 21);
	int nb, i, k;

	(void)state;
	nb = rte_eth_xstats_get_names(port, NULL, 0);
	assert_true(nb > 0);
	assert_int_equal(rte_eth_xstats_get(port, NULL, 0), nb);
	names = calloc(nb, sizeof(*names));
	values = calloc(nb, sizeof(*values));
	assert_int_equal(rte_eth_xstats_get_names(port, names, nb), nb);
	assert_int_equal(rte_eth_xstats_get(port, values, nb), nb);
	for (i = 0; i < nb; i++) {
		assert_int_equal(values[i].id, i);
		assert_true(names[i].name[0] != '\0');
		for (k = 0; k < i; k++)
			assert_string_not_equal(names[i].name, names[k].name);
	}
	free(names);
	free(values);
	env_xstat(port, "rx_q19_packets");
	env_xstat(port, "tx_q20_bytes");
	env_port_down(port);
}

/* Stop gives back what is in flight, and what is in flight no longer; start goes on. */
static void
test_stop_drains(void **state)
{
	uint16_t port = env_port_up("burst=4", 1, 1);

	(void)state;
	assert_int_equal(env_send(port, 0, 10, 0), 10);
	fake_complete(0, 3);
	fake_auto_complete = true;
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(rte_mempool_avail_count(env_pool), POOL_SIZE);
	assert_int_equal(env_xstat(port, "rx_unpolled_dropped"), 10);
	assert_int_equal(rte_eth_dev_start(port), 0);
	assert_int_equal(env_send(port, 0, 4, 0), 4);
	assert_int_equal(env_receive(port, 0, 32), 4);
	env_port_down(port);
}

/* Counters go on, whatever queues there are, and were. */
static void
test_reconfigure(void **state)
{
	uint16_t port = env_port_up("queues=4", 1, 1);
	struct rte_eth_stats stats;

	(void)state;
	fake_auto_complete = true;
	assert_int_equal(env_send(port, 0, 4, 0), 4);
	assert_int_equal(env_receive(port, 0, 32), 4);
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(env_start(4, 2), port);
	assert_int_equal(env_send(port, 1, 4, 0), 4);
	assert_int_equal(env_receive(port, 1, 32), 4);
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(env_start(2, 4), port);
	assert_int_equal(env_send(port, 3, 4, 0), 4);
	assert_int_equal(env_receive(port, 1, 32), 4);
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(env_start(1, 1), port);
	assert_int_equal(env_xstat(port, "tx_q0_packets"), 4);
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.opackets, 12);
	assert_int_equal(stats.ipackets, 12);
	assert_int_equal(rte_eth_stats_reset(port), 0);
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(env_start(1, 4), port);
	assert_int_equal(env_xstat(port, "tx_q3_packets"), 0);
	env_port_down(port);
}

/* A port that is hot-removed without a stop or close. */
static void
test_remove_started(void **state)
{
	uint16_t port = env_port_up("", 1, 1);

	(void)state;
	assert_int_equal(env_send(port, 0, 4, 0), 4);
	fake_complete(0, 1);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
}

static void
test_add_and_remove(void **state)
{
	uint16_t port;
	int i;

	(void)state;
	fake_auto_complete = true;
	for (i = 0; i < 50; i++) {
		port = env_port_up("", 1, 2);
		assert_int_equal(env_send(port, 1, 4, 0), 4);
		assert_int_equal(env_receive(port, 0, 2), 2);
		env_port_down(port);
	}
}

static void
test_queue_info(void **state)
{
	struct rte_eth_rxq_info rx;
	struct rte_eth_txq_info tx;
	uint16_t port = env_port_up("", 1, 1);

	(void)state;
	assert_int_equal(rte_eth_rx_queue_info_get(port, 0, &rx), 0);
	assert_ptr_equal(rx.mp, env_rx_pool);
	assert_int_equal(rx.queue_state, RTE_ETH_QUEUE_STATE_STARTED);
	assert_int_equal(rte_eth_tx_queue_info_get(port, 0, &tx), 0);
	assert_int_equal(tx.nb_desc, 512);
	env_port_down(port);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, env_setup, env_teardown)
	const struct CMUnitTest tests[] = {
		T(test_open_as_asked),
		T(test_open_on_pci),
		T(test_wait_on_pci),
		T(test_fewer_queues_than_default),
		T(test_bad_devargs),
		T(test_open_fails),
		T(test_wait_for_back_end),
		T(test_wait_in_vain),
		T(test_info),
		T(test_configure),
		T(test_start_without_queues),
		T(test_mtu),
		T(test_mtu_at_queue_setup),
		T(test_mac_and_filters),
		T(test_stats_and_reset),
		T(test_xstat_names),
		T(test_stop_drains),
		T(test_reconfigure),
		T(test_remove_started),
		T(test_add_and_remove),
		T(test_queue_info),
	};

	return cmocka_run_group_tests(tests, env_init, env_fini);
}
