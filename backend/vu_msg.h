/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_VU_MSG_H
#define APIRD_VU_MSG_H

/**
 * @file
 * vhost-user messages: which a front-end may send, and in what form. What is not allowed here never
 * reaches librte_vhost.
 */

#include <stdbool.h>
#include <stdint.h>

#define VU_MSG_MAX_FDS	   8
#define VU_MSG_MAX_PAYLOAD 264 /**< SET_MEM_TABLE with 8 regions */

#define VU_FLAG_VERSION	     0x1u
#define VU_FLAG_VERSION_MASK 0x3u
#define VU_FLAG_REPLY	     0x4u
#define VU_FLAG_NEED_REPLY   0x8u

enum vu_request {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_SET_BACKEND_REQ_FD = 21,
	/** From the relay alone: the number of the connection; no front-end's message has it. */
	VU_APIRD_ID = 0x41504944,
};

struct vu_msg_hdr {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct vu_msg_region {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr;
	uint64_t mmap_offset;
};

struct vu_msg {
	struct vu_msg_hdr hdr;
	union {
		uint8_t raw[VU_MSG_MAX_PAYLOAD];
		uint64_t u64;
		struct {
			uint32_t index;
			uint32_t num;
		} state;
		struct {
			uint32_t nb;
			uint32_t padding;
			struct vu_msg_region r[VU_MSG_MAX_FDS];
		} mem;
	} u;
} __attribute__((packed));

/** Name of a request for the log. */
const char *vu_msg_name(uint32_t request);

/** Why a whole message with its fds is refused, or NULL: it may pass. */
const char *vu_msg_check(const struct vu_msg *msg, const int *fds, unsigned int nb_fds);

/** True if the message asks for something; else an answer to it is but an acknowledgement. */
bool vu_msg_is_get(const struct vu_msg *msg);
/** True if the back-end answers this message. */
bool vu_msg_has_reply(const struct vu_msg *msg);

#endif /* APIRD_VU_MSG_H */
