#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# Makes the guest of the virtual machine tests from Debian's packages; see usage().
set -euo pipefail

usage() {
	cat <<-EOT
	usage: tests/vm/mkguest.sh [--help] [DIR]

	Makes in DIR (default build/vm-guest) what tests/vm/vm.py boots:
	  vmlinuz     kernel of Debian's linux-image-cloud-amd64, downloaded, not installed
	  guest.cpio  initramfs: busybox, modules, dpdk-testpmd with its libraries and drivers
	What is there and still right stays: it then takes a moment. Our own programs are not in
	it: vm.py adds them at each boot.
	EOT
}

case ${1:-} in
-h | --help) usage; exit 0 ;;
-*) echo "mkguest.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../build/vm-guest}
fail() { echo "mkguest.sh: $*" >&2; exit 1; }

# In this order: what vfio-pci needs comes first.
modules=(uio uio_pci_generic vfio vfio_iommu_type1 vfio-pci virtio_pci virtio_net virtiofs virtio_blk)
drivers=(bus_pci bus_vdev mempool_ring net_virtio net_null net_pcap net_ring)

for tool in busybox cpio depmod dpkg-deb apt-get dpdk-testpmd; do
	command -v "$tool" >/dev/null || fail "$tool is missing: run tools/deps.sh"
done
# update_once: newer package lists, and all over again.
update_once() {
	[ -z "${MKGUEST_UPDATED:-}" ] && apt-get -qq update && MKGUEST_UPDATED=1 exec "$0" "$out"
}
image=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }')
[ -n "$image" ] || update_once || fail "apt knows no linux-image-cloud-amd64: run apt-get update"
release=${image#linux-image-}

mkdir -p "$out"
out=$(cd "$out" && pwd)
want=$({
	cat "$0" "$here/init"
	apt-cache show --no-all-versions "$image" | grep -E '^(Version|SHA256):'
	dpkg-query -W busybox-static dpdk 'librte-*23' libc6 libpcap0.8 libtirpc3
} | sha256sum)
if [ "$(cat "$out/made-from" 2>/dev/null || true)" = "$want" ] && [ -s "$out/vmlinuz" ] && [ -s "$out/guest.cpio" ]; then
	exit 0
fi

tmp=$(mktemp -d "$out/making.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
echo "mkguest.sh: downloading $image"
# The lists may be older than the archive.
(cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download "$image") || { rm -rf "$tmp" && update_once; } ||
	fail "$image cannot be downloaded"
dpkg-deb -x "$tmp/$image"_*.deb "$tmp/k"

root=$tmp/root
mkdir -p "$root"/usr/{bin,sbin,lib/x86_64-linux-gnu,lib64} "$root"/{proc,sys,dev,run,tmp,root,var,etc}
# Debian's merged /usr: a library that is found by two names is loaded twice.
for d in bin sbin lib lib64; do
	ln -s "usr/$d" "$root/$d"
done
ln -s /run "$root/var/run"

# copy FILE: and, if it is a link, what it leads to, by the same names.
copy() {
	local f=$1 to
	while :; do
		f=$(readlink -f "${f%/*}")/${f##*/}
		[ -d "$root${f%/*}" ] || mkdir -p "$root${f%/*}"
		[ -e "$root$f" ] || [ -L "$root$f" ] || cp -a "$f" "$root$f"
		[ -L "$f" ] || return 0
		to=$(readlink "$f")
		case $to in
		/*) f=$to ;;
		*) f=${f%/*}/$to ;;
		esac
	done
}
# libraries FILE...: of these programs and libraries.
libraries() { ldd "$@" | sed -n 's/.* => \(\/[^ ]*\).*/\1/p' | sort -u; }

# shellcheck disable=SC2046 # words
pmds=$(echo '#include <rte_config.h>
RTE_EAL_PMD_PATH' | cc -E -P $(pkg-config --cflags libdpdk) - | tail -n 1 | tr -d '"')
[ -d "$pmds" ] || fail "DPDK's plugin folder '$pmds' is not there"
# What librte_apir and l3fwd-gpu need beside what testpmd does.
libs=$(ldconfig -p | awk '$1 ~ /^lib(tirpc|rte_lpm|rte_hash|rte_rcu|rte_fib|rte_rib)\.so\.[0-9.]+$/ && /x86-64/ { print $NF }')
files=(/usr/bin/dpdk-testpmd /lib64/ld-linux-x86-64.so.2)
for d in "${drivers[@]}"; do
	for f in "$pmds/librte_$d".so*; do
		files+=("$f")
	done
done
# shellcheck disable=SC2086 # words
for f in "${files[@]}" $libs $(libraries "${files[@]}" $libs); do
	copy "$f"
done
# Debian's links to the drivers: by these names they find each other.
for f in "$root$pmds"/*.so.*; do
	copy "/usr/lib/x86_64-linux-gnu/$(basename "$f")"
done
cp "$(command -v busybox)" "$root/usr/bin/busybox"
busybox --install -s "$root/usr/bin"
install -m 755 "$here/init" "$root/init"

depmod -b "$tmp/k" "$release"
for m in "${modules[@]}"; do
	modprobe -d "$tmp/k" -S "$release" --show-depends "$m"
done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r m; do
	install -D -m 644 "$m" "$root/usr/lib/modules/$release/${m#"$tmp/k/lib/modules/$release/"}"
done
cp "$tmp/k/lib/modules/$release"/modules.{order,builtin} "$root/usr/lib/modules/$release/"
depmod -b "$root/usr" "$release" 2>/dev/null

(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$tmp/guest.cpio"
rm -f "$out/made-from"
mv "$tmp/guest.cpio" "$out/guest.cpio"
cp "$tmp/k/boot/vmlinuz-$release" "$tmp/vmlinuz"
mv "$tmp/vmlinuz" "$out/vmlinuz"
echo "$want" >"$out/made-from"
echo "mkguest.sh: $out: kernel $release, initramfs of $(($(stat -c %s "$out/guest.cpio") >> 20)) MiB"
