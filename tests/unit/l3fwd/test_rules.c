/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Rule files: what is read, and what is refused with which words. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "fib.h"
#include "l3fwd_shared.h"
#include "rules.h"

static char path[64]; /* a file in memory */
static int fd;
static char err[512];
static char warned[512];
static unsigned int warnings;

static void
warn(const char *text)
{
	snprintf(warned, sizeof(warned), "%s", text);
	warnings++;
}

static struct rules *
read_bytes(bool v6, const void *text, size_t len)
{
	struct rules_config cfg = {.ports = 0xf};
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
	err[0] = '\0';
	warnings = 0;
	if (v6)
		cfg.file6 = path;
	else
		cfg.file4 = path;
	return rules_read(&cfg, warn, err, sizeof(err));
}

static struct rules *
read_text(bool v6, const char *text)
{
	return read_bytes(v6, text, strlen(text));
}

/* The whole message, without the file's name. */
static void
assert_refused(bool v6, const char *text, const char *message)
{
	struct rules *r = read_text(v6, text);

	if (r != NULL)
		fail_msg("'%s' was taken", text);
	assert_int_equal(strncmp(err, path, strlen(path)), 0);
	assert_string_equal(err + strlen(path), message);
}

static void
test_l3fwd_format(void **st)
{
	struct rules *r;
	char name[64];

	(void)st;
	r = read_text(false, "# comment\n"
			     "\n"
			     "   \t \n"
			     "R198.18.1.0/24 1\n"
			     "R198.18.0.0/16\t0x2 # the second\n"
			     "R 10.0.0.1/0x20 3\r\n"
			     "R0.0.0.0/0 0");
	assert_non_null(r);
	assert_int_equal(r->v4.nb, 4);
	assert_int_equal(r->v6.nb, 0);
	/* Shorter prefixes first. */
	assert_string_equal(rules_name(r, 0, name, sizeof(name)), "0.0.0.0/0");
	assert_string_equal(rules_name(r, 1, name, sizeof(name)), "198.18.0.0/16");
	assert_string_equal(rules_name(r, 2, name, sizeof(name)), "198.18.1.0/24");
	assert_string_equal(rules_name(r, 3, name, sizeof(name)), "10.0.0.1/32");
	assert_int_equal(r->v4.routes[1].port, 2);
	assert_int_equal(r->v4.routes[3].line, 6);
	rules_free(r);

	r = read_text(true, "#Copy of the table of l3fwd\n"
			    "R2001:0200:0000:0000:0000:0000:0000:0000/64 0\n"
			    "R2001:0200:0000:0001:0000:0000:0000:0000/64 1\n"
			    "R::/0 3\n"
			    "R2001:200::1/128 2\n");
	assert_non_null(r);
	assert_int_equal(r->v6.nb, 4);
	assert_string_equal(rules_name(r, 0, name, sizeof(name)), "::/0");
	assert_string_equal(rules_name(r, 1, name, sizeof(name)), "2001:200::/64");
	assert_string_equal(rules_name(r, 3, name, sizeof(name)), "2001:200::1/128");
	assert_ptr_equal(rules_get(r, 3), &r->v6.routes[3]);
	rules_free(r);
}

static void
test_host_bits_are_cleared(void **st)
{
	struct rules *r;
	char name[64];

	(void)st;
	r = read_text(false,
		      "R255.255.255.255/1 0\nR255.255.255.255/17 0\nR255.255.255.255/32 0\n");
	assert_non_null(r);
	assert_string_equal(rules_name(r, 0, name, sizeof(name)), "128.0.0.0/1");
	assert_string_equal(rules_name(r, 1, name, sizeof(name)), "255.255.128.0/17");
	assert_string_equal(rules_name(r, 2, name, sizeof(name)), "255.255.255.255/32");
	rules_free(r);
	r = read_text(true, "Rffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/121 0\n");
	assert_non_null(r);
	assert_string_equal(rules_name(r, 0, name, sizeof(name)),
			    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff80/121");
	rules_free(r);
}

static void
test_last_of_twins_counts(void **st)
{
	struct rules *r;

	(void)st;
	r = read_text(false, "R10.0.0.0/8 1\nR11.0.0.0/8 0\nR10.1.0.0/8 2\n");
	assert_non_null(r);
	assert_int_equal(r->v4.nb, 2);
	assert_int_equal(r->v4.routes[0].port, 2);
	assert_int_equal(warnings, 1);
	assert_string_equal(warned + strlen(path),
			    ":3: 10.0.0.0/8 is on line 1 already: this one counts");
	rules_free(r);
}

static void
test_few_warnings_of_many(void **st)
{
	struct rules *r;
	char text[4096], *p = text;
	unsigned int i;

	(void)st;
	for (i = 0; i < 100; i++)
		p += sprintf(p, "R10.%u.0.0/16 1\n", i / 2);
	r = read_text(false, text);
	assert_non_null(r);
	assert_int_equal(r->v4.nb, 50);
	assert_int_equal(warnings, 11);
	assert_string_equal(warned + strlen(path), ": more prefixes are there twice");
	rules_free(r);
}

static void
test_malformed(void **st)
{
	(void)st;
	assert_refused(false, "10.0.0.0/8 1\n", ":1: a rule starts with 'R', a comment with '#'");
	assert_refused(false, " R10.0.0.0/8 1\n", ":1: a rule starts with 'R', a comment with '#'");
	assert_refused(false, "@10.0.0.0/8 10.0.0.0/8 0:1 0:1 0/0\n",
		       ":1: an access list ('@'): only routes ('R') are supported");
	assert_refused(false, "R\n", ":1: no prefix after 'R'");
	assert_refused(false, "#\nR10.0.0.0/8\n", ":2: no output port after the prefix");
	assert_refused(false, "R10.0.0.0 1\n",
		       ":1: '10.0.0.0' has no prefix length: write it as 10.1.0.0/16");
	assert_refused(true, "R2001:db8:: 1\n",
		       ":1: '2001:db8::' has no prefix length: write it as 2001:db8::/32");
	assert_refused(false, "R10.0.0/8 1\n", ":1: '10.0.0' is no IPv4 address");
	assert_refused(false, "R10.0.0.256/8 1\n", ":1: '10.0.0.256' is no IPv4 address");
	assert_refused(false, "R/8 1\n", ":1: '' is no IPv4 address");
	assert_refused(false, "R2001:db8::/32 1\n", ":1: '2001:db8::' is no IPv4 address");
	assert_refused(true, "R10.0.0.0/8 1\n", ":1: '10.0.0.0' is no IPv6 address");
	assert_refused(true, "R2001:::1/32 1\n", ":1: '2001:::1' is no IPv6 address");
	assert_refused(false, "R10.0.0.0/33 1\n", ":1: '33' is no prefix length: 0 to 32");
	assert_refused(true, "R::/129 1\n", ":1: '129' is no prefix length: 0 to 128");
	assert_refused(false, "R10.0.0.0/-1 1\n", ":1: '-1' is no prefix length: 0 to 32");
	assert_refused(false, "R10.0.0.0/ 1\n", ":1: '' is no prefix length: 0 to 32");
	assert_refused(false, "R10.0.0.0/8/9 1\n", ":1: '8/9' is no prefix length: 0 to 32");
	assert_refused(false, "R10.0.0.0/99999999999999999999 1\n",
		       ":1: '99999999999999999999' is no prefix length: 0 to 32");
	assert_refused(false, "R10.0.0.0/8 x\n", ":1: 'x' is no port number: 0 to 255");
	assert_refused(false, "R10.0.0.0/8 1x\n", ":1: '1x' is no port number: 0 to 255");
	assert_refused(false, "R10.0.0.0/8 -1\n", ":1: '-1' is no port number: 0 to 255");
	assert_refused(false, "R10.0.0.0/8 256\n", ":1: '256' is no port number: 0 to 255");
	assert_refused(false, "R9.0.0.0/8 3\nR10.0.0.0/8 4\n",
		       ":2: there is no port 4, or it is not in the port mask");
	assert_refused(false, "R10.0.0.0/8 64\n",
		       ":1: there is no port 64, or it is not in the port mask");
	assert_refused(false, "R10.0.0.0/8 1 2\n",
		       ":1: '2' after the port: a rule is a prefix and a port");
	assert_refused(false, "", ": has no route");
	assert_refused(false, "# nothing\n\n", ": has no route");
}

static void
test_not_a_rule_file(void **st)
{
	struct rules_config cfg = {.file4 = "/nonexistent/rules", .ports = 1};
	char long_line[5000];

	(void)st;
	assert_null(rules_read(&cfg, warn, err, sizeof(err)));
	assert_string_equal(err, "/nonexistent/rules: cannot be read: No such file or directory");
	cfg.file4 = "/";
	assert_null(rules_read(&cfg, warn, err, sizeof(err)));
	assert_string_equal(err, "/: cannot be read: it is a folder");

	assert_null(read_bytes(false, "R10.0.0.0/8 1\nR\0", 16));
	assert_string_equal(err + strlen(path), ":2: a NUL byte: this is no text file");
	memset(long_line, '#', sizeof(long_line));
	long_line[sizeof(long_line) - 1] = '\0';
	assert_refused(false, long_line, ":1: longer than 4096 bytes: this is no rule file");
}

/* More table nodes than the bound: a clear refusal, not 256 MiB and on. */
static void
test_table_bound(void **st)
{
	struct route_list list = {.addr_len = 16};
	struct fib fib;
	uint32_t i;

	(void)st;
	list.routes = calloc(20000, sizeof(*list.routes));
	assert_non_null(list.routes);
	/* Each takes 14 nodes of its own, less the few that are shared near the root. */
	for (i = 0; i < 20000; i++) {
		list.routes[i].addr[0] = 0x20 + (i & 0xf);
		list.routes[i].addr[1] = i >> 4;
		list.routes[i].addr[2] = i >> 12;
		list.routes[i].depth = 128;
	}
	list.nb = 18000;
	assert_int_equal(fib_build(&fib, &list, 0, err, sizeof(err)), 0);
	assert_true(fib.nb_nodes > 18000 * 13);
	fib_free(&fib);
	list.nb = 20000;
	assert_int_equal(fib_build(&fib, &list, 0, err, sizeof(err)), -1);
	assert_non_null(
		strstr(err, "the IPv6 routes need more memory than there is, or more than 262144"));
	free(list.routes);
}

static int
setup(void **st)
{
	(void)st;
	fd = memfd_create("rules", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fd < 0 ? -1 : 0;
}

static int
teardown(void **st)
{
	(void)st;
	return close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_l3fwd_format),
		cmocka_unit_test(test_host_bits_are_cleared),
		cmocka_unit_test(test_last_of_twins_counts),
		cmocka_unit_test(test_few_warnings_of_many),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_not_a_rule_file),
		cmocka_unit_test(test_table_bound),
	};

	return cmocka_run_group_tests_name("l3fwd rules", tests, setup, teardown);
}
