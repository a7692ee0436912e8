#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""An unmodified OpenCL program (apps/opencl-app) through libapir_opencl, apird and its workers."""

import os
import shutil
import signal

import apirtest

POCL_ICD = "/etc/OpenCL/vendors/pocl.icd"


def workers(apird):
    """Processes that run OpenCL programs for this apird."""
    found = []
    for task in os.listdir(f"/proc/{apird.pid}/task"):
        try:
            with open(f"/proc/{apird.pid}/task/{task}/children", encoding="ascii") as f:
                found += f.read().split()
        except FileNotFoundError:  # a thread that has just ended
            pass
    return set(found)


def fds(apird):
    return len(os.listdir(f"/proc/{apird.pid}/fd"))


class OpenCL(apirtest.TestCase):
    hugepages_mb = 0

    def setUp(self):
        super().setUp()
        self.program = apirtest.built("tests", "integration", "apps", "opencl-app")
        self.icd = apirtest.built("lib", "libapir_opencl", "libapir_opencl.so")
        apirtest.built("backend", "opencl", "apird-opencl")

    def env(self, apird=None, debug=True, **more):
        """apird: an Apird, a path of a socket, or None."""
        env = {"OCL_ICD_VENDORS": self.icd, "APIR_CONF": "/dev/null"}
        if debug:
            env["APIR_DEBUG"] = "1"
        if apird is not None:
            env["APIR_DEVICE"] = f"path={apird if isinstance(apird, str) else apird.sock}"
        env = apirtest.environment(preload=True, **{**env, **more})
        if apirtest.SANITIZE:
            # LeakSanitizer's own tracer crashes in programs whose drivers have mapped the sparse arena.
            env["ASAN_OPTIONS"] = env["ASAN_OPTIONS"].replace("detect_leaks=1", "detect_leaks=0")
        return env

    def run_app(self, part, env, rc=0, platform=None):
        r = apirtest.run([self.program, part, *([platform] if platform else [])], env=env)
        self.assertEqual(r.rc, rc, r.out)
        return r.out

    def app(self, apird, part):
        """Run a part to its good end; what it printed."""
        return self.run_app(part, self.env(apird, debug=False))

    def native(self, part):
        """The same without apir, on the host's OpenCL itself."""
        if not os.path.exists(POCL_ICD):
            self.skipTest(f"no {POCL_ICD}")
        env = self.env(debug=False, OCL_ICD_VENDORS=os.path.dirname(POCL_ICD))
        env.pop("LD_PRELOAD", None)
        return self.run_app(part, env)

    def as_native(self, apird, part):
        out = self.app(apird, part)
        self.assertEqual(out, self.native(part))
        return out

    def both(self):
        """A folder of vendors with PoCL and apir."""
        folder = os.path.join(self.tmp, "vendors")
        os.mkdir(folder)
        shutil.copy(POCL_ICD, folder)
        with open(os.path.join(folder, "apir.icd"), "w", encoding="ascii") as f:
            f.write(self.icd + "\n")
        return folder

    def start_app(self, apird, part, says):
        p = self.start_process([self.program, part], name="opencl-app", env=self.env(apird))
        p.wait_log(says, 60)
        return p

    def test_platforms(self):
        """apir is one platform among others; who has nobody to talk to is not there, and says why if asked."""
        apird = self.start_apird()
        self.assertEqual(self.app(apird, "platforms"), "apir: 1\n")
        pocl = self.native("platforms")
        vendors = self.both()
        env = self.env(apird, debug=False, OCL_ICD_VENDORS=vendors)
        self.assertCountEqual(self.run_app("platforms", env).splitlines(), ["apir: 1", *pocl.splitlines()])
        off = self.start_apird(["--opencl", "off"])
        nobody = {
            "not configured": (None, r"no device is configured"),
            "no socket": (os.path.join(self.tmp, "none.sock"), r"none\.sock"),
            "switched off": (off, r"no OpenCL for guests here"),
        }
        for what, (where, why) in nobody.items():
            with self.subTest(what):
                self.assertEqual(self.app(where, "platforms"), "error -1001\n")  # the loader's: none found
                out = self.run_app("platforms", self.env(where))
                self.assertIn("error -1001\n", out)
                self.assertRegex(out, why)
                env = self.env(where, debug=False, OCL_ICD_VENDORS=vendors)
                self.assertEqual(self.run_app("platforms", env), pocl)
                self.assertIn("clGetPlatformIDs", self.run_app("compute", self.env(where), rc=1))
        self.assertEqual(off.stop(), 0, off.log)
        self.assertEqual(apird.stop(), 0, apird.log)

    def test_compute(self):
        """Bytes, arguments, images, events: as natively."""
        apird = self.start_apird()
        self.assertEqual(self.app(apird, "compute"), "computed\n")
        self.assertEqual(self.app(apird, "transfers"), "all bytes there\n")
        self.as_native(apird, "buffers")
        self.as_native(apird, "arguments")
        self.assertTrue(self.as_native(apird, "order").endswith("in order\n"))
        self.assertEqual(apird.stop(), 0, apird.log)

    def test_builds(self):
        apird = self.start_apird()
        out = self.app(apird, "builds")
        for line in ("faults told", "linked", "binary again"):
            self.assertIn(line + "\n", out)
        self.assertEqual(apird.stop(), 0, apird.log)

    def test_callbacks(self):
        """Callbacks, and what kernels print, in their order."""
        apird = self.start_apird()
        self.assertEqual(self.as_native(apird, "callbacks"), "6 callbacks\ngone: 21c\n")
        self.assertEqual(self.app(apird, "events"), "kernel says 4711\nwaited\ncalled back\n")
        want = "".join(f"kernel says {i}\n" * n + f"after {i}\n" for i, n in enumerate((1, 7, 300)))
        self.assertEqual(self.app(apird, "prints"), want)
        self.assertEqual(apird.stop(), 0, apird.log)

    def test_mistakes(self):
        apird = self.start_apird()
        self.assertEqual(self.app(apird, "mistakes"), "mistakes told\n")
        self.assertEqual(self.app(apird, "invalid"), "all refused\n")
        self.assertEqual(self.app(apird, "released"), "all dead\n")
        env = self.env(apird, debug=False, OCL_ICD_VENDORS=self.both())
        self.assertEqual(self.run_app("foreign", env, platform="apir"), "strangers refused\n")
        self.assertEqual(apird.stop(), 0, apird.log)

    def test_programs(self):
        """Threads, fork, several programs at once; nothing of them is left."""
        apird = self.start_apird()
        self.assertEqual(self.app(apird, "compute"), "computed\n")
        apirtest.wait_until(lambda: not workers(apird), what="end of the first worker")
        before = fds(apird)
        self.assertEqual(self.app(apird, "threads"), "8 threads\n")
        self.assertEqual(self.app(apird, "forked"), "child\nparent\n")
        five = [self.start_process([self.program, "order"], name="opencl-app", env=self.env(apird, debug=False))
                for _ in range(5)]
        for p in five:
            self.assertEqual(p.wait(60), 0, p.log)
            self.assertIn("in order\n", p.log)
        apirtest.wait_until(lambda: not workers(apird) and fds(apird) <= before, what="end of the workers")
        self.assertEqual(apird.stop(), 0, apird.log)

    def test_killed(self):
        """A program, its worker, and apird are killed in the middle of work; the others go on."""
        apird = self.start_apird()
        other = self.start_app(apird, "endless", "working")
        kept = workers(apird)
        self.assertEqual(len(kept), 1)
        before = fds(apird)
        for _ in range(3):
            p = self.start_app(apird, "endless", "working")
            self.assertEqual(len(workers(apird)), 2)
            p.kill(signal.SIGKILL)
            apirtest.wait_until(lambda: workers(apird) == kept and fds(apird) <= before,
                                what="end of the worker of a killed program")
        p = self.start_app(apird, "endless", "working")
        for pid in workers(apird) - kept:
            os.kill(int(pid), signal.SIGKILL)
        self.assertEqual(p.wait(30), 0, p.log)
        self.assertRegex(p.log, r"error -\d+")
        if not apirtest.SANITIZE:  # AddressSanitizer would report the crash that is meant
            self.assertIn("error after the crash", self.app(apird, "crash"))
            self.assertIn("was ended by signal", apird.log)
        self.assertTrue(other.running, other.log)
        self.assertEqual(workers(apird), kept)
        self.assertEqual(self.app(apird, "compute"), "computed\n")
        apird.kill(signal.SIGKILL)
        self.assertEqual(other.wait(30), 0, other.log)
        self.assertRegex(other.log, r"error -\d+")
        gone = [f"/proc/{pid}" for pid in kept]
        apirtest.wait_until(lambda: not any(map(os.path.exists, gone)), what="end of a worker without its apird")


if __name__ == "__main__":
    apirtest.main()
