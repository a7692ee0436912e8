/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <rte_common.h>

#include "net_apir_args.h"

static struct apir_args args;
static char err[512];

static void
good(const char *devargs)
{
	err[0] = '\0';
	if (apir_args_parse(devargs, &args, err, sizeof(err)) != 0)
		fail_msg("'%s' was refused: %s", devargs, err);
}

/* Refused, with a message that has each of these words. */
static void
bad(const char *devargs, const char *word1, const char *word2, const char *word3)
{
	const char *words[] = {word1, word2, word3};
	unsigned int i;

	err[0] = '\0';
	if (apir_args_parse(devargs, &args, err, sizeof(err)) != -EINVAL)
		fail_msg("'%s' was taken", devargs);
	for (i = 0; i < RTE_DIM(words); i++)
		if (strstr(err, words[i]) == NULL)
			fail_msg("'%s': the message lacks '%s': %s", devargs, words[i], err);
	assert_null(strchr(err, '\n'));
}

static void
test_defaults(void **state)
{
	const char *none[] = {NULL, "", ","};
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(none); i++) {
		good(none[i]);
		assert_null(args.path);
		assert_null(args.pci);
		assert_null(args.kernel);
		assert_null(args.options);
		assert_int_equal(args.nb_stages, 0);
		assert_int_equal(args.queues, 0);
		assert_int_equal(args.burst, 0);
		assert_int_equal(args.nb_bursts, 32);
		assert_int_equal(args.timeout_us, 5000000);
		assert_int_equal(args.wait_ms, 0);
		assert_int_equal(args.reconnect_ms, 200);
		assert_int_equal(args.verdict_vlan, 0);
		apir_args_free(&args);
	}
}

static void
test_every_key(void **state)
{
	(void)state;
	good("path=/run/a b,kernel=/k/x.cl,entry=f,args=[u32:7],launch=group:64,options=-DN=4 "
	     "-DM=5,"
	     "queues=3,burst=128,nb_bursts=64,timeout_us=1000,wait_ms=5,reconnect_ms=10,"
	     "verdict_vlan=100");
	assert_string_equal(args.path, "/run/a b");
	assert_string_equal(args.kernel, "/k/x.cl");
	assert_true(args.entry_given);
	assert_int_equal(args.nb_stages, 1);
	assert_string_equal(args.stages[0].entry, "f");
	assert_int_equal(args.stages[0].launch, RTE_APIR_LAUNCH_GROUP);
	assert_int_equal(args.stages[0].local_size, 64);
	assert_int_equal(args.stages[0].nb_args, 1);
	assert_string_equal(args.options, "-DN=4 -DM=5");
	assert_int_equal(args.queues, 3);
	assert_int_equal(args.burst, 128);
	assert_int_equal(args.nb_bursts, 64);
	assert_int_equal(args.timeout_us, 1000);
	assert_int_equal(args.wait_ms, 5);
	assert_int_equal(args.reconnect_ms, 10);
	assert_int_equal(args.verdict_vlan, 100);
	apir_args_free(&args);
}

static void
test_ends_of_ranges(void **state)
{
	(void)state;
	good("queues=1,burst=1,nb_bursts=1,timeout_us=0,wait_ms=0,reconnect_ms=10");
	assert_int_equal(args.timeout_us, 0);
	apir_args_free(&args);
	good("queues=64,burst=1022,nb_bursts=1024,timeout_us=4294967295,wait_ms=3600000,reconnect_"
	     "ms=60000");
	assert_int_equal(args.timeout_us, UINT32_MAX);
	apir_args_free(&args);
	good("kernel=/x.cl,verdict_vlan=1");
	assert_int_equal(args.verdict_vlan, 1);
	apir_args_free(&args);
	good("kernel=/x.cl,verdict_vlan=0xffe");
	assert_int_equal(args.verdict_vlan, 4094);
	apir_args_free(&args);
	good("burst=0x40");
	assert_int_equal(args.burst, 64);
	apir_args_free(&args);
	good("burst=010"); /* not octal */
	assert_int_equal(args.burst, 10);
	apir_args_free(&args);
}

static void
test_bad_numbers(void **state)
{
	static const struct {
		const char *key, *below, *above, *range;
	} keys[] = {
		{"queues", "0", "65", "from 1 to 64"},
		{"burst", "0", "1023", "from 1 to 1022"},
		{"nb_bursts", "0", "2048", "from 1 to 1024"},
		{"timeout_us", "-1", "4294967296", "from 0 to 4294967295"},
		{"wait_ms", "-1", "3600001", "from 0 to 3600000"},
		{"reconnect_ms", "9", "60001", "from 10 to 60000"},
		{"verdict_vlan", "0", "4095", "from 1 to 4094"},
	};
	static const char *const malformed[] = {
		"",
		" 8",
		"8 ",
		"8x",
		"+8",
		"-8",
		"eight",
		"8.0",
		"1e2",
		"0x",
		"0xg",
		"0x-8",
		"99999999999999999999",
	};
	char text[128], value[64];
	unsigned int i, k;

	(void)state;
	for (i = 0; i < RTE_DIM(keys); i++) {
		snprintf(text, sizeof(text), "%s=%s", keys[i].key, keys[i].below);
		bad(text, text, keys[i].range, "must be");
		snprintf(text, sizeof(text), "%s=%s", keys[i].key, keys[i].above);
		bad(text, text, keys[i].range, "must be");
		for (k = 0; k < RTE_DIM(malformed); k++) {
			snprintf(value, sizeof(value), "%s=%s:", keys[i].key, malformed[k]);
			snprintf(text, sizeof(text), "%s=%s", keys[i].key, malformed[k]);
			bad(text, value, keys[i].range, "must be");
		}
	}
	bad("nb_bursts=48", "nb_bursts=48", "power of two", "from 1 to 1024");
}

static void
test_keys(void **state)
{
	(void)state;
	bad("kernal=/x.cl", "kernal", "known are: path, pci, kernel, entry, args, launch, options",
	    "queues, burst, nb_bursts, timeout_us, wait_ms, reconnect_ms, verdict_vlan");
	bad("path=/a,mac=00:11:22:33:44:55", "'mac'", "known are", "path");
	bad("=5", "''", "known are", "path");
	bad("path", "path: needs a value", "path=", "");
	bad("burst", "burst: needs a value", "", "");
	bad("burst=5,burst=6", "burst=6", "twice", "");
	bad("path=/a,path=/a", "path=/a", "twice", "");
	bad("kernel=/x.cl,args=[u32:1", "'[' without ']'", "args", "");
}

static void
test_strings(void **state)
{
	char text[300];

	(void)state;
	bad("path=", "path=", "Unix socket", "1 to 107");
	bad("pci=", "pci=", "PCI address", "0000:00:05.0");
	bad("path=/a,pci=00:05.0", "path=/a", "pci=00:05.0", "one or the other");
	memset(text, 'a', sizeof(text));
	memcpy(text, "path=", 5);
	text[5 + 108] = '\0';
	bad(text, "path=a", "1 to 107", "");
	text[5 + 107] = '\0';
	good(text);
	apir_args_free(&args);
	bad("kernel=", "kernel=", "OpenCL C", "");
	good("kernel=/x.cl,options=[-DA=1,-DB=[2]]");
	assert_string_equal(args.options, "-DA=1,-DB=[2]");
	apir_args_free(&args);
}

static void
test_default_entry(void **state)
{
	(void)state;
	good("kernel=/some/where.d/ttl.cl");
	assert_int_equal(args.nb_stages, 1);
	assert_string_equal(args.stages[0].entry, "ttl");
	assert_false(args.entry_given);
	apir_args_free(&args);
	good("kernel=_x9");
	assert_string_equal(args.stages[0].entry, "_x9");
	apir_args_free(&args);
	bad("kernel=/k/my-kernel.cl", "kernel=/k/my-kernel.cl", "entry= is needed", "");
	bad("kernel=/k/ttl.txt", "kernel=/k/ttl.txt", "entry= is needed", "");
	bad("kernel=/k/", "kernel=/k/", "entry= is needed", "");
}

static void
test_entries(void **state)
{
	(void)state;
	good("kernel=/x.cl,entry=a+b2+_c");
	assert_int_equal(args.nb_stages, 3);
	assert_string_equal(args.stages[0].entry, "a");
	assert_string_equal(args.stages[1].entry, "b2");
	assert_string_equal(args.stages[2].entry, "_c");
	apir_args_free(&args);
	bad("kernel=/x.cl,entry=", "entry=", "__kernel", "");
	bad("kernel=/x.cl,entry=a++b", "entry=", "__kernel", "");
	bad("kernel=/x.cl,entry=9a", "entry=9a", "__kernel", "");
	bad("kernel=/x.cl,entry=a b", "entry=a b", "__kernel", "");
	good("kernel=/x.cl,entry=a+b+c+d+e+f+g+h+i+j+k+l+m+n+o+p");
	assert_int_equal(args.nb_stages, 16);
	apir_args_free(&args);
	bad("kernel=/x.cl,entry=a+b+c+d+e+f+g+h+i+j+k+l+m+n+o+p+q", "entry=", "more than 16", "");
}

static void
test_need_kernel(void **state)
{
	(void)state;
	bad("entry=a", "entry=", "needs kernel=", "");
	bad("args=[u32:1]", "args=", "needs kernel=", "");
	bad("launch=item", "launch=", "needs kernel=", "");
	bad("options=-DA", "options=", "needs kernel=", "");
	bad("verdict_vlan=100", "verdict_vlan=", "needs kernel=", "");
}

static void
test_launch(void **state)
{
	(void)state;
	good("kernel=/x.cl,launch=item:8");
	assert_int_equal(args.stages[0].launch, RTE_APIR_LAUNCH_ITEM);
	assert_int_equal(args.stages[0].local_size, 8);
	apir_args_free(&args);
	good("kernel=/x.cl,entry=a+b,launch=item+group:32");
	assert_int_equal(args.stages[0].launch, RTE_APIR_LAUNCH_ITEM);
	assert_int_equal(args.stages[0].local_size, 0);
	assert_int_equal(args.stages[1].launch, RTE_APIR_LAUNCH_GROUP);
	assert_int_equal(args.stages[1].local_size, 32);
	apir_args_free(&args);
	good("kernel=/x.cl,entry=a+b,launch=group:32"); /* one for all */
	assert_int_equal(args.stages[1].launch, RTE_APIR_LAUNCH_GROUP);
	assert_int_equal(args.stages[1].local_size, 32);
	apir_args_free(&args);
	bad("kernel=/x.cl,launch=", "launch=", "item or group", "");
	bad("kernel=/x.cl,launch=block", "launch=block", "item or group", "");
	bad("kernel=/x.cl,launch=group:", "launch=group:", "from 1 to 65535", "");
	bad("kernel=/x.cl,launch=group:0", "launch=group:0", "from 1 to 65535", "");
	bad("kernel=/x.cl,launch=group:65536", "launch=group:65536", "from 1 to 65535", "");
	bad("kernel=/x.cl,launch=group:x", "launch=group:x", "from 1 to 65535", "");
	bad("kernel=/x.cl,launch=item+item", "launch=", "2 launches", "1 kernels");
	bad("kernel=/x.cl,entry=a+b+c,launch=item+item", "launch=", "2 launches", "3 kernels");
}

static void
test_args(void **state)
{
	const struct apir_arg *a;
	uint64_t u64;
	int64_t i64;
	float f;

	(void)state;
	good("kernel=/"
	     "x.cl,args=[u8:255,u16:65535,u32:7,u64:0x10,i32:-2147483648,i64:-9223372036854775808,"
	     "f32:-1.5e3,buf:65536,file:/t/a=b.bin,local:1024]");
	assert_int_equal(args.stages[0].nb_args, 10);
	a = args.stages[0].args;
	assert_int_equal(a[0].kind, APIR_ARG_VALUE);
	assert_int_equal(a[0].size, 1);
	assert_int_equal(a[0].value[0], 255);
	assert_int_equal(a[1].size, 2);
	assert_memory_equal(a[1].value, "\xff\xff", 2);
	assert_int_equal(a[2].size, 4);
	assert_memory_equal(a[2].value, "\x07\0\0\0", 4);
	assert_int_equal(a[3].size, 8);
	memcpy(&u64, a[3].value, 8);
	assert_int_equal(u64, 16);
	assert_int_equal(a[4].size, 4);
	assert_memory_equal(a[4].value, "\0\0\0\x80", 4);
	memcpy(&i64, a[5].value, 8);
	assert_true(i64 == INT64_MIN);
	assert_int_equal(a[6].size, 4);
	memcpy(&f, a[6].value, 4);
	assert_true(f == -1500.0f);
	assert_int_equal(a[7].kind, APIR_ARG_BUFFER);
	assert_int_equal(a[7].size, 65536);
	assert_int_equal(a[8].kind, APIR_ARG_FILE);
	assert_string_equal(a[8].path, "/t/a=b.bin");
	assert_int_equal(a[9].kind, APIR_ARG_LOCAL);
	assert_int_equal(a[9].size, 1024);
	apir_args_free(&args);

	good("kernel=/x.cl,args=u32:7"); /* brackets are needed for lists only */
	assert_int_equal(args.stages[0].nb_args, 1);
	apir_args_free(&args);
	good("kernel=/x.cl,args=[]");
	assert_int_equal(args.stages[0].nb_args, 0);
	apir_args_free(&args);
	good("kernel=/x.cl,entry=a+b+c,args=[u32:1,u32:2;;local:8]");
	assert_int_equal(args.stages[0].nb_args, 2);
	assert_int_equal(args.stages[1].nb_args, 0);
	assert_int_equal(args.stages[2].nb_args, 1);
	apir_args_free(&args);
}

static void
test_bad_args(void **state)
{
	static const struct {
		const char *arg, *says;
	} wrong[] = {
		{"u8:256", "from 0 to 255"},
		{"u16:65536", "from 0 to 65535"},
		{"u32:4294967296", "from 0 to 4294967295"},
		{"u32:-1", "from 0 to 4294967295"},
		{"u32:", "from 0 to 4294967295"},
		{"u64:18446744073709551616", "from 0 to 18446744073709551615"},
		{"i32:2147483648", "from -2147483648 to 2147483647"},
		{"i32:-2147483649", "from -2147483648 to 2147483647"},
		{"i32:--1", "from -2147483648 to 2147483647"},
		{"i64:9223372036854775808", "from -9223372036854775808"},
		{"f32:", "finite number"},
		{"f32:nan", "finite number"},
		{"f32:1e99", "finite number"},
		{"f32:1.0x", "finite number"},
		{"f32: 1", "finite number"},
		{"buf:0", "bytes from 1"},
		{"buf:64k", "bytes from 1"},
		{"buf:1099511627777", "bytes from 1 to 1099511627776"},
		{"local:0", "bytes from 1 to 1073741824"},
		{"file:", "file:NAME"},
		{"7", "u32:N"},
		{"u33:7", "u32:N"},
		{"", "u32:N"},
	};
	char text[128], list[128 + 66 * 6];
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(wrong); i++) {
		if (wrong[i].arg[0] == '\0')
			continue;
		snprintf(text, sizeof(text), "kernel=/x.cl,args=[%s]", wrong[i].arg);
		bad(text, wrong[i].arg, wrong[i].says, "args=");
	}
	bad("kernel=/x.cl,args=[u32:1,]", "args=", "u32:N", "");
	bad("kernel=/x.cl,args=[u32:1]x", "args=", "']'", "");
	bad("kernel=/x.cl,args=[u32:1;u32:2]", "args=", "2 kernels", "names 1");
	strcpy(list, "kernel=/x.cl,args=[u8:1");
	for (i = 1; i < 65; i++)
		strcat(list, ",u8:1");
	strcat(list, "]");
	bad(list, "args=", "more than 64", "");
}

static void
test_help_has_every_key(void **state)
{
	static const char *const keys[] = {
		"path=",       "pci=",	   "kernel=",	    "entry=",	     "args=",
		"launch=",     "options=", "queues=",	    "burst=",	     "nb_bursts=",
		"timeout_us=", "wait_ms=", "reconnect_ms=", "verdict_vlan=",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(keys); i++)
		assert_non_null(strstr(APIR_ARGS_HELP, keys[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_ends_of_ranges),
		cmocka_unit_test(test_bad_numbers),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_default_entry),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_need_kernel),
		cmocka_unit_test(test_launch),
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_bad_args),
		cmocka_unit_test(test_help_has_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
