/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* When a front-end sees the end of its connection. The test plays librte_vhost and two front-ends. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay.h"
#include "vu_io.h"

#define WAIT_MS 10000

static struct {
	char dir[64];
	struct sockaddr_un front, lib;
	int lib_fd, lib_path_fd, signal_fd;
	struct backend be;
	struct relay *relay;
	pthread_t thread;
} t;

static void
tick(void *ctx)
{
	(void)ctx;
}

static void *
run(void *arg)
{
	(void)arg;
	relay_run(t.relay, t.signal_fd, 1000, tick, NULL);
	return NULL;
}

static int
setup(void **state)
{
	struct relay_conf conf = {.path = t.front.sun_path, .fd = -1, .be = &t.be};

	(void)state;
	strcpy(t.dir, "/tmp/apir-relay-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	t.front.sun_family = t.lib.sun_family = AF_UNIX;
	snprintf(t.front.sun_path, sizeof(t.front.sun_path), "%s/front", t.dir);
	snprintf(t.lib.sun_path, sizeof(t.lib.sun_path), "%s/lib", t.dir);
	t.be.max_sessions = 4;
	t.be.limit = (struct log_limit)LOG_LIMIT_INIT;
	t.lib_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(t.lib_fd, (struct sockaddr *)&t.lib, sizeof(t.lib)), 0);
	assert_int_equal(listen(t.lib_fd, 4), 0);
	t.lib_path_fd = open(t.lib.sun_path, O_PATH);
	t.signal_fd = eventfd(0, 0);
	conf.lib_fd = t.lib_path_fd;
	assert_int_equal(relay_open(&conf, &t.relay), 0);
	return pthread_create(&t.thread, NULL, run, NULL);
}

static void
stop(void)
{
	assert_int_equal(eventfd_write(t.signal_fd, 1), 0);
	assert_int_equal(pthread_join(t.thread, NULL), 0);
}

static int
teardown(void **state)
{
	(void)state;
	if (t.relay != NULL)
		relay_close(t.relay);
	close(t.lib_fd);
	close(t.lib_path_fd);
	close(t.signal_fd);
	unlink(t.lib.sun_path);
	/* the front-ends' socket is the relay's to remove */
	return rmdir(t.dir);
}

/* One connection: the front-end's end, and the library's after the relay has named it. */
struct pair {
	int front, lib;
	uint64_t id;
};

static struct vu_msg
receive(int fd)
{
	struct inbox in = {.got = 0};
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int ret;

	do {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		ret = inbox_fill(&in, fd);
	} while (ret == 0);
	assert_int_equal(ret, 1);
	assert_int_equal(in.nb_fds, 0);
	return in.msg;
}

static struct pair
connect_pair(void)
{
	struct pair p = {.front = socket(AF_UNIX, SOCK_STREAM, 0)};
	struct vu_msg m;

	assert_int_equal(connect(p.front, (struct sockaddr *)&t.front, sizeof(t.front)), 0);
	p.lib = accept(t.lib_fd, NULL, NULL);
	assert_true(p.lib >= 0);
	m = receive(p.lib);
	assert_int_equal(m.hdr.request, VU_APIRD_ID);
	p.id = m.u.id.conn;
	assert_int_equal(m.u.id.pid, getpid());
	assert_true(m.u.id.comm[0] != '\0');
	return p;
}

static void
set_owner(int fd)
{
	const struct vu_msg m = {.hdr = {VU_SET_OWNER, VU_FLAG_VERSION, 0}};

	assert_int_equal(send_msg(fd, &m, NULL, 0), 0);
}

static bool
is_open(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void
wait_end(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char c;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(recv(fd, &c, 1, 0), 0);
}

/* The relay has dealt with all that happened before: a later connection gets through it. */
static void
settle(void)
{
	struct pair p = connect_pair();

	relay_tell(p.id, false);
	set_owner(p.front);
	assert_int_equal(receive(p.lib).hdr.request, VU_SET_OWNER);
	close(p.front);
	wait_end(p.lib);
	relay_tell(p.id, true);
	close(p.lib);
}

static void
test_library_closes_first(void **state)
{
	struct pair p = connect_pair();

	(void)state;
	relay_tell(p.id, false);
	set_owner(p.front);
	assert_int_equal(receive(p.lib).hdr.request, VU_SET_OWNER);
	/* as on a message that failed: the socket first, then the device */
	close(p.lib);
	settle();
	assert_true(is_open(p.front));
	relay_tell(p.id, true);
	wait_end(p.front);
	close(p.front);
	stop();
}

static void
test_refused_message(void **state)
{
	const struct vu_msg bad = {.hdr = {VU_SET_FEATURES, VU_FLAG_VERSION, 0}};
	struct pair p = connect_pair();

	(void)state;
	relay_tell(p.id, false);
	assert_int_equal(send_msg(p.front, &bad, NULL, 0), 0);
	wait_end(p.lib);
	settle();
	assert_true(is_open(p.front));
	relay_tell(p.id, true);
	wait_end(p.front);
	close(p.front);
	close(p.lib);
	stop();
}

/* Send, as soon as there is room. */
static void
send_waiting(int fd, const struct vu_msg *m)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};

	while (send_msg(fd, m, NULL, 0) != 0) {
		assert_int_equal(errno, EAGAIN);
		assert_int_equal(poll(&room, 1, WAIT_MS), 1);
	}
}

/* What is not for the library does not reach it, and the connection goes on. */
static void
test_answered_by_the_relay(void **state)
{
	static const uint32_t requests[] = {VU_APIRD_ID, VU_ADD_MEM_REG, VU_RESET_DEVICE, 99};
	struct vu_msg m = {.hdr = {VU_GET_CONFIG, VU_FLAG_VERSION, VU_CONFIG_HDR + 57}};
	struct pair p = connect_pair();

	(void)state;
	m.u.config.size = 57;
	relay_tell(p.id, false);
	assert_int_equal(send_msg(p.front, &m, NULL, 0), 0);
	m = receive(p.front);
	assert_int_equal(m.hdr.request, VU_GET_CONFIG);
	assert_memory_equal(m.u.config.region + 16, "APIR", 4);
	for (unsigned int i = 0; i < 4; i++) {
		m = (struct vu_msg){.hdr = {requests[i], VU_FLAG_VERSION | VU_FLAG_NEED_REPLY, 0}};
		assert_int_equal(send_msg(p.front, &m, NULL, 0), 0);
		m = receive(p.front);
		assert_int_equal(m.hdr.request, requests[i]);
		assert_int_equal(m.u.u64, 1);
	}
	/* more than are read at a time, none of them answered */
	m.hdr = (struct vu_msg_hdr){VU_IOTLB_MSG, VU_FLAG_VERSION, 0};
	for (unsigned int i = 0; i < 300; i++)
		send_waiting(p.front, &m);
	m.hdr.request = VU_SET_OWNER;
	send_waiting(p.front, &m);
	assert_int_equal(receive(p.lib).hdr.request, VU_SET_OWNER);
	/* who relies on what is not done sees the end */
	m.hdr = (struct vu_msg_hdr){VU_RESET_DEVICE, VU_FLAG_VERSION, 0};
	assert_int_equal(send_msg(p.front, &m, NULL, 0), 0);
	wait_end(p.lib);
	assert_true(is_open(p.front));
	relay_tell(p.id, true);
	wait_end(p.front);
	close(p.front);
	close(p.lib);
	stop();
}

/* Whether what is logged from here on, up to the relay's end, has this text. */
static void
assert_logged(int log_fd, const char *text)
{
	char buf[4096];
	const ssize_t n = pread(log_fd, buf, sizeof(buf) - 1, 0);

	assert_true(n >= 0);
	buf[n] = '\0';
	if (strstr(buf, text) == NULL)
		fail_msg("'%s' lacks '%s'", buf, text);
}

/* QEMU whose memory cannot be shared sets the features and then gives up. */
static void
test_no_memory_is_told(void **state)
{
	const int log_fd = memfd_create("log", 0), old = dup(STDERR_FILENO);
	const struct vu_msg m = {.hdr = {VU_SET_FEATURES, VU_FLAG_VERSION, 8}, .u.u64 = 1};
	struct pair p = connect_pair();

	(void)state;
	assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
	relay_tell(p.id, false);
	assert_int_equal(send_msg(p.front, &m, NULL, 0), 0);
	assert_int_equal(receive(p.lib).hdr.request, VU_SET_FEATURES);
	close(p.front);
	wait_end(p.lib);
	relay_tell(p.id, true);
	close(p.lib);
	stop();
	assert_true(dup2(old, STDERR_FILENO) >= 0);
	close(old);
	assert_logged(log_fd, "share=on");
	close(log_fd);
}

static void
test_client_retries(void **state)
{
	uint64_t ms = 0;

	(void)state;
	/* never tried, and after one that lived: soon */
	assert_int_equal(relay_retry_ms(0, 0), 500);
	assert_int_equal(relay_retry_ms(4000, 60000), 500);
	/* ends at once again and again: less and less often, but always again */
	for (unsigned int i = 0; i < 20; i++) {
		const uint64_t next = relay_retry_ms(ms, 3);

		assert_true(next >= ms && next <= 5000);
		ms = next;
	}
	assert_int_equal(ms, 5000);
}

static void
test_nothing_before_the_library_has_it(void **state)
{
	struct pair p = connect_pair();

	(void)state;
	set_owner(p.front);
	settle();
	assert_true(is_open(p.lib));
	relay_tell(p.id, false);
	assert_int_equal(receive(p.lib).hdr.request, VU_SET_OWNER);
	close(p.front);
	wait_end(p.lib);
	relay_tell(p.id, true);
	close(p.lib);
	stop();
}

static void
test_library_refuses(void **state)
{
	struct pair p = connect_pair();

	(void)state;
	/* no session was made: nothing to wait for */
	close(p.lib);
	wait_end(p.front);
	close(p.front);
	stop();
}

static void
test_end_of_apird(void **state)
{
	struct pair p = connect_pair();

	(void)state;
	relay_tell(p.id, false);
	settle();
	stop();
	/* what relay_close() does to it is seen by the library's side alone */
	relay_close(t.relay);
	t.relay = NULL;
	wait_end(p.lib);
	assert_true(is_open(p.front));
	relay_tell(p.id, true);
	close(p.lib);
	close(p.front);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_library_closes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answered_by_the_relay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory_is_told, setup, teardown),
		cmocka_unit_test(test_client_retries),
		cmocka_unit_test_setup_teardown(test_nothing_before_the_library_has_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_library_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_of_apird, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
