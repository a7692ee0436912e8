/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Program binaries on disk: found again, not believed when damaged, not used where others could write. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "opencl.h"
#include "util.h"

static const char source[] = "__kernel void a(APIR_BURST, const uint v)\n"
			     "{\n"
			     "	if (apir_index() < apir_count())\n"
			     "		apir_forward_meta(apir_index(), 1, v);\n"
			     "}\n";
static char dir[64];
static char entry[512]; /* path of the one entry that is the test's */
static struct exec_err err;

static void
make_dir(void)
{
	snprintf(dir, sizeof(dir), "apir-cache-XXXXXX");
	assert_non_null(mkdtemp(dir));
	strcat(dir, "/below/it"); /* parents are made */
}

static unsigned int
each_file(void (*what)(const char *path, void *arg), void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];
	unsigned int nb = 0;

	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		nb++;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (what != NULL)
			what(path, arg);
	}
	closedir(d);
	return nb;
}

static void
remove_file(const char *path, void *arg)
{
	(void)arg;
	unlink(path);
}

static void
remove_dir(void)
{
	char *slash;

	each_file(remove_file, NULL);
	rmdir(dir);
	while ((slash = strrchr(dir, '/')) != NULL) {
		*slash = '\0';
		assert_int_equal(rmdir(dir), 0);
	}
}

/* Build the program, run it: was it cached? */
static bool
build(const char *text, const char *options, uint32_t value)
{
	struct exec_config cfg = t_config("basic", "raw");
	struct exec_program *p = NULL;
	struct exec_pipeline *pipe;
	struct exec_kernel *k;
	struct t_env env;
	const char *log;
	bool cached = false;

	cfg.cache_dir = dir;
	t_open(&env, &cfg);
	assert_status(APIR_S_OK,
		      env.ops->program_create(env.dev, text, strlen(text), options, &p, &log,
					      &cached, &err),
		      err);
	assert_non_null(log);
	snprintf(entry, sizeof(entry), "%s/%s.bin", dir, p->key);
	k = t_kernel(&env, p, "a", 1);
	t_uint(&env, k, 0, value);
	pipe = t_pipeline(&env, k, false, 0);
	t_run_ok(&env, pipe, t_burst(&env, 5, 64));
	assert_int_equal(env.verdicts[4].meta, value);
	assert_int_equal(env.verdicts[4].port, 1);
	env.ops->pipeline_destroy(pipe);
	env.ops->kernel_destroy(k);
	env.ops->program_destroy(p);
	t_close(&env);
	return cached;
}

static void
check_mode(const char *path, void *arg)
{
	struct stat st;

	(void)arg;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
test_hit(void **state)
{
	struct stat st;

	(void)state;
	make_dir();
	assert_false(build(source, "", 10));
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	each_file(check_mode, NULL);
	assert_true(build(source, "", 11));
	/* Anything that may change the binary makes another entry. */
	assert_false(build(source, "-DX", 12));
	assert_true(build(source, "-DX", 13));
	assert_false(build(
		"\n__kernel void a(APIR_BURST, const uint v) { if (apir_index() < apir_count()) "
		"apir_forward_meta(apir_index(), 1, v); }",
		"", 14));
	remove_dir();
}

/* Damage of each kind: the entry is removed, the program built, and cached again. */
static void
test_damage(void **state)
{
	static const struct {
		const char *what;
		off_t at, truncate;
	} damages[] = {
		{"magic", 0, 0},      {"binary length", 8, 0}, {"text length", 20, 0},
		{"checksum", 40, 0},  {"binary", 3000, 0},     {"cut short", 0, 2000},
		{"head only", 0, 30}, {"empty", 0, -1},	       {"longer", 0, 1 << 21},
	};

	(void)state;
	make_dir();
	assert_false(build(source, "", 1));
	for (unsigned int i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		int fd = open(entry, O_RDWR);
		uint8_t byte;

		assert_true(fd >= 0);
		if (damages[i].truncate != 0) {
			assert_int_equal(
				ftruncate(fd, damages[i].truncate < 0 ? 0 : damages[i].truncate),
				0);
		} else {
			assert_int_equal(pread(fd, &byte, 1, damages[i].at), 1);
			byte ^= 0x55;
			assert_int_equal(pwrite(fd, &byte, 1, damages[i].at), 1);
		}
		close(fd);
		t_log_text[0] = '\0';
		if (build(source, "", 2))
			fail_msg("%s: the damaged entry was used", damages[i].what);
		assert_text(t_log_text, "damaged");
		assert_true(build(source, "", 3));
	}
	remove_dir();
}

/* An entry that is whole but that the device does not take. */
static void
test_refused_binary(void **state)
{
	struct exec_config cfg = t_config("basic", "raw");
	struct ocl_cached c = {.bin = (uint8_t *)strdup("this is no binary"),
			       .bin_len = 17,
			       .log = strdup(""),
			       .sigs = strdup("kernel 1 a\narg 1 apir_t x*\n")};
	struct ocl_cached back;
	char key[2 * OCL_DIGEST + 1], *slash;
	struct exec_dev *dev;

	(void)state;
	make_dir();
	assert_false(build(source, "", 1));
	cfg.cache_dir = dir;
	dev = exec_opencl_ops.open(&cfg, &err);
	assert_non_null(dev);
	slash = strrchr(entry, '/');
	memcpy(key, slash + 1, sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	ocl_cache_store(dev, key, &c);
	assert_int_equal(ocl_cache_load(dev, key, &back), 0);
	assert_int_equal(back.bin_len, 17);
	assert_memory_equal(back.bin, c.bin, 17);
	ocl_cached_free(&back);
	ocl_cached_free(&c);
	exec_opencl_ops.close(dev);
	t_log_text[0] = '\0';
	assert_false(build(source, "", 2));
	assert_text(t_log_text, "refuses a cached program");
	assert_true(build(source, "", 3));
	remove_dir();
}

/* A file of a size, last used so many seconds ago. */
static void
make_file(const char *name, off_t size, time_t age)
{
	struct timespec times[2] = {{.tv_sec = time(NULL) - age}, {.tv_sec = time(NULL) - age}};
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static bool
exists(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

/* The least recently used go when 256 MiB are reached, and what a writer left that died; nothing else. */
static void
test_size(void **state)
{
	(void)state;
	make_dir();
	assert_false(build(source, "", 1));
	make_file("oldest.bin", 200 << 20, 9000);
	make_file("older.bin", 200 << 20, 8000);
	make_file("not-ours", 200 << 20, 9999);
	make_file("new-orphan", 1, 9999);
	make_file("new-writing", 1, 10);
	assert_false(build(source, "-DX", 1));
	assert_false(exists("oldest.bin"));
	assert_true(exists("older.bin"));
	assert_true(exists("not-ours"));
	assert_false(exists("new-orphan"));
	assert_true(exists("new-writing"));
	assert_true(build(source, "", 1));
	assert_true(build(source, "-DX", 1));
	remove_dir();
}

static void
test_unsafe_dir(void **state)
{
	(void)state;
	make_dir();
	assert_false(build(source, "", 1));
	each_file(remove_file, NULL);
	assert_int_equal(chmod(dir, 0777), 0);
	t_log_text[0] = '\0';
	assert_false(build(source, "", 1));
	assert_false(build(source, "", 1));
	assert_text(t_log_text, "program cache off");
	assert_int_equal(each_file(NULL, NULL), 0);
	assert_int_equal(chmod(dir, 0700), 0);
	remove_dir();
}

static void
test_no_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/proc/no/such/place");
	t_log_text[0] = '\0';
	assert_false(build(source, "", 1));
	assert_false(build(source, "", 1));
	assert_text(t_log_text, "program cache off: cannot make folder");
}

static void
test_key(void **state)
{
	struct exec_dev dev = {.info = {.device = "d", .driver = "v"}};
	char a[2 * OCL_DIGEST + 1], b[2 * OCL_DIGEST + 1];

	(void)state;
	ocl_cache_key(&dev, "ab", "c", a);
	assert_int_equal(strlen(a), 64);
	ocl_cache_key(&dev, "a", "bc", b);
	assert_string_not_equal(a, b);
	dev.info.driver[0] = 'w';
	ocl_cache_key(&dev, "ab", "c", b);
	assert_string_not_equal(a, b);
	dev.info.driver[0] = 'v';
	ocl_cache_key(&dev, "ab", "c", b);
	assert_string_equal(a, b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key),    cmocka_unit_test(test_hit),
		cmocka_unit_test(test_damage), cmocka_unit_test(test_refused_binary),
		cmocka_unit_test(test_size),   cmocka_unit_test(test_unsafe_dir),
		cmocka_unit_test(test_no_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
