/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Where a PCI function says that its virtio structures lie, and what of it is believed. */

#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fake_pci.h"

#define ID 0x105a

static struct fake_pci fp;
static struct apir_pci_caps caps;
static const char *why;

static int
teardown(void **state)
{
	(void)state;
	fake_pci_fini(&fp);
	return fp.wrong != NULL;
}

static int
setup_good(void **state)
{
	(void)state;
	fake_pci_init(&fp, ID, 2);
	return 0;
}

static int
setup_bare(void **state)
{
	(void)state;
	fake_pci_init_bare(&fp, ID);
	return 0;
}

static int
read_caps(void)
{
	/* what is not found must be cleared */
	memset(&caps, 0xa5, sizeof(caps));
	why = NULL;
	return apir_pci_caps_read(&fp.pci, &caps, &why);
}

static uint8_t
common(void)
{
	return fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_COMMON_CFG, FAKE_PCI_BAR, 0x40, 60, 16);
}

static uint8_t
notify(void)
{
	return fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_NOTIFY_CFG, FAKE_PCI_BAR, 0x1000, 64, 20);
}

static uint8_t
isr(void)
{
	return fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_ISR_CFG, FAKE_PCI_BAR, 0x100, 1, 16);
}

#define assert_at(s, bar_, off_, len_)                  \
	do {                                            \
		assert_true(caps.at[s].found);          \
		assert_int_equal(caps.at[s].bar, bar_); \
		assert_int_equal(caps.at[s].off, off_); \
		assert_int_equal(caps.at[s].len, len_); \
	} while (0)

static void
good_list(void **state)
{
	(void)state;
	assert_int_equal(read_caps(), 0);
	assert_at(APIR_PCI_COMMON, FAKE_PCI_BAR, FAKE_PCI_COMMON, 56);
	assert_at(APIR_PCI_NOTIFY, FAKE_PCI_BAR, FAKE_PCI_NOTIFY, 0x1000);
	assert_at(APIR_PCI_ISR, FAKE_PCI_BAR, FAKE_PCI_ISR, 1);
	assert_at(APIR_PCI_DEVICE, FAKE_PCI_BAR, FAKE_PCI_DEVICE, 60);
	assert_int_equal(caps.notify_multiplier, FAKE_PCI_DOORBELL_STEP);
	assert_int_equal(caps.window, fp.window);
	assert_int_equal(fp.cfg_writes, 0);
}

/* Neither the device's own configuration nor the window is a must. */
static void
least_list(void **state)
{
	(void)state;
	common();
	notify();
	isr();
	assert_int_equal(read_caps(), 0);
	assert_false(caps.at[APIR_PCI_DEVICE].found);
	assert_int_equal(caps.window, 0);
}

static void
no_list(void **state)
{
	const uint16_t none = 0;

	(void)state;
	/* pointers of a device without a list are not followed */
	memcpy(&fp.cfg[PCI_STATUS], &none, sizeof(none));
	assert_int_equal(read_caps(), -ENODEV);
	assert_non_null(strstr(why, "common configuration"));
	assert_false(caps.at[APIR_PCI_COMMON].found);
}

static void
empty_list(void **state)
{
	(void)state;
	assert_int_equal(read_caps(), -ENODEV);
	assert_non_null(strstr(why, "common configuration"));
}

static void
loop(void **state)
{
	uint8_t first, last;

	(void)state;
	/* two capabilities that name each other: what they say counts, once */
	first = common();
	last = notify();
	fp.cfg[last + 1] = first;
	assert_int_equal(read_caps(), -ENODEV);
	assert_non_null(strstr(why, "interrupt status"));
	assert_true(fp.cfg_reads < 200);
	/* one that names itself */
	fp.cfg_reads = 0;
	fp.cfg[first + 1] = first;
	assert_int_equal(read_caps(), -ENODEV);
	assert_non_null(strstr(why, "notification area"));
	assert_true(fp.cfg_reads < 200);
}

/* The longest list that fits is read to its end. */
static void
longest_list(void **state)
{
	unsigned int pos, n = 0;

	(void)state;
	/* entries of 4 bytes, the last ones virtio's */
	for (pos = PCI_STD_HEADER_SIZEOF; pos < 256 - 16 - 20 - 16; pos += 4, n++) {
		fp.cfg[pos] = PCI_CAP_ID_PM;
		fp.cfg[pos + 1] = (uint8_t)(pos + 4);
	}
	fp.cfg[PCI_CAPABILITY_LIST] = PCI_STD_HEADER_SIZEOF;
	fp.last_cap = (uint8_t)(pos - 3);
	fp.next_cap = (uint8_t)pos;
	common();
	notify();
	/* append() of the fake cannot end at 256 in 8 bits: by hand */
	pos = fp.next_cap;
	assert_int_equal(pos, 256 - 16);
	fp.cfg[fp.last_cap] = (uint8_t)pos;
	fp.cfg[pos] = PCI_CAP_ID_VNDR;
	fp.cfg[pos + 2] = 16;
	fp.cfg[pos + VIRTIO_PCI_CAP_CFG_TYPE] = VIRTIO_PCI_CAP_ISR_CFG;
	fp.cfg[pos + VIRTIO_PCI_CAP_LENGTH] = 1;
	assert_int_equal(n, 35);
	assert_int_equal(read_caps(), 0);
	assert_true(caps.at[APIR_PCI_ISR].found);
}

/* Lists end at pointers into the header; the two lowest bits of a pointer mean nothing. */
static void
odd_pointers(void **state)
{
	uint8_t last;

	(void)state;
	common();
	notify();
	last = isr();
	fp.cfg[last + 1] = PCI_STD_HEADER_SIZEOF - 4;
	fp.cfg[PCI_CAPABILITY_LIST] |= 3;
	assert_int_equal(read_caps(), 0);
}

/* A capability's body or its successor may lie behind the end of configuration space. */
static void
behind_the_end(void **state)
{
	uint8_t last;

	(void)state;
	common();
	notify();
	last = isr();
	fp.cfg[last + 1] = 0xfc;
	fp.cfg[0xfc] = PCI_CAP_ID_VNDR;
	fp.cfg[0xfd] = 0;
	fp.cfg[0xfe] = 16;
	/* the way to configuration space refuses it: no more is known */
	assert_int_equal(read_caps(), -EINVAL);
	assert_non_null(strstr(why, "cannot be read"));
	fp.wrong = NULL;
}

static void
too_short(void **state)
{
	uint8_t pos;

	(void)state;
	pos = common();
	fp.cfg[pos + 2] = 15;
	notify();
	isr();
	assert_int_equal(read_caps(), -ENODEV);
	assert_non_null(strstr(why, "common configuration"));
	fp.cfg[pos + 2] = 0;
	assert_int_equal(read_caps(), -ENODEV);
	/* the common capability has no more than 16 bytes, the notify capability has its multiplier */
	fp.cfg[pos + 2] = 16;
	assert_int_equal(read_caps(), 0);
	fp.cfg[pos + 16 + 2] = 19;
	assert_int_equal(read_caps(), -ENODEV);
	assert_non_null(strstr(why, "notification area"));
	assert_int_equal(caps.notify_multiplier, 0);
}

static void
short_window(void **state)
{
	(void)state;
	fp.cfg[fp.window + 2] = 19;
	assert_int_equal(read_caps(), 0);
	assert_int_equal(caps.window, 0);
}

/* Structures that cannot be are not taken, each of them for its own reason. */
static void
impossible(void **state)
{
	static const struct {
		uint8_t bar;
		uint32_t off, len;
	} bad[] = {
		{6, 0, 56}, /* there are six BARs */
		{0xff, 0, 56},
		{FAKE_PCI_BAR, UINT32_MAX - 51, 56},
		{FAKE_PCI_BAR, UINT32_MAX, UINT32_MAX},
		{FAKE_PCI_BAR, 0, 55},
		{FAKE_PCI_BAR, 0, 0},
	};
	unsigned int i;
	uint8_t pos;

	(void)state;
	pos = common();
	notify();
	isr();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fp.cfg[pos + VIRTIO_PCI_CAP_BAR] = bad[i].bar;
		memcpy(&fp.cfg[pos + VIRTIO_PCI_CAP_OFFSET], &bad[i].off, 4);
		memcpy(&fp.cfg[pos + VIRTIO_PCI_CAP_LENGTH], &bad[i].len, 4);
		assert_int_equal(read_caps(), -ENODEV);
		assert_non_null(strstr(why, "common configuration"));
	}
	/* the last place that 32 bits can name */
	fp.cfg[pos + VIRTIO_PCI_CAP_BAR] = 5;
	memcpy(&fp.cfg[pos + VIRTIO_PCI_CAP_OFFSET], &(uint32_t){UINT32_MAX - 59}, 4);
	memcpy(&fp.cfg[pos + VIRTIO_PCI_CAP_LENGTH], &(uint32_t){56}, 4);
	assert_int_equal(read_caps(), 0);
	assert_at(APIR_PCI_COMMON, 5, UINT32_MAX - 59, 56);
}

/* Registers that lie across their own width cannot be reached with accesses of it. */
static void
not_aligned(void **state)
{
	uint8_t first;

	(void)state;
	first = common();
	notify();
	isr();
	fp.cfg[first + VIRTIO_PCI_CAP_OFFSET] = 0x42;
	assert_int_equal(read_caps(), -ENODEV);
	assert_non_null(strstr(why, "common configuration"));
	fp.cfg[first + VIRTIO_PCI_CAP_OFFSET] = 0x44;
	fp.cfg[first + 16 + VIRTIO_PCI_CAP_OFFSET] = 1;
	assert_int_equal(read_caps(), -ENODEV);
	assert_non_null(strstr(why, "notification area"));
	fp.cfg[first + 16 + VIRTIO_PCI_CAP_OFFSET] = 2;
	assert_int_equal(read_caps(), 0);
}

/* A device offers the best of several first; one that we cannot use is passed over. */
static void
several_of_a_kind(void **state)
{
	(void)state;
	fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_COMMON_CFG, 7, 0, 56, 16);
	fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_COMMON_CFG, 2, 0x80, 64, 16);
	fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_COMMON_CFG, 3, 0, 56, 16);
	fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_NOTIFY_CFG, 1, 0, 2, 20);
	/* of unknown types */
	fake_pci_add_cap(&fp, 0, 0, 0, 56, 16);
	fake_pci_add_cap(&fp, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, 0, 0, 56, 24);
	isr();
	assert_int_equal(read_caps(), 0);
	assert_at(APIR_PCI_COMMON, 2, 0x80, 64);
	assert_at(APIR_PCI_NOTIFY, 1, 0, 2);
}

static void
missing(void **state)
{
	static const struct {
		uint8_t type;
		const char *text;
	} tab[] = {
		{VIRTIO_PCI_CAP_COMMON_CFG, "common configuration"},
		{VIRTIO_PCI_CAP_NOTIFY_CFG, "notification area"},
		{VIRTIO_PCI_CAP_ISR_CFG, "interrupt status"},
	};
	unsigned int i;
	uint8_t pos;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		for (pos = fp.cfg[PCI_CAPABILITY_LIST]; pos != 0; pos = fp.cfg[pos + 1]) {
			if (fp.cfg[pos] == PCI_CAP_ID_VNDR &&
			    fp.cfg[pos + VIRTIO_PCI_CAP_CFG_TYPE] == tab[i].type)
				break;
		}
		assert_int_not_equal(pos, 0);
		fp.cfg[pos] = PCI_CAP_ID_PM;
		assert_int_equal(read_caps(), -ENODEV);
		assert_non_null(strstr(why, tab[i].text));
		assert_non_null(strstr(why, "no virtio 1 device"));
		fp.cfg[pos] = PCI_CAP_ID_VNDR;
	}
	assert_int_equal(read_caps(), 0);
}

/* Whichever read fails, its error is the result. */
static void
read_errors(void **state)
{
	unsigned int nb, n;

	(void)state;
	assert_int_equal(read_caps(), 0);
	nb = fp.cfg_reads;
	for (n = 1; n <= nb; n++) {
		fp.cfg_reads = 0;
		fp.cfg_read_fails = n;
		assert_int_equal(read_caps(), -EACCES);
		assert_non_null(strstr(why, "cannot be read"));
		assert_int_equal(fp.cfg_reads, n);
	}
}

static void
window(void **state)
{
	static const char config[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789a";
	char buf[sizeof(config)];

	(void)state;
	assert_int_equal(sizeof(config), 60);
	fake_pci_set_config(&fp, config, sizeof(config));
	assert_int_equal(read_caps(), 0);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(apir_pci_window_read(&fp.pci, &caps, 0, buf, sizeof(buf)), 0);
	assert_memory_equal(buf, config, sizeof(buf));
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(apir_pci_window_read(&fp.pci, &caps, 5, buf, 3), 0);
	assert_memory_equal(buf, "567xx", 5);
	assert_int_equal(apir_pci_window_read(&fp.pci, &caps, 59, buf, 1), 0);
	assert_int_equal(buf[0], '\0');
	/* nothing, wherever */
	assert_int_equal(apir_pci_window_read(&fp.pci, &caps, 60, buf, 0), 0);
}

static void
window_out_of_range(void **state)
{
	static const struct {
		uint32_t off, len;
	} bad[] = {{0, 61}, {59, 2}, {60, 1}, {61, 0}, {UINT32_MAX, 1}, {1, UINT32_MAX}};
	char buf[64] = "untouched";
	unsigned int i;

	(void)state;
	assert_int_equal(read_caps(), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(apir_pci_window_read(&fp.pci, &caps, bad[i].off, buf, bad[i].len),
				 -ENODEV);
	assert_int_equal(fp.cfg_writes, 0);
	assert_string_equal(buf, "untouched");
}

static void
no_window(void **state)
{
	struct apir_pci_caps c;
	char buf[4];

	(void)state;
	assert_int_equal(read_caps(), 0);
	c = caps;
	c.window = 0;
	assert_int_equal(apir_pci_window_read(&fp.pci, &c, 0, buf, 4), -ENODEV);
	c = caps;
	c.at[APIR_PCI_DEVICE].found = false;
	assert_int_equal(apir_pci_window_read(&fp.pci, &c, 0, buf, 4), -ENODEV);
	assert_int_equal(fp.cfg_writes, 0);
}

static void
window_errors(void **state)
{
	char buf[4];
	unsigned int n;

	(void)state;
	assert_int_equal(read_caps(), 0);
	/* the BAR's number, the width, four offsets */
	for (n = 1; n <= 6; n++) {
		fp.cfg_writes = 0;
		fp.cfg_write_fails = n;
		assert_int_equal(apir_pci_window_read(&fp.pci, &caps, 0, buf, 4), -EROFS);
		assert_int_equal(fp.cfg_writes, n);
	}
	fp.cfg_write_fails = 0;
	for (n = 1; n <= 4; n++) {
		fp.cfg_reads = 0;
		fp.cfg_read_fails = n;
		assert_int_equal(apir_pci_window_read(&fp.pci, &caps, 0, buf, 4), -EACCES);
		assert_int_equal(fp.cfg_reads, n);
	}
}

int
main(void)
{
#define GOOD(f) cmocka_unit_test_setup_teardown(f, setup_good, teardown)
#define BARE(f) cmocka_unit_test_setup_teardown(f, setup_bare, teardown)
	const struct CMUnitTest tests[] = {
		GOOD(good_list),
		BARE(least_list),
		GOOD(no_list),
		BARE(empty_list),
		BARE(loop),
		BARE(longest_list),
		BARE(odd_pointers),
		BARE(behind_the_end),
		BARE(too_short),
		GOOD(short_window),
		BARE(impossible),
		BARE(several_of_a_kind),
		BARE(not_aligned),
		GOOD(missing),
		GOOD(read_errors),
		GOOD(window),
		GOOD(window_out_of_range),
		GOOD(no_window),
		GOOD(window_errors),
	};

	return cmocka_run_group_tests_name("virtio_pci_caps", tests, NULL, NULL);
}
