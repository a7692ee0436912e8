#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Start apird and apir-gpu-bench processes for each part of the benchmark; gpu.sh calls this."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

PARTS = ("main", "queues", "window", "staged", "guests")
APIRD_START_S = 60


def cpu_order():
    """The CPUs we may run on: one of each core first, their second threads after that."""
    ranked = []
    for cpu in sorted(os.sched_getaffinity(0)):
        path = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            first = int(path.read_text().replace("-", ",").split(",")[0])
        except (OSError, ValueError):
            first = cpu
        ranked.append((cpu != first, cpu))
    return [cpu for _, cpu in sorted(ranked)]


class Driver:
    def __init__(self, arguments):
        self.a = arguments
        self.bundle, self.tmp = pathlib.Path(arguments.bundle).resolve(), pathlib.Path(arguments.tmp)
        self.lines = pathlib.Path(arguments.out) / "lines.json"
        self.log = pathlib.Path(arguments.out) / "log.txt"
        self.cpus = cpu_order()
        # Where DPDK is installed, EAL opens its plug-ins, which must not meet a second DPDK from the bundle.
        libraries, self.plugin = self.tmp / "lib", None
        libraries.mkdir()
        shutil.copy(self.bundle / "lib/librte_apir.so.0", libraries)
        if subprocess.run([self.bundle / "bin/apird", "--version"], env=dict(os.environ, LD_LIBRARY_PATH=str(libraries)),
                          capture_output=True, check=False).returncode != 0:
            libraries, self.plugin = self.bundle / "lib", "librte_mempool_ring.so"
        self.env = dict(os.environ, LD_LIBRARY_PATH=str(libraries), XDG_CACHE_HOME=str(self.tmp / "cache"),
                        CUDA_CACHE_PATH=str(self.tmp / "nv"))
        self.running = []
        self.number = 0
        self.failed = False
        self.end = time.monotonic() + (115 if arguments.quick else 470)
        self.executor = self.executor_option()
        self.lines.write_text("")
        self.log.write_text("")

    def executor_option(self):
        text = subprocess.run([self.bundle / "bin/apird", "--help"], env=self.env, capture_output=True, text=True,
                              check=False).stdout
        if "--executor" in text:
            return ["--executor", self.a.executor]
        if self.a.executor != "auto":
            sys.exit(f"gpu.sh: this apird has no --executor, so not '{self.a.executor}' either")
        return []

    def cpu(self, n):
        return self.cpus[n % len(self.cpus)]

    def spawn(self, command, **options):
        with self.log.open("a") as log:
            log.write("$ " + " ".join(map(str, command)) + "\n")
            log.flush()
            process = subprocess.Popen([str(word) for word in command], env=self.env, stderr=log, stdin=subprocess.DEVNULL,
                                       **options)
        self.running.append(process)
        return process

    def apird(self, cpus, executor=None):
        self.number += 1
        path = self.tmp / f"apird{self.number}.sock"
        process = self.spawn([self.bundle / "bin/apird", "--socket-path", path, "--cores", ",".join(map(str, cpus)),
                              "--cache-dir", self.tmp / "cache"] +
                             (["--executor", executor] if executor else self.executor), stdout=subprocess.DEVNULL)
        return process, path

    def wait_socket(self, process, path):
        end = time.monotonic() + APIRD_START_S
        while not path.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"apird does not start (exit code {process.poll()}): {self.log_tail()}")
            time.sleep(0.02)

    def sides(self, kernels):
        sides = ["apir"] if self.a.no_gpu else ["direct", "apir"]
        return ",".join(sides + (["lpm"] if "l3fwd" in kernels else []))

    def run(self, label, kernels, guests=1, queues=1, sides=None, one=False, executor=None, **options):
        """One set of cases with so many guests; each has an apird of its own, or all have one."""
        left = self.end - time.monotonic()
        if left < 20:
            self.problem(f"{label}: left out, no time")
            return
        started = time.monotonic()
        servers, clients = [], []
        kernel_words = kernels.split(",")
        # Pollers on cores of their own: those of the guests first, then those of their apirds.
        pollers = [self.cpu(guests * queues + n) for n in range(guests * queues)]
        for g in range(1 if one else guests):
            servers.append(self.apird(pollers if one else pollers[g * queues:(g + 1) * queues], executor))
        try:
            for server in servers:
                self.wait_socket(*server)
            barrier = self.tmp / f"barrier{self.number}"
            for g in range(guests):
                output = self.tmp / f"lines{self.number}.{g}"
                command = [self.bundle / "bin/apir-gpu-bench", "--mode", sides or self.sides(kernel_words), "--path", servers[0 if one else g][1],
                           "--kernel", kernels, "--kernels", self.bundle / "kernels", "--queues", queues,
                           "--cores", ",".join(str(self.cpu(g * queues + q)) for q in range(queues)),
                           "--streams", self.a.streams, "--label", label, "--output", output]
                # A bare name: EAL refuses paths through folders such as /tmp.
                if self.plugin is not None:
                    command += ["--plugin", self.plugin]
                if os.path.ismount(self.tmp / "huge"):
                    command += ["--huge-dir", self.tmp / "huge"]
                if guests > 1:
                    command += ["--barrier", barrier, "--peers", guests]
                for name, value in options.items():
                    command += ["--" + name.replace("_", "-"), value]
                clients.append((self.spawn(command, stdout=subprocess.DEVNULL), output))
            self.watch(label, clients, min(left, 300))
        except RuntimeError as error:
            self.problem(f"{label}: {error}")
        finally:
            self.stop([process for process, _ in clients])
            self.stop([process for process, _ in servers])
        with self.lines.open("a") as lines:
            for g, (_, output) in enumerate(clients):
                for text in output.read_text().splitlines() if output.exists() else []:
                    lines.write(json.dumps(dict(json.loads(text), guest=g, guests=guests)) + "\n")
        print(f"gpu.sh: {label}: {time.monotonic() - started:.0f} s", file=sys.stderr)

    def watch(self, label, clients, seconds):
        end = time.monotonic() + seconds
        waiting = [process for process, _ in clients]
        while waiting:
            for process in [p for p in waiting if p.poll() is not None]:
                waiting.remove(process)
                if process.returncode != 0:
                    raise RuntimeError(f"apir-gpu-bench ended with exit code {process.returncode}: {self.log_tail()}")
            if time.monotonic() > end:
                raise RuntimeError(f"not done after {seconds:.0f} s")
            time.sleep(0.02)

    def log_tail(self):
        """What the processes said last, without the command lines."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if not line.startswith("$ ")]
        return " / ".join(lines[-4:])

    def stop(self, processes):
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process in self.running:
                self.running.remove(process)

    def problem(self, text):
        self.failed = True
        print(f"gpu.sh: {text}", file=sys.stderr)
        with self.log.open("a") as log:
            log.write(f"drive.py: {text}\n")
        with self.lines.open("a") as lines:
            lines.write(json.dumps({"type": "problem", "text": text}) + "\n")

    def machine(self):
        model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="ascii", errors="replace")
                      if line.startswith("model name")), "?")
        smi = subprocess.run("nvidia-smi --query-gpu=name,driver_version,pcie.link.gen.current,pcie.link.width.current,"
                             "clocks.max.sm --format=csv,noheader || true",
                             shell=True, capture_output=True, text=True, check=False).stdout.strip()
        with self.lines.open("a") as lines:
            lines.write(json.dumps({"type": "machine", "cpu": model, "cpus": len(self.cpus), "gpu": smi,
                                    "kernel": os.uname().release, "quick": self.a.quick}) + "\n")

    def plan(self):
        """(part, label, options) of each run."""
        window = self.a.window
        if self.a.quick:
            rate = {"rounds": 5, "slice_ms": 30, "latency": 200, "window": window}
            bursts, long_sizes, sizes, queues, guests, sync = "32,256,1022", "64,1024,1500", "64", [4], [2], (3, 150)
        else:
            rate = {"rounds": 9, "slice_ms": 50, "latency": 1000, "window": window}
            bursts, long_sizes, sizes = "32,64,128,256,512,1022", "64,256,1024,1500", "64,1500"
            queues, guests, sync = [2, 4], [2, 4, 8], (5, 300)
        yield "main", "main", {"kernels": "xor", "burst": bursts, "size": long_sizes, **rate}
        yield "main", "main", {"kernels": "header", "burst": bursts, "size": sizes, **rate}
        yield "main", "main", {"kernels": "l3fwd", "burst": bursts, "size": sizes, **rate}
        fewer = dict(rate, rounds=5, latency=0)
        for n in queues:
            yield "queues", f"queues {n}", {"kernels": "xor", "queues": n, "burst": "64,256,1022", "size": 1024, **fewer}
            yield "queues", f"queues {n}", {"kernels": "header,l3fwd", "queues": n, "burst": "64,256,1022", "size": 64, **fewer}
        for packets in ([1022] if self.a.quick else [1022, 2044, 4088, 16352, 32704]):
            cases = dict(fewer, window=packets)
            yield "window", f"window {packets}", {"kernels": "xor", "burst": "1022", "size": 1024, **cases}
            yield "window", f"window {packets}", {"kernels": "header", "burst": "1022", "size": 64, **cases}
        if not self.a.no_gpu:
            cases = {"burst": "64,256,1022", "sides": "apir", "executor": "opencl", **rate}
            yield "staged", "staged", {"kernels": "xor", "size": "64,1024", **cases}
            yield "staged", "staged", {"kernels": "header,l3fwd", "size": 64, **cases}
        sides = "apir" if self.a.no_gpu else "direct,apir"
        cases = {"rounds": sync[0], "slice_ms": sync[1], "latency": 0, "window": window}
        yield "guests", "guests", {"kernels": "xor", "burst": "1022", "size": 1024, "sides": sides, **cases}
        yield "guests", "guests", {"kernels": "header,l3fwd", "burst": "256", "size": 64, "sides": sides, **cases}
        # Not under MPS: NVIDIA's OpenCL makes no context there (driver 580.159).
        for name, how in (("guests", {"sides": sides}), ("guests, one apird", {"sides": "apir", "one": True})):
            for n in guests:
                yield "guests", name, {"kernels": "xor", "burst": "1022", "size": 1024, "guests": n, **cases, **how}
                yield "guests", name, {"kernels": "header,l3fwd", "burst": "256", "size": 64, "guests": n, **cases, **how}

    def main(self):
        self.machine()
        only = self.a.only.split(",")
        for part, label, options in self.plan():
            if part in only and not (self.a.no_gpu and options.get("queues", 1) * options.get("guests", 1) > len(self.cpus)):
                self.run(label, **options)
        return 1 if self.failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--tmp", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--window", type=int, default=8192)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--executor", default="auto")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-gpu", action="store_true")
    arguments = parser.parse_args()
    if not set(arguments.only.split(",")) <= set(PARTS):
        sys.exit(f"gpu.sh: --only: parts are {', '.join(PARTS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    driver = Driver(arguments)
    try:
        return driver.main()
    finally:
        driver.stop(list(driver.running))


if __name__ == "__main__":
    sys.exit(main())
