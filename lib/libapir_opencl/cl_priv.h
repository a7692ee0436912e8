/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_PRIV_H
#define APIR_CL_PRIV_H

/** @file The session's own structure, for cl_session.c and cl_lane.c. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "apir_ctl_client.h"
#include "cl_session.h"

struct session;

struct lane {
	struct cl_lane l; /* first: users have a pointer to it */
	struct session *s;
	struct apir_vq *vq;
	uint16_t queue;
	int call_fd;
	bool same_cpu; /* the last answer came from a thread on our processor */
	bool output;   /* kernels have printed */
	bool mute;     /* a call was not answered as it must be: the device may still write here */
	struct lane *next;
};

struct session {
	struct cl_session_info info; /* first: cl_session() is a pointer to it */
	uint32_t number;
	atomic_bool lost;
	struct apir_env env;
	struct apir_transport *t;
	struct apir_vq *ctl_vq;
	struct apir_ctl *ctl;
	/* lanes */
	pthread_mutex_t lock;
	pthread_cond_t freed;
	unsigned int nb_waiting;
	struct lane *free; /* the one used last first: its memory is in the cache */
	struct lane lanes[APIR_CL_MAX_LANES];
};

/** The session of this process, lost or not; NULL: none. */
struct session *cl_session_now(void);
/** No call may begin any more, and who waits for an answer waits in vain. From any thread. */
void cl_session_lose(struct session *s);

/** Make nb lanes and tell the transport of them. 0 or a negative errno. */
int cl_lanes_make(struct session *s, unsigned int nb);
void cl_lanes_free(struct session *s);
/** Wake whoever sleeps on a lane or waits for one: the session is lost. */
void cl_lanes_wake(struct session *s);

/** Around fork(): the child has no lane and nothing to release. */
void cl_lanes_fork_prepare(struct session *s);
void cl_lanes_fork_parent(struct session *s);
void cl_lanes_fork_child(struct session *s);
/** The same for objects (cl_object.c). */
void cl_objects_fork_prepare(void);
void cl_objects_fork_parent(void);

#endif /* APIR_CL_PRIV_H */
