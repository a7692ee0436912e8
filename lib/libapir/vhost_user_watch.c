/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vhost_user.h"

static void *
watch(void *arg)
{
	struct vu_transport *t = arg;
	/* no POLLIN: replies belong to whoever asked */
	struct pollfd pfd[2] = {{.fd = t->sock, .events = POLLRDHUP},
				{.fd = t->wake_fd, .events = POLLIN}};

	for (;;) {
		if (poll(pfd, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			apir_log(t->base.env, APIR_LOG_ERR, "%s: cannot watch the connection: %s",
				 t->path, strerror(errno));
			return NULL;
		}
		if (pfd[1].revents != 0)
			return NULL;
		if (pfd[0].revents != 0)
			break;
	}
	atomic_store(&t->dead, true);
	apir_log(t->base.env, APIR_LOG_WARNING, "%s: the back-end has closed the connection",
		 t->path);
	if (t->lost != NULL)
		t->lost(t->lost_ctx);
	return NULL;
}

int
vu_watch_start(struct vu_transport *t)
{
	sigset_t all, old;
	int ret;

	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->wake_fd < 0)
		return -errno;
	/* signals are the application's: none may be delivered to a thread it does not know */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&t->watcher, NULL, watch, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret != 0)
		return -ret;
	pthread_setname_np(t->watcher, "apir-watch");
	t->watcher_runs = true;
	return 0;
}

void
vu_watch_stop(struct vu_transport *t)
{
	const uint64_t one = 1;

	if (t->watcher_runs) {
		/* cannot fail: nobody else writes to it, so the counter does not overflow */
		if (write(t->wake_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
			pthread_join(t->watcher, NULL);
		t->watcher_runs = false;
	}
	if (t->wake_fd >= 0)
		close(t->wake_fd);
	t->wake_fd = -1;
}
