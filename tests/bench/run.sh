#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# All figures of doc/performance.md from one run: JSON lines, table, plot.
set -euo pipefail

usage() {
	cat <<-EOT
	usage: sudo tests/bench/run.sh [options] [-- apir-bench options]

	Builds apir as by default, runs apir-bench --check, writes bench.json, bench.txt and bench.svg,
	and puts the figures into performance.md beside their folder. Takes about two minutes; use a quiet machine.
	Exit code 1 if something that must be reached is missed.

	  --build DIR   build folder, made if it is not there (default: a temporary one)
	  --out DIR     where the results go (default: doc/performance)
	  --help        this text
	EOT
}

root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/doc/performance
build=
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=${2:?run.sh: --build needs a folder}; shift 2 ;;
	--out) out=${2:?run.sh: --out needs a folder}; shift 2 ;;
	--) shift; break ;;
	-h | --help) usage; exit 0 ;;
	*) echo "run.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
	esac
done
[ "$(id -u)" = 0 ] || { echo "run.sh: must run as root (hugepages): sudo tests/bench/run.sh" >&2; exit 1; }

if [ -z "$build" ]; then
	build=$(mktemp -d)
	trap 'rm -rf "$build"' EXIT
fi
[ -e "$build/build.ninja" ] || meson setup "$build" "$root" >/dev/null
ninja -C "$build" tests/bench/apir-bench backend/apird >/dev/null

mkdir -p "$out"
rc=0
"$build/tests/bench/apir-bench" --check --json="$out/bench.json" "$@" | tee "$out/bench.txt" || rc=$?
"$root/tests/bench/plot.py" "$out/bench.json" "$out/bench.svg"
doc=$out/../performance.md
if [ -e "$doc" ]; then
	"$root/tests/bench/table.py" --command "apir-bench --check${*:+ $*}" "$out/bench.json" "$doc"
fi
echo "run.sh: results are in $out"
exit "$rc"
