/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#include "apir_private.h"
#include "dpdk_env.h"
#include "fake_session.h"

/* rte_apir_open() and the control calls against back-ends that no apird is. */

#define SHORT_MS 300   /* a wait that is to end */
#define LONG_MS	 20000 /* never reached when all is well */

static struct fake_session s;
static unsigned int allocs_before;
static int fds_before;

static unsigned int
allocs(void)
{
	struct rte_malloc_socket_stats st;

	assert_int_equal(rte_malloc_get_socket_stats(0, &st), 0);
	return st.alloc_count;
}

static int
setup(void **state)
{
	(void)state;
	allocs_before = allocs();
	fds_before = env_count_fds();
	fake_session_init(&s);
	return 0;
}

/* Nothing is left of device or memory. */
static int
teardown(void **state)
{
	(void)state;
	fake_session_stop(&s);
	assert_string_equal(s.be.wrong, "");
	assert_int_equal(allocs(), allocs_before);
	assert_int_equal(env_count_fds(), fds_before);
	return 0;
}

static int
try_open(struct rte_apir_conf conf, uint16_t *dev)
{
	conf.path = s.be.path;
	if (conf.timeout_ms == 0)
		conf.timeout_ms = LONG_MS;
	return rte_apir_open(&conf, dev);
}

static uint16_t
must_open(struct rte_apir_conf conf)
{
	uint16_t dev = UINT16_MAX;
	const int ret = try_open(conf, &dev);

	if (ret != 0)
		fail_msg("%d, %s", ret, rte_apir_last_error());
	return dev;
}

static void
must_close(uint16_t dev)
{
	fake_session_quiet(&s);
	assert_int_equal(rte_apir_close(dev), 0);
}

#define must_fail(conf, err, text)                               \
	do {                                                     \
		uint16_t dev_ = UINT16_MAX;                      \
		assert_int_equal(try_open(conf, &dev_), -(err)); \
		assert_error_names(text);                        \
		assert_int_equal(dev_, UINT16_MAX);              \
	} while (0)

static void
test_open(void **state)
{
	uint16_t dev;

	(void)state;
	fake_session_start(&s);
	dev = must_open((struct rte_apir_conf){.nb_queue_pairs = 2});
	assert_int_equal(rte_apir_state(dev), RTE_APIR_RUNNING);
	/* EAL's memory, and nothing else, as one region */
	assert_int_equal(s.be.mem.nb, 1);
	assert_int_equal(s.be.mem.region[0].size, 64u << 20);
	assert_int_equal(s.be.mem.region[0].guest_addr, s.be.mem.region[0].user_addr);
	assert_true(rte_apir_is_shared(dev, (void *)(uintptr_t)s.be.mem.region[0].guest_addr,
				       64u << 20));
	assert_int_equal(s.be.queue[2].num, 512);
	assert_true(s.be.queue[2].enabled);
	must_close(dev);
	assert_false(rte_apir_is_shared(dev, env_pool, 1));
	assert_int_equal(s.be.queue[2].base_asked, 1);
}

static void
test_limits(void **state)
{
	struct rte_apir_info info;
	uint16_t dev;

	(void)state;
	s.hello.max_pkts = 50;
	s.hello.max_segs = 100;
	/* what an info call gives: success, four names, numbers */
	s.results[0].words[1] = 0;
	s.results[0].nb = 16;
	s.nb_results = 1;
	fake_session_start(&s);
	/* defaults give way */
	dev = must_open((struct rte_apir_conf){0});
	assert_int_equal(rte_apir_info_get(dev, &info), 0);
	assert_int_equal(info.max_segs, 100);
	assert_int_equal(info.max_burst, 50);
	assert_string_equal(info.copy_mode, "staged");
	assert_false(info.zero_copy);
	must_close(dev);
}

static void
test_limits_refused(void **state)
{
	(void)state;
	s.hello.max_pkts = 100;
	s.hello.max_segs = 150;
	fake_session_start(&s);
	must_fail(((struct rte_apir_conf){.max_burst = 101}), EINVAL, "max_burst is 101");
	fake_session_stop(&s);
	fake_session_init(&s);
	s.hello.max_pkts = 100;
	s.hello.max_segs = 150;
	fake_session_start(&s);
	must_fail(((struct rte_apir_conf){.max_segs = 151}), EINVAL, "max_segs is 151");
}

static void
test_queues_refused(void **state)
{
	(void)state;
	s.hello.max_data_queues = 2;
	fake_session_start(&s);
	must_fail(((struct rte_apir_conf){.nb_queue_pairs = 3}), EINVAL, "nb_queue_pairs is 3");
}

/* More than EAL has. */
static void
test_no_memory(void **state)
{
	(void)state;
	fake_session_start(&s);
	must_fail(((struct rte_apir_conf){
			  .nb_queue_pairs = 64, .nb_bursts = 1024, .max_burst = 1022}),
		  ENOMEM, "memory");
}

static void
test_nothing_allowed(void **state)
{
	(void)state;
	s.hello.max_pkts = 0;
	fake_session_start(&s);
	must_fail(((struct rte_apir_conf){0}), EPROTO, "");
}

static void
test_version(void **state)
{
	(void)state;
	s.hello_status = APIR_S_VERSION;
	s.hello.version = s.hello.version_min = 9u << 16;
	fake_session_start(&s);
	must_fail(((struct rte_apir_conf){0}), EPROTONOSUPPORT, "9");
}

static void
test_no_hello(void **state)
{
	(void)state;
	s.mute = true;
	fake_session_start(&s);
	must_fail(((struct rte_apir_conf){.timeout_ms = SHORT_MS}), ETIMEDOUT, "HELLO");
}

static void
test_memory_refused(void **state)
{
	(void)state;
	s.be.fault = FAULT_REFUSE;
	s.be.fault_at = VU_SET_MEM_TABLE;
	fake_session_start(&s);
	must_fail(((struct rte_apir_conf){0}), EPROTO, "SET_MEM_TABLE");
}

/*
 * A back-end that started the device and then hangs: it can write to the rings whenever it goes on, so they outlive the
 * failed open, until it dies.
 */
static void
test_hangs_at_open(void **state)
{
	const struct rte_apir_conf nowhere = {.path = "/nonexistent/sock"};
	uint16_t i, dev;

	(void)state;
	s.mute = true;
	s.be.fault = FAULT_SILENT;
	s.be.fault_at = VU_GET_VRING_BASE;
	fake_session_start(&s);
	must_fail(((struct rte_apir_conf){.timeout_ms = SHORT_MS}), ETIMEDOUT, "HELLO");
	assert_true(allocs() > allocs_before);
	must_fail(((struct rte_apir_conf){.nb_bursts = 3}), EINVAL, "nb_bursts");
	assert_true(allocs() > allocs_before);
	fake_session_quiet(&s);
	fake_backend_hangup(&s.be);
	for (i = 0; i < RTE_APIR_MAX_DEVS; i++) {
		while (atomic_load(&apir_devs[i].zombie) && !atomic_load(&apir_devs[i].gone))
			sched_yield();
	}
	/* the next open frees it, whatever becomes of that one */
	assert_int_equal(rte_apir_open(&nowhere, &dev), -ENOENT);
}

static atomic_uint lost_calls;

static void
on_lost(uint16_t dev_id, void *arg)
{
	(void)dev_id;
	(void)arg;
	atomic_fetch_add(&lost_calls, 1);
}

static void
test_hangup(void **state)
{
	uint16_t dev;

	(void)state;
	fake_session_start(&s);
	dev = must_open((struct rte_apir_conf){0});
	atomic_store(&lost_calls, 0);
	assert_int_equal(rte_apir_lost_callback_set(dev, on_lost, NULL), 0);
	fake_session_quiet(&s);
	fake_backend_hangup(&s.be);
	while (atomic_load(&lost_calls) == 0)
		sched_yield();
	assert_int_equal(rte_apir_state(dev), RTE_APIR_LOST);
	assert_int_equal(rte_apir_close(dev), 0);
	assert_int_equal(atomic_load(&lost_calls), 1);
}

/* A cleared callback is not called. */
static void
test_callback_cleared(void **state)
{
	uint16_t dev;

	(void)state;
	fake_session_start(&s);
	dev = must_open((struct rte_apir_conf){0});
	atomic_store(&lost_calls, 0);
	assert_int_equal(rte_apir_lost_callback_set(dev, on_lost, NULL), 0);
	assert_int_equal(rte_apir_lost_callback_set(dev, NULL, NULL), 0);
	fake_session_quiet(&s);
	fake_backend_hangup(&s.be);
	while (rte_apir_state(dev) != RTE_APIR_LOST)
		sched_yield();
	assert_int_equal(rte_apir_close(dev), 0);
	assert_int_equal(atomic_load(&lost_calls), 0);
}

static void
result(unsigned int i, unsigned int nb, const uint32_t *words)
{
	memcpy(s.results[i].words, words, nb * sizeof(words[0]));
	s.results[i].nb = nb;
	s.nb_results = i + 1;
}
#define RESULT(i, ...)                                     \
	do {                                               \
		const uint32_t w_[] = {__VA_ARGS__};       \
		result(i, sizeof(w_) / sizeof(w_[0]), w_); \
	} while (0)

/* Answers that no device gives. Each is an error with a text, and none is believed. */
static void
test_odd_answers(void **state)
{
	const struct rte_apir_stage stage = {.kernel = 1};
	char bytes[8] = "unused", *log = NULL;
	uint32_t id = 77;
	uint16_t dev;

	(void)state;
	fake_session_start(&s);
	dev = must_open((struct rte_apir_conf){.build_timeout_ms = LONG_MS});
	/* success with id 0: {status 0, text ""}, id */
	RESULT(0, 0, 0, 0, 0, 0);
	assert_int_equal(rte_apir_buffer_create(dev, 1, &id), -EPROTO);
	assert_error_names("id 0");
	assert_int_equal(rte_apir_kernel_create(dev, 1, "k", &id, NULL), -EPROTO);
	assert_int_equal(rte_apir_pipeline_create(dev, &stage, 1, &id), -EPROTO);
	assert_int_equal(id, 77);
	/* a status that does not exist; one with a text; a text that ends too early */
	RESULT(0, 4711, 0, 0);
	assert_int_equal(rte_apir_buffer_create(dev, 1, &id), -EPROTO);
	RESULT(0, APIR_S_NOMEM, 4, 0x66756c6c, 0);
	assert_int_equal(rte_apir_buffer_create(dev, 1, &id), -ENOMEM);
	assert_error_names("full");
	RESULT(0, APIR_S_NOMEM, 400, 0x66756c6c);
	assert_int_equal(rte_apir_buffer_create(dev, 1, &id), -EPROTO);
	/* a read of other than 8 bytes: {0, ""}, n, total, bytes<> */
	RESULT(0, 0, 0, 0, 8, 0, 8, 4, 0x41414141);
	assert_int_equal(rte_apir_buffer_read(dev, 1, 0, bytes, 8), -EPROTO);
	RESULT(0, 0, 0, 0, 4, 0, 8, 4, 0x41414141);
	assert_int_equal(rte_apir_buffer_read(dev, 1, 0, bytes, 8), -EPROTO);
	assert_string_equal(bytes, "unused");
	/* a program: {0, ""}, id, log_len, cached. A log of 2^40 bytes, one of no bytes at all */
	RESULT(0, 0, 0, 5, 1u << 8, 0, 0);
	assert_int_equal(rte_apir_program_create(dev, "x", 1, NULL, &id, &log), -EPROTO);
	assert_null(log);
	RESULT(0, 0, 0, 5, 0, 10, 0);
	RESULT(1, 0, 0, 0, 0, 0, 10, 0);
	atomic_store(&s.calls, 0);
	assert_int_equal(rte_apir_program_create(dev, "x", 1, NULL, &id, &log), -EPROTO);
	assert_null(log);
	assert_int_equal(id, 77);
	must_close(dev);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_open),		T(test_limits),	   T(test_limits_refused),
		T(test_queues_refused), T(test_no_memory), T(test_nothing_allowed),
		T(test_version),	T(test_no_hello),  T(test_memory_refused),
		T(test_hangs_at_open),	T(test_hangup),	   T(test_callback_cleared),
		T(test_odd_answers),
	};

	return cmocka_run_group_tests(tests, env_start, env_stop);
}
