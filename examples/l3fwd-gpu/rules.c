/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "l3fwd_shared.h"
#include "rules.h"

/* Longest line: an IPv6 rule needs 60 bytes, comments may be longer. */
#define LINE_LEN 4096
/* Prefixes that are there twice and are told one by one. */
#define MAX_WARNINGS 10

/* State of the file being read. */
struct reader {
	const char *file;
	unsigned int line;
	uint64_t ports;
	struct route_list *list;
	uint32_t room;
	char *err;
	size_t err_len;
};

static int __attribute__((format(printf, 2, 3))) bad(struct reader *rd, const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(rd->err, rd->err_len, "%s:%u: ", rd->file, rd->line);
	if (n < 0 || (size_t)n >= rd->err_len)
		return -1;
	va_start(ap, fmt);
	vsnprintf(rd->err + n, rd->err_len - n, fmt, ap);
	va_end(ap);
	return -1;
}

/* l3fwd reads its numbers with base 0: 16, 0x10 and 020 are the same. */
static bool
number(const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*value = strtoul(text, &end, 0);
	return errno == 0 && *end == '\0' && *value <= max;
}

static void
clear_host_bits(struct route *r, unsigned int addr_len)
{
	unsigned int i;

	for (i = 0; i < addr_len; i++) {
		if (r->depth <= i * 8)
			r->addr[i] = 0;
		else if (r->depth < i * 8 + 8)
			r->addr[i] &= 0xff << (i * 8 + 8 - r->depth);
	}
}

static int
parse_prefix(struct reader *rd, char *text, struct route *r)
{
	const bool v6 = rd->list->addr_len == 16;
	char *slash = strchr(text, '/');
	unsigned long depth;

	if (slash == NULL)
		return bad(rd, "'%s' has no prefix length: write it as %s", text,
			   v6 ? "2001:db8::/32" : "10.1.0.0/16");
	*slash = '\0';
	if (inet_pton(v6 ? AF_INET6 : AF_INET, text, r->addr) != 1)
		return bad(rd, "'%s' is no %s address", text, v6 ? "IPv6" : "IPv4");
	if (!number(slash + 1, rd->list->addr_len * 8, &depth))
		return bad(rd, "'%s' is no prefix length: 0 to %u", slash + 1,
			   rd->list->addr_len * 8);
	r->depth = depth;
	clear_host_bits(r, rd->list->addr_len);
	return 0;
}

static int
parse_rule(struct reader *rd, char *text, struct route *r)
{
	char *save, *prefix, *port, *rest;
	unsigned long value;

	prefix = strtok_r(text, " \t\r\n", &save);
	port = strtok_r(NULL, " \t\r\n", &save);
	rest = strtok_r(NULL, " \t\r\n", &save);
	if (prefix == NULL)
		return bad(rd, "no prefix after 'R'");
	if (parse_prefix(rd, prefix, r) != 0)
		return -1;
	if (port == NULL)
		return bad(rd, "no output port after the prefix");
	if (!number(port, UINT8_MAX, &value))
		return bad(rd, "'%s' is no port number: 0 to %u", port, UINT8_MAX);
	if (value >= 64 || (rd->ports & UINT64_C(1) << value) == 0)
		return bad(rd, "there is no port %lu, or it is not in the port mask", value);
	if (rest != NULL && rest[0] != '#')
		return bad(rd, "'%s' after the port: a rule is a prefix and a port", rest);
	r->port = value;
	r->line = rd->line;
	return 0;
}

static int
parse_line(struct reader *rd, char *line, size_t len)
{
	struct route_list *list = rd->list;
	struct route *grown;
	struct route r;

	if (memchr(line, '\0', len) != NULL)
		return bad(rd, "a NUL byte: this is no text file");
	if (line[0] == '#' || line[strspn(line, " \t\r\n\v\f")] == '\0')
		return 0;
	if (line[0] == '@')
		return bad(rd, "an access list ('@'): only routes ('R') are supported");
	if (line[0] != 'R')
		return bad(rd, "a rule starts with 'R', a comment with '#'");
	memset(&r, 0, sizeof(r));
	if (parse_rule(rd, line + 1, &r) != 0)
		return -1;
	if (list->nb == L3FWD_MAX_ROUTES)
		return bad(rd, "more than %u routes", L3FWD_MAX_ROUTES);
	if (list->nb == rd->room) {
		rd->room = rd->room == 0 ? 64 : rd->room * 2;
		grown = realloc(list->routes, rd->room * sizeof(*grown));
		if (grown == NULL)
			return bad(rd, "out of memory");
		list->routes = grown;
	}
	list->routes[list->nb++] = r;
	return 0;
}

static int
read_lines(struct reader *rd, FILE *f)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int ret = 0;

	while (ret == 0 && (len = getline(&line, &room, f)) >= 0) {
		rd->line++;
		ret = len > LINE_LEN
			      ? bad(rd, "longer than %u bytes: this is no rule file", LINE_LEN)
			      : parse_line(rd, line, len);
	}
	if (ret == 0 && ferror(f)) {
		snprintf(rd->err, rd->err_len, "%s: cannot be read: %s", rd->file, strerror(errno));
		ret = -1;
	}
	free(line);
	return ret;
}

int
route_compare(const struct route *a, const struct route *b)
{
	if (a->depth != b->depth)
		return a->depth < b->depth ? -1 : 1;
	return memcmp(a->addr, b->addr, sizeof(a->addr));
}

static int
compare_with_line(const void *a, const void *b)
{
	const struct route *ra = a, *rb = b;
	int diff = route_compare(ra, rb);

	return diff != 0 ? diff : ra->line < rb->line ? -1 : ra->line > rb->line;
}

static const char *
route_name(const struct route *r, unsigned int addr_len, char *text, size_t len)
{
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(addr_len == 16 ? AF_INET6 : AF_INET, r->addr, addr, sizeof(addr));
	snprintf(text, len, "%s/%u", addr, r->depth);
	return text;
}

/* Which prefixes are there twice: of a long list of them only the first. */
static void
warn_twin(const struct reader *rd, const struct route *r, const struct route *earlier, uint32_t n,
	  void (*warn)(const char *text))
{
	char name[64], text[512];

	if (warn == NULL || n > MAX_WARNINGS)
		return;
	if (n == MAX_WARNINGS)
		snprintf(text, sizeof(text), "%s: more prefixes are there twice", rd->file);
	else
		snprintf(text, sizeof(text), "%s:%u: %s is on line %u already: this one counts",
			 rd->file, r->line, route_name(r, rd->list->addr_len, name, sizeof(name)),
			 earlier->line);
	warn(text);
}

static void
sort_unique(struct reader *rd, void (*warn)(const char *text))
{
	struct route_list *list = rd->list;
	uint32_t i, kept = 0, twins = 0;

	qsort(list->routes, list->nb, sizeof(*list->routes), compare_with_line);
	for (i = 0; i < list->nb; i++) {
		struct route *r = &list->routes[i];

		if (kept > 0 && route_compare(&list->routes[kept - 1], r) == 0)
			warn_twin(rd, r, &list->routes[--kept], twins++, warn);
		list->routes[kept++] = *r;
	}
	list->nb = kept;
}

static int
read_file(struct reader *rd, void (*warn)(const char *text))
{
	struct stat st;
	FILE *f;
	int ret;

	f = fopen(rd->file, "re");
	if (f == NULL || fstat(fileno(f), &st) != 0) {
		snprintf(rd->err, rd->err_len, "%s: cannot be read: %s", rd->file, strerror(errno));
		if (f != NULL)
			fclose(f);
		return -1;
	}
	if (S_ISDIR(st.st_mode)) {
		snprintf(rd->err, rd->err_len, "%s: cannot be read: it is a folder", rd->file);
		ret = -1;
	} else {
		ret = read_lines(rd, f);
	}
	fclose(f);
	if (ret == 0 && rd->list->nb == 0) {
		snprintf(rd->err, rd->err_len, "%s: has no route", rd->file);
		ret = -1;
	}
	if (ret == 0)
		sort_unique(rd, warn);
	return ret;
}

struct rules *
rules_read(const struct rules_config *cfg, void (*warn)(const char *text), char *err,
	   size_t err_len)
{
	struct reader rd4 = {
		.file = cfg->file4, .ports = cfg->ports, .err = err, .err_len = err_len};
	struct reader rd6 = {
		.file = cfg->file6, .ports = cfg->ports, .err = err, .err_len = err_len};
	struct rules *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	r->refs = 1;
	r->v4.addr_len = 4;
	r->v6.addr_len = 16;
	rd4.list = &r->v4;
	rd6.list = &r->v6;
	if ((cfg->file4 != NULL && read_file(&rd4, warn) != 0) ||
	    (cfg->file6 != NULL && read_file(&rd6, warn) != 0)) {
		rules_free(r);
		return NULL;
	}
	if (rules_count(r) > L3FWD_MAX_ROUTES) {
		snprintf(err, err_len, "%s and %s together have more than %u routes", cfg->file4,
			 cfg->file6, L3FWD_MAX_ROUTES);
		rules_free(r);
		return NULL;
	}
	return r;
}

struct rules *
rules_ref(struct rules *r)
{
	r->refs++;
	return r;
}

void
rules_free(struct rules *r)
{
	if (r == NULL || --r->refs > 0)
		return;
	free(r->v4.routes);
	free(r->v6.routes);
	free(r);
}

const struct route *
rules_get(const struct rules *r, uint32_t n)
{
	return n < r->v4.nb ? &r->v4.routes[n] : &r->v6.routes[n - r->v4.nb];
}

const char *
rules_name(const struct rules *r, uint32_t n, char *text, size_t len)
{
	return route_name(rules_get(r, n), n < r->v4.nb ? 4 : 16, text, len);
}
