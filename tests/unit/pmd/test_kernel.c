/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* From the devargs to the pipeline. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_bus_vdev.h>

#include "fake_apir.h"
#include "net_apir_args.h"
#include "pmd_env.h"

static char devargs[1024];

/* kernel= of a good file, and more. */
static const char *
with(const char *more)
{
	snprintf(devargs, sizeof(devargs), "%s%s", env_kernel(), more);
	return devargs;
}

static void
expect_failure(const char *args, int err, const char *says)
{
	const char *log;

	env_log();
	assert_int_equal(env_probe(args), -err);
	log = env_log();
	if (strstr(log, says) == NULL)
		fail_msg("the log lacks '%s': %s", says, log);
	assert_int_equal(fake_live_objects, 0);
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

static void
test_loopback(void **state)
{
	uint16_t port = env_port_up("", 1, 1);

	(void)state;
	fake_auto_complete = true;
	assert_string_equal(fake_log, "");
	assert_int_equal(env_send(port, 0, 1, 0), 1);
	assert_int_equal(fake_burst_pipeline(0, 0), RTE_APIR_PIPELINE_LOOPBACK);
	assert_int_equal(env_receive(port, 0, 1), 1);
	env_port_down(port);
}

static void
test_one_kernel(void **state)
{
	uint16_t port = env_port_up(with(",options=-DN=4"), 1, 1);

	(void)state;
	fake_auto_complete = true;
	assert_string_equal(fake_log, "program(source|-DN=4) kernel(k) pipeline(item:0;) ");
	/* the pipeline alone is kept: it holds what it needs */
	assert_int_equal(fake_live_objects, 1);
	assert_int_equal(env_send(port, 0, 1, 0), 1);
	assert_true(fake_burst_pipeline(0, 0) > 100);
	assert_int_equal(env_receive(port, 0, 1), 1);
	env_port_down(port);
}

static void
test_arguments(void **state)
{
	char more[400];

	(void)state;
	snprintf(more, sizeof(more),
		 ",entry=f,launch=group:64,args=[u32:7,buf:65536,local:1024,file:%s]",
		 env_file("table.bin", "contents", 8));
	fake_nb_args = 4;
	assert_int_equal(env_probe(with(more)), 0);
	assert_string_equal(fake_log,
			    "program(source|) kernel(f) value(0:07000000) create(65536) buffer(1) "
			    "local(2:1024) create(8) write(0:contents) buffer(3) "
			    "pipeline(group:64;) ");
	assert_int_equal(fake_live_objects, 1);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
}

static void
test_pipeline(void **state)
{
	(void)state;
	fake_nb_args = 1;
	assert_int_equal(env_probe(with(",entry=a+b,args=[u8:1;u16:2],launch=item:4+group")), 0);
	assert_string_equal(fake_log,
			    "program(source|) kernel(a) value(0:01) kernel(b) value(0:0200) "
			    "pipeline(item:4;group:0;) ");
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
}

static void
test_bad_files(void **state)
{
	char args[300], *dir;
	const char *path;

	(void)state;
	expect_failure("kernel=/there/is/no.cl,entry=f", ENOENT,
		       "kernel=/there/is/no.cl: cannot be read: No such file or directory");
	path = env_file("empty.cl", "", 0);
	snprintf(args, sizeof(args), "kernel=%s", path);
	expect_failure(args, ENODATA, "empty.cl: is empty");
	dir = strdup(path);
	*strrchr(dir, '/') = '\0';
	snprintf(args, sizeof(args), "kernel=%s,entry=f", dir);
	expect_failure(args, EISDIR, "is a directory, must be a regular file");
	free(dir);
	expect_failure("kernel=/dev/zero,entry=f", EINVAL,
		       "/dev/zero: is something else, must be a regular file");

	path = env_file("large.cl", "x", 1);
	assert_int_equal(truncate(path, APIR_ARGS_MAX_SOURCE + 1), 0);
	snprintf(args, sizeof(args), "kernel=%s", path);
	expect_failure(args, EFBIG, "large.cl: has 4194305 bytes, at most 4194304 are allowed");

	/* the bad file is found before the device is opened: nothing is asked of the back-end */
	fake_nb_args = 1;
	snprintf(args, sizeof(args), "%s", env_kernel());
	strcat(args, ",args=[file:/no/table]");
	expect_failure(args, ENOENT, "args=file:/no/table: cannot be read: No such file");
	assert_int_equal(fake_opens, 0);

	/* a FIFO that nobody writes to must not hang the probe */
	path = env_file("fifo", "", 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(args, sizeof(args), "kernel=%s", path);
	expect_failure(args, EINVAL, "fifo: is something else");
}

/* Root reads everything: the probe then runs as somebody else. */
static void
test_unreadable_file(void **state)
{
	char args[300];
	const char *path = env_file("secret.cl", "x", 1);
	const bool root = geteuid() == 0;

	(void)state;
	assert_int_equal(chmod(path, 0), 0);
	snprintf(args, sizeof(args), "kernel=%s", path);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	expect_failure(args, EACCES, "secret.cl: cannot be read: Permission denied");
	if (root)
		assert_int_equal(seteuid(0), 0);
}

static void
test_largest_file(void **state)
{
	char args[300];
	const char *path = env_file("large.cl", "x", 1);

	(void)state;
	assert_int_equal(truncate(path, APIR_ARGS_MAX_SOURCE), 0);
	snprintf(args, sizeof(args), "kernel=%s", path);
	assert_int_equal(env_probe(args), 0);
	assert_int_equal(rte_vdev_uninit(VDEV), 0);
}

/* The whole build log, line by line. */
static void
test_build_error(void **state)
{
	(void)state;
	fake_program_error = -ENOEXEC;
	expect_failure(with(""), ENOEXEC,
		       "k.cl does not build; the compiler says:\n" VDEV ": line one\n" VDEV
		       ": line two\n");
	fake_program_error = -ETIMEDOUT;
	expect_failure(with(""), ETIMEDOUT, "k.cl: no program was made of it: fake program error");
}

static void
test_wrong_entry(void **state)
{
	(void)state;
	fake_kernel_error = -ENOENT;
	expect_failure(with(",entry=none"), ENOENT, VDEV ": entry=none: there are: this, that");
	expect_failure(with(""), ENOENT, "entry= is needed: there is no k: there are: this, that");
}

static void
test_wrong_number_of_arguments(void **state)
{
	(void)state;
	fake_nb_args = 2;
	expect_failure(with(",args=[u32:1]"), EINVAL,
		       "args=: kernel k takes 2 arguments after APIR_BURST, 1 are given");
	expect_failure(with(""), EINVAL, "takes 2 arguments after APIR_BURST, 0 are given");
	fake_nb_args = 0;
	expect_failure(with(",args=[u32:1]"), EINVAL,
		       "takes 0 arguments after APIR_BURST, 1 are given");
}

static void
test_work_group_too_large(void **state)
{
	(void)state;
	expect_failure(with(",launch=group:1025"), EINVAL,
		       "launch=: work-groups of 1025 work-items: the device allows at most 1024");
}

static void
test_pipeline_fails(void **state)
{
	(void)state;
	fake_pipeline_error = -ENOMSG;
	expect_failure(with(",entry=a+b"), ENOMSG,
		       "no pipeline was made of it: fake pipeline error");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, env_setup, env_teardown)
	const struct CMUnitTest tests[] = {
		T(test_loopback),
		T(test_one_kernel),
		T(test_arguments),
		T(test_pipeline),
		T(test_bad_files),
		T(test_unreadable_file),
		T(test_largest_file),
		T(test_build_error),
		T(test_wrong_entry),
		T(test_wrong_number_of_arguments),
		T(test_work_group_too_large),
		T(test_pipeline_fails),
	};

	return cmocka_run_group_tests(tests, env_init, env_fini);
}
