/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

#define ROOM_MIN  (64u << 10)
#define PIPE_SIZE (1 << 20)

/* Room for more, up to the limit. Under lock. */
static void
grow(struct output *o, size_t more)
{
	size_t room = o->room > 0 ? o->room : ROOM_MIN;
	uint8_t *buf;

	while (room < OUTPUT_MAX && room - o->len < more)
		room *= 2;
	if (room == o->room)
		return;
	buf = malloc(room);
	if (buf == NULL)
		return;
	for (size_t n = 0; n < o->len;) {
		const size_t at = (o->first + n) % o->room;
		const size_t k = o->room - at < o->len - n ? o->room - at : o->len - n;

		memcpy(buf + n, o->buf + at, k);
		n += k;
	}
	free(o->buf);
	o->buf = buf;
	o->room = room;
	o->first = 0;
}

/* Under lock. */
static void
put(struct output *o, const uint8_t *src, size_t n)
{
	grow(o, n);
	if (n > o->room - o->len) {
		/* n is at most what one read brings, far less than the limit. */
		const size_t drop = n - (o->room - o->len);

		if (drop > o->len) {
			o->dropped += n;
			return;
		}
		o->first = (o->first + drop) % o->room;
		o->len -= drop;
		o->dropped += drop;
	}
	while (n > 0) {
		const size_t at = (o->first + o->len) % o->room;
		const size_t k = o->room - at < n ? o->room - at : n;

		memcpy(o->buf + at, src, k);
		o->len += k;
		src += k;
		n -= k;
	}
}

void
output_look(struct output *o)
{
	uint8_t buf[16384];
	ssize_t n;

	pthread_mutex_lock(&o->lock);
	while ((n = read(o->fd, buf, sizeof(buf))) > 0) {
		put(o, buf, (size_t)n);
		atomic_store_explicit(&o->pending, o->len > 0, memory_order_release);
		if ((size_t)n < sizeof(buf))
			break;
	}
	pthread_mutex_unlock(&o->lock);
}

size_t
output_take(struct output *o, void *dst, size_t room)
{
	size_t n = 0;

	pthread_mutex_lock(&o->lock);
	while (n < room && o->len > 0) {
		size_t k = o->room - o->first < o->len ? o->room - o->first : o->len;

		if (k > room - n)
			k = room - n;
		memcpy((uint8_t *)dst + n, o->buf + o->first, k);
		o->first = (o->first + k) % o->room;
		o->len -= k;
		n += k;
	}
	atomic_store_explicit(&o->pending, o->len > 0, memory_order_release);
	pthread_mutex_unlock(&o->lock);
	return n;
}

static void *
output_main(void *arg)
{
	struct output *o = arg;
	struct pollfd p = {.fd = o->fd, .events = POLLIN};

	for (;;)
		if (poll(&p, 1, -1) > 0)
			output_look(o);
	return NULL;
}

int
output_start(struct output *o)
{
	pthread_t tid;
	int fd[2], ret;

	memset(o, 0, sizeof(*o));
	pthread_mutex_init(&o->lock, NULL);
	if (pipe2(fd, O_CLOEXEC) != 0)
		return -errno;
	o->fd = fd[0];
	/* Only our end: a runtime that finds the pipe full waits for our thread. */
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	fcntl(fd[1], F_SETPIPE_SZ, PIPE_SIZE);
	if (dup2(fd[1], STDOUT_FILENO) < 0)
		return -errno;
	close(fd[1]);
	setvbuf(stdout, NULL, _IONBF, 0);
	ret = pthread_create(&tid, NULL, output_main, o);
	if (ret == 0) {
		pthread_setname_np(tid, "cl-output");
		pthread_detach(tid);
	}
	return -ret;
}
