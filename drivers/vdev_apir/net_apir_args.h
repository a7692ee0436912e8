/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef NET_APIR_ARGS_H
#define NET_APIR_ARGS_H

/**
 * @file The device arguments of net_apir: what a user may write after --vdev=net_apir, checked and
 * made into one struct. Nothing here touches a file, a socket or ethdev.
 */

#include <stdint.h>
#include <stddef.h>

#include <rte_apir.h>

/** Most arguments of one kernel. */
#define APIR_ARGS_MAX_KERNEL_ARGS 64
/** Longest kernel source, bytes. */
#define APIR_ARGS_MAX_SOURCE (4u << 20)
/**
 * Queue pairs asked for when queues= is not given: what apird allows by default; it may grant
 * fewer.
 */
#define APIR_ARGS_DEFAULT_QUEUES 8

enum apir_arg_kind {
	APIR_ARG_VALUE,	 /**< size bytes, in value */
	APIR_ARG_BUFFER, /**< zeroed device memory of size bytes */
	APIR_ARG_FILE,	 /**< device memory with the content of the file at path */
	APIR_ARG_LOCAL,	 /**< size bytes of local memory */
};

/** One argument of a kernel. */
struct apir_arg {
	enum apir_arg_kind kind;
	uint64_t size;	  /**< bytes; of a file: set when it is opened */
	uint8_t value[8]; /**< little-endian */
	char *path;
	int fd; /**< of the opened file, -1 before */
};

/** One kernel of the pipeline. */
struct apir_arg_stage {
	char *entry;
	enum rte_apir_launch launch;
	uint32_t local_size;
	unsigned int nb_args;
	struct apir_arg *args;
};

struct apir_args {
	char *path;   /**< of a socket; NULL: not given */
	char *pci;    /**< address; NULL: not given. With neither: see rte_apir_conf */
	char *kernel; /**< file of OpenCL C; NULL: loopback */
	char *options;
	unsigned int nb_stages;
	unsigned int nb_launch; /**< launches named; 0: none */
	unsigned int nb_arg_stages;
	bool entry_given; /**< false: the entry is the file's name */
	struct apir_arg_stage stages[RTE_APIR_MAX_STAGES];
	uint16_t queues; /**< 0: not given */
	uint16_t burst;	 /**< 0: not given, as many as the back-end takes up to 256 */
	uint16_t nb_bursts;
	uint32_t timeout_us;
	uint32_t wait_ms;
	uint32_t reconnect_ms;
	uint16_t verdict_vlan; /**< VID of port verdict 0; 0: not given, no tags */
};

/** What --vdev=help and DPDK's pmdinfo show. */
#define APIR_ARGS_HELP                                                                             \
	"path=<socket>|pci=<address> kernel=<file.cl> entry=<name>[+<name>...] "                   \
	"args=[<type>:<value>,...;...] "                                                           \
	"launch=item|group[:<n>][+...] options=<compiler options> queues=<1..64> burst=<1..1022> " \
	"nb_bursts=<1..1024> timeout_us=<0..4294967295> wait_ms=<0..3600000> "                     \
	"reconnect_ms=<10..60000> verdict_vlan=<1..4094>"

/**
 * Parse.
 *
 * @param devargs what follows the device name; NULL and "" give the defaults
 * @param[out] args to be freed with apir_args_free(), on success only
 * @param[out] err one line that names the key, the value and what is allowed; set on failure
 * @return 0, -EINVAL, -ENOMEM
 */
int apir_args_parse(const char *devargs, struct apir_args *args, char *err, size_t err_size);

void apir_args_free(struct apir_args *args);

#endif /* NET_APIR_ARGS_H */
