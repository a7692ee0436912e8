#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Rates of Open vSwitch with a GPU port, against the same switch with a ring in its place; JSON lines to standard output.

One PMD thread takes packets from a net_null port, sends them to the loop port, takes them from there and sends them
to another net_null port. The loop port is net_ring, then net_apir, then net_ring ...: only a flow changes in between.
Before that, a frame with known bytes goes through each loop port and is compared.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"

# Touches each packet, as a loopback does not. A frame of our own kind gets another byte, too.
MARK = """
__kernel void mark(APIR_BURST)
{
	const uint i = apir_index();
	if (i >= apir_count() || apir_len(i) < 60) return;
	if (apir_data(i)[12] == 0x88 && apir_data(i)[13] == 0xb5) apir_data(i)[20] ^= 0x5a;
	apir_forward(i, 1);
}
"""
FRAME = bytes.fromhex("020000000002" "020000000001" "88b5") + bytes(range(50))
MARKED = FRAME[:20] + bytes([FRAME[20] ^ 0x5a]) + FRAME[21:]
# name, devargs behind the socket's, does it tag
CASES = {
    "loopback": ("", False),
    "kernel": (",kernel={dir}/mark.cl", False),
    "kernel, VLAN": (",kernel={dir}/mark.cl,verdict_vlan=100", True),
}


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"measure.py: {what}: not after {seconds} s")
        time.sleep(0.05)


class Switch:
    """ovsdb-server and ovs-vswitchd of our own."""

    def __init__(self, stack, folder, build, pmd_core, main_core):
        self.dir = folder
        self.env = dict(os.environ, OVS_RUNDIR=folder, OVS_DBDIR=folder, OVS_LOGDIR=folder, OVS_SYSCONFDIR=folder,
                        LD_LIBRARY_PATH=f"{build}/drivers/vdev_apir:{build}/lib/librte_apir")
        self.db, self.ctl = f"{folder}/db.sock", f"{folder}/vswitchd.ctl"
        self._run("ovsdb-tool", "create", f"{folder}/conf.db", SCHEMA)
        start(stack, ["ovsdb-server", f"{folder}/conf.db", f"--remote=punix:{self.db}", f"--unixctl={folder}/ovsdb.ctl"],
              f"{folder}/ovsdb.log", self.env)
        wait_until(lambda: os.path.exists(self.db), 10, "ovsdb-server")
        self.vsctl("--no-wait", "init")
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                   f"other_config:dpdk-lcore-mask={1 << main_core:#x}", f"other_config:pmd-cpu-mask={1 << pmd_core:#x}",
                   "other_config:per-port-memory=true",
                   "other_config:dpdk-extra=-d librte_net_apir.so --no-pci --in-memory --single-file-segments --no-telemetry")
        self.process = start(stack, [VSWITCHD, f"unix:{self.db}", f"--unixctl={self.ctl}"], f"{folder}/vswitchd.log",
                             self.env)
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")

    def _run(self, *cmd):
        p = subprocess.run(cmd, env=self.env, capture_output=True, text=True, check=False, timeout=60)
        if p.returncode != 0:
            with open(f"{self.dir}/vswitchd.log", encoding="utf-8") as log:
                sys.exit(f"measure.py: {' '.join(cmd)}: {p.stderr}\n{log.read()[-4000:]}")
        return p.stdout

    def vsctl(self, *args):
        return self._run("ovs-vsctl", "--timeout=50", f"--db=unix:{self.db}", *args)

    def ofctl(self, command, *args):
        return self._run("ovs-ofctl", "-O", "OpenFlow14", "--timeout=20", command, f"unix:{self.dir}/br0.mgmt", *args)

    def appctl(self, *args):
        return self._run("ovs-appctl", "--timeout=20", "-t", self.ctl, *args)

    def add(self, name, devargs, *settings):
        self.vsctl("add-port", "br0", name, "--", "set", "Interface", name, "type=dpdk",
                   f'options:dpdk-devargs="{devargs}"', *settings)
        error = self.vsctl("get", "Interface", name, "error").strip()
        if error != "[]":
            sys.exit(f"measure.py: port {name}: {error}\n{self.log()}")

    def flows(self, *flows):
        """These and no others."""
        path = f"{self.dir}/flows"
        with open(path, "w", encoding="ascii") as f:
            f.write("".join(flow + "\n" for flow in flows))
        self.ofctl("replace-flows", path)

    def log(self):
        with open(f"{self.dir}/vswitchd.log", encoding="utf-8") as log:
            return "".join(line for line in log if "|INFO|" not in line)[-4000:]

    def counters(self, port):
        out = self.ofctl("dump-ports", port)
        s = {}
        for way in ("rx", "tx"):
            m = re.search(rf"\b{way} pkts=(\d+), bytes=(\d+), drop=(\d+)", out)
            s[way], s[f"{way}_drop"] = int(m.group(1)), int(m.group(3))
        s.update((k, int(v)) for k, v in re.findall(r"(\w+)=(\d+)", out.split("CUSTOM Statistics")[-1]))
        return s


def start(stack, cmd, log, env):
    """A process that ends with us."""
    with open(log, "wb") as out:
        process = subprocess.Popen(cmd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

    def end():
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)
    return process


def check_bytes(switch, port, tagged, expected):
    """One frame through the loop port, written down by a net_pcap port behind it."""
    pcap = f"{switch.dir}/{port}.pcap"
    switch.add("cap", f"net_pcap0,tx_pcap={pcap}")
    switch.flows(f"in_port={port}{',dl_vlan=101,actions=strip_vlan,' if tagged else ',actions='}output:cap")
    switch.ofctl("packet-out", f"in_port=controller packet={FRAME.hex()} actions=output:{port}")
    wait_until(lambda: switch.counters("cap")["tx"] == 1, 10, f"the frame behind {port}")
    switch.flows()
    switch.vsctl("del-port", "cap")
    with open(pcap, "rb") as f:
        data = f.read()[40:]  # one header of the file, one of the packet
    if data != expected:
        sys.exit(f"measure.py: {port}: {data.hex()} came out, not {expected.hex()}")


def steer(switch, loop, tagged):
    """From now on packets go round that loop port, or nowhere. What comes out of the loop ports is still let out."""
    switch.flows(f"in_port=source,actions={'output:' + loop if loop else 'drop'}",
                 "in_port=ring,actions=output:sink",
                 f"in_port=gpu{',dl_vlan=101,actions=strip_vlan,' if tagged else ',actions='}output:sink")


def waited(pid, name):
    """Seconds that a process's busiest thread of that name was ready to run and did not: other work had its core."""
    busiest = (0, 0)
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as f:
                comm = f.read()
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                ran, wait = map(int, f.read().split()[:2])
            if comm.startswith(name):
                busiest = max(busiest, (ran, wait))
    return busiest[1] / 1e9


def rate(switch, loop, seconds):
    """(packets a second at the sink, share of packets that the loop port did not take, of the time that the PMD thread and
    apird's poll thread were kept from running)"""
    def look():
        before = time.monotonic()
        sink = switch.counters("sink")["tx"]
        middle = (before + time.monotonic()) / 2
        port = switch.counters(loop)
        return middle, sink, port["tx"], port["tx_drop"], waited(switch.process.pid, "pmd-"), waited(switch.apird.pid, "apird")

    first = look()
    time.sleep(seconds)
    last = look()
    span, out, sent, refused, pmd, apird = (b - a for a, b in zip(first, last))
    return out / span, refused / (sent + refused) if sent + refused else 0, pmd / span, apird / span


def account(switch, loop, was):
    """With no packets under way: what went into the loop port has come out of it, and gone to the sink."""
    def balance():
        now = {p: switch.counters(p) for p in ("source", loop, "sink")}
        delta = {p: {k: now[p][k] - was[p][k] for k in ("rx", "tx", "tx_drop")} for p in now}
        balance.text = f"{loop}: {delta}"
        return delta[loop]["tx"] == delta[loop]["rx"] == delta["sink"]["tx"] and delta[loop]["tx"] > 0

    try:
        wait_until(balance, 10, "balance of packets")
    except SystemExit:
        sys.exit(f"measure.py: packets are missing: {balance.text}")


def measure(switch, case, devargs, tagged, options):
    """One case: rounds of ring and GPU port in turn."""
    ports = ("ring", "gpu")
    switch.add("gpu", devargs)
    check_bytes(switch, "gpu", tagged, FRAME if case == "loopback" else MARKED)
    steer(switch, None, tagged)  # the way out is there before the first packet
    time.sleep(1)
    rounds = []
    for number in range(options.rounds):
        pair = {}
        for loop in ports if number % 2 == 0 else reversed(ports):
            was = {p: switch.counters(p) for p in ("source", loop, "sink")}
            steer(switch, loop, tagged)
            wait_until(lambda loop=loop, was=was: switch.counters(loop)["rx"] > was[loop]["rx"] + 1000, 10, f"packets through {loop}")
            time.sleep(options.settle)
            pair[loop], pair[f"{loop}_refused"], pair[f"{loop}_pmd"], pair[f"{loop}_apird"] = rate(switch, loop, options.seconds)
            steer(switch, None, tagged)
            wait_until(lambda: len({switch.counters("sink")["tx"] for _ in range(3)}) == 1, 10, "silence")
            account(switch, loop, was)
        rounds.append(pair)
        if options.verbose:
            print(f"{case}: ring {pair['ring'] / 1e6:.2f}, gpu {pair['gpu'] / 1e6:.2f} Mpps, ratio {pair['gpu'] / pair['ring']:.3f}, "
                  f"refused {pair['gpu_refused']:.3f}, PMD waited {pair['ring_pmd']:.3f} and {pair['gpu_pmd']:.3f}, "
                  f"apird {pair['gpu_apird']:.3f}", file=sys.stderr)
    switch.vsctl("del-port", "gpu")
    ratios = [r["gpu"] / r["ring"] for r in rounds]
    return {
        "case": case, "devargs": options.devargs, "bytes": options.size, "rounds": len(rounds),
        "ring_mpps": round(statistics.median(r["ring"] for r in rounds) / 1e6, 3),
        "apir_mpps": round(statistics.median(r["gpu"] for r in rounds) / 1e6, 3),
        "ratio": round(statistics.median(ratios), 3), "ratio_min": round(min(ratios), 3), "ratio_max": round(max(ratios), 3),
        "refused": round(statistics.median(r["gpu_refused"] for r in rounds), 4),
        "pmd_waited": round(statistics.median(r["gpu_pmd"] for r in rounds), 4),
        "apird_waited": round(statistics.median(r["gpu_apird"] for r in rounds), 4),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="build folder of apir (default: build)")
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this one (default: all)")
    parser.add_argument("--devargs", default="burst=64,nb_bursts=8", help="more device arguments of net_apir, '' for none")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of ring and GPU port of each case (default: 9)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement (default: 1)")
    parser.add_argument("--settle", type=float, default=0.5, help="seconds before each measurement (default: 0.5)")
    parser.add_argument("--size", type=int, default=64, help="bytes of each packet (default: 64)")
    parser.add_argument("--pmd-core", type=int, default=1, help="of the PMD thread (default: 1)")
    parser.add_argument("--apird-core", type=int, default=0, help="of apird and of OVS's other threads (default: 0)")
    parser.add_argument("--check", type=float, metavar="RATIO", help="exit code 3 if loopback's ratio is below")
    parser.add_argument("--verbose", action="store_true", help="each round on standard error")
    options = parser.parse_args()
    build = os.path.realpath(options.build)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lines = []
    with contextlib.ExitStack() as stack:
        folder = tempfile.mkdtemp()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        env = dict(os.environ, POCL_CACHE_DIR=f"{build}/test-cache/pocl", XDG_CACHE_HOME=f"{build}/test-cache")
        os.makedirs(env["POCL_CACHE_DIR"], exist_ok=True)
        with open(f"{folder}/mark.cl", "w", encoding="ascii") as f:
            f.write(MARK)
        apird = start(stack, [f"{build}/backend/apird", "--socket-path", f"{folder}/apird.sock", "--cores", str(options.apird_core),
                      "--idle-us", "1000000"],
              f"{folder}/apird.log", env)
        switch = Switch(stack, folder, build, options.pmd_core, options.apird_core)
        switch.apird = apird
        switch.add("source", f"net_null_source,size={options.size}")
        switch.add("sink", "net_null_sink,no-rx=1")
        # Its queue i comes back on its queue i alone, and OVS gives the first to a thread of no use here.
        switch.add("ring", "net_ring0", "options:n_rxq=2")
        check_bytes(switch, "ring", False, FRAME)
        for case in options.case or CASES:
            extra, tagged = CASES[case]
            devargs = f"net_apir0,path={folder}/apird.sock,wait_ms=20000" + extra.format(dir=folder)
            if options.devargs:
                devargs += "," + options.devargs
            lines.append(measure(switch, case, devargs, tagged, options))
            print(json.dumps(lines[-1]), flush=True)
        switch.appctl("exit", "--cleanup")
        if switch.process.wait(20) != 0:
            sys.exit(f"measure.py: ovs-vswitchd ended with code {switch.process.returncode}\n{switch.log()}")
    if options.check is not None:
        for line in lines:
            if line["case"] == "loopback" and line["ratio"] < options.check:
                print(f"measure.py: {line['ratio']} of the ring's rate, {options.check} must be reached", file=sys.stderr)
                sys.exit(3)


if __name__ == "__main__":
    main()
