/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Memory that kernels reach: the guest's, registered where it lies, and the GPU's own. */

#include <numa.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cuda.h"

#define HUGE	 ((size_t)2 << 20)
#define REGISTER (CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_PORTABLE)

static void
forget(struct exec_dev *dev, unsigned int session)
{
	struct cuda_dev *c = dev->cuda;
	struct cuda_region *r, *next;

	for (r = TAILQ_FIRST(&c->regions); r != NULL; r = next) {
		next = TAILQ_NEXT(r, next);
		if (r->session != session)
			continue;
		c->cu->cuMemHostUnregister(r->va);
		TAILQ_REMOVE(&c->regions, r, next);
		free(r);
	}
}

static enum apir_status
learn(struct exec_dev *dev, unsigned int session, const struct exec_region *region, unsigned int i,
      struct exec_err *err)
{
	struct cuda_dev *c = dev->cuda;
	struct cuda_region *r = calloc(1, sizeof(*r));
	CUresult e;

	if (r == NULL)
		return exec_err_set(err, APIR_S_NOMEM, "out of memory for a session's regions");
	e = c->cu->cuMemHostRegister(region->va, region->size, REGISTER);
	if (e != CUDA_SUCCESS) {
		free(r);
		cuda_fail(dev, e, err, "guest memory region %u of %llu MiB cannot be registered", i,
			  (unsigned long long)(region->size >> 20));
		exec_err_add(err,
			     " (hugepages, less guest memory or a higher RLIMIT_MEMLOCK may help; "
			     "apird --executor opencl works without, with copies)");
		return APIR_S_NOMEM;
	}
	r->session = session;
	r->va = region->va;
	r->size = region->size;
	TAILQ_INSERT_TAIL(&c->regions, r, next);
	return APIR_S_OK;
}

enum apir_status
cuda_mem_set(struct exec_dev *dev, unsigned int session, const struct exec_region *regions,
	     unsigned int nb, struct exec_err *err)
{
	enum apir_status status = APIR_S_OK;

	if (cuda_enter(dev) != CUDA_SUCCESS)
		return exec_err_set(err, APIR_S_DEVICE, "%s", dev->cuda->lost_text);
	/* All of them: a region at the old place may be other memory now. */
	forget(dev, session);
	for (unsigned int i = 0; i < nb && status == APIR_S_OK; i++)
		status = learn(dev, session, &regions[i], i, err);
	if (status != APIR_S_OK)
		forget(dev, session);
	return status;
}

/* Whole huge pages where the kernel has them: the GPU then has a few entries for it, not one for each 4 KiB. */
static void *
huge_alloc(size_t size, int node)
{
	uint8_t *m =
		mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const size_t before = (HUGE - (uintptr_t)m % HUGE) % HUGE;

	if (m == MAP_FAILED)
		return NULL;
	if (before > 0)
		munmap(m, before);
	m += before;
	munmap(m + size, HUGE - before);
	madvise(m, size, MADV_HUGEPAGE);
	if (node >= 0 && numa_available() >= 0 && node <= numa_max_node())
		numa_tonode_memory(m, size, node);
	memset(m, 0, size); /* its pages are there before the GPU is told of them */
	return m;
}

void *
cuda_host_alloc(struct exec_dev *dev, size_t size, int node, struct exec_err *err)
{
	void *p = huge_alloc(size, node);
	CUresult e;

	if (p == NULL) {
		exec_err_set(err, APIR_S_NOMEM, "out of memory for a queue");
		return NULL;
	}
	e = dev->cuda->cu->cuMemHostRegister(p, size, REGISTER);
	if (e == CUDA_SUCCESS)
		return p;
	cuda_fail(dev, e, err, "memory of a queue cannot be registered");
	munmap(p, size);
	return NULL;
}

void
cuda_host_free(struct exec_dev *dev, void *p, size_t size)
{
	if (p == NULL)
		return;
	dev->cuda->cu->cuMemHostUnregister(p);
	munmap(p, size);
}

enum apir_status
cuda_buffer_create(struct exec_dev *dev, uint64_t size, struct exec_buffer **out,
		   struct exec_err *err)
{
	struct cuda_dev *c = dev->cuda;
	enum apir_status status;
	struct exec_buffer *b;
	CUdeviceptr p = 0;
	CUresult e;

	*out = NULL;
	if (size == 0)
		return exec_err_set(err, APIR_S_INVAL, "a buffer of 0 bytes");
	status = ocl_mem_take(dev, size, err);
	if (status != APIR_S_OK)
		return status;
	b = calloc(1, sizeof(*b));
	if (b == NULL) {
		ocl_mem_give(dev, size);
		return exec_err_set(err, APIR_S_NOMEM, "out of memory for a buffer");
	}
	b->dev = dev;
	b->refs = 1;
	b->size = size;
	e = cuda_enter(dev);
	if (e == CUDA_SUCCESS)
		e = c->cu->cuMemAlloc(&p, size);
	b->ptr = p;
	/* Never show one guest what another left. */
	if (e == CUDA_SUCCESS)
		e = c->cu->cuMemsetD8Async(p, 0, size, c->ctl);
	if (e == CUDA_SUCCESS)
		e = c->cu->cuStreamSynchronize(c->ctl);
	if (e != CUDA_SUCCESS) {
		status = cuda_fail(dev, e, err, "a buffer of %llu bytes", (unsigned long long)size);
		ocl_buffer_destroy(b);
		return status;
	}
	*out = b;
	return APIR_S_OK;
}

void
cuda_buffer_free(struct exec_buffer *b)
{
	if (b->ptr != 0 && cuda_enter(b->dev) == CUDA_SUCCESS)
		b->dev->cuda->cu->cuMemFree(b->ptr);
}

enum apir_status
cuda_buffer_write(struct exec_buffer *b, uint64_t offset, const void *data, uint64_t len,
		  struct exec_err *err)
{
	enum apir_status status = ocl_buffer_check(b, "a write", offset, len, err);
	struct cuda_dev *c = b->dev->cuda;
	CUresult e;

	if (status != APIR_S_OK || len == 0)
		return status;
	e = cuda_enter(b->dev);
	if (e == CUDA_SUCCESS)
		e = c->cu->cuMemcpyHtoDAsync(b->ptr + offset, data, len, c->ctl);
	if (e == CUDA_SUCCESS)
		e = c->cu->cuStreamSynchronize(c->ctl);
	if (e == CUDA_SUCCESS)
		return APIR_S_OK;
	return cuda_fail(b->dev, e, err, "a write of %llu bytes to a buffer",
			 (unsigned long long)len);
}

enum apir_status
cuda_buffer_read(struct exec_buffer *b, uint64_t offset, void *data, uint64_t len,
		 struct exec_err *err)
{
	enum apir_status status = ocl_buffer_check(b, "a read", offset, len, err);
	struct cuda_dev *c = b->dev->cuda;
	CUresult e;

	if (status != APIR_S_OK || len == 0)
		return status;
	e = cuda_enter(b->dev);
	if (e == CUDA_SUCCESS)
		e = c->cu->cuMemcpyDtoHAsync(data, b->ptr + offset, len, c->ctl);
	if (e == CUDA_SUCCESS)
		e = c->cu->cuStreamSynchronize(c->ctl);
	if (e == CUDA_SUCCESS)
		return APIR_S_OK;
	return cuda_fail(b->dev, e, err, "a read of %llu bytes from a buffer",
			 (unsigned long long)len);
}
