/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "apir_vq.h"
#include "vhost_user.h"

#define DIM(a) (sizeof(a) / sizeof((a)[0]))

struct vu_feature {
	unsigned int bit;
	const char *name;
};

/* Without any of these there is no apir. */
static const struct vu_feature vu_features[] = {
	{VIRTIO_F_VERSION_1, "VIRTIO_F_VERSION_1"},
	{VIRTIO_RING_F_INDIRECT_DESC, "VIRTIO_RING_F_INDIRECT_DESC"},
	{VIRTIO_RING_F_EVENT_IDX, "VIRTIO_RING_F_EVENT_IDX"},
	{VU_F_PROTOCOL_FEATURES, "VHOST_USER_F_PROTOCOL_FEATURES"},
};
static const struct vu_feature vu_protocol_features[] = {
	{VU_PROTOCOL_F_MQ, "VHOST_USER_PROTOCOL_F_MQ"},
	{VU_PROTOCOL_F_REPLY_ACK, "VHOST_USER_PROTOCOL_F_REPLY_ACK"},
};

static inline struct vu_transport *
to_vu(struct apir_transport *t)
{
	return (struct vu_transport *)t;
}

/* What went wrong in an exchange, in words for the one who must mend it. */
static void
log_call(const struct vu_transport *t, uint32_t request, int queue, int err)
{
	const char *name = vu_request_name(request);
	char of[24] = "";

	if (queue >= 0)
		snprintf(of, sizeof(of), " of queue %d", queue);
	switch (err) {
	case -ECONNRESET:
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: the back-end closed the connection at %s%s: its log says why (it "
			 "may be serving its most sessions)",
			 t->path, name, of);
		break;
	case -ETIMEDOUT:
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: the back-end did not answer %s%s within %u ms: it hangs, or is "
			 "not a vhost-user back-end",
			 t->path, name, of, t->timeout_ms);
		break;
	case -EREMOTEIO:
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: the back-end refused %s%s: its log says why", t->path, name, of);
		break;
	case -EPROTO:
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: the answer to %s%s is not one of the vhost-user protocol: is it "
			 "apird that listens there?",
			 t->path, name, of);
		break;
	default:
		apir_log(t->base.env, APIR_LOG_ERR, "%s: %s%s: %s", t->path, name, of,
			 strerror(-err));
		break;
	}
}

int
vu_call(struct vu_transport *t, struct vu_msg *msg, const int *fds, unsigned int nb_fds, int queue)
{
	const uint32_t request = msg->request;
	int ret;

	if (atomic_load(&t->dead))
		return -ENODEV;
	if (t->out_of_step != 0)
		return t->out_of_step;
	ret = vu_exchange(t->sock, msg, fds, nb_fds, t->acks, t->timeout_ms);
	if (ret == 0)
		return 0;
	log_call(t, request, queue, ret);
	if (ret == -EREMOTEIO)
		return -EPROTO;
	t->out_of_step = ret == -ECONNRESET ? -ENODEV : ret;
	return ret;
}

static int
vu_set_u64(struct vu_transport *t, enum vu_request request, uint64_t v, const int *fd, int queue)
{
	struct vu_msg msg = {.request = request, .size = sizeof(v), .payload.u64 = v};

	return vu_call(t, &msg, fd, fd != NULL, queue);
}

static int
vu_get_u64(struct vu_transport *t, enum vu_request request, uint64_t *v)
{
	struct vu_msg msg = {.request = request};
	const int ret = vu_call(t, &msg, NULL, 0, -1);

	*v = msg.payload.u64;
	return ret;
}

static int
vu_set_state(struct vu_transport *t, enum vu_request request, unsigned int queue, uint32_t num)
{
	struct vu_msg msg = {.request = request,
			     .size = sizeof(msg.payload.state),
			     .payload.state = {.index = queue, .num = num}};

	return vu_call(t, &msg, NULL, 0, (int)queue);
}

/* Learn what the peer offers under request and take the bits of tab, all of which we need. */
static int
need_features(struct vu_transport *t, enum vu_request request, const struct vu_feature *tab,
	      unsigned int nb, uint64_t *bits)
{
	uint64_t offered;
	unsigned int i;
	int ret;

	ret = vu_get_u64(t, request, &offered);
	if (ret != 0)
		return ret;
	*bits = 0;
	for (i = 0; i < nb; i++) {
		*bits |= 1ull << tab[i].bit;
		if (offered & (1ull << tab[i].bit))
			continue;
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: the back-end lacks %s (it offers 0x%" PRIx64
			 "): is it apird that listens there?",
			 t->path, tab[i].name, offered);
		return -EPROTO;
	}
	return 0;
}

static int
handshake(struct vu_transport *t)
{
	uint64_t features, protocol;
	struct vu_msg owner = {.request = VU_SET_OWNER};
	int ret;

	ret = need_features(t, VU_GET_FEATURES, vu_features, DIM(vu_features), &features);
	if (ret != 0)
		return ret;
	ret = need_features(t, VU_GET_PROTOCOL_FEATURES, vu_protocol_features,
			    DIM(vu_protocol_features), &protocol);
	if (ret != 0)
		return ret;
	ret = vu_set_u64(t, VU_SET_PROTOCOL_FEATURES, protocol, NULL, -1);
	if (ret != 0)
		return ret;
	t->acks = true;
	ret = vu_get_u64(t, VU_GET_QUEUE_NUM, &t->peer_queues);
	if (ret != 0)
		return ret;
	ret = vu_call(t, &owner, NULL, 0, -1);
	if (ret != 0)
		return ret;
	return vu_set_u64(t, VU_SET_FEATURES, features, NULL, -1);
}

static int
add_queue(struct vu_transport *t)
{
	struct vu_queue *q = &t->queue[t->nb_queues];
	int err;

	q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->kick_fd >= 0) {
		q->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (q->call_fd >= 0) {
			t->nb_queues++;
			return 0;
		}
	}
	err = errno;
	if (q->kick_fd >= 0)
		close(q->kick_fd);
	apir_log(t->base.env, APIR_LOG_ERR,
		 "no eventfd for queue %u: %s: raise the limit of open files (ulimit -n)",
		 t->nb_queues, strerror(err));
	return -err;
}

static int
vu_queue_setup(struct apir_transport *tr, uint16_t idx, const struct apir_vq *vq)
{
	struct vu_transport *t = to_vu(tr);

	if (t->started)
		return -EBUSY;
	if (idx > t->nb_queues || idx >= VU_MAX_QUEUES)
		return -EINVAL;
	if (idx >= t->peer_queues) {
		apir_log(tr->env, APIR_LOG_ERR,
			 "%s: queue %u asked for, but the back-end has only %" PRIu64, t->path, idx,
			 t->peer_queues);
		return -EINVAL;
	}
	if (idx == t->nb_queues) {
		const int ret = add_queue(t);

		if (ret != 0)
			return ret;
	}
	t->queue[idx].vq = vq;
	return 0;
}

/* Where the ring lies. */
static int
set_ring(struct vu_transport *t, unsigned int i)
{
	const struct apir_vq *vq = t->queue[i].vq;
	struct vu_msg msg = {.request = VU_SET_VRING_ADDR,
			     .size = sizeof(msg.payload.addr),
			     .payload.addr = {.index = i,
					      .desc = (uintptr_t)vq->desc,
					      .used = (uintptr_t)vq->used,
					      .avail = (uintptr_t)vq->avail}};
	int ret;

	ret = vu_set_state(t, VU_SET_VRING_NUM, i, vq->size);
	if (ret == 0)
		ret = vu_set_state(t, VU_SET_VRING_BASE, i, atomic_load(&vq->tail));
	if (ret == 0)
		ret = vu_call(t, &msg, NULL, 0, (int)i);
	return ret;
}

/*
 * In rounds over all rings, enabling last: librte_vhost counts the rings it has heard of and starts
 * the device when all of those are ready, so none may be ready before the last one is known.
 */
static int
set_rings(struct vu_transport *t)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; ret == 0 && i < t->nb_queues; i++)
		ret = set_ring(t, i);
	for (i = 0; ret == 0 && i < t->nb_queues; i++) {
		ret = vu_set_u64(t, VU_SET_VRING_CALL, i, &t->queue[i].call_fd, (int)i);
		if (ret == 0)
			ret = vu_set_u64(t, VU_SET_VRING_KICK, i, &t->queue[i].kick_fd, (int)i);
	}
	for (i = 0; ret == 0 && i < t->nb_queues; i++)
		ret = vu_set_state(t, VU_SET_VRING_ENABLE, i, 1);
	return ret;
}

static int
vu_start(struct apir_transport *tr)
{
	struct vu_transport *t = to_vu(tr);
	int ret;

	if (t->started)
		return -EBUSY;
	if (t->nb_queues == 0)
		return -EINVAL;
	ret = vu_update_mem(t, NULL, 0, true);
	if (ret != 0)
		return ret;
	/* from here the device may touch the rings: stop() has to take them back, even after an error */
	t->started = true;
	pthread_mutex_lock(&t->lock);
	ret = set_rings(t);
	pthread_mutex_unlock(&t->lock);
	return ret;
}

static int
vu_stop(struct apir_transport *tr)
{
	struct vu_transport *t = to_vu(tr);
	unsigned int i;
	int ret = 0;

	if (!t->started)
		return 0;
	pthread_mutex_lock(&t->lock);
	/* a courtesy; what fails here and matters fails below too */
	for (i = 0; i < t->nb_queues; i++)
		vu_set_state(t, VU_SET_VRING_ENABLE, i, 0);
	for (i = 0; ret == 0 && i < t->nb_queues; i++) {
		/* answered once the device has let go of the ring */
		struct vu_msg msg = {.request = VU_GET_VRING_BASE,
				     .size = sizeof(msg.payload.state),
				     .payload.state = {.index = i}};

		ret = vu_call(t, &msg, NULL, 0, (int)i);
		if (ret == 0 && msg.payload.state.index != i)
			ret = t->out_of_step = -EPROTO;
	}
	pthread_mutex_unlock(&t->lock);
	if (ret == -ECONNRESET || ret == -ENODEV)
		ret = 0;
	if (ret == 0)
		t->started = false;
	return ret;
}

static void
vu_kick(struct apir_transport *tr, uint16_t idx)
{
	const uint64_t one = 1;

	/* EAGAIN, the only failure, means that as many kicks wait as the counter holds */
	if (write(to_vu(tr)->queue[idx].kick_fd, &one, sizeof(one)) < 0)
		return;
}

static int
vu_call_fd(struct apir_transport *tr, uint16_t idx)
{
	return to_vu(tr)->queue[idx].call_fd;
}

static bool
vu_alive(struct apir_transport *tr)
{
	return !atomic_load_explicit(&to_vu(tr)->dead, memory_order_acquire);
}

static int
vu_update(struct apir_transport *tr, const struct apir_mem_region *regions, unsigned int nb)
{
	return vu_update_mem(to_vu(tr), regions, nb, false);
}

static void
vu_limits(struct apir_transport *tr, struct apir_transport_limits *limits)
{
	const uint64_t data = to_vu(tr)->peer_queues > 0 ? to_vu(tr)->peer_queues - 1 : 0;

	limits->nb_data_queues =
		data < APIR_MAX_DATA_QUEUES ? (uint16_t)data : APIR_MAX_DATA_QUEUES;
	limits->queue_size = APIR_MAX_QUEUE_SIZE;
}

static void
vu_close(struct apir_transport *tr)
{
	struct vu_transport *t = to_vu(tr);
	unsigned int i;

	vu_watch_stop(t);
	if (t->sock >= 0)
		close(t->sock);
	for (i = 0; i < t->nb_queues; i++) {
		close(t->queue[i].kick_fd);
		close(t->queue[i].call_fd);
	}
	pthread_mutex_destroy(&t->lock);
	free(t->path);
	free(t);
}

/* The watcher is no thread of the child's. */
static void
vu_forked(struct apir_transport *tr)
{
	struct vu_transport *t = to_vu(tr);
	unsigned int i;

	atomic_store(&t->dead, true);
	close(t->sock);
	close(t->wake_fd);
	for (i = 0; i < t->nb_queues; i++) {
		close(t->queue[i].kick_fd);
		close(t->queue[i].call_fd);
	}
}

static const struct apir_transport_ops vu_ops = {
	.name = "vhost-user",
	.silent = "it hangs, cannot reach this program's memory, or is not apird",
	.limits = vu_limits,
	.queue_setup = vu_queue_setup,
	.start = vu_start,
	.stop = vu_stop,
	.kick = vu_kick,
	.call_fd = vu_call_fd,
	.alive = vu_alive,
	.update_mem = vu_update,
	.close = vu_close,
	.forked = vu_forked,
};

static int
connect_sock(struct vu_transport *t)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const size_t len = strlen(t->path);
	int err;

	if (len == 0 || len >= sizeof(sa.sun_path)) {
		apir_log(t->base.env, APIR_LOG_ERR,
			 "socket path '%s' has %zu bytes: 1..%zu are possible", t->path, len,
			 sizeof(sa.sun_path) - 1);
		return len == 0 ? -EINVAL : -ENAMETOOLONG;
	}
	memcpy(sa.sun_path, t->path, len + 1);
	t->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->sock < 0) {
		err = errno;
		apir_log(t->base.env, APIR_LOG_ERR, "no socket for %s: %s", t->path, strerror(err));
		return -err;
	}
	if (connect(t->sock, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return 0;
	err = errno;
	switch (err) {
	case ENOENT:
		apir_log(t->base.env, APIR_LOG_ERR,
			 "no socket %s: is apird running with --socket-path %s?", t->path, t->path);
		break;
	case ECONNREFUSED:
		apir_log(t->base.env, APIR_LOG_ERR,
			 "nobody listens on %s: apird has ended, start it again with "
			 "--socket-path %s",
			 t->path, t->path);
		break;
	case EAGAIN:
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: too many connections wait to be accepted there: the back-end "
			 "hangs or is overloaded",
			 t->path);
		err = ETIMEDOUT;
		break;
	case EACCES:
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: no permission to connect: this user needs write access to the "
			 "socket and search access to its folder",
			 t->path);
		break;
	default:
		apir_log(t->base.env, APIR_LOG_ERR, "cannot connect to %s: %s", t->path,
			 strerror(err));
		break;
	}
	return -err;
}

int
apir_vhost_user_open(const char *path, const struct apir_env *env, unsigned int timeout_ms,
		     apir_lost_fn lost, void *lost_ctx, struct apir_transport **out)
{
	struct vu_transport *t;
	int ret;

	if (path == NULL || timeout_ms == 0)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->base.ops = &vu_ops;
	t->base.env = env;
	t->sock = -1;
	t->wake_fd = -1;
	t->timeout_ms = timeout_ms;
	t->lost = lost;
	t->lost_ctx = lost_ctx;
	pthread_mutex_init(&t->lock, NULL);
	t->path = strdup(path);
	ret = t->path == NULL ? -ENOMEM : connect_sock(t);
	if (ret == 0)
		ret = handshake(t);
	if (ret == 0) {
		ret = vu_watch_start(t);
		if (ret != 0)
			apir_log(env, APIR_LOG_ERR, "%s: cannot watch the connection: %s", path,
				 strerror(-ret));
	}
	if (ret != 0) {
		vu_close(&t->base);
		return ret;
	}
	*out = &t->base;
	return 0;
}
