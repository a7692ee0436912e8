/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* What the executor "cuda" launches, when, and what it makes of failures. The GPU's own part is tested on one. */

#include <string.h>

#include "fake_cuda.h"
#include "util.h"

#define PKTS	64u
#define F(args) ((CUfunction)(uintptr_t)(0x100 + (args)))

static struct exec_dev *dev;
static struct exec_queue *queue;
static struct cuda_queue *q;
static struct apir_verdict verdicts[PKTS * 80];
static uint32_t value = 77;

/* A pipeline of kernels of one argument, as cuda_pipeline_create() lays them out. */
static struct cuda_pipeline *
pipeline(unsigned int nb, bool group, size_t local)
{
	static const struct ocl_kernel_sig sig = {.name = (char *)(uintptr_t) "kernel"};
	struct cuda_pipeline *p = calloc(1, sizeof(*p) + nb * sizeof(p->stage[0]));

	assert_non_null(p);
	p->dev = dev;
	p->nb = nb;
	for (unsigned int i = 0; i < nb; i++) {
		struct cuda_stage *st = &p->stage[i];

		st->f = F(1);
		st->nb_params = 3;
		st->param[1] = &value;
		st->shared = 16 * i;
		st->s.group = group;
		st->s.local = local;
		st->s.sig = &sig;
	}
	return p;
}

static struct exec_burst *
fill(unsigned int nb)
{
	static unsigned int n;
	struct exec_burst *b = cuda_burst_get(queue);

	assert_non_null(b);
	b->nb_pkts = nb;
	b->nb_extra = 0;
	b->cookie = n;
	b->verdicts = &verdicts[PKTS * (n++ % 80)];
	memset(b->verdicts, 0xee, nb * sizeof(*b->verdicts));
	return b;
}

static void
submit(struct cuda_pipeline *p, unsigned int nb)
{
	assert_false(cuda_submit(queue, (struct exec_pipeline *)p, fill(nb)));
}

static void
done(unsigned int nb, uint32_t status)
{
	for (unsigned int i = 0; i < nb; i++) {
		struct exec_burst *b = cuda_poll(queue);

		if (b == NULL)
			fail_msg("burst %u of %u is not done", i, nb);
		assert_int_equal(b->status, status);
		assert_int_equal(b->copied, 0);
	}
}

static int
setup(void **state)
{
	struct exec_err err = {""};

	(void)state;
	dev = fake_open(PKTS);
	queue = cuda_queue_create(dev, 1, -1, &err);
	if (queue == NULL)
		fail_msg("%s", err.text);
	q = (struct cuda_queue *)queue;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cuda_queue_destroy(queue);
	fake_close(dev);
	return fake.streams != 0 || fake.nb_regions != 0;
}

static void
test_one_burst(void **state)
{
	struct cuda_pipeline *p = pipeline(2, false, 16);

	(void)state;
	submit(p, 40);
	assert_int_equal(fake.nb_launches, 0); /* until it is flushed */
	cuda_flush(queue);
	assert_int_equal(fake.nb_launches, 2); /* one a stage */
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(fake.launch[i].groups, 3);
		assert_int_equal(fake.launch[i].local, 16);
		assert_int_equal(fake.launch[i].rows, 1);
		assert_int_equal(fake.launch[i].shared, 16 * i);
		assert_int_equal(fake.launch[i].row, 0);
		assert_int_equal(fake.launch[i].arg, 77);
		assert_ptr_equal(fake.launch[i].tables, q->tables);
		assert_ptr_equal(fake.launch[i].stream, fake.launch[0].stream);
	}
	assert_int_equal(verdicts[0].action | verdicts[39].meta, 0); /* reset */
	assert_null(cuda_poll(queue));
	fake_release(1);
	done(1, APIR_S_OK);
	assert_null(cuda_poll(queue));
	free(p);
}

static void
test_group_of_packets(void **state)
{
	struct cuda_pipeline *p = pipeline(1, true, 32);

	(void)state;
	submit(p, 7);
	cuda_flush(queue);
	assert_int_equal(fake.launch[0].groups, 7);
	fake_release(1);
	done(1, APIR_S_OK);
	free(p);
}

/* The table that a row's kernel reads says what the caller asked for. */
static void
test_tables(void **state)
{
	struct cuda_pipeline *p = pipeline(1, false, 64);
	struct exec_burst *b;

	(void)state;
	for (unsigned int i = 0; i < 70; i++) {
		const struct apir_table *t =
			(const struct apir_table *)(q->tables +
						    ((i % PTX_SLOTS) << PTX_STRIDE_SHIFT));

		b = fill(3);
		assert_ptr_equal(b->pkts, t + 1);
		assert_ptr_equal(b->segs, (const uint8_t *)t + t->segs_off);
		assert_false(cuda_submit(queue, (struct exec_pipeline *)p, b));
		assert_int_equal(t->count, 3);
		assert_int_equal(t->verdicts, (uintptr_t)b->verdicts);
		assert_int_equal(t->cookie, b->cookie);
		cuda_flush(queue);
		assert_int_equal(fake.launch[i].row, i % PTX_SLOTS);
		fake_release(1);
		done(1, APIR_S_OK);
	}
	free(p);
}

/* What comes while CUDA_STREAMS launches are in flight shares the next. */
static void
test_batch(void **state)
{
	struct cuda_pipeline *p = pipeline(1, false, 64);

	(void)state;
	for (unsigned int i = 0; i < CUDA_STREAMS; i++) {
		submit(p, PKTS);
		cuda_flush(queue);
	}
	assert_int_equal(fake.nb_launches, CUDA_STREAMS);
	for (unsigned int i = 0; i < CUDA_BATCH + 3; i++) {
		submit(p, PKTS);
		cuda_flush(queue);
	}
	assert_int_equal(fake.nb_launches, CUDA_STREAMS);
	assert_null(cuda_poll(queue));
	fake_release(1);
	done(1, APIR_S_OK);
	assert_int_equal(fake.nb_launches, CUDA_STREAMS + 1);
	assert_int_equal(fake.launch[CUDA_STREAMS].rows, CUDA_BATCH);
	assert_int_equal(fake.launch[CUDA_STREAMS].row, CUDA_STREAMS);
	fake_release(CUDA_STREAMS);
	done(CUDA_STREAMS - 1 + CUDA_BATCH, APIR_S_OK);
	assert_int_equal(fake.launch[CUDA_STREAMS + 1].rows, 3);
	fake_release(1);
	done(3, APIR_S_OK);
	free(p);
}

/* Other pipelines, other sizes and loopback stay apart, and all stay in order. */
static void
test_what_shares(void **state)
{
	struct cuda_pipeline *p = pipeline(1, false, 64), *o = pipeline(1, true, 32);

	(void)state;
	submit(p, 8);
	submit(p, 8);
	submit(p, 9);
	submit(o, 9);
	submit(o, 9);
	submit(NULL, 4);
	submit(o, 9);
	cuda_flush(queue);
	assert_int_equal(fake.nb_launches, CUDA_STREAMS);
	assert_int_equal(fake.launch[0].rows, 2);
	assert_int_equal(fake.launch[1].rows, 1);
	fake_release(1);
	done(2, APIR_S_OK);
	assert_null(cuda_poll(queue));
	fake_release(3);
	done(1 + 2 + 1, APIR_S_OK);
	assert_int_equal(fake.launch[2].rows, 2);
	assert_int_equal(fake.launch[2].groups, 9);
	assert_int_equal(fake.launch[3].rows, 1);
	done(1, APIR_S_OK);
	/* With nothing in flight it needs no waiting. */
	assert_true(cuda_submit(queue, NULL, fill(5)));
	free(p);
	free(o);
}

/* A later launch that ends first does not overtake. */
static void
test_order(void **state)
{
	struct cuda_pipeline *p = pipeline(1, false, 64);

	(void)state;
	submit(p, 8);
	cuda_flush(queue);
	submit(p, 8);
	cuda_flush(queue);
	*fake.mark[1].at = fake.mark[1].value;
	assert_null(cuda_poll(queue));
	*fake.mark[0].at = fake.mark[0].value;
	done(2, APIR_S_OK);
	free(p);
}

/* All slots in flight; a batch goes round the end of the ring. */
static void
test_full_and_round(void **state)
{
	struct cuda_pipeline *p = pipeline(1, false, 64);
	unsigned int rows = 0;

	(void)state;
	fake_release(3);
	for (unsigned int i = 0; i < 3; i++) {
		submit(p, 2);
		cuda_flush(queue);
		done(1, APIR_S_OK);
	}
	for (unsigned int i = 0; i < PTX_SLOTS; i++)
		submit(p, 2);
	assert_null(cuda_burst_get(queue));
	fake_release(100);
	cuda_flush(queue);
	done(PTX_SLOTS, APIR_S_OK);
	assert_non_null(cuda_burst_get(queue));
	for (unsigned int i = 3; i < fake.nb_launches; i++) {
		assert_int_equal(fake.launch[i].row, (3 + rows) % PTX_SLOTS);
		rows += fake.launch[i].rows;
	}
	assert_int_equal(rows, PTX_SLOTS);
	free(p);
}

static void
test_launch_fails(void **state)
{
	struct cuda_pipeline *p = pipeline(1, false, 64);

	(void)state;
	fake.launch_error = 1; /* of this call alone */
	submit(p, 8);
	submit(p, 8);
	cuda_flush(queue);
	assert_true(fake.synchronized > 0); /* nothing of it touches the packets any more */
	done(2, APIR_S_DEVICE);
	assert_null(cuda_lost(dev));
	fake.launch_error = CUDA_SUCCESS;
	fake_release(1);
	submit(p, 8);
	cuda_flush(queue);
	done(1, APIR_S_OK);
	free(p);
}

/* A kernel's own fault shows only when the driver is asked, and takes the context with it. */
static void
test_context_lost(void **state)
{
	struct cuda_pipeline *p = pipeline(1, false, 64);
	unsigned int polls = 0;

	(void)state;
	submit(p, 8);
	cuda_flush(queue);
	submit(p, 8);
	cuda_flush(queue);
	fake.query_error = FAKE_ILLEGAL;
	while (fake.queries == 0 && polls++ < 100000)
		if (cuda_poll(queue) != NULL)
			break;
	assert_int_equal(fake.queries, 1);
	assert_true(polls > 100); /* asking costs a call: not at each poll */
	assert_text(cuda_lost(dev), "CUDA_ERROR_ILLEGAL_ADDRESS");
	assert_int_equal(q->slot[0].b.status, APIR_S_DEVICE);
	for (polls = 0; q->head != q->tail && polls < 100000; polls++)
		cuda_poll(queue);
	assert_int_equal(q->slot[1].b.status, APIR_S_DEVICE);
	fake.launch_error = FAKE_ILLEGAL;
	submit(p, 8);
	cuda_flush(queue);
	done(1, APIR_S_DEVICE);
	free(p);
}

static void
test_bad_bursts(void **state)
{
	struct cuda_pipeline *p = pipeline(1, false, 64);
	struct exec_burst *b;

	(void)state;
	b = fill(1);
	b->nb_pkts = PKTS + 1;
	assert_true(cuda_submit(queue, (struct exec_pipeline *)p, b));
	assert_int_equal(b->status, APIR_S_TOOBIG);
	b = fill(1);
	b->nb_extra = PKTS + 1;
	assert_true(cuda_submit(queue, (struct exec_pipeline *)p, b));
	assert_int_equal(b->status, APIR_S_TOOBIG);
	b = fill(1);
	b->verdicts = (struct apir_verdict *)((uint8_t *)b->verdicts + 4);
	assert_true(cuda_submit(queue, (struct exec_pipeline *)p, b));
	assert_int_equal(b->status, APIR_S_MALFORMED);
	/* Behind one in flight it waits for its turn. */
	submit(p, 4);
	cuda_flush(queue);
	b = fill(1);
	b->nb_pkts = PKTS + 1;
	assert_false(cuda_submit(queue, (struct exec_pipeline *)p, b));
	assert_null(cuda_poll(queue));
	fake_release(1);
	done(1, APIR_S_OK);
	done(1, APIR_S_TOOBIG);
	free(p);
}

static void
test_new_pipeline(void **state)
{
	struct cuda_pipeline *p = pipeline(3, false, 64);
	struct exec_err err = {""};

	(void)state;
	fake_release(1);
	assert_status(APIR_S_OK, cuda_queue_warm(dev, p, &err), err);
	assert_int_equal(fake.nb_launches, 3);
	assert_int_equal(fake.launch[0].groups, 1);
	assert_int_equal(((const struct apir_table *)fake.launch[0].tables)->count, 0);
	fake.launch_error = 701; /* too many resources for a launch */
	assert_int_equal(cuda_queue_warm(dev, p, &err), APIR_S_DEVICE);
	assert_text(err.text, "does not run on the device");
	assert_null(cuda_lost(dev)); /* others go on */
	free(p);
}

static void
test_guest_memory(void **state)
{
	const struct exec_region two[] = {{(void *)0x10000, 0x1000}, {(void *)0x40000, 0x2000}};
	const unsigned int own = fake.nb_regions;
	struct exec_err err = {""};

	(void)state;
	assert_status(APIR_S_OK, cuda_mem_set(dev, 1, two, 2, &err), err);
	assert_status(APIR_S_OK, cuda_mem_set(dev, 2, two + 1, 1, &err), err);
	assert_int_equal(fake.nb_regions, own + 3);
	/* The same places may be other memory now. */
	fake.registered = fake.unregistered = 0;
	assert_status(APIR_S_OK, cuda_mem_set(dev, 1, two, 2, &err), err);
	assert_int_equal(fake.unregistered, 2);
	assert_int_equal(fake.registered, 2);
	/* None of a session's regions stays when one is refused; another session's do. */
	fake.register_error = 304;
	assert_int_equal(cuda_mem_set(dev, 1, two, 2, &err), APIR_S_NOMEM);
	assert_text(err.text, "guest memory region 0 of 0 MiB cannot be registered");
	assert_text(err.text, "--executor opencl");
	fake.register_error = CUDA_SUCCESS;
	assert_int_equal(fake.nb_regions, own + 1);
	assert_status(APIR_S_OK, cuda_mem_set(dev, 2, NULL, 0, &err), err);
	assert_int_equal(fake.nb_regions, own);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_burst),	T(test_group_of_packets), T(test_tables),
		T(test_batch),		T(test_what_shares),	  T(test_order),
		T(test_full_and_round), T(test_launch_fails),	  T(test_context_lost),
		T(test_bad_bursts),	T(test_new_pipeline),	  T(test_guest_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
