/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_errno.h>

#include "apir_private.h"
#include "dpdk_env.h"

static char folder[] = "/tmp/apir-api-XXXXXX";
static char sock[64];

static int
setup_group(void **state)
{
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(sock, sizeof(sock), "%s/s", folder);
	return env_start(state);
}

static int
teardown_group(void **state)
{
	unlink(sock);
	rmdir(folder);
	return env_stop(state);
}

/* A socket at sock; listening or not. */
static int
make_socket(bool listening)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", sock);
	unlink(sock);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	if (listening)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void
assert_open_fails(const struct rte_apir_conf *conf, int err, const char *names)
{
	uint16_t id = 12345;
	const unsigned int before = rte_mempool_avail_count(env_pool);
	const int fds = env_count_fds();

	assert_int_equal(rte_apir_open(conf, &id), err);
	assert_error_names(names);
	assert_int_equal(id, 12345);
	assert_int_equal(env_count_fds(), fds);
	assert_int_equal(rte_mempool_avail_count(env_pool), before);
}

static void
test_open_fails(void **state)
{
	struct rte_apir_conf conf = {.path = sock, .timeout_ms = 50};
	int fd;

	(void)state;
	unlink(sock);
	assert_open_fails(&conf, -ENOENT, sock);
	fd = make_socket(false);
	assert_open_fails(&conf, -ECONNREFUSED, sock);
	close(fd);
	/* somebody listens, nobody answers */
	fd = make_socket(true);
	assert_open_fails(&conf, -ETIMEDOUT, sock);
	close(fd);
	conf.nb_queue_pairs = 65;
	assert_open_fails(&conf, -EINVAL, "nb_queue_pairs");
	assert_int_equal(rte_apir_open(NULL, NULL), -EINVAL);
}

static void
accept_and_close(int fd)
{
	close(accept(fd, NULL, NULL));
}

static void *
closer(void *arg)
{
	accept_and_close(*(int *)arg);
	return NULL;
}

static void
test_peer_closes(void **state)
{
	struct rte_apir_conf conf = {.path = sock, .timeout_ms = 20000};
	int fd = make_socket(true);
	uint16_t id;
	pthread_t t;
	int ret;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, closer, &fd), 0);
	ret = rte_apir_open(&conf, &id);
	assert_true(ret == -ECONNRESET || ret == -ENODEV);
	assert_error_names(sock);
	pthread_join(t, NULL);
	close(fd);
}

static void
on_lost(uint16_t dev_id, void *arg)
{
	(void)dev_id;
	(void)arg;
}

static void
test_no_device(void **state)
{
	const struct rte_apir_stage stage = {.kernel = 1};
	const uint16_t ids[] = {0, RTE_APIR_MAX_DEVS - 1, RTE_APIR_MAX_DEVS, UINT16_MAX};
	struct rte_apir_stats stats;
	struct rte_apir_info info;
	char *log = (char *)1, byte = 0;
	uint32_t out;
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(ids); i++) {
		const uint16_t id = ids[i];
		char text[32];

		assert_int_equal(rte_apir_close(id), -ENODEV);
		snprintf(text, sizeof(text), "device %u", id);
		assert_error_names(text);
		assert_int_equal(rte_apir_reconnect(id), -ENODEV);
		assert_int_equal(rte_apir_state(id), RTE_APIR_LOST);
		assert_int_equal(rte_apir_lost_callback_set(id, on_lost, NULL), -ENODEV);
		assert_int_equal(rte_apir_info_get(id, &info), -ENODEV);
		assert_int_equal(rte_apir_program_create(id, "x", 1, NULL, &out, &log), -ENODEV);
		assert_null(log);
		assert_int_equal(rte_apir_program_destroy(id, 1), -ENODEV);
		assert_int_equal(rte_apir_kernel_create(id, 1, "k", &out, NULL), -ENODEV);
		assert_int_equal(rte_apir_kernel_destroy(id, 1), -ENODEV);
		assert_int_equal(rte_apir_kernel_set_value(id, 1, 0, &byte, 1), -ENODEV);
		assert_int_equal(rte_apir_kernel_set_buffer(id, 1, 0, 1), -ENODEV);
		assert_int_equal(rte_apir_kernel_set_local(id, 1, 0, 1), -ENODEV);
		assert_int_equal(rte_apir_buffer_create(id, 1, &out), -ENODEV);
		assert_int_equal(rte_apir_buffer_write(id, 1, 0, &byte, 1), -ENODEV);
		assert_int_equal(rte_apir_buffer_read(id, 1, 0, &byte, 1), -ENODEV);
		assert_int_equal(rte_apir_buffer_destroy(id, 1), -ENODEV);
		assert_int_equal(rte_apir_pipeline_create(id, &stage, 1, &out), -ENODEV);
		assert_int_equal(rte_apir_pipeline_destroy(id, 1), -ENODEV);
		assert_int_equal(rte_apir_stats_get(id, 0, &stats), -ENODEV);
		assert_int_equal(rte_apir_stats_reset(id, 0), -ENODEV);
		assert_false(rte_apir_is_shared(id, env_pool, 1));
	}
}

/* What can be seen to be wrong without asking a device is refused first. */
static void
test_arguments(void **state)
{
	const struct rte_apir_stage bad = {.launch = (enum rte_apir_launch)2};
	struct rte_apir_stage stages[RTE_APIR_MAX_STAGES + 1] = {{0}};
	char name[300], byte = 0;
	uint32_t out;

	(void)state;
	assert_int_equal(rte_apir_program_create(0, NULL, 1, NULL, &out, NULL), -EINVAL);
	assert_int_equal(rte_apir_program_create(0, "x", 0, NULL, &out, NULL), -EINVAL);
	assert_error_names("empty");
	assert_int_equal(rte_apir_program_create(0, "x", 1, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(rte_apir_kernel_create(0, 1, NULL, &out, NULL), -EINVAL);
	assert_int_equal(rte_apir_kernel_create(0, 1, "", &out, NULL), -EINVAL);
	memset(name, 'k', sizeof(name));
	name[256] = '\0';
	assert_int_equal(rte_apir_kernel_create(0, 1, name, &out, NULL), -EINVAL);
	assert_error_names("1..255");
	assert_int_equal(rte_apir_kernel_create(0, 1, "k", NULL, NULL), -EINVAL);
	assert_int_equal(rte_apir_kernel_set_value(0, 1, 0, NULL, 4), -EINVAL);
	assert_int_equal(rte_apir_kernel_set_value(0, 1, 0, &byte, 0), -EINVAL);
	assert_int_equal(rte_apir_kernel_set_value(0, 1, 0, &byte, 1025), -EINVAL);
	assert_error_names("1..1024");
	assert_int_equal(rte_apir_kernel_set_local(0, 1, 0, 0), -EINVAL);
	assert_int_equal(rte_apir_buffer_create(0, 0, &out), -EINVAL);
	assert_int_equal(rte_apir_buffer_create(0, 1, NULL), -EINVAL);
	assert_int_equal(rte_apir_buffer_write(0, 1, 0, NULL, 1), -EINVAL);
	assert_int_equal(rte_apir_buffer_write(0, 1, SIZE_MAX, &byte, 1), -EINVAL);
	assert_int_equal(rte_apir_buffer_read(0, 1, 2, &byte, SIZE_MAX), -EINVAL);
	assert_int_equal(rte_apir_pipeline_create(0, stages, 0, &out), -EINVAL);
	assert_int_equal(rte_apir_pipeline_create(0, stages, RTE_DIM(stages), &out), -EINVAL);
	assert_error_names("1..16");
	assert_int_equal(rte_apir_pipeline_create(0, NULL, 1, &out), -EINVAL);
	assert_int_equal(rte_apir_pipeline_create(0, stages, 1, NULL), -EINVAL);
	assert_int_equal(rte_apir_pipeline_create(0, &bad, 1, &out), -EINVAL);
	assert_int_equal(rte_apir_info_get(0, NULL), -EINVAL);
}

static void *
other_thread(void *arg)
{
	assert_string_equal(rte_apir_last_error(), "");
	assert_int_equal(rte_apir_buffer_create(0, 0, NULL), -EINVAL);
	return arg;
}

static void
test_texts(void **state)
{
	char mine[128];
	pthread_t t;
	uint16_t i;

	(void)state;
	for (i = 0; i < 300; i++)
		assert_true(strlen(rte_apir_status_str(i)) > 0);
	assert_string_not_equal(rte_apir_status_str(APIR_S_LOST), rte_apir_status_str(254));
	/* each thread has its own text */
	assert_int_equal(rte_apir_kernel_set_local(0, 77, 0, 0), -EINVAL);
	snprintf(mine, sizeof(mine), "%s", rte_apir_last_error());
	assert_non_null(strstr(mine, "77"));
	assert_int_equal(pthread_create(&t, NULL, other_thread, NULL), 0);
	pthread_join(t, NULL);
	assert_string_equal(rte_apir_last_error(), mine);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_fails), cmocka_unit_test(test_peer_closes),
		cmocka_unit_test(test_no_device),  cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
