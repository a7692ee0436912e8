/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "opencl/handover.h"
#include "session.h"
#include "worker.h"

int
worker_find(char *path, size_t size, const char *installed)
{
	const char *env = getenv("APIRD_OPENCL");
	char self[4096];
	ssize_t n;

	if (env != NULL && env[0] != '\0') {
		snprintf(path, size, "%s", env);
		return access(path, X_OK);
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		snprintf(path, size, "%.*s/opencl/apird-opencl", (int)(strrchr(self, '/') - self),
			 self);
		if (access(path, X_OK) == 0)
			return 0;
	}
	snprintf(path, size, "%s", installed);
	return access(path, X_OK);
}

/* The queues that nobody takes away while the control lock is held. Returns 0 or -1: one is not there. */
static int
lanes_of(struct session *s, unsigned int nb, struct dataq **q)
{
	for (unsigned int i = 0; i < nb; i++) {
		if (!atomic_load(&s->attached[APIR_DATA_QUEUE(i)]))
			return -1;
		q[i] = atomic_load(&s->q[i]);
	}
	return 0;
}

/* An address of ours as the guest has it. */
static uint64_t
guest_address(const struct mem_table *mem, const void *p)
{
	for (unsigned int i = 0; i < mem->nb; i++) {
		const uint64_t off = (uintptr_t)p - (uintptr_t)mem->r[i].va;

		if (off < mem->r[i].size)
			return mem->r[i].gpa + off;
	}
	return 0;
}

static void
describe(const struct session *s, struct dataq **q, unsigned int nb, struct handover_msg *m)
{
	const struct backend *be = s->be;
	struct handover *h = &m->h;

	memset(m, 0, sizeof(*m));
	h->magic = HANDOVER_MAGIC;
	h->len = sizeof(*h);
	h->session = s->id;
	h->parent = getpid();
	h->log_level = be->log_level;
	h->idle_us = be->idle_us;
	h->max_memory = be->max_device_memory;
	h->any_device = be->any_device;
	snprintf(h->device, sizeof(h->device), "%s", be->info.index);
	snprintf(h->cache_dir, sizeof(h->cache_dir), "%s",
		 be->cache_dir != NULL ? be->cache_dir : "");
	h->nb_regions = s->mem.nb;
	for (unsigned int i = 0; i < s->mem.nb; i++) {
		const struct mem_region *r = &s->mem.r[i];

		h->region[i] = (struct handover_region){r->gpa, r->size, r->fd_offset};
		m->region_fd[i] = r->fd;
	}
	h->nb_lanes = nb;
	for (unsigned int i = 0; i < nb; i++) {
		const struct vring_dev *vr = &q[i]->vr;

		m->kick_fd[i] = s->kick_fd[APIR_DATA_QUEUE(i)];
		m->call_fd[i] = s->call_fd[APIR_DATA_QUEUE(i)];
		h->lane[i] = (struct handover_lane){
			.desc = guest_address(&s->mem, vr->desc),
			.avail = guest_address(&s->mem, vr->avail),
			.used = guest_address(&s->mem, vr->used),
			.size = vr->size,
			.last_avail = vr->last_avail,
			.last_used = vr->used_idx,
			.event_idx = vr->event_idx,
			.has_kick = m->kick_fd[i] >= 0,
			.has_call = m->call_fd[i] >= 0,
		};
	}
}

/* It gets sock as HANDOVER_FD, our standard error, and nothing else of ours. Returns 0 or an errno. */
static int
spawn(const char *path, int sock, pid_t *pid)
{
	char *argv[] = {(char *)(uintptr_t) "apird-opencl", NULL};
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int ret;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	ret = posix_spawn_file_actions_adddup2(&fa, sock, HANDOVER_FD);
	if (ret == 0)
		ret = posix_spawn_file_actions_addopen(&fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (ret == 0)
		ret = posix_spawn_file_actions_addopen(&fa, STDOUT_FILENO, "/dev/null", O_WRONLY,
						       0);
	if (ret == 0)
		ret = posix_spawn_file_actions_addclosefrom_np(&fa, HANDOVER_FD + 1);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (ret == 0)
		ret = posix_spawn(pid, path, &fa, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return ret;
}

/* Where the worker left its rings: a request that it took and did not answer is there to be taken again. */
static void
take_stock(struct session *s)
{
	for (unsigned int i = 0; i < s->worker.nb_lanes; i++) {
		struct vring_dev *vr = &atomic_load(&s->q[i])->vr;

		vr->used_idx = VRING_READ(vr->used->idx);
		vr->last_avail = vr->used_idx;
	}
}

/* Wait for its end, which is near. */
static void
reap(struct session *s)
{
	struct worker *w = &s->worker;
	siginfo_t si;

	while (waitid(P_PID, (id_t)w->pid, &si, WEXITED) != 0 && errno == EINTR)
		;
	take_stock(s);
	if (w->pid_fd >= 0)
		close(w->pid_fd);
	w->pid = 0;
	w->pid_fd = -1;
	w->nb_lanes = 0;
}

static int
start(struct session *s, const struct handover_msg *m, char *why)
{
	struct worker *w = &s->worker;
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		snprintf(why, WORKER_WHY, "no socket pair: %s", strerror(errno));
		return -1;
	}
	ret = spawn(s->be->worker_path, pair[1], &w->pid);
	close(pair[1]);
	if (ret != 0) {
		snprintf(why, WORKER_WHY, "%.100s cannot be started: %s", s->be->worker_path,
			 strerror(ret));
		w->pid = 0;
		close(pair[0]);
		return -1;
	}
	w->pid_fd = (int)syscall(SYS_pidfd_open, w->pid, 0);
	ret = w->pid_fd >= 0 ? control_watch(s, w->pid_fd) : -errno;
	if (ret == 0)
		ret = handover_send(pair[0], m);
	close(pair[0]);
	if (ret == 0)
		return 0;
	snprintf(why, WORKER_WHY, "the session cannot be handed over to its worker: %s",
		 strerror(-ret));
	kill(w->pid, SIGKILL);
	reap(s);
	return -1;
}

int
worker_start(struct session *s, unsigned int nb, char *why)
{
	struct dataq *q[APIR_MAX_DATA_QUEUES];
	struct handover_msg m;
	int kick_fd[APIR_MAX_DATA_QUEUES];

	worker_stop(s);
	if (lanes_of(s, nb, q) != 0) {
		snprintf(why, WORKER_WHY, "the driver has taken a queue away");
		return -1;
	}
	/* Two who read one eventfd, or one ring, would take each other's. */
	poll_detach(s->be->poll, q, nb);
	describe(s, q, nb, &m);
	if (start(s, &m, why) == 0) {
		s->worker.nb_lanes = nb;
		return 0;
	}
	memcpy(kick_fd, m.kick_fd, sizeof(kick_fd));
	poll_attach(s->be->poll, q, kick_fd, nb);
	return -1;
}

static void
tell(const struct session *s, const siginfo_t *si)
{
	struct log_limit *limit = &s->be->limit;
	const char *name = s->driver_name;

	if (si->si_code == CLD_EXITED)
		log_limited(limit, LOG_ERR,
			    "session %u: the OpenCL worker of '%s' (process %d) ended with status "
			    "%d, its own last line says why: the program's calls fail from now on",
			    s->id, name, si->si_pid, si->si_status);
	else
		log_limited(
			limit, LOG_ERR,
			"session %u: the OpenCL worker of '%s' (process %d) was ended by signal %d "
			"(%s), %s: the program's calls fail from now on",
			s->id, name, si->si_pid, si->si_status, strsignal(si->si_status),
			si->si_status == SIGKILL
				? "sent by somebody, or by the kernel for want of memory"
			: si->si_status == SIGBUS
				? "most likely because the guest's memory went away"
				: "most likely by a kernel that reads or writes where it should "
				  "not");
}

void
worker_check(struct session *s)
{
	struct worker *w = &s->worker;
	struct dataq *q[APIR_MAX_DATA_QUEUES];
	siginfo_t si = {0};
	const unsigned int nb = w->nb_lanes;

	if (w->pid == 0 || waitid(P_PID, (id_t)w->pid, &si, WEXITED | WNOHANG | WNOWAIT) != 0 ||
	    si.si_pid == 0)
		return;
	tell(s, &si);
	reap(s);
	/* All are there: one that is taken away takes the worker along. */
	if (lanes_of(s, nb, q) != 0 || poll_attach(s->be->poll, q, &s->kick_fd[1], nb) != 0)
		log_limited(&s->be->limit, LOG_ERR,
			    "session %u: no memory to refuse the calls of its program: they are "
			    "not answered",
			    s->id);
}

void
worker_stop(struct session *s)
{
	struct worker *w = &s->worker;

	if (w->pid == 0)
		return;
	kill(w->pid, SIGKILL);
	reap(s);
}
