/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cl_config.h"
#include "cl_session.h"

/* More than any machine has: a larger one is a slip of the pen. */
#define ARENA_MAX_MIB ((uint64_t)1 << 24)
#define LINE_MAX_LEN  (CL_CONFIG_VALUE + 64)

/* Take off what surrounds a word. */
static char *
strip(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return s;
}

static int
set_device(struct cl_config *c, const char *value, const char *where)
{
	const bool pci = strncmp(value, "pci=", 4) == 0;
	const char *rest = strchr(value, '=');

	if ((!pci && strncmp(value, "path=", 5) != 0) || rest[1] == '\0') {
		cl_debug("%s: device '%s' is neither path=SOCKET nor pci=ADDRESS", where, value);
		return -EINVAL;
	}
	rest++;
	if (strlen(rest) >= CL_CONFIG_VALUE) {
		cl_debug("%s: the device's name is longer than %d bytes", where,
			 CL_CONFIG_VALUE - 1);
		return -EINVAL;
	}
	c->path[0] = c->pci[0] = '\0';
	strcpy(pci ? c->pci : c->path, rest);
	return 0;
}

static int
set_number(uint64_t *v, const char *key, const char *value, uint64_t min, uint64_t max,
	   const char *where)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno != 0 || n < min || n > max) {
		cl_debug("%s: %s=%s: a number from %" PRIu64 " to %" PRIu64 " is needed", where,
			 key, value, min, max);
		return -EINVAL;
	}
	*v = n;
	return 0;
}

static int
set(struct cl_config *c, const char *key, const char *value, const char *where)
{
	uint64_t n;
	int ret;

	if (strcmp(key, "device") == 0)
		return set_device(c, value, where);
	if (strcmp(key, "arena") == 0) {
		ret = set_number(&n, key, value, 64, ARENA_MAX_MIB, where);
		if (ret == 0)
			c->arena = n << 20;
		return ret;
	}
	if (strcmp(key, "hugepages") == 0) {
		ret = set_number(&n, key, value, 0, 1, where);
		if (ret == 0)
			c->hugepages = n != 0;
		return ret;
	}
	cl_debug("%s: unknown key '%s': device, arena and hugepages are known", where, key);
	return -EINVAL;
}

static int
read_line(struct cl_config *c, char *line, const char *where)
{
	char *value, *key;

	line[strcspn(line, "#")] = '\0';
	key = strip(line);
	if (*key == '\0')
		return 0;
	value = strchr(key, '=');
	if (value == NULL) {
		cl_debug("%s: '%s' is not key=value", where, key);
		return -EINVAL;
	}
	*value++ = '\0';
	return set(c, strip(key), strip(value), where);
}

static int
read_file(struct cl_config *c)
{
	const char *name = secure_getenv("APIR_CONF");
	char line[LINE_MAX_LEN], where[64];
	FILE *f;
	int ret = 0;

	if (name == NULL)
		name = CL_CONFIG_FILE;
	f = fopen(name, "re");
	if (f == NULL) {
		ret = -errno;
		cl_debug("%s: %s", name, strerror(-ret));
		return ret == -ENOENT ? 0 : ret;
	}
	for (unsigned int n = 1; ret == 0 && fgets(line, sizeof(line), f) != NULL; n++) {
		snprintf(where, sizeof(where), "%.48s:%u", name, n);
		if (strchr(line, '\n') == NULL && !feof(f)) {
			cl_debug("%s: the line is longer than %d bytes", where, LINE_MAX_LEN - 2);
			ret = -EINVAL;
			break;
		}
		ret = read_line(c, line, where);
	}
	fclose(f);
	return ret;
}

int
cl_config_read(struct cl_config *c)
{
	const char *device = secure_getenv("APIR_DEVICE");
	int ret;

	memset(c, 0, sizeof(*c));
	ret = read_file(c);
	if (ret == 0 && device != NULL)
		ret = set_device(c, device, "APIR_DEVICE");
	if (ret == 0 && c->path[0] == '\0' && c->pci[0] == '\0') {
		cl_debug("no device is configured: set APIR_DEVICE=path=SOCKET, or write "
			 "device=path=SOCKET into " CL_CONFIG_FILE);
		ret = -ENOENT;
	}
	return ret;
}
