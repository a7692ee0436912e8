/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* PCI functions as sysfs shows them: a tree of our own in a temporary folder. */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "apir_pci.h"
#include "fake_env.h"

#define A "0000:00:05.0"
#define B "0000:00:0a.0"
#define C "0001:00:02.3"

static char root[64];
static int fds_before;

static int
setup(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/apir-sysfs-XXXXXX");
	apir_sysfs = root;
	fds_before = count_fds();
	return mkdtemp(root) == NULL;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
teardown(void **state)
{
	(void)state;
	apir_sysfs = "/sys";
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0 || count_fds() != fds_before;
}

/* A folder below the root and those above it. */
static void
make_dir(const char *dir)
{
	char path[PATH_MAX], *p;

	snprintf(path, sizeof(path), "%s/%s", root, dir);
	for (p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*p = '/';
	}
	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
}

static const char *
dev_path(const char *addr, const char *file)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/%s", addr, file);
	return path;
}

static void
make_file(const char *file, const void *bytes, size_t len)
{
	char path[PATH_MAX];
	int fd;

	assert_true((size_t)snprintf(path, sizeof(path), "%s/%s", root, file) < sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void
make_text(const char *file, const char *text)
{
	make_file(file, text, strlen(text));
}

static void
make_device(const char *addr, const char *vendor, const char *device)
{
	make_dir(dev_path(addr, ""));
	if (vendor != NULL)
		make_text(dev_path(addr, "vendor"), vendor);
	if (device != NULL)
		make_text(dev_path(addr, "device"), device);
}

/* A disk as the kernel's driver shows it. */
static void
make_disk(const char *addr, const char *name, const char *sectors)
{
	char dir[PATH_MAX], file[PATH_MAX + 8];

	snprintf(dir, sizeof(dir), "bus/pci/devices/%s/virtio3/block/%s", addr, name);
	make_dir(dir);
	snprintf(file, sizeof(file), "%s/size", dir);
	if (sectors != NULL)
		make_text(file, sectors);
}

static struct {
	char text[256];
	unsigned int calls, stop_at;
} seen;

static int
note(const char *addr, const struct apir_carrier *carrier, void *ctx)
{
	const size_t len = strlen(seen.text);

	assert_ptr_equal(ctx, &seen);
	snprintf(seen.text + len, sizeof(seen.text) - len, "%s=%04x ", addr, carrier->device_id);
	return ++seen.calls == seen.stop_at ? 4711 : 0;
}

static int
each(unsigned int stop_at)
{
	memset(&seen, 0, sizeof(seen));
	seen.stop_at = stop_at;
	return apir_pci_sysfs_each(note, &seen);
}

static void
listing(void **state)
{
	(void)state;
	/* made in another order than they are to be named in */
	make_device(C, "0x1af4\n", "0x107f\n");
	make_device(B, "0x1af4\n", "0x1042\n");
	make_device(A, "0x1af4\n", "0x105a\n");
	make_device("0000:00:09.0", "0x1af4\n", "0x1001\n");
	/* a network card, a device of another vendor, and some of which nothing can be known */
	make_device("0000:00:03.0", "0x1af4\n", "0x1041\n");
	make_device("0000:00:04.0", "0x8086\n", "0x105a\n");
	make_device("0000:00:06.0", NULL, "0x105a\n");
	make_device("0000:00:07.0", "0x1af4\n", NULL);
	make_device("0000:00:08.0", "", "");
	make_device("0000:00:0b.0", "junk", "junk");
	make_dir("bus/pci/devices/.hidden");
	assert_int_equal(each(0), 0);
	assert_string_equal(seen.text, "0000:00:05.0=105a 0000:00:09.0=1001 0000:00:0a.0=1042 "
				       "0001:00:02.3=107f ");
	/* until it is told to stop */
	assert_int_equal(each(2), 4711);
	assert_string_equal(seen.text, "0000:00:05.0=105a 0000:00:09.0=1001 ");
	assert_int_equal(each(4), 4711);
}

static void
nothing_to_list(void **state)
{
	(void)state;
	/* a machine without PCI, and one without devices */
	assert_int_equal(each(0), 0);
	make_dir("bus/pci/devices");
	assert_int_equal(each(0), 0);
	assert_int_equal(seen.calls, 0);
}

static void
listing_fails(void **state)
{
	(void)state;
	make_dir("bus/pci");
	make_text("bus/pci/devices", "no folder");
	assert_int_equal(each(0), -ENOTDIR);
}

static void
driver(void **state)
{
	char name[32] = "before", small[4], path[PATH_MAX];

	(void)state;
	apir_pci_sysfs_driver(A, name, sizeof(name));
	assert_string_equal(name, "");
	make_device(A, "0x1af4\n", "0x105a\n");
	strcpy(name, "before");
	apir_pci_sysfs_driver(A, name, sizeof(name));
	assert_string_equal(name, "");
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver", root, A);
	assert_int_equal(symlink("../../../bus/pci/drivers/uio_pci_generic", path), 0);
	apir_pci_sysfs_driver(A, name, sizeof(name));
	assert_string_equal(name, "uio_pci_generic");
	apir_pci_sysfs_driver(A, small, sizeof(small));
	assert_string_equal(small, "uio");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("vfio-pci", path), 0);
	apir_pci_sysfs_driver(A, name, sizeof(name));
	assert_string_equal(name, "vfio-pci");
}

static void
disks(void **state)
{
	(void)state;
	/* no such function; none that any driver has */
	assert_false(apir_pci_sysfs_is_disk_in_use(A));
	make_device(A, "0x1af4\n", "0x1042\n");
	assert_false(apir_pci_sysfs_is_disk_in_use(A));
	/* virtio's driver has it, and there is no disk, or one that does not tell its size */
	make_dir(dev_path(A, "virtio3"));
	assert_false(apir_pci_sysfs_is_disk_in_use(A));
	make_dir(dev_path(A, "virtio3/block"));
	assert_false(apir_pci_sysfs_is_disk_in_use(A));
	make_disk(A, "vda", NULL);
	assert_false(apir_pci_sysfs_is_disk_in_use(A));
	/* of no sectors, then of some */
	make_disk(A, "vda", "0\n");
	assert_false(apir_pci_sysfs_is_disk_in_use(A));
	make_disk(A, "vdb", "1\n");
	assert_true(apir_pci_sysfs_is_disk_in_use(A));
	/* it is this function's disk, no other's */
	make_device(B, "0x1af4\n", "0x1042\n");
	assert_false(apir_pci_sysfs_is_disk_in_use(B));
	/* more sectors than 32 bits count */
	make_disk(B, "vdc", "8589934592\n");
	assert_true(apir_pci_sysfs_is_disk_in_use(B));
}

/* A file system's device has a folder of the same kind, without disks. */
static void
no_disk(void **state)
{
	(void)state;
	make_device(A, "0x1af4\n", "0x105a\n");
	make_dir(dev_path(A, "virtio0/net/eth0"));
	make_dir(dev_path(A, "power/block/vda"));
	make_text(dev_path(A, "power/block/vda/size"), "100\n");
	assert_false(apir_pci_sysfs_is_disk_in_use(A));
}

static void
open_none(void **state)
{
	struct apir_pci_sysfs s;

	(void)state;
	assert_int_equal(apir_pci_sysfs_open(&s, A), -ENODEV);
	apir_pci_sysfs_close(&s);
	make_device(A, "0x1af4\n", "0x105a\n");
	assert_int_equal(apir_pci_sysfs_open(&s, A), -ENODEV);
	assert_int_equal(apir_pci_sysfs_open(&s, "../../etc"), -EINVAL);
	apir_pci_sysfs_close(&s);
	/* what is there cannot be opened for reading and writing */
	make_dir(dev_path(A, "config"));
	assert_int_equal(apir_pci_sysfs_open(&s, A), -EISDIR);
	apir_pci_sysfs_close(&s);
}

static void
config_space(void **state)
{
	uint8_t bytes[256], back[256], two[2] = {0xaa, 0xbb};
	struct apir_pci_sysfs s;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	make_device(A, "0x1af4\n", "0x105a\n");
	make_file(dev_path(A, "config"), bytes, sizeof(bytes));
	/* the short form names the same file */
	assert_int_equal(apir_pci_sysfs_open(&s, "0:5.0"), 0);
	assert_string_equal(s.pci.addr, A);
	assert_null(s.pci.ops->bar);
	assert_int_equal(s.pci.ops->cfg_read(s.pci.ctx, 0, back, sizeof(back)), 0);
	assert_memory_equal(back, bytes, sizeof(bytes));
	assert_int_equal(s.pci.ops->cfg_write(s.pci.ctx, 0x80, two, sizeof(two)), 0);
	assert_int_equal(s.pci.ops->cfg_read(s.pci.ctx, 0x7f, back, 4), 0);
	assert_memory_equal(back, ((uint8_t[]){0x7f, 0xaa, 0xbb, 0x82}), 4);
	/* half of what was asked for is none of it */
	assert_int_equal(s.pci.ops->cfg_read(s.pci.ctx, 255, back, 2), -EACCES);
	assert_int_equal(s.pci.ops->cfg_read(s.pci.ctx, 256, back, 1), -EACCES);
	apir_pci_sysfs_close(&s);
	assert_int_equal(s.cfg_fd, -1);
	apir_pci_sysfs_close(&s);
	assert_int_equal(s.pci.ops->cfg_read(s.pci.ctx, 0, back, 1), -EBADF);
	assert_int_equal(s.pci.ops->cfg_write(s.pci.ctx, 0, back, 1), -EBADF);
}

/* Others than root see the first 64 bytes: the device cannot be told. */
static void
short_config(void **state)
{
	uint8_t bytes[64] = {0xf4, 0x1a, 0x5a, 0x10};
	struct apir_pci_ident ident;
	struct apir_pci_sysfs s;
	const char *why;

	(void)state;
	bytes[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	bytes[PCI_CAPABILITY_LIST] = 0x40;
	make_device(A, "0x1af4\n", "0x105a\n");
	make_file(dev_path(A, "config"), bytes, sizeof(bytes));
	assert_int_equal(apir_pci_sysfs_open(&s, A), 0);
	assert_int_equal(apir_pci_identify(&s.pci, &ident, &why), -EACCES);
	assert_non_null(strstr(why, "cannot be read"));
	apir_pci_sysfs_close(&s);
	make_file(dev_path(A, "config"), bytes, 0);
	assert_int_equal(apir_pci_sysfs_open(&s, A), 0);
	assert_int_equal(apir_pci_identify(&s.pci, &ident, &why), -EACCES);
	apir_pci_sysfs_close(&s);
}

/* One process at a time, which two open files stand for. */
static void
lock(void **state)
{
	struct apir_pci_sysfs s, other;

	(void)state;
	make_device(A, "0x1af4\n", "0x105a\n");
	make_text(dev_path(A, "config"), "x");
	assert_int_equal(apir_pci_sysfs_open(&s, A), 0);
	assert_int_equal(apir_pci_sysfs_open(&other, A), 0);
	assert_int_equal(apir_pci_sysfs_lock(&s), 0);
	assert_int_equal(apir_pci_sysfs_lock(&other), -EBUSY);
	apir_pci_sysfs_unlock(&s);
	assert_int_equal(apir_pci_sysfs_lock(&other), 0);
	assert_int_equal(apir_pci_sysfs_lock(&s), -EBUSY);
	/* the end of its holder ends it */
	apir_pci_sysfs_close(&other);
	assert_int_equal(apir_pci_sysfs_lock(&s), 0);
	apir_pci_sysfs_close(&s);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(listing), T(nothing_to_list), T(listing_fails), T(driver),	   T(disks),
		T(no_disk), T(open_none),	T(config_space),  T(short_config), T(lock),
	};

	return cmocka_run_group_tests_name("pci_sysfs", tests, NULL, NULL);
}
