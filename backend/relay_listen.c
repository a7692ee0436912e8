/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "relay_listen.h"

static int
stream_socket(const char *path, struct sockaddr_un *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	strncpy(sa->sun_path, path, sizeof(sa->sun_path) - 1);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int
listen_connect(const char *path)
{
	struct sockaddr_un sa;
	const int fd = stream_socket(path, &sa);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		const int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

/* A socket file that nobody listens on is a dead apird's. */
static int
remove_stale(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) != 0) {
		if (errno == ENOENT)
			return 0;
		log_msg(LOG_ERR, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISSOCK(st.st_mode)) {
		log_msg(LOG_ERR,
			"%s exists and is no socket: remove it, or choose another --socket-path",
			path);
		return -1;
	}
	fd = listen_connect(path);
	if (fd >= 0 || errno == EAGAIN) {
		if (fd >= 0)
			close(fd);
		log_msg(LOG_ERR,
			"%s: another process listens there: end it, or choose another "
			"--socket-path",
			path);
		return -1;
	}
	if (errno != ECONNREFUSED || unlink(path) != 0) {
		log_msg(LOG_ERR, "%s: a socket that cannot be replaced: %s", path, strerror(errno));
		return -1;
	}
	log_msg(LOG_INFO, "%s: a socket left behind was removed", path);
	return 0;
}

int
listen_on(const char *path, struct stat *st)
{
	struct sockaddr_un sa;
	char dir[PATH_MAX];
	int fd;

	strncpy(dir, path, sizeof(dir) - 1);
	dir[sizeof(dir) - 1] = '\0';
	if (remove_stale(path) != 0)
		return -1;
	fd = stream_socket(path, &sa);
	if (fd < 0) {
		log_msg(LOG_ERR, "no socket: %s", strerror(errno));
		return -1;
	}
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 &&
	    (errno != ENOENT || mkdir(dirname(dir), 0755) != 0 ||
	     bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)) {
		log_msg(LOG_ERR,
			"cannot listen on %s: %s: create its folder, or choose another "
			"--socket-path",
			path, strerror(errno));
		close(fd);
		return -1;
	}
	if (listen(fd, 128) != 0 || stat(path, st) != 0) {
		log_msg(LOG_ERR, "cannot listen on %s: %s", path, strerror(errno));
		unlink(path);
		close(fd);
		return -1;
	}
	return fd;
}

int
listen_inherited(int fd, bool *listening)
{
	socklen_t len = sizeof(int);
	int type, domain, accepting = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0) {
		log_msg(LOG_ERR,
			"--fd %d: %s: a Unix stream socket must be inherited under this number", fd,
			strerror(errno));
		return -1;
	}
	if (domain != AF_UNIX || type != SOCK_STREAM) {
		log_msg(LOG_ERR, "--fd %d is not a Unix stream socket", fd);
		return -1;
	}
	len = sizeof(accepting);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &len) != 0)
		accepting = 0;
	*listening = accepting != 0;
	if (!*listening) {
		struct sockaddr_un peer;

		len = sizeof(peer);
		if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0) {
			log_msg(LOG_ERR, "--fd %d: the socket is neither listening nor connected",
				fd);
			return -1;
		}
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return 0;
}
