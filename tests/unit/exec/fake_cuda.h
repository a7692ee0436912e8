/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef FAKE_CUDA_H
#define FAKE_CUDA_H

/**
 * @file
 * NVIDIA's driver as the tests of the executor "cuda" need it: it notes what is launched and registered, and ends launches
 * when it is told to. Kernels do not run.
 */

#include "cuda.h"

#define FAKE_LAUNCHES 256
#define FAKE_REGIONS  16
#define FAKE_ILLEGAL  700 /* CUDA_ERROR_ILLEGAL_ADDRESS */

struct fake_launch {
	CUfunction f;
	unsigned int groups, rows, local, shared;
	CUstream stream;
	const void *tables;
	uint32_t row;
	uint32_t arg; /* the first of the kernel's own, if it has one */
};

struct fake_cuda {
	struct fake_launch launch[FAKE_LAUNCHES];
	unsigned int nb_launches;
	/* Marks are written in order: those up to released at once, the others when fake_release() is called. */
	struct {
		volatile uint32_t *at;
		uint32_t value;
	} mark[FAKE_LAUNCHES];
	unsigned int nb_marks, released;
	void *region[FAKE_REGIONS];
	size_t size[FAKE_REGIONS];
	unsigned int nb_regions, registered, unregistered;
	unsigned int streams;
	CUresult launch_error, query_error, register_error; /* of the next calls */
	unsigned int queries, synchronized;
};

extern struct fake_cuda fake;
extern const struct cuda_api fake_api;

/** A device on it, as cuda_open() would make it but without OpenCL. */
struct exec_dev *fake_open(unsigned int max_pkts);
void fake_close(struct exec_dev *dev);
/** Let so many more launches end. */
void fake_release(unsigned int nb);

#endif /* FAKE_CUDA_H */
