# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""net_apir in a guest, under an unmodified testpmd: packets, and everything that may end while they flow."""

import os
import re

import apirtest
import vm

# One byte turned over in place, every sixteenth packet dropped.
KERNEL = b"""
__kernel void turn(APIR_BURST)
{
	const uint i = apir_index();
	if (i >= apir_count()) return;
	apir_data(i)[14] ^= 0xff;
	if ((i & 15) == 15) apir_drop(i, 3);
}
"""
FILES = {"apir/turn.cl": KERNEL}
PORT = "net_apir0,kernel=/apir/turn.cl"


def apird_fds(d):
    return len(os.listdir(f"/proc/{d.pid}/fd"))


def apird_maps(d):
    with open(f"/proc/{d.pid}/maps", encoding="ascii") as f:
        return f.readlines()


class Guests(vm.TestCase):
    def flow(self, g, port=PORT, **kw):
        """testpmd between net_null and the device, with packets in flight."""
        t = g.testpmd(["net_null0", port], ["--forward-mode=io"], **kw)
        t.cmd("start")
        self.flows(t)
        return t

    def flows(self, t, more=20000):
        """That many more packets come back from the device."""
        base = t.stats(1)["RX-packets"]
        return t.wait_stats(1, lambda s: s["RX-packets"] >= base + more, 30, "packets coming back")

    def assert_link(self, t, status, timeout=20):
        apirtest.wait_until(lambda: f"Link status: {status}" in t.cmd("show port info 1"), timeout, f"link {status}")

    def end(self, t):
        """Stops cleanly: each packet is accounted for, each mbuf back, none copied."""
        t.cmd("stop")
        t.cmd("port stop all")
        x = t.xstats(1)
        self.assertEqual(x["tx_good_packets"], x["rx_good_packets"] + x["rx_verdict_dropped"] + x["rx_backend_errors"]
                         + x["rx_unpolled_dropped"], x)
        self.assertEqual(x["tx_copied_packets"], 0)
        self.assertEqual(x["backend_copied_bytes"], 0)
        out = t.cmd("dump_mempool mb_pool_0")
        free = int(re.search(r"common_pool_count=(\d+)", out).group(1))
        cached = re.search(r"total_cache_count=(\d+)", out)
        self.assertEqual(free + (int(cached.group(1)) if cached else 0), 16384, out)
        self.assertEqual(t.quit(), 0)
        return x

    def application_restarts(self, driver, iommu=False, **kw):
        """Packets; the application killed with packets in flight, and started again: it takes the device over."""
        d = self.start_apird_for()
        g = self.start_vm(vm.apir_device(d.sock), files=FILES, iommu=iommu)
        g.bind(driver)
        t = self.flow(g, **kw)
        self.assertGreater(t.xstats(1)["rx_reason_3_dropped"], 0)
        t.kill()
        self.assertEqual(t.wait(), 137)
        t = self.flow(g, **kw)
        self.assertEqual(self.end(t)["backend_lost_errors"], 0)
        self.assertEqual(g.stop(), 0)
        apirtest.wait_until(lambda: "ended" in d.log, 10, "the session's end")
        self.assertRegex(d.log, r"ended: \d+ bursts, \d+ packets, 0 bursts failed, 0 packet bytes copied")
        self.assertEqual(d.stop(), 0)

    def test_uio(self):
        self.application_restarts("uio")

    def test_vfio(self):
        self.application_restarts("vfio", True, eal=["--iova-mode=pa"])

    def test_guest_resets(self):
        """The guest is reset with packets in flight, boots, and goes on with the same apird; then QEMU is killed."""
        d = self.start_apird_for()
        g = self.start_vm(vm.apir_device(d.sock), files=FILES)
        g.bind()
        self.flow(g)._end()
        g.reset()
        g.bind()
        self.end(self.flow(g))
        fds = apird_fds(d)
        self.flow(g)._end()
        g.kill()
        apirtest.wait_until(lambda: "ended" in d.log, 10, "the session's end")
        apirtest.wait_until(lambda: apird_fds(d) < fds, 10, "its files to be closed")
        self.assertFalse(any("memory-backend-memfd" in line for line in apird_maps(d)), "the guest's memory is still mapped")
        self.assertEqual(d.stop(), 0)

    def test_apird_restarts(self):
        """Killed twice under load: traffic goes on by itself, every packet and mbuf accounted for."""
        d = self.start_apird_for()
        g = self.start_vm(vm.apir_device(d.sock), files=FILES)
        g.bind()
        t = self.flow(g)
        for n in (1, 2):
            d.kill()
            d.wait()
            self.assert_link(t, "down")
            d = self.start_apird_for()
            self.assert_link(t, "up", 30)
            self.flows(t)
            self.assertEqual(t.xstats(1)["backend_reconnects"], n)
        x = self.end(t)
        self.assertEqual(x["backend_lost_errors"], 2)
        self.assertGreater(x["rx_backend_errors"], 0)

    def test_two_guests(self):
        """Each with its own apird, at once; one of them dies, the other does not notice."""
        one, two = self.start_apird_for("one"), self.start_apird_for("two")
        a = vm.Vm(vm.apir_device(one.sock), files=FILES)
        self.addCleanup(a.close)
        b = self.start_vm(vm.apir_device(two.sock), files=FILES)
        a.wait_ready()
        for g in (a, b):
            g.bind()
        ta = a.testpmd(["net_null0", PORT], ["--forward-mode=io"])
        tb = b.testpmd(["net_null0", PORT], ["--forward-mode=io"])
        ta.cmd("start")
        tb.cmd("start")
        self.flows(ta)
        self.flows(tb)
        ta._end()
        a.kill()
        self.flows(tb)
        apirtest.wait_until(lambda: "ended" in one.log, 10, "the first guest's session to end")
        self.end(tb)

    def test_blk_carrier(self):
        """The other carrier, a disk of no capacity; apird restarts under load."""
        d = self.start_apird_for()
        g = self.start_vm(vm.apir_device(d.sock, carrier="blk"), files=FILES)
        # the kernel's driver first: it finds a disk without sectors
        g.ok("modprobe virtio_pci && modprobe virtio_blk && sleep 0.5")
        self.assertIn("virtio-pci", g.ok("apir-bind --status"))
        self.assertEqual(g.ok("cat /sys/block/vda/size").strip(), "0")
        g.bind()
        t = self.flow(g)
        d.kill()
        d.wait()
        d = self.start_apird_for()
        apirtest.wait_until(lambda: t.xstats(1)["backend_reconnects"] == 1, 30, "reconnect")
        self.flows(t)
        self.end(t)

    def test_kernel_driver_first(self):
        """The guest kernel's virtiofs has the device first, and asks it for a file system."""
        d = self.start_apird_for()
        g = self.start_vm(vm.apir_device(d.sock), files=FILES)
        g.ok("modprobe virtio_pci && modprobe virtiofs && sleep 0.5")
        self.assertIn("driver virtio-pci", g.ok("apir-bind --status"))
        # the mount itself does not wait for the device's answer; the first look does
        r = g.run("mkdir -p /mnt; mount -t virtiofs apir0 /mnt && timeout -s KILL 15 ls /mnt", 30)
        self.assertNotEqual(r.rc, 0, "a file system on apird?")
        self.assertNotEqual(r.rc, 137, "the kernel waits for an answer")
        g.ok("! grep -q /mnt /proc/mounts || umount /mnt")
        r = g.run(f"guestapp {' '.join(g.eal())} -- open")
        self.assertEqual(r.rc, 1)
        self.assertIn(f"the apir device {vm.APIR_ADDR} is bound to the kernel's driver virtio-pci: give it to DPDK with "
                      f"apir-bind {vm.APIR_ADDR}", r.out)
        g.bind()
        t = self.flow(g)
        self.end(t)
        self.assertTrue(d.running, d.log)


if __name__ == "__main__":
    apirtest.main()
