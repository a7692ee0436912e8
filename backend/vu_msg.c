/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "session.h"
#include "vu_msg.h"

/* What a payload is, for the checks that several messages share. */
enum payload { P_ANY, P_NONE, P_U64, P_STATE, P_ADDR, P_FILE, P_MEM, P_CONFIG };

struct row {
	const char *name; /* NULL: unknown, ignored */
	enum payload payload;
	enum vu_action action;
	bool reply; /* the answer is the message's purpose */
};

/*
 * With the features we offer QEMU (7.2 to 10, vhost-user-fs, vhost-user-blk and the generic device)
 * sends those that pass and the two of the configuration space, no others. What is not offered is
 * still no reason to end the connection: QEMU's fs device would never negotiate again. So it is
 * ignored where the front-end loses nothing but the function it was not offered, and answered with
 * a failure where it waits. Only who wants memory or rings left alone, and does not wait for an
 * answer, must see the end: that is the proof it relies on.
 */
static const struct row rows[] = {
	[VU_GET_FEATURES] = {"GET_FEATURES", P_NONE, VU_PASS, true},
	[VU_SET_FEATURES] = {"SET_FEATURES", P_U64, VU_PASS, false},
	[VU_SET_OWNER] = {"SET_OWNER", P_NONE, VU_PASS, false},
	[VU_RESET_OWNER] = {"RESET_OWNER", P_NONE, VU_PASS, false},
	[VU_SET_MEM_TABLE] = {"SET_MEM_TABLE", P_MEM, VU_PASS, false},
	[VU_SET_LOG_BASE] = {"SET_LOG_BASE", P_ANY, VU_IGNORE, false},
	[VU_SET_LOG_FD] = {"SET_LOG_FD", P_ANY, VU_IGNORE, false},
	[VU_SET_VRING_NUM] = {"SET_VRING_NUM", P_STATE, VU_PASS, false},
	[VU_SET_VRING_ADDR] = {"SET_VRING_ADDR", P_ADDR, VU_PASS, false},
	[VU_SET_VRING_BASE] = {"SET_VRING_BASE", P_STATE, VU_PASS, false},
	[VU_GET_VRING_BASE] = {"GET_VRING_BASE", P_STATE, VU_PASS, true},
	[VU_SET_VRING_KICK] = {"SET_VRING_KICK", P_FILE, VU_PASS, false},
	[VU_SET_VRING_CALL] = {"SET_VRING_CALL", P_FILE, VU_PASS, false},
	[VU_SET_VRING_ERR] = {"SET_VRING_ERR", P_FILE, VU_PASS, false},
	[VU_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", P_NONE, VU_PASS, true},
	[VU_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", P_U64, VU_PASS, false},
	[VU_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", P_NONE, VU_PASS, true},
	[VU_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", P_STATE, VU_PASS, false},
	[VU_SEND_RARP] = {"SEND_RARP", P_ANY, VU_IGNORE, false},
	[VU_NET_SET_MTU] = {"NET_SET_MTU", P_ANY, VU_IGNORE, false},
	[VU_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", P_NONE, VU_PASS, false},
	[VU_IOTLB_MSG] = {"IOTLB_MSG", P_ANY, VU_IGNORE, false},
	[VU_SET_VRING_ENDIAN] = {"SET_VRING_ENDIAN", P_ANY, VU_IGNORE, false},
	/* librte_vhost has these for vDPA alone */
	[VU_GET_CONFIG] = {"GET_CONFIG", P_CONFIG, VU_ANSWER, true},
	[VU_SET_CONFIG] = {"SET_CONFIG", P_CONFIG, VU_ANSWER, false},
	[VU_POSTCOPY_ADVISE] = {"POSTCOPY_ADVISE", P_ANY, VU_ANSWER, true},
	[VU_POSTCOPY_LISTEN] = {"POSTCOPY_LISTEN", P_ANY, VU_IGNORE, false},
	[VU_POSTCOPY_END] = {"POSTCOPY_END", P_ANY, VU_ANSWER, true},
	[VU_GET_INFLIGHT_FD] = {"GET_INFLIGHT_FD", P_ANY, VU_ANSWER, true},
	[VU_SET_INFLIGHT_FD] = {"SET_INFLIGHT_FD", P_ANY, VU_IGNORE, false},
	[VU_RESET_DEVICE] = {"RESET_DEVICE", P_ANY, VU_END, false},
	[VU_VRING_KICK] = {"VRING_KICK", P_ANY, VU_IGNORE, false},
	[VU_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", P_ANY, VU_ANSWER, true},
	/* what is named in memory that we do not know is answered with a fault */
	[VU_ADD_MEM_REG] = {"ADD_MEM_REG", P_ANY, VU_IGNORE, false},
	[VU_REM_MEM_REG] = {"REM_MEM_REG", P_ANY, VU_END, false},
	[VU_SET_STATUS] = {"SET_STATUS", P_ANY, VU_IGNORE, false},
	[VU_GET_STATUS] = {"GET_STATUS", P_ANY, VU_ANSWER, true},
	[VU_GET_SHARED_OBJECT] = {"GET_SHARED_OBJECT", P_ANY, VU_ANSWER, true},
	[VU_SET_DEVICE_STATE_FD] = {"SET_DEVICE_STATE_FD", P_ANY, VU_ANSWER, true},
	[VU_CHECK_DEVICE_STATE] = {"CHECK_DEVICE_STATE", P_ANY, VU_ANSWER, true},
};

#define NB_ROWS (sizeof(rows) / sizeof(rows[0]))

#define ADDR_SIZE  40u /* struct vhost_vring_addr */
#define FILE_NOFD  (1u << 8)
#define FILE_INDEX 0xffu
#define MEM_HDR	   8u
#define MEM_REGION 32u
/* struct vhost_user_inflight */
#define INFLIGHT_SIZE 24u

const char *
vu_msg_name(uint32_t request)
{
	return request < NB_ROWS && rows[request].name != NULL ? rows[request].name : "unknown";
}

enum vu_action
vu_msg_action(const struct vu_msg *msg)
{
	return msg->hdr.request < NB_ROWS ? rows[msg->hdr.request].action : VU_IGNORE;
}

bool
vu_msg_is_get(const struct vu_msg *msg)
{
	return msg->hdr.request < NB_ROWS && rows[msg->hdr.request].reply;
}

bool
vu_msg_has_reply(const struct vu_msg *msg)
{
	return vu_msg_is_get(msg) || (msg->hdr.flags & VU_FLAG_NEED_REPLY) != 0;
}

/*
 * The configuration space is a disk's of no sectors, with our mark where its geometry would be. A
 * range beyond it is answered with no payload, as the protocol has it.
 */
static void
answer_config(const struct vu_msg *msg, struct vu_msg *answer)
{
	const uint32_t offset = msg->u.config.offset, size = msg->u.config.size;
	const uint32_t magic = APIR_MAGIC;
	uint8_t space[VU_CONFIG_SIZE] = {0};

	answer->hdr.size = 0;
	if (size == 0 || offset >= VU_CONFIG_SIZE || size > VU_CONFIG_SIZE - offset)
		return;
	memcpy(space + APIR_BLK_MARK_OFFSET, &magic, sizeof(magic));
	answer->hdr.size = VU_CONFIG_HDR + size;
	answer->u.config.offset = offset;
	answer->u.config.size = size;
	answer->u.config.flags = msg->u.config.flags;
	memcpy(answer->u.config.region, space + offset, size);
}

bool
vu_msg_answer(const struct vu_msg *msg, struct vu_msg *answer)
{
	memset(answer, 0, sizeof(*answer));
	answer->hdr.request = msg->hdr.request;
	answer->hdr.flags = VU_FLAG_VERSION | VU_FLAG_REPLY;
	answer->hdr.size = sizeof(answer->u.u64);
	switch (msg->hdr.request) {
	case VU_GET_CONFIG:
		answer_config(msg, answer);
		break;
	case VU_SET_CONFIG:	 /* done, to no effect: nothing in it can be set */
	case VU_POSTCOPY_ADVISE: /* without the fd it is to bring */
	case VU_GET_SHARED_OBJECT:
	case VU_GET_STATUS:
		break;
	case VU_GET_INFLIGHT_FD:
		answer->hdr.size = INFLIGHT_SIZE; /* of no bytes */
		break;
	case VU_GET_MAX_MEM_SLOTS:
		answer->u.u64 = VU_MSG_MAX_FDS;
		break;
	case VU_SET_DEVICE_STATE_FD:
		answer->u.u64 = 1 | FILE_NOFD;
		break;
	default:
		answer->u.u64 = 1;
	}
	return vu_msg_has_reply(msg);
}

/*
 * A file whose end is not there would kill us at the first touch; other kinds may not be mappable
 * or never end.
 */
static const char *
check_region(const struct vu_msg_region *r, int fd)
{
	struct stat st;

	if (r->size == 0 || r->guest_addr + (r->size - 1) < r->guest_addr ||
	    r->user_addr + (r->size - 1) < r->user_addr ||
	    r->mmap_offset + (r->size - 1) < r->mmap_offset)
		return "a memory region is empty or wraps around";
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return "a memory region's fd is not a file (memfd, hugetlbfs, tmpfs)";
	if (st.st_size < 0 || r->mmap_offset + r->size > (uint64_t)st.st_size ||
	    r->mmap_offset + r->size < r->size)
		return "a memory region goes beyond the end of its file";
	return NULL;
}

static bool
overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

/*
 * All regions at a time, as librte_vhost will: when it fails there, the library forgets to close an
 * fd. Nothing is touched, so that this costs microseconds.
 */
static bool
can_map(const struct vu_msg *msg, const int *fds)
{
	void *va[VU_MSG_MAX_FDS];
	size_t len[VU_MSG_MAX_FDS];
	uint32_t n = 0;
	bool ok = true;

	while (n < msg->u.mem.nb && ok) {
		const struct vu_msg_region r = msg->u.mem.r[n];
		struct stat st;
		size_t page;

		ok = fstat(fds[n], &st) == 0 && st.st_blksize > 0;
		if (!ok)
			break;
		/* hugetlbfs unmaps whole pages only, and names their size here. */
		page = (size_t)st.st_blksize;
		len[n] = (r.mmap_offset + r.size + page - 1) / page * page;
		va[n] = mmap(NULL, len[n], PROT_READ | PROT_WRITE, MAP_SHARED, fds[n], 0);
		ok = va[n] != MAP_FAILED;
		if (ok)
			n++;
	}
	for (uint32_t i = 0; i < n; i++)
		munmap(va[i], len[i]);
	return ok;
}

static const char *
check_mem(const struct vu_msg *msg, const int *fds, unsigned int nb_fds)
{
	const uint32_t nb = msg->u.mem.nb;

	if (nb == 0 || nb > VU_MSG_MAX_FDS)
		return "the memory table does not have 1 to 8 regions: give the guest fewer memory "
		       "devices, or the process fewer files of memory";
	if (msg->hdr.size < MEM_HDR + nb * MEM_REGION)
		return "the memory table is cut short";
	if (nb_fds != nb)
		return "the memory table has not one fd for each region: all of the guest's memory "
		       "must be shared (QEMU: -object "
		       "memory-backend-memfd,id=mem,size=...,share=on "
		       "and -numa node,memdev=mem)";
	for (uint32_t i = 0; i < nb; i++) {
		const struct vu_msg_region r = msg->u.mem.r[i];
		const char *why = check_region(&r, fds[i]);

		if (why != NULL)
			return why;
		for (uint32_t j = 0; j < i; j++) {
			const struct vu_msg_region o = msg->u.mem.r[j];

			if (overlap(r.guest_addr, r.size, o.guest_addr, o.size) ||
			    overlap(r.user_addr, r.size, o.user_addr, o.size))
				return "memory regions overlap";
		}
	}
	return can_map(msg, fds) ? NULL : "a memory region cannot be mapped";
}

static const char *
check_file(const struct vu_msg *msg, const int *fds, unsigned int nb_fds)
{
	struct stat st;

	if (msg->hdr.size != sizeof(uint64_t))
		return "its payload has the wrong size";
	if ((msg->u.u64 & FILE_INDEX) >= SESSION_MAX_QUEUES)
		return "there is no such queue";
	if (nb_fds != (msg->u.u64 & FILE_NOFD ? 0 : 1))
		return "it does not come with the fd it announces";
	/*
	 * An eventfd is of no file type; a pipe, socket or terminal could block the thread that
	 * rings it.
	 */
	if (nb_fds == 1 && (fstat(fds[0], &st) != 0 || (st.st_mode & S_IFMT) != 0))
		return "its fd is not an eventfd";
	return NULL;
}

static const char *
check_state(const struct vu_msg *msg)
{
	const uint32_t num = msg->u.state.num;

	if (msg->hdr.size != 2 * sizeof(uint32_t))
		return "its payload has the wrong size";
	if (msg->u.state.index >= SESSION_MAX_QUEUES)
		return "there is no such queue";
	if (msg->hdr.request == VU_SET_VRING_NUM &&
	    (num < APIR_MIN_QUEUE_SIZE || num > APIR_MAX_QUEUE_SIZE || (num & (num - 1)) != 0))
		return "the queue size is not a power of two from 8 to 1024";
	if (msg->hdr.request == VU_SET_VRING_BASE && num > UINT16_MAX)
		return "the ring index does not fit 16 bits";
	return NULL;
}

const char *
vu_msg_check(const struct vu_msg *msg, const int *fds, unsigned int nb_fds)
{
	const uint32_t request = msg->hdr.request;
	const struct row *row;
	unsigned int want_fds = 0;

	if ((msg->hdr.flags & VU_FLAG_VERSION_MASK) != VU_FLAG_VERSION ||
	    (msg->hdr.flags & VU_FLAG_REPLY) != 0)
		return "its flags are not those of a version 1 request";
	/* of what is not done only the length is read: that is within bounds */
	if (request >= NB_ROWS || rows[request].payload == P_ANY)
		return NULL;
	row = &rows[request];
	switch (row->payload) {
	case P_MEM:
		return check_mem(msg, fds, nb_fds);
	case P_FILE:
		return check_file(msg, fds, nb_fds);
	case P_ANY:
		return NULL;
	case P_CONFIG:
		/* one read of the size, which is that of the payload */
		if (msg->hdr.size < VU_CONFIG_HDR ||
		    msg->hdr.size - VU_CONFIG_HDR != msg->u.config.size)
			return "its payload has the wrong size";
		break;
	case P_NONE:
		want_fds = request == VU_SET_BACKEND_REQ_FD;
		break;
	case P_U64:
		if (msg->hdr.size != sizeof(uint64_t))
			return "its payload has the wrong size";
		break;
	case P_STATE:
		if (check_state(msg) != NULL)
			return check_state(msg);
		break;
	case P_ADDR:
		if (msg->hdr.size != ADDR_SIZE)
			return "its payload has the wrong size";
		if (msg->u.state.index >= SESSION_MAX_QUEUES)
			return "there is no such queue";
		break;
	}
	return nb_fds != want_fds ? "it comes with a wrong number of fds" : NULL;
}
