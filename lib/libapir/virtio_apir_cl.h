/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef VIRTIO_APIR_CL_H
#define VIRTIO_APIR_CL_H

/**
 * @file
 * OpenCL calls over the data queues ("lanes") of a session that agreed on APIR_F_OPENCL.
 *
 * A request is one device-readable piece, struct apir_cl_req and the arguments, and one device-writable piece,
 * struct apir_cl_rsp and the results; each at most APIR_CTL_MAX bytes. doc/opencl-design.md has the encoding. A lane carries one
 * request at a time.
 *
 * An answer that is shorter than struct apir_cl_rsp or lacks the magic comes from a device that does not serve OpenCL (any more): the
 * worker has ended, and the session is lost. (B: added)
 */

#include "virtio_apir.h"

/** "APCL" read as a little-endian word. */
#define APIR_CL_MAGIC 0x4c435041u

/** Version of the calls and their encoding: the first call of a session (Open) names it. */
#define APIR_CL_VERSION 1u

/** Most bytes of a bytes or str item inside a request or response; longer ones go through the arena. */
#define APIR_CL_MAX_INLINE 49152u

/** Most items of an array (wait lists, devices, buffers to migrate, ...). */
#define APIR_CL_MAX_ITEMS 4096u

/** Most lanes a driver needs; it sets up as many of them as the device allows. */
#define APIR_CL_MAX_LANES 32u

/** Head of each request. */
struct apir_cl_req {
	uint32_t magic; /**< APIR_CL_MAGIC */
	uint32_t call;	/**< enum apir_cl_call */
	uint32_t len;	/**< bytes of arguments after this header */
	/** Released objects: so many ids (u64) follow the arguments, at most APIR_CL_MAX_RELEASED. */
	uint32_t nb_released;
};
#define APIR_CL_MAX_RELEASED 256u

/** Head of each response. */
struct apir_cl_rsp {
	uint32_t magic; /**< APIR_CL_MAGIC */
	int32_t err;	/**< the call's cl_int */
	uint32_t len; /**< bytes of results after this header; 0 unless the call has some to give */
	uint16_t status; /**< enum apir_status: of the message; err counts with APIR_S_OK only */
	uint16_t flags;	 /**< APIR_CL_RSP_* */
};
/** Kernels have printed: fetch it (ReadOutput) and print it before the program goes on. */
#define APIR_CL_RSP_OUTPUT (1u << 0)

static_assert(sizeof(struct apir_cl_req) == 16, "contract");
static_assert(sizeof(struct apir_cl_rsp) == 16, "contract");

#endif /* VIRTIO_APIR_CL_H */
