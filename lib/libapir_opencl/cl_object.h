/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_OBJECT_H
#define APIR_CL_OBJECT_H

/**
 * @file
 * The guest's objects: what a cl_mem, cl_event, ... of ours points to.
 *
 * Their memory is never given back to malloc but used again for objects of the same kind, so that a handle used after its
 * release is read safely and found dead (or to be another object, as natively).
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <CL/cl.h>
#include <CL/cl_ext.h>
#include <CL/cl_icd.h>

#include "cl_kind.h"

/** Head of each object: the loader wants the dispatch table first. */
struct cl_object {
	const struct _cl_icd_dispatch *dispatch;
	_Atomic uint32_t magic; /**< CL_OBJECT_MAGIC + kind while it lives */
	_Atomic uint32_t refs;	/**< the program's references and our own */
	_Atomic uint32_t user;	/**< the program's alone: cl_api_retain(), cl_api_release() */
	uint64_t id;		/**< the worker's name of it */
	uint32_t session; /**< number of the session it belongs to: a forked child has another */
};
#define CL_OBJECT_MAGIC 0x61706300u

/** What all calls need of each; further fields are of the file that makes them. */
struct _cl_platform_id {
	struct cl_object o;
};
struct _cl_device_id {
	struct cl_object o;
	struct _cl_device_id
		*parent; /**< of a sub-device, with a reference; NULL: the root device */
	struct cl_info_cache *info;
	_Atomic(struct _cl_command_queue *)
		default_queue; /**< on the device; checked at each use: no reference */
};

/** A callback to be called once, newest first, when an object goes (contexts and memory objects). */
struct cl_destructor {
	void(CL_CALLBACK *fn)(void *object, void *user);
	void *user;
	struct cl_destructor *next;
};

struct _cl_context {
	struct cl_object o;
	cl_context_properties *props; /**< as the program gave them, with the final 0; NULL: none */
	size_t nb_props;	      /**< the 0 included */
	struct _cl_device_id **devices; /**< each with a reference */
	cl_uint nb_devices;
	pthread_mutex_t lock; /**< of destructors */
	struct cl_destructor *destructors;
	uint64_t notify_token; /**< 0: none */
	void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *);
	void *notify_user;
};

struct _cl_command_queue {
	struct cl_object o;
	struct _cl_context *ctx;      /**< with a reference */
	struct _cl_device_id *device; /**< with a reference */
	cl_command_queue_properties properties;
	cl_queue_properties *props; /**< as given to clCreateCommandQueueWithProperties */
	size_t nb_props;
	cl_uint size; /**< of a device queue */
};

struct _cl_mem {
	struct cl_object o;
	struct _cl_context *ctx; /**< with a reference */
	struct _cl_mem *parent;	 /**< of a sub-buffer or an image on a buffer, with a reference */
	cl_mem_object_type type;
	cl_mem_flags flags; /**< as clGetMemObjectInfo tells them */
	size_t size, offset;
	void *host_ptr;	  /**< as the program gave it, with CL_MEM_USE_HOST_PTR */
	uint8_t *storage; /**< in the arena, NULL: the device's own */
	cl_mem_properties *props;
	size_t nb_props;
	struct cl_destructor *destructors;
	pthread_mutex_t lock; /**< of maps */
	struct cl_map *maps;
	_Atomic cl_uint map_count;
	/* images */
	cl_image_format format;
	cl_image_desc desc;
	size_t element_size;
	/* pipes */
	cl_uint packet_size, max_packets;
};

struct _cl_sampler {
	struct cl_object o;
	struct _cl_context *ctx;
	cl_sampler_properties *props;
	size_t nb_props;
	cl_bool normalized;
	cl_addressing_mode addressing;
	cl_filter_mode filter;
};

struct _cl_program {
	struct cl_object o;
	struct _cl_context *ctx;
	_Atomic cl_uint nb_kernels; /**< kernel objects that are attached: no building then */
	void *more;		    /**< of cl_program.c */
};

struct _cl_kernel {
	struct cl_object o;
	struct _cl_program *program; /**< with a reference */
	void *more;		     /**< of cl_kernel.c */
};

/** What is to be done in this process once a command is complete, before the program may know of it: bytes of a read to be copied, staging to be freed. */
struct cl_after {
	void (*fn)(struct cl_after *a, bool success);
	struct cl_after *next;
};

struct _cl_event {
	struct cl_object o;
	struct _cl_context *ctx;	 /**< with a reference */
	struct _cl_command_queue *queue; /**< with a reference; NULL: a user event */
	cl_command_type type;
	_Atomic cl_int status;		  /**< the last known; CL_COMPLETE or negative is final */
	_Atomic(struct cl_after *) after; /**< not done yet */
	pthread_mutex_t lock;		  /**< held while after is done */
	/* of cl_track.c: events with something left to do here, in the order in which they were enqueued */
	struct _cl_event *next, *prev;
	uint64_t seq; /**< 0: not among them */
	/* of cl_event.c */
	cl_ulong profile[5];	       /**< from CL_PROFILING_COMMAND_QUEUED on */
	_Atomic unsigned int profiled; /**< bits: those that are known */
};

/** A new object with one reference and the current session; zeroed but for its head. NULL: no memory. */
void *cl_object_new(enum cl_kind kind, uint64_t id);
/** True if obj is a living object of this kind and of the present session. NULL is none. */
bool cl_is(const void *obj, enum cl_kind kind);
/** CL_INVALID_CONTEXT, ... for a kind. */
cl_int cl_invalid(enum cl_kind kind);
void cl_retain(void *obj);
/** clRetain...(): CL_INVALID_... if it is no such object. Root devices and the platform are not counted. */
cl_int cl_api_retain(void *obj, enum cl_kind kind);
/** clRelease...(): so, too, when the program has released it already, whoever of us may still hold it. */
cl_int cl_api_release(void *obj, enum cl_kind kind);
/** For CL_..._REFERENCE_COUNT. */
cl_uint cl_refcount(const void *obj);
/** Drop a reference; with the last one the object's clean-up runs (set by cl_object_cleanup()), then its id is released. NULL is allowed. */
void cl_release(void *obj);
/** What ends an object of a kind; called once, from the library's constructor or first use. */
void cl_object_cleanup(enum cl_kind kind, void (*fn)(void *obj));
/** Id, 0 for NULL. */
static inline uint64_t
cl_id(const void *obj)
{
	return obj == NULL ? 0 : ((const struct cl_object *)obj)->id;
}

/** For clGet*Info: size_ret and value as the specification orders. */
cl_int cl_info_put(const void *src, size_t len, size_t size, void *value, size_t *size_ret);

/** The one platform and its device; made at the first use. NULL: no session. */
struct _cl_platform_id *cl_the_platform(void);
struct _cl_device_id *cl_the_device(void);
/** True if device is one of ctx's. Both are valid objects. */
bool cl_context_has(const struct _cl_context *ctx, const struct _cl_device_id *device);
extern const struct _cl_icd_dispatch cl_dispatch_table;

/* Events (cl_event.c) ------------------------------------------------------------------------------------------------ */

/** Check a wait list for a command of ctx: CL_SUCCESS, CL_INVALID_EVENT_WAIT_LIST or CL_INVALID_CONTEXT. */
cl_int cl_waits_check(const struct _cl_context *ctx, cl_uint n, const cl_event *list);
/**
 * A new event for what queue has just enqueued, whose id the worker gave. after: may be NULL; it is done exactly once, when the
 * event is known to be final and before the program may know it, with the event's lock held: it must not wait for events, and
 * frees itself. An event with after is looked after until then, whether the program keeps it or not.
 *
 * @return NULL: no memory; the command has been waited for then, after is done and the id released
 */
struct _cl_event *cl_event_new(struct _cl_command_queue *queue, cl_command_type type, uint64_t id,
			       struct cl_after *after);
/** An event that the program did not ask for: takes over the caller's reference. Its after is done at the next wait. */
void cl_event_track(struct _cl_event *ev);
/**
 * Do what is to be done for all events that are complete, called after whatever waits: clFinish, clWaitForEvents, a blocking
 * call. A command may have waited for those of other queues: queue only says where to look first.
 */
void cl_events_reap(struct _cl_command_queue *queue);
/** An event is known to have this status: if it is final, its after is done. From any thread. */
void cl_event_settle(struct _cl_event *ev, cl_int status);

#endif /* APIR_CL_OBJECT_H */
