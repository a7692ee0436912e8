/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_PROGRAM_H
#define APIR_CL_PROGRAM_H

/** @file What the files of programs and kernels share. */

#include "cl_object.h"

enum cl_origin {
	CL_ORIGIN_SOURCE,
	CL_ORIGIN_IL,
	CL_ORIGIN_OTHER, /**< binaries, built-in kernels, linked */
};

/** What a program's `more` is. */
struct cl_program_more {
	enum cl_origin origin;
	cl_uint nb_devices;
	struct _cl_device_id **devices; /**< each with a reference */
	void *text;			/**< source with its NUL, or IL; NULL for others */
	size_t text_len;		/**< the NUL included */
	pthread_mutex_t lock;		/**< of what follows */
	char *options;			/**< of the last build, compilation or link; NULL: none */
	bool arg_info;			/**< the program may ask for its kernels' argument info */
	/** The worker's program of the source as it was given, while o.id is one with the guest's own include files in it; else 0. */
	uint64_t plain_id;
};

static inline struct cl_program_more *
cl_program_more(const struct _cl_program *p)
{
	return p->more;
}

/** A program with a new id; NULL: no memory, and the id is released. devices NULL: those of ctx. */
struct _cl_program *cl_program_new(struct _cl_context *ctx, enum cl_origin origin,
				   cl_uint nb_devices, const cl_device_id *devices, uint64_t id);
/** The worker's program of this source (with a NUL at len - 1). */
cl_int cl_program_send_source(const struct _cl_context *ctx, const char *source, size_t len,
			      uint64_t *id);
bool cl_program_has(const struct _cl_program *p, const struct _cl_device_id *device);

/**
 * The source with the include files of this machine in it: those found by the options' -I, as a compiler on this machine would find
 * them. Included names among headers are left alone. NULL: there is nothing to put in (or no memory for it).
 */
char *cl_include_expand(const char *source, const char *options, cl_uint nb_headers,
			const char *const *headers);

#endif /* APIR_CL_PROGRAM_H */
