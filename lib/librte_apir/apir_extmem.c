/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "apir_private.h"
#include "apir_regions.h"

/* Of external memory EAL knows the address only. What file it is, /proc/self/maps tells. */

struct mapping {
	uintptr_t start, end;
	bool shared, writable;
	uint64_t offset;
	dev_t dev;
	ino_t ino;
	char *path;
};

/* A file that we opened: one for all mappings of it. */
struct file {
	dev_t dev;
	ino_t ino;
	int fd;
	bool used; /* by the list being made */
};

/* All under the memory lock. */
static struct mapping *maps;
static unsigned int nb_maps;
static bool maps_read;
static struct file *files;
static unsigned int nb_files;
/* What cannot be shared: as published, and as it is being found. */
static struct apir_mem_table refused;
static struct apir_spans refused_now;
static unsigned int nb_refused;

static void
free_maps(void)
{
	while (nb_maps != 0)
		free(maps[--nb_maps].path);
	free(maps);
	maps = NULL;
	maps_read = false;
}

static bool
parse_line(const char *line, struct mapping *m)
{
	unsigned int major, minor;
	unsigned long ino;
	char perms[5];
	int at = 0;

	if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %" SCNx64 " %x:%x %lu %n", &m->start,
		   &m->end, perms, &m->offset, &major, &minor, &ino, &at) < 7 ||
	    at == 0)
		return false;
	m->shared = perms[3] == 's';
	m->writable = perms[1] == 'w';
	m->dev = makedev(major, minor);
	m->ino = ino;
	m->path = strndup(line + at, strcspn(line + at, "\n"));
	return m->path != NULL;
}

static void
read_maps(void)
{
	struct mapping *grown, m;
	char *line = NULL;
	size_t size = 0;
	FILE *f;

	maps_read = true;
	f = fopen("/proc/self/maps", "re");
	if (f == NULL) {
		APIR_LOG(WARNING,
			 "external memory is not shared: cannot read /proc/self/maps: %s\n",
			 strerror(errno));
		return;
	}
	while (getline(&line, &size, f) > 0) {
		if (!parse_line(line, &m))
			continue;
		grown = realloc(maps, (nb_maps + 1) * sizeof(*maps));
		if (grown == NULL) {
			free(m.path);
			break;
		}
		maps = grown;
		maps[nb_maps++] = m;
	}
	free(line);
	fclose(f);
}

/* Open path if it is the mapping's file. */
static int
open_same(const char *path, const struct mapping *m)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_ino == m->ino && st.st_dev == m->dev &&
	    S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -1;
}

/* A memfd has no path; its owner has it open, though. */
static int
open_from_own_fds(const struct mapping *m)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	char path[64];
	struct stat st;
	int fd = -1;

	if (dir == NULL)
		return -1;
	while (fd < 0 && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.' || fstat(atoi(e->d_name), &st) != 0 ||
		    st.st_ino != m->ino || st.st_dev != m->dev)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", atoi(e->d_name));
		fd = open_same(path, m);
	}
	closedir(dir);
	return fd;
}

static int
open_file(const struct mapping *m)
{
	char path[64];
	int fd = -1;

	if (m->path[0] == '/')
		fd = open_same(m->path, m);
	if (fd < 0)
		fd = open_from_own_fds(m);
	if (fd < 0) {
		/* always right, but needs CAP_CHECKPOINT_RESTORE */
		snprintf(path, sizeof(path), "/proc/self/map_files/%" PRIxPTR "-%" PRIxPTR,
			 m->start, m->end);
		fd = open_same(path, m);
	}
	return fd;
}

/* The file behind a mapping. Returns an fd or -1. */
static int
find_file(const struct mapping *m)
{
	struct file *grown;
	unsigned int i;
	int fd;

	for (i = 0; i < nb_files; i++) {
		if (files[i].dev == m->dev && files[i].ino == m->ino) {
			files[i].used = true;
			return files[i].fd;
		}
	}
	fd = open_file(m);
	if (fd < 0)
		return -1;
	grown = realloc(files, (nb_files + 1) * sizeof(*files));
	if (grown == NULL) {
		close(fd);
		return -1;
	}
	files = grown;
	files[nb_files++] = (struct file){.dev = m->dev, .ino = m->ino, .fd = fd, .used = true};
	return fd;
}

bool
apir_extmem_refused(uintptr_t va)
{
	struct apir_spans r;
	unsigned int i;

	apir_mem_table_read(&refused, &r);
	for (i = 0; i < APIR_MEM_MAX_REGIONS; i++) {
		if (apir_span_has(&r.r[i], va, 1))
			return true;
	}
	return false;
}

static void
refuse(uintptr_t va, size_t len, const char *why)
{
	if (!apir_extmem_refused(va))
		APIR_LOG(WARNING,
			 "external memory 0x%" PRIxPTR "-0x%" PRIxPTR
			 " is not shared with the back-end, and packets in it are refused: %s. Map "
			 "it "
			 "MAP_SHARED from a file of hugetlbfs or a memfd\n",
			 va, va + len, why);
	if (nb_refused < APIR_MEM_MAX_REGIONS)
		refused_now.r[nb_refused++] = (struct apir_span){.start = va, .end = va + len};
}

void
apir_extmem_begin(void)
{
	unsigned int i;

	for (i = 0; i < nb_files; i++)
		files[i].used = false;
	memset(&refused_now, 0, sizeof(refused_now));
	nb_refused = 0;
}

int
apir_extmem_add(struct apir_region_list *l, uintptr_t va, size_t len)
{
	const unsigned int before = l->nb;
	const struct apir_mem_region last =
		before != 0 ? l->r[before - 1] : (struct apir_mem_region){0};
	uintptr_t at = va;
	unsigned int i;
	int ret = 0;

	if (!maps_read)
		read_maps();
	for (i = 0; ret == 0 && i < nb_maps && at < va + len; i++) {
		const struct mapping *m = &maps[i];
		struct apir_mem_region r = {.guest_addr = at, .va = (void *)at};

		if (m->end <= at)
			continue;
		if (m->start > at)
			break;
		if (!m->shared || !m->writable || m->ino == 0)
			break;
		r.fd = find_file(m);
		if (r.fd < 0)
			break;
		r.size = RTE_MIN(m->end, va + len) - at;
		r.fd_offset = m->offset + (at - m->start);
		ret = apir_region_add(l, &r);
		at += r.size;
	}
	if (ret == 0 && at < va + len) {
		/* all of it or nothing: a packet may lie across */
		const char *why = "its mapping is not to be found";

		if (i < nb_maps && maps[i].start <= at && maps[i].end > at)
			why = maps[i].shared && maps[i].ino != 0
				      ? "the file behind it cannot be opened for writing"
				      : "it is private or anonymous memory";
		l->nb = before;
		if (before != 0)
			l->r[before - 1] = last;
		refuse(va, len, why);
	}
	return ret;
}

void
apir_extmem_end(void)
{
	unsigned int i, kept = 0;

	for (i = 0; i < nb_files; i++) {
		if (files[i].used)
			files[kept++] = files[i];
		else
			close(files[i].fd);
	}
	nb_files = kept;
	apir_mem_table_write(&refused, &refused_now);
	free_maps();
}

void
apir_extmem_close(void)
{
	apir_extmem_begin();
	apir_extmem_end();
	free(files);
	files = NULL;
}
