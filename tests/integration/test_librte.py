#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""librte_apir against a real apird: every function of rte_apir.h, in the program apps/librte-app."""

import glob
import os
import shutil
import signal
import socket
import threading

import apirtest


class Librte(apirtest.TestCase):
    # librte-app runs one group of tests; what it asks for over a socket is done here with apird.

    def setUp(self):
        super().setUp()
        self.apird_args = []
        self.apird = None
        # as long as the test: apird is started again at the same path
        self.sock = os.path.join(self.tmp, "apird.sock")

    def start(self, args=()):
        self.apird_args = ["--device", "0:0", *args]
        self.apird = self.start_apird(self.apird_args, sock=self.sock)

    def stop_all_threads(self):
        """SIGSTOP, and wait until no thread of apird runs any more."""
        self.apird.kill(signal.SIGSTOP)

        def stopped():
            for path in glob.glob(f"/proc/{self.apird.pid}/task/*/stat"):
                with open(path, encoding="ascii") as f:
                    if f.read().rsplit(")", 1)[1].split()[0] != "T":
                        return False
            return True
        apirtest.wait_until(stopped, what="apird to stand still")

    def serve(self, listener):
        """Answer the program's requests."""
        with listener:
            conn, _ = listener.accept()
        with conn, conn.makefile("r", encoding="ascii") as lines:
            for line in lines:
                what = line.strip()
                if what == "stop":
                    self.stop_all_threads()
                elif what == "cont":
                    self.apird.kill(signal.SIGCONT)
                elif what == "kill":
                    self.apird.kill(signal.SIGKILL)
                    self.apird.wait()
                elif what == "start":
                    self.apird = self.start_apird(self.apird_args, sock=self.sock)
                else:
                    break
                conn.sendall(b"ok")

    def run_group(self, group, eal=None, timeout=120.0):
        """Run one group of the program's tests; returns its output."""
        path = os.path.join(self.tmp, "script.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        server = threading.Thread(target=self.serve, args=(listener,), daemon=True)
        server.start()
        try:
            app = apirtest.built("tests", "integration", "apps", "librte-app")
            r = apirtest.run([app, group, self.sock, path, *(apirtest.eal_args(mem=128) if eal is None else eal)],
                             timeout=timeout)
        finally:
            os.unlink(path)
        server.join(10)
        self.assertEqual(r.rc, 0, f"{r.out}\napird's log:\n{self.apird.log if self.apird else ''}")
        self.assertIn("[  PASSED  ]", r.out)
        return r.out

    def end(self):
        """apird ends as asked, with nothing to report."""
        self.assertEqual(self.apird.stop(), 0, self.apird.log)

    def test_objects(self):
        self.start()
        self.run_group("objects")
        self.end()

    def test_buffers(self):
        self.start(["--max-device-memory", "80M"])
        self.run_group("buffers")
        self.end()

    def test_bursts(self):
        self.start()
        self.run_group("bursts")
        self.end()

    def test_zero_copy(self):
        self.start(["--copy-mode", "raw"])
        self.run_group("zero")
        self.end()

    def test_memory_changes(self):
        self.start()
        self.run_group("memory")
        self.end()

    def test_external_memory(self):
        self.start()
        out = self.run_group("extmem")
        # one warning for one piece of memory, however many packets lie in it, each time it is found
        self.assertIn("is private or anonymous memory", out)
        self.assertIn("MAP_SHARED", out)
        self.end()

    def test_lost(self):
        self.start()
        self.run_group("lost")
        self.end()

    def test_hung(self):
        self.start()
        self.run_group("hung")
        self.end()

    def test_many(self):
        self.start(["--max-sessions", "2"])
        self.run_group("many")
        self.end()

    def test_file_per_page(self):
        self.start()
        self.run_group("refused", ["--in-memory", "--no-pci", "--no-telemetry", "-m", "64", "-l", "0"])
        self.end()

    def prefix(self):
        """A --file-prefix of our own; what EAL leaves under that name goes with the test."""
        name = f"apir{os.getpid()}"
        self.addCleanup(shutil.rmtree, f"/var/run/dpdk/{name}", True)
        return name

    def test_legacy_memory(self):
        self.start()
        self.run_group("refused", ["--legacy-mem", "--huge-unlink", f"--file-prefix={self.prefix()}", "--no-pci",
                                   "--no-telemetry", "-m", "64", "-l", "0"])
        self.end()

    def test_no_huge(self):
        self.start()
        self.run_group("loopback", ["--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "-m", "64", "-l", "0"])
        self.end()

    def test_hugepage_files(self):
        prefix = self.prefix()
        self.start()
        try:
            self.run_group("loopback", ["--single-file-segments", f"--file-prefix={prefix}", "--no-pci",
                                        "--no-telemetry", "-m", "64", "-l", "0"])
        finally:
            for path in glob.glob(f"/dev/hugepages/{prefix}map_*"):
                os.unlink(path)
        self.end()


if __name__ == "__main__":
    apirtest.main()
