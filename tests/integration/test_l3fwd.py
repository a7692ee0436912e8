# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""l3fwd-gpu, the router, with real traffic: a capture of real tools, and a ping between two namespaces."""

import ipaddress
import os
import re
import shutil
import struct
import subprocess

import apirtest
import l3fwdtest
from l3fwdtest import ones_sum, read_pcap, write_pcap


def setUpModule():
    l3fwdtest.record()


class Routes:
    """The routes of rule files, and what a router does with a frame: written from the RFCs, for comparison."""

    def __init__(self, *files):
        self.nets = []
        for name in files:
            with open(name, encoding="ascii") as f:
                for line in f:
                    if line.startswith("R"):
                        prefix, port = line[1:].split()[:2]
                        self.nets.append((ipaddress.ip_network(prefix, strict=False), int(port)))
        self.nets.sort(key=lambda n: -n[0].prefixlen)

    def lookup(self, addr):
        for net, port in self.nets:
            if addr.version == net.version and addr in net:
                return port
        return None

    def route(self, frame, macs):
        """(port, frame as sent) or (None, None)."""
        kind = frame[12:14]
        ip = frame[14:]
        if kind == b"\x08\x00":
            src, dst = ipaddress.ip_address(ip[12:16]), ipaddress.ip_address(ip[16:20])
            ok = ones_sum(ip[:(ip[0] & 15) * 4]) == 0xffff and ip[8] > 1
        elif kind == b"\x86\xdd":
            src, dst = ipaddress.ip_address(ip[8:24]), ipaddress.ip_address(ip[24:40])
            ok = ip[7] > 1
        else:
            return None, None
        local = any(a.is_link_local or a.is_loopback or a.is_unspecified for a in (src, dst))
        port = self.lookup(dst)
        if not ok or local or dst.is_multicast or frame[0] & 1 or port is None:
            return None, None
        out = bytearray(frame)
        out[0:12] = bytes([2, 0, 0, 0, 0, port]) + macs[port]
        if kind == b"\x08\x00":
            out[22] -= 1
            out[24:26] = b"\0\0"
            end = 14 + (out[14] & 15) * 4
            out[24:26] = struct.pack(">H", 0xffff - ones_sum(bytes(out[14:end])))
        else:
            out[21] -= 1
        return port, bytes(out)


class Capture(l3fwdtest.TestCase):
    """A capture of real traffic goes through, from file to file."""

    def check_verified(self, rc, out, summary, packets):
        self.assertEqual(rc, 0, out)
        self.assertRegex(out, rf"(?m)^verified {packets} packets, 0 mismatches$")
        self.assertEqual(summary["rx"], packets)
        self.assertEqual(summary["verified"], packets)
        self.assert_nothing_lost(summary)

    def test_verify(self):
        d = self.start_apird()
        rules = self.rules()
        packets = read_pcap(self.cap("capture.pcap"))
        rc, out, s = self.run_to_end(self.pcap_ports([self.cap("capture.pcap")]),
                                     [*rules, "--verify", f"--path={d.sock}"])
        self.check_verified(rc, out, s, len(packets))
        self.assertTrue(s["zero_copy"])
        # What capture.sh has put there to be dropped.
        reasons = self.reasons(s)
        for reason in ("not_ip", "ttl_expired", "no_route"):
            self.assertGreater(reasons[reason], 0, reason)
        self.assertEqual(sum(r["packets"] for r in s["routes"]), s["tx"])
        # Each frame that came out is the one that the RFCs ask for, in order.
        macs = [bytes.fromhex(m.replace(":", "")) for m in re.findall(r"port \d: net_pcap\d, (\S+), MTU", out)]
        routes = Routes(self.out("routes4.cfg"), self.out("routes6.cfg"))
        want = {port: [] for port in range(4)}
        for p in packets:
            port, frame = routes.route(p, macs)
            if port is not None:
                want[port].append(frame)
        for port in range(4):
            got = read_pcap(self.out(f"out{port}.pcap"))
            self.assertEqual(len(got), len(want[port]))
            self.assertTrue(got == want[port], f"port {port}: the frames differ")
            self.assertGreater(len(got), 0)
        self.assertEqual(d.stop(), 0)

    def test_each_way_to_reach_packets(self):
        packets = len(read_pcap(self.cap("clients.pcap")))
        for mode, zero_copy in (("raw", True), ("base", True), ("staged", False)):
            with self.subTest(mode=mode):
                d = self.start_apird(["--copy-mode", mode])
                rc, out, s = self.run_to_end(self.pcap_ports([self.cap("clients.pcap")]),
                                             [*self.rules(), "--verify", f"--path={d.sock}"])
                self.check_verified(rc, out, s, packets)
                self.assertEqual(s["zero_copy"], zero_copy)
                self.assertEqual(d.stop(), 0)

    def test_gpu_and_cpu_write_the_same(self):
        d = self.start_apird()
        inputs = [self.cap("clients.pcap"), self.cap("servers.pcap")]
        rules = self.rules()
        rc, out, gpu = self.run_to_end(self.pcap_ports(inputs, "gpu"), [*rules, f"--path={d.sock}"])
        self.assertEqual(rc, 0, out)
        rc, out, cpu = self.run_to_end(self.pcap_ports(inputs, "cpu"), [*rules, "--cpu"])
        self.assertEqual(rc, 0, out)
        self.assertNotEqual(gpu["device"], "cpu")
        self.assertEqual(cpu["device"], "cpu")
        self.assert_nothing_lost(gpu)
        self.assert_nothing_lost(cpu)
        self.assertEqual(gpu["routes"], cpu["routes"])
        self.assertEqual([p["dropped"] for p in gpu["ports"]], [p["dropped"] for p in cpu["ports"]])
        for port in range(4):
            a = read_pcap(self.out(f"gpu{port}.pcap"))
            b = read_pcap(self.out(f"cpu{port}.pcap"))
            # Two inputs meet in an output port in any order; within an input it is kept.
            for first in (True, False):
                from_a = [p for p in a if self.from_clients(p) == first]
                from_b = [p for p in b if self.from_clients(p) == first]
                self.assertTrue(from_a == from_b, f"port {port}: the frames differ")

    @staticmethod
    def from_clients(frame):
        src = ipaddress.ip_address(frame[26:30] if frame[12:14] == b"\x08\x00" else frame[22:38])
        return src in ipaddress.ip_network("10.1.0.0/16" if src.version == 4 else "2001:db8:1::/48")

    def test_several_lcores_and_queues(self):
        d = self.start_apird()
        ports = [f"--vdev=net_pcap0,rx_pcap={self.cap('clients.pcap')},rx_pcap={self.cap('servers.pcap')},"
                 f"tx_pcap={self.out('a0.pcap')},tx_pcap={self.out('a1.pcap')}"]
        # These have one tx queue for two lcores.
        ports += [f"--vdev=net_pcap{i},tx_pcap={self.out(f'b{i}.pcap')}" for i in (1, 2, 3)]
        packets = len(read_pcap(self.cap("clients.pcap"))) + len(read_pcap(self.cap("servers.pcap")))
        rc, out, s = self.run_to_end(ports, [*self.rules(), "--verify", f"--path={d.sock}",
                                             "--config=(0,0,0),(0,1,1),(1,0,0),(2,0,1),(3,0,1)"], lcores="0-1")
        self.check_verified(rc, out, s, packets)
        self.assertIn("forwarding on 2 lcores", out)
        written = sum(len(read_pcap(self.out(n))) for n in ("a0.pcap", "a1.pcap", "b1.pcap", "b2.pcap", "b3.pcap"))
        self.assertEqual(written, s["tx"])

    def test_small_bursts_and_one_in_flight(self):
        d = self.start_apird()
        packets = len(read_pcap(self.cap("clients.pcap")))
        rc, out, s = self.run_to_end(self.pcap_ports([self.cap("clients.pcap")]),
                                     [*self.rules(), "--verify", f"--path={d.sock}", "--burst=7", "--in-flight=1"])
        self.check_verified(rc, out, s, packets)

    def test_jumbo_frames_of_several_segments(self):
        d = self.start_apird()
        udp = next(p for p in read_pcap(self.cap("clients.pcap"))
                   if p[12:14] == b"\x08\x00" and p[23] == 17 and p[30] == 203 and p[22] > 1)
        frames = []
        for size in (1500, 1501, 2040, 3000, 4080, 8000, 9000):
            ip = bytearray(udp[14:34])
            ip[2:4] = struct.pack(">H", size)
            ip[10:12] = b"\0\0"
            ip[10:12] = struct.pack(">H", 0xffff - ones_sum(bytes(ip)))
            frames.append(udp[:14] + bytes(ip) + bytes(i * 13 & 0xff for i in range(size - 20)))
        write_pcap(self.out("jumbo.pcap"), frames)
        rules = self.rules()
        rc, out, s = self.run_to_end(self.pcap_ports([self.out("jumbo.pcap")]),
                                     [*rules, "--verify", f"--path={d.sock}", "--max-pkt-len=9014"])
        self.check_verified(rc, out, s, len(frames))
        got = read_pcap(self.out("out3.pcap"))
        self.assertEqual([len(p) for p in got], [len(p) for p in frames])
        self.assertTrue(all(g[34:] == f[34:] for g, f in zip(got, frames)))
        # With the MTU that ports have by default only the first fits.
        rc, out, s = self.run_to_end(self.pcap_ports([self.out("jumbo.pcap")]),
                                     [*rules, "--verify", f"--path={d.sock}"])
        self.check_verified(rc, out, s, len(frames))
        self.assertEqual(self.reasons(s)["too_big"], len(frames) - 1)

    def test_count(self):
        d = self.start_apird()
        rc, out, s = self.run_to_end(self.endless_ports(), [*self.rules(), "--verify", f"--path={d.sock}",
                                                            "--count=12345"])
        self.check_verified(rc, out, s, 12345)

    def test_two_guests_with_an_apird_each(self):
        routers = []
        for i in range(2):
            d = self.start_apird()
            routers.append((d, self.start_process(self.command(
                self.pcap_ports([self.cap("capture.pcap")], f"guest{i}-"),
                [*self.rules(), "--verify", f"--path={d.sock}", "--exit-on-idle=300"], lcores=str(i)),
                name=f"router{i}")))
        packets = len(read_pcap(self.cap("capture.pcap")))
        for d, p in routers:
            self.assertEqual(p.wait(60), 0, p.log)
            self.assertIn(f"verified {packets} packets, 0 mismatches", p.log)
            self.assertEqual(d.stop(), 0)
        for port in range(4):
            self.assertTrue(read_pcap(self.out(f"guest0-{port}.pcap")) == read_pcap(self.out(f"guest1-{port}.pcap")))

    def test_two_sessions_of_one_apird(self):
        d = self.start_apird()
        routers = [self.start_process(self.command(
            self.pcap_ports([self.cap("capture.pcap")], f"session{i}-"),
            [*self.rules(), "--verify", f"--path={d.sock}", "--exit-on-idle=300"], lcores=str(i)),
            name=f"router{i}") for i in range(2)]
        packets = len(read_pcap(self.cap("capture.pcap")))
        for p in routers:
            self.assertEqual(p.wait(60), 0, p.log)
            self.assertIn(f"verified {packets} packets, 0 mismatches", p.log)
        self.assertEqual(d.stop(), 0)


class Wire(l3fwdtest.TestCase):
    """Two network namespaces reach each other through the router, over veth pairs."""

    def setUp(self):
        super().setUp()
        for tool in ("ip", "ping", "ethtool"):
            if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
                self.skipTest(f"needs {tool}")
        self.ns = [f"apir-l3-{os.getpid()}-{i}" for i in range(2)]
        for i, ns in enumerate(self.ns):
            self.addCleanup(self.sh, f"ip netns del {ns}", check=False)
            self.sh(f"ip netns add {ns}")
            # The router's end stays here, without an address: only DPDK uses it.
            dev = f"apl{os.getpid() % 100000}{i}"
            self.sh(f"ip link add {dev} address 02:00:00:00:0a:0{i} type veth "
                    f"peer name eth0 address 02:00:00:00:0b:0{i} netns {ns}")
            self.addCleanup(self.sh, f"ip link del {dev}", check=False)
            self.sh(f"ip netns exec {ns} ethtool -K eth0 tx off")
            self.sh(f"sysctl -qw net.ipv6.conf.{dev}.disable_ipv6=1")
            self.sh(f"ip netns exec {ns} sysctl -qw net.ipv6.conf.eth0.accept_dad=0")
            self.sh(f"ip link set {dev} up")
            self.sh(f"ip -n {ns} link set eth0 up")
            self.sh(f"ip -n {ns} addr add 10.77.{i}.2/24 dev eth0")
            self.sh(f"ip -n {ns} -6 addr add 2001:db8:77:{i}::2/64 dev eth0")
            # The router answers no ARP: its address is given.
            for family, gateway in (("-4", f"10.77.{i}.1"), ("-6", f"2001:db8:77:{i}::1")):
                self.sh(f"ip -n {ns} {family} neigh add {gateway} lladdr 02:00:00:00:0a:0{i} dev eth0")
                self.sh(f"ip -n {ns} {family} route add default via {gateway} dev eth0")

    def sh(self, command, check=True):
        r = subprocess.run(command.split(), capture_output=True, text=True, timeout=30, check=False)
        if check and r.returncode != 0:
            raise AssertionError(f"{command}: {r.stdout}{r.stderr}")
        return r.stdout

    def test_ping_both_ways(self):
        d = self.start_apird()
        ports = [f"--vdev=net_af_packet{i},iface=apl{os.getpid() % 100000}{i}" for i in range(2)]
        rule4 = self.file("wire4.cfg", "R10.77.0.0/24 0\nR10.77.1.0/24 1\n")
        rule6 = self.file("wire6.cfg", "R2001:db8:77:0::/64 0\nR2001:db8:77:1::/64 1\n")
        p = self.start_router(ports, [f"--rule_ipv4={rule4}", f"--rule_ipv6={rule6}", "--verify", f"--path={d.sock}",
                                      "--eth-dest=0,02:00:00:00:0b:00", "--eth-dest=1,02:00:00:00:0b:01"])
        for i in range(2):
            for family, addr in (("-4", f"10.77.{1 - i}.2"), ("-6", f"2001:db8:77:{1 - i}::2")):
                out = self.sh(f"ip netns exec {self.ns[i]} ping {family} -c 20 -i 0.02 -W 5 -s 1000 {addr}")
                self.assertIn("20 received, 0% packet loss", out)
                # One hop: 64 became 63.
                self.assertEqual(out.count("ttl=63"), 20, out)
        self.assertEqual(p.stop(30), 0, p.log)
        s = self.summary()
        self.assertEqual({r["prefix"]: r["packets"] for r in s["routes"]},
                         {"10.77.0.0/24": 40, "10.77.1.0/24": 40,
                          "2001:db8:77::/64": 40, "2001:db8:77:1::/64": 40})
        self.assert_nothing_lost(s)


class BadInput(l3fwdtest.TestCase):
    """One clear message and a non-zero exit code each."""

    def fails(self, ports, options, message, rc=1, eal=None):
        r = apirtest.run(self.command(ports, options, eal=eal))
        self.assertEqual(r.rc, rc, r.out)
        own = [line for line in r.out.splitlines() if line.startswith("l3fwd-gpu: ") and
               not re.match(r"l3fwd-gpu: (port \d: |device: |routes read)", line)]
        self.assertEqual(len(own), 1, r.out)
        self.assertRegex(own[0], message)
        return r.out

    def ports(self):
        return self.pcap_ports([self.cap("clients.pcap")])

    def test_malformed_rule(self):
        path = self.file("bad.cfg", "# fine\nR10.0.0.0/8 1\nR10.0.0.0/40 1\n")
        self.fails(self.ports(), [f"--rule_ipv4={path}", "--cpu"], rf"{path}:3: '40' is no prefix length: 0 to 32$")

    def test_rule_to_a_port_that_is_not_there(self):
        path = self.file("bad.cfg", "R10.0.0.0/8 9\n")
        self.fails(self.ports(), [f"--rule_ipv4={path}", "--cpu"],
                   rf"{path}:1: there is no port 9, or it is not in the port mask$")
        path = self.file("bad.cfg", "R10.0.0.0/8 3\n")
        self.fails(self.ports(), ["-p", "7", f"--rule_ipv4={path}", "--cpu"],
                   rf"{path}:1: there is no port 3, or it is not in the port mask$")

    def test_truncated_capture(self):
        path = self.out("cut.pcap")
        shutil.copy(self.cap("clients.pcap"), path)
        os.truncate(path, os.path.getsize(path) - 7)
        n = len(read_pcap(self.cap("clients.pcap")))
        self.fails(self.pcap_ports([path]), [*self.rules(), "--cpu"],
                   rf"capture {path}: after packet {n - 1}: truncated dump file")

    def test_not_a_capture(self):
        path = self.file("text.pcap", "this is a text and no capture at all\n")
        self.fails(self.pcap_ports([path]), [*self.rules(), "--cpu"], rf"capture {path}: unknown file format")

    def test_no_ports(self):
        self.fails([], [*self.rules(), "--cpu"], "EAL has found no port: name one with --vdev")
        self.fails(self.ports(), [*self.rules(), "--cpu", "-p", "1f"], "port 4 is not there")

    def test_config_that_does_not_fit(self):
        for config, message in (("(0,0,0)", "lcore 0 is not among EAL's lcores"),
                                ("(9,0,1)", "there is no port 9"),
                                ("(0,0,1),(0,2,1)", "the queues of port 0 must be 0, 1, 2"),
                                ("(0,0,1),(0,1,1)", r"port 0 \(net_pcap0\) has 1 rx queues, and --config wants 2")):
            self.fails(self.ports(), [*self.rules(), "--cpu", f"--config={config}"], message)

    def test_no_back_end(self):
        path = self.out("none.sock")
        self.fails(self.ports(), [*self.rules(), f"--path={path}"], re.escape(path))

    def test_memory_that_cannot_be_shared(self):
        d = self.start_apird()
        eal = [a for a in apirtest.eal_args(mem=256, lcores="1") if a != "--single-file-segments"]
        self.fails(self.ports(), [*self.rules(), f"--path={d.sock}"], "--single-file-segments", eal=eal)

    def test_hugepages_too_few_or_missing(self):
        d = self.start_apird()
        why = r"EAL does not start: .*\d+ hugepages of 2 MiB are free"
        too_much = apirtest.eal_args(mem=1 << 22, lcores="1")
        self.fails(self.ports(), [*self.rules(), f"--path={d.sock}"], why, eal=too_much)
        no_mount = [a for a in apirtest.eal_args(mem=256, lcores="1") if a != "--in-memory"]
        no_mount += [f"--huge-dir={self.out('nowhere')}", "--file-prefix=apir-test-missing"]
        self.addCleanup(shutil.rmtree, "/var/run/dpdk/apir-test-missing", True)
        self.fails(self.ports(), [*self.rules(), f"--path={d.sock}"], why, eal=no_mount)

    def test_kernel_that_is_not_there_or_does_not_build(self):
        d = self.start_apird()
        path = self.out("none.cl")
        self.fails(self.ports(), [*self.rules(), f"--path={d.sock}", f"--kernel={path}"],
                   rf"kernel {path}: No such file or directory")
        path = self.file("bad.cl", "__kernel void l3fwd(APIR_BURST)\n{\n\tint nonsense = undeclared_thing;\n}\n")
        out = self.fails(self.ports(), [*self.rules(), f"--path={d.sock}", f"--kernel={path}"], re.escape(path))
        self.assertIn("undeclared_thing", out)
        path = self.file("other.cl", "__kernel void other(APIR_BURST)\n{\n\tapir_drop(apir_index(), 0);\n}\n")
        self.fails(self.ports(), [*self.rules(), f"--path={d.sock}", f"--kernel={path}"], re.escape(path))

    def test_usage(self):
        r = apirtest.run([apirtest.l3fwd_path(), "--help"])
        self.assertEqual(r.rc, 0)
        self.assertIn("usage: l3fwd-gpu", r.out)
        r = apirtest.run([apirtest.l3fwd_path()])
        self.assertEqual(r.rc, 2)
        self.assertIn("no routes: give --rule_ipv4=FILE", r.out)
        self.fails([], [*self.rules(), "--burst=0"], "--burst=0: a number from 1 to 1022 is needed", rc=2)


class Mismatch(l3fwdtest.TestCase):
    """--verify finds a kernel that is wrong."""

    def broken_kernel(self, old, new):
        with open(apirtest.built("examples", "l3fwd-gpu", "l3fwd.cl"), encoding="utf-8") as f:
            text = f.read()
        self.assertEqual(text.count(old), 1)
        return self.file("broken.cl", text.replace(old, new))

    def check(self, kernel, *messages):
        d = self.start_apird()
        rc, out, s = self.run_to_end(self.pcap_ports([self.cap("clients.pcap")]),
                                     [*self.rules(), "--verify", f"--path={d.sock}", f"--kernel={kernel}"])
        self.assertEqual(rc, 1, out)
        self.assertGreater(s["mismatches"], 0)
        self.assertLessEqual(s["mismatches"], s["verified"])
        self.assertEqual(out.count("verify: first mismatch: a packet of"), 1)
        self.assertIn("from the device", out)
        for m in messages:
            self.assertRegex(out, m)

    def test_wrong_byte(self):
        self.check(self.broken_kernel("fold((~check & 0xffff) + 0xfffe)", "fold((~check & 0xffff) + 0xfffd)"),
                   r"device: to port \d by route", r"CPU: to port \d by route")

    def test_wrong_verdict(self):
        self.check(self.broken_kernel("ttl <= 1", "ttl <= 0"), "device: to port 2 by route 198.51.100.0/24",
                   "CPU: dropped: TTL expired")


if __name__ == "__main__":
    apirtest.main()
