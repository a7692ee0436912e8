/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_common.h>

#include "net_apir_args.h"

/*
 * rte_kvargs is not used: it cuts values at '=' (options=-DN=4) and cannot say which key it does
 * not know.
 */

struct parser {
	struct apir_args *args;
	char *err;
	size_t err_size;
};

static int __rte_format_printf(2, 3) fail(const struct parser *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->err, p->err_size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int
no_memory(const struct parser *p)
{
	fail(p, "out of memory");
	return -ENOMEM;
}

/* Digits only, decimal or 0x: what strtoull() lets pass (blanks, signs, octal) is refused. */
static bool
number(const char *s, uint64_t *out)
{
	int base = 10;
	char *end;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (!isxdigit((unsigned char)s[0]))
		return false;
	errno = 0;
	*out = strtoull(s, &end, base);
	return errno == 0 && end != s && *end == '\0';
}

static const struct {
	const char *key;
	uint64_t min, max, def;
	size_t offset;
	uint8_t size;
	bool pow2;
} num_keys[] = {
#define NUM(name, lo, hi, dflt, p2)                                        \
	{                                                                  \
		.key = #name, .min = lo, .max = hi, .def = dflt,           \
		.offset = offsetof(struct apir_args, name),                \
		.size = sizeof(((struct apir_args *)0)->name), .pow2 = p2, \
	}
	NUM(queues, 1, 64, 0, false),	      NUM(burst, 1, 1022, 0, false),
	NUM(nb_bursts, 1, 1024, 32, true),    NUM(timeout_us, 0, UINT32_MAX, 5000000, false),
	NUM(wait_ms, 0, 3600000, 0, false),   NUM(reconnect_ms, 10, 60000, 200, false),
	NUM(verdict_vlan, 1, 4094, 0, false),
#undef NUM
};

static void
num_store(struct apir_args *args, unsigned int i, uint64_t v)
{
	uint8_t *field = (uint8_t *)args + num_keys[i].offset;

	if (num_keys[i].size == sizeof(uint16_t))
		*(uint16_t *)field = (uint16_t)v;
	else
		*(uint32_t *)field = (uint32_t)v;
}

static int
parse_num(struct parser *p, unsigned int i, const char *value)
{
	uint64_t v;

	if (!number(value, &v) || v < num_keys[i].min || v > num_keys[i].max ||
	    (num_keys[i].pow2 && !rte_is_power_of_2((uint32_t)v)))
		return fail(p, "%s=%s: must be a %s from %" PRIu64 " to %" PRIu64, num_keys[i].key,
			    value, num_keys[i].pow2 ? "power of two" : "number", num_keys[i].min,
			    num_keys[i].max);
	num_store(p->args, i, v);
	return 0;
}

/* Takes the brackets off a [list]. */
static int
unbracket(const struct parser *p, const char *key, char **value)
{
	size_t len = strlen(*value);

	if ((*value)[0] != '[')
		return 0;
	if ((*value)[len - 1] != ']')
		return fail(p, "%s=%s: the list must end with ']'", key, *value);
	(*value)[len - 1] = '\0';
	(*value)++;
	return 0;
}

static int
set_string(const struct parser *p, char **field, const char *value)
{
	*field = strdup(value);
	return *field == NULL ? no_memory(p) : 0;
}

static int
parse_path(struct parser *p, char *value)
{
	const size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (value[0] == '\0' || strlen(value) > most)
		return fail(p, "path=%s: must be the name of a Unix socket, 1 to %zu bytes", value,
			    most);
	return set_string(p, &p->args->path, value);
}

static int
parse_pci(struct parser *p, char *value)
{
	/* the library reads it: see rte_apir_conf.pci */
	if (value[0] == '\0')
		return fail(p,
			    "pci=: must be the PCI address of an apir device, like 0000:00:05.0");
	return set_string(p, &p->args->pci, value);
}

static int
parse_kernel(struct parser *p, char *value)
{
	if (value[0] == '\0')
		return fail(p, "kernel=: must be the name of a file of OpenCL C");
	return set_string(p, &p->args->kernel, value);
}

static int
parse_options(struct parser *p, char *value)
{
	int ret = unbracket(p, "options", &value);

	return ret != 0 ? ret : set_string(p, &p->args->options, value);
}

static bool
is_identifier(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && *s != '_')
			return false;
	return true;
}

static int
parse_entry(struct parser *p, char *value)
{
	struct apir_args *args = p->args;
	char *name;

	while ((name = strsep(&value, "+")) != NULL) {
		if (args->nb_stages == RTE_APIR_MAX_STAGES)
			return fail(p, "entry=: more than %d kernels", RTE_APIR_MAX_STAGES);
		if (!is_identifier(name))
			return fail(p,
				    "entry=%s: must be the name of a __kernel function, several "
				    "joined with '+'",
				    name);
		if (set_string(p, &args->stages[args->nb_stages].entry, name) != 0)
			return -ENOMEM;
		args->nb_stages++;
	}
	args->entry_given = true;
	return 0;
}

static int
parse_launch(struct parser *p, char *value)
{
	struct apir_args *args = p->args;
	char *one;

	while ((one = strsep(&value, "+")) != NULL) {
		struct apir_arg_stage *stage = &args->stages[args->nb_launch];
		const char *mode = one, *size;
		uint64_t n = 0;

		if (args->nb_launch == RTE_APIR_MAX_STAGES)
			return fail(p, "launch=: more than %d kernels", RTE_APIR_MAX_STAGES);
		size = strchr(one, ':');
		if (size != NULL && (!number(size + 1, &n) || n < 1 || n > UINT16_MAX))
			return fail(p,
				    "launch=%s: the work-group size must be a number from 1 to %u",
				    one, UINT16_MAX);
		if (size != NULL)
			one[size - one] = '\0';
		if (strcmp(mode, "item") == 0)
			stage->launch = RTE_APIR_LAUNCH_ITEM;
		else if (strcmp(mode, "group") == 0)
			stage->launch = RTE_APIR_LAUNCH_GROUP;
		else
			return fail(p,
				    "launch=%s: must be item or group, with ':' and a work-group "
				    "size if wanted",
				    mode);
		stage->local_size = (uint32_t)n;
		args->nb_launch++;
	}
	return 0;
}

/* Types of arguments that are passed by value. */
static const struct {
	const char *name;
	uint8_t size;
	int64_t min; /* < 0: signed */
	uint64_t max;
} value_types[] = {
	{"u8", 1, 0, UINT8_MAX},	  {"u16", 2, 0, UINT16_MAX},
	{"u32", 4, 0, UINT32_MAX},	  {"u64", 8, 0, UINT64_MAX},
	{"i32", 4, INT32_MIN, INT32_MAX}, {"i64", 8, INT64_MIN, INT64_MAX},
};

static int
parse_value(const struct parser *p, unsigned int type, const char *text, struct apir_arg *arg)
{
	const bool minus = text[0] == '-' && value_types[type].min < 0;
	uint64_t v, most = value_types[type].max;

	if (minus) /* one further below zero, and no overflow at INT64_MIN */
		most++;
	if (!number(text + (minus ? 1 : 0), &v) || v > most) {
		if (value_types[type].min < 0)
			return fail(p, "args=%s:%s: must be a number from %" PRId64 " to %" PRIu64,
				    value_types[type].name, text, value_types[type].min,
				    value_types[type].max);
		return fail(p, "args=%s:%s: must be a number from 0 to %" PRIu64,
			    value_types[type].name, text, value_types[type].max);
	}
	if (minus)
		v = -v;
	arg->kind = APIR_ARG_VALUE;
	arg->size = value_types[type].size;
	memcpy(arg->value, &v, arg->size);
	return 0;
}

static int
parse_float(const struct parser *p, const char *text, struct apir_arg *arg)
{
	char *end;
	float f;

	errno = 0;
	f = strtof(text, &end);
	if (text[0] == '\0' || isspace((unsigned char)text[0]) || *end != '\0' || isinf(f) ||
	    isnan(f))
		return fail(p, "args=f32:%s: must be a finite number such as 0.5 or 1e3", text);
	arg->kind = APIR_ARG_VALUE;
	arg->size = sizeof(f);
	memcpy(arg->value, &f, sizeof(f));
	return 0;
}

static int
parse_size(const struct parser *p, const char *type, const char *text, uint64_t max,
	   struct apir_arg *arg)
{
	if (!number(text, &arg->size) || arg->size < 1 || arg->size > max)
		return fail(p, "args=%s:%s: must be a number of bytes from 1 to %" PRIu64, type,
			    text, max);
	return 0;
}

static int
parse_arg(const struct parser *p, char *text, struct apir_arg *arg)
{
	char *value = strchr(text, ':');
	unsigned int i;

	arg->fd = -1;
	if (value != NULL) {
		*value++ = '\0';
		for (i = 0; i < RTE_DIM(value_types); i++)
			if (strcmp(text, value_types[i].name) == 0)
				return parse_value(p, i, value, arg);
		if (strcmp(text, "f32") == 0)
			return parse_float(p, value, arg);
		if (strcmp(text, "buf") == 0) {
			arg->kind = APIR_ARG_BUFFER;
			return parse_size(p, text, value, UINT64_C(1) << 40, arg);
		}
		if (strcmp(text, "local") == 0) {
			arg->kind = APIR_ARG_LOCAL;
			return parse_size(p, text, value, UINT64_C(1) << 30, arg);
		}
		if (strcmp(text, "file") == 0 && value[0] != '\0') {
			arg->kind = APIR_ARG_FILE;
			return set_string(p, &arg->path, value);
		}
		value[-1] = ':';
	}
	return fail(p,
		    "args=%s: must be u8:N, u16:N, u32:N, u64:N, i32:N, i64:N, f32:X, buf:BYTES, "
		    "local:BYTES or file:NAME",
		    text);
}

static int
parse_args(struct parser *p, char *value)
{
	struct apir_args *args = p->args;
	char *list, *one;
	int ret;

	ret = unbracket(p, "args", &value);
	if (ret != 0)
		return ret;
	while ((list = strsep(&value, ";")) != NULL) {
		struct apir_arg_stage *stage = &args->stages[args->nb_arg_stages];

		if (args->nb_arg_stages == RTE_APIR_MAX_STAGES)
			return fail(p, "args=: more than %d kernels", RTE_APIR_MAX_STAGES);
		args->nb_arg_stages++;
		if (list[0] == '\0')
			continue;
		stage->args = calloc(APIR_ARGS_MAX_KERNEL_ARGS, sizeof(*stage->args));
		if (stage->args == NULL)
			return no_memory(p);
		while ((one = strsep(&list, ",")) != NULL) {
			if (stage->nb_args == APIR_ARGS_MAX_KERNEL_ARGS)
				return fail(p, "args=: more than %d arguments of one kernel",
					    APIR_ARGS_MAX_KERNEL_ARGS);
			ret = parse_arg(p, one, &stage->args[stage->nb_args]);
			if (ret != 0)
				return ret;
			stage->nb_args++;
		}
	}
	return 0;
}

static const struct {
	const char *key;
	int (*parse)(struct parser *p, char *value);
	bool of_kernel; /* means nothing without kernel= */
} text_keys[] = {
	{"path", parse_path, false},	  {"pci", parse_pci, false},
	{"kernel", parse_kernel, false},  {"entry", parse_entry, true},
	{"args", parse_args, true},	  {"launch", parse_launch, true},
	{"options", parse_options, true},
};

#define NB_KEYS (RTE_DIM(text_keys) + RTE_DIM(num_keys))

static int
unknown_key(const struct parser *p, const char *key)
{
	char known[256];
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < NB_KEYS; i++)
		len += snprintf(known + len, sizeof(known) - len, "%s%s", i == 0 ? "" : ", ",
				i < RTE_DIM(text_keys) ? text_keys[i].key
						       : num_keys[i - RTE_DIM(text_keys)].key);
	return fail(p, "unknown argument '%s'; known are: %s", key, known);
}

/* Cuts the next "key=value" off *rest, at a ',' that is not in a [list]. */
static int
next_pair(const struct parser *p, char **rest, char **key, char **value)
{
	char *c = *rest;
	int depth = 0;

	*key = c;
	*value = NULL;
	for (; *c != '\0' && (*c != ',' || depth > 0); c++) {
		if (*c == '=' && *value == NULL) {
			*c = '\0';
			*value = c + 1;
		} else if (*c == '[') {
			depth++;
		} else if (*c == ']' && depth > 0) {
			depth--;
		}
	}
	*rest = *c == '\0' ? c : c + 1;
	*c = '\0';
	if (depth > 0)
		return fail(p, "%s%s%s: '[' without ']'", *key, *value == NULL ? "" : "=",
			    *value == NULL ? "" : *value);
	return 0;
}

static int
parse_pair(struct parser *p, const char *key, char *value, bool *seen)
{
	unsigned int i;

	for (i = 0; i < NB_KEYS; i++) {
		const bool is_num = i >= RTE_DIM(text_keys);
		const unsigned int n = is_num ? i - RTE_DIM(text_keys) : i;

		if (strcmp(key, is_num ? num_keys[n].key : text_keys[n].key) != 0)
			continue;
		if (value == NULL)
			return fail(p, "%s: needs a value (%s=...)", key, key);
		if (seen[i])
			return fail(p, "%s=%s: given twice", key, value);
		seen[i] = true;
		return is_num ? parse_num(p, n, value) : text_keys[n].parse(p, value);
	}
	return unknown_key(p, key);
}

/* The entry that is meant when none is given: the file's name without .cl. */
static int
default_entry(const struct parser *p)
{
	struct apir_args *args = p->args;
	const char *name = strrchr(args->kernel, '/');
	char *entry, *dot;

	entry = strdup(name == NULL ? args->kernel : name + 1);
	if (entry == NULL)
		return no_memory(p);
	args->stages[0].entry = entry;
	args->nb_stages = 1;
	dot = strrchr(entry, '.');
	if (dot != NULL && strcmp(dot, ".cl") == 0)
		*dot = '\0';
	if (!is_identifier(entry))
		return fail(p,
			    "kernel=%s: entry= is needed, since the file's name is not that of a "
			    "function",
			    args->kernel);
	return 0;
}

/* What several keys must have in common. */
static int
check_stages(const struct parser *p, const bool *seen)
{
	struct apir_args *args = p->args;
	unsigned int i;
	int ret;

	if (args->kernel == NULL) {
		for (i = 0; i < RTE_DIM(text_keys); i++)
			if (seen[i] && text_keys[i].of_kernel)
				return fail(p, "%s=: needs kernel=", text_keys[i].key);
		if (args->verdict_vlan != 0)
			return fail(p, "verdict_vlan=: needs kernel=");
		return 0;
	}
	if (args->nb_stages == 0) {
		ret = default_entry(p);
		if (ret != 0)
			return ret;
	}
	if (args->nb_arg_stages > args->nb_stages)
		return fail(p, "args=: arguments of %u kernels, but entry= names %u",
			    args->nb_arg_stages, args->nb_stages);
	if (args->nb_launch > args->nb_stages ||
	    (args->nb_launch > 1 && args->nb_launch < args->nb_stages))
		return fail(p,
			    "launch=: names %u launches for %u kernels: give one, or one for each",
			    args->nb_launch, args->nb_stages);
	if (args->nb_launch == 1) {
		for (i = 1; i < args->nb_stages; i++) {
			args->stages[i].launch = args->stages[0].launch;
			args->stages[i].local_size = args->stages[0].local_size;
		}
	}
	return 0;
}

int
apir_args_parse(const char *devargs, struct apir_args *args, char *err, size_t err_size)
{
	struct parser p = {.args = args, .err = err, .err_size = err_size};
	bool seen[NB_KEYS] = {false};
	char *copy, *rest, *key, *value;
	unsigned int i;
	int ret = 0;

	memset(args, 0, sizeof(*args));
	for (i = 0; i < RTE_DIM(num_keys); i++)
		num_store(args, i, num_keys[i].def);
	copy = strdup(devargs == NULL ? "" : devargs);
	if (copy == NULL)
		return no_memory(&p);
	for (rest = copy; *rest != '\0' && ret == 0;) {
		ret = next_pair(&p, &rest, &key, &value);
		if (ret == 0 && (key[0] != '\0' || value != NULL))
			ret = parse_pair(&p, key, value, seen);
	}
	if (ret == 0)
		ret = check_stages(&p, seen);
	if (ret == 0 && args->path != NULL && args->pci != NULL)
		ret = fail(&p, "path=%s,pci=%s: a port has one or the other", args->path,
			   args->pci);
	free(copy);
	if (ret != 0)
		apir_args_free(args);
	return ret;
}

void
apir_args_free(struct apir_args *args)
{
	unsigned int i, j;

	for (i = 0; i < RTE_APIR_MAX_STAGES; i++) {
		struct apir_arg_stage *stage = &args->stages[i];

		/* one more than counted: the one whose parsing failed */
		for (j = 0; stage->args != NULL && j < APIR_ARGS_MAX_KERNEL_ARGS; j++) {
			if (stage->args[j].path != NULL && stage->args[j].fd >= 0)
				close(stage->args[j].fd);
			free(stage->args[j].path);
		}
		free(stage->args);
		free(stage->entry);
	}
	free(args->path);
	free(args->pci);
	free(args->kernel);
	free(args->options);
	memset(args, 0, sizeof(*args));
}
