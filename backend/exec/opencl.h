/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_OPENCL_H
#define APIR_OPENCL_H

/**
 * @file
 * Inside of the executor "opencl". One .c file a topic; this header is what they share.
 *
 * Only calls of OpenCL 1.2 are needed of a device; later ones are used where its version has them.
 */

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 300
#endif
#ifndef CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS /* clCreateCommandQueue: the one a 1.2 device has */
#endif
#include <CL/cl.h>
#include <CL/cl_ext.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <syslog.h>

#include "exec.h"
#include "exec_err.h"

#define OCL_MAX_REGIONS 8    /**< of one session: APIR_MODE_BASE kernels have so many parameters */
#define OCL_MAX_QUEUES	1024 /**< of one device, all sessions */
#define OCL_MAX_STAGES	16   /**< of one pipeline */
#define OCL_DEPTH	8    /**< bursts in flight of one queue, on a device that runs beside us */
#define OCL_ALIGN	64   /**< of packets in staging memory */
#define OCL_DIGEST	32   /**< bytes of a SHA-256 */

#define OCL_LIKELY(x)	__builtin_expect(!!(x), 1)
#define OCL_UNLIKELY(x) __builtin_expect(!!(x), 0)

/** Log through the caller's function, if he gave one. */
#define OCL_LOG(dev, level, ...)                          \
	do {                                              \
		if ((dev)->log != NULL)                   \
			(dev)->log((level), __VA_ARGS__); \
	} while (0)

/* What there is (opencl_find.c) -------------------------------------------- */

/** A device of the machine. */
struct ocl_found {
	cl_platform_id platform;
	cl_device_id id;
	unsigned int p, d; /**< its indices, "P:D" */
	cl_device_type type;
	char platform_name[256], name[256];
	bool usable;	      /**< available, 64 bits, little-endian, with a compiler */
	const char *unusable; /**< why not */
};

/** All devices of all platforms. *list is the caller's to free. Their number; with 0, err says why. */
unsigned int ocl_find_all(struct ocl_found **list, struct exec_err *err);
/** Those that a --device text names, best first, into order[]: their number, with 0 err has the text. */
unsigned int ocl_find_match(const struct ocl_found *list, unsigned int nb, const char *text,
			    unsigned int *order, struct exec_err *err);
/** PoCL's device that runs a kernel inside the call that launches it. */
bool ocl_found_is_basic(const struct ocl_found *f);
/** Its place on the PCI bus, as "dddd:bb:dd.f". -1 if it does not tell. */
int ocl_find_bus(cl_device_id id, char *text, size_t size);
/** NUMA node of the device, -1 if unknown. */
int ocl_find_node(cl_device_id id);
int ocl_list(void *out);

/* The device (opencl_device.c) --------------------------------------------- */

/** A guest memory region and the buffer made over it (APIR_COPY_NONE_BASE). */
struct ocl_region {
	uint64_t start, size;
	cl_mem mem;
};

/** Guest memory of one session. */
struct ocl_session {
	TAILQ_ENTRY(ocl_session) next;
	unsigned int key;
	unsigned int users; /**< queues */
	uint32_t gen;	    /**< changes with the regions; never 0 */
	unsigned int nb;
	struct ocl_region region[OCL_MAX_REGIONS];
};

struct exec_dev {
	cl_platform_id platform;
	cl_device_id id;
	cl_context ctx;
	cl_command_queue ctl; /**< of control calls: buffer reads and writes */
	void (*log)(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
	char *cache_dir; /**< NULL: no cache */
	uint64_t max_mem, max_alloc, max_constant;
	_Atomic uint64_t used_mem;
	unsigned int max_pkts, max_segs;
	unsigned int version; /**< of OpenCL: 120, 200, 300 */
	enum apir_copy_mode mode;
	bool sync;	      /**< submit returns when the kernel has run */
	_Atomic bool in_line; /**< so does a launch, without clFinish() */
	bool svm_arg;	      /**< the packet table can be given by address */
	bool svm_system;
	bool cpu; /**< its cores are CPU cores */
	struct exec_info info;
	TAILQ_HEAD(, ocl_session) sessions;
	TAILQ_HEAD(, exec_pipeline) pipelines;
	uint64_t slots[OCL_MAX_QUEUES / 64]; /**< queue slots in use */
	struct exec_queue *warm;	     /**< where new pipelines run first */
	struct ocl_session warm_session;
	void *warm_mem; /**< packets and verdicts of that */
	size_t warm_size;
	/* Of the executor "cuda", which has its programs and kernels from this one; NULL without it. */
	struct cuda_dev *cuda;
	void (*buffer_free)(struct exec_buffer *b);
	void (*module_free)(struct exec_program *p);
};

struct exec_dev *ocl_open(const struct exec_config *cfg, struct exec_err *err);
void ocl_close(struct exec_dev *dev);
void ocl_info(struct exec_dev *dev, struct exec_info *info);
/** One found device in one copy mode, with no probe. */
struct exec_dev *ocl_device_make(const struct ocl_found *f, const struct exec_config *cfg,
				 enum apir_copy_mode mode, struct exec_err *err);
/** Account for bytes of device memory: all of it goes through here. */
enum apir_status ocl_mem_take(struct exec_dev *dev, uint64_t bytes, struct exec_err *err);
void ocl_mem_give(struct exec_dev *dev, uint64_t bytes);
const char *ocl_mode_name(enum apir_copy_mode mode);
const char *ocl_strerror(cl_int error);
/** Status for an OpenCL error. */
enum apir_status ocl_status(cl_int error);
/** A string of a device, cut at size. */
void ocl_device_string(cl_device_id id, cl_device_info what, char *text, size_t size);

/* Which copy mode works (opencl_probe.c) ----------------------------------- */

/** The fastest mode that works on f (cfg->copy_mode may name the only one to try): 0 and *mode, or -1 and err. */
int ocl_probe(const struct ocl_found *f, const struct exec_config *cfg, enum apir_copy_mode *mode,
	      struct exec_err *err);

/* Guest memory (opencl_region.c) ------------------------------------------- */

enum apir_status ocl_mem_set(struct exec_dev *dev, unsigned int session,
			     const struct exec_region *regions, unsigned int nb,
			     struct exec_err *err);
struct ocl_session *ocl_session_get(struct exec_dev *dev, unsigned int key);
/** Drop the session when it has neither regions nor queues. */
void ocl_session_put(struct exec_dev *dev, struct ocl_session *s);
void ocl_session_free(struct exec_dev *dev, struct ocl_session *s);
enum apir_status ocl_session_set(struct exec_dev *dev, struct ocl_session *s,
				 const struct exec_region *regions, unsigned int nb,
				 struct exec_err *err);
void ocl_session_clear(struct ocl_session *s);
/** Rewrite a burst's addresses as region and offset; false if one is in no region. */
bool ocl_session_translate(const struct ocl_session *s, struct exec_burst *b, struct apir_table *t);

/* What is known of a program's kernels (opencl_sig.c) ----------------------- */

enum ocl_arg_kind { OCL_ARG_VALUE, OCL_ARG_BUFFER, OCL_ARG_CONSTANT, OCL_ARG_LOCAL, OCL_ARG_OTHER };

struct ocl_arg_sig {
	char *name, *type;
	enum ocl_arg_kind kind;
};

struct ocl_kernel_sig {
	char *name;
	unsigned int nb_args; /**< all parameters */
	struct ocl_arg_sig *arg;
};

struct ocl_sigs {
	unsigned int nb;
	struct ocl_kernel_sig *kernel;
};

enum apir_status ocl_sigs_read(cl_program prog, struct ocl_sigs *sigs, struct exec_err *err);
/** To and from text, for the cache. pack: the caller frees. unpack: -1 if it is not such a text. */
char *ocl_sigs_pack(const struct ocl_sigs *sigs);
int ocl_sigs_unpack(const char *text, struct ocl_sigs *sigs);
void ocl_sigs_free(struct ocl_sigs *sigs);
/** Bytes of a value of an OpenCL C type, 0 if it is none of the built-in ones. */
size_t ocl_type_size(const char *type);

/* Programs (opencl_program.c, opencl_source.c, opencl_cache.c) -------------- */

struct exec_program {
	struct exec_dev *dev;
	unsigned int refs;
	cl_program prog; /**< NULL: did not build */
	char *log;
	struct ocl_sigs sigs;
	char key[2 * OCL_DIGEST + 1]; /**< name in the cache */
	bool saved;		      /**< in the cache, or came from it */
	void *module;		      /**< of the executor "cuda" */
};

/** The headers that stand before each program (generated). */
extern const char ocl_prelude[];

enum apir_status ocl_program_create(struct exec_dev *dev, const char *src, size_t len,
				    const char *options, struct exec_program **prog,
				    const char **log, bool *cached, struct exec_err *err);
void ocl_program_destroy(struct exec_program *prog);
/**
 * Keep it in the cache, once. Best after it first ran: PoCL's binary then holds machine code for the work-group size, and
 * it makes a binary only once.
 */
void ocl_program_save(struct exec_program *prog);

/** What the compiler made of it; the caller frees. NULL if it does not tell. */
uint8_t *ocl_program_binary(struct exec_program *prog, size_t *len);

/** A copy of the source as text that can be compiled on its own, or NULL and err. */
char *ocl_source_copy(const char *src, size_t len, struct exec_err *err);
/** Only options that cannot reach outside of the program. */
enum apir_status ocl_options_check(const char *options, struct exec_err *err);

/*
 * The same for whole OpenCL programs, which may have headers (clCompileProgram) and whose own files are in their source
 * already: what would reach a file of the host's is made harmless in place.
 */
/** Directives that read other files than a header by its name are errors afterwards. Returns 0 or -1: no memory. */
int ocl_source_shut(char *src);
/** True if a header of this name can lie nowhere but below the folder of headers. */
bool ocl_header_name_ok(const char *name);
/** Take folders of headers out. False: an option that is none of the specification's. */
bool ocl_options_shut(char *options);

/** What the cache holds of a program. */
struct ocl_cached {
	uint8_t *bin;
	size_t bin_len;
	char *log, *sigs; /**< NUL-terminated */
};

void ocl_cache_key(struct exec_dev *dev, const char *src, const char *options,
		   char key[static 2 * OCL_DIGEST + 1]);
/** 0: found, free it. -1: not there. */
int ocl_cache_load(struct exec_dev *dev, const char *key, struct ocl_cached *c);
void ocl_cache_store(struct exec_dev *dev, const char *key, const struct ocl_cached *c);
void ocl_cache_drop(struct exec_dev *dev, const char *key);
void ocl_cached_free(struct ocl_cached *c);
/** Make the folder ready, or return NULL with a line in the log. */
char *ocl_cache_open(struct exec_dev *dev, const char *dir);

/* Kernels and buffers (opencl_kernel.c, opencl_buffer.c) -------------------- */

struct exec_buffer {
	struct exec_dev *dev;
	unsigned int refs;
	cl_mem mem;
	uint64_t ptr; /**< of the executor "cuda", instead of mem */
	uint64_t size;
};

struct ocl_arg {
	bool set;
	size_t size;		    /**< of the value, or bytes of local memory */
	void *value;		    /**< our copy, or NULL */
	struct exec_buffer *buffer; /**< a reference of ours, or NULL */
};

struct exec_kernel {
	struct exec_program *prog;
	const struct ocl_kernel_sig *sig;
	cl_kernel k; /**< for questions and checks; never launched */
	unsigned int nb_args;
	struct ocl_arg *arg;
};

enum apir_status ocl_kernel_create(struct exec_program *prog, const char *name,
				   struct exec_kernel **k, uint32_t *nb_args, struct exec_err *err);
void ocl_kernel_destroy(struct exec_kernel *k);
enum apir_status ocl_kernel_set_arg(struct exec_kernel *k, uint32_t index, const void *value,
				    size_t size, struct exec_buffer *buffer, struct exec_err *err);
/** Parameters that APIR_BURST stands for. */
unsigned int ocl_hidden_args(enum apir_copy_mode mode);
/** Arguments copied, with references; freed with ocl_args_free. NULL when out of memory. */
struct ocl_arg *ocl_args_copy(const struct ocl_arg *arg, unsigned int nb);
void ocl_args_free(struct ocl_arg *arg, unsigned int nb);

enum apir_status ocl_buffer_create(struct exec_dev *dev, uint64_t size, struct exec_buffer **b,
				   struct exec_err *err);
void ocl_buffer_destroy(struct exec_buffer *b);
uint64_t ocl_buffer_size(const struct exec_buffer *b);
/** Is this range within it? what: "a write". */
enum apir_status ocl_buffer_check(const struct exec_buffer *b, const char *what, uint64_t offset,
				  uint64_t len, struct exec_err *err);
enum apir_status ocl_buffer_write(struct exec_buffer *b, uint64_t offset, const void *data,
				  uint64_t len, struct exec_err *err);
enum apir_status ocl_buffer_read(struct exec_buffer *b, uint64_t offset, void *data, uint64_t len,
				 struct exec_err *err);

struct ocl_burst;

/* Pipelines (opencl_pipeline.c) --------------------------------------------- */

struct ocl_stage {
	struct exec_program *prog;
	const struct ocl_kernel_sig *sig;
	bool group;
	size_t local;
	unsigned int nb_args;
	struct ocl_arg *arg;
};

/** A snapshot of a kernel and its arguments, checked. On failure free it all the same. */
enum apir_status ocl_stage_make(struct exec_dev *dev, struct ocl_stage *s,
				const struct exec_stage *st, unsigned int index,
				struct exec_err *err);
void ocl_stage_free(struct ocl_stage *s);

/** A pipeline on one queue: its own kernel objects, arguments set, so that a burst only launches. */
struct ocl_set {
	uint32_t gen[OCL_DEPTH]; /**< what the arguments were set for; 0: not yet */
	cl_kernel k[OCL_DEPTH][OCL_MAX_STAGES];
};

struct exec_pipeline {
	struct exec_dev *dev;
	TAILQ_ENTRY(exec_pipeline) next;
	unsigned int nb;
	struct ocl_stage stage[OCL_MAX_STAGES];
	struct ocl_set *set[OCL_MAX_QUEUES]; /**< by queue slot; made by the queue's own thread */
};

enum apir_status ocl_pipeline_create(struct exec_dev *dev, const struct exec_stage *stages,
				     unsigned int nb, struct exec_pipeline **p,
				     struct exec_err *err);
void ocl_pipeline_destroy(struct exec_pipeline *p);
/** Kernel objects for burst b of queue q with the arguments of generation gen: made, or set anew. */
cl_int ocl_pipeline_bind(struct exec_pipeline *p, struct exec_queue *q, struct ocl_burst *b,
			 uint32_t gen);
/** Forget a queue that goes. */
void ocl_pipeline_forget(struct exec_pipeline *p, unsigned int slot);

/* Queues (opencl_queue.c, opencl_staged.c) ----------------------------------- */

/** One burst and the memory it needs. */
struct ocl_burst {
	struct exec_burst b; /**< first: the caller's pointer is ours */
	unsigned int index;  /**< in the queue */
	bool in_flight;
	bool warm;    /**< tell the kernel of no packets: run it only to have it compiled */
	uint32_t gen; /**< of table_mem or staging; never 0 */
	cl_event event;
	cl_event sent, ran; /**< its upload and its last kernel, while submit ties its commands */
	struct apir_table *table; /**< page-aligned */
	size_t table_size;
	cl_mem table_mem; /**< over table; NULL if it is given by address or staged */
	/* Staged only: the burst as one block, in pinned memory and on the device. */
	cl_mem pinned_mem, dev_mem;
	uint8_t *pinned;
	size_t staged_cap;
	size_t verdicts_off, staged_len;
};

struct exec_queue {
	struct exec_dev *dev;
	struct ocl_session *session;
	unsigned int slot;
	cl_command_queue cq; /**< of kernels */
	/** Of copies. Staged, beside us: its own each, so that bursts overlap; else cq. */
	cl_command_queue up, down;
	unsigned int depth;
	uint32_t head, tail; /**< oldest in flight, next to fill; free-running */
	uint64_t nb_errors;
	char error[96]; /**< what the last one was */
	int node;
	struct ocl_burst burst[OCL_DEPTH];
};

struct exec_queue *ocl_queue_create(struct exec_dev *dev, unsigned int session, int numa_node,
				    struct exec_err *err);
void ocl_queue_destroy(struct exec_queue *q);
struct exec_burst *ocl_burst_get(struct exec_queue *q);
bool ocl_submit(struct exec_queue *q, struct exec_pipeline *p, struct exec_burst *b);
struct exec_burst *ocl_poll(struct exec_queue *q);
/** Run a new pipeline once, over no packets but in the widest grid there can be, so that its code is compiled. */
enum apir_status ocl_queue_warm(struct exec_dev *dev, struct exec_pipeline *p,
				struct exec_err *err);

/** Gather the burst's packets and start their way to the device: b->sent, if it has a queue of its own. */
cl_int ocl_staged_begin(struct exec_queue *q, struct ocl_burst *b);
/** Start the way back, after b->ran if there is one; event may be NULL. */
cl_int ocl_staged_end(struct exec_queue *q, struct ocl_burst *b, cl_event *event);
/** Put bytes and verdicts where they belong. */
void ocl_staged_scatter(struct ocl_burst *b);
void ocl_staged_free(struct exec_queue *q, struct ocl_burst *b);

#endif /* APIR_OPENCL_H */
