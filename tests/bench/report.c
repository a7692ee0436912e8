/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The table, the JSON lines, and the comparison with what the project promises. */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "bench.h"

/* Issue 2, "Must reach". */
#define MUST_RATIO	  0.95 /* at bursts of 64 and more */
#define MUST_ADDED_US	  2.0  /* at a burst of 64 */
#define MUST_HEADER_SHARE 0.9  /* rate at 1500 bytes to that at 64 */
#define MUST_GUEST_NS	  40.0 /* a packet, at bursts of 64 and more */
#define MUST_IDLE_PERCENT 1.0
#define MUST_START_S	  1.0
#define FROM_BURST	  64u

struct report {
	FILE *table, *json;
	bool table_head, cost_head;
	unsigned int left_out;
	struct line *lines;
	struct cost_line *costs;
	unsigned int nb_lines, nb_costs, missed;
	struct extras extras;
};

struct report *
report_open(const struct options *o)
{
	struct report *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->extras = (struct extras){.idle_cpu = -1};
	/* The lines own stdout if they go there, so that a program can read it. */
	r->table = o->json && o->json_file == NULL ? stderr : stdout;
	if (o->json)
		r->json = o->json_file == NULL ? stdout : fopen(o->json_file, "w");
	if (o->json && r->json == NULL) {
		fprintf(stderr, "apir-bench: --json=%s: %s\n", o->json_file, strerror(errno));
		free(r);
		return NULL;
	}
	return r;
}

static void *
append(void *array, unsigned int *nb, size_t size, const void *what)
{
	char *grown = realloc(array, (*nb + 1) * size);

	if (grown == NULL)
		return array;
	memcpy(grown + *nb * size, what, size);
	(*nb)++;
	return grown;
}

void
report_line(struct report *r, const struct line *l)
{
	r->left_out += l->left_out;
	r->lines = append(r->lines, &r->nb_lines, sizeof(*l), l);
	if (!r->table_head)
		fprintf(r->table, "%-8s %6s %6s %12s %10s %7s %10s %8s %9s %8s\n", "case", "burst",
			"size", "native_mpps", "apir_mpps", "ratio", "native_us", "apir_us",
			"added_us", "core_ns");
	r->table_head = true;
	fprintf(r->table, "%-8s %6u %6u %12.2f %10.2f %7.3f %10.2f %8.2f %9.2f %8.0f\n",
		case_names[l->kernel], l->burst, l->size, l->native_mpps, l->apir_mpps, l->ratio,
		l->native_us, l->apir_us, l->added_us, l->core_ns);
	fflush(r->table);
	if (r->json == NULL)
		return;
	fprintf(r->json,
		"{\"case\":\"%s\",\"burst\":%u,\"size\":%u,\"native_mpps\":%.3f,\"apir_mpps\":%.3f,"
		"\"throughput_ratio\":%.4f,\"native_us\":%.3f,\"apir_us\":%.3f,\"added_us\":%.3f}"
		"\n",
		case_names[l->kernel], l->burst, l->size, l->native_mpps, l->apir_mpps, l->ratio,
		l->native_us, l->apir_us, l->added_us);
	fflush(r->json);
}

void
report_cost(struct report *r, const struct cost_line *c)
{
	r->costs = append(r->costs, &r->nb_costs, sizeof(*c), c);
	if (!r->cost_head)
		fprintf(r->table,
			"\nguest's cost, ns a packet (header kernel)\n%6s %6s %8s %8s %6s\n",
			"burst", "size", "enqueue", "dequeue", "sum");
	r->cost_head = true;
	fprintf(r->table, "%6u %6u %8.2f %8.2f %6.2f\n", c->burst, c->size, c->enqueue_ns,
		c->dequeue_ns, c->enqueue_ns + c->dequeue_ns);
	fflush(r->table);
	if (r->json == NULL)
		return;
	fprintf(r->json,
		"{\"measure\":\"guest_cost\",\"burst\":%u,\"size\":%u,\"enqueue_ns\":%.2f,"
		"\"dequeue_ns\":%.2f}\n",
		c->burst, c->size, c->enqueue_ns, c->dequeue_ns);
	fflush(r->json);
}

static double
seconds(uint64_t from, uint64_t to)
{
	return (double)(to - from) / (double)rte_get_tsc_hz();
}

static void
report_start(struct report *r, const char *what, const struct start_times *t)
{
	fprintf(r->table, "%-8s %8.3f %8.3f %8.3f %8.3f %8.3f %8.3f\n", what,
		seconds(t->start, t->socket), seconds(t->socket, t->open),
		seconds(t->open, t->program), seconds(t->program, t->pipeline),
		seconds(t->pipeline, t->packet), seconds(t->start, t->packet));
	if (r->json != NULL)
		fprintf(r->json, "{\"measure\":\"start\",\"kernels\":\"%s\",\"seconds\":%.4f}\n",
			what, seconds(t->start, t->packet));
}

void
report_extras(struct report *r, const struct extras *x)
{
	r->extras = *x;
	if (x->idle_cpu >= 0) {
		fprintf(r->table, "\nidle apird, one session open: %.3f %% of a core\n",
			x->idle_cpu);
		if (r->json != NULL)
			fprintf(r->json, "{\"measure\":\"idle\",\"cpu_percent\":%.4f}\n",
				x->idle_cpu);
	}
	if (x->started) {
		fprintf(r->table,
			"\nstart of apird to first packet back, seconds\n%-8s %8s %8s %8s %8s %8s "
			"%8s\n",
			"kernels", "socket", "open", "program", "pipeline", "packet", "total");
		report_start(r, "new", &x->cold);
		report_start(r, "cached", &x->cached);
	}
}

static void __attribute__((format(printf, 2, 3))) missed(struct report *r, const char *fmt, ...)
{
	va_list ap;

	r->missed++;
	fprintf(r->table, "MISSED: ");
	va_start(ap, fmt);
	vfprintf(r->table, fmt, ap);
	va_end(ap);
	fputc('\n', r->table);
}

static void
check_line(struct report *r, const struct line *l)
{
	if (l->burst >= FROM_BURST && l->ratio < MUST_RATIO)
		missed(r, "%s, burst %u, %u bytes: throughput ratio %.3f, must be >= %.2f",
		       case_names[l->kernel], l->burst, l->size, l->ratio, MUST_RATIO);
	if (l->burst == FROM_BURST && l->added_us > MUST_ADDED_US)
		missed(r, "%s, burst %u, %u bytes: %.2f us added, must be <= %.1f us",
		       case_names[l->kernel], l->burst, l->size, l->added_us, MUST_ADDED_US);
	if (l->kernel != CASE_HEADER || l->size != 1500)
		return;
	for (unsigned int i = 0; i < r->nb_lines; i++) {
		const struct line *k = &r->lines[i];

		if (k->kernel == CASE_HEADER && k->burst == l->burst && k->size == 64 &&
		    l->apir_mpps < MUST_HEADER_SHARE * k->apir_mpps)
			missed(r,
			       "header, burst %u: 1500 bytes at %.3f of the rate of 64 bytes, must "
			       "be >= %.1f",
			       l->burst, l->apir_mpps / k->apir_mpps, MUST_HEADER_SHARE);
	}
}

unsigned int
report_check(struct report *r)
{
	const struct extras *x = &r->extras;

	fputc('\n', r->table);
	for (unsigned int i = 0; i < r->nb_lines; i++)
		check_line(r, &r->lines[i]);
	for (unsigned int i = 0; i < r->nb_costs; i++) {
		const struct cost_line *c = &r->costs[i];

		if (c->burst >= FROM_BURST && c->enqueue_ns + c->dequeue_ns > MUST_GUEST_NS)
			missed(r,
			       "guest's cost, burst %u, %u bytes: %.1f ns a packet, must be <= "
			       "%.0f",
			       c->burst, c->size, c->enqueue_ns + c->dequeue_ns, MUST_GUEST_NS);
	}
	if (x->idle_cpu >= MUST_IDLE_PERCENT)
		missed(r, "idle apird: %.2f %% of a core, must be < %.0f %%", x->idle_cpu,
		       MUST_IDLE_PERCENT);
	if (x->started && seconds(x->cached.start, x->cached.packet) >= MUST_START_S)
		missed(r, "start to first packet with cached kernels: %.2f s, must be < %.0f s",
		       seconds(x->cached.start, x->cached.packet), MUST_START_S);
	if (r->missed == 0)
		fprintf(r->table, "all that must be reached is reached\n");
	return r->missed;
}

void
report_close(struct report *r)
{
	if (r == NULL)
		return;
	if (r->left_out > 0) {
		fprintf(r->table, "\n%u rounds were left out: the cores were far apart (--near)\n",
			r->left_out);
		if (r->json != NULL)
			fprintf(r->json, "{\"measure\":\"left_out\",\"rounds\":%u}\n", r->left_out);
	}
	if (r->json != NULL && r->json != stdout)
		fclose(r->json);
	free(r->lines);
	free(r->costs);
	free(r);
}
