#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# apir on an NVIDIA GPU against the same kernels launched through CUDA's driver API: see usage.
set -euo pipefail

usage() {
	cat <<-EOT
	usage: tests/bench/gpu.sh --pack DIR [--build DIR]
	       sudo tests/bench/gpu.sh [--quick] [--out FOLDER] [--bundle DIR] [options]

	The first form, on a machine that builds apir, puts all that the second needs into DIR: programs, kernels and
	shared libraries, but glibc, the OpenCL loader and NVIDIA's. The second runs on the machine with the GPU, which needs
	the driver, an OpenCL loader, python3 and bash; in eight minutes at most, with --quick in two. It writes
	results.json, table.txt and plot.svg, and puts the machine back as it was.
	Exit code 1 if a run failed or a byte was wrong, 77 if there is no NVIDIA GPU.

	  --pack DIR      build, and put the bundle into DIR
	  --build DIR     build folder, made if it is not there (default: a temporary one)
	  --bundle DIR    what --pack has made (default: build/gpu-bundle)
	  --out FOLDER    where the results go (default: build/gpu-results)
	  --quick         fewer cases and rounds, one and two guests
	  --window PKTS   packets in flight on a queue (default: 8192)
	  --streams N     CUDA streams of the direct side (default: 4)
	  --executor E    apird's (default: auto)
	  --only PARTS    of main,queues,window,guests (default: all)
	  --no-gpu        apir on PoCL and rte_lpm alone: to test the benchmark itself
	  --help          this text
	EOT
}

die() {
	echo "gpu.sh: $1" >&2
	exit "${2:-1}"
}

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/bench/gpu
pack='' build='' bundle=$root/build/gpu-bundle out=$root/build/gpu-results gpu=1
drive=()
while [ $# -gt 0 ]; do
	case $1 in
	--pack) pack=${2:?gpu.sh: --pack needs a folder}; shift 2 ;;
	--build) build=${2:?gpu.sh: --build needs a folder}; shift 2 ;;
	--bundle) bundle=${2:?gpu.sh: --bundle needs a folder}; shift 2 ;;
	--out) out=${2:?gpu.sh: --out needs a folder}; shift 2 ;;
	--window | --streams | --executor | --only) drive+=("$1" "${2:?gpu.sh: $1 needs a value}"); shift 2 ;;
	--quick) drive+=("$1"); shift ;;
	--no-gpu) gpu=0; drive+=("$1"); shift ;;
	-h | --help) usage; exit 0 ;;
	*) echo "gpu.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
	esac
done

tmp='' pages_file=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages pages_before=''
clean() {
	[ -z "$tmp" ] && return
	! mountpoint -q "$tmp/huge" || umount "$tmp/huge" || true
	[ -z "$pages_before" ] || echo "$pages_before" >"$pages_file" || true
	rm -rf "$tmp"
	tmp=''
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
tmp=$(mktemp -d)

# Shared libraries of the files, as "name => path" of ldd, less what belongs to the other machine.
libraries() {
	LD_LIBRARY_PATH=$build/lib/librte_apir ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// {print $1, $3}' | sort -u |
		grep -vE '^(libc|libm|libpthread|libdl|librt|libresolv|libutil|libanl|ld-linux[^.]*|libOpenCL|libcuda|libnvidia[^.]*)\.so'
}

make_bundle() {
	local pmds name path programs
	[ -n "$build" ] || build=$tmp/build
	[ -e "$build/build.ninja" ] || meson setup "$build" "$root" --buildtype=release >"$tmp/log" 2>&1 ||
		{ cat "$tmp/log" >&2; die "meson failed"; }
	ninja -j2 -C "$build" backend/apird examples/l3fwd-gpu/l3fwd-gpu examples/l3fwd-gpu/l3fwd.cl \
		drivers/vdev_apir/librte_net_apir.so tests/bench/apir-gpu-bench >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; die "the build failed"; }
	rm -rf "${pack:?}/bin" "${pack:?}/lib" "${pack:?}/kernels"
	mkdir -p "$pack/bin" "$pack/lib" "$pack/kernels"
	cp "$build/tests/bench/apir-gpu-bench" "$build/backend/apird" "$build/examples/l3fwd-gpu/l3fwd-gpu" "$pack/bin/"
	cp "$here/kernels.cl" "$build/examples/l3fwd-gpu/l3fwd.cl" "$root"/backend/kernel/apir_{table,kernel}.h \
		"$pack/kernels/"
	# What DPDK opens by name; librte_bus_vdev.so.23 comes with librte_net_apir.so. Real files under the names that ldd and -d use: links may not survive the journey.
	pmds=("$(pkg-config --variable=libdir libdpdk)"/dpdk/pmds-*)
	for name in librte_mempool_ring.so librte_net_ring.so librte_net_null.so; do
		[ ! -e "${pmds[0]}/$name" ] || cp -L "${pmds[0]}/$name" "$pack/lib/"
	done
	cp "$build/drivers/vdev_apir/librte_net_apir.so" "$pack/lib/"
	programs=("$pack"/bin/* "$pack"/lib/*.so)
	libraries "${programs[@]}" | while read -r name path; do cp -L "$path" "$pack/lib/$name"; done
	chmod u+w "$pack"/lib/* "$pack"/bin/*
	strip --strip-unneeded "$pack"/lib/* "$pack"/bin/*
	du -sh "$pack"
}

gpu_there() {
	python3 - <<-'EOT'
	import ctypes, sys
	try:
	    cuda = ctypes.CDLL("libcuda.so.1")
	except OSError as error:
	    sys.exit(f"no NVIDIA driver: {error}")
	count = ctypes.c_int(0)
	rc = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
	if rc or count.value == 0:
	    sys.exit(f"no NVIDIA GPU: libcuda.so.1 says {rc}, {count.value} devices")
	EOT
}

# The images of GPU machines may name other OpenCL platforms first, or not NVIDIA's.
vendors_set() {
	local so
	so=$(ldconfig -p 2>/dev/null | awk '/libnvidia-opencl\.so\.1 .*x86-64/ {print $NF; exit}')
	[ -n "$so" ] || so=$(find /usr /lib /opt -name 'libnvidia-opencl.so.1' 2>/dev/null | head -n 1)
	[ -n "$so" ] || die "no libnvidia-opencl.so.1: the driver was installed without OpenCL" 77
	mkdir "$tmp/vendors"
	echo "$so" >"$tmp/vendors/nvidia.icd"
	export OCL_ICD_VENDORS=$tmp/vendors
}

# hugepages PAGES: so many free ones.
hugepages() {
	local free before
	[ -w "$pages_file" ] || die "$pages_file can't be written: hugepages and root are needed"
	free=$(cat "${pages_file%nr_hugepages}free_hugepages")
	if [ "$free" -lt "$1" ]; then
		before=$(cat "$pages_file")
		pages_before=$before
		echo $((before + $1 - free)) >"$pages_file"
		free=$(cat "${pages_file%nr_hugepages}free_hugepages")
		[ "$free" -ge "$1" ] || die "only $free of $1 hugepages are to be had"
	fi
	mkdir "$tmp/huge"
	mount -t hugetlbfs -o pagesize=2M none "$tmp/huge" || echo "gpu.sh: no hugetlbfs mount: going on without" >&2
}

run_all() {
	local rc=0
	[ "$(id -u)" = 0 ] || die "must run as root (hugepages)"
	[ "$gpu" = 0 ] || gpu_there 2>"$tmp/why" || die "$(cat "$tmp/why")" 77
	chmod -f u+x "$bundle"/bin/* || true # the way here may have lost it
	[ -x "$bundle/bin/apir-gpu-bench" ] || die "no bundle in $bundle: tests/bench/gpu.sh --pack $bundle"
	if [ "$gpu" = 1 ]; then
		vendors_set
		hugepages 1600
	else
		hugepages 700
	fi
	mkdir -p "$out"
	# In the background, so that a signal is handled at once; drive.py ends what it has started.
	python3 "$here/drive.py" --bundle "$bundle" --tmp "$tmp" --out "$out" "${drive[@]}" &
	drive_pid=$!
	trap 'kill -TERM $drive_pid 2>/dev/null || true; wait $drive_pid || true; exit 143' TERM HUP INT
	wait "$drive_pid" || rc=$?
	[ ! -s "$out/lines.json" ] || python3 "$here/report.py" "$out/lines.json" --json "$out/results.json" |
		tee "$out/table.txt" || rc=1
	[ ! -s "$out/results.json" ] || python3 "$here/plot.py" "$out/results.json" "$out/plot.svg" || rc=1
	echo "gpu.sh: results are in $out"
	return "$rc"
}

if [ -n "$pack" ]; then
	make_bundle
else
	run_all
fi
