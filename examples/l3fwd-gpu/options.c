/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_apir.h>

#include "options.h"

enum {
	OPT_HELP = 256,
	OPT_CONFIG,
	OPT_RULE4,
	OPT_RULE6,
	OPT_ETH_DEST,
	OPT_PATH,
	OPT_PCI,
	OPT_KERNEL,
	OPT_CPU,
	OPT_VERIFY,
	OPT_BURST,
	OPT_IN_FLIGHT,
	OPT_RX_DESCS,
	OPT_TX_DESCS,
	OPT_MAX_PKT_LEN,
	OPT_STATS_PERIOD,
	OPT_COUNT,
	OPT_EXIT_ON_IDLE,
	OPT_JSON,
};

static const struct option longs[] = {
	{"help", no_argument, NULL, OPT_HELP},
	{"config", required_argument, NULL, OPT_CONFIG},
	{"rule_ipv4", required_argument, NULL, OPT_RULE4},
	{"rule_ipv6", required_argument, NULL, OPT_RULE6},
	{"eth-dest", required_argument, NULL, OPT_ETH_DEST},
	{"path", required_argument, NULL, OPT_PATH},
	{"pci", required_argument, NULL, OPT_PCI},
	{"kernel", required_argument, NULL, OPT_KERNEL},
	{"cpu", no_argument, NULL, OPT_CPU},
	{"verify", no_argument, NULL, OPT_VERIFY},
	{"burst", required_argument, NULL, OPT_BURST},
	{"in-flight", required_argument, NULL, OPT_IN_FLIGHT},
	{"rx-queue-size", required_argument, NULL, OPT_RX_DESCS},
	{"tx-queue-size", required_argument, NULL, OPT_TX_DESCS},
	{"max-pkt-len", required_argument, NULL, OPT_MAX_PKT_LEN},
	{"promiscuous", no_argument, NULL, 'P'},
	{"stats-period", required_argument, NULL, OPT_STATS_PERIOD},
	{"count", required_argument, NULL, OPT_COUNT},
	{"exit-on-idle", required_argument, NULL, OPT_EXIT_ON_IDLE},
	{"json", required_argument, NULL, OPT_JSON},
	{NULL, 0, NULL, 0},
};

static void
usage(void)
{
	printf("usage: l3fwd-gpu [EAL options] -- [options]\n"
	       "\n"
	       "Routes IPv4 and IPv6 between ethdev ports; the routing is done by a kernel on the "
	       "host's OpenCL device.\n"
	       "EAL needs --single-file-segments for that (not with --cpu).\n"
	       "\n"
	       "Routes, at least one of:\n"
	       "  --rule_ipv4=FILE     IPv4 rules in DPDK l3fwd's format: lines 'R10.1.0.0/16 "
	       "PORT'\n"
	       "  --rule_ipv6=FILE     IPv6 rules: lines 'R2001:db8::/32 PORT'\n"
	       "                       (SIGHUP reads both again while packets flow)\n"
	       "Ports:\n"
	       "  -p PORTMASK          hexadecimal mask of the ports to use (default: all)\n"
	       "  --config=\"(PORT,QUEUE,LCORE),...\"\n"
	       "                       which lcore serves which rx queue (default: queue 0 of each "
	       "port, main lcore)\n"
	       "  --eth-dest=PORT,MAC  destination address of what PORT sends (default: "
	       "02:00:00:00:00:PORT)\n"
	       "  -P, --promiscuous    take frames for other stations too\n"
	       "  --max-pkt-len=N      longest frame without its CRC, 64..9600 (default: 1514)\n"
	       "  --rx-queue-size=N    descriptors of an rx queue, 1..65535 (default: 1024)\n"
	       "  --tx-queue-size=N    descriptors of a tx queue, 1..65535 (default: 1024)\n"
	       "Device:\n"
	       "  --path=SOCKET        socket of apird (default: in a virtual machine its only "
	       "apir "
	       "device, else " RTE_APIR_DEFAULT_PATH ")\n"
	       "  --pci=ADDRESS        apir device of a virtual machine, such as 0000:00:05.0\n"
	       "  --kernel=FILE        kernel source (default: l3fwd.cl beside the program, then "
	       "the installed one)\n"
	       "  --burst=N            most packets of a burst, 1..1022 (default: 256)\n"
	       "  --in-flight=N        bursts in flight of an lcore, a power of two, 1..1024 "
	       "(default: 32)\n"
	       "  --cpu                no device: rte_lpm and rte_lpm6 do the work\n"
	       "  --verify             hold each packet the device returns against the CPU's "
	       "result, byte for byte\n"
	       "Run:\n"
	       "  --stats-period=S     seconds between statistics, 0: only at the end (default: "
	       "1)\n"
	       "  --count=N            end after N packets (default: 0, no limit)\n"
	       "  --exit-on-idle=MS    end when no packet has come for MS milliseconds (default: "
	       "0, never)\n"
	       "  --json=FILE          write a summary there at the end; '-' is stdout\n"
	       "  --help               this text\n"
	       "\n"
	       "Exit code: 0 fine; 1 a failure, a packet lost, or a mismatch of --verify; 2 a "
	       "mistake on the command line.\n");
}

static int __attribute__((format(printf, 1, 2))) bad(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "l3fwd-gpu: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (see --help)\n");
	return -1;
}

static int
parse_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] < '0' || text[0] > '9' ||
	    *value < min || *value > max)
		return bad("--%s=%s: a number from %" PRIu64 " to %" PRIu64 " is needed", name,
			   text, min, max);
	return 0;
}

static int
parse_uint(const char *name, const char *text, unsigned int min, unsigned int max,
	   unsigned int *value)
{
	uint64_t v;

	if (parse_number(name, text, min, max, &v) != 0)
		return -1;
	*value = v;
	return 0;
}

static int
parse_port_mask(const char *text, uint64_t *mask)
{
	char *end;

	errno = 0;
	*mask = strtoull(text, &end, 16);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || *mask == 0)
		return bad("-p %s: a hexadecimal mask of ports is needed, and one port at least",
			   text);
	return 0;
}

/* "(port,queue,lcore)" and any number more, with commas or nothing in between. */
static int
parse_config(const char *text, struct options *opt)
{
	const char *p = text;
	unsigned int i;

	opt->nb_rx = 0;
	while (*p != '\0') {
		unsigned int port, queue, lcore;
		struct rx_queue *q = &opt->rx[opt->nb_rx];
		int len = 0;

		if (sscanf(p, " ( %u , %u , %u )%n", &port, &queue, &lcore, &len) != 3 ||
		    len == 0 || strchr(p, '-') != NULL)
			return bad("--config: '%s' is not of the form (port,queue,lcore)", p);
		if (port >= MAX_PORTS || queue >= RTE_MAX_QUEUES_PER_PORT || lcore >= RTE_MAX_LCORE)
			return bad("--config: (%u,%u,%u) is out of range: ports to %u, queues to "
				   "%u, lcores to %u",
				   port, queue, lcore, MAX_PORTS - 1, RTE_MAX_QUEUES_PER_PORT - 1,
				   RTE_MAX_LCORE - 1);
		if (opt->nb_rx == MAX_RX_QUEUES)
			return bad("--config: more than %u queues", MAX_RX_QUEUES);
		q->port = port;
		q->queue = queue;
		q->lcore = lcore;
		for (i = 0; i < opt->nb_rx; i++)
			if (opt->rx[i].port == q->port && opt->rx[i].queue == q->queue)
				return bad("--config: queue %u of port %u is there twice", queue,
					   port);
		opt->nb_rx++;
		p += len;
		p += strspn(p, " ");
		if (*p == ',' && p[1] != '\0')
			p++;
	}
	return opt->nb_rx > 0 ? 0 : bad("--config is empty");
}

static int
parse_eth_dest(const char *text, struct options *opt)
{
	struct rte_ether_addr mac;
	unsigned long port;
	char *end;

	errno = 0;
	port = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != ',' || text[0] == '-' || port >= MAX_PORTS)
		return bad("--eth-dest=%s: 'PORT,MAC' is needed, PORT from 0 to %u", text,
			   MAX_PORTS - 1);
	if (rte_ether_unformat_addr(end + 1, &mac) != 0)
		return bad("--eth-dest=%s: '%s' is no Ethernet address", text, end + 1);
	opt->eth_dest[port] = mac;
	return 0;
}

static void
set_defaults(struct options *opt)
{
	unsigned int i;

	memset(opt, 0, sizeof(*opt));
	opt->burst = 256;
	opt->in_flight = 32;
	opt->rx_descs = opt->tx_descs = 1024;
	opt->max_pkt_len = RTE_ETHER_MAX_LEN - RTE_ETHER_CRC_LEN;
	opt->stats_period = 1;
	/* As in l3fwd: locally administered, the port is the last byte. */
	for (i = 0; i < MAX_PORTS; i++) {
		opt->eth_dest[i].addr_bytes[0] = RTE_ETHER_LOCAL_ADMIN_ADDR;
		opt->eth_dest[i].addr_bytes[5] = i;
	}
}

static int
parse_one(struct options *opt, int c, char *arg)
{
	switch (c) {
	case 'p':
		return parse_port_mask(arg, &opt->port_mask);
	case 'P':
		opt->promiscuous = true;
		return 0;
	case OPT_CONFIG:
		return parse_config(arg, opt);
	case OPT_RULE4:
		opt->rule4 = arg;
		return 0;
	case OPT_RULE6:
		opt->rule6 = arg;
		return 0;
	case OPT_ETH_DEST:
		return parse_eth_dest(arg, opt);
	case OPT_PATH:
		opt->path = arg;
		return 0;
	case OPT_PCI:
		opt->pci = arg;
		return 0;
	case OPT_KERNEL:
		opt->kernel = arg;
		return 0;
	case OPT_CPU:
		opt->cpu = true;
		return 0;
	case OPT_VERIFY:
		opt->verify = true;
		return 0;
	case OPT_BURST:
		return parse_uint("burst", arg, 1, 1022, &opt->burst);
	case OPT_IN_FLIGHT:
		if (parse_uint("in-flight", arg, 1, 1024, &opt->in_flight) != 0)
			return -1;
		if ((opt->in_flight & (opt->in_flight - 1)) != 0)
			return bad("--in-flight=%s: a power of two is needed", arg);
		return 0;
	case OPT_RX_DESCS:
		return parse_uint("rx-queue-size", arg, 1, UINT16_MAX, &opt->rx_descs);
	case OPT_TX_DESCS:
		return parse_uint("tx-queue-size", arg, 1, UINT16_MAX, &opt->tx_descs);
	case OPT_MAX_PKT_LEN:
		return parse_uint("max-pkt-len", arg, 64, 9600, &opt->max_pkt_len);
	case OPT_STATS_PERIOD:
		return parse_uint("stats-period", arg, 0, 86400, &opt->stats_period);
	case OPT_COUNT:
		return parse_number("count", arg, 0, INT64_MAX, &opt->count);
	case OPT_EXIT_ON_IDLE:
		return parse_uint("exit-on-idle", arg, 0, 86400000, &opt->idle_ms);
	case OPT_JSON:
		opt->json = arg;
		return 0;
	}
	return -1;
}

int
options_parse(struct options *opt, int argc, char **argv)
{
	int c;

	set_defaults(opt);
	optind = 0; /* glibc: start anew */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":p:P", longs, NULL)) != -1) {
		if (c == OPT_HELP) {
			usage();
			return 1;
		}
		if (c == ':')
			return bad("%s needs a value", argv[optind - 1]);
		if (c == '?')
			return bad("'%s' is not understood", argv[optind - 1]);
		if (parse_one(opt, c, optarg) != 0)
			return -1;
	}
	if (optind < argc)
		return bad("'%s' is not understood", argv[optind]);
	if (opt->rule4 == NULL && opt->rule6 == NULL)
		return bad("no routes: give --rule_ipv4=FILE, --rule_ipv6=FILE or both");
	if (opt->path != NULL && opt->pci != NULL)
		return bad("--path=%s and --pci=%s: the device has one or the other", opt->path,
			   opt->pci);
	if (opt->cpu && opt->verify)
		return bad(
			"--verify compares a device with the CPU, and --cpu is without a device");
	return 0;
}
