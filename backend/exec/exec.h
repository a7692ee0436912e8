/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_EXEC_H
#define APIR_EXEC_H

/**
 * @file
 * Executors: what runs kernels. One ops table each; the rest of apird knows nothing of OpenCL.
 *
 * Threads: control calls (program, kernel, buffer, pipeline, queue_create, queue_destroy) come from one thread at a time.
 * mem_set comes at the same time as those but for queue_create and queue_destroy: nobody's memory waits for a build. submit and poll of one
 * exec_queue come from one poll thread, at the same time as control calls and as other queues' threads. An object is
 * destroyed only when no burst in flight names it (the caller pauses the queues first).
 *
 * Errors: enum apir_status; struct exec_err carries the text that goes to the guest and to the log.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apir_table.h"
#include "virtio_apir.h"

/** Text of an error: what, where, how to mend it. */
struct exec_err {
	char text[1024];
};

struct exec_dev;
struct exec_program;
struct exec_kernel;
struct exec_buffer;
struct exec_pipeline;
struct exec_queue;

/** Which device, and its limits. */
struct exec_config {
	const char *
		device; /**< "auto", "P:D" (platform and device index), or part of a device's or platform's name */
	const char *
		copy_mode; /**< "auto", or force "raw", "base", "staged" (for tests and comparison) */
	const char *cache_dir;	    /**< where program binaries are kept; NULL or "": no cache */
	uint64_t max_device_memory; /**< bytes; 0: no limit but the device's own */
	unsigned int max_pkts;	    /**< most packets of a burst */
	unsigned int max_segs;	    /**< most segments of a burst */
	void (*log)(int level, const char *fmt, ...)
		__attribute__((format(printf, 2, 3))); /**< syslog(3) levels */
};

struct exec_info {
	char platform[256], device[256], driver[256];
	char index
		[32]; /**< "P:D" of the device among OpenCL's, for another process; "": it has none */
	enum apir_copy_mode copy_mode;
	bool synchronous; /**< submit returns with the burst complete (PoCL's basic device) */
	uint32_t compute_units;
	uint64_t max_work_group, local_mem, global_mem, used_mem;
	int numa_node; /**< of the device, -1 unknown */
};

/** A region of guest memory as this process maps it. */
struct exec_region {
	void *va;
	uint64_t size;
};

/** Launch of one stage; see struct apir_stage of apir_ctl.x. */
struct exec_stage {
	struct exec_kernel *kernel;
	bool group;	     /**< one work-group a packet rather than one work-item */
	uint32_t local_size; /**< 0: the executor's choice */
};

/**
 * One burst being prepared or in flight. The caller fills what is marked "in" between burst_get and submit;
 * addresses are of this process, already translated and checked.
 */
struct exec_burst {
	struct apir_pkt
		*pkts; /**< in: nb_pkts entries, addr = host virtual address of the first segment */
	struct apir_seg *segs; /**< in: segments 2.. of packets that have them, nb_extra entries */
	uint32_t nb_pkts;      /**< in */
	uint32_t nb_extra;     /**< in */
	uint64_t cookie;       /**< in: of the request */
	struct apir_verdict
		*verdicts; /**< in: nb_pkts of them in guest memory, all reset by submit */
	void *user;	   /**< in: the caller's own */
	uint32_t status;   /**< out: enum apir_status */
	uint32_t copied;   /**< out: packet bytes copied to and fro */
};

struct exec_ops {
	const char *name;

	/** Find the device. NULL and err when there is none that matches: the text lists those there are. */
	struct exec_dev *(*open)(const struct exec_config *cfg, struct exec_err *err);
	void (*close)(struct exec_dev *dev);
	void (*info)(struct exec_dev *dev, struct exec_info *info);
	/** Print the devices for --list-devices to out (a FILE), one a line. Returns their number or a negative errno. */
	int (*list)(void *out);
	/** Why the device can run nothing any more, in this process; NULL: it can. The op may be NULL. Any thread. */
	const char *(*lost)(struct exec_dev *dev);

	/** Replace the guest's memory of one session. No burst of that session is in flight. session: any key. */
	enum apir_status (*mem_set)(struct exec_dev *dev, unsigned int session,
				    const struct exec_region *regions, unsigned int nb,
				    struct exec_err *err);

	/**
	 * Build. On APIR_S_BUILD *prog is valid, for its log. *log is NUL-terminated and lives as long as the program.
	 */
	enum apir_status (*program_create)(struct exec_dev *dev, const char *src, size_t len,
					   const char *options, struct exec_program **prog,
					   const char **log, bool *cached, struct exec_err *err);
	/** Objects are reference counted: destroying drops the caller's reference. */
	void (*program_destroy)(struct exec_program *prog);

	enum apir_status (*kernel_create)(struct exec_program *prog, const char *name,
					  struct exec_kernel **k, uint32_t *nb_args,
					  struct exec_err *err);
	void (*kernel_destroy)(struct exec_kernel *k);
	/** Exactly one of value (size bytes), buffer, or local (value and buffer NULL, size > 0). index 0 is after APIR_BURST. */
	enum apir_status (*kernel_set_arg)(struct exec_kernel *k, uint32_t index, const void *value,
					   size_t size, struct exec_buffer *buffer,
					   struct exec_err *err);

	enum apir_status (*buffer_create)(struct exec_dev *dev, uint64_t size,
					  struct exec_buffer **b, struct exec_err *err);
	void (*buffer_destroy)(struct exec_buffer *b);
	uint64_t (*buffer_size)(const struct exec_buffer *b);
	/** data may be guest memory: it may change while it is read, which harms its guest alone. */
	enum apir_status (*buffer_write)(struct exec_buffer *b, uint64_t offset, const void *data,
					 uint64_t len, struct exec_err *err);
	enum apir_status (*buffer_read)(struct exec_buffer *b, uint64_t offset, void *data,
					uint64_t len, struct exec_err *err);

	/** A snapshot of the kernels and their arguments; also compiled and warmed up, so that its first burst is as fast as the next. */
	enum apir_status (*pipeline_create)(struct exec_dev *dev, const struct exec_stage *stages,
					    unsigned int nb, struct exec_pipeline **p,
					    struct exec_err *err);
	void (*pipeline_destroy)(struct exec_pipeline *p);

	/** What one poll thread runs bursts on. session as in mem_set. */
	struct exec_queue *(*queue_create)(struct exec_dev *dev, unsigned int session,
					   int numa_node, struct exec_err *err);
	/** No burst is in flight. */
	void (*queue_destroy)(struct exec_queue *q);
	/** A burst to fill, or NULL while too many are in flight. The same one until it is submitted. */
	struct exec_burst *(*burst_get)(struct exec_queue *q);
	/**
	 * Run it. p NULL is loopback: verdicts are reset, nothing runs. Returns true if the burst is already complete: its status is
	 * set, it is not reported by poll, and its memory is valid until the next burst_get. With bursts in
	 * flight it never returns true out of order. On failure to launch it completes with a status too.
	 */
	bool (*submit)(struct exec_queue *q, struct exec_pipeline *p, struct exec_burst *b);
	/** Start what submit holds back to run it together; NULL: it holds nothing back. Called after each round of submits. */
	void (*flush)(struct exec_queue *q);
	/** The oldest burst in flight if it is complete, else NULL. Valid until the next burst_get. Never blocks. */
	struct exec_burst *(*poll)(struct exec_queue *q);
};

extern const struct exec_ops exec_opencl_ops;
extern const struct exec_ops exec_cuda_ops;

/** All executors, NULL-terminated, in order of preference. */
extern const struct exec_ops *const exec_all[];

#endif /* APIR_EXEC_H */
