/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * What kernels print. PoCL writes it to file descriptor 1 itself when the kernel has run, past the program's stdio; so do we, for the same order
 * of lines as natively.
 */

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

#include "cl_output.h"

void
cl_output_print(const void *text, size_t len)
{
	const uint8_t *p = text;
	const int saved = errno;

	while (len > 0) {
		const ssize_t n = write(STDOUT_FILENO, p, len);

		if (n >= 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			struct pollfd pfd = {.fd = STDOUT_FILENO, .events = POLLOUT};

			if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
				break;
		} else if (errno != EINTR) {
			break; /* closed: natively it is lost as well */
		}
	}
	errno = saved;
}
