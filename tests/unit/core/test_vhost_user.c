/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The vhost-user transport, against a back-end in another thread that keeps or breaks the protocol. */

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "apir_transport.h"
#include "apir_vq.h"
#include "fake_backend.h"
#include "fake_env.h"
#include "fake_ring.h"
#include "vhost_user.h"

#define NB_QUEUES 3
#define LONG_MS	  20000 /* never reached when all is well */
#define SHORT_MS  40	/* of a back-end that never answers */

static struct fake_env fe;
static struct fake_backend be;
static struct apir_vq *vq[NB_QUEUES];
static struct apir_transport *t;
static int fds_before;
static sem_t lost_sem;
static atomic_int lost_count;

static void
on_lost(void *ctx)
{
	atomic_fetch_add(&lost_count, 1);
	sem_post(ctx);
}

static int
setup(void **state)
{
	(void)state;
	fds_before = count_fds();
	sem_init(&lost_sem, 0, 0);
	atomic_store(&lost_count, 0);
	fake_env_init(&fe, 1 << 20);
	fake_backend_init(&be);
	t = NULL;
	if (apir_vq_create_ctl(&fe.env, &vq[0]) != 0 ||
	    apir_vq_create(&fe.env, 64, 16, 32, 32, -1, &vq[1]) != 0 ||
	    apir_vq_create(&fe.env, 256, 64, 32, 32, -1, &vq[2]) != 0)
		return -1;
	return 0;
}

/* Everything is closed, whatever happened, and the back-end met nothing against the protocol. */
static int
teardown(void **state)
{
	int i;

	(void)state;
	if (t != NULL)
		t->ops->close(t);
	for (i = 0; i < NB_QUEUES; i++)
		apir_vq_destroy(vq[i]);
	if (be.path[0] != '\0')
		fake_backend_stop(&be);
	fake_env_fini(&fe);
	sem_destroy(&lost_sem);
	if (be.wrong[0] != '\0')
		print_error("%s\n", be.wrong);
	if (count_fds() != fds_before)
		print_error("%d descriptors leaked\n", count_fds() - fds_before);
	return be.wrong[0] != '\0' || count_fds() != fds_before;
}

static int
open_transport(unsigned int timeout_ms)
{
	return apir_vhost_user_open(be.path, &fe.env, timeout_ms, on_lost, &lost_sem, &t);
}

static void
set_queues(void)
{
	uint16_t i;

	for (i = 0; i < NB_QUEUES; i++)
		assert_int_equal(t->ops->queue_setup(t, i, vq[i]), 0);
}

static void
open_and_start(void)
{
	fake_backend_start(&be);
	assert_int_equal(open_transport(LONG_MS), 0);
	set_queues();
	assert_int_equal(t->ops->start(t), 0);
}

static bool
readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

static void
straight(void **state)
{
	const uint64_t one = 1;
	unsigned int i;
	char *map;

	(void)state;
	memcpy(fe.base + fe.size - 5, "there", 5);
	open_and_start();
	assert_int_equal(be.got_features,
			 (1ull << VIRTIO_F_VERSION_1) | (1ull << 28) | (1ull << 29) | (1ull << 30));
	assert_int_equal(be.got_protocol, (1u << 0) | (1u << 3));
	assert_int_equal(be.count[VU_SET_OWNER], 1);
	assert_int_equal(be.count[VU_SET_MEM_TABLE], 1);

	/* the descriptor is the file, the offset the place in it */
	assert_int_equal(be.mem.nb, 1);
	assert_int_equal(be.mem.region[0].guest_addr, (uintptr_t)fe.base + FAKE_GUEST_OFFSET);
	assert_int_equal(be.mem.region[0].user_addr, (uintptr_t)fe.base);
	assert_int_equal(be.mem.region[0].size, fe.size);
	map = mmap(NULL, be.mem.region[0].mmap_offset + fe.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   be.mem_fds[0], 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_memory_equal(map + be.mem.region[0].mmap_offset + fe.size - 5, "there", 5);

	/* none was enabled before all were known */
	assert_int_equal(be.ready_at_enable, NB_QUEUES);
	for (i = 0; i < NB_QUEUES; i++) {
		const struct fake_queue *q = &be.queue[i];
		struct vring_avail *avail;

		assert_true(q->enabled);
		assert_int_equal(q->num, vq[i]->size);
		assert_int_equal(q->base, 0);
		/* the protocol wants virtual addresses here, not guest ones */
		assert_int_equal(q->addr.desc, (uintptr_t)vq[i]->desc);
		assert_int_equal(q->addr.avail, (uintptr_t)vq[i]->avail);
		assert_int_equal(q->addr.used, (uintptr_t)vq[i]->used);
		avail = (struct vring_avail *)(map + be.mem.region[0].mmap_offset +
					       (q->addr.avail - be.mem.region[0].user_addr));
		vq[i]->avail->idx = (uint16_t)(100 + i);
		assert_int_equal(avail->idx, 100 + i);

		assert_false(readable(q->kick_fd));
		t->ops->kick(t, (uint16_t)i);
		assert_true(readable(q->kick_fd));
		assert_false(readable(t->ops->call_fd(t, (uint16_t)i)));
		assert_int_equal(write(q->call_fd, &one, sizeof(one)), sizeof(one));
		assert_true(readable(t->ops->call_fd(t, (uint16_t)i)));
	}
	munmap(map, be.mem.region[0].mmap_offset + fe.size);
	assert_false(be.queue[NB_QUEUES].enabled);

	assert_true(t->ops->alive(t));
	assert_int_equal(t->ops->stop(t), 0);
	for (i = 0; i < NB_QUEUES; i++) {
		assert_false(be.queue[i].enabled);
		assert_int_equal(be.queue[i].base_asked, 1);
	}
	t->ops->close(t);
	t = NULL;
	assert_int_equal(atomic_load(&lost_count), 0);
}

static void
starts_again(void **state)
{
	struct fake_ring ring;
	struct apir_slot *s;
	int i;

	(void)state;
	open_and_start();
	/* as far as the driver is: five requests were done */
	fake_ring_init(&ring, &fe, vq[1]);
	for (i = 0; i < 5; i++) {
		s = apir_vq_open_slot(vq[1]);
		s->req->nb_pkts = s->req->nb_segs = 1;
		apir_slot_set_seg(s, 0, 0x1000, 60);
		apir_vq_submit(vq[1]);
		fake_ring_push(&ring, (uint32_t)fake_ring_pop(&ring), 24);
		assert_int_equal(apir_vq_poll(vq[1], &s), 1);
		apir_vq_release(vq[1]);
	}
	assert_int_equal(t->ops->start(t), -EBUSY);
	assert_int_equal(t->ops->queue_setup(t, 0, vq[0]), -EBUSY);
	assert_int_equal(t->ops->stop(t), 0);
	assert_int_equal(t->ops->stop(t), 0);
	assert_int_equal(be.queue[1].base_asked, 1);
	set_queues();
	assert_int_equal(t->ops->start(t), 0);
	assert_int_equal(be.queue[0].base, 0);
	assert_int_equal(be.queue[1].base, 5);
	assert_true(be.queue[2].enabled);
	assert_int_equal(t->ops->stop(t), 0);
}

static void
nobody_there(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char longest[200];
	int fd;

	(void)state;
	assert_int_equal(
		apir_vhost_user_open("/nonexistent/apir.sock", &fe.env, 100, NULL, NULL, &t),
		-ENOENT);
	assert_true(fake_env_logged(&fe, "no socket /nonexistent/apir.sock: is apird running with "
					 "--socket-path /nonexistent/apir.sock?"));

	/* bound, but nobody listens: what a killed back-end leaves */
	fake_backend_start(&be);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/left", be.dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(apir_vhost_user_open(sa.sun_path, &fe.env, 100, NULL, NULL, &t),
			 -ECONNREFUSED);
	assert_true(fake_env_logged(&fe, "nobody listens on"));
	unlink(sa.sun_path);

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(apir_vhost_user_open(longest, &fe.env, 100, NULL, NULL, &t),
			 -ENAMETOOLONG);
	assert_true(fake_env_logged(&fe, "has 199 bytes: 1..107 are possible"));
	longest[108] = '\0';
	assert_int_equal(apir_vhost_user_open(longest, &fe.env, 100, NULL, NULL, &t),
			 -ENAMETOOLONG);
	longest[107] = '\0';
	assert_int_equal(apir_vhost_user_open(longest, &fe.env, 100, NULL, NULL, &t), -ENOENT);
	assert_int_equal(apir_vhost_user_open("", &fe.env, 100, NULL, NULL, &t), -EINVAL);
	assert_int_equal(apir_vhost_user_open(NULL, &fe.env, 100, NULL, NULL, &t), -EINVAL);
	assert_int_equal(apir_vhost_user_open(be.path, &fe.env, 0, NULL, NULL, &t), -EINVAL);
	assert_null(t);
}

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

static void
queue_setup_checks(void **state)
{
	(void)state;
	be.queue_num = 2;
	fake_backend_start(&be);
	assert_int_equal(open_transport(LONG_MS), 0);
	assert_int_equal(t->ops->start(t), -EINVAL);
	assert_int_equal(t->ops->queue_setup(t, 1, vq[1]), -EINVAL);
	assert_int_equal(t->ops->queue_setup(t, 65535, vq[1]), -EINVAL);
	assert_int_equal(t->ops->queue_setup(t, 0, vq[0]), 0);
	assert_int_equal(t->ops->queue_setup(t, 1, vq[1]), 0);
	assert_int_equal(t->ops->queue_setup(t, 2, vq[2]), -EINVAL);
	assert_true(fake_env_logged(&fe, "has only 2"));
	assert_int_equal(t->ops->start(t), 0);
	assert_int_equal(be.ready_at_enable, 2);
}

/* Out of descriptors: refused, nothing kept, and possible later. */
static void
no_descriptors_left(void **state)
{
	struct rlimit old, low;
	int i;

	(void)state;
	fake_backend_start(&be);
	assert_int_equal(open_transport(LONG_MS), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	/* room for one more, then for none: kick has its descriptor and call has not */
	i = dup(0);
	assert_true(i >= 0);
	close(i);
	low = (struct rlimit){.rlim_cur = (rlim_t)i + 1, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	i = t->ops->queue_setup(t, 0, vq[0]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(i, -EMFILE);
	assert_true(fake_env_logged(&fe, "raise the limit of open files"));
	assert_int_equal(t->ops->start(t), -EINVAL);
	set_queues();
	assert_int_equal(t->ops->start(t), 0);
	assert_int_equal(t->ops->stop(t), 0);
}

static void
memory_checks(void **state)
{
	struct apir_mem_region r[APIR_MEM_MAX_REGIONS + 1];
	unsigned int i, msgs;

	(void)state;
	for (i = 0; i <= APIR_MEM_MAX_REGIONS; i++)
		r[i] = fake_env_region(&fe);
	fake_backend_start(&be);
	assert_int_equal(open_transport(LONG_MS), 0);
	set_queues();
	/* before start() there is nothing to tell */
	msgs = be.nb_msgs;
	assert_int_equal(t->ops->update_mem(t, r, 1), 0);
	assert_int_equal(be.nb_msgs, msgs);
	/* the environment's own errors come through */
	fe.regions_ret = -E2BIG;
	assert_int_equal(t->ops->start(t), -E2BIG);
	fe.regions_ret = 0;
	assert_int_equal(t->ops->start(t), -EINVAL);
	assert_true(fake_env_logged(&fe, "no memory to share"));
	assert_int_equal(be.nb_msgs, msgs);
	fe.regions_ret = 1;
	assert_int_equal(t->ops->start(t), 0);

	msgs = be.nb_msgs;
	assert_int_equal(t->ops->update_mem(t, r, APIR_MEM_MAX_REGIONS + 1), -E2BIG);
	assert_int_equal(t->ops->update_mem(t, r, 0), -EINVAL);
	r[1].fd = -1;
	assert_int_equal(t->ops->update_mem(t, r, 2), -EINVAL);
	assert_true(fake_env_logged(&fe, "no file behind it"));
	r[1] = r[0];
	r[1].size = 0;
	assert_int_equal(t->ops->update_mem(t, r, 2), -EINVAL);
	assert_int_equal(be.nb_msgs, msgs);
	r[1] = r[0];
	assert_int_equal(t->ops->update_mem(t, r, APIR_MEM_MAX_REGIONS), 0);
	assert_int_equal(be.mem.nb, APIR_MEM_MAX_REGIONS);
	assert_int_equal(t->ops->update_mem(t, NULL, 0), 0);
	assert_int_equal(be.mem.nb, 1);
	assert_int_equal(be.count[VU_SET_MEM_TABLE], 3);
	assert_int_equal(t->ops->stop(t), 0);
}

/* While the environment is asked, memory changes: it says so to the transport, which must not be locked. */
static void
change_once(struct fake_env *env)
{
	struct apir_mem_region r[2] = {fake_env_region(env), fake_env_region(env)};

	if (env->regions_asked == 1)
		assert_int_equal(t->ops->update_mem(t, r, 2), 0);
}

static void
memory_changes_meanwhile(void **state)
{
	(void)state;
	fake_backend_start(&be);
	assert_int_equal(open_transport(LONG_MS), 0);
	set_queues();
	fe.on_regions = change_once;
	assert_int_equal(t->ops->start(t), 0);
	/* the answer of before the change was thrown away */
	assert_int_equal(fe.regions_asked, 2);
	assert_int_equal(be.count[VU_SET_MEM_TABLE], 1);

	fe.regions_asked = 0;
	assert_int_equal(t->ops->update_mem(t, NULL, 0), 0);
	assert_int_equal(fe.regions_asked, 2);
	assert_int_equal(be.count[VU_SET_MEM_TABLE], 3);
	assert_int_equal(t->ops->stop(t), 0);
}

static void *
update_many(void *arg)
{
	const struct apir_mem_region r[2] = {fake_env_region(&fe), fake_env_region(&fe)};
	atomic_int *failed = arg;
	int i;

	for (i = 0; i < 50; i++)
		if (t->ops->update_mem(t, r, 1 + (unsigned int)i % 2) != 0)
			atomic_fetch_add(failed, 1);
	return NULL;
}

static void
updates_from_threads(void **state)
{
	pthread_t th[4];
	atomic_int failed = 0;
	int i;

	(void)state;
	open_and_start();
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&th[i], NULL, update_many, &failed), 0);
	for (i = 0; i < 4; i++)
		pthread_join(th[i], NULL);
	assert_int_equal(failed, 0);
	assert_int_equal(be.count[VU_SET_MEM_TABLE], 201);
	assert_int_equal(t->ops->stop(t), 0);
}

/* The application's signals are not for our thread. */
static void
watcher_blocks_signals(void **state)
{
	char line[256];
	uint64_t blocked = 0;
	bool ours = false;
	FILE *f;

	(void)state;
	fake_backend_start(&be);
	assert_int_equal(open_transport(LONG_MS), 0);
	f = popen("cat /proc/$PPID/task/*/status", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "Name:", 5) == 0)
			ours = strstr(line, "apir-watch") != NULL;
		if (ours && strncmp(line, "SigBlk:", 7) == 0)
			blocked = strtoull(line + 7, NULL, 16);
	}
	pclose(f);
	assert_true(blocked & (1ull << (SIGINT - 1)));
	assert_true(blocked & (1ull << (SIGTERM - 1)));
	assert_true(blocked & (1ull << (SIGUSR1 - 1)));
	assert_true(blocked & (1ull << (SIGPIPE - 1)));
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
		T(straight),
		T(starts_again),
		T(nobody_there),
		T(missing_features),
		T(faults_at_each_message),
		T(no_answer),
		T(hung_up_at_once),
		T(answers_byte_by_byte),
		T(answers_with_descriptors),
		T(base_of_another_ring),
		T(backend_goes),
		T(hangs_then_goes),
		T(queue_setup_checks),
		T(no_descriptors_left),
		T(memory_checks),
		T(memory_changes_meanwhile),
		T(updates_from_threads),
		T(watcher_blocks_signals),
		T(exchange_on_bad_sockets),
	};

	return cmocka_run_group_tests_name("vhost_user", tests, NULL, NULL);
}
