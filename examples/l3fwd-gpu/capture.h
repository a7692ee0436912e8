/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_CAPTURE_H
#define L3FWD_CAPTURE_H

#include <stddef.h>

/*
 * Read a capture file from end to end. DPDK's net_pcap takes a file that breaks off for one that ends: a router fed with it
 * would report success on half of the traffic. Returns 0, or -1 with err saying what is wrong with which file.
 */
int capture_check(const char *file, char *err, size_t err_len);

/* capture_check() of each rx_pcap= in the arguments of a --vdev. */
int capture_check_devargs(const char *args, char *err, size_t err_len);

#endif /* L3FWD_CAPTURE_H */
