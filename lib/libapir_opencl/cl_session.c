/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cl_arena.h"
#include "cl_config.h"
#include "cl_platform.h"
#include "cl_priv.h"
#include "cl_rpc.h"

/* Limit of each step of the connection, and of HELLO, for which the device starts a process. */
#define CONNECT_MS 2000u
#define HELLO_MS   10000u

#define ARENA_MIN ((size_t)1 << 30)

/* One lane is for the thread that waits for notices. */
#define MIN_LANES 2u

/* Held while a session is opened. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct session *) current;
static uint32_t nb_sessions;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool
debugging(void)
{
	static _Atomic int known; /* 0: not yet */
	int v = atomic_load_explicit(&known, memory_order_relaxed);

	if (v == 0) {
		const char *env = getenv("APIR_DEBUG");

		v = env != NULL && env[0] != '\0' && strcmp(env, "0") != 0 ? 2 : 1;
		atomic_store_explicit(&known, v, memory_order_relaxed);
	}
	return v == 2;
}

static void __attribute__((format(printf, 1, 0))) vdebug(const char *fmt, va_list ap)
{
	static const char head[] = "apir: ";
	char line[512];
	size_t len = sizeof(head) - 1;
	int n;

	memcpy(line, head, len);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	if (n < 0)
		return;
	len += strlen(line + len);
	line[len++] = '\n';
	/* in one piece, so that threads do not mix theirs; what does not arrive nobody can be told of */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

void
cl_debug(const char *fmt, ...)
{
	va_list ap;

	if (!debugging())
		return;
	va_start(ap, fmt);
	vdebug(fmt, ap);
	va_end(ap);
}

/* The surroundings of the transport ---------------------------------------------------------------------------------- */

static void *
env_alloc(const struct apir_env *env, size_t size, size_t align, int numa_node)
{
	(void)env;
	(void)numa_node;
	return cl_arena_zalloc(size, align);
}

static void
env_free(const struct apir_env *env, void *p)
{
	(void)env;
	cl_arena_free(p);
}

static uint64_t
env_addr(const struct apir_env *env, const void *p)
{
	(void)env;
	return cl_arena_addr(p);
}

static int
env_regions(const struct apir_env *env, struct apir_mem_region *regions, unsigned int max)
{
	void *base;
	size_t size;
	int fd;

	(void)env;
	if (max < 1)
		return -E2BIG;
	cl_arena_whole(&base, &size, &fd);
	regions[0] = (struct apir_mem_region){
		.guest_addr = cl_arena_addr(base), .size = size, .va = base, .fd = fd};
	return 1;
}

static void
env_vlog(const struct apir_env *env, enum apir_log_level level, const char *fmt, va_list ap)
{
	(void)env;
	(void)level;
	if (debugging())
		vdebug(fmt, ap);
}

/* Opening ------------------------------------------------------------------------------------------------------------ */

void
cl_session_lose(struct session *s)
{
	atomic_store(&s->lost, true);
	cl_lanes_wake(s);
}

/* The transport's thread: apird, or the worker, is gone. */
static void
on_lost(void *ctx)
{
	cl_session_lose(ctx);
}

static size_t
arena_size(const struct cl_config *c)
{
	const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	size_t size = 0;

	if (c->arena != 0)
		return c->arena;
	if (pages > 0 && page > 0)
		size = (size_t)pages * (size_t)page;
	return size > ARENA_MIN ? size : ARENA_MIN;
}

static int
connect_device(struct session *s, const struct cl_config *c)
{
	int ret;

	if (c->pci[0] != '\0') {
		cl_debug("device pci=%s: only path=SOCKET (vhost-user) is supported for OpenCL",
			 c->pci);
		return -ENOTSUP;
	}
	ret = apir_vhost_user_open(c->path, &s->env, CONNECT_MS, on_lost, s, &s->t);
	if (ret != 0)
		s->t = NULL;
	return ret;
}

static int
set_up(struct session *s, const struct cl_config *c)
{
	struct apir_transport_limits limits;
	unsigned int nb;
	int ret;

	s->t->ops->limits(s->t, &limits);
	nb = limits.nb_data_queues < APIR_CL_MAX_LANES ? limits.nb_data_queues : APIR_CL_MAX_LANES;
	if (nb < MIN_LANES) {
		cl_debug("%s: the back-end has %u data queues, OpenCL needs %u: start apird with "
			 "--queues %u",
			 c->path, limits.nb_data_queues, MIN_LANES, APIR_CL_MAX_LANES);
		return -ENOTSUP;
	}
	ret = apir_vq_create_ctl(&s->env, &s->ctl_vq);
	if (ret == 0)
		ret = s->t->ops->queue_setup(s->t, APIR_CTL_QUEUE, s->ctl_vq);
	if (ret == 0)
		ret = cl_lanes_make(s, nb);
	if (ret == 0)
		ret = s->t->ops->start(s->t);
	return ret;
}

static int
say_hello(struct session *s)
{
	struct apir_hello_req req = {
		.version_min = APIR_VERSION,
		.version_max = APIR_VERSION,
		.features = APIR_F_OPENCL,
		.nb_data_queues = s->info.nb_lanes,
		.max_pkts = 1,
	};
	struct apir_hello_rsp rsp;
	int ret;

	snprintf(req.driver_name, sizeof(req.driver_name), "OpenCL: %s",
		 program_invocation_short_name);
	/* HELLO is all that is said there: the limit of calls does not matter */
	ret = apir_ctl_create(s->t, s->ctl_vq, HELLO_MS, &s->ctl);
	if (ret == 0)
		ret = apir_ctl_hello(s->ctl, &req, &rsp, HELLO_MS);
	if (ret != 0)
		return ret;
	if ((rsp.features & APIR_F_OPENCL) == 0) {
		cl_debug("the back-end '%s' offers no OpenCL to guests: start it with a device "
			 "and an executor that do",
			 rsp.device_name);
		return -ENOTSUP;
	}
	return 0;
}

static int
open_worker(struct session *s)
{
	uint64_t shared_at, end;
	uint32_t unified;
	void *base;
	size_t size;
	int fd;
	cl_int err;

	cl_arena_whole(&base, &size, &fd);
	err = rpc_Open(APIR_CL_VERSION, (uint32_t)getpid(), program_invocation_short_name,
		       cl_arena_addr(base), size, (uintptr_t)base, &s->info.device, &unified,
		       &shared_at, &s->info.svm);
	if (err != CL_SUCCESS) {
		cl_debug("the back-end's OpenCL does not begin: error %d; its log says why", err);
		return -EREMOTEIO;
	}
	s->info.unified = unified != 0;
	end = cl_arena_addr(base) + size;
	if (cl_arena_limit(shared_at == 0 ? end : shared_at) != 0) {
		cl_debug("the back-end wants the arena from 0x%llx on, which lies at 0x%llx to "
			 "0x%llx and is in use",
			 (unsigned long long)shared_at, (unsigned long long)cl_arena_addr(base),
			 (unsigned long long)end);
		return -EPROTO;
	}
	return 0;
}

/* Of what was never in use, or that nobody can have a pointer to. */
static void
undo(struct session *s)
{
	/* first: no thread of its own looks at the session any more */
	if (s->t != NULL)
		s->t->ops->close(s->t);
	apir_ctl_destroy(s->ctl);
	cl_lanes_free(s);
	apir_vq_destroy(s->ctl_vq);
	cl_arena_close();
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->freed);
	free(s);
}

static int
open_session(void)
{
	struct cl_config conf;
	struct session *s;
	int ret;

	ret = cl_config_read(&conf);
	if (ret != 0)
		return ret;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->freed, NULL);
	s->env = (struct apir_env){
		.dma_alloc = env_alloc,
		.dma_free = env_free,
		.dma_addr = env_addr,
		.mem_regions = env_regions,
		.vlog = env_vlog,
	};
	s->number = ++nb_sessions;
	ret = connect_device(s, &conf);
	if (ret == 0)
		ret = cl_arena_open(arena_size(&conf), conf.hugepages);
	if (ret == 0)
		ret = set_up(s, &conf);
	if (ret == 0)
		ret = say_hello(s);
	if (ret == 0) {
		atomic_store(&current, s);
		ret = open_worker(s);
		if (ret == 0 && !cl_roots_make(s->info.device))
			ret = -ENOMEM;
		if (ret != 0)
			atomic_store(&current, NULL);
	}
	if (ret != 0)
		undo(s);
	return ret;
}

static void fork_prepare(void);
static void fork_parent(void);
static void fork_child(void);

static void
init(void)
{
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}

const struct cl_session_info *
cl_session_open(void)
{
	struct session *s;

	pthread_once(&once, init);
	pthread_mutex_lock(&opening);
	s = atomic_load(&current);
	if (s == NULL && open_session() == 0)
		s = atomic_load(&current);
	pthread_mutex_unlock(&opening);
	return s == NULL || atomic_load(&s->lost) ? NULL : &s->info;
}

struct session *
cl_session_now(void)
{
	return atomic_load_explicit(&current, memory_order_acquire);
}

const struct cl_session_info *
cl_session(void)
{
	struct session *s = cl_session_now();

	return s == NULL || atomic_load_explicit(&s->lost, memory_order_relaxed) ? NULL : &s->info;
}

uint32_t
cl_session_number(void)
{
	const struct session *s = cl_session_now();

	return s == NULL ? 0 : s->number;
}

/* Forking ------------------------------------------------------------------------------------------------------------ */

static void
fork_prepare(void)
{
	pthread_mutex_lock(&opening);
	cl_lanes_fork_prepare(atomic_load(&current));
	cl_objects_fork_prepare();
	cl_arena_fork_prepare();
}

static void
fork_parent(void)
{
	cl_arena_fork_parent();
	cl_objects_fork_parent();
	cl_lanes_fork_parent(atomic_load(&current));
	pthread_mutex_unlock(&opening);
}

/*
 * The child must not hold what the parent's session is: the device would not see the parent's end. The session's memory is left
 * behind, as the threads that may have been using it are.
 */
static void
fork_child(void)
{
	struct session *s = atomic_load(&current);

	cl_arena_fork_child();
	cl_objects_fork_parent();
	cl_lanes_fork_child(s);
	if (s != NULL) {
		atomic_store(&s->lost, true);
		if (s->t->ops->forked != NULL)
			s->t->ops->forked(s->t);
		atomic_store(&current, NULL);
	}
	pthread_mutex_unlock(&opening);
}
