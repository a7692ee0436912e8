/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The router's own command line. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_apir.h>

#include "options.h"

#define MAX_ARGS 32

static struct options opt;
static char message[8192];

/* Parse a command line given as one text; what it prints on fd goes to message. */
static int
parse(const char *line, FILE *stream)
{
	static char copy[1024];
	char *argv[MAX_ARGS] = {(char *)"l3fwd-gpu"}, *save, *arg;
	int argc = 1, ret, saved = dup(fileno(stream)), pipes[2];
	ssize_t n;

	snprintf(copy, sizeof(copy), "%s", line);
	for (arg = strtok_r(copy, " ", &save); arg != NULL; arg = strtok_r(NULL, " ", &save))
		argv[argc++] = arg;
	assert_int_equal(pipe(pipes), 0);
	fflush(stream);
	dup2(pipes[1], fileno(stream));
	close(pipes[1]);
	ret = options_parse(&opt, argc, argv);
	fflush(stream);
	dup2(saved, fileno(stream));
	close(saved);
	n = read(pipes[0], message, sizeof(message) - 1);
	message[n > 0 ? n : 0] = '\0';
	close(pipes[0]);
	return ret;
}

static void
test_defaults(void **st)
{
	(void)st;
	assert_int_equal(parse("--rule_ipv4=a", stderr), 0);
	assert_string_equal(opt.rule4, "a");
	assert_null(opt.rule6);
	assert_null(opt.path);
	assert_null(opt.pci);
	assert_int_equal(opt.port_mask, 0);
	assert_int_equal(opt.nb_rx, 0);
	assert_int_equal(opt.burst, 256);
	assert_int_equal(opt.in_flight, 32);
	assert_int_equal(opt.max_pkt_len, 1514);
	assert_int_equal(opt.stats_period, 1);
	assert_int_equal(opt.idle_ms, 0);
	assert_int_equal(opt.count, 0);
	assert_false(opt.cpu || opt.verify || opt.promiscuous);
	assert_int_equal(opt.eth_dest[3].addr_bytes[0], 2);
	assert_int_equal(opt.eth_dest[3].addr_bytes[5], 3);
}

static void
test_all(void **st)
{
	(void)st;
	assert_int_equal(
		parse("-p 0x5 -P --config=(0,0,1),(2,0,2)(2,1,1) --rule_ipv6 b "
		      "--eth-dest=2,aa:bb:cc:dd:ee:0f "
		      "--path=/x --kernel=/k.cl --verify --burst=64 --in-flight=8 "
		      "--rx-queue-size=512 "
		      "--tx-queue-size=256 --max-pkt-len=9000 --stats-period=0 --count=5000000000 "
		      "--exit-on-idle=250 --json=-",
		      stderr),
		0);
	assert_int_equal(opt.port_mask, 5);
	assert_true(opt.promiscuous && opt.verify);
	assert_int_equal(opt.nb_rx, 3);
	assert_int_equal(opt.rx[1].port, 2);
	assert_int_equal(opt.rx[1].lcore, 2);
	assert_int_equal(opt.rx[2].queue, 1);
	assert_string_equal(opt.rule6, "b");
	assert_int_equal(opt.eth_dest[2].addr_bytes[5], 15);
	assert_string_equal(opt.path, "/x");
	assert_string_equal(opt.kernel, "/k.cl");
	assert_int_equal(opt.burst, 64);
	assert_int_equal(opt.in_flight, 8);
	assert_int_equal(opt.rx_descs, 512);
	assert_int_equal(opt.tx_descs, 256);
	assert_int_equal(opt.max_pkt_len, 9000);
	assert_int_equal(opt.stats_period, 0);
	assert_true(opt.count == 5000000000);
	assert_int_equal(opt.idle_ms, 250);
	assert_string_equal(opt.json, "-");
}

static void
test_mistakes(void **st)
{
	static const struct {
		const char *args, *words;
	} cases[] = {
		{"", "no routes: give --rule_ipv4=FILE"},
		{"--rule_ipv4", "--rule_ipv4 needs a value"},
		{"--rule_ipv4=a --bogus", "'--bogus' is not understood"},
		{"--rule_ipv4=a -x", "'-x' is not understood"},
		{"--rule_ipv4=a stray", "'stray' is not understood"},
		{"--rule_ipv4=a --cpu --verify", "--verify compares"},
		{"-p 0", "-p 0: a hexadecimal mask"},
		{"-p 1g", "-p 1g: a hexadecimal mask"},
		{"-p -1", "-p -1: a hexadecimal mask"},
		{"--burst=0", "--burst=0: a number from 1 to 1022"},
		{"--burst=1023", "--burst=1023: a number from 1 to 1022"},
		{"--burst=-1", "--burst=-1: a number from 1 to 1022"},
		{"--burst=4x", "--burst=4x: a number from 1 to 1022"},
		{"--burst=99999999999999999999", "a number from 1 to 1022"},
		{"--burst=", "--burst=: a number from 1 to 1022"},
		{"--in-flight=3", "--in-flight=3: a power of two"},
		{"--in-flight=2048", "--in-flight=2048: a number from 1 to 1024"},
		{"--max-pkt-len=63", "a number from 64 to 9600"},
		{"--rx-queue-size=65536", "a number from 1 to 65535"},
		{"--tx-queue-size=0", "a number from 1 to 65535"},
		{"--stats-period=1.5", "--stats-period=1.5: a number"},
		{"--count=x", "--count=x: a number"},
		{"--exit-on-idle=-5", "--exit-on-idle=-5: a number"},
		{"--config=", "--config is empty"},
		{"--config=(0,0)", "'(0,0)' is not of the form (port,queue,lcore)"},
		{"--config=(0,0,0", "'(0,0,0' is not of the form"},
		{"--config=(0,0,0),", "',' is not of the form"},
		{"--config=(0,0,0)x", "'x' is not of the form"},
		{"--config=(0,0,-1)", "'(0,0,-1)' is not of the form"},
		{"--config=(99,0,0)", "(99,0,0) is out of range: ports to 31"},
		{"--config=(0,0,9999)", "(0,0,9999) is out of range"},
		{"--config=(0,0,1),(0,0,2)", "queue 0 of port 0 is there twice"},
		{"--eth-dest=2", "'PORT,MAC' is needed"},
		{"--eth-dest=99,02:00:00:00:00:01", "PORT from 0 to 31"},
		{"--eth-dest=1,02:00:00", "'02:00:00' is no Ethernet address"},
	};
	size_t i;

	(void)st;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i].args, stderr), -1);
		if (strstr(message, cases[i].words) == NULL)
			fail_msg("'%s' should say '%s' and says '%s'", cases[i].args,
				 cases[i].words, message);
		/* One line. */
		assert_ptr_equal(strchr(message, '\n'), message + strlen(message) - 1);
	}
}

/* Each option that is understood is in the help text. */
static void
test_help(void **st)
{
	static const char *const names[] = {"--help",	       "--config",	  "--rule_ipv4",
					    "--rule_ipv6",     "--eth-dest",	  "--path",
					    "--pci",	       "--kernel",	  "--cpu",
					    "--verify",	       "--burst",	  "--in-flight",
					    "--rx-queue-size", "--tx-queue-size", "--max-pkt-len",
					    "--promiscuous",   "--stats-period",  "--count",
					    "--exit-on-idle",  "--json",	  "-p PORTMASK"};
	size_t i;

	(void)st;
	assert_int_equal(parse("--help", stdout), 1);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strstr(message, names[i]) == NULL)
			fail_msg("the help text lacks %s", names[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests_name("l3fwd options", tests, NULL, NULL);
}
