/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Bytes on their way in and out: all sizes, blocking and not, mapped, and when a program may look at them.
 */

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "opencl_app.h"

#define GUARD 64

/* size bytes in a buffer at off, by each way in and each way out; what lies beside them in either memory stays. */
static void
there_and_back(cl_command_queue q, size_t size, size_t off, cl_bool wait)
{
	const size_t all = off + size + GUARD;
	uint8_t *in = malloc(size), *out = malloc(size + 2 * GUARD), *m, *edge = malloc(GUARD);
	cl_mem mem = buffer(CL_MEM_READ_WRITE, all, NULL);
	const uint8_t zero = 0x5a;
	cl_int err;

	CHECK(in != NULL && out != NULL && edge != NULL);
	OK(clEnqueueFillBuffer(q, mem, &zero, 1, 0, all, 0, NULL, NULL));
	pattern(in, size, (unsigned int)size);
	OK(clEnqueueWriteBuffer(q, mem, wait, off, size, in, 0, NULL, NULL));
	if (!wait)
		OK(clFinish(q));
	memset(out, 0xa5, size + 2 * GUARD);
	OK(clEnqueueReadBuffer(q, mem, wait, off, size, out + GUARD, 0, NULL, NULL));
	if (!wait)
		OK(clFinish(q));
	CHECK(memcmp(out + GUARD, in, size) == 0);
	for (size_t i = 0; i < GUARD; i++)
		CHECK(out[i] == 0xa5 && out[GUARD + size + i] == 0xa5);
	OK(clEnqueueReadBuffer(q, mem, CL_TRUE, off + size, GUARD, edge, 0, NULL, NULL));
	for (size_t i = 0; i < GUARD; i++)
		CHECK(edge[i] == zero);

	pattern(in, size, (unsigned int)size + 1);
	m = clEnqueueMapBuffer(q, mem, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, off, size, 0, NULL,
			       NULL, &err);
	OK(err);
	memcpy(m, in, size);
	OK(clEnqueueUnmapMemObject(q, mem, m, 0, NULL, NULL));
	m = clEnqueueMapBuffer(q, mem, wait, CL_MAP_READ, off, size, 0, NULL, NULL, &err);
	OK(err);
	if (!wait)
		OK(clFinish(q));
	CHECK(memcmp(m, in, size) == 0);
	OK(clEnqueueUnmapMemObject(q, mem, m, 0, NULL, NULL));
	OK(clFinish(q));
	OK(clReleaseMemObject(mem));
	free(edge);
	free(in);
	free(out);
}

struct seen {
	const uint8_t *at;
	size_t size;
	uint8_t last;
	_Atomic int called;
};

static void CL_CALLBACK
on_read(cl_event ev, cl_int status, void *user)
{
	struct seen *s = user;

	(void)ev;
	s->last = s->at[s->size - 1];
	atomic_store(&s->called, status == CL_COMPLETE ? 1 : -1);
}

/* By whatever the program learns that a read is complete, its bytes are there by then. */
static void
complete_is_complete(size_t size)
{
	cl_command_queue q = queue(0), other = queue(0);
	uint8_t *in = malloc(size), *out = malloc(size);
	cl_mem mem = buffer(CL_MEM_READ_WRITE, size, NULL);
	struct seen seen = {.at = out, .size = size};
	cl_event user, ev, marker;
	cl_int err, status;

	CHECK(in != NULL && out != NULL);
	pattern(in, size, 99);
	OK(clEnqueueWriteBuffer(q, mem, CL_TRUE, 0, size, in, 0, NULL, NULL));
	for (unsigned int way = 0; way < 5; way++) {
		memset(out, ~in[size - 1], size);
		user = clCreateUserEvent(ctx, &err);
		OK(err);
		OK(clEnqueueReadBuffer(q, mem, CL_FALSE, 0, size, out, 1, &user, &ev));
		OK(clEnqueueMarkerWithWaitList(other, 1, &ev, &marker));
		if (way == 3)
			OK(clSetEventCallback(ev, CL_COMPLETE, on_read, &seen));
		OK(clFlush(q));
		OK(clFlush(other));
		OK(clSetUserEventStatus(user, CL_COMPLETE));
		if (way == 0)
			OK(clWaitForEvents(1, &ev));
		else if (way == 1)
			OK(clWaitForEvents(1, &marker));
		else if (way == 2)
			OK(clFinish(other));
		else if (way == 3)
			while (atomic_load(&seen.called) == 0)
				usleep(1000);
		else
			do {
				OK(clGetEventInfo(ev, CL_EVENT_COMMAND_EXECUTION_STATUS,
						  sizeof(status), &status, NULL));
				CHECK(status >= CL_COMPLETE);
			} while (status != CL_COMPLETE);
		if (way == 3)
			CHECK(atomic_load(&seen.called) == 1 && seen.last == in[size - 1]);
		CHECK(memcmp(in, out, size) == 0);
		OK(clFinish(q));
		OK(clFinish(other));
		OK(clReleaseEvent(user));
		OK(clReleaseEvent(ev));
		OK(clReleaseEvent(marker));
	}
	OK(clReleaseMemObject(mem));
	OK(clReleaseCommandQueue(q));
	OK(clReleaseCommandQueue(other));
	free(in);
	free(out);
}

/* Many reads under way at once, and nobody asks for one by one. */
static void
many(cl_command_queue q)
{
	enum { NB = 300, SIZE = 5000 };
	uint8_t *in = malloc(SIZE), *out = calloc(NB, SIZE);
	cl_mem mem = buffer(CL_MEM_READ_WRITE, SIZE, NULL);

	CHECK(in != NULL && out != NULL);
	for (unsigned int i = 0; i < NB; i++) {
		pattern(in, SIZE, i);
		OK(clEnqueueWriteBuffer(q, mem, CL_TRUE, 0, SIZE, in, 0, NULL, NULL));
		OK(clEnqueueReadBuffer(q, mem, CL_FALSE, 0, SIZE, out + i * SIZE, 0, NULL, NULL));
	}
	OK(clFinish(q));
	for (unsigned int i = 0; i < NB; i++) {
		pattern(in, SIZE, i);
		CHECK(memcmp(in, out + i * SIZE, SIZE) == 0);
	}
	OK(clReleaseMemObject(mem));
	free(in);
	free(out);
}

void
transfers(void)
{
	static const size_t sizes[] = {
		1, 2, 63, 4095, 4096, 4097, 65539, (1u << 20) + 1, (8u << 20) + 5, 40u << 20};
	cl_command_queue q = queue(0);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		there_and_back(q, sizes[i], 0, CL_TRUE);
		there_and_back(q, sizes[i], 7, CL_FALSE);
	}
	complete_is_complete(1);
	complete_is_complete(70001);
	complete_is_complete(9u << 20);
	many(q);
	OK(clReleaseCommandQueue(q));
	printf("all bytes there\n");
}
