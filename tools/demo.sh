#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# Everything from nothing, on one machine: builds apir, records real traffic, and routes it with an OpenCL kernel.
set -euo pipefail

usage() {
	cat <<-EOT
	usage: sudo tools/demo.sh [--keep DIR] [--no-deps] [--help]

	Installs the Debian packages apir needs (tools/deps.sh), reserves hugepages while it
	runs, builds in build/, records about 6,000 real packets (tools/capture.sh), starts
	apird, and routes them with examples/l3fwd-gpu: the OpenCL kernel works on the packets
	in place, and each result is compared with the CPU's. Then it counts, with tcpdump,
	what came out of each port. Nothing is left running.

	  --keep DIR   leave captures, rule files and logs in DIR
	  --no-deps    install nothing
	EOT
}

keep='' deps=1
while [ $# -gt 0 ]; do
	case $1 in
	--keep) keep=${2:?demo.sh: --keep needs a folder}; shift ;;
	--no-deps) deps= ;;
	-h | --help) usage; exit 0 ;;
	*) echo "demo.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
	esac
	shift
done
fail() { echo "demo.sh: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "must run as root (packages, hugepages, network namespaces): sudo tools/demo.sh"
export PATH=$PATH:/usr/sbin:/sbin
[ -z "$keep" ] || { mkdir -p "$keep"; keep=$(realpath "$keep"); }
cd "$(dirname "$0")/.."
# shellcheck source=lib.sh
. tools/lib.sh

start=$SECONDS
say() { printf '%3ds  %s\n' $((SECONDS - start)) "$*"; }
apird=''
tmp=$(mktemp -d)
dir=${keep:-$tmp}
cleanup() {
	if [ -n "$apird" ]; then
		kill "$apird" 2>/dev/null || true
		wait "$apird" 2>/dev/null || true
	fi
	hugepages_put
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [ -n "$deps" ]; then
	say "packages (tools/deps.sh)"
	tools/deps.sh | sed 's/^/      /'
fi
say "hugepages: 256 of 2 MiB while this runs"
hugepages_get 256
say "build (build/)"
build_dir build -Db_sanitize=none || { build_errors build; fail "the build failed, see build/build.log"; }
say "real traffic: ping, curl, DNS and iperf3 between two network namespaces (tools/capture.sh)"
tools/capture.sh "$dir" | sed 's/^/      /'

say "apird"
export POCL_CACHE_DIR=$PWD/build/test-cache/pocl XDG_CACHE_HOME=$PWD/build/test-cache
mkdir -p "$POCL_CACHE_DIR"
build/backend/apird --socket-path "$tmp/apird.sock" >"$dir/apird.log" 2>&1 &
apird=$!
for ((i = 0; i < 300; i++)); do
	grep -qs "$tmp/apird.sock" /proc/net/unix && break
	kill -0 $apird 2>/dev/null || { cat "$dir/apird.log"; apird=''; fail "apird did not start"; }
	sleep 0.1
done

say "l3fwd-gpu --verify: the clients' packets come in at port 0, the servers' at port 1"
rm -f "$dir"/port?.pcap "$dir/l3fwd.json"
timeout 300 build/examples/l3fwd-gpu/l3fwd-gpu --in-memory --single-file-segments --no-pci --no-telemetry -m 256 -l 0 \
	--vdev "net_pcap0,rx_pcap=$dir/clients.pcap,tx_pcap=$dir/port0.pcap" \
	--vdev "net_pcap1,rx_pcap=$dir/servers.pcap,tx_pcap=$dir/port1.pcap" \
	--vdev "net_pcap2,tx_pcap=$dir/port2.pcap" --vdev "net_pcap3,tx_pcap=$dir/port3.pcap" \
	-- --path "$tmp/apird.sock" --rule_ipv4 "$dir/routes4.cfg" --rule_ipv6 "$dir/routes6.cfg" --verify \
	--exit-on-idle 1000 --stats-period 0 --json "$dir/l3fwd.json" >"$dir/l3fwd.log" 2>&1 ||
	{ rc=$?; tail -n 40 "$dir/l3fwd.log"; fail "l3fwd-gpu ended with code $rc"; }
kill $apird
rc=0
wait $apird || rc=$?
apird=''
[ $rc = 0 ] || { cat "$dir/apird.log"; fail "apird ended with code $rc"; }

# What must come out of each port, by tcpdump's filters on what went in: a second opinion that shares no code with apir.
sed '/^EAL: /d; s/^/      /' "$dir/l3fwd.log"
say "what went where, counted by tcpdump"
count() { tcpdump -nr "$@" 2>/dev/null | wc -l; }
fwd4='ether[0] & 1 = 0 and ip[8] > 1'
fwd6='ether[0] & 1 = 0 and ip6[7] > 1 and not src net fe80::/10'
nets4=(10.1.0.0/16 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24)
nets6=(2001:db8:1::/48 2001:db8:80::/64 2001:db8:53::/64 2001:db8:203::/64)
names=(clients web DNS bulk)
ok=1 in_all=0 out_all=0
in_of=("$(count "$dir/clients.pcap")" "$(count "$dir/servers.pcap")" 0 0)
printf '\n      %-4s  %-8s %-36s %7s %9s %7s\n' port to "prefixes" in "must go" out
for p in 0 1 2 3; do
	must=$(($(count "$dir/capture.pcap" "ip dst net ${nets4[p]} and $fwd4") +
		$(count "$dir/capture.pcap" "ip6 dst net ${nets6[p]} and $fwd6")))
	out=$(count "$dir/port$p.pcap")
	printf '      %-4s  %-8s %-36s %7s %9s %7s\n' $p "${names[p]}" "${nets4[p]}, ${nets6[p]}" "${in_of[p]}" $must "$out"
	[ "$out" = $must ] || ok=
	in_all=$((in_all + in_of[p])) out_all=$((out_all + out))
done
printf '      %-50s %7s %9s %7s\n\n' "all (the rest was dropped, see above)" $in_all "" $out_all
[ -n "$ok" ] || fail "what came out is not what the rules say; run again with --keep DIR and look"

# Zero copy, by apird's own count, and the comparison with the CPU.
zero=$(sed -n 's/.*\(OpenCL device .*zero copy yes\).*/\1/p' "$dir/apird.log" | head -n 1)
copied=$(sed -n 's/.* ended: .* \([0-9]*\) packet bytes copied.*/\1/p' "$dir/apird.log" | head -n 1)
verified=$(sed -n 's/.*"verified":\([0-9]*\).*/\1/p' "$dir/l3fwd.json")
mismatches=$(sed -n 's/.*"mismatches":\([0-9]*\).*/\1/p' "$dir/l3fwd.json")
echo "      device       ${zero:-no zero copy: $(grep -m1 'OpenCL device' "$dir/apird.log" || true)}"
echo "      copied       ${copied:-unknown number of} bytes of packets"
echo "      verified     ${verified:-0} packets against the CPU, byte for byte: ${mismatches:-?} mismatches"
echo
if [ -z "$zero" ] || [ "$copied" != 0 ]; then
	fail "packets were copied; see apird's log (--keep DIR)"
fi
[ "$mismatches" = 0 ] || fail "the OpenCL kernel and the CPU do not agree"
[ "$verified" = $in_all ] || fail "$in_all packets went in and $verified were verified"
say "done: the OpenCL kernel routed $in_all real packets with no copy, and the CPU agrees with every one"
