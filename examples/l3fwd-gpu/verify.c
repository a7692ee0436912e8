/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_hexdump.h>

#include "app.h"
#include "stats.h"
#include "verify.h"

/* Bytes shown of a packet that differs. */
#define DUMP_LEN 256

struct slot {
	uint8_t *copy;
	uint32_t room, len, first;
	const struct tables *tables;
};

struct verify {
	uint32_t head, tail, mask;
	struct slot slots[];
};

struct verify *
verify_create(unsigned int max)
{
	const uint32_t nb = rte_align32pow2(max);
	struct verify *v = calloc(1, sizeof(*v) + nb * sizeof(v->slots[0]));

	if (v != NULL)
		v->mask = nb - 1;
	return v;
}

void
verify_free(struct verify *v)
{
	uint32_t i;

	if (v == NULL)
		return;
	for (i = 0; i <= v->mask; i++)
		free(v->slots[i].copy);
	free(v);
}

static bool
copy_packet(struct slot *s, const struct rte_mbuf *m)
{
	const struct rte_mbuf *seg;
	uint32_t done = 0;

	if (m->pkt_len > s->room) {
		free(s->copy);
		s->room = RTE_ALIGN_CEIL(m->pkt_len, 2048u);
		s->copy = malloc(s->room);
		if (s->copy == NULL) {
			s->room = 0;
			return false;
		}
	}
	s->len = m->pkt_len;
	s->first = m->data_len;
	for (seg = m; seg != NULL; seg = seg->next) {
		memcpy(s->copy + done, rte_pktmbuf_mtod(seg, const uint8_t *), seg->data_len);
		done += seg->data_len;
	}
	return true;
}

bool
verify_push(struct verify *v, struct rte_mbuf *const *pkts, unsigned int nb, const struct tables *t)
{
	unsigned int i;

	for (i = 0; i < nb; i++) {
		struct slot *s = &v->slots[v->head & v->mask];

		if (!copy_packet(s, pkts[i])) {
			v->head -= i;
			return false;
		}
		s->tables = t;
		v->head++;
	}
	return true;
}

void
verify_unpush(struct verify *v, unsigned int nb)
{
	v->head -= nb;
}

static bool
same_bytes(const struct slot *s, const struct rte_mbuf *m)
{
	const struct rte_mbuf *seg;
	uint32_t done = 0;

	if (m->pkt_len != s->len)
		return false;
	for (seg = m; seg != NULL; seg = seg->next) {
		if (memcmp(s->copy + done, rte_pktmbuf_mtod(seg, const uint8_t *), seg->data_len) !=
		    0)
			return false;
		done += seg->data_len;
	}
	return true;
}

static void
show_verdict(const char *who, struct rte_apir_verdict v, const struct tables *t)
{
	char name[64];

	if (v.action == RTE_APIR_ACTION_DROP)
		printf("  %s: dropped: %s\n", who, stats_drop_name(v.port));
	else if (v.action == RTE_APIR_ACTION_FORWARD)
		printf("  %s: to port %u by route %s\n", who, v.port,
		       v.meta < rules_count(t->rules)
			       ? rules_name(t->rules, v.meta, name, sizeof(name))
			       : "that does not exist");
	else
		printf("  %s: action %u\n", who, v.action);
}

static void
show(const struct slot *s, const struct rte_mbuf *m, struct rte_apir_verdict got,
     struct rte_apir_verdict want)
{
	uint8_t room[DUMP_LEN];
	const uint32_t len = RTE_MIN(m->pkt_len, (uint32_t)DUMP_LEN);

	flockfile(stdout);
	printf("verify: first mismatch: a packet of %u bytes from port %u\n", m->pkt_len, m->port);
	show_verdict("device", got, s->tables);
	show_verdict("CPU", want, s->tables);
	rte_hexdump(stdout, "from the device", rte_pktmbuf_read(m, 0, len, room), len);
	rte_hexdump(stdout, "from the CPU", s->copy, RTE_MIN(s->len, (uint32_t)DUMP_LEN));
	fflush(stdout);
	funlockfile(stdout);
}

void
verify_pop(struct verify *v, struct app *app, const struct rte_mbuf *m, struct rte_apir_verdict got)
{
	struct slot *s = &v->slots[v->tail++ & v->mask];
	struct rte_apir_verdict want;

	/* The device did not finish it: there is nothing to compare. */
	if (got.action == RTE_APIR_ACTION_ERROR)
		return;
	want = cpu_route(s->tables->cpu, app->port_table, s->copy, s->first, s->len);
	atomic_fetch_add_explicit(&app->verified, 1, memory_order_relaxed);
	if (got.action == want.action && got.port == want.port && got.meta == want.meta &&
	    same_bytes(s, m))
		return;
	if (atomic_fetch_add_explicit(&app->mismatches, 1, memory_order_relaxed) == 0)
		show(s, m, got, want);
}
