/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* What apird hands to a worker: it arrives as it was sent, and no file is left open when it is refused. */

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "opencl/handover.h"

static int pair[2];
static struct handover_msg sent, got;

static unsigned int
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static int
setup(void **state)
{
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	memset(&sent, 0, sizeof(sent));
	memset(&got, 0xff, sizeof(got));
	sent.h.magic = HANDOVER_MAGIC;
	sent.h.len = sizeof(sent.h);
	sent.h.session = 7;
	sent.h.nb_regions = 1;
	sent.h.region[0] = (struct handover_region){4096, 8192, 0};
	sent.h.nb_lanes = 2;
	for (unsigned int i = 0; i < 2; i++)
		sent.h.lane[i] = (struct handover_lane){
			.desc = 4096, .avail = 4608, .used = 5120, .size = 8};
	strcpy(sent.h.device, "0:1");
	strcpy(sent.h.cache_dir, "/var/cache/apir");
	sent.region_fd[0] = eventfd(10, EFD_CLOEXEC);
	sent.kick_fd[1] = eventfd(11, EFD_CLOEXEC);
	sent.call_fd[1] = eventfd(12, EFD_CLOEXEC);
	sent.kick_fd[0] = sent.call_fd[0] = -1;
	sent.h.lane[1].has_kick = sent.h.lane[1].has_call = 1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	close(sent.region_fd[0]);
	close(sent.kick_fd[1]);
	close(sent.call_fd[1]);
	return 0;
}

static uint64_t
count_of(int fd)
{
	uint64_t v = 0;

	assert_int_equal(read(fd, &v, sizeof(v)), sizeof(v));
	close(fd);
	return v;
}

static void
arrives(void **state)
{
	(void)state;
	assert_int_equal(handover_send(pair[0], &sent), 0);
	assert_int_equal(handover_recv(pair[1], &got), 0);
	assert_memory_equal(&sent.h, &got.h, sizeof(sent.h));
	assert_int_equal(count_of(got.region_fd[0]), 10);
	assert_int_equal(got.kick_fd[0], -1);
	assert_int_equal(got.call_fd[0], -1);
	assert_int_equal(count_of(got.kick_fd[1]), 11);
	assert_int_equal(count_of(got.call_fd[1]), 12);
}

/* The most there can be fits into one message. */
static void
all_there_is(void **state)
{
	const int fd = sent.region_fd[0];
	unsigned int before = open_files();

	(void)state;
	sent.h.nb_regions = MEM_MAX_REGIONS;
	sent.h.nb_lanes = APIR_MAX_DATA_QUEUES;
	for (unsigned int i = 0; i < MEM_MAX_REGIONS; i++)
		sent.region_fd[i] = fd;
	for (unsigned int i = 0; i < APIR_MAX_DATA_QUEUES; i++) {
		sent.h.lane[i].has_kick = sent.h.lane[i].has_call = 1;
		if (i != 1)
			sent.kick_fd[i] = sent.call_fd[i] = fd;
	}
	assert_int_equal(handover_send(pair[0], &sent), 0);
	assert_int_equal(handover_recv(pair[1], &got), 0);
	assert_int_equal(open_files(), before + HANDOVER_FDS);
	for (unsigned int i = 0; i < MEM_MAX_REGIONS; i++)
		close(got.region_fd[i]);
	for (unsigned int i = 0; i < APIR_MAX_DATA_QUEUES; i++) {
		close(got.kick_fd[i]);
		close(got.call_fd[i]);
	}
	assert_int_equal(open_files(), before);
}

static void
refused(void)
{
	const unsigned int before = open_files();

	assert_int_equal(handover_send(pair[0], &sent), 0);
	assert_int_equal(handover_recv(pair[1], &got), -EPROTO);
	assert_int_equal(open_files(), before);
}

static void
bad_head(void **state)
{
	(void)state;
	sent.h.magic++;
	refused();
	sent.h.magic--;
	sent.h.len++;
	refused();
	sent.h.len--;
	sent.h.nb_lanes = 0;
	refused();
	sent.h.nb_lanes = 2;
	memset(sent.h.device, 'x', sizeof(sent.h.device));
	refused();
	sent.h.device[0] = '\0';
	memset(sent.h.cache_dir, 'x', sizeof(sent.h.cache_dir));
	refused();
}

static void
cannot_be_sent(void **state)
{
	(void)state;
	sent.h.nb_lanes = APIR_MAX_DATA_QUEUES + 1;
	assert_int_equal(handover_send(pair[0], &sent), -EINVAL);
	sent.h.nb_lanes = 2;
	sent.h.nb_regions = 0;
	assert_int_equal(handover_send(pair[0], &sent), -EINVAL);
	sent.h.nb_regions = MEM_MAX_REGIONS + 1;
	assert_int_equal(handover_send(pair[0], &sent), -EINVAL);
}

/* Files and what is said of them do not match; too short; no files; nobody there. */
static void
bad_message(void **state)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} c = {.h = {CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {&sent.h, sizeof(sent.h)};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	const unsigned int before = open_files();

	(void)state;
	memcpy(CMSG_DATA(&c.h), (int[]){sent.region_fd[0], sent.kick_fd[1]}, 2 * sizeof(int));
	assert_int_equal(sendmsg(pair[0], &m, 0), sizeof(sent.h));
	assert_int_equal(handover_recv(pair[1], &got), -EPROTO);
	iov.iov_len--;
	sent.h.lane[1].has_call = 0;
	assert_true(sendmsg(pair[0], &m, 0) > 0);
	assert_int_equal(handover_recv(pair[1], &got), -EPROTO);
	assert_int_equal(send(pair[0], &sent.h, sizeof(sent.h), 0), sizeof(sent.h));
	assert_int_equal(handover_recv(pair[1], &got), -EPROTO);
	assert_int_equal(open_files(), before);
	shutdown(pair[0], SHUT_RDWR);
	assert_int_equal(handover_recv(pair[1], &got), -EPROTO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(arrives, setup, teardown),
		cmocka_unit_test_setup_teardown(all_there_is, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_head, setup, teardown),
		cmocka_unit_test_setup_teardown(cannot_be_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_message, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
