/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * The thread that waits for what the worker has to tell, and the tokens by which it finds whom to tell.
 */

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include <CL/cl.h>

#include "cl_rpc.h"
#include "cl_session.h"
#include "cl_token.h"

struct token {
	uint64_t token;
	enum cl_notice what;
	cl_token_fn *fn;
	void *arg;
	struct token *next;
};

static struct {
	pthread_mutex_t lock;
	struct token *first, **last; /* oldest first: they mostly end in this order */
	uint64_t made;
	bool running; /* the thread */
} notices = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.last = &notices.first,
};

/* A child has neither the thread nor the session whose tokens these are. */
static void
notices_fork_child(void)
{
	pthread_mutex_init(&notices.lock, NULL);
	notices.first = NULL;
	notices.last = &notices.first;
	notices.running = false;
}

__attribute__((constructor)) static void
notices_init(void)
{
	pthread_atfork(NULL, NULL, notices_fork_child);
}

/* With the lock held. NULL: there is none. */
static struct token *
take_out(struct token **at)
{
	struct token *t = *at;

	if (t == NULL)
		return NULL;
	*at = t->next;
	if (notices.last == &t->next)
		notices.last = at;
	return t;
}

static struct token **
find(uint64_t token)
{
	struct token **at = &notices.first;

	while (*at != NULL && (*at)->token != token)
		at = &(*at)->next;
	return at;
}

static void
deliver(uint32_t what, uint64_t token, int32_t value, const void *text, size_t len)
{
	struct token t = {.fn = NULL};
	struct token **at, *out = NULL;

	pthread_mutex_lock(&notices.lock);
	at = find(token);
	if (*at != NULL && (*at)->what == what) {
		t = **at;
		if (what != CL_NOTICE_CONTEXT)
			out = take_out(at);
	}
	pthread_mutex_unlock(&notices.lock);
	free(out);
	if (t.fn != NULL)
		t.fn(t.arg, value, text, len);
}

/* The session is lost: who waits for a notice learns it; none is left behind. */
static void
deliver_loss(void)
{
	struct token *t;

	for (;;) {
		pthread_mutex_lock(&notices.lock);
		t = take_out(&notices.first);
		if (t == NULL)
			notices.running = false;
		pthread_mutex_unlock(&notices.lock);
		if (t == NULL)
			return;
		t->fn(t->arg, CL_DEVICE_NOT_AVAILABLE, NULL, 0);
		free(t);
	}
}

static void *
notice_thread(void *text)
{
	uint32_t what;
	uint64_t token;
	int32_t value;
	size_t len;

	for (;;) {
		len = 0;
		if (rpc_WaitNotice(&what, &token, &value, text, APIR_CL_MAX_INLINE, &len) !=
		    CL_SUCCESS) {
			deliver_loss();
			break;
		}
		if (what == CL_NOTICE_NONE) {
			pthread_mutex_lock(&notices.lock);
			notices.running = false;
			pthread_mutex_unlock(&notices.lock);
			break;
		}
		deliver(what, token, value, text,
			len < APIR_CL_MAX_INLINE ? len : APIR_CL_MAX_INLINE);
	}
	free(text);
	return NULL;
}

/* With the lock held. */
static bool
start_thread(void)
{
	void *text = malloc(APIR_CL_MAX_INLINE);
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	if (text == NULL)
		return false;
	if (pthread_attr_init(&attr) != 0) {
		free(text);
		return false;
	}
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* the program's signals are for its own threads */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ok = pthread_create(&thread, &attr, notice_thread, text) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (!ok)
		free(text);
	return ok;
}

uint64_t
cl_token_new(enum cl_notice what, cl_token_fn *fn, void *arg)
{
	struct token *t = calloc(1, sizeof(*t));
	uint64_t token;

	if (t == NULL)
		return 0;
	*t = (struct token){.what = what, .fn = fn, .arg = arg};
	pthread_mutex_lock(&notices.lock);
	if (!notices.running && !start_thread()) {
		pthread_mutex_unlock(&notices.lock);
		free(t);
		return 0;
	}
	notices.running = true;
	token = t->token = ++notices.made;
	*notices.last = t;
	notices.last = &t->next;
	pthread_mutex_unlock(&notices.lock);
	return token;
}

bool
cl_token_drop(uint64_t token)
{
	struct token *t;

	if (token == 0)
		return false;
	pthread_mutex_lock(&notices.lock);
	t = take_out(find(token));
	pthread_mutex_unlock(&notices.lock);
	free(t);
	return t != NULL;
}
