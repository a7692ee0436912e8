# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""What a packet costs in a guest, in instructions, against what it costs a process on the host."""

import os
import re
import shutil
import sys
import unittest

import apirtest
import vm

sys.path.append(os.path.join(apirtest.SOURCE_DIR, "tests", "bench"))
import instructions  # noqa: E402 pylint: disable=wrong-import-position

BURST = 64


class Cost(vm.TestCase):
    def test_instructions(self):
        """QEMU counts in the guest, on the real device; callgrind on the host, over vhost-user's addresses."""
        if not shutil.which("valgrind"):
            raise unittest.SkipTest("valgrind is not installed: run tools/deps.sh")
        program = apirtest.built("tests", "bench", "apir-instructions")
        d = self.start_apird_for()
        g = self.start_vm(vm.apir_device(d.sock), smp=1, icount=True)
        g.bind()
        out = g.ok("guestapp --in-memory --no-telemetry -m 96 -l 0 -- cost", 60)
        m = re.search(rf"enqueue (\d+) dequeue (\d+) ticks for a burst of {BURST}\n", out)
        guest = (int(m[1]) + int(m[2])) / BURST
        host = instructions.per_packet(program, "vhost-user", BURST)
        print(f"instructions a packet, bursts of {BURST}: {guest:.2f} in the guest, {host:.2f} over vhost-user",
              file=sys.stderr)
        self.assertLess(abs(guest / host - 1), instructions.LIMIT)


if __name__ == "__main__":
    apirtest.main()
