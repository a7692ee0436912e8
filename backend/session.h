/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_SESSION_H
#define APIRD_SESSION_H

/**
 * @file
 * A session: one connection of a front-end, its memory, queues and objects. Knows nothing of
 * librte_vhost: vhost.c tells it what happens, and it asks through struct session_ops.
 *
 * Threads: the vhost thread makes, starts, pauses, stops and ends sessions; the session's control
 * thread answers its control queue; poll threads serve its data queues.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "burst.h"
#include "control.h"
#include "objtab.h"
#include "poller.h"
#include "worker.h"

#define SESSION_MAX_QUEUES (1 + APIR_MAX_DATA_QUEUES)

/** What all sessions share. */
struct backend {
	const struct exec_ops *ops;
	struct exec_dev *dev;
	struct exec_info info;
	pthread_mutex_t exec_lock; /**< an executor takes control calls from one thread at a time */
	pthread_mutex_t
		mem_lock; /**< and mem_set, queue_create, queue_destroy; taken inside exec_lock */
	struct poll *poll;
	struct log_limit limit;	 /**< of all lines that the guest can cause */
	unsigned int max_queues; /**< data queues of a session */
	unsigned int max_sessions;
	uint64_t max_device_memory; /**< 0: no limit but the device's own */
	/** Program that runs guests' OpenCL programs; NULL: they get no OpenCL. What follows is for it. */
	const char *worker_path;
	const char *cache_dir; /**< NULL: no cache */
	bool any_device;       /**< the operator has named none */
	unsigned int idle_us;
	int log_level;
	/** Sessions that exist, those still ending included. */
	_Atomic unsigned int nb_connections;
	_Atomic unsigned int nb_sessions; /**< of them, those that HELLO has admitted */
	_Atomic unsigned int nb_ending;	  /**< of those, the ones whose guest has gone */
	_Atomic unsigned int last_id;
	/**
	 * Session whose new pipeline is being made, which runs its kernels once; 0: none. For the
	 * watchdog.
	 */
	_Atomic unsigned int making;
	_Atomic unsigned int made; /**< pipelines made */
};

/** How a session asks for what the front-end has said. */
struct session_ops {
	/** Up to max regions; returns their number or a negative errno. */
	int (*get_mem)(int vid, struct mem_region *regions, unsigned int max);
	/**
	 * Ring idx as the front-end set it up; its fds stay the caller's. Returns 0 or a negative
	 * errno.
	 */
	int (*get_vring)(int vid, uint16_t idx, struct vring_conf *conf);
	/** Ring idx stands here now. */
	void (*put_base)(int vid, uint16_t idx, uint16_t last_avail, uint16_t last_used);
};

enum session_state {
	SESSION_STOPPED, /**< no ring is served */
	SESSION_RUNNING,
	SESSION_PAUSED, /**< running, but memory or rings are being replaced */
};

struct session {
	struct backend *be;
	const struct session_ops *sops;
	int vid;
	unsigned int id; /**< number in the log */
	enum session_state state;
	bool enabled[SESSION_MAX_QUEUES];
	_Atomic bool attached[SESSION_MAX_QUEUES];
	int kick_fd[SESSION_MAX_QUEUES], call_fd[SESSION_MAX_QUEUES]; /**< our own copies */
	_Atomic(struct dataq *) q[APIR_MAX_DATA_QUEUES]; /**< made when first attached */
	struct mem_table mem;
	struct control ctl;
	struct worker worker; /**< under the control lock */
	bool left; /**< the driver stopped the rings: the control ring stood at left_used */
	uint16_t left_used;
	/* of the control thread */
	bool admitted;	   /**< it has a place among the sessions */
	bool said;	   /**< HELLO succeeded, and the driver has not begun anew */
	uint64_t features; /**< APIR_F_* agreed on */
	/** The executor has the guest's memory: since the first HELLO that wants bursts; its pages may be pinned for that. */
	bool shared;
	struct exec_queue *xq[APIR_MAX_DATA_QUEUES];
	char driver_name[APIR_NAME_LEN];
	struct objtab programs, kernels, buffers, pipelines;
	uint64_t calls; /**< remote procedure calls answered */
};

/** NULL when there is no memory or no thread. */
struct session *session_create(struct backend *be, const struct session_ops *sops, int vid);
/**
 * The connection is gone. What takes long (a program being built) is waited for elsewhere: s is not
 * valid any more.
 */
void session_end(struct session *s);

/** All rings are set up: serve them. Returns 0 or -1. */
int session_start(struct session *s);
/**
 * The front-end takes its rings back. On return nothing touches them, nor any buffer, nor the
 * guest's memory.
 */
void session_stop(struct session *s);
/** As session_stop(), until session_resume(): requests being worked on are answered after that. */
void session_pause(struct session *s);
void session_resume(struct session *s);
/** A ring was enabled or disabled. */
void session_queue(struct session *s, uint16_t idx, bool enable);

/** Destroy all it has and free it: the control thread's last act. */
void session_free(struct session *s);
/**
 * Forget all objects: for a new driver on the same connection, and at the end. Control thread only.
 */
void session_reset(struct session *s);
/** Give the executor the guest's memory, if it has not got it. From the control thread, between control_mem_begin() and its end. */
enum apir_status session_share_memory(struct session *s, struct exec_err *err);
/** Data queues that are being served. */
unsigned int session_data_queues(const struct session *s);

#endif /* APIRD_SESSION_H */
