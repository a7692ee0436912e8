/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* A program's include files in its source: which are found, what they leave, what stays as it is. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cl_macro.h"
#include "cl_program.h"

static char dir[64];

static void
put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int
setup(void **state)
{
	char path[128];

	(void)state;
	strcpy(dir, "/tmp/test-cl-include-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/sub", dir);
	return mkdir(path, 0700);
}

static int
teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

static char *
expand(const char *source, const char *format)
{
	char options[512];

	snprintf(options, sizeof(options), format, dir, dir);
	return cl_include_expand(source, options, 0, NULL);
}

/* The expansion without markers and empty lines. */
static void
check(const char *source, const char *options, const char *expected)
{
	char *text = expand(source, options), *line, *save = NULL;
	char got[2048] = "";

	assert_non_null(text);
	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (line[0] == '#' && line[1] == ' ')
			continue;
		strcat(got, line);
		strcat(got, "\n");
	}
	assert_string_equal(got, expected);
	free(text);
}

static void
markers(void **state)
{
	char expected[512], *text;

	(void)state;
	put("a.h", "int a;\n#include \"sub/b.h\"\nint c;");
	put("sub/b.h", "int b;\n");
	text = expand("int x;\n#include \"a.h\" // why\nint y;\n", "-cl-opt -I %s");
	snprintf(expected, sizeof(expected),
		 "int x;\n# 1 \"%s/a.h\" 1\nint a;\n# 1 \"%s/sub/b.h\" 1\nint b;\n# 2 \"\" "
		 "2\n\nint c;\n"
		 "# 2 \"\" 2\n // why\nint y;\n",
		 dir, dir);
	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void
search(void **state)
{
	char source[128];

	(void)state;
	put("a.h", "first\n");
	put("sub/a.h", "second\n");
	put("sub/c.h", "#include \"a.h\"\n#include <a.h>\n");
	check("#include \"a.h\"\n", "-I%s -I%s/sub", "first\n");
	check("#include <a.h>\n", "-I %s/sub -I %s", "second\n");
	/* quoted: first beside the file that names it */
	check("#include <sub/c.h>\n", "-I\"%s\"", "second\nfirst\n");
	snprintf(source, sizeof(source), "  #  include   \"%s/sub/a.h\"\n", dir);
	check(source, "", "second\n");
}

static void
left_alone(void **state)
{
	static const char *const headers[] = {"a.h"};
	char options[128];

	(void)state;
	put("a.h", "int a;\n");
	snprintf(options, sizeof(options), "-I%s", dir);
	assert_null(expand("kernel void k() {}\n", "-I%s"));
	assert_null(expand("#include \"nowhere.h\"\n", "-I%s"));
	assert_null(expand("#include \"a.h\"\n", ""));
	assert_null(expand("// #include \"a.h\"\n", "-I%s"));
	assert_null(expand("/*\n#include \"a.h\"\n*/\n", "-I%s"));
	assert_null(expand("int includes; #include \"a.h\"\n", "-I%s"));
	assert_null(expand("#include a.h\n#include \"a.h\n#include <>\n#include\n", "-I%s"));
	assert_null(expand("#include \"sub\"\n", "-I%s")); /* a folder */
	/* headers that the program gives itself */
	assert_null(cl_include_expand("#include \"a.h\"\n", options, 1, headers));
	/* the end of a comment counts, and strings are none */
	check("char *s = \"/*\";\n#include \"a.h\"\n", "-I%s", "char *s = \"/*\";\nint a;\n");
	check("/* */ /*\n*/\n#include \"a.h\" /* x\n#include \"a.h\"\n*/", "-I%s",
	      "/* */ /*\n*/\nint a;\n /* x\n#include \"a.h\"\n*/\n");
}

static void
once(void **state)
{
	char *text;

	(void)state;
	put("once.h", "#pragma once\nint once;\n");
	text = expand("#include \"once.h\"\n#include \"once.h\"\n", "-I%s");
	assert_non_null(text);
	assert_null(strstr(text, "pragma once"));
	assert_non_null(strstr(text, "#ifndef APIR_ONCE_"));
	free(text);
}

static void
cycles(void **state)
{
	(void)state;
	put("a.h", "#ifndef A\n#define A\n#include \"b.h\"\nint a;\n#endif\n");
	put("b.h", "#ifndef B\n#define B\n#include \"a.h\"\nint b;\n#endif\n");
	check("#include \"a.h\"\n", "-I%s",
	      "#ifndef A\n#define A\n#ifndef B\n#define B\nint b;\n#endif\nint a;\n#endif\n");
	/* without end: the compiler says so, not we */
	put("self.h", "#include \"self.h\"\n#include \"self.h\"\n");
	assert_null(expand("#include \"self.h\"\n", "-I%s"));
}

static void
by_macro(void **state)
{
	(void)state;
	put("a.h", "int a;\n");
	check("#include M2S(DIR/a.h)\n", "-D DIR=%s -D X(x)=#x -D M2S(x)=X(x)", "int a;\n");
	check("#include NAME\n", "-I%s -DNAME=<a.h>", "int a;\n");
	check("#define NAME \"a.h\"\n#include NAME\n", "-I%s", "#define NAME \"a.h\"\nint a;\n");
	check("#define CAT(a, \\\n b) <a##b>\n#include CAT(a, .h)\n", "-I%s",
	      "#define CAT(a, \\\n b) <a##b>\nint a;\n");
	/* nobody can tell which one holds */
	assert_null(expand(
		"#ifdef X\n#define N \"a.h\"\n#else\n#define N \"b.h\"\n#endif\n#include N\n",
		"-I%s"));
	/* but what the options say does */
	check("#ifndef N\n#define N \"b.h\"\n#endif\n#include N\n", "-I%s -DN=<a.h>",
	      "#ifndef N\n#define N \"b.h\"\n#endif\nint a;\n");
	assert_null(expand("#include N(\n#include L\n", "-I%s -DN(x)=x -DL=L"));
}

static void
macros(void **state)
{
	struct cl_macros m = {.first = NULL};
	struct cl_text out = {.max = 1000};

	(void)state;
	cl_macro_define(&m, "F(a, b) b a #a", 14);
	cl_macro_define(&m, "G 1 + F", 7);
	cl_macro_define(&m, "1bad", 4);
	cl_macro_define(&m, "H(x", 3);
	cl_macro_option(&m, "one", 3);
	assert_true(cl_macro_expand(&m, "F((x, \"y\"), one) G 1e F", 23, &out));
	assert_string_equal(out.s, "1 (x, \"y\") \"(x, \\\"y\\\")\" 1 + F 1e F");
	cl_text_free(&out);
	/* too few arguments, no end */
	assert_false(cl_macro_expand(&m, "F(1)", 4, &out));
	assert_false(cl_macro_expand(&m, "F(1,", 4, &out));
	cl_text_free(&out);
	out.max = 10;
	assert_false(cl_macro_expand(&m, "one one one one one one", 23, &out));
	cl_text_free(&out);
	cl_macros_free(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(markers, setup, teardown),
		cmocka_unit_test_setup_teardown(search, setup, teardown),
		cmocka_unit_test_setup_teardown(left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(once, setup, teardown),
		cmocka_unit_test_setup_teardown(cycles, setup, teardown),
		cmocka_unit_test_setup_teardown(by_macro, setup, teardown),
		cmocka_unit_test(macros),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
