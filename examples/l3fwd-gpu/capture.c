/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>

#include <rte_kvargs.h>

#include "capture.h"

/* Largest packet: what an mbuf chain and the 16-bit lengths of a burst can describe. */
#define MAX_PACKET 65535

int
capture_check(const char *file, char *err, size_t err_len)
{
	char why[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *data;
	unsigned long n = 0;
	pcap_t *pcap;
	int ret;

	pcap = pcap_open_offline(file, why);
	if (pcap == NULL) {
		/* Some of libpcap's texts begin with the name of the file, some do not. */
		if (strncmp(why, file, strlen(file)) == 0)
			snprintf(err, err_len, "capture %s", why);
		else
			snprintf(err, err_len, "capture %s: %s", file, why);
		return -1;
	}
	if (pcap_datalink(pcap) != DLT_EN10MB) {
		snprintf(err, err_len,
			 "capture %s: its packets are no Ethernet frames (link type %d)", file,
			 pcap_datalink(pcap));
		pcap_close(pcap);
		return -1;
	}
	while ((ret = pcap_next_ex(pcap, &header, &data)) == 1) {
		n++;
		if (header->caplen > 0 && header->caplen <= MAX_PACKET)
			continue;
		snprintf(err, err_len, "capture %s: packet %lu has %u bytes: 1 to %u can be routed",
			 file, n, header->caplen, MAX_PACKET);
		pcap_close(pcap);
		return -1;
	}
	if (ret != PCAP_ERROR_BREAK)
		snprintf(err, err_len, "capture %s: after packet %lu: %s", file, n,
			 pcap_geterr(pcap));
	pcap_close(pcap);
	return ret == PCAP_ERROR_BREAK ? 0 : -1;
}

struct check {
	char *err;
	size_t err_len;
};

static int
check_file(const char *key, const char *file, void *arg)
{
	const struct check *c = arg;

	(void)key;
	return capture_check(file, c->err, c->err_len);
}

int
capture_check_devargs(const char *args, char *err, size_t err_len)
{
	struct check c = {err, err_len};
	struct rte_kvargs *kv = rte_kvargs_parse(args, NULL);
	int ret;

	if (kv == NULL)
		return 0; /* the driver has said so */
	ret = rte_kvargs_process(kv, "rx_pcap", check_file, &c);
	rte_kvargs_free(kv);
	return ret;
}
