/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef FAKE_SESSION_H
#define FAKE_SESSION_H

/**
 * @file
 * A back-end in this process: the vhost-user side of tests/unit/core/fake_backend.h, and a thread that answers the
 * control queue with what the test wants.
 */

#include "fake_backend.h"
#include "virtio_apir.h"

struct fake_session {
	struct fake_backend be;
	/** Answer HELLO with this; mute: answer nothing on the control queue. */
	struct apir_hello_rsp hello;
	uint16_t hello_status;
	atomic_bool mute;
	/** Refuse remote calls with this, unless it is APIR_S_OK. */
	_Atomic uint16_t rpc_status;
	/**
	 * Results of the remote calls to come, as XDR words in host order: answered in this order, the last one again and
	 * again.
	 */
	struct {
		uint32_t words[16];
		unsigned int nb;
	} results[4];
	unsigned int nb_results;
	atomic_uint calls; /**< remote calls answered */
	pthread_t thread;
	atomic_bool quit;
};

/** A back-end that would serve; change fields, then start. */
void fake_session_init(struct fake_session *s);
void fake_session_start(struct fake_session *s);
/** Only the control queue, whose ring is in be.queue[0]: for other transports. Ended by fake_session_quiet(). */
void fake_session_serve(struct fake_session *s);
/** Ends the control thread; must be called before the front-end's rings are freed. */
void fake_session_quiet(struct fake_session *s);
void fake_session_stop(struct fake_session *s);

#endif /* FAKE_SESSION_H */
