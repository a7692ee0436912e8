/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_GPU_H
#define L3FWD_GPU_H

/*
 * The device: everything that this program does with rte_apir.h but the bursts themselves (worker.c). Copy this file
 * and worker.c's gpu_round() to put a kernel of your own to work.
 */

#include <stddef.h>
#include <stdint.h>

#include <rte_apir.h>

#include "l3fwd_shared.h"
#include "options.h"
#include "rules.h"

struct gpu {
	uint16_t dev;
	char *source; /* of the kernel; kept for when the back-end starts anew */
	size_t source_len;
	char kernel_file[4096];
	uint32_t program, kernel, ports;
	struct rte_apir_info info;
};

/* Route tables in device memory, and the pipeline that uses them. */
struct gpu_tables {
	uint32_t fib4, fib6, pipeline;
};

/* Each returns 0 or -1 with err set. */

/* Find the kernel file and connect to apird. */
int gpu_open(struct gpu *gpu, const struct options *opt, uint16_t nb_queue_pairs, char *err,
	     size_t err_len);
/* Build the program and write the port table: after gpu_open() and after each gpu_reconnect(). */
int gpu_load(struct gpu *gpu, const struct l3fwd_port *ports, size_t nb_ports, char *err,
	     size_t err_len);
/* 0: connected again; 1: not yet. */
int gpu_reconnect(struct gpu *gpu, char *err, size_t err_len);
int gpu_close(struct gpu *gpu, char *err, size_t err_len);

/* Packets flow on while this runs. */
int gpu_tables_create(struct gpu *gpu, const struct rules *rules, struct gpu_tables *t, char *err,
		      size_t err_len);
void gpu_tables_destroy(struct gpu *gpu, const struct gpu_tables *t);

#endif /* L3FWD_GPU_H */
