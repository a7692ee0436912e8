/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include "dispatch.h"

static cl_int
invalid(enum cl_kind kind)
{
	static const cl_int codes[] = {
		[CL_KIND_PLATFORM] = CL_INVALID_PLATFORM,
		[CL_KIND_DEVICE] = CL_INVALID_DEVICE,
		[CL_KIND_CONTEXT] = CL_INVALID_CONTEXT,
		[CL_KIND_QUEUE] = CL_INVALID_COMMAND_QUEUE,
		[CL_KIND_MEM] = CL_INVALID_MEM_OBJECT,
		[CL_KIND_SAMPLER] = CL_INVALID_SAMPLER,
		[CL_KIND_PROGRAM] = CL_INVALID_PROGRAM,
		[CL_KIND_KERNEL] = CL_INVALID_KERNEL,
		[CL_KIND_EVENT] = CL_INVALID_EVENT,
	};

	return codes[kind];
}

static void
refuse(struct srv_call *c, cl_int err)
{
	if (c->err == CL_SUCCESS)
		c->err = err;
}

/* Never fails: what is put there takes no more room than it took in the request. */
static void *
scratch(struct srv_call *c, size_t n)
{
	void *p = c->scratch;

	c->scratch += cl_pad(n);
	return p;
}

void *
in_object(struct srv_call *c, enum cl_kind kind, bool optional)
{
	const uint64_t id = cl_get(&c->in);
	void *obj = NULL;

	if (c->in.bad || (optional && id == 0))
		return NULL;
	obj = srv_find(c->s, kind, id);
	if (obj == NULL)
		refuse(c, invalid(kind));
	return obj;
}

static void *
objects(struct srv_call *c, enum cl_kind kind, size_t *n, cl_int err)
{
	const uint32_t nb = cl_get_count(&c->in, APIR_CL_MAX_ITEMS);
	void **obj;

	*n = nb;
	if (nb == 0)
		return NULL;
	obj = scratch(c, nb * sizeof(*obj));
	for (uint32_t i = 0; i < nb; i++) {
		obj[i] = srv_find(c->s, kind, cl_get(&c->in));
		if (obj[i] == NULL)
			refuse(c, err);
	}
	return obj;
}

void *
in_objects(struct srv_call *c, enum cl_kind kind, size_t *n)
{
	return objects(c, kind, n, invalid(kind));
}

const uint64_t *
in_u64s(struct srv_call *c, size_t *n)
{
	const uint32_t nb = cl_get_count(&c->in, APIR_CL_MAX_ITEMS);

	*n = nb;
	return nb == 0 ? NULL : cl_take(&c->in, nb * sizeof(uint64_t));
}

const uint64_t *
in_vector(struct srv_call *c, size_t n, bool optional)
{
	size_t there;
	const uint64_t *x = in_u64s(c, &there);

	if (there != n && !(optional && there == 0)) {
		c->in.bad = true;
		return NULL;
	}
	return x;
}

const void *
in_bytes(struct srv_call *c, size_t *len)
{
	const uint64_t n = cl_get(&c->in);
	const void *p = NULL;

	if (n > APIR_CL_MAX_INLINE)
		c->in.bad = true;
	else
		p = cl_take(&c->in, n);
	*len = p == NULL ? 0 : n;
	return p;
}

const char *
in_str(struct srv_call *c, bool optional)
{
	size_t len;
	const void *src = in_bytes(c, &len);
	char *p;

	if (src == NULL || (optional && len == 0))
		return NULL;
	p = scratch(c, len + 1);
	memcpy(p, src, len);
	p[len] = '\0';
	return p;
}

void *
in_range(struct srv_call *c, size_t *len)
{
	const uint64_t addr = cl_get(&c->in);
	const uint64_t n = cl_get(&c->in);
	void *p = NULL;

	*len = 0;
	if (c->in.bad)
		return NULL;
	if (srv_range(c->s, addr, n, &p))
		*len = n;
	else
		refuse(c, CL_INVALID_VALUE);
	return p;
}

const cl_event *
in_waits(struct srv_call *c, cl_uint *n, bool *wanted)
{
	size_t nb;
	const cl_event *waits = objects(c, CL_KIND_EVENT, &nb, CL_INVALID_EVENT_WAIT_LIST);

	*n = (cl_uint)nb;
	*wanted = cl_get_u32(&c->in) != 0;
	return waits;
}

bool
in_done(struct srv_call *c, size_t results)
{
	if (c->in.p != c->in.end)
		c->in.bad = true;
	if (results > (size_t)(c->out.end - c->out.p))
		c->out.bad = true;
	return !c->in.bad && !c->out.bad && c->err == CL_SUCCESS;
}

cl_int
in_error(const struct srv_call *c)
{
	return c->err;
}

cl_int
out_object(struct srv_call *c, cl_int err, enum cl_kind kind, void *obj)
{
	uint64_t id = 0;

	if (obj != NULL) {
		id = srv_add(c->s, kind, obj);
		if (id == 0)
			err = CL_OUT_OF_HOST_MEMORY;
	}
	cl_put(&c->out, id);
	return err;
}

void
out_begin(struct srv_call *c, struct srv_out *o, size_t before, uint64_t room)
{
	/* its size and the length of what is sent come first; in_done() has looked that they fit */
	const size_t skip = (before + 2) * sizeof(uint64_t);
	const size_t fits = (size_t)(c->out.end - c->out.p) - skip;

	o->p = c->out.p + skip;
	o->room = room < fits ? room : fits;
	if (o->room > APIR_CL_MAX_INLINE)
		o->room = APIR_CL_MAX_INLINE;
	o->len = 0;
}

void
out_bytes(struct srv_call *c, const struct srv_out *o)
{
	const size_t n = o->len <= o->room ? o->len : 0;
	uint8_t *p;

	cl_put(&c->out, o->len);
	cl_put(&c->out, n);
	p = cl_room(&c->out, n);
	/* the bytes are there; what pads them must not tell what lay there before */
	if (p != NULL)
		memset(p + n, 0, cl_pad(n) - n);
}

/* Check the head of a request. */
static enum apir_status
check(const struct apir_cl_req *h, size_t len)
{
	if (len < sizeof(*h) || len > APIR_CTL_MAX || h->magic != APIR_CL_MAGIC ||
	    h->len != len - sizeof(*h) || len % 8 != 0)
		return APIR_S_MALFORMED;
	if (h->call >= cl_nb_handlers || cl_handlers[h->call] == NULL)
		return APIR_S_UNSUPPORTED;
	return APIR_S_OK;
}

size_t
cl_dispatch(struct srv *s, const uint8_t *req, size_t len, uint8_t *rsp, size_t room)
{
	const struct apir_cl_req *h = (const struct apir_cl_req *)req;
	struct apir_cl_rsp r = {.magic = APIR_CL_MAGIC, .status = (uint16_t)check(h, len)};
	struct srv_call c;

	if (room < sizeof(r))
		return 0;
	if (r.status == APIR_S_OK) {
		room = room < APIR_CTL_MAX ? room : APIR_CTL_MAX;
		c.s = s;
		c.in = (struct cl_dec){.p = req + sizeof(*h), .end = req + len};
		c.out = (struct cl_enc){.p = rsp + sizeof(r), .end = rsp + (room & ~(size_t)7)};
		c.err = CL_SUCCESS;
		c.scratch = c.space;
		r.err = cl_handlers[h->call](&c);
		if (c.in.bad)
			r.status = APIR_S_MALFORMED;
		else if (c.out.bad)
			r.status = APIR_S_TOOBIG;
		else
			r.len = (uint32_t)(c.out.p - rsp - sizeof(r));
	}
	memcpy(rsp, &r, sizeof(r));
	return sizeof(r) + r.len;
}
