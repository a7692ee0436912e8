/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Queues of an open virtio PCI device: set up, started, rung, taken back. */

#include <stdlib.h>

#include "apir_vq.h"
#include "vp_fix.h"

#define NO_VECTOR 0xffffu
#define IDLE_SIZE 8u

static struct apir_vq *ctl, *data;

/* An open device of nb_queues queues, and rings for the first two of them. */
static void
make_open(uint16_t nb_queues)
{
	make(FS, nb_queues);
	assert_int_equal(open_it(), 0);
	assert_int_equal(apir_vq_create_ctl(&fe.env, &ctl), 0);
	assert_int_equal(apir_vq_create(&fe.env, 64, 4, 16, 32, -1, &data), 0);
	assert_int_equal(t->ops->queue_setup(t, 0, ctl), 0);
	assert_int_equal(t->ops->queue_setup(t, 1, data), 0);
	fp.nb_writes = 0;
}

static void
free_queues(void)
{
	apir_vq_destroy(ctl);
	apir_vq_destroy(data);
}

static void
unmake_all(void)
{
	close_it();
	free_queues();
	unmake();
}

static void
assert_ring(const struct fake_pci_queue *q, const struct apir_vq *vq)
{
	assert_int_equal(q->size, vq->size);
	assert_int_equal(q->desc, vq->desc_addr);
	assert_int_equal(q->avail, vq->avail_addr);
	assert_int_equal(q->used, vq->used_addr);
	/* guest addresses, which are no addresses of this process */
	assert_ptr_equal(fake_env_va(&fe, q->desc, sizeof(struct vring_desc) * q->size), vq->desc);
	assert_ptr_equal(fake_env_va(&fe, q->avail, 6 + 2 * q->size), vq->avail);
	assert_ptr_equal(fake_env_va(&fe, q->used, 6 + 8 * q->size), vq->used);
}

/* A ring of the least size, empty, whose parts do not overlap. */
static void
assert_idle(const struct fake_pci_queue *q)
{
	const size_t desc_len = 16 * IDLE_SIZE, avail_len = 6 + 2 * IDLE_SIZE;
	const size_t used_len = 6 + 8 * IDLE_SIZE;
	const char *desc = fake_env_va(&fe, q->desc, desc_len);
	const char *avail = fake_env_va(&fe, q->avail, avail_len);
	const char *used = fake_env_va(&fe, q->used, used_len);
	size_t i;

	assert_int_equal(q->size, IDLE_SIZE);
	assert_non_null(desc);
	assert_non_null(avail);
	assert_non_null(used);
	assert_int_equal(q->desc % 16, 0);
	assert_int_equal(q->avail % 2, 0);
	assert_int_equal(q->used % 4, 0);
	assert_true(q->desc + desc_len <= q->avail);
	assert_true(q->avail + avail_len <= q->used);
	for (i = 0; i < used_len; i++)
		assert_int_equal(
			(i < desc_len ? desc[i] : 0) | (i < avail_len ? avail[i] : 0) | used[i], 0);
}

static void
started(void **state)
{
	unsigned int i, enabled = 0;

	(void)state;
	make_open(5);
	assert_int_equal(t->ops->start(t), 0);
	assert_int_equal(fp.status, ST_RUNS);
	assert_true(t->ops->alive(t));
	assert_ring(&fp.queue[0], ctl);
	assert_ring(&fp.queue[1], data);
	for (i = 2; i < 5; i++) {
		assert_idle(&fp.queue[i]);
		/* one for all of them */
		assert_int_equal(fp.queue[i].desc, fp.queue[2].desc);
	}
	for (i = 0; i < 5; i++) {
		assert_int_equal(fp.queue[i].vector, NO_VECTOR);
		assert_int_equal(fp.queue[i].enable, 1);
	}
	/* a queue is enabled last of all that is written to it (the fake sees to that), the device after them */
	for (i = 0; i < fp.nb_writes; i++) {
		if (fp.write[i].off == FAKE_PCI_REG(queue_enable))
			enabled++;
		if (fp.write[i].off == FAKE_PCI_REG(device_status)) {
			assert_int_equal(fp.write[i].value, ST_RUNS);
			assert_int_equal(i, fp.nb_writes - 1);
		}
	}
	assert_int_equal(enabled, 5);
	unmake_all();
}

static void
most_queues(void **state)
{
	unsigned int i;

	(void)state;
	make_open(65);
	assert_int_equal(t->ops->start(t), 0);
	for (i = 2; i < 65; i++)
		assert_idle(&fp.queue[i]);
	assert_int_equal(fp.queue[65].enable, 0);
	/* rings of ours, their slots, and one ring for all the rest */
	i = (unsigned int)fe.live;
	close_it();
	assert_int_equal(fe.live, i - 1);
	free_queues();
	unmake();
}

static void
setup_refused(void **state)
{
	struct apir_vq *big;

	(void)state;
	make_open(3);
	fp.accesses = 0;
	assert_int_equal(t->ops->queue_setup(t, 3, data), -EINVAL);
	assert_true(fake_env_logged(&fe, "queue 3 asked for, but the device has only 3"));
	assert_true(fake_env_logged(&fe, "vhost-user-fs-pci a larger num-request-queues="));
	assert_int_equal(t->ops->queue_setup(t, UINT16_MAX, data), -EINVAL);
	assert_int_equal(apir_vq_create(&fe.env, 256, 4, 16, 32, -1, &big), 0);
	assert_int_equal(t->ops->queue_setup(t, 2, big), -EINVAL);
	assert_true(fake_env_logged(
		&fe,
		"a queue of 256 entries is needed for such bursts, but the device allows 128"));
	assert_true(fake_env_logged(&fe, "queue-size=256"));
	assert_int_equal(fp.accesses, 0);
	/* what was refused is not used */
	assert_int_equal(t->ops->start(t), 0);
	assert_idle(&fp.queue[2]);
	assert_int_equal(t->ops->queue_setup(t, 1, data), -EBUSY);
	apir_vq_destroy(big);
	unmake_all();
}

static void
start_refused(void **state)
{
	(void)state;
	make(FS, 3);
	assert_int_equal(open_it(), 0);
	fp.accesses = 0;
	assert_int_equal(t->ops->start(t), -EINVAL);
	assert_int_equal(fp.accesses, 0);
	close_it();
	unmake();

	make_open(3);
	assert_int_equal(t->ops->start(t), 0);
	fp.nb_writes = 0;
	assert_int_equal(t->ops->start(t), -EBUSY);
	assert_int_equal(fp.nb_writes, 0);
	unmake_all();
}

static void
no_memory(void **state)
{
	(void)state;
	make_open(3);
	fe.fail_after = 0;
	assert_int_equal(t->ops->start(t), -ENOMEM);
	assert_true(fake_env_logged(&fe, "no memory left for the rings of unused queues"));
	assert_int_equal(fp.nb_writes, 0);
	assert_int_equal(t->ops->stop(t), 0);
	fe.fail_after = -1;
	assert_int_equal(t->ops->start(t), 0);
	unmake_all();
}

static void
doorbells(void **state)
{
	static const struct {
		uint32_t step;
		uint16_t notify_off;
		int ret;
		uint32_t at;
	} tab[] = {
		/* of an area of 0x1000 bytes */
		{4, 0x3ff, 0, 0xffc},
		{4, 0x400, -EPROTO, 0},
		{2, 0x7ff, 0, 0xffe},
		{2, 0x800, -EPROTO, 0},
		{1, 0xffe, 0, 0xffe},
		{1, 0xfff, -EPROTO, 0},
		{1, 3, -EPROTO, 0},
		{0, 0xffff, 0, 0},
		{UINT32_MAX, 0xffff, -EPROTO, 0},
		{0x10000, 0xffff, -EPROTO, 0},
		{0x20000, 0x8000, -EPROTO, 0}, /* 0 in 32 bits */
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		make(FS, 3);
		memcpy(&fp.cfg[fp.notify_cap + VIRTIO_PCI_NOTIFY_CAP_MULT], &tab[i].step, 4);
		fp.queue[0].notify_off = fp.queue[2].notify_off = 0;
		fp.queue[1].notify_off = tab[i].notify_off;
		assert_int_equal(open_it(), 0);
		assert_int_equal(apir_vq_create_ctl(&fe.env, &ctl), 0);
		assert_int_equal(t->ops->queue_setup(t, 0, ctl), 0);
		data = NULL;
		assert_int_equal(t->ops->start(t), tab[i].ret);
		if (tab[i].ret == 0) {
			t->ops->kick(t, 1);
			assert_int_equal(fp.write[fp.nb_writes - 1].off,
					 FAKE_PCI_NOTIFY + tab[i].at);
		} else {
			assert_true(fake_env_logged(&fe, "the doorbell of queue 1 lies outside"));
			assert_int_equal(fp.status, ST_FEAT_OK);
			assert_int_equal(t->ops->stop(t), 0);
		}
		unmake_all();
	}
}

static void
kicked(void **state)
{
	uint16_t i;

	(void)state;
	make_open(4);
	assert_int_equal(t->ops->start(t), 0);
	fp.nb_writes = 0;
	for (i = 0; i < 4; i++)
		t->ops->kick(t, i);
	assert_int_equal(fp.nb_writes, 4);
	for (i = 0; i < 4; i++) {
		assert_int_equal(fp.write[i].off,
				 FAKE_PCI_NOTIFY + fp.queue[i].notify_off * FAKE_PCI_DOORBELL_STEP);
		assert_int_equal(fp.write[i].value, i);
	}
	unmake_all();
}

static void
does_not_start(void **state)
{
	(void)state;
	make_open(3);
	fp.fails_to_start = true;
	assert_int_equal(t->ops->start(t), -EPROTO);
	assert_true(fake_env_logged(&fe, "the device does not start: see QEMU's log"));
	/* it has the rings: they are taken back */
	assert_int_equal(t->ops->stop(t), 0);
	assert_int_equal(fp.status, 0);
	unmake_all();
}

static void
stopped(void **state)
{
	(void)state;
	make_open(3);
	/* nothing to stop yet */
	assert_int_equal(t->ops->stop(t), 0);
	assert_int_equal(fp.nb_writes, 0);
	assert_int_equal(t->ops->start(t), 0);
	fp.nb_writes = 0;
	fp.reset_reads = 3;
	assert_int_equal(t->ops->stop(t), 0);
	assert_int_equal(fp.status, 0);
	assert_int_equal(fp.queue[0].enable, 0);
	assert_int_equal(fp.nb_writes, 1);
	/* and again */
	assert_int_equal(t->ops->stop(t), 0);
	close_it();
	assert_int_equal(fp.nb_writes, 1);
	free_queues();
	unmake();
}

/* Closing a device that runs resets it before its memory is given to others. */
static void
closed(void **state)
{
	(void)state;
	make_open(3);
	assert_int_equal(t->ops->start(t), 0);
	close_it();
	assert_int_equal(fp.status, 0);
	free_queues();
	unmake();
}

/* A device that does not let go keeps the memory, until it does. */
static void
hangs(void **state)
{
	int live;

	(void)state;
	make_open(3);
	assert_int_equal(t->ops->start(t), 0);
	fp.never_resets = true;
	fp.accesses = 0;
	assert_int_equal(t->ops->stop(t), -ETIMEDOUT);
	assert_true(fake_env_logged(&fe, "does not finish its reset within 20 ms"));
	assert_true(fp.accesses <= TIMEOUT_MS + 3);
	assert_int_equal(t->ops->stop(t), -ETIMEDOUT);
	fp.never_resets = false;
	assert_int_equal(t->ops->stop(t), 0);
	unmake_all();

	make_open(3);
	assert_int_equal(t->ops->start(t), 0);
	fp.never_resets = true;
	live = fe.live;
	close_it();
	assert_int_equal(fe.live, live);
	/* lost on purpose: not by the environment's count */
	fe.live--;
	free_queues();
	unmake();
}

static void
unplugged(void **state)
{
	(void)state;
	make_open(3);
	assert_int_equal(t->ops->start(t), 0);
	fp.gone = true;
	assert_false(t->ops->alive(t));
	t->ops->kick(t, 1);
	/* it touches no memory any more */
	assert_int_equal(t->ops->stop(t), 0);
	assert_true(fake_env_logged(&fe, "it was unplugged"));
	unmake_all();
}

static void
alive(void **state)
{
	(void)state;
	make_open(3);
	assert_true(t->ops->alive(t));
	fp.status |= NEED_RESET;
	assert_false(t->ops->alive(t));
	fp.status = ST_FEAT_OK;
	assert_int_equal(t->ops->start(t), 0);
	assert_true(t->ops->alive(t));
	fp.status = ST_RUNS | NEED_RESET;
	assert_false(t->ops->alive(t));
	/* reset by somebody else */
	fp.status = ST_FEAT_OK;
	assert_false(t->ops->alive(t));
	fp.status = 0;
	assert_false(t->ops->alive(t));
	fp.status = ST_RUNS;
	assert_true(t->ops->alive(t));
	/* reading it changes nothing */
	fp.nb_writes = 0;
	assert_true(t->ops->alive(t));
	assert_int_equal(fp.nb_writes, 0);
	assert_int_equal(t->ops->stop(t), 0);
	assert_true(t->ops->alive(t));
	unmake_all();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(started),	 cmocka_unit_test(most_queues),
		cmocka_unit_test(setup_refused), cmocka_unit_test(start_refused),
		cmocka_unit_test(no_memory),	 cmocka_unit_test(doorbells),
		cmocka_unit_test(kicked),	 cmocka_unit_test(does_not_start),
		cmocka_unit_test(stopped),	 cmocka_unit_test(closed),
		cmocka_unit_test(hangs),	 cmocka_unit_test(unplugged),
		cmocka_unit_test(alive),
	};

	if (fake_pci_cannot_trap() != NULL) {
		fprintf(stderr, "skipped: %s\n", fake_pci_cannot_trap());
		return 77;
	}
	return cmocka_run_group_tests_name("virtio_pci_queues", tests, NULL, NULL);
}
