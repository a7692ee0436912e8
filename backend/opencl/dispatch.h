/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_OPENCL_DISPATCH_H
#define APIRD_OPENCL_DISPATCH_H

/**
 * @file
 * The items of a call as the worker takes them from a request and puts them into the response; for the generated
 * cl_dispatch.c. What is asked for after something was bad is 0 or NULL: handlers look once, with in_done().
 */

#include <CL/cl.h>

#include "cl_kind.h"
#include "cl_wire.h"
#include "srv.h"
#include "virtio_apir_cl.h"

/** A call that is being answered. */
struct srv_call {
	struct srv *s;
	struct cl_dec in;
	struct cl_enc out;
	cl_int err; /**< the first argument that names no object, else CL_SUCCESS */
	/** Handles and strings. Each takes no more of it than of the request. */
	uint8_t *scratch;
	uint8_t space[APIR_CTL_MAX];
};

/** Takes the arguments, makes the call, puts the results; returns the call's result. */
typedef cl_int (*srv_handler)(struct srv_call *c);
/** By number of call; NULL: there is none of that number. */
extern const srv_handler cl_handlers[];
extern const uint32_t cl_nb_handlers;

/* Arguments --------------------------------------------------------------------------------------------------------- */

/** An object; optional: 0 is NULL, which is no error. */
void *in_object(struct srv_call *c, enum cl_kind kind, bool optional);
/** Objects and how many there are. NULL: none. */
void *in_objects(struct srv_call *c, enum cl_kind kind, size_t *n);
/** Numbers and how many there are. NULL: none. */
const uint64_t *in_u64s(struct srv_call *c, size_t *n);
/** Exactly n numbers; optional: or none, which gives NULL. */
const uint64_t *in_vector(struct srv_call *c, size_t n, bool optional);
const void *in_bytes(struct srv_call *c, size_t *len);
/** With a NUL. optional: an empty one is NULL. */
const char *in_str(struct srv_call *c, bool optional);
/** A piece of the arena, as mapped here; NULL: none is named. */
void *in_range(struct srv_call *c, size_t *len);
/** A wait list and whether an event is wanted. */
const cl_event *in_waits(struct srv_call *c, cl_uint *n, bool *wanted);
/** True: the arguments are whole, and there is room for the results, so many bytes. */
bool in_done(struct srv_call *c, size_t results);
/** What to return when in_done() says no. */
cl_int in_error(const struct srv_call *c);

/* Results ----------------------------------------------------------------------------------------------------------- */

/** A new object; NULL is id 0. Returns err, or CL_OUT_OF_HOST_MEMORY when no id is left for it. */
cl_int out_object(struct srv_call *c, cl_int err, enum cl_kind kind, void *obj);
/** Where the bytes of a result go that follows so many others; room: what the guest has. */
void out_begin(struct srv_call *c, struct srv_out *o, size_t before, uint64_t room);
void out_bytes(struct srv_call *c, const struct srv_out *o);

#endif /* APIRD_OPENCL_DISPATCH_H */
