/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIRD_HELLO_H
#define APIRD_HELLO_H

/** @file HELLO: admission of a driver, agreement on version, features and limits. */

#include "session.h"

/** Longest program source in bytes. */
#define MAX_SOURCE (4u << 20)

/**
 * Answer HELLO. On a status other than APIR_S_OK only the versions and the text of rsp are valid.
 */
enum apir_status hello_answer(struct session *s, const struct apir_hello_req *req,
			      struct apir_hello_rsp *rsp);

#endif /* APIRD_HELLO_H */
