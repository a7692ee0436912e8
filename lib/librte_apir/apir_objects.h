/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_OBJECTS_H
#define APIR_OBJECTS_H

/** @file Remote calls of one device: begin (locks it), the generated stub, check, end. */

#include "apir_ctl.h"
#include "apir_private.h"

/** Lock a running device. NULL: -ENODEV, with a text. */
struct apir_dev *apir_call_begin(uint16_t dev_id, CLIENT **clnt);
/** Unlock it. Returns ret. */
int apir_call_end(struct apir_dev *dev, int ret);
/**
 * What became of a call. Returns 0 or a negative errno, with a text that begins with what. A call
 * that timed out ends the session: see rte_apir_conf.build_timeout_ms.
 */
int apir_call_check(struct apir_dev *dev, enum clnt_stat st, const apir_result *res,
		    const char *what);

#endif /* APIR_OBJECTS_H */
