/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef VU_FIX_H
#define VU_FIX_H

/** @file What the tests of the vhost-user transport share: an environment, a back-end, queues, and the transport. */

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "apir_transport.h"
#include "apir_vq.h"
#include "fake_backend.h"
#include "fake_env.h"

#define NB_QUEUES 3
#define LONG_MS	  20000 /* never reached when all is well */

extern struct fake_env fe;
extern struct fake_backend be;
extern struct apir_vq *vq[NB_QUEUES];
extern struct apir_transport *t;
extern sem_t lost_sem; /* posted when the transport says that the device is lost */
extern atomic_int lost_count;

int setup(void **state);
/** Fails the test if a descriptor is left open, or if the front-end broke the protocol. */
int teardown(void **state);
int open_transport(unsigned int timeout_ms);
void set_queues(void);
void open_and_start(void);

#endif /* VU_FIX_H */
