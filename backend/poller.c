/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_pause.h>

#include "log.h"
#include "placement.h"
#include "poller.h"

/* Requests of one queue before the others get their turn. */
#define BUDGET 4
/* Empty rounds between two looks at the clock. */
#define CLOCK_ROUNDS 32

struct qlist {
	unsigned int n;
	struct {
		struct dataq *q;
		int kick_fd;
	} e[];
};

struct poll_thread {
	/* the poll thread's own */
	uint64_t idle_ns __attribute__((aligned(64))); /* how long it spins without work */
	uint64_t beats;
	pthread_t tid;
	int cpu; /* -1: not pinned */
	int numa_node;
	int ep_fd, wake_fd;
	/* written by it, read by others */
	_Atomic uint64_t beat;
	_Atomic(const struct dataq *) cur;
	_Atomic bool asleep;
	/* written by others, read by it in each round */
	_Atomic unsigned int gen __attribute__((aligned(64)));
	_Atomic bool quit;
	/* under lock */
	pthread_mutex_t lock;
	pthread_cond_t seen_cond;
	unsigned int seen;  /* generation that the thread works by */
	struct qlist *list; /* replaced as a whole */
	uint64_t wd_beat, wd_ms;
};

struct poll {
	pthread_mutex_t lock; /* one change at a time */
	int numa_node;
	unsigned int nb; /* started */
	struct poll_thread t[];
};

/* t[0] has the queues that nobody has announced, and never spins. */
#define COLD 0u

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* Finish what is in flight, then work by the new list. */
static const struct qlist *
take_list(struct poll_thread *t, const struct qlist *old, unsigned int *gen)
{
	const struct qlist *list;

	for (unsigned int i = 0; old != NULL && i < old->n; i++)
		burst_drain(old->e[i].q);
	pthread_mutex_lock(&t->lock);
	*gen = atomic_load_explicit(&t->gen, memory_order_acquire);
	list = t->list;
	t->seen = *gen;
	pthread_cond_broadcast(&t->seen_cond);
	pthread_mutex_unlock(&t->lock);
	return list;
}

static bool
busy(const struct qlist *list)
{
	for (unsigned int i = 0; i < list->n; i++) {
		struct dataq *q = list->e[i].q;

		if (q->first != q->next || (!q->vr.broken && vring_avail(&q->vr) != 0))
			return true;
	}
	return false;
}

static void
sleep_until_kick(struct poll_thread *t, const struct qlist *list, unsigned int gen)
{
	struct epoll_event ev[8];

	for (unsigned int i = 0; i < list->n; i++)
		vring_want_kick(&list->e[i].q->vr);
	atomic_store_explicit(&t->asleep, true, memory_order_seq_cst);
	/*
	 * All are edge-triggered: an event between the checks and the wait is not lost, and no fd
	 * need be read.
	 */
	if (!busy(list) && atomic_load_explicit(&t->gen, memory_order_seq_cst) == gen)
		epoll_wait(t->ep_fd, ev, sizeof(ev) / sizeof(ev[0]), -1);
	atomic_store_explicit(&t->asleep, false, memory_order_seq_cst);
	for (unsigned int i = 0; i < list->n; i++)
		vring_no_kick(&list->e[i].q->vr);
}

/* The thread's own structure, for a signal handler in it. */
static __thread struct poll_thread *self;

const struct dataq *
poll_current(void)
{
	return self != NULL ? atomic_load_explicit(&self->cur, memory_order_relaxed) : NULL;
}

static void *
poll_main(void *arg)
{
	struct poll_thread *t = arg;
	const uint64_t idle_ns = t->idle_ns;
	const struct qlist *list;
	uint64_t idle_since = 0;
	unsigned int gen, rounds = 0;

	self = t;
	numa_settle(t->numa_node, t->cpu < 0);
	list = take_list(t, NULL, &gen);
	for (;;) {
		unsigned int work = 0;

		if (__builtin_expect(atomic_load_explicit(&t->gen, memory_order_acquire) != gen,
				     0)) {
			list = take_list(t, list, &gen);
			if (atomic_load_explicit(&t->quit, memory_order_relaxed))
				return NULL;
		}
		for (unsigned int i = 0; i < list->n; i++) {
			atomic_store_explicit(&t->cur, list->e[i].q, memory_order_relaxed);
			work += burst_run(list->e[i].q, BUDGET);
		}
		atomic_store_explicit(&t->beat, ++t->beats, memory_order_relaxed);
		if (work > 0) {
			idle_since = 0;
			rounds = 0;
			continue;
		}
		if (idle_ns > 0 && list->n > 0) {
			rte_pause();
			if (++rounds % CLOCK_ROUNDS != 0)
				continue;
			const uint64_t now = now_ns();

			if (idle_since == 0)
				idle_since = now;
			if (now - idle_since < idle_ns)
				continue;
		}
		sleep_until_kick(t, list, gen);
		idle_since = 0;
		rounds = 0;
	}
}

static void
wake(struct poll_thread *t)
{
	const uint64_t one = 1;

	if (write(t->wake_fd, &one, sizeof(one)) < 0)
		return; /* full: it is awake */
}

/* Give the thread a list (NULL: the same again) and wait until it works by it. Under p->lock. */
static void
change_list(struct poll_thread *t, struct qlist *list)
{
	struct qlist *old = NULL;
	unsigned int gen;

	pthread_mutex_lock(&t->lock);
	if (list != NULL) {
		old = t->list;
		t->list = list;
	}
	gen = atomic_fetch_add_explicit(&t->gen, 1, memory_order_seq_cst) + 1;
	wake(t);
	while (t->seen != gen)
		pthread_cond_wait(&t->seen_cond, &t->lock);
	pthread_mutex_unlock(&t->lock);
	free(old);
}

static struct qlist *
new_list(unsigned int n)
{
	struct qlist *l = malloc(sizeof(*l) + n * sizeof(l->e[0]));

	if (l != NULL)
		l->n = 0;
	return l;
}

static int
add_to_epoll(const struct poll_thread *t, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};

	return fd < 0 || epoll_ctl(t->ep_fd, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
}

static struct poll_thread *
least_loaded(struct poll *p)
{
	struct poll_thread *best = &p->t[COLD + 1];

	for (unsigned int i = COLD + 2; i < p->nb; i++)
		if (p->t[i].list->n < best->list->n)
			best = &p->t[i];
	return best;
}

static struct poll_thread *
server_for(struct poll *p, const struct dataq *q)
{
	return q->announced ? least_loaded(p) : &p->t[COLD];
}

/* The list of a thread with one queue more, whose kick_fd it listens to already; NULL: no memory. */
static struct qlist *
longer_list(const struct poll_thread *t, struct dataq *q, int kick_fd)
{
	struct qlist *l = new_list(t->list->n + 1);

	if (l == NULL || add_to_epoll(t, kick_fd) != 0) {
		free(l);
		return NULL;
	}
	memcpy(l->e, t->list->e, t->list->n * sizeof(l->e[0]));
	l->n = t->list->n + 1;
	l->e[l->n - 1].q = q;
	l->e[l->n - 1].kick_fd = kick_fd;
	return l;
}

int
poll_attach(struct poll *p, struct dataq **queues, const int *kick_fds, unsigned int nb)
{
	int ret = 0;

	pthread_mutex_lock(&p->lock);
	for (unsigned int i = 0; i < nb && ret == 0; i++) {
		struct poll_thread *t = server_for(p, queues[i]);
		struct qlist *l = longer_list(t, queues[i], kick_fds[i]);

		if (l != NULL)
			change_list(t, l);
		else
			ret = -ENOMEM;
	}
	pthread_mutex_unlock(&p->lock);
	if (ret != 0)
		poll_detach(p, queues, nb);
	return ret;
}

static bool
named(const struct dataq *q, struct dataq **queues, unsigned int nb)
{
	for (unsigned int i = 0; i < nb; i++)
		if (queues[i] == q)
			return true;
	return false;
}

/* Under p->lock. */
static void
detach_from(struct poll_thread *t, struct dataq **queues, unsigned int nb)
{
	struct qlist *l = new_list(t->list->n);
	bool changed = false;

	for (unsigned int i = 0; i < t->list->n; i++)
		changed |= named(t->list->e[i].q, queues, nb);
	if (!changed) {
		free(l);
		return;
	}
	if (l == NULL) {
		log_msg(LOG_ERR, "out of memory while a queue is taken down: cannot go on");
		abort();
	}
	for (unsigned int i = 0; i < t->list->n; i++) {
		if (!named(t->list->e[i].q, queues, nb))
			l->e[l->n++] = t->list->e[i];
		else if (t->list->e[i].kick_fd >= 0)
			epoll_ctl(t->ep_fd, EPOLL_CTL_DEL, t->list->e[i].kick_fd, NULL);
	}
	change_list(t, l);
}

void
poll_detach(struct poll *p, struct dataq **queues, unsigned int nb)
{
	pthread_mutex_lock(&p->lock);
	for (unsigned int k = 0; k < p->nb; k++)
		detach_from(&p->t[k], queues, nb);
	pthread_mutex_unlock(&p->lock);
}

/* The thread that serves q and its kick_fd there, or NULL. Under p->lock. */
static struct poll_thread *
server_of(struct poll *p, const struct dataq *q, int *kick_fd)
{
	for (unsigned int k = 0; k < p->nb; k++)
		for (unsigned int i = 0; i < p->t[k].list->n; i++)
			if (p->t[k].list->e[i].q == q) {
				*kick_fd = p->t[k].list->e[i].kick_fd;
				return &p->t[k];
			}
	return NULL;
}

int
poll_announce(struct poll *p, struct dataq **queues, unsigned int nb, bool announced)
{
	int ret = 0;

	pthread_mutex_lock(&p->lock);
	for (unsigned int i = 0; i < nb && ret == 0; i++) {
		struct dataq *q = queues[i];
		struct poll_thread *from, *to;
		struct qlist *l;
		int kick_fd;

		if (q->announced == announced)
			continue;
		q->announced = announced;
		from = server_of(p, q, &kick_fd);
		if (from == NULL)
			continue;
		to = server_for(p, q);
		l = longer_list(to, q, kick_fd);
		if (l != NULL) {
			detach_from(from, &q, 1);
			change_list(to, l);
		} else {
			q->announced = !announced;
			ret = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return ret;
}

void
poll_sync(struct poll *p)
{
	pthread_mutex_lock(&p->lock);
	for (unsigned int k = 0; k < p->nb; k++)
		change_list(&p->t[k], NULL);
	pthread_mutex_unlock(&p->lock);
}

const struct dataq *
poll_stuck(struct poll *p, uint64_t step_ms, uint64_t limit_ms)
{
	const struct dataq *stuck = NULL;

	for (unsigned int k = 0; k < p->nb && stuck == NULL; k++) {
		struct poll_thread *t = &p->t[k];
		const uint64_t beat = atomic_load_explicit(&t->beat, memory_order_relaxed);

		/* Inside a kernel that runs in the poll thread itself, or draining a queue. */
		if (beat != t->wd_beat || atomic_load_explicit(&t->asleep, memory_order_relaxed))
			t->wd_ms = 0;
		else
			t->wd_ms += step_ms;
		t->wd_beat = beat;
		if (t->wd_ms > limit_ms)
			stuck = atomic_load_explicit(&t->cur, memory_order_relaxed);
		/* In flight on a device that runs beside us. */
		pthread_mutex_lock(&t->lock);
		for (unsigned int i = 0; i < t->list->n && stuck == NULL; i++) {
			struct dataq *q = t->list->e[i].q;
			const uint64_t done =
				atomic_load_explicit(&q->stats.bursts, memory_order_relaxed);

			if (done != q->wd_bursts ||
			    atomic_load_explicit(&q->in_flight, memory_order_relaxed) == 0)
				q->wd_ms = 0;
			else
				q->wd_ms += step_ms;
			q->wd_bursts = done;
			if (q->wd_ms > limit_ms)
				stuck = q;
		}
		pthread_mutex_unlock(&t->lock);
	}
	return stuck;
}

static int
thread_start(struct poll_thread *t, const char *name, uint64_t idle_ns, int numa_node, int cpu)
{
	pthread_attr_t attr;
	int ret;

	t->idle_ns = idle_ns;
	t->numa_node = numa_node;
	t->cpu = cpu;
	t->ep_fd = epoll_create1(EPOLL_CLOEXEC);
	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->list = new_list(0);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->seen_cond, NULL);
	if (t->ep_fd < 0 || t->wake_fd < 0 || t->list == NULL || add_to_epoll(t, t->wake_fd) != 0) {
		ret = ENOMEM;
		goto fail;
	}
	pthread_attr_init(&attr);
	if (cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	ret = pthread_create(&t->tid, &attr, poll_main, t);
	pthread_attr_destroy(&attr);
	if (ret == 0) {
		pthread_setname_np(t->tid, name);
		return 0;
	}
fail:
	if (t->ep_fd >= 0)
		close(t->ep_fd);
	if (t->wake_fd >= 0)
		close(t->wake_fd);
	free(t->list);
	return -ret;
}

int
poll_start(const struct poll_conf *conf, struct poll **out)
{
	const unsigned int nb = COLD + 1 + (conf->nb_cpus > 0 ? conf->nb_cpus : 1);
	struct poll *p;

	if (conf->nb_cpus > POLL_MAX_THREADS)
		return -EINVAL;
	p = aligned_alloc(64, sizeof(*p) + nb * sizeof(p->t[0]));
	if (p == NULL)
		return -ENOMEM;
	memset(p, 0, sizeof(*p) + nb * sizeof(p->t[0]));
	pthread_mutex_init(&p->lock, NULL);
	p->numa_node = conf->numa_node;
	for (; p->nb < nb; p->nb++) {
		const bool cold = p->nb == COLD;
		const int cpu = conf->nb_cpus > 0 && !cold ? conf->cpus[p->nb - COLD - 1] : -1;
		const int ret = thread_start(&p->t[p->nb], cold ? "apird-unused" : "apird-poll",
					     cold ? 0 : (uint64_t)conf->idle_us * 1000,
					     conf->numa_node, cpu);

		if (ret != 0) {
			poll_stop(p);
			return ret;
		}
	}
	*out = p;
	return 0;
}

void
poll_stop(struct poll *p)
{
	for (unsigned int k = 0; k < p->nb; k++) {
		struct poll_thread *t = &p->t[k];

		atomic_store_explicit(&t->quit, true, memory_order_relaxed);
		atomic_fetch_add_explicit(&t->gen, 1, memory_order_seq_cst);
		wake(t);
		pthread_join(t->tid, NULL);
		close(t->ep_fd);
		close(t->wake_fd);
		free(t->list);
	}
	free(p);
}
