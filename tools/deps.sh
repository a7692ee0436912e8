#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# Installs what apir needs to build, run and test on Debian 12: packages, and the driver headers of DPDK that
# libdpdk-dev leaves out (taken from the source package of exactly the installed version).
set -euo pipefail

usage() {
	cat <<-EOT
	usage: sudo tools/deps.sh [--sdk-dir DIR] [--help]

	Installs the Debian packages apir builds, runs and tests with, and DPDK's driver
	headers where the installed DPDK has none. Safe to run again: what is there stays.

	  --sdk-dir DIR   where the driver headers go (default /usr/local/include/apir-dpdk-sdk)
	EOT
}

sdk=/usr/local/include/apir-dpdk-sdk
while [ $# -gt 0 ]; do
	case $1 in
	--sdk-dir) sdk=${2:?deps.sh: --sdk-dir needs a folder}; shift 2 ;;
	-h | --help) usage; exit 0 ;;
	*) echo "deps.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
	esac
done
[ "$(id -u)" = 0 ] || { echo "deps.sh: must run as root (packages are installed): sudo tools/deps.sh" >&2; exit 1; }

packages=(
	# build
	build-essential meson ninja-build pkg-config git dpkg-dev xz-utils
	libdpdk-dev libbsd-dev libmd-dev libpcap-dev libnuma-dev ocl-icd-opencl-dev opencl-c-headers libtirpc-dev rpcsvc-proto libcmocka-dev
	# run
	dpdk dpdk-dev pocl-opencl-icd clinfo libhugetlbfs-bin
	# test and document
	clang libclang-rt-14-dev clang-format doxygen shellcheck iproute2 tcpdump tcpreplay python3 procps
	iputils-ping curl ethtool dnsmasq-base iperf3
	librte-net-pcap23 oclgrind valgrind
	qemu-system-x86 busybox-static cpio kmod
	openvswitch-switch-dpdk librte-net-af-packet23
)
missing=()
for p in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
	echo "deps.sh: installing ${missing[*]}"
	# Open vSwitch brings a service that nobody asked for: the tests start their own. A policy that is there stays as it is.
	policy=/usr/sbin/policy-rc.d
	deny=('#!/bin/sh' '# tools/deps.sh of apir: no service starts while it installs' 'exit 101')
	trap 'exit 130' INT TERM
	if [ ! -L $policy ] && (set -C && printf '%s\n' "${deny[@]}" >$policy) 2>/dev/null; then
		trap 'rm -f $policy' EXIT
		chmod 755 $policy
	fi
	ovs_was=$(dpkg-query -W -f '${db:Status-Status}' openvswitch-switch 2>/dev/null || true)
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update
	apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null
	if [ "$ovs_was" != installed ]; then
		# Neither now, should the machine's own policy have let it, nor at the next boot.
		service openvswitch-switch stop >/dev/null 2>&1 || true
		update-rc.d openvswitch-switch disable >/dev/null 2>&1 || true
	fi
	[ -z "$(trap -p EXIT)" ] || rm -f $policy
	trap - EXIT INT TERM
fi

# Driver SDK headers: the installed ones where DPDK was built with -Denable_driver_sdk=true.
dpdk_inc=$(pkg-config --variable=includedir libdpdk)
version=$(pkg-config --modversion libdpdk)
if [ -e "$dpdk_inc/ethdev_vdev.h" ] || [ -e "$dpdk_inc/dpdk/ethdev_vdev.h" ]; then
	echo "deps.sh: DPDK $version has its driver headers installed"
	exit 0
fi
# All of them: an earlier apir needed fewer.
if [ "$(cat "$sdk/VERSION" 2>/dev/null || true)" = "$version" ] && [ -e "$sdk/bus_pci_driver.h" ]; then
	echo "deps.sh: driver headers of DPDK $version are in $sdk"
	exit 0
fi

# apt state of our own, with deb-src lines made from the machine's own sources: nothing of the machine's changes.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/lists/partial" "$tmp/parts"
for f in /etc/apt/sources.list.d/*.sources; do
	[ -e "$f" ] || continue
	sed 's/^Types:.*/Types: deb-src/' "$f" >"$tmp/parts/$(basename "$f")"
done
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
	[ -e "$f" ] || continue
	sed -n 's/^deb\(-src\)\?\([[:space:]]\)/deb-src\2/p' "$f" | sort -u >"$tmp/parts/$(basename "${f%.list}").list"
done
apt=(apt-get -qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$tmp/parts" -o "Dir::State::Lists=$tmp/lists"
	-o APT::Sandbox::User=root)
package_version=$(dpkg-query -W -f '${source:Version}' libdpdk-dev)
"${apt[@]}" update
(cd "$tmp" && "${apt[@]}" source --download-only "dpdk=$package_version" >/dev/null)
tar -C "$tmp" -xf "$tmp"/dpdk_*.orig.tar.xz
src=$(echo "$tmp"/dpdk-*/)
mkdir -p "$sdk"
install -m 644 "$src/lib/ethdev/ethdev_driver.h" "$src/lib/ethdev/ethdev_vdev.h" "$src/lib/eal/include/dev_driver.h" \
	"$src/drivers/bus/vdev/bus_vdev_driver.h" "$src/drivers/bus/pci/bus_pci_driver.h" "$sdk/"
echo "$version" >"$sdk/VERSION"
echo "deps.sh: driver headers of DPDK $version installed in $sdk"
