/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * A program's #include files are on this machine, its compiler is on another: the source that is sent has them in it, between line
 * markers, so that messages name them. Conditions stay for the compiler: what it skips does no harm.
 */

#include <ctype.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cl_macro.h"
#include "cl_program.h"

#define MAX_SOURCE ((size_t)64 << 20)
#define MAX_DEPTH  48 /* of files in files; they may include themselves */
#define MAX_FILES  10000
#define MAX_PATH   1024

struct expansion {
	cl_uint nb_headers;
	const char *const *headers;
	char **dirs; /* in the order of their search */
	size_t nb_dirs;
	struct cl_macros macros;
	struct cl_text out;
	unsigned int depth;
	unsigned int nb_files; /* put in so far */
};

/* A file that is being read; NULL path: the program's own source. */
struct source {
	const struct source *by; /* who includes it */
	const char *path;
	const char *p, *end;
	unsigned int line; /* at p */
	bool comment;	   /* p is within one */
};

/* Options ------------------------------------------------------------------------------------------------------------ */

/* The next word of the options, without its quotes; NULL: none, or no memory. */
static char *
next_word(const char **options)
{
	const char *p = *options;
	char quote = '\0', *word, *w;

	while (isspace((unsigned char)*p))
		p++;
	w = word = *p == '\0' ? NULL : malloc(strlen(p) + 1);
	if (word == NULL)
		return NULL;
	for (; *p != '\0' && (quote != '\0' || !isspace((unsigned char)*p)); p++) {
		if (*p == quote)
			quote = '\0';
		else if (quote == '\0' && *p == '"')
			quote = *p;
		else
			*w++ = *p;
	}
	*w = '\0';
	*options = p;
	return word;
}

static void
add_dir(struct expansion *x, const char *dir)
{
	char **dirs = realloc(x->dirs, (x->nb_dirs + 1) * sizeof(*dirs));

	if (dirs == NULL) {
		x->out.bad = true;
		return;
	}
	x->dirs = dirs;
	dirs[x->nb_dirs] = strdup(dir);
	if (dirs[x->nb_dirs] == NULL)
		x->out.bad = true;
	else
		x->nb_dirs++;
}

static void
read_options(struct expansion *x, const char *options)
{
	char *word, *value;

	/* PoCL looks at the program's working directory before all others */
	add_dir(x, ".");
	while ((word = next_word(&options)) != NULL) {
		if (strncmp(word, "-I", 2) == 0 || strncmp(word, "-D", 2) == 0) {
			value = word[2] != '\0' ? strdup(word + 2) : next_word(&options);
			if (value != NULL && word[1] == 'I')
				add_dir(x, value);
			else if (value != NULL)
				cl_macro_option(&x->macros, value, strlen(value));
			free(value);
		}
		free(word);
	}
}

/* Files -------------------------------------------------------------------------------------------------------------- */

/* The file's text; NULL: there is none that can be read. */
static char *
read_file(const char *path, size_t *len)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *text = NULL;
	size_t n = 0;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size < MAX_SOURCE)
		text = malloc((size_t)st.st_size + 2);
	while (text != NULL && n < (size_t)st.st_size) {
		const ssize_t got = read(fd, text + n, (size_t)st.st_size - n);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	if (text == NULL)
		return NULL;
	if (n == 0 || text[n - 1] != '\n')
		text[n++] = '\n';
	text[n] = '\0';
	*len = n;
	return text;
}

static char *
read_at(const char *dir, size_t dir_len, const char *name, char *path, size_t *len)
{
	const int n = snprintf(path, MAX_PATH, "%.*s/%s", (int)dir_len, dir, name);

	return n < 0 || n >= MAX_PATH ? NULL : read_file(path, len);
}

/* As a compiler would look for it. */
static char *
find_file(const struct expansion *x, const struct source *src, const char *name, bool quoted,
	  char *path, size_t *len)
{
	const char *slash = src->path == NULL ? NULL : strrchr(src->path, '/');
	char *text = NULL;

	for (cl_uint i = 0; i < x->nb_headers; i++) {
		if (strcmp(x->headers[i], name) == 0)
			return NULL; /* one of the program's headers */
	}
	if (name[0] == '/') {
		snprintf(path, MAX_PATH, "%s", name);
		return read_file(name, len);
	}
	if (quoted && slash != NULL)
		text = read_at(src->path, (size_t)(slash - src->path), name, path, len);
	for (size_t i = 0; text == NULL && i < x->nb_dirs; i++)
		text = read_at(x->dirs[i], strlen(x->dirs[i]), name, path, len);
	return text;
}

/* Lines -------------------------------------------------------------------------------------------------------------- */

/* Past the line at p, with those that a backslash joins to it; *lines: how many. */
static const char *
line_end(const char *p, const char *end, unsigned int *lines)
{
	*lines = 0;
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *last = nl == NULL ? end : nl;

		++*lines;
		if (last > p && last[-1] == '\r')
			last--;
		if (nl == NULL)
			return end;
		if (last == p || last[-1] != '\\')
			return nl + 1;
		p = nl + 1;
	}
	return end;
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

/* Past the name of a directive; NULL: the line has another, or none. */
static const char *
directive(const char *p, const char *end, const char *name)
{
	const size_t n = strlen(name);

	p = skip_blanks(p, end);
	if (p == end || *p != '#')
		return NULL;
	p = skip_blanks(p + 1, end);
	if ((size_t)(end - p) <= n || strncmp(p, name, n) != 0 || isalnum((unsigned char)p[n]) ||
	    p[n] == '_')
		return NULL;
	return skip_blanks(p + n, end);
}

/* Comments that begin or end in [p, end), a whole line. */
static bool
in_comment_after(const char *p, const char *end, bool comment)
{
	while (p < end) {
		const bool two = p + 1 < end;

		if (comment) {
			comment = !(two && p[0] == '*' && p[1] == '/');
			p += comment ? 1 : 2;
		} else if (two && p[0] == '/' && p[1] == '/') {
			return false;
		} else if (two && p[0] == '/' && p[1] == '*') {
			comment = true;
			p += 2;
		} else if (*p == '"' || *p == '\'') {
			const char quote = *p++;

			while (p < end && *p != quote && *p != '\n')
				p += *p == '\\' && p + 1 < end ? 2 : 1;
			p++;
		} else {
			p++;
		}
	}
	return comment;
}

/* The text of a directive in one line, without comments. false: too long. */
static bool
flatten(const char *p, const char *end, struct cl_text *out)
{
	while (p < end && *p != '\n') {
		if (p + 1 < end && p[0] == '/' && (p[1] == '/' || p[1] == '*'))
			break;
		if (p[0] == '\\' && p + 1 < end && (p[1] == '\n' || p[1] == '\r')) {
			p = memchr(p, '\n', (size_t)(end - p));
			if (p == NULL)
				break;
			p++;
			continue;
		}
		cl_text_add(out, p++, 1);
	}
	return !out->bad && out->len > 0;
}

/* What an #include names: "NAME" or <NAME> at s. False: neither. */
static bool
operand(const char *s, char *name, bool *quoted, size_t *used)
{
	const char *end;

	if (*s != '"' && *s != '<')
		return false;
	end = strchr(s + 1, *s == '"' ? '"' : '>');
	if (end == NULL || end == s + 1 || end - s >= MAX_PATH)
		return false;
	memcpy(name, s + 1, (size_t)(end - s - 1));
	name[end - s - 1] = '\0';
	*quoted = *s == '"';
	*used = (size_t)(end + 1 - s);
	return true;
}

/* The name after #include at p, which may be a macro's; *rest: what follows it in the line. */
static bool
included_name(const struct expansion *x, const char *p, const char *end, char *name, bool *quoted,
	      const char **rest)
{
	struct cl_text text = {.max = 2 * MAX_PATH}, full = {.max = 2 * MAX_PATH};
	size_t used = 0;
	const char *s;
	bool ok = false;

	*rest = end;
	if (*p == '"' || *p == '<') {
		cl_text_add(&text, p, (size_t)(end - p));
		ok = !text.bad && operand(text.s, name, quoted, &used);
		*rest = p + used;
	} else if (flatten(p, end, &text) && cl_macro_expand(&x->macros, text.s, text.len, &full) &&
		   full.s != NULL) {
		s = full.s;
		while (isspace((unsigned char)*s))
			s++;
		ok = operand(s, name, quoted, &used);
	}
	cl_text_free(&text);
	cl_text_free(&full);
	return ok;
}

/* Expansion ---------------------------------------------------------------------------------------------------------- */

static void expand_source(struct expansion *x, struct source *src);

/* Text that guards itself need not be put into itself. */
static bool
guards_itself(const char *text)
{
	return strstr(text, "pragma once") != NULL || strstr(text, "ifndef") != NULL ||
	       strstr(text, "!defined") != NULL;
}

static void
marker(struct expansion *x, unsigned int line, const char *path, const char *flag)
{
	char s[32];

	snprintf(s, sizeof(s), "# %u \"", line);
	cl_text_puts(&x->out, s);
	for (; *path != '\0'; path++) {
		if (*path == '"' || *path == '\\')
			cl_text_puts(&x->out, "\\");
		cl_text_add(&x->out, path, 1);
	}
	cl_text_puts(&x->out, flag);
}

/* What stands for #pragma once in a text that is no file of its own. */
static void
guard(struct expansion *x, const char *path)
{
	uint64_t h = 5381;
	char s[128];

	for (const char *p = path; *p != '\0'; p++)
		h = h * 33 + (unsigned char)*p;
	snprintf(s, sizeof(s), "#ifndef APIR_ONCE_%016llX\n#define APIR_ONCE_%016llX\n",
		 (unsigned long long)h, (unsigned long long)h);
	cl_text_puts(&x->out, s);
	marker(x, 1, path, "\"\n");
}

static void
put_file(struct expansion *x, const struct source *by, const char *path, const char *text,
	 size_t len)
{
	struct source src = {.by = by, .path = path, .p = text, .end = text + len, .line = 1};
	const bool once = strstr(text, "#pragma once") != NULL;

	if (x->nb_files == MAX_FILES) {
		x->out.bad = true;
		return;
	}
	marker(x, 1, path, "\" 1\n");
	if (once)
		guard(x, path);
	x->nb_files++;
	x->depth++;
	expand_source(x, &src);
	x->depth--;
	if (once)
		cl_text_puts(&x->out, "#endif\n");
	/* an empty name: back to the file that includes this one */
	marker(x, by->line, "", "\" 2\n");
}

/* It is there already, around this one. */
static bool
is_open(const struct source *src, const char *path)
{
	for (; src != NULL; src = src->by) {
		if (src->path != NULL && strcmp(src->path, path) == 0)
			return true;
	}
	return false;
}

/* The line up to end includes what is named at p. False: leave it as it is. */
static bool
include(struct expansion *x, const struct source *src, const char *p, const char *end)
{
	char name[MAX_PATH], path[MAX_PATH];
	const char *rest;
	char *text;
	bool quoted = false;
	size_t len = 0;

	if (x->depth == MAX_DEPTH || !included_name(x, p, end, name, &quoted, &rest) ||
	    (rest == end && in_comment_after(p, end, false)))
		return false;
	text = find_file(x, src, name, quoted, path, &len);
	if (text == NULL)
		return false;
	if (!is_open(src, path) || !guards_itself(text))
		put_file(x, src, path, text, len);
	free(text);
	cl_text_add(&x->out, rest, (size_t)(end - rest));
	if (rest == end)
		cl_text_puts(&x->out, "\n");
	return true;
}

/* A whole line. False: it goes on as it is. */
static bool
put_line(struct expansion *x, const struct source *src, const char *end)
{
	struct cl_text definition = {.max = MAX_PATH};
	const char *arg;

	if (src->comment)
		return false;
	arg = directive(src->p, end, "include");
	if (arg != NULL)
		return include(x, src, arg, end);
	arg = src->path == NULL ? NULL : directive(src->p, end, "pragma");
	if (arg != NULL && strncmp(arg, "once", 4) == 0) {
		/* compilers warn of it where it is now; guard() stands for it */
		cl_text_puts(&x->out, "\n");
		return true;
	}
	arg = directive(src->p, end, "define");
	if (arg != NULL && flatten(arg, end, &definition))
		cl_macro_define(&x->macros, definition.s, definition.len);
	cl_text_free(&definition);
	return false;
}

static void
expand_source(struct expansion *x, struct source *src)
{
	while (src->p < src->end && !x->out.bad) {
		unsigned int lines;
		const char *end = line_end(src->p, src->end, &lines);

		if (!put_line(x, src, end))
			cl_text_add(&x->out, src->p, (size_t)(end - src->p));
		src->comment = in_comment_after(src->p, end, src->comment);
		src->line += lines;
		src->p = end;
	}
}

char *
cl_include_expand(const char *source, const char *options, cl_uint nb_headers,
		  const char *const *headers)
{
	struct expansion x = {
		.nb_headers = nb_headers,
		.headers = headers,
		.out = {.max = MAX_SOURCE},
	};
	struct source src = {.p = source, .end = source + strlen(source), .line = 1};

	if (strstr(source, "include") == NULL)
		return NULL;
	read_options(&x, options);
	expand_source(&x, &src);
	for (size_t i = 0; i < x.nb_dirs; i++)
		free(x.dirs[i]);
	free(x.dirs);
	cl_macros_free(&x.macros);
	if (x.nb_files > 0 && !x.out.bad)
		return x.out.s;
	free(x.out.s);
	return NULL;
}
