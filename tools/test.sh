#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# Installs what is needed, builds, and runs every test; see usage().
set -uo pipefail

usage() {
	cat <<-EOT
	usage: sudo tools/test.sh [--quick] [--no-deps] [--help]

	Installs the packages (tools/deps.sh), reserves hugepages while it runs, builds in
	build/ and build-asan/, and runs all tests: style, unit and integration tests plain and
	under AddressSanitizer and UndefinedBehaviorSanitizer, virtual machines (QEMU without
	KVM, Debian's kernel), fuzzers for a short while, documentation, installation, the
	README's example and the demos. The last line is "N passed, N failed, N skipped"; the
	exit code is 0 if nothing failed.

	  --quick     no sanitizer builds, no fuzzers
	  --no-deps   install nothing

	Environment: APIR_TEST_SLOW=N multiplies the tests' time limits.
	EOT
}

quick='' deps=1
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=1 ;;
	--no-deps) deps= ;;
	-h | --help) usage; exit 0 ;;
	*) echo "test.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
	esac
	shift
done
cd "$(dirname "$0")/.." || exit 1
fail() { echo "test.sh: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "must run as root (packages, hugepages, network namespaces): sudo tools/test.sh"
# shellcheck source=lib.sh
. tools/lib.sh

export APIR_REQUIRE_HUGEPAGES=1 APIR_REQUIRE_VM=1
export APIR_TEST_RUN=$$-$RANDOM-$RANDOM # marks every process of this run
hugepages=1024
start=$SECONDS
passed=0 failed=0 skipped=0
results=()
tmp=$(mktemp -d)
cleanup() {
	local p
	for p in "${building[@]}"; do
		kill -- "-$p" 2>/dev/null || true
	done
	hugepages_put
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
export TMPDIR=$tmp/t # what the tests leave there is found
mkdir "$TMPDIR"

say() { printf '%4ds  %s\n' $((SECONDS - start)) "$*"; }
# account NAME PASSED FAILED SKIPPED
account() {
	passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
	results+=("$(printf '%-34s %6d %6d %7d' "$1" "$2" "$3" "$4")")
}
# step NAME COMMAND...: one case; its output shows when it fails.
step() {
	local name=$1
	shift
	say "$name"
	if "$@" >"$tmp/step.log" 2>&1; then
		account "$name" 1 0 0
	else
		tail -n 60 "$tmp/step.log" | sed 's/^/      /'
		say "$name: FAILED"
		account "$name" 0 1 0
		return 1
	fi
}
# build_later DIR OPTION...: as build_dir, in the background and behind everything else: tests wait more than they work.
declare -A building=()
build_later() {
	set -m # a process group of its own, so that cleanup can end all of it
	(renice -n 19 $BASHPID >/dev/null && build_dir "$@") &
	building[$1]=$!
	set +m
}
# The guest of the virtual machine tests, made in the same way: a download and much waiting.
guest_later() {
	set -m
	(renice -n 19 $BASHPID >/dev/null && tests/vm/mkguest.sh build/vm-guest) >"$tmp/guest.log" 2>&1 &
	building[guest]=$!
	set +m
}
guest() {
	local rc=0
	wait "${building[guest]}" || rc=$?
	unset 'building[guest]'
	cat "$tmp/guest.log"
	return $rc
}
# build NAME DIR [OPTION...]: as build_dir, one case; waits for a build_later of DIR.
build() {
	local name=$1 dir=$2 ok=1
	shift 2
	say "$name"
	if [ -n "${building[$dir]:-}" ]; then
		wait "${building[$dir]}" || ok=
		unset "building[$dir]"
	else
		build_dir "$dir" "$@" || ok=
	fi
	if [ -n "$ok" ]; then
		account "$name" 1 0 0
	else
		build_errors "$dir" | sed 's/^/      /'
		say "$name: FAILED, see $dir/build.log"
		account "$name" 0 1 0
		return 1
	fi
}
# suite NAME DIR SUITE...: meson's tests, counted case by case.
suite() {
	local name=$1 dir=$2 s args=() counts
	shift 2
	for s; do
		args+=(--suite "$s")
	done
	say "$name"
	rm -f "$dir/meson-logs/testlog.json"
	timeout 1500 meson test -C "$dir" --no-rebuild --print-errorlogs "${args[@]}" 2>&1 |
		grep --line-buffered -vE '^$|^(ninja|Full log|Expected Fail|Unexpected Pass|Ok|Fail|Skipped|Timeout):' |
		sed -u 's/^/      /'
	if [ ! -s "$dir/meson-logs/testlog.json" ]; then
		say "$name: no test ran"
		account "$name" 0 1 0
		return
	fi
	tools/testlog.py "$dir/meson-logs/testlog.json" >"$tmp/counts"
	head -n -1 "$tmp/counts" | sed 's/^/      /'
	read -r -a counts < <(tail -n 1 "$tmp/counts")
	account "$name" "${counts[@]}"
}

hugetlb_files() { awk '$3 == "hugetlbfs" { print $2 }' /proc/mounts | xargs -r -I{} find {} -type f 2>/dev/null | sort; }
# Files in hugetlbfs that no process maps, and were not there before.
orphan_hugepages() {
	local f
	comm -13 "$tmp/huge.before" <(hugetlb_files) | while read -r f; do
		grep -qsF "$f" /proc/[0-9]*/maps || echo "hugepage file left: $f"
	done
}
left_behind() {
	local p
	for p in /proc/[0-9]*; do
		[ "${p#/proc/}" = $$ ] && continue
		if tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -qx "APIR_TEST_RUN=$APIR_TEST_RUN"; then
			# Not our own shells.
			case $(tr '\0' ' ' <"$p/cmdline") in
			*test.sh* | "") ;;
			*) echo "process left: ${p#/proc/} $(tr '\0' ' ' <"$p/cmdline")" ;;
			esac
		fi
	done 2>/dev/null
	orphan_hugepages
	find "$TMPDIR" -mindepth 1 | sed 's/^/file left: /'
	ip netns list 2>/dev/null | awk '/^apir-/ { print "network namespace left: " $1 }' |
		comm -13 "$tmp/netns.before" -
}
# What was just told to end has five seconds.
nothing_left() {
	local what i
	for ((i = 0; i < 10; i++)); do
		what=$(left_behind)
		[ -n "$what" ] || return 0
		sleep 0.5
	done
	echo "$what"
	return 1
}

if [ -n "$deps" ]; then
	say "packages (tools/deps.sh)"
	tools/deps.sh | sed 's/^/      /'
	[ "${PIPESTATUS[0]}" = 0 ] || fail "tools/deps.sh failed"
fi
hugepages_get $hugepages
hugetlb_files >"$tmp/huge.before"
ip netns list 2>/dev/null | awk '/^apir-/ { print "network namespace left: " $1 }' | sort >"$tmp/netns.before"

say "style (tools/check-style.sh)"
tools/check-style.sh | sed 's/^/      /' | tee "$tmp/style"
read -r -a counts < <(sed -n 's/.*style: \([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped/\1 \2 \3/p' "$tmp/style")
[ ${#counts[@]} = 3 ] || counts=(0 1 0)
account "style" "${counts[@]}"

documentation() {
	rm -rf build-doc
	meson setup build-doc -Ddocs=true && ninja -C build-doc doc/html
}
step "documentation (doxygen)" documentation

plain=''
if build "build (build/)" build -Db_sanitize=none; then
	plain=1
	guest_later
	suite "unit tests" build unit
fi
if [ -z "$quick" ]; then
	build_later build-asan -Db_sanitize=address,undefined -Db_lundef=false
	CC=clang build_later build-fuzz -Dfuzz=true
fi
if [ -n "$plain" ]; then
	suite "integration tests" build integration
	if step "guest image (tests/vm/mkguest.sh)" guest; then
		suite "virtual machines" build vm
	fi
	step "installation (tests/run_install)" tests/run_install build
	step "demo (tools/demo.sh)" tools/demo.sh --no-deps
	step "demo with Open vSwitch (tools/ovs-demo.sh)" tools/ovs-demo.sh --no-deps --build build
fi
if [ -z "$quick" ]; then
	if build "build with sanitizers (build-asan/)" build-asan; then
		suite "unit tests, sanitizers" build-asan unit
		suite "integration tests, sanitizers" build-asan integration
		[ -z "$plain" ] || suite "virtual machines, sanitizers" build-asan vm-sanitizers
	fi
	if build "build fuzzers, with clang (build-fuzz/)" build-fuzz; then
		suite "fuzzers" build-fuzz fuzz
	fi
fi
step "nothing left behind" nothing_left

echo
printf '%-34s %6s %6s %7s\n' "" passed failed skipped
printf '%s\n' "${results[@]}"
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
