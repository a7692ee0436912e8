/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handover.h"

union control {
	struct cmsghdr h;
	char room[CMSG_SPACE(HANDOVER_FDS * sizeof(int))];
};

int
handover_send(int sock, const struct handover_msg *m)
{
	union control c;
	int fds[HANDOVER_FDS];
	struct iovec iov = {.iov_base = (void *)(uintptr_t)&m->h, .iov_len = sizeof(m->h)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c};
	size_t n = 0;

	if (m->h.nb_regions == 0 || m->h.nb_regions > MEM_MAX_REGIONS ||
	    m->h.nb_lanes > APIR_MAX_DATA_QUEUES)
		return -EINVAL;
	for (uint32_t i = 0; i < m->h.nb_regions; i++)
		fds[n++] = m->region_fd[i];
	for (uint32_t i = 0; i < m->h.nb_lanes; i++) {
		if (m->h.lane[i].has_kick)
			fds[n++] = m->kick_fd[i];
		if (m->h.lane[i].has_call)
			fds[n++] = m->call_fd[i];
	}
	memset(&c, 0, sizeof(c));
	msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(&c.h), fds, n * sizeof(int));
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(m->h) ? 0 : -errno;
}

/* Files received, or -1: not one block of them. */
static int
take_fds(struct msghdr *msg, int *fds)
{
	size_t n = 0;
	int ret = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		const size_t k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		if (k > HANDOVER_FDS - n)
			ret = -1; /* cannot be: there was no room for more */
		else
			memcpy(fds + n, CMSG_DATA(c), k * sizeof(int));
		n += ret == 0 ? k : 0;
	}
	return ret == 0 ? (int)n : -1;
}

static int
check(const struct handover *h)
{
	if (h->magic != HANDOVER_MAGIC || h->len != sizeof(*h) || h->nb_regions == 0 ||
	    h->nb_regions > MEM_MAX_REGIONS || h->nb_lanes == 0 ||
	    h->nb_lanes > APIR_MAX_DATA_QUEUES ||
	    memchr(h->device, '\0', sizeof(h->device)) == NULL ||
	    memchr(h->cache_dir, '\0', sizeof(h->cache_dir)) == NULL)
		return -EPROTO;
	return 0;
}

/* Sort the files by what they are for; their number must be right. */
static int
share_out(struct handover_msg *m, const int *fds, int nb)
{
	int n = 0;

	for (uint32_t i = 0; i < m->h.nb_lanes; i++)
		n += (m->h.lane[i].has_kick != 0) + (m->h.lane[i].has_call != 0);
	if (nb != n + (int)m->h.nb_regions)
		return -EPROTO;
	n = 0;
	for (uint32_t i = 0; i < m->h.nb_regions; i++)
		m->region_fd[i] = fds[n++];
	for (uint32_t i = 0; i < m->h.nb_lanes; i++) {
		m->kick_fd[i] = m->h.lane[i].has_kick ? fds[n++] : -1;
		m->call_fd[i] = m->h.lane[i].has_call ? fds[n++] : -1;
	}
	return 0;
}

int
handover_recv(int sock, struct handover_msg *m)
{
	union control c;
	int fds[HANDOVER_FDS], nb, ret;
	struct iovec iov = {.iov_base = &m->h, .iov_len = sizeof(m->h)};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	nb = take_fds(&msg, fds);
	if (n == (ssize_t)sizeof(m->h) && (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && nb > 0)
		ret = check(&m->h);
	else
		ret = -EPROTO;
	if (ret == 0)
		ret = share_out(m, fds, nb);
	for (int i = 0; ret != 0 && i < nb; i++)
		close(fds[i]);
	return ret;
}
