/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The vhost-user transport, with a back-end that keeps the protocol. */

#include <linux/virtio_config.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_ring.h"
#include "vu_fix.h"

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

/* A child holds nothing of its parent's device, which goes on undisturbed. */
static void
forked_child(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	open_and_start();
	pid = fork();
	if (pid == 0) {
		const int fds = count_fds();

		t->ops->forked(t);
		/* two for each queue, the connection and the watcher's */
		_exit(t->ops->alive(t) || fds - count_fds() != 2 * NB_QUEUES + 2);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(t->ops->alive(t));
	assert_int_equal(t->ops->update_mem(t, NULL, 0), 0);
	assert_int_equal(t->ops->stop(t), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(straight),
		T(starts_again),
		T(nobody_there),
		T(queue_setup_checks),
		T(no_descriptors_left),
		T(memory_checks),
		T(memory_changes_meanwhile),
		T(updates_from_threads),
		T(watcher_blocks_signals),
		T(forked_child),
	};

	return cmocka_run_group_tests_name("vhost_user", tests, NULL, NULL);
}
