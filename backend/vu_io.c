/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vu_io.h"

void
inbox_clear(struct inbox *in)
{
	for (unsigned int i = 0; i < in->nb_fds; i++)
		close(in->fds[i]);
	in->nb_fds = 0;
	in->got = 0;
}

/* 1: progress, 0: nothing there, -1: the peer is gone or sends nonsense. */
static int
inbox_read(struct inbox *in, int fd, size_t want)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * VU_MSG_MAX_FDS)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = {(uint8_t *)&in->msg + in->got, want - in->got};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = ctl.buf,
			    .msg_controllen = sizeof(ctl.buf)};
	ssize_t n;

	do {
		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&mh); h != NULL; h = CMSG_NXTHDR(&mh, h)) {
		unsigned int k;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		k = (unsigned int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned int i = 0; i < k; i++) {
			int got;

			memcpy(&got, CMSG_DATA(h) + i * sizeof(int), sizeof(got));
			if (in->nb_fds < VU_MSG_MAX_FDS)
				in->fds[in->nb_fds++] = got;
			else
				close(got);
		}
	}
	in->got += (size_t)n;
	/* MSG_CTRUNC: more fds than any message has; the kernel closed the rest. */
	return n == 0 || (mh.msg_flags & MSG_CTRUNC) ? -1 : 1;
}

int
inbox_fill(struct inbox *in, int fd)
{
	int ret;

	for (;;) {
		size_t want = sizeof(in->msg.hdr);

		if (in->got >= want) {
			if (in->msg.hdr.size > VU_MSG_MAX_PAYLOAD)
				return -1;
			want += in->msg.hdr.size;
			if (in->got == want)
				return 1;
		}
		ret = inbox_read(in, fd, want);
		if (ret <= 0)
			return ret;
	}
}

int
send_msg(int fd, const struct vu_msg *msg, const int *fds, unsigned int nb_fds)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * VU_MSG_MAX_FDS)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = {(void *)(uintptr_t)msg, sizeof(msg->hdr) + msg->hdr.size};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (nb_fds > 0) {
		struct cmsghdr *h;

		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nb_fds);
		h = CMSG_FIRSTHDR(&mh);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * nb_fds);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * nb_fds);
	}
	do {
		n = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)iov.iov_len ? 0 : -1;
}
