/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The vhost-user transport, with a back-end that breaks the protocol, hangs or goes. */

#include <linux/virtio_config.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vhost_user.h"
#include "vu_fix.h"

#define SHORT_MS 40 /* of a back-end that never answers */

static void
missing_features(void **state)
{
	static const struct {
		int bit;
		bool protocol;
		const char *name;
	} tab[] = {
		{VIRTIO_F_VERSION_1, false, "VERSION_1"},
		{28, false, "INDIRECT_DESC"},
		{29, false, "EVENT_IDX"},
		{30, false, "F_PROTOCOL_FEATURES"},
		{0, true, "PROTOCOL_F_MQ"},
		{3, true, "REPLY_ACK"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		fake_backend_init(&be);
		*(tab[i].protocol ? &be.protocol : &be.features) &= ~(1ull << tab[i].bit);
		fake_backend_start(&be);
		fake_env_log_clear(&fe);
		assert_int_equal(open_transport(LONG_MS), -EPROTO);
		assert_true(fake_env_logged(&fe, tab[i].name));
		fake_backend_stop(&be);
	}
	be.path[0] = '\0';
	assert_null(t);
}

/* In which way the front-end waits for the answer to a request. */
enum wait { NO_WAIT, REPLY, ACK };

static const struct {
	uint32_t request;
	enum wait wait;
	enum { AT_OPEN, AT_START, AT_STOP } when;
} requests[] = {
	{VU_GET_FEATURES, REPLY, AT_OPEN},
	{VU_GET_PROTOCOL_FEATURES, REPLY, AT_OPEN},
	{VU_SET_PROTOCOL_FEATURES, NO_WAIT, AT_OPEN},
	{VU_GET_QUEUE_NUM, REPLY, AT_OPEN},
	{VU_SET_OWNER, ACK, AT_OPEN},
	{VU_SET_FEATURES, ACK, AT_OPEN},
	{VU_SET_MEM_TABLE, ACK, AT_START},
	{VU_SET_VRING_NUM, ACK, AT_START},
	{VU_SET_VRING_BASE, ACK, AT_START},
	{VU_SET_VRING_ADDR, ACK, AT_START},
	{VU_SET_VRING_CALL, ACK, AT_START},
	{VU_SET_VRING_KICK, ACK, AT_START},
	{VU_SET_VRING_ENABLE, ACK, AT_START},
	{VU_GET_VRING_BASE, REPLY, AT_STOP},
};

/* From here on a wait ends soon. Only where the back-end never answers: else a slow machine would fail the test. */
static void
be_impatient(void)
{
	((struct vu_transport *)t)->timeout_ms = SHORT_MS;
}

static int
open_with_fault(enum fake_fault fault, uint32_t at, unsigned int timeout_ms)
{
	fake_backend_init(&be);
	be.fault = fault;
	be.fault_at = at;
	fake_backend_start(&be);
	fake_env_log_clear(&fe);
	return open_transport(timeout_ms);
}

static void
close_all(void)
{
	if (t != NULL)
		t->ops->close(t);
	t = NULL;
	fake_backend_stop(&be);
	be.path[0] = '\0';
	assert_string_equal(be.wrong, "");
}

/* One connection to a back-end that has fault at row i. */
static void
one_fault(size_t i, enum fake_fault fault)
{
	const char *name = vu_request_name(requests[i].request);
	int want = fault == FAULT_CLOSE ? -ECONNRESET : -EPROTO;
	int ret;

	ret = open_with_fault(fault, requests[i].request, LONG_MS);
	if (requests[i].when != AT_OPEN) {
		assert_int_equal(ret, 0);
		set_queues();
		ret = t->ops->start(t);
	}
	if (requests[i].when == AT_STOP) {
		assert_int_equal(ret, 0);
		/* a peer that hung up has let go, which is what stop() asks for */
		want = fault == FAULT_CLOSE ? 0 : want;
		ret = t->ops->stop(t);
	}
	if (ret != want)
		fail_msg("%s with fault %d gives %d, not %d", name, fault, ret, want);
	if (requests[i].wait != NO_WAIT && !fake_env_logged(&fe, name))
		fail_msg("%s with fault %d does not name it: %s", name, fault, fe.log);

	if (requests[i].when == AT_START) {
		/* what is known of the device after it: without memory it runs no ring */
		ret = t->ops->stop(t);
		if (fault == FAULT_CLOSE || fault == FAULT_REFUSE ||
		    requests[i].request == VU_SET_MEM_TABLE)
			assert_int_equal(ret, 0);
		else
			assert_int_equal(ret, want);
	}
	close_all();
}

static void
faults_at_each_message(void **state)
{
	static const enum fake_fault faults[] = {
		FAULT_CLOSE, FAULT_OTHER_REQUEST, FAULT_NOT_A_REPLY, FAULT_VERSION,
		FAULT_LONG,  FAULT_SHORT,	  FAULT_REFUSE};
	const int before = count_fds();
	size_t i, f;

	(void)state;
	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		for (f = 0; f < sizeof(faults) / sizeof(faults[0]); f++) {
			/* nobody waits for an answer: only hanging up is seen */
			if (requests[i].wait == NO_WAIT && faults[f] != FAULT_CLOSE)
				continue;
			if (requests[i].wait != ACK && faults[f] == FAULT_REFUSE)
				continue;
			one_fault(i, faults[f]);
			assert_int_equal(count_fds(), before);
		}
	}
}

static void
no_answer(void **state)
{
	const int before = count_fds();

	(void)state;
	assert_int_equal(open_with_fault(FAULT_SILENT, VU_GET_FEATURES, SHORT_MS), -ETIMEDOUT);
	assert_true(fake_env_logged(&fe, "did not answer GET_FEATURES within 40 ms"));
	close_all();

	assert_int_equal(open_with_fault(FAULT_SILENT, VU_SET_MEM_TABLE, LONG_MS), 0);
	set_queues();
	be_impatient();
	assert_int_equal(t->ops->start(t), -ETIMEDOUT);
	assert_true(fake_env_logged(&fe, "did not answer SET_MEM_TABLE"));
	/* it was never given a ring */
	assert_int_equal(t->ops->stop(t), 0);
	close_all();

	assert_int_equal(open_with_fault(FAULT_SILENT, VU_SET_VRING_KICK, LONG_MS), 0);
	set_queues();
	be_impatient();
	assert_int_equal(t->ops->start(t), -ETIMEDOUT);
	/* it may run by now, and does not say */
	assert_int_equal(t->ops->stop(t), -ETIMEDOUT);
	close_all();
	assert_int_equal(count_fds(), before);
}

static void
hung_up_at_once(void **state)
{
	(void)state;
	be.close_at_once = true;
	fake_backend_start(&be);
	assert_int_equal(open_transport(LONG_MS), -ECONNRESET);
	assert_true(fake_env_logged(&fe, "it may be serving its most sessions"));
	assert_null(t);
}

static void
answers_byte_by_byte(void **state)
{
	(void)state;
	be.fault = FAULT_DRIBBLE;
	open_and_start();
	assert_int_equal(t->ops->stop(t), 0);
}

/* None of the answers may carry any; teardown() counts. */
static void
answers_with_descriptors(void **state)
{
	(void)state;
	be.fault = FAULT_FDS;
	open_and_start();
	assert_int_equal(t->ops->stop(t), 0);
}

static void
base_of_another_ring(void **state)
{
	(void)state;
	be.fault = FAULT_INDEX;
	be.fault_at = VU_GET_VRING_BASE;
	open_and_start();
	assert_int_equal(t->ops->stop(t), -EPROTO);
}

static void
wait_lost(void)
{
	while (sem_wait(&lost_sem) != 0)
		assert_int_equal(errno, EINTR);
}

static void
backend_goes(void **state)
{
	const struct apir_mem_region r = fake_env_region(&fe);

	(void)state;
	open_and_start();
	fake_backend_hangup(&be);
	wait_lost();
	assert_false(t->ops->alive(t));
	assert_int_equal(t->ops->update_mem(t, &r, 1), -ENODEV);
	t->ops->kick(t, 1);
	/* nobody touches the rings any more */
	assert_int_equal(t->ops->stop(t), 0);
	assert_int_equal(t->ops->start(t), -ENODEV);
	t->ops->close(t);
	t = NULL;
	assert_int_equal(atomic_load(&lost_count), 1);
}

/* A back-end that hangs keeps the rings until it dies. */
static void
hangs_then_goes(void **state)
{
	(void)state;
	be.fault = FAULT_SILENT;
	be.fault_at = VU_GET_VRING_BASE;
	open_and_start();
	be_impatient();
	assert_int_equal(t->ops->stop(t), -ETIMEDOUT);
	assert_int_equal(t->ops->stop(t), -ETIMEDOUT);
	assert_true(t->ops->alive(t));
	fake_backend_hangup(&be);
	wait_lost();
	assert_int_equal(t->ops->stop(t), 0);
}

/* A peer that closed makes an error, not SIGPIPE; a full socket makes a timeout, not a hang. */
static void
exchange_on_bad_sockets(void **state)
{
	struct vu_msg msg = {.request = VU_SET_VRING_ADDR, .size = sizeof(msg.payload.addr)};
	int sp[2], ret = 0, i;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp), 0);
	for (i = 0; ret == 0 && i < 1000000; i++)
		ret = vu_exchange(sp[0], &msg, NULL, 0, false, SHORT_MS);
	assert_int_equal(ret, -ETIMEDOUT);
	close(sp[1]);
	msg.request = VU_SET_OWNER;
	msg.size = 0;
	assert_int_equal(vu_exchange(sp[0], &msg, NULL, 0, false, LONG_MS), -ECONNRESET);
	close(sp[0]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(missing_features),	    T(faults_at_each_message), T(no_answer),
		T(hung_up_at_once),	    T(answers_byte_by_byte),   T(answers_with_descriptors),
		T(base_of_another_ring),    T(backend_goes),	       T(hangs_then_goes),
		T(exchange_on_bad_sockets),
	};

	return cmocka_run_group_tests_name("vhost_user_faults", tests, NULL, NULL);
}
