/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_TOKEN_H
#define APIR_CL_TOKEN_H

/**
 * @file
 * Tokens: what the worker calls a thing that it will tell of by a notice. A thread of the library's own fetches notices and calls the
 * functions registered here; it starts with the first token. Thread-safe.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cl_notice.h"

/**
 * What a notice brings. Called in the thread of notices, without any lock held; it may call whatever a program may. value is
 * negative, and there is no text, when the session is lost.
 */
typedef void cl_token_fn(void *arg, int32_t value, const void *text, size_t len);

/** A token for notices of this sort. Those of contexts stay until dropped, others are gone with their notice. 0: no memory. */
uint64_t cl_token_new(enum cl_notice what, cl_token_fn *fn, void *arg);
/**
 * Forget a token; 0 is allowed.
 *
 * @return true: its function has not been called and will not be (but a context's may be running); false: it has been, or is
 *   about to be
 */
bool cl_token_drop(uint64_t token);

#endif /* APIR_CL_TOKEN_H */
