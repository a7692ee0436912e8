# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""net_apir as a port of Open vSwitch: real traffic between hosts passes through the GPU, each packet accounted for."""

import re
import socket

import apirtest
import ovstest

KEY = 0x5a
SIZES = (60, 61, 64, 65, 127, 128, 512, 1023, 1513, 1514)

# A switch's table: to whom is what has one receiver; frames of our own kind say it themselves.
CLASSIFY = """
__kernel void classify(APIR_BURST)
{
	const uint i = apir_index();
	if (i >= apir_count()) return;
	__global uchar *p = apir_data(i);
	const uint at = p[12] == 0x81 && p[13] == 0 ? 16 : 12;
	if (p[at] == 0x88 && p[at + 1] == 0xb5) {
		if (p[at + 2] == 250) apir_drop(i, 2);
		else apir_forward(i, p[at + 2] == 251 ? 5000 : p[at + 2]);
		return;
	}
	if (!(p[0] & 1)) apir_forward(i, p[5]);
}
"""

DROP = """
__kernel void drop(APIR_BURST)
{
	const uint i = apir_index();
	if (i >= apir_count()) return;
	__global uchar *p = apir_data(i);
	apir_drop(i, p[12] == 0x88 && p[13] == 0xb5 ? p[14] : 99);
}
"""


class Traffic(ovstest.TestCase):
    hugepages_mb = 1024  # three pools of jumbo frames

    def lab(self, devargs=None, **kw):
        if devargs is None:
            devargs = f",kernel={self.file('hop.cl', ovstest.HOP)},args=[u8:{KEY}]"
        return ovstest.Lab(self, devargs, **kw)

    def assert_lossless(self, lab, refused=0):
        """Every packet is accounted for, and the GPU port lost none."""
        g = lab.accounted()
        self.assertEqual(g.pop("tx_drop"), refused)
        self.assertEqual({k: g[k] for k in (*ovstest.GPU_LOSSES, "rx_errs", "tx_errs") if g[k]}, {})

    def test_udp_tcp_and_frames(self):
        lab = self.lab()
        lab.frames_pass(KEY, SIZES)
        ovstest.udp_exchange(lab.a, lab.b, [1, 22, 64, 500, 1000, 1472] * 20)
        ovstest.udp_exchange(lab.a, lab.b, [10, 1452] * 10, family=socket.AF_INET6)
        # IP fragments: 2 to 6 of each, every one through the kernel by itself
        ovstest.udp_exchange(lab.a, lab.b, [1473, 3000, 8000] * 5, window=4)
        ovstest.udp_exchange(lab.a, lab.b, [1453, 8000] * 2, window=4, family=socket.AF_INET6)
        ovstest.tcp_exchange(lab.a, lab.b, 4 << 20)
        ovstest.tcp_exchange(lab.a, lab.b, 1 << 20, family=socket.AF_INET6)
        self.assert_lossless(lab)
        g = lab.closed()
        log = lab.end()
        # What apird says of the session
        m = re.search(r"ended: (\d+) bursts, (\d+) packets, (\d+) bursts failed, (\d+) packet bytes copied", log)
        self.assertEqual(int(m.group(2)), g["tx"], log)
        self.assertEqual((m.group(3), m.group(4)), ("0", "0"), log)

    def test_vlan_tagged(self):
        # Not every Linux has tagged interfaces: what has no tag gets one before the kernel, and loses it behind.
        flows = []
        for me, other, mac in (("a", "b", "02:00:00:00:77:01"), ("b", "a", "02:00:00:00:77:02")):
            flows += [f"in_port={me},vlan_tci=0,actions=push_vlan:0x8100,mod_vlan_vid:77,output:gpu0",
                      f"in_port={me},vlan_tci=0x1000/0x1000,actions=output:gpu0",
                      f"in_port=gpu0,dl_vlan=77,dl_src={mac},actions=strip_vlan,output:{other}",
                      f"priority=1,in_port=gpu0,dl_src={mac},actions=output:{other}"]
        lab = self.lab(flows=flows)
        lab.frames_pass(KEY, (64, 65, 1000, 1517, 1518), tag=5)
        lab.frames_pass(KEY, (64, 1518), tag=0x6ffe)
        lab.frames_pass(KEY, (60, 1514))
        ovstest.udp_exchange(lab.a, lab.b, [1, 500, 1472] * 10)
        ovstest.udp_exchange(lab.a, lab.b, [1473, 6000] * 4, window=4)
        ovstest.tcp_exchange(lab.a, lab.b, 2 << 20)
        self.assert_lossless(lab)

        def by_flow():
            counts = lab.ovs.flow_packets()
            pushed, stripped, plain = (sum(n for n, f in counts if what in f)
                                       for what in ("push_vlan", "dl_vlan=77", "priority=1"))
            return pushed == stripped and plain == 14

        apirtest.wait_until(by_flow, 10, "all tags taken off, none but the hosts' own left")
        lab.end()

    def test_jumbo_and_oversize(self):
        def oversize(lab):
            # gpu0 has an MTU of 1500: what is longer is refused there and counted, and the rest does not suffer.
            with lab.a.raw() as a, lab.b.raw() as b:
                for size in (1518, 1519, 9014, 64):
                    a.send(ovstest.frame(lab.b.mac, lab.a.mac, size))
                self.assertEqual([len(b.recv()) for _ in range(2)], [1518, 64])
            g = lab.accounted()
            self.assertEqual((g["rx"], g["ovs_tx_mtu_exceeded_drops"], g["tx_drop"]), (2, 2, 2), g)
            lab.ovs.vsctl("set", "Interface", "gpu0", "mtu_request=9000")
            self.assertEqual(lab.ovs.get("gpu0", "mtu"), "9000")

        lab = self.lab(mtu=9000, setup=oversize)
        lab.frames_pass(KEY, (60, 1519, 2048, 4096, 9013, 9014))
        ovstest.udp_exchange(lab.a, lab.b, [1473, 8972, 8973, 30000] * 3, window=2)
        ovstest.tcp_exchange(lab.a, lab.b, 4 << 20)
        self.assert_lossless(lab, refused=2)
        lab.end()

    def test_overload(self):
        """As fast as the hosts can: what no ring had room for is counted too."""
        lab = self.lab()
        floods = []
        for src, dst in ((lab.a, lab.b), (lab.b, lab.a)):
            frames = [ovstest.frame(dst.mac, src.mac, size) for size in range(60, 1515, 97)]
            floods.append(self.flood(src, frames, pause=0))
        apirtest.wait_until(lambda: lab.ovs.ports("gpu0")["rx"] > 50000, 30, "a flood")
        for f in floods:
            f.close()
        g = lab.accounted()
        self.assertEqual([g[k] for k in ovstest.GPU_LOSSES], [0] * len(ovstest.GPU_LOSSES), g)
        self.assertGreaterEqual(sum(h.counters()[0] for h in lab.hosts), sum(f.sent for f in floods))
        lab.frames_pass(KEY)
        lab.end()

    def test_verdict_vlan(self):
        """A kernel tells whom a packet is for; the switch forwards by that alone."""
        flows = [f"in_port={h},actions=output:gpu0" for h in "abc"]
        flows += [f"in_port=gpu0,dl_vlan={200 + n},actions=strip_vlan,output:{h}" for n, h in enumerate("abc", 1)]
        # To all others: what has many receivers gets no verdict
        flows += [f"in_port=gpu0,dl_vlan=200,dl_src=02:00:00:00:77:0{n},actions=strip_vlan,output:{to[0]},output:{to[1]}"
                  for n, to in enumerate(("bc", "ac", "ab"), 1)]
        flows += ["in_port=gpu0,dl_vlan=204,actions=output:c", "priority=1,in_port=gpu0,actions=drop"]
        lab = self.lab(f",kernel={self.file('classify.cl', CLASSIFY)},verdict_vlan=200", hosts="abc", flows=flows)
        a, b, c = lab.hosts

        def frame(dst, says, size, tag=None):
            f = bytearray(ovstest.frame(dst.mac, a.mac, size, tag))
            f[14 if tag is None else 18] = says
            return bytes(f)

        with a.raw() as s, b.raw() as at_b, c.raw() as at_c:
            # The kernel's word counts, not the address.
            for to, says, at in ((b, 2, at_b), (c, 2, at_b), (b, 3, at_c), (c, 3, at_c)):
                for size, tag in ((60, None), (1514, None), (64, 9), (1518, 9)):
                    sent = frame(to, says, size, tag)
                    s.send(sent)
                    self.assertEqual(at.recv(), sent)
            # The tag itself, where it is left on; a frame that had one and was long is then too long for the wire.
            long, short = frame(b, 4, 1518, 9), frame(b, 4, 1514)
            s.send(long)
            s.send(short)
            self.assertEqual(at_c.recv(), short[:12] + b"\x81\0\0" + bytes([204]) + short[12:])
            # No flow for the class, no VLAN for the verdict, dropped by the kernel
            for n, says in ((2, 100), (3, 251), (4, 250)):
                for _ in range(n):
                    s.send(frame(b, says, 100))
            s.send(frame(b, 2, 60))
            self.assertEqual(len(at_b.recv()), 60)
        for x, y in ((a, b), (b, c), (c, a)):
            ovstest.udp_exchange(x, y, [1, 1000, 1472, 4000] * 3, ttl=64)
        ovstest.tcp_exchange(a, c, 1 << 20)

        g = {}

        def accounted():
            g.update(lab.balance()[0], steps=lab.balance()[1], flows=lab.ovs.flow_packets())
            g["out"] = [(n, f) for n, f in g["flows"] if "in_port=gpu0" in f.split()[0]]
            wires = [lab.ovs.ports(h.name) for h in lab.hosts]
            g["wires"] = sum(w["tx"] + w["tx_drop"] for w in wires)
            return (sum(n for n, _ in g["out"]) == g["rx"] and sum(n * f.count("output:") for n, f in g["out"]) == g["wires"]
                    and all(x == y for what, x, y in g["steps"] if what != "GPU to wires"))

        try:
            apirtest.wait_until(accounted, 10, "balance of packets")
        except AssertionError as e:
            raise AssertionError(f"{e}: {g}") from None
        self.assertEqual([n for n, f in g["out"] if "actions=drop" in f], [2], g)
        self.assertEqual([g[k] for k in ovstest.GPU_LOSSES], [4, 0, 0, 3, 0], g)
        self.assertEqual((g["rx_reason_2_dropped"], g["rx_errs"]), (4, 3), g)
        self.assertEqual(lab.ovs.ports("c")["ovs_tx_mtu_exceeded_drops"], 1)
        lab.end()

    def test_kernel_that_drops_all(self):
        lab = self.lab(f",kernel={self.file('drop.cl', DROP)}")
        with lab.a.udp() as s:
            s.sendto(b"x", (lab.b.addr, 9))  # who is b? Nobody will know.
        apirtest.wait_until(lambda: lab.ovs.ports("gpu0")["rx_reason_other_dropped"] > 0, 20, "drops")
        counts = [2 * n + 2 for n in range(8)]
        for reason, count in enumerate(counts):
            for src, dst in ((lab.a, lab.b), (lab.b, lab.a)):
                f = ovstest.frame(dst.mac, src.mac, 60 + reason * 200)
                with src.raw() as s:
                    for _ in range(count // 2):
                        s.send(f[:14] + bytes([reason]) + f[15:])
            apirtest.wait_until(lambda: lab.ovs.ports("gpu0")[f"rx_reason_{reason}_dropped"] == count, 20, f"reason {reason}")
        # More than there are mbufs: none is kept.
        floods = [self.flood(src, [f[:14] + b"\x37" + f[15:]] * 16, pause=0) for src in lab.hosts]
        apirtest.wait_until(lambda: lab.ovs.ports("gpu0")["rx_verdict_dropped"] > 2 * lab.ovs.mbufs("gpu0")[0], 30, "drops")
        for flood in floods:
            flood.close()
        g = lab.accounted()
        self.assertEqual([g[f"rx_reason_{n}_dropped"] for n in range(8)], counts, g)
        self.assertEqual(sum(v for k, v in g.items() if k.startswith("rx_reason_")), g["rx_verdict_dropped"])
        self.assertEqual((g["rx"], g["rx_errs"], g["tx_drop"]), (0, 0, 0), g)
        self.assertEqual([h.counters()[1] for h in lab.hosts], [0, 0])
        lab.end()


if __name__ == "__main__":
    ovstest.main()
