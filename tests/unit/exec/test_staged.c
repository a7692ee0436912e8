/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * Staged bursts as OpenCL sees them: which commands, on which queues, of how many bytes, and what becomes of a burst when
 * one of them fails. The calls are wrapped: seen, held back by a gate, or failed once. Argument: device.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "opencl.h"
#include "util.h"

#define STRIDE	 2048u
#define ADDED	 5u /* by the pipeline's two stages */
#define MAX_CMDS 256u
#define WAIT_S	 60
#define HOLD_NS	 50000000

static const char source[] = "__kernel void bump(APIR_BURST, const uint value)\n"
			     "{\n"
			     "	const uint i = apir_index();\n"
			     "	if (i >= apir_count()) return;\n"
			     "	for (uint b = 0; b < apir_len(i); b++)\n"
			     "		apir_data(i)[b] += (uchar)value;\n"
			     "	apir_forward_meta(i, apir_verdict_port(i) + 1, "
			     "apir_verdict_meta(i) + (uint)apir_cookie());\n"
			     "}\n";

static const char *device;
static struct t_env env;
static struct exec_pipeline *pipeline;
static struct exec_burst *done; /* complete when submit returned */

/* Of each burst in flight. */
static struct slot {
	uint8_t mem[T_PKTS][STRIDE];
	struct apir_verdict verdicts[T_PKTS] __attribute__((aligned(8)));
	unsigned int nb, len;
} slots[OCL_DEPTH];

/* The wrapped calls ---------------------------------------------------------- */

enum what { NOTHING, UPLOAD, KERNEL, DOWNLOAD, FLUSH };

static const struct failure {
	enum what what;
	unsigned int at;
	cl_int e;
	enum apir_status status;
	enum what running; /* then, of the same burst */
	const char *text;
} failures[] = {
	{UPLOAD, 1, CL_OUT_OF_RESOURCES, APIR_S_DEVICE, NOTHING, "copying packets to the device"},
	{UPLOAD, 1, CL_OUT_OF_HOST_MEMORY, APIR_S_NOMEM, NOTHING, "copying packets to the device"},
	{KERNEL, 1, CL_OUT_OF_RESOURCES, APIR_S_DEVICE, UPLOAD, "bump"},
	{KERNEL, 2, CL_INVALID_KERNEL_ARGS, APIR_S_DEVICE, KERNEL, "bump"},
	{DOWNLOAD, 1, CL_INVALID_VALUE, APIR_S_DEVICE, KERNEL, "copying packets from the device"},
	{FLUSH, 1, CL_OUT_OF_RESOURCES, APIR_S_DEVICE, UPLOAD, "running the kernels"},
	{FLUSH, 2, CL_OUT_OF_RESOURCES, APIR_S_DEVICE, KERNEL, "running the kernels"},
	{FLUSH, 3, CL_OUT_OF_RESOURCES, APIR_S_DEVICE, DOWNLOAD, "running the kernels"},
};
#define NB_FAILURES (sizeof(failures) / sizeof(failures[0]))

static struct command {
	enum what what;
	cl_command_queue cq;
	size_t size;
	cl_uint nb_wait;
	cl_event wait;	/* what it waits for */
	cl_event event; /* its own, kept by us */
	bool asked;	/* the executor wanted an event */
} cmd[MAX_CMDS];
static unsigned int nb_cmds;
static bool seeing;
static int nb_events;		      /* that the executor holds */
static const struct failure *failing; /* of what is sent now */
static unsigned int nb_passed;	      /* calls of its kind so far */
static enum what gate_what;
static cl_event gate;
static atomic_bool opened;

#define WRAPPED(name) __typeof__(name) __real_##name, __wrap_##name
WRAPPED(clReleaseEvent);
WRAPPED(clFlush);
WRAPPED(clEnqueueWriteBuffer);
WRAPPED(clEnqueueReadBuffer);
WRAPPED(clEnqueueNDRangeKernel);

static cl_int
fails(enum what what)
{
	return failing != NULL && failing->what == what && ++nb_passed == failing->at ? failing->e
										      : CL_SUCCESS;
}

/* Note the command, with what it is to wait for: that of the executor, and the gate. */
static struct command *
see(enum what what, cl_command_queue cq, size_t size, cl_uint nb, const cl_event *wait,
    cl_event list[static 2])
{
	struct command *c = &cmd[nb_cmds++];

	assert_true(nb_cmds < MAX_CMDS && nb < 2);
	*c = (struct command){.what = what, .cq = cq, .size = size, .nb_wait = nb};
	if (nb > 0)
		c->wait = list[0] = wait[0];
	if (gate_what == what) {
		gate_what = NOTHING;
		list[nb] = gate;
	}
	return c;
}

static cl_int
saw(struct command *c, cl_int e, cl_event *event)
{
	assert_int_equal(e, CL_SUCCESS);
	if (event != NULL) {
		*event = c->event;
		clRetainEvent(c->event);
		c->asked = true;
		nb_events++;
	}
	return e;
}

cl_int
__wrap_clReleaseEvent(cl_event event)
{
	nb_events--;
	return __real_clReleaseEvent(event);
}

cl_int
__wrap_clFlush(cl_command_queue cq)
{
	cl_int e = fails(FLUSH);

	return e != CL_SUCCESS ? e : __real_clFlush(cq);
}

/* The rest of a wrapped command: what it is, its bytes, and its arguments but for the queue and the events. */
#define COMMAND(what, size, name, ...)                                                  \
	do {                                                                            \
		cl_int e_ = fails(what);                                                \
		cl_event list_[2] = {NULL};                                             \
		struct command *c_;                                                     \
		if (e_ != CL_SUCCESS)                                                   \
			return e_;                                                      \
		if (!seeing) {                                                          \
			nb_events += event != NULL;                                     \
			return __real_##name(cq, __VA_ARGS__, nb, wait, event);         \
		}                                                                       \
		c_ = see(what, cq, size, nb, wait, list_);                              \
		nb = (list_[0] != NULL) + (list_[1] != NULL);                           \
		e_ = __real_##name(cq, __VA_ARGS__, nb, nb ? list_ : NULL, &c_->event); \
		return saw(c_, e_, event);                                              \
	} while (0)

cl_int
__wrap_clEnqueueWriteBuffer(cl_command_queue cq, cl_mem mem, cl_bool block, size_t offset,
			    size_t size, const void *p, cl_uint nb, const cl_event *wait,
			    cl_event *event)
{
	COMMAND(UPLOAD, size, clEnqueueWriteBuffer, mem, block, offset, size, p);
}

cl_int
__wrap_clEnqueueReadBuffer(cl_command_queue cq, cl_mem mem, cl_bool block, size_t offset,
			   size_t size, void *p, cl_uint nb, const cl_event *wait, cl_event *event)
{
	COMMAND(DOWNLOAD, size, clEnqueueReadBuffer, mem, block, offset, size, p);
}

cl_int
__wrap_clEnqueueNDRangeKernel(cl_command_queue cq, cl_kernel k, cl_uint dim, const size_t *offset,
			      const size_t *global, const size_t *local, cl_uint nb,
			      const cl_event *wait, cl_event *event)
{
	COMMAND(KERNEL, 0, clEnqueueNDRangeKernel, k, dim, offset, global, local);
}

static cl_int
state_of(const struct command *c)
{
	cl_int state = CL_QUEUED;

	clGetEventInfo(c->event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(state), &state, NULL);
	return state;
}

static void
see_off(void)
{
	for (unsigned int i = 0; i < nb_cmds; i++)
		__real_clReleaseEvent(cmd[i].event);
	nb_cmds = 0;
	seeing = false;
	if (gate != NULL)
		__real_clReleaseEvent(gate);
	gate = NULL;
}

/* The next command of this kind waits until the gate opens. */
static void
gate_shut(enum what what)
{
	cl_int e;

	gate = clCreateUserEvent(env.dev->ctx, &e);
	assert_non_null(gate);
	gate_what = what;
	atomic_store(&opened, false);
}

static void
gate_open(cl_int state)
{
	atomic_store(&opened, true);
	assert_int_equal(clSetUserEventStatus(gate, state), CL_SUCCESS);
}

static void *
gate_open_later(void *arg)
{
	(void)arg;
	nanosleep(&(struct timespec){.tv_nsec = HOLD_NS}, NULL);
	gate_open(CL_COMPLETE);
	return NULL;
}

/* Bursts ---------------------------------------------------------------------- */

static uint8_t
pattern(unsigned int slot, unsigned int i, unsigned int b)
{
	return (uint8_t)(slot * 57 + i * 31 + b * 3 + 1);
}

/* Submit a burst of nb packets of len bytes; take() gets it back. */
static void
send(unsigned int slot, unsigned int nb, unsigned int len)
{
	struct exec_burst *b = env.ops->burst_get(env.queue);
	struct slot *s = &slots[slot];

	assert_non_null(b);
	assert_null(done);
	s->nb = nb;
	s->len = len;
	for (unsigned int i = 0; i < nb; i++) {
		for (unsigned int n = 0; n < STRIDE; n++)
			s->mem[i][n] = pattern(slot, i, n);
		b->pkts[i] = (struct apir_pkt){.addr = (uintptr_t)s->mem[i], .len = len, .nseg = 1};
	}
	memset(s->verdicts, 0xee, sizeof(s->verdicts));
	b->nb_pkts = nb;
	b->nb_extra = 0;
	b->cookie = 1000 + slot;
	b->verdicts = s->verdicts;
	if (env.ops->submit(env.queue, pipeline, b))
		done = b;
}

static void
check_bytes(unsigned int slot, unsigned int added)
{
	const struct slot *s = &slots[slot];

	for (unsigned int i = 0; i < s->nb; i++)
		for (unsigned int n = 0; n < STRIDE; n++)
			assert_int_equal(s->mem[i][n],
					 (uint8_t)(pattern(slot, i, n) + (n < s->len ? added : 0)));
}

/* The next burst to complete is this one, with this status, and its packets are as they should be. */
static void
take(unsigned int slot, enum apir_status status)
{
	struct exec_burst *b = done;
	time_t end = time(NULL) + WAIT_S;
	const bool ok = status == APIR_S_OK;

	done = NULL;
	while (b == NULL && (b = env.ops->poll(env.queue)) == NULL)
		assert_true(time(NULL) < end);
	assert_int_equal(b->cookie, 1000 + slot);
	assert_int_equal(b->status, status);
	check_bytes(slot, ok ? ADDED : 0);
	/* Both stages found zeroes or the other's: of a failed burst the host's stay zero. */
	for (unsigned int i = 0; i < slots[slot].nb; i++) {
		assert_int_equal(slots[slot].verdicts[i].port, ok ? 2 : 0);
		assert_int_equal(slots[slot].verdicts[i].meta, ok ? 2 * (1000 + slot) : 0);
	}
	if (slots[slot].nb < T_PKTS)
		assert_int_equal(slots[slot].verdicts[slots[slot].nb].action, 0xeeee);
}

static void
queue_new(void)
{
	struct exec_err err = {""};

	env.ops->queue_destroy(env.queue);
	env.queue = env.ops->queue_create(env.dev, T_SESSION, -1, &err);
	if (env.queue == NULL)
		fail_msg("queue: %s", err.text);
}

/* Tests ------------------------------------------------------------------------ */

static void
test_bytes(void **state)
{
	(void)state;
	seeing = true;
	send(0, 64, 64);
	take(0, APIR_S_OK);
	assert_int_equal(nb_cmds, 4);
	assert_int_equal(cmd[0].what, UPLOAD);
	assert_int_equal(cmd[3].what, DOWNLOAD);
	/* A packet's entry, verdict and bytes, and what alignment of the parts costs: no more goes there. */
	assert_true(cmd[0].size >= 64 * (16 + 8 + 64) + sizeof(struct apir_table));
	assert_true(cmd[0].size <= 64 * (16 + 8 + 64) + sizeof(struct apir_table) + 2 * OCL_ALIGN);
	/* And no more than verdicts and bytes come back. */
	assert_true(cmd[3].size >= 64 * (8 + 64));
	assert_true(cmd[3].size <= 64 * (8 + 64) + OCL_ALIGN);
	see_off();
	/* After a large burst a small one is small again. */
	send(0, T_PKTS, STRIDE);
	take(0, APIR_S_OK);
	seeing = true;
	send(0, 1, 1);
	take(0, APIR_S_OK);
	assert_true(cmd[0].size <= 5 * OCL_ALIGN && cmd[3].size <= 2 * OCL_ALIGN);
	see_off();
}

/* Beside us: three queues, tied by events. In the call: one, and no events. */
static void
test_commands(void **state)
{
	(void)state;
	seeing = true;
	send(0, 3, 100);
	take(0, APIR_S_OK);
	assert_int_equal(nb_cmds, 4);
	assert_int_equal(cmd[1].what, KERNEL);
	assert_int_equal(cmd[2].what, KERNEL);
	assert_ptr_equal(cmd[1].cq, cmd[2].cq);
	assert_int_equal(cmd[0].nb_wait, 0);
	assert_int_equal(cmd[2].nb_wait, 0);
	assert_false(cmd[1].asked);
	if (env.dev->sync) {
		for (unsigned int i = 0; i < 4; i++)
			assert_true(cmd[i].cq == cmd[0].cq && cmd[i].nb_wait == 0 && !cmd[i].asked);
	} else {
		assert_true(cmd[0].cq != cmd[1].cq && cmd[0].cq != cmd[3].cq);
		assert_ptr_not_equal(cmd[1].cq, cmd[3].cq);
		assert_true(cmd[1].nb_wait == 1 && cmd[1].wait == cmd[0].event);
		assert_true(cmd[3].nb_wait == 1 && cmd[3].wait == cmd[2].event);
	}
	see_off();
}

/*
 * The next burst is uploaded while the kernels of this one run, and its kernels run while this one comes back: they reach
 * their end while this one's wait at the gate.
 */
static void
test_overlap(void **state)
{
	static const enum what held[] = {KERNEL, DOWNLOAD};
	static const unsigned int ends[] = {4, 6}; /* the next burst's upload, its second kernel */

	(void)state;
	if (env.dev->sync)
		skip();
	for (unsigned int i = 0; i < 2; i++) {
		time_t end = time(NULL) + WAIT_S;

		seeing = true;
		gate_shut(held[i]);
		send(0, 20, 100);
		send(1, 30, 200);
		assert_int_equal(nb_cmds, 8);
		while (state_of(&cmd[ends[i]]) != CL_COMPLETE)
			assert_true(time(NULL) < end);
		assert_true(state_of(&cmd[3]) != CL_COMPLETE);
		assert_null(env.ops->poll(env.queue));
		gate_open(CL_COMPLETE);
		take(0, APIR_S_OK);
		take(1, APIR_S_OK);
		see_off();
	}
}

/* As many as fit, of all sizes, over and over: blocks grow while others are in flight. */
static void
test_in_flight(void **state)
{
	const unsigned int depth = env.dev->sync ? 1 : OCL_DEPTH;

	(void)state;
	queue_new();
	for (unsigned int round = 0; round < 12; round++) {
		for (unsigned int s = 0; s < depth; s++)
			send(s, (round + s) % 3 == 2 ? T_PKTS : 1 + (round * 7 + s * 5) % T_PKTS,
			     (round + s) % 4 == 3 ? STRIDE : 1 + (round * 97 + s * 61) % STRIDE);
		if (depth > 1)
			assert_null(env.ops->burst_get(env.queue));
		for (unsigned int s = 0; s < depth; s++)
			take(s, APIR_S_OK);
		assert_int_equal(nb_events, 0);
	}
}

/* Send a burst that fails: when submit returns, nothing of it is left to run. */
static void
send_failing(const struct failure *f, unsigned int slot)
{
	char text[128];

	t_log_text[0] = '\0';
	failing = f;
	nb_passed = 0;
	send(slot, 40, 300);
	failing = NULL;
	for (unsigned int i = 0; i < nb_cmds; i++)
		assert_int_equal(state_of(&cmd[i]), CL_COMPLETE);
	snprintf(text, sizeof(text), "a burst failed: %s: %s (", f->text, ocl_strerror(f->e));
	assert_text(t_log_text, text);
}

static void
test_failures(void **state)
{
	const unsigned int bad = 3;

	(void)state;
	for (unsigned int i = 0; i < NB_FAILURES; i++) {
		const struct failure *f = &failures[i];

		if (env.dev->sync && f->what == FLUSH)
			continue; /* it flushes nothing */
		/* Alone, then another; each failure on a queue of its own is told of. */
		queue_new();
		seeing = true;
		send_failing(f, 0);
		assert_non_null(done);
		take(0, f->status);
		send(1, 50, 200);
		take(1, APIR_S_OK);
		check_bytes(0, 0);
		see_off();
		/* Among others. */
		queue_new();
		seeing = true;
		for (unsigned int s = 0; s < OCL_DEPTH; s++) {
			if (s == bad)
				send_failing(f, s);
			else
				send(s, 40 + s, 300 + s);
			if (done != NULL)
				take(s, s == bad ? f->status : APIR_S_OK);
		}
		for (unsigned int s = 0; s < OCL_DEPTH && !env.dev->sync; s++)
			take(s, s == bad ? f->status : APIR_S_OK);
		check_bytes(bad, 0);
		assert_int_equal(nb_events, 0);
		see_off();
	}
}

/* What already runs of a burst that fails is waited for, in whichever queue it is. */
static void
test_failure_waits(void **state)
{
	pthread_t thread;

	(void)state;
	if (env.dev->sync)
		skip();
	for (unsigned int i = 0; i < NB_FAILURES; i++) {
		const struct failure *f = &failures[i];

		if (f->running == NOTHING)
			continue;
		queue_new();
		seeing = true;
		gate_shut(f->running);
		assert_int_equal(pthread_create(&thread, NULL, gate_open_later, NULL), 0);
		send_failing(f, 0);
		assert_true(atomic_load(&opened));
		pthread_join(thread, NULL);
		take(0, f->status);
		send(1, 50, 200);
		take(1, APIR_S_OK);
		check_bytes(0, 0);
		assert_int_equal(nb_events, 0);
		see_off();
	}
}

/* A command that fails on the device, after submit. */
static void
test_failed_on_device(void **state)
{
	static const enum what whats[] = {UPLOAD, KERNEL, DOWNLOAD};

	(void)state;
	if (env.dev->sync)
		skip();
	for (unsigned int i = 0; i < 3; i++) {
		queue_new();
		seeing = true;
		gate_shut(whats[i]);
		send(0, 40, 300);
		assert_null(env.ops->poll(env.queue));
		t_log_text[0] = '\0';
		gate_open(CL_OUT_OF_RESOURCES);
		take(0, APIR_S_DEVICE);
		assert_text(t_log_text, "running the kernels: ");
		send(1, 50, 200);
		take(1, APIR_S_OK);
		check_bytes(0, 0);
		assert_int_equal(nb_events, 0);
		see_off();
	}
}

static int
setup(void **state)
{
	struct exec_config cfg = t_config(device, "staged");
	struct exec_err err = {""};
	struct exec_stage stages[2];
	struct exec_program *prog;

	(void)state;
	t_open(&env, &cfg);
	prog = t_program(&env, source);
	for (unsigned int i = 0; i < 2; i++) {
		stages[i] = (struct exec_stage){.kernel = t_kernel(&env, prog, "bump", 1)};
		t_uint(&env, stages[i].kernel, 0, i == 0 ? 2 : ADDED - 2);
	}
	assert_status(APIR_S_OK, env.ops->pipeline_create(env.dev, stages, 2, &pipeline, &err),
		      err);
	for (unsigned int i = 0; i < 2; i++)
		env.ops->kernel_destroy(stages[i].kernel);
	env.ops->program_destroy(prog);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (pipeline == NULL)
		return 0; /* setup failed */
	env.ops->pipeline_destroy(pipeline);
	t_close(&env);
	assert_int_equal(nb_events, 0);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_failure_waits),
		cmocka_unit_test(test_failed_on_device),
	};

	if (argc != 2)
		return 2;
	if (t_skip(argv[1]))
		return 77;
	device = argv[1];
	return cmocka_run_group_tests(tests, setup, teardown);
}
