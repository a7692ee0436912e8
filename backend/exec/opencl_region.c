/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Guest memory as the device sees it: one buffer over each region, where kernels reach packets through buffers. */

#include <stdlib.h>
#include <string.h>

#include "opencl.h"

struct ocl_session *
ocl_session_get(struct exec_dev *dev, unsigned int key)
{
	struct ocl_session *s;

	TAILQ_FOREACH(s, &dev->sessions, next) {
		if (s->key == key)
			return s;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->key = key;
	s->gen = 1;
	TAILQ_INSERT_TAIL(&dev->sessions, s, next);
	return s;
}

void
ocl_session_clear(struct ocl_session *s)
{
	for (unsigned int i = 0; i < s->nb; i++)
		if (s->region[i].mem != NULL)
			clReleaseMemObject(s->region[i].mem);
	memset(s->region, 0, sizeof(s->region));
	s->nb = 0;
	if (++s->gen == 0)
		s->gen = 1;
}

void
ocl_session_free(struct exec_dev *dev, struct ocl_session *s)
{
	ocl_session_clear(s);
	TAILQ_REMOVE(&dev->sessions, s, next);
	free(s);
}

void
ocl_session_put(struct exec_dev *dev, struct ocl_session *s)
{
	if (s->users == 0 && s->nb == 0)
		ocl_session_free(dev, s);
}

enum apir_status
ocl_session_set(struct exec_dev *dev, struct ocl_session *s, const struct exec_region *regions,
		unsigned int nb, struct exec_err *err)
{
	enum apir_status status = APIR_S_OK;
	cl_int e;

	ocl_session_clear(s);
	for (unsigned int i = 0; i < nb && status == APIR_S_OK; i++) {
		struct ocl_region *r = &s->region[i];

		if (regions[i].size > dev->max_alloc) {
			status = exec_err_set(
				err, APIR_S_TOOBIG,
				"guest memory region %u of %llu bytes is larger than the largest "
				"buffer of "
				"the device, %llu bytes: use another copy mode or a smaller guest",
				i, (unsigned long long)regions[i].size,
				(unsigned long long)dev->max_alloc);
			break;
		}
		r->mem = clCreateBuffer(dev->ctx, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
					regions[i].size, regions[i].va, &e);
		if (r->mem == NULL)
			status = exec_err_set(
				err, ocl_status(e),
				"no buffer over guest memory region %u of %llu bytes: %s", i,
				(unsigned long long)regions[i].size, ocl_strerror(e));
		r->start = (uintptr_t)regions[i].va;
		r->size = regions[i].size;
		s->nb = i + 1;
	}
	if (status != APIR_S_OK)
		ocl_session_clear(s);
	return status;
}

enum apir_status
ocl_mem_set(struct exec_dev *dev, unsigned int session, const struct exec_region *regions,
	    unsigned int nb, struct exec_err *err)
{
	struct ocl_session *s;
	enum apir_status status;

	if (dev->mode != APIR_COPY_NONE_BASE)
		return APIR_S_OK; /* kernels take addresses, or copies: nothing to prepare */
	if (nb > OCL_MAX_REGIONS)
		return exec_err_set(
			err, APIR_S_LIMIT,
			"guest memory of %u regions, but kernels can reach at most %u through "
			"buffers: start the guest with fewer regions (DPDK: "
			"--single-file-segments)",
			nb, OCL_MAX_REGIONS);
	s = ocl_session_get(dev, session);
	if (s == NULL)
		return exec_err_set(err, APIR_S_NOMEM, "out of memory for a session's regions");
	status = ocl_session_set(dev, s, regions, nb, err);
	ocl_session_put(dev, s);
	return status;
}

/* addr as region and offset. hint: the region of the last one, as packets of a burst lie in few. */
static inline bool
translate(const struct ocl_session *s, unsigned int *hint, apir_u64 *addr)
{
	const struct ocl_region *r = &s->region[*hint];

	if (*addr - r->start >= r->size) {
		for (*hint = 0; *hint < s->nb; (*hint)++) {
			r = &s->region[*hint];
			if (*addr - r->start < r->size)
				break;
		}
		if (*hint == s->nb) {
			*hint = 0;
			return false;
		}
	}
	*addr = (uint64_t)*hint << 56 | (*addr - r->start);
	return true;
}

bool
ocl_session_translate(const struct ocl_session *s, struct exec_burst *b, struct apir_table *t)
{
	unsigned int hint = 0, verdict_hint = 0;
	bool ok = translate(s, &verdict_hint, &t->verdicts);

	for (unsigned int i = 0; i < b->nb_pkts; i++)
		ok &= translate(s, &hint, &b->pkts[i].addr);
	for (unsigned int i = 0; i < b->nb_extra; i++)
		ok &= translate(s, &hint, &b->segs[i].addr);
	return ok;
}
