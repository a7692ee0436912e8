/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Programs: from source or from the cache, with the log of the build. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl.h"

/*
 * NVIDIA's compiler does not heed #line: it calls our text <kernel> and counts from its start. Messages about the tenant's
 * part get the name and line they have elsewhere.
 */
static char *
renumber(char *log)
{
	static const char theirs[] = "<kernel>:";
	unsigned long before = 1; /* the #line itself */
	char *text = NULL, *end;
	const char *at = log, *found;
	size_t len;
	FILE *f;

	if (strstr(log, theirs) == NULL)
		return log;
	f = open_memstream(&text, &len);
	if (f == NULL)
		return log;
	for (const char *p = ocl_prelude; *p != '\0'; p++)
		before += *p == '\n';
	while ((found = strstr(at, theirs)) != NULL) {
		const char *number = found + strlen(theirs);
		const unsigned long line = strtoul(number, &end, 10);

		fwrite(at, 1, found - at, f);
		if (line > before)
			fprintf(f, "kernel.cl:%lu", line - before);
		else
			fwrite(found, 1, end - found, f);
		at = end;
	}
	fputs(at, f);
	if (fclose(f) != 0) {
		free(text);
		return log;
	}
	free(log);
	return text;
}

static char *
build_log(struct exec_dev *dev, cl_program prog)
{
	size_t len = 0;
	char *log;

	if (clGetProgramBuildInfo(prog, dev->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &len) != CL_SUCCESS)
		len = 0;
	log = calloc(1, len + 1);
	if (log == NULL)
		return NULL;
	if (len > 0)
		clGetProgramBuildInfo(prog, dev->id, CL_PROGRAM_BUILD_LOG, len, log, NULL);
	len = strlen(log);
	while (len > 0 && isspace((unsigned char)log[len - 1]))
		log[--len] = '\0';
	return renumber(log);
}

static char *
all_options(struct exec_dev *dev, const char *options)
{
	static const char *const define[] = {
		[APIR_COPY_STAGED] = "-DAPIR_MODE_STAGED",
		[APIR_COPY_NONE_BASE] = "-DAPIR_MODE_BASE",
		[APIR_COPY_NONE_RAW] = "-DAPIR_MODE_RAW",
	};
	char *all;

	if (asprintf(&all, "-cl-kernel-arg-info %s%s%s", define[dev->mode],
		     options[0] != '\0' ? " " : "", options) < 0)
		return NULL;
	return all;
}

static struct exec_program *
program_new(struct exec_dev *dev)
{
	struct exec_program *p = calloc(1, sizeof(*p));

	if (p != NULL) {
		p->dev = dev;
		p->refs = 1;
	}
	return p;
}

/* What the cache has, made a program; -1 if it has nothing the device takes. */
static int
from_cache(struct exec_program *p, const char *options)
{
	struct exec_dev *dev = p->dev;
	struct ocl_cached c;
	const unsigned char *bin;
	cl_int e, status;

	if (ocl_cache_load(dev, p->key, &c) != 0)
		return -1;
	bin = c.bin;
	p->prog = clCreateProgramWithBinary(dev->ctx, 1, &dev->id, &c.bin_len, &bin, &status, &e);
	if (p->prog == NULL || e != CL_SUCCESS || status != CL_SUCCESS ||
	    clBuildProgram(p->prog, 1, &dev->id, options, NULL, NULL) != CL_SUCCESS ||
	    ocl_sigs_unpack(c.sigs, &p->sigs) != 0)
		goto refused;
	p->saved = true;
	p->log = c.log;
	c.log = NULL;
	ocl_cached_free(&c);
	return 0;
refused:
	OCL_LOG(dev, LOG_NOTICE, "the device refuses a cached program, building it again");
	ocl_cache_drop(dev, p->key);
	if (p->prog != NULL)
		clReleaseProgram(p->prog);
	p->prog = NULL;
	ocl_sigs_free(&p->sigs);
	ocl_cached_free(&c);
	return -1;
}

uint8_t *
ocl_program_binary(struct exec_program *p, size_t *len)
{
	uint8_t *bin;

	*len = 0;
	if (clGetProgramInfo(p->prog, CL_PROGRAM_BINARY_SIZES, sizeof(*len), len, NULL) !=
		    CL_SUCCESS ||
	    *len == 0)
		return NULL;
	bin = malloc(*len);
	if (bin != NULL &&
	    clGetProgramInfo(p->prog, CL_PROGRAM_BINARIES, sizeof(bin), &bin, NULL) != CL_SUCCESS) {
		free(bin);
		return NULL;
	}
	return bin;
}

void
ocl_program_save(struct exec_program *p)
{
	struct ocl_cached c = {.log = p->log};

	if (p->saved || p->prog == NULL || p->dev->cache_dir == NULL)
		return;
	p->saved = true;
	c.bin = ocl_program_binary(p, &c.bin_len);
	c.sigs = ocl_sigs_pack(&p->sigs);
	if (c.bin != NULL && c.sigs != NULL)
		ocl_cache_store(p->dev, p->key, &c);
	c.log = NULL; /* the program's */
	ocl_cached_free(&c);
}

static enum apir_status
from_source(struct exec_program *p, const char *src, const char *options, struct exec_err *err)
{
	struct exec_dev *dev = p->dev;
	const char *parts[] = {ocl_prelude, "#line 1 \"kernel.cl\"\n", src, "\n"};
	cl_int e;

	p->prog = clCreateProgramWithSource(dev->ctx, 4, parts, NULL, &e);
	if (p->prog == NULL)
		return exec_err_set(err, ocl_status(e), "program: %s", ocl_strerror(e));
	e = clBuildProgram(p->prog, 1, &dev->id, options, NULL, NULL);
	p->log = build_log(dev, p->prog);
	if (p->log == NULL)
		return exec_err_set(err, APIR_S_NOMEM, "out of memory for a build log");
	if (e == CL_SUCCESS) {
		enum apir_status status = ocl_sigs_read(p->prog, &p->sigs, err);

		p->saved = status != APIR_S_OK; /* nothing to keep */
		return status;
	}
	clReleaseProgram(p->prog);
	p->prog = NULL;
	if (p->log[0] == '\0') {
		free(p->log);
		if (asprintf(&p->log, "%s, and the compiler says no more (options: %s)",
			     ocl_strerror(e), options) < 0)
			p->log = NULL;
	}
	return exec_err_set(err, APIR_S_BUILD, "the program does not build (%s): see its build log",
			    ocl_strerror(e));
}

enum apir_status
ocl_program_create(struct exec_dev *dev, const char *src, size_t len, const char *options,
		   struct exec_program **prog, const char **log, bool *cached, struct exec_err *err)
{
	struct exec_program *p = NULL;
	enum apir_status status;
	char *text, *all = NULL;

	*prog = NULL;
	*log = "";
	*cached = false;
	if (options == NULL)
		options = "";
	text = ocl_source_copy(src, len, err);
	if (text == NULL)
		return APIR_S_INVAL;
	status = ocl_options_check(options, err);
	if (status != APIR_S_OK)
		goto out;
	p = program_new(dev);
	all = all_options(dev, options);
	if (p == NULL || all == NULL) {
		status = exec_err_set(err, APIR_S_NOMEM, "out of memory for a program");
		goto out;
	}
	ocl_cache_key(dev, text, all, p->key);
	*cached = from_cache(p, all) == 0;
	if (!*cached)
		status = from_source(p, text, all, err);
	if (status == APIR_S_OK || (status == APIR_S_BUILD && p->log != NULL)) {
		*prog = p;
		*log = p->log;
		p = NULL;
	}
out:
	if (p != NULL)
		ocl_program_destroy(p);
	free(all);
	free(text);
	return status;
}

void
ocl_program_destroy(struct exec_program *p)
{
	if (p == NULL || --p->refs > 0)
		return;
	ocl_program_save(p);
	if (p->module != NULL)
		p->dev->module_free(p);
	ocl_sigs_free(&p->sigs);
	if (p->prog != NULL)
		clReleaseProgram(p->prog);
	free(p->log);
	free(p);
}
