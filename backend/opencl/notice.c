/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <stdlib.h>
#include <string.h>

#include "notice.h"

#define TEXT_MAX 4096

void
notices_init(struct notices *n)
{
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->cond, NULL);
	STAILQ_INIT(&n->list);
	n->nb = 0;
	n->stopped = false;
	n->dropped = 0;
}

bool
notice_add(struct notices *n, enum cl_notice what, uint64_t token, int32_t value, const char *text)
{
	const size_t len = text != NULL ? strnlen(text, TEXT_MAX) : 0;
	struct notice *x = malloc(sizeof(*x) + len + 1);

	if (x != NULL) {
		x->what = what;
		x->token = token;
		x->value = value;
		x->text = text != NULL ? (char *)(x + 1) : NULL;
		if (len > 0)
			memcpy(x + 1, text, len);
		((char *)(x + 1))[len] = '\0';
	}
	pthread_mutex_lock(&n->lock);
	if (x == NULL || n->stopped || n->nb == CL_NOTICE_MAX) {
		n->dropped += !n->stopped;
		pthread_mutex_unlock(&n->lock);
		free(x);
		return false;
	}
	STAILQ_INSERT_TAIL(&n->list, x, next);
	n->nb++;
	pthread_cond_signal(&n->cond);
	pthread_mutex_unlock(&n->lock);
	return true;
}

struct notice *
notice_wait(struct notices *n)
{
	struct notice *x = NULL;

	pthread_mutex_lock(&n->lock);
	while (n->nb == 0 && !n->stopped)
		pthread_cond_wait(&n->cond, &n->lock);
	if (!n->stopped) {
		x = STAILQ_FIRST(&n->list);
		STAILQ_REMOVE_HEAD(&n->list, next);
		n->nb--;
	}
	pthread_mutex_unlock(&n->lock);
	return x;
}

void
notices_stop(struct notices *n)
{
	struct notice *x;

	pthread_mutex_lock(&n->lock);
	n->stopped = true;
	while ((x = STAILQ_FIRST(&n->list)) != NULL) {
		STAILQ_REMOVE_HEAD(&n->list, next);
		free(x);
	}
	n->nb = 0;
	pthread_cond_broadcast(&n->cond);
	pthread_mutex_unlock(&n->lock);
}
