/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef VIRTIO_APIR_H
#define VIRTIO_APIR_H

/**
 * @file
 * The apir virtio device: the contract between a driver (in the guest) and a
 * device (apird), in C.
 *
 * doc/virtio-apir.md is the specification; this header is its C form. Section
 * numbers below refer to it. Both sides include this one file. All fields are
 * little-endian, every structure is naturally aligned and has no padding that
 * is not named.
 *
 * Queues (2.): 0 is the control queue, 1..N are data queues. Split rings,
 * VIRTIO_F_VERSION_1, VIRTIO_RING_F_INDIRECT_DESC and VIRTIO_RING_F_EVENT_IDX.
 */

#include <assert.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "apir: big-endian machines are not supported: every field on the wire is little-endian"
#endif

/* 1. Identification ------------------------------------------------------ */

/** Virtio device id, in the range virtio leaves unassigned (PCI id 0x107f). */
#define VIRTIO_ID_APIR 63

/** Where APIR_MAGIC lies in the configuration of a vhost-user-blk carrier, whose capacity is 0. */
#define APIR_BLK_MARK_OFFSET 16u

/** "APIR" read as a little-endian word: first field of each control message. */
#define APIR_MAGIC 0x52495041u

/** Version of this contract: major in the upper half, minor in the lower. */
#define APIR_VERSION_MAJOR 1u
#define APIR_VERSION_MINOR 0u /**< lower half */
/** Both halves. */
#define APIR_VERSION ((APIR_VERSION_MAJOR << 16) | APIR_VERSION_MINOR)

/* 2. Queues and limits ---------------------------------------------------- */

#define APIR_CTL_QUEUE	     0u		/**< index of the control queue */
#define APIR_DATA_QUEUE(i)   (1u + (i)) /**< index of data queue i */
#define APIR_MAX_DATA_QUEUES 64u	/**< most data queues of one session */
#define APIR_MAX_QUEUE_SIZE \
	1024u		       /**< most entries of one ring; QEMU's carrier has the same limit */
#define APIR_MIN_QUEUE_SIZE 8u /**< fewest entries of one ring */
/** Header and response take two descriptors of the indirect table. */
#define APIR_MAX_SEGS	  (APIR_MAX_QUEUE_SIZE - 2u)
#define APIR_MAX_PKTS	  APIR_MAX_SEGS /**< most packets of one burst */
#define APIR_MAX_SEG_LEN  65535u	/**< longest segment in bytes: DPDK's data_len */
#define APIR_MAX_PKT_SEGS 64u		/**< most segments of one packet */

/* 3. Status codes --------------------------------------------------------- */

/** Result of a request, both queues. 0 is success; see section 3 of the specification. */
enum apir_status {
	APIR_S_OK = 0,
	APIR_S_MALFORMED = 1,	 /**< the request breaks the contract's layout */
	APIR_S_FAULT = 2,	 /**< an address range is not (wholly) guest memory */
	APIR_S_NOENT = 3,	 /**< no object of that id (pipeline, kernel, ...) */
	APIR_S_TOOBIG = 4,	 /**< a count or length above the limits of HELLO */
	APIR_S_DEVICE = 5,	 /**< the device failed while running the kernel */
	APIR_S_TIMEOUT = 6,	 /**< the kernel ran longer than the device allows */
	APIR_S_NOMEM = 7,	 /**< out of host or device memory, or above the guest's quota */
	APIR_S_VERSION = 8,	 /**< no common version of the contract */
	APIR_S_SESSIONS = 9,	 /**< the back-end already serves its most sessions */
	APIR_S_NOTREADY = 10,	 /**< HELLO has not succeeded yet */
	APIR_S_BUILD = 11,	 /**< the program does not build; its log says why */
	APIR_S_INVAL = 12,	 /**< an argument is out of range or of the wrong kind */
	APIR_S_LIMIT = 13,	 /**< too many objects of this kind */
	APIR_S_UNSUPPORTED = 14, /**< a request this device does not know */
	APIR_S_BUSY = 15,	 /**< the object is in use */
	APIR_S_NOARG = 16,	 /**< a kernel of the pipeline has an argument that was never set */
	/** Not on the wire: the driver's own code for a request that a lost device left unanswered. */
	APIR_S_LOST = 255,
};

/* 4. Control queue -------------------------------------------------------- */

/** Most bytes of a control message in each direction, header included. */
#define APIR_CTL_MAX 65536u

/** Kind of a control message. */
enum apir_ctl_type {
	APIR_CTL_HELLO = 1, /**< struct apir_hello_req / apir_hello_rsp */
	APIR_CTL_RPC = 2,   /**< an RFC 5531 call / reply, XDR (apir_ctl.x) */
};

/** First bytes of each control request (device-readable). */
struct apir_ctl_req {
	uint32_t magic; /**< APIR_MAGIC */
	uint16_t type;	/**< enum apir_ctl_type */
	uint16_t resv;	/**< 0 */
	uint32_t len;	/**< bytes of payload after this header */
	uint32_t resv2; /**< 0 */
};

/** First bytes of each control response (device-writable). */
struct apir_ctl_rsp {
	uint32_t magic; /**< APIR_MAGIC */
	uint16_t type;	/**< as in the request */
	uint16_t
		status; /**< enum apir_status: of the transport of the message, not of the call within */
	uint32_t len;  /**< bytes of payload after this header */
	uint32_t resv; /**< 0 */
};

/** Capability bits, negotiated in HELLO: the session uses the bits both sides name. */
#define APIR_F_LOOPBACK	 (1ull << 0) /**< pipeline 0 returns each packet untouched */
#define APIR_F_MULTI_SEG (1ull << 1) /**< packets of several segments */
#define APIR_F_PIPELINE	 (1ull << 2) /**< pipelines of more than one kernel */
/** The data queues carry OpenCL calls (virtio_apir_cl.h), no bursts; a driver that can do without does not offer it. */
#define APIR_F_OPENCL (1ull << 3)

#define APIR_NAME_LEN 64u  /**< bytes of a name, NUL included */
#define APIR_TEXT_LEN 256u /**< bytes of a text, NUL included */

/** HELLO, the first request of a session (4.1). */
struct apir_hello_req {
	uint32_t version_min;		 /**< oldest version the driver speaks */
	uint32_t version_max;		 /**< newest version the driver speaks */
	uint64_t features;		 /**< APIR_F_* the driver can use */
	uint32_t nb_data_queues;	 /**< data queues the driver has set up */
	uint32_t max_pkts;		 /**< most packets of a burst it will send */
	char driver_name[APIR_NAME_LEN]; /**< for the log; NUL-terminated UTF-8 */
};

/** How the device reaches packet bytes. */
enum apir_copy_mode {
	APIR_COPY_STAGED = 0,	 /**< copied to and from device memory: not zero copy */
	APIR_COPY_NONE_BASE = 1, /**< in place, through a buffer made over guest memory */
	APIR_COPY_NONE_RAW = 2,	 /**< in place, through raw addresses */
};

/** Answer to HELLO. With a status other than APIR_S_OK only status and text are valid. */
struct apir_hello_rsp {
	uint32_t
		version; /**< the version chosen; the newest of the device if there is none in common */
	uint32_t
		version_min; /**< oldest version of the device, for the message when there is none in common */
	uint64_t features;	    /**< bits in common */
	uint32_t max_data_queues;   /**< most data queues of this session */
	uint32_t max_pkts;	    /**< most packets of a burst */
	uint32_t max_segs;	    /**< most segments of a burst, all packets together */
	uint32_t max_objects;	    /**< most programs, kernels, buffers, pipelines: of each kind */
	uint64_t max_device_memory; /**< bytes of device memory this guest may hold */
	uint32_t copy_mode;	    /**< enum apir_copy_mode */
	uint32_t session;	    /**< number of this session in the back-end's log */
	uint32_t max_source;	    /**< longest program source in bytes */
	uint32_t resv;		    /**< 0 */
	char device_name[APIR_NAME_LEN]; /**< for the log; NUL-terminated UTF-8 */
	char text[APIR_TEXT_LEN];	 /**< on refusal: what is wrong and how to mend it */
};

/* 5. Data queues: bursts -------------------------------------------------- */

/**
 * Header of a burst (device-readable, first descriptor of the indirect table).
 *
 * With APIR_BURST_F_SEGS, nb_pkts uint16_t follow: how many consecutive
 * segment descriptors each packet has. Without it every packet has one and
 * nb_segs == nb_pkts. The indirect table has exactly nb_segs + 2 entries in
 * order: header, segments (device-writable: the kernel works in place),
 * response. Entry i names entry i + 1 as its next.
 */
struct apir_burst_req {
	uint32_t pipeline; /**< pipeline id, or APIR_PIPELINE_LOOPBACK */
	uint16_t nb_pkts;  /**< 1..max_pkts */
	uint16_t nb_segs;  /**< nb_pkts..max_segs */
	uint32_t flags;	   /**< APIR_BURST_F_* */
	uint32_t resv;	   /**< 0 */
	uint64_t cookie;   /**< the driver's own; kernels read it as apir_cookie() */
};

#define APIR_PIPELINE_LOOPBACK 0u		 /**< returns each packet untouched */
#define APIR_BURST_F_SEGS      (1u << 0)	 /**< segment counts follow the header */
#define APIR_BURST_F_ALL       APIR_BURST_F_SEGS /**< every flag there is */

/** What becomes of a packet. */
enum apir_action {
	APIR_ACTION_FORWARD = 0, /**< hand it on, port in apir_verdict.port */
	APIR_ACTION_DROP = 1,	 /**< drop it, reason in apir_verdict.port */
};

/** The kernel's decision for one packet. The device sets all to FORWARD, port 0, meta 0 before the kernel runs. */
struct apir_verdict {
	uint16_t action; /**< enum apir_action; a driver treats any other value as DROP */
	uint16_t port;	 /**< forward: port; drop: a reason of the kernel's own */
	uint32_t meta;	 /**< the kernel's own, handed to the application */
};

/** Response of a burst (device-writable, last descriptor): this header, then nb_pkts verdicts. */
struct apir_burst_rsp {
	uint32_t status; /**< enum apir_status; verdicts are valid with APIR_S_OK only */
	uint32_t copied; /**< packet bytes the device copied for this burst; 0 when zero copy */
	uint64_t resv;	 /**< 0 */
	struct apir_verdict verdict[]; /**< one for each packet */
};

static_assert(sizeof(struct apir_ctl_req) == 16, "contract");
static_assert(sizeof(struct apir_ctl_rsp) == 16, "contract");
static_assert(sizeof(struct apir_hello_req) == 88, "contract");
static_assert(sizeof(struct apir_hello_rsp) == 376, "contract");
static_assert(sizeof(struct apir_burst_req) == 24, "contract");
static_assert(sizeof(struct apir_verdict) == 8, "contract");
static_assert(sizeof(struct apir_burst_rsp) == 16, "contract");

#endif /* VIRTIO_APIR_H */
