/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_TRANSPORT_H
#define APIR_TRANSPORT_H

/**
 * @file
 * How a driver reaches its device: a small ops table in front of vhost-user
 * (a process on the host or in a container) and, in a virtual machine, virtio-pci.
 *
 * Order of calls: open, queue_setup for each queue 0..n-1, start; then kick and
 * update_mem as needed; stop; close. One thread at a time calls them, except
 * kick and alive (any thread) and update_mem (any thread, serialised inside).
 */

#include <stdbool.h>
#include <stdint.h>

#include "apir_env.h"

struct apir_pci;
struct apir_vq;
struct apir_transport;

/** What the device behind a transport allows. */
struct apir_transport_limits {
	uint16_t nb_data_queues; /**< most data queues */
	uint16_t queue_size;	 /**< most entries of each ring, a power of two */
};

/** The device went away (called once, from a thread of the transport's own; must not close the transport). */
typedef void (*apir_lost_fn)(void *ctx);

struct apir_transport_ops {
	const char *name;
	/** What to look at when HELLO is not answered; one sentence, for the log. */
	const char *silent;
	/** The end of the back-end cannot be seen: only that it does not answer any more. */
	bool probes;
	/** Tell the device where queue idx lies: in the state after creation, or drained. Returns 0 or a negative errno. */
	int (*queue_setup)(struct apir_transport *t, uint16_t idx, const struct apir_vq *vq);
	/** All queues are set up: let the device run. Returns 0 or a negative errno, after which stop() is called as well. */
	int (*start)(struct apir_transport *t);
	/**
	 * Take the queues back. On 0 the device no longer touches the rings nor any buffer in them.
	 * On a negative errno (device hung) it still may; close() then waits for nothing. Once it is gone, stop()
	 * called again gives 0.
	 */
	int (*stop)(struct apir_transport *t);
	/** Notify the device of new requests in queue idx. */
	void (*kick)(struct apir_transport *t, uint16_t idx);
	/** Known once the transport is open. */
	void (*limits)(struct apir_transport *t, struct apir_transport_limits *limits);
	/** File descriptor that becomes readable when the device notifies queue idx; -1: poll. */
	int (*call_fd)(struct apir_transport *t, uint16_t idx);
	/** False once the device is gone. */
	bool (*alive)(struct apir_transport *t);
	/**
	 * Memory was added or is about to go: tell the device, wait until it has followed.
	 * regions NULL: ask the environment. Returns 0 or a negative errno.
	 */
	int (*update_mem)(struct apir_transport *t, const struct apir_mem_region *regions,
			  unsigned int nb);
	/** End the connection and free the transport. */
	void (*close)(struct apir_transport *t);
	/**
	 * In a forked child: let go of what its parent's device holds open, without a word to the device. Nothing is freed
	 * and no lock taken; no other function may be called afterwards. NULL where a child holds nothing.
	 */
	void (*forked)(struct apir_transport *t);
};

/** Head of each transport's own structure. */
struct apir_transport {
	const struct apir_transport_ops *ops;
	const struct apir_env *env;
};

/**
 * Connect to a vhost-user back-end that listens on a Unix socket.
 *
 * @param timeout_ms limit of each wait for the back-end, > 0
 * @param lost called when the back-end goes, perhaps before this function returns; may be NULL
 * @return 0 or a negative errno, after logging what is wrong and how to mend it:
 *   -ENOENT no such socket, -ECONNREFUSED nobody listens, -ENAMETOOLONG, -EACCES, -EPROTO the peer lacks a
 *   feature or answers nonsense, -ETIMEDOUT no answer, -ECONNRESET it hung up on us (too many sessions).
 *   start() and update_mem() have these too, -ENODEV once the device is gone, and those of mem_regions().
 */
int apir_vhost_user_open(const char *path, const struct apir_env *env, unsigned int timeout_ms,
			 apir_lost_fn lost, void *lost_ctx, struct apir_transport **out);

/**
 * Take a virtio device on PCI (in a virtual machine): reset it and agree on features.
 *
 * Its BARs must be mapped (pci->ops->bar), and env's guest addresses must be guest-physical. pci must outlive the
 * transport.
 *
 * @param timeout_ms limit of each wait for a reset, > 0
 * @return 0 or a negative errno, after logging what is wrong and how to mend it:
 *   -ENODEV no apir device, no modern virtio device, or unplugged; -EPROTO it lacks a feature; -EINVAL its queues are
 *   too few, too many or too small; -ETIMEDOUT it does not finish its reset; -EACCES no right to configuration space.
 *   start() has -ENOMEM and -EPROTO too.
 */
int apir_virtio_pci_open(const struct apir_pci *pci, const struct apir_env *env,
			 unsigned int timeout_ms, struct apir_transport **out);

#endif /* APIR_TRANSPORT_H */
