/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Which devices there are, and which one a --device text means. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "opencl.h"

#define MAX_PLATFORMS 32
#define MAX_DEVICES   64 /* of one platform */

static void
choose_pocl_devices(void)
{
	/*
	 * Read once by PoCL, when its platform is first used. The first runs a kernel in the calling thread: 5 to 13 times
	 * faster for short bursts than the thread pool, PoCL's default. PoCL 4 renamed both; it ignores names it does not know.
	 */
	setenv("POCL_DEVICES", "basic pthread cpu-minimal cpu", 0);
}

void
ocl_device_string(cl_device_id id, cl_device_info what, char *text, size_t size)
{
	size_t len = 0;
	char *whole;

	text[0] = '\0';
	if (clGetDeviceInfo(id, what, 0, NULL, &len) != CL_SUCCESS || len == 0)
		return;
	whole = calloc(1, len + 1);
	if (whole != NULL && clGetDeviceInfo(id, what, len, whole, NULL) == CL_SUCCESS)
		snprintf(text, size, "%s", whole);
	free(whole);
}

static bool
device_bool(cl_device_id id, cl_device_info what)
{
	cl_bool yes = CL_FALSE;

	return clGetDeviceInfo(id, what, sizeof(yes), &yes, NULL) == CL_SUCCESS && yes;
}

static void
judge(struct ocl_found *f)
{
	cl_uint bits = 0;

	f->usable = false;
	clGetDeviceInfo(f->id, CL_DEVICE_ADDRESS_BITS, sizeof(bits), &bits, NULL);
	if (!device_bool(f->id, CL_DEVICE_AVAILABLE))
		f->unusable = "not available";
	else if (bits != 64)
		f->unusable = "not a 64-bit device";
	else if (!device_bool(f->id, CL_DEVICE_ENDIAN_LITTLE))
		f->unusable = "big-endian";
	else if (!device_bool(f->id, CL_DEVICE_COMPILER_AVAILABLE))
		f->unusable = "no compiler";
	else
		f->usable = true;
}

unsigned int
ocl_find_all(struct ocl_found **list, struct exec_err *err)
{
	cl_platform_id platforms[MAX_PLATFORMS];
	cl_device_id ids[MAX_DEVICES];
	cl_uint np = 0, nd;
	unsigned int nb = 0;
	struct ocl_found *l;

	*list = NULL;
	choose_pocl_devices();
	if (clGetPlatformIDs(MAX_PLATFORMS, platforms, &np) != CL_SUCCESS || np == 0) {
		exec_err_set(err, APIR_S_NOENT,
			     "no OpenCL platform on this machine: install pocl-opencl-icd (CPU) or "
			     "the OpenCL "
			     "driver of the GPU's vendor (a file in /etc/OpenCL/vendors names it)");
		return 0;
	}
	if (np > MAX_PLATFORMS)
		np = MAX_PLATFORMS;
	l = calloc((size_t)np * MAX_DEVICES, sizeof(*l));
	if (l == NULL) {
		exec_err_set(err, APIR_S_NOMEM, "out of memory listing OpenCL devices");
		return 0;
	}
	for (cl_uint p = 0; p < np; p++) {
		nd = 0;
		if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, MAX_DEVICES, ids, &nd) !=
		    CL_SUCCESS)
			continue; /* a platform with no device: a driver with no hardware */
		if (nd > MAX_DEVICES)
			nd = MAX_DEVICES;
		for (cl_uint d = 0; d < nd; d++) {
			struct ocl_found *f = &l[nb++];

			f->platform = platforms[p];
			f->id = ids[d];
			f->p = p;
			f->d = d;
			clGetPlatformInfo(platforms[p], CL_PLATFORM_NAME,
					  sizeof(f->platform_name) - 1, f->platform_name, NULL);
			ocl_device_string(ids[d], CL_DEVICE_NAME, f->name, sizeof(f->name));
			clGetDeviceInfo(ids[d], CL_DEVICE_TYPE, sizeof(f->type), &f->type, NULL);
			judge(f);
		}
	}
	if (nb == 0) {
		free(l);
		exec_err_set(err, APIR_S_NOENT,
			     "%u OpenCL platform%s but no device: is the GPU's driver loaded? (for "
			     "a CPU device install pocl-opencl-icd; it needs a folder to write to: "
			     "POCL_CACHE_DIR, XDG_CACHE_HOME/pocl or HOME/.cache/pocl)",
			     np, np == 1 ? "" : "s");
		return 0;
	}
	*list = l;
	return nb;
}

static bool
is_pocl(const struct ocl_found *f, const char *name, const char *later_name)
{
	return strcmp(f->platform_name, "Portable Computing Language") == 0 &&
	       (strncmp(f->name, name, strlen(name)) == 0 ||
		strncmp(f->name, later_name, strlen(later_name)) == 0);
}

bool
ocl_found_is_basic(const struct ocl_found *f)
{
	return is_pocl(f, "basic-", "cpu-minimal-");
}

/* Order of preference of "auto": lower is better. */
static unsigned int
rank(const struct ocl_found *f)
{
	if (f->type & CL_DEVICE_TYPE_GPU)
		return 0;
	if (f->type & CL_DEVICE_TYPE_ACCELERATOR)
		return 1;
	return ocl_found_is_basic(f) ? 2 : 3;
}

static void
add_list(struct exec_err *err, const struct ocl_found *list, unsigned int nb)
{
	exec_err_add(err, "; there %s:", nb == 1 ? "is" : "are");
	for (unsigned int i = 0; i < nb; i++)
		exec_err_add(err, "%s %u:%u '%s' of '%s'%s%s%s", i == 0 ? "" : ",", list[i].p,
			     list[i].d, list[i].name, list[i].platform_name,
			     list[i].usable ? "" : " (", list[i].usable ? "" : list[i].unusable,
			     list[i].usable ? "" : ")");
}

static bool
matches(const struct ocl_found *f, const char *text)
{
	unsigned int p, d;
	int end = -1;

	if (sscanf(text, "%u:%u%n", &p, &d, &end) == 2 && text[end] == '\0')
		return f->p == p && f->d == d;
	/* PoCL's names before and after its version 4 mean the same devices. */
	if (strcasecmp(text, "basic") == 0 && ocl_found_is_basic(f))
		return true;
	if (strcasecmp(text, "pthread") == 0 && !ocl_found_is_basic(f) &&
	    is_pocl(f, "pthread-", "cpu-"))
		return true;
	return strcasestr(f->name, text) != NULL || strcasestr(f->platform_name, text) != NULL;
}

unsigned int
ocl_find_match(const struct ocl_found *list, unsigned int nb, const char *text, unsigned int *order,
	       struct exec_err *err)
{
	bool any = text == NULL || text[0] == '\0' || strcasecmp(text, "auto") == 0;
	const char *unusable = NULL;
	unsigned int found = 0;

	for (unsigned int r = 0; r < (any ? 4 : 1); r++)
		for (unsigned int i = 0; i < nb; i++) {
			if (any ? rank(&list[i]) != r : !matches(&list[i], text))
				continue;
			if (list[i].usable)
				order[found++] = i;
			else
				unusable = list[i].unusable;
		}
	if (found == 0) {
		if (any)
			exec_err_set(err, APIR_S_NOENT, "no usable OpenCL device");
		else if (unusable != NULL)
			exec_err_set(err, APIR_S_NOENT, "OpenCL device '%s' cannot be used: %s",
				     text, unusable);
		else
			exec_err_set(err, APIR_S_NOENT, "no OpenCL device matches '%s'", text);
		add_list(err, list, nb);
	}
	return found;
}

/* cl_nv_device_attribute_query; Debian's headers lack it. */
#define NV_PCI_BUS    0x4008
#define NV_PCI_SLOT   0x4009
#define NV_PCI_DOMAIN 0x400A

static bool
has_extension(cl_device_id id, const char *name)
{
	char text[8192], *save = NULL;

	ocl_device_string(id, CL_DEVICE_EXTENSIONS, text, sizeof(text));
	for (char *e = strtok_r(text, " ", &save); e != NULL; e = strtok_r(NULL, " ", &save))
		if (strcmp(e, name) == 0)
			return true;
	return false;
}

int
ocl_find_bus(cl_device_id id, char *text, size_t size)
{
	cl_uint bus = 0, slot = 0, domain = 0;
#ifdef CL_DEVICE_PCI_BUS_INFO_KHR
	cl_device_pci_bus_info_khr pci;

	if (has_extension(id, "cl_khr_pci_bus_info") &&
	    clGetDeviceInfo(id, CL_DEVICE_PCI_BUS_INFO_KHR, sizeof(pci), &pci, NULL) ==
		    CL_SUCCESS) {
		snprintf(text, size, "%04x:%02x:%02x.%x", pci.pci_domain, pci.pci_bus,
			 pci.pci_device, pci.pci_function);
		return 0;
	}
#endif
	if (!has_extension(id, "cl_nv_device_attribute_query") ||
	    clGetDeviceInfo(id, NV_PCI_BUS, sizeof(bus), &bus, NULL) != CL_SUCCESS ||
	    clGetDeviceInfo(id, NV_PCI_SLOT, sizeof(slot), &slot, NULL) != CL_SUCCESS)
		return -1;
	clGetDeviceInfo(id, NV_PCI_DOMAIN, sizeof(domain), &domain, NULL);
	snprintf(text, size, "%04x:%02x:%02x.%x", domain, bus, slot >> 3, slot & 7);
	return 0;
}

int
ocl_find_node(cl_device_id id)
{
	char path[96], bus[32];
	int node = -1;
	FILE *f;

	if (ocl_find_bus(id, bus, sizeof(bus)) != 0)
		return -1;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/numa_node", bus);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	if (fscanf(f, "%d", &node) != 1)
		node = -1;
	fclose(f);
	return node;
}

int
ocl_list(void *out)
{
	struct exec_err err = {""};
	struct ocl_found *list;
	unsigned int nb = ocl_find_all(&list, &err);
	cl_ulong mem;

	if (nb == 0) {
		fprintf(out, "%s\n", err.text);
		return 0;
	}
	for (unsigned int i = 0; i < nb; i++) {
		mem = 0;
		clGetDeviceInfo(list[i].id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(mem), &mem, NULL);
		fprintf(out, "%u:%u  %s  [%s, %s, %llu MiB]%s%s\n", list[i].p, list[i].d,
			list[i].name, list[i].platform_name,
			list[i].type & CL_DEVICE_TYPE_GPU	    ? "GPU"
			: list[i].type & CL_DEVICE_TYPE_ACCELERATOR ? "accelerator"
								    : "CPU",
			(unsigned long long)(mem >> 20), list[i].usable ? "" : "  cannot be used: ",
			list[i].usable ? "" : list[i].unusable);
	}
	free(list);
	return (int)nb;
}
