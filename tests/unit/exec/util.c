/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "util.h"

#define WAIT_S 60 /* a burst that takes so long has hung */

char t_log_text[8192];

void
t_log(int level, const char *fmt, ...)
{
	size_t at = strlen(t_log_text);
	va_list ap;

	(void)level;
	if (at > sizeof(t_log_text) / 2)
		at = 0;
	va_start(ap, fmt);
	vsnprintf(t_log_text + at, sizeof(t_log_text) - at, fmt, ap);
	va_end(ap);
}

/* The tests' "cuda" is no device of OpenCL's, but the other executor on the NVIDIA GPU that there is. */
static const struct exec_ops *
ops_of(struct exec_config *cfg)
{
	if (strcmp(cfg->device, "cuda") != 0)
		return &exec_opencl_ops;
	cfg->device = "auto";
	return &exec_cuda_ops;
}

bool
t_skip(const char *device)
{
	struct exec_config cfg = t_config(device, "auto");
	const struct exec_ops *ops = ops_of(&cfg);
	struct exec_err err = {""};
	struct exec_dev *dev;

	if (strcmp(device, "cuda") != 0 && strcmp(device, "nvidia") != 0)
		return false;
	dev = ops->open(&cfg, &err);
	if (dev != NULL) {
		ops->close(dev);
		return false;
	}
	fprintf(stderr, "skipped: no NVIDIA GPU to test on: %s\n", err.text);
	return true;
}

struct exec_config
t_config(const char *device, const char *mode)
{
	return (struct exec_config){
		.device = device,
		.copy_mode = mode,
		.max_pkts = T_PKTS,
		.max_segs = T_SEGS,
		.log = t_log,
	};
}

void
t_open(struct t_env *t, const struct exec_config *config)
{
	struct exec_config cfg = *config;
	struct exec_err err = {""};
	struct exec_region regions[2];

	memset(t, 0, sizeof(*t));
	t->ops = ops_of(&cfg);
	t->dev = t->ops->open(&cfg, &err);
	if (t->dev == NULL)
		fail_msg("open: %s", err.text);
	for (unsigned int i = 0; i < 2; i++) {
		t->mem[i] = mmap(NULL, T_MEM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				 -1, 0);
		assert_ptr_not_equal(t->mem[i], MAP_FAILED);
		regions[i].va = t->mem[i];
		regions[i].size = T_MEM;
	}
	t->verdicts = (struct apir_verdict *)(t->mem[1] + T_PKTS * T_STRIDE);
	assert_status(APIR_S_OK, t->ops->mem_set(t->dev, T_SESSION, regions, 2, &err), err);
	t->queue = t->ops->queue_create(t->dev, T_SESSION, 0, &err);
	if (t->queue == NULL)
		fail_msg("queue: %s", err.text);
}

void
t_close(struct t_env *t)
{
	struct exec_err err = {""};

	t->ops->queue_destroy(t->queue);
	t->ops->mem_set(t->dev, T_SESSION, NULL, 0, &err);
	t->ops->close(t->dev);
	for (unsigned int i = 0; i < 2; i++)
		munmap(t->mem[i], T_MEM);
}

char *
t_file(const char *dir, const char *name)
{
	char path[4096], *text;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg("cannot open %s", path);
	text = calloc(1, 1 << 16);
	assert_non_null(text);
	n = fread(text, 1, (1 << 16) - 1, f);
	assert_true(n > 0);
	fclose(f);
	return text;
}

struct exec_program *
t_program(struct t_env *t, const char *source)
{
	struct exec_err err = {""};
	struct exec_program *p = NULL;
	const char *log = "";
	bool cached;
	enum apir_status s =
		t->ops->program_create(t->dev, source, strlen(source), "", &p, &log, &cached, &err);

	if (s != APIR_S_OK)
		fail_msg("program: %d %s\n%s", s, err.text, log);
	return p;
}

struct exec_kernel *
t_kernel(struct t_env *t, struct exec_program *p, const char *name, uint32_t nb_args)
{
	struct exec_err err = {""};
	struct exec_kernel *k = NULL;
	uint32_t nb = 0;

	assert_status(APIR_S_OK, t->ops->kernel_create(p, name, &k, &nb, &err), err);
	assert_int_equal(nb, nb_args);
	return k;
}

struct exec_pipeline *
t_pipeline(struct t_env *t, struct exec_kernel *k, bool group, uint32_t local)
{
	struct exec_stage stage = {.kernel = k, .group = group, .local_size = local};
	struct exec_err err = {""};
	struct exec_pipeline *p = NULL;

	assert_status(APIR_S_OK, t->ops->pipeline_create(t->dev, &stage, 1, &p, &err), err);
	return p;
}

void
t_value(struct t_env *t, struct exec_kernel *k, uint32_t index, const void *value, size_t size)
{
	struct exec_err err = {""};

	assert_status(APIR_S_OK, t->ops->kernel_set_arg(k, index, value, size, NULL, &err), err);
}

uint8_t *
t_packet(struct t_env *t, unsigned int i)
{
	return t->mem[i % 2] + i * T_STRIDE;
}

struct exec_burst *
t_burst(struct t_env *t, unsigned int nb, unsigned int len)
{
	struct exec_burst *b = t->ops->burst_get(t->queue);

	assert_non_null(b);
	for (unsigned int i = 0; i < nb; i++)
		b->pkts[i] = (struct apir_pkt){
			.addr = (uintptr_t)t_packet(t, i),
			.len = len,
			.nseg = 1,
		};
	b->nb_pkts = nb;
	b->nb_extra = 0;
	b->cookie = 0;
	b->verdicts = t->verdicts;
	b->user = t;
	/* What the executor must reset. */
	memset(t->verdicts, 0xee, T_PKTS * sizeof(*t->verdicts));
	return b;
}

struct exec_burst *
t_run(struct t_env *t, struct exec_pipeline *p, struct exec_burst *b)
{
	struct exec_burst *done = b;
	time_t end = time(NULL) + WAIT_S;

	if (t->ops->submit(t->queue, p, b))
		return b;
	while ((done = t->ops->poll(t->queue)) == NULL)
		assert_true(time(NULL) < end);
	assert_ptr_equal(done, b);
	return done;
}

struct exec_burst *
t_run_ok(struct t_env *t, struct exec_pipeline *p, struct exec_burst *b)
{
	b = t_run(t, p, b);
	assert_int_equal(b->status, APIR_S_OK);
	return b;
}
