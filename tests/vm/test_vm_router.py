# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Whole paths in a guest: a router on a real capture, and packets from a virtual NIC through the device and back."""

import json
import os

import apirtest
import l3fwdtest
import vm

# Where the kernel found each packet goes into its last eight bytes, and its source address is turned over.
STAMP = b"""
__kernel void stamp(APIR_BURST)
{
	const uint i = apir_index();
	__global uchar *p;
	ulong at;
	if (i >= apir_count() || apir_len(i) < 60) return;
	p = apir_data(i);
	at = (ulong)p;
	for (uint k = 6; k < 12; k++) p[k] ^= 0xff;
	for (uint k = 0; k < 8; k++) p[apir_len(i) - 8 + k] = (uchar)(at >> 8 * k);
}
"""


def setUpModule():
    vm.need_vm()
    l3fwdtest.record()


class Router(vm.TestCase):
    def test_l3fwd(self):
        """l3fwd-gpu routes a real capture; each frame is held against what the CPU makes of it."""
        files = {}
        for name in ("capture.pcap", "routes4.cfg", "routes6.cfg"):
            with open(os.path.join(l3fwdtest.CAPTURE, name), "rb") as f:
                files[f"apir/{name}"] = f.read()
        with open(apirtest.built("examples", "l3fwd-gpu", "l3fwd.cl"), "rb") as f:
            files["apir/l3fwd.cl"] = f.read()
        packets = len(l3fwdtest.read_pcap(l3fwdtest.CAPTURE + "/capture.pcap"))
        d = self.start_apird_for()
        g = self.start_vm(vm.apir_device(d.sock), files=files, memory=768, hugepages=200)
        g.bind()
        ports = " ".join(f"--vdev=net_pcap{i}," + ("rx_pcap=/apir/capture.pcap," if i == 0 else "") +
                         f"tx_pcap=/tmp/out{i}.pcap" for i in range(4))
        r = g.run(f"l3fwd-gpu {' '.join(g.eal())} -m 380 {ports} -- --rule_ipv4=/apir/routes4.cfg --rule_ipv6=/apir/routes6.cfg "
                  "--kernel=/apir/l3fwd.cl --verify --exit-on-idle=1000 --json=/tmp/summary.json", 60)
        self.assertEqual(r.rc, 0, r.out)
        s = json.loads(g.get("/tmp/summary.json"))
        self.assertEqual(s["rx"], packets)
        self.assertEqual(s["verified"], packets)
        self.assertEqual(s["mismatches"], 0)
        self.assertEqual(s["rx"], s["tx"] + s["dropped"])
        self.assertGreater(s["tx"], packets // 2)
        self.assertTrue(s["zero_copy"])
        self.assertEqual(g.stop(), 0)
        self.assertIn(", 0 packet bytes copied", d.wait_log(r"ended: .*$", 10)[0])


class Plumbing(vm.TestCase):
    """As a VNF behind a switch: packets come in by virtio-net, go through the device, and leave by virtio-net."""

    hugepages_mb = 256

    def test_virtio_net(self):
        nic = os.path.join(self.tmp, "nic.sock")
        got = os.path.join(self.tmp, "got.pcap")
        # no more than the rings hold: the guest is slow, and a switch drops what does not fit
        sent = [p for p in l3fwdtest.read_pcap(l3fwdtest.CAPTURE + "/clients.pcap") if 60 <= len(p) <= 1514][:600]
        feed = self.file("feed.pcap", "")
        l3fwdtest.write_pcap(feed, sent)
        # the switch on the host: its vhost-user port is the other end of the guest's NIC
        switch = self.start_testpmd([f"net_vhost0,iface={nic},client=1", f"net_pcap0,rx_pcap={feed},tx_pcap={got}"],
                                    eal=apirtest.eal_args(mem=128, lcores="0-1"), plugin=False,
                                    args=["--forward-mode=io", "--no-flush-rx"])
        d = self.start_apird_for()
        g = self.start_vm([*vm.apir_device(d.sock),
                           "-chardev", f"socket,id=nic,path={nic},server=on,wait=off",
                           "-netdev", "vhost-user,id=n0,chardev=nic", "-device",
                           "virtio-net-pci,netdev=n0,romfile=,rx_queue_size=1024,tx_queue_size=1024,"
                           f"addr={vm.NET_ADDR.split(':')[-1]}"],
                          files={"apir/stamp.cl": STAMP})
        g.bind()
        g.ok(f"echo uio_pci_generic >/sys/bus/pci/devices/{vm.NET_ADDR}/driver_override; "
             f"echo {vm.NET_ADDR} >/sys/bus/pci/drivers_probe")
        t = g.testpmd(["net_apir0,kernel=/apir/stamp.cl"], ["--forward-mode=io", "--rxd=1024", "--txd=1024"],
                      allow=(vm.APIR_ADDR, vm.NET_ADDR))
        t.cmd("start")
        apirtest.wait_until(lambda: "Link status: up" in switch.cmd("show port info 0"), 20, "the switch's port")
        switch.cmd("start")
        try:
            apirtest.wait_until(lambda: switch.stats(1)["TX-packets"] >= len(sent), 20, "all packets to come back")
        except AssertionError:
            self.fail(f"{switch.stats(0)} {switch.stats(1)} {t.stats(0)} {t.stats(1)}")
        memory = vm.guest_memory(d)
        switch.cmd("stop")
        self.assertEqual(switch.quit(), 0)
        x = t.xstats(1)
        t.cmd("stop")
        self.assertEqual(t.quit(), 0)
        back = l3fwdtest.read_pcap(got)
        self.assertEqual(len(back), len(sent))
        places = set()
        for a, b in zip(sent, back):
            self.assertEqual(a[:6] + bytes(v ^ 0xff for v in a[6:12]) + a[12:-8], b[:-8])
            places.update(vm.physical(memory, int.from_bytes(b[-8:], "little")))
        # the kernel worked in guest memory, on mbufs of one pool: all with the same headroom
        self.assertGreater(len(places), len(sent) // 4)
        self.assertEqual(len({at % 64 for at in places}), 1)
        # the mbufs that the NIC filled are those that the kernel worked on: none was copied into another
        self.assertEqual(x["tx_copied_packets"], 0)
        self.assertEqual(x["backend_copied_bytes"], 0)
        self.assertEqual(x["rx_good_packets"], x["tx_good_packets"])
        self.assertGreaterEqual(x["rx_good_packets"], len(sent))


if __name__ == "__main__":
    apirtest.main()
