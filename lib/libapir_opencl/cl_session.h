/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_SESSION_H
#define APIR_CL_SESSION_H

/**
 * @file
 * The process's session with the back-end, and its lanes. All of it may be called from any thread.
 */

#include <stdint.h>

#include <CL/cl.h>

#include "cl_wire.h"
#include "virtio_apir_cl.h"

/** What Open answered, and what is known of the device. Valid while the session is there. */
struct cl_session_info {
	uint64_t device; /**< id of the host's device */
	bool unified; /**< buffers have their storage in the arena: mapped pointers are addresses there */
	/** CL_DEVICE_SVM_CAPABILITIES as programs may know them (Open's svm): 0 unless the arena lies at one address on both sides. */
	uint64_t svm;
	unsigned int nb_lanes;
};

/** Open the session unless it is open; the first call says what is wrong under APIR_DEBUG=1. NULL: there is none. */
const struct cl_session_info *cl_session_open(void);
/** The session, if it is open and alive; never opens one. */
const struct cl_session_info *cl_session(void);
/** Number of the process's session, alive or lost; 0: it has none (a forked child has its own). */
uint32_t cl_session_number(void);

/** A lane taken for one call. Results lie in its buffer until cl_lane_end(). */
struct cl_lane {
	struct cl_enc args; /**< put the arguments here */
	struct cl_dec res;  /**< and get the results from here */
	uint32_t call;
};

/** Take a lane; waits while all are in use. NULL: the session is lost. */
struct cl_lane *cl_lane_begin(uint32_t call);
/**
 * Send the arguments and wait for the answer, however long it takes; prints what kernels have printed meanwhile.
 *
 * @return the call's result; CL_DEVICE_NOT_AVAILABLE the session is lost, also while waiting; CL_OUT_OF_HOST_MEMORY the
 *   arguments do not fit
 */
cl_int cl_lane_call(struct cl_lane *lane);
void cl_lane_end(struct cl_lane *lane);

/** Drop the worker's reference of an object: sent along with a later call, soon. Never fails. */
void cl_release_id(uint64_t id);

/** Print what kernels have printed (cl_printf.c). */
void cl_output_print(const void *text, size_t len);

/** Print to standard error when APIR_DEBUG=1. */
void cl_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* APIR_CL_SESSION_H */
