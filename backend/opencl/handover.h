/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_OPENCL_HANDOVER_H
#define APIRD_OPENCL_HANDOVER_H

/**
 * @file
 * What apird hands to the worker of a session, as one message of a socket pair: struct handover, with the files of its memory
 * regions, then the kick and call eventfds of its lanes, as far as there are any. Both ends are of one build.
 */

#include <stdint.h>

#include "mem.h"
#include "virtio_apir.h"

/** Where the worker finds its end of the pair. */
#define HANDOVER_FD 3

#define HANDOVER_MAGIC 0x4f434c41u /* "ALCO" */
#define HANDOVER_FDS   (MEM_MAX_REGIONS + 2 * APIR_MAX_DATA_QUEUES)

/** A memory region: mapped from its own file. */
struct handover_region {
	uint64_t gpa, size;
	uint64_t fd_offset; /**< where it begins in the file */
};

/** A ring: its parts as guest addresses, and where it stands. */
struct handover_lane {
	uint64_t desc, avail, used;
	uint32_t size;
	uint16_t last_avail, last_used;
	uint8_t event_idx;
	uint8_t has_kick, has_call; /**< a file for it follows */
	uint8_t resv[5];
};

struct handover {
	uint32_t magic;	  /**< HANDOVER_MAGIC */
	uint32_t len;	  /**< of this structure */
	uint32_t session; /**< number in the log */
	int32_t parent;	  /**< process id of apird */
	int32_t log_level;
	uint32_t idle_us;    /**< poll so long for the next call before sleeping */
	uint64_t max_memory; /**< bytes of device memory, 0: no limit */
	uint32_t nb_regions, nb_lanes;
	uint32_t any_device; /**< the operator has named none: see device.h */
	uint32_t resv;
	struct handover_region region[MEM_MAX_REGIONS];
	struct handover_lane lane[APIR_MAX_DATA_QUEUES];
	char device[256];     /**< as for --device */
	char cache_dir[4096]; /**< "": none */
};

/** A message received, with its files. */
struct handover_msg {
	struct handover h;
	int region_fd[MEM_MAX_REGIONS];
	int kick_fd[APIR_MAX_DATA_QUEUES], call_fd[APIR_MAX_DATA_QUEUES]; /**< -1: none */
};

/** Returns 0 or a negative errno. The files stay the caller's. */
int handover_send(int sock, const struct handover_msg *m);
/**
 * Receive and check. Returns 0, or a negative errno (-EPROTO: not such a message) with all files received closed.
 */
int handover_recv(int sock, struct handover_msg *m);

#endif /* APIRD_OPENCL_HANDOVER_H */
