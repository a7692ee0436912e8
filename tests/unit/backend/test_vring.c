/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The ring and the chains in it, as a hostile guest would write them. */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "virtio_apir.h"

static struct guest g;
static struct mem_table mem;
static struct guest_ring r;
static struct vring_dev vr;
static const struct mem_region *hit;

static int
setup(void **state)
{
	struct vring_conf conf;
	const char *why;

	(void)state;
	guest_init(&g);
	mem_set(&mem, g.r, 2);
	guest_ring(&g, &r, 0, 16);
	guest_ring_conf(&r, &conf);
	hit = NULL;
	return vring_open(&vr, &mem, &conf, &why);
}

static int
teardown(void **state)
{
	(void)state;
	guest_ring_close(&r);
	guest_fini(&g);
	return 0;
}

static int
open_with(struct vring_conf *conf)
{
	struct vring_dev v;
	const char *why = NULL;
	const int ret = vring_open(&v, &mem, conf, &why);

	assert_true((ret == 0) == (why == NULL));
	return ret;
}

static void
queue_size_zero_or_too_large(void **state)
{
	static const uint32_t bad[] = {0,    1,	   4,	  7,	 9,	24,
				       1000, 2048, 32768, 65536, 65544, UINT32_MAX};
	struct vring_conf conf;

	(void)state;
	guest_ring_conf(&r, &conf);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		conf.size = bad[i];
		assert_int_equal(open_with(&conf), -EINVAL);
	}
	conf.size = 8;
	assert_int_equal(open_with(&conf), 0);
}

static void
ring_outside_memory(void **state)
{
	struct vring_conf conf;

	(void)state;
	guest_ring_conf(&r, &conf);
	conf.desc = g.mem + GUEST_SIZE - 16 * 16;
	assert_int_equal(open_with(&conf), 0);
	conf.desc = g.mem + GUEST_SIZE - 15 * 16;
	assert_int_equal(open_with(&conf), -EINVAL);
	guest_ring_conf(&r, &conf);
	/* The event index behind the ring counts. */
	conf.avail = g.mem + GUEST_SIZE - (4 + 2 * 17);
	assert_int_equal(open_with(&conf), 0);
	conf.avail = g.mem + GUEST_SIZE - (4 + 2 * 16);
	assert_int_equal(open_with(&conf), -EINVAL);
	guest_ring_conf(&r, &conf);
	conf.used = g.mem + GUEST_SIZE - (4 + 8 * 16);
	assert_int_equal(open_with(&conf), -EINVAL);
	conf.used = NULL;
	assert_int_equal(open_with(&conf), -EINVAL);
	guest_ring_conf(&r, &conf);
	conf.desc = g.mem + 8;
	assert_int_equal(open_with(&conf), -EINVAL);
}

static void
available_index_jumps(void **state)
{
	(void)state;
	r.avail->idx = 16;
	assert_int_equal(vring_avail(&vr), 16);
	r.avail->idx = 17;
	assert_int_equal(vring_avail(&vr), 0);
	assert_true(vr.broken);
}

static void
available_index_goes_back(void **state)
{
	(void)state;
	r.avail->idx = UINT16_MAX;
	assert_int_equal(vring_avail(&vr), 0);
	assert_true(vr.broken);
}

static void
head_out_of_range(void **state)
{
	(void)state;
	guest_offer(&r, 16);
	assert_int_equal(vring_avail(&vr), 1);
	assert_int_equal(vring_pop(&vr), -1);
	assert_true(vr.broken);
}

static void
indices_wrap(void **state)
{
	struct vring_used_elem e;

	(void)state;
	for (unsigned int i = 0; i < 70000; i++) {
		guest_offer(&r, i % 16);
		assert_int_equal(vring_avail(&vr), 1);
		assert_int_equal(vring_pop(&vr), i % 16);
		vring_push(&vr, i % 16, i);
		assert_int_equal(guest_poll(&r, &e), 1);
		assert_int_equal(e.id, i % 16);
		assert_int_equal(e.len, i);
	}
	assert_false(vr.broken);
}

static enum vring_err
indirect(uint64_t addr, uint32_t len, uint16_t flags)
{
	struct vring_table tbl;

	r.desc[3] = (struct vring_desc){addr, len, flags, 0};
	return vring_indirect(&vr, &mem, &hit, 3, &tbl);
}

static void
indirect_table_too_large(void **state)
{
	(void)state;
	assert_int_equal(indirect(GUEST_GPA, 16 * 16, VRING_DESC_F_INDIRECT), VRING_OK);
	assert_int_equal(indirect(GUEST_GPA, 17 * 16, VRING_DESC_F_INDIRECT), VRING_E_LONG);
	assert_int_equal(indirect(GUEST_GPA, 0xfffffff0u, VRING_DESC_F_INDIRECT), VRING_E_LONG);
}

static void
indirect_table_not_aligned(void **state)
{
	(void)state;
	assert_int_equal(indirect(GUEST_GPA + 8, 64, VRING_DESC_F_INDIRECT), VRING_E_LAYOUT);
	assert_int_equal(indirect(GUEST_GPA, 63, VRING_DESC_F_INDIRECT), VRING_E_LAYOUT);
	assert_int_equal(indirect(GUEST_GPA, 15, VRING_DESC_F_INDIRECT), VRING_E_LAYOUT);
}

static void
indirect_table_empty(void **state)
{
	(void)state;
	assert_int_equal(indirect(GUEST_GPA, 0, VRING_DESC_F_INDIRECT), VRING_E_LAYOUT);
}

static void
indirect_table_crosses_region_end(void **state)
{
	(void)state;
	assert_int_equal(indirect(GUEST_GPA2 - 16, 32, VRING_DESC_F_INDIRECT), VRING_E_FAULT);
	assert_int_equal(indirect(GUEST_GPA2 - 32, 32, VRING_DESC_F_INDIRECT), VRING_OK);
	assert_int_equal(indirect(0, 32, VRING_DESC_F_INDIRECT), VRING_E_FAULT);
	assert_int_equal(indirect(UINT64_MAX - 15, 32, VRING_DESC_F_INDIRECT), VRING_E_FAULT);
}

static void
descriptor_is_not_indirect(void **state)
{
	(void)state;
	assert_int_equal(indirect(GUEST_GPA, 64, 0), VRING_E_LAYOUT);
	assert_int_equal(indirect(GUEST_GPA, 64, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT),
			 VRING_E_LAYOUT);
	assert_int_equal(indirect(GUEST_GPA, 64, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE),
			 VRING_E_LAYOUT);
}

static void
set(struct vring_desc *d, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	*d = (struct vring_desc){addr, len, flags, next};
}

static void
chain_walk(void **state)
{
	struct vring_chain c;

	(void)state;
	set(&r.desc[5], 100, 10, VRING_DESC_F_NEXT, 2);
	set(&r.desc[2], 200, 20, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 9);
	set(&r.desc[9], 300, 30, VRING_DESC_F_WRITE, 99);
	assert_int_equal(vring_walk(&vr, &mem, 5, &c), VRING_OK);
	assert_int_equal(c.nb_in, 1);
	assert_int_equal(c.nb_out, 2);
	assert_int_equal(c.in_len, 10);
	assert_int_equal(c.out_len, 50);
	assert_int_equal(c.out[1].gpa, 300);
}

static void
chain_loops(void **state)
{
	struct vring_chain c;

	(void)state;
	set(&r.desc[0], 0, 0, VRING_DESC_F_NEXT, 0);
	assert_int_not_equal(vring_walk(&vr, &mem, 0, &c), VRING_OK);
	set(&r.desc[1], 0, 0, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	set(&r.desc[2], 0, 0, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	assert_int_not_equal(vring_walk(&vr, &mem, 1, &c), VRING_OK);
}

static void
chain_index_not_checked(void **state)
{
	struct vring_chain c;

	(void)state;
	set(&r.desc[0], 0, 1, VRING_DESC_F_NEXT, 16);
	assert_int_equal(vring_walk(&vr, &mem, 0, &c), VRING_E_LAYOUT);
	set(&r.desc[0], 0, 1, VRING_DESC_F_NEXT, UINT16_MAX);
	assert_int_equal(vring_walk(&vr, &mem, 0, &c), VRING_E_LAYOUT);
}

static void
chain_indirect(void **state)
{
	struct vring_desc *t = (struct vring_desc *)(g.mem + GUEST_FREE);
	struct vring_chain c;

	(void)state;
	set(&r.desc[7], GUEST_GPA + GUEST_FREE, 32, VRING_DESC_F_INDIRECT, 0);
	set(&t[0], 1, 1, VRING_DESC_F_NEXT, 1);
	set(&t[1], 2, 2, VRING_DESC_F_WRITE, 0);
	assert_int_equal(vring_walk(&vr, &mem, 7, &c), VRING_OK);
	assert_int_equal(c.nb_in + c.nb_out, 2);
	/* next beyond the table, but not beyond the ring */
	t[0].next = 2;
	assert_int_equal(vring_walk(&vr, &mem, 7, &c), VRING_E_LAYOUT);
}

static void
indirect_table_nested(void **state)
{
	struct vring_desc *t = (struct vring_desc *)(g.mem + GUEST_FREE);
	struct vring_chain c;

	(void)state;
	set(&r.desc[7], GUEST_GPA + GUEST_FREE, 32, VRING_DESC_F_INDIRECT, 0);
	set(&t[0], GUEST_GPA + GUEST_FREE, 32, VRING_DESC_F_INDIRECT, 0);
	assert_int_equal(vring_walk(&vr, &mem, 7, &c), VRING_E_LAYOUT);
	set(&t[0], 1, 1, VRING_DESC_F_NEXT, 1);
	set(&t[1], GUEST_GPA + GUEST_FREE, 32, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	assert_int_equal(vring_walk(&vr, &mem, 7, &c), VRING_E_LAYOUT);
}

static void
chain_reads_after_writes(void **state)
{
	struct vring_chain c;

	(void)state;
	set(&r.desc[0], 0, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	set(&r.desc[1], 0, 1, 0, 0);
	assert_int_equal(vring_walk(&vr, &mem, 0, &c), VRING_E_LAYOUT);
}

static bool
rung(void)
{
	struct pollfd p = {.fd = r.call_fd, .events = POLLIN};
	uint64_t v;

	if (poll(&p, 1, 0) != 1)
		return false;
	assert_int_equal(read(r.call_fd, &v, sizeof(v)), sizeof(v));
	return true;
}

static void
notifications(void **state)
{
	uint16_t *used_event = &r.avail->ring[16];
	const uint16_t *avail_event = (uint16_t *)&r.used->ring[16];

	(void)state;
	*used_event = UINT16_MAX; /* left behind: the guest polls */
	vring_push(&vr, 0, 0);
	vring_notify(&vr, 1);
	assert_false(rung());
	*used_event = 1;
	vring_push(&vr, 0, 0);
	vring_notify(&vr, 1);
	assert_true(rung());
	vr.last_avail = 5;
	vring_want_kick(&vr);
	assert_int_equal(*avail_event, 5);

	vr.event_idx = false;
	vring_no_kick(&vr);
	assert_int_equal(r.used->flags, VRING_USED_F_NO_NOTIFY);
	vring_want_kick(&vr);
	assert_int_equal(r.used->flags, 0);
	vring_push(&vr, 0, 0);
	vring_notify(&vr, 1);
	assert_true(rung());
	r.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	vring_push(&vr, 0, 0);
	vring_notify(&vr, 1);
	assert_false(rung());
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(queue_size_zero_or_too_large),
		T(ring_outside_memory),
		T(available_index_jumps),
		T(available_index_goes_back),
		T(head_out_of_range),
		T(indices_wrap),
		T(indirect_table_too_large),
		T(indirect_table_not_aligned),
		T(indirect_table_empty),
		T(indirect_table_crosses_region_end),
		T(descriptor_is_not_indirect),
		T(chain_walk),
		T(chain_loops),
		T(chain_index_not_checked),
		T(chain_indirect),
		T(indirect_table_nested),
		T(chain_reads_after_writes),
		T(notifications),
	};

	return cmocka_run_group_tests_name("vring", tests, NULL, NULL);
}
