# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# What demo.sh and test.sh share; sourced, not run. The caller defines fail().

hp_dir=/sys/kernel/mm/hugepages/hugepages-2048kB
hp_before=
hp_mounted=

# hugepages_get N: N free 2 MiB pages and a hugetlbfs mount, for as long as the script runs.
hugepages_get() {
	local want=$1 free total now
	[ -d $hp_dir ] || fail "this kernel has no 2 MiB hugepages"
	free=$(cat $hp_dir/free_hugepages)
	total=$(cat $hp_dir/nr_hugepages)
	if [ "$free" -lt "$want" ]; then
		hp_before=$total
		hugeadm --pool-pages-min "2MB:$((total + want - free))" >/dev/null 2>&1 ||
			echo $((total + want - free)) 2>/dev/null >$hp_dir/nr_hugepages || true
		now=$(cat $hp_dir/free_hugepages)
		[ "$now" -ge "$want" ] || fail "$want hugepages of 2 MiB are needed and the machine has $now free of" \
			"$(cat $hp_dir/nr_hugepages): free memory ($((want * 2)) MiB), or reserve them at boot with hugepages=$want"
	fi
	if ! awk '$3 == "hugetlbfs" && $4 !~ /pagesize=1/ { found = 1 } END { exit !found }' /proc/mounts; then
		mkdir -p /dev/hugepages
		mount -t hugetlbfs -o pagesize=2M none /dev/hugepages || fail "cannot mount hugetlbfs on /dev/hugepages"
		hp_mounted=/dev/hugepages
	fi
}

# hugepages_put: what hugepages_get changed, back as it was.
hugepages_put() {
	if [ -n "$hp_mounted" ]; then
		umount "$hp_mounted" 2>/dev/null || true
		hp_mounted=
	fi
	if [ -n "$hp_before" ]; then
		hugeadm --pool-pages-min "2MB:$hp_before" >/dev/null 2>&1 ||
			echo "$hp_before" 2>/dev/null >$hp_dir/nr_hugepages || true
		hp_before=
	fi
}

# build_dir DIR OPTION...: configure (again, if it exists) and compile; the log stays in DIR/build.log.
# Extra environment (CC=clang) goes before the call.
build_dir() {
	local dir=$1 log
	shift
	mkdir -p "$dir"
	log=$dir/build.log
	if [ -e "$dir/build.ninja" ]; then
		meson setup --reconfigure "$dir" "$@" >"$log" 2>&1 || meson setup --wipe "$dir" "$@" >"$log" 2>&1 || return 1
	else
		meson setup "$dir" "$@" >"$log" 2>&1 || return 1
	fi
	ninja -C "$dir" >>"$log" 2>&1
}

# build_errors DIR: what matters of its build.log.
build_errors() {
	grep -E '(^|[: ])(error|ERROR|fatal error):|^FAILED|undefined reference' "$1/build.log" | head -n 30 || tail -n 30 "$1/build.log"
}
