# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""apird on an NVIDIA GPU: executor cuda. Skipped, with apird's own words for the reason, where there is none."""

import os
import struct
import unittest

import apirtest
import vufront
from vufront import ApirdCase

HEAD = b"__kernel void k(APIR_BURST) { const uint i = apir_index(); if (i >= apir_count()) return; "


class Gpu(ApirdCase):
    @classmethod
    def setUpClass(cls):
        r = apirtest.run([apirtest.apird_path(), "--executor", "cuda", "--device", "auto", "--socket-path",
                          os.path.join(apirtest.tmp_dir(), "no", "such", "folder")])
        if "zero copy through the driver API" not in r.out:
            raise unittest.SkipTest(r.out.strip())

    def started(self, *args):
        d = self.start_apird(["--executor", "cuda", *args])
        f = self.front(d.sock).start()
        self.assertEqual(f.hello()[0], vufront.OK)
        return d, f

    def work(self, f):
        """A burst whose bytes and verdicts must be right, nothing copied."""
        p = f.pipeline(HEAD + b"apir_data(i)[0] += 5; apir_forward(i, 3); }")
        rsp = f.burst(pipeline=p)
        f.mem[vufront.BURSTS + 0x800] = 7
        f.offer(1, 0)
        self.assertEqual(f.wait(1), 16 + 8 * 4)
        self.assertEqual(f.status(rsp), vufront.OK)
        self.assertEqual(f.mem[vufront.BURSTS + 0x800], 12)
        self.assertEqual(struct.unpack_from("<I", f.mem, rsp + 4)[0], 0)
        self.assertEqual(struct.unpack_from("<HHI", f.mem, rsp + 16), (0, 3, 0))

    def test_chosen_by_itself(self):
        d = self.start_apird([])
        d.wait_log(r"executor cuda, zero_copy yes \(raw\)")
        f = self.front(d.sock).start()
        self.assertEqual(f.hello()[0], vufront.OK)
        self.work(f)

    def test_opencl_on_request(self):
        d = self.start_apird(["--executor", "opencl", "--device", "NVIDIA"])
        d.wait_log(r"executor opencl, zero_copy no \(staged\)")

    def test_kernel_that_does_not_end(self):
        d, f = self.started("--kernel-timeout-ms", "3000")
        p = f.pipeline(HEAD + b"volatile __global uchar *b = apir_data(i); while (b[0] == 0) ; }")
        f.burst(pipeline=p)
        f.mem[vufront.BURSTS + 0x800] = 0
        f.offer(1, 0)
        self.assertEqual(d.wait(30), 3)
        self.assertIn(f"session 1: pipeline 0x{p:x} on queue 0 has run for more than 3000 ms", d.log)
        self.assertTrue(f.ended())
        self.work(self.started()[1])

    def test_kernel_that_goes_astray(self):
        d, f = self.started()
        p = f.pipeline(HEAD + b"*(volatile __global uint *)8 = 1; }")
        rsp = f.burst(pipeline=p)
        f.offer(1, 0)
        f.wait(1)
        self.assertEqual(f.status(rsp), 5)
        self.assertEqual(d.wait(30), 5)
        self.assertIn("CUDA_ERROR_ILLEGAL_ADDRESS", d.log)
        self.assertIn("apird ends, to be started again", d.log)
        self.work(self.started()[1])

    def test_beside_a_guest_that_goes_astray(self):
        # One apird for one guest: another's fault is not this one's.
        _, good = self.started()
        d, bad = self.started()
        p = bad.pipeline(HEAD + b"*(volatile __global uint *)8 = 1; }")
        bad.burst(pipeline=p)
        bad.offer(1, 0)
        self.assertEqual(d.wait(30), 5)
        self.work(good)

    def test_device_memory_runs_out(self):
        _, f = self.started()
        status, text, _ = f.result(f.rpc(8, struct.pack(">Q", 1 << 45)))
        self.assertEqual(status, 7)
        self.assertIn("device memory", text)
        self.work(f)

    def test_images_are_refused_by_name(self):
        _, f = self.started()
        source = (b"__kernel void k(APIR_BURST, read_only image2d_t m, sampler_t s) { "
                  b"apir_forward(0, (uint)read_imagef(m, s, (int2)(0, 0)).x); }")
        status, text, _ = f.result(f.rpc(2, struct.pack(">I", 0) + f.xdr(source) + f.xdr(b"")))
        self.assertNotEqual(status, vufront.OK)
        self.assertIn("image", text)
        self.work(f)


class NoGpu(ApirdCase):
    def test_cuda_without_a_gpu_says_why(self):
        r = self.run_apird("--executor", "cuda", "--device", "Portable", "--socket-path", os.path.join(self.tmp, "s"))
        self.assertEqual(r.rc, 1)
        self.assertIn("is no NVIDIA GPU", r.out)

    def test_cuda_copies_nothing(self):
        r = self.run_apird("--executor", "cuda", "--copy-mode", "staged", "--socket-path", os.path.join(self.tmp, "s"))
        self.assertEqual(r.rc, 1)
        self.assertIn("use --executor opencl", r.out)

    def test_unknown_executor(self):
        r = self.run_apird("--executor", "vulkan")
        self.assertEqual(r.rc, 2)
        self.assertIn("auto cuda opencl", r.out)


if __name__ == "__main__":
    apirtest.main()
