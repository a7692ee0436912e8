/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_memory.h>

#include "apir_private.h"
#include "apir_regions.h"
#include "dpdk_env.h"

#define MIB  (1u << 20)
#define PAGE 4096u

static struct apir_mem_region
piece(uintptr_t va, uint64_t size, int fd, uint64_t offset)
{
	return (struct apir_mem_region){
		.guest_addr = va, .va = (void *)va, .size = size, .fd = fd, .fd_offset = offset};
}

static void
add(struct apir_region_list *l, uintptr_t va, uint64_t size, int fd, uint64_t offset)
{
	const struct apir_mem_region r = piece(va, size, fd, offset);

	assert_int_equal(apir_region_add(l, &r), 0);
}

static void
test_join(void **state)
{
	struct apir_region_list l = {0};

	(void)state;
	add(&l, 0x10000, 0x1000, 3, 0);
	add(&l, 0x11000, 0x1000, 3, 0x1000); /* goes on in both */
	assert_int_equal(l.nb, 1);
	assert_int_equal(l.r[0].size, 0x2000);
	add(&l, 0x12000, 0x1000, 4, 0x2000); /* another file */
	add(&l, 0x13000, 0x1000, 4, 0x5000); /* elsewhere in the file */
	add(&l, 0x15000, 0x1000, 4, 0x6000); /* elsewhere in memory */
	assert_int_equal(l.nb, 4);
	free(l.r);
}

static void
test_many(void **state)
{
	struct apir_region_list l = {0};
	unsigned int i;

	(void)state;
	for (i = 0; i < 1000; i++)
		add(&l, 0x100000 + i * 0x2000, 0x1000, 3, i * 0x2000);
	assert_int_equal(l.nb, 1000);
	assert_int_equal(apir_region_reduce(&l, 8), 8);
	assert_int_equal(l.r[0].guest_addr, 0x100000);
	assert_int_equal(l.r[7].guest_addr + l.r[7].size, 0x100000 + 999 * 0x2000 + 0x1000);
	free(l.r);
}

/* The smallest holes are closed, and only those inside one file. */
static void
test_reduce(void **state)
{
	struct apir_region_list l = {0};

	(void)state;
	add(&l, 0x10000, 0x1000, 3, 0x0);
	add(&l, 0x20000, 0x1000, 3, 0x10000);
	add(&l, 0x23000, 0x1000, 3, 0x13000);
	add(&l, 0x30000, 0x1000, 4, 0);
	add(&l, 0x31800, 0x1000, 4, 0x1000); /* not at the same distance in the file */
	assert_int_equal(apir_region_reduce(&l, 4), 4);
	assert_int_equal(l.r[1].guest_addr, 0x20000);
	assert_int_equal(l.r[1].size, 0x4000);
	assert_int_equal(apir_region_reduce(&l, 3), 3);
	assert_int_equal(l.r[0].size, 0x14000);
	/* three files' pieces cannot be two regions */
	assert_int_equal(apir_region_reduce(&l, 2), 3);
	free(l.r);
}

static bool
covered(const struct apir_mem_region *r, int nb, const void *va, size_t len)
{
	int i;

	for (i = 0; i < nb; i++) {
		const struct apir_span s = {(uintptr_t)r[i].va, (uintptr_t)r[i].va + r[i].size};

		if (apir_span_has(&s, (uintptr_t)va, len))
			return true;
	}
	return false;
}

/* Map what a region names once more and see the same bytes. */
static void
assert_same_file(const struct apir_mem_region *r, int nb, void *va)
{
	const char text[] = "seen through the file";
	char *p;
	int i;

	memcpy(va, text, sizeof(text));
	for (i = 0; i < nb; i++) {
		if (!covered(&r[i], 1, va, sizeof(text)))
			continue;
		p = mmap(NULL, r[i].size, PROT_READ, MAP_SHARED, r[i].fd, (off_t)r[i].fd_offset);
		assert_ptr_not_equal(p, MAP_FAILED);
		assert_string_equal(p + ((char *)va - (char *)r[i].va), text);
		assert_int_equal(munmap(p, r[i].size), 0);
		return;
	}
	fail_msg("not covered");
}

static void
test_eal(void **state)
{
	struct apir_mem_region r[APIR_MEM_MAX_REGIONS];
	void *base = env_pool;
	struct apir_hole hole;
	int nb;

	(void)state;
	nb = apir_regions_get(r, APIR_MEM_MAX_REGIONS, NULL);
	assert_int_equal(nb, 1);
	assert_int_equal(r[0].size, 64 * MIB);
	assert_true(covered(r, nb, base, sizeof(*env_pool)));
	/* a hole in the middle leaves two pieces, one at the end leaves one */
	hole = (struct apir_hole){.addr = (uintptr_t)r[0].va + MIB, .len = MIB};
	nb = apir_regions_get(r, APIR_MEM_MAX_REGIONS, &hole);
	assert_int_equal(nb, 2);
	assert_int_equal(r[0].size, MIB);
	assert_int_equal(r[1].fd_offset, 2 * MIB);
	/* which one region can hold, hole included */
	assert_int_equal(apir_regions_get(r, 1, &hole), 1);
	assert_int_equal(r[0].size, 64 * MIB);
	hole.addr = (uintptr_t)r[0].va + 63 * MIB;
	assert_int_equal(apir_regions_get(r, APIR_MEM_MAX_REGIONS, &hole), 1);
	assert_int_equal(r[0].size, 63 * MIB);
}

static void *
map(size_t len, int flags, int fd, off_t offset)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, offset);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static int
memfd(size_t len)
{
	const int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	return fd;
}

static void
test_extmem_memfd(void **state)
{
	struct apir_mem_region r[APIR_MEM_MAX_REGIONS];
	const int fd = memfd(4 * MIB);
	void *p = map(2 * MIB, MAP_SHARED, fd, MIB);
	int fds, nb;

	(void)state;
	assert_int_equal(rte_extmem_register(p, 2 * MIB, NULL, 0, PAGE), 0);
	fds = env_count_fds();
	nb = apir_regions_get(r, APIR_MEM_MAX_REGIONS, NULL);
	assert_int_equal(nb, 2);
	assert_true(covered(r, nb, p, 2 * MIB));
	assert_int_equal(r[1].fd_offset, MIB);
	assert_same_file(r, nb, (char *)p + 5 * PAGE);
	assert_false(apir_extmem_refused((uintptr_t)p));
	/* one file of ours is open, however often the list is made, until the memory is gone */
	assert_int_equal(apir_regions_get(r, APIR_MEM_MAX_REGIONS, NULL), 2);
	assert_int_equal(env_count_fds(), fds + 1);
	assert_int_equal(rte_extmem_unregister(p, 2 * MIB), 0);
	assert_int_equal(apir_regions_get(r, APIR_MEM_MAX_REGIONS, NULL), 1);
	assert_int_equal(env_count_fds(), fds);
	munmap(p, 2 * MIB);
	close(fd);
}

/* The owner may have closed the file: its path is enough. */
static void
test_extmem_path(void **state)
{
	struct apir_mem_region r[APIR_MEM_MAX_REGIONS];
	char path[] = "/tmp/apir-regions-XXXXXX";
	const int fd = mkstemp(path);
	void *p;
	int nb;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, MIB), 0);
	p = map(MIB, MAP_SHARED, fd, 0);
	close(fd);
	assert_int_equal(rte_extmem_register(p, MIB, NULL, 0, PAGE), 0);
	nb = apir_regions_get(r, APIR_MEM_MAX_REGIONS, NULL);
	if (nb == 1 && apir_extmem_refused((uintptr_t)p)) {
		/*
		 * file systems that show one device number in maps and another in stat (overlay)
		 * cannot be matched
		 */
		print_message("skipped: %s lies on a file system of two device numbers\n", path);
	} else {
		assert_int_equal(nb, 2);
		assert_same_file(r, nb, p);
	}
	assert_int_equal(rte_extmem_unregister(p, MIB), 0);
	munmap(p, MIB);
	unlink(path);
	apir_extmem_close();
}

static void
assert_not_shared(void *p, size_t len)
{
	struct apir_mem_region r[APIR_MEM_MAX_REGIONS];
	int nb;

	assert_int_equal(rte_extmem_register(p, len, NULL, 0, PAGE), 0);
	nb = apir_regions_get(r, APIR_MEM_MAX_REGIONS, NULL);
	assert_int_equal(nb, 1);
	assert_false(covered(r, nb, p, 1));
	assert_true(apir_extmem_refused((uintptr_t)p));
	assert_true(apir_extmem_refused((uintptr_t)p + len - 1));
	assert_false(apir_extmem_refused((uintptr_t)p + len));
	assert_int_equal(rte_extmem_unregister(p, len), 0);
	assert_int_equal(apir_regions_get(r, APIR_MEM_MAX_REGIONS, NULL), 1);
	assert_false(apir_extmem_refused((uintptr_t)p));
}

static void
test_extmem_private(void **state)
{
	const int fd = memfd(2 * MIB);
	char *p;

	(void)state;
	p = map(MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_not_shared(p, MIB);
	munmap(p, MIB);
	p = map(MIB, MAP_PRIVATE, fd, 0);
	assert_not_shared(p, MIB);
	/* half of it shared is not enough */
	p = mmap(p, MIB / 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_not_shared(p, MIB);
	/* nor is a hole at the end, nor nothing at all */
	munmap(p + MIB / 2, MIB / 2);
	assert_not_shared(p, MIB);
	munmap(p, MIB / 2);
	assert_not_shared(p, MIB);
	close(fd);
}

/* Memory of two files, one behind the other, is two regions. */
static void
test_extmem_two_files(void **state)
{
	struct apir_mem_region r[APIR_MEM_MAX_REGIONS];
	const int a = memfd(MIB), b = memfd(MIB);
	char *p = map(2 * MIB, MAP_SHARED, a, 0);
	int nb;

	(void)state;
	assert_ptr_equal(mmap(p + MIB, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, b, 0),
			 p + MIB);
	assert_int_equal(rte_extmem_register(p, 2 * MIB, NULL, 0, PAGE), 0);
	nb = apir_regions_get(r, APIR_MEM_MAX_REGIONS, NULL);
	assert_int_equal(nb, 3);
	assert_true(covered(r, nb, p, MIB));
	assert_true(covered(r, nb, p + MIB, MIB));
	assert_same_file(r, nb, p + MIB);
	/* too many files: the text says what to do */
	apir_err_begin();
	assert_int_equal(apir_regions_get(r, 2, NULL), -E2BIG);
	assert_error_names("3 files");
	assert_error_names("--single-file-segments");
	assert_int_equal(rte_extmem_unregister(p, 2 * MIB), 0);
	munmap(p, 2 * MIB);
	close(a);
	close(b);
	apir_extmem_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join),	       cmocka_unit_test(test_many),
		cmocka_unit_test(test_reduce),	       cmocka_unit_test(test_eal),
		cmocka_unit_test(test_extmem_memfd),   cmocka_unit_test(test_extmem_path),
		cmocka_unit_test(test_extmem_private), cmocka_unit_test(test_extmem_two_files),
	};

	return cmocka_run_group_tests(tests, env_start, env_stop);
}
