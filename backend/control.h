/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_CONTROL_H
#define APIRD_CONTROL_H

/**
 * @file
 * The control queue of a session and the thread that answers it, so that building a program keeps
 * no packet waiting.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio_apir.h"
#include "vring.h"

struct session;

struct control {
	pthread_t tid;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	/* under lock */
	struct vring_dev vr;
	bool attached;	    /**< the ring is served, and guest memory is there */
	bool quit;	    /**< the connection is gone */
	unsigned int epoch; /**< the ring was set up anew: requests taken before are nobody's */
	bool anew;	    /**< by a driver that has said no HELLO yet */
	bool broken_told;   /**< the log has it that the guest broke the ring */
	unsigned int empty_kicks; /**< that brought no request, on a ring that never had one */
	int kick_fd;
	/* of the thread */
	int ep_fd, wake_fd;
	unsigned int my_epoch;
	uint8_t *in, *out; /**< APIR_CTL_MAX bytes each */
};

/** Start the thread. Returns 0 or a negative errno. */
int control_start(struct session *s);
/** Free what control_start() made: by the thread's last act. */
void control_release(struct control *c);
/** Tell the thread to clean the session up and free it. Does not wait. */
void control_quit(struct session *s);

/** Serve the ring; anew: for a driver that begins anew. Returns 0 or a negative errno. */
int control_attach(struct session *s, const struct vring_dev *vr, int kick_fd, bool anew);
/**
 * Let go of the ring. On return the thread touches neither it nor guest memory. restart: requests
 * not answered yet are void. Returns whether it was attached, and in *vr where the ring stands.
 */
bool control_detach(struct session *s, bool restart, struct vring_dev *vr);

/** Let fd wake the thread when it becomes readable; closing it ends that. From the thread. Returns 0 or a negative errno. */
int control_watch(struct session *s, int fd);

/**
 * Begin to use guest memory from the control thread; waits while the session is paused.
 * False when the request's guest is gone. On true, control_mem_end() must follow soon: the
 * vhost thread waits for it.
 */
bool control_mem_begin(struct session *s);
/** The same without waiting: false also while the session is paused. */
bool control_mem_try(struct session *s);
void control_mem_end(struct session *s);

/**
 * Answer one control message: in of in_len bytes into out of room bytes. Returns the bytes of the
 * answer, 0 when there is no room for any.
 */
size_t control_answer(struct session *s, const uint8_t *in, size_t in_len, uint8_t *out,
		      size_t room);

#endif /* APIRD_CONTROL_H */
