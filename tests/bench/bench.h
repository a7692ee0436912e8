/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_BENCH_H
#define APIR_BENCH_H

/**
 * @file
 * apir-bench: the same kernels on the same packets, once by a plain OpenCL program in this process ("native"), once
 * through librte_apir and apird ("apir"), in turn, in one run.
 */

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <rte_mbuf.h>

enum bench_case { CASE_EMPTY, CASE_HEADER, CASE_PAYLOAD, NB_CASES };
extern const char *const case_names[NB_CASES];	 /**< as users write them */
extern const char *const case_kernels[NB_CASES]; /**< functions of bench.cl */

#define MAX_BURST     1022u
#define MAX_SIZE      1984u /**< longest packet: an mbuf of the usual size, less the guard */
#define MAX_IN_FLIGHT 64u
#define MAX_LIST      16u
#define GUARD_BYTES   64u /**< checked after each packet: nobody may write there */

/* The rate of one line is the median of this many interleaved rounds. */
#define DEFAULT_ROUNDS 15u

/** What a user asked for. */
struct options {
	bool cases[NB_CASES];
	unsigned int bursts[MAX_LIST], nb_bursts;
	unsigned int sizes[MAX_LIST], nb_sizes;
	double seconds; /**< of each line */
	unsigned int rounds;
	unsigned int in_flight;
	unsigned int local_size;    /**< 0: apird's choice, and the native side's */
	int guest_core, apird_core; /**< default: the first two we may run on */
	cpu_set_t cpus;		    /**< those we may run on */
	const char *device;
	const char *apird; /**< program to start; NULL: the one of this build */
	const char *path;  /**< socket of a running apird; NULL: start one */
	bool json;
	const char *json_file; /**< NULL: stdout */
	bool guest_cost, idle, start, check;
	double near_ns; /**< count only rounds with the cores so near; 0: all */
	bool best;	/**< the best round of each side, not the median */
	int nb_eal;
	char **eal; /**< further EAL options */
};

/** Fills o, or ends the process (usage errors: 2, --help: 0). */
void options_parse(struct options *o, int argc, char **argv);

/* --- packets.c ----------------------------------------------------------------------------- */

/** One burst's packets: they are sent again and again, so their bytes tell how often. */
struct pkt_set {
	struct rte_mbuf **mbufs; /**< as last returned by a side; must stay equal to owned */
	struct rte_mbuf **owned; /**< as allocated */
	uint64_t *verdicts;	 /**< of the last burst: enum action | port << 16 | meta << 32 */
	uint64_t applied;	 /**< times the kernel ran on them */
};

/** The packets of one line of the table. Both sides go round the sets, so that caches see the same. */
struct traffic {
	enum bench_case kernel;
	unsigned int burst, size, nb_sets;
	unsigned int next; /**< set to be sent next */
	struct pkt_set *sets;
	uint8_t *original; /**< their first bytes, nb_sets * burst * (size + GUARD_BYTES) */
};

int packets_pool_create(unsigned int nb_mbufs);
void packets_pool_free(void);
int traffic_create(struct traffic *t, enum bench_case kernel, unsigned int burst, unsigned int size,
		   unsigned int nb_sets);
void traffic_free(struct traffic *t);

/* --- check.c ------------------------------------------------------------------------------- */

/**
 * Compare every byte of every packet, the guard after it, the verdicts and the mbuf pointers with what the CPU computes
 * from the first bytes and the count. Prints what differs. @return 0 or -1
 */
int traffic_check(const struct traffic *t, const char *side);
/** Internet checksum of an IPv4 header without options, whose checksum field counts as 0. */
uint16_t ipv4_header_checksum(const uint8_t *ip);

/* --- the two sides ------------------------------------------------------------------------- */

/** Cycles (TSC) that parts of a run took. */
struct guest_cost {
	uint64_t enqueue,
		dequeue; /**< within calls that did work, the clock's own cost taken off */
	uint64_t pkts;
};

struct side {
	const char *name;
	/**
	 * Send nb bursts, a multiple of t->nb_sets, as many in flight as the side can keep.
	 * @return TSC cycles, 0 on failure (printed)
	 */
	uint64_t (*throughput)(struct traffic *t, unsigned int nb);
	/** Send nb bursts, one at a time; cycles of each in out. @return 0 or -1 (printed) */
	int (*latency)(struct traffic *t, unsigned int nb, uint64_t *out);
};

extern const struct side side_native, side_apir;

/** Work-group size unless --local says otherwise: apird's own default. */
#define NATIVE_LOCAL_SIZE 64u

int native_open(const char *device, unsigned int local_size, unsigned int max_burst);
void native_close(void);
/** The device in a form that names the same one for apird ("platform:device"). */
const char *native_device_spec(void);
const char *native_device_name(void);

/** Open the device, build the kernels. @return 0 or -1 (printed) */
int apir_side_open(const char *path, const struct options *o);
void apir_side_close(void);
/** The device of apird, its copy mode. */
const char *apir_device_name(void);
const char *apir_copy_mode(void);
/** nb bursts with the clock around each call. @return 0 or -1 */
int apir_side_cost(struct traffic *t, unsigned int nb, struct guest_cost *cost);
/** When (TSC) each step of the way to the first packet was done. */
struct start_times {
	uint64_t start, socket, open, program, pipeline, packet;
};

/** One burst through a fresh connection. @return 0 or -1 (printed unless retry: nobody listens yet) */
int apir_first_packet(const char *path, const struct options *o, struct traffic *t,
		      struct start_times *times, bool *retry);

/* --- backend.c ----------------------------------------------------------------------------- */

/** An apird of our own. */
struct backend {
	pid_t pid;
	char dir[64]; /**< holds the socket and the log */
	char socket[96];
};

/** Start apird. cache: folder for compiled kernels, NULL: the usual one. @return 0 or -1 (printed) */
int backend_start(struct backend *b, const struct options *o, const char *device,
		  const char *cache);
/** Wait for its socket. @return 0 or -1 (printed) */
int backend_wait(struct backend *b);
/** False (and its log printed) if it has ended. */
bool backend_alive(struct backend *b);
/** CPU time it has used, in nanoseconds. */
uint64_t backend_cpu_ns(const struct backend *b);
void backend_stop(struct backend *b);

/* --- measure.c and report.c ---------------------------------------------------------------- */

/** One line of the table. */
struct line {
	enum bench_case kernel;
	unsigned int burst, size;
	double native_mpps, apir_mpps, ratio;
	double native_us, apir_us, added_us;
	unsigned int left_out; /**< rounds that --near left out */
	double core_ns;	       /**< a cache line from core to core and back */
};

struct cost_line {
	unsigned int burst, size;
	double enqueue_ns, dequeue_ns; /**< a packet */
};

struct extras {
	double idle_cpu; /**< of one core, in percent; < 0: not measured */
	bool started;	 /**< the next two are valid */
	struct start_times cold, cached;
};

/** How long a cache line takes from this thread's core to another and back, in nanoseconds; < 0 on failure. */
double measure_cores(const struct options *o);
/** All return 0, or -1 after printing why. */
int measure_line(const struct options *o, struct line *l);
int measure_cost(const struct options *o, struct cost_line *c);
int measure_idle(const struct backend *b, double *percent);
int measure_start(const struct options *o, struct extras *x);

struct report;
struct report *report_open(const struct options *o);
void report_line(struct report *r, const struct line *l);
void report_cost(struct report *r, const struct cost_line *c);
void report_extras(struct report *r, const struct extras *x);
/** Compare with what the project promises; prints each promise missed. @return how many */
unsigned int report_check(struct report *r);
void report_close(struct report *r);

double median(double *v, unsigned int n);

#endif /* APIR_BENCH_H */
