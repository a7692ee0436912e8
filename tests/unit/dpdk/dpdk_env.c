/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <dirent.h>

#include <rte_eal.h>

#include "dpdk_env.h"

struct rte_mempool *env_pool;

int
env_start(void **state)
{
	char *args[] = {"test",		  "--no-huge",	 "-m", "64", "--no-pci",
			"--no-telemetry", "--no-shconf", "-l", "0",  NULL};

	(void)state;
	if (rte_eal_init(9, args) < 0)
		return -1;
	env_pool =
		rte_pktmbuf_pool_create("test", ENV_POOL_SIZE, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	return env_pool == NULL ? -1 : 0;
}

int
env_stop(void **state)
{
	(void)state;
	rte_mempool_free(env_pool);
	return rte_eal_cleanup();
}

struct rte_mbuf *
env_packet(unsigned int nb_segs, uint16_t len)
{
	struct rte_mbuf *m = NULL, *seg;
	unsigned int i;

	for (i = 0; i < nb_segs; i++) {
		seg = rte_pktmbuf_alloc(env_pool);
		assert_non_null(seg);
		if (len != 0)
			assert_non_null(rte_pktmbuf_append(seg, len));
		if (m == NULL)
			m = seg;
		else
			assert_int_equal(rte_pktmbuf_chain(m, seg), 0);
	}
	return m;
}

int
env_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 3; /* "." and ".." and the folder itself */
}
