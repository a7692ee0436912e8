#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# usage: kernel_headers.sh CLANG FOLDER: compiles FOLDER/examples/*.cl behind FOLDER/apir_kernel.h.
set -eu
clang=$1
cd "$2"
for mode in RAW BASE STAGED; do
	for std in CL1.2 CL2.0 CL3.0; do
		for file in examples/*.cl; do
			"$clang" -x cl "-cl-std=$std" -target spir64 -Xclang -finclude-default-header -fsyntax-only \
				-Wall -Wextra -Wpedantic -Wcast-align -Wshadow -Werror "-DAPIR_MODE_$mode" -I. \
				-include apir_kernel.h "$file" || { echo "$file, $std, mode $mode" >&2; exit 1; }
		done
	done
done
