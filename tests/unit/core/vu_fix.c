/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include "vu_fix.h"

struct fake_env fe;
struct fake_backend be;
struct apir_vq *vq[NB_QUEUES];
struct apir_transport *t;
static int fds_before;
sem_t lost_sem;
atomic_int lost_count;

static void
on_lost(void *ctx)
{
	atomic_fetch_add(&lost_count, 1);
	sem_post(ctx);
}

int
setup(void **state)
{
	(void)state;
	fds_before = count_fds();
	sem_init(&lost_sem, 0, 0);
	atomic_store(&lost_count, 0);
	fake_env_init(&fe, 1 << 20);
	fake_backend_init(&be);
	t = NULL;
	if (apir_vq_create_ctl(&fe.env, &vq[0]) != 0 ||
	    apir_vq_create(&fe.env, 64, 16, 32, 32, -1, &vq[1]) != 0 ||
	    apir_vq_create(&fe.env, 256, 64, 32, 32, -1, &vq[2]) != 0)
		return -1;
	return 0;
}

/* Everything is closed, whatever happened, and the back-end met nothing against the protocol. */
int
teardown(void **state)
{
	int i;

	(void)state;
	if (t != NULL)
		t->ops->close(t);
	for (i = 0; i < NB_QUEUES; i++)
		apir_vq_destroy(vq[i]);
	if (be.path[0] != '\0')
		fake_backend_stop(&be);
	fake_env_fini(&fe);
	sem_destroy(&lost_sem);
	if (be.wrong[0] != '\0')
		print_error("%s\n", be.wrong);
	if (count_fds() != fds_before)
		print_error("%d descriptors leaked\n", count_fds() - fds_before);
	return be.wrong[0] != '\0' || count_fds() != fds_before;
}

int
open_transport(unsigned int timeout_ms)
{
	return apir_vhost_user_open(be.path, &fe.env, timeout_ms, on_lost, &lost_sem, &t);
}

void
set_queues(void)
{
	uint16_t i;

	for (i = 0; i < NB_QUEUES; i++)
		assert_int_equal(t->ops->queue_setup(t, i, vq[i]), 0);
}

void
open_and_start(void)
{
	fake_backend_start(&be);
	assert_int_equal(open_transport(LONG_MS), 0);
	set_queues();
	assert_int_equal(t->ops->start(t), 0);
}
