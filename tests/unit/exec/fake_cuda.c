/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fake_cuda.h"

struct fake_cuda fake;

static CUresult
error_name(CUresult e, const char **text)
{
	*text = e == FAKE_ILLEGAL ? "CUDA_ERROR_ILLEGAL_ADDRESS" : "CUDA_ERROR_FAKE";
	return CUDA_SUCCESS;
}

static CUresult
error_string(CUresult e, const char **text)
{
	(void)e;
	*text = "the fake says so";
	return CUDA_SUCCESS;
}

static CUresult
set_current(CUcontext ctx)
{
	(void)ctx;
	return CUDA_SUCCESS;
}

static CUresult
host_register(void *p, size_t size, unsigned int flags)
{
	if (fake.register_error != CUDA_SUCCESS || fake.nb_regions == FAKE_REGIONS)
		return fake.register_error;
	if (flags != (CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_PORTABLE))
		abort();
	fake.region[fake.nb_regions] = p;
	fake.size[fake.nb_regions++] = size;
	fake.registered++;
	return CUDA_SUCCESS;
}

static CUresult
host_unregister(void *p)
{
	for (unsigned int i = 0; i < fake.nb_regions; i++) {
		if (fake.region[i] != p)
			continue;
		fake.nb_regions--;
		fake.region[i] = fake.region[fake.nb_regions];
		fake.size[i] = fake.size[fake.nb_regions];
		fake.unregistered++;
		return CUDA_SUCCESS;
	}
	abort(); /* never registered, or twice given back */
}

static CUresult
stream_create(CUstream *s, unsigned int flags)
{
	if (flags != CU_STREAM_NON_BLOCKING)
		abort();
	*s = malloc(1);
	fake.streams++;
	return CUDA_SUCCESS;
}

static CUresult
stream_destroy(CUstream s)
{
	free(s);
	fake.streams--;
	return CUDA_SUCCESS;
}

static CUresult
stream_synchronize(CUstream s)
{
	(void)s;
	fake.synchronized++;
	return CUDA_SUCCESS;
}

static CUresult
stream_query(CUstream s)
{
	(void)s;
	fake.queries++;
	return fake.query_error != CUDA_SUCCESS ? fake.query_error : CUDA_ERROR_NOT_READY;
}

static CUresult
launch(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
       unsigned int by, unsigned int bz, unsigned int shared, CUstream s, void **params,
       void **extra)
{
	struct fake_launch *l = &fake.launch[fake.nb_launches % FAKE_LAUNCHES];
	unsigned int last = 1;

	if (gz != 1 || by != 1 || bz != 1 || extra != NULL)
		abort();
	if (fake.launch_error != CUDA_SUCCESS)
		return fake.launch_error;
	/* The functions of these tests have as many arguments of their own as their handle says. */
	last += (unsigned int)(uintptr_t)f % 16;
	*l = (struct fake_launch){.f = f,
				  .groups = gx,
				  .rows = gy,
				  .local = bx,
				  .shared = shared,
				  .stream = s,
				  .tables = *(void **)params[0],
				  .row = *(uint32_t *)params[last],
				  .arg = last > 1 ? *(uint32_t *)params[1] : 0};
	fake.nb_launches++;
	return CUDA_SUCCESS;
}

static CUresult
write_value(CUstream s, CUdeviceptr p, unsigned int value, unsigned int flags)
{
	const unsigned int at = fake.nb_marks % FAKE_LAUNCHES;

	(void)s;
	(void)flags;
	fake.mark[at].at = (volatile uint32_t *)(uintptr_t)p;
	fake.mark[at].value = value;
	if (fake.nb_marks++ < fake.released)
		*fake.mark[at].at = value;
	return CUDA_SUCCESS;
}

void
fake_release(unsigned int nb)
{
	for (; nb > 0; nb--, fake.released++)
		if (fake.released < fake.nb_marks)
			*fake.mark[fake.released % FAKE_LAUNCHES].at =
				fake.mark[fake.released % FAKE_LAUNCHES].value;
}

const struct cuda_api fake_api = {
	.cuGetErrorName = error_name,
	.cuGetErrorString = error_string,
	.cuCtxSetCurrent = set_current,
	.cuMemHostRegister = host_register,
	.cuMemHostUnregister = host_unregister,
	.cuStreamCreate = stream_create,
	.cuStreamDestroy = stream_destroy,
	.cuStreamSynchronize = stream_synchronize,
	.cuStreamQuery = stream_query,
	.cuStreamWriteValue32 = write_value,
	.cuLaunchKernel = launch,
	.version = 12000,
};

struct exec_dev *
fake_open(unsigned int max_pkts)
{
	struct exec_dev *dev = calloc(1, sizeof(*dev));

	memset(&fake, 0, sizeof(fake));
	dev->cuda = calloc(1, sizeof(*dev->cuda));
	dev->cuda->cu = &fake_api;
	dev->cuda->ctx = (CUcontext)dev->cuda;
	TAILQ_INIT(&dev->cuda->regions);
	dev->max_pkts = dev->max_segs = max_pkts;
	return dev;
}

void
fake_close(struct exec_dev *dev)
{
	struct cuda_dev *c = dev->cuda;

	cuda_queue_destroy((struct exec_queue *)c->warm);
	cuda_host_free(dev, c->warm_mem, c->warm_size);
	free(c);
	free(dev);
}
