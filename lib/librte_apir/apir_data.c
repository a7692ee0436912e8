/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#include "apir_objects.h"

/*
 * Calls that move data. Little of it travels in the call; more is named by address, where the
 * device can see it: the caller's own memory if it is shared, else a buffer of ours that is.
 */

#define INLINE_MAX 8192u /* above, a copy into the call costs more than naming shared memory */
#define BOUNCE_LEN ((size_t)1 << 20)
#define LOG_MAX	   (16ull << 20) /* longest build log that is believed */

/* The bounce buffer, made when it is first needed. NULL when there is no shared memory left. */
static void *
bounce(struct apir_dev *dev)
{
	if (dev->bounce == NULL)
		dev->bounce =
			dev->env.dma_alloc(&dev->env, BOUNCE_LEN, APIR_LINE, dev->conf.socket_id);
	return dev->bounce != NULL && rte_apir_is_shared(dev->id, dev->bounce, BOUNCE_LEN)
		       ? dev->bounce
		       : NULL;
}

/* Programs ------------------------------------------------------------------ */

/* The whole log, to be freed. Returns 0 or a negative errno, with a text. */
static int
read_log(struct apir_dev *dev, CLIENT *clnt, uint32_t prog, uint64_t total, char **out)
{
	apir_log_args args = {.prog = prog, .sink.form = APIR_DATA_INLINE};
	char *log;
	int ret = 0;

	if (total > LOG_MAX)
		return apir_err(EPROTO, "program: a build log of %" PRIu64 " bytes", total);
	log = malloc(total + 1);
	if (log == NULL)
		return apir_err(ENOMEM, "program: no memory for a build log of %" PRIu64 " bytes",
				total);
	while (ret == 0 && args.offset < total) {
		apir_read_res res = {0};
		enum clnt_stat st;

		args.sink.apir_sink_u.len =
			(u_int)RTE_MIN(total - args.offset, (uint64_t)APIR_RPC_MAX_INLINE);
		st = apir_program_log_1(args, &res, clnt);
		ret = apir_call_check(dev, st, &res.result, "build log");
		if (ret == 0 &&
		    (res.bytes.bytes_len == 0 || res.bytes.bytes_len > args.sink.apir_sink_u.len))
			ret = apir_err(EPROTO, "build log: %u bytes instead of %u",
				       res.bytes.bytes_len, args.sink.apir_sink_u.len);
		if (ret == 0) {
			memcpy(log + args.offset, res.bytes.bytes_val, res.bytes.bytes_len);
			args.offset += res.bytes.bytes_len;
		}
		if (st == RPC_SUCCESS)
			xdr_free((xdrproc_t)xdr_apir_read_res, &res);
	}
	if (ret != 0) {
		free(log);
		return ret;
	}
	log[total] = '\0';
	*out = log;
	return 0;
}

/* The line of a build log that says most: the first error, else the first line. */
static void
log_line(const char *log, char *out, size_t size)
{
	const char *err = strstr(log, "error:");
	const char *at = log;

	if (err != NULL) {
		for (at = err; at > log && at[-1] != '\n'; at--)
			;
	}
	snprintf(out, size, "%.*s", (int)strcspn(at, "\n"), at);
}

/* Quietly: the caller has an error to report already. */
static void
drop_program(CLIENT *clnt, uint32_t prog)
{
	apir_result res = {0};

	if (apir_program_destroy_1(prog, &res, clnt) == RPC_SUCCESS)
		xdr_free((xdrproc_t)xdr_apir_result, &res);
}

/* After a failed build: its log to the caller, its first error to the error text. Returns -ENOEXEC. */
static int
build_failed(struct apir_dev *dev, CLIENT *clnt, const apir_program_res *res, char **log)
{
	char line[1024] = "", *text = NULL;

	if (read_log(dev, clnt, res->id, res->log_len, &text) == 0)
		log_line(text, line, sizeof(line));
	drop_program(clnt, res->id);
	if (log != NULL)
		*log = text;
	else
		free(text);
	return apir_err(ENOEXEC, "the program does not build%s%s", line[0] != '\0' ? ": " : "",
			line);
}

static int
check_program(const struct apir_dev *dev, size_t len, const char *options)
{
	if (len > dev->hello.max_source)
		return apir_err(E2BIG, "program: a source of %zu bytes: the device takes 1..%u",
				len, dev->hello.max_source);
	if (strlen(options) > APIR_RPC_MAX_OPTIONS)
		return apir_err(EINVAL, "program: options of %zu bytes: 0..%u are possible",
				strlen(options), APIR_RPC_MAX_OPTIONS);
	return 0;
}

/* Put the source where the device finds it. *copy is to be freed. */
static int
place_source(struct apir_dev *dev, const char *source, size_t len, apir_data *data, void **copy)
{
	const struct apir_env *env = &dev->env;
	const void *at = source;

	*copy = NULL;
	if (len <= INLINE_MAX) {
		data->form = APIR_DATA_INLINE;
		data->apir_data_u.bytes.bytes_len = (u_int)len;
		data->apir_data_u.bytes.bytes_val = (char *)(uintptr_t)source;
		return 0;
	}
	if (!rte_apir_is_shared(dev->id, source, len)) {
		*copy = env->dma_alloc(env, len, APIR_LINE, dev->conf.socket_id);
		if (*copy == NULL)
			return apir_err(ENOMEM,
					"program: no %zu bytes of EAL memory for its source", len);
		memcpy(*copy, source, len);
		at = *copy;
	}
	data->form = APIR_DATA_SHARED;
	data->apir_data_u.range.addr = env->dma_addr(env, at);
	data->apir_data_u.range.len = len;
	return 0;
}

static int
build(struct apir_dev *dev, CLIENT *clnt, apir_program_args args, uint32_t *program, char **log)
{
	apir_program_res res = {0};
	const enum clnt_stat st = apir_program_create_1(args, &res, clnt);
	int ret;

	if (st == RPC_SUCCESS && res.result.status == APIR_S_BUILD)
		ret = build_failed(dev, clnt, &res, log);
	else
		ret = apir_call_check(dev, st, &res.result, "program");
	if (ret == 0 && res.id == 0)
		ret = apir_err(EPROTO, "program: the device gave it id 0, which is no object's");
	if (ret == 0 && log != NULL) {
		ret = read_log(dev, clnt, res.id, res.log_len, log);
		if (ret != 0)
			drop_program(clnt, res.id);
	}
	if (ret == 0)
		*program = res.id;
	if (st == RPC_SUCCESS)
		xdr_free((xdrproc_t)xdr_apir_program_res, &res);
	return ret;
}

int
rte_apir_program_create(uint16_t dev_id, const char *source, size_t len, const char *options,
			uint32_t *program, char **log)
{
	apir_program_args args = {0};
	struct apir_dev *dev;
	CLIENT *clnt;
	void *copy;
	int ret;

	apir_err_begin();
	if (log != NULL)
		*log = NULL;
	if (source == NULL || len == 0 || program == NULL)
		return apir_err(EINVAL, "program: %s",
				program == NULL ? "no place for its id" : "the source is empty");
	args.options = (char *)(uintptr_t)(options != NULL ? options : "");
	dev = apir_call_begin(dev_id, &clnt);
	if (dev == NULL)
		return -ENODEV;
	ret = check_program(dev, len, args.options);
	if (ret == 0)
		ret = place_source(dev, source, len, &args.source, &copy);
	if (ret == 0) {
		ret = build(dev, clnt, args, program, log);
		/* a device that never answered may read it yet */
		if (apir_dev_state(dev) != RTE_APIR_HUNG)
			rte_free(copy);
	}
	return apir_call_end(dev, ret);
}

/* Buffers -------------------------------------------------------------------- */

static int
check_range(const char *what, uint32_t buffer, size_t offset, const void *data, size_t len)
{
	if (data == NULL && len != 0)
		return apir_err(EINVAL, "%s %u: no data", what, buffer);
	if (offset > SIZE_MAX - len)
		return apir_err(EINVAL, "%s %u: offset %zu and length %zu overflow", what, buffer,
				offset, len);
	return 0;
}

/* One piece: returns how many bytes of it were named or copied, or a negative errno. */
static int64_t
write_piece(struct apir_dev *dev, CLIENT *clnt, uint32_t buffer, size_t offset, const char *data,
	    size_t len)
{
	apir_write_args args = {.buffer = buffer, .offset = offset};
	apir_result res = {0};
	const void *at = data;
	enum clnt_stat st;
	void *b;
	int ret;

	if (len > INLINE_MAX && !rte_apir_is_shared(dev->id, data, len)) {
		b = bounce(dev);
		len = RTE_MIN(len, b != NULL ? BOUNCE_LEN : (size_t)APIR_RPC_MAX_INLINE);
		if (b != NULL)
			memcpy(b, data, len);
		at = b;
	}
	if (len <= INLINE_MAX || at == NULL) {
		args.data.form = APIR_DATA_INLINE;
		args.data.apir_data_u.bytes.bytes_len = (u_int)len;
		args.data.apir_data_u.bytes.bytes_val = (char *)(uintptr_t)data;
	} else {
		args.data.form = APIR_DATA_SHARED;
		args.data.apir_data_u.range.addr = dev->env.dma_addr(&dev->env, at);
		args.data.apir_data_u.range.len = len;
	}
	st = apir_buffer_write_1(args, &res, clnt);
	ret = apir_call_check(dev, st, &res, "buffer write");
	if (st == RPC_SUCCESS)
		xdr_free((xdrproc_t)xdr_apir_result, &res);
	return ret != 0 ? ret : (int64_t)len;
}

int
rte_apir_buffer_write(uint16_t dev_id, uint32_t buffer, size_t offset, const void *data, size_t len)
{
	struct apir_dev *dev;
	size_t done = 0;
	int64_t n = 0;
	CLIENT *clnt;

	apir_err_begin();
	if (check_range("write to buffer", buffer, offset, data, len) != 0)
		return -EINVAL;
	dev = apir_call_begin(dev_id, &clnt);
	if (dev == NULL)
		return -ENODEV;
	/* no bytes are written too: it tells whether the buffer is there and the offset in it */
	do {
		n = write_piece(dev, clnt, buffer, offset + done, (const char *)data + done,
				len - done);
		done += n > 0 ? (size_t)n : 0;
	} while (n > 0 && done < len);
	return apir_call_end(dev, n < 0 ? (int)n : 0);
}

static int64_t
read_piece(struct apir_dev *dev, CLIENT *clnt, uint32_t buffer, size_t offset, char *data,
	   size_t len)
{
	apir_read_args args = {.buffer = buffer, .offset = offset};
	apir_read_res res = {0};
	void *at = data, *b = NULL;
	enum clnt_stat st;
	bool in_call;
	int ret;

	if (len > INLINE_MAX && !rte_apir_is_shared(dev->id, data, len)) {
		b = bounce(dev);
		len = RTE_MIN(len, b != NULL ? BOUNCE_LEN : (size_t)APIR_RPC_MAX_INLINE);
		at = b;
	}
	in_call = len <= INLINE_MAX || at == NULL;
	if (in_call) {
		args.sink.form = APIR_DATA_INLINE;
		args.sink.apir_sink_u.len = (u_int)len;
	} else {
		args.sink.form = APIR_DATA_SHARED;
		args.sink.apir_sink_u.range.addr = dev->env.dma_addr(&dev->env, at);
		args.sink.apir_sink_u.range.len = len;
	}
	st = apir_buffer_read_1(args, &res, clnt);
	ret = apir_call_check(dev, st, &res.result, "buffer read");
	if (ret == 0 && (res.n != len || (in_call && res.bytes.bytes_len != len)))
		ret = apir_err(EPROTO, "buffer read: %" PRIu64 " bytes instead of %zu",
			       (uint64_t)res.n, len);
	if (ret == 0 && in_call && len != 0)
		memcpy(data, res.bytes.bytes_val, len);
	else if (ret == 0 && b != NULL)
		memcpy(data, b, len);
	if (st == RPC_SUCCESS)
		xdr_free((xdrproc_t)xdr_apir_read_res, &res);
	return ret != 0 ? ret : (int64_t)len;
}

int
rte_apir_buffer_read(uint16_t dev_id, uint32_t buffer, size_t offset, void *data, size_t len)
{
	struct apir_dev *dev;
	size_t done = 0;
	int64_t n = 0;
	CLIENT *clnt;

	apir_err_begin();
	if (check_range("read of buffer", buffer, offset, data, len) != 0)
		return -EINVAL;
	dev = apir_call_begin(dev_id, &clnt);
	if (dev == NULL)
		return -ENODEV;
	do {
		n = read_piece(dev, clnt, buffer, offset + done, (char *)data + done, len - done);
		done += n > 0 ? (size_t)n : 0;
	} while (n > 0 && done < len);
	return apir_call_end(dev, n < 0 ? (int)n : 0);
}
