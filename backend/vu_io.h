/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_VU_IO_H
#define APIRD_VU_IO_H

/**
 * @file
 * Whole vhost-user messages, with their file descriptors, over a Unix socket that does not block.
 */

#include "vu_msg.h"

/** A message being read, with the fds that came with it: to be closed by their reader. */
struct inbox {
	struct vu_msg msg;
	size_t got;
	int fds[VU_MSG_MAX_FDS];
	unsigned int nb_fds;
};

/** Forget the message and close its fds. */
void inbox_clear(struct inbox *in);

/** Read until a message is whole: 1; 0 not yet; -1 the peer is gone or sends nonsense. */
int inbox_fill(struct inbox *in, int fd);

/** Send a whole message: one so small goes as a whole, or with EAGAIN not at all. Returns 0, or -1 and errno. */
int send_msg(int fd, const struct vu_msg *msg, const int *fds, unsigned int nb_fds);

#endif /* APIRD_VU_IO_H */
