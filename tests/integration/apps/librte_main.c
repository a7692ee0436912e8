/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_eal.h>

#include "librte_app.h"

const char *app_sock;
struct rte_mempool *app_pool;

static int script = -1;

static const struct app_group *const groups[] = {
	&group_objects, &group_buffers, &group_bursts, &group_memory,  &group_extmem,	&group_lost,
	&group_hung,	&group_many,	&group_zero,   &group_refused, &group_loopback,
};

void
app_ask(const char *what)
{
	char answer[3] = "";

	assert_true(script >= 0);
	assert_int_equal(write(script, what, strlen(what)), strlen(what));
	assert_int_equal(write(script, "\n", 1), 1);
	assert_int_equal(recv(script, answer, 2, MSG_WAITALL), 2);
	assert_string_equal(answer, "ok");
}

static int
connect_script(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	script = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return script < 0 ? -1 : connect(script, (struct sockaddr *)&sa, sizeof(sa));
}

/* librte-app GROUP APIRD_SOCKET SCRIPT_SOCKET EAL_OPTIONS... */
int
main(int argc, char **argv)
{
	const struct app_group *g = NULL;
	unsigned int i;
	int ret;

	for (i = 0; argc >= 4 && i < RTE_DIM(groups); i++) {
		if (strcmp(groups[i]->name, argv[1]) == 0)
			g = groups[i];
	}
	if (g == NULL) {
		fprintf(stderr, "usage: %s GROUP APIRD_SOCKET SCRIPT_SOCKET EAL_OPTIONS...\n",
			argv[0]);
		return 2;
	}
	app_sock = argv[2];
	if (connect_script(argv[3]) != 0) {
		perror(argv[3]);
		return 2;
	}
	argv[3] = argv[0];
	if (rte_eal_init(argc - 3, argv + 3) < 0)
		return 2;
	app_pool = rte_pktmbuf_pool_create("app", POOL_SIZE, 0, 0, RTE_PKTMBUF_HEADROOM + NB_DATA,
					   SOCKET_ID_ANY);
	if (app_pool == NULL) {
		fprintf(stderr, "no mbuf pool: give EAL more memory\n");
		return 2;
	}
	ret = app_run(g);
	rte_mempool_free(app_pool);
	if (rte_eal_cleanup() != 0)
		return 2;
	close(script);
	return ret != 0;
}
