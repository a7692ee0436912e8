/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_VHOST_USER_MSG_H
#define APIR_VHOST_USER_MSG_H

/**
 * @file
 * The part of the vhost-user protocol that a front-end needs: messages, and one exchange of them
 * with a time limit. After "Vhost-user Protocol" in QEMU's documentation, which specifies it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "apir_env.h"

/** Requests, by the numbers of the protocol. */
enum vu_request {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_SET_MEM_TABLE = 5,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
};

/* Header flags. */
#define VU_VERSION	0x1u
#define VU_VERSION_MASK 0x3u
#define VU_REPLY	(1u << 2)
#define VU_NEED_REPLY	(1u << 3)

/* Feature bits beside those of virtio. */
#define VU_F_PROTOCOL_FEATURES	30
#define VU_PROTOCOL_F_MQ	0
#define VU_PROTOCOL_F_REPLY_ACK 3

struct vu_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vu_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

struct vu_mem_region {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr;
	uint64_t mmap_offset;
};

struct vu_mem_table {
	uint32_t nb;
	uint32_t padding;
	struct vu_mem_region region[APIR_MEM_MAX_REGIONS];
};

#define VU_HDR_SIZE 12u

struct vu_msg {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload */
	union {
		uint64_t u64;
		struct vu_vring_state state;
		struct vu_vring_addr addr;
		struct vu_mem_table mem;
	} payload;
} __attribute__((packed, aligned(4)));

_Static_assert(offsetof(struct vu_msg, payload) == VU_HDR_SIZE, "vhost-user");
_Static_assert(sizeof(struct vu_vring_addr) == 40, "vhost-user");
_Static_assert(sizeof(struct vu_mem_table) == 8 + 32 * APIR_MEM_MAX_REGIONS, "vhost-user");

/**
 * Send msg (request, size and payload are set) with nb_fds descriptors. If the protocol has a reply
 * for the request, or need_ack is set, wait for it: a reply's payload is in *msg then, an
 * acknowledgement is checked.
 *
 * @return 0; -ETIMEDOUT; -ECONNRESET the peer closed; -EPROTO nonsense in reply; -EREMOTEIO the peer
 *   refused the request. Nothing is logged. After any but -EREMOTEIO the stream may be out of step.
 */
int vu_exchange(int sock, struct vu_msg *msg, const int *fds, unsigned int nb_fds, bool need_ack,
		unsigned int timeout_ms);

/** The protocol's name of a request. */
const char *vu_request_name(uint32_t request);

#endif /* APIR_VHOST_USER_MSG_H */
