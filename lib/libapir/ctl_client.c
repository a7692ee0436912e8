/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl_client.h"
#include "vq_ctl.h"

#define SPIN_NS	 50000 /* a device that polls answers within this */
#define NAP_MS	 10    /* how often a sleeper looks whether the device lives */
#define MS_TO_NS 1000000

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 * MS_TO_NS + ts.tv_nsec;
}

static void
notify_ctl(void *ctx)
{
	struct apir_transport *t = ctx;

	t->ops->kick(t, APIR_CTL_QUEUE);
}

/* Sleep until the device notifies, at most NAP_MS. */
static void
nap(struct apir_ctl *c)
{
	struct pollfd pfd = {.fd = c->t->ops->call_fd(c->t, APIR_CTL_QUEUE), .events = POLLIN};
	uint64_t count;

	if (poll(&pfd, pfd.fd >= 0, pfd.fd >= 0 ? NAP_MS : 1) <= 0)
		return;
	/* neither the count nor an error matters: the ring is looked at next anyway */
	if (read(pfd.fd, &count, sizeof(count)) < 0)
		return;
}

/* Wait for the completion of the one request. Returns 0, -ETIMEDOUT, -ENODEV or -EPROTO. */
static int
wait_done(struct apir_ctl *c, unsigned int timeout_ms)
{
	const int64_t start = now_ns();
	const int64_t deadline = start + (int64_t)timeout_ms * MS_TO_NS;
	struct apir_slot *slot;
	int64_t now = start;
	int ret;

	for (; now < start + SPIN_NS && now < deadline; now = now_ns()) {
		ret = apir_vq_poll(c->vq, &slot);
		if (ret != 0)
			return ret < 0 ? ret : 0;
	}
	for (; now < deadline; now = now_ns()) {
		apir_vq_want_call(c->vq, true);
		ret = apir_vq_poll(c->vq, &slot);
		if (ret == 0 && c->t->ops->alive(c->t)) {
			nap(c);
			continue;
		}
		return ret > 0 ? 0 : ret < 0 ? ret : -ENODEV;
	}
	/* this process may have been stopped, not the device */
	ret = apir_vq_poll(c->vq, &slot);
	return ret > 0 ? 0 : ret < 0 ? ret : -ETIMEDOUT;
}

/* Take a copy of the answer, once, and believe the copy only. */
static int
take_answer(struct apir_ctl *c, enum apir_ctl_type type, uint16_t *status, uint32_t *rx_len)
{
	const uint32_t used = apir_vq_used_len(c->vq);
	const char *shared = (const char *)c->vq->slots[0].rsp;
	const struct apir_env *env = c->t->env;
	struct apir_ctl_rsp rsp;

	if (used < sizeof(rsp) || used > APIR_CTL_MAX) {
		apir_log(env, APIR_LOG_ERR,
			 "the device answered on the control queue with %u bytes: %zu..%u are "
			 "possible",
			 used, sizeof(rsp), APIR_CTL_MAX);
		return -EPROTO;
	}
	memcpy(&rsp, shared, sizeof(rsp));
	if (rsp.magic != APIR_MAGIC || rsp.type != type) {
		apir_log(env, APIR_LOG_ERR,
			 "the device's answer on the control queue has magic 0x%08x and type %u "
			 "instead of 0x%08x and %u: it is no apir device",
			 rsp.magic, rsp.type, APIR_MAGIC, type);
		return -EPROTO;
	}
	if (rsp.len > used - sizeof(rsp)) {
		apir_log(env, APIR_LOG_ERR,
			 "the device's answer on the control queue claims %u bytes of payload "
			 "but has %zu",
			 rsp.len, used - sizeof(rsp));
		return -EPROTO;
	}
	memcpy(c->rx, shared + sizeof(rsp), rsp.len);
	*status = rsp.status;
	*rx_len = rsp.len;
	return 0;
}

int
apir_ctl_exchange(struct apir_ctl *c, enum apir_ctl_type type, uint32_t len,
		  unsigned int timeout_ms, uint16_t *status, uint32_t *rx_len)
{
	const struct apir_ctl_req req = {.magic = APIR_MAGIC, .type = (uint16_t)type, .len = len};
	struct apir_slot *s;
	int ret;

	if (!c->t->ops->alive(c->t))
		return -ENODEV;
	s = apir_vq_open_slot(c->vq);
	if (s == NULL) {
		apir_log(c->t->env, APIR_LOG_ERR,
			 "the control queue is out of use, because an earlier request was never "
			 "answered: open the device again");
		return -EBUSY;
	}
	memcpy(s->req, &req, sizeof(req));
	memcpy((char *)s->req + sizeof(req), c->tx, len);
	memset(s->rsp, 0, sizeof(struct apir_ctl_rsp));
	apir_vq_submit_ctl(c->vq, (uint32_t)sizeof(req) + len);

	ret = wait_done(c, timeout_ms);
	if (ret != 0) {
		/* the device may still write the answer: the slot is never released, so its buffers stay alone */
		if (ret == -ETIMEDOUT)
			apir_log(c->t->env, APIR_LOG_ERR, "no answer %s within %u ms: %s",
				 type == APIR_CTL_HELLO ? "to HELLO" : "on the control queue",
				 timeout_ms,
				 type == APIR_CTL_HELLO ? c->t->ops->silent
							: "the device hangs or is busy");
		return ret;
	}
	ret = take_answer(c, type, status, rx_len);
	apir_vq_release(c->vq);
	return ret;
}

int
apir_ctl_create(struct apir_transport *t, struct apir_vq *ctl_vq, unsigned int call_timeout_ms,
		struct apir_ctl **out)
{
	struct apir_ctl *c;
	int ret;

	if (call_timeout_ms == 0)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->t = t;
	c->vq = ctl_vq;
	c->call_timeout_ms = call_timeout_ms;
	ret = apir_ctl_clnt_init(c);
	if (ret != 0) {
		free(c);
		return ret;
	}
	ctl_vq->notify = notify_ctl;
	ctl_vq->notify_ctx = t;
	*out = c;
	return 0;
}

void
apir_ctl_destroy(struct apir_ctl *c)
{
	if (c == NULL)
		return;
	apir_ctl_clnt_fini(c);
	free(c);
}

CLIENT *
apir_ctl_client(struct apir_ctl *c)
{
	return &c->clnt;
}
