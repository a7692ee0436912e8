/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_TABLE_H
#define APIR_TABLE_H

/**
 * @file
 * The packet table: what a kernel sees of a burst. Read both by C (apird fills it) and by OpenCL C (it stands before
 * every tenant's kernel, through apir_kernel.h). Tenants use the macros of apir_kernel.h, never these fields.
 */

#if defined(__OPENCL_C_VERSION__) || defined(__OPENCL_VERSION__)
typedef ulong apir_u64;
typedef uint apir_u32;
typedef ushort apir_u16;
#else
#include <stdint.h>
typedef uint64_t apir_u64;
typedef uint32_t apir_u32;
typedef uint16_t apir_u16;
#endif

/**
 * First segment of a packet. addr means: raw: an address of the host process; base: region number << 56 | offset
 * in that region's buffer; staged: offset in the staging buffer.
 */
struct apir_pkt {
	apir_u64 addr;
	apir_u32 len;	/**< bytes of this segment */
	apir_u16 nseg;	/**< segments of the packet, 1.. */
	apir_u16 extra; /**< index of its second segment in the segments after the packets */
};

/** Segments 2.. of packets that have them. */
struct apir_seg {
	apir_u64 addr;
	apir_u64 len;
};

/** Head of the table; the packets follow, then (at segs_off bytes from here) the further segments. */
struct apir_table {
	apir_u32 count;	   /**< packets */
	apir_u32 segs_off; /**< bytes from the start of this structure to the segments */
	apir_u64 verdicts; /**< where the verdicts lie, in the same form as apir_pkt.addr */
	apir_u64 cookie;   /**< the driver's own word */
	apir_u64 resv[5];  /**< so that the packets start on a cache line */
};

#endif /* APIR_TABLE_H */
