#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""An unmodified OpenCL program (apps/opencl-app) through libapir_opencl, apird and its workers."""

import os
import signal
import subprocess

import apirtest

APP = os.path.join(apirtest.BUILD_DIR, "tests", "integration", "apps", "opencl-app")
ICD = os.path.join(apirtest.BUILD_DIR, "lib", "libapir_opencl", "libapir_opencl.so")


def workers(apird):
    """Processes that run OpenCL programs for this apird."""
    with open(f"/proc/{apird.pid}/task/{apird.pid}/children", encoding="ascii") as f:
        found = f.read().split()
    for task in os.listdir(f"/proc/{apird.pid}/task"):
        with open(f"/proc/{apird.pid}/task/{task}/children", encoding="ascii") as f:
            found += f.read().split()
    return set(found)


def fds(apird):
    return len(os.listdir(f"/proc/{apird.pid}/fd"))


class OpenCL(apirtest.TestCase):
    hugepages_mb = 0

    def env(self, apird=None, **more):
        env = {"OCL_ICD_VENDORS": ICD, "APIR_CONF": "/dev/null", "APIR_DEBUG": "1"}
        if apird is not None:
            env["APIR_DEVICE"] = f"path={apird if isinstance(apird, str) else apird.sock}"
        env = apirtest.environment(preload=True, **env, **more)
        if apirtest.SANITIZE:
            # LeakSanitizer's own tracer crashes in programs whose drivers have mapped the sparse arena.
            env["ASAN_OPTIONS"] = env["ASAN_OPTIONS"].replace("detect_leaks=1", "detect_leaks=0")
        return env

    def app(self, apird, part, rc=0):
        """Run it; what it printed."""
        p = subprocess.run([APP, part], env=self.env(apird), capture_output=True, text=True, check=False,
                           timeout=60 * apirtest.SLOW)
        self.assertEqual(p.returncode, rc, p.stdout + p.stderr)
        return p.stdout if rc == 0 else p.stdout + p.stderr

    def start_app(self, apird, part, says):
        p = self.start_process([APP, part], name="opencl-app", env=self.env(apird))
        p.wait_log(says, 60)
        return p

    def test_nobody_there(self):
        """No platform, and the reason on request."""
        for sock, why in ((None, "nothing is configured|no device"), (os.path.join(self.tmp, "none"), "none")):
            out = self.app(sock, "compute", rc=1)
            self.assertIn("clGetPlatformIDs", out)
            self.assertRegex(out, why)
        off = self.start_apird(["--opencl", "off"])
        self.assertIn("no OpenCL for guests here", self.app(off, "compute", rc=1))

    def test_programs(self):
        """One apird, one program after another; nothing of them is left."""
        apird = self.start_apird()
        self.assertEqual(self.app(apird, "compute"), "computed\n")
        before = fds(apird)
        self.assertEqual(self.app(apird, "threads"), "8 threads\n")
        self.assertEqual(self.app(apird, "mistakes"), "mistakes told\n")
        self.assertEqual(self.app(apird, "events"), "kernel says 4711\nwaited\ncalled back\n")
        apirtest.wait_until(lambda: not workers(apird) and fds(apird) <= before, what="end of the workers")
        self.assertEqual(apird.stop(), 0, apird.log)

    def test_killed(self):
        """A program, its worker, and apird are killed in the middle of work; the others go on."""
        apird = self.start_apird()
        other = self.start_app(apird, "endless", "working")
        kept = workers(apird)
        for _ in range(3):
            p = self.start_app(apird, "endless", "working")
            p.kill(signal.SIGKILL)
            apirtest.wait_until(lambda: workers(apird) == kept, what="end of the worker of a killed program")
        p = self.start_app(apird, "endless", "working")
        for pid in workers(apird) - kept:
            os.kill(int(pid), signal.SIGKILL)
        self.assertEqual(p.wait(30), 0, p.log)
        self.assertRegex(p.log, r"error -\d+")
        if not apirtest.SANITIZE:  # AddressSanitizer would report the crash that is meant
            self.assertIn("error after the crash", self.app(apird, "crash"))
        self.assertTrue(other.running, other.log)
        self.assertEqual(self.app(apird, "compute"), "computed\n")
        apird.kill(signal.SIGKILL)
        self.assertEqual(other.wait(30), 0, other.log)
        self.assertRegex(other.log, r"error -\d+")


if __name__ == "__main__":
    apirtest.main()
