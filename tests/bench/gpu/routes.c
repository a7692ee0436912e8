/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Routes of the l3fwd case: prefixes of 24 bits, and in every eighth of them one of 28 bits. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "gpubench.h"

#define FIRST_NET 0x0a000000u /* 10.0.0.0 */

struct rules routes;
struct l3fwd_port route_ports[NB_PORTS];
static struct cpu_fib *cpu;
static unsigned int nb_nets;

static void
route_set(struct route *r, uint32_t addr, unsigned int depth, unsigned int port)
{
	const uint32_t be = rte_cpu_to_be_32(addr);

	memset(r, 0, sizeof(*r));
	memcpy(r->addr, &be, 4);
	r->depth = (uint8_t)depth;
	r->port = (uint8_t)(port % NB_PORTS);
}

int
routes_create(unsigned int nb)
{
	const unsigned int longer = nb / 9;
	char err[256];

	nb_nets = nb - longer;
	routes.v4 = (struct route_list){
		.routes = calloc(nb, sizeof(struct route)), .nb = nb, .addr_len = 4};
	routes.v6 = (struct route_list){.routes = calloc(1, sizeof(struct route)), .addr_len = 16};
	if (routes.v4.routes == NULL || routes.v6.routes == NULL) {
		fprintf(stderr, "apir-gpu-bench: no memory for routes\n");
		return -1;
	}
	for (unsigned int i = 0; i < nb_nets; i++)
		route_set(&routes.v4.routes[i], FIRST_NET + (i << 8), 24, i);
	for (unsigned int i = 0; i < longer; i++)
		route_set(&routes.v4.routes[nb_nets + i], FIRST_NET + (i * 8 << 8) + 0x40, 28,
			  i + 1);
	for (unsigned int p = 0; p < NB_PORTS; p++) {
		uint8_t mac[12] = {2, 0, 0, 0, 1, (uint8_t)p, 2, 0, 0, 0, 0, (uint8_t)p};

		memcpy(route_ports[p].mac, mac, sizeof(mac));
		route_ports[p].mtu = 1986;
	}
	cpu = cpu_fib_create(&routes, 0, err, sizeof(err));
	if (cpu == NULL)
		fprintf(stderr, "apir-gpu-bench: %s\n", err);
	return cpu == NULL ? -1 : 0;
}

void
routes_free(void)
{
	if (cpu != NULL)
		cpu_fib_free(cpu);
	cpu = NULL;
	free(routes.v4.routes);
	free(routes.v6.routes);
	memset(&routes, 0, sizeof(routes));
}

struct cpu_fib *
routes_cpu(void)
{
	return cpu;
}

uint32_t
routes_destination(uint64_t random)
{
	return FIRST_NET + ((uint32_t)(random >> 32) % nb_nets << 8) + (uint32_t)(random & 0xff);
}

static int
append_file(const char *dir, const char *name, char **text, size_t *len)
{
	char path[4096], *grown;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (f == NULL) {
		fprintf(stderr, "apir-gpu-bench: %s: %s: see --kernels\n", path, strerror(errno));
		return -1;
	}
	do {
		grown = realloc(*text, *len + 65536);
		if (grown == NULL)
			break;
		*text = grown;
		n = fread(*text + *len, 1, 65535, f);
		*len += n;
		(*text)[*len] = '\0';
	} while (n > 0);
	fclose(f);
	return grown == NULL ? -1 : 0;
}

char *
kernel_source(const struct options *o, const char *const *files)
{
	char *text = NULL;
	size_t len = 0;

	for (; *files != NULL; files++)
		if (append_file(o->kernel_dir, *files, &text, &len) != 0) {
			free(text);
			return NULL;
		}
	return text;
}
