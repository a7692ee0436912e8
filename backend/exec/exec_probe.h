/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_EXEC_PROBE_H
#define APIR_EXEC_PROBE_H

#include "exec.h"

#define PROBE_PKTS 48u /**< what the device must allow in a burst */

/**
 * Run a kernel on host memory through dev, several times, and look at the bytes. False and err if they are wrong. dev is as
 * before, unless the kernel's fault spoilt it.
 */
bool exec_probe(const struct exec_ops *ops, struct exec_dev *dev, struct exec_err *err);

#endif /* APIR_EXEC_PROBE_H */
