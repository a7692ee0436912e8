/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "apir_private.h"

#define DEF_BURSTS	     32
#define DEF_BURST	     256
#define DEF_TIMEOUT_MS	     5000
#define DEF_BUILD_TIMEOUT_MS 120000

static int
check_u32(const char *field, uint32_t *v, uint32_t dflt, uint32_t min, uint32_t max)
{
	if (*v == 0)
		*v = dflt;
	if (*v < min || *v > max)
		return apir_err(EINVAL, "rte_apir_conf.%s is %u: %u..%u are possible", field, *v,
				min, max);
	return 0;
}

static int
check_u16(const char *field, uint16_t *v, uint16_t dflt, uint16_t min, uint16_t max)
{
	uint32_t wide = *v;
	const int ret = check_u32(field, &wide, dflt, min, max);

	*v = (uint16_t)wide;
	return ret;
}

static int
check_strings(const struct rte_apir_conf *in, struct apir_conf *out)
{
	const char *path = in->path != NULL ? in->path : RTE_APIR_DEFAULT_PATH;
	const char *name = in->name != NULL ? in->name : "librte_apir";

	if (in->path != NULL && in->pci != NULL)
		return apir_err(EINVAL,
				"rte_apir_conf.path is '%s' and .pci '%s': a device has one or the "
				"other",
				in->path, in->pci);
	out->pci = in->pci != NULL;
	out->choose = in->pci == NULL && in->path == NULL;

	if (path[0] == '\0' || strlen(path) >= sizeof(out->path))
		return apir_err(EINVAL,
				"rte_apir_conf.path '%s' has %zu bytes: 1..%zu are possible", path,
				strlen(path), sizeof(out->path) - 1);
	if (strlen(name) >= sizeof(out->name))
		return apir_err(EINVAL,
				"rte_apir_conf.name '%s' has %zu bytes: 0..%zu are possible", name,
				strlen(name), sizeof(out->name) - 1);
	snprintf(out->path, sizeof(out->path), "%s", out->pci ? "" : path);
	if (out->pci && in->pci[0] != '\0' && apir_pci_addr_parse(in->pci, out->path) != 0)
		return apir_err(EINVAL,
				"rte_apir_conf.pci '%s' is no PCI address: write it like "
				"0000:00:05.0, or leave it empty for the only apir device",
				in->pci);
	snprintf(out->name, sizeof(out->name), "%s", name);
	return 0;
}

int
apir_conf_check(const struct rte_apir_conf *conf, struct apir_conf *out)
{
	static const struct rte_apir_conf none;
	struct rte_apir_conf c;

	c = conf != NULL ? *conf : none;
	memset(out, 0, sizeof(*out));
	if (check_strings(&c, out) != 0)
		return -EINVAL;
	out->nb_bursts_set = c.nb_bursts != 0;
	out->max_burst_set = c.max_burst != 0;
	out->max_segs_set = c.max_segs != 0;
	if (check_u16("nb_queue_pairs", &c.nb_queue_pairs, 1, 1, APIR_MAX_DATA_QUEUES) != 0 ||
	    check_u16("nb_bursts", &c.nb_bursts, DEF_BURSTS, 1, APIR_MAX_QUEUE_SIZE) != 0)
		return -EINVAL;
	if (!rte_is_power_of_2(c.nb_bursts))
		return apir_err(EINVAL,
				"rte_apir_conf.nb_bursts is %u: a power of two of 1..%u is needed",
				c.nb_bursts, APIR_MAX_QUEUE_SIZE);
	/* a caller who names only max_segs gets bursts that fit it */
	if (c.max_burst == 0 && c.max_segs != 0)
		c.max_burst = RTE_MIN(c.max_segs, DEF_BURST);
	if (check_u16("max_burst", &c.max_burst, DEF_BURST, 1, APIR_MAX_PKTS) != 0 ||
	    check_u16("max_segs", &c.max_segs, c.max_burst, c.max_burst, APIR_MAX_SEGS) != 0)
		return -EINVAL;
	if (c.socket_id < SOCKET_ID_ANY || c.socket_id >= RTE_MAX_NUMA_NODES)
		return apir_err(EINVAL, "rte_apir_conf.socket_id is %d: %d (any)..%d are possible",
				c.socket_id, SOCKET_ID_ANY, RTE_MAX_NUMA_NODES - 1);
	if (check_u32("timeout_ms", &c.timeout_ms, DEF_TIMEOUT_MS, 1, INT_MAX) != 0 ||
	    check_u32("build_timeout_ms", &c.build_timeout_ms, DEF_BUILD_TIMEOUT_MS, 1, INT_MAX) !=
		    0)
		return -EINVAL;

	out->nb_queue_pairs = c.nb_queue_pairs;
	out->fewer_queue_pairs = c.fewer_queue_pairs;
	out->nb_bursts = c.nb_bursts;
	out->max_burst = c.max_burst;
	out->max_segs = c.max_segs;
	out->socket_id = c.socket_id;
	out->timeout_ms = c.timeout_ms;
	out->build_timeout_ms = c.build_timeout_ms;
	return 0;
}

uint16_t
apir_conf_ring_size(const struct apir_conf *conf)
{
	const uint32_t need = RTE_MAX(conf->max_segs + 2u, (uint32_t)conf->nb_bursts);

	return (uint16_t)rte_align32pow2(RTE_MAX(need, APIR_MIN_QUEUE_SIZE));
}
