#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# Open vSwitch with a GPU port, shown with real traffic: an OpenCL kernel classifies, OpenFlow steers by class. See usage().
set -euo pipefail

usage() {
	cat <<-EOT
	usage: sudo tools/ovs-demo.sh [--keep DIR] [--build DIR] [--no-deps] [--help]

	Installs the Debian packages apir needs (tools/deps.sh), reserves hugepages while it
	runs, builds in build/, and starts an apird and an Open vSwitch of its own (a service
	that runs is left alone) between two network namespaces:

	  clients ---- br0 ==== two wires, express and bulk ==== servers
	                |
	          gpu: the kernel tells the class of each packet in a VLAN tag

	ping, curl and iperf3 talk through it, and datagrams that the kernel must drop. All
	counters are printed and compared: tcpdump's on the wires, OpenFlow's, the port's and
	apird's. Exit code 0 says that they agree. Nothing is left running.

	  --keep DIR    leave logs, flows, kernel and captures in DIR
	  --build DIR   use that build folder, as it is (default: build/, brought up to date)
	  --no-deps     install nothing
	EOT
}

keep='' deps=1 build=
while [ $# -gt 0 ]; do
	case $1 in
	--keep) keep=${2:?ovs-demo.sh: --keep needs a folder}; shift ;;
	--build) build=${2:?ovs-demo.sh: --build needs a folder}; shift ;;
	--no-deps) deps= ;;
	-h | --help) usage; exit 0 ;;
	*) echo "ovs-demo.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
	esac
	shift
done
fail() { echo "ovs-demo.sh: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "must run as root (packages, hugepages, network namespaces): sudo tools/ovs-demo.sh"
export PATH=$PATH:/usr/sbin:/sbin
[ -z "$keep" ] || { mkdir -p "$keep"; keep=$(realpath "$keep"); }
[ -z "$build" ] || build=$(realpath -e "$build") || exit 2
cd "$(dirname "$0")/.."
# shellcheck source=lib.sh
. tools/lib.sh

vswitchd=/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk
schema=/usr/share/openvswitch/vswitch.ovsschema
start=$SECONDS
say() { printf '%3ds  %s\n' $((SECONDS - start)) "$*"; }
tmp=$(mktemp -d)
dir=${keep:-$tmp}
sw=apir-switch-$$ cli=apir-clients-$$ srv=apir-servers-$$
dumps=()
pids=() # all that was started
# end PID...: as kill; what has not ended after five seconds is killed.
end() {
	local p i
	kill "$@" 2>/dev/null || true
	for p; do
		for ((i = 0; i < 50; i++)); do
			kill -0 "$p" 2>/dev/null || break
			sleep 0.1
		done
		kill -9 "$p" 2>/dev/null || true
		wait "$p" 2>/dev/null || true
	done
}
cleanup() {
	local rc=$? n
	trap '' INT TERM
	[ ${#pids[@]} = 0 ] || end "${pids[@]}"
	for n in $cli $srv $sw; do
		ip netns del "$n" 2>/dev/null || true
	done
	hugepages_put
	[ $rc = 0 ] || [ $rc = 130 ] || [ -n "$keep" ] || echo "ovs-demo.sh: run it with --keep DIR to look at logs and captures" >&2
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
# await WHAT SECONDS COMMAND...: until the command succeeds.
await() {
	local what=$1 i n=$(($2 * 10))
	shift 2
	for ((i = 0; i < n; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	fail "$what: not after $((n / 10)) s"
}

if [ -n "$deps" ]; then
	say "packages (tools/deps.sh)"
	tools/deps.sh | sed 's/^/      /'
fi
for tool in $vswitchd $schema; do
	[ -e "$tool" ] || fail "$tool is missing: run tools/deps.sh (package openvswitch-switch-dpdk)"
done
for tool in ip ethtool tcpdump ping curl python3 iperf3 ovs-vsctl ovsdb-server; do
	command -v $tool >/dev/null || fail "'$tool' is missing: run tools/deps.sh"
done
say "hugepages: 384 of 2 MiB while this runs"
hugepages_get 384
if [ -z "$build" ]; then
	build=$PWD/build
	say "build (build/)"
	build_dir build -Db_sanitize=none || { build_errors build; fail "the build failed, see build/build.log"; }
fi

# What the GPU port does. OpenFlow could tell ports by itself; it cannot look for a word anywhere in a packet.
say "apird, and an Open vSwitch of our own in the namespace $sw"
signature=EICAR-APIR-DEMO
printf %s "$signature" >"$dir/signature"
cat >"$dir/classify.cl" <<'EOT'
/* Class 1: web. Class 2: bulk. Class 0: all else. Dropped, reason 1: UDP with the signature in it. */
__kernel void classify(APIR_BURST, __global const uchar *signature, uint signature_len)
{
	const uint i = apir_index();
	if (i >= apir_count()) return;
	__global const uchar *p = apir_data(i);
	const uint len = apir_len(i);
	if (len < 42 || p[12] != 0x08 || p[13] != 0x00 || p[14] != 0x45) return;
	const uint src = (uint)p[34] << 8 | p[35], dst = (uint)p[36] << 8 | p[37];

	if (p[23] == 6) {
		apir_forward(i, src == 80 || dst == 80 ? 1 : src == 5201 || dst == 5201 ? 2 : 0);
	} else if (p[23] == 17) {
		for (uint at = 42; at + signature_len <= len; at++) {
			uint same = 0;
			while (same < signature_len && p[at + same] == signature[same]) same++;
			if (same == signature_len) { apir_drop(i, 1); return; }
		}
	}
}
EOT

export POCL_CACHE_DIR=$build/test-cache/pocl XDG_CACHE_HOME=$build/test-cache
mkdir -p "$POCL_CACHE_DIR"
"$build/backend/apird" --socket-path "$tmp/apird.sock" >"$dir/apird.log" 2>&1 &
pids+=($!)

# A switch in a folder and a network namespace of its own: it meets neither interfaces nor a switch of the machine.
ip netns add $sw 2>"$dir/error" || fail "cannot create a network namespace: $(cat "$dir/error")"
ip netns add $cli
ip netns add $srv
ip -n $sw link set lo up
export OVS_RUNDIR=$tmp OVS_DBDIR=$tmp OVS_LOGDIR=$dir OVS_SYSCONFDIR=$tmp
ovsdb-tool create "$tmp/conf.db" $schema
ovsdb-server "$tmp/conf.db" "--remote=punix:$tmp/db.sock" "--unixctl=$tmp/ovsdb.ctl" >"$dir/ovsdb.log" 2>&1 &
pids+=($!)
vsctl() { ovs-vsctl --timeout=30 "--db=unix:$tmp/db.sock" "$@"; }
ofctl() { ovs-ofctl -O OpenFlow14 --timeout=10 "$1" "unix:$tmp/br0.mgmt" "${@:2}"; }
await "ovsdb-server" 10 test -S "$tmp/db.sock"
vsctl --no-wait init
vsctl --no-wait set Open_vSwitch . other_config:dpdk-init=true other_config:per-port-memory=true \
	other_config:pmd-maxsleep=100 \
	other_config:dpdk-extra="-d librte_net_apir.so --no-pci --in-memory --single-file-segments --no-telemetry"
LD_LIBRARY_PATH=$build/drivers/vdev_apir:$build/lib/librte_apir ip netns exec $sw $vswitchd "unix:$tmp/db.sock" \
	"--unixctl=$tmp/vswitchd.ctl" "--pidfile=$tmp/vswitchd.pid" >"$dir/vswitchd.log" 2>&1 &
vswitchd_pid=$!
pids+=("$vswitchd_pid")
vsctl add-br br0 -- set bridge br0 datapath_type=netdev fail_mode=secure ||
	{ tail -n 20 "$dir/vswitchd.log"; fail "ovs-vswitchd did not take the bridge"; }

# Wires: in a namespace they are eth0 and eth1, the switch's ends have the ports' names.
climac=02:00:00:00:01:01 srvmac=02:00:00:00:02:01
ofport=1
wire() {
	local port=$1 ns=$2 dev=$3 mac=$4 at d
	ip -n $sw link add "$port" type veth peer name "$dev" address "$mac" netns "$ns"
	for at in "$sw $port" "$ns $dev"; do
		read -r n d <<<"$at"
		# Whole packets as a wire carries them, and only those we send.
		ip netns exec "$n" ethtool -K "$d" tx off tso off gso off gro off rxvlan off txvlan off >/dev/null
		ip netns exec "$n" sysctl -qw "net.ipv6.conf.$d.disable_ipv6=1"
	done
	ip -n $sw link set "$port" up
	vsctl add-port br0 "$port" -- set Interface "$port" type=dpdk ofport_request=$ofport \
		options:dpdk-devargs="net_af_packet$ofport,iface=$port,blocksz=4096,framesz=2048,framecnt=8192"
	ofport=$((ofport + 1))
}
wire clients $cli eth0 $climac
wire express $srv eth0 $srvmac
wire bulk $srv eth1 $srvmac
vsctl add-port br0 gpu -- set Interface gpu type=dpdk ofport_request=10 options:dpdk-devargs="net_apir0,path=$tmp/apird.sock,\
wait_ms=20000,kernel=$dir/classify.cl,args=[file:$dir/signature,u32:${#signature}],verdict_vlan=100"
error=$(vsctl --columns=name,error --format=csv --no-headings find Interface 'error!=[]')
[ -z "$error" ] || { grep -vE '\|(INFO|DBG)\|' "$dir/vswitchd.log" | tail -n 20; fail "port $error"; }

cat >"$dir/flows" <<EOT
# who is where: round the GPU
priority=30,arp,in_port=clients,actions=output:express
priority=30,arp,in_port=express,actions=output:clients
# all else: through it
priority=20,in_port=clients,actions=output:gpu
priority=20,in_port=express,actions=output:gpu
# what comes back has its class as a VLAN: 100 + the kernel's port verdict
priority=10,in_port=gpu,dl_vlan=100,dl_dst=$srvmac,actions=strip_vlan,output:express
priority=10,ip,in_port=gpu,dl_vlan=101,dl_dst=$srvmac,actions=strip_vlan,mod_nw_tos:184,output:express
priority=10,in_port=gpu,dl_vlan=102,dl_dst=$srvmac,actions=strip_vlan,output:bulk
priority=10,in_port=gpu,dl_vlan=100,dl_dst=$climac,actions=strip_vlan,output:clients
priority=10,in_port=gpu,dl_vlan=101,dl_dst=$climac,actions=strip_vlan,output:clients
priority=10,in_port=gpu,dl_vlan=102,dl_dst=$climac,actions=strip_vlan,output:clients
EOT
ovs-ofctl -O OpenFlow14 --timeout=10 replace-flows "unix:$tmp/br0.mgmt" "$dir/flows"

for at in "$cli eth0" "$srv eth0" "$srv eth1"; do
	read -r ns dev <<<"$at"
	ip netns exec "$ns" sysctl -qw net.ipv4.conf.all.rp_filter=0 "net.ipv4.conf.$dev.rp_filter=0"
	ip -n "$ns" link set "$dev" up # no address yet: nothing is sent
	ip netns exec "$ns" tcpdump -Z root -i "$dev" -s 0 -B 32768 -w "$dir/$ns.$dev.pcap" 2>"$dir/$ns.$dev.log" &
	pids+=($!)
	dumps+=($!)
done
for at in "$cli.eth0" "$srv.eth0" "$srv.eth1"; do
	await "tcpdump" 10 grep -q 'listening on' "$dir/$at.log"
done
ip -n $srv link set lo up
ip -n $srv addr add 10.1.0.80/24 dev eth0
ip -n $cli addr add 10.1.0.10/24 dev eth0

say "traffic: ping, curl, iperf3, and 20 datagrams with the word $signature"
mkdir "$tmp/www"
cp -L /bin/ls "$tmp/www/file"
ip netns exec $srv python3 -m http.server --bind 10.1.0.80 --directory "$tmp/www" 80 >"$dir/http.log" 2>&1 &
pids+=($!)
ip netns exec $srv iperf3 --server --one-off --bind 10.1.0.80 >"$dir/iperf3-server.log" 2>&1 &
pids+=($!)
in_cli() { timeout --foreground 30 ip netns exec $cli "$@"; }
listens() { ip netns exec $srv bash -c "exec 3<>/dev/tcp/10.1.0.80/80" && ip netns exec $srv ss -ltn | grep -q :5201; }
await "the servers" 10 listens
in_cli ping -q -c 20 -i 0.02 -W 5 10.1.0.80 >"$dir/ping.log" || fail "ping has no answer"
for ((i = 0; i < 5; i++)); do
	in_cli curl -sS -o "$tmp/file" http://10.1.0.80/file || fail "curl: no file"
	cmp "$tmp/file" "$tmp/www/file" || fail "curl: the file is not what the server has"
done
in_cli iperf3 --client 10.1.0.80 --bytes 4M --window 256K >"$dir/iperf3.log" 2>&1 || { cat "$dir/iperf3.log"; fail "iperf3 failed"; }
dropped=20
# shellcheck disable=SC2016 # the other bash is to expand it
in_cli bash -c 'exec 3>/dev/udp/10.1.0.80/9; for ((i = 0; i < $2; i++)); do printf "%d: %s" $i "$1" >&3; done' - "$signature" $dropped

# Four accounts of the same packets: the wires' (tcpdump), OpenFlow's, the GPU port's, apird's.
counter() { ofctl dump-ports "$1" | grep -oP "$2" | head -n 1; }
tx() { counter "$1" '\btx pkts=\K\d+'; }
rx() { counter "$1" '\brx pkts=\K\d+'; }
flows() { ofctl dump-aggregate "$1" | grep -oP 'packet_count=\K\d+'; }
quiet() {
	local at now
	for at in clients express bulk gpu; do
		now+="$(rx $at) $(tx $at) "
	done
	now+="$(flows table=0)"
	[ "$now" = "${before:-}" ] || { before=$now; return 1; }
}
sleep 0.5
await "an end of the traffic" 20 eval 'quiet && sleep 1 && quiet'
end "${dumps[@]}"
for at in "$cli.eth0" "$srv.eth0" "$srv.eth1"; do
	grep -q '^0 packets dropped by kernel' "$dir/$at.log" || fail "tcpdump lost packets: $(grep dropped "$dir/$at.log")"
done
ofctl dump-ports >"$dir/ports.log"
ofctl dump-flows >"$dir/flows.log"
gpu_tx=$(tx gpu) gpu_rx=$(rx gpu)
gpu_dropped=$(counter gpu 'rx_verdict_dropped=\K\d+') reason_1=$(counter gpu 'rx_reason_1_dropped=\K\d+')
all_rx=$(($(rx clients) + $(rx express) + $(rx bulk))) all_tx=$(($(tx clients) + $(tx express) + $(tx bulk)))
arp=$(flows arp)

wrong=0
# same A B WHAT: two counters must be equal.
same() { [ "$1" = "$2" ] || { echo "      $3: $1 and $2" >&2; wrong=$((wrong + 1)); }; }
seen() { tcpdump -nr "$dir/$1.pcap" "ether src $2 and ip and ($3)" 2>/dev/null | wc -l; }
what=("ping" "web, marked EF" "bulk" "signature")
filter=("not (tcp port 80 or tcp port 5201 or udp dst port 9)" "tcp port 80" "tcp port 5201" "udp dst port 9")
printf '\n      %-24s %6s %9s %9s   arrived at %8s %8s %8s\n' "packets" VLAN sent OpenFlow express bulk clients
sum=0
for c in 0 1 2 3; do
	f=${filter[c]}
	sent=$(($(seen "$cli.eth0" $climac "$f") + $(seen "$srv.eth0" $srvmac "$f") + $(seen "$srv.eth1" $srvmac "$f")))
	express=$(seen "$srv.eth0" $climac "$f") bulk=$(seen "$srv.eth1" $climac "$f") clients=$(seen "$cli.eth0" $srvmac "$f")
	steered=0 vlan=-
	[ $c = 3 ] || vlan=$((100 + c)) steered=$(flows "in_port=gpu,dl_vlan=$((100 + c))")
	printf '      %-24s %6s %9d %9d              %8d %8d %8d\n' "class $c: ${what[c]}" $vlan "$sent" "$steered" "$express" "$bulk" "$clients"
	same "$steered" $((express + bulk + clients)) "class $c, by OpenFlow and on the wires"
	sum=$((sum + steered))
	case $c in
	3) same "$sent" $dropped "datagrams with the signature, and those that were meant"
		same "$sent" "$gpu_dropped" "packets the kernel must drop, and dropped" ;;
	2) same "$express" 0 "bulk on the express wire, and none"; same "$sent" "$steered" "class $c, sent and arrived" ;;
	*) same "$bulk" 0 "class $c on the bulk wire, and none"; same "$sent" "$steered" "class $c, sent and arrived" ;;
	esac
	[ "$sent" -gt 0 ] || { echo "      class $c: no packets" >&2; wrong=$((wrong + 1)); }
done
same "$(seen "$srv.eth0" $climac "tcp port 80 and ip[1] = 184")" "$(seen "$srv.eth0" $climac "tcp port 80")" "web marked by OpenFlow, and web"
printf '\n'
row() { printf '      %-50s %9d\n' "$1" "$2"; }
row "switch: received from the wires" $all_rx
row "  of these ARP, which goes round the GPU" "$arp"
row "port gpu: sent to the kernel" "$gpu_tx"
row "  received from it with a class" "$gpu_rx"
row "  dropped by it (rx_verdict_dropped)" "$gpu_dropped"
row "    for reason 1 (rx_reason_1_dropped)" "$reason_1"
row "switch: sent to the wires" $all_tx
same "$gpu_tx" $((all_rx - arp)) "port gpu, sent; received from the wires without ARP"
same "$gpu_tx" $((gpu_rx + gpu_dropped)) "port gpu: sent; received and dropped"
same "$gpu_dropped" "$reason_1" "dropped by the kernel; for reason 1"
same "$gpu_rx" $sum "port gpu, received; steered by OpenFlow"
same $all_tx $((sum + arp)) "sent to the wires; steered and ARP"

ovs-appctl --timeout=10 -t "$tmp/vswitchd.ctl" exit --cleanup
rc=0
wait $vswitchd_pid || rc=$?
[ $rc = 0 ] || fail "ovs-vswitchd ended with code $rc"
await "apird's totals" 10 grep -q 'session 1 .* ended:' "$dir/apird.log"
apird=$(sed -n 's/.* ended: .* \([0-9]*\) packets, .*/\1/p' "$dir/apird.log" | head -n 1)
copied=$(sed -n 's/.* ended: .* \([0-9]*\) packet bytes copied.*/\1/p' "$dir/apird.log" | head -n 1)
row "apird: packets" "$apird"
row "  bytes of packets copied" "$copied"
same "$apird" "$gpu_tx" "apird's packets; port gpu, sent"
grep -q 'OpenCL device .*zero copy yes' "$dir/apird.log" && same "$copied" 0 "bytes copied, and none"
echo
[ $wrong = 0 ] || fail "$wrong counters do not agree"
say "done: $gpu_tx packets through the GPU port, steered by OpenFlow in 3 classes, $gpu_dropped dropped by the kernel; all counters agree"
