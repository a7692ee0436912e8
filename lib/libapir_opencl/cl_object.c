/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <string.h>
#include <sys/mman.h>

#include "cl_object.h"
#include "cl_priv.h"

/*
 * Each kind has a range of addresses of its own, filled from its beginning: whether any pointer at all is an object of a kind can be
 * told without following it.
 */
#define RANGE	  ((size_t)1 << 30)
#define RANGE_MIN ((size_t)1 << 24) /* where addresses are short */
#define STEP	  ((size_t)64 << 10)
/* So many dead objects are left alone, so that a handle used after its release is found dead for a while. */
#define REST 64u

/* A dead object's memory. */
struct dead {
	struct cl_object o;
	struct dead *next;
};

struct pool {
	pthread_mutex_t lock;
	size_t size;		 /* of an object */
	_Atomic(uint8_t *) base; /* NULL: none yet */
	size_t range, open;	 /* bytes: reserved, usable */
	_Atomic size_t used;
	struct dead *first, *last; /* the one longest dead first */
	unsigned int nb_dead;
	void (*cleanup)(void *obj);
};

#define POOL(kind, type) \
	[kind] = {.lock = PTHREAD_MUTEX_INITIALIZER, .size = (sizeof(type) + 63) & ~(size_t)63}

static struct pool pools[CL_KIND_MAX + 1] = {
	POOL(CL_KIND_PLATFORM, struct _cl_platform_id),
	POOL(CL_KIND_DEVICE, struct _cl_device_id),
	POOL(CL_KIND_CONTEXT, struct _cl_context),
	POOL(CL_KIND_QUEUE, struct _cl_command_queue),
	POOL(CL_KIND_MEM, struct _cl_mem),
	POOL(CL_KIND_SAMPLER, struct _cl_sampler),
	POOL(CL_KIND_PROGRAM, struct _cl_program),
	POOL(CL_KIND_KERNEL, struct _cl_kernel),
	POOL(CL_KIND_EVENT, struct _cl_event),
};

/* With the lock held. */
static bool
reserve(struct pool *p)
{
	void *base = MAP_FAILED;

	for (p->range = RANGE; base == MAP_FAILED && p->range >= RANGE_MIN; p->range /= 2) {
		base = mmap(NULL, p->range, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);
		if (base != MAP_FAILED)
			break;
	}
	if (base == MAP_FAILED)
		return false;
	atomic_store(&p->base, base);
	return true;
}

/* Memory that never was an object; with the lock held. */
static struct cl_object *
fresh(struct pool *p)
{
	const size_t used = atomic_load(&p->used);
	uint8_t *base = atomic_load(&p->base);

	if (base == NULL && !reserve(p))
		return NULL;
	base = atomic_load(&p->base);
	if (used + p->size > p->open) {
		if (p->open + STEP > p->range ||
		    mprotect(base + p->open, STEP, PROT_READ | PROT_WRITE) != 0)
			return NULL;
		p->open += STEP;
	}
	atomic_store(&p->used, used + p->size);
	return (struct cl_object *)(base + used);
}

void *
cl_object_new(enum cl_kind kind, uint64_t id)
{
	struct pool *p = &pools[kind];
	struct cl_object *o = NULL;

	pthread_mutex_lock(&p->lock);
	if (p->nb_dead > REST || (o = fresh(p)) == NULL) {
		struct dead *d = p->first;

		if (d != NULL) {
			p->first = d->next;
			p->nb_dead--;
			o = &d->o;
		}
	}
	pthread_mutex_unlock(&p->lock);
	if (o == NULL)
		return NULL;
	memset((uint8_t *)o + sizeof(*o), 0, p->size - sizeof(*o));
	o->dispatch = &cl_dispatch_table;
	o->id = id;
	o->session = cl_session_number();
	atomic_store_explicit(&o->refs, 1, memory_order_relaxed);
	atomic_store_explicit(&o->user, 1, memory_order_relaxed);
	atomic_store_explicit(&o->magic, CL_OBJECT_MAGIC + kind, memory_order_release);
	return o;
}

static bool
is_alive(const void *obj, enum cl_kind kind)
{
	struct pool *p = &pools[kind];
	const uint8_t *base = atomic_load_explicit(&p->base, memory_order_relaxed);
	const size_t off = (size_t)((const uint8_t *)obj - base);

	if (base == NULL || off >= atomic_load_explicit(&p->used, memory_order_relaxed) ||
	    off % p->size != 0)
		return false;
	return atomic_load_explicit(&((const struct cl_object *)obj)->magic,
				    memory_order_acquire) == CL_OBJECT_MAGIC + kind;
}

bool
cl_is(const void *obj, enum cl_kind kind)
{
	/* the loader keeps the platform, also for a child */
	return is_alive(obj, kind) &&
	       (kind == CL_KIND_PLATFORM ||
		((const struct cl_object *)obj)->session == cl_session_number());
}

cl_int
cl_invalid(enum cl_kind kind)
{
	static const cl_int code[CL_KIND_MAX + 1] = {
		[CL_KIND_PLATFORM] = CL_INVALID_PLATFORM,
		[CL_KIND_DEVICE] = CL_INVALID_DEVICE,
		[CL_KIND_CONTEXT] = CL_INVALID_CONTEXT,
		[CL_KIND_QUEUE] = CL_INVALID_COMMAND_QUEUE,
		[CL_KIND_MEM] = CL_INVALID_MEM_OBJECT,
		[CL_KIND_SAMPLER] = CL_INVALID_SAMPLER,
		[CL_KIND_PROGRAM] = CL_INVALID_PROGRAM,
		[CL_KIND_KERNEL] = CL_INVALID_KERNEL,
		[CL_KIND_EVENT] = CL_INVALID_EVENT,
	};

	return code[kind];
}

static enum cl_kind
kind_of(const struct cl_object *o)
{
	return (enum cl_kind)(atomic_load_explicit(&o->magic, memory_order_relaxed) -
			      CL_OBJECT_MAGIC);
}

void
cl_retain(void *obj)
{
	struct cl_object *o = obj;

	atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
}

static void
end(struct cl_object *o)
{
	const enum cl_kind kind = kind_of(o);
	const uint64_t id = o->id;
	const bool ours = o->session == cl_session_number();
	struct dead *d = (struct dead *)o;
	struct pool *p = &pools[kind];

	if (p->cleanup != NULL)
		p->cleanup(o);
	atomic_store_explicit(&o->magic, 0, memory_order_release);
	if (ours)
		cl_release_id(id);
	pthread_mutex_lock(&p->lock);
	d->next = NULL;
	if (p->first == NULL)
		p->first = d;
	else
		p->last->next = d;
	p->last = d;
	p->nb_dead++;
	pthread_mutex_unlock(&p->lock);
}

void
cl_release(void *obj)
{
	struct cl_object *o = obj;

	if (o != NULL && atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1)
		end(o);
}

/* Not counted: they are there as long as the process is. */
static bool
is_root(const void *obj, enum cl_kind kind)
{
	return kind == CL_KIND_PLATFORM ||
	       (kind == CL_KIND_DEVICE && ((const struct _cl_device_id *)obj)->parent == NULL);
}

cl_int
cl_api_retain(void *obj, enum cl_kind kind)
{
	struct cl_object *o = obj;

	if (!cl_is(obj, kind))
		return cl_invalid(kind);
	if (is_root(obj, kind))
		return CL_SUCCESS;
	atomic_fetch_add_explicit(&o->user, 1, memory_order_relaxed);
	cl_retain(o);
	return CL_SUCCESS;
}

cl_int
cl_api_release(void *obj, enum cl_kind kind)
{
	struct cl_object *o = obj;
	uint32_t n;

	if (!cl_is(obj, kind))
		return cl_invalid(kind);
	if (is_root(obj, kind))
		return CL_SUCCESS;
	n = atomic_load_explicit(&o->user, memory_order_relaxed);
	do {
		if (n == 0)
			return cl_invalid(kind);
	} while (!atomic_compare_exchange_weak_explicit(&o->user, &n, n - 1, memory_order_relaxed,
							memory_order_relaxed));
	cl_release(o);
	return CL_SUCCESS;
}

cl_uint
cl_refcount(const void *obj)
{
	const struct cl_object *o = obj;
	const uint32_t n = atomic_load_explicit(&o->user, memory_order_relaxed);

	/* a callback may ask when only we still hold it */
	return n > 0 ? n : 1;
}

void
cl_object_cleanup(enum cl_kind kind, void (*fn)(void *obj))
{
	pools[kind].cleanup = fn;
}

cl_int
cl_info_put(const void *src, size_t len, size_t size, void *value, size_t *size_ret)
{
	if (value != NULL) {
		if (size < len)
			return CL_INVALID_VALUE;
		if (len > 0)
			memcpy(value, src, len);
	}
	if (size_ret != NULL)
		*size_ret = len;
	return CL_SUCCESS;
}

void
cl_objects_fork_prepare(void)
{
	for (unsigned int i = 1; i <= CL_KIND_MAX; i++)
		pthread_mutex_lock(&pools[i].lock);
}

void
cl_objects_fork_parent(void)
{
	for (unsigned int i = 1; i <= CL_KIND_MAX; i++)
		pthread_mutex_unlock(&pools[i].lock);
}
