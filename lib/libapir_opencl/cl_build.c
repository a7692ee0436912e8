/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Building, compiling and linking.
 */

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cl_program.h"
#include "cl_rpc.h"
#include "cl_session.h"
#include "cl_token.h"

/*
 * The guest has to know which arguments of a kernel are handles, which PoCL tells only if it is asked for at the build. What the
 * program learns is what it asked for itself.
 */
#define ARG_INFO "-cl-kernel-arg-info"

typedef void(CL_CALLBACK *built_fn)(cl_program, void *);

/* Somebody who is to be called when it is done. */
struct waiter {
	struct _cl_program *program; /* with a reference; NULL: there is none after all */
	sem_t known;		     /* program is set */
	built_fn fn;
	void *user;
	uint64_t token;
};

static void
waiter_free(struct waiter *w)
{
	cl_release(w->program);
	sem_destroy(&w->known);
	free(w);
}

static void
built(void *arg, int32_t value, const void *text, size_t len)
{
	struct waiter *w = arg;

	(void)value;
	(void)text;
	(void)len;
	while (sem_wait(&w->known) != 0)
		;
	if (w->program != NULL)
		w->fn(w->program, w->user);
	waiter_free(w);
}

/* NULL: no memory. */
static struct waiter *
waiter_new(built_fn fn, void *user)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->fn = fn;
	w->user = user;
	sem_init(&w->known, 0, 0);
	w->token = cl_token_new(CL_NOTICE_BUILD, built, w);
	if (w->token == 0) {
		waiter_free(w);
		return NULL;
	}
	return w;
}

static void
waiter_set(struct waiter *w, struct _cl_program *program)
{
	if (program != NULL)
		cl_retain(program);
	w->program = program;
	sem_post(&w->known);
}

/* Nothing comes of it. */
static void
waiter_cancel(struct waiter *w)
{
	if (cl_token_drop(w->token))
		waiter_free(w);
	else
		waiter_set(w, NULL);
}

/* It has failed, and the program learns that in both ways, as it would natively. */
static void
waiter_failed(struct waiter *w, struct _cl_program *program)
{
	const bool here = cl_token_drop(w->token);

	waiter_set(w, program);
	if (here)
		built(w, 0, NULL, 0);
}

/* The build began, and this came of it. */
static bool
is_outcome(cl_int err)
{
	return err == CL_SUCCESS || err == CL_BUILD_PROGRAM_FAILURE ||
	       err == CL_COMPILE_PROGRAM_FAILURE || err == CL_LINK_PROGRAM_FAILURE;
}

/* After these PoCL calls back as well: a program may wait for that whatever it was answered. */
static bool
is_told(cl_int err)
{
	return is_outcome(err) || err == CL_INVALID_BUILD_OPTIONS ||
	       err == CL_INVALID_COMPILER_OPTIONS || err == CL_INVALID_LINKER_OPTIONS;
}

/* Ids of n objects, NULL for none; *err is set if there is no memory. */
static uint64_t *
ids_of(cl_uint n, const void *objects, cl_int *err)
{
	const void *const *obj = objects;
	uint64_t *ids;

	if (n == 0)
		return NULL;
	ids = calloc(n, sizeof(*ids));
	if (ids == NULL)
		*err = CL_OUT_OF_HOST_MEMORY;
	for (cl_uint i = 0; ids != NULL && i < n; i++)
		ids[i] = cl_id(obj[i]);
	return ids;
}

/* The options for the worker's build. NULL: no memory. */
static char *
worker_options(const struct cl_program_more *m, const char *options)
{
	const size_t room = strlen(options) + sizeof(" " ARG_INFO);
	char *s = malloc(room);

	if (s == NULL)
		return NULL;
	if (m->origin == CL_ORIGIN_OTHER || strstr(options, ARG_INFO) != NULL)
		strcpy(s, options);
	else
		snprintf(s, room, "%s " ARG_INFO, options);
	return s;
}

static cl_int
keep_options(struct cl_program_more *m, const char *options)
{
	char *s = strdup(options);

	if (s == NULL)
		return CL_OUT_OF_HOST_MEMORY;
	pthread_mutex_lock(&m->lock);
	free(m->options);
	m->options = s;
	m->arg_info = strstr(options, ARG_INFO) != NULL;
	pthread_mutex_unlock(&m->lock);
	return CL_SUCCESS;
}

/* The worker has none of this machine's include files: give it a program with those in it. */
static cl_int
send_includes(struct _cl_program *p, const char *options, cl_uint nb_headers,
	      const char *const *headers)
{
	struct cl_program_more *m = cl_program_more(p);
	uint64_t id = 0;
	char *text;
	cl_int err;

	if (m->origin != CL_ORIGIN_SOURCE)
		return CL_SUCCESS;
	text = cl_include_expand(m->text, options, nb_headers, headers);
	if (text != NULL) {
		err = cl_program_send_source(p->ctx, text, strlen(text) + 1, &id);
		free(text);
		if (err != CL_SUCCESS)
			return err;
	}
	pthread_mutex_lock(&m->lock);
	if (m->plain_id != 0) {
		cl_release_id(p->o.id);
		p->o.id = m->plain_id;
		m->plain_id = 0;
	}
	if (id != 0) {
		m->plain_id = p->o.id;
		p->o.id = id;
	}
	pthread_mutex_unlock(&m->lock);
	return CL_SUCCESS;
}

/* What clBuildProgram and clCompileProgram have in common. */
struct job {
	struct _cl_program *program;
	cl_uint nb_devices;
	const cl_device_id *devices;
	const char *options;
	bool compile;
	cl_uint nb_headers;
	const cl_program *headers;
	const char *const *names;
	/* made for the call */
	uint64_t *device_ids, *header_ids;
	char *names_joined, *worker_options;
	size_t names_len;
};

static cl_int
job_check(const struct job *j, built_fn fn, const void *user)
{
	if (!cl_is(j->program, CL_KIND_PROGRAM))
		return CL_INVALID_PROGRAM;
	if ((j->nb_devices == 0) != (j->devices == NULL))
		return CL_INVALID_VALUE;
	if (j->nb_headers == 0 && (j->headers != NULL || j->names != NULL))
		return CL_INVALID_VALUE;
	if (j->nb_headers > 0 && (j->headers == NULL || j->names == NULL))
		return CL_INVALID_VALUE;
	if (fn == NULL && user != NULL)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < j->nb_devices; i++) {
		if (!cl_is(j->devices[i], CL_KIND_DEVICE) ||
		    !cl_program_has(j->program, j->devices[i]))
			return CL_INVALID_DEVICE;
	}
	for (cl_uint i = 0; i < j->nb_headers; i++) {
		if (!cl_is(j->headers[i], CL_KIND_PROGRAM))
			return CL_INVALID_PROGRAM;
		if (j->names[i] == NULL)
			return CL_INVALID_VALUE;
	}
	if (atomic_load(&j->program->nb_kernels) > 0)
		return CL_INVALID_OPERATION;
	return CL_SUCCESS;
}

/* After the includes: they give programs other ids. */
static cl_int
job_prepare(struct job *j)
{
	cl_int err = CL_SUCCESS;
	char *p;

	for (cl_uint i = 0; i < j->nb_headers; i++)
		j->names_len += strlen(j->names[i]) + 1;
	p = j->names_joined = malloc(j->names_len + 1);
	for (cl_uint i = 0; p != NULL && i < j->nb_headers; i++)
		p = stpcpy(p, j->names[i]) + 1;
	j->device_ids = ids_of(j->nb_devices, j->devices, &err);
	j->header_ids = ids_of(j->nb_headers, j->headers, &err);
	j->worker_options = worker_options(cl_program_more(j->program), j->options);
	if (j->names_joined == NULL || j->worker_options == NULL)
		err = CL_OUT_OF_HOST_MEMORY;
	return err;
}

static void
job_free(struct job *j)
{
	free(j->device_ids);
	free(j->header_ids);
	free(j->names_joined);
	free(j->worker_options);
}

static cl_int
job_send(const struct job *j, uint64_t token)
{
	const uint64_t id = cl_id(j->program);
	cl_int err;

	/* the release of a kernel may be on its way with another thread's call */
	for (unsigned int tries = 0;; tries++) {
		if (j->compile)
			err = rpc_CompileProgram(id, j->nb_devices, j->device_ids,
						 j->worker_options, j->nb_headers, j->header_ids,
						 j->names_joined, j->names_len, token);
		else
			err = rpc_BuildProgram(id, j->nb_devices, j->device_ids, j->worker_options,
					       token);
		if (err != CL_INVALID_OPERATION || tries == 5)
			return err;
		usleep(200u << tries);
	}
}

static cl_int
job_run(struct job *j, built_fn fn, void *user)
{
	struct waiter *w = NULL;
	cl_int err;

	if (j->options == NULL)
		j->options = "";
	err = send_includes(j->program, j->options, j->nb_headers, j->names);
	for (cl_uint i = 0; err == CL_SUCCESS && i < j->nb_headers; i++)
		err = send_includes(j->headers[i], j->options, j->nb_headers, j->names);
	if (err == CL_SUCCESS)
		err = job_prepare(j);
	if (err == CL_SUCCESS && fn != NULL) {
		w = waiter_new(fn, user);
		if (w == NULL)
			err = CL_OUT_OF_HOST_MEMORY;
	}
	if (err == CL_SUCCESS) {
		err = job_send(j, w == NULL ? 0 : w->token);
		/* before anyone is called */
		if (is_outcome(err) &&
		    keep_options(cl_program_more(j->program), j->options) != CL_SUCCESS)
			cl_debug("no memory for the options of a build");
		if (w != NULL && err == CL_SUCCESS)
			waiter_set(w, j->program);
		else if (w != NULL && is_told(err))
			waiter_failed(w, j->program);
		else if (w != NULL)
			waiter_cancel(w);
	}
	job_free(j);
	return err;
}

CL_API_ENTRY cl_int CL_API_CALL
clBuildProgram(cl_program program, cl_uint num_devices, const cl_device_id *device_list,
	       const char *options,
	       void(CL_CALLBACK *pfn_notify)(cl_program program, void *user_data), void *user_data)
{
	struct job j = {
		.program = program,
		.nb_devices = num_devices,
		.devices = device_list,
		.options = options,
	};
	const cl_int err = job_check(&j, pfn_notify, user_data);

	return err != CL_SUCCESS ? err : job_run(&j, pfn_notify, user_data);
}

CL_API_ENTRY cl_int CL_API_CALL
clCompileProgram(cl_program program, cl_uint num_devices, const cl_device_id *device_list,
		 const char *options, cl_uint num_input_headers, const cl_program *input_headers,
		 const char **header_include_names,
		 void(CL_CALLBACK *pfn_notify)(cl_program program, void *user_data),
		 void *user_data)
{
	struct job j = {
		.program = program,
		.nb_devices = num_devices,
		.devices = device_list,
		.options = options,
		.compile = true,
		.nb_headers = num_input_headers,
		.headers = input_headers,
		.names = header_include_names,
	};
	const cl_int err = job_check(&j, pfn_notify, user_data);

	return err != CL_SUCCESS ? err : job_run(&j, pfn_notify, user_data);
}

static cl_int
link_check(cl_context ctx, cl_uint num_devices, const cl_device_id *devices, cl_uint num_programs,
	   const cl_program *programs, built_fn fn, const void *user)
{
	if (!cl_is(ctx, CL_KIND_CONTEXT))
		return CL_INVALID_CONTEXT;
	if ((num_devices == 0) != (devices == NULL) || num_programs == 0 || programs == NULL)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < num_programs; i++) {
		if (!cl_is(programs[i], CL_KIND_PROGRAM))
			return CL_INVALID_PROGRAM;
	}
	if (fn == NULL && user != NULL)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < num_devices; i++) {
		if (!cl_is(devices[i], CL_KIND_DEVICE) || !cl_context_has(ctx, devices[i]))
			return CL_INVALID_DEVICE;
	}
	return CL_SUCCESS;
}

CL_API_ENTRY cl_program CL_API_CALL
clLinkProgram(cl_context context, cl_uint num_devices, const cl_device_id *device_list,
	      const char *options, cl_uint num_input_programs, const cl_program *input_programs,
	      void(CL_CALLBACK *pfn_notify)(cl_program program, void *user_data), void *user_data,
	      cl_int *errcode_ret)
{
	struct _cl_program *p = NULL;
	struct waiter *w = NULL;
	uint64_t *device_ids = NULL, *program_ids = NULL, id = 0;
	cl_int err;

	if (options == NULL)
		options = "";
	err = link_check(context, num_devices, device_list, num_input_programs, input_programs,
			 pfn_notify, user_data);
	if (err == CL_SUCCESS) {
		device_ids = ids_of(num_devices, device_list, &err);
		program_ids = ids_of(num_input_programs, input_programs, &err);
	}
	if (err == CL_SUCCESS && pfn_notify != NULL) {
		w = waiter_new(pfn_notify, user_data);
		if (w == NULL)
			err = CL_OUT_OF_HOST_MEMORY;
	}
	if (err == CL_SUCCESS)
		err = rpc_LinkProgram(cl_id(context), num_devices, device_ids, options,
				      num_input_programs, program_ids, w == NULL ? 0 : w->token,
				      &id);
	/* a link that fails has a program all the same, for its log */
	if (id != 0) {
		p = cl_program_new(context, CL_ORIGIN_OTHER, num_devices, device_list, id);
		if (p == NULL)
			err = CL_OUT_OF_HOST_MEMORY;
	}
	if (p != NULL)
		keep_options(cl_program_more(p), options);
	if (w != NULL && p != NULL && err == CL_SUCCESS)
		waiter_set(w, p);
	else if (w != NULL && p != NULL)
		waiter_failed(w, p);
	else if (w != NULL)
		waiter_cancel(w);
	free(device_ids);
	free(program_ids);
	if (errcode_ret != NULL)
		*errcode_ret = err;
	return p;
}

CL_API_ENTRY cl_int CL_API_CALL
clUnloadPlatformCompiler(cl_platform_id platform)
{
	if (!cl_is(platform, CL_KIND_PLATFORM))
		return CL_INVALID_PLATFORM;
	return rpc_UnloadCompiler();
}

CL_API_ENTRY cl_int CL_API_CALL
clUnloadCompiler(void)
{
	return rpc_UnloadCompiler();
}
