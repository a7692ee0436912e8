# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Guest memory: packets where they lie, memory that is added, memory that is not shared."""

import re
import time

import apirtest
import vm


class Memory(vm.TestCase):
    def app(self, g, *words, eal=(), timeout=40):
        return g.run(f"guestapp {' '.join([*g.eal(), *eal])} -- {' '.join(words)}", timeout)

    def check_where(self, d, out, packets=64):
        """The address at which the kernel read each packet is the guest-physical one that its mbuf has."""
        mapped = vm.guest_memory(d)
        self.assertTrue(mapped, d.log)
        pairs = re.findall(r"packet \d+: physical (0x[0-9a-f]+) kernel (0x[0-9a-f]+)", out)
        self.assertEqual(len(pairs), packets, out)
        for phys, seen in pairs:
            self.assertEqual(vm.physical(mapped, int(seen, 16)), [int(phys, 16)], f"{phys} was read at {seen}; memory: {mapped}")
        self.assertIn("copied 0\n", out)
        self.assertIn("done", out)
        return [int(phys, 16) for phys, _ in pairs]

    def test_zero_copy(self):
        d = self.start_apird_for()
        g = self.start_vm(vm.apir_device(d.sock))
        g.bind()
        r = self.app(g, "where")
        self.assertEqual(r.rc, 0, r.out)
        self.check_where(d, r.out)

    def test_memory_is_added(self):
        """Memory modules are plugged in while bursts run; then packets lie in them."""
        d = self.start_apird_for()
        g = self.start_vm(vm.apir_device(d.sock), slots=2, cmdline="memhp_default_state=online")
        g.bind()
        g.ok("mkfifo /tmp/in")
        job = g.start(f"guestapp {' '.join(g.eal())} -- load </tmp/in", "guestapp")
        g.ok("(sleep 100 >/tmp/in & echo $! >/tmp/in.pid) >/dev/null 2>&1")
        job.wait_log("running")

        def total():
            return int(re.search(r"MemTotal: +(\d+)", g.ok("cat /proc/meminfo"))[1])

        before = total()
        for n in (1, 2):
            g.qmp("object-add", **{"qom-type": "memory-backend-memfd", "id": f"m{n}", "size": (64 << 20) << n, "share": True})
            g.qmp("device_add", driver="pc-dimm", id=f"d{n}", memdev=f"m{n}")
            apirtest.wait_until(lambda n=n: f"guest memory: {n + 1} regions" in d.log, 10, "apird to follow")
        # apird follows when QEMU maps it; the guest's kernel takes it into use by and by
        apirtest.wait_until(lambda: total() - before > 200 << 10, 30, "the guest to use its new memory")
        time.sleep(1)
        g.ok("echo >/tmp/in; kill $(cat /tmp/in.pid)")
        self.assertEqual(job.wait(), 0, job.log)
        bursts = int(re.search(r"^(\d+) bursts of 64 packets, each byte right", job.log, re.M)[1])
        self.assertGreater(bursts, 100)
        # so many hugepages that the first memory cannot hold them
        g.ok("echo 230 >/proc/sys/vm/nr_hugepages; [ $(cat /proc/sys/vm/nr_hugepages) -ge 180 ]")
        r = self.app(g, "where", "pool=100000", eal=["-m", "340"])
        self.assertEqual(r.rc, 0, r.out)
        self.assertGreater(max(self.check_where(d, r.out)), 1 << 32, "no packet lies in the memory that was added")

    def not_shared(self, kind, log):
        d = self.start_apird_for()
        g = self.start_vm(vm.apir_device(d.sock), shared=kind)
        g.bind()
        start = time.monotonic()
        r = self.app(g, "open", "timeout_ms=1500")
        self.assertLess(time.monotonic() - start, 20 * apirtest.SLOW)
        self.assertEqual(r.rc, 1, r.out)
        self.assertRegex(r.out, r"no answer to HELLO within 1500 ms: .*share the guest's memory .*share=on")
        if log:
            self.assertIn(log, d.log + g.log)
        self.assertTrue(d.running)

    def test_memory_without_a_file(self):
        self.not_shared(None, "share=on")

    def test_private_memory(self):
        self.not_shared("private", "")

    def test_hugetlb_memory(self):
        """Guest memory on the host's hugepages, as in production."""
        apirtest.need_hugepages(448)
        d = self.start_apird_for()
        g = self.start_vm(vm.apir_device(d.sock), shared="hugetlb")
        g.bind()
        r = self.app(g, "where")
        self.assertEqual(r.rc, 0, r.out)
        self.assertIn("copied 0", r.out)


if __name__ == "__main__":
    apirtest.main()
