/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * Two poll threads on queues of their own while the control thread makes and destroys everything else. Arguments: device
 * and copy mode.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define THREADS 2
#define ROUNDS	400
#define PKTS	20u
#define LEN	64u

static const char *device, *mode;
static struct t_env env;
static struct exec_program *prog;

struct poller {
	pthread_t thread;
	unsigned int index;
	struct exec_queue *queue;
	struct exec_pipeline *pipe;
	uint8_t sent; /* what all bytes have become */
	unsigned int bad;
	atomic_bool done;
};

/* Packets of one poller: nobody else's. */
static uint8_t *
own_packet(const struct poller *p, unsigned int i)
{
	return t_packet(&env, p->index * PKTS + i);
}

static void *
poll_thread(void *arg)
{
	struct poller *p = arg;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct exec_burst *b = env.ops->burst_get(p->queue);

		for (unsigned int i = 0; i < PKTS; i++)
			b->pkts[i] = (struct apir_pkt){
				.addr = (uintptr_t)own_packet(p, i), .len = LEN, .nseg = 1};
		b->nb_pkts = PKTS;
		b->nb_extra = 0;
		b->verdicts = env.verdicts + p->index * PKTS;
		if (!env.ops->submit(p->queue, p->pipe, b))
			while ((b = env.ops->poll(p->queue)) == NULL)
				;
		p->sent += 3;
		p->bad += b->status != APIR_S_OK;
		for (unsigned int i = 0; i < PKTS; i++)
			for (unsigned int n = 0; n < LEN; n++)
				p->bad += own_packet(p, i)[n] != p->sent;
	}
	atomic_store(&p->done, true);
	return NULL;
}

static void
test_pollers_and_control(void **state)
{
	struct exec_kernel *k = t_kernel(&env, prog, "add", 1);
	struct poller pollers[THREADS] = {0};
	struct exec_err err = {""};
	struct exec_pipeline *shared;
	unsigned int made = 0;
	bool done;

	(void)state;
	t_uint(&env, k, 0, 3);
	shared = t_pipeline(&env, k, false, 0);
	memset(env.mem[0], 0, T_MEM);
	memset(env.mem[1], 0, T_MEM);
	for (unsigned int i = 0; i < THREADS; i++) {
		pollers[i].index = i;
		pollers[i].pipe = shared; /* both run the same pipeline, at once */
		pollers[i].queue = env.ops->queue_create(env.dev, T_SESSION, -1, &err);
		assert_non_null(pollers[i].queue);
		assert_int_equal(pthread_create(&pollers[i].thread, NULL, poll_thread, &pollers[i]),
				 0);
	}
	do {
		/* Another program, kernel, buffer and pipeline: come and gone. */
		char source[256];
		struct exec_program *p;
		struct exec_kernel *other;
		struct exec_pipeline *pipe;
		struct exec_buffer *buf;
		uint32_t words[64] = {made};

		snprintf(source, sizeof(source),
			 "__kernel void a(APIR_BURST, __global uint *x)\n"
			 "{ if (apir_index() < apir_count()) x[%u] = 1; }\n",
			 made % 4);
		p = t_program(&env, source);
		other = t_kernel(&env, p, "a", 1);
		assert_status(APIR_S_OK, env.ops->buffer_create(env.dev, 256, &buf, &err), err);
		assert_status(APIR_S_OK, env.ops->buffer_write(buf, 0, words, 256, &err), err);
		assert_status(APIR_S_OK, env.ops->kernel_set_arg(other, 0, NULL, 0, buf, &err),
			      err);
		pipe = t_pipeline(&env, other, false, 0);
		env.ops->kernel_destroy(other);
		env.ops->program_destroy(p);
		assert_status(APIR_S_OK, env.ops->buffer_read(buf, 0, words, 256, &err), err);
		assert_int_equal(words[0], made);
		env.ops->pipeline_destroy(pipe);
		env.ops->buffer_destroy(buf);
		made++;
		done = true;
		for (unsigned int i = 0; i < THREADS; i++)
			done &= atomic_load(&pollers[i].done);
	} while (!done || made < 8);
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(pollers[i].thread, NULL);
		assert_int_equal(pollers[i].bad, 0);
		env.ops->queue_destroy(pollers[i].queue);
	}
	env.ops->pipeline_destroy(shared);
	env.ops->kernel_destroy(k);
}

static int
setup(void **state)
{
	struct exec_config cfg = t_config(device, mode);
	char *source;

	(void)state;
	t_open(&env, &cfg);
	source = t_file(TEST_DIR, "kernels.cl");
	prog = t_program(&env, source);
	free(source);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (env.dev == NULL)
		return 0; /* setup failed */
	env.ops->program_destroy(prog);
	t_close(&env);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_pollers_and_control)};

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
