#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# exports.sh LIBRARY: an ICD driver exports what loaders ask for and nothing else, or a program's own symbols would be taken for its; and
# it does not need a loader.
set -eu
got=$(nm -D --defined-only "$1" | awk '{ print $3 }' | sort | tr '\n' ' ')
want="clGetExtensionFunctionAddress clIcdGetPlatformIDsKHR "
[ "$got" = "$want" ] || { echo "exported: $got"; exit 1; }
if readelf -d "$1" | grep NEEDED | grep OpenCL; then
	exit 1
fi
