/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* vhost-user messages: what is let through to librte_vhost. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "virtio_apir.h"
#include "vu_msg.h"

static int efd, memfd, pipefd[2];

static int
setup(void **state)
{
	(void)state;
	efd = eventfd(0, 0);
	memfd = memfd_create("guest", 0);
	return efd < 0 || memfd < 0 || ftruncate(memfd, 1 << 20) != 0 || pipe(pipefd) != 0;
}

static struct vu_msg
message(uint32_t request, uint32_t size)
{
	struct vu_msg m = {.hdr = {request, VU_FLAG_VERSION, size}};

	return m;
}

static struct vu_msg
state_message(uint32_t request, uint32_t index, uint32_t num)
{
	struct vu_msg m = message(request, 8);

	m.u.state.index = index;
	m.u.state.num = num;
	return m;
}

static void
passes(const struct vu_msg *m, int fd)
{
	const char *why = vu_msg_check(m, &fd, fd >= 0);

	if (why != NULL)
		fail_msg("%s: %s", vu_msg_name(m->hdr.request), why);
}

static void
refused(const struct vu_msg *m, int fd, const char *text)
{
	const char *why = vu_msg_check(m, &fd, fd >= 0);

	assert_non_null(why);
	if (strstr(why, text) == NULL)
		fail_msg("'%s' lacks '%s'", why, text);
}

static void
unknown_messages(void **state)
{
	static const uint32_t for_library[] = {1,  2,  3,  4,  5,  8,  9,  10, 11,
					       12, 13, 14, 15, 16, 17, 18, 21};
	int many[VU_MSG_MAX_FDS];

	(void)state;
	for (unsigned int i = 0; i < VU_MSG_MAX_FDS; i++)
		many[i] = efd;
	for (uint32_t i = 0; i < 100; i++) {
		struct vu_msg m = message(i, 0);
		bool is_known = false;

		for (unsigned int k = 0; k < sizeof(for_library) / sizeof(for_library[0]); k++)
			is_known |= for_library[k] == i;
		assert_int_equal(vu_msg_action(&m) == VU_PASS, is_known);
		/* What is not for it is no reason to end a connection, whatever is in it. */
		if (!is_known && i != VU_GET_CONFIG && i != VU_SET_CONFIG)
			assert_null(vu_msg_check(&m, many, 8));
	}
	struct vu_msg m = message(UINT32_MAX, 0);

	passes(&m, -1);
	assert_int_equal(vu_msg_action(&m), VU_IGNORE);
	m = message(VU_APIRD_ID, 8);
	assert_int_equal(vu_msg_action(&m), VU_IGNORE);
	assert_string_equal(vu_msg_name(99), "unknown");
	assert_string_equal(vu_msg_name(VU_ADD_MEM_REG), "ADD_MEM_REG");
}

/* The answer of apird itself, with or without a wish to be acknowledged. */
static bool
answered(uint32_t request, bool need_reply, struct vu_msg *answer)
{
	struct vu_msg m = message(request, 0);
	bool ret;

	m.hdr.flags |= need_reply ? VU_FLAG_NEED_REPLY : 0;
	ret = vu_msg_answer(&m, answer);
	assert_int_equal(answer->hdr.request, request);
	assert_int_equal(answer->hdr.flags, VU_FLAG_VERSION | VU_FLAG_REPLY);
	return ret;
}

static void
messages_not_offered(void **state)
{
	static const uint32_t silent[] = {VU_SET_LOG_BASE,
					  VU_IOTLB_MSG,
					  VU_SET_INFLIGHT_FD,
					  VU_VRING_KICK,
					  VU_SET_STATUS,
					  VU_ADD_MEM_REG,
					  VU_REM_MEM_REG,
					  VU_RESET_DEVICE,
					  0,
					  99,
					  UINT32_MAX};
	struct vu_msg m, a;

	(void)state;
	for (unsigned int i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		assert_false(answered(silent[i], false, &a));
		assert_true(answered(silent[i], true, &a));
		assert_int_equal(a.hdr.size, 8);
		assert_int_equal(a.u.u64, 1);
	}
	/* Who is not told would go on as if memory or rings were left alone. */
	m = message(VU_REM_MEM_REG, 0);
	assert_int_equal(vu_msg_action(&m), VU_END);
	m = message(VU_RESET_DEVICE, 0);
	assert_int_equal(vu_msg_action(&m), VU_END);
	/* Answers that somebody waits for in any case. */
	assert_true(answered(VU_GET_INFLIGHT_FD, false, &a));
	assert_int_equal(a.hdr.size, 24);
	assert_int_equal(a.u.u64, 0);
	assert_true(answered(VU_GET_MAX_MEM_SLOTS, false, &a));
	assert_int_equal(a.u.u64, 8);
	assert_true(answered(VU_GET_STATUS, false, &a));
	assert_int_equal(a.u.u64, 0);
	assert_true(answered(VU_CHECK_DEVICE_STATE, false, &a));
	assert_int_equal(a.u.u64, 1);
	assert_true(answered(VU_SET_DEVICE_STATE_FD, false, &a));
	assert_int_equal(a.u.u64, 0x101);
}

static struct vu_msg
config_message(uint32_t request, uint32_t offset, uint32_t size)
{
	struct vu_msg m = message(request, VU_CONFIG_HDR + size);

	m.u.config.offset = offset;
	m.u.config.size = size;
	return m;
}

static void
configuration_space(void **state)
{
	/* as QEMU's vhost-user-blk asks, the whole, our mark alone, a piece of it */
	static const uint32_t ranges[][2] = {{0, 57}, {0, 256}, {16, 4}, {17, 2}, {20, 236}};
	static const uint32_t bad[][2] = {{0, 0},   {256, 1},	     {255, 2},
					  {1, 256}, {UINT32_MAX, 1}, {UINT32_MAX - 3, 8}};
	uint8_t space[VU_CONFIG_SIZE] = {0};
	struct vu_msg m, a;

	(void)state;
	memcpy(space + APIR_BLK_MARK_OFFSET, "APIR", 4);
	for (unsigned int i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		const uint32_t offset = ranges[i][0], size = ranges[i][1];

		m = config_message(VU_GET_CONFIG, offset, size);
		memset(m.u.config.region, 0xee, sizeof(m.u.config.region));
		passes(&m, -1);
		assert_int_equal(vu_msg_action(&m), VU_ANSWER);
		assert_true(vu_msg_answer(&m, &a));
		assert_int_equal(a.hdr.size, VU_CONFIG_HDR + size);
		assert_int_equal(a.u.config.offset, offset);
		assert_int_equal(a.u.config.size, size);
		assert_memory_equal(a.u.config.region, space + offset, size);
	}
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m = config_message(VU_GET_CONFIG, bad[i][0], bad[i][1]);
		passes(&m, -1);
		assert_true(vu_msg_answer(&m, &a));
		assert_int_equal(a.hdr.size, 0);
	}
	/* The payload is as long as it says. */
	m = config_message(VU_GET_CONFIG, 0, 57);
	m.hdr.size--;
	refused(&m, -1, "size");
	m.hdr.size = VU_CONFIG_HDR - 1;
	refused(&m, -1, "size");
	m = config_message(VU_GET_CONFIG, 0, 57);
	m.u.config.size = UINT32_MAX;
	refused(&m, -1, "size");
	m = config_message(VU_GET_CONFIG, 0, 57);
	refused(&m, efd, "fds");
	/* A guest that writes there is told that all is well. */
	m = config_message(VU_SET_CONFIG, 32, 1);
	passes(&m, -1);
	assert_false(vu_msg_answer(&m, &a));
	m.hdr.flags |= VU_FLAG_NEED_REPLY;
	assert_true(vu_msg_answer(&m, &a));
	assert_int_equal(a.hdr.size, 8);
	assert_int_equal(a.u.u64, 0);
}

static void
flags(void **state)
{
	struct vu_msg m = message(VU_GET_FEATURES, 0);

	(void)state;
	passes(&m, -1);
	m.hdr.flags = 0;
	refused(&m, -1, "flags");
	m.hdr.flags = VU_FLAG_VERSION | VU_FLAG_REPLY;
	refused(&m, -1, "flags");
	m.hdr.flags = VU_FLAG_VERSION | VU_FLAG_NEED_REPLY;
	passes(&m, -1);
}

static void
queue_size_zero_or_too_large(void **state)
{
	static const uint32_t bad[] = {0, 1, 7, 9, 1023, 2048, 32768, 65536, UINT32_MAX};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vu_msg m = state_message(VU_SET_VRING_NUM, 0, bad[i]);

		refused(&m, -1, "queue size");
	}
	struct vu_msg m = state_message(VU_SET_VRING_NUM, 0, 1024);

	passes(&m, -1);
}

static void
queue_that_does_not_exist(void **state)
{
	static const uint32_t req[] = {VU_SET_VRING_NUM, VU_SET_VRING_BASE, VU_GET_VRING_BASE,
				       VU_SET_VRING_ENABLE};
	struct vu_msg m;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		m = state_message(req[i], 64, 8);
		passes(&m, -1);
		m = state_message(req[i], 65, 8);
		refused(&m, -1, "no such queue");
		m = state_message(req[i], UINT32_MAX, 8);
		refused(&m, -1, "no such queue");
	}
	m = message(VU_SET_VRING_ADDR, 40);
	passes(&m, -1);
	m.u.state.index = 65;
	refused(&m, -1, "no such queue");
	m = message(VU_SET_VRING_KICK, 8);
	m.u.u64 = 200;
	refused(&m, efd, "no such queue");
}

static void
sizes(void **state)
{
	struct vu_msg m = state_message(VU_SET_VRING_NUM, 0, 8);

	(void)state;
	m.hdr.size = 4;
	refused(&m, -1, "size");
	m = message(VU_SET_VRING_ADDR, 39);
	refused(&m, -1, "size");
	m = message(VU_SET_FEATURES, 0);
	refused(&m, -1, "size");
	m = message(VU_SET_VRING_CALL, 4);
	refused(&m, efd, "size");
	m = state_message(VU_SET_VRING_BASE, 0, 65536);
	refused(&m, -1, "16 bits");
}

static void
file_descriptors(void **state)
{
	struct vu_msg m = message(VU_GET_FEATURES, 0);
	int many[8];

	(void)state;
	refused(&m, efd, "fds");
	m = message(VU_SET_BACKEND_REQ_FD, 0);
	refused(&m, -1, "fds");
	passes(&m, efd);
	m = message(VU_SET_VRING_CALL, 8);
	passes(&m, efd);
	refused(&m, -1, "fd it announces");
	m.u.u64 = 1 << 8;
	passes(&m, -1);
	refused(&m, efd, "fd it announces");
	m.u.u64 = 0;
	refused(&m, memfd, "not an eventfd");
	refused(&m, pipefd[1], "not an eventfd");
	for (unsigned int i = 0; i < 8; i++)
		many[i] = efd;
	assert_non_null(vu_msg_check(&m, many, 8));
}

static struct vu_msg
table(uint32_t nb)
{
	struct vu_msg m = message(VU_SET_MEM_TABLE, 8 + nb * 32);

	m.u.mem.nb = nb;
	for (uint32_t i = 0; i < nb && i < VU_MSG_MAX_FDS; i++)
		m.u.mem.r[i] = (struct vu_msg_region){0x1000000ull * (i + 1), 0x10000,
						      0x5000000000ull * (i + 1), 0x10000ull * i};
	return m;
}

static void
table_is(const struct vu_msg *m, const char *text)
{
	int fds[VU_MSG_MAX_FDS];
	const char *why;

	for (unsigned int i = 0; i < VU_MSG_MAX_FDS; i++)
		fds[i] = memfd;
	why = vu_msg_check(m, fds, m->u.mem.nb > 8 ? 8 : m->u.mem.nb);
	if (text == NULL) {
		if (why != NULL)
			fail_msg("%s", why);
		return;
	}
	if (why == NULL || strstr(why, text) == NULL)
		fail_msg("'%s' lacks '%s'", why != NULL ? why : "(passes)", text);
}

static void
memory_tables(void **state)
{
	struct vu_msg m = table(8);

	(void)state;
	table_is(&m, NULL);
	m = table(0);
	table_is(&m, "1 to 8");
	m = table(8);
	m.u.mem.nb = 9;
	table_is(&m, "1 to 8");
	m.u.mem.nb = UINT32_MAX;
	table_is(&m, "1 to 8");
	m = table(2);
	m.hdr.size = 8 + 32;
	table_is(&m, "cut short");
	m = table(2);
	refused(&m, memfd, "one fd for each");
	refused(&m, memfd, "share=on");
	m.u.mem.r[1].size = 0;
	table_is(&m, "empty");
	m = table(2);
	m.u.mem.r[1].guest_addr = UINT64_MAX - 5;
	table_is(&m, "wraps");
	m = table(2);
	m.u.mem.r[1].mmap_offset = UINT64_MAX - 5;
	table_is(&m, "wraps");
	m = table(2);
	m.u.mem.r[1].user_addr = UINT64_MAX - 5;
	table_is(&m, "wraps");
	m = table(2);
	m.u.mem.r[1].guest_addr = m.u.mem.r[0].guest_addr + 0xffff;
	table_is(&m, "overlap");
	m = table(2);
	m.u.mem.r[1].user_addr = m.u.mem.r[0].user_addr;
	table_is(&m, "overlap");
}

static void
memory_beyond_its_file(void **state)
{
	struct vu_msg m = table(1);

	(void)state;
	m.u.mem.r[0].size = 1 << 20;
	passes(&m, memfd);
	m.u.mem.r[0].size++;
	refused(&m, memfd, "end of its file");
	m.u.mem.r[0].size = 1 << 20;
	m.u.mem.r[0].mmap_offset = 1;
	refused(&m, memfd, "end of its file");
	m = table(1);
	refused(&m, pipefd[0], "not a file");
	refused(&m, efd, "not a file");
}

static void
memory_that_cannot_be_mapped(void **state)
{
	struct vu_msg m = table(1);
	const int huge = memfd_create("huge", 0);
	char path[64];
	int ro;

	/* As long as it says, but no address space holds it. */
	(void)state;
	assert_int_equal(ftruncate(huge, 1ll << 62), 0);
	m.u.mem.r[0].size = 1ull << 62;
	refused(&m, huge, "cannot be mapped");
	close(huge);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	ro = open(path, O_RDONLY);
	assert_true(ro >= 0);
	m = table(1);
	passes(&m, memfd);
	refused(&m, ro, "cannot be mapped");
	close(ro);
}

static void
replies(void **state)
{
	struct vu_msg m = message(VU_GET_FEATURES, 0);

	(void)state;
	assert_true(vu_msg_is_get(&m));
	assert_true(vu_msg_has_reply(&m));
	m = message(VU_SET_OWNER, 0);
	assert_false(vu_msg_has_reply(&m));
	m.hdr.flags |= VU_FLAG_NEED_REPLY;
	assert_true(vu_msg_has_reply(&m));
	assert_false(vu_msg_is_get(&m));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_messages),
		cmocka_unit_test(messages_not_offered),
		cmocka_unit_test(configuration_space),
		cmocka_unit_test(flags),
		cmocka_unit_test(queue_size_zero_or_too_large),
		cmocka_unit_test(queue_that_does_not_exist),
		cmocka_unit_test(sizes),
		cmocka_unit_test(file_descriptors),
		cmocka_unit_test(memory_tables),
		cmocka_unit_test(memory_beyond_its_file),
		cmocka_unit_test(memory_that_cannot_be_mapped),
		cmocka_unit_test(replies),
	};

	return cmocka_run_group_tests_name("vu_msg", tests, setup, NULL);
}
