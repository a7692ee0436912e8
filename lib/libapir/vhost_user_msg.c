/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "vhost_user_msg.h"

/* One row a request: its name and the size of the reply the protocol gives it (0: none). */
static const struct {
	const char *name;
	uint32_t reply_size;
} vu_requests[] = {
	[VU_GET_FEATURES] = {"GET_FEATURES", sizeof(uint64_t)},
	[VU_SET_FEATURES] = {"SET_FEATURES", 0},
	[VU_SET_OWNER] = {"SET_OWNER", 0},
	[VU_SET_MEM_TABLE] = {"SET_MEM_TABLE", 0},
	[VU_SET_VRING_NUM] = {"SET_VRING_NUM", 0},
	[VU_SET_VRING_ADDR] = {"SET_VRING_ADDR", 0},
	[VU_SET_VRING_BASE] = {"SET_VRING_BASE", 0},
	[VU_GET_VRING_BASE] = {"GET_VRING_BASE", sizeof(struct vu_vring_state)},
	[VU_SET_VRING_KICK] = {"SET_VRING_KICK", 0},
	[VU_SET_VRING_CALL] = {"SET_VRING_CALL", 0},
	[VU_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", sizeof(uint64_t)},
	[VU_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", 0},
	[VU_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", sizeof(uint64_t)},
	[VU_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", 0},
};

const char *
vu_request_name(uint32_t request)
{
	if (request < sizeof(vu_requests) / sizeof(vu_requests[0]) &&
	    vu_requests[request].name != NULL)
		return vu_requests[request].name;
	return "unknown request";
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Wait until the socket can be read or written, or its peer is gone. */
static int
wait_sock(int sock, short events, int64_t deadline)
{
	struct pollfd pfd = {.fd = sock, .events = events};

	for (;;) {
		const int64_t left = deadline - now_ms();
		int n;

		if (left <= 0)
			return -ETIMEDOUT;
		n = poll(&pfd, 1, (int)left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int
send_all(int sock, const struct vu_msg *msg, const int *fds, unsigned int nb_fds, int64_t deadline)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(APIR_MEM_MAX_REGIONS * sizeof(int))];
	} ctl;
	const size_t total = VU_HDR_SIZE + msg->size;
	size_t done = 0;

	while (done < total) {
		struct iovec iov = {.iov_base = (char *)(uintptr_t)msg + done,
				    .iov_len = total - done};
		struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n;

		/* the descriptors go with the first byte, once */
		if (nb_fds > 0 && done == 0) {
			struct cmsghdr *c;

			memset(&ctl, 0, sizeof(ctl));
			mh.msg_control = ctl.buf;
			mh.msg_controllen = CMSG_SPACE(nb_fds * sizeof(int));
			c = CMSG_FIRSTHDR(&mh);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(nb_fds * sizeof(int));
			memcpy(CMSG_DATA(c), fds, nb_fds * sizeof(int));
		}
		n = sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			done += (size_t)n;
		} else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			const int ret = wait_sock(sock, POLLOUT, deadline);

			if (ret != 0)
				return ret;
		} else if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
			return -ECONNRESET;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* No room for ancillary data: descriptors in a reply, which none has, are closed by the kernel. */
static int
recv_all(int sock, void *buf, size_t len, int64_t deadline)
{
	size_t done = 0;

	while (done < len) {
		const ssize_t n = recv(sock, (char *)buf + done, len - done, MSG_DONTWAIT);

		if (n > 0) {
			done += (size_t)n;
		} else if (n == 0 || errno == ECONNRESET) {
			return -ECONNRESET;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			const int ret = wait_sock(sock, POLLIN, deadline);

			if (ret != 0)
				return ret;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int
vu_exchange(int sock, struct vu_msg *msg, const int *fds, unsigned int nb_fds, bool need_ack,
	    unsigned int timeout_ms)
{
	const int64_t deadline = now_ms() + timeout_ms;
	const uint32_t request = msg->request;
	uint32_t reply_size = vu_requests[request].reply_size;
	int ret;

	if (reply_size != 0)
		need_ack = false;
	msg->flags = VU_VERSION | (need_ack ? VU_NEED_REPLY : 0);
	ret = send_all(sock, msg, fds, nb_fds, deadline);
	if (ret != 0)
		return ret;
	if (need_ack)
		reply_size = sizeof(msg->payload.u64);
	if (reply_size == 0)
		return 0;

	ret = recv_all(sock, msg, VU_HDR_SIZE, deadline);
	if (ret != 0)
		return ret;
	if (msg->request != request || msg->size != reply_size ||
	    (msg->flags & (VU_VERSION_MASK | VU_REPLY)) != (VU_VERSION | VU_REPLY))
		return -EPROTO;
	ret = recv_all(sock, &msg->payload, reply_size, deadline);
	if (ret != 0)
		return ret;
	if (need_ack && msg->payload.u64 != 0)
		return -EREMOTEIO;
	return 0;
}
