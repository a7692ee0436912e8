/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/**
 * @file
 * What a packet kernel may use. OpenCL C; apird puts it before every program (do not include it there; installed
 * for editors and for running kernels natively).
 *
 * A kernel is
 * @code
 * __kernel void ttl(APIR_BURST, __global const uint *table)   // its own arguments follow
 * {
 *         const uint i = apir_index();            // this work-item's (or work-group's) packet
 *         if (i >= apir_count()) return;
 *         __global uchar *p = apir_data(i);
 *         ...
 *         apir_forward(i, port);                  // or apir_drop(i, reason)
 * }
 * @endcode
 */

#ifndef APIR_KERNEL_H
#define APIR_KERNEL_H

#ifndef APIR_TABLE_H
#include "apir_table.h"
#endif

/** @cond how the device sees guest memory: not for kernels to know */
/* apird compiles with one of APIR_MODE_RAW (default), APIR_MODE_BASE, APIR_MODE_STAGED defined. */
#if !defined(APIR_MODE_BASE) && !defined(APIR_MODE_STAGED) && !defined(APIR_MODE_RAW)
#define APIR_MODE_RAW
#endif

#if defined(APIR_MODE_RAW)
/** @endcond */
/** Always the first parameter of a packet kernel. */
#define APIR_BURST __global const struct apir_table *apir_t
/** The same as arguments: hands the burst on to a function that was declared with APIR_BURST. */
#define APIR_BURST_ARGS apir_t
/** @cond */
#define APIR_PTR(a) ((__global uchar *)(ulong)(a))
#elif defined(APIR_MODE_STAGED)
#define APIR_BURST	__global const struct apir_table *apir_t, __global uchar *apir_base
#define APIR_BURST_ARGS apir_t, apir_base
#define APIR_PTR(a)	(apir_base + (a))
#else
#define APIR_BURST                                                                         \
	__global const struct apir_table *apir_t, __global uchar *apir_b0,                 \
		__global uchar *apir_b1, __global uchar *apir_b2, __global uchar *apir_b3, \
		__global uchar *apir_b4, __global uchar *apir_b5, __global uchar *apir_b6, \
		__global uchar *apir_b7
#define APIR_BURST_ARGS \
	apir_t, apir_b0, apir_b1, apir_b2, apir_b3, apir_b4, apir_b5, apir_b6, apir_b7
#define APIR_OFF(a) ((a)&0x00fffffffffffffful)
#define APIR_PTR(a)                                 \
	(((a) >> 56) == 0   ? apir_b0 + APIR_OFF(a) \
	 : ((a) >> 56) == 1 ? apir_b1 + APIR_OFF(a) \
	 : ((a) >> 56) == 2 ? apir_b2 + APIR_OFF(a) \
	 : ((a) >> 56) == 3 ? apir_b3 + APIR_OFF(a) \
	 : ((a) >> 56) == 4 ? apir_b4 + APIR_OFF(a) \
	 : ((a) >> 56) == 5 ? apir_b5 + APIR_OFF(a) \
	 : ((a) >> 56) == 6 ? apir_b6 + APIR_OFF(a) \
			    : apir_b7 + APIR_OFF(a))
#endif

#define APIR_PKTS ((__global const struct apir_pkt *)(apir_t + 1))
/* Both lie aligned; the way over void tells the compiler so. */
#define APIR_SEGS                                                                           \
	((__global const struct apir_seg *)(__global const void *)((__global const uchar *) \
									   apir_t +         \
								   apir_t->segs_off))
#define APIR_VERDICTS ((__global ulong *)(__global void *)APIR_PTR(apir_t->verdicts))
/** @endcond */

/** Packets of the burst. */
#define apir_count() (apir_t->count)
/** The packet of this work-item; with one work-group a packet, use apir_group_index(). */
#define apir_index() ((uint)get_global_id(0))
/** The packet of this work-group. */
#define apir_group_index() ((uint)get_group_id(0))
/** First byte of packet i (its first segment). */
#define apir_data(i) APIR_PTR(APIR_PKTS[i].addr)
/** Bytes of the first segment of packet i: all of it if apir_seg_count(i) is 1. */
#define apir_len(i) (APIR_PKTS[i].len)
/** Segments of packet i. */
#define apir_seg_count(i) ((uint)APIR_PKTS[i].nseg)
/** First byte of segment s of packet i. */
#define apir_seg_data(i, s) \
	((s) == 0 ? apir_data(i) : APIR_PTR(APIR_SEGS[(uint)APIR_PKTS[i].extra + (s)-1].addr))
/** Bytes of segment s of packet i. */
#define apir_seg_len(i, s) \
	((s) == 0 ? apir_len(i) : (uint)APIR_SEGS[(uint)APIR_PKTS[i].extra + (s)-1].len)
/** The driver's own word for this burst. */
#define apir_cookie() (apir_t->cookie)

/** Verdicts: 64 bits, action | port << 16 | meta << 32 (struct apir_verdict of virtio_apir.h). */
#define apir_verdict(i, action, port, meta)                                         \
	(APIR_VERDICTS[i] = (ulong)(ushort)(action) | (ulong)(ushort)(port) << 16 | \
			    (ulong)(uint)(meta) << 32)
/** Hand packet i on to port. A packet with no verdict is forwarded to port 0. */
#define apir_forward(i, port) apir_verdict(i, 0, port, 0)
/** Same, with a word for the application. */
#define apir_forward_meta(i, port, meta) apir_verdict(i, 0, port, meta)
/** Drop packet i; reason is the kernel's own (0..65535). */
#define apir_drop(i, reason) apir_verdict(i, 1, reason, 0)
/** What an earlier kernel of the pipeline decided: 0 forward, 1 drop. */
#define apir_verdict_action(i) ((uint)(APIR_VERDICTS[i] & 0xffff))
/** Its port or reason. */
#define apir_verdict_port(i) ((uint)(APIR_VERDICTS[i] >> 16 & 0xffff))
/** Its word for the application. */
#define apir_verdict_meta(i) ((uint)(APIR_VERDICTS[i] >> 32))

#endif /* APIR_KERNEL_H */
