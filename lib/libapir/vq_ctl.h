/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_VQ_CTL_H
#define APIR_VQ_CTL_H

/** @file The control queue's side of the ring, for the control client alone. */

#include "apir_vq.h"

/** Publish the slot of a control queue: len bytes of request, APIR_CTL_MAX for the response. */
void apir_vq_submit_ctl(struct apir_vq *vq, uint32_t len);

/** Bytes the device says it wrote into the slot that apir_vq_poll() gave last. */
uint32_t apir_vq_used_len(const struct apir_vq *vq);

#endif /* APIR_VQ_CTL_H */
