/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* A session's worker for OpenCL: its start, its end by itself, and its end with the session's rings. The worker is no real one. */

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

static struct rig rig;
static char script[] = "/tmp/test_worker-XXXXXX";

/* A worker that does nothing, for long. */
static int
write_script(void **state)
{
	static const char text[] = "#!/bin/sh\nexec sleep 1000\n";
	const int fd = mkstemp(script);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
	return 0;
}

static int
remove_script(void **state)
{
	(void)state;
	unlink(script);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	rig_backend(4, 50);
	rig_be.worker_path = script;
	rig_open(&rig, 0);
	for (unsigned int i = 0; i < rig.s->mem.nb; i++)
		rig.s->mem.r[i].fd = STDERR_FILENO;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	rig_backend_end();
	return 0;
}

static unsigned int
hello(uint64_t features, struct apir_hello_rsp *rsp)
{
	struct apir_hello_req req;

	rig_hello_req(&req);
	req.features = features;
	return rig_hello(&rig, &req, rsp);
}

/* The control thread has seen to it. */
static void
wait_no_worker(void)
{
	const struct timespec ts = {.tv_nsec = 1000000};

	for (;;) {
		pid_t pid;

		pthread_mutex_lock(&rig.s->ctl.lock);
		pid = rig.s->worker.pid;
		pthread_mutex_unlock(&rig.s->ctl.lock);
		if (pid == 0)
			return;
		nanosleep(&ts, NULL);
	}
}

static void
is_offered_to_who_asks(void **state)
{
	struct apir_hello_rsp rsp;

	(void)state;
	assert_int_equal(hello(APIR_F_LOOPBACK | APIR_F_PIPELINE, &rsp), APIR_S_OK);
	assert_int_equal(rsp.features, APIR_F_LOOPBACK | APIR_F_PIPELINE);
	assert_int_equal(rsp.max_data_queues, RIG_QUEUES);
	assert_int_equal(rig.s->worker.pid, 0);
	rig_loopback_works(&rig, 0);
}

static void
is_not_there(void **state)
{
	struct apir_hello_rsp rsp;

	(void)state;
	rig_be.worker_path = NULL;
	assert_int_equal(hello(APIR_F_LOOPBACK | APIR_F_OPENCL, &rsp), APIR_S_OK);
	assert_int_equal(rsp.features, APIR_F_LOOPBACK);
	rig_loopback_works(&rig, 0);
}

static void
cannot_be_started(void **state)
{
	struct apir_hello_rsp rsp;
	struct guest_burst b;

	(void)state;
	rig_be.worker_path = "/nonexistent/apird-opencl";
	assert_int_equal(hello(APIR_F_OPENCL, &rsp), APIR_S_NOMEM);
	assert_non_null(strstr(rsp.text, "/nonexistent/apird-opencl"));
	assert_int_equal(rig.s->worker.pid, 0);
	/* The queues are served as before. */
	rig_burst(&rig, 0, 0, &b);
	guest_wait(&rig.data[0]);
	assert_int_equal(b.rsp->status, APIR_S_NOTREADY);
	assert_int_equal(hello(APIR_F_LOOPBACK, &rsp), APIR_S_OK);
	rig_loopback_works(&rig, 1);
}

/* What is sent while it is there waits for it; then it is answered, by no OpenCL call's answer. */
static void
ends_by_itself(void **state)
{
	struct apir_hello_rsp rsp;
	struct guest_burst b;
	struct timespec ts = {.tv_nsec = 20000000};

	(void)state;
	assert_int_equal(hello(APIR_F_LOOPBACK | APIR_F_OPENCL, &rsp), APIR_S_OK);
	assert_int_equal(rsp.features, APIR_F_OPENCL);
	assert_true(rsp.max_data_queues >= 32);
	assert_true(rig.s->worker.pid > 0);
	rig_burst(&rig, 0, 0, &b);
	nanosleep(&ts, NULL);
	assert_int_equal(rig.data[0].used->idx, rig.data[0].seen);
	kill(rig.s->worker.pid, SIGKILL);
	guest_wait(&rig.data[0]);
	assert_int_equal(b.rsp->status, APIR_S_NOTREADY);
	wait_no_worker();
	rig_burst(&rig, 1, 0, &b);
	guest_wait(&rig.data[1]);
	assert_int_equal(b.rsp->status, APIR_S_NOTREADY);
}

/* Gone with all that could bring it to mind, when session_stop() returns. */
static void
ends_with_the_session(void **state)
{
	struct apir_hello_rsp rsp;
	pid_t pid;

	(void)state;
	assert_int_equal(hello(APIR_F_OPENCL, &rsp), APIR_S_OK);
	pid = rig.s->worker.pid;
	session_stop(rig.s);
	assert_int_equal(rig.s->worker.pid, 0);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(session_start(rig.s), 0);
}

static void
ends_with_memory_and_rings(void **state)
{
	struct apir_hello_rsp rsp;

	(void)state;
	assert_int_equal(hello(APIR_F_OPENCL, &rsp), APIR_S_OK);
	session_pause(rig.s);
	assert_int_equal(rig.s->worker.pid, 0);
	session_resume(rig.s);
	session_stop(rig.s);
	/* A driver that begins anew. */
	guest_ring_close(&rig.ctl);
	guest_ring(&rig.g, &rig.ctl, 0, 8);
	memset(rig.base, 0, sizeof(rig.base));
	for (unsigned int i = 0; i < RIG_QUEUES; i++) {
		guest_ring_close(&rig.data[i]);
		guest_ring(&rig.g, &rig.data[i], 1 + i, 64);
	}
	assert_int_equal(session_start(rig.s), 0);
	for (unsigned int i = 0; i < rig.s->mem.nb; i++)
		rig.s->mem.r[i].fd = STDERR_FILENO;
	assert_int_equal(hello(APIR_F_OPENCL, &rsp), APIR_S_OK);
	assert_true(rig.s->worker.pid > 0);
	session_queue(rig.s, APIR_DATA_QUEUE(1), false);
	assert_int_equal(rig.s->worker.pid, 0);
	session_queue(rig.s, APIR_DATA_QUEUE(1), true);
}

static void
is_found(void **state)
{
	char path[4096];

	(void)state;
	setenv("APIRD_OPENCL", "/bin/cat", 1);
	assert_int_equal(worker_find(path, sizeof(path), "/bin/sh"), 0);
	assert_string_equal(path, "/bin/cat");
	setenv("APIRD_OPENCL", "/nonexistent", 1);
	assert_int_not_equal(worker_find(path, sizeof(path), "/bin/sh"), 0);
	assert_string_equal(path, "/nonexistent");
	unsetenv("APIRD_OPENCL");
	assert_int_equal(worker_find(path, sizeof(path), "/bin/sh"), 0);
	assert_string_equal(path, "/bin/sh");
	assert_int_not_equal(worker_find(path, sizeof(path), "/nonexistent"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(is_offered_to_who_asks, setup, teardown),
		cmocka_unit_test_setup_teardown(is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(cannot_be_started, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_with_the_session, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_with_memory_and_rings, setup, teardown),
		cmocka_unit_test(is_found),
	};

	return cmocka_run_group_tests(tests, write_script, remove_script);
}
