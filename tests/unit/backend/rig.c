/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apir_ctl.h"
#include "rig.h"

struct backend rig_be;
static struct rig *rigs[RIG_SOCKETS];

void
rig_backend(unsigned int max_sessions, unsigned int idle_us)
{
	const struct poll_conf conf = {.idle_us = idle_us, .numa_node = -1};

	mock_reset();
	log_set_level(LOG_EMERG);
	memset(&rig_be, 0, sizeof(rig_be));
	rig_be.ops = &mock_ops;
	mock_ops.info(NULL, &rig_be.info);
	pthread_mutex_init(&rig_be.exec_lock, NULL);
	pthread_mutex_init(&rig_be.mem_lock, NULL);
	rig_be.limit = (struct log_limit)LOG_LIMIT_INIT;
	rig_be.max_queues = RIG_QUEUES;
	rig_be.max_sessions = max_sessions;
	assert_int_equal(poll_start(&conf, &rig_be.poll), 0);
}

void
rig_backend_end(void)
{
	rig_wait_gone();
	assert_int_equal(rig_be.nb_sessions, 0);
	assert_int_equal(mock_objects(), 0);
	poll_stop(rig_be.poll);
}

static int
get_mem(int vid, struct mem_region *regions, unsigned int max)
{
	assert_true(max >= 2);
	memcpy(regions, rigs[vid]->g.r, sizeof(rigs[vid]->g.r));
	return 2;
}

static struct guest_ring *
ring(struct rig *r, uint16_t idx)
{
	return idx == 0 ? &r->ctl : &r->data[idx - 1];
}

static int
get_vring(int vid, uint16_t idx, struct vring_conf *conf)
{
	guest_ring_conf(ring(rigs[vid], idx), conf);
	conf->last_avail = rigs[vid]->base[idx][0];
	conf->last_used = rigs[vid]->base[idx][1];
	return 0;
}

static void
put_base(int vid, uint16_t idx, uint16_t last_avail, uint16_t last_used)
{
	rigs[vid]->base[idx][0] = last_avail;
	rigs[vid]->base[idx][1] = last_used;
}

static const struct session_ops ops = {
	.get_mem = get_mem,
	.get_vring = get_vring,
	.put_base = put_base,
};

void
rig_open(struct rig *r, int vid)
{
	memset(r, 0, sizeof(*r));
	rigs[vid] = r;
	guest_init(&r->g);
	guest_ring(&r->g, &r->ctl, 0, 8);
	for (unsigned int i = 0; i < RIG_QUEUES; i++)
		guest_ring(&r->g, &r->data[i], 1 + i, 64);
	r->s = session_create(&rig_be, &ops, vid);
	assert_non_null(r->s);
	for (uint16_t i = 0; i <= RIG_QUEUES; i++)
		session_queue(r->s, i, true);
	assert_int_equal(session_start(r->s), 0);
}

void
rig_wait_gone(void)
{
	const struct timespec ts = {.tv_nsec = 100000};

	while (atomic_load(&rig_be.nb_connections) > 0)
		nanosleep(&ts, NULL);
}

void
rig_close(struct rig *r)
{
	const unsigned int before = atomic_load(&rig_be.nb_connections);
	const struct timespec ts = {.tv_nsec = 100000};

	if (r->s != NULL) {
		session_end(r->s);
		while (atomic_load(&rig_be.nb_connections) >= before)
			nanosleep(&ts, NULL);
	}
	guest_ring_close(&r->ctl);
	for (unsigned int i = 0; i < RIG_QUEUES; i++)
		guest_ring_close(&r->data[i]);
	guest_fini(&r->g);
}

void
rig_ctl_send(struct rig *r, const void *in, uint32_t len, uint32_t room)
{
	memcpy(guest_at(&r->g, RIG_IN), in, len);
	r->ctl.desc[0] = (struct vring_desc){RIG_IN, len, VRING_DESC_F_NEXT, 1};
	r->ctl.desc[1] = (struct vring_desc){RIG_OUT, room, VRING_DESC_F_WRITE, 0};
	guest_offer(&r->ctl, 0);
}

uint32_t
rig_ctl_wait(struct rig *r, void *out, uint32_t room)
{
	const struct vring_used_elem e = guest_wait(&r->ctl);

	assert_int_equal(e.id, 0);
	assert_true(e.len <= room);
	memcpy(out, guest_at(&r->g, RIG_OUT), e.len);
	return e.len;
}

uint32_t
rig_ctl(struct rig *r, const void *in, uint32_t len, void *out, uint32_t room)
{
	rig_ctl_send(r, in, len, room);
	return rig_ctl_wait(r, out, room);
}

void
rig_hello_req(struct apir_hello_req *req)
{
	*req = (struct apir_hello_req){
		.version_min = APIR_VERSION,
		.version_max = APIR_VERSION,
		.features = APIR_F_LOOPBACK | APIR_F_MULTI_SEG | APIR_F_PIPELINE | 1ull << 60,
		.nb_data_queues = RIG_QUEUES,
		.max_pkts = 64,
		.driver_name = "rig",
	};
}

unsigned int
rig_hello(struct rig *r, const struct apir_hello_req *req, struct apir_hello_rsp *rsp)
{
	struct {
		struct apir_ctl_req h;
		struct apir_hello_req b;
	} in = {.h = {.magic = APIR_MAGIC, .type = APIR_CTL_HELLO, .len = sizeof(*req)}, .b = *req};
	struct {
		struct apir_ctl_rsp h;
		struct apir_hello_rsp b;
	} out;

	assert_int_equal(rig_ctl(r, &in, sizeof(in), &out, sizeof(out)), sizeof(out));
	assert_int_equal(out.h.magic, APIR_MAGIC);
	assert_int_equal(out.h.type, APIR_CTL_HELLO);
	assert_int_equal(out.h.len, sizeof(out.b));
	*rsp = out.b;
	return out.h.status;
}

void
rig_hello_ok(struct rig *r)
{
	struct apir_hello_req req;
	struct apir_hello_rsp rsp;

	rig_hello_req(&req);
	assert_int_equal(rig_hello(r, &req, &rsp), APIR_S_OK);
}

bool_t
rig_void(XDR *x, ...)
{
	(void)x;
	return TRUE;
}

uint32_t
rig_encode(struct rig *r, uint8_t *msg, unsigned int proc, xdrproc_t xargs, void *args)
{
	struct apir_ctl_req h = {.magic = APIR_MAGIC, .type = APIR_CTL_RPC};
	struct rpc_msg call = {.rm_xid = ++r->xid, .rm_direction = CALL};
	XDR x;

	call.rm_call.cb_rpcvers = RPC_MSG_VERSION;
	call.rm_call.cb_prog = APIR_CTL;
	call.rm_call.cb_vers = APIR_CTL_V1;
	call.rm_call.cb_proc = proc;
	call.rm_call.cb_cred = _null_auth;
	call.rm_call.cb_verf = _null_auth;
	xdrmem_create(&x, (char *)msg + sizeof(h), APIR_CTL_MAX - sizeof(h), XDR_ENCODE);
	assert_true(xdr_callmsg(&x, &call));
	assert_true(xargs(&x, args));
	h.len = xdr_getpos(&x);
	memcpy(msg, &h, sizeof(h));
	return sizeof(h) + h.len;
}

void
rig_call(struct rig *r, unsigned int proc, xdrproc_t xargs, void *args, xdrproc_t xres, void *res)
{
	uint8_t *buf = malloc(2 * APIR_CTL_MAX), *out = buf + APIR_CTL_MAX;
	const uint32_t len = rig_encode(r, buf, proc, xargs, args);
	struct apir_ctl_rsp h;
	struct rpc_msg reply = {0};
	uint32_t n;
	XDR x;

	n = rig_ctl(r, buf, len, out, APIR_CTL_MAX);
	assert_true(n >= sizeof(h));
	memcpy(&h, out, sizeof(h));
	assert_int_equal(h.status, APIR_S_OK);
	assert_int_equal(h.len, n - sizeof(h));
	xdrmem_create(&x, (char *)out + sizeof(h), h.len, XDR_DECODE);
	reply.acpted_rply.ar_verf = _null_auth;
	reply.acpted_rply.ar_results.proc = rig_void;
	assert_true(xdr_replymsg(&x, &reply));
	assert_int_equal(reply.rm_xid, r->xid);
	assert_int_equal(reply.rm_reply.rp_stat, MSG_ACCEPTED);
	assert_int_equal(reply.acpted_rply.ar_stat, SUCCESS);
	assert_true(xres(&x, res));
	free(buf);
}

void
rig_burst(struct rig *r, unsigned int q, uint16_t slot, struct guest_burst *b)
{
	guest_burst(&r->g, b, RIG_FREE + slot * 0x1000u + q * 0x10000u, 3, 60);
	guest_name(&r->data[q], slot, b);
	guest_offer(&r->data[q], slot);
}

void
rig_loopback_works(struct rig *r, unsigned int q)
{
	struct guest_burst b;
	struct vring_used_elem e;

	rig_burst(r, q, 0, &b);
	e = guest_wait(&r->data[q]);
	assert_int_equal(e.id, 0);
	assert_int_equal(e.len, 16 + 3 * 8);
	assert_int_equal(b.rsp->status, APIR_S_OK);
}
