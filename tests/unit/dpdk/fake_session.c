/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <arpa/inet.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ring.h>

#include "fake_session.h"

void
fake_session_init(struct fake_session *s)
{
	memset(s, 0, sizeof(*s));
	fake_backend_init(&s->be);
	atomic_store(&s->quit, true);
	s->hello = (struct apir_hello_rsp){
		.version = APIR_VERSION,
		.version_min = APIR_VERSION,
		.features = APIR_F_LOOPBACK | APIR_F_MULTI_SEG | APIR_F_PIPELINE,
		.max_data_queues = 8,
		.max_pkts = APIR_MAX_PKTS,
		.max_segs = APIR_MAX_SEGS,
		.max_objects = 100,
		.copy_mode = APIR_COPY_NONE_RAW,
		.session = 1,
		.max_source = 100000,
	};
	strcpy(s->hello.device_name, "fake");
}

/* An accepted, successful reply with the next result. Returns its bytes. */
static uint32_t
rpc_reply(struct fake_session *s, const uint32_t *call, uint32_t *out)
{
	unsigned int i = atomic_fetch_add(&s->calls, 1), k;
	uint32_t n = 0;

	if (i >= s->nb_results)
		i = s->nb_results != 0 ? s->nb_results - 1 : 0;
	out[n++] = call[0];  /* xid */
	out[n++] = htonl(1); /* a reply, accepted, no verifier, success */
	for (k = 0; k < 4; k++)
		out[n++] = 0;
	for (k = 0; k < s->results[i].nb; k++)
		out[n++] = htonl(s->results[i].words[k]);
	return n * (uint32_t)sizeof(uint32_t);
}

static void
answer(struct fake_session *s, const struct vring_desc *desc, uint32_t *used_len)
{
	const struct apir_ctl_req *req = (const struct apir_ctl_req *)desc[0].addr;
	struct apir_ctl_rsp *rsp = (struct apir_ctl_rsp *)desc[1].addr;

	*rsp = (struct apir_ctl_rsp){.magic = APIR_MAGIC, .type = req->type};
	if (req->type == APIR_CTL_HELLO) {
		rsp->status = s->hello_status;
		rsp->len = sizeof(s->hello);
		memcpy(rsp + 1, &s->hello, sizeof(s->hello));
	} else if (atomic_load(&s->rpc_status) != APIR_S_OK) {
		rsp->status = atomic_load(&s->rpc_status);
	} else {
		rsp->len = rpc_reply(s, (const uint32_t *)(req + 1), (uint32_t *)(rsp + 1));
	}
	*used_len = (uint32_t)sizeof(*rsp) + rsp->len;
}

/* The control ring, polled. Guest addresses are addresses of this process. */
static void *
serve_ctl(void *arg)
{
	struct fake_session *s = arg;
	uint16_t next = 0;

	while (!atomic_load(&s->quit)) {
		struct fake_queue *q = &s->be.queue[0];
		struct vring_avail *avail = (struct vring_avail *)q->addr.avail;
		struct vring_used *used = (struct vring_used *)q->addr.used;
		uint32_t len;

		if (atomic_load(&s->mute) || !*(volatile bool *)&q->enabled || avail == NULL ||
		    atomic_load((_Atomic uint16_t *)&avail->idx) == next) {
			sched_yield();
			continue;
		}
		answer(s, (const struct vring_desc *)q->addr.desc, &len);
		used->ring[next % q->num] = (struct vring_used_elem){.len = len};
		atomic_store((_Atomic uint16_t *)&used->idx, (uint16_t)(next + 1));
		next++;
	}
	return NULL;
}

void
fake_session_start(struct fake_session *s)
{
	fake_backend_start(&s->be);
	fake_session_serve(s);
}

void
fake_session_serve(struct fake_session *s)
{
	atomic_store(&s->quit, false);
	if (pthread_create(&s->thread, NULL, serve_ctl, s) != 0)
		abort();
}

void
fake_session_quiet(struct fake_session *s)
{
	if (!atomic_exchange(&s->quit, true))
		pthread_join(s->thread, NULL);
}

void
fake_session_stop(struct fake_session *s)
{
	fake_session_quiet(s);
	fake_backend_stop(&s->be);
}
