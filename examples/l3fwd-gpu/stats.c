/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"
#include "worker.h"

/* Routes that the summary shows at most: those with the most packets. */
#define MAX_ROUTES_SHOWN 32

static const struct {
	const char *text, *key;
} drop_names[L3FWD_DROP_END] = {
	[L3FWD_DROP_TOO_SHORT] = {"too short", "too_short"},
	[L3FWD_DROP_NOT_IP] = {"not IP", "not_ip"},
	[L3FWD_DROP_BAD_HEADER] = {"bad header", "bad_header"},
	[L3FWD_DROP_BAD_CHECKSUM] = {"bad checksum", "bad_checksum"},
	[L3FWD_DROP_BAD_ADDRESS] = {"bad address", "bad_address"},
	[L3FWD_DROP_GROUP] = {"broadcast or multicast", "group"},
	[L3FWD_DROP_TTL] = {"TTL expired", "ttl_expired"},
	[L3FWD_DROP_NO_ROUTE] = {"no route", "no_route"},
	[L3FWD_DROP_TOO_BIG] = {"larger than the MTU", "too_big"},
	[L3FWD_DROP_BAD_VERDICT] = {"bad verdict", "bad_verdict"},
	[L3FWD_DROP_REFUSED] = {"refused by the device", "refused"},
	[L3FWD_DROP_DEVICE_LOST] = {"device lost", "device_lost"},
	[L3FWD_DROP_DEVICE_ERROR] = {"device error", "device_error"},
	[L3FWD_DROP_TX_FULL] = {"output full", "tx_full"},
};

const char *
stats_drop_name(unsigned int reason)
{
	return reason < L3FWD_DROP_END ? drop_names[reason].text : "a reason that does not exist";
}

void
stats_collect(const struct app *app, struct totals *t)
{
	struct rte_eth_stats eth;
	unsigned int w, r;
	uint16_t port;

	memset(t, 0, sizeof(*t));
	for (port = 0; port < MAX_PORTS; port++) {
		struct port_totals *p = &t->ports[port];

		if (!app->ports[port].enabled)
			continue;
		for (w = 0; w < app->nb_workers; w++) {
			const struct port_count *c = &app->workers[w].count[port];

			p->rx += counted(&c->rx);
			p->rx_bytes += counted(&c->rx_bytes);
			p->tx += counted(&c->tx);
			p->tx_bytes += counted(&c->tx_bytes);
			for (r = 0; r < L3FWD_DROP_END; r++)
				p->drop[r] += counted(&c->drop[r]);
		}
		for (r = 0; r < L3FWD_DROP_END; r++)
			p->dropped += p->drop[r];
		if (rte_eth_stats_get(port, &eth) == 0)
			p->missed = eth.imissed + eth.rx_nombuf;
		t->rx += p->rx;
		t->tx += p->tx;
		t->dropped += p->dropped;
	}
}

void
stats_print(const struct app *app, const struct totals *now, const struct totals *before,
	    double seconds, double since_start)
{
	uint16_t port;

	flockfile(stdout);
	printf("\n%7.1f s  %-20s %12s %12s %10s %10s %10s %10s %8s\n", since_start, "port",
	       "received", "sent", "dropped", "in pkt/s", "out pkt/s", "out Mbit/s", "missed");
	for (port = 0; port < MAX_PORTS; port++) {
		const struct port_totals *n = &now->ports[port], *b = &before->ports[port];

		if (!app->ports[port].enabled)
			continue;
		printf("           %2u %-17.17s %12" PRIu64 " %12" PRIu64 " %10" PRIu64
		       " %10.0f %10.0f %10.1f %8" PRIu64 "\n",
		       port, app->ports[port].name, n->rx, n->tx, n->dropped,
		       (n->rx - b->rx) / seconds, (n->tx - b->tx) / seconds,
		       (n->tx_bytes - b->tx_bytes) * 8 / seconds / 1e6, n->missed);
	}
	fflush(stdout);
	funlockfile(stdout);
}

static void
print_drops(const struct app *app, const struct totals *t)
{
	uint16_t port;
	unsigned int r;

	if (t->dropped == 0)
		return;
	printf("\n%-24s %12s  %s\n", "dropped", "packets", "from port");
	for (r = 0; r < L3FWD_DROP_END; r++)
		for (port = 0; port < MAX_PORTS; port++)
			if (app->ports[port].enabled && t->ports[port].drop[r] > 0)
				printf("%-24s %12" PRIu64 "  %u\n", drop_names[r].text,
				       t->ports[port].drop[r], port);
}

struct hit {
	uint32_t route;
	uint64_t packets;
};

static int
more_packets(const void *a, const void *b)
{
	const struct hit *ha = a, *hb = b;

	if (ha->packets != hb->packets)
		return ha->packets > hb->packets ? -1 : 1;
	return ha->route < hb->route ? -1 : 1;
}

/* Routes that got packets, most first. Returns their number; *hits is to be freed. */
static uint32_t
collect_hits(const struct app *app, const struct tables *tables, struct hit **hits)
{
	uint32_t nb = 0, i;

	*hits = tables == NULL ? NULL : calloc(rules_count(tables->rules), sizeof(**hits));
	if (*hits == NULL)
		return 0;
	for (i = 0; i < rules_count(tables->rules); i++) {
		(*hits)[nb].route = i;
		(*hits)[nb].packets = tables_hits(app, tables, i);
		nb += (*hits)[nb].packets > 0;
	}
	qsort(*hits, nb, sizeof(**hits), more_packets);
	return nb;
}

static void
print_routes(const struct app *app, const struct tables *tables)
{
	struct hit *hits;
	uint32_t nb = collect_hits(app, tables, &hits), i;
	char name[64];

	if (nb > 0)
		printf("\n%-46s %12s  %s\n", "route", "packets", "to port");
	for (i = 0; i < nb && i < MAX_ROUTES_SHOWN; i++) {
		const struct route *r = rules_get(tables->rules, hits[i].route);

		printf("%-46s %12" PRIu64 "  %u %s\n",
		       rules_name(tables->rules, hits[i].route, name, sizeof(name)),
		       hits[i].packets, r->port, app->ports[r->port].name);
	}
	if (nb > MAX_ROUTES_SHOWN)
		printf("(and %u more routes with fewer packets)\n", nb - MAX_ROUTES_SHOWN);
	free(hits);
}

void
stats_summary(const struct app *app, const struct totals *t, const struct tables *tables,
	      const struct run_info *info)
{
	uint16_t port;

	printf("\n%-24s %12s %12s %12s %16s %16s %8s\n", "port", "received", "sent", "dropped",
	       "bytes in", "bytes out", "missed");
	for (port = 0; port < MAX_PORTS; port++) {
		const struct port_totals *p = &t->ports[port];

		if (app->ports[port].enabled)
			printf("%2u %-21.21s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %16" PRIu64
			       " %16" PRIu64 " %8" PRIu64 "\n",
			       port, app->ports[port].name, p->rx, p->tx, p->dropped, p->rx_bytes,
			       p->tx_bytes, p->missed);
	}
	printf("%-24s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", "all", t->rx, t->tx,
	       t->dropped);
	print_drops(app, t);
	print_routes(app, tables);
	printf("\n%.1f s; routes read anew %u times, device reconnected %u times\n", info->seconds,
	       info->reloads, info->reconnects);
	if (app->opt.verify)
		printf("verified %" PRIu64 " packets, %" PRIu64 " mismatches\n",
		       atomic_load(&app->verified), atomic_load(&app->mismatches));
	fflush(stdout);
}

static void
json_text(FILE *f, const char *text)
{
	fputc('"', f);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', f);
		if ((unsigned char)*text >= ' ')
			fputc(*text, f);
	}
	fputc('"', f);
}

static void
json_ports(FILE *f, const struct app *app, const struct totals *t)
{
	const char *comma = "";
	uint16_t port;
	unsigned int r;

	for (port = 0; port < MAX_PORTS; port++) {
		const struct port_totals *p = &t->ports[port];

		if (!app->ports[port].enabled)
			continue;
		fprintf(f, "%s{\"port\":%u,\"name\":", comma, port);
		json_text(f, app->ports[port].name);
		fprintf(f,
			",\"rx\":%" PRIu64 ",\"rx_bytes\":%" PRIu64 ",\"tx\":%" PRIu64
			",\"tx_bytes\":%" PRIu64 ",\"missed\":%" PRIu64 ",\"dropped\":{",
			p->rx, p->rx_bytes, p->tx, p->tx_bytes, p->missed);
		for (r = 0; r < L3FWD_DROP_END; r++)
			fprintf(f, "%s\"%s\":%" PRIu64, r == 0 ? "" : ",", drop_names[r].key,
				p->drop[r]);
		fprintf(f, "}}");
		comma = ",";
	}
}

static void
json_routes(FILE *f, const struct app *app, const struct tables *tables)
{
	struct hit *hits;
	uint32_t nb = collect_hits(app, tables, &hits), i;
	char name[64];

	for (i = 0; i < nb; i++)
		fprintf(f, "%s{\"prefix\":\"%s\",\"port\":%u,\"packets\":%" PRIu64 "}",
			i == 0 ? "" : ",",
			rules_name(tables->rules, hits[i].route, name, sizeof(name)),
			rules_get(tables->rules, hits[i].route)->port, hits[i].packets);
	free(hits);
}

int
stats_json(const struct app *app, const struct totals *t, const struct tables *tables,
	   const struct run_info *info, char *err, size_t err_len)
{
	FILE *f = strcmp(app->opt.json, "-") == 0 ? stdout : fopen(app->opt.json, "we");

	if (f == NULL) {
		snprintf(err, err_len, "--json=%s: %s", app->opt.json, strerror(errno));
		return -1;
	}
	fprintf(f,
		"{\"seconds\":%.3f,\"rx\":%" PRIu64 ",\"tx\":%" PRIu64 ",\"dropped\":%" PRIu64
		",\"verified\":%" PRIu64 ",\"mismatches\":%" PRIu64
		",\"reloads\":%u,\"reconnects\":%u,\"device\":",
		info->seconds, t->rx, t->tx, t->dropped, atomic_load(&app->verified),
		atomic_load(&app->mismatches), info->reloads, info->reconnects);
	json_text(f, app->opt.cpu ? "cpu" : app->gpu.info.device);
	fprintf(f, ",\"zero_copy\":%s,\"ports\":[", app->gpu.info.zero_copy ? "true" : "false");
	json_ports(f, app, t);
	fprintf(f, "],\"routes\":[");
	json_routes(f, app, tables);
	fprintf(f, "]}\n");
	if (fflush(f) == 0 && (f == stdout || fclose(f) == 0))
		return 0;
	snprintf(err, err_len, "--json=%s: %s", app->opt.json, strerror(errno));
	return -1;
}
