/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ctl_client.h"

static bool
in_range(uint32_t v, uint32_t min, uint32_t max)
{
	return v >= min && v <= max;
}

/* What the device said makes no sense: name it. Returns NULL if all of it does. */
static const char *
find_nonsense(const struct apir_hello_req *req, const struct apir_hello_rsp *rsp)
{
	if (!in_range(rsp->version, req->version_min, req->version_max))
		return "its version is none of ours";
	if (rsp->features & ~req->features)
		return "it chose features we did not offer";
	if (!in_range(rsp->max_data_queues, 1, APIR_MAX_DATA_QUEUES))
		return "its limit of data queues is out of range";
	if (!in_range(rsp->max_pkts, 1, APIR_MAX_PKTS))
		return "its limit of packets in a burst is out of range";
	if (!in_range(rsp->max_segs, rsp->max_pkts, APIR_MAX_SEGS))
		return "its limit of segments in a burst is out of range";
	if (rsp->max_objects == 0 || rsp->max_source == 0)
		return "its limits of objects or of program source are 0";
	if (rsp->copy_mode > APIR_COPY_NONE_RAW)
		return "its copy mode is unknown";
	if (memchr(rsp->device_name, '\0', sizeof(rsp->device_name)) == NULL)
		return "its device name has no end";
	return NULL;
}

static int
refused(const struct apir_env *env, const struct apir_hello_req *req, uint16_t status,
	const struct apir_hello_rsp *rsp)
{
	if (status == APIR_S_VERSION) {
		apir_log(env, APIR_LOG_ERR,
			 "no common version of the contract: this driver speaks %u.%u to %u.%u, "
			 "the device %u.%u to %u.%u: update the older of the two. %s",
			 req->version_min >> 16, req->version_min & 0xffff, req->version_max >> 16,
			 req->version_max & 0xffff, rsp->version_min >> 16,
			 rsp->version_min & 0xffff, rsp->version >> 16, rsp->version & 0xffff,
			 rsp->text);
		return -EPROTONOSUPPORT;
	}
	apir_log(env, APIR_LOG_ERR, "the device refuses HELLO (%u queues, bursts of %u): %s%s%s",
		 req->nb_data_queues, req->max_pkts, apir_status_str(status),
		 rsp->text[0] != '\0' ? ": " : "", rsp->text);
	return -apir_status_errno(status);
}

int
apir_ctl_hello(struct apir_ctl *c, const struct apir_hello_req *req, struct apir_hello_rsp *rsp,
	       unsigned int timeout_ms)
{
	const struct apir_env *env = c->t->env;
	const char *nonsense;
	uint32_t len;
	uint16_t status;
	int ret;

	memcpy(c->tx, req, sizeof(*req));
	ret = apir_ctl_exchange(c, APIR_CTL_HELLO, sizeof(*req), timeout_ms, &status, &len);
	if (ret != 0)
		return ret == -EBUSY ? -ETIMEDOUT : ret;

	memset(rsp, 0, sizeof(*rsp));
	if (len >= sizeof(*rsp)) {
		memcpy(rsp, c->rx, sizeof(*rsp));
		rsp->text[sizeof(rsp->text) - 1] = '\0';
	} else if (status == APIR_S_OK) {
		apir_log(env, APIR_LOG_ERR,
			 "the device's answer to HELLO has %u bytes instead of %zu", len,
			 sizeof(*rsp));
		return -EPROTO;
	}
	if (status != APIR_S_OK)
		return refused(env, req, status, rsp);
	nonsense = find_nonsense(req, rsp);
	if (nonsense != NULL) {
		apir_log(env, APIR_LOG_ERR,
			 "the device's answer to HELLO makes no sense: %s (version 0x%x, "
			 "features 0x%" PRIx64 ", %u queues, %u packets, %u segments)",
			 nonsense, rsp->version, rsp->features, rsp->max_data_queues, rsp->max_pkts,
			 rsp->max_segs);
		return -EPROTO;
	}
	return 0;
}
