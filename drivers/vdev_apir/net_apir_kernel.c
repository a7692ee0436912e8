/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net_apir.h"

/** Bytes read from an argument's file and written to the device at once. */
#define FILE_CHUNK (1u << 20)

/*
 * Opens a file that is to be read whole. O_NONBLOCK: a FIFO must not block the probe before it is
 * refused.
 */
static int
open_file(const struct apir_port *port, const char *key, const char *path, uint64_t *size)
{
	struct stat st;
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0) {
		err = errno;
		APIR_PORT_LOG(port, ERR, "%s%s: cannot be read: %s", key, path, strerror(err));
	} else if (!S_ISREG(st.st_mode)) {
		err = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		APIR_PORT_LOG(port, ERR, "%s%s: is %s, must be a regular file", key, path,
			      S_ISDIR(st.st_mode) ? "a directory" : "something else");
	} else if (st.st_size == 0) {
		err = ENODATA;
		APIR_PORT_LOG(port, ERR, "%s%s: is empty", key, path);
	} else {
		*size = (uint64_t)st.st_size;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -err;
}

static int
read_all(int fd, char *to, size_t len, off_t offset)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(fd, to + done, len - done, offset + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

static int
load_source(struct apir_port *port)
{
	const char *path = port->args.kernel;
	uint64_t size = 0;
	int fd, ret;

	fd = open_file(port, "kernel=", path, &size);
	if (fd < 0)
		return fd;
	if (size > APIR_ARGS_MAX_SOURCE) {
		APIR_PORT_LOG(port, ERR, "kernel=%s: has %" PRIu64 " bytes, at most %u are allowed",
			      path, size, APIR_ARGS_MAX_SOURCE);
		close(fd);
		return -EFBIG;
	}
	port->source = malloc(size);
	ret = port->source == NULL ? -ENOMEM : read_all(fd, port->source, size, 0);
	close(fd);
	if (ret != 0)
		APIR_PORT_LOG(port, ERR, "kernel=%s: cannot be read: %s", path, strerror(-ret));
	port->source_len = size;
	return ret;
}

int
apir_kernel_load(struct apir_port *port)
{
	unsigned int i, k;
	int ret;

	if (port->args.kernel == NULL)
		return 0;
	ret = load_source(port);
	/*
	 * Tables stay open: the same content is there for the next back-end, whatever becomes of
	 * the name.
	 */
	for (i = 0; i < port->args.nb_stages && ret == 0; i++) {
		for (k = 0; k < port->args.stages[i].nb_args && ret == 0; k++) {
			struct apir_arg *arg = &port->args.stages[i].args[k];

			if (arg->kind != APIR_ARG_FILE)
				continue;
			arg->fd = open_file(port, "args=file:", arg->path, &arg->size);
			if (arg->fd < 0)
				ret = arg->fd;
		}
	}
	return ret;
}

static void
log_build(const struct apir_port *port, char *log)
{
	char *line;

	while ((line = strsep(&log, "\n")) != NULL)
		if (line[0] != '\0')
			APIR_PORT_LOG(port, ERR, "%s", line);
}

static int
make_program(const struct apir_port *port, uint32_t *program)
{
	char *log = NULL;
	int ret;

	ret = rte_apir_program_create(port->dev_id, port->source, port->source_len,
				      port->args.options, program, &log);
	if (ret == -ENOEXEC) {
		APIR_PORT_LOG(port, ERR,
			      "kernel=%s does not build; the compiler says:", port->args.kernel);
		log_build(port, log);
	} else if (ret != 0) {
		APIR_PORT_LOG(port, ERR, "kernel=%s: no program was made of it: %s",
			      port->args.kernel, rte_apir_last_error());
	}
	free(log);
	return ret;
}

static int
fill_from_file(const struct apir_port *port, uint32_t buffer, const struct apir_arg *arg)
{
	char *chunk = malloc(FILE_CHUNK);
	uint64_t at;
	size_t len;
	int ret = chunk == NULL ? -ENOMEM : 0;

	for (at = 0; at < arg->size && ret == 0; at += len) {
		len = (size_t)RTE_MIN(arg->size - at, (uint64_t)FILE_CHUNK);
		ret = read_all(arg->fd, chunk, len, (off_t)at);
		if (ret != 0) {
			APIR_PORT_LOG(port, ERR, "args=file:%s: cannot be read: %s", arg->path,
				      strerror(-ret));
			break;
		}
		ret = rte_apir_buffer_write(port->dev_id, buffer, at, chunk, len);
		if (ret != 0)
			APIR_PORT_LOG(port, ERR,
				      "args=file:%s: cannot be written to the device: %s",
				      arg->path, rte_apir_last_error());
	}
	free(chunk);
	return ret;
}

/* The kernel keeps the buffer alive once it is its argument. */
static int
set_buffer(const struct apir_port *port, uint32_t kernel, unsigned int index,
	   const struct apir_arg *arg)
{
	uint32_t buffer;
	int ret;

	ret = rte_apir_buffer_create(port->dev_id, arg->size, &buffer);
	if (ret != 0)
		return ret;
	if (arg->kind == APIR_ARG_FILE)
		ret = fill_from_file(port, buffer, arg);
	if (ret == 0)
		ret = rte_apir_kernel_set_buffer(port->dev_id, kernel, index, buffer);
	rte_apir_buffer_destroy(port->dev_id, buffer);
	return ret;
}

static int
set_args(const struct apir_port *port, uint32_t kernel, const struct apir_arg_stage *stage)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < stage->nb_args && ret == 0; i++) {
		const struct apir_arg *arg = &stage->args[i];

		if (arg->kind == APIR_ARG_VALUE)
			ret = rte_apir_kernel_set_value(port->dev_id, kernel, i, arg->value,
							arg->size);
		else if (arg->kind == APIR_ARG_LOCAL)
			ret = rte_apir_kernel_set_local(port->dev_id, kernel, i, arg->size);
		else
			ret = set_buffer(port, kernel, i, arg);
		if (ret != 0)
			APIR_PORT_LOG(port, ERR, "args=: argument %u of kernel %s: %s", i,
				      stage->entry, rte_apir_last_error());
	}
	return ret;
}

static int
make_kernel(const struct apir_port *port, uint32_t program, const struct apir_arg_stage *stage,
	    uint32_t *kernel)
{
	uint32_t nb_args = 0;
	int ret;

	ret = rte_apir_kernel_create(port->dev_id, program, stage->entry, kernel, &nb_args);
	if (ret != 0) {
		APIR_PORT_LOG(port, ERR, "%s%s: %s",
			      port->args.entry_given ? "entry=" : "entry= is needed: there is no ",
			      stage->entry, rte_apir_last_error());
		return ret;
	}
	if (nb_args != stage->nb_args) {
		APIR_PORT_LOG(port, ERR,
			      "args=: kernel %s takes %u arguments after APIR_BURST, %u are given",
			      stage->entry, nb_args, stage->nb_args);
		ret = -EINVAL;
	} else if (stage->local_size > port->info.max_work_group) {
		APIR_PORT_LOG(
			port, ERR,
			"launch=: work-groups of %u work-items: the device allows at most %" PRIu64,
			stage->local_size, port->info.max_work_group);
		ret = -EINVAL;
	} else {
		ret = set_args(port, *kernel, stage);
	}
	if (ret != 0)
		rte_apir_kernel_destroy(port->dev_id, *kernel);
	return ret;
}

int
apir_kernel_build(struct apir_port *port, uint32_t *pipeline)
{
	const struct apir_args *args = &port->args;
	struct rte_apir_stage stages[RTE_APIR_MAX_STAGES];
	unsigned int nb = 0;
	uint32_t program;
	int ret;

	*pipeline = RTE_APIR_PIPELINE_LOOPBACK;
	if (args->kernel == NULL)
		return 0;
	ret = make_program(port, &program);
	if (ret != 0)
		return ret;
	for (; nb < args->nb_stages; nb++) {
		stages[nb].launch = args->stages[nb].launch;
		stages[nb].local_size = args->stages[nb].local_size;
		ret = make_kernel(port, program, &args->stages[nb], &stages[nb].kernel);
		if (ret != 0)
			break;
	}
	if (ret == 0) {
		ret = rte_apir_pipeline_create(port->dev_id, stages, nb, pipeline);
		if (ret != 0)
			APIR_PORT_LOG(port, ERR, "kernel=%s: no pipeline was made of it: %s",
				      args->kernel, rte_apir_last_error());
	}
	/* The pipeline keeps what it needs. */
	while (nb > 0)
		rte_apir_kernel_destroy(port->dev_id, stages[--nb].kernel);
	rte_apir_program_destroy(port->dev_id, program);
	return ret;
}
