/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "apir_private.h"
#include "dpdk_env.h"

static void
test_defaults(void **state)
{
	const struct rte_apir_conf zero = {0};
	struct apir_conf c, d;

	(void)state;
	assert_int_equal(apir_conf_check(NULL, &c), 0);
	assert_int_equal(apir_conf_check(&zero, &d), 0);
	assert_memory_equal(&c, &d, sizeof(c));
	assert_string_equal(c.path, RTE_APIR_DEFAULT_PATH);
	assert_string_equal(c.name, "librte_apir");
	assert_int_equal(c.nb_queue_pairs, 1);
	assert_int_equal(c.nb_bursts, 32);
	assert_int_equal(c.max_burst, 256);
	assert_int_equal(c.max_segs, 256);
	assert_int_equal(c.socket_id, 0);
	assert_int_equal(c.timeout_ms, 5000);
	assert_int_equal(c.build_timeout_ms, 120000);
	assert_false(c.max_burst_set || c.max_segs_set || c.nb_bursts_set);
	/* nothing is named: whichever there is */
	assert_true(c.choose);
	assert_false(c.pci);
}

static void
test_pci(void **state)
{
	static const struct {
		const char *pci, *path;
	} good[] = {
		{"", ""},
		{"00:05.0", "0000:00:05.0"},
		{"0000:00:05.0", "0000:00:05.0"},
		{"12345678:FF:1F.7", "12345678:ff:1f.7"},
	};
	static const char *const bad[] = {
		"05", " 00:05.0", "00:05.0 ", "0000:00:05.0,x", "-0:05.0", "/run/apird/sock", " "};
	struct rte_apir_conf conf = {0};
	struct apir_conf c;
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(good); i++) {
		conf.pci = good[i].pci;
		assert_int_equal(apir_conf_check(&conf, &c), 0);
		assert_true(c.pci);
		assert_false(c.choose);
		assert_string_equal(c.path, good[i].path);
	}
	for (i = 0; i < RTE_DIM(bad); i++) {
		conf.pci = bad[i];
		apir_err_begin();
		assert_int_equal(apir_conf_check(&conf, &c), -EINVAL);
		assert_error_names("is no PCI address");
		assert_error_names(bad[i]);
	}
	/* one or the other, even if they are empty or wrong */
	conf = (struct rte_apir_conf){.pci = "", .path = "/run/x"};
	apir_err_begin();
	assert_int_equal(apir_conf_check(&conf, &c), -EINVAL);
	assert_error_names("one or the other");
	assert_error_names("/run/x");
	conf = (struct rte_apir_conf){.pci = "00:05.0", .path = ""};
	assert_int_equal(apir_conf_check(&conf, &c), -EINVAL);
	/* a path alone is no choice either */
	conf = (struct rte_apir_conf){.path = "/run/x"};
	assert_int_equal(apir_conf_check(&conf, &c), 0);
	assert_false(c.choose || c.pci);
}

static void
test_ranges(void **state)
{
	static const struct {
		struct rte_apir_conf conf;
		const char *names, *range;
	} bad[] = {
		{{.nb_queue_pairs = 65}, "nb_queue_pairs", "1..64"},
		{{.nb_bursts = 1025}, "nb_bursts", "1..1024"},
		{{.nb_bursts = 33}, "nb_bursts", "power of two"},
		{{.max_burst = 1023}, "max_burst", "1..1022"},
		{{.max_segs = 1023}, "max_segs", "256..1022"},
		{{.max_burst = 64, .max_segs = 63}, "max_segs", "64..1022"},
		{{.socket_id = -2}, "socket_id", "-1"},
		{{.socket_id = RTE_MAX_NUMA_NODES}, "socket_id", "-1"},
		{{.timeout_ms = (uint32_t)INT_MAX + 1}, "timeout_ms", "1..2147483647"},
		{{.build_timeout_ms = UINT32_MAX}, "build_timeout_ms", "1..2147483647"},
		{{.path = ""}, "path", "1..107"},
	};
	struct apir_conf c;
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(bad); i++) {
		apir_err_begin();
		assert_int_equal(apir_conf_check(&bad[i].conf, &c), -EINVAL);
		assert_error_names(bad[i].names);
		assert_error_names(bad[i].range);
	}
}

static void
test_long_strings(void **state)
{
	char text[200];
	struct rte_apir_conf conf = {.path = text};
	struct apir_conf c;

	(void)state;
	memset(text, 'p', sizeof(text));
	text[APIR_PATH_LEN] = '\0';
	assert_int_equal(apir_conf_check(&conf, &c), -EINVAL);
	assert_error_names("path");
	text[APIR_PATH_LEN - 1] = '\0';
	assert_int_equal(apir_conf_check(&conf, &c), 0);
	assert_int_equal(strlen(c.path), APIR_PATH_LEN - 1);
	conf = (struct rte_apir_conf){.name = text};
	assert_int_equal(apir_conf_check(&conf, &c), -EINVAL);
	assert_error_names("name");
}

static void
test_edges(void **state)
{
	const struct rte_apir_conf least = {.nb_queue_pairs = 1,
					    .nb_bursts = 1,
					    .max_burst = 1,
					    .max_segs = 1,
					    .timeout_ms = 1};
	const struct rte_apir_conf most = {.nb_queue_pairs = 64,
					   .nb_bursts = 1024,
					   .max_burst = 1022,
					   .max_segs = 1022,
					   .socket_id = SOCKET_ID_ANY};
	const struct rte_apir_conf few_segs = {.max_segs = 10};
	struct apir_conf c;

	(void)state;
	assert_int_equal(apir_conf_check(&least, &c), 0);
	assert_int_equal(apir_conf_ring_size(&c), 8);
	assert_int_equal(apir_conf_check(&most, &c), 0);
	assert_int_equal(apir_conf_ring_size(&c), 1024);
	assert_true(c.max_burst_set && c.max_segs_set && c.nb_bursts_set);
	/* bursts that were not asked for fit the segments that were */
	assert_int_equal(apir_conf_check(&few_segs, &c), 0);
	assert_int_equal(c.max_burst, 10);
}

static void
test_ring_size(void **state)
{
	static const struct {
		uint16_t bursts, segs, size;
	} t[] = {{32, 256, 512}, {32, 254, 256}, {32, 255, 512}, {512, 14, 512}, {4, 4, 8}};
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(t); i++) {
		const struct apir_conf c = {.nb_bursts = t[i].bursts, .max_segs = t[i].segs};

		assert_int_equal(apir_conf_ring_size(&c), t[i].size);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),     cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_long_strings), cmocka_unit_test(test_edges),
		cmocka_unit_test(test_ring_size),    cmocka_unit_test(test_pci),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
