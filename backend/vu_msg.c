/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "session.h"
#include "vu_msg.h"

/* What a payload is, for the checks that several messages share. */
enum payload { P_NONE, P_U64, P_STATE, P_ADDR, P_FILE, P_MEM };

struct row {
	const char *name; /* NULL: not allowed */
	enum payload payload;
	bool reply; /* the answer is the message's purpose */
};

/*
 * Messages not listed are of no use to this device, or not offered: migration logs, IOTLB,
 * post-copy, in-flight tracking, device status, configuration space (a carrier's, not ours), memory
 * region by region.
 */
static const struct row rows[] = {
	[VU_GET_FEATURES] = {"GET_FEATURES", P_NONE, true},
	[VU_SET_FEATURES] = {"SET_FEATURES", P_U64, false},
	[VU_SET_OWNER] = {"SET_OWNER", P_NONE, false},
	[VU_RESET_OWNER] = {"RESET_OWNER", P_NONE, false},
	[VU_SET_MEM_TABLE] = {"SET_MEM_TABLE", P_MEM, false},
	[VU_SET_VRING_NUM] = {"SET_VRING_NUM", P_STATE, false},
	[VU_SET_VRING_ADDR] = {"SET_VRING_ADDR", P_ADDR, false},
	[VU_SET_VRING_BASE] = {"SET_VRING_BASE", P_STATE, false},
	[VU_GET_VRING_BASE] = {"GET_VRING_BASE", P_STATE, true},
	[VU_SET_VRING_KICK] = {"SET_VRING_KICK", P_FILE, false},
	[VU_SET_VRING_CALL] = {"SET_VRING_CALL", P_FILE, false},
	[VU_SET_VRING_ERR] = {"SET_VRING_ERR", P_FILE, false},
	[VU_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", P_NONE, true},
	[VU_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", P_U64, false},
	[VU_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", P_NONE, true},
	[VU_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", P_STATE, false},
	[VU_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", P_NONE, false},
};

#define NB_ROWS (sizeof(rows) / sizeof(rows[0]))

#define ADDR_SIZE  40u /* struct vhost_vring_addr */
#define FILE_NOFD  (1u << 8)
#define FILE_INDEX 0xffu
#define MEM_HDR	   8u
#define MEM_REGION 32u

const char *
vu_msg_name(uint32_t request)
{
	return request < NB_ROWS && rows[request].name != NULL ? rows[request].name : "unknown";
}

bool
vu_msg_is_get(const struct vu_msg *msg)
{
	return rows[msg->hdr.request].reply;
}

bool
vu_msg_has_reply(const struct vu_msg *msg)
{
	return vu_msg_is_get(msg) || (msg->hdr.flags & VU_FLAG_NEED_REPLY) != 0;
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
		return "the memory table does not have 1 to 8 regions";
	if (msg->hdr.size < MEM_HDR + nb * MEM_REGION)
		return "the memory table is cut short";
	if (nb_fds != nb)
		return "the memory table has not one fd for each region";
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

	if (request >= NB_ROWS || rows[request].name == NULL)
		return "this device knows no such message";
	row = &rows[request];
	if ((msg->hdr.flags & VU_FLAG_VERSION_MASK) != VU_FLAG_VERSION ||
	    (msg->hdr.flags & VU_FLAG_REPLY) != 0)
		return "its flags are not those of a version 1 request";
	switch (row->payload) {
	case P_MEM:
		return check_mem(msg, fds, nb_fds);
	case P_FILE:
		return check_file(msg, fds, nb_fds);
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
