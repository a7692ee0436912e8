/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef MOCK_EXEC_H
#define MOCK_EXEC_H

/**
 * @file An executor the tests hold in their hand: it counts its objects and can keep bursts back.
 */

#include <stdatomic.h>

#include "exec.h"

#define MOCK_DEPTH 8 /* bursts in flight of a queue */

struct mock {
	_Atomic int programs, kernels, buffers, pipelines, queues; /* alive */
	_Atomic int mem_regions;				   /* told last */
	_Atomic int mem_sets;
	_Atomic bool async;	  /* submit returns at once */
	_Atomic int may_finish;	  /* async: so many bursts may complete, -1: all */
	_Atomic int running;	  /* bursts submitted and not complete */
	_Atomic bool holds;	  /* async: nothing completes before flush */
	_Atomic int flushed;	  /* calls of flush */
	_Atomic bool build_waits; /* program_create does not return until this is false */
	_Atomic int building;
	enum apir_status burst_status; /* of each burst from now on */
	struct exec_burst last;	       /* what was submitted last */
};

extern struct mock mock;
extern const struct exec_ops mock_ops;

/** Everything zero, synchronous, nothing kept back. */
void mock_reset(void);
/** Objects alive, all kinds together. */
int mock_objects(void);

#endif /* MOCK_EXEC_H */
