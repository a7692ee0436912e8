# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""What is wrong with a guest's device or its set-up: one clear message each, and nothing that hangs."""

import apirtest
import vm

ODD_ADDR = "0000:00:06.0"
FOREIGN_ADDR = "0000:00:07.0"


class Bad(vm.TestCase):
    def fails(self, g, message, *conf, eal=(), replace=None):
        """guestapp does not open the device, and says why."""
        words = g.eal(()) if replace is None else replace
        r = g.run(f"guestapp {' '.join([*words, *eal])} -- open {' '.join(conf)}", 25)
        self.assertEqual(r.rc, 1, r.out)
        self.assertRegex(r.out, r"guestapp: open: .*" + message)
        return r.out

    def test_devices(self):
        """Three devices: a small one, one without indirect descriptors, one of somebody else's."""
        small, odd, foreign = (self.start_apird_for(n) for n in ("small", "odd", "foreign"))
        g = self.start_vm(vm.apir_device(small.sock, queues=2, size=128) +
                          vm.apir_device(odd.sock, addr=ODD_ADDR, indirect_desc="off") +
                          vm.apir_device(foreign.sock, addr=FOREIGN_ADDR, tag="data"))
        status = g.ok("apir-bind --status")
        self.assertIn(f"{vm.APIR_ADDR}  vhost-user-fs-pci          tag apir0", status)
        self.assertNotIn(FOREIGN_ADDR, status)

        # nobody gave them to DPDK
        self.fails(g, f"the apir device {vm.APIR_ADDR} is bound to no driver: give it to DPDK with apir-bind {vm.APIR_ADDR}")
        g.ok("apir-bind --driver uio_pci_generic")
        r = g.run(f"apir-bind --driver uio_pci_generic {FOREIGN_ADDR}")
        self.assertEqual(r.rc, 1)
        self.assertIn(f"{FOREIGN_ADDR} is no apir device and is left alone: its tag does not begin with 'apir' ('data')", r.out)
        r = g.run("apir-bind --driver vfio-pci")
        self.assertEqual(r.rc, 1)
        self.assertIn("vfio-pci needs an IOMMU", r.out)
        self.assertEqual(g.run("apir-bind 5").rc, 2)

        self.fails(g, rf"there are several apir devices, say which with pci=: {vm.APIR_ADDR} {ODD_ADDR}")
        self.fails(g, r"the device lacks VIRTIO_RING_F_INDIRECT_DESC \(it offers 0x[0-9a-f]+\): remove indirect_desc=off",
                   f"pci={ODD_ADDR}")
        self.fails(g, f"{FOREIGN_ADDR} is no apir device: its tag does not begin with 'apir'", f"pci={FOREIGN_ADDR}")
        self.fails(g, "0000:00:1f.0 is no apir device: it is of another kind", "pci=00:1f.0")
        self.fails(g, "0000:00:1e.0 is no apir device: there is no such PCI device", "pci=00:1e.0")
        self.fails(g, "rte_apir_conf.pci '5' is no PCI address", "pci=5")
        self.fails(g, "queue 3 asked for, but the device has only 3: give QEMU's vhost-user-fs-pci a larger "
                      "num-request-queues=", f"pci={vm.APIR_ADDR}", "queues=3")
        self.fails(g, "a queue of 256 entries is needed for such bursts, but the device allows 128: .*queue-size=256",
                   f"pci={vm.APIR_ADDR}", "burst=200")
        for d in (small, odd, foreign):
            self.assertTrue(d.running)

    def test_surroundings(self):
        """A good device: what EAL, other programs and an absent back-end do to it."""
        d = self.start_apird_for()
        g = self.start_vm(vm.apir_device(d.sock, queues=2, size=128))
        g.bind()
        # EAL's own options
        self.fails(g, "needs physical addresses, but EAL uses virtual ones: add --iova-mode=pa", f"pci={vm.APIR_ADDR}",
                   eal=["--iova-mode=va"])
        self.fails(g, "EAL runs with --no-pci", f"pci={vm.APIR_ADDR}", eal=["--no-pci"])
        self.fails(g, "needs physical addresses, but EAL uses virtual ones: .*use hugepages", f"pci={vm.APIR_ADDR}",
                   replace=["--no-huge", "-m", "96", "-l", "0-1", "--no-telemetry"])
        self.fails(g, "EAL did not take the apir device", f"pci={vm.APIR_ADDR}", eal=["-a", ODD_ADDR])
        # the PMD says the same, behind its argument
        pmd = f"dpdk-testpmd {' '.join(g.eal(()))} -d librte_net_apir.so --vdev net_apir0,pci={vm.APIR_ADDR}"
        r = g.run(f"{pmd},queues=3 -- --total-num-mbufs=2048", 25)
        self.assertIn(f"net_apir0: pci={vm.APIR_ADDR}: {vm.APIR_ADDR}: queue 3 asked for", r.out)
        r = g.run(f"{pmd} --vdev net_apir1,pci={vm.APIR_ADDR} -- --total-num-mbufs=2048", 25)
        self.assertIn(f"net_apir1: pci={vm.APIR_ADDR}: the apir device {vm.APIR_ADDR} is open already", r.out)

        # another process has it
        g.ok("mkfifo /tmp/in; (sleep 100 >/tmp/in & echo $! >/tmp/in.pid) >/dev/null 2>&1")
        job = g.start(f"guestapp {' '.join(g.eal())} -- load pci={vm.APIR_ADDR} </tmp/in", "guestapp")
        job.wait_log("running")
        self.fails(g, f"the apir device {vm.APIR_ADDR} is in use by another process", f"pci={vm.APIR_ADDR}")
        r = g.run(f"apir-bind --unbind {vm.APIR_ADDR}")
        self.assertEqual(r.rc, 1)
        self.assertIn(f"{vm.APIR_ADDR} is in use by a DPDK program", r.out)
        self.assertIn("driver uio_pci_generic, in use", g.ok("apir-bind --status"))
        g.ok("echo >/tmp/in; kill $(cat /tmp/in.pid)")
        self.assertEqual(job.wait(), 0, job.log)

        # none of it has hurt the device, whose bursts are as large as its ring allows
        out = g.ok(f"guestapp {' '.join(g.eal())} -- open")
        self.assertIn("bursts of 126", out)
        # the back-end goes before anybody says HELLO
        d.kill()
        d.wait()
        self.fails(g, r"no answer to HELLO within 1000 ms: .*is apird connected to the device's socket \(apird --client",
                   f"pci={vm.APIR_ADDR}", "timeout_ms=1000")
        self.start_apird_for()
        out = g.ok(f"guestapp {' '.join(g.eal())} -- open")
        self.assertIn("done", out)


if __name__ == "__main__":
    apirtest.main()
