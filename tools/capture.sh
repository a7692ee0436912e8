#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# Records real traffic: ping, curl, the resolver and iperf3 talk over a veth pair between two network namespaces, IPv4
# and IPv6, and tcpdump writes down what passes. See usage().
set -euo pipefail

usage() {
	cat <<-EOT
	usage: sudo tools/capture.sh [--help] DIR

	Records about 6,000 real packets, IPv4 and IPv6, in about 7 seconds, and writes to DIR:

	  capture.pcap   all of it
	  clients.pcap   what the clients sent
	  servers.pcap   what the servers sent
	  routes4.cfg    rules that fit, in the format of DPDK's l3fwd:
	  routes6.cfg    clients to port 0, web to 1, DNS to 2, bulk to 3

	Needs root, and the packages that tools/deps.sh installs.
	EOT
}

out=
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	-*) echo "capture.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
	*) out=$1; shift ;;
	esac
done
[ -n "$out" ] || { usage >&2; exit 2; }
fail() { echo "capture.sh: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "must run as root (network namespaces): sudo tools/capture.sh $out"
export PATH=$PATH:/usr/sbin:/sbin
for tool in ip ethtool tcpdump ping curl python3 dnsmasq iperf3; do
	command -v $tool >/dev/null || fail "'$tool' is missing: run tools/deps.sh"
done
mkdir -p "$out"
out=$(realpath "$out")

cli=apir-cli-$$
srv=apir-srv-$$
tmp=$(mktemp -d)
pids=()
cleanup() {
	local p
	for p in "${pids[@]}"; do
		kill "$p" 2>/dev/null || true
	done
	for p in "${pids[@]}"; do
		wait "$p" 2>/dev/null || true
	done
	ip netns del $cli 2>/dev/null || true
	ip netns del $srv 2>/dev/null || true
	rm -rf "$tmp" /etc/netns/$cli /etc/netns/$srv
	rmdir /etc/netns 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Waits up to 10 s for a command to succeed.
await() {
	local what=$1 i
	shift
	for ((i = 0; i < 100; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	fail "$what is not ready after 10 s"
}

web4=192.0.2.80 dns4=198.51.100.53 bulk4=203.0.113.7
web6=2001:db8:80::80 dns6=2001:db8:53::53 bulk6=2001:db8:203::7
ip netns add $cli 2>"$tmp/err" || fail "cannot create a network namespace: $(cat "$tmp/err")"
ip netns add $srv
ip -n $cli link add c0 address 02:00:00:00:01:01 type veth peer name s0 address 02:00:00:00:02:01 netns $srv
# Whole packets as a wire carries them: no segmentation offload, checksums filled in.
for pair in "$cli c0" "$srv s0"; do
	read -r ns dev <<<"$pair"
	ip netns exec "$ns" ethtool -K "$dev" tx off tso off gso off gro off >/dev/null
	# Addresses are ours alone: no need to wait for duplicate address detection.
	ip netns exec "$ns" sysctl -qw "net.ipv6.conf.$dev.accept_dad=0"
	ip -n "$ns" link set lo up
done
for a in 10.1.0.10/24 10.1.1.20/24 2001:db8:1::10/64 2001:db8:1:1::20/64; do
	ip -n $cli addr add "$a" dev c0
done
for a in $web4/24 $dns4/24 $bulk4/24 100.64.9.9/24 $web6/64 $dns6/64 $bulk6/64; do
	ip -n $srv addr add "$a" dev s0
done

ip -n $cli link set c0 up
ip -n $srv link set s0 up
for family in -4 -6; do
	ip -n $cli $family route add default dev c0
	ip -n $srv $family route add default dev s0
done

ip netns exec $cli tcpdump -Z root -i c0 -s 0 -w "$out/capture.pcap" 2>"$tmp/tcpdump.log" &
dump=$!
pids+=("$dump")
await tcpdump grep -q 'listening on' "$tmp/tcpdump.log"

in_cli() { timeout 20 ip netns exec $cli "$@"; }
# Servers: web, DNS, bulk.
# Nobody here asks the machine's own name server.
mkdir -p /etc/netns/$cli /etc/netns/$srv
echo "nameserver $dns4" | tee /etc/netns/$cli/resolv.conf >/etc/netns/$srv/resolv.conf
mkdir "$tmp/www"
cp /usr/share/common-licenses/GPL-3 "$tmp/www/page.txt" 2>/dev/null || cp /bin/ls "$tmp/www/page.txt"
cp -L /bin/bash "$tmp/www/file.bin"
ip netns exec $srv dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file= \
	--bind-interfaces --listen-address=$dns4 --listen-address=$dns6 \
	--address=/example.net/$web4 --address=/example.net/$web6 >"$tmp/dnsmasq.log" 2>&1 &
pids+=($!)
for a in $web4 $web6; do
	ip netns exec $srv python3 -m http.server --bind "$a" --directory "$tmp/www" 80 >/dev/null 2>&1 &
	pids+=($!)
done
for a in $bulk4 $bulk6; do
	ip netns exec $srv iperf3 --server --bind "$a" >"$tmp/iperf3.log" 2>&1 &
	pids+=($!)
done

await "the IPv6 path" in_cli ping -6 -c 1 -W 1 $web6
await "the web server" in_cli curl -sf -o /dev/null "http://$web4/page.txt"
await "the IPv6 web server" in_cli curl -sf -o /dev/null "http://[$web6]/page.txt"
for a in 10.1.0.10 10.1.1.20; do
	in_cli ping -q -c 3 -i 0.2 -I $a $web4 >/dev/null
done
in_cli ping -q -6 -c 3 -i 0.2 -I 2001:db8:1:1::20 $bulk6 >/dev/null
in_cli ping -q -c 3 -i 0.2 -s 4000 $bulk4 >/dev/null                # IPv4 fragments
in_cli ping -q -c 3 -i 0.2 -t 1 $dns4 >/dev/null                    # their time to live ends at the router
in_cli ping -q -6 -c 3 -i 0.2 -t 1 $dns6 >/dev/null
in_cli ping -q -c 3 -i 0.2 100.64.9.9 >/dev/null                    # no rule leads there
for a in $dns4 $dns6; do
	echo "nameserver $a" >/etc/netns/$cli/resolv.conf
	for name in www mail ftp shop; do
		in_cli getent ahosts $name.example.net >/dev/null || fail "the name server at $a does not answer"
	done
done
echo "nameserver $dns6" >/etc/netns/$cli/resolv.conf
for family in -4 -6; do
	in_cli curl -sf $family -o /dev/null http://www.example.net/page.txt
	in_cli curl -sf $family -o /dev/null http://www.example.net/file.bin
done
in_cli curl -sf --interface 10.1.1.20 -o /dev/null "http://$web4/page.txt"
for a in $bulk4 $bulk6; do
	in_cli iperf3 --client "$a" --bytes 1M >/dev/null || fail "iperf3 to $a failed"
	in_cli iperf3 --client "$a" --udp --bitrate 8M --bytes 500K --length 1200 >/dev/null || fail "iperf3 to $a failed"
done

kill -INT $dump
wait $dump || fail "tcpdump failed: $(cat "$tmp/tcpdump.log")"
grep -q '^0 packets dropped by kernel' "$tmp/tcpdump.log" || fail "tcpdump lost packets: $(tail -n 1 "$tmp/tcpdump.log")"
tcpdump -Z root -r "$out/capture.pcap" -w "$out/clients.pcap" ether src 02:00:00:00:01:01 2>/dev/null
tcpdump -Z root -r "$out/capture.pcap" -w "$out/servers.pcap" ether src 02:00:00:00:02:01 2>/dev/null

cat >"$out/routes4.cfg" <<-EOT
	# what tools/capture.sh recorded: clients, web, DNS, bulk
	R10.1.0.0/16 0
	R192.0.2.0/24 1
	R198.51.100.0/24 2
	R203.0.113.0/24 3
EOT
cat >"$out/routes6.cfg" <<-EOT
	# what tools/capture.sh recorded: clients, web, DNS, bulk
	R2001:0db8:0001:0000:0000:0000:0000:0000/48 0
	R2001:0db8:0080:0000:0000:0000:0000:0000/64 1
	R2001:0db8:0053:0000:0000:0000:0000:0000/64 2
	R2001:0db8:0203:0000:0000:0000:0000:0000/64 3
EOT
count() { tcpdump -r "$out/capture.pcap" "$@" 2>/dev/null | wc -l; }
v4=$(count ip)
v6=$(count ip6)
echo "capture.sh: $(count) packets recorded: $v4 IPv4, $v6 IPv6, $(count arp) ARP"
if [ "$v4" -lt 1000 ] || [ "$v6" -lt 1000 ]; then
	fail "that is too few"
fi
