/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Signatures of a program's kernels. Kept in the cache beside the binary, for devices that forget them in it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl.h"

#define MAX_KERNELS 4096
#define MAX_ARGS    4096

size_t
ocl_type_size(const char *type)
{
	static const struct {
		const char *name;
		size_t size;
	} types[] = {
		{"char", 1}, {"uchar", 1}, {"short", 2}, {"ushort", 2}, {"int", 4},  {"uint", 4},
		{"long", 8}, {"ulong", 8}, {"float", 4}, {"double", 8}, {"half", 2},
	};

	for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t len = strlen(types[i].name);
		char *end;
		unsigned long n;

		if (strncmp(type, types[i].name, len) != 0)
			continue;
		if (type[len] == '\0')
			return types[i].size;
		n = strtoul(type + len, &end, 10);
		if (*end != '\0' || end == type + len)
			continue;
		/* A vector of 3 takes the room of 4. */
		if (n == 3)
			n = 4;
		if (n == 2 || n == 4 || n == 8 || n == 16)
			return n * types[i].size;
	}
	return 0;
}

/* A string answer of an OpenCL question; NULL if there is none. The caller frees. */
static char *
arg_text(cl_kernel k, cl_uint i, cl_kernel_arg_info what)
{
	size_t len = 0;
	char *text;

	if (clGetKernelArgInfo(k, i, what, 0, NULL, &len) != CL_SUCCESS)
		return NULL;
	text = calloc(1, len + 1);
	if (text != NULL && clGetKernelArgInfo(k, i, what, len, text, NULL) != CL_SUCCESS) {
		free(text);
		text = NULL;
	}
	return text;
}

static enum ocl_arg_kind
arg_kind(cl_kernel_arg_address_qualifier address, const char *type)
{
	if (strstr(type, "image") != NULL || strstr(type, "sampler") != NULL ||
	    strstr(type, "event_t") != NULL || strstr(type, "queue_t") != NULL)
		return OCL_ARG_OTHER;
	switch (address) {
	case CL_KERNEL_ARG_ADDRESS_GLOBAL:
		return OCL_ARG_BUFFER;
	case CL_KERNEL_ARG_ADDRESS_CONSTANT:
		return OCL_ARG_CONSTANT;
	case CL_KERNEL_ARG_ADDRESS_LOCAL:
		return OCL_ARG_LOCAL;
	default:
		return strchr(type, '*') != NULL ? OCL_ARG_OTHER : OCL_ARG_VALUE;
	}
}

static enum apir_status
read_kernel(cl_program prog, struct ocl_kernel_sig *sig, struct exec_err *err)
{
	cl_kernel_arg_address_qualifier address;
	cl_uint nb = 0;
	cl_int e;
	cl_kernel k = clCreateKernel(prog, sig->name, &e);

	if (k == NULL)
		return exec_err_set(err, ocl_status(e), "kernel %s: %s", sig->name,
				    ocl_strerror(e));
	clGetKernelInfo(k, CL_KERNEL_NUM_ARGS, sizeof(nb), &nb, NULL);
	sig->arg = calloc(nb + 1, sizeof(*sig->arg));
	if (sig->arg == NULL)
		goto nomem;
	for (cl_uint i = 0; i < nb; i++) {
		struct ocl_arg_sig *a = &sig->arg[i];

		address = CL_KERNEL_ARG_ADDRESS_PRIVATE;
		a->name = arg_text(k, i, CL_KERNEL_ARG_NAME);
		a->type = arg_text(k, i, CL_KERNEL_ARG_TYPE_NAME);
		sig->nb_args = i + 1;
		if (a->name == NULL || a->type == NULL ||
		    (e = clGetKernelArgInfo(k, i, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof(address),
					    &address, NULL)) != CL_SUCCESS) {
			clReleaseKernel(k);
			return exec_err_set(err, APIR_S_DEVICE,
					    "kernel %s: the OpenCL driver does not tell what its "
					    "parameter %u is",
					    sig->name, i);
		}
		a->kind = arg_kind(address, a->type);
	}
	clReleaseKernel(k);
	return APIR_S_OK;
nomem:
	clReleaseKernel(k);
	return exec_err_set(err, APIR_S_NOMEM, "out of memory for kernel %s", sig->name);
}

enum apir_status
ocl_sigs_read(cl_program prog, struct ocl_sigs *sigs, struct exec_err *err)
{
	enum apir_status status = APIR_S_OK;
	char *names, *save = NULL;
	size_t len = 0, nb = 0;
	cl_int e;

	memset(sigs, 0, sizeof(*sigs));
	/* NVIDIA's driver corrupts its heap when it is asked for the names of none. */
	e = clGetProgramInfo(prog, CL_PROGRAM_NUM_KERNELS, sizeof(nb), &nb, NULL);
	if (e == CL_SUCCESS && nb == 0) {
		sigs->kernel = calloc(1, sizeof(*sigs->kernel));
		return sigs->kernel != NULL ? APIR_S_OK
					    : exec_err_set(err, APIR_S_NOMEM, "out of memory");
	}
	e = clGetProgramInfo(prog, CL_PROGRAM_KERNEL_NAMES, 0, NULL, &len);
	if (e != CL_SUCCESS)
		return exec_err_set(err, ocl_status(e), "the program's kernels: %s",
				    ocl_strerror(e));
	names = calloc(1, len + 1);
	sigs->kernel = calloc(len / 2 + 1, sizeof(*sigs->kernel));
	if (names == NULL || sigs->kernel == NULL) {
		free(names);
		return exec_err_set(err, APIR_S_NOMEM, "out of memory for the program's kernels");
	}
	clGetProgramInfo(prog, CL_PROGRAM_KERNEL_NAMES, len, names, NULL);
	for (char *n = strtok_r(names, ";", &save); n != NULL && status == APIR_S_OK;
	     n = strtok_r(NULL, ";", &save)) {
		struct ocl_kernel_sig *sig = &sigs->kernel[sigs->nb];

		sig->name = strdup(n);
		if (sig->name == NULL) {
			status = exec_err_set(err, APIR_S_NOMEM, "out of memory for kernel %s", n);
			break;
		}
		sigs->nb++;
		status = read_kernel(prog, sig, err);
	}
	free(names);
	if (status != APIR_S_OK)
		ocl_sigs_free(sigs);
	return status;
}

char *
ocl_sigs_pack(const struct ocl_sigs *sigs)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	/* One line a kernel or argument. Types may hold blanks, so they come last. */
	for (unsigned int i = 0; i < sigs->nb; i++) {
		const struct ocl_kernel_sig *s = &sigs->kernel[i];

		fprintf(f, "kernel %u %s\n", s->nb_args, s->name);
		for (unsigned int a = 0; a < s->nb_args; a++)
			fprintf(f, "arg %u %s %s\n", s->arg[a].kind, s->arg[a].name,
				s->arg[a].type);
	}
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* One kernel's lines, from *at on. */
static int
unpack_kernel(const char **at, struct ocl_kernel_sig *s)
{
	unsigned int nb = 0, kind;
	int end = -1;

	if (sscanf(*at, "kernel %u %ms%n", &nb, &s->name, &end) != 2 || end < 0 || nb > MAX_ARGS ||
	    (*at)[end] != '\n')
		return -1;
	*at += end + 1;
	s->arg = calloc(nb + 1, sizeof(*s->arg));
	if (s->arg == NULL)
		return -1;
	for (unsigned int a = 0; a < nb; a++) {
		end = -1;
		s->nb_args = a + 1;
		if (sscanf(*at, "arg %u %ms %m[^\n]%n", &kind, &s->arg[a].name, &s->arg[a].type,
			   &end) != 3 ||
		    end < 0 || kind > OCL_ARG_OTHER || (*at)[end] != '\n')
			return -1;
		s->arg[a].kind = kind;
		*at += end + 1;
	}
	return 0;
}

int
ocl_sigs_unpack(const char *text, struct ocl_sigs *sigs)
{
	unsigned int nb = 0;

	memset(sigs, 0, sizeof(*sigs));
	for (const char *p = text; (p = strstr(p, "kernel ")) != NULL; p++)
		nb++;
	if (nb > MAX_KERNELS)
		return -1;
	sigs->kernel = calloc(nb + 1, sizeof(*sigs->kernel));
	if (sigs->kernel == NULL)
		return -1;
	while (*text != '\0') {
		if (sigs->nb == nb || unpack_kernel(&text, &sigs->kernel[sigs->nb++]) != 0) {
			ocl_sigs_free(sigs);
			return -1;
		}
	}
	return 0;
}

void
ocl_sigs_free(struct ocl_sigs *sigs)
{
	for (unsigned int i = 0; i < sigs->nb; i++) {
		struct ocl_kernel_sig *s = &sigs->kernel[i];

		for (unsigned int a = 0; s->arg != NULL && a < s->nb_args; a++) {
			free(s->arg[a].name);
			free(s->arg[a].type);
		}
		free(s->arg);
		free(s->name);
	}
	free(sigs->kernel);
	memset(sigs, 0, sizeof(*sigs));
}
