/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_MACRO_H
#define APIR_CL_MACRO_H

/**
 * @file
 * Macros as far as they are needed to learn which file `#include MACRO(...)` means. Conditions are not looked at: a macro that a
 * source defines in two ways is known to be unknown.
 */

#include "cl_text.h"

struct cl_macro;

struct cl_macros {
	struct cl_macro *first;
};

/** What follows -D: NAME, NAME=BODY, NAME(ARG,...)=BODY. It goes before whatever sources define. */
void cl_macro_option(struct cl_macros *m, const char *s, size_t len);
/** What follows #define. */
void cl_macro_define(struct cl_macros *m, const char *s, size_t len);
/** Expand all macros of a text. False: it cannot be told, or there is no memory. */
bool cl_macro_expand(const struct cl_macros *m, const char *s, size_t len, struct cl_text *out);
void cl_macros_free(struct cl_macros *m);

#endif /* APIR_CL_MACRO_H */
