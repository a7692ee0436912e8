/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Where the device is: environment and file. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cl_config.h"
#include "cl_session.h"

static char file[64];
static char said[256];

void
cl_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
}

static void
write_file(const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int
setup(void **state)
{
	int fd;

	(void)state;
	snprintf(file, sizeof(file), "/tmp/apir-conf-XXXXXX");
	fd = mkstemp(file);
	said[0] = '\0';
	unsetenv("APIR_DEVICE");
	return fd < 0 || close(fd) != 0 || setenv("APIR_CONF", file, 1) != 0;
}

static int
teardown(void **state)
{
	(void)state;
	unsetenv("APIR_DEVICE");
	unlink(file);
	return 0;
}

static void
nothing_is_configured(void **state)
{
	struct cl_config c;

	(void)state;
	assert_int_equal(cl_config_read(&c), -ENOENT);
	unlink(file);
	assert_int_equal(cl_config_read(&c), -ENOENT);
	assert_non_null(strstr(said, "APIR_DEVICE"));
}

static void
file_alone(void **state)
{
	struct cl_config c;

	(void)state;
	write_file("# the device\n\n  device = path=/run/apir/vm0.sock   # here\narena=2048\n"
		   "hugepages=1");
	assert_int_equal(cl_config_read(&c), 0);
	assert_string_equal(c.path, "/run/apir/vm0.sock");
	assert_string_equal(c.pci, "");
	assert_int_equal(c.arena, (uint64_t)2048 << 20);
	assert_true(c.hugepages);
}

static void
environment_goes_first(void **state)
{
	struct cl_config c;

	(void)state;
	write_file("device=path=/run/a\narena=64\n");
	setenv("APIR_DEVICE", "path=/run/b=c", 1);
	assert_int_equal(cl_config_read(&c), 0);
	assert_string_equal(c.path, "/run/b=c");
	assert_int_equal(c.arena, (uint64_t)64 << 20);

	setenv("APIR_DEVICE", "pci=0000:00:05.0", 1);
	assert_int_equal(cl_config_read(&c), 0);
	assert_string_equal(c.path, "");
	assert_string_equal(c.pci, "0000:00:05.0");
}

static void
nonsense_is_refused(void **state)
{
	static const char *const bad[] = {
		"device=path=\n",
		"device=/run/a\n",
		"device=\n",
		"device\n",
		"path=/run/a\n",
		"device=path=/a\narena=\n",
		"device=path=/a\narena=-1\n",
		"device=path=/a\narena=1\n",
		"device=path=/a\narena=64M\n",
		"device=path=/a\narena=99999999999999999999\n",
		"device=path=/a\nhugepages=2\n",
		"device=path=/a\nhuge=1\n",
	};
	struct cl_config c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		said[0] = '\0';
		write_file(bad[i]);
		assert_int_equal(cl_config_read(&c), -EINVAL);
		assert_non_null(strstr(said, file));
	}
	write_file("device=path=/a\n");
	setenv("APIR_DEVICE", "vm0", 1);
	assert_int_equal(cl_config_read(&c), -EINVAL);
	assert_non_null(strstr(said, "APIR_DEVICE"));
}

static void
long_lines_are_refused(void **state)
{
	char text[4096];
	struct cl_config c;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "device=path=", 12);
	text[12 + CL_CONFIG_VALUE] = '\0';
	write_file(text);
	assert_int_equal(cl_config_read(&c), -EINVAL);
	text[12 + CL_CONFIG_VALUE] = 'x';
	text[sizeof(text) - 1] = '\0';
	write_file(text);
	assert_int_equal(cl_config_read(&c), -EINVAL);
	memcpy(text, "path=", 5);
	setenv("APIR_DEVICE", text, 1);
	write_file("");
	assert_int_equal(cl_config_read(&c), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_configured, setup, teardown),
		cmocka_unit_test_setup_teardown(file_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(environment_goes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(long_lines_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
