/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_BURST_H
#define APIRD_BURST_H

/**
 * @file
 * Data queues: bursts of packets, from the ring to the executor and back. One poll thread works on
 * a queue; nothing here allocates, locks or, unless the guest wants to be notified, makes a system
 * call.
 */

#include "exec.h"
#include "log.h"
#include "objtab.h"
#include "vring.h"

/** A request that was popped: where its answer goes. */
struct burst_slot {
	struct apir_burst_rsp *rsp; /**< NULL: the request names no place for an answer */
	uint32_t status;	    /**< of a request that never reached the executor */
	uint16_t head;
	uint16_t nb_pkts;
	bool failed; /**< did not reach the executor */
};

/** Counters of a queue; its poll thread writes them. */
struct burst_stats {
	_Atomic uint64_t bursts; /**< completed, those with an error status included */
	_Atomic uint64_t pkts;	 /**< of bursts that succeeded */
	_Atomic uint64_t errors; /**< bursts with an error status */
	_Atomic uint64_t copied; /**< packet bytes the executor copied */
};

/** Where a request was when its descriptor was used last; only ever prefetched. */
struct burst_hint {
	const void *tbl, *hdr, *rsp;
	uint32_t tbl_len, rsp_len;
};

struct dataq {
	struct vring_dev vr;
	const struct mem_table *mem;
	const struct mem_region *hit;	  /**< region of the last packet */
	const struct mem_region *tbl_hit; /**< region of the last table */
	const struct mem_region *hdr_hit; /**< region of the last header and response */
	const struct exec_ops *ops;
	/** NULL until HELLO; what follows it here is written before it is. */
	_Atomic(struct exec_queue *) xq;
	const struct objtab *pipelines; /**< of struct exec_pipeline */
	uint32_t max_pkts;
	bool loopback, multi_seg;  /**< agreed on in HELLO */
	_Atomic uint32_t pipeline; /**< of the burst last submitted, for the watchdog's message */
	_Atomic uint32_t in_flight;
	uint16_t unnotified;  /**< completions of this batch so far */
	uint16_t first, next; /**< bursts in flight, modulo 2^16: slots of fifo */
	struct burst_stats stats;
	bool announced;		     /**< in HELLO: the poller's own */
	unsigned int session, index; /**< for messages */
	struct log_limit *limit;     /**< of its guest's messages */
	uint64_t wd_bursts;	     /**< the watchdog's own: completions last seen, */
	uint64_t wd_ms;		     /**< and for how long there were no more */
	struct burst_hint hint[APIR_MAX_QUEUE_SIZE];
	struct burst_slot fifo[APIR_MAX_QUEUE_SIZE];
};

/** 16 bits at any address. */
struct u16_any {
	uint16_t v;
} __attribute__((packed));

/** A request's fixed parts, found and copied. */
struct burst_req {
	const void *hdr_va; /**< of the header */
	struct vring_table tbl;
	struct apir_burst_req hdr;
	const struct u16_any
		*counts; /**< with APIR_BURST_F_SEGS: nb_pkts segment counts in guest memory */
	struct apir_burst_rsp *rsp; /**< NULL when there is none */
};

/**
 * Work on up to budget requests, and on those that complete. Returns how many things it did: 0 is
 * idle.
 */
unsigned int burst_run(struct dataq *q, unsigned int budget);

/** Wait until nothing is in flight. */
void burst_drain(struct dataq *q);

/**
 * Find table, response and header of request head. r->rsp is set as soon as it is known, also on
 * failure.
 */
enum apir_status burst_open(struct dataq *q, uint16_t head, struct burst_req *r);

/** Check and translate the packets into b. */
enum apir_status burst_fill(struct dataq *q, const struct burst_req *r, struct exec_burst *b);

#endif /* APIRD_BURST_H */
