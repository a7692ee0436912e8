# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""What the tests of l3fwd-gpu share: a capture of real tools, the router's command line, its summary."""

import json
import os
import re
import shutil
import signal
import struct

import apirtest


def read_pcap(path):
    """Packets of a capture file, as bytes."""
    with open(path, "rb") as f:
        data = f.read()
    magic = struct.unpack_from("<I", data)[0]
    assert magic in (0xa1b2c3d4, 0xa1b23c4d), f"{path}: magic {magic:#x}"
    packets, at = [], 24
    while at < len(data):
        caplen = struct.unpack_from("<I", data, at + 8)[0]
        packets.append(data[at + 16:at + 16 + caplen])
        at += 16 + caplen
    assert at == len(data), f"{path} is truncated"
    return packets


def write_pcap(path, packets):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for p in packets:
            f.write(struct.pack("<IIII", 0, 0, len(p), len(p)) + p)


def ones_sum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return total


CAPTURE = apirtest.tmp_dir()


def record():
    """Record the capture that all tests use."""
    apirtest.need_root()
    apirtest.l3fwd_path()
    r = apirtest.run([os.path.join(apirtest.SOURCE_DIR, "tools", "capture.sh"), CAPTURE], timeout=120)
    if r.rc != 0:
        raise AssertionError(f"tools/capture.sh failed:\n{r.out}")


class TestCase(apirtest.TestCase):
    hugepages_mb = 1024

    # What a command line is made of ---------------------------------------

    @staticmethod
    def cap(name):
        return os.path.join(CAPTURE, name)

    def out(self, name):
        return os.path.join(self.tmp, name)

    def rules(self):
        """Options with copies of the capture's rules, to be changed at will."""
        for name in ("routes4.cfg", "routes6.cfg"):
            shutil.copy(self.cap(name), self.out(name))
        return [f"--rule_ipv4={self.out('routes4.cfg')}", f"--rule_ipv6={self.out('routes6.cfg')}"]

    def pcap_ports(self, inputs, prefix="out", nb=4):
        """nb net_pcap ports; the first ones read the inputs, all write out<N>.pcap."""
        return [f"--vdev=net_pcap{i}," + (f"rx_pcap={inputs[i]}," if i < len(inputs) else "") +
                f"tx_pcap={self.out(f'{prefix}{i}.pcap')}" for i in range(nb)]

    def endless_ports(self):
        """Two ports that repeat the capture without end, two that take what comes."""
        return [f"--vdev=net_pcap0,rx_pcap={self.cap('clients.pcap')},infinite_rx=1",
                f"--vdev=net_pcap1,rx_pcap={self.cap('servers.pcap')},infinite_rx=1",
                "--vdev=net_null2,no-rx=1", "--vdev=net_null3,no-rx=1"]

    def command(self, ports, options, lcores="1", eal=None):
        eal = apirtest.eal_args(mem=256, lcores=lcores) if eal is None else eal
        return [apirtest.l3fwd_path(), *eal, *ports, "--", *options]

    def run_to_end(self, ports, options, lcores="1", timeout=60):
        """Run until the captures are exhausted; returns (exit code, output, summary)."""
        path = self.out("summary.json")
        if os.path.exists(path):
            os.unlink(path)
        r = apirtest.run(self.command(ports, [*options, "--exit-on-idle=300", f"--json={path}"], lcores),
                         timeout=timeout)
        summary = None
        if os.path.exists(path):
            with open(path, encoding="ascii") as f:
                summary = json.load(f)
        return r.rc, r.out, summary

    def start_router(self, ports, options, lcores="1", wait="forwarding on"):
        self.summary_path = self.out("running.json")
        p = self.start_process(self.command(ports, [*options, f"--json={self.summary_path}"], lcores), name="l3fwd-gpu")
        p.wait_log(wait, 60)
        return p

    def summary(self):
        with open(self.summary_path, encoding="ascii") as f:
            return json.load(f)

    @staticmethod
    def reasons(summary):
        total = {}
        for port in summary["ports"]:
            for reason, n in port["dropped"].items():
                total[reason] = total.get(reason, 0) + n
        return total

    def assert_nothing_lost(self, summary, *allowed):
        """Each packet went out or was dropped by the kernel's own reasons, or by one that is allowed."""
        self.assertEqual(summary["rx"], summary["tx"] + summary["dropped"])
        reasons = self.reasons(summary)
        for reason in ("bad_verdict", "refused", "device_lost", "device_error", "tx_full"):
            if reason not in allowed:
                self.assertEqual(reasons[reason], 0, reason)
        self.assertEqual(summary["mismatches"], 0)
        self.assertEqual(sum(p["missed"] for p in summary["ports"]), 0)

    def received(self, process):
        """Packets received so far, by the last periodic table; 0 before the first."""
        tables = process.log.split(" s  port ")
        rows = re.findall(r"^ +\d+ (net_\S+) +(\d+)", tables[-1], re.M)
        return sum(int(n) for _, n in rows) if len(tables) > 1 else 0

    def wait_traffic(self, process, packets=1000):
        """Wait until that many more packets have been received."""
        start = self.received(process)
        apirtest.wait_until(lambda: self.received(process) >= start + packets or not process.running, 20, "traffic")
        self.assertTrue(process.running, process.log)

    def hup(self, process, text, log):
        """Write the IPv4 rules, send SIGHUP and wait for the answer."""
        self.file("routes4.cfg", text)
        seen = len(re.findall(log, process.log))
        process.kill(signal.SIGHUP)
        apirtest.wait_until(lambda: len(re.findall(log, process.log)) > seen or not process.running, 30, log)
        self.assertTrue(process.running, process.log)
