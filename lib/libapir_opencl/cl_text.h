/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_TEXT_H
#define APIR_CL_TEXT_H

/** @file A text that grows. What does not fit, or finds no memory, makes it bad: the caller looks once, at the end. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct cl_text {
	char *s; /**< NUL-terminated; NULL: nothing yet */
	size_t len, room;
	size_t max; /**< of len */
	bool bad;
};

static inline void
cl_text_add(struct cl_text *t, const char *src, size_t n)
{
	if (t->bad || n > t->max - t->len) {
		t->bad = true;
		return;
	}
	if (t->len + n >= t->room) {
		const size_t room = 2 * (t->len + n) + 64;
		char *s = realloc(t->s, room);

		if (s == NULL) {
			t->bad = true;
			return;
		}
		t->s = s;
		t->room = room;
	}
	memcpy(t->s + t->len, src, n);
	t->len += n;
	t->s[t->len] = '\0';
}

static inline void
cl_text_puts(struct cl_text *t, const char *src)
{
	cl_text_add(t, src, strlen(src));
}

static inline void
cl_text_free(struct cl_text *t)
{
	free(t->s);
	*t = (struct cl_text){.max = t->max};
}

#endif /* APIR_CL_TEXT_H */
