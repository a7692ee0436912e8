/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Which PCI functions are apir devices, and how they are named. */

#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_pci.h"
#include "virtio_apir.h"

#define FS	 0x105a
#define BLK	 0x1042
#define OLD_BLK	 0x1001
#define OWN	 0x107f
#define TAG_SIZE 36

static struct fake_pci fp;
static struct apir_pci_ident ident;
static const char *why;
static bool made;

static int
teardown(void **state)
{
	(void)state;
	if (made)
		fake_pci_fini(&fp);
	made = false;
	return fp.wrong != NULL;
}

static void
make(uint16_t device_id)
{
	if (made)
		fake_pci_fini(&fp);
	fake_pci_init(&fp, device_id, 2);
	made = true;
}

static int
identify(void)
{
	memset(&ident, 0xa5, sizeof(ident));
	why = NULL;
	return apir_pci_identify(&fp.pci, &ident, &why);
}

static int
identify_fs(const char *tag, size_t len)
{
	char config[TAG_SIZE] = {0};

	memcpy(config, tag, len);
	make(FS);
	fake_pci_set_config(&fp, config, sizeof(config));
	/* what follows the tag: num_request_queues, and not a part of it */
	memset(fp.mem + FAKE_PCI_DEVICE + TAG_SIZE, 'n', 4);
	return identify();
}

static void
set_disk(uint64_t capacity, uint32_t mark)
{
	fake_pci_set_config(&fp, &capacity, sizeof(capacity));
	memcpy(fp.mem + FAKE_PCI_DEVICE + 16, &mark, sizeof(mark));
}

static void
fs(void **state)
{
	static const char longest[] = "apir-with-a-tag-of-36-bytes-no-zero!";

	(void)state;
	assert_int_equal(strlen(longest), TAG_SIZE);
	assert_int_equal(identify_fs("apir0", 5), 1);
	assert_string_equal(ident.tag, "apir0");
	assert_int_equal(ident.carrier->device_id, FS);
	assert_false(ident.carrier->is_disk);
	assert_int_equal(identify_fs("apir", 4), 1);
	assert_string_equal(ident.tag, "apir");
	/* the field need not end in a zero byte */
	assert_int_equal(identify_fs(longest, TAG_SIZE), 1);
	assert_string_equal(ident.tag, longest);
}

static void
fs_of_others(void **state)
{
	static const char longest[] = "other-with-a-tag-of-36-bytes-nozero!";

	(void)state;
	assert_int_equal(strlen(longest), TAG_SIZE);
	assert_int_equal(identify_fs("myfs", 4), 0);
	assert_string_equal(ident.tag, "myfs");
	assert_non_null(strstr(why, "does not begin with 'apir'"));
	assert_int_equal(identify_fs(longest, TAG_SIZE), 0);
	assert_string_equal(ident.tag, longest);
	assert_int_equal(identify_fs("", 0), 0);
	assert_string_equal(ident.tag, "");
	assert_int_equal(identify_fs("api", 3), 0);
	assert_int_equal(identify_fs("APIR", 4), 0);
	assert_int_equal(identify_fs("xapir", 5), 0);
	assert_int_equal(identify_fs("\0apir", 5), 0);
}

static void
blk(void **state)
{
	static const uint16_t ids[] = {BLK, OLD_BLK};
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		make(ids[i]);
		set_disk(0, APIR_MAGIC);
		assert_int_equal(identify(), 1);
		assert_int_equal(ident.carrier->device_id, ids[i]);
		assert_true(ident.carrier->is_disk);
		assert_string_equal(ident.tag, "apir");
		/* each alone does not make it ours: a disk has sectors, whatever its geometry; an empty one no mark */
		set_disk(1, APIR_MAGIC);
		assert_int_equal(identify(), 0);
		assert_string_equal(why, "it is a disk");
		assert_string_equal(ident.tag, "");
		set_disk(1ull << 63, APIR_MAGIC);
		assert_int_equal(identify(), 0);
		set_disk(0, 0);
		assert_int_equal(identify(), 0);
		set_disk(0, __builtin_bswap32(APIR_MAGIC));
		assert_int_equal(identify(), 0);
	}
}

/* Its id is all that is asked for. */
static void
own(void **state)
{
	(void)state;
	make(OWN);
	fp.cfg[fp.window] = PCI_CAP_ID_PM;
	assert_int_equal(identify(), 1);
	assert_string_equal(ident.tag, "apir");
	assert_int_equal(fp.cfg_writes, 0);
}

static void
other_kinds(void **state)
{
	static const uint16_t net = 0x1041;
	uint16_t vendor = 0x8086;

	(void)state;
	make(net);
	assert_int_equal(identify(), 0);
	assert_null(ident.carrier);
	assert_string_equal(why, "it is of another kind");
	make(0);
	assert_int_equal(identify(), 0);
	make(0xffff);
	assert_int_equal(identify(), 0);
	/* the ids are virtio's only with its vendor */
	make(FS);
	memcpy(&fp.cfg[PCI_VENDOR_ID], &vendor, sizeof(vendor));
	assert_int_equal(identify(), 0);
	assert_null(ident.carrier);
	assert_int_equal(fp.cfg_writes, 0);
	assert_int_equal(fp.cfg_reads, 1);
}

static void
find(void **state)
{
	const struct apir_carrier *c;
	unsigned int n = 0;

	(void)state;
	for (c = apir_carriers; c->device_id != 0; c++, n++) {
		assert_ptr_equal(apir_carrier_find(APIR_PCI_VENDOR, c->device_id), c);
		assert_null(apir_carrier_find(APIR_PCI_VENDOR + 1, c->device_id));
		assert_true(c->config_len <= APIR_CARRIER_CONFIG_MAX);
		assert_non_null(c->name);
		assert_non_null(c->queues_opt);
	}
	assert_int_equal(n, 4);
	/* the table's end is no entry */
	assert_null(apir_carrier_find(APIR_PCI_VENDOR, 0));
}

/* A function that is no modern virtio device is none of ours; one that cannot be asked is unknown. */
static void
cannot_be_asked(void **state)
{
	unsigned int reads, n;

	(void)state;
	make(FS);
	fp.cfg[PCI_STATUS] = 0;
	assert_int_equal(identify(), 0);
	assert_int_equal(ident.carrier->device_id, FS);
	assert_non_null(strstr(why, "no virtio 1 device"));

	make(FS);
	fp.cfg[fp.window] = PCI_CAP_ID_PM;
	assert_int_equal(identify(), -ENODEV);
	assert_non_null(strstr(why, "device configuration cannot be read"));

	assert_int_equal(identify_fs("apir", 4), 1);
	reads = fp.cfg_reads;
	for (n = 1; n <= reads; n++) {
		fp.cfg_reads = 0;
		fp.cfg_read_fails = n;
		assert_int_equal(identify(), -EACCES);
		assert_non_null(strstr(why, "cannot be read"));
	}
	fp.cfg_read_fails = 0;
	fp.cfg_writes = 0;
	fp.cfg_write_fails = 1;
	assert_int_equal(identify(), -EROFS);
	assert_non_null(strstr(why, "device configuration cannot be read"));
	assert_string_equal(ident.tag, "");
}

/* Configuration that is too short for the carrier's kind: not read behind its end. */
static void
short_config(void **state)
{
	(void)state;
	fake_pci_init_bare(&fp, FS);
	made = true;
	fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_PCI_BAR, 0, 56, 16);
	fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_NOTIFY_CFG, FAKE_PCI_BAR, 0x1000, 64, 20);
	fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_ISR_CFG, FAKE_PCI_BAR, 0x100, 1, 16);
	fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_DEVICE_CFG, FAKE_PCI_BAR, FAKE_PCI_DEVICE,
			 TAG_SIZE - 1, 16);
	fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0, 20);
	fake_pci_set_config(&fp, "apir", 5);
	assert_int_equal(identify(), -ENODEV);
	assert_non_null(strstr(why, "device configuration cannot be read"));
}

static void
addresses(void **state)
{
	static const struct {
		const char *text, *full;
	} good[] = {
		{"0000:00:05.0", "0000:00:05.0"},
		{"00:05.0", "0000:00:05.0"},
		{"0:5.0", "0000:00:05.0"},
		{"1:2:3.4", "0001:02:03.4"},
		{"ff:1f.7", "0000:ff:1f.7"},
		{"FFFF:AB:1F.7", "ffff:ab:1f.7"},
		{"10000:e1:00.0", "10000:e1:00.0"},
		{"12345678:9a:1b.6", "12345678:9a:1b.6"},
		{"ffffffff:ff:1f.7", "ffffffff:ff:1f.7"},
		{"00000000:00:00.0", "0000:00:00.0"},
	};
	static const char *const bad[] = {
		"",
		" ",
		".",
		":",
		"5",
		"5.0",
		"00:05",
		"0000:00:05",
		"00:05.",
		"00:05.8",
		"00:05.00",
		"00:05.0 ",
		" 00:05.0",
		"00: 05.0",
		"00:05. 0",
		"00:05.0\n",
		"\t00:05.0",
		"00:05.0x",
		"0000:00:05.0,",
		"+0:05.0",
		"-0:05.0",
		"00:+5.0",
		"00:-5.0",
		"00:05.+0",
		"00:05.-0",
		"-000:00:05.0",
		"+000:00:05.0",
		"0x00:00:05.0",
		"0x0:05.0",
		"0:0x5.0",
		"00:20.0",
		"0000:00:20.0",
		"00:ff.0",
		"100:05.0",
		"00:005.0",
		"0000:100:05.0",
		"0000:00:005.0",
		"123456789:00:05.0",
		"0000:0000:00:05.0",
		"gg:05.0",
		"0000:00:05.0.",
		"0000:00:05.0:",
		"0000:00.05.0",
		"0000:00:05:0",
		":00:05.0",
		"::05.0",
		"0000::05.0",
		"eth0",
	};
	char addr[APIR_PCI_ADDR_LEN];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(apir_pci_addr_parse(good[i].text, addr), 0);
		assert_string_equal(addr, good[i].full);
		/* what it wrote it reads */
		assert_int_equal(apir_pci_addr_parse(good[i].full, addr), 0);
		assert_string_equal(addr, good[i].full);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(addr, "untouched", 10);
		if (apir_pci_addr_parse(bad[i], addr) != -EINVAL)
			fail_msg("'%s' is taken for '%s'", bad[i], addr);
		assert_string_equal(addr, "untouched");
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		T(fs),	 T(fs_of_others),    T(blk),	      T(own),	    T(other_kinds),
		T(find), T(cannot_be_asked), T(short_config), T(addresses),
	};

	return cmocka_run_group_tests_name("virtio_pci_carrier", tests, NULL, NULL);
}
