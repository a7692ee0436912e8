# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""net_apir under an unmodified testpmd, with a real apird."""

import os
import re
import signal
import struct

import apirtest

MBUFS = 16384

XOR = """
__kernel void xor(APIR_BURST, uint key)
{
	const uint i = apir_index();
	if (i >= apir_count()) return;
	__global uchar *p = apir_data(i);
	if (p[0] & 1) { apir_drop(i, 2); return; }
	for (uint k = 12; k < apir_len(i); k++) p[k] ^= (uchar)key;
}
"""

TWO_STAGES = """
__kernel void add(APIR_BURST, uchar n, __global const uchar *table)
{
	const uint i = apir_index();
	if (i < apir_count()) apir_data(i)[14] += n + table[1];
}
__kernel void shift(APIR_BURST, __local uchar *scratch)
{
	const uint i = apir_group_index();
	if (get_local_id(0) == 0) {
		scratch[0] = apir_data(i)[14];
		apir_data(i)[15] = scratch[0] << 1;
	}
}
"""

# Marks the last byte of the last segment, and drops what has not as many segments as it should.
SEGMENTS = """
__kernel void segments(APIR_BURST, uint want)
{
	const uint i = apir_index();
	if (i >= apir_count()) return;
	if (apir_seg_count(i) != want) { apir_drop(i, 1); return; }
	apir_seg_data(i, want - 1)[apir_seg_len(i, want - 1) - 1] = 0x55;
}
"""

# Port verdict by the last byte of the first address: 2 to 5 as they are, others as they say here.
CLASSIFY = """
__kernel void classify(APIR_BURST, uint longest)
{
	const uint i = apir_index();
	if (i >= apir_count()) return;
	const uint c = apir_data(i)[5];
	if (c == 0) return;
	if (c == 1 || apir_len(i) >= longest) apir_drop(i, 1);
	else if (c == 6) apir_forward(i, 3995);
	else if (c == 7) apir_forward(i, 65535);
	else apir_forward_meta(i, c, 0xffffffff);
}
"""

BROKEN = """
__kernel void broken(APIR_BURST)
{
	apir_data(0)[0] = no_such_variable;
	apir_data(0)[1] = nor_this_one;
}
"""


def write_pcap(path, packets):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i, p in enumerate(packets):
            f.write(struct.pack("<IIII", 1, i, len(p), len(p)) + p)


def read_pcap(path):
    packets = []
    with open(path, "rb") as f:
        data = f.read()
    at = 24
    while at < len(data):
        size = struct.unpack("<IIII", data[at:at + 16])[2]
        packets.append(data[at + 16:at + 16 + size])
        at += 16 + size
    return packets


class Case(apirtest.TestCase):
    def pmd(self, *vdevs, args=(), **kw):
        return self.start_testpmd(vdevs, args=args, **kw)

    def wait_rx(self, t, port=0, more=20000):
        """Traffic runs: that many further packets come back."""
        base = t.stats(port)["RX-packets"]
        return t.wait_stats(port, lambda s: s["RX-packets"] >= base + more, 30, "packets coming back")

    def assert_no_mbuf_lost(self, t):
        out = t.cmd("dump_mempool mb_pool_0")
        free = int(re.search(r"common_pool_count=(\d+)", out).group(1))
        cached = re.search(r"total_cache_count=(\d+)", out)
        free += int(cached.group(1)) if cached else 0
        self.assertEqual(free, MBUFS, out)

    def assert_link(self, t, port, status):
        apirtest.wait_until(lambda: f"Link status: {status}" in t.cmd(f"show port info {port}"), 20,
                            f"link {status}")

    def end(self, t, *apirds):
        """Everything stops cleanly, and every mbuf is back."""
        t.cmd("stop")
        t.cmd("port stop all")
        self.assert_no_mbuf_lost(t)
        self.assertEqual(t.quit(), 0)
        for d in apirds:
            self.assertEqual(d.stop(), 0)

    def fails(self, vdev, *says, eal=None, env=None):
        """testpmd, told to use one port, does not start with this device, and the log says why."""
        r = apirtest.run(["dpdk-testpmd", *(eal or apirtest.eal_args()), "-d", "librte_net_apir.so", "--vdev", vdev,
                          "--", "--nb-ports=1"], env=apirtest.environment(preload=True, **(env or {})))
        self.assertNotEqual(r.rc, 0, r.out)
        for s in says:
            self.assertIn(s, r.out)
        return r.out


class Traffic(Case):
    def test_forwarding_modes(self):
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock}")
        for mode in ("io", "mac", "csum"):
            t.cmd(f"set fwd {mode}")
            t.cmd("start tx_first")
            self.wait_rx(t)
            t.cmd("stop")
        self.assertEqual(t.stats(0)["RX-errors"], 0)
        self.end(t, d)

    def test_several_queues(self):
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock},queues=4", args=("--rxq=4", "--txq=4"))
        t.cmd("start tx_first")
        self.wait_rx(t)
        apirtest.wait_until(lambda: all(t.xstats(0)[f"rx_q{q}_packets"] > 1000 for q in range(4)), 20,
                            "packets on every queue")
        self.end(t, d)

    def test_two_ports(self):
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock}", f"net_apir1,path={d.sock}")
        t.cmd("start tx_first")
        for port in (0, 1):
            self.wait_rx(t, port)
        self.end(t, d)

    def test_two_ports_two_back_ends(self):
        a, b = self.start_apird(), self.start_apird()
        t = self.pmd(f"net_apir0,path={a.sock}", f"net_apir1,path={b.sock}")
        t.cmd("start tx_first")
        for port in (0, 1):
            self.wait_rx(t, port)
        self.end(t, a, b)

    def test_bare_vdev(self):
        apirtest.need_root()
        sock = "/run/apir/apir0.sock"
        if os.path.exists(sock):
            self.skipTest(f"{sock} is in use")
        os.makedirs(os.path.dirname(sock), exist_ok=True)
        self.addCleanup(lambda: os.path.exists(sock) and os.unlink(sock))
        d = self.start_apird(sock=sock)
        t = self.pmd("net_apir")
        t.cmd("start tx_first")
        self.wait_rx(t)
        self.end(t, d)

    def test_small_bursts_and_rings(self):
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock},burst=1,nb_bursts=1,queues=1")
        t.cmd("start tx_first 4")
        self.wait_rx(t, more=2000)
        x = t.xstats(0)
        self.assertEqual(x["tx_burst_packets_average"], 1)
        self.assertGreater(x["tx_ring_full_packets"], 0)
        self.end(t, d)

    def test_multi_segment(self):
        d = self.start_apird()
        k = self.file("segments.cl", SEGMENTS)
        t = self.pmd(f"net_apir0,path={d.sock},kernel={k},args=[u32:3]", args=("--tx-offloads=0x8000",))
        t.cmd("set txpkts 64,100,30")
        t.cmd("start tx_first")
        self.wait_rx(t)
        x = t.xstats(0)
        self.assertEqual(x["rx_verdict_dropped"], 0)
        self.assertEqual(x["tx_copied_packets"], 0)
        s = t.stats(0)
        self.assertEqual(s["RX-bytes"], s["RX-packets"] * 194)
        self.end(t, d)

    def test_memory_that_is_not_shared(self):
        """Neither the packets nor the pool for copies can be seen by the back-end: dropped and counted, no crash."""
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock}", args=("--mp-alloc=xmem",))
        self.assertIn("is not shared with the back-end", t.log)
        t.cmd("start tx_first")
        apirtest.wait_until(lambda: t.xstats(0)["tx_invalid_dropped"] >= 32, 20, "drops")
        self.assertEqual(t.stats(0)["RX-packets"], 0)
        self.assertGreaterEqual(t.stats(0)["TX-errors"], 32)
        self.end(t, d)


class Kernels(Case):
    def through(self, devargs, packets):
        """Packets of a capture, through the port and into another capture."""
        src, dst = os.path.join(self.tmp, "in.pcap"), os.path.join(self.tmp, "out.pcap")
        write_pcap(src, packets)
        d = self.start_apird()
        # testpmd throws away what waits on its ports when it starts, unless it is told not to
        t = self.pmd(f"net_pcap0,rx_pcap={src},tx_pcap={dst}", f"net_apir0,path={d.sock},{devargs}",
                     args=("--no-flush-rx",))
        t.cmd("start")
        t.wait_stats(1, lambda s: s["TX-packets"] == len(packets), 30, "all packets sent")
        apirtest.wait_until(lambda: self.through_port(t) == len(packets), 30, "all packets back")
        t.wait_stats(0, lambda s: s["TX-packets"] == t.stats(1)["RX-packets"], 30, "all packets written")
        xstats = t.xstats(1)
        self.end(t, d)
        return read_pcap(dst), xstats

    @staticmethod
    def through_port(t):
        x = t.xstats(1)
        return sum(x[k] for k in ("rx_good_packets", "rx_verdict_dropped", "rx_vlan_range_dropped",
                                  "rx_vlan_untaggable_dropped"))

    @staticmethod
    def packets(nb):
        return [bytes([2 * (i % 3 != 0) + (i % 5 == 0)]) + bytes((i + k) & 255 for k in range(59 + i % 700))
                for i in range(nb)]

    def test_xor_and_drop(self):
        packets = self.packets(1000)
        got, x = self.through(f"kernel={self.file('xor.cl', XOR)},args=[u32:0x5a]", packets)
        want = [p[:12] + bytes(b ^ 0x5a for b in p[12:]) for p in packets if not p[0] & 1]
        self.assertEqual(got, want)
        self.assertEqual(x["rx_verdict_dropped"], len(packets) - len(want))
        self.assertEqual(x["rx_reason_2_dropped"], len(packets) - len(want))
        self.assertEqual(x["tx_copied_packets"], 0)
        self.assertEqual(x["backend_copied_bytes"], 0)
        self.assertEqual(x["rx_backend_errors"], 0)

    def test_loopback_changes_nothing(self):
        packets = self.packets(500)
        got, x = self.through("burst=7,nb_bursts=1024", packets)
        self.assertEqual(got, packets)
        self.assertEqual(x["tx_copied_packets"], 0)

    def test_pipeline_with_every_kind_of_argument(self):
        table = os.path.join(self.tmp, "table.bin")
        with open(table, "wb") as f:
            f.write(bytes([0, 30]))
        packets = self.packets(300)
        got, _ = self.through(f"kernel={self.file('two.cl', TWO_STAGES)},entry=add+shift,launch=item+group:4,"
                              f"args=[u8:7,file:{table};local:64],options=[-DA=1 -DB=2]", packets)
        want = []
        for p in packets:
            b = (p[14] + 37) & 255
            want.append(p[:14] + bytes([b, b << 1 & 255]) + p[16:])
        self.assertEqual(got, want)


    def test_verdict_vlan(self):
        """Each packet comes back with the tag of its class, in front of the tag it may have."""
        packets = []
        for i in range(400):
            head = bytes(5) + bytes([i % 8]) + b"source"
            inner = (b"", b"\x81\x00\xa0\x05", b"\x88\xa8\x00\x07")[i % 3]
            packets.append(head + inner + b"\x08\x00" + bytes((i + k) & 255 for k in range(46 + i % 700)))
        packets += [b"12345\x0278", packets[2][:12]]  # too short for a tag, and just not
        got, x = self.through(f"kernel={self.file('classify.cl', CLASSIFY)},args=[u32:99999],verdict_vlan=100", packets)
        want = [p[:12] + struct.pack(">HH", 0x8100, 100 + p[5]) + p[12:] for p in packets
                if p[5] not in (1, 6, 7) and len(p) >= 12]
        self.assertEqual(got, want)
        self.assertEqual({p[12:16] for p in got}, {struct.pack(">HH", 0x8100, v) for v in (100, 102, 103, 104, 105)})
        self.assertEqual(x["rx_verdict_dropped"], 50)
        self.assertEqual(x["rx_vlan_range_dropped"], 100)
        self.assertEqual(x["rx_vlan_untaggable_dropped"], 1)
        self.assertEqual(x["rx_errors"], 101)
        self.assertEqual(x["rx_q0_bytes"], sum(map(len, want)))
        self.assertEqual(x["tx_copied_packets"], 0)

    def test_verdict_vlan_and_headroom(self):
        """Round and round: each trip takes 4 bytes of headroom, until a copy has it all again. Nothing is lost."""
        d = self.start_apird()
        k = self.file("classify.cl", CLASSIFY)
        t = self.pmd(f"net_apir0,path={d.sock},kernel={k},args=[u32:{64 + 40 * 4}],verdict_vlan=0x10",
                     eal=apirtest.eal_args() + ["--log-level=pmd.net.apir:info"])
        self.assertIn("net_apir0: verdict_vlan: port verdicts 0 to 4078 are VLANs 16 to 4094", t.banner)
        t.cmd("set eth-peer 0 02:00:00:00:00:02")
        t.cmd("set fwd mac")
        t.cmd("start tx_first")
        apirtest.wait_until(lambda: t.xstats(0)["rx_reason_1_dropped"] == 32, 20, "every packet as long as it may be")
        x = t.xstats(0)
        self.assertEqual(x["rx_good_packets"], 32 * 40)
        # at 64 bytes of headroom: the 17th time (after 128 to 68), and the 33rd (after 124 to 68)
        self.assertEqual(x["tx_copied_packets"], 32 * 2)
        self.assertEqual(x["rx_errors"], 0)
        self.end(t, d)


class Port(Case):
    def test_stop_and_start(self):
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock}")
        for _ in range(5):
            t.cmd("start tx_first")
            self.wait_rx(t, more=5000)
            t.cmd("stop")
            t.cmd("port stop 0")
            self.assert_no_mbuf_lost(t)
            self.assert_link(t, 0, "down")
            t.cmd("port start 0")
            self.assert_link(t, 0, "up")
        self.end(t, d)

    def test_queues_change(self):
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock}")
        for n in (1, 3, 2):
            t.cmd("port stop 0")
            t.cmd(f"port config all rxq {n}")
            t.cmd(f"port config all txq {n}")
            t.cmd("port start 0")
            t.cmd("start tx_first")
            apirtest.wait_until(lambda n=n: all(t.xstats(0)[f"rx_q{q}_packets"] > 1000 for q in range(n)), 20,
                                f"packets on {n} queues")
            t.cmd("stop")
        self.end(t, d)

    def test_attach_and_detach(self):
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock}")
        for i in range(20):
            self.assertIn("Done", t.cmd(f"port attach net_apir1,path={d.sock}"))
            t.cmd("port start 1")
            t.cmd("start tx_first")
            self.wait_rx(t, 1, 500)
            t.cmd("stop")
            t.cmd("port stop 1")
            t.cmd("port close 1")
            self.assertIn("detached", t.cmd("device detach net_apir1"), f"cycle {i}")
            self.assertNotIn("net_apir1", t.cmd("show port summary all"))
        self.end(t, d)

    def test_attach_fails(self):
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock}")
        out = t.cmd("port attach net_apir1,path=/nowhere.sock")
        self.assertIn("path=/nowhere.sock", out)
        out = t.cmd(f"port attach net_apir1,path={d.sock},burst=0")
        self.assertIn("burst=0: must be a number from 1 to 1022", out)
        self.assertIn("Done", t.cmd(f"port attach net_apir1,path={d.sock}"))
        self.end(t, d)

    def test_mtu(self):
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock}")
        t.cmd("port stop 0")
        for mtu, good in ((68, True), (1500, True), (2030, True), (67, False), (2031, False), (65535, False)):
            out = t.cmd(f"port config mtu 0 {mtu}")
            self.assertEqual(out.strip() == "", good, f"{mtu}: {out}")
        self.assertIn("MTU: 2030", t.cmd("show port info 0"))
        t.cmd("port start 0")
        self.end(t, d)

    def test_info_and_settings(self):
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock}")
        info = t.cmd("show port info 0")
        self.assertIn("Driver name: net_apir", info)
        self.assertIn("Link status: up", info)
        self.assertIn("Link speed: 100 Gbps", info)
        self.assertRegex(info, r"Firmware-version: apird, \w+, (zero|staged) copy")
        self.assertIn("MAC address: 02:00:00:00:00:07",
                      t.cmd("mac_addr set 0 02:00:00:00:00:07") + t.cmd("show port info 0"))
        t.cmd("set promisc 0 off")
        self.assertIn("Promiscuous mode: disabled", t.cmd("show port info 0"))
        t.cmd("set promisc 0 on")
        self.assertIn("Promiscuous mode: enabled", t.cmd("show port info 0"))
        t.cmd("set allmulti 0 off")
        self.assertIn("Allmulticast mode: disabled", t.cmd("show port info 0"))
        self.end(t, d)

    def test_statistics(self):
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock}")
        t.cmd("start tx_first")
        self.wait_rx(t)
        t.cmd("stop")
        x = t.xstats(0)
        self.assertEqual(x["rx_q0_packets"], x["rx_good_packets"])
        self.assertEqual(x["tx_q0_bytes"], x["tx_good_bytes"])
        self.assertGreater(x["tx_bursts"], 0)
        self.assertGreaterEqual(x["tx_bursts"], x["rx_bursts"])
        self.assertGreater(x["tx_burst_packets_average"], 0)
        t.cmd("clear port xstats 0")
        t.cmd("clear port stats 0")
        x = t.xstats(0)
        self.assertEqual({k: v for k, v in x.items() if v != 0}, {})
        self.end(t, d)


class BackEnd(Case):
    def test_killed_and_started_again(self):
        d = self.start_apird()
        k = self.file("xor.cl", XOR)
        t = self.pmd(f"net_apir0,path={d.sock},kernel={k},args=[u32:1]")
        for i in range(3):
            t.cmd("start tx_first 16")
            self.wait_rx(t)
            d.kill(signal.SIGKILL)
            d.wait()
            self.assert_link(t, 0, "down")
            t.cmd("stop")
            d = self.start_apird(sock=d.sock)
            self.assert_link(t, 0, "up")
            x = t.xstats(0)
            self.assertEqual(x["backend_lost_errors"], i + 1)
            self.assertEqual(x["backend_reconnects"], i + 1)
            self.assertGreater(x["rx_backend_errors"], 0)
        t.cmd("start tx_first 16")
        self.wait_rx(t)
        self.assertIn("net_apir0: link down", t.log)
        self.end(t, d)

    def test_traffic_goes_on_by_itself(self):
        """The application notices nothing but the link: it never stops forwarding."""
        src = os.path.join(self.tmp, "in.pcap")
        write_pcap(src, [bytes(60)] * 100)
        d = self.start_apird()
        t = self.pmd(f"net_pcap0,rx_pcap={src},infinite_rx=1", f"net_apir0,path={d.sock}",
                         args=("--port-topology=chained",))
        t.cmd("set portlist 0,1")
        t.cmd("start")
        self.wait_rx(t, 1)
        for _ in range(2):
            d.kill(signal.SIGKILL)
            d.wait()
            self.assert_link(t, 1, "down")
            d = self.start_apird(sock=d.sock)
            self.assert_link(t, 1, "up")
            self.wait_rx(t, 1)
        t.cmd("stop")
        t.cmd("port stop all")
        self.assertEqual(t.quit(), 0)
        self.assertEqual(d.stop(), 0)

    def test_stopped_for_a_while(self):
        """A back-end that hangs: link down after timeout_us; up again when it goes on, and no packet is lost."""
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock},timeout_us=100000")
        t.cmd("start tx_first 8")
        self.wait_rx(t)
        d.kill(signal.SIGSTOP)
        try:
            self.assert_link(t, 0, "down")
            self.assertEqual(t.xstats(0)["backend_timeout_errors"], 1)
        finally:
            d.kill(signal.SIGCONT)
        self.assert_link(t, 0, "up")
        t.cmd("stop")
        x = t.xstats(0)
        self.assertEqual(x["rx_backend_errors"], 0)
        self.assertEqual(x["backend_lost_errors"], 0)
        t.cmd("start tx_first")
        self.wait_rx(t)
        self.end(t, d)

    def test_appears_later(self):
        sock = os.path.join(self.tmp, "late.sock")
        # apird's own start takes part of the wait: begin it once testpmd waits
        p = self.start_process(["dpdk-testpmd", *apirtest.eal_args(), "-d", "librte_net_apir.so", "--log-level=pmd.net.apir:8",
                                "--vdev", f"net_apir0,path={sock},wait_ms=60000", "--", "--total-num-mbufs=16384",
                                "--tx-first", "--stats-period=1"],
                               env=apirtest.environment(preload=True))
        p.wait_log(r"net_apir0: waiting for .*late\.sock", 60)
        self.start_apird(sock=sock)
        p.wait_log(r"RX-packets: [1-9]", 60)
        self.assertEqual(p.stop(), 0)

    def test_closed_while_gone(self):
        d = self.start_apird()
        t = self.pmd(f"net_apir0,path={d.sock}")
        t.cmd("start tx_first")
        self.wait_rx(t)
        d.kill(signal.SIGKILL)
        d.wait()
        self.assert_link(t, 0, "down")
        self.end(t)


class BadInput(Case):
    def test_devargs(self):
        """No back-end is needed to see that these are wrong."""
        for devargs, says in (
                ("burst=0", "net_apir0: burst=0: must be a number from 1 to 1022"),
                ("burst=1023", "net_apir0: burst=1023: must be a number from 1 to 1022"),
                ("queues=many", "net_apir0: queues=many: must be a number from 1 to 64"),
                ("nb_bursts=3", "net_apir0: nb_bursts=3: must be a power of two from 1 to 1024"),
                ("timeout_us=5s", "net_apir0: timeout_us=5s: must be a number from 0 to 4294967295"),
                ("wait_ms=-1", "net_apir0: wait_ms=-1: must be a number from 0 to 3600000"),
                ("reconnect_ms=9", "net_apir0: reconnect_ms=9: must be a number from 10 to 60000"),
                ("verdict_vlan=4095", "net_apir0: verdict_vlan=4095: must be a number from 1 to 4094"),
                ("verdict_vlan=100", "net_apir0: verdict_vlan=: needs kernel="),
                ("path=", "net_apir0: path=: must be the name of a Unix socket"),
                ("kernal=x.cl", "net_apir0: unknown argument 'kernal'; known are: path, pci, kernel, entry,"),
                ("entry=f", "net_apir0: entry=: needs kernel="),
                ("kernel=x.cl,args=[u32:x]", "net_apir0: args=u32:x: must be a number from 0 to 4294967295"),
                ("kernel=x.cl,launch=block", "net_apir0: launch=block: must be item or group"),
        ):
            with self.subTest(devargs):
                self.fails(f"net_apir0,{devargs}", says)

    def test_kernel_file(self):
        empty = self.file("empty.cl", "")
        large = self.file("large.cl", "/*" + "x" * (4 << 20) + "*/")
        for path, says in (
                ("/nowhere.cl", "kernel=/nowhere.cl: cannot be read: No such file or directory"),
                (empty, f"kernel={empty}: is empty"),
                (large, f"kernel={large}: has 4194308 bytes, at most 4194304 are allowed"),
                (self.tmp, f"kernel={self.tmp}: is a directory, must be a regular file"),
        ):
            with self.subTest(path):
                self.fails(f"net_apir0,kernel={path},entry=f", says)
        k = self.file("xor.cl", XOR)
        self.fails(f"net_apir0,kernel={k},args=[file:/no/table]",
                   "args=file:/no/table: cannot be read: No such file or directory")

    def test_kernel(self):
        d = self.start_apird()
        k = self.file("xor.cl", XOR)
        broken = self.file("broken.cl", BROKEN)
        base = f"net_apir0,path={d.sock},kernel="
        out = self.fails(f"{base}{broken}", f"kernel={broken} does not build")
        for name in ("no_such_variable", "nor_this_one"):
            self.assertRegex(out, rf"(?m)^net_apir0: .*{name}")
        self.fails(f"{base}{k},entry=none", "net_apir0: entry=none: ", "xor")
        nameless = self.file("nameless.cl", XOR)
        self.fails(f"{base}{nameless}", "net_apir0: entry= is needed: there is no nameless: ")
        self.fails(f"{base}{k}", "args=: kernel xor takes 1 arguments after APIR_BURST, 0 are given")
        self.fails(f"{base}{k},args=[u32:1,u32:2]", "args=: kernel xor takes 1 arguments after APIR_BURST, 2 are given")
        self.fails(f"{base}{k},args=[u64:1]", "args=: argument 0 of kernel xor: ")
        self.fails(f"{base}{k},args=[u32:1],launch=group:65535", "launch=: work-groups of 65535 work-items")
        self.assertTrue(d.running)
        self.assertEqual(d.stop(), 0)

    def test_no_socket(self):
        path = os.path.join(self.tmp, "none.sock")
        self.fails(f"net_apir0,path={path}", f"path={path}: ", "net_apir0")
        self.fails(f"net_apir0,path={path},wait_ms=50", f"path={path}: ")

    def test_too_many_sessions(self):
        d = self.start_apird(["--max-sessions", "1"])
        t = self.pmd(f"net_apir0,path={d.sock}")
        self.fails(f"net_apir1,path={d.sock}", f"net_apir1: path={d.sock}: ", "session")
        self.end(t, d)

    def test_single_file_segments_missing(self):
        d = self.start_apird()
        eal = [a for a in apirtest.eal_args() if a != "--single-file-segments"]
        self.fails(f"net_apir0,path={d.sock}", "--single-file-segments", eal=eal)
        self.assertEqual(d.stop(), 0)


if __name__ == "__main__":
    apirtest.main()
