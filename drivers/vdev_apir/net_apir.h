/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef NET_APIR_H
#define NET_APIR_H

/**
 * @file
 * The insides of net_apir.
 *
 * Rx queue i is queue pair i of the apir device; tx queue i sends to queue pair i % (rx queues).
 * Several tx queues may so share a pair: its tx_lock serialises them. Its rx_lock keeps the poller
 * apart from the link thread, which takes mbufs back that nobody polls for.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_spinlock.h>

#include <ethdev_driver.h>

#include <rte_apir.h>
#include <rte_apir_compat.h>

#include "net_apir_args.h"

extern int apir_pmd_logtype;
#define APIR_LOG(level, ...)                                           \
	rte_log(RTE_LOG_##level, apir_pmd_logtype,                     \
		"net_apir: " RTE_FMT(RTE_FMT_HEAD(__VA_ARGS__, ) "\n", \
				     RTE_FMT_TAIL(__VA_ARGS__, )))
#define APIR_PORT_LOG(port, level, ...)                                        \
	rte_log(RTE_LOG_##level, apir_pmd_logtype,                             \
		RTE_FMT("%s: " RTE_FMT_HEAD(__VA_ARGS__, ) "\n", (port)->name, \
			RTE_FMT_TAIL(__VA_ARGS__, )))

/** No packet may be sent: the port is stopped or its back-end is gone. */
#define APIR_NO_PIPELINE UINT32_MAX
/** Drop reasons 0..N-1 have counters of their own. */
#define APIR_NB_REASONS 8
/**
 * Least headroom of a packet that is sent in place. What comes back is pushed headers by vSwitches,
 * which never check: with less it is copied, and so has all of RTE_PKTMBUF_HEADROOM again. 64 bytes
 * are a VXLAN over IPv4 and some tags.
 */
#define APIR_MIN_HEADROOM (RTE_PKTMBUF_HEADROOM / 2)
#define APIR_MAX_MTU	  (UINT16_MAX - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN)

/** A counter: one thread adds, any thread reads. */
typedef _Atomic uint64_t apir_ctr;

static inline uint64_t
apir_ctr_get(const apir_ctr *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static inline void
apir_ctr_add(apir_ctr *c, uint64_t n)
{
	atomic_store_explicit(c, apir_ctr_get(c) + n, memory_order_relaxed);
}

/**
 * Counters of a rx queue; those of a tx queue. All of them uint64_t: net_apir_stats.c subtracts
 * them as arrays.
 */
struct apir_rx_ctrs {
	apir_ctr packets;
	apir_ctr bytes;
	apir_ctr dropped; /**< by verdict */
	apir_ctr reason[APIR_NB_REASONS];
	apir_ctr reason_other;
	apir_ctr errors;   /**< the back-end failed or was lost with them */
	apir_ctr unpolled; /**< complete, but the port stopped or nobody polled while it was lost */
	apir_ctr vlan_range;	  /**< dropped: verdict_vlan= and the verdict make no VID */
	apir_ctr vlan_untaggable; /**< dropped: the mbuf takes no tag */
};

struct apir_tx_ctrs {
	apir_ctr packets;
	apir_ctr bytes;
	apir_ctr ring_full; /**< left with the application */
	apir_ctr copied;
	apir_ctr copied_bytes;
	apir_ctr nomem;	  /**< dropped: no mbuf to copy into */
	apir_ctr invalid; /**< dropped: cannot be sent, copied neither */
};

struct apir_port;

/** A queue pair, which is also the rx queue. */
struct apir_qp {
	_Atomic uint32_t pipeline; /**< or APIR_NO_PIPELINE */
	uint16_t dev_id;
	uint16_t qp_id;
	uint16_t port_id;
	uint16_t verdict_vlan;	  /**< VID of port verdict 0; 0: no tags */
	int verdict_offset;	  /**< of the dynfield; -1: none is written */
	uint64_t timeout_cycles;  /**< 0: never */
	struct rte_mempool *pool; /**< what is copied goes there; NULL before setup */
	struct apir_port *port;

	rte_spinlock_t tx_lock __rte_cache_aligned;

	rte_spinlock_t rx_lock __rte_cache_aligned;
	uint32_t idle_polls;	/**< since the clock was last read */
	uint64_t waiting_since; /**< cycles; 0: not waiting */
	uint64_t status_seen;	/**< bit of each error status that was logged */
	struct apir_rx_ctrs ctrs;
} __rte_cache_aligned;

struct apir_txq {
	struct apir_qp *qp; /**< set at start */
	uint16_t nb_desc;
	struct apir_tx_ctrs ctrs;
} __rte_cache_aligned;

/** State of the back-end as the port sees it. */
enum apir_link_state {
	APIR_LINK_OK,
	APIR_LINK_HUNG,	   /**< a burst is overdue */
	APIR_LINK_LOST,	   /**< no back-end */
	APIR_LINK_NO_PROG, /**< a back-end, but the pipeline could not be made on it */
};

/** A port. Lives in ethdev's dev_private. */
struct apir_port {
	char name[RTE_ETH_NAME_MAX_LEN];
	struct rte_eth_dev_data *data;
	uint16_t dev_id;
	uint16_t max_queues;
	struct apir_args args;
	char where[108]; /**< socket or PCI address, for messages */
	char *source;	 /**< of the kernel; kept for the next back-end */
	size_t source_len;
	struct rte_apir_info info;
	int verdict_offset;
	struct apir_qp *qps; /**< max_queues of them */
	struct rte_ether_addr mac;

	/* link state, net_apir_link.c */
	pthread_mutex_t lock; /**< guards what follows */
	pthread_cond_t wake;
	apir_ctrl_thread thread;
	bool thread_runs;
	bool thread_stop;
	bool started;
	bool link_told; /**< what the application was last told by an event */
	enum apir_link_state state;
	uint32_t pipeline;
	_Atomic bool overdue; /**< of the data path: a burst is overdue, tell the thread once */
	uint64_t tried_inode; /**< socket that was tried last, 0: none; of one thread at a time */
	uint64_t tried_at;    /**< cycles */
	char failure[512];    /**< of the link thread: why it could not connect, as last logged */
	apir_ctr lost;	      /**< times the back-end went */
	apir_ctr reconnects;
	apir_ctr timeouts;

	/**
	 * Tx queues that were ever set up. They live as long as the port: their counters go on when
	 * the application sets up other queues.
	 */
	struct apir_txq *txqs[RTE_MAX_QUEUES_PER_PORT];
	struct apir_stats_base *base; /**< counters at the last reset */
};

static inline struct apir_port *
apir_port_of(const struct rte_eth_dev *dev)
{
	return dev->data->dev_private;
}

/* net_apir_rxtx.c */
uint16_t apir_rx_burst(void *rxq, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t apir_tx_burst(void *txq, struct rte_mbuf **pkts, uint16_t nb_pkts);
/**
 * Submit what is gathered and free all that is complete, counted as unpolled. @return true: nothing
 * is left in it
 */
bool apir_qp_drain(struct apir_qp *qp);
/** Let nothing more in. On return no apir_tx_burst() runs that saw the old pipeline. */
void apir_qp_shut(struct apir_qp *qp);

/* net_apir_vlan.c: the two for verdict_vlan= */
uint16_t apir_rx_burst_vlan(void *rxq, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t apir_tx_burst_vlan(void *txq, struct rte_mbuf **pkts, uint16_t nb_pkts);

/* net_apir_queue.c */
int apir_rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc,
			unsigned int socket_id, const struct rte_eth_rxconf *conf,
			struct rte_mempool *pool);
int apir_tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc,
			unsigned int socket_id, const struct rte_eth_txconf *conf);
void apir_rx_queue_release(struct rte_eth_dev *dev, uint16_t id);
void apir_tx_queue_release(struct rte_eth_dev *dev, uint16_t id);
void apir_rxq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_rxq_info *info);
void apir_txq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_txq_info *info);
int apir_mtu_set(struct rte_eth_dev *dev, uint16_t mtu);

/* net_apir_stats.c */
int apir_stats_init(struct apir_port *port);
int apir_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats APIR_ETH_QSTATS_PARAM);
int apir_stats_reset(struct rte_eth_dev *dev);
int apir_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int n);
int apir_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names,
			  unsigned int n);

/* net_apir_link.c */
/**
 * False while nothing can listen at path=: no socket is there, or the one that refused a moment
 * ago. True on PCI, where nothing tells.
 */
bool apir_link_worth_a_try(struct apir_port *port);
void apir_link_init(struct apir_port *port);
/** From here on a lost back-end is noticed and connected again. */
void apir_link_watch(struct apir_port *port);
/** Ends the thread. No further callback comes. */
void apir_link_fini(struct apir_port *port);
void apir_link_start(struct apir_port *port);
/** Lets nothing in, waits (bounded) for what is in flight and frees it. */
void apir_link_stop(struct apir_port *port);
int apir_link_update(struct rte_eth_dev *dev, int wait_to_complete);
/** Data path: a burst of qp is overdue. */
void apir_link_overdue(struct apir_qp *qp);

/* net_apir_kernel.c */
/**
 * Read the kernel's file and open those of its arguments. Logs what is wrong. @return 0 or a
 * negative errno
 */
int apir_kernel_load(struct apir_port *port);
/**
 * Make program, kernels, buffers and pipeline on the device. Logs what is wrong. @return 0 or a
 * negative errno
 */
int apir_kernel_build(struct apir_port *port, uint32_t *pipeline);

#endif /* NET_APIR_H */
