/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef GUEST_H
#define GUEST_H

/**
 * @file
 * A guest in this process: two regions of memory whose guest addresses touch, and rings in it.
 * The regions are allocated to the byte, so that a sanitizer sees the first step outside.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vring.h"

#define GUEST_GPA   0x10000000ull
#define GUEST_SIZE  (1u << 20)
#define GUEST_GPA2  (GUEST_GPA + GUEST_SIZE)
#define GUEST_SIZE2 (64u << 10)

/* Where things lie in the first region: rings of up to 8 queues, then room for the test. */
#define GUEST_RING_SPACE 0x8000u
#define GUEST_RING(q)	 ((q)*GUEST_RING_SPACE)
#define GUEST_FREE	 (8 * GUEST_RING_SPACE)

struct guest {
	uint8_t *mem, *mem2;
	struct mem_region r[2];
};

struct guest_ring {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t size, seen;
	int kick_fd, call_fd;
};

void guest_init(struct guest *g);
void guest_fini(struct guest *g);

/** Address of a guest address in either region. */
void *guest_at(struct guest *g, uint64_t gpa);

/** Ring q of the guest, empty, with its eventfds. */
void guest_ring(struct guest *g, struct guest_ring *r, unsigned int q, uint16_t size);
void guest_ring_close(struct guest_ring *r);
void guest_ring_conf(const struct guest_ring *r, struct vring_conf *conf);

/** Offer descriptor head to the device. */
void guest_offer(struct guest_ring *r, uint16_t head);
/** Wait for the next used element. */
struct vring_used_elem guest_wait(struct guest_ring *r);
/** The next used element if there is one: 1, or 0. */
int guest_poll(struct guest_ring *r, struct vring_used_elem *e);

/**
 * A burst in guest memory at gpa (table, header, response, one after another) of nb packets of len
 * bytes at pkts.
 */
struct guest_burst {
	uint64_t tbl_gpa, hdr_gpa, rsp_gpa, pkt_gpa;
	struct vring_desc *tbl;
	struct apir_burst_req *hdr;
	struct apir_burst_rsp *rsp;
	uint32_t n; /* entries */
};
void guest_burst(struct guest *g, struct guest_burst *b, uint64_t gpa, uint16_t nb, uint32_t len);
/** Descriptor head names the burst. */
void guest_name(struct guest_ring *r, uint16_t head, const struct guest_burst *b);

#endif /* GUEST_H */
