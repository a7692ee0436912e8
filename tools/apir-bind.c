/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/**
 * @file
 * apir-bind: gives a virtual machine's apir devices to DPDK, or back to the kernel. It knows them from other devices
 * of the same kinds, which dpdk-devbind.py does not, and needs nothing but sysfs and modprobe.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apir_pci.h"

enum action { BIND, UNBIND, STATUS };

static struct {
	enum action action;
	const char *driver; /* NULL: the better one */
	char **addrs;	    /* NULL: all */
	int nb_addrs;
} opt;

static unsigned int nb_found;
static int failures;

static void __attribute__((format(printf, 1, 2))) complain(const char *fmt, ...)
{
	va_list ap;

	fputs("apir-bind: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	failures++;
}

static void
usage(FILE *f)
{
	fputs("usage: apir-bind [--driver NAME] [ADDRESS...]\n"
	      "       apir-bind --unbind [ADDRESS...]\n"
	      "       apir-bind --status\n"
	      "\n"
	      "Gives the apir devices of this virtual machine to DPDK, or back to the kernel. With "
	      "no\n"
	      "ADDRESS (0000:00:05.0): all of them. Other devices, file systems and disks of the "
	      "same\n"
	      "kinds included, are left alone.\n"
	      "\n"
	      "  -d, --driver NAME  uio_pci_generic or vfio-pci; default: vfio-pci where the "
	      "machine has\n"
	      "                     an IOMMU for the device, else uio_pci_generic\n"
	      "  -u, --unbind       back to the kernel's own driver, if there is one\n"
	      "  -s, --status       list the devices, their carriers, tags and drivers\n"
	      "  -h, --help         this text\n"
	      "  -V, --version      the version\n"
	      "\n"
	      "Exit code: 0 all done, 1 something could not be done (said on stderr), 2 wrong "
	      "usage.\n",
	      f);
}

static void sysfs_path(char path[PATH_MAX], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void
sysfs_path(char path[PATH_MAX], const char *fmt, ...)
{
	const int n = snprintf(path, PATH_MAX, "%s/bus/pci/", apir_sysfs);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path + n, PATH_MAX - (size_t)n, fmt, ap);
	va_end(ap);
}

/* Write text to a file of sysfs. Returns 0 or a positive errno. */
static int
put(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = errno;
	close(fd);
	return err;
}

static bool
exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void
modprobe(const char *name)
{
	const pid_t pid = fork();

	if (pid == 0) {
		execlp("modprobe", "modprobe", "-q", name, NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* Returns 0 once the driver is there. */
static int
load_driver(const char *name)
{
	char path[PATH_MAX];

	sysfs_path(path, "drivers/%s", name);
	if (!exists(path))
		modprobe(name);
	/* a softdep of vfio that busybox's modprobe does not follow */
	if (strcmp(name, "vfio-pci") == 0)
		modprobe("vfio_iommu_type1");
	if (exists(path))
		return 0;
	complain("driver %s is not loaded and modprobe cannot load it: install the kernel's module "
		 "of that name",
		 name);
	return -1;
}

static bool
has_iommu(const char *addr)
{
	char path[PATH_MAX];

	sysfs_path(path, "devices/%s/iommu_group", addr);
	return exists(path);
}

/* Takes the device from the driver that has it. */
static int
let_go(const char *addr)
{
	char path[PATH_MAX];
	int err;

	sysfs_path(path, "devices/%s/driver/unbind", addr);
	if (!exists(path))
		return 0;
	err = put(path, addr);
	if (err != 0)
		complain("%s: its driver does not let go: %s", addr, strerror(err));
	return err;
}

/* Names the one driver that may have the device ("\n": any) and has the kernel look for it. */
static int
give_to(const char *addr, const char *driver)
{
	char path[PATH_MAX];
	int err;

	sysfs_path(path, "devices/%s/driver_override", addr);
	err = put(path, driver);
	if (err != 0) {
		complain("%s: %s: %s", addr, path, strerror(err));
		return err;
	}
	sysfs_path(path, "drivers_probe");
	return put(path, addr);
}

static void
bind_one(const char *addr)
{
	const char *driver = opt.driver != NULL ? opt.driver
			     : has_iommu(addr)	? "vfio-pci"
						: "uio_pci_generic";
	char now[64];

	apir_pci_sysfs_driver(addr, now, sizeof(now));
	if (strcmp(now, driver) == 0) {
		printf("%s: %s has it already\n", addr, driver);
		return;
	}
	if (strcmp(driver, "vfio-pci") == 0 && !has_iommu(addr)) {
		complain("%s: vfio-pci needs an IOMMU, and this machine has none for it: use "
			 "uio_pci_generic, or give QEMU -device intel-iommu and the kernel "
			 "intel_iommu=on",
			 addr);
		return;
	}
	if (load_driver(driver) != 0 || let_go(addr) != 0)
		return;
	if (give_to(addr, driver) != 0)
		return;
	apir_pci_sysfs_driver(addr, now, sizeof(now));
	if (strcmp(now, driver) != 0)
		complain("%s: %s does not take it: the kernel's log (dmesg) says why", addr,
			 driver);
	else
		printf("%s: %s\n", addr, driver);
}

static void
unbind_one(const char *addr)
{
	char now[64];

	if (let_go(addr) != 0 || give_to(addr, "\n") != 0)
		return;
	apir_pci_sysfs_driver(addr, now, sizeof(now));
	printf("%s: %s\n", addr, now[0] != '\0' ? now : "no driver");
}

static bool
is_named(const char *addr)
{
	char full[APIR_PCI_ADDR_LEN];

	for (int i = 0; i < opt.nb_addrs; i++) {
		if (apir_pci_addr_parse(opt.addrs[i], full) == 0 && strcmp(full, addr) == 0)
			return true;
	}
	return opt.nb_addrs == 0;
}

static int
each(const char *addr, const struct apir_carrier *carrier, void *ctx)
{
	struct apir_pci_ident ident = {.carrier = carrier};
	const char *why = "it is a disk in use";
	struct apir_pci_sysfs s;
	bool busy = false;
	char driver[64];
	int ret = 0;

	(void)ctx;
	if (!is_named(addr))
		return 0;
	if (!apir_pci_sysfs_is_disk_in_use(addr)) {
		ret = apir_pci_sysfs_open(&s, addr);
		why = strerror(-ret);
		if (ret == 0)
			ret = apir_pci_identify(&s.pci, &ident, &why);
		if (ret > 0)
			busy = apir_pci_sysfs_lock(&s) != 0;
		apir_pci_sysfs_close(&s);
	}
	if (ret < 0) {
		complain("%s: %s%s", addr, why, ret == -EACCES ? ": run as root" : "");
		return 0;
	}
	if (ret == 0) {
		if (opt.nb_addrs != 0) {
			complain("%s is no apir device and is left alone: %s%s%s%s", addr, why,
				 ident.tag[0] != '\0' ? " ('" : "", ident.tag,
				 ident.tag[0] != '\0' ? "')" : "");
			nb_found++; /* said already */
		}
		return 0;
	}
	nb_found++;
	if (busy && opt.action != STATUS) {
		complain("%s is in use by a DPDK program: end that first", addr);
		return 0;
	}
	switch (opt.action) {
	case BIND:
		bind_one(addr);
		break;
	case UNBIND:
		unbind_one(addr);
		break;
	case STATUS:
		apir_pci_sysfs_driver(addr, driver, sizeof(driver));
		printf("%s  %-26s tag %-12s driver %s%s\n", addr, ident.carrier->name, ident.tag,
		       driver[0] != '\0' ? driver : "none", busy ? ", in use" : "");
		break;
	}
	return 0;
}

static int
parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{"driver", required_argument, NULL, 'd'}, {"unbind", no_argument, NULL, 'u'},
		{"status", no_argument, NULL, 's'},	  {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},	  {NULL, 0, NULL, 0},
	};
	char full[APIR_PCI_ADDR_LEN];
	int c;

	while ((c = getopt_long(argc, argv, "d:ushV", longs, NULL)) != -1) {
		switch (c) {
		case 'd':
			opt.driver = optarg;
			break;
		case 'u':
			opt.action = UNBIND;
			break;
		case 's':
			opt.action = STATUS;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		case 'V':
			puts("apir-bind " APIR_RELEASE);
			exit(0);
		default:
			fputs("apir-bind: see --help\n", stderr);
			return -1;
		}
	}
	opt.addrs = argv + optind;
	opt.nb_addrs = argc - optind;
	for (int i = 0; i < opt.nb_addrs; i++) {
		if (apir_pci_addr_parse(opt.addrs[i], full) != 0) {
			complain("'%s' is no PCI address: write it like 0000:00:05.0",
				 opt.addrs[i]);
			return -1;
		}
	}
	if (opt.driver != NULL && strcmp(opt.driver, "uio_pci_generic") != 0 &&
	    strcmp(opt.driver, "vfio-pci") != 0) {
		complain("--driver %s: uio_pci_generic and vfio-pci are possible", opt.driver);
		return -1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	const char *root = getenv("APIR_SYSFS"); /* for tests */
	int ret;

	if (root != NULL)
		apir_sysfs = root;
	if (parse(argc, argv) != 0)
		return 2;
	ret = apir_pci_sysfs_each(each, NULL);
	if (ret < 0)
		complain("%s/bus/pci/devices: %s", apir_sysfs, strerror(-ret));
	if (nb_found == 0 && failures == 0) {
		if (opt.action == STATUS)
			puts("no apir device");
		else
			complain("%s is an apir device",
				 opt.nb_addrs > 0 ? "none of these addresses" : "no PCI device");
	}
	return failures == 0 ? 0 : 1;
}
