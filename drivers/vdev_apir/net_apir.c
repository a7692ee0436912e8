/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/**
 * @file
 * The driver: ports come and go here, and answer ethdev's slow questions.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include <bus_vdev_driver.h>
#include <ethdev_vdev.h>

#include "net_apir.h"
#include "net_apir_vlan.h"
#include "rte_pmd_apir.h"

RTE_LOG_REGISTER(apir_pmd_logtype, pmd.net.apir, NOTICE)

/** Between two looks for a socket that is not there yet. */
#define WAIT_POLL_US  20000u
#define MAX_TX_QUEUES RTE_MAX_QUEUES_PER_PORT

/*
 * Devices whose back-end hung when their port was closed: it may still write to their packets, so
 * that nothing of them can be freed yet. Each later probe and close tries again.
 */
static struct {
	pthread_mutex_t lock;
	unsigned int nb;
	uint16_t dev_ids[RTE_APIR_MAX_DEVS];
} left_behind = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void
close_left_behind(void)
{
	unsigned int i;

	pthread_mutex_lock(&left_behind.lock);
	for (i = 0; i < left_behind.nb;) {
		if (rte_apir_close(left_behind.dev_ids[i]) != -EBUSY)
			left_behind.dev_ids[i] = left_behind.dev_ids[--left_behind.nb];
		else
			i++;
	}
	pthread_mutex_unlock(&left_behind.lock);
}

static void
close_device(const struct apir_port *port)
{
	if (rte_apir_close(port->dev_id) != -EBUSY)
		return;
	APIR_PORT_LOG(port, ERR,
		      "close: %s hangs and holds packets of this process: they are freed once it "
		      "lets go or ends",
		      port->where);
	/* No more devices than the library can have: there is room for each. */
	pthread_mutex_lock(&left_behind.lock);
	left_behind.dev_ids[left_behind.nb++] = port->dev_id;
	pthread_mutex_unlock(&left_behind.lock);
}

static int
apir_dev_configure(struct rte_eth_dev *dev)
{
	if (dev->data->nb_rx_queues == 0) {
		APIR_PORT_LOG(
			apir_port_of(dev), ERR,
			"no rx queue: what is sent must come back on one, configure at least 1");
		return -EINVAL;
	}
	dev->data->scattered_rx =
		(dev->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0;
	return 0;
}

/* ethdev starts a port whose queues were never set up. */
static int
check_queues(const struct rte_eth_dev *dev)
{
	uint16_t i;

	for (i = 0; i < dev->data->nb_rx_queues; i++) {
		if (dev->data->rx_queues[i] != NULL)
			continue;
		APIR_PORT_LOG(apir_port_of(dev), ERR, "start: rx queue %u is not set up", i);
		return -EINVAL;
	}
	for (i = 0; i < dev->data->nb_tx_queues; i++) {
		if (dev->data->tx_queues[i] != NULL)
			continue;
		APIR_PORT_LOG(apir_port_of(dev), ERR, "start: tx queue %u is not set up", i);
		return -EINVAL;
	}
	return 0;
}

static int
apir_dev_start(struct rte_eth_dev *dev)
{
	struct apir_port *port = apir_port_of(dev);
	uint16_t i;

	if (check_queues(dev) != 0)
		return -EINVAL;
	for (i = 0; i < dev->data->nb_rx_queues; i++)
		dev->data->rx_queue_state[i] = RTE_ETH_QUEUE_STATE_STARTED;
	for (i = 0; i < dev->data->nb_tx_queues; i++) {
		struct apir_txq *txq = dev->data->tx_queues[i];

		txq->qp = &port->qps[i % dev->data->nb_rx_queues];
		dev->data->tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STARTED;
	}
	apir_link_start(port);
	return 0;
}

static int
apir_dev_stop(struct rte_eth_dev *dev)
{
	uint16_t i;

	apir_link_stop(apir_port_of(dev));
	for (i = 0; i < dev->data->nb_rx_queues; i++)
		dev->data->rx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		dev->data->tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
	return 0;
}

/* All of a port that is not ethdev's. The device is closed. */
static void
free_port(struct apir_port *port)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(port->txqs); i++)
		rte_free(port->txqs[i]);
	rte_free(port->qps);
	rte_free(port->base);
	free(port->source);
	apir_args_free(&port->args);
}

static int
apir_dev_close(struct rte_eth_dev *dev)
{
	struct apir_port *port = apir_port_of(dev);
	uint16_t i;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	for (i = 0; i < dev->data->nb_rx_queues; i++)
		apir_rx_queue_release(dev, i);
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		apir_tx_queue_release(dev, i);
	apir_link_fini(port);
	close_left_behind();
	close_device(port);
	free_port(port);
	/* part of dev_private, which ethdev frees */
	dev->data->mac_addrs = NULL;
	return 0;
}

static int
apir_dev_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	const struct apir_port *port = apir_port_of(dev);
	const struct rte_eth_desc_lim lim = {
		.nb_max = 32768,
		.nb_min = 1,
		.nb_align = 1,
		.nb_seg_max = 64,
		.nb_mtu_seg_max = 64,
	};

	info->max_mac_addrs = 1;
	info->max_rx_pktlen = UINT16_MAX;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = APIR_MAX_MTU;
	info->min_rx_bufsize = RTE_ETHER_HDR_LEN;
	info->max_rx_queues = port->max_queues;
	info->max_tx_queues = MAX_TX_QUEUES;
	info->rx_desc_lim = lim;
	info->tx_desc_lim = lim;
	info->speed_capa = RTE_ETH_LINK_SPEED_100G;
	info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_SCATTER;
	info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	info->default_rxportconf.burst_size = 32;
	info->default_txportconf.burst_size = 32;
	info->default_rxportconf.nb_queues = 1;
	info->default_txportconf.nb_queues = 1;
	return 0;
}

/*
 * What runs the kernels, where a NIC tells its firmware. At most 31 characters, as many as testpmd
 * shows.
 */
static int
apir_fw_version_get(struct rte_eth_dev *dev, char *text, size_t size)
{
	const struct rte_apir_info *info = &apir_port_of(dev)->info;
	int len = snprintf(text, size, "apird, %.10s, %s", info->executor,
			   info->zero_copy ? "zero copy" : "staged copy");

	if (len < 0)
		return -EINVAL;
	return (size_t)len < size ? 0 : len + 1;
}

/* Every packet that is sent comes back: there is no filter that these could turn off. */
static int
apir_no_filter(struct rte_eth_dev *dev __rte_unused)
{
	return 0;
}

static int
apir_mac_addr_set(struct rte_eth_dev *dev __rte_unused, struct rte_ether_addr *mac __rte_unused)
{
	return 0;
}

static const struct eth_dev_ops apir_ops = {
	.dev_configure = apir_dev_configure,
	.dev_start = apir_dev_start,
	.dev_stop = apir_dev_stop,
	.dev_close = apir_dev_close,
	.dev_infos_get = apir_dev_infos_get,
	.fw_version_get = apir_fw_version_get,
	.rx_queue_setup = apir_rx_queue_setup,
	.tx_queue_setup = apir_tx_queue_setup,
	.rx_queue_release = apir_rx_queue_release,
	.tx_queue_release = apir_tx_queue_release,
	.rxq_info_get = apir_rxq_info_get,
	.txq_info_get = apir_txq_info_get,
	.mtu_set = apir_mtu_set,
	.mac_addr_set = apir_mac_addr_set,
	.promiscuous_enable = apir_no_filter,
	.promiscuous_disable = apir_no_filter,
	.allmulticast_enable = apir_no_filter,
	.allmulticast_disable = apir_no_filter,
	.link_update = apir_link_update,
	.stats_get = apir_stats_get,
	.stats_reset = apir_stats_reset,
	.xstats_get = apir_xstats_get,
	.xstats_get_names = apir_xstats_get_names,
	.xstats_reset = apir_stats_reset,
};

/* Opens the device with that many queues, waiting for its socket if that is wanted. */
static int
open_with(struct apir_port *port, uint16_t nb_queues, int socket_id)
{
	const struct apir_args *args = &port->args;
	const struct rte_apir_conf conf = {
		.path = args->path,
		.pci = args->pci,
		.name = port->name,
		.nb_queue_pairs = nb_queues,
		.fewer_queue_pairs = args->queues == 0,
		.nb_bursts = args->nb_bursts,
		.max_burst = args->burst,
		/* a packet may have 64 segments; a burst not given holds more */
		.max_segs = args->burst == 0 ? 0 : RTE_MAX(args->burst, 64),
		.socket_id = socket_id,
	};
	const uint64_t until = rte_get_timer_cycles() + rte_get_timer_hz() / 1000 * args->wait_ms;
	bool late, told = false;
	int ret;

	for (;;) {
		/* A try that must fail would be logged each time; the last one is to be. */
		late = rte_get_timer_cycles() >= until;
		if (late || apir_link_worth_a_try(port)) {
			ret = rte_apir_open(&conf, &port->dev_id);
			/* on PCI the silence of the device is all there is to see of a missing back-end */
			if ((ret != -ENOENT && ret != -ECONNREFUSED &&
			     (ret != -ETIMEDOUT || args->path != NULL)) ||
			    late)
				return ret;
		}
		if (!told)
			APIR_PORT_LOG(port, NOTICE, "waiting for %s, up to %u ms", port->where,
				      args->wait_ms);
		told = true;
		rte_delay_us_sleep(WAIT_POLL_US);
	}
}

/* What the library says, behind the argument that led there. */
static void
log_library_error(const struct apir_port *port)
{
	const struct apir_args *a = &port->args;

	APIR_PORT_LOG(port, ERR, "%s%s%s%s",
		      a->path != NULL  ? "path="
		      : a->pci != NULL ? "pci="
				       : "",
		      a->path != NULL  ? a->path
		      : a->pci != NULL ? a->pci
				       : "",
		      a->path != NULL || a->pci != NULL ? ": " : "", rte_apir_last_error());
}

static int
open_device(struct apir_port *port, int socket_id)
{
	uint16_t nb = port->args.queues == 0 ? APIR_ARGS_DEFAULT_QUEUES : port->args.queues;
	int ret;

	ret = open_with(port, nb, socket_id);
	/* What nobody asked for need not be had in full. */
	while ((ret == -EINVAL || ret == -E2BIG) && port->args.queues == 0 && nb > 1) {
		APIR_PORT_LOG(port, NOTICE, "%u queues are too many for %s, trying %u", nb,
			      port->where, nb / 2);
		nb /= 2;
		ret = open_with(port, nb, socket_id);
	}
	if (ret != 0)
		log_library_error(port);
	return ret;
}

static int
make_queues(struct apir_port *port, int socket_id)
{
	uint16_t i;

	port->max_queues = port->info.nb_queue_pairs;
	port->qps = rte_zmalloc_socket("net_apir_qps", port->max_queues * sizeof(*port->qps),
				       RTE_CACHE_LINE_SIZE, socket_id);
	if (port->qps == NULL || apir_stats_init(port) != 0) {
		APIR_PORT_LOG(port, ERR, "no memory for %u queues", port->max_queues);
		return -ENOMEM;
	}
	for (i = 0; i < port->max_queues; i++) {
		struct apir_qp *qp = &port->qps[i];

		atomic_init(&qp->pipeline, APIR_NO_PIPELINE);
		qp->dev_id = port->dev_id;
		qp->qp_id = i;
		qp->port_id = port->data->port_id;
		qp->verdict_offset = port->verdict_offset;
		qp->verdict_vlan = port->args.verdict_vlan;
		qp->timeout_cycles =
			(uint64_t)((double)rte_get_tsc_hz() / 1e6 * port->args.timeout_us);
		qp->port = port;
		rte_spinlock_init(&qp->tx_lock);
		rte_spinlock_init(&qp->rx_lock);
	}
	return 0;
}

static int
register_dynfield(struct apir_port *port)
{
	static const struct rte_mbuf_dynfield field = {
		.name = RTE_PMD_APIR_DYNFIELD_NAME,
		.size = sizeof(struct rte_pmd_apir_verdict),
		.align = __alignof__(struct rte_pmd_apir_verdict),
	};

	port->verdict_offset = -1;
	if (port->args.kernel == NULL)
		return 0;
	port->verdict_offset = rte_mbuf_dynfield_register(&field);
	if (port->verdict_offset < 0) {
		APIR_PORT_LOG(port, ERR, "mbuf field %s: cannot be registered: %s", field.name,
			      rte_strerror(rte_errno));
		return -rte_errno;
	}
	return 0;
}

/* All of a port but its ethdev. On failure nothing is left. */
static int
set_up_port(struct apir_port *port, const char *devargs, int socket_id)
{
	char err[512];
	int ret;

	ret = apir_args_parse(devargs, &port->args, err, sizeof(err));
	if (ret != 0) {
		APIR_PORT_LOG(port, ERR, "%s", err);
		return ret;
	}
	strlcpy(port->where,
		port->args.path != NULL	 ? port->args.path
		: port->args.pci != NULL ? port->args.pci
					 : RTE_APIR_DEFAULT_PATH,
		sizeof(port->where));
	ret = apir_kernel_load(port);
	if (ret != 0)
		goto free_port;
	ret = open_device(port, socket_id);
	if (ret != 0)
		goto free_port;
	ret = rte_apir_info_get(port->dev_id, &port->info);
	if (ret != 0) {
		log_library_error(port);
		goto close_device;
	}
	strlcpy(port->where, port->info.address, sizeof(port->where));
	ret = register_dynfield(port);
	if (ret == 0)
		ret = apir_kernel_build(port, &port->pipeline);
	if (ret == 0)
		ret = make_queues(port, socket_id);
	if (ret == 0)
		return 0;
close_device:
	close_device(port);
free_port:
	free_port(port);
	return ret;
}

static int
apir_probe(struct rte_vdev_device *vdev)
{
	const char *name = rte_vdev_device_name(vdev);
	struct rte_eth_dev *dev;
	struct apir_port *port;
	int ret;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		APIR_LOG(ERR, "%s: works in a primary process only", name);
		return -ENOTSUP;
	}
	close_left_behind();
	if (vdev->device.numa_node == SOCKET_ID_ANY)
		vdev->device.numa_node = (int)rte_socket_id();
	dev = rte_eth_vdev_allocate(vdev, sizeof(*port));
	if (dev == NULL) {
		APIR_LOG(ERR, "%s: no port is free, or no memory", name);
		return -ENOMEM;
	}
	port = apir_port_of(dev);
	port->data = dev->data;
	strlcpy(port->name, name, sizeof(port->name));
	ret = set_up_port(port, rte_vdev_device_args(vdev), vdev->device.numa_node);
	if (ret != 0) {
		rte_eth_dev_release_port(dev);
		return ret;
	}
	rte_eth_random_addr(port->mac.addr_bytes);
	dev->data->mac_addrs = &port->mac;
	dev->data->promiscuous = 1;
	dev->data->all_multicast = 1;
	dev->data->dev_flags |= RTE_ETH_DEV_INTR_LSC;
	dev->dev_ops = &apir_ops;
	dev->rx_pkt_burst = port->args.verdict_vlan == 0 ? apir_rx_burst : apir_rx_burst_vlan;
	dev->tx_pkt_burst = port->args.verdict_vlan == 0 ? apir_tx_burst : apir_tx_burst_vlan;
	apir_link_init(port);
	apir_link_watch(port);
	APIR_PORT_LOG(port, INFO, "%s: %s on %s, %s, zero_copy %s, %u queues, kernel %s",
		      port->where, port->info.device, port->info.platform, port->info.executor,
		      port->info.zero_copy ? "yes" : "no", port->max_queues,
		      port->args.kernel == NULL ? "none (loopback)" : port->args.kernel);
	if (port->args.verdict_vlan != 0)
		APIR_PORT_LOG(port, INFO, "verdict_vlan: port verdicts 0 to %u are VLANs %u to %u",
			      APIR_VLAN_MAX_VID - port->args.verdict_vlan, port->args.verdict_vlan,
			      APIR_VLAN_MAX_VID);
	rte_eth_dev_probing_finish(dev);
	return 0;
}

static int
apir_remove(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));

	if (dev == NULL)
		return 0; /* closed already */
	if (dev->data->dev_started) {
		apir_dev_stop(dev);
		dev->data->dev_started = 0;
	}
	apir_dev_close(dev);
	return rte_eth_dev_release_port(dev);
}

static struct rte_vdev_driver apir_driver = {
	.probe = apir_probe,
	.remove = apir_remove,
};

RTE_PMD_REGISTER_VDEV(net_apir, apir_driver);
RTE_PMD_REGISTER_PARAM_STRING(net_apir, APIR_ARGS_HELP);
