# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""The guest itself: it boots, the agent answers exactly, testpmd runs, a reset is survived, and nothing is left."""

import os
import shutil

import apirtest
import vm


class Boot(vm.TestCase):
    def test_agent(self):
        """Exit codes, output, time limits and files come back as they are; a guest that dies is noticed."""
        g = self.start_vm(files={"root/given": b"by the host\n"})
        r = g.run("echo out; echo err >&2; exit 3")
        self.assertEqual((r.rc, r.out), (3, "out\nerr\n"))
        self.assertEqual(g.ok("cat /root/given"), "by the host\n")
        data = bytes(range(256)) * 100
        g.put("/tmp/data", data)
        self.assertEqual(g.get("/tmp/data"), data)
        # What a command has started ends with it at its time limit.
        self.assertEqual(g.run("sleep 1000 & sleep 1000", timeout=1).rc, 137)
        self.assertEqual(g.run("pidof sleep").out, "")
        job = g.start("echo begun; sleep 1000", "sleep")
        job.wait_log("^begun$")
        self.assertIsNone(job.rc())
        job.kill("TERM")
        self.assertEqual(job.wait(), 143)
        with self.assertRaisesRegex(AssertionError, "(?s)started anew.*Kernel panic"):
            g.run("echo c >/proc/sysrq-trigger; sleep 1000")

    def test_testpmd(self):
        """Unmodified testpmd forwards between two null ports, before and after a reset of the machine."""
        g = self.start_vm()
        self.assertEqual(g.ok("nproc").strip(), "2")
        for again in (False, True):
            if again:
                g.reset()
            t = g.testpmd(["net_null0", "net_null1"], plugin=False, allow=("0000:ff:1f.7",))
            t.cmd("start")
            for port in (0, 1):
                t.wait_stats(port, lambda s: s["RX-packets"] > 10000 and s["TX-packets"] > 10000)
            self.assertIn("Telling cores to stop", t.cmd("stop"))
            self.assertEqual(t.quit(), 0)

    def test_nothing_left(self):
        """Neither QEMU nor a file outlives the guest, also when its test does not end it."""
        g = self.start_vm()
        pid, folder = g.pid, g.dir
        self.assertEqual(g.stop(), 0)
        g.close()
        self.assertFalse(os.path.exists(f"/proc/{pid}"))
        self.assertFalse(os.path.exists(folder))
        # A guest that is still booting when its lifetime is over.
        g = vm.Vm(lifetime=1.0 / vm.SLOW)
        self.addCleanup(g.close)
        apirtest.wait_until(lambda: not g.running, 10, "end of QEMU's lifetime")
        # A test that is killed.
        script = ("import sys, time, vm; g = vm.Vm(); print(g.pid, g.dir, flush=True); time.sleep(100)")
        p = self.start_process(["python3", "-c", script], name="killed")
        m = p.wait_log(r"^(\d+) (\S+)$", 30)
        p.kill()
        apirtest.wait_until(lambda: self._gone(m[1]), 10, "end of its QEMU")
        shutil.rmtree(m[2])

    @staticmethod
    def _gone(pid):
        """A zombie is gone: whoever inherited it has not looked yet."""
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                return f.read().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True


if __name__ == "__main__":
    apirtest.main()
