/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* vhost-user messages: whatever is let through must be within what librte_vhost can take, and whatever is answered is ours. */

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "session.h"
#include "vu_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int efd = -1, memfd;

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
check_mem(const struct vu_msg *msg)
{
	check(msg->u.mem.nb >= 1 && msg->u.mem.nb <= VU_MSG_MAX_FDS);
	for (uint32_t i = 0; i < msg->u.mem.nb; i++) {
		const struct vu_msg_region r = msg->u.mem.r[i];

		check(r.size != 0 && r.guest_addr + (r.size - 1) >= r.guest_addr);
		check(r.mmap_offset < 1 << 20 && r.size <= (1 << 20) - r.mmap_offset);
	}
}

static void
check_answer(const struct vu_msg *msg)
{
	struct vu_msg a;
	const bool wanted = vu_msg_answer(msg, &a);

	check(a.hdr.request == msg->hdr.request && a.hdr.size <= VU_MSG_MAX_PAYLOAD);
	check(wanted || !(msg->hdr.flags & VU_FLAG_NEED_REPLY));
	if (msg->hdr.request != VU_GET_CONFIG || a.hdr.size == 0)
		return;
	check(a.hdr.size == VU_CONFIG_HDR + a.u.config.size);
	check(a.u.config.offset < VU_CONFIG_SIZE &&
	      a.u.config.size <= VU_CONFIG_SIZE - a.u.config.offset);
	for (uint32_t i = 0; i < a.u.config.size; i++) {
		const uint32_t at = a.u.config.offset + i - APIR_BLK_MARK_OFFSET;

		check(a.u.config.region[i] == (at < 4 ? "APIR"[at] : 0));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fds[VU_MSG_MAX_FDS];
	unsigned int nb;
	struct vu_msg msg;

	if (efd < 0) {
		efd = eventfd(0, 0);
		memfd = memfd_create("guest", 0);
		check(efd >= 0 && memfd >= 0 && ftruncate(memfd, 1 << 20) == 0);
	}
	if (size < 1 + sizeof(msg.hdr))
		return 0;
	nb = data[0] & 7;
	for (unsigned int i = 0; i < VU_MSG_MAX_FDS; i++)
		fds[i] = data[0] & 8 ? memfd : efd;
	memset(&msg, 0, sizeof(msg));
	memcpy(&msg, data + 1, size - 1 < sizeof(msg) ? size - 1 : sizeof(msg));
	if (data[0] & 16)
		msg.hdr.flags = VU_FLAG_VERSION;
	if (data[0] & 32)
		msg.hdr.request %= 48;
	if (data[0] & 64)
		msg.hdr.size = 8;
	if (vu_msg_check(&msg, fds, nb) != NULL)
		return 0;
	if (vu_msg_action(&msg) != VU_PASS) {
		check_answer(&msg);
		return 0;
	}
	switch (msg.hdr.request) {
	case VU_SET_MEM_TABLE:
		check(nb == msg.u.mem.nb);
		check_mem(&msg);
		break;
	case VU_SET_VRING_NUM:
		check(msg.u.state.num >= 8 && msg.u.state.num <= 1024);
		check(msg.u.state.index < SESSION_MAX_QUEUES && nb == 0);
		break;
	case VU_SET_VRING_ADDR:
	case VU_SET_VRING_BASE:
	case VU_GET_VRING_BASE:
	case VU_SET_VRING_ENABLE:
		check(msg.u.state.index < SESSION_MAX_QUEUES && nb == 0);
		break;
	case VU_SET_VRING_KICK:
	case VU_SET_VRING_CALL:
	case VU_SET_VRING_ERR:
		check((msg.u.u64 & 0xff) < SESSION_MAX_QUEUES && nb <= 1);
		break;
	}
	check(strcmp(vu_msg_name(msg.hdr.request), "unknown") != 0);
	return 0;
}
