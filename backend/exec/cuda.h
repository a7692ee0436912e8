/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CUDA_H
#define APIR_CUDA_H

/**
 * @file
 * Inside of the executor "cuda": kernels run on an NVIDIA GPU, on packets where they lie in guest memory.
 *
 * NVIDIA's OpenCL compiles (so what builds and what a kernel's parameters are is the same as for the executor "opencl",
 * whose programs and kernels these are), the driver API runs: only it lets a kernel use memory that was there before.
 * doc/cuda.md has the whole of it.
 */

#include "cuda_api.h"
#include "cuda_ptx.h"
#include "opencl.h"

#define CUDA_STREAMS \
	2 /**< launches in flight of one queue: the next waits on the GPU while one runs */
#define CUDA_BATCH 16 /**< most bursts of one launch */
#define CUDA_ARGS  64 /**< most parameters of a kernel: they lie on the stack of each launch */
#define CUDA_LOST  512

/** A piece of guest memory that the GPU reaches. */
struct cuda_region {
	TAILQ_ENTRY(cuda_region) next;
	unsigned int session;
	void *va;
	uint64_t size;
};

/** What an exec_dev has on top of OpenCL's. */
struct cuda_dev {
	const struct cuda_api *cu;
	CUdevice id;
	CUcontext ctx;
	CUstream ctl; /**< of control calls */
	TAILQ_HEAD(, cuda_region) regions;
	struct cuda_queue *warm; /**< where new pipelines run first */
	void *warm_mem;		 /**< packets and verdicts of that */
	size_t warm_size;
	_Atomic bool lost; /**< an error that only a new process mends; text is set before */
	char lost_text[CUDA_LOST];
};

/* The device (cuda_device.c) ------------------------------------------------ */

struct exec_dev *cuda_open(const struct exec_config *cfg, struct exec_err *err);
void cuda_close(struct exec_dev *dev);
const char *cuda_lost(struct exec_dev *dev);
/** Make the context this thread's: before any other call. */
CUresult cuda_enter(struct exec_dev *dev);
/** Status for an error, and err's text "what: the driver's words"; notes errors that end the context. */
enum apir_status cuda_fail(struct exec_dev *dev, CUresult e, struct exec_err *err, const char *what,
			   ...) __attribute__((format(printf, 4, 5)));
/** Remember the first error after which the context is of no more use. True if e is such a one. */
bool cuda_note_lost(struct exec_dev *dev, CUresult e, const char *where);

/* Memory (cuda_memory.c) ---------------------------------------------------- */

enum apir_status cuda_mem_set(struct exec_dev *dev, unsigned int session,
			      const struct exec_region *regions, unsigned int nb,
			      struct exec_err *err);
enum apir_status cuda_buffer_create(struct exec_dev *dev, uint64_t size, struct exec_buffer **b,
				    struct exec_err *err);
void cuda_buffer_free(struct exec_buffer *b);
enum apir_status cuda_buffer_write(struct exec_buffer *b, uint64_t offset, const void *data,
				   uint64_t len, struct exec_err *err);
enum apir_status cuda_buffer_read(struct exec_buffer *b, uint64_t offset, void *data, uint64_t len,
				  struct exec_err *err);
/** size bytes on a NUMA node (-1: any), zeroed and known to the GPU. NULL and err. */
void *cuda_host_alloc(struct exec_dev *dev, size_t size, int node, struct exec_err *err);
void cuda_host_free(struct exec_dev *dev, void *p, size_t size);

/* Programs and pipelines (cuda_pipeline.c) ---------------------------------- */

enum apir_status cuda_program_create(struct exec_dev *dev, const char *src, size_t len,
				     const char *options, struct exec_program **prog,
				     const char **log, bool *cached, struct exec_err *err);
void cuda_module_free(struct exec_program *p);

struct cuda_stage {
	struct ocl_stage s;
	CUfunction f;
	uint32_t shared;	   /**< bytes of its arguments in local memory */
	unsigned int nb_params;	   /**< table, arguments, first burst */
	void *param[CUDA_ARGS];	   /**< where each lies; first and last are set by each launch */
	uint64_t value[CUDA_ARGS]; /**< of buffers and local memory: address, offset */
};

struct cuda_pipeline {
	struct exec_dev *dev;
	unsigned int nb;
	struct cuda_stage stage[];
};

enum apir_status cuda_pipeline_create(struct exec_dev *dev, const struct exec_stage *stages,
				      unsigned int nb, struct exec_pipeline **p,
				      struct exec_err *err);
void cuda_pipeline_destroy(struct exec_pipeline *p);

/* Queues (cuda_queue.c) ------------------------------------------------------ */

/** One burst: a place in the queue's ring, and the table of the same number. */
struct cuda_slot {
	struct exec_burst b; /**< first: the caller's pointer is ours */
	const struct cuda_pipeline *p;
	bool done;
};

/** Bursts that run in one launch of each kernel. */
struct cuda_batch {
	uint32_t end; /**< the slot after its last, free-running */
	uint32_t mark;
};

struct cuda_queue {
	struct exec_dev *dev;
	uint8_t *tables; /**< PTX_SLOTS of 1 << PTX_STRIDE_SHIFT bytes, then the marks */
	/** The GPU writes a batch's number here when its bursts are done: polling costs a read, no call. */
	volatile uint32_t *mark;
	uint32_t head, launched,
		tail; /**< slots: oldest in flight, oldest waiting, next to fill; free-running */
	uint32_t batch_head, batch_tail; /**< free-running too */
	uint32_t polls;			 /**< in vain */
	uint64_t nb_errors;
	CUstream stream[CUDA_STREAMS];
	struct cuda_batch batch[CUDA_STREAMS];
	struct cuda_slot slot[PTX_SLOTS];
	char error[CUDA_LOST]; /**< what the last one was */
};

struct exec_queue *cuda_queue_create(struct exec_dev *dev, unsigned int session, int numa_node,
				     struct exec_err *err);
void cuda_queue_destroy(struct exec_queue *q);
struct exec_burst *cuda_burst_get(struct exec_queue *q);
bool cuda_submit(struct exec_queue *q, struct exec_pipeline *p, struct exec_burst *b);
void cuda_flush(struct exec_queue *q);
struct exec_burst *cuda_poll(struct exec_queue *q);
/** Run a new pipeline once over no packets, in the widest grid there can be. */
enum apir_status cuda_queue_warm(struct exec_dev *dev, const struct cuda_pipeline *p,
				 struct exec_err *err);

#endif /* APIR_CUDA_H */
