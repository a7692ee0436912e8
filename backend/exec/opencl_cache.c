/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * Program binaries on disk. An entry is named by the hash of all that the binary depends on; it is written whole or not
 * at all, and checked when read: one that is not what was written is removed and the program built again.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "opencl.h"

#define CACHE_MAX   (256ull << 20) /* bytes of all entries */
#define ENTRY_MAX   (64ull << 20)  /* bytes of one */
#define CACHE_MAGIC "APIRBIN1"
#define SUFFIX	    ".bin"
#define TEMPORARY   "new-"
#define ORPHAN_S    3600

struct entry_head {
	char magic[8];
	uint64_t bin_len;
	uint64_t text_len[2]; /* log and sigs, each with its NUL */
	uint8_t digest[OCL_DIGEST];
};

static_assert(OCL_DIGEST == SHA256_DIGEST_LENGTH, "digest of the cache");

static void
hash_text(SHA2_CTX *h, const char *text)
{
	/* With its NUL, so that no two lists of texts hash alike. */
	SHA256Update(h, (const uint8_t *)text, strlen(text) + 1);
}

void
ocl_cache_key(struct exec_dev *dev, const char *src, const char *options,
	      char key[static 2 * OCL_DIGEST + 1])
{
	uint8_t digest[OCL_DIGEST];
	char text[512] = "";
	SHA2_CTX h;

	SHA256Init(&h);
	hash_text(&h, CACHE_MAGIC);
	hash_text(&h, ocl_prelude);
	hash_text(&h, src);
	hash_text(&h, options);
	hash_text(&h, dev->info.platform);
	clGetPlatformInfo(dev->platform, CL_PLATFORM_VERSION, sizeof(text) - 1, text, NULL);
	hash_text(&h, text);
	hash_text(&h, dev->info.device);
	ocl_device_string(dev->id, CL_DEVICE_VERSION, text, sizeof(text));
	hash_text(&h, text);
	hash_text(&h, dev->info.driver);
	SHA256Final(digest, &h);
	for (unsigned int i = 0; i < OCL_DIGEST; i++)
		snprintf(key + 2 * i, 3, "%02x", digest[i]);
}

char *
ocl_cache_open(struct exec_dev *dev, const char *dir)
{
	struct stat st;
	char *path;

	if (dir == NULL || dir[0] == '\0')
		return NULL;
	path = strdup(dir);
	if (path == NULL)
		return NULL;
	for (char *p = path + 1; *p != '\0'; p++)
		if (*p == '/') {
			*p = '\0';
			if (mkdir(path, 0755) != 0 && errno != EEXIST)
				break;
			*p = '/';
		}
	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		OCL_LOG(dev, LOG_WARNING, "program cache off: cannot make folder %s: %s", dir,
			strerror(errno));
	} else if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode) ||
		   access(dir, R_OK | W_OK | X_OK) != 0) {
		OCL_LOG(dev, LOG_WARNING, "program cache off: %s is not a folder to write to", dir);
	} else if (st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
		/* What lies there is run. */
		OCL_LOG(dev, LOG_WARNING,
			"program cache off: folder %s must belong to this user and be writable by "
			"no other "
			"(chmod 0700)",
			dir);
	} else {
		memcpy(path, dir, strlen(dir) + 1);
		return path;
	}
	free(path);
	return NULL;
}

static int
entry_path(struct exec_dev *dev, const char *key, char **path)
{
	return asprintf(path, "%s/%s" SUFFIX, dev->cache_dir, key) < 0 ? -1 : 0;
}

void
ocl_cache_drop(struct exec_dev *dev, const char *key)
{
	char *path;

	if (dev->cache_dir == NULL || entry_path(dev, key, &path) != 0)
		return;
	unlink(path);
	free(path);
}

void
ocl_cached_free(struct ocl_cached *c)
{
	free(c->bin);
	free(c->log);
	free(c->sigs);
	memset(c, 0, sizeof(*c));
}

static int
read_all(int fd, void *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = read(fd, (uint8_t *)buf + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += n;
	}
	return 0;
}

static int
write_all(int fd, const void *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = write(fd, (const uint8_t *)buf + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += n;
	}
	return 0;
}

static void
hash_entry(const struct ocl_cached *c, uint8_t digest[static OCL_DIGEST])
{
	SHA2_CTX h;

	SHA256Init(&h);
	SHA256Update(&h, c->bin, c->bin_len);
	hash_text(&h, c->log);
	hash_text(&h, c->sigs);
	SHA256Final(digest, &h);
}

/* A text of an entry: len bytes, the last of them its NUL. */
static char *
read_text(int fd, uint64_t len)
{
	char *text = malloc(len);

	if (text == NULL)
		return NULL;
	if (read_all(fd, text, len) != 0 || text[len - 1] != '\0') {
		free(text);
		return NULL;
	}
	return text;
}

static int
read_entry(int fd, struct ocl_cached *c)
{
	uint8_t digest[OCL_DIGEST];
	struct entry_head head;
	uint64_t total = sizeof(head);
	struct stat st;

	if (fstat(fd, &st) != 0 || read_all(fd, &head, sizeof(head)) != 0 ||
	    memcmp(head.magic, CACHE_MAGIC, sizeof(head.magic)) != 0)
		return -1;
	if (head.bin_len == 0 || head.bin_len > ENTRY_MAX)
		return -1;
	total += head.bin_len;
	for (unsigned int i = 0; i < 2; i++) {
		if (head.text_len[i] == 0 || head.text_len[i] > ENTRY_MAX)
			return -1;
		total += head.text_len[i];
	}
	if ((uint64_t)st.st_size != total)
		return -1;
	c->bin_len = head.bin_len;
	c->bin = malloc(c->bin_len);
	if (c->bin == NULL || read_all(fd, c->bin, c->bin_len) != 0)
		return -1;
	c->log = read_text(fd, head.text_len[0]);
	c->sigs = read_text(fd, head.text_len[1]);
	if (c->log == NULL || c->sigs == NULL)
		return -1;
	hash_entry(c, digest);
	return memcmp(digest, head.digest, sizeof(digest)) == 0 ? 0 : -1;
}

int
ocl_cache_load(struct exec_dev *dev, const char *key, struct ocl_cached *c)
{
	char *path;
	int fd, rc;

	memset(c, 0, sizeof(*c));
	if (dev->cache_dir == NULL || entry_path(dev, key, &path) != 0)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		free(path);
		return -1;
	}
	rc = read_entry(fd, c);
	if (rc != 0) {
		OCL_LOG(dev, LOG_WARNING, "program cache: %s is damaged, removing it", path);
		unlink(path);
		ocl_cached_free(c);
	} else {
		futimens(fd, NULL); /* used now: the oldest go first */
	}
	close(fd);
	free(path);
	return rc;
}

/* Remove the least recently used entries until new_bytes more fit. */
static void
make_room(struct exec_dev *dev, uint64_t new_bytes)
{
	uint64_t total;
	struct stat st, oldest_st = {0};
	char oldest[NAME_MAX + 1];
	struct dirent *e;
	DIR *d;

	do {
		total = new_bytes;
		oldest[0] = '\0';
		d = opendir(dev->cache_dir);
		if (d == NULL)
			return;
		while ((e = readdir(d)) != NULL) {
			size_t len = strlen(e->d_name);

			if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
				continue;
			if (strncmp(e->d_name, TEMPORARY, strlen(TEMPORARY)) == 0 &&
			    st.st_mtim.tv_sec + ORPHAN_S < time(NULL)) {
				unlinkat(dirfd(d), e->d_name, 0); /* its writer died */
				continue;
			}
			if (len < sizeof(SUFFIX) ||
			    strcmp(e->d_name + len - strlen(SUFFIX), SUFFIX) != 0)
				continue;
			total += st.st_size;
			if (oldest[0] == '\0' || st.st_mtim.tv_sec < oldest_st.st_mtim.tv_sec ||
			    (st.st_mtim.tv_sec == oldest_st.st_mtim.tv_sec &&
			     st.st_mtim.tv_nsec < oldest_st.st_mtim.tv_nsec)) {
				oldest_st = st;
				memcpy(oldest, e->d_name, len + 1);
			}
		}
		if (total > CACHE_MAX && oldest[0] != '\0' && unlinkat(dirfd(d), oldest, 0) != 0)
			oldest[0] = '\0'; /* cannot: do not try for ever */
		closedir(d);
	} while (total > CACHE_MAX && oldest[0] != '\0');
}

void
ocl_cache_store(struct exec_dev *dev, const char *key, const struct ocl_cached *c)
{
	struct entry_head head = {.bin_len = c->bin_len};
	const char *text[2] = {c->log, c->sigs};
	uint64_t total = sizeof(head) + c->bin_len;
	char *path = NULL, *temp = NULL;
	bool ok;
	int fd;

	memcpy(head.magic, CACHE_MAGIC, sizeof(head.magic));
	for (unsigned int i = 0; i < 2; i++) {
		head.text_len[i] = strlen(text[i]) + 1;
		total += head.text_len[i];
	}
	if (total > ENTRY_MAX)
		return;
	hash_entry(c, head.digest);
	make_room(dev, total);
	if (entry_path(dev, key, &path) != 0)
		return;
	if (asprintf(&temp, "%s/" TEMPORARY "XXXXXX", dev->cache_dir) < 0) {
		free(path);
		return;
	}
	fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
	if (fd < 0) {
		OCL_LOG(dev, LOG_WARNING, "program cache: cannot write to %s: %s", dev->cache_dir,
			strerror(errno));
		goto out;
	}
	ok = write_all(fd, &head, sizeof(head)) == 0 && write_all(fd, c->bin, c->bin_len) == 0;
	for (unsigned int i = 0; i < 2; i++)
		ok = ok && write_all(fd, text[i], head.text_len[i]) == 0;
	ok = close(fd) == 0 && ok;
	if (!ok || rename(temp, path) != 0) {
		OCL_LOG(dev, LOG_WARNING, "program cache: cannot write %s: %s", path,
			strerror(errno));
		unlink(temp);
	}
out:
	free(temp);
	free(path);
}
