/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Device memory that kernels get as arguments. */

#include <stdlib.h>

#include "opencl.h"

/* One command at most: some drivers copy through a bounce buffer of the same size. */
#define CHUNK (64ull << 20)

static enum apir_status
zero(struct exec_buffer *b, struct exec_err *err)
{
	const cl_uchar none = 0;
	cl_int e;

	e = clEnqueueFillBuffer(b->dev->ctl, b->mem, &none, sizeof(none), 0, b->size, 0, NULL,
				NULL);
	if (e == CL_SUCCESS)
		e = clFinish(b->dev->ctl);
	if (e == CL_SUCCESS)
		return APIR_S_OK;
	return exec_err_set(err, ocl_status(e), "a buffer of %llu bytes cannot be cleared: %s",
			    (unsigned long long)b->size, ocl_strerror(e));
}

enum apir_status
ocl_buffer_create(struct exec_dev *dev, uint64_t size, struct exec_buffer **out,
		  struct exec_err *err)
{
	struct exec_buffer *b;
	enum apir_status status;
	cl_int e;

	*out = NULL;
	if (size == 0)
		return exec_err_set(err, APIR_S_INVAL, "a buffer of 0 bytes");
	if (size > dev->max_alloc)
		return exec_err_set(err, APIR_S_NOMEM,
				    "a buffer of %llu bytes; the device's largest is %llu",
				    (unsigned long long)size, (unsigned long long)dev->max_alloc);
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
	b->mem = clCreateBuffer(dev->ctx, CL_MEM_READ_WRITE, size, NULL, &e);
	if (b->mem == NULL)
		status = exec_err_set(err, ocl_status(e), "a buffer of %llu bytes: %s",
				      (unsigned long long)size, ocl_strerror(e));
	else
		status = zero(b, err); /* never show one guest what another left */
	if (status != APIR_S_OK) {
		ocl_buffer_destroy(b);
		return status;
	}
	*out = b;
	return APIR_S_OK;
}

void
ocl_buffer_destroy(struct exec_buffer *b)
{
	if (b == NULL || --b->refs > 0)
		return;
	if (b->mem != NULL)
		clReleaseMemObject(b->mem);
	if (b->ptr != 0)
		b->dev->buffer_free(b);
	ocl_mem_give(b->dev, b->size);
	free(b);
}

uint64_t
ocl_buffer_size(const struct exec_buffer *b)
{
	return b->size;
}

enum apir_status
ocl_buffer_check(const struct exec_buffer *b, const char *what, uint64_t offset, uint64_t len,
		 struct exec_err *err)
{
	if (offset <= b->size && len <= b->size - offset)
		return APIR_S_OK;
	return exec_err_set(err, APIR_S_INVAL,
			    "%s of %llu bytes at offset %llu of a buffer of %llu bytes", what,
			    (unsigned long long)len, (unsigned long long)offset,
			    (unsigned long long)b->size);
}

enum apir_status
ocl_buffer_write(struct exec_buffer *b, uint64_t offset, const void *data, uint64_t len,
		 struct exec_err *err)
{
	enum apir_status status = ocl_buffer_check(b, "a write", offset, len, err);
	uint64_t n;
	cl_int e;

	for (uint64_t done = 0; status == APIR_S_OK && done < len; done += n) {
		n = len - done < CHUNK ? len - done : CHUNK;
		e = clEnqueueWriteBuffer(b->dev->ctl, b->mem, CL_TRUE, offset + done, n,
					 (const uint8_t *)data + done, 0, NULL, NULL);
		if (e != CL_SUCCESS)
			status = exec_err_set(err, ocl_status(e),
					      "a write of %llu bytes to a buffer: %s",
					      (unsigned long long)len, ocl_strerror(e));
	}
	return status;
}

enum apir_status
ocl_buffer_read(struct exec_buffer *b, uint64_t offset, void *data, uint64_t len,
		struct exec_err *err)
{
	enum apir_status status = ocl_buffer_check(b, "a read", offset, len, err);
	uint64_t n;
	cl_int e;

	for (uint64_t done = 0; status == APIR_S_OK && done < len; done += n) {
		n = len - done < CHUNK ? len - done : CHUNK;
		e = clEnqueueReadBuffer(b->dev->ctl, b->mem, CL_TRUE, offset + done, n,
					(uint8_t *)data + done, 0, NULL, NULL);
		if (e != CL_SUCCESS)
			status = exec_err_set(err, ocl_status(e),
					      "a read of %llu bytes from a buffer: %s",
					      (unsigned long long)len, ocl_strerror(e));
	}
	return status;
}
