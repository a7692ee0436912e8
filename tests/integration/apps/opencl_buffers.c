/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Buffers: copy, fill, rectangles, sub-buffers, and the program's own memory; each compared with what the program computes.
 */

#include <string.h>

#include "opencl_app.h"

#define SIZE 65536u

static cl_command_queue q;
static uint8_t model[SIZE], other[SIZE];

/* The buffer holds what the model says. */
static void
same(const char *what, cl_mem mem)
{
	static uint8_t got[SIZE];

	memset(got, 0, sizeof(got));
	OK(clEnqueueReadBuffer(q, mem, CL_TRUE, 0, SIZE, got, 0, NULL, NULL));
	show(what, got, SIZE);
	for (size_t i = 0; i < SIZE; i++)
		if (got[i] != model[i]) {
			printf("opencl-app: %s: byte %zu is %u, not %u\n", what, i, got[i],
			       model[i]);
			exit(1);
		}
}

static void
fill(cl_mem mem)
{
	static const size_t lengths[] = {1, 2, 4, 8, 16, 32, 64, 128};
	uint8_t piece[128];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		const size_t len = lengths[i], off = len * (3 + i * 40), size = len * 17;

		pattern(piece, len, (unsigned int)len);
		OK(clEnqueueFillBuffer(q, mem, piece, len, off, size, 0, NULL, NULL));
		for (size_t j = 0; j < size; j++)
			model[off + j] = piece[j % len];
	}
	same("fill", mem);
}

static void
copy(cl_mem mem)
{
	cl_mem from;

	pattern(other, SIZE, 5);
	from = buffer(CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, SIZE, other);
	OK(clEnqueueCopyBuffer(q, from, mem, 11, 1003, 30001, 0, NULL, NULL));
	memcpy(model + 1003, other + 11, 30001);
	same("copy", mem);
	/* within one buffer */
	OK(clEnqueueCopyBuffer(q, mem, mem, 0, 50000, 9999, 0, NULL, NULL));
	memcpy(model + 50000, model, 9999);
	same("copy within", mem);
	CODE(clEnqueueCopyBuffer(q, mem, mem, 0, 10, 100, 0, NULL, NULL), CL_MEM_COPY_OVERLAP);
	OK(clReleaseMemObject(from));
}

static void
host_rect(uint8_t *dst, const size_t *d, size_t d_row, size_t d_slice, const uint8_t *src,
	  const size_t *s, size_t s_row, size_t s_slice, const size_t *region)
{
	for (size_t z = 0; z < region[2]; z++)
		for (size_t y = 0; y < region[1]; y++)
			memcpy(dst + (d[2] + z) * d_slice + (d[1] + y) * d_row + d[0],
			       src + (s[2] + z) * s_slice + (s[1] + y) * s_row + s[0], region[0]);
}

static void
rect(cl_mem mem)
{
	const size_t a[3] = {3, 2, 1}, b[3] = {17, 5, 2}, region[3] = {31, 11, 4};
	const size_t row = 64, slice = 64 * 20, row2 = 100, slice2 = 100 * 33;
	static uint8_t got[SIZE], want[SIZE];
	cl_mem from;

	pattern(other, SIZE, 6);
	OK(clEnqueueWriteBufferRect(q, mem, CL_TRUE, a, b, region, row, slice, row2, slice2, other,
				    0, NULL, NULL));
	host_rect(model, a, row, slice, other, b, row2, slice2, region);
	same("write rect", mem);
	memset(got, 1, SIZE);
	memset(want, 1, SIZE);
	for (unsigned int wait = 0; wait < 2; wait++) {
		OK(clEnqueueReadBufferRect(q, mem, wait, wait ? a : b, wait ? b : a, region, row,
					   slice, row2, slice2, got, 0, NULL, NULL));
		OK(clFinish(q));
		host_rect(want, wait ? b : a, row2, slice2, model, wait ? a : b, row, slice,
			  region);
		CHECK(memcmp(got, want, SIZE) == 0);
	}
	show("read rect", got, SIZE);
	pattern(other, SIZE, 7);
	from = buffer(CL_MEM_COPY_HOST_PTR, SIZE, other);
	OK(clEnqueueCopyBufferRect(q, from, mem, b, a, region, row2, slice2, row, slice, 0, NULL,
				   NULL));
	host_rect(model, a, row, slice, other, b, row2, slice2, region);
	same("copy rect", mem);
	CODE(clEnqueueReadBufferRect(q, mem, CL_TRUE, a, b, region, 30, slice, row2, slice2, got, 0,
				     NULL, NULL),
	     CL_INVALID_VALUE);
	OK(clReleaseMemObject(from));
}

/* Two windows into one buffer. */
static void
sub(cl_mem mem)
{
	cl_buffer_region r = {0, 4096};
	cl_uint bits;
	cl_mem s, parent;
	uint8_t *m;
	size_t off;
	cl_int err;

	OK(clGetDeviceInfo(device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(bits), &bits, NULL));
	r.origin = 2 * (size_t)(bits / 8);
	s = clCreateSubBuffer(mem, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &r, &err);
	OK(err);
	OK(clGetMemObjectInfo(s, CL_MEM_OFFSET, sizeof(off), &off, NULL));
	OK(clGetMemObjectInfo(s, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof(parent), &parent, NULL));
	CHECK(off == r.origin && parent == mem);
	pattern(other, r.size, 8);
	OK(clEnqueueWriteBuffer(q, s, CL_TRUE, 96, 4000, other, 0, NULL, NULL));
	memcpy(model + r.origin + 96, other, 4000);
	same("sub-buffer written", mem);
	m = clEnqueueMapBuffer(q, s, CL_TRUE, CL_MAP_WRITE, 8, 80, 0, NULL, NULL, &err);
	OK(err);
	memset(m, 0x77, 80);
	OK(clEnqueueUnmapMemObject(q, s, m, 0, NULL, NULL));
	memset(model + r.origin + 8, 0x77, 80);
	same("sub-buffer mapped", mem);
	CODE(clEnqueueWriteBuffer(q, s, CL_TRUE, 97, 4000, other, 0, NULL, NULL), CL_INVALID_VALUE);
	r.origin = SIZE;
	CHECK(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &r, &err) == NULL);
	CODE(err, CL_INVALID_VALUE);
	OK(clReleaseMemObject(s));
}

/* The program's memory is the buffer, wherever it lies: seen at creation, and with each map. */
static void
own_memory(size_t off)
{
	uint8_t *host = malloc(SIZE + 64), *p = host + off, *m;
	cl_kernel k = kernel("twice");
	const size_t words = SIZE / 4;
	void *ptr;
	cl_int err;
	cl_mem mem;

	CHECK(host != NULL);
	pattern(p, SIZE, 12);
	memcpy(model, p, SIZE);
	mem = buffer(CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, SIZE, p);
	OK(clGetMemObjectInfo(mem, CL_MEM_HOST_PTR, sizeof(ptr), &ptr, NULL));
	CHECK(ptr == p);
	OK(clSetKernelArg(k, 0, sizeof(mem), &mem));
	OK(clEnqueueNDRangeKernel(q, k, 1, NULL, &words, NULL, 0, NULL, NULL));
	m = clEnqueueMapBuffer(q, mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, SIZE, 0, NULL, NULL,
			       &err);
	OK(err);
	CHECK(m == p);
	for (size_t i = 0; i < words; i++) {
		uint32_t was, is;

		memcpy(&was, model + 4 * i, 4);
		memcpy(&is, p + 4 * i, 4);
		CHECK(is == 2 * was);
	}
	pattern(p, SIZE, 13);
	OK(clEnqueueUnmapMemObject(q, mem, m, 0, NULL, NULL));
	pattern(model, SIZE, 13);
	same("own memory", mem);
	/* a piece of it: at its own place */
	m = clEnqueueMapBuffer(q, mem, CL_TRUE, CL_MAP_WRITE, 4000, 33, 0, NULL, NULL, &err);
	OK(err);
	CHECK(m == p + 4000);
	memset(m, 0x11, 33);
	OK(clEnqueueUnmapMemObject(q, mem, m, 0, NULL, NULL));
	memset(model + 4000, 0x11, 33);
	same("piece of own memory", mem);
	OK(clReleaseMemObject(mem));
	OK(clFinish(q));
	OK(clReleaseKernel(k));
	free(host);
}

/* Several maps of one buffer at a time, and a count of them. */
static void
maps(cl_mem mem)
{
	uint8_t *m[3];
	cl_uint count;
	cl_event ev;
	cl_int err;

	for (unsigned int i = 0; i < 3; i++) {
		m[i] = clEnqueueMapBuffer(q, mem, CL_FALSE, CL_MAP_WRITE, i * 1000, 900, 0, NULL,
					  &ev, &err);
		OK(err);
		OK(clWaitForEvents(1, &ev));
		OK(clReleaseEvent(ev));
	}
	OK(clGetMemObjectInfo(mem, CL_MEM_MAP_COUNT, sizeof(count), &count, NULL));
	CHECK(count == 3);
	for (unsigned int i = 0; i < 3; i++) {
		memset(m[i], (int)i + 1, 900);
		memset(model + i * 1000, (int)i + 1, 900);
	}
	for (unsigned int i = 0; i < 3; i++)
		OK(clEnqueueUnmapMemObject(q, mem, m[2 - i], 0, NULL, NULL));
	OK(clFinish(q));
	OK(clGetMemObjectInfo(mem, CL_MEM_MAP_COUNT, sizeof(count), &count, NULL));
	CHECK(count == 0);
	CODE(clEnqueueUnmapMemObject(q, mem, m[0], 0, NULL, NULL), CL_INVALID_VALUE);
	same("maps", mem);
}

void
buffers(void)
{
	cl_mem mem;

	q = queue(0);
	pattern(model, SIZE, 1);
	mem = buffer(CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, SIZE, model);
	same("as made", mem);
	fill(mem);
	copy(mem);
	rect(mem);
	sub(mem);
	maps(mem);
	OK(clReleaseMemObject(mem));
	own_memory(0);
	own_memory(4);
	own_memory(52);
	OK(clReleaseCommandQueue(q));
}
