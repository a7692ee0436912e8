/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The command line. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include <cmocka.h>

#include "options.h"

static struct options o;
static char why[512];

#define PARSE(...)                                                                         \
	({                                                                                 \
		char *argv_[] = {"apird", __VA_ARGS__, NULL};                              \
		why[0] = '\0';                                                             \
		options_parse(&o, (int)(sizeof(argv_) / sizeof(argv_[0])) - 1, argv_, why, \
			      sizeof(why));                                                \
	})

#define REFUSES(text, ...)                                      \
	do {                                                    \
		assert_int_equal(PARSE(__VA_ARGS__), -1);       \
		if (strstr(why, text) == NULL)                  \
			fail_msg("'%s' lacks '%s'", why, text); \
	} while (0)

static void
defaults(void **state)
{
	char *argv[] = {"apird", NULL};

	(void)state;
	setenv("XDG_CACHE_HOME", "/some/cache", 1);
	assert_int_equal(options_parse(&o, 1, argv, why, sizeof(why)), 0);
	assert_int_equal(o.mode, MODE_SERVE);
	assert_string_equal(o.socket_path, "/run/apir/apir0.sock");
	assert_false(o.client);
	assert_int_equal(o.fd, -1);
	assert_string_equal(o.device, "auto");
	assert_int_equal(o.queues, 8);
	assert_int_equal(o.nb_cpus, 0);
	assert_int_equal(o.idle_us, 100);
	assert_int_equal(o.max_device_memory, 0);
	assert_int_equal(o.max_sessions, 16);
	assert_int_equal(o.kernel_timeout_ms, 10000);
	assert_string_equal(o.cache_dir, "/some/cache/apir");
	assert_string_equal(o.copy_mode, "auto");
	assert_string_equal(o.executor, "auto");
	assert_int_equal(o.log_level, LOG_INFO);
}

static void
all_options(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--socket-path", "/x/y", "--client", "--device", "1:0",
			       "--queues=64", "--cores", "0", "--idle-us", "0",
			       "--max-device-memory", "2G", "--max-sessions", "256",
			       "--kernel-timeout-ms", "5", "--cache-dir", "/c", "--copy-mode",
			       "base", "--executor", "cuda", "--log-level", "debug"),
			 0);
	assert_string_equal(o.socket_path, "/x/y");
	assert_true(o.client);
	assert_string_equal(o.device, "1:0");
	assert_int_equal(o.queues, 64);
	assert_int_equal(o.nb_cpus, 1);
	assert_int_equal(o.cpus[0], 0);
	assert_int_equal(o.idle_us, 0);
	assert_int_equal(o.max_device_memory, 2ull << 30);
	assert_int_equal(o.max_sessions, 256);
	assert_int_equal(o.kernel_timeout_ms, 5);
	assert_string_equal(o.cache_dir, "/c");
	assert_string_equal(o.copy_mode, "base");
	assert_string_equal(o.executor, "cuda");
	assert_int_equal(o.log_level, LOG_DEBUG);
	assert_int_equal(PARSE("--no-cache", "--fd", "3"), 0);
	assert_null(o.cache_dir);
	assert_int_equal(o.fd, 3);
	assert_int_equal(PARSE("--print-capabilities"), 0);
	assert_int_equal(o.mode, MODE_CAPABILITIES);
	assert_int_equal(PARSE("--list-devices"), 0);
	assert_int_equal(o.mode, MODE_LIST_DEVICES);
	assert_int_equal(PARSE("--version"), 0);
	assert_int_equal(o.mode, MODE_VERSION);
	assert_int_equal(PARSE("--help", "--bogus"), 0);
	assert_int_equal(o.mode, MODE_HELP);
}

static void
refusals_name_what_is_right(void **state)
{
	char longer[200];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	REFUSES("'--bogus'", "--bogus");
	REFUSES("'-q'", "-q");
	REFUSES("'--bogus'", "--queues", "2", "--bogus");
	REFUSES("--queues needs a value", "--queues");
	REFUSES("'stray'", "stray");
	REFUSES("1 to 64", "--queues", "0");
	REFUSES("1 to 64", "--queues", "65");
	REFUSES("1 to 64", "--queues", "8x");
	REFUSES("1 to 64", "--queues", "-1");
	REFUSES("1 to 64", "--queues", "");
	REFUSES("1 to 64", "--queues", " 8");
	REFUSES("1 to 64", "--queues", "18446744073709551617");
	REFUSES("0 to 1000000", "--idle-us", "1000001");
	REFUSES("1 to 256", "--max-sessions", "257");
	REFUSES("1 to 3600000", "--kernel-timeout-ms", "0");
	REFUSES("suffix", "--max-device-memory", "1T");
	REFUSES("auto raw base staged", "--copy-mode", "fast");
	REFUSES("auto cuda opencl", "--executor", "hip");
	REFUSES("error warning info debug", "--log-level", "loud");
	REFUSES("CPU 1023", "--cores", "1023");
	REFUSES("107 bytes", "--socket-path", longer);
	REFUSES("107 bytes", "--socket-path", "");
	REFUSES("--fd excludes", "--fd", "3", "--socket-path", "/x");
	REFUSES("--fd excludes", "--fd", "3", "--client");
}

static void
cpu_lists(void **state)
{
	int c[8];

	(void)state;
	assert_int_equal(options_cpu_list("2,4-6", c, 8), 4);
	assert_int_equal(c[0], 2);
	assert_int_equal(c[3], 6);
	assert_int_equal(options_cpu_list("0-7", c, 8), 8);
	assert_int_equal(options_cpu_list("0-8", c, 8), -1);
	assert_int_equal(options_cpu_list("", c, 8), -1);
	assert_int_equal(options_cpu_list("1,", c, 8), -1);
	assert_int_equal(options_cpu_list(",1", c, 8), -1);
	assert_int_equal(options_cpu_list("3-1", c, 8), -1);
	assert_int_equal(options_cpu_list("1-", c, 8), -1);
	assert_int_equal(options_cpu_list("1,1", c, 8), -1);
	assert_int_equal(options_cpu_list("1-3,2", c, 8), -1);
	assert_int_equal(options_cpu_list("a", c, 8), -1);
	assert_int_equal(options_cpu_list("1 2", c, 8), -1);
	assert_int_equal(options_cpu_list("99999999999999999999", c, 8), -1);
	assert_int_equal(options_cpu_list("0-99999999999999999999", c, 8), -1);
}

static void
sizes(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(options_size("0", &v), 0);
	assert_int_equal(options_size("123", &v), 0);
	assert_int_equal(v, 123);
	assert_int_equal(options_size("3k", &v), 0);
	assert_int_equal(v, 3072);
	assert_int_equal(options_size("5M", &v), 0);
	assert_int_equal(v, 5 << 20);
	assert_int_equal(options_size("17179869184G", &v), -1);
	assert_int_equal(options_size("M", &v), -1);
	assert_int_equal(options_size("1MB", &v), -1);
	assert_int_equal(options_size("-1", &v), -1);
	assert_int_equal(options_size("", &v), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(all_options),
		cmocka_unit_test(refusals_name_what_is_right),
		cmocka_unit_test(cpu_lists),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
