/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Lines that a guest can cause do not fill the disk; lines are whole. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"

#define SECOND 1000000000ull

static void
burst_then_one_a_second(void **state)
{
	struct log_limit l = LOG_LIMIT_INIT;
	uint64_t n;

	(void)state;
	for (unsigned int i = 0; i < LOG_LIMIT_BURST; i++) {
		assert_true(log_limit_take(&l, 5 * SECOND, &n));
		assert_int_equal(n, 0);
	}
	for (unsigned int i = 0; i < 1000; i++)
		assert_false(log_limit_take(&l, 5 * SECOND + i, &n));
	assert_true(log_limit_take(&l, 6 * SECOND, &n));
	assert_int_equal(n, 1000);
	assert_false(log_limit_take(&l, 6 * SECOND + 1, &n));
	/* After a long silence a burst again, and no more than that. */
	for (unsigned int i = 0; i < LOG_LIMIT_BURST; i++)
		assert_true(log_limit_take(&l, 5000 * SECOND, &n));
	assert_false(log_limit_take(&l, 5000 * SECOND, &n));
}

/* What a call writes to stderr. */
static size_t
capture(char *buf, size_t size, int level, const char *text)
{
	int p[2], old = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(p), 0);
	dup2(p[1], STDERR_FILENO);
	log_msg(level, "%s", text);
	dup2(old, STDERR_FILENO);
	close(old);
	close(p[1]);
	n = read(p[0], buf, size - 1);
	close(p[0]);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void
control_characters_are_masked(void **state)
{
	char line[2048];

	(void)state;
	capture(line, sizeof(line), LOG_ERR, "a\033[2Jb\nc\r\x7f");
	assert_non_null(strstr(line, " apird error: a?[2Jb c??\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void
long_lines_are_cut(void **state)
{
	char line[4096], text[3000];
	size_t n;

	(void)state;
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	n = capture(line, sizeof(line), LOG_ERR, text);
	assert_true(n < 2000);
	assert_int_equal(line[n - 1], '\n');
}

static void
levels(void **state)
{
	char line[256];

	(void)state;
	assert_int_equal(log_level_of("warning"), LOG_WARNING);
	assert_int_equal(log_level_of("nonsense"), -1);
	log_set_level(LOG_WARNING);
	assert_int_equal(capture(line, sizeof(line), LOG_INFO, "x"), 0);
	assert_int_not_equal(capture(line, sizeof(line), LOG_WARNING, "x"), 0);
	assert_false(log_enabled(LOG_DEBUG));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(burst_then_one_a_second),
		cmocka_unit_test(control_characters_are_masked),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(levels),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
