/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* What is checked of a tenant's text before a compiler sees it, and signatures as text. No device. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl.h"
#include "util.h"

static struct exec_err err;

static void
accepted(const char *source, const char *copy)
{
	char *s;

	err.text[0] = '\0';
	s = ocl_source_copy(source, strlen(source), &err);
	if (s == NULL)
		fail_msg("refused: %s: %s", source, err.text);
	assert_string_equal(s, copy);
	free(s);
}

static void
refused(const char *source, const char *part)
{
	char *s = ocl_source_copy(source, strlen(source), &err);

	if (s != NULL)
		fail_msg("accepted: %s", source);
	assert_text(err.text, part);
}

/* Every way the preprocessor knows to write it. */
static void
test_include_refused(void **state)
{
	(void)state;
	refused("#include </etc/shadow>\n", "kernel.cl:1: #include");
	refused("int a;\n\n  #  include \"x\"", "kernel.cl:3: #include");
	refused("#/* */include/* */<x>", "#include");
	refused("/* a\n b */ #include <x>", "kernel.cl:2: #include");
	refused("// a comment\\\n goes on\n#include <x>", "kernel.cl:3: #include");
	refused("#inc\\\nlude <x>", "kernel.cl:1: #include");
	refused("#inc\\ \t\nlude <x>", "#include");
	refused("#\\\r\ninclude <x>", "#include");
	refused("%:include <x>", "#include");
	refused("\?\?=include <x>", "#include");
	refused("#inc\?\?/\nlude <x>", "#include");
	refused("#include_next <x>", "#include_next");
	refused("#import <x>", "#import");
	refused("#embed <x>", "#embed");
	refused("#define X </etc/shadow>\n#include X\n", "kernel.cl:2: #include");
	refused("char c = '\"';\n#include <x>", "kernel.cl:2: #include");
	refused("char *s = \"/*\";\n#include <x>", "kernel.cl:2: #include");
	refused("char c = '\\'';\n#include <x>", "#include");
	refused("#define A '\n#include <x>", "#include");
	refused("#include \"apir_kernel.h.evil\"", "#include");
	refused("#if 0 /*\n*/\n#endif\n#include <x>", "kernel.cl:4: #include");
}

static void
test_include_harmless(void **state)
{
	(void)state;
	accepted("int include;\n", "int include;\n");
	accepted("#define include 1\n", "#define include 1\n");
	accepted("/*\n#include <x>\n*/ int a;", "/*\n#include <x>\n*/ int a;");
	accepted("// #include <x>\nint a;", "// #include <x>\nint a;");
	accepted("char *s = \"\\\n#include\";", "char *s = \"\\\n#include\";");
	accepted("#includes\n", "#includes\n"); /* the compiler's business */
	/* Our own header is there already: what asks for it becomes blanks, lines stay. */
	accepted("#include \"apir_kernel.h\"\nint a;", "                        \nint a;");
	accepted("#include <apir/apir_kernel.h> // x\nint a;",
		 "                                  \nint a;");
	accepted("int a;\n # include \\\n<apir_kernel.h>\nint b;",
		 "int a;\n            \n               \nint b;");
}

static void
test_text(void **state)
{
	char *s;

	(void)state;
	accepted("\xc3\xa9 \f\v\r\n", "\xc3\xa9 \f\v\r\n"); /* comments may be in any language */
	refused("a\nb\001", "kernel.cl:2: byte 0x01 at offset 3");
	refused("a\177", "not a text");
	s = ocl_source_copy("a\0b", 3, &err);
	assert_null(s);
	assert_text(err.text, "byte 0x00 at offset 1");
	s = ocl_source_copy("ab\0\0", 4, &err); /* a C string's end is no part of it */
	assert_string_equal(s, "ab");
	free(s);
	refused("", "empty");
	refused("\n \t", "empty");
}

static void
test_options(void **state)
{
	static const char *const good[] = {"",
					   "  ",
					   "-DA",
					   "-DA=1 -D B=2\t-U C",
					   "-cl-std=CL3.0 -cl-fast-relaxed-math -w -Werror -g",
					   "-DX=APIR_Y"};
	static const char *const bad[] = {"-I/etc",	      "-I /etc",
					  "-include x",	      "x.c",
					  "-DAPIR_MODE_RAW",  "-D APIR_MODE_RAW",
					  "-UAPIR_MODE_BASE", "-DA=\"b c\"",
					  "-D 'A'",	      "-D",
					  "-D -I/etc",	      "-wx",
					  "-x spir",	      "-DA \\"};

	(void)state;
	for (unsigned int i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_status(APIR_S_OK, ocl_options_check(good[i], &err), err);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err.text[0] = '\0';
		if (ocl_options_check(bad[i], &err) != APIR_S_INVAL)
			fail_msg("accepted: %s", bad[i]);
		assert_text(err.text, "option");
	}
}

static void
test_type_sizes(void **state)
{
	(void)state;
	assert_int_equal(ocl_type_size("uint"), 4);
	assert_int_equal(ocl_type_size("char"), 1);
	assert_int_equal(ocl_type_size("ulong"), 8);
	assert_int_equal(ocl_type_size("half2"), 4);
	assert_int_equal(ocl_type_size("float3"), 16);
	assert_int_equal(ocl_type_size("double16"), 128);
	assert_int_equal(ocl_type_size("uchar4"), 4);
	assert_int_equal(ocl_type_size("uint5"), 0);
	assert_int_equal(ocl_type_size("uint4x"), 0);
	assert_int_equal(ocl_type_size("struct pair"), 0);
	assert_int_equal(ocl_type_size("intptr"), 0);
	assert_int_equal(ocl_type_size(""), 0);
}

static void
test_signatures(void **state)
{
	static const char text[] = "kernel 2 alpha\narg 1 x uint*\narg 0 p struct pair of two\n"
				   "kernel 0 beta\n";
	static const char *const broken[] = {
		"kernel",
		"kernel 1 a\n",
		"kernel 1 a\narg 9 x uint\n",
		"kernel 1 a\narg 0 x uint",
		"kernel 99999 a\n",
		"arg 0 x uint\n",
		"kernel 0 a\nkernel",
		"kernel 0 a b\n",
	};
	struct ocl_sigs sigs;
	char *again;

	(void)state;
	assert_int_equal(ocl_sigs_unpack(text, &sigs), 0);
	assert_int_equal(sigs.nb, 2);
	assert_string_equal(sigs.kernel[0].name, "alpha");
	assert_int_equal(sigs.kernel[0].nb_args, 2);
	assert_string_equal(sigs.kernel[0].arg[1].type, "struct pair of two");
	assert_int_equal(sigs.kernel[0].arg[0].kind, OCL_ARG_BUFFER);
	again = ocl_sigs_pack(&sigs);
	assert_string_equal(again, text);
	free(again);
	ocl_sigs_free(&sigs);
	assert_int_equal(ocl_sigs_unpack("", &sigs), 0);
	assert_int_equal(sigs.nb, 0);
	ocl_sigs_free(&sigs);
	for (unsigned int i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		if (ocl_sigs_unpack(broken[i], &sigs) != -1)
			fail_msg("accepted: %s", broken[i]);
}

static void
shut(const char *source, const char *expected)
{
	char *s = strdup(source);

	assert_non_null(s);
	assert_int_equal(ocl_source_shut(s), 0);
	assert_string_equal(s, expected);
	free(s);
}

/* A directive that becomes an error, in as much room. */
static void
shut_line(const char *directive)
{
	char source[128], expected[128];

	snprintf(source, sizeof(source), "int x;\n%s\nint y;", directive);
	snprintf(expected, sizeof(expected), "int x;\n%-*s\nint y;", (int)strlen(directive),
		 "#error");
	shut(source, expected);
}

/* Whole OpenCL programs: headers by their names stay, nothing else is read. */
static void
test_source_shut(void **state)
{
	(void)state;
	shut("#include \"a/b.h\"\n#include <c.h>\nint x;",
	     "#include \"a/b.h\"\n#include <c.h>\nint x;");
	shut("// #include \"/x\"\n\"#include /x\"\n", "// #include \"/x\"\n\"#include /x\"\n");
	shut_line("#include \"/etc/shadow\"");
	shut_line("# /**/ include </etc/shadow>");
	shut_line("#include \"a/../../x\"");
	shut_line("#include \"..\"");
	shut_line("#include MACRO");
	shut_line("%:include </x>");
	shut_line("?"
		  "?=include </x>");
	shut_line("#embed \"/x\"");
	shut_line("#import \"/x\"");
	shut_line("#include_next </x>");
	/* no room for a word on the first line */
	shut("#inc\\\nlude \"/x\"\n", "     \n         \n");
	assert_true(ocl_header_name_ok("a/..b/c.h"));
	assert_false(ocl_header_name_ok(""));
	assert_false(ocl_header_name_ok("/a"));
	assert_false(ocl_header_name_ok("../a"));
	assert_false(ocl_header_name_ok("a/.."));
	assert_false(ocl_header_name_ok("a\\b"));
}

static void
test_options_shut(void **state)
{
	static const char *const good[][2] = {
		{"", ""},
		{"-I /etc -DA -I. -cl-std=CL1.2", "        -DA     -cl-std=CL1.2"},
		{"-D A=1 -U B -w -g -Werror", "-D A=1 -U B -w -g -Werror"},
		{"-DS=\"a b\" -cl-kernel-arg-info", "-DS=\"a b\" -cl-kernel-arg-info"},
		{"-x spir -spir-std=1.2", "-x spir -spir-std=1.2"},
		{"-create-library -enable-link-options", "-create-library -enable-link-options"},
		{"-I", "  "},
	};
	static const char *const bad[] = {"-include /etc/shadow",
					  "-isystem/etc",
					  "@/etc/shadow",
					  "x",
					  "-Xclang -load",
					  "-DX=\"a -include /etc/x\"",
					  "-D -I/etc",
					  "-x @/f",
					  "-x -include",
					  "-i",
					  "-wx",
					  "-DX=1 /etc/x"};
	char *s;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		s = strdup(good[i][0]);
		assert_non_null(s);
		if (!ocl_options_shut(s))
			fail_msg("refused: %s", good[i][0]);
		assert_string_equal(s, good[i][1]);
		free(s);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		s = strdup(bad[i]);
		assert_non_null(s);
		if (ocl_options_shut(s))
			fail_msg("taken: %s", bad[i]);
		free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_include_refused),
		cmocka_unit_test(test_include_harmless),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_source_shut),
		cmocka_unit_test(test_options_shut),
		cmocka_unit_test(test_type_sizes),
		cmocka_unit_test(test_signatures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
