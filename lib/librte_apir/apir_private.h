/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_PRIVATE_H
#define APIR_PRIVATE_H

/**
 * @file
 * Inside of librte_apir.
 *
 * Locks, in the order in which they may be taken:
 *  1. table lock (rte_apir.c): which entries of the device table are in use;
 *  2. apir_dev.lock: one control call of a device at a time;
 *  3. guards of a queue pair: see struct apir_qp;
 *  4. EAL's memory lock;
 *  5. the memory lock (apir_memory.c): devices that follow EAL's memory.
 * EAL calls the memory event callback with its own lock held, and any rte_malloc() may wait for
 * that one. So nobody allocates from EAL under 5, and the callback takes nothing but 5.
 */

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_memory.h>

#include "apir_ctl_client.h"
#include "apir_env.h"
#include "apir_pci_bus.h"
#include "apir_transport.h"
#include "apir_vq.h"
#include "rte_apir.h"
#include "rte_apir_compat.h"
#include "virtio_apir.h"

#define APIR_LINE 64
/** Longest path of a Unix socket, its NUL included (sun_path). */
#define APIR_PATH_LEN 108

extern int apir_logtype;

/* apir_error.c ------------------------------------------------------------ */

/**
 * Forget whether the calling thread has an error text of this call: first thing of each API
 * function.
 */
void apir_err_begin(void);
/** Errors of the calling thread go to the debug log: it tries again and again. */
void apir_err_quiet(bool quiet);
/** Set the calling thread's error text and log it. Returns -err. */
int apir_err(int err, const char *fmt, ...) __rte_format_printf(2, 3);
/**
 * The core failed with ret (negative): keep the text it logged in this call, or set this one.
 * Returns ret.
 */
int apir_err_core(int ret, const char *fmt, ...) __rte_format_printf(2, 3);
/** Log function of struct apir_env. */
void apir_env_vlog(const struct apir_env *env, enum apir_log_level level, const char *fmt,
		   va_list ap);

#define APIR_LOG(level, ...) rte_log(RTE_LOG_##level, apir_logtype, "apir: " __VA_ARGS__)

/* Shared memory as the data path sees it ----------------------------------- */

struct apir_span {
	uintptr_t start;
	uintptr_t end; /**< first byte behind; start == end: unused */
};

struct apir_spans {
	struct apir_span r[APIR_MEM_MAX_REGIONS];
};

/**
 * What is shared, read without a lock. Two copies: the one that gen names is valid, the writer
 * fills the other and then moves gen. A reader that sees gen move reads again; it never waits for
 * the writer.
 */
struct apir_mem_table {
	_Atomic uint32_t gen;
	struct {
		_Atomic uintptr_t start, end;
	} copy[2][APIR_MEM_MAX_REGIONS];
};

/** Read the table. Returns the generation read. */
static inline uint32_t
apir_mem_table_read(const struct apir_mem_table *t, struct apir_spans *out)
{
	uint32_t gen, i;

	for (;;) {
		gen = atomic_load_explicit(&t->gen, memory_order_acquire);
		for (i = 0; i < APIR_MEM_MAX_REGIONS; i++) {
			out->r[i].start = atomic_load_explicit(&t->copy[gen & 1][i].start,
							       memory_order_relaxed);
			out->r[i].end = atomic_load_explicit(&t->copy[gen & 1][i].end,
							     memory_order_relaxed);
		}
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&t->gen, memory_order_relaxed) == gen)
			return gen;
	}
}

/** Replace the table's contents; one writer at a time. */
void apir_mem_table_write(struct apir_mem_table *t, const struct apir_spans *in);

static inline bool
apir_span_has(const struct apir_span *r, uintptr_t addr, size_t len)
{
	return addr >= r->start && addr < r->end && len <= r->end - addr;
}

/* Queue pairs -------------------------------------------------------------- */

/** A counter with one writer at a time, read by any thread. */
typedef _Atomic uint64_t apir_counter;

static inline void
apir_count(apir_counter *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

struct apir_dev;

/**
 * A queue pair.
 *
 * Guards: each side of the data path sets its guard for the time of one call and leaves at once if
 * it is set already. Control sets both before it resets or frees the ring; the dequeue side sets
 * the enqueue side's to take back what was gathered for a device that is lost. The application's
 * rule (one thread a side) keeps two data threads apart, but it cannot know when the back-end goes:
 * the guards are what keeps control and data path apart. An atomic exchange of a line the thread
 * owns costs a few nanoseconds a burst.
 */
struct apir_qp {
	/* enqueue side */
	atomic_bool enq_guard __rte_aligned(APIR_LINE);
	bool multi;	  /**< the burst being filled has segment counts */
	uint8_t hit;	  /**< range that had the last segment */
	uint16_t nb_pkts; /**< of the burst being filled; 0: none is open */
	uint16_t nb_segs;
	uint32_t pipeline;
	uint32_t mem_gen;	    /**< generation of ranges */
	struct apir_slot *slot;	    /**< of the burst being filled */
	struct rte_mbuf **mbufs;    /**< its packets */
	_Atomic uint16_t gathered;  /**< nb_pkts, for other threads */
	_Atomic uint16_t submitted; /**< bursts, modulo 2^16 */
	struct apir_spans ranges;   /**< copy of the device's table */
	apir_counter enq_bursts, enq_pkts, refused, kicks;

	/* dequeue side */
	atomic_bool deq_guard __rte_aligned(APIR_LINE);
	bool active;			  /**< a burst is being handed out */
	bool broken;			  /**< the ring is not to be read any more */
	uint16_t off;			  /**< packets of it that were handed out */
	uint16_t count;			  /**< packets of it */
	uint32_t status;		  /**< of it: enum apir_status */
	const struct apir_burst_rsp *rsp; /**< of it; NULL: lost, there is none */
	_Atomic uint16_t released;	  /**< bursts wholly handed out, modulo 2^16 */
	apir_counter deq_bursts, deq_pkts, dropped, errors, copied_bytes;

	/* read-only while open */
	struct apir_dev *dev __rte_aligned(APIR_LINE);
	struct apir_vq *vq;
	uint16_t index; /**< of its virtqueue */
	uint16_t max_burst, max_segs, mask;
	uint16_t addr_field; /**< of struct rte_mbuf: where a guest address of the data begins */
	bool multi_seg;	     /**< the device takes packets of several segments */
	/**
	 * Twins of the slots, in memory of our own: what the device could overwrite is never read
	 * back as a pointer. The packets of burst n begin at slot_mbufs[(n & mask) * max_burst].
	 */
	struct rte_mbuf **slot_mbufs;
	uint16_t *slot_pkts;

	/* control side, under apir_dev.lock */
	apir_counter timeouts;
	struct rte_apir_stats base; /**< counters at the last reset */
};

static inline bool
apir_guard_try(atomic_bool *g)
{
	return !atomic_exchange_explicit(g, true, memory_order_acquire);
}

static inline void
apir_guard_drop(atomic_bool *g)
{
	atomic_store_explicit(g, false, memory_order_release);
}

/* Devices ------------------------------------------------------------------- */

/** A rte_apir_conf with every default filled in and every range checked. */
struct apir_conf {
	char path[APIR_PATH_LEN]; /**< socket or PCI address; "" the only device on PCI */
	bool pci;		  /**< path is a PCI address */
	bool choose;		  /**< nothing was named: PCI if there is a device, else path */
	char name[APIR_NAME_LEN];
	uint16_t nb_queue_pairs, nb_bursts, max_burst, max_segs;
	/** asked for by the caller: not to be lowered */
	bool nb_bursts_set, max_burst_set, max_segs_set;
	bool fewer_queue_pairs;
	int socket_id;
	uint32_t timeout_ms, build_timeout_ms;
};

struct apir_dev {
	uint16_t id;
	bool in_use, made;    /**< under the table lock */
	_Atomic int state;    /**< enum rte_apir_state */
	atomic_bool gone;     /**< the transport has reported that this connection ended */
	atomic_bool break_it; /**< asks the service thread to stop the transport */
	atomic_bool tell;     /**< asks the service thread to call the lost callback */
	_Atomic(struct apir_qp *) qps[APIR_MAX_DATA_QUEUES];

	pthread_mutex_t lock;
	bool open;	    /**< the rest is valid; under lock */
	atomic_bool zombie; /**< never opened, but the back-end hangs and holds its queues */
	bool stopped;	    /**< the device has given its queues back */
	struct apir_conf conf;
	struct apir_env env;
	struct apir_pci_dev *pci; /**< NULL over vhost-user */
	struct apir_transport *t; /**< NULL while lost and not connected again */
	uint32_t hello_ms;	  /**< how long HELLO may take, now */
	struct apir_vq *ctl_vq;
	struct apir_ctl *ctl;
	struct apir_hello_rsp hello;
	void *bounce; /**< shared memory for bulk data; NULL until needed */

	struct apir_mem_table mem;
	/** When memory was looked at again in vain (TSC); 0: never. */
	_Atomic uint64_t refreshed;
	/* under the memory lock */
	bool follows; /**< the transport is told of memory changes */
	unsigned int nb_regions;
	struct apir_mem_region regions[APIR_MEM_MAX_REGIONS]; /**< what the device was told */

	pthread_t service;
	sem_t wake;
	atomic_bool quit;
	pthread_mutex_t cb_lock; /**< recursive; held while the callback runs */
	rte_apir_lost_cb cb;
	void *cb_arg;
};

extern struct apir_dev apir_devs[RTE_APIR_MAX_DEVS];

/** Check a configuration and fill in defaults (apir_conf.c). Returns 0 or -EINVAL with a text. */
int apir_conf_check(const struct rte_apir_conf *conf, struct apir_conf *out);
/** Entries of a ring that holds bursts of that many segments, and that many bursts. */
uint16_t apir_conf_ring_size(const struct apir_conf *conf);

/** Lock an open device of any state. NULL with text: no such device (-ENODEV). */
struct apir_dev *apir_dev_lock(uint16_t dev_id);
/** The same, running. */
struct apir_dev *apir_dev_lock_running(uint16_t dev_id);
void apir_dev_unlock(struct apir_dev *dev);
/**
 * A queue's ring is broken (any thread, data path too): have the service thread stop the transport.
 */
void apir_dev_break(struct apir_dev *dev);
/**
 * A control call was not answered, lock held: the session is of no more use. Stops the transport.
 */
void apir_dev_fail(struct apir_dev *dev);

static inline int
apir_dev_state(const struct apir_dev *dev)
{
	return atomic_load_explicit(&dev->state, memory_order_acquire);
}

/* apir_link.c ---------------------------------------------------------------- */

/** Find the device or the socket that conf names, for as long as dev is open. */
int apir_link_choose(struct apir_dev *dev);
/** Open the transport. Limits of the device that the caller did not set otherwise go into conf. */
int apir_link_open(struct apir_dev *dev);
/**
 * Start the device over the open transport, with queues that exist, and agree on everything. After a failure call
 * apir_link_stop(), too.
 */
int apir_link_up(struct apir_dev *dev);
/** The device may be used. */
void apir_link_run(struct apir_dev *dev);
/**
 * Have the device give its queues back; the state is LOST then. On a negative errno it is HUNG.
 * tell: the application is told of a device that was not lost before.
 */
int apir_link_stop(struct apir_dev *dev, bool tell);
/** End the connection of a device that has stopped. */
void apir_link_down(struct apir_dev *dev);
/** How often apir_link_probe() is due, ms; 0: never. */
int apir_link_probe_ms(const struct apir_dev *dev);
/** Ask the device whether it is still there; one that does not answer is lost. */
void apir_link_probe(struct apir_dev *dev);

/* apir_qp.c ------------------------------------------------------------------ */

int apir_qp_create(struct apir_dev *dev, uint16_t idx);
/** Frees the packets that are in it too. */
void apir_qp_destroy(struct apir_dev *dev, uint16_t idx);
/** Wait for both sides' guards of all queue pairs. */
void apir_qp_hold_all(struct apir_dev *dev);
void apir_qp_drop_all(struct apir_dev *dev);
/** Packets that are not handed out yet; guards held. */
bool apir_qp_idle(const struct apir_qp *qp);
/** As after creation, but for the counters; guards held, idle. */
void apir_qp_reset(struct apir_qp *qp);

/* apir_iova.c ------------------------------------------------------------------- */

/**
 * Guest-physical addresses that a packet may have. No hugepage lies below; what has no address (RTE_BAD_IOVA, or that
 * with an mbuf's offsets added, which wraps) is outside.
 */
#define APIR_IOVA_MIN ((uintptr_t)RTE_PGSIZE_2M)
#define APIR_IOVA_END ((uintptr_t)1 << 52)

/** Fill in env's operations for a dev on PCI. */
void apir_iova_env(struct apir_dev *dev);
/** Run connect(dev); on 0 the data path takes packets with any physical address. */
int apir_iova_attach(struct apir_dev *dev, int (*connect)(struct apir_dev *dev));
/** Are len bytes at va, len > 0, known to EAL and without a gap in physical memory? Any thread. */
bool apir_iova_contig(const void *va, size_t len);

/* apir_memory.c ---------------------------------------------------------------- */

/** Fill in env's operations for dev. */
void apir_memory_env(struct apir_dev *dev);
/** First and last device of the process: follow EAL's memory events. */
int apir_memory_init(void);
void apir_memory_fini(void);
/**
 * Run connect(dev), which shares memory, with the memory held still; on 0 dev follows changes from
 * then on.
 */
int apir_memory_attach(struct apir_dev *dev, int (*connect)(struct apir_dev *dev));
void apir_memory_detach(struct apir_dev *dev);
/**
 * If EAL knows memory at addr that the device does not, tell the device: the caller reads the table
 * again.
 */
void apir_memory_refresh(struct apir_dev *dev, uintptr_t addr);

#endif /* APIR_PRIVATE_H */
