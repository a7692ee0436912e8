/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef TEST_CL_FAKE_DEVICE_H
#define TEST_CL_FAKE_DEVICE_H

/**
 * @file
 * A transport with a device behind it in this process: a thread that answers HELLO and, one after another, the calls of all
 * lanes. It stands in for apir_vhost_user_open().
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "virtio_apir_cl.h"

#define DEVICE_MAX_LANES 64

/** An answer as the device gives it; also a wrong one. */
struct device_answer {
	struct apir_cl_rsp rsp;
	uint64_t result[4]; /**< follow the header */
	uint32_t used;	    /**< bytes the ring says; set before the hook runs */
	bool keep;	    /**< do not answer (yet) */
};

struct fake_device {
	/* behaviour */
	unsigned int nb_lanes;
	uint64_t features;  /**< of HELLO */
	bool unified;	    /**< of Open: half of the arena is the worker's */
	uint64_t shared_at; /**< of Open, if not 0 */
	int open_err;	    /**< Open's result, if not 0 */
	int connect_err;    /**< apir_vhost_user_open()'s, if not 0 */
	/** Called for each call but Open, in the device's thread; ids are those released along with it. */
	void (*hook)(const struct apir_cl_req *req, const void *args, const uint64_t *ids,
		     struct device_answer *a);

	/* what there was */
	_Atomic unsigned int nb_opens, nb_closes, nb_forked;
	_Atomic unsigned int nb_calls; /**< lane requests, Open included */
	_Atomic unsigned int nb_kicks;
};
extern struct fake_device device;

/** The defaults, and nothing seen. */
void device_reset(void);
/** The device goes, as apird or the worker would. */
void device_die(void);
/** Answer what was kept, on all lanes. */
void device_answer_kept(void);
unsigned int device_nb_kept(void);

#endif /* TEST_CL_FAKE_DEVICE_H */
