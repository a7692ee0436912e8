/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * The session and its lanes, on a device in this process. Each test is a process of its own, because a process has one session:
 * the runner forks, as programs do.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cl_arena.h"
#include "cl_calls.h"
#include "cl_platform.h"
#include "cl_session.h"
#include "fake_device.h"

/* In the child, where cmocka is not: the line is the exit code. */
#define CHECK(cond)                                                                \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1);                                                  \
		}                                                                  \
	} while (0)

#define CALL 1000u

const struct _cl_icd_dispatch cl_dispatch_table;
static bool no_roots;
static char printed[256];

bool
cl_roots_make(uint64_t id)
{
	return id == 42 && !no_roots;
}

void
cl_output_print(const void *text, size_t len)
{
	strncat(printed, text, len);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
sleep_ms(long ms)
{
	const struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* Run a test in a process of its own. */
static void
in_process(void **state)
{
	void (*test)(void) = *state;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		device_reset();
		setenv("APIR_DEVICE", "path=/fake", 1);
		setenv("APIR_CONF", "/dev/null", 1);
		alarm(60);
		test();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static cl_int
call(uint32_t number, uint64_t *result)
{
	struct cl_lane *l = cl_lane_begin(number);
	cl_int err;

	if (l == NULL)
		return CL_DEVICE_NOT_AVAILABLE;
	cl_put(&l->args, 7);
	err = cl_lane_call(l);
	if (result != NULL)
		*result = err == CL_SUCCESS ? cl_get(&l->res) : 0;
	cl_lane_end(l);
	return err;
}

/* Opening ------------------------------------------------------------------------------------------------------------ */

static void
opens_once(void)
{
	const struct cl_session_info *info;

	CHECK(cl_session() == NULL);
	CHECK(cl_session_number() == 0);
	CHECK(cl_lane_begin(CALL) == NULL);
	device.unified = true;
	info = cl_session_open();
	CHECK(info != NULL && info->device == 42 && info->unified && info->nb_lanes == 4);
	CHECK(cl_session_open() == info && cl_session() == info);
	CHECK(cl_session_number() != 0);
	CHECK(device.nb_opens == 1 && device.nb_closes == 0);
	CHECK(device.nb_calls == 1);
}

static void
without_a_device(void)
{
	const int64_t begin = now_ms();

	unsetenv("APIR_DEVICE");
	CHECK(cl_session_open() == NULL);
	setenv("APIR_DEVICE", "pci=0000:00:05.0", 1);
	CHECK(cl_session_open() == NULL);
	CHECK(device.nb_opens == 0);
	setenv("APIR_DEVICE", "path=/fake", 1);
	device.connect_err = -ECONNREFUSED;
	CHECK(cl_session_open() == NULL);
	CHECK(now_ms() - begin < 500);
	CHECK(cl_session_number() == 0 && !cl_arena_holds(NULL, 0));
	/* once it is there, it is found */
	device.connect_err = 0;
	CHECK(cl_session_open() != NULL);
}

static void
refused(void)
{
	device.features = 0;
	CHECK(cl_session_open() == NULL && device.nb_closes == 1);
	device.features = APIR_F_OPENCL;
	device.nb_lanes = 1;
	CHECK(cl_session_open() == NULL && device.nb_closes == 2);
	device.nb_lanes = 64;
	device.open_err = CL_INVALID_VALUE;
	CHECK(cl_session_open() == NULL && device.nb_closes == 3);
	device.open_err = 0;
	no_roots = true;
	CHECK(cl_session_open() == NULL && device.nb_closes == 4);
	CHECK(cl_session() == NULL && cl_lane_begin(CALL) == NULL);
	no_roots = false;
	/* a part that is not in the arena, and one where the rings are */
	device.shared_at = 64;
	CHECK(cl_session_open() == NULL && device.nb_closes == 5);
	device.shared_at = 0;
	CHECK(cl_session_open() != NULL);
	CHECK(cl_session()->nb_lanes == APIR_CL_MAX_LANES);
}

/* Calls -------------------------------------------------------------------------------------------------------------- */

static void
echo(const struct apir_cl_req *req, const void *args, const uint64_t *ids, struct device_answer *a)
{
	uint64_t v = 0;

	(void)ids;
	if (req->len >= 8)
		memcpy(&v, args, 8);
	a->result[0] = v + req->call;
	a->rsp.err = req->call == CALL ? CL_SUCCESS : (int32_t)-req->call;
}

static void
answers(void)
{
	struct cl_lane *l;
	uint64_t r;

	device.hook = echo;
	CHECK(cl_session_open() != NULL);
	CHECK(call(CALL, &r) == CL_SUCCESS && r == CALL + 7);
	CHECK(call(54, NULL) == -54);
	/* results end where the device says */
	l = cl_lane_begin(CALL);
	CHECK(cl_lane_call(l) == CL_SUCCESS);
	for (int i = 0; i < 4; i++)
		cl_get(&l->res);
	CHECK(!l->res.bad);
	cl_get(&l->res);
	CHECK(l->res.bad);
	cl_lane_end(l);
	/* and arguments at the end of the lane */
	l = cl_lane_begin(CALL);
	for (unsigned int i = 0; i < APIR_CTL_MAX / 8 - 2; i++)
		cl_put(&l->args, 1);
	CHECK(!l->args.bad && cl_lane_call(l) == CL_SUCCESS);
	cl_lane_end(l);
	l = cl_lane_begin(CALL);
	for (unsigned int i = 0; i < APIR_CTL_MAX / 8 - 1; i++)
		cl_put(&l->args, 1);
	CHECK(l->args.bad && cl_lane_call(l) == CL_OUT_OF_HOST_MEMORY);
	cl_lane_end(l);
	CHECK(call(CALL, NULL) == CL_SUCCESS);
}

static unsigned int lie;

static void
lies(const struct apir_cl_req *req, const void *args, const uint64_t *ids, struct device_answer *a)
{
	(void)req;
	(void)args;
	(void)ids;
	switch (lie) {
	case 0:
		a->rsp.magic = APIR_MAGIC;
		break;
	case 1:
		a->used = 15;
		break;
	case 2:
		a->used = APIR_CTL_MAX + 1;
		break;
	case 3:
		a->rsp.len = a->used - 8;
		break;
	case 4:
		a->rsp.len = UINT32_MAX;
		break;
	case 5:
		a->rsp.len = 7;
		break;
	case 6:
		a->used = 0;
		break;
	}
}

static void
nonsense_is_not_believed(void)
{
	device.hook = lies;
	CHECK(cl_session_open() != NULL);
	for (lie = 0; lie < 7; lie++)
		for (int i = 0; i < 8; i++)
			CHECK(call(CALL, NULL) == CL_DEVICE_NOT_AVAILABLE);
	CHECK(call(CALL, NULL) == CL_SUCCESS);
}

static void
refuses(const struct apir_cl_req *req, const void *args, const uint64_t *ids,
	struct device_answer *a)
{
	(void)args;
	(void)ids;
	a->rsp.status = (uint16_t)req->call;
}

static void
refused_messages(void)
{
	device.hook = refuses;
	CHECK(cl_session_open() != NULL);
	CHECK(call(APIR_S_NOMEM, NULL) == CL_OUT_OF_HOST_MEMORY);
	CHECK(call(APIR_S_DEVICE, NULL) == CL_OUT_OF_RESOURCES);
	CHECK(call(APIR_S_OK, NULL) == CL_SUCCESS);
}

/* Threads ------------------------------------------------------------------------------------------------------------ */

static void
keeps(const struct apir_cl_req *req, const void *args, const uint64_t *ids, struct device_answer *a)
{
	(void)args;
	(void)ids;
	a->keep = req->call == CALL;
}

static void *
one_call(void *arg)
{
	return (void *)(intptr_t)call(*(uint32_t *)arg, NULL);
}

static void
wait_kept(unsigned int n)
{
	while (device_nb_kept() != n)
		sleep_ms(1);
}

static void
more_threads_than_lanes(void)
{
	uint32_t number = CALL;
	pthread_t t[8];

	device.hook = keeps;
	CHECK(cl_session_open() != NULL);
	for (int i = 0; i < 8; i++)
		CHECK(pthread_create(&t[i], NULL, one_call, &number) == 0);
	wait_kept(4);
	sleep_ms(20);
	CHECK(device.nb_calls == 1 + 4);
	device_answer_kept();
	wait_kept(4);
	device_answer_kept();
	for (int i = 0; i < 8; i++) {
		void *err;

		pthread_join(t[i], &err);
		CHECK(err == (void *)CL_SUCCESS);
	}
	CHECK(device.nb_calls == 1 + 8);
}

static void
lost_while_waiting(void)
{
	uint32_t number = CALL;
	pthread_t t[8];
	int64_t begin;

	device.hook = keeps;
	CHECK(cl_session_open() != NULL);
	for (int i = 0; i < 8; i++)
		CHECK(pthread_create(&t[i], NULL, one_call, &number) == 0);
	wait_kept(4);
	/* asleep by now, on lanes and for lanes */
	sleep_ms(20);
	begin = now_ms();
	device_die();
	for (int i = 0; i < 8; i++) {
		void *err;

		pthread_join(t[i], &err);
		CHECK((intptr_t)err == CL_DEVICE_NOT_AVAILABLE);
	}
	CHECK(now_ms() - begin < 250);
	CHECK(call(CALL, NULL) == CL_DEVICE_NOT_AVAILABLE);
	CHECK(cl_session() == NULL && cl_session_number() != 0);
	/* objects stay what they are; there is no second session for them to be mistaken in */
	CHECK(cl_session_open() == NULL && device.nb_opens == 1);
	cl_release_id(1);
}

static void *
many_calls(void *arg)
{
	intptr_t bad = 0;

	(void)arg;
	for (int i = 0; i < 300; i++) {
		uint64_t r;

		bad += call(CALL, &r) != CL_SUCCESS || r != CALL + 7;
		cl_release_id((uint64_t)i + 1);
	}
	return (void *)bad;
}

static void
threads_in_parallel(void)
{
	pthread_t t[8];

	device.hook = echo;
	CHECK(cl_session_open() != NULL);
	for (int i = 0; i < 8; i++)
		CHECK(pthread_create(&t[i], NULL, many_calls, NULL) == 0);
	for (int i = 0; i < 8; i++) {
		void *bad;

		pthread_join(t[i], &bad);
		CHECK(bad == NULL);
	}
}

/* Releases and output ------------------------------------------------------------------------------------------------ */

static uint64_t next_id = 1;
static unsigned int most_ids, nb_flushes;

static void
counts_ids(const struct apir_cl_req *req, const void *args, const uint64_t *ids,
	   struct device_answer *a)
{
	(void)args;
	/* in order, each once */
	for (uint32_t i = 0; i < req->nb_released; i++)
		CHECK(ids[i] == next_id++);
	if (req->nb_released > most_ids)
		most_ids = req->nb_released;
	if (req->call == APIR_CL_CALL_READ_OUTPUT) {
		nb_flushes++;
		a->result[0] = a->result[1] = 0;
	}
}

static void
releases_ride_along(void)
{
	device.hook = counts_ids;
	CHECK(cl_session_open() != NULL);
	cl_release_id(0);
	for (uint64_t id = 1; id <= 100; id++)
		cl_release_id(id);
	CHECK(device.nb_calls == 1);
	CHECK(call(CALL, NULL) == CL_SUCCESS);
	CHECK(next_id == 101 && most_ids == 100);
	CHECK(call(CALL, NULL) == CL_SUCCESS);
	CHECK(next_id == 101);
	/* they do not pile up */
	for (uint64_t id = 101; id <= 1000; id++)
		cl_release_id(id);
	CHECK(next_id > 850 && nb_flushes >= 5);
}

static unsigned int nb_reads;

static void
prints(const struct apir_cl_req *req, const void *args, const uint64_t *ids,
       struct device_answer *a)
{
	static const char text[] = "hello!!\n";

	(void)args;
	(void)ids;
	if (req->call != APIR_CL_CALL_READ_OUTPUT) {
		a->rsp.flags = APIR_CL_RSP_OUTPUT;
		a->result[0] = 123;
		return;
	}
	/* twice, then no more; the size, the number of bytes that follow, and those */
	a->result[0] = a->result[1] = ++nb_reads % 3 == 0 ? 0 : 8;
	memcpy(&a->result[2], text, 8);
	a->rsp.len = nb_reads % 3 == 0 ? 16 : 24;
	a->rsp.flags = nb_reads % 3 == 1 ? APIR_CL_RSP_OUTPUT : 0;
}

static void
kernels_print(void)
{
	uint64_t r;

	device.hook = prints;
	CHECK(cl_session_open() != NULL);
	CHECK(call(CALL, &r) == CL_SUCCESS && r == 123);
	CHECK(strcmp(printed, "hello!!\nhello!!\n") == 0);
	CHECK(nb_reads == 3);
}

/* Forks -------------------------------------------------------------------------------------------------------------- */

static void
child_opens_its_own(void)
{
	const uint32_t number = (cl_session_open(), cl_session_number());
	uint64_t r;
	int status;
	pid_t pid;

	device.hook = echo;
	CHECK(number != 0);
	cl_release_id(77);
	pid = fork();
	if (pid == 0) {
		CHECK(cl_session() == NULL && cl_session_number() == 0);
		CHECK(device.nb_forked == 1);
		CHECK(cl_lane_begin(CALL) == NULL);
		cl_release_id(78);
		CHECK(cl_session_open() != NULL);
		CHECK(cl_session_number() != 0 && cl_session_number() != number);
		CHECK(device.nb_opens == 2);
		CHECK(call(CALL, &r) == CL_SUCCESS && r == CALL + 7);
		_exit(0);
	}
	CHECK(pid > 0);
	CHECK(call(CALL, &r) == CL_SUCCESS && r == CALL + 7);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(call(CALL, &r) == CL_SUCCESS);
	CHECK(cl_session_number() == number);
}

static atomic_bool stop;

static void *
calls_until_told(void *arg)
{
	while (!atomic_load(&stop)) {
		void *p = cl_arena_alloc(100, 64);

		call(CALL, NULL);
		cl_release_id(1);
		cl_arena_free(p);
	}
	return arg;
}

/* No lock stays held in a child by a thread that is not there. */
static void
forks_among_threads(void)
{
	pthread_t t[3];

	device.hook = echo;
	CHECK(cl_session_open() != NULL);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t[i], NULL, calls_until_told, NULL) == 0);
	for (int i = 0; i < 20; i++) {
		const pid_t pid = fork();
		int status;

		if (pid == 0) {
			alarm(20);
			CHECK(cl_session_open() != NULL);
			CHECK(call(CALL, NULL) == CL_SUCCESS);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

#define TEST(name)                                          \
	{                                                   \
#name, in_process, NULL, NULL, (void *)name \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opens_once),
		TEST(without_a_device),
		TEST(refused),
		TEST(answers),
		TEST(nonsense_is_not_believed),
		TEST(refused_messages),
		TEST(more_threads_than_lanes),
		TEST(lost_while_waiting),
		TEST(threads_in_parallel),
		TEST(releases_ride_along),
		TEST(kernels_print),
		TEST(child_opens_its_own),
		TEST(forks_among_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
