/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Admission, and control messages that are none. */

#include <stdlib.h>
#include <string.h>

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
	rig_close(&rig);
	rig_backend_end();
	return 0;
}

/* A burst on data queue q; its verdicts are the answer. */
static void
nothing_before_hello(void **state)
{
	struct apir_ctl_req in = {.magic = APIR_MAGIC, .type = APIR_CTL_RPC};
	struct apir_ctl_rsp out;
	struct guest_burst b;

	(void)state;
	assert_int_equal(rig_ctl(&rig, &in, sizeof(in), &out, sizeof(out)), sizeof(out));
	assert_int_equal(out.status, APIR_S_NOTREADY);
	in.type = 99;
	rig_ctl(&rig, &in, sizeof(in), &out, sizeof(out));
	assert_int_equal(out.status, APIR_S_NOTREADY);
	rig_burst(&rig, 0, 0, &b);
	assert_int_equal(guest_wait(&rig.data[0]).len, 16);
	assert_int_equal(b.rsp->status, APIR_S_NOTREADY);
}

static void
hello_refusals(void **state)
{
	struct apir_hello_req req;
	struct apir_hello_rsp rsp;

	(void)state;
	rig_hello_req(&req);
	req.nb_data_queues = RIG_QUEUES + 1;
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_TOOBIG);
	assert_non_null(strstr(rsp.text, "--queues 3"));
	req.nb_data_queues = UINT32_MAX;
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_TOOBIG);
	assert_non_null(strstr(rsp.text, "--queues 64"));
	req.nb_data_queues = 0;
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_INVAL);
	rig_hello_req(&req);
	req.max_pkts = 0;
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_INVAL);
	rig_hello_req(&req);
	req.version_min = req.version_max = 2 << 16;
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_VERSION);
	assert_int_equal(rsp.version, APIR_VERSION);
	assert_non_null(strstr(rsp.text, "2.0"));
	req.version_min = req.version_max = 5;
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_VERSION);
	req.version_min = APIR_VERSION + 1;
	req.version_max = APIR_VERSION;
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_INVAL);
	rig_hello_req(&req);
	memset(req.driver_name, 'x', sizeof(req.driver_name));
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_MALFORMED);
	/* One queue that is not enabled is not there. */
	session_queue(rig.s, 2, false);
	rig_hello_req(&req);
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_INVAL);
	session_queue(rig.s, 2, true);
	/* None of that has made a session; a newer driver is met half way. */
	assert_int_equal(rig_be.nb_sessions, 0);
	req.version_max = APIR_VERSION + 7;
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_OK);
	assert_int_equal(rsp.version, APIR_VERSION);
}

static void *
enable_soon(void *arg)
{
	const struct timespec ts = {.tv_nsec = 20000000};

	(void)arg;
	nanosleep(&ts, NULL);
	session_queue(rig.s, RIG_QUEUES, true);
	return NULL;
}

/* The messages that set the last ring up are still on their way. */
static void
hello_overtakes_a_ring(void **state)
{
	pthread_t t;

	(void)state;
	session_queue(rig.s, RIG_QUEUES, false);
	pthread_create(&t, NULL, enable_soon, NULL);
	rig_hello_ok(&rig);
	pthread_join(t, NULL);
	rig_loopback_works(&rig, RIG_QUEUES - 1);
}

static void
hello_twice(void **state)
{
	struct apir_hello_req req;
	struct apir_hello_rsp rsp;

	(void)state;
	rig_hello_ok(&rig);
	rig_hello_req(&req);
	assert_int_equal(rig_hello(&rig, &req, &rsp), APIR_S_INVAL);
	rig_loopback_works(&rig, 0);
}

static void
strange_control_messages(void **state)
{
	uint8_t in[256] = {0}, out[256];
	struct apir_ctl_req h = {.magic = APIR_MAGIC, .type = APIR_CTL_HELLO, .len = 10};
	struct apir_ctl_rsp rsp;

	/* A file system's request: length first. */
	(void)state;
	in[0] = 104;
	assert_int_equal(rig_ctl(&rig, in, 104, out, sizeof(out)), sizeof(rsp));
	memcpy(&rsp, out, sizeof(rsp));
	assert_int_equal(rsp.status, APIR_S_UNSUPPORTED);
	assert_int_equal(rig_ctl(&rig, in, 0, out, sizeof(out)), sizeof(rsp));
	assert_int_equal(rig_ctl(&rig, in, 104, out, 15), 0);
	/* Wrong lengths */
	memcpy(in, &h, sizeof(h));
	rig_ctl(&rig, in, 16 + 11, out, sizeof(out));
	memcpy(&rsp, out, sizeof(rsp));
	assert_int_equal(rsp.status, APIR_S_MALFORMED);
	rig_ctl(&rig, in, 16 + 10, out, sizeof(out));
	memcpy(&rsp, out, sizeof(rsp));
	assert_int_equal(rsp.status, APIR_S_MALFORMED);
	h.len = UINT32_MAX;
	memcpy(in, &h, sizeof(h));
	rig_ctl(&rig, in, 16, out, sizeof(out));
	memcpy(&rsp, out, sizeof(rsp));
	assert_int_equal(rsp.status, APIR_S_MALFORMED);
	rig_hello_ok(&rig);
	h = (struct apir_ctl_req){.magic = APIR_MAGIC, .type = 77};
	rig_ctl(&rig, &h, sizeof(h), out, sizeof(out));
	memcpy(&rsp, out, sizeof(rsp));
	assert_int_equal(rsp.status, APIR_S_UNSUPPORTED);
}

static void
control_chains_that_lie(void **state)
{
	struct vring_desc *d = rig.ctl.desc;

	(void)state;
	d[0] = (struct vring_desc){RIG_IN, 16, VRING_DESC_F_NEXT, 0}; /* loops */
	guest_offer(&rig.ctl, 0);
	assert_int_equal(guest_wait(&rig.ctl).len, 0);
	d[0] = (struct vring_desc){0, 16, VRING_DESC_F_NEXT, 1}; /* not memory */
	d[1] = (struct vring_desc){RIG_OUT, 64, VRING_DESC_F_WRITE, 0};
	guest_offer(&rig.ctl, 0);
	assert_int_equal(guest_wait(&rig.ctl).len, 0);
	d[0] = (struct vring_desc){RIG_IN, APIR_CTL_MAX + 1, VRING_DESC_F_NEXT, 1}; /* too long */
	guest_offer(&rig.ctl, 0);
	assert_int_equal(guest_wait(&rig.ctl).len, 0);
	d[0] = (struct vring_desc){RIG_IN, 16, VRING_DESC_F_NEXT, 1};
	d[1] = (struct vring_desc){8, 64, VRING_DESC_F_WRITE, 0}; /* no place for an answer */
	guest_offer(&rig.ctl, 0);
	assert_int_equal(guest_wait(&rig.ctl).len, 0);
	rig_hello_ok(&rig);
}

struct starter {
	struct rig rig;
	pthread_t t;
	unsigned int status;
	char text[256];
};

static void *
start_one(void *arg)
{
	struct starter *s = arg;
	struct apir_hello_req req;
	struct apir_hello_rsp rsp;

	rig_hello_req(&req);
	s->status = rig_hello(&s->rig, &req, &rsp);
	memcpy(s->text, rsp.text, sizeof(rsp.text));
	return NULL;
}

static void
ten_guests_at_once(void **state)
{
	struct starter *s = calloc(10, sizeof(*s));
	unsigned int ok = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		rig_open(&s[i].rig, 1 + i);
	for (int i = 0; i < 10; i++)
		pthread_create(&s[i].t, NULL, start_one, &s[i]);
	for (int i = 0; i < 10; i++) {
		pthread_join(s[i].t, NULL);
		if (s[i].status == APIR_S_OK) {
			ok++;
			rig_loopback_works(&s[i].rig, 0);
		} else {
			assert_int_equal(s[i].status, APIR_S_SESSIONS);
			assert_non_null(strstr(s[i].text, "--max-sessions"));
		}
	}
	assert_int_equal(ok, 4);
	/* A place that is given up is taken. */
	for (int i = 0; i < 10; i++)
		rig_close(&s[i].rig);
	rig_hello_ok(&rig);
	free(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_before_hello),     T(hello_refusals),		 T(hello_twice),
		T(strange_control_messages), T(control_chains_that_lie), T(ten_guests_at_once),
		T(hello_overtakes_a_ring),
	};

	return cmocka_run_group_tests_name("hello", tests, NULL, NULL);
}
