/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_env.h"

static struct fake_env *
to_fake(const struct apir_env *env)
{
	return (struct fake_env *)(uintptr_t)env;
}

static void *
fake_alloc(const struct apir_env *env, size_t size, size_t align, int numa_node)
{
	struct fake_env *fe = to_fake(env);
	const size_t start = (fe->used + align - 1) & ~(align - 1);

	(void)numa_node;
	if (fe->fail_after == 0 || start + size > fe->size)
		return NULL;
	if (fe->fail_after > 0)
		fe->fail_after--;
	fe->used = start + size;
	fe->live++;
	memset(fe->base + start, 0, size);
	return fe->base + start;
}

static void
fake_free(const struct apir_env *env, void *p)
{
	struct fake_env *fe = to_fake(env);

	(void)p;
	if (--fe->live == 0)
		fe->used = 0;
}

static uint64_t
fake_addr(const struct apir_env *env, const void *p)
{
	(void)env;
	return (uintptr_t)p + FAKE_GUEST_OFFSET;
}

static int
fake_regions(const struct apir_env *env, struct apir_mem_region *regions, unsigned int max)
{
	struct fake_env *fe = to_fake(env);

	fe->regions_asked++;
	if (fe->on_regions != NULL)
		fe->on_regions(fe);
	if (fe->regions_ret < 0)
		return fe->regions_ret;
	if (max == 0)
		return -E2BIG;
	regions[0] = fake_env_region(fe);
	return fe->regions_ret;
}

static void
fake_vlog(const struct apir_env *env, enum apir_log_level level, const char *fmt, va_list ap)
{
	struct fake_env *fe = to_fake(env);
	int n;

	pthread_mutex_lock(&fe->lock);
	n = vsnprintf(fe->log + fe->log_len, sizeof(fe->log) - fe->log_len, fmt, ap);
	if (getenv("APIR_TEST_LOG") != NULL)
		fprintf(stderr, "log %d: %s\n", level, fe->log + fe->log_len);
	if (n > 0 && fe->log_len + n + 2 < sizeof(fe->log)) {
		fe->log_len += n;
		fe->log[fe->log_len++] = '\n';
		fe->log[fe->log_len] = '\0';
	}
	pthread_mutex_unlock(&fe->lock);
}

void
fake_env_init(struct fake_env *fe, size_t size)
{
	memset(fe, 0, sizeof(*fe));
	fe->env.dma_alloc = fake_alloc;
	fe->env.dma_free = fake_free;
	fe->env.dma_addr = fake_addr;
	fe->env.mem_regions = fake_regions;
	fe->env.vlog = fake_vlog;
	fe->fail_after = -1;
	fe->regions_ret = 1;
	fe->size = size;
	pthread_mutex_init(&fe->lock, NULL);
	fe->fd = memfd_create("fake_env", MFD_CLOEXEC);
	if (fe->fd < 0 || ftruncate(fe->fd, (off_t)(FAKE_FD_OFFSET + size)) != 0)
		abort();
	fe->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fe->fd, FAKE_FD_OFFSET);
	if (fe->base == MAP_FAILED)
		abort();
}

void
fake_env_fini(struct fake_env *fe)
{
	munmap(fe->base, fe->size);
	close(fe->fd);
	pthread_mutex_destroy(&fe->lock);
}

void *
fake_env_va(const struct fake_env *fe, uint64_t guest_addr, size_t len)
{
	const uint64_t start = (uintptr_t)fe->base + FAKE_GUEST_OFFSET;

	if (guest_addr < start || len > fe->size || guest_addr - start > fe->size - len)
		return NULL;
	return fe->base + (guest_addr - start);
}

struct apir_mem_region
fake_env_region(const struct fake_env *fe)
{
	return (struct apir_mem_region){.guest_addr = (uintptr_t)fe->base + FAKE_GUEST_OFFSET,
					.size = fe->size,
					.va = fe->base,
					.fd = fe->fd,
					.fd_offset = FAKE_FD_OFFSET};
}

bool
fake_env_logged(struct fake_env *fe, const char *text)
{
	bool found;

	pthread_mutex_lock(&fe->lock);
	found = strstr(fe->log, text) != NULL;
	pthread_mutex_unlock(&fe->lock);
	return found;
}

void
fake_env_log_clear(struct fake_env *fe)
{
	pthread_mutex_lock(&fe->lock);
	fe->log_len = 0;
	fe->log[0] = '\0';
	pthread_mutex_unlock(&fe->lock);
}

int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (d == NULL)
		abort();
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}
