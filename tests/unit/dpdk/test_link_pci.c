/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_log.h>
#include <rte_malloc.h>

#include "dpdk_env.h"
#include "fake_bus.h"

/* Devices on PCI from rte_apir_open() on: what gives way to the device, and how its end is noticed. */

#define LONG_MS 20000 /* never reached when all is well */
/* HELLO of a device that is silent: some of the service thread's probes (500 ms) fall into it */
#define SILENT_MS 1300

static unsigned int allocs_before;
static int fds_before;
static atomic_uint lost_calls;
static char *log_text;
static size_t log_len;
static FILE *log_file;

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
	fake_bus_init();
	atomic_store(&lost_calls, 0);
	log_file = open_memstream(&log_text, &log_len);
	return log_file == NULL || rte_openlog_stream(log_file) != 0;
}

/* Nothing is left of device or memory. */
static int
teardown(void **state)
{
	(void)state;
	rte_openlog_stream(NULL);
	fclose(log_file);
	if (getenv("APIR_TEST_LOG") != NULL)
		fprintf(stderr, "%s", log_text);
	free(log_text);
	assert_false(atomic_load(&fake_bus.taken));
	assert_true(atomic_load(&fake_bus.s.quit));
	assert_int_equal(atomic_load(&fake_bus.opened), atomic_load(&fake_bus.closed));
	assert_int_equal(allocs(), allocs_before);
	assert_int_equal(env_count_fds(), fds_before);
	return 0;
}

/* Written while the lock of the stream is held by nobody else: after the callback, or the close. */
static bool
logged(const char *text)
{
	fflush(log_file);
	return log_text != NULL && strstr(log_text, text) != NULL;
}

static int
try_open(struct rte_apir_conf conf, uint16_t *dev)
{
	conf.pci = "";
	if (conf.timeout_ms == 0)
		conf.timeout_ms = LONG_MS;
	return rte_apir_open(&conf, dev);
}

static struct apir_dev *
must_open(struct rte_apir_conf conf)
{
	uint16_t id = UINT16_MAX;
	const int ret = try_open(conf, &id);

	if (ret != 0)
		fail_msg("%d, %s", ret, rte_apir_last_error());
	return &apir_devs[id];
}

static void
on_lost(uint16_t dev_id, void *arg)
{
	/* the state is what the callback is about */
	if (rte_apir_state(dev_id) == RTE_APIR_LOST && arg == &lost_calls)
		atomic_fetch_add(&lost_calls, 1);
}

static struct apir_dev *
must_open_watched(void)
{
	struct apir_dev *dev = must_open((struct rte_apir_conf){0});

	assert_int_equal(rte_apir_lost_callback_set(dev->id, on_lost, &lost_calls), 0);
	return dev;
}

static void
wait_lost(void)
{
	while (atomic_load(&lost_calls) == 0)
		sched_yield();
}

static void
test_open(void **state)
{
	struct apir_dev *dev;

	(void)state;
	dev = must_open((struct rte_apir_conf){.nb_queue_pairs = 3});
	assert_int_equal(rte_apir_state(dev->id), RTE_APIR_RUNNING);
	assert_string_equal(dev->conf.path, FAKE_BUS_ADDR);
	assert_true(atomic_load(&fake_bus.taken));
	assert_int_equal(fake_bus.queues, 4);
	assert_int_equal(atomic_load(&dev->qps[2])->addr_field, APIR_MBUF_IOVA_FIELD);
	assert_true(rte_apir_is_shared(dev->id, env_pool, 1));
	assert_int_equal(rte_apir_close(dev->id), 0);
	assert_false(rte_apir_is_shared(dev->id, env_pool, 1));
	assert_int_equal(atomic_load(&lost_calls), 0);
}

static void
test_choice(void **state)
{
	struct rte_apir_conf conf = {.pci = "00:05.0", .timeout_ms = LONG_MS};
	uint16_t id, other;

	(void)state;
	/* nothing named: the device; then it is taken */
	assert_int_equal(rte_apir_open(NULL, &id), 0);
	assert_true(apir_devs[id].conf.pci);
	assert_int_equal(rte_apir_open(&conf, &other), -EBUSY);
	assert_error_names("open already");
	assert_true(atomic_load(&fake_bus.taken));
	assert_int_equal(rte_apir_close(id), 0);
	assert_int_equal(rte_apir_open(&conf, &id), 0);
	assert_int_equal(rte_apir_close(id), 0);
	conf.pci = "00:06.0";
	assert_int_equal(rte_apir_open(&conf, &id), -ENODEV);
	fake_bus.no_device = true;
	assert_int_equal(try_open((struct rte_apir_conf){0}, &id), -ENODEV);
}

/* Defaults give way to a device of small rings. */
static void
test_small_rings(void **state)
{
	static const uint16_t sizes[] = {8, 16, 64, 512, 1024};
	struct apir_dev *dev;
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(sizes); i++) {
		const uint16_t segs = RTE_MIN(sizes[i] - 2, 256);

		fake_bus.limits.queue_size = sizes[i];
		dev = must_open((struct rte_apir_conf){0});
		assert_int_equal(dev->conf.max_burst, segs);
		assert_int_equal(dev->conf.max_segs, segs);
		assert_int_equal(dev->conf.nb_bursts, RTE_MIN(sizes[i], 32));
		assert_int_equal(fake_bus.sizes[1], RTE_MIN(sizes[i], 512));
		assert_int_equal(atomic_load(&dev->qps[0])->max_burst, segs);
		assert_int_equal(rte_apir_close(dev->id), 0);
	}
	/* what is asked for and fits stays, and the rest goes by it */
	fake_bus.limits.queue_size = 64;
	dev = must_open((struct rte_apir_conf){.max_burst = 20, .nb_bursts = 4});
	assert_int_equal(dev->conf.max_burst, 20);
	assert_int_equal(dev->conf.max_segs, 20);
	assert_int_equal(dev->conf.nb_bursts, 4);
	assert_int_equal(rte_apir_close(dev->id), 0);
	dev = must_open((struct rte_apir_conf){.max_segs = 62});
	assert_int_equal(dev->conf.max_burst, 62);
	assert_int_equal(dev->conf.max_segs, 62);
	assert_int_equal(rte_apir_close(dev->id), 0);
}

/* What was asked for is never made less in silence. */
static void
test_small_rings_refused(void **state)
{
	static const struct rte_apir_conf bad[] = {
		{.max_burst = 63}, {.max_segs = 63}, {.nb_bursts = 128}};
	unsigned int i;
	uint16_t id;

	(void)state;
	fake_bus.limits.queue_size = 64;
	for (i = 0; i < RTE_DIM(bad); i++) {
		assert_int_equal(try_open(bad[i], &id), -EINVAL);
		assert_error_names("queue 1 of 128 entries is too much");
	}
}

static void
test_fewer_queues(void **state)
{
	struct apir_dev *dev;
	uint16_t id;

	(void)state;
	fake_bus.limits.nb_data_queues = 2;
	assert_int_equal(try_open((struct rte_apir_conf){.nb_queue_pairs = 3}, &id), -EINVAL);
	assert_error_names("queue 3 of");
	dev = must_open((struct rte_apir_conf){.nb_queue_pairs = 3, .fewer_queue_pairs = true});
	assert_int_equal(dev->conf.nb_queue_pairs, 2);
	assert_non_null(atomic_load(&dev->qps[1]));
	assert_null(atomic_load(&dev->qps[2]));
	assert_int_equal(rte_apir_close(dev->id), 0);
	/* never more than was asked for */
	dev = must_open((struct rte_apir_conf){.nb_queue_pairs = 1, .fewer_queue_pairs = true});
	assert_int_equal(dev->conf.nb_queue_pairs, 1);
	assert_int_equal(rte_apir_close(dev->id), 0);
}

static void
test_start_fails(void **state)
{
	uint16_t id;

	(void)state;
	fake_bus.start_ret = -EPROTO;
	assert_int_equal(try_open((struct rte_apir_conf){0}, &id), -EPROTO);
	assert_false(rte_apir_is_shared(0, env_pool, 1));
}

/* The service thread asks again and again, and an answer changes nothing. */
static void
test_probe_answered(void **state)
{
	struct apir_dev *dev;

	(void)state;
	dev = must_open_watched();
	while (atomic_load(&fake_bus.s.calls) < 2)
		sched_yield();
	assert_int_equal(rte_apir_state(dev->id), RTE_APIR_RUNNING);
	assert_int_equal(rte_apir_close(dev->id), 0);
	assert_int_equal(atomic_load(&lost_calls), 0);
}

/* A device that does not answer any more is lost, and the application is told, once. */
static void
test_probe_silent(void **state)
{
	struct apir_dev *dev;
	int ret;

	(void)state;
	dev = must_open_watched();
	atomic_store(&fake_bus.s.mute, true);
	wait_lost();
	assert_int_equal(rte_apir_state(dev->id), RTE_APIR_LOST);
	assert_true(logged("the session with " FAKE_BUS_ADDR " is over"));
	assert_true(logged("its back-end does not answer"));
	/* a lost device is not asked; it comes back when it is connected again */
	apir_link_probe(dev);
	atomic_store(&fake_bus.s.mute, false);
	do {
		/* the first tries are impatient */
		ret = rte_apir_reconnect(dev->id);
	} while (ret == -ETIMEDOUT);
	assert_int_equal(ret, 0);
	assert_int_equal(rte_apir_state(dev->id), RTE_APIR_RUNNING);
	assert_int_equal(rte_apir_close(dev->id), 0);
	assert_int_equal(atomic_load(&lost_calls), 1);
}

/* So is one whose back-end was started again, which knows nothing of the session. */
static void
test_probe_forgotten(void **state)
{
	struct apir_dev *dev;

	(void)state;
	dev = must_open_watched();
	atomic_store(&fake_bus.s.rpc_status, APIR_S_NOTREADY);
	wait_lost();
	assert_int_equal(rte_apir_state(dev->id), RTE_APIR_LOST);
	assert_true(logged("its back-end was started again"));
	assert_int_equal(rte_apir_close(dev->id), 0);
	assert_int_equal(atomic_load(&lost_calls), 1);
}

/* A device that is silent and does not let go of its queues: not lost before it does. */
static void
test_probe_hung(void **state)
{
	struct apir_dev *dev;

	(void)state;
	dev = must_open_watched();
	atomic_store(&fake_bus.stop_ret, -ETIMEDOUT);
	atomic_store(&fake_bus.s.mute, true);
	while (rte_apir_state(dev->id) != RTE_APIR_HUNG)
		sched_yield();
	assert_int_equal(rte_apir_close(dev->id), -EBUSY);
	assert_error_names("hangs");
	assert_int_equal(rte_apir_state(dev->id), RTE_APIR_HUNG);
	atomic_store(&fake_bus.stop_ret, 0);
	assert_int_equal(rte_apir_close(dev->id), 0);
	assert_int_equal(atomic_load(&lost_calls), 0);
}

/* A transport that sees the end of its device itself is not asked. */
static void
test_no_probe(void **state)
{
	struct apir_dev *dev;
	unsigned int before;

	(void)state;
	fake_bus.no_probes = true;
	dev = must_open_watched();
	before = fake_bus_requests();
	apir_link_probe(dev);
	assert_int_equal(fake_bus_requests(), before);
	assert_int_equal(apir_link_probe_ms(&(struct apir_dev){.conf = {.pci = false}}), 0);
	assert_true(apir_link_probe_ms(dev) > 0);
	assert_int_equal(rte_apir_close(dev->id), 0);
}

/* Whoever has the device's lock may be waiting for the thread that probes: it never waits for the lock. */
static void
test_probe_never_waits(void **state)
{
	struct apir_dev *dev;
	unsigned int before;

	(void)state;
	dev = must_open_watched();
	pthread_mutex_lock(&dev->lock);
	before = fake_bus_requests();
	apir_link_probe(dev);
	assert_int_equal(fake_bus_requests(), before);
	pthread_mutex_unlock(&dev->lock);
	assert_int_equal(rte_apir_close(dev->id), 0);
}

/* The lock is held while HELLO is waited for, and the service thread ends with it held. */
static void
test_probe_at_failed_open(void **state)
{
	uint16_t id = UINT16_MAX;

	(void)state;
	atomic_store(&fake_bus.s.mute, true);
	assert_int_equal(try_open((struct rte_apir_conf){.timeout_ms = SILENT_MS}, &id),
			 -ETIMEDOUT);
	assert_error_names("HELLO");
	assert_int_equal(id, UINT16_MAX);
}

/* The same when the device does not even give its queues back: it outlives the failed open. */
static void
test_probe_at_zombie(void **state)
{
	uint16_t id;

	(void)state;
	atomic_store(&fake_bus.s.mute, true);
	atomic_store(&fake_bus.stop_ret, -ETIMEDOUT);
	assert_int_equal(try_open((struct rte_apir_conf){.timeout_ms = SILENT_MS}, &id),
			 -ETIMEDOUT);
	assert_true(atomic_load(&fake_bus.taken));
	assert_int_equal(try_open((struct rte_apir_conf){0}, &id), -EBUSY);
	/* freed by the next open once it can be */
	atomic_store(&fake_bus.stop_ret, 0);
	atomic_store(&fake_bus.s.mute, false);
	assert_int_equal(rte_apir_close(must_open((struct rte_apir_conf){0})->id), 0);
}

/* Closed while a probe waits for its answer. */
static void
test_close_during_probe(void **state)
{
	struct apir_dev *dev;
	unsigned int before;

	(void)state;
	dev = must_open_watched();
	atomic_store(&fake_bus.s.mute, true);
	before = fake_bus_requests();
	while (fake_bus_requests() == before)
		sched_yield();
	assert_int_equal(rte_apir_close(dev->id), 0);
	assert_true(atomic_load(&lost_calls) <= 1);
}

/* Opened and closed at once, many times: the thread that probes is at any point. */
static void
test_open_close(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 50; i++)
		assert_int_equal(rte_apir_close(must_open((struct rte_apir_conf){0})->id), 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_open),
		T(test_choice),
		T(test_small_rings),
		T(test_small_rings_refused),
		T(test_fewer_queues),
		T(test_start_fails),
		T(test_probe_answered),
		T(test_probe_silent),
		T(test_probe_forgotten),
		T(test_probe_hung),
		T(test_no_probe),
		T(test_probe_never_waits),
		T(test_probe_at_failed_open),
		T(test_probe_at_zombie),
		T(test_close_during_probe),
		T(test_open_close),
	};

	return cmocka_run_group_tests(tests, env_start, env_stop);
}
