/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_OPTIONS_H
#define L3FWD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_config.h>
#include <rte_ether.h>

#define MAX_PORTS     RTE_MAX_ETHPORTS
#define MAX_RX_QUEUES 128

/* One --config triple. */
struct rx_queue {
	uint16_t port, queue;
	unsigned int lcore;
};

struct options {
	uint64_t port_mask; /* 0: all */
	struct rx_queue rx[MAX_RX_QUEUES];
	unsigned int nb_rx; /* 0: queue 0 of each port, on the main lcore */
	const char *rule4, *rule6;
	const char *path;   /* apird's socket; NULL: not given */
	const char *pci;    /* address of the device; NULL: not given */
	const char *kernel; /* NULL: the installed one */
	const char *json;   /* where the summary goes; NULL: nowhere */
	struct rte_ether_addr eth_dest[MAX_PORTS];
	bool cpu, verify, promiscuous;
	unsigned int burst, in_flight;
	unsigned int rx_descs, tx_descs;
	unsigned int max_pkt_len;
	unsigned int stats_period; /* seconds, 0: only at the end */
	unsigned int idle_ms;	   /* 0: run on */
	uint64_t count;		   /* packets, 0: no limit */
};

/*
 * Parse what follows EAL's "--". Returns 0; 1 if --help was asked for and printed; -1 on error, with one
 * line on stderr.
 */
int options_parse(struct options *opt, int argc, char **argv);

#endif /* L3FWD_OPTIONS_H */
