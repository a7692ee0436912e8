/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_log.h>

#include "fib.h"
#include "gpu.h"

#define KERNEL_NAME "l3fwd"
#define KERNEL_FILE "l3fwd.cl"
/* Tables are written in pieces: between two of them the device has time for packets. */
#define WRITE_STEP (1u << 20)
/* A packet may have this many segments, whatever the burst. */
#define MIN_SEGS 64u
#define MAX_SEGS 1022u

static int
read_source(struct gpu *gpu, char *err, size_t err_len)
{
	FILE *f = fopen(gpu->kernel_file, "re");
	char *text = NULL;
	size_t len = 0, room = 0, n;

	if (f == NULL)
		goto fail;
	do {
		if (room - len < 4096) {
			char *grown = realloc(text, room += 65536);

			if (grown == NULL)
				goto fail;
			text = grown;
		}
		n = fread(text + len, 1, room - len, f);
		len += n;
	} while (n > 0);
	if (ferror(f))
		goto fail;
	fclose(f);
	gpu->source = text;
	gpu->source_len = len;
	return 0;
fail:
	snprintf(err, err_len, "kernel %s: %s", gpu->kernel_file, strerror(errno));
	free(text);
	if (f != NULL)
		fclose(f);
	return -1;
}

/* The kernel beside the program is that of its build; an installed program finds the installed one. */
static void
find_source(struct gpu *gpu, const char *kernel)
{
	char exe[PATH_MAX];
	ssize_t n;

	if (kernel != NULL) {
		snprintf(gpu->kernel_file, sizeof(gpu->kernel_file), "%s", kernel);
		return;
	}
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n > 0) {
		exe[n] = '\0';
		n = snprintf(gpu->kernel_file, sizeof(gpu->kernel_file), "%s/%s", dirname(exe),
			     KERNEL_FILE);
		if (n < (ssize_t)sizeof(gpu->kernel_file) && access(gpu->kernel_file, R_OK) == 0)
			return;
	}
	snprintf(gpu->kernel_file, sizeof(gpu->kernel_file), "%s/%s", L3FWD_KERNEL_DIR,
		 KERNEL_FILE);
}

int
gpu_open(struct gpu *gpu, const struct options *opt, uint16_t nb_queue_pairs, char *err,
	 size_t err_len)
{
	struct rte_apir_conf conf = {
		.path = opt->path,
		.pci = opt->pci,
		.name = "l3fwd-gpu",
		.nb_queue_pairs = nb_queue_pairs,
		.nb_bursts = opt->in_flight,
		.max_burst = opt->burst,
		.max_segs = RTE_MIN(RTE_MAX(opt->burst, MIN_SEGS), MAX_SEGS),
		.socket_id = SOCKET_ID_ANY,
		.build_timeout_ms = 30000,
	};

	find_source(gpu, opt->kernel);
	if (read_source(gpu, err, err_len) != 0)
		return -1;
	if (rte_apir_open(&conf, &gpu->dev) != 0) {
		snprintf(err, err_len, "%s", rte_apir_last_error());
		free(gpu->source);
		gpu->source = NULL;
		return -1;
	}
	return 0;
}

int
gpu_load(struct gpu *gpu, const struct l3fwd_port *ports, size_t nb_ports, char *err,
	 size_t err_len)
{
	const size_t size = nb_ports * sizeof(*ports);
	char *log = NULL;
	int ret;

	ret = rte_apir_program_create(gpu->dev, gpu->source, gpu->source_len, NULL, &gpu->program,
				      &log);
	if (ret != 0 && log != NULL && log[0] != '\0')
		snprintf(err, err_len, "%s: %s\n%s", gpu->kernel_file, rte_apir_last_error(), log);
	else if (ret != 0)
		snprintf(err, err_len, "%s: %s", gpu->kernel_file, rte_apir_last_error());
	free(log);
	if (ret != 0)
		return -1;
	if (rte_apir_kernel_create(gpu->dev, gpu->program, KERNEL_NAME, &gpu->kernel, NULL) != 0 ||
	    rte_apir_buffer_create(gpu->dev, size, &gpu->ports) != 0 ||
	    rte_apir_buffer_write(gpu->dev, gpu->ports, 0, ports, size) != 0 ||
	    rte_apir_kernel_set_buffer(gpu->dev, gpu->kernel, 2, gpu->ports) != 0 ||
	    rte_apir_info_get(gpu->dev, &gpu->info) != 0) {
		snprintf(err, err_len, "%s: %s", gpu->kernel_file, rte_apir_last_error());
		return -1;
	}
	return 0;
}

int
gpu_reconnect(struct gpu *gpu, char *err, size_t err_len)
{
	const int log = rte_log_register("lib.apir");
	const int level = rte_log_get_level(log);
	int ret;

	/* One try of many: the library need not log each. */
	rte_log_set_level(log, RTE_LOG_CRIT);
	ret = rte_apir_reconnect(gpu->dev);
	rte_log_set_level(log, level);
	if (ret == 0)
		return 0;
	snprintf(err, err_len, "%s", rte_apir_last_error());
	/* Mostly it is not there yet; these will not mend. */
	return ret == -EPROTONOSUPPORT || ret == -ENOTSUP || ret == -EINVAL ? -1 : 1;
}

int
gpu_close(struct gpu *gpu, char *err, size_t err_len)
{
	free(gpu->source);
	gpu->source = NULL;
	if (rte_apir_close(gpu->dev) == 0)
		return 0;
	snprintf(err, err_len, "%s", rte_apir_last_error());
	return -1;
}

static bool
is_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* New device memory is zeroed, and most of a route table is zero: only the rest is sent. */
static int
upload(struct gpu *gpu, const struct fib *fib, uint32_t *buffer)
{
	const uint8_t *bytes = (const uint8_t *)fib->entries;
	const size_t size = fib_size(fib);
	size_t at, len;
	int ret;

	ret = rte_apir_buffer_create(gpu->dev, size, buffer);
	if (ret != 0)
		return ret;
	for (at = 0; at < size; at += len) {
		len = RTE_MIN(size - at, WRITE_STEP);
		if (is_zero(bytes + at, len))
			continue;
		ret = rte_apir_buffer_write(gpu->dev, *buffer, at, bytes + at, len);
		if (ret != 0) {
			rte_apir_buffer_destroy(gpu->dev, *buffer);
			return ret;
		}
	}
	return 0;
}

static int
upload_list(struct gpu *gpu, const struct route_list *list, uint32_t first, uint32_t *buffer,
	    char *err, size_t err_len)
{
	struct fib fib;
	int ret;

	if (fib_build(&fib, list, first, err, err_len) != 0)
		return -1;
	ret = upload(gpu, &fib, buffer);
	if (ret != 0)
		snprintf(err, err_len, "the %s table (%zu MiB) does not fit the device: %s",
			 list->addr_len == 16 ? "IPv6" : "IPv4", fib_size(&fib) >> 20,
			 rte_apir_last_error());
	fib_free(&fib);
	return ret == 0 ? 0 : -1;
}

int
gpu_tables_create(struct gpu *gpu, const struct rules *rules, struct gpu_tables *t, char *err,
		  size_t err_len)
{
	struct rte_apir_stage stage = {.kernel = gpu->kernel, .launch = RTE_APIR_LAUNCH_ITEM};

	if (upload_list(gpu, &rules->v4, 0, &t->fib4, err, err_len) != 0)
		return -1;
	if (upload_list(gpu, &rules->v6, rules->v4.nb, &t->fib6, err, err_len) != 0)
		goto free_fib4;
	/* A pipeline is a snapshot of its arguments: the one in use keeps the old tables. */
	if (rte_apir_kernel_set_buffer(gpu->dev, gpu->kernel, 0, t->fib4) != 0 ||
	    rte_apir_kernel_set_buffer(gpu->dev, gpu->kernel, 1, t->fib6) != 0 ||
	    rte_apir_pipeline_create(gpu->dev, &stage, 1, &t->pipeline) != 0) {
		snprintf(err, err_len, "%s", rte_apir_last_error());
		goto free_fib6;
	}
	return 0;
free_fib6:
	rte_apir_buffer_destroy(gpu->dev, t->fib6);
free_fib4:
	rte_apir_buffer_destroy(gpu->dev, t->fib4);
	return -1;
}

void
gpu_tables_destroy(struct gpu *gpu, const struct gpu_tables *t)
{
	/* A session that is gone has taken them along. */
	if (rte_apir_state(gpu->dev) != RTE_APIR_RUNNING)
		return;
	rte_apir_pipeline_destroy(gpu->dev, t->pipeline);
	rte_apir_buffer_destroy(gpu->dev, t->fib6);
	rte_apir_buffer_destroy(gpu->dev, t->fib4);
}
