#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# Runs a test on oclgrind's simulated device, which finds kernels that read or write where they should not, race, or use
# what was never written. usage: oclgrind.sh TEST [ARGUMENT...]
set -eu

command -v oclgrind >/dev/null || { echo "skipped: oclgrind is not installed" >&2; exit 77; }
icd=$(find "$(dirname "$(command -v oclgrind)")/../lib" -name liboclgrind-rt-icd.so | head -n 1)
[ -n "$icd" ] || { echo "skipped: oclgrind comes without liboclgrind-rt-icd.so" >&2; exit 77; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export OCL_ICD_VENDORS="$icd" OCLGRIND_LOG="$log" OCLGRIND_CHECK_API=1 OCLGRIND_DATA_RACES=1
# Leaks are looked for on the other devices: oclgrind's own threads stop the leak checker at times.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
"$@"
if [ -s "$log" ]; then
	cat "$log" >&2
	exit 1
fi
