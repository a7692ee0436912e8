/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Capture files that break off or are none at all. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "capture.h"

#define PACKETS 5
#define SIZE	60

static char path[64]; /* a file in memory */
static int fd;
static char err[512];

static void
write_capture(int link_type, unsigned int packets, unsigned int size)
{
	u_char data[70000] = {2};
	struct pcap_pkthdr h = {.caplen = size, .len = size};
	pcap_t *pcap = pcap_open_dead(link_type, 262144);
	pcap_dumper_t *out = pcap_dump_open(pcap, path);

	assert_non_null(out);
	while (packets-- > 0)
		pcap_dump((u_char *)out, &h, data);
	pcap_dump_close(out);
	pcap_close(pcap);
}

static void
test_whole(void **st)
{
	(void)st;
	write_capture(DLT_EN10MB, PACKETS, SIZE);
	assert_int_equal(capture_check(path, err, sizeof(err)), 0);
	write_capture(DLT_EN10MB, 0, 0);
	assert_int_equal(capture_check(path, err, sizeof(err)), 0);
}

/* Cut at each byte: only the cuts between two packets leave a whole file. */
static void
test_truncated(void **st)
{
	const long head = 24, record = 16 + SIZE;
	char words[64];
	long cut;

	(void)st;
	for (cut = head + PACKETS * record - 1; cut >= 0; cut--) {
		write_capture(DLT_EN10MB, PACKETS, SIZE);
		assert_int_equal(truncate(path, cut), 0);
		if (cut >= head && (cut - head) % record == 0) {
			assert_int_equal(capture_check(path, err, sizeof(err)), 0);
			continue;
		}
		assert_int_equal(capture_check(path, err, sizeof(err)), -1);
		assert_non_null(strstr(err, path));
		if (cut > head) {
			snprintf(words, sizeof(words), "after packet %ld: truncated dump file",
				 (cut - head) / record);
			if (strstr(err, words) == NULL)
				fail_msg("cut at %ld: '%s'", cut, err);
		}
	}
}

static void
test_not_a_capture(void **st)
{
	FILE *f = fopen(path, "w");

	(void)st;
	assert_non_null(f);
	fputs("this is a text and no capture at all", f);
	fclose(f);
	assert_int_equal(capture_check(path, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "unknown file format"));
	assert_non_null(strstr(err, path));
	assert_int_equal(capture_check("/nonexistent.pcap", err, sizeof(err)), -1);
	assert_string_equal(err, "capture /nonexistent.pcap: No such file or directory");
	write_capture(DLT_RAW, PACKETS, SIZE);
	assert_int_equal(capture_check(path, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "its packets are no Ethernet frames"));
	write_capture(DLT_EN10MB, PACKETS, 65536);
	assert_int_equal(capture_check(path, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "packet 1 has 65536 bytes: 1 to 65535 can be routed"));
	write_capture(DLT_EN10MB, PACKETS, 0);
	assert_int_equal(capture_check(path, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "packet 1 has 0 bytes"));
}

static void
test_devargs(void **st)
{
	char args[256];

	(void)st;
	write_capture(DLT_EN10MB, PACKETS, SIZE);
	snprintf(args, sizeof(args), "rx_pcap=%s,tx_pcap=/nonexistent/out.pcap", path);
	assert_int_equal(capture_check_devargs(args, err, sizeof(err)), 0);
	assert_int_equal(capture_check_devargs("iface=eth0", err, sizeof(err)), 0);
	assert_int_equal(capture_check_devargs("", err, sizeof(err)), 0);
	snprintf(args, sizeof(args), "rx_pcap=%s,rx_pcap=/nonexistent.pcap", path);
	assert_int_not_equal(capture_check_devargs(args, err, sizeof(err)), 0);
	assert_non_null(strstr(err, "/nonexistent.pcap"));
	assert_int_equal(truncate(path, 70), 0);
	snprintf(args, sizeof(args), "rx_pcap=%s,infinite_rx=1", path);
	assert_int_not_equal(capture_check_devargs(args, err, sizeof(err)), 0);
}

static int
setup(void **st)
{
	(void)st;
	fd = memfd_create("capture", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fd < 0 ? -1 : 0;
}

static int
teardown(void **st)
{
	(void)st;
	return close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_not_a_capture),
		cmocka_unit_test(test_devargs),
	};

	return cmocka_run_group_tests_name("l3fwd captures", tests, setup, teardown);
}
