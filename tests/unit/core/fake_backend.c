/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_backend.h"

static void
wrong(struct fake_backend *b, const char *what, uint32_t request)
{
	if (b->wrong[0] == '\0')
		snprintf(b->wrong, sizeof(b->wrong), "%s: %s", vu_request_name(request), what);
}

static void
replace_fd(int *fd, int with)
{
	if (*fd >= 0)
		close(*fd);
	*fd = with;
}

/* Read one message and its descriptors. Returns the number of descriptors, or -1 at the end. */
static int
read_msg(struct fake_backend *b, struct vu_msg *msg, int *fds)
{
	char ctl[CMSG_SPACE(16 * sizeof(int))];
	struct iovec iov = {.iov_base = msg, .iov_len = VU_HDR_SIZE};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = ctl,
			    .msg_controllen = sizeof(ctl)};
	struct cmsghdr *c;
	int nb = 0;

	if (recvmsg(b->conn, &mh, MSG_CMSG_CLOEXEC | MSG_WAITALL) != VU_HDR_SIZE)
		return -1;
	c = CMSG_FIRSTHDR(&mh);
	if (c != NULL) {
		nb = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), (size_t)nb * sizeof(int));
	}
	if (msg->size > sizeof(msg->payload)) {
		wrong(b, "too long", msg->request);
		return -1;
	}
	if (msg->size != 0 &&
	    recv(b->conn, &msg->payload, msg->size, MSG_WAITALL) != (ssize_t)msg->size)
		return -1;
	return nb;
}

static void
send_reply(struct fake_backend *b, const struct vu_msg *msg, enum fake_fault fault)
{
	char ctl[CMSG_SPACE(2 * sizeof(int))] = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)msg, .iov_len = VU_HDR_SIZE + msg->size};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	const int fds[2] = {b->stop_fd, b->hangup_fd};
	struct cmsghdr *c;
	size_t i;

	if (fault == FAULT_LONG)
		iov.iov_len = VU_HDR_SIZE + 8;
	if (fault == FAULT_FDS) {
		mh.msg_control = ctl;
		mh.msg_controllen = sizeof(ctl);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fds));
		memcpy(CMSG_DATA(c), fds, sizeof(fds));
	}
	if (fault == FAULT_DRIBBLE) {
		for (i = 0; i < iov.iov_len; i++)
			if (send(b->conn, (const char *)msg + i, 1, MSG_NOSIGNAL) != 1)
				return;
		return;
	}
	/* a front-end that is gone already is no fault of the back-end */
	if (sendmsg(b->conn, &mh, MSG_NOSIGNAL) < 0)
		return;
}

static void
note_mem(struct fake_backend *b, const struct vu_msg *msg, const int *fds, int nb_fds)
{
	int i;

	if (msg->payload.mem.nb != (uint32_t)nb_fds || nb_fds > (int)APIR_MEM_MAX_REGIONS ||
	    msg->size != 8 + 32u * (uint32_t)nb_fds || msg->payload.mem.padding != 0)
		wrong(b, "malformed memory table", msg->request);
	b->mem = msg->payload.mem;
	for (i = 0; i < (int)APIR_MEM_MAX_REGIONS; i++)
		replace_fd(&b->mem_fds[i], i < nb_fds ? fds[i] : -1);
}

static struct fake_queue *
queue_of(struct fake_backend *b, uint64_t index, uint32_t request)
{
	if (index >= FAKE_MAX_QUEUES) {
		wrong(b, "no such queue", request);
		index = 0;
	}
	return &b->queue[index];
}

static unsigned int
count_ready(const struct fake_backend *b)
{
	unsigned int i, n = 0;

	for (i = 0; i < FAKE_MAX_QUEUES; i++)
		n += b->queue[i].addr.desc != 0 && b->queue[i].kick_fd >= 0 &&
		     b->queue[i].call_fd >= 0;
	return n;
}

/* Note what msg says and turn it into the protocol's reply. Returns false when it has none. */
static bool
handle(struct fake_backend *b, struct vu_msg *msg, const int *fds, int nb_fds)
{
	const struct vu_vring_state st = msg->payload.state;
	const uint64_t u64 = msg->payload.u64;
	struct fake_queue *q;
	int want_fds = 0;
	bool reply = false;

	switch (msg->request) {
	case VU_GET_FEATURES:
		msg->payload.u64 = b->features;
		reply = true;
		break;
	case VU_SET_FEATURES:
		b->got_features = u64;
		break;
	case VU_GET_PROTOCOL_FEATURES:
		msg->payload.u64 = b->protocol;
		reply = true;
		break;
	case VU_SET_PROTOCOL_FEATURES:
		b->got_protocol = u64;
		break;
	case VU_GET_QUEUE_NUM:
		msg->payload.u64 = b->queue_num;
		reply = true;
		break;
	case VU_SET_OWNER:
		break;
	case VU_SET_MEM_TABLE:
		want_fds = nb_fds;
		note_mem(b, msg, fds, nb_fds);
		break;
	case VU_SET_VRING_NUM:
		queue_of(b, st.index, msg->request)->num = st.num;
		break;
	case VU_SET_VRING_BASE:
		queue_of(b, st.index, msg->request)->base = st.num;
		break;
	case VU_SET_VRING_ADDR:
		queue_of(b, msg->payload.addr.index, msg->request)->addr = msg->payload.addr;
		break;
	case VU_SET_VRING_KICK:
	case VU_SET_VRING_CALL:
		want_fds = 1;
		q = queue_of(b, u64, msg->request);
		replace_fd(msg->request == VU_SET_VRING_KICK ? &q->kick_fd : &q->call_fd,
			   nb_fds == 1 ? fds[0] : -1);
		break;
	case VU_SET_VRING_ENABLE:
		if (st.num == 1 && b->ready_at_enable == 0)
			b->ready_at_enable = count_ready(b);
		queue_of(b, st.index, msg->request)->enabled = st.num;
		break;
	case VU_GET_VRING_BASE:
		queue_of(b, st.index, msg->request)->base_asked++;
		msg->payload.state.num = 0;
		reply = true;
		break;
	default:
		wrong(b, "unexpected", msg->request);
		break;
	}
	if (nb_fds != want_fds)
		wrong(b, "wrong number of descriptors", msg->request);
	if (reply)
		msg->size = 8;
	return reply;
}

/* Returns false when the connection shall end. */
static bool
serve_msg(struct fake_backend *b)
{
	enum fake_fault fault = FAULT_NONE;
	int fds[16];
	struct vu_msg msg;
	bool reply, ack;
	int nb_fds;

	nb_fds = read_msg(b, &msg, fds);
	if (nb_fds < 0)
		return false;
	b->nb_msgs++;
	if (msg.request < 32)
		b->count[msg.request]++;
	if ((msg.flags & VU_VERSION_MASK) != VU_VERSION ||
	    (msg.flags & ~(VU_VERSION_MASK | VU_NEED_REPLY)))
		wrong(b, "flags", msg.request);
	if (b->fault_at == 0 || b->fault_at == msg.request)
		fault = b->fault;
	ack = (msg.flags & VU_NEED_REPLY) != 0;
	if (ack && !(b->got_protocol & (1u << VU_PROTOCOL_F_REPLY_ACK)))
		wrong(b, "acknowledgement not negotiated", msg.request);
	reply = handle(b, &msg, fds, nb_fds);
	if (fault == FAULT_CLOSE)
		return false;
	if (!reply && ack) {
		msg.payload.u64 = fault == FAULT_REFUSE;
		msg.size = 8;
	}
	if ((!reply && !ack) || fault == FAULT_SILENT)
		return true;
	msg.flags = VU_VERSION | VU_REPLY;
	if (fault == FAULT_OTHER_REQUEST)
		msg.request++;
	if (fault == FAULT_NOT_A_REPLY)
		msg.flags = VU_VERSION;
	if (fault == FAULT_VERSION)
		msg.flags = 2 | VU_REPLY;
	if (fault == FAULT_LONG)
		msg.size = UINT32_MAX;
	if (fault == FAULT_SHORT)
		msg.size = 4;
	if (fault == FAULT_INDEX)
		msg.payload.state.index++;
	send_reply(b, &msg, fault);
	return true;
}

static void *
serve(void *arg)
{
	struct fake_backend *b = arg;
	uint64_t n;

	for (;;) {
		struct pollfd pfd[3] = {{.fd = b->stop_fd, .events = POLLIN},
					{.fd = b->hangup_fd, .events = POLLIN},
					{.events = POLLIN}};
		bool go_on = true;

		pfd[2].fd = b->conn >= 0 ? b->conn : b->listen_fd;
		if (poll(pfd, 3, -1) < 0)
			abort();
		if (pfd[0].revents != 0)
			return NULL;
		if (pfd[1].revents != 0) {
			if (read(b->hangup_fd, &n, sizeof(n)) < 0)
				abort();
			replace_fd(&b->conn, -1);
		} else if (b->conn < 0) {
			b->conn = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC);
			atomic_fetch_add(&b->connections, 1);
			go_on = !b->close_at_once;
		} else {
			go_on = serve_msg(b);
		}
		if (!go_on)
			replace_fd(&b->conn, -1);
	}
}

void
fake_backend_init(struct fake_backend *b)
{
	unsigned int i;

	memset(b, 0, sizeof(*b));
	b->features = (1ull << VIRTIO_F_VERSION_1) | (1ull << VIRTIO_RING_F_INDIRECT_DESC) |
		      (1ull << VIRTIO_RING_F_EVENT_IDX) | (1ull << VU_F_PROTOCOL_FEATURES) |
		      (1ull << 0);
	b->protocol = (1ull << VU_PROTOCOL_F_MQ) | (1ull << VU_PROTOCOL_F_REPLY_ACK) | (1ull << 5);
	b->queue_num = FAKE_MAX_QUEUES;
	b->conn = -1;
	for (i = 0; i < APIR_MEM_MAX_REGIONS; i++)
		b->mem_fds[i] = -1;
	for (i = 0; i < FAKE_MAX_QUEUES; i++)
		b->queue[i].kick_fd = b->queue[i].call_fd = -1;
}

void
fake_backend_start(struct fake_backend *b)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	strcpy(b->dir, P_tmpdir "/apir-test-XXXXXX");
	if (mkdtemp(b->dir) == NULL)
		abort();
	snprintf(b->path, sizeof(b->path), "%s/sock", b->dir);
	strcpy(sa.sun_path, b->path);
	b->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(b->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    listen(b->listen_fd, 4) != 0)
		abort();
	b->stop_fd = eventfd(0, EFD_CLOEXEC);
	b->hangup_fd = eventfd(0, EFD_CLOEXEC);
	if (pthread_create(&b->thread, NULL, serve, b) != 0)
		abort();
}

static void
signal_fd(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		abort();
}

void
fake_backend_hangup(struct fake_backend *b)
{
	signal_fd(b->hangup_fd);
}

void
fake_backend_stop(struct fake_backend *b)
{
	unsigned int i;

	signal_fd(b->stop_fd);
	pthread_join(b->thread, NULL);
	replace_fd(&b->conn, -1);
	for (i = 0; i < APIR_MEM_MAX_REGIONS; i++)
		replace_fd(&b->mem_fds[i], -1);
	for (i = 0; i < FAKE_MAX_QUEUES; i++) {
		replace_fd(&b->queue[i].kick_fd, -1);
		replace_fd(&b->queue[i].call_fd, -1);
	}
	close(b->listen_fd);
	close(b->stop_fd);
	close(b->hangup_fd);
	unlink(b->path);
	rmdir(b->dir);
}
