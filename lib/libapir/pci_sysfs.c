/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "apir_pci.h"

const char *apir_sysfs = "/sys";

int
apir_pci_addr_parse(const char *text, char addr[APIR_PCI_ADDR_LEN])
{
	unsigned int dom = 0, bus, dev, fn;
	int end = 0;

	if (sscanf(text, "%8x:%2x:%2x.%1o%n", &dom, &bus, &dev, &fn, &end) != 4 ||
	    text[end] != '\0') {
		dom = 0;
		end = 0;
		if (sscanf(text, "%2x:%2x.%1o%n", &bus, &dev, &fn, &end) != 3 || text[end] != '\0')
			return -EINVAL;
	}
	/* sscanf lets signs and blanks pass */
	if (dev > 31 || strspn(text, "0123456789abcdefABCDEF:.") != strlen(text))
		return -EINVAL;
	snprintf(addr, APIR_PCI_ADDR_LEN, "%04x:%02x:%02x.%o", dom, bus & 0xff, dev, fn & 7);
	return 0;
}

static void
device_path(char *path, size_t size, const char *addr, const char *file)
{
	snprintf(path, size, "%s/bus/pci/devices/%s/%s", apir_sysfs, addr, file);
}

static int
cfg_read(void *ctx, uint32_t off, void *buf, uint32_t len)
{
	const struct apir_pci_sysfs *s = ctx;
	const ssize_t n = pread(s->cfg_fd, buf, len, off);

	/* others than root see but the first bytes */
	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EACCES;
}

static int
cfg_write(void *ctx, uint32_t off, const void *buf, uint32_t len)
{
	const struct apir_pci_sysfs *s = ctx;
	const ssize_t n = pwrite(s->cfg_fd, buf, len, off);

	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

static const struct apir_pci_ops sysfs_ops = {.cfg_read = cfg_read, .cfg_write = cfg_write};

int
apir_pci_sysfs_open(struct apir_pci_sysfs *s, const char *addr)
{
	char path[PATH_MAX];

	memset(s, 0, sizeof(*s));
	s->cfg_fd = -1;
	if (apir_pci_addr_parse(addr, s->pci.addr) != 0)
		return -EINVAL;
	device_path(path, sizeof(path), s->pci.addr, "config");
	s->cfg_fd = open(path, O_RDWR | O_CLOEXEC);
	if (s->cfg_fd < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	s->pci.ops = &sysfs_ops;
	s->pci.ctx = s;
	return 0;
}

void
apir_pci_sysfs_close(struct apir_pci_sysfs *s)
{
	if (s->cfg_fd >= 0)
		close(s->cfg_fd);
	s->cfg_fd = -1;
}

int
apir_pci_sysfs_lock(struct apir_pci_sysfs *s)
{
	return flock(s->cfg_fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -EBUSY;
}

void
apir_pci_sysfs_unlock(struct apir_pci_sysfs *s)
{
	flock(s->cfg_fd, LOCK_UN);
}

void
apir_pci_sysfs_driver(const char *addr, char *name, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *slash;
	ssize_t n;

	device_path(path, sizeof(path), addr, "driver");
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	slash = strrchr(target, '/');
	snprintf(name, size, "%s", slash != NULL ? slash + 1 : target);
}

/* A number in a file, or dflt. */
static unsigned long long
read_number(const char *path, unsigned long long dflt)
{
	char text[32];
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n <= 0)
		return dflt;
	text[n] = '\0';
	return strtoull(text, NULL, 0);
}

/* Is there a block device below dir, a virtio device's, that has sectors? */
static bool
has_sectors(const char *dir)
{
	char path[PATH_MAX];
	struct dirent *e;
	bool found = false;
	DIR *d;

	if (snprintf(path, sizeof(path), "%s/block", dir) >= (int)sizeof(path))
		return true;
	d = opendir(path);
	while (d != NULL && !found && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		if (snprintf(path, sizeof(path), "%s/block/%s/size", dir, e->d_name) <
		    (int)sizeof(path))
			found = read_number(path, 0) != 0;
	}
	if (d != NULL)
		closedir(d);
	return found;
}

bool
apir_pci_sysfs_is_disk_in_use(const char *addr)
{
	char path[PATH_MAX], dir[PATH_MAX];
	struct dirent *e;
	bool used = false;
	DIR *d;

	device_path(path, sizeof(path), addr, "");
	d = opendir(path);
	while (d != NULL && !used && (e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "virtio", 6) == 0 &&
		    snprintf(dir, sizeof(dir), "%s%s", path, e->d_name) < (int)sizeof(dir))
			used = has_sectors(dir);
	}
	if (d != NULL)
		closedir(d);
	return used;
}

int
apir_pci_sysfs_each(int (*fn)(const char *addr, const struct apir_carrier *carrier, void *ctx),
		    void *ctx)
{
	struct dirent **list;
	char path[PATH_MAX];
	int nb, i, ret = 0;

	snprintf(path, sizeof(path), "%s/bus/pci/devices", apir_sysfs);
	nb = scandir(path, &list, NULL, alphasort);
	if (nb < 0)
		return errno == ENOENT ? 0 : -errno; /* a machine without PCI */
	for (i = 0; i < nb; i++) {
		const char *addr = list[i]->d_name;
		const struct apir_carrier *c;
		unsigned long long vendor, device;

		if (ret == 0 && addr[0] != '.') {
			device_path(path, sizeof(path), addr, "vendor");
			vendor = read_number(path, 0);
			device_path(path, sizeof(path), addr, "device");
			device = read_number(path, 0);
			c = apir_carrier_find((uint16_t)vendor, (uint16_t)device);
			if (c != NULL)
				ret = fn(addr, c, ctx);
		}
		free(list[i]);
	}
	free(list);
	return ret;
}
