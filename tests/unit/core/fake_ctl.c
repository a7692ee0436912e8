/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake_ctl.h"

static void
ctl_kick(struct apir_transport *t, uint16_t idx)
{
	const uint64_t one = 1;

	if (idx != APIR_CTL_QUEUE || write(((struct fake_ctl *)t)->kick_fd, &one, sizeof(one)) < 0)
		abort();
}

static int
ctl_call_fd(struct apir_transport *t, uint16_t idx)
{
	struct fake_ctl *d = (struct fake_ctl *)t;

	return idx != APIR_CTL_QUEUE || d->hide_call_fd ? -1 : d->call_fd;
}

static bool
ctl_alive(struct apir_transport *t)
{
	return atomic_load(&((struct fake_ctl *)t)->alive);
}

static const struct apir_transport_ops ctl_ops = {
	.name = "fake",
	.silent = "nobody is there",
	.kick = ctl_kick,
	.call_fd = ctl_call_fd,
	.alive = ctl_alive,
};

static void
serve_one(struct fake_ctl *d, unsigned int head)
{
	const struct vring_desc *req = &d->ring.desc[head];
	const struct vring_desc *rsp = &d->ring.desc[req->next];
	const uint64_t one = 1;
	int64_t used;

	atomic_fetch_add(&d->seen, 1);
	used = d->answer(d, fake_env_va(&d->fe, req->addr, req->len), req->len,
			 fake_env_va(&d->fe, rsp->addr, rsp->len));
	if (used == FAKE_CTL_SILENT)
		return;
	if (fake_ring_push(&d->ring, head + d->id_error, (uint32_t)used) &&
	    write(d->call_fd, &one, sizeof(one)) < 0)
		abort();
}

static void *
serve(void *arg)
{
	struct fake_ctl *d = arg;
	struct pollfd pfd[2] = {{.fd = d->kick_fd, .events = POLLIN},
				{.fd = d->stop_fd, .events = POLLIN}};

	for (;;) {
		uint64_t n;
		int head;

		fake_ring_set_avail_event(&d->ring, d->ring.last_avail);
		head = fake_ring_pop(&d->ring);
		if (head >= 0) {
			serve_one(d, (unsigned int)head);
			continue;
		}
		if (poll(pfd, 2, -1) < 0)
			abort();
		if (pfd[1].revents != 0)
			return NULL;
		if (read(d->kick_fd, &n, sizeof(n)) < 0)
			abort();
	}
}

void
fake_ctl_start(struct fake_ctl *d, fake_ctl_answer_fn answer)
{
	memset(d, 0, sizeof(*d));
	fake_env_init(&d->fe, 1 << 20);
	d->base.ops = &ctl_ops;
	d->base.env = &d->fe.env;
	d->answer = answer;
	atomic_store(&d->alive, true);
	d->kick_fd = eventfd(0, EFD_CLOEXEC);
	d->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (apir_vq_create_ctl(&d->fe.env, &d->vq) != 0)
		abort();
	fake_ring_init(&d->ring, &d->fe, d->vq);
	if (pthread_create(&d->thread, NULL, serve, d) != 0)
		abort();
}

void
fake_ctl_die(struct fake_ctl *d)
{
	atomic_store(&d->alive, false);
}

void
fake_ctl_stop(struct fake_ctl *d)
{
	const uint64_t one = 1;

	if (write(d->stop_fd, &one, sizeof(one)) < 0)
		abort();
	pthread_join(d->thread, NULL);
	close(d->kick_fd);
	close(d->call_fd);
	close(d->stop_fd);
	apir_vq_destroy(d->vq);
	fake_env_fini(&d->fe);
}
