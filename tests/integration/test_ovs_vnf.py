# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""A chain of services in Open vSwitch: a GPU port of the switch, and network functions, one with a GPU port of its own.

    host a --- gpu0 --- vnf0 --- vnf1 --- host b      (--- is OVS)
                         |
              testpmd and its net_apir
"""

import os
import signal
import socket

import apirtest
import ovstest

KEY, KEY_VNF = 0x5a, 0x33
SIZES = (60, 61, 512, 1514)


class Chain(ovstest.TestCase):
    hugepages_mb = 1024

    def function(self, ovs, number, *vdevs):
        """A network function, which is testpmd, behind the port vnfN of the switch; it sends all back."""
        path = os.path.join(self.tmp, f"vnf{number}.sock")
        if os.path.exists(path):
            os.unlink(path)  # of one that was killed
        t = self.start_testpmd([f"net_virtio_user0,path={path},server=1,queue_size=1024", *vdevs],
                               eal=[*apirtest.eal_args(128)[:-2], "--lcores", "(0,1)@(0,1)"],
                               plugin=bool(vdevs),
                               args=["--total-num-mbufs=8192", "--no-flush-rx",
                                     f"--port-topology={'paired' if vdevs else 'loop'}"])
        t.cmd("start")
        ovs.link(f"vnf{number}", "up")
        return t

    def firewall(self, ovs, sock):
        return self.function(ovs, 0, f"net_apir0,path={sock},kernel={self.hop},args=[u8:{KEY_VNF}]")

    def setup(self, lab):
        for n in range(2):
            lab.ovs.add(f"vnf{n}", os.path.join(self.tmp, f"vnf{n}.sock"), kind="dpdkvhostuserclient")
        lab.vnf0 = self.firewall(lab.ovs, lab.apird.sock)
        lab.vnf1 = self.function(lab.ovs, 1)
        lab.through("gpu0", "vnf0", "vnf1")
        self.wait_chain(lab)

    def wait_chain(self, lab):
        """A port that is "up" drops what it is to send until OVS has configured it: the first frame may need some tries."""
        with lab.a.raw() as a, lab.b.raw() as b:
            b.settimeout(0.3 * apirtest.SLOW)

            def passes():
                sent = ovstest.frame(lab.b.mac, lab.a.mac, 100)
                a.send(sent)
                try:
                    while b.recv() != ovstest.changed(sent, KEY ^ KEY_VNF):
                        pass  # of an earlier try
                    return True
                except TimeoutError:
                    return False

            apirtest.wait_until(passes, 20, "a frame through the chain")

    def balance(self, lab):
        """Both sides of each step of the way, by each side's own counters; packets are here and there by now."""
        a, b, gpu0, vnf0, vnf1 = (lab.ovs.ports(p) for p in ("a", "b", "gpu0", "vnf0", "vnf1"))
        virtio0, apir, virtio1 = lab.vnf0.stats(0), lab.vnf0.stats(1), lab.vnf1.stats(0)
        lost = lab.vnf0.xstats(1)
        sent, received, lost_before = (sum(n) for n in zip(*(h.counters() for h in lab.hosts)))
        return [
            ("hosts", sent, a["rx"] + b["rx"] + a["rx_missed_errors"] + b["rx_missed_errors"]),
            ("to gpu0", a["rx"] + b["rx"], gpu0["tx"]),
            ("gpu0", gpu0["tx"], gpu0["rx"] + gpu0["rx_reason_3_dropped"]),
            ("to vnf0", gpu0["rx"], vnf0["tx"] + vnf0["tx_drop"]),
            ("into vnf0", vnf0["tx"], virtio0["RX-packets"]),
            ("to its net_apir", virtio0["RX-packets"], apir["TX-packets"]),
            ("its net_apir", apir["TX-packets"], apir["RX-packets"] + lost["rx_verdict_dropped"]),
            ("back from it", apir["RX-packets"], virtio0["TX-packets"]),
            ("out of vnf0", virtio0["TX-packets"], vnf0["rx"]),
            ("to vnf1", vnf0["rx"], vnf1["tx"] + vnf1["tx_drop"]),
            ("into vnf1", vnf1["tx"], virtio1["RX-packets"]),
            ("through vnf1", virtio1["RX-packets"], virtio1["TX-packets"]),
            ("out of vnf1", virtio1["TX-packets"], vnf1["rx"]),
            ("to hosts", vnf1["rx"], a["tx"] + b["tx"]),
            ("hosts", a["tx"] + b["tx"], received + lost_before),
        ]

    def test_chain(self):
        self.hop = self.file("hop.cl", ovstest.HOP)
        lab = ovstest.Lab(self, f",kernel={self.hop},args=[u8:{KEY}]", setup=self.setup)
        # Both kernels ran: one byte is changed by both, and there were two hops.
        lab.frames_pass(KEY ^ KEY_VNF, SIZES)
        ovstest.udp_exchange(lab.a, lab.b, [1, 500, 1472] * 10, ttl=62)
        ovstest.udp_exchange(lab.a, lab.b, [1473, 5000] * 3, ttl=62, window=4)
        ovstest.tcp_exchange(lab.a, lab.b, 1 << 20)
        # The switch's kernel drops these, the other one what has one hop left.
        with lab.a.udp() as s:
            for _ in range(5):
                s.sendto(b"x", (lab.b.addr, 9))
            s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 2)
            for _ in range(7):
                s.sendto(b"x", (lab.b.addr, 10))

        def accounted():
            accounted.last = self.balance(lab)
            return all(x == y for _, x, y in accounted.last)

        try:
            apirtest.wait_until(accounted, 10, "balance of packets")
        except AssertionError as e:
            raise AssertionError(f"{e}: {accounted.last}") from None
        g, x = lab.ovs.ports("gpu0"), lab.vnf0.xstats(1)
        self.assertEqual((g["rx_verdict_dropped"], g["rx_reason_3_dropped"]), (5, 5), g)
        self.assertEqual((x["rx_verdict_dropped"], x["rx_reason_1_dropped"]), (7, 7), x)

        # The function with the GPU dies under load: what would go there is counted as dropped.
        flood = self.flood(lab.a, [ovstest.frame(lab.b.mac, lab.a.mac, n) for n in (60, 1514)])
        lab.vnf0.wait_stats(1, lambda s: s["RX-packets"] > x["rx_good_packets"] + 50)
        lab.vnf0.kill(signal.SIGKILL)
        lab.vnf0.wait()
        lab.ovs.link("vnf0", "down")
        first = lab.ovs.ports("gpu0")["rx"]
        apirtest.wait_until(lambda: lab.ovs.ports("gpu0")["rx"] > first + 50, 20, "packets for nobody")
        last = lab.ovs.ports("gpu0")["rx"]
        flood.close()
        lab.closed()
        lab.vnf0 = self.firewall(lab.ovs, lab.apird.sock)
        g, v = lab.ovs.ports("gpu0"), lab.ovs.ports("vnf0")
        self.assertGreaterEqual(v["tx_drop"], last - first)
        # It is there again, and misses nothing.
        lab.through("gpu0", "vnf0", "vnf1")
        self.wait_chain(lab)
        refused = lab.ovs.ports("vnf0")["tx_drop"]
        lab.frames_pass(KEY ^ KEY_VNF)

        def counted():
            gpu, vnf = lab.ovs.ports("gpu0"), lab.ovs.ports("vnf0")
            return gpu["rx"] - g["rx"] == vnf["tx"] - v["tx"] + vnf["tx_drop"] - v["tx_drop"]

        apirtest.wait_until(counted, 10, "all that left gpu0 in vnf0")
        self.assertEqual(lab.ovs.ports("vnf0")["tx_drop"], refused)
        for t in (lab.vnf0, lab.vnf1):
            t.cmd("stop")
            self.assertEqual(t.quit(), 0, t.log)
        lab.end()


if __name__ == "__main__":
    ovstest.main()
