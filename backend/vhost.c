/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_vhost.h>

#include "log.h"
#include "relay.h"
#include "vhost.h"
#include "vu_msg.h"

/*
 * Never STATUS: with vhost-user-fs as the carrier it keeps the device from starting. CONFIG is for
 * vhost-user-blk, which does not start without it; the relay answers it.
 */
#define PROTOCOL_FEATURES                                                                     \
	((1ull << VHOST_USER_PROTOCOL_F_MQ) | (1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK) |     \
	 (1ull << VHOST_USER_PROTOCOL_F_SLAVE_REQ) | (1ull << VHOST_USER_PROTOCOL_F_CONFIG) | \
	 (1ull << VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD))
#define FEATURES                                                                \
	((1ull << VIRTIO_F_VERSION_1) | (1ull << VIRTIO_RING_F_INDIRECT_DESC) | \
	 (1ull << VIRTIO_RING_F_EVENT_IDX) | (1ull << VHOST_USER_F_PROTOCOL_FEATURES))

static struct backend *backend;

/* A connection. */
static struct guest {
	struct session *s;
	uint64_t conn;			  /* the relay's number of the connection */
	uint64_t protocol;		  /* features negotiated */
	bool enabled[SESSION_MAX_QUEUES]; /* as the front-end wants it */
} guests[RTE_MAX_VHOST_DEVICE];

static int
get_mem(int vid, struct mem_region *regions, unsigned int max)
{
	struct rte_vhost_memory *mem;
	int n = -1;

	if (rte_vhost_get_mem_table(vid, &mem) != 0)
		return -1;
	if (mem->nregions <= max) {
		for (n = 0; n < (int)mem->nregions; n++)
			regions[n] = (struct mem_region){
				.gpa = mem->regions[n].guest_phys_addr,
				.size = mem->regions[n].size,
				.va = (uint8_t *)(uintptr_t)mem->regions[n].host_user_addr,
				.fd = mem->regions[n].fd,
				/* The library maps the file from its start on. */
				.fd_offset = mem->regions[n].host_user_addr -
					     (uintptr_t)mem->regions[n].mmap_addr,
			};
	}
	free(mem);
	return n;
}

static int
get_vring(int vid, uint16_t idx, struct vring_conf *conf)
{
	struct rte_vhost_vring vr;
	uint64_t features;

	memset(conf, 0, sizeof(*conf));
	if (rte_vhost_get_vhost_vring(vid, idx, &vr) != 0 ||
	    rte_vhost_get_vring_base(vid, idx, &conf->last_avail, &conf->last_used) != 0 ||
	    rte_vhost_get_negotiated_features(vid, &features) != 0)
		return -1;
	conf->desc = vr.desc;
	conf->avail = vr.avail;
	conf->used = vr.used;
	conf->size = vr.size;
	conf->kick_fd = vr.kickfd;
	conf->call_fd = vr.callfd;
	conf->event_idx = (features & (1ull << VIRTIO_RING_F_EVENT_IDX)) != 0;
	return 0;
}

static void
put_base(int vid, uint16_t idx, uint16_t last_avail, uint16_t last_used)
{
	rte_vhost_set_vring_base(vid, idx, last_avail, last_used);
}

static const struct session_ops session_ops = {
	.get_mem = get_mem,
	.get_vring = get_vring,
	.put_base = put_base,
};

/* The queue that a message is about, or -1. */
static int
queue_of(const struct vu_msg *msg)
{
	switch (msg->hdr.request) {
	case VU_SET_VRING_NUM:
	case VU_SET_VRING_ADDR:
	case VU_SET_VRING_BASE:
	case VU_SET_VRING_ENABLE:
		return (int)msg->u.state.index;
	case VU_SET_VRING_KICK:
	case VU_SET_VRING_CALL:
		return (int)(msg->u.u64 & 0xff);
	default:
		return -1;
	}
}

static bool
has_feature(int vid, unsigned int bit)
{
	uint64_t features = 0;

	rte_vhost_get_negotiated_features(vid, &features);
	return (features & (1ull << bit)) != 0;
}

/* All that the library waits for before it calls a ring ready. */
static bool
ring_complete(int vid, uint16_t q)
{
	struct rte_vhost_vring vr;

	/* -2: not told yet; -1: told that there is none. */
	return rte_vhost_get_vhost_vring(vid, q, &vr) == 0 && vr.desc != NULL && vr.avail != NULL &&
	       vr.used != NULL && vr.kickfd > -2 && vr.callfd > -2;
}

/* Serve the rings that are complete. */
static int
start(int vid)
{
	struct session *s = guests[vid].s;
	const uint64_t protocol = guests[vid].protocol;
	uint64_t bytes = 0;

	if (s->state != SESSION_STOPPED)
		return 0;
	/* No more is asked for: firmware takes no other feature and must have its answers too. */
	if (!has_feature(vid, VIRTIO_F_VERSION_1)) {
		log_limited(&backend->limit, LOG_ERR,
			    "session %u: the driver did not accept VIRTIO_F_VERSION_1: it is not "
			    "served",
			    s->id);
		return -1;
	}
	if (session_start(s) != 0)
		return -1;
	for (unsigned int i = 0; i < s->mem.nb; i++)
		bytes += s->mem.r[i].size;
	log_limited(&backend->limit, LOG_INFO,
		    "session %u: device started by %s: %u queues so far, %llu MiB in %u regions",
		    s->id,
		    protocol == 0 ? "a front-end that did not negotiate again"
		    : protocol & (1ull << VHOST_USER_PROTOCOL_F_CONFIG)
			    ? "a carrier with a configuration space (vhost-user-blk)"
			    : "vhost-user-fs, or a process",
		    rte_vhost_get_vring_num(vid), (unsigned long long)(bytes >> 20), s->mem.nb);
	return 0;
}

static void
introduced(int vid, const struct vu_msg *msg)
{
	struct guest *g = &guests[vid];

	g->conn = msg->u.id.conn;
	log_limited(&backend->limit, LOG_INFO, "session %u: front-end %.*s (process %d) connected",
		    g->s->id, (int)sizeof(msg->u.id.comm),
		    msg->u.id.comm[0] ? msg->u.id.comm : "unknown", (int)msg->u.id.pid);
	relay_tell(g->conn, false);
}

/*
 * What changes memory or rings of a running device is done with its queues at rest: librte_vhost
 * unmaps the old memory without a word. The library holds its queue locks here; nothing below takes
 * them.
 */
static enum rte_vhost_msg_result
before_message(int vid, void *arg)
{
	const struct vu_msg *msg = arg;
	struct guest *g = &guests[vid];
	const int q = queue_of(msg);

	switch (msg->hdr.request) {
	case VU_APIRD_ID:
		introduced(vid, msg);
		return RTE_VHOST_MSG_RESULT_OK;
	case VU_SET_MEM_TABLE:
		session_pause(g->s);
		break;
	case VU_GET_VRING_BASE:
		/* The library tells of it only where all rings were set up. */
		session_stop(g->s);
		session_queue(g->s, (uint16_t)msg->u.state.index, false);
		break;
	case VU_RESET_OWNER:
		session_stop(g->s);
		for (uint16_t i = 0; i < SESSION_MAX_QUEUES; i++)
			session_queue(g->s, i, false);
		memset(g->enabled, 0, sizeof(g->enabled));
		break;
	}
	/*
	 * Of a queue that is disabled the library would tell us only after it has acknowledged
	 * that.
	 */
	if (q >= 0)
		session_queue(g->s, (uint16_t)q, false);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/*
 * Not called for a message that failed: its queue, or all of them, then stay at rest, and the relay
 * ends the connection. A ring is served from here on and not from the library's own calls: those
 * come after the acknowledgement, when a driver may say HELLO already, and not at all as long as a
 * ring that QEMU has is not set up (a guest kernel's virtiofs or virtio_blk takes fewer).
 */
static enum rte_vhost_msg_result
after_message(int vid, void *arg)
{
	const struct vu_msg *msg = arg;
	struct guest *g = &guests[vid];
	const int q = queue_of(msg);

	if (msg->hdr.request == VU_SET_MEM_TABLE)
		session_resume(g->s);
	if (msg->hdr.request == VU_SET_PROTOCOL_FEATURES)
		g->protocol = msg->u.u64;
	if (msg->hdr.request == VU_SET_VRING_ENABLE)
		g->enabled[q] = msg->u.state.num != 0;
	/* Without protocol features a ring is enabled by its kick. */
	if (msg->hdr.request == VU_SET_VRING_KICK &&
	    !has_feature(vid, VHOST_USER_F_PROTOCOL_FEATURES))
		g->enabled[q] = true;
	if (q >= 0 && g->enabled[q] && ring_complete(vid, (uint16_t)q)) {
		session_queue(g->s, (uint16_t)q, true);
		start(vid);
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static const struct rte_vhost_user_extern_ops extern_ops = {
	.pre_msg_handle = before_message,
	.post_msg_handle = after_message,
};

static int
new_connection(int vid)
{
	struct session *s = session_create(backend, &session_ops, vid);

	if (s == NULL) {
		log_limited(&backend->limit, LOG_ERR,
			    "out of memory or threads for another session");
		return -1;
	}
	memset(&guests[vid], 0, sizeof(guests[vid]));
	guests[vid].s = s;
	return rte_vhost_extern_callback_register(vid, &extern_ops, NULL);
}

static void
destroy_connection(int vid)
{
	struct session *s = guests[vid].s;

	guests[vid].s = NULL;
	if (s != NULL)
		session_end(s);
	if (guests[vid].conn != 0)
		relay_tell(guests[vid].conn, true);
}

static int
new_device(int vid)
{
	return start(vid);
}

static void
destroy_device(int vid)
{
	if (guests[vid].s != NULL)
		session_stop(guests[vid].s);
}

static int
vring_state_changed(int vid, uint16_t idx, int enable)
{
	if (guests[vid].s != NULL)
		session_queue(guests[vid].s, idx, enable != 0);
	return 0;
}

static const struct rte_vhost_device_ops device_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
};

/* What DPDK logs becomes lines of ours. */
static ssize_t
log_write(void *cookie, const char *buf, size_t size)
{
	const int level = rte_log_cur_msg_loglevel();
	size_t n = size;

	(void)cookie;
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	if (level > (int)RTE_LOG_NOTICE)
		log_msg(LOG_DEBUG, "dpdk: %.*s", (int)n, buf);
	else
		log_limited(&backend->limit, level <= (int)RTE_LOG_ERR ? LOG_WARNING : LOG_INFO,
			    "dpdk: %.*s", (int)n, buf);
	return (ssize_t)size;
}

/* One lcore that floats over all CPUs we may use: EAL shall neither pin nor start threads. */
static void
all_cpus(char *buf, size_t size)
{
	cpu_set_t set;
	size_t n;

	n = (size_t)snprintf(buf, size, "--lcores=0@(");
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		CPU_ZERO(&set);
	for (int c = 0; c < CPU_SETSIZE && n < size; c++) {
		int last = c;

		if (!CPU_ISSET(c, &set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set))
			last++;
		n += (size_t)snprintf(buf + n, size - n, "%s%d-%d", buf[n - 1] == '(' ? "" : ",", c,
				      last);
		c = last;
	}
	if (n < size)
		snprintf(buf + n, size - n, ")");
}

int
vhost_init(struct backend *be)
{
	char lcores[1024], level[32];
	char *args[] = {"apird",
			"--no-huge",
			"--no-shconf",
			"--no-pci",
			"--no-telemetry",
			"--iova-mode=va",
			"-m",
			"64",
			"--file-prefix=apird",
			lcores,
			level,
			NULL};
	static const cookie_io_functions_t io = {.write = log_write};
	FILE *f;

	backend = be;
	f = fopencookie(NULL, "w", io);
	if (f != NULL) {
		setlinebuf(f);
		rte_openlog_stream(f);
	}
	all_cpus(lcores, sizeof(lcores));
	snprintf(level, sizeof(level), "--log-level=*:%d",
		 log_enabled(LOG_DEBUG) ? (int)RTE_LOG_INFO : (int)RTE_LOG_ERR);
	if (rte_eal_init(sizeof(args) / sizeof(args[0]) - 1, args) < 0) {
		log_msg(LOG_ERR, "DPDK's EAL cannot start: %s", rte_strerror(rte_errno));
		return -1;
	}
	/* It stays empty (--no-shconf): leave nothing behind, however we end. */
	rmdir(rte_eal_get_runtime_dir());
	return 0;
}

/*
 * librte_vhost's event thread looks at a new listening socket only when its poll() of the old ones
 * ends, up to a second later; a new connection ends it at once. So give it one, from a driver of no
 * use, and take it back.
 */
static void
wake_event_thread(const char *path)
{
	static const struct rte_vhost_device_ops no_ops;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(fd, 1) == 0 &&
	    rte_vhost_driver_register(path, RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT) ==
		    0) {
		rte_vhost_driver_callback_register(path, &no_ops);
		rte_vhost_driver_start(path);
		rte_vhost_driver_unregister(path);
	}
	if (fd >= 0)
		close(fd);
	unlink(path);
}

int
vhost_listen(void)
{
	const char *base[] = {"/run", getenv("XDG_RUNTIME_DIR"), "/tmp"};
	char dir[96], path[108], wake_path[108];
	int fd = -1;

	dir[0] = '\0';
	for (unsigned int i = 0; i < 3 && fd == -1; i++) {
		if (base[i] == NULL || strlen(base[i]) > 64)
			continue;
		snprintf(dir, sizeof(dir), "%s/apird-XXXXXX", base[i]);
		if (mkdtemp(dir) != NULL)
			break;
		dir[0] = '\0';
	}
	if (dir[0] == '\0') {
		log_msg(LOG_ERR,
			"no folder for a private socket: neither /run, $XDG_RUNTIME_DIR nor /tmp "
			"can be written");
		return -1;
	}
	snprintf(path, sizeof(path), "%s/vhost", dir);
	snprintf(wake_path, sizeof(wake_path), "%s/wake", dir);
	if (rte_vhost_driver_register(path, 0) == 0 &&
	    rte_vhost_driver_set_features(path, FEATURES) == 0 &&
	    rte_vhost_driver_set_protocol_features(path, PROTOCOL_FEATURES) == 0 &&
	    rte_vhost_driver_callback_register(path, &device_ops) == 0 &&
	    rte_vhost_driver_start(path) == 0)
		/* The socket needs no name any more: nothing is left behind however we end. */
		fd = open(path, O_PATH | O_CLOEXEC);
	unlink(path);
	if (fd >= 0)
		wake_event_thread(wake_path);
	rmdir(dir);
	if (fd < 0)
		log_msg(LOG_ERR, "librte_vhost cannot listen on its private socket");
	return fd;
}
