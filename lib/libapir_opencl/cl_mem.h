/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_MEM_H
#define APIR_CL_MEM_H

/**
 * @file
 * Memory objects: how bytes go from the program's memory to the device and back. For the files cl_buffer.c, cl_image*.c,
 * cl_map*.c, cl_transfer.c, cl_fill.c and cl_svm.c.
 */

#include "cl_arena.h"
#include "cl_object.h"
#include "cl_rpc.h"
#include "cl_session.h"

/* Boxes (cl_box.c) --------------------------------------------------------------------------------------------------- */

/** Lines of bytes in the program's memory; the same bytes lie in the arena without gaps. */
struct cl_box {
	size_t row, rows, slices;      /**< bytes of a line, lines of a slice, slices; none is 0 */
	size_t row_pitch, slice_pitch; /**< from line to line, from slice to slice */
};

static inline struct cl_box
cl_box_linear(size_t len)
{
	return (struct cl_box){
		.row = len, .rows = 1, .slices = 1, .row_pitch = len, .slice_pitch = len};
}

/** Bytes without gaps. False: more than there can be. */
bool cl_box_bytes(const struct cl_box *b, size_t *bytes);
/** From the first byte to the last, gaps included. False: more than there can be. */
bool cl_box_extent(const struct cl_box *b, size_t *extent);
/** True if it has no gaps. */
bool cl_box_dense(const struct cl_box *b);
void cl_box_pack(void *dense, const void *loose, const struct cl_box *b);
void cl_box_unpack(void *loose, const void *dense, const struct cl_box *b);
/** *sum += a * b. False: it overflows. */
bool cl_add_product(size_t *sum, size_t a, size_t b);

/* Staging (cl_staging.c) --------------------------------------------------------------------------------------------- */

/** A piece of the arena for bytes on their way. */
struct cl_staging {
	_Atomic uint32_t refs;
	size_t len;
	uint8_t *p;
};

/** With one reference. NULL: no memory. What is complete of earlier commands is tidied up first if much is on its way. */
struct cl_staging *cl_staging_new(size_t len);
struct cl_staging *cl_staging_get(struct cl_staging *s);
/** NULL is allowed. */
void cl_staging_put(struct cl_staging *s);

/** Something to do after a command: staging is put. NULL: no memory. */
struct cl_after *cl_after_put(struct cl_staging *s);
/** Do it at once, the command having been waited for or not been enqueued (success false). NULL is allowed. */
void cl_after_now(struct cl_after *a, bool success);

/** The bytes of a read: from staging to the program's memory. Takes over s. NULL: no memory (s is put). */
struct cl_after *cl_after_read(const struct _cl_command_queue *q, struct cl_staging *s, void *dst,
			       const struct cl_box *b);
/** The read has been enqueued: from now on writes out of its destination get its bytes. */
void cl_after_read_pending(struct cl_after *a);

enum cl_overlap { CL_APART, CL_INSIDE, CL_PARTLY };
/**
 * Does memory that is about to be read lie where bytes of reads are still to arrive?
 * CL_INSIDE: all of it are bytes of one read: *s (with a reference) will hold them from *at on.
 */
enum cl_overlap cl_reads_pending(const void *src, size_t len, struct cl_staging **s, size_t *at);
/** True if reads are on their way to any byte of [p, p + len). */
bool cl_reads_pending_to(const void *p, size_t len);

/* Commands (cl_command.c) -------------------------------------------------------------------------------------------- */

/** What all commands on a memory object check first: queue, object, its type (0: any image), their context. */
cl_int cl_command_check(cl_command_queue queue, cl_mem mem, cl_mem_object_type type);
bool cl_is_image(const struct _cl_mem *mem);

/** A transfer between the program's memory and an object. */
struct cl_transfer {
	struct _cl_command_queue *queue;
	struct _cl_mem *mem;
	cl_command_type type;
	bool blocking;
	uint8_t *ptr; /**< first byte of the box */
	struct cl_box box;
	cl_uint nb_waits;
	const cl_event *waits;
	cl_event *event;
	/** Enqueue it, with the bytes at [addr, addr + len) of the arena. */
	cl_int (*send)(const struct cl_transfer *t, uint64_t addr, size_t len, uint64_t *id);
	/* for send() */
	size_t origin[3], region[3];
	size_t row, slice; /**< of the buffer */
};

cl_int cl_transfer_write(const struct cl_transfer *t);
cl_int cl_transfer_read(const struct cl_transfer *t);
/** A command has been enqueued under this id (0: it is complete, or nobody asked): make *event unless event is NULL. Takes over after. */
cl_int cl_command_done(struct _cl_command_queue *q, cl_command_type type, uint64_t id,
		       bool complete, struct cl_after *after, cl_event *event);
/** Wait for what a command with this wait list would wait for; then what is complete is tidied up. */
cl_int cl_command_settle(struct _cl_command_queue *q, cl_uint nb_waits, const cl_event *waits);
/** Wait for the event of this id, and let go of it. */
cl_int cl_id_wait(uint64_t id);

/* Objects (cl_buffer.c) --------------------------------------------------------------------------------------------- */

/** CL_INVALID_VALUE unless these may be flags of a new object; CL_INVALID_HOST_PTR if host_ptr does not go with them. */
cl_int cl_mem_flags_check(cl_mem_flags flags, const void *host_ptr);
/** A copy of a list of items of step numbers that ends with 0; *n with the 0. False: no memory. NULL: none. */
bool cl_props_copy(const uint64_t *props, size_t step, uint64_t **copy, size_t *n);
/** An object the worker has made. NULL: no memory, the id is released. */
struct _cl_mem *cl_mem_new(struct _cl_context *ctx, uint64_t id, cl_mem_object_type type,
			   cl_mem_flags flags);
/** Flags of an object that is part of another. */
cl_mem_flags cl_mem_flags_inherit(cl_mem_flags flags, cl_mem_flags parent);
/**
 * Flags for the worker: what the host may do with an object is checked here, and a mapping for writing has to read the object's
 * bytes first where we do not share its memory.
 */
cl_mem_flags cl_mem_flags_sent(cl_mem_flags flags);
/** May the program read or write the object? CL_SUCCESS or CL_INVALID_OPERATION. */
cl_int cl_host_access_check(const struct _cl_mem *mem, bool read, bool write);

/* Images (cl_imagedesc.c) -------------------------------------------------------------------------------------------- */

/** Bytes of a pixel; 0: no such format. */
size_t cl_pixel_size(const cl_image_format *f);
/** Width; height or, of a 1D array, its size; depth or, of a 2D array, its size. */
void cl_image_extent(const cl_image_desc *d, size_t extent[3]);
/** CL_INVALID_VALUE if the box is not in the image. */
cl_int cl_image_region_check(const struct _cl_mem *image, const size_t *origin,
			     const size_t *region);
/** How a region lies in the program's memory with these pitches (0: as dense as can be). */
cl_int cl_image_box(const struct _cl_mem *image, const size_t *region, size_t row_pitch,
		    size_t slice_pitch, struct cl_box *box);
/** An image that is created: its description as the specification wants it? */
cl_int cl_image_desc_check(const cl_image_format *f, const cl_image_desc *d, const void *host_ptr);
/** The program's bytes of an image described so. False: pitches too short. */
bool cl_image_desc_box(const cl_image_desc *d, size_t pixel, struct cl_box *box);

/* Maps (cl_map.c) ---------------------------------------------------------------------------------------------------- */

/** What a mapping holds goes; the object is gone. */
void cl_maps_drop(struct _cl_mem *mem);
/** CL_INVALID_VALUE, CL_INVALID_OPERATION or CL_SUCCESS. */
cl_int cl_map_flags_check(const struct _cl_mem *mem, cl_map_flags flags);

/* Shared virtual memory (cl_svm.c) ----------------------------------------------------------------------------------- */

/** True if all of [p, p + len) lies in one allocation of clSVMAlloc() of ctx (NULL: of any context). */
bool cl_svm_holds(const struct _cl_context *ctx, const void *p, size_t len);

#endif /* APIR_CL_MEM_H */
