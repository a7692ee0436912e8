/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Sessions: admission, and taking memory and rings away while requests are in flight. */

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apir_ctl.h"
#include "rig.h"

static struct rig rig;

static int
setup(void **state)
{
	(void)state;
	rig_backend(4, 50);
	rig_open(&rig, 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	mock.may_finish = -1;
	mock.build_waits = false;
	rig_close(&rig);
	rig_backend_end();
	return 0;
}

static void
settle(void)
{
	const struct timespec ts = {.tv_nsec = 1000000};

	nanosleep(&ts, NULL);
}

/* A burst on data queue q; its verdicts are the answer. */
static void
hello_and_loopback(void **state)
{
	struct apir_hello_req req;
	struct apir_hello_rsp rsp;

	(void)state;
	rig_hello_req(&req);
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_OK);
	assert_int_equal(rsp.version, APIR_VERSION);
	assert_int_equal(rsp.features, APIR_F_LOOPBACK | APIR_F_MULTI_SEG | APIR_F_PIPELINE);
	assert_int_equal(rsp.max_data_queues, RIG_QUEUES);
	assert_int_equal(rsp.max_pkts, APIR_MAX_PKTS);
	assert_int_equal(rsp.max_segs, APIR_MAX_SEGS);
	assert_int_equal(rsp.copy_mode, APIR_COPY_NONE_RAW);
	assert_int_equal(rsp.max_device_memory, 1 << 30);
	assert_int_equal(rsp.max_source, 4 << 20);
	assert_string_equal(rsp.device_name, "mock device");
	assert_int_equal(mock.queues, RIG_QUEUES);
	assert_int_equal(mock.mem_regions, 2);
	for (unsigned int i = 0; i < 100; i++)
		rig_loopback_works(&rig, i % RIG_QUEUES);
}

static void *
finish_soon(void *arg)
{
	(void)arg;
	settle();
	mock.may_finish = -1;
	return NULL;
}

/* Four bursts that do not complete; returns when the executor has them. */
static void
put_in_flight(struct guest_burst *b)
{
	mock.async = true;
	mock.may_finish = 0;
	for (uint16_t i = 0; i < 4; i++)
		rig_burst(&rig, 0, i, &b[i]);
	while (mock.running < 4)
		settle();
}

static void
check_in_flight_done(struct guest_burst *b)
{
	struct vring_used_elem e;

	assert_int_equal(mock.running, 0);
	for (uint16_t i = 0; i < 4; i++) {
		assert_int_equal(guest_poll(&rig.data[0], &e), 1);
		assert_int_equal(e.id, i);
		assert_int_equal(b[i].rsp->status, APIR_S_OK);
	}
}

/*
 * The guest's memory moves: what the old was is freed, so that a sanitizer sees who still touches
 * it.
 */
static void
replace_memory(void)
{
	struct guest old = rig.g;

	guest_init(&rig.g);
	memcpy(rig.g.mem, old.mem, GUEST_SIZE);
	memcpy(rig.g.mem2, old.mem2, GUEST_SIZE2);
	for (unsigned int i = 0; i <= RIG_QUEUES; i++) {
		struct guest_ring *r = i == 0 ? &rig.ctl : &rig.data[i - 1];

		r->desc = (void *)(rig.g.mem + ((uint8_t *)r->desc - old.mem));
		r->avail = (void *)(rig.g.mem + ((uint8_t *)r->avail - old.mem));
		r->used = (void *)(rig.g.mem + ((uint8_t *)r->used - old.mem));
	}
	guest_fini(&old);
}

static void
memory_replaced_in_flight(void **state)
{
	struct guest_burst b[4];
	pthread_t t;

	(void)state;
	rig_hello_ok(&rig);
	put_in_flight(b);
	pthread_create(&t, NULL, finish_soon, NULL);
	session_pause(rig.s);
	check_in_flight_done(b);
	assert_int_equal(mock.mem_regions, 0);
	pthread_join(t, NULL);
	replace_memory();
	session_resume(rig.s);
	assert_int_equal(mock.mem_regions, 2);
	mock.async = false;
	for (unsigned int i = 0; i < 20; i++)
		rig_loopback_works(&rig, i % RIG_QUEUES);
}

static void
burst_that_never_completes(void **state)
{
	struct guest_burst b[4];

	(void)state;
	rig_hello_ok(&rig);
	rig_loopback_works(&rig, 1);
	assert_null(poll_stuck(rig_be.poll, 1000000, 300));
	put_in_flight(b);
	assert_null(poll_stuck(rig_be.poll, 100, 300));
	assert_null(poll_stuck(rig_be.poll, 100, 300));
	assert_null(poll_stuck(rig_be.poll, 100, 300));
	assert_ptr_equal(poll_stuck(rig_be.poll, 100, 300), atomic_load(&rig.s->q[0]));
	/* One that completes starts the time anew. */
	mock.may_finish = 1;
	while (mock.running == 4)
		settle();
	guest_wait(&rig.data[0]);
	assert_null(poll_stuck(rig_be.poll, 100, 300));
}

static void
requests_offered_in_a_pause(void **state)
{
	struct guest_burst b;

	(void)state;
	rig_hello_ok(&rig);
	session_pause(rig.s);
	rig_burst(&rig, 1, 0, &b);
	replace_memory();
	session_resume(rig.s);
	b.rsp = guest_at(&rig.g, b.rsp_gpa);
	assert_int_equal(guest_wait(&rig.data[1]).len, 16 + 3 * 8);
	assert_int_equal(b.rsp->status, APIR_S_OK);
}

static void
ring_disabled_in_flight(void **state)
{
	struct guest_burst b[4];
	pthread_t t;

	(void)state;
	rig_hello_ok(&rig);
	put_in_flight(b);
	pthread_create(&t, NULL, finish_soon, NULL);
	session_queue(rig.s, 1, false);
	check_in_flight_done(b);
	pthread_join(t, NULL);
	mock.async = false;
	rig_loopback_works(&rig, 1);
	session_queue(rig.s, 1, true);
	rig_loopback_works(&rig, 0);
}

static void
ring_reset_in_flight(void **state)
{
	struct guest_burst b[4];
	pthread_t t;

	(void)state;
	rig_hello_ok(&rig);
	put_in_flight(b);
	pthread_create(&t, NULL, finish_soon, NULL);
	session_stop(rig.s);
	check_in_flight_done(b);
	assert_int_equal(rig.base[1][0], 4);
	assert_int_equal(rig.base[1][1], 4);
	pthread_join(t, NULL);
}

static void
connection_ends_in_flight(void **state)
{
	struct guest_burst b[4];
	pthread_t t;

	(void)state;
	rig_hello_ok(&rig);
	put_in_flight(b);
	pthread_create(&t, NULL, finish_soon, NULL);
	session_end(rig.s);
	rig.s = NULL;
	check_in_flight_done(b);
	pthread_join(t, NULL);
	rig_wait_gone();
	assert_int_equal(mock_objects(), 0);
}

static void
program_create(struct rig *r, const char *src, apir_program_res *res)
{
	apir_program_args args = {.source.form = APIR_DATA_INLINE, .options = ""};

	args.source.apir_data_u.bytes.bytes_val = (char *)(uintptr_t)src;
	args.source.apir_data_u.bytes.bytes_len = (u_int)strlen(src);
	memset(res, 0, sizeof(*res));
	rig_call(r, APIR_PROGRAM_CREATE, (xdrproc_t)xdr_apir_program_args, &args,
		 (xdrproc_t)xdr_apir_program_res, res);
}

static void
guest_that_restarts(void **state)
{
	apir_program_res res;

	(void)state;
	rig_hello_ok(&rig);
	program_create(&rig, "__kernel void k()", &res);
	xdr_free((xdrproc_t)xdr_apir_program_res, &res);
	assert_int_equal(mock.programs, 1);
	session_stop(rig.s);
	/* A new driver sets its rings up from the beginning. */
	memset(rig.base, 0, sizeof(rig.base));
	guest_ring_close(&rig.ctl);
	guest_ring(&rig.g, &rig.ctl, 0, 8);
	for (unsigned int i = 0; i < RIG_QUEUES; i++) {
		guest_ring_close(&rig.data[i]);
		guest_ring(&rig.g, &rig.data[i], 1 + i, 64);
	}
	assert_int_equal(session_start(rig.s), 0);
	rig_hello_ok(&rig);
	assert_int_equal(mock.programs, 0);
	assert_int_equal(rig_be.nb_sessions, 1);
	rig_loopback_works(&rig, 0);
}

static unsigned int
control_status(uint16_t type)
{
	const struct apir_ctl_req in = {.magic = APIR_MAGIC, .type = type};
	struct apir_ctl_rsp out;

	assert_int_equal(rig_ctl(&rig, &in, sizeof(in), &out, sizeof(out)), sizeof(out));
	return out.status;
}

static unsigned int
burst_status(unsigned int q)
{
	struct guest_burst b;

	rig_burst(&rig, q, 0, &b);
	guest_wait(&rig.data[q]);
	return b.rsp->status;
}

/* The guest's kernel takes the device over, say, and knows nothing of HELLO. */
static void
driver_that_begins_anew(void **state)
{
	(void)state;
	rig_hello_ok(&rig);
	rig_loopback_works(&rig, 0);
	session_stop(rig.s);
	memset(rig.base, 0, sizeof(rig.base));
	guest_ring_close(&rig.ctl);
	guest_ring(&rig.g, &rig.ctl, 0, 8);
	for (unsigned int i = 0; i < RIG_QUEUES; i++) {
		guest_ring_close(&rig.data[i]);
		guest_ring(&rig.g, &rig.data[i], 1 + i, 64);
	}
	assert_int_equal(session_start(rig.s), 0);
	assert_int_equal(control_status(APIR_CTL_RPC), APIR_S_NOTREADY);
	for (unsigned int i = 0; i < RIG_QUEUES; i++)
		assert_int_equal(burst_status(i), APIR_S_NOTREADY);
	rig_hello_ok(&rig);
	rig_loopback_works(&rig, 1);
}

/* A machine halted for a while: its rings are taken and given back, its driver knows nothing of it. */
static void
machine_halted_for_a_while(void **state)
{
	struct apir_hello_req req;
	struct apir_hello_rsp rsp;
	apir_program_res res;

	(void)state;
	rig_hello_ok(&rig);
	program_create(&rig, "__kernel void k()", &res);
	xdr_free((xdrproc_t)xdr_apir_program_res, &res);
	for (unsigned int n = 0; n < 3; n++) {
		rig_loopback_works(&rig, 0);
		session_stop(rig.s);
		session_stop(rig.s); /* for each ring again */
		assert_int_equal(session_start(rig.s), 0);
		rig_loopback_works(&rig, 1);
		assert_int_equal(mock.programs, 1);
		rig_hello_req(&req);
		assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_INVAL);
	}
}

/* Make a request available, and notify nobody. */
static void
offer_quietly(struct guest_ring *r, uint16_t head)
{
	r->avail->ring[r->avail->idx % r->size] = head;
	atomic_fetch_add((_Atomic uint16_t *)&r->avail->idx, 1);
}

/* A queue that HELLO did not name is nobody's to poll, but who kicks it is told. */
static void
queues_not_announced(void **state)
{
	const uint64_t one = 1;
	struct apir_hello_req req;
	struct apir_hello_rsp rsp;
	struct vring_used_elem e;
	struct guest_burst b;

	(void)state;
	/* poll threads that never sleep */
	rig_close(&rig);
	rig_backend_end();
	rig_backend(4, 10000000);
	rig_open(&rig, 0);
	assert_int_equal(burst_status(0), APIR_S_NOTREADY);
	rig_hello_req(&req);
	req.nb_data_queues = 1;
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_OK);
	guest_burst(&rig.g, &b, RIG_FREE, 3, 60);
	guest_name(&rig.data[0], 0, &b);
	offer_quietly(&rig.data[0], 0);
	guest_wait(&rig.data[0]);
	assert_int_equal(b.rsp->status, APIR_S_OK);
	guest_burst(&rig.g, &b, RIG_FREE, 3, 60);
	guest_name(&rig.data[1], 0, &b);
	offer_quietly(&rig.data[1], 0);
	settle();
	assert_int_equal(guest_poll(&rig.data[1], &e), 0);
	assert_int_equal(write(rig.data[1].kick_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(guest_wait(&rig.data[1]).len, 16);
	assert_int_equal(b.rsp->status, APIR_S_NOTREADY);
	/* Nor is it after a change of memory. */
	session_pause(rig.s);
	session_resume(rig.s);
	assert_int_equal(burst_status(1), APIR_S_NOTREADY);
	assert_int_equal(burst_status(0), APIR_S_OK);
}

/* Offer a program whose build does not end until the test says so. */
static void
start_build(void)
{
	apir_program_args args = {.source.form = APIR_DATA_INLINE, .options = ""};
	uint8_t *msg = malloc(APIR_CTL_MAX);
	char src[] = "__kernel void k()";
	uint32_t len;

	args.source.apir_data_u.bytes.bytes_val = src;
	args.source.apir_data_u.bytes.bytes_len = sizeof(src);
	mock.build_waits = true;
	len = rig_encode(&rig, msg, APIR_PROGRAM_CREATE, (xdrproc_t)xdr_apir_program_args, &args);
	rig_ctl_send(&rig, msg, len, APIR_CTL_MAX);
	free(msg);
	while (mock.building == 0)
		settle();
}

static void
build_stalls_no_packet(void **state)
{
	(void)state;
	rig_hello_ok(&rig);
	start_build();
	for (unsigned int i = 0; i < 10; i++)
		rig_loopback_works(&rig, i % RIG_QUEUES);
	assert_int_equal(mock.building, 1);
}

static void
connection_ends_during_a_build(void **state)
{
	(void)state;
	rig_hello_ok(&rig);
	start_build();
	session_end(rig.s); /* returns although the build goes on */
	rig.s = NULL;
	assert_int_equal(mock.building, 1);
	/* Its memory goes as well: the answer must not be written there. */
	replace_memory();
	mock.build_waits = false;
	rig_wait_gone();
	assert_int_equal(mock_objects(), 0);
	assert_int_equal(rig.ctl.used->idx, 1); /* HELLO alone was answered */
}

static void
rings_restart_during_a_build(void **state)
{
	(void)state;
	rig_hello_ok(&rig);
	start_build();
	session_stop(rig.s);
	memset(rig.base, 0, sizeof(rig.base));
	guest_ring_close(&rig.ctl);
	guest_ring(&rig.g, &rig.ctl, 0, 8);
	assert_int_equal(session_start(rig.s), 0);
	mock.build_waits = false;
	/* The first answer on the new ring is to the first request on it. */
	rig_hello_ok(&rig);
	assert_int_equal(rig.ctl.used->idx, 1);
	assert_int_equal(mock.programs, 0);
}

static void
memory_replaced_during_a_build(void **state)
{
	struct apir_ctl_rsp h;
	uint8_t *out = malloc(APIR_CTL_MAX);

	(void)state;
	rig_hello_ok(&rig);
	start_build();
	mock.build_waits = true;
	session_pause(rig.s);
	replace_memory();
	mock.build_waits = false;
	session_resume(rig.s);
	assert_true(rig_ctl_wait(&rig, out, APIR_CTL_MAX) > sizeof(h));
	memcpy(&h, out, sizeof(h));
	assert_int_equal(h.status, APIR_S_OK);
	free(out);
}

static void
memory_that_is_no_use(void **state)
{
	(void)state;
	session_stop(rig.s);
	rig.g.r[1].size = UINT64_MAX;
	assert_int_equal(session_start(rig.s), -1);
	rig.g.r[1].size = GUEST_SIZE2;
	assert_int_equal(session_start(rig.s), 0);
	rig_hello_ok(&rig);
}

static void
broken_control_ring(void **state)
{
	const uint64_t one = 1;
	struct guest_burst b;

	(void)state;
	rig_hello_ok(&rig);
	atomic_fetch_add((_Atomic uint16_t *)&rig.ctl.avail->idx, 100);

	assert_int_equal(write(rig.ctl.kick_fd, &one, sizeof(one)), sizeof(one));
	/* The data queues go on, and the session ends as any other. */
	rig_burst(&rig, 0, 0, &b);
	guest_wait(&rig.data[0]);
	assert_int_equal(b.rsp->status, APIR_S_OK);
}

static unsigned int
empty_kicks(void)
{
	unsigned int n;

	pthread_mutex_lock(&rig.s->ctl.lock);
	n = rig.s->ctl.empty_kicks;
	pthread_mutex_unlock(&rig.s->ctl.lock);
	return n;
}

/* A guest whose memory is its own alone rings, and there is nothing. */
static void
kicks_without_requests(void **state)
{
	const uint64_t one = 1;

	(void)state;
	for (unsigned int i = 1; i <= 3; i++) {
		assert_int_equal(write(rig.ctl.kick_fd, &one, sizeof(one)), sizeof(one));
		while (empty_kicks() < i)
			settle();
	}
	rig_hello_ok(&rig);
	/* Once there was one, it is but a spurious notification. */
	assert_int_equal(write(rig.ctl.kick_fd, &one, sizeof(one)), sizeof(one));
	settle();
	assert_int_equal(empty_kicks(), 3);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(hello_and_loopback),		 T(memory_replaced_in_flight),
		T(burst_that_never_completes),	 T(requests_offered_in_a_pause),
		T(ring_disabled_in_flight),	 T(ring_reset_in_flight),
		T(connection_ends_in_flight),	 T(guest_that_restarts),
		T(build_stalls_no_packet),	 T(connection_ends_during_a_build),
		T(rings_restart_during_a_build), T(memory_replaced_during_a_build),
		T(memory_that_is_no_use),	 T(broken_control_ring),
		T(driver_that_begins_anew),	 T(machine_halted_for_a_while),
		T(queues_not_announced),	 T(kicks_without_requests),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
