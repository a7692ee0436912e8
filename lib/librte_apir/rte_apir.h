/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef RTE_APIR_H
#define RTE_APIR_H

/**
 * @file rte_apir.h
 *
 * apir: packet bursts processed in place by OpenCL kernels on the host's device.
 *
 *     application                              host
 *     -----------                              ----
 *     mbufs --> rte_apir_enqueue_burst() --> queue pair --> apird --> kernel on the GPU
 *     mbufs <-- rte_apir_dequeue_burst() <-- (same mbufs, in order, one verdict each)
 *
 * A *device* is one session with one apird, reached over a transport. It has
 *  - *queue pairs*: each is a ring of bursts in flight, completed in order;
 *  - *programs* (OpenCL C), their *kernels*, and *buffers* (device memory);
 *  - *pipelines*: one or more kernels with their arguments, run one after another on each packet
 *    burst.
 *
 * Order of calls:
 *  - rte_apir_open()
 *  - rte_apir_program_create(), rte_apir_kernel_create(), rte_apir_buffer_create(),
 *    rte_apir_kernel_set_*(), rte_apir_pipeline_create()
 *  - rte_apir_enqueue_burst() and rte_apir_dequeue_burst(), as often as needed
 *  - rte_apir_close()
 *
 * A pipeline is a snapshot: kernel arguments set after rte_apir_pipeline_create() do not change it.
 * To replace a table under traffic, write a new buffer, make a new pipeline with it, enqueue with
 * the new id, and destroy the old one once its last burst is dequeued. No packet waits or is lost.
 *
 * Packets are not copied: the kernel works on the mbuf's data where it lies. Until dequeued, an
 * mbuf belongs to the device and must not be freed; its bytes may be read and written by the
 * kernel. All of EAL's hugepage memory is shared with the back-end, and external memory
 * (rte_extmem_register()) if it is a shared mapping of a file. Over vhost-user, EAL must run with
 * --single-file-segments (--no-huge implies it); on PCI, in a virtual machine, it must run with
 * hugepages and --iova-mode=pa. Memory that EAL adds or frees is followed at once.
 * Of rte_extmem_register() and rte_extmem_unregister() EAL tells nobody: memory registered after
 * rte_apir_open() is shared by the first enqueue that meets it, and memory that was unregistered
 * must not be mapped anew at the same address while a device is open.
 *
 * Thread safety: unless a function says otherwise, calls on one device may come from any thread at
 * any time; they are serialised inside and may sleep. Enqueue and dequeue of one queue pair are the
 * data path: they never sleep, allocate or make a system call (other than to wake a sleeping
 * back-end, or once for external memory that is new). One thread at a time may enqueue to a queue
 * pair, and one dequeue from it; the two may be different threads running at once.
 *
 * Errors: functions that return int give 0 or a negative errno; rte_apir_last_error() has the text.
 * The same text goes to the log "lib.apir".
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_compat.h>
#include <rte_mbuf.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most devices of one process. */
#define RTE_APIR_MAX_DEVS 64
/** Most kernels of a pipeline. */
#define RTE_APIR_MAX_STAGES 16
/** Pipeline that returns each packet untouched. */
#define RTE_APIR_PIPELINE_LOOPBACK 0
/** Back-end socket when none is given. */
#define RTE_APIR_DEFAULT_PATH "/run/apir/apir0.sock"

/** How to open a device. Zero in any field means its default. */
struct rte_apir_conf {
	const char *path; /**< Unix socket of apird; default RTE_APIR_DEFAULT_PATH */
	/**
	 * In a virtual machine: PCI address of the device ("0000:00:05.0"), "" for the only one there is. With neither
	 * path nor pci: the only device on PCI if there is any, else the default path.
	 */
	const char *pci;
	const char *name;	 /**< who we are, for apird's log; default "librte_apir" */
	uint16_t nb_queue_pairs; /**< 1..64; default 1 */
	bool fewer_queue_pairs;	 /**< take as many as the device has, if those are fewer */
	/** bursts in flight of a queue pair: power of two, 1..1024; default 32 */
	uint16_t nb_bursts;
	uint16_t max_burst;  /**< packets of a burst: 1..1022; default 256 */
	uint16_t max_segs;   /**< segments of a burst: max_burst..1022; default: max_burst */
	int socket_id;	     /**< NUMA node of the rings; default node 0, SOCKET_ID_ANY allowed */
	uint32_t timeout_ms; /**< limit of each wait for the back-end; default 5000 */
	/**
	 * Limit of a control call (program builds are the long ones); default 120000. A call that
	 * takes longer ends the session, because its answer could come later: the device is lost
	 * then, or hangs.
	 */
	uint32_t build_timeout_ms;
};

/** State of a device. */
enum rte_apir_state {
	RTE_APIR_RUNNING = 0,
	/**
	 * The back-end is gone. Bursts in flight come back with RTE_APIR_ACTION_ERROR; see
	 * rte_apir_reconnect().
	 */
	RTE_APIR_LOST = 1,
	/** The back-end hangs with bursts in flight, which therefore stay with it until it dies. */
	RTE_APIR_HUNG = 2,
};

/** What a device is. */
struct rte_apir_info {
	char platform[256];	     /**< OpenCL platform */
	char device[256];	     /**< OpenCL device */
	char driver[256];	     /**< driver version */
	char executor[64];	     /**< "opencl", "cuda" */
	bool zero_copy;		     /**< kernels work on the mbufs in place */
	char copy_mode[16];	     /**< "raw", "base" (both zero copy) or "staged" */
	uint32_t compute_units;	     /**< of the device */
	uint64_t max_work_group;     /**< work-items */
	uint64_t local_mem;	     /**< bytes of local memory of a work-group */
	uint64_t max_device_memory;  /**< bytes this guest may hold */
	uint64_t used_device_memory; /**< bytes it holds */
	uint16_t nb_queue_pairs;     /**< as opened, like the next three */
	uint16_t nb_bursts;	     /**< bursts in flight of a queue pair */
	uint16_t max_burst;	     /**< packets of a burst */
	uint16_t max_segs;	     /**< segments of a burst */
	uint32_t version;	     /**< contract version, major << 16 | minor */
	uint32_t session;	     /**< session number in apird's log */
	char transport[16];	     /**< "vhost-user" or "virtio-pci" */
	char address[108];	     /**< socket or PCI address */
};

/** What the kernel decided for a packet. */
enum rte_apir_action {
	RTE_APIR_ACTION_FORWARD = 0,
	RTE_APIR_ACTION_DROP = 1,
	/**
	 * The burst failed; rte_apir_verdict.port has the status, rte_apir_status_str() its text.
	 * Bytes may have changed.
	 */
	RTE_APIR_ACTION_ERROR = 0xffff,
};

/** A packet's verdict, as dequeued. */
struct rte_apir_verdict {
	uint16_t action; /**< enum rte_apir_action */
	uint16_t port;	 /**< FORWARD: output port; DROP: reason; both the kernel's own */
	uint32_t meta;	 /**< the kernel's own */
};

/** Counters of one queue pair since open or the last reset. */
struct rte_apir_stats {
	uint64_t enq_bursts; /**< bursts submitted */
	uint64_t enq_pkts;   /**< packets in them */
	uint64_t deq_bursts; /**< bursts completed, errors included */
	uint64_t deq_pkts;   /**< packets in them */
	uint64_t dropped;    /**< packets with verdict DROP */
	uint64_t errors;     /**< packets with RTE_APIR_ACTION_ERROR */
	/** packets enqueue refused: memory not shared, too many segments, empty */
	uint64_t refused;
	uint64_t copied_bytes; /**< packet bytes the back-end copied: 0 when zero copy */
	uint64_t kicks;	       /**< times a sleeping back-end was woken */
	uint64_t timeouts;     /**< times the back-end was found hung */
};

/**
 * Open a device: connect, share memory, agree on version and limits.
 *
 * @return 0, or: -EINVAL conf out of range (the text names the field and its range), -ENOENT no
 *   such socket, -ECONNREFUSED nobody listens, -EPROTONOSUPPORT versions, -EBUSY too many sessions,
 *   -ETIMEDOUT no answer, -ENOTSUP memory cannot be shared (the text names the EAL option that is
 *   missing), -E2BIG more files of external memory than vhost-user takes, -EPROTO no apir back-end,
 *   -ECONNRESET or -ENODEV it closed the connection, -ENOMEM, -ENOSPC too many devices. On PCI also:
 *   -ENODEV no apir device, or not usable (the text says what has it), -EBUSY open already, -EPROTO it lacks a
 *   feature.
 */
__rte_experimental int rte_apir_open(const struct rte_apir_conf *conf, uint16_t *dev_id);

/**
 * Close a device and free all that it has. The data path must have stopped.
 * Mbufs still in flight are freed once the back-end has let go of them.
 *
 * @return 0, -ENODEV, or -EBUSY: the back-end hangs and still owns mbufs; nothing was freed, call
 *   again later.
 */
__rte_experimental int rte_apir_close(uint16_t dev_id);

/**
 * Connect a lost device again. Programs, kernels, buffers and pipelines of the old session are
 * gone: make them anew. The data path may go on: while the device is lost, enqueue takes nothing.
 * Failures to connect are logged at level debug only, since they are what a caller waits out.
 *
 * @return 0; -EALREADY not lost; -EAGAIN bursts in flight are not dequeued yet; -EBUSY it hangs;
 *   and errors of rte_apir_open().
 */
__rte_experimental int rte_apir_reconnect(uint16_t dev_id);

/** State of the device. Data-path safe. An invalid dev_id is RTE_APIR_LOST. */
__rte_experimental enum rte_apir_state rte_apir_state(uint16_t dev_id);

/**
 * Called when the device is lost, from a thread of the library's own; must not call
 * rte_apir_close() or rte_apir_reconnect().
 */
typedef void (*rte_apir_lost_cb)(uint16_t dev_id, void *arg);
/**
 * Set (or with NULL clear) the callback. On return a cleared callback is not running. @return 0,
 * -ENODEV
 */
__rte_experimental int rte_apir_lost_callback_set(uint16_t dev_id, rte_apir_lost_cb cb, void *arg);

/** @return 0, -ENODEV, or the error of the remote call */
__rte_experimental int rte_apir_info_get(uint16_t dev_id, struct rte_apir_info *info);

/**
 * Text of the calling thread's last error in this library; never NULL, valid until its next call.
 * Thread-safe.
 */
__rte_experimental const char *rte_apir_last_error(void);

/**
 * Short text of a status (rte_apir_verdict.port of a packet with RTE_APIR_ACTION_ERROR).
 * Thread-safe.
 */
__rte_experimental const char *rte_apir_status_str(uint16_t status);

/**
 * Build a program from OpenCL C. apird puts the header apir_kernel.h before it.
 *
 * @param source text, len bytes, no NUL needed; any memory
 * @param options of the OpenCL compiler, may be NULL
 * @param[out] program id
 * @param[out] log if not NULL: the whole build log, to be released with free(); set on success and
 *   on -ENOEXEC
 * @return 0, -ENOEXEC does not build, -EINVAL empty, -E2BIG too large, -ENOMEM, -ENODEV, -ETIMEDOUT
 */
__rte_experimental int rte_apir_program_create(uint16_t dev_id, const char *source, size_t len,
					       const char *options, uint32_t *program, char **log);
/** Kernels made from the program live on. @return 0, -ENOENT, -ENODEV */
__rte_experimental int rte_apir_program_destroy(uint16_t dev_id, uint32_t program);

/**
 * @param name of a __kernel function whose first parameter is APIR_BURST
 * @param[out] nb_args parameters after APIR_BURST; may be NULL
 * @return 0, -ENOENT no such program or function (the text lists those there are), -EINVAL the
 *   first parameter is not APIR_BURST
 */
__rte_experimental int rte_apir_kernel_create(uint16_t dev_id, uint32_t program, const char *name,
					      uint32_t *kernel, uint32_t *nb_args);
/** Pipelines made from the kernel live on. @return 0, -ENOENT, -ENODEV */
__rte_experimental int rte_apir_kernel_destroy(uint16_t dev_id, uint32_t kernel);

/**
 * Set an argument by value. index 0 is the first after APIR_BURST; size 1..1024 must be that of the
 * parameter. @return 0, -EINVAL, -ENOENT
 */
__rte_experimental int rte_apir_kernel_set_value(uint16_t dev_id, uint32_t kernel, uint32_t index,
						 const void *value, size_t size);
/** Set an argument to device memory. @return 0, -EINVAL, -ENOENT */
__rte_experimental int rte_apir_kernel_set_buffer(uint16_t dev_id, uint32_t kernel, uint32_t index,
						  uint32_t buffer);
/** Set an argument to size bytes of local memory. @return 0, -EINVAL, -ENOENT */
__rte_experimental int rte_apir_kernel_set_local(uint16_t dev_id, uint32_t kernel, uint32_t index,
						 size_t size);

/**
 * Allocate zeroed device memory. @return 0, -EINVAL size 0, -ENOMEM device full or above the
 * guest's limit
 */
__rte_experimental int rte_apir_buffer_create(uint16_t dev_id, size_t size, uint32_t *buffer);
/**
 * Copy into device memory; complete when it returns. data: any memory. @return 0, -EINVAL out of
 * range, -ENOENT
 */
__rte_experimental int rte_apir_buffer_write(uint16_t dev_id, uint32_t buffer, size_t offset,
					     const void *data, size_t len);
/** Copy from device memory. @return 0, -EINVAL out of range, -ENOENT */
__rte_experimental int rte_apir_buffer_read(uint16_t dev_id, uint32_t buffer, size_t offset,
					    void *data, size_t len);
/** Pipelines that use the buffer keep it alive. @return 0, -ENOENT */
__rte_experimental int rte_apir_buffer_destroy(uint16_t dev_id, uint32_t buffer);

/** How a kernel is launched on a burst. */
enum rte_apir_launch {
	RTE_APIR_LAUNCH_ITEM = 0,  /**< one work-item a packet */
	RTE_APIR_LAUNCH_GROUP = 1, /**< one work-group a packet */
};

/** One kernel of a pipeline. */
struct rte_apir_stage {
	uint32_t kernel;	     /**< id of rte_apir_kernel_create() */
	enum rte_apir_launch launch; /**< how it is launched */
	uint32_t local_size;	     /**< work-group size; 0: the device's choice */
};

/**
 * Make a pipeline of nb kernels (1..RTE_APIR_MAX_STAGES) with the arguments they have now. A drop
 * verdict of one kernel does not hide the packet from the next: kernels can read it with
 * apir_verdict_action().
 *
 * @return 0, -EINVAL, -ENOENT no such kernel, -ENOMSG a kernel has an argument not set (the text
 *   says which)
 */
__rte_experimental int rte_apir_pipeline_create(uint16_t dev_id,
						const struct rte_apir_stage *stages,
						unsigned int nb, uint32_t *pipeline);
/** Bursts in flight with it complete first. @return 0, -ENOENT */
__rte_experimental int rte_apir_pipeline_destroy(uint16_t dev_id, uint32_t pipeline);

/**
 * Submit packets to a queue pair. One call is one burst, cut where max_burst or max_segs is
 * reached.
 *
 * @return how many were taken, from the start of pkts; the rest stay with the caller. When less
 *   than nb_pkts, rte_errno says why: EAGAIN the ring is full; EFAULT pkts[ret] has bytes outside
 *   shared memory; EMSGSIZE it has more than 64 or max_segs segments; ENODATA it is empty (a
 *   segment of length 0); ENODEV the device is lost or no such device or queue pair.
 */
__rte_experimental uint16_t rte_apir_enqueue_burst(uint16_t dev_id, uint16_t qp_id,
						   uint32_t pipeline, struct rte_mbuf **pkts,
						   uint16_t nb_pkts);

/**
 * Like rte_apir_enqueue_burst(), but gathers: packets join the burst being filled, which is
 * submitted when it is full, when the pipeline changes, or by rte_apir_submit().
 */
__rte_experimental uint16_t rte_apir_gather(uint16_t dev_id, uint16_t qp_id, uint32_t pipeline,
					    struct rte_mbuf **pkts, uint16_t nb_pkts);
/**
 * Submit what rte_apir_gather() has collected. Counts as enqueue for thread safety. @return packets
 * submitted
 */
__rte_experimental uint16_t rte_apir_submit(uint16_t dev_id, uint16_t qp_id);
/** Packets gathered and not yet submitted. Any thread. */
__rte_experimental uint16_t rte_apir_gathered(uint16_t dev_id, uint16_t qp_id);
/** Bursts submitted and not yet wholly dequeued. Any thread. */
__rte_experimental uint16_t rte_apir_in_flight(uint16_t dev_id, uint16_t qp_id);

/**
 * Take back packets, in the order they were enqueued.
 *
 * @param verdicts nb_pkts of them, one for each packet; may be NULL
 * @return number of packets; 0 when none is complete
 */
__rte_experimental uint16_t rte_apir_dequeue_burst(uint16_t dev_id, uint16_t qp_id,
						   struct rte_mbuf **pkts,
						   struct rte_apir_verdict *verdicts,
						   uint16_t nb_pkts);

/** True if len bytes at va are shared with the back-end. Data-path safe, any thread. */
__rte_experimental bool rte_apir_is_shared(uint16_t dev_id, const void *va, size_t len);

/** @return 0, -ENODEV, -EINVAL no such queue pair. Counters move while they are read. */
__rte_experimental int rte_apir_stats_get(uint16_t dev_id, uint16_t qp_id,
					  struct rte_apir_stats *stats);
/** @return 0, -ENODEV, -EINVAL */
__rte_experimental int rte_apir_stats_reset(uint16_t dev_id, uint16_t qp_id);

#ifdef __cplusplus
}
#endif

#endif /* RTE_APIR_H */
