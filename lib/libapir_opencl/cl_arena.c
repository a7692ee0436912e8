/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cl_arena.h"
#include "cl_session.h"

/*
 * The arena is cut into units. A small piece lies in a slab, one unit of pieces of one size; a large piece is a run of units.
 * What is known of them lies outside: the device can write to the arena.
 */
#define UNIT_SHIFT 16
#define UNIT	   ((size_t)1 << UNIT_SHIFT)
#define MIN_SHIFT  6
#define MAX_SHIFT  15 /* of small pieces */
#define NB_CLASSES (MAX_SHIFT - MIN_SHIFT + 1)
#define NONE	   UINT32_MAX

/*
 * Where both sides are likely to have nothing, which SVM needs; sanitizers' programs may map there, too. And the alignment of huge
 * pages.
 */
#define HINT  ((uintptr_t)0x7e9000000000)
#define ALIGN ((size_t)2 << 20)

/* Freed pieces of at least PUNCH bytes go back to the system once more than KEEP bytes lie about. */
#define PUNCH ((size_t)256 << 10)
#define KEEP  ((size_t)96 << 20)

enum state { TAKEN_INNER, FREE_RUN, TAKEN_RUN, SLAB };

struct slab {
	struct slab *prev, *next; /* of those with room */
	uint32_t unit;
	uint16_t nb, nb_free;
	uint8_t cls;
	uint64_t map[UNIT >> MIN_SHIFT >> 6]; /* 1: free */
};

struct unit {
	uint32_t nb; /* at both ends of a free run, at the beginning of a taken one */
	uint8_t state;
	bool dirty; /* was used before: not zero, and takes memory */
	union {
		struct {
			uint32_t prev, next;
		} run; /* free ones */
		struct slab *slab;
	};
};

static struct {
	pthread_mutex_t lock;
	uint8_t *base;
	size_t size;
	int fd;
	struct unit *units;
	uint32_t nb_units;
	uint32_t runs; /* free ones */
	uint32_t top;  /* no unit from here on was ever taken */
	size_t kept;   /* dirty bytes in free runs */
	struct slab *room[NB_CLASSES];
} arena = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1, .runs = NONE};

/* Free runs ---------------------------------------------------------------------------------------------------------- */

static void
run_unlink(uint32_t i)
{
	const uint32_t prev = arena.units[i].run.prev, next = arena.units[i].run.next;

	if (prev == NONE)
		arena.runs = next;
	else
		arena.units[prev].run.next = next;
	if (next != NONE)
		arena.units[next].run.prev = prev;
}

static void
run_link(uint32_t i, uint32_t nb)
{
	struct unit *u = arena.units;

	u[i].state = u[i + nb - 1].state = FREE_RUN;
	u[i].nb = u[i + nb - 1].nb = nb;
	u[i].run.prev = NONE;
	u[i].run.next = arena.runs;
	if (arena.runs != NONE)
		u[arena.runs].run.prev = i;
	arena.runs = i;
}

/* Give units back, joined with what is free beside them. */
static void
run_put(uint32_t i, uint32_t nb)
{
	struct unit *u = arena.units;

	if (i + nb < arena.nb_units && u[i + nb].state == FREE_RUN) {
		run_unlink(i + nb);
		u[i + nb].state = TAKEN_INNER;
		nb += u[i + nb].nb;
	}
	if (i > 0 && u[i - 1].state == FREE_RUN) {
		const uint32_t before = u[i - 1].nb;

		run_unlink(i - before);
		u[i].state = u[i - 1].state = TAKEN_INNER;
		i -= before;
		nb += before;
	}
	run_link(i, nb);
}

/* The lowest free run with nb units from a multiple of align units on; NONE when there is none. */
static uint32_t
run_take(uint32_t nb, uint32_t align)
{
	struct unit *u = arena.units;
	uint32_t best = NONE, first, end;

	for (uint32_t i = arena.runs; i != NONE; i = u[i].run.next) {
		const uint64_t at = ((uint64_t)i + align - 1) & ~((uint64_t)align - 1);

		if (i < best && at + nb <= (uint64_t)i + u[i].nb)
			best = i;
	}
	if (best == NONE)
		return NONE;
	first = (best + align - 1) & ~(align - 1);
	end = best + u[best].nb;
	run_unlink(best);
	u[best].state = u[end - 1].state = TAKEN_INNER;
	if (first > best)
		run_link(best, first - best);
	if (end > first + nb)
		run_link(first + nb, end - first - nb);
	for (uint32_t i = first; i < first + nb; i++)
		if (u[i].dirty)
			arena.kept -= UNIT;
	u[first].state = TAKEN_RUN;
	u[first].nb = nb;
	if (arena.top < first + nb)
		arena.top = first + nb;
	return first;
}

/* Slabs -------------------------------------------------------------------------------------------------------------- */

static void
slab_link(struct slab *s)
{
	s->prev = NULL;
	s->next = arena.room[s->cls];
	if (s->next != NULL)
		s->next->prev = s;
	arena.room[s->cls] = s;
}

static void
slab_unlink(struct slab *s)
{
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		arena.room[s->cls] = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
}

static struct slab *
slab_new(unsigned int cls)
{
	struct slab *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->unit = run_take(1, 1);
	if (s->unit == NONE) {
		free(s);
		return NULL;
	}
	s->cls = (uint8_t)cls;
	s->nb = s->nb_free = (uint16_t)(UNIT >> (cls + MIN_SHIFT));
	for (unsigned int i = 0; i < s->nb; i++)
		s->map[i / 64] |= 1ull << i % 64;
	arena.units[s->unit].state = SLAB;
	arena.units[s->unit].slab = s;
	arena.units[s->unit].dirty = true;
	slab_link(s);
	return s;
}

static void *
small_alloc(unsigned int cls)
{
	struct slab *s = arena.room[cls];
	unsigned int w = 0, bit;

	if (s == NULL)
		s = slab_new(cls);
	if (s == NULL)
		return NULL;
	while (s->map[w] == 0)
		w++;
	bit = (unsigned int)__builtin_ctzll(s->map[w]);
	s->map[w] &= ~(1ull << bit);
	if (--s->nb_free == 0)
		slab_unlink(s);
	return arena.base + ((size_t)s->unit << UNIT_SHIFT) +
	       ((size_t)(w * 64 + bit) << (cls + MIN_SHIFT));
}

static void
small_free(struct slab *s, size_t off)
{
	const unsigned int i = (unsigned int)(off >> (s->cls + MIN_SHIFT));

	if (off & (((size_t)1 << (s->cls + MIN_SHIFT)) - 1) || s->map[i / 64] & 1ull << i % 64) {
		cl_debug("the arena: what was freed had not been allocated");
		return;
	}
	s->map[i / 64] |= 1ull << i % 64;
	if (s->nb_free++ == 0)
		slab_link(s);
	/* the last one with room stays */
	if (s->nb_free < s->nb || (s->prev == NULL && s->next == NULL))
		return;
	slab_unlink(s);
	arena.kept += UNIT;
	run_put(s->unit, 1);
	free(s);
}

/* The whole ---------------------------------------------------------------------------------------------------------- */

static void *
alloc(size_t size, size_t align, bool zero)
{
	struct unit *u = arena.units;
	uint8_t *p = NULL;
	unsigned int shift;
	uint32_t i, nb;

	if (size == 0)
		size = 1;
	if (align < (1u << MIN_SHIFT))
		align = 1u << MIN_SHIFT;
	if (size > arena.size || align > arena.size)
		return NULL;
	nb = (uint32_t)((size + UNIT - 1) >> UNIT_SHIFT);
	shift = 64u - (unsigned int)__builtin_clzll((size > align ? size : align) - 1);
	pthread_mutex_lock(&arena.lock);
	if (shift <= MAX_SHIFT) {
		p = small_alloc(shift - MIN_SHIFT);
		pthread_mutex_unlock(&arena.lock);
		if (p != NULL && zero)
			memset(p, 0, size);
		return p;
	}
	i = arena.nb_units == 0 ? NONE
				: run_take(nb, align > UNIT ? (uint32_t)(align >> UNIT_SHIFT) : 1);
	pthread_mutex_unlock(&arena.lock);
	if (i == NONE)
		return NULL;
	p = arena.base + ((size_t)i << UNIT_SHIFT);
	for (uint32_t j = i; j < i + nb; j++) {
		if (zero && u[j].dirty)
			memset(arena.base + ((size_t)j << UNIT_SHIFT), 0, UNIT);
		u[j].dirty = true;
	}
	return p;
}

void *
cl_arena_alloc(size_t size, size_t align)
{
	return alloc(size, align, false);
}

void *
cl_arena_zalloc(size_t size, size_t align)
{
	return alloc(size, align, true);
}

static void
punch(uint32_t i, uint32_t nb)
{
	if (fallocate(arena.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)i << UNIT_SHIFT,
		      (off_t)nb << UNIT_SHIFT) != 0)
		return;
	for (uint32_t j = i; j < i + nb; j++)
		arena.units[j].dirty = false;
}

void
cl_arena_free(void *p)
{
	struct unit *u = arena.units;
	bool back;
	size_t off;
	uint32_t i, nb;

	if (p == NULL || !cl_arena_holds(p, 1))
		return;
	off = (size_t)((uint8_t *)p - arena.base);
	i = (uint32_t)(off >> UNIT_SHIFT);
	pthread_mutex_lock(&arena.lock);
	if (i < arena.nb_units && u[i].state == SLAB) {
		small_free(u[i].slab, off & (UNIT - 1));
		pthread_mutex_unlock(&arena.lock);
		return;
	}
	if (i >= arena.nb_units || u[i].state != TAKEN_RUN || (off & (UNIT - 1)) != 0) {
		pthread_mutex_unlock(&arena.lock);
		cl_debug("the arena: what was freed had not been allocated");
		return;
	}
	nb = u[i].nb;
	u[i].state = TAKEN_INNER;
	back = (size_t)nb << UNIT_SHIFT >= PUNCH && arena.kept + ((size_t)nb << UNIT_SHIFT) > KEEP;
	pthread_mutex_unlock(&arena.lock);

	/* neither taken nor free: nobody else comes near it meanwhile */
	if (back)
		punch(i, nb);
	pthread_mutex_lock(&arena.lock);
	for (uint32_t j = i; j < i + nb; j++)
		if (u[j].dirty)
			arena.kept += UNIT;
	run_put(i, nb);
	pthread_mutex_unlock(&arena.lock);
}

bool
cl_arena_holds(const void *p, size_t len)
{
	const uintptr_t off = (uintptr_t)p - (uintptr_t)arena.base;

	return arena.base != NULL && off < arena.size && len <= arena.size - off;
}

/* The device's names are our addresses: one number less to be mistaken. */
uint64_t
cl_arena_addr(const void *p)
{
	return (uintptr_t)p;
}

void *
cl_arena_ptr(uint64_t addr, size_t len)
{
	void *p = (void *)(uintptr_t)addr;

	return cl_arena_holds(p, len) ? p : NULL;
}

void
cl_arena_whole(void **base, size_t *size, int *fd)
{
	*base = arena.base;
	*size = arena.size;
	*fd = arena.fd;
}

int
cl_arena_limit(uint64_t addr)
{
	const size_t off = (size_t)(addr - cl_arena_addr(arena.base));
	struct unit *u = arena.units;
	uint32_t last, nb, begin;
	int ret = -ENOSPC;

	if (addr < cl_arena_addr(arena.base) || off > arena.size)
		return -EINVAL;
	nb = (uint32_t)(off >> UNIT_SHIFT);
	pthread_mutex_lock(&arena.lock);
	last = arena.nb_units - 1;
	if (nb == arena.nb_units) {
		ret = 0;
	} else if (u[last].state == FREE_RUN) {
		begin = arena.nb_units - u[last].nb;
		if (begin <= nb) {
			run_unlink(begin);
			u[begin].state = u[last].state = TAKEN_INNER;
			arena.nb_units = nb;
			if (begin < nb)
				run_link(begin, nb - begin);
			ret = 0;
		}
	}
	pthread_mutex_unlock(&arena.lock);
	return ret;
}

/* Opening and forking ------------------------------------------------------------------------------------------------ */

static int
map(int fd, size_t size, bool huge)
{
	/* huge pages are reserved now, or the first one too many would kill the program */
	const int flags = MAP_SHARED | (huge ? 0 : MAP_NORESERVE);
	uint8_t *p, *at;

	p = mmap((void *)HINT, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, fd, 0);
	if (p != MAP_FAILED && p != (uint8_t *)HINT)
		munmap(p, size); /* a kernel that does not know the flag */
	if (p != (uint8_t *)HINT) {
		at = mmap(NULL, size + ALIGN, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (at == MAP_FAILED)
			return -errno;
		p = (uint8_t *)(((uintptr_t)at + ALIGN - 1) & ~(ALIGN - 1));
		if (p > at)
			munmap(at, (size_t)(p - at));
		if (at + ALIGN > p)
			munmap(p + size, (size_t)(at + ALIGN - p));
		if (mmap(p, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == MAP_FAILED) {
			const int err = errno;

			munmap(p, size);
			return -err;
		}
	}
	/* without this a child could write into what the device does for its parent */
	if (madvise(p, size, MADV_DONTFORK) != 0) {
		const int err = errno;

		munmap(p, size);
		return -err;
	}
	if (!huge)
		madvise(p, size, MADV_HUGEPAGE); /* where the system gives them */
	arena.base = p;
	return 0;
}

static int
open_file(size_t size, bool huge)
{
	const int fd = memfd_create("apir-opencl", MFD_CLOEXEC | (huge ? MFD_HUGETLB : 0));
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) != 0)
		ret = -errno;
	if (ret == 0)
		ret = map(fd, size, huge);
	if (ret != 0) {
		close(fd);
		return ret;
	}
	arena.fd = fd;
	return 0;
}

int
cl_arena_open(size_t size, bool hugepages)
{
	struct unit *units;
	int ret = -1;

	size = (size + ALIGN - 1) & ~(ALIGN - 1);
	if (size == 0 || size >> UNIT_SHIFT >= NONE)
		return -EINVAL;
	units = mmap(NULL, (size >> UNIT_SHIFT) * sizeof(*units), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (units == MAP_FAILED)
		return -ENOMEM;
	if (hugepages) {
		ret = open_file(size, true);
		if (ret != 0)
			cl_debug("no huge pages for the arena of %zu MiB: %s", size >> 20,
				 strerror(-ret));
	}
	if (ret != 0)
		ret = open_file(size, false);
	if (ret != 0) {
		cl_debug("no arena of %zu MiB: %s", size >> 20, strerror(-ret));
		munmap(units, (size >> UNIT_SHIFT) * sizeof(*units));
		return ret;
	}
	arena.size = size;
	arena.units = units;
	arena.nb_units = (uint32_t)(size >> UNIT_SHIFT);
	arena.kept = 0;
	memset(arena.room, 0, sizeof(arena.room));
	run_link(0, arena.nb_units);
	return 0;
}

static void
forget(void)
{
	for (uint32_t i = 0; i < arena.top; i++)
		if (arena.units[i].state == SLAB)
			free(arena.units[i].slab);
	arena.top = 0;
	arena.runs = NONE;
	if (arena.units != NULL)
		munmap(arena.units, (arena.size >> UNIT_SHIFT) * sizeof(*arena.units));
	if (arena.fd >= 0)
		close(arena.fd);
	arena.units = NULL;
	arena.base = NULL;
	arena.size = 0;
	arena.nb_units = 0;
	arena.fd = -1;
}

void
cl_arena_close(void)
{
	if (arena.base != NULL)
		munmap(arena.base, arena.size);
	forget();
}

void
cl_arena_fork_prepare(void)
{
	pthread_mutex_lock(&arena.lock);
}

void
cl_arena_fork_parent(void)
{
	pthread_mutex_unlock(&arena.lock);
}

void
cl_arena_fork_child(void)
{
	forget();
	pthread_mutex_unlock(&arena.lock);
}
