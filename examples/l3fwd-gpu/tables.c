/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdio.h>
#include <stdlib.h>

#include "app.h"

static bool
alloc_counters(const struct app *app, struct tables *t)
{
	const uint32_t nb = rules_count(t->rules);
	unsigned int w;

	t->before = calloc(nb, sizeof(*t->before));
	if (t->before == NULL)
		return false;
	for (w = 0; w < app->nb_workers; w++) {
		t->hits[w] = calloc(nb, sizeof(*t->hits[w]));
		if (t->hits[w] == NULL)
			return false;
	}
	return true;
}

struct tables *
tables_create(struct app *app, struct rules *rules, char *err, size_t err_len)
{
	static uint32_t id;
	struct tables *t = calloc(1, sizeof(*t) + app->nb_workers * sizeof(t->hits[0]));

	if (t == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	t->rules = rules_ref(rules);
	if (!alloc_counters(app, t)) {
		snprintf(err, err_len, "out of memory");
		goto fail;
	}
	if (app->opt.cpu || app->opt.verify) {
		t->cpu = cpu_fib_create(rules, id++, err, err_len);
		if (t->cpu == NULL)
			goto fail;
	}
	if (!app->opt.cpu) {
		if (gpu_tables_create(&app->gpu, rules, &t->gpu, err, err_len) != 0)
			goto fail;
		t->on_gpu = true;
	}
	return t;
fail:
	tables_free(app, t);
	return NULL;
}

void
tables_free(struct app *app, struct tables *t)
{
	unsigned int w;

	if (t == NULL)
		return;
	if (t->on_gpu)
		gpu_tables_destroy(&app->gpu, &t->gpu);
	cpu_fib_free(t->cpu);
	rules_free(t->rules);
	for (w = 0; w < app->nb_workers; w++)
		free(t->hits[w]);
	free(t->before);
	free(t);
}

uint64_t
tables_hits(const struct app *app, const struct tables *t, uint32_t n)
{
	uint64_t sum = t->before[n];
	unsigned int w;

	for (w = 0; w < app->nb_workers; w++)
		sum += counted(&t->hits[w][n]);
	return sum;
}

/* Both lists are in the same order: one pass. first, old_first: numbers of their first routes. */
static void
inherit_list(const struct app *app, struct tables *t, const struct tables *old,
	     const struct route_list *list, uint32_t first, const struct route_list *old_list,
	     uint32_t old_first)
{
	uint32_t i = 0, j = 0;

	while (i < list->nb && j < old_list->nb) {
		int diff = route_compare(&list->routes[i], &old_list->routes[j]);

		if (diff == 0)
			t->before[first + i] += tables_hits(app, old, old_first + j);
		i += diff <= 0;
		j += diff >= 0;
	}
}

void
tables_inherit(const struct app *app, struct tables *t, const struct tables *old)
{
	inherit_list(app, t, old, &t->rules->v4, 0, &old->rules->v4, 0);
	inherit_list(app, t, old, &t->rules->v6, t->rules->v4.nb, &old->rules->v6,
		     old->rules->v4.nb);
}
