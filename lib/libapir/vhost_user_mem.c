/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "vhost_user.h"

/* With the lock held. */
static int
send_mem_table(struct vu_transport *t, const struct apir_mem_region *regions, unsigned int nb)
{
	struct vu_msg msg = {.request = VU_SET_MEM_TABLE};
	int fds[APIR_MEM_MAX_REGIONS];
	unsigned int i;
	int ret;

	for (i = 0; i < nb; i++) {
		msg.payload.mem.region[i] = (struct vu_mem_region){
			.guest_addr = regions[i].guest_addr,
			.size = regions[i].size,
			.user_addr = (uintptr_t)regions[i].va,
			.mmap_offset = regions[i].fd_offset,
		};
		fds[i] = regions[i].fd;
		apir_log(t->base.env, APIR_LOG_DEBUG,
			 "%s: memory region %u: %" PRIu64 " MiB at 0x%" PRIx64, t->path, i,
			 regions[i].size >> 20, regions[i].guest_addr);
	}
	msg.payload.mem.nb = nb;
	msg.size = (uint32_t)(offsetof(struct vu_mem_table, region) +
			      nb * sizeof(struct vu_mem_region));
	ret = vu_call(t, &msg, fds, nb, -1);
	if (ret == 0)
		t->mem_sent = true;
	return ret;
}

static int
check_regions(const struct vu_transport *t, const struct apir_mem_region *regions, unsigned int nb)
{
	unsigned int i;

	if (nb == 0) {
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: there is no memory to share with the device", t->path);
		return -EINVAL;
	}
	if (nb > APIR_MEM_MAX_REGIONS) {
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: %u memory regions, but vhost-user takes at most %u: back the "
			 "memory with fewer files",
			 t->path, nb, APIR_MEM_MAX_REGIONS);
		return -E2BIG;
	}
	for (i = 0; i < nb; i++) {
		if (regions[i].fd >= 0 && regions[i].size != 0)
			continue;
		apir_log(t->base.env, APIR_LOG_ERR,
			 "%s: memory region %u at 0x%" PRIx64 " has %s, so it cannot be shared",
			 t->path, i, regions[i].guest_addr,
			 regions[i].size == 0 ? "no bytes" : "no file behind it");
		return -EINVAL;
	}
	return 0;
}

int
vu_update_mem(struct vu_transport *t, const struct apir_mem_region *regions, unsigned int nb,
	      bool first)
{
	struct apir_mem_region own[APIR_MEM_MAX_REGIONS];
	const bool ask = regions == NULL;
	uint64_t gen;
	int ret;

	pthread_mutex_lock(&t->lock);
	for (;;) {
		if (!t->mem_sent && !first) {
			/* start() will ask for the memory of that moment; if it asked already, it asks again */
			t->mem_gen++;
			ret = 0;
			break;
		}
		if (ask) {
			gen = t->mem_gen;
			pthread_mutex_unlock(&t->lock);
			ret = t->base.env->mem_regions(t->base.env, own, APIR_MEM_MAX_REGIONS);
			pthread_mutex_lock(&t->lock);
			if (ret < 0)
				break;
			/* a table that another thread announced meanwhile is newer than ours */
			if (gen != t->mem_gen)
				continue;
			regions = own;
			nb = (unsigned int)ret;
		}
		ret = check_regions(t, regions, nb);
		if (ret != 0)
			break;
		t->mem_gen++;
		ret = send_mem_table(t, regions, nb);
		break;
	}
	pthread_mutex_unlock(&t->lock);
	return ret;
}
