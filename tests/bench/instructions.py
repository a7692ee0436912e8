#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Instructions that a packet costs the guest, over each transport: counted by callgrind, so the same on every run.

usage: instructions.py PROGRAM [--check]

PROGRAM is build/tests/bench/apir-instructions. With --check: fails if the transports differ by more than 5 %.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

FUNCTIONS = ("rte_apir_enqueue_burst", "rte_apir_dequeue_burst")
LIMIT = 0.05
SKIP = 77  # meson's code for a skipped test


def count(program, transport, packets, bursts):
    """Instructions inside enqueue and dequeue, all that they call included."""
    with tempfile.TemporaryDirectory() as d:
        cmd = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={d}/out",
               *(f"--toggle-collect={f}" for f in FUNCTIONS), program, transport, str(packets), str(bursts)]
        r = subprocess.run(cmd, capture_output=True, text=True, timeout=300, check=False)
        if r.returncode != 0:
            sys.exit(f"{' '.join(cmd)} ended with {r.returncode}:\n{r.stdout}{r.stderr}")
        with open(f"{d}/out", encoding="utf-8") as f:
            return int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M)[1])


def per_packet(program, transport, packets):
    """Two lengths, so that what happens once is not counted."""
    few, many = count(program, transport, packets, 200), count(program, transport, packets, 600)
    return (many - few) / 400 / packets


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if len(sys.argv) > 1 else 2
    if not shutil.which("valgrind"):
        print("skipped: valgrind is not installed (tools/deps.sh installs it)")
        return SKIP
    program = os.path.abspath(sys.argv[1])
    worst = 0.0
    print("instructions a packet, enqueue and dequeue together\n"
          f"{'burst':>6} {'vhost-user':>12} {'virtio-pci':>12} {'ratio':>8}")
    for packets in (64, 1000) if "--check" in sys.argv else (1, 32, 64, 256, 1000):
        user, pci = (per_packet(program, t, packets) for t in ("vhost-user", "virtio-pci"))
        worst = max(worst, abs(pci / user - 1))
        print(f"{packets:>6} {user:>12.2f} {pci:>12.2f} {pci / user:>8.3f}")
        if user < 1:
            sys.exit("that few instructions cannot be: nothing was counted")
    if "--check" in sys.argv and worst > LIMIT:
        print(f"the transports differ by {worst:.1%}: {LIMIT:.0%} is allowed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
