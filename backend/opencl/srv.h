/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_OPENCL_SRV_H
#define APIRD_OPENCL_SRV_H

/**
 * @file
 * What answers one program's OpenCL calls: the state all lanes share, and a lane's own. The generated dispatcher and the services
 * (srv_*.c, whose prototypes are generated from the description) work on it.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <CL/cl.h>

#include "arena.h"
#include "cl_kind.h"
#include "log.h"
#include "mem.h"
#include "notice.h"
#include "output.h"
#include "table.h"
#include "virtio_apir_cl.h"

/** Allocations of shared virtual memory (srv_svm.c). */
struct svm_list {
	pthread_mutex_t lock;
	struct svm *first;
	uint64_t caps; /**< CL_DEVICE_SVM_* that programs may use; 0: none */
};

/** What all lanes share. */
struct shared {
	cl_platform_id platform;
	cl_device_id device;
	unsigned int version; /**< of the device's OpenCL: 120, 200, 300 */
	bool unified;	      /**< buffers have their storage in the arena */
	uint32_t align;	      /**< of such storage, at least */
	uint64_t max_alloc;   /**< CL_DEVICE_MAX_MEM_ALLOC_SIZE */
	struct table objects;
	struct arena arena;
	struct notices notices;
	struct output output;
	uint64_t max_memory;	 /**< bytes of all memory objects together, 0: no limit */
	_Atomic uint64_t memory; /**< that they have now */
	struct svm_list svm;
	pthread_mutex_t open;	     /**< one Open at a time */
	_Atomic uint64_t device_id;  /**< 0: Open has not succeeded yet */
	const struct mem_table *mem; /**< all that the program shares; its arena is in one region */
	const int *region_fd;	     /**< files of the regions, until Open has succeeded */
	const uint64_t *fd_offset;   /**< where they begin there */
	struct log_limit limit;	     /**< of lines that the program can cause */
	unsigned int session;	     /**< number in the log */
};

/** Most objects of one call: those of all its arrays, and a few. */
#define SRV_MAX_HELD (2 * APIR_CL_MAX_ITEMS + 16)

/** A lane's own: one call at a time. */
struct srv {
	struct shared *sh;
	unsigned int lane;
	bool waited; /**< the call waited for commands: kernels may have printed */
	unsigned int
		nb_held; /**< objects that the call has looked up: none of them goes before it is answered */
	uint64_t held[SRV_MAX_HELD];
};

/**
 * Answer a request: cl_dispatch.h. req is the header and its len bytes of arguments, without the released ids; rsp gets the header and
 * the results. Returns the length of the answer; room is at least that of the header.
 */
size_t cl_dispatch(struct srv *s, const uint8_t *req, size_t len, uint8_t *rsp, size_t room);

/** The host's object of an id, kept alive until the call is answered; NULL: there is none of this kind. 0 is none. */
void *srv_find(struct srv *s, enum cl_kind kind, uint64_t id);
/** An id for a new object, which is the table's from here on. 0: too many; the object is released then. */
uint64_t srv_add(struct srv *s, enum cl_kind kind, void *obj);
/** The program needs this id no more. An unknown one is passed over. */
void srv_release(struct srv *s, uint64_t id);
/** The call is over: let go of what it looked up. */
void srv_done(struct srv *s);

/** A `bytes` result: room bytes at p for it. */
struct srv_out {
	void *p;
	size_t room;
	size_t len; /**< bytes there are, also where they did not fit */
};

/** Copied if there is room; the length is told in any case. */
void srv_out_set(struct srv_out *out, const void *src, size_t len);

/**
 * A range of guest memory for the dispatcher: true and *p its address here, or NULL for 0, 0. False: not wholly in the arena.
 */
bool srv_range(struct srv *s, uint64_t addr, uint64_t len, void **p);

/* What the services share (srv.c) ------------------------------------------------------------------------------ */

/** To begin with, no object being there: *sh is zeroed but for what the device's choice has set. */
void srv_init(struct shared *sh);
/** Account for bytes of memory objects. False: above the limit. */
bool srv_memory_take(struct shared *sh, uint64_t bytes);
void srv_memory_give(struct shared *sh, uint64_t bytes);

#endif /* APIRD_OPENCL_SRV_H */
