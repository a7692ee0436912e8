/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <inttypes.h>
#include <rpc/rpc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apir_ctl.h"
#include "hello.h"
#include "log.h"
#include "rpc.h"

/*
 * The procedures of apir_ctl.x. Each returns TRUE with a result whose strings are allocated
 * (apir_ctl_1_freeresult() frees them). Arguments are a private copy, within the bounds of the IDL;
 * ranges of guest memory in them are checked here.
 */

/* Guest memory moves in pieces of this size, so that the vhost thread never waits long for it. */
#define PIECE (4u << 20)

_Static_assert(sizeof(((struct exec_err *)0)->text) <= APIR_RPC_MAX_TEXT, "any text fits a result");

static char *
copy_text(const char *text)
{
	char *p = strdup(text);

	/* XDR has no NULL string. */
	return p != NULL ? p : calloc(1, 1);
}

static enum apir_status
outcome(apir_result *r, enum apir_status status, const char *text)
{
	r->status = status;
	r->text = copy_text(status == APIR_S_OK ? "" : text);
	return status;
}

static enum apir_status __attribute__((format(printf, 3, 4)))
outcomef(apir_result *r, enum apir_status status, const char *fmt, ...)
{
	char text[APIR_RPC_MAX_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return outcome(r, status, text);
}

static enum apir_status
no_such(apir_result *r, const char *kind, uint32_t id)
{
	return outcomef(r, APIR_S_NOENT, "no %s 0x%x: it was destroyed, or is another session's", kind,
			id);
}

static enum apir_status
table_full(apir_result *r, const char *kind)
{
	return outcomef(r, APIR_S_LIMIT, "%u %ss exist already, the most a session may have: destroy some",
			OBJTAB_MAX, kind);
}

static void
exec_begin(struct session *s)
{
	pthread_mutex_lock(&s->be->exec_lock);
}

static void
exec_end(struct session *s)
{
	pthread_mutex_unlock(&s->be->exec_lock);
}

/* Do something with each piece of a range of guest memory, in order. */
typedef enum apir_status (*piece_fn)(void *ctx, uint64_t done, uint8_t *va, uint64_t len,
				     struct exec_err *err);

/* One piece of range, of which done bytes are done. */
static enum apir_status
one_piece(struct session *s, const apir_range *range, uint64_t done, uint64_t len, piece_fn fn,
	  void *ctx, struct exec_err *err)
{
	/* All of it each time: the table may have changed since the last piece. */
	const struct mem_region *r = mem_find(&s->mem, range->addr, range->len);

	if (r != NULL)
		return fn(ctx, done, r->va + (range->addr - r->gpa) + done, len, err);
	snprintf(err->text, sizeof(err->text),
		 "range 0x%" PRIx64 "+%" PRIu64
		 " is not within one region of the memory shared with the device",
		 (uint64_t)range->addr, (uint64_t)range->len);
	return APIR_S_FAULT;
}

/*
 * With exec, under the executor's lock: that is taken first, because others hold it for long and the vhost thread
 * waits for the memory's; but nobody who holds it waits for memory to come back.
 */
static enum apir_status
each_piece(struct session *s, const apir_range *range, bool exec, piece_fn fn, void *ctx,
	   struct exec_err *err)
{
	enum apir_status st = APIR_S_OK;
	uint64_t done = 0;

	do {
		const uint64_t n = range->len - done < PIECE ? range->len - done : PIECE;

		if (exec)
			exec_begin(s);
		if (control_mem_try(s)) {
			st = one_piece(s, range, done, n, fn, ctx, err);
			done += n;
			control_mem_end(s);
			if (exec)
				exec_end(s);
			continue;
		}
		if (exec)
			exec_end(s);
		if (!control_mem_begin(s))
			return APIR_S_FAULT; /* the guest is gone: nobody reads this */
		control_mem_end(s);
	} while (done < range->len && st == APIR_S_OK);
	return st;
}

bool_t
apir_null_1_svc(void *res, struct svc_req *req)
{
	(void)res;
	(void)req;
	return TRUE;
}

bool_t
apir_info_1_svc(apir_info_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_info info;

	memset(res, 0, sizeof(*res));
	exec_begin(s);
	s->be->ops->info(s->be->dev, &info);
	exec_end(s);
	outcome(&res->result, APIR_S_OK, NULL);
	res->platform = strndup(info.platform, APIR_RPC_MAX_NAME);
	res->device = strndup(info.device, APIR_RPC_MAX_NAME);
	res->driver = strndup(info.driver, APIR_RPC_MAX_NAME);
	res->executor = strndup(s->be->ops->name, APIR_RPC_MAX_NAME);
	res->copy_mode = info.copy_mode;
	res->compute_units = info.compute_units;
	res->max_work_group = info.max_work_group;
	res->local_mem = info.local_mem;
	res->global_mem = info.global_mem;
	res->used_mem = info.used_mem;
	return TRUE;
}

static enum apir_status
copy_piece(void *ctx, uint64_t done, uint8_t *va, uint64_t len, struct exec_err *err)
{
	(void)err;
	memcpy((char *)ctx + done, va, len);
	return APIR_S_OK;
}

/* The source, copied before anything looks at it: the guest may change it meanwhile. */
static enum apir_status
get_source(struct session *s, const apir_data *d, char **src, size_t *len, struct exec_err *err)
{
	const uint64_t n = d->form == APIR_DATA_INLINE ? d->apir_data_u.bytes.bytes_len
						       : d->apir_data_u.range.len;
	enum apir_status st = APIR_S_OK;

	if (n == 0) {
		snprintf(err->text, sizeof(err->text), "the program source is empty");
		return APIR_S_INVAL;
	}
	if (n > MAX_SOURCE) {
		snprintf(err->text, sizeof(err->text),
			 "a program source of %" PRIu64 " bytes: at most %u are possible", n, MAX_SOURCE);
		return APIR_S_TOOBIG;
	}
	*src = malloc(n + 1);
	if (*src == NULL) {
		snprintf(err->text, sizeof(err->text), "the host is out of memory");
		return APIR_S_NOMEM;
	}
	(*src)[n] = '\0';
	*len = n;
	if (d->form == APIR_DATA_INLINE)
		memcpy(*src, d->apir_data_u.bytes.bytes_val, n);
	else
		st = each_piece(s, &d->apir_data_u.range, false, copy_piece, *src, err);
	if (st != APIR_S_OK)
		free(*src);
	return st;
}

bool_t
apir_program_create_1_svc(apir_program_args args, apir_program_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	const struct exec_ops *ops = s->be->ops;
	struct program *p = NULL;
	struct exec_err err = {{0}};
	enum apir_status st;
	char *src;
	size_t len;
	bool cached = false;

	memset(res, 0, sizeof(*res));
	if (s->programs.nb == OBJTAB_MAX) {
		table_full(&res->result, "program");
		return TRUE;
	}
	st = get_source(s, &args.source, &src, &len, &err);
	if (st != APIR_S_OK) {
		outcome(&res->result, st, err.text);
		return TRUE;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		free(src);
		outcome(&res->result, APIR_S_NOMEM, "the host is out of memory");
		return TRUE;
	}
	exec_begin(s);
	st = ops->program_create(s->be->dev, src, len, args.options, &p->prog, &p->log, &cached, &err);
	exec_end(s);
	free(src);
	if (p->log == NULL)
		p->log = "";
	if (st == APIR_S_OK || st == APIR_S_BUILD) {
		res->id = objtab_add(&s->programs, p);
		res->log_len = strlen(p->log);
		res->cached = cached;
	} else {
		free(p);
	}
	outcome(&res->result, st, err.text);
	log_limited(&s->be->limit, st == APIR_S_OK ? LOG_DEBUG : LOG_INFO,
		    "session %u: program of %zu bytes: %s%s", s->id, len,
		    st == APIR_S_OK ? (cached ? "from the cache" : "built") : "not built: ",
		    st == APIR_S_OK ? "" : err.text);
	return TRUE;
}

struct log_piece {
	const char *from;
};

static enum apir_status
log_out(void *ctx, uint64_t done, uint8_t *va, uint64_t len, struct exec_err *err)
{
	(void)err;
	memcpy(va, ((struct log_piece *)ctx)->from + done, len);
	return APIR_S_OK;
}

/* Room for inline bytes of a reply. */
static enum apir_status
inline_room(apir_read_res *res, uint64_t n)
{
	if (n == 0)
		return APIR_S_OK;
	res->bytes.bytes_val = malloc(n);
	if (res->bytes.bytes_val == NULL)
		return APIR_S_NOMEM;
	res->bytes.bytes_len = (u_int)n;
	return APIR_S_OK;
}

static uint64_t
sink_room(const apir_sink *sink)
{
	if (sink->form == APIR_DATA_SHARED)
		return sink->apir_sink_u.range.len;
	return sink->apir_sink_u.len < APIR_RPC_MAX_INLINE ? sink->apir_sink_u.len
							    : APIR_RPC_MAX_INLINE;
}

bool_t
apir_program_log_1_svc(apir_log_args args, apir_read_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct program *p = objtab_get(&s->programs, args.prog);
	struct exec_err err = {{0}};
	enum apir_status st;
	uint64_t n;

	memset(res, 0, sizeof(*res));
	if (p == NULL) {
		no_such(&res->result, "program", args.prog);
		return TRUE;
	}
	res->total = strlen(p->log);
	if (args.offset > res->total) {
		outcomef(&res->result, APIR_S_INVAL, "offset %" PRIu64 " in a log of %" PRIu64 " bytes",
			 (uint64_t)args.offset, (uint64_t)res->total);
		return TRUE;
	}
	n = sink_room(&args.sink);
	if (n > res->total - args.offset)
		n = res->total - args.offset;
	if (args.sink.form == APIR_DATA_INLINE || n == 0) {
		st = inline_room(res, n);
		if (st == APIR_S_OK && n > 0)
			memcpy(res->bytes.bytes_val, p->log + args.offset, n);
	} else {
		struct log_piece piece = {.from = p->log + args.offset};
		const apir_range range = {args.sink.apir_sink_u.range.addr, n};

		st = each_piece(s, &range, false, log_out, &piece, &err);
	}
	if (st == APIR_S_OK)
		res->n = n;
	outcome(&res->result, st, err.text);
	return TRUE;
}

bool_t
apir_program_destroy_1_svc(u_int id, apir_result *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct program *p = objtab_del(&s->programs, id);

	if (p == NULL) {
		no_such(res, "program", id);
		return TRUE;
	}
	exec_begin(s);
	s->be->ops->program_destroy(p->prog);
	exec_end(s);
	free(p);
	outcome(res, APIR_S_OK, NULL);
	return TRUE;
}

bool_t
apir_kernel_create_1_svc(apir_kernel_args args, apir_kernel_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct program *p = objtab_get(&s->programs, args.prog);
	struct exec_kernel *k = NULL;
	struct exec_err err = {{0}};
	enum apir_status st;
	uint32_t nb_args = 0;

	memset(res, 0, sizeof(*res));
	if (p == NULL) {
		no_such(&res->result, "program", args.prog);
		return TRUE;
	}
	if (s->kernels.nb == OBJTAB_MAX) {
		table_full(&res->result, "kernel");
		return TRUE;
	}
	exec_begin(s);
	st = s->be->ops->kernel_create(p->prog, args.name, &k, &nb_args, &err);
	exec_end(s);
	if (st == APIR_S_OK) {
		res->id = objtab_add(&s->kernels, k);
		res->nb_args = nb_args;
	}
	outcome(&res->result, st, err.text);
	return TRUE;
}

bool_t
apir_kernel_set_arg_1_svc(apir_set_arg_args args, apir_result *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_kernel *k = objtab_get(&s->kernels, args.kernel);
	struct exec_buffer *b = NULL;
	struct exec_err err = {{0}};
	const void *value = NULL;
	enum apir_status st;
	size_t size = 0;

	if (k == NULL) {
		no_such(res, "kernel", args.kernel);
		return TRUE;
	}
	switch (args.arg.kind) {
	case APIR_ARG_VALUE:
		value = args.arg.apir_arg_u.value.value_val;
		size = args.arg.apir_arg_u.value.value_len;
		break;
	case APIR_ARG_BUFFER:
		b = objtab_get(&s->buffers, args.arg.apir_arg_u.buffer);
		if (b == NULL) {
			no_such(res, "buffer", args.arg.apir_arg_u.buffer);
			return TRUE;
		}
		break;
	case APIR_ARG_LOCAL:
		size = args.arg.apir_arg_u.local_size;
		break;
	}
	if (b == NULL && size == 0) {
		outcomef(res, APIR_S_INVAL, "argument %u has a size of 0 bytes", args.index);
		return TRUE;
	}
	exec_begin(s);
	st = s->be->ops->kernel_set_arg(k, args.index, value, size, b, &err);
	exec_end(s);
	outcome(res, st, err.text);
	return TRUE;
}

bool_t
apir_kernel_destroy_1_svc(u_int id, apir_result *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_kernel *k = objtab_del(&s->kernels, id);

	if (k == NULL) {
		no_such(res, "kernel", id);
		return TRUE;
	}
	exec_begin(s);
	s->be->ops->kernel_destroy(k);
	exec_end(s);
	outcome(res, APIR_S_OK, NULL);
	return TRUE;
}

bool_t
apir_buffer_create_1_svc(apir_buffer_args args, apir_id_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_buffer *b = NULL;
	struct exec_err err = {{0}};
	enum apir_status st;

	memset(res, 0, sizeof(*res));
	if (s->buffers.nb == OBJTAB_MAX) {
		table_full(&res->result, "buffer");
		return TRUE;
	}
	if (args.size == 0) {
		outcome(&res->result, APIR_S_INVAL, "a buffer of 0 bytes: at least 1 is needed");
		return TRUE;
	}
	exec_begin(s);
	st = s->be->ops->buffer_create(s->be->dev, args.size, &b, &err);
	exec_end(s);
	if (st == APIR_S_OK)
		res->id = objtab_add(&s->buffers, b);
	outcome(&res->result, st, err.text);
	return TRUE;
}

/* A buffer being read or written by a range of guest memory. */
struct transfer {
	struct session *s;
	struct exec_buffer *b;
	uint64_t offset;
};

static enum apir_status
write_piece(void *ctx, uint64_t done, uint8_t *va, uint64_t len, struct exec_err *err)
{
	struct transfer *t = ctx;

	return t->s->be->ops->buffer_write(t->b, t->offset + done, va, len, err);
}

static enum apir_status
read_piece(void *ctx, uint64_t done, uint8_t *va, uint64_t len, struct exec_err *err)
{
	struct transfer *t = ctx;

	return t->s->be->ops->buffer_read(t->b, t->offset + done, va, len, err);
}

/* Checked whole, so that a range that ends outside changes nothing. */
static enum apir_status
check_range(apir_result *res, uint64_t size, uint64_t offset, uint64_t len)
{
	if (offset > size || len > size - offset)
		return outcomef(res, APIR_S_INVAL,
				"bytes %" PRIu64 "+%" PRIu64 " of a buffer of %" PRIu64
				" bytes: out of range",
				offset, len, size);
	return APIR_S_OK;
}

bool_t
apir_buffer_write_1_svc(apir_write_args args, apir_result *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_buffer *b = objtab_get(&s->buffers, args.buffer);
	struct transfer t = {.s = s, .b = b, .offset = args.offset};
	const bool shared = args.data.form == APIR_DATA_SHARED;
	const uint64_t len = shared ? args.data.apir_data_u.range.len
				    : args.data.apir_data_u.bytes.bytes_len;
	struct exec_err err = {{0}};
	enum apir_status st = APIR_S_OK;

	if (b == NULL) {
		no_such(res, "buffer", args.buffer);
		return TRUE;
	}
	if (check_range(res, s->be->ops->buffer_size(b), args.offset, len) != APIR_S_OK)
		return TRUE;
	if (shared) {
		st = each_piece(s, &args.data.apir_data_u.range, true, write_piece, &t, &err);
	} else if (len > 0) {
		exec_begin(s);
		st = write_piece(&t, 0, (uint8_t *)args.data.apir_data_u.bytes.bytes_val, len, &err);
		exec_end(s);
	}
	outcome(res, st, err.text);
	return TRUE;
}

bool_t
apir_buffer_read_1_svc(apir_read_args args, apir_read_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_buffer *b = objtab_get(&s->buffers, args.buffer);
	struct transfer t = {.s = s, .b = b, .offset = args.offset};
	const uint64_t len = sink_room(&args.sink);
	struct exec_err err = {{0}};
	enum apir_status st;

	memset(res, 0, sizeof(*res));
	if (b == NULL) {
		no_such(&res->result, "buffer", args.buffer);
		return TRUE;
	}
	res->total = s->be->ops->buffer_size(b);
	if (check_range(&res->result, res->total, args.offset, len) != APIR_S_OK)
		return TRUE;
	if (args.sink.form == APIR_DATA_SHARED) {
		st = each_piece(s, &args.sink.apir_sink_u.range, true, read_piece, &t, &err);
	} else {
		st = inline_room(res, len);
		if (st == APIR_S_OK && len > 0) {
			exec_begin(s);
			st = read_piece(&t, 0, (uint8_t *)res->bytes.bytes_val, len, &err);
			exec_end(s);
		}
	}
	if (st == APIR_S_OK)
		res->n = len;
	outcome(&res->result, st, err.text);
	return TRUE;
}

bool_t
apir_buffer_destroy_1_svc(u_int id, apir_result *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_buffer *b = objtab_del(&s->buffers, id);

	if (b == NULL) {
		no_such(res, "buffer", id);
		return TRUE;
	}
	exec_begin(s);
	s->be->ops->buffer_destroy(b);
	exec_end(s);
	outcome(res, APIR_S_OK, NULL);
	return TRUE;
}

bool_t
apir_pipeline_create_1_svc(apir_pipeline_args args, apir_id_res *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_stage stages[APIR_RPC_MAX_STAGES];
	struct exec_pipeline *p = NULL;
	struct exec_err err = {{0}};
	enum apir_status st;
	const unsigned int nb = args.stages.stages_len;

	memset(res, 0, sizeof(*res));
	if (nb == 0) {
		outcome(&res->result, APIR_S_INVAL, "a pipeline of no kernels");
		return TRUE;
	}
	if (nb > 1 && !(s->features & APIR_F_PIPELINE)) {
		outcome(&res->result, APIR_S_INVAL,
			"a pipeline of several kernels without APIR_F_PIPELINE");
		return TRUE;
	}
	if (s->pipelines.nb == OBJTAB_MAX) {
		table_full(&res->result, "pipeline");
		return TRUE;
	}
	for (unsigned int i = 0; i < nb; i++) {
		const apir_stage *g = &args.stages.stages_val[i];

		stages[i].kernel = objtab_get(&s->kernels, g->kernel);
		if (stages[i].kernel == NULL) {
			no_such(&res->result, "kernel", g->kernel);
			return TRUE;
		}
		if (g->launch != APIR_LAUNCH_ITEM && g->launch != APIR_LAUNCH_GROUP) {
			outcomef(&res->result, APIR_S_INVAL, "stage %u: launch %d is unknown", i,
				 (int)g->launch);
			return TRUE;
		}
		stages[i].group = g->launch == APIR_LAUNCH_GROUP;
		stages[i].local_size = g->local_size;
	}
	exec_begin(s);
	st = s->be->ops->pipeline_create(s->be->dev, stages, nb, &p, &err);
	exec_end(s);
	if (st == APIR_S_OK)
		res->id = objtab_add(&s->pipelines, p);
	outcome(&res->result, st, err.text);
	return TRUE;
}

bool_t
apir_pipeline_destroy_1_svc(u_int id, apir_result *res, struct svc_req *req)
{
	struct session *s = rpc_session(req);
	struct exec_pipeline *p = objtab_del(&s->pipelines, id);

	if (p == NULL) {
		no_such(res, "pipeline", id);
		return TRUE;
	}
	/* A poll thread may have found it just before: when all have gone round once, none has. */
	poll_sync(s->be->poll);
	exec_begin(s);
	s->be->ops->pipeline_destroy(p);
	exec_end(s);
	outcome(res, APIR_S_OK, NULL);
	return TRUE;
}
