/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* An apird of our own: started, watched, stopped. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define START_TIMEOUT_S 20
#define STOP_TIMEOUT_MS 3000

/* apird of the build this program belongs to. */
static int
default_program(char *path, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *end;

	if (n < 0)
		return -1;
	self[n] = '\0';
	for (unsigned int up = 0; up < 3; up++) { /* tests/bench/apir-bench */
		end = strrchr(self, '/');
		if (end == NULL)
			return -1;
		*end = '\0';
	}
	return (size_t)snprintf(path, size, "%s/backend/apird", self) < size ? 0 : -1;
}

static void
print_log(const struct backend *b)
{
	char path[sizeof(b->dir) + 16], line[1024];
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", b->dir);
	f = fopen(path, "r");
	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		fputs(line, stderr);
	fclose(f);
}

/* The caller's environment, with the folders for compiled kernels replaced. */
static char **
environment(const char *cache, char *xdg, char *pocl, size_t size)
{
	unsigned int n = 0, k = 0;
	char **env;

	while (environ[n] != NULL)
		n++;
	env = calloc(n + 3, sizeof(*env));
	if (env == NULL)
		return NULL;
	for (unsigned int i = 0; i < n; i++)
		if (cache == NULL || (strncmp(environ[i], "XDG_CACHE_HOME=", 15) != 0 &&
				      strncmp(environ[i], "POCL_CACHE_DIR=", 15) != 0))
			env[k++] = environ[i];
	if (cache != NULL) {
		snprintf(xdg, size, "XDG_CACHE_HOME=%s", cache);
		snprintf(pocl, size, "POCL_CACHE_DIR=%s/pocl", cache);
		env[k++] = xdg;
		env[k++] = pocl;
	}
	return env;
}

/* Only what may be called between fork and exec in a process of several threads. */
static void
become(char **argv, char **env, const cpu_set_t *cpus, int log)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sched_setaffinity(0, sizeof(*cpus), cpus);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	execve(argv[0], argv, env);
	_exit(127);
}

int
backend_start(struct backend *b, const struct options *o, const char *device, const char *cache)
{
	char program[PATH_MAX], log[sizeof(b->dir) + 16], core[16];
	char xdg[PATH_MAX], pocl[PATH_MAX];
	char *argv[] = {program,
			(char *)"--socket-path",
			b->socket,
			(char *)"--cores",
			core,
			(char *)"--device",
			(char *)(uintptr_t)device,
			NULL};
	char **env;
	int fd;

	memset(b, 0, sizeof(*b));
	b->pid = -1;
	if (o->apird != NULL) {
		snprintf(program, sizeof(program), "%s", o->apird);
	} else if (default_program(program, sizeof(program)) != 0) {
		fprintf(stderr, "apir-bench: can't tell where apird is: name it with --apird\n");
		return -1;
	}
	if (access(program, X_OK) != 0) {
		fprintf(stderr, "apir-bench: %s: %s: build it, or name another with --apird\n",
			program, strerror(errno));
		return -1;
	}
	snprintf(b->dir, sizeof(b->dir), "/tmp/apir-bench-XXXXXX");
	if (mkdtemp(b->dir) == NULL) {
		fprintf(stderr, "apir-bench: no temporary folder: %s\n", strerror(errno));
		return -1;
	}
	snprintf(b->socket, sizeof(b->socket), "%s/sock", b->dir);
	snprintf(log, sizeof(log), "%s/log", b->dir);
	snprintf(core, sizeof(core), "%d", o->apird_core);
	env = environment(cache, xdg, pocl, sizeof(xdg));
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (env != NULL && fd >= 0) {
		b->pid = fork();
		if (b->pid == 0)
			become(argv, env, &o->cpus, fd);
	}
	if (b->pid < 0)
		fprintf(stderr, "apir-bench: can't start apird: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
	free(env);
	if (b->pid > 0)
		return 0;
	backend_stop(b);
	return -1;
}

bool
backend_alive(struct backend *b)
{
	int status;

	if (b->pid <= 0 || waitpid(b->pid, &status, WNOHANG) == 0)
		return b->pid > 0;
	fprintf(stderr, "apir-bench: apird has ended (%s %d); its log:\n",
		WIFSIGNALED(status) ? "signal" : "exit code",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	print_log(b);
	b->pid = -1;
	return false;
}

int
backend_wait(struct backend *b)
{
	for (unsigned int i = 0; i < START_TIMEOUT_S * 1000; i++) {
		if (!backend_alive(b))
			return -1;
		if (access(b->socket, F_OK) == 0)
			return 0;
		usleep(1000);
	}
	fprintf(stderr, "apir-bench: apird does not listen after %d s; its log:\n",
		START_TIMEOUT_S);
	print_log(b);
	return -1;
}

uint64_t
backend_cpu_ns(const struct backend *b)
{
	struct timespec t = {0};
	clockid_t id;

	if (clock_getcpuclockid(b->pid, &id) != 0 || clock_gettime(id, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void
backend_stop(struct backend *b)
{
	char log[sizeof(b->dir) + 16];
	unsigned int ms = 0;

	if (b->pid > 0) {
		kill(b->pid, SIGTERM);
		while (waitpid(b->pid, NULL, WNOHANG) == 0) {
			if (++ms == STOP_TIMEOUT_MS) {
				fprintf(stderr, "apir-bench: apird ignores SIGTERM: killed\n");
				kill(b->pid, SIGKILL);
			}
			usleep(1000);
		}
		b->pid = -1;
	}
	if (b->dir[0] == '\0')
		return;
	snprintf(log, sizeof(log), "%s/log", b->dir);
	unlink(log);
	unlink(b->socket);
	rmdir(b->dir);
	b->dir[0] = '\0';
}
