/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_GPUBENCH_H
#define APIR_GPUBENCH_H

/**
 * @file
 * apir-gpu-bench: the same kernels on the same mbufs, once by this process through CUDA's driver API ("direct"), once
 * through librte_apir and apird ("apir"), and routing by rte_lpm on a core ("lpm"). gpu.sh runs it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_mbuf.h>

#include "l3fwd_shared.h"
#include "rules.h"

#define MAX_BURST  1022u /* the contract's most */
#define MAX_SIZE   1920u /* a packet and its guard fit an mbuf of the usual size */
#define MAX_LIST   16u
#define MAX_QUEUES 8u
#define MAX_DEPTH  512u
#define MAX_ROUNDS 64u
#define GUARD	   64u /* bytes behind each packet that nobody may touch */
#define NB_PORTS   8u  /* of the l3fwd case */

enum kernel { KERNEL_XOR, KERNEL_HEADER, KERNEL_L3FWD, NB_KERNELS };
extern const char *const kernel_names[NB_KERNELS];     /* as users write them */
extern const char *const kernel_functions[NB_KERNELS]; /* as OpenCL knows them */

enum { SIDE_DIRECT, SIDE_APIR, SIDE_LPM, NB_SIDES };

struct options {
	bool sides[NB_SIDES];
	bool kernels[NB_KERNELS];
	unsigned int bursts[MAX_LIST], nb_bursts;
	unsigned int sizes[MAX_LIST], nb_sizes;
	unsigned int window;  /* packets in flight on a queue */
	unsigned int queues;  /* each has an lcore */
	unsigned int streams; /* of each queue of the direct side */
	unsigned int rounds, slice_ms, latency_bursts, routes;
	const char *cores; /* one CPU for each queue */
	const char *path;  /* apird's socket */
	const char *kernel_dir;
	const char *barrier; /* file that the processes of one run share */
	unsigned int peers;
	const char *label, *output, *huge_dir, *plugin;
};

void options_parse(struct options *o, int argc, char **argv);

/** One case of the table. */
struct test_case {
	enum kernel kernel;
	unsigned int burst, size, depth; /* bursts in flight on a queue */
	unsigned int local;		 /* work-items of a work-group */
	bool group;			 /* one work-group a packet */
};

/** One burst's packets, sent again and again: their bytes tell how often. */
struct pkt_set {
	struct rte_mbuf **mbufs; /* as last returned; must stay equal to owned */
	struct rte_mbuf **owned;
	uint64_t *
		verdicts; /* of the last burst; in hugepages, since kernels write here on the direct side */
	uint64_t applied; /* times the kernel ran on them */
	uint64_t since;	  /* of these, since the TTLs were last set back */
	uint8_t *image;	  /* their first bytes with the guard, burst * (size + GUARD) */
};

struct side;

/** What one lcore works on. */
struct queue {
	unsigned int id;
	const struct test_case *tc;
	const struct side *side;
	struct pkt_set *sets; /* tc->depth of them */
	unsigned int got;     /* apir: packets of the oldest burst that are back */
	/* results and orders of the slice */
	uint64_t begin, end, done;
	uint64_t *latency; /* TSC cycles of each burst, or NULL: throughput */
	unsigned int nb_latency;
	int rc;
};

struct side {
	const char *name;
	/** @return 0, or -1 after printing why */
	int (*open)(const struct options *o);
	void (*close)(void);
	/** Called on the lcore of the queue before a slice. @return 0 or -1 */
	int (*prepare)(struct queue *q);
	/** Send set number s. @return 0, or -1 after printing why */
	int (*submit)(struct queue *q, unsigned int s);
	/** Is the oldest burst, that of set s, back? @return 1, 0, or -1 after printing why */
	int (*poll)(struct queue *q, unsigned int s);
	/** The device and what else there is to say, as members of a JSON object. */
	void (*describe)(FILE *f);
};
extern const struct side side_direct, side_apir, side_lpm;
/** Largest bursts in flight of any case: what the sides make room for. */
unsigned int options_max_depth(const struct options *o);
void test_case_set(struct test_case *tc, const struct options *o, enum kernel k, unsigned int burst,
		   unsigned int size);

/* --- packets.c */
int packets_pool_create(unsigned int nb);
void packets_pool_free(void);
/** Bytes from one mbuf's packet to the next one's. */
unsigned int packets_stride(void);
struct pkt_set *sets_create(const struct test_case *tc, unsigned int id);
void sets_free(struct pkt_set *sets, const struct test_case *tc);
/** Before each send of an l3fwd set: TTLs must not run out. */
void set_refresh(struct pkt_set *set, const struct test_case *tc);

/* --- check.c */
uint16_t ipv4_checksum(const uint8_t *ip);
/** Every byte, guard, verdict and mbuf pointer of the sets. @return 0, or -1 after printing what differs */
int sets_check(const struct pkt_set *sets, const struct test_case *tc, const char *side);

/* --- routes.c: the same routes for all sides */
int routes_create(unsigned int nb);
void routes_free(void);
extern struct rules routes;
extern struct l3fwd_port route_ports[NB_PORTS];
/** A destination that a route matches. */
uint32_t routes_destination(uint64_t random);
/** Files of the kernel folder, one after another, as one text. free() it; NULL after printing why. */
char *kernel_source(const struct options *o, const char *const *files);
struct cpu_fib *routes_cpu(void);
uint64_t next_random(uint64_t *state);

/* --- measure.c */
struct result {
	double mpps[MAX_ROUNDS];
	double us_median, us_p99;
	unsigned int nb;
};
int barrier_open(const struct options *o);
/** Run all cases, write lines. @return 0 or -1 */
int measure_all(const struct options *o, FILE *out);

/** What any program does with the verdicts of a burst: look at each. */
static inline void
consume(const uint64_t *verdicts, unsigned int nb)
{
	uint64_t drops = 0;

	for (unsigned int i = 0; i < nb; i++)
		drops += (verdicts[i] & 0xffff) != 0;
	__asm__ volatile("" : : "r"(drops) : "memory");
}

#endif /* APIR_GPUBENCH_H */
