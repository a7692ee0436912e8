/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_VU_MSG_H
#define APIRD_VU_MSG_H

/**
 * @file
 * vhost-user messages: which a front-end may send, in what form, and who answers. What is not
 * allowed here never reaches librte_vhost.
 */

#include <stdbool.h>
#include <stdint.h>

#define VU_MSG_MAX_FDS	   8
#define VU_MSG_MAX_PAYLOAD 268 /**< GET_CONFIG of the whole space */
#define VU_CONFIG_SIZE	   256u
#define VU_CONFIG_HDR	   12u

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
	VU_SET_LOG_BASE = 6,
	VU_SET_LOG_FD = 7,
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
	VU_SEND_RARP = 19,
	VU_NET_SET_MTU = 20,
	VU_SET_BACKEND_REQ_FD = 21,
	VU_IOTLB_MSG = 22,
	VU_SET_VRING_ENDIAN = 23,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_POSTCOPY_ADVISE = 28,
	VU_POSTCOPY_LISTEN = 29,
	VU_POSTCOPY_END = 30,
	VU_GET_INFLIGHT_FD = 31,
	VU_SET_INFLIGHT_FD = 32,
	VU_RESET_DEVICE = 34,
	VU_VRING_KICK = 35,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_SET_STATUS = 39,
	VU_GET_STATUS = 40,
	VU_GET_SHARED_OBJECT = 41,
	VU_SET_DEVICE_STATE_FD = 42,
	VU_CHECK_DEVICE_STATE = 43,
	/** From the relay alone: who is connected; no front-end's message has it. */
	VU_APIRD_ID = 0x41504944,
};

/** Who does what a message asks for. */
enum vu_action {
	VU_IGNORE, /**< nobody; where it wants an acknowledgement, that is a failure */
	VU_PASS,   /**< librte_vhost */
	VU_ANSWER, /**< apird itself: vu_msg_answer() */
	VU_END, /**< nobody, and the front-end relies on it: as VU_IGNORE where it asks, else the end */
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
		struct {
			uint32_t offset;
			uint32_t size;
			uint32_t flags;
			uint8_t region[VU_CONFIG_SIZE];
		} config;
		struct {
			uint64_t conn; /* the relay's number of the connection */
			int32_t pid;   /* of the front-end; 0: not known */
			char comm[20]; /* its program */
		} id;
	} u;
} __attribute__((packed));

/** Name of a request for the log. */
const char *vu_msg_name(uint32_t request);

/** Why a whole message with its fds is refused, or NULL: it may pass. */
const char *vu_msg_check(const struct vu_msg *msg, const int *fds, unsigned int nb_fds);

enum vu_action vu_msg_action(const struct vu_msg *msg);

/**
 * What apird says itself to a message that does not pass.
 *
 * @return false: nothing, the front-end waits for no answer
 */
bool vu_msg_answer(const struct vu_msg *msg, struct vu_msg *answer);

/** True if the message asks for something; else an answer to it is but an acknowledgement. */
bool vu_msg_is_get(const struct vu_msg *msg);
/** True if librte_vhost answers this message, which passes. */
bool vu_msg_has_reply(const struct vu_msg *msg);

#endif /* APIRD_VU_MSG_H */
