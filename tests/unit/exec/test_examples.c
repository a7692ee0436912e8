/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The kernels of the guide (backend/kernel/examples), as they stand there. Arguments: device and copy mode. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define ETH  14u
#define PKTS 100u

static const char *device, *mode;
static struct t_env env;
static struct exec_err err;

static struct exec_program *
example(const char *name)
{
	char *source = t_file(EXAMPLES_DIR, name);
	struct exec_program *p = t_program(&env, source);

	free(source);
	return p;
}

static uint32_t
random_word(void)
{
	static uint64_t state = 88172645463325252ull; /* xorshift: the same packets each time */

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

/* Internet checksum of a header, as it should be in it: added up anew. */
static uint16_t
checksum(const uint8_t *ip, unsigned int len)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < len; i += 2)
		if (i != 10)
			sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* An IPv4 packet with random fields and a right checksum. */
static void
make_ipv4(uint8_t *p, unsigned int len, unsigned int ttl, unsigned int words)
{
	uint8_t *ip = p + ETH;
	uint16_t sum;

	for (unsigned int i = 0; i < len; i++)
		p[i] = (uint8_t)random_word();
	p[12] = 0x08;
	p[13] = 0x00;
	ip[0] = 0x40 | words;
	ip[8] = ttl;
	sum = checksum(ip, words * 4);
	ip[10] = sum >> 8;
	ip[11] = (uint8_t)sum;
}

/* What one router does to the header, by adding up the checksum again. */
static void
route(uint8_t *p)
{
	uint8_t *ip = p + ETH;
	uint16_t sum;

	ip[8]--;
	sum = checksum(ip, (ip[0] & 15) * 4);
	ip[10] = sum >> 8;
	ip[11] = (uint8_t)sum;
}

static void
check_drop(unsigned int i, unsigned int reason)
{
	assert_int_equal(env.verdicts[i].action, APIR_ACTION_DROP);
	assert_int_equal(env.verdicts[i].port, reason);
}

static void
test_ttl(void **state)
{
	struct exec_program *prog = example("ttl.cl");
	struct exec_kernel *k = t_kernel(&env, prog, "ttl", 1);
	struct exec_pipeline *p;
	uint8_t expected[PKTS][256];

	(void)state;
	t_uint(&env, k, 0, 6);
	p = t_pipeline(&env, k, false, 0);
	/* Each time to live, headers with and without options. */
	for (unsigned int round = 0; round < 10; round++) {
		struct exec_burst *b = t_burst(&env, PKTS, 200);

		for (unsigned int i = 0; i < PKTS; i++) {
			make_ipv4(t_packet(&env, i), 200, 2 + (round * PKTS + i) % 254, 5 + i % 11);
			memcpy(expected[i], t_packet(&env, i), 200);
			route(expected[i]);
		}
		t_run_ok(&env, p, b);
		for (unsigned int i = 0; i < PKTS; i++) {
			const uint8_t *got = t_packet(&env, i);

			/* 0x0000 and 0xffff are the same sum: RFC 1624 may give the other one. */
			if (got[ETH + 10] == 0xff && got[ETH + 11] == 0xff)
				memset(expected[i] + ETH + 10, 0xff, 2);
			assert_memory_equal(got, expected[i], 200);
			assert_int_equal(env.verdicts[i].action, APIR_ACTION_FORWARD);
			assert_int_equal(env.verdicts[i].port, 6);
		}
	}
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(k);
	env.ops->program_destroy(prog);
}

static void
test_ttl_drops(void **state)
{
	struct exec_program *prog = example("ttl.cl");
	struct exec_kernel *k = t_kernel(&env, prog, "ttl", 1);
	struct exec_pipeline *p;
	struct exec_burst *b;
	uint8_t before[7][64];

	(void)state;
	t_uint(&env, k, 0, 1);
	p = t_pipeline(&env, k, false, 0);
	b = t_burst(&env, 7, 64);
	for (unsigned int i = 0; i < 7; i++)
		make_ipv4(t_packet(&env, i), 64, 64, 5);
	b->pkts[0].len = 33;
	t_packet(&env, 1)[13] = 0x06;
	t_packet(&env, 2)[ETH] = 0x65;
	t_packet(&env, 3)[ETH] = 0x44;
	t_packet(&env, 4)[ETH + 8] = 1;
	t_packet(&env, 5)[ETH + 8] = 0;
	b->pkts[6].len = 34;
	for (unsigned int i = 0; i < 7; i++)
		memcpy(before[i], t_packet(&env, i), 64);
	t_run_ok(&env, p, b);
	check_drop(0, 1);
	check_drop(1, 2);
	check_drop(2, 3);
	check_drop(3, 3);
	check_drop(4, 4);
	check_drop(5, 4);
	for (unsigned int i = 0; i < 6; i++)
		assert_memory_equal(t_packet(&env, i), before[i], 64);
	assert_int_equal(env.verdicts[6].action, APIR_ACTION_FORWARD);
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(k);
	env.ops->program_destroy(prog);
}

static void
test_xor(void **state)
{
	struct exec_program *prog = example("xor.cl");
	struct exec_kernel *k = t_kernel(&env, prog, "xor", 1);
	struct exec_pipeline *p;
	struct exec_burst *b;
	uint8_t before[PKTS][1600];

	(void)state;
	t_value(&env, k, 0, &(uint8_t){0xc3}, 1);
	p = t_pipeline(&env, k, true, 0);
	b = t_burst(&env, PKTS / 2, 1500);
	for (unsigned int i = 0; i < PKTS; i++) {
		for (unsigned int n = 0; n < 1600; n++)
			t_packet(&env, i)[n] = (uint8_t)random_word();
		memcpy(before[i], t_packet(&env, i), 1600);
	}
	/* A second segment for every other packet. */
	for (unsigned int i = 0; i < PKTS / 2; i += 2) {
		b->pkts[i].nseg = 2;
		b->pkts[i].extra = b->nb_extra;
		b->segs[b->nb_extra++] = (struct apir_seg){
			.addr = (uintptr_t)t_packet(&env, PKTS / 2 + i), .len = 1 + 13 * i};
	}
	t_run_ok(&env, p, b);
	for (unsigned int i = 0; i < PKTS; i++) {
		unsigned int len = i < PKTS / 2 ? 1500 : i % 2 == 0 ? 1 + 13 * (i - PKTS / 2) : 0;

		for (unsigned int n = 0; n < 1600; n++)
			assert_int_equal(t_packet(&env, i)[n], before[i][n] ^ (n < len ? 0xc3 : 0));
	}
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(k);
	env.ops->program_destroy(prog);
}

/* ttl, then count: only what ttl lets through is counted. */
static void
test_count(void **state)
{
	enum { NB_PORTS = 8 };
	struct exec_program *ttl = example("ttl.cl"), *count = example("count.cl");
	struct exec_stage stages[2] = {{.kernel = t_kernel(&env, ttl, "ttl", 1)},
				       {.kernel = t_kernel(&env, count, "count", 3)}};
	uint32_t counters[2 * NB_PORTS], packets = 0, bytes = 0;
	struct exec_pipeline *p;
	struct exec_buffer *buf;

	(void)state;
	t_uint(&env, stages[0].kernel, 0, 5);
	assert_status(APIR_S_OK, env.ops->buffer_create(env.dev, sizeof(counters), &buf, &err),
		      err);
	assert_status(APIR_S_OK, env.ops->kernel_set_arg(stages[1].kernel, 0, NULL, 0, buf, &err),
		      err);
	t_uint(&env, stages[1].kernel, 1, NB_PORTS);
	assert_status(
		APIR_S_OK,
		env.ops->kernel_set_arg(stages[1].kernel, 2, NULL, sizeof(counters), NULL, &err),
		err);
	assert_status(APIR_S_OK, env.ops->pipeline_create(env.dev, stages, 2, &p, &err), err);
	for (unsigned int round = 0; round < 5; round++) {
		struct exec_burst *b = t_burst(&env, PKTS - round, 64);

		for (unsigned int i = 0; i < b->nb_pkts; i++) {
			b->pkts[i].len = 60 + i;
			make_ipv4(t_packet(&env, i), 60 + i, i % 3 == 0 ? 1 : 9, 5);
			packets += i % 3 != 0;
			bytes += i % 3 != 0 ? 60 + i : 0;
		}
		t_run_ok(&env, p, b);
	}
	assert_status(APIR_S_OK, env.ops->buffer_read(buf, 0, counters, sizeof(counters), &err),
		      err);
	for (unsigned int i = 0; i < NB_PORTS; i++) {
		assert_int_equal(counters[2 * i], i == 5 ? packets : 0);
		assert_int_equal(counters[2 * i + 1], i == 5 ? bytes : 0);
	}
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(stages[0].kernel);
	env.ops->kernel_destroy(stages[1].kernel);
	env.ops->buffer_destroy(buf);
	env.ops->program_destroy(ttl);
	env.ops->program_destroy(count);
}

/* Every kernel that the guide prints compiles, and is a packet kernel. */
static void
test_guide(void **state)
{
	char *guide = t_file(DOC_DIR, "kernels.md"), *at = guide, *end, *name;
	unsigned int nb = 0;

	(void)state;
	while ((at = strstr(at, "\n```c\n")) != NULL) {
		struct exec_program *prog;
		struct exec_kernel *k = NULL;
		uint32_t nb_args;

		at += strlen("\n```c\n");
		end = strstr(at, "\n```");
		assert_non_null(end);
		*end = '\0';
		prog = t_program(&env, at);
		name = strstr(at, "__kernel void ");
		assert_non_null(name);
		name += strlen("__kernel void ");
		*strchr(name, '(') = '\0';
		assert_status(APIR_S_OK, env.ops->kernel_create(prog, name, &k, &nb_args, &err),
			      err);
		env.ops->kernel_destroy(k);
		env.ops->program_destroy(prog);
		at = end + 1;
		nb++;
	}
	assert_true(nb >= 2);
	free(guide);
}

/* What the first kernel of the guide says it does. */
static void
test_first_of_guide(void **state)
{
	char *guide = t_file(DOC_DIR, "kernels.md"), *at = strstr(guide, "\n```c\n");
	struct exec_program *prog;
	struct exec_pipeline *p;
	struct exec_kernel *k;
	struct exec_burst *b;

	(void)state;
	assert_non_null(at);
	at += strlen("\n```c\n");
	*strstr(at, "\n```") = '\0';
	prog = t_program(&env, at);
	k = t_kernel(&env, prog, "mark", 1);
	t_value(&env, k, 0, &(uint8_t){46}, 1);
	p = t_pipeline(&env, k, false, 0);
	b = t_burst(&env, 2, 64);
	memset(t_packet(&env, 0), 0, 64);
	memset(t_packet(&env, 1), 0, 64);
	b->pkts[1].len = 33;
	t_run_ok(&env, p, b);
	assert_int_equal(t_packet(&env, 0)[15], 46);
	assert_int_equal(t_packet(&env, 0)[14] | t_packet(&env, 0)[16], 0);
	assert_int_equal(t_packet(&env, 1)[15], 0);
	assert_int_equal(env.verdicts[0].action, APIR_ACTION_FORWARD);
	check_drop(1, 1);
	env.ops->pipeline_destroy(p);
	env.ops->kernel_destroy(k);
	env.ops->program_destroy(prog);
	free(guide);
}

static int
setup(void **state)
{
	struct exec_config cfg = t_config(device, mode);

	(void)state;
	t_open(&env, &cfg);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (env.dev == NULL)
		return 0; /* setup failed */
	t_close(&env);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ttl),   cmocka_unit_test(test_ttl_drops),
		cmocka_unit_test(test_xor),   cmocka_unit_test(test_count),
		cmocka_unit_test(test_guide), cmocka_unit_test(test_first_of_guide),
	};

	if (argc != 3) {
		fprintf(stderr, "usage: %s DEVICE raw|base|staged\n", argv[0]);
		return 2;
	}
	if (t_skip(argv[1]))
		return 77;
	device = argv[1];
	mode = argv[2];
	return cmocka_run_group_tests(tests, setup, teardown);
}
