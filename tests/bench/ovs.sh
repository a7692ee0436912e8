#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# Rates of Open vSwitch with a GPU port against a ring in its place: JSON lines and table.
set -euo pipefail

usage() {
	cat <<-EOT
	usage: sudo tests/bench/ovs.sh [options] [-- options of tests/bench/ovs/measure.py]

	net_null -> net_apir -> net_null in an Open vSwitch of its own, with one PMD thread,
	and the same with net_ring in the place of net_apir: in turn, in one ovs-vswitchd.
	Writes ovs.json, and puts the table into performance.md beside its folder. Takes about
	three minutes; use a quiet machine with two cores. Exit code 1 if the GPU port without
	a kernel does not reach 0.8 of the ring's rate, or if bytes or counters are wrong.

	  --build DIR   build folder, made if it is not there (default: a temporary one)
	  --out DIR     where the results go (default: doc/performance)
	  --help        this text (of measure.py: tests/bench/ovs/measure.py --help)
	EOT
}

fail() { echo "ovs.sh: $*" >&2; exit 1; }
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/doc/performance
build='' tmp=''
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=${2:?ovs.sh: --build needs a folder}; shift 2 ;;
	--out) out=${2:?ovs.sh: --out needs a folder}; shift 2 ;;
	--) shift; break ;;
	-h | --help) usage; exit 0 ;;
	*) echo "ovs.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
	esac
done
[ "$(id -u)" = 0 ] || fail "must run as root (hugepages, network namespace): sudo tests/bench/ovs.sh"
# shellcheck source=../../tools/lib.sh
. "$root/tools/lib.sh"
cleanup() {
	hugepages_put
	[ -z "$tmp" ] || rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [ -z "$build" ]; then
	tmp=$(mktemp -d)
	build=$tmp
fi
[ -e "$build/build.ninja" ] || meson setup "$build" "$root" >/dev/null
ninja -C "$build" backend/apird drivers/vdev_apir/librte_net_apir.so >/dev/null
hugepages_get 384

mkdir -p "$out"
rc=0
# A network namespace of its own: OVS makes interfaces for its bridges.
unshare --net "$root/tests/bench/ovs/measure.py" --build "$build" --check 0.8 "$@" >"$out/ovs.json.new" || rc=$?
if [ "$rc" != 0 ] && [ "$rc" != 3 ]; then # 3: all was measured, and is too slow
	rm -f "$out/ovs.json.new"
	fail "measure.py ended with code $rc"
fi
mv "$out/ovs.json.new" "$out/ovs.json"
"$root/tests/bench/ovs/table.py" "$out/ovs.json"
doc=$out/../performance.md
if [ -e "$doc" ]; then
	"$root/tests/bench/ovs/table.py" --command "tests/bench/ovs.sh${*:+ -- $*}" "$out/ovs.json" "$doc"
fi
echo "ovs.sh: results are in $out"
[ "$rc" = 0 ]
