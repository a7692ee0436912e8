#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# rpcgen.sh MODE IN OUT: run rpcgen from IN's folder (it copies the path into #include lines otherwise).
set -e
mode=$1
in=$(basename "$2")
out=$(realpath -m "$3")
cd "$(dirname "$2")"
rm -f "$out"
exec rpcgen -N -M "$mode" -o "$out" "$in"
