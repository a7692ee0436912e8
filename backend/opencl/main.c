/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * apird-opencl: runs the OpenCL calls of one program of a guest. Started by apird alone, which ends it: nothing here is given back, and
 * all that happens goes with the process.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "handover.h"
#include "lane.h"

static struct handover_msg msg;
static struct mem_table mem;
static struct shared shared;
static uint64_t fd_offset[MEM_MAX_REGIONS];
static struct lane_conf lanes = {.sh = &shared, .mem = &mem};

/* Nobody can look into this process, and it cannot become more than it is. */
static void
confine(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
}

static int
map_memory(void)
{
	struct mem_region r[MEM_MAX_REGIONS];

	for (uint32_t i = 0; i < msg.h.nb_regions; i++) {
		const struct handover_region *h = &msg.h.region[i];
		struct stat st;
		uint64_t page = 4096, start;
		uint8_t *p;

		/* Of huge pages only whole ones can be mapped. */
		if (fstat(msg.region_fd[i], &st) == 0 && st.st_blksize > 4096)
			page = (uint64_t)st.st_blksize;
		if (h->size == 0 || h->fd_offset + h->size < h->size)
			return -EINVAL;
		start = h->fd_offset & ~(page - 1);
		p = mmap(NULL, (h->fd_offset - start + h->size + page - 1) & ~(page - 1),
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, msg.region_fd[i],
			 (off_t)start);
		if (p == MAP_FAILED)
			return -errno;
		/* A child of the runtime's (a compiler, a linker) has no use for it. */
		madvise(p, h->fd_offset - start + h->size, MADV_DONTFORK);
		r[i] = (struct mem_region){
			.gpa = h->gpa, .size = h->size, .va = p + (h->fd_offset - start)};
		fd_offset[i] = h->fd_offset;
	}
	return mem_set(&mem, r, msg.h.nb_regions);
}

/* A ring's part as we see it; what is not there at all vring_open() refuses. */
static void *
part(uint64_t gpa)
{
	const struct mem_region *hit = NULL;

	return mem_xlate(&mem, &hit, gpa, 1);
}

static int
start_lane(uint32_t i, const char **why)
{
	const struct handover_lane *h = &msg.h.lane[i];
	const struct vring_conf conf = {
		.desc = part(h->desc),
		.avail = part(h->avail),
		.used = part(h->used),
		.size = h->size,
		.last_avail = h->last_avail,
		.last_used = h->last_used,
		.event_idx = h->event_idx != 0,
		.kick_fd = msg.kick_fd[i],
		.call_fd = msg.call_fd[i],
	};
	struct vring_dev vr;
	int ret = vring_open(&vr, &mem, &conf, why);

	if (ret == 0) {
		*why = "no memory or thread for it";
		ret = lane_start(&lanes, i, &vr, conf.kick_fd);
	}
	return ret;
}

/* The cache of the host's runtime, apart from what apird keeps. */
static void
choose_cache(void)
{
	char here[PATH_MAX] = "", dir[PATH_MAX + sizeof(msg.h.cache_dir) + 16];

	if (msg.h.cache_dir[0] == '\0')
		return;
	/* from where apird was started, which is not where we stay */
	if (msg.h.cache_dir[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return;
	snprintf(dir, sizeof(dir), "%s%s%s/pocl", here, here[0] != '\0' ? "/" : "",
		 msg.h.cache_dir);
	setenv("POCL_CACHE_DIR", dir, 0);
}

/*
 * An empty folder that is gone already: what a guest's program names without a path is looked for there, and nothing of the
 * host's is found.
 */
static int
leave_for_nowhere(void)
{
	char dir[] = "/tmp/apird-opencl-XXXXXX";

	if (mkdtemp(dir) == NULL)
		return -errno;
	if (chdir(dir) != 0 || rmdir(dir) != 0)
		return -errno;
	return 0;
}

static int
fail(const char *what, const char *why)
{
	log_msg(LOG_ERR, "session %u: OpenCL: %s: %s", msg.h.session, what, why);
	return EXIT_FAILURE;
}

static int
run(void)
{
	char text[1024] = "";
	const char *why = "";
	int ret;

	shared.session = msg.h.session;
	shared.max_memory = msg.h.max_memory;
	shared.mem = &mem;
	shared.region_fd = msg.region_fd;
	shared.fd_offset = fd_offset;
	lanes.nb_cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	lanes.idle_ns = (uint64_t)msg.h.idle_us * 1000;
	ret = map_memory();
	if (ret != 0)
		return fail("the guest's memory cannot be mapped", strerror(-ret));
	ret = output_start(&shared.output);
	if (ret != 0)
		return fail("what kernels print cannot be caught", strerror(-ret));
	choose_cache();
	ret = leave_for_nowhere();
	if (ret != 0)
		return fail("/tmp cannot be used", strerror(-ret));
	srv_init(&shared);
	if (device_find(&shared, msg.h.device, msg.h.any_device != 0, text) != 0)
		return fail("the device is not there", text);
	for (uint32_t i = 0; i < msg.h.nb_lanes; i++)
		if (start_lane(i, &why) != 0)
			return fail("a lane cannot be served", why);
	log_msg(LOG_DEBUG, "session %u: OpenCL worker %d serves %u lanes", msg.h.session, getpid(),
		msg.h.nb_lanes);
	for (;;)
		pause();
}

int
main(int argc, char **argv)
{
	struct stat st;
	int ret;

	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("apird-opencl %s\n", APIR_RELEASE);
		return EXIT_SUCCESS;
	}
	if (fstat(HANDOVER_FD, &st) != 0 || !S_ISSOCK(st.st_mode)) {
		fprintf(stderr, "apird-opencl: started by apird, for OpenCL programs of guests "
				"(see apird(8))\n");
		return 2;
	}
	close_range(HANDOVER_FD + 1, ~0u, 0);
	log_set_name("apird-opencl");
	confine();
	ret = handover_recv(HANDOVER_FD, &msg);
	close(HANDOVER_FD);
	if (ret != 0)
		return fail("the hand-over is none", strerror(-ret));
	log_set_level(msg.h.log_level);
	/* It may have ended before it was our parent's end that kills us. */
	if (getppid() != msg.h.parent)
		return EXIT_FAILURE;
	return run();
}
