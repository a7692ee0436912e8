# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Boots a real guest for the virtual machine tests: QEMU, Debian's kernel, unmodified testpmd, our own programs.

A test file is::

    import apirtest
    import vm

    class Packets(vm.TestCase):
        def test_io(self):
            d = self.start_apird_for("a")
            g = self.start_vm(vm.apir_device(d.sock))
            g.bind()
            t = g.testpmd(["net_null0", "net_apir0"])
            ...
            self.assertEqual(t.quit(), 0)

    if __name__ == "__main__":
        apirtest.main()

tests/vm/mkguest.sh makes kernel and initramfs; what we built is added at each boot, under /apir in the guest. Requests go
to the agent in tests/vm/init over the guest's second serial port, testpmd's terminal is the third or fourth.
No test needs KVM: QEMU runs with TCG. A QEMU lives as long as its test, and never longer than its lifetime.
"""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import threading
import time
import unittest

import apirtest
from apirtest import SLOW, SOURCE_DIR, BUILD_DIR

# What runs in the guest has no sanitizers, which it has no libraries for.
GUEST_BUILD_DIR = os.environ.get("APIR_GUEST_BUILD_DIR",
                                 os.path.join(SOURCE_DIR, "build") if apirtest.SANITIZE else BUILD_DIR)
GUEST_DIR = os.environ.get("APIR_VM_GUEST", os.path.join(SOURCE_DIR, "build", "vm-guest"))
BOOT_TIMEOUT = 60
LIFETIME = 110
# Where QEMU puts the first apir device, and the one that tests have beside it.
APIR_ADDR = "0000:00:05.0"
APIR_ADDR2 = "0000:00:06.0"
NET_ADDR = "0000:00:08.0"
BIND = {"uio": "uio_pci_generic", "vfio": "vfio-pci"}


def need_vm():
    """Skip (with APIR_REQUIRE_VM=1: fail) where no guest can be booted."""
    why = None
    if not shutil.which("qemu-system-x86_64"):
        why = "qemu-system-x86_64 is not installed: run tools/deps.sh"
    elif not os.path.exists(os.path.join(GUEST_DIR, "guest.cpio")):
        why = f"{GUEST_DIR} has no guest: run tests/vm/mkguest.sh"
    if why is None:
        return
    if os.environ.get("APIR_REQUIRE_VM") == "1":
        raise AssertionError(why)
    raise unittest.SkipTest(why)


def cpio(files):
    """A cpio archive (newc) of {path: bytes or (bytes, mode)}; folders are made as needed."""
    out = bytearray()
    ino = [100000]

    def entry(name, mode, data):
        ino[0] += 1
        raw = name.encode() + b"\0"
        head = [ino[0], mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
        out.extend(b"070701" + b"".join(b"%08X" % v for v in head) + raw)
        out.extend(b"\0" * (-len(out) % 4))
        out.extend(data)
        out.extend(b"\0" * (-len(out) % 4))

    made = set()
    for path, what in files.items():
        data, mode = what if isinstance(what, tuple) else (what, 0o644)
        parts = path.strip("/").split("/")
        for i in range(1, len(parts)):
            folder = "/".join(parts[:i])
            if folder not in made and folder not in ("usr", "usr/bin", "usr/lib", "tmp", "root", "etc"):
                made.add(folder)
                entry(folder, stat.S_IFDIR | 0o755, b"")
        entry("/".join(parts), stat.S_IFREG | mode, data)
    entry("TRAILER!!!", 0, b"")
    return bytes(out)


def our_files():
    """What the guest gets of our build: under /apir."""
    files = {
        "apir/lib/librte_apir.so.0": ("lib", "librte_apir", "librte_apir.so.0"),
        "apir/lib/librte_net_apir.so": ("drivers", "vdev_apir", "librte_net_apir.so"),
        "apir/bin/l3fwd-gpu": ("examples", "l3fwd-gpu", "l3fwd-gpu"),
        "apir/bin/apir-bind": ("tools", "apir-bind"),
        "apir/bin/guestapp": ("tests", "vm", "guestapp"),
    }
    out = {}
    for path, where in files.items():
        where = os.path.join(GUEST_BUILD_DIR, *where)
        if not os.path.exists(where):
            raise unittest.SkipTest(f"{where} is not built: build first, or set APIR_GUEST_BUILD_DIR")
        with open(where, "rb") as f:
            out[path] = (f.read(), 0o755)
    return out


def apir_device(sock, carrier="fs", queues=4, size=1024, addr=APIR_ADDR, tag="apir0", **props):
    """QEMU's arguments for an apir device; props are more properties of it, '_' for '-'."""
    slot = addr.split(":")[-1]
    more = "".join(f",{k.replace('__', '-')}={v}" for k, v in props.items())
    chardev = f"socket,id=c{slot},path={sock},server=on,wait=on"
    dev = {"fs": f"vhost-user-fs-pci,chardev=c{slot},tag={tag},num-request-queues={queues},queue-size={size}",
           "blk": f"vhost-user-blk-pci,chardev=c{slot},num-queues={queues},queue-size={size}"}[carrier]
    return ["-chardev", chardev, "-device", f"{dev},addr={slot}{more}"]


def guest_memory(d):
    """Guest memory as apird maps it: [(guest-physical address, bytes, address in apird)]."""
    told = re.findall(r"guest memory: \d+ regions, \d+ MiB \((.*)\)", d.log)[-1]
    want = [(int(a, 16), int(k) << 10) for a, k in re.findall(r"(0x[0-9a-f]+)\+(\d+)K", told)]
    maps = []
    with open(f"/proc/{d.pid}/maps", encoding="ascii") as f:
        for line in f:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw-s ([0-9a-f]+) \S+ (\d+) +/memfd:memory-backend-memfd", line)
            if m:
                maps.append((int(m[1], 16), int(m[2], 16) - int(m[1], 16), int(m[3], 16)))
    found = []
    for gpa, size in want:
        # each of QEMU's memory objects is a file of its own: those that tests add differ in size
        found += [(gpa, size, start) for start, length, offset in maps
                  if length == size and (offset == gpa or gpa >= 1 << 32)]
    return found


def physical(memory, seen):
    """The guest-physical addresses behind an address in apird: one, if it lies in guest memory."""
    return [base + seen - va for base, size, va in memory if va <= seen < va + size]


class Vm:
    """A guest. devices: QEMU arguments, lists of them joined.

    memory: MiB; shared: "memfd", "hugetlb", or "private" and None (memory that back-ends cannot see). iommu: a virtual IOMMU.
    slots: memory slots for hotplug. hugepages: 2 MiB pages in the guest. files: {path in the guest: bytes}.
    icount: the guest's clocks tick once for each instruction (with smp=1).
    """

    def __init__(self, devices=(), memory=448, shared="memfd", iommu=False, slots=0, hugepages=96, files=None,
                 cmdline="", smp=2, lifetime=LIFETIME, icount=False):
        need_vm()
        self.dir = apirtest.tmp_dir()
        self.console_path = os.path.join(self.dir, "console")
        self._qemu_log = os.path.join(self.dir, "qemu.log")
        self._last_id = 0
        self._agent_buf = b""
        self._tty_used = set()
        self._sockets = {}
        self.proc = None
        self._qmp = None
        initrd = os.path.join(self.dir, "initrd")
        with open(initrd, "wb") as f:
            with open(os.path.join(GUEST_DIR, "guest.cpio"), "rb") as base:
                shutil.copyfileobj(base, f)
            f.write(cpio({**our_files(), **(files or {})}))
        backend = {"memfd": "memory-backend-memfd,share=on,", "hugetlb": "memory-backend-memfd,hugetlb=on,share=on,",
                   "private": "memory-backend-memfd,share=off,", None: "memory-backend-ram,"}[shared]
        # maxcpus=1: the guest's init starts the other processors. QEMU 7.2 can crash when one processor writes to a device
        # while another changes where devices lie, which finding the PCI devices does a hundred times over. Faster, too.
        args = ["qemu-system-x86_64", "-name", "apir-test", "-accel", f"tcg,thread={'single' if icount else 'multi'}", "-nodefaults", "-no-user-config",
                "-display", "none", "-machine", "q35" + (",kernel-irqchip=split" if iommu else ""), "-cpu", "max",
                "-smp", str(smp), "-m", f"{memory}" + (f",slots={slots},maxmem=2G" if slots else ""),
                "-object", f"{backend}id=mem,size={memory}M", "-numa", "node,memdev=mem",
                "-kernel", os.path.join(GUEST_DIR, "vmlinuz"), "-initrd", initrd, "-append",
                "console=ttyS0 quiet panic=-1 maxcpus=1 mitigations=off nokaslr tsc=reliable no_timer_check "
                f"random.trust_cpu=on hugepages={hugepages} " + ("intel_iommu=on " if iommu else "") + cmdline,
                "-serial", f"file:{self.console_path}",
                "-qmp", f"unix:{self.dir}/qmp,server=on,wait=off"]
        for n in (1, 2, 3):
            args += ["-serial", f"unix:{self.dir}/tty{n},server=on,wait=off"]
        if icount:
            args += ["-icount", "shift=0,align=off,sleep=off"]
        if iommu:
            args += ["-device", "intel-iommu,intremap=on"]
        args += devices
        self.started = time.monotonic()
        with open(self._qemu_log, "wb") as log:
            self.proc = apirtest._popen(args, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.pid = self.proc.pid
        self._limit = threading.Timer(lifetime * SLOW, self.proc.kill)
        self._limit.daemon = True
        self._limit.start()
        try:
            # at once: what the agent says before somebody listens is lost
            self._connect("tty1")
            self._connect("qmp")
            self._qmp = self._sockets["qmp"].makefile("rwb")
            self.qmp("qmp_capabilities")
        except AssertionError:
            self.close()
            raise

    # Boot and end ------------------------------------------------------------

    def _connect(self, name, timeout=15):
        """QEMU listens once its chardevs are made."""
        path = os.path.join(self.dir, name)
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

        def attempt():
            if self.proc.poll() is not None:
                raise AssertionError(f"QEMU ended with code {self.proc.returncode}:\n{self.log}")
            try:
                s.connect(path)
                return True
            except OSError:
                return False
        apirtest.wait_until(attempt, timeout, f"QEMU's socket {name}")
        self._sockets[name] = s
        return s

    def wait_ready(self, timeout=BOOT_TIMEOUT):
        """Until the guest's agent answers: after the start, or a reset."""
        self._read_line(b"ready 0 0", timeout)
        self._agent_buf = b""
        return self

    @property
    def log(self):
        """What QEMU printed and the guest's console, for messages."""
        out = ""
        for path in (self._qemu_log, self.console_path):
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    out += f"--- {os.path.basename(path)}\n{f.read()[-4000:]}\n"
        return out

    @property
    def running(self):
        return self.proc.poll() is None

    def kill(self):
        """SIGKILL to QEMU."""
        self.proc.kill()
        self.proc.wait()

    def stop(self, timeout=10):
        """Power off by QMP; returns QEMU's exit code."""
        if self.running:
            self.qmp("quit")
        try:
            rc = self.proc.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"QEMU does not end:\n{self.log}") from None
        apirtest._live.discard(self.proc)
        return rc

    def close(self):
        """End QEMU, whatever state it is in."""
        self._limit.cancel()
        if self.proc is not None:
            if self.running:
                self.proc.kill()
            self.proc.wait()
            apirtest._live.discard(self.proc)
        for s in self._sockets.values():
            s.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        apirtest._tmp_dirs.discard(self.dir)

    def qmp(self, command, **args):
        """A QMP command; returns its result, fails on its error. Greeting and events are skipped."""
        self._sockets["qmp"].settimeout(20 * SLOW)
        try:
            self._qmp.write(json.dumps({"execute": command, "arguments": args}).encode() + b"\n")
            self._qmp.flush()
            while line := self._qmp.readline():
                answer = json.loads(line)
                if "error" in answer:
                    raise AssertionError(f"QMP {command}: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]
            why = "QEMU has ended"
        except OSError as e:
            why = e
        if command == "quit":
            return None
        raise AssertionError(f"QMP {command}: {why}\n{self.log}")

    def reset(self):
        """As the reset button does; returns when the guest is up again."""
        self.qmp("system_reset")
        return self.wait_ready()

    # The agent -----------------------------------------------------------------

    def _fill(self, end, what, nudge=False):
        """More of what the agent says. nudge: after some silence send an empty line, which it passes over but whose
        interrupt wakes its serial port: under load an answer once did not come."""
        s = self._sockets["tty1"]
        left = end - time.monotonic()
        if left <= 0:
            raise AssertionError(f"the guest does not answer: {what}\n{self.log}")
        s.settimeout(min(left, 3.0) if nudge else left)
        try:
            data = s.recv(65536)
        except TimeoutError:
            data = None
            if nudge:
                s.settimeout(left)
                s.sendall(b"\n")
        if data == b"":
            raise AssertionError(f"QEMU has ended with code {self.proc.wait()}: {what}\n{self.log}")
        self._agent_buf += data or b""

    def _read_line(self, want, timeout, nudge=False):
        """Skip lines up to one that begins so; returns the rest of it."""
        end = time.monotonic() + timeout * SLOW
        while True:
            while b"\n" in self._agent_buf:
                line, self._agent_buf = self._agent_buf.split(b"\n", 1)
                if line.startswith(want):
                    return line[len(want):]
                if line == b"ready 0 0":
                    raise AssertionError(f"the guest has started anew: {want.decode()}\n{self.log}")
            self._fill(end, want.decode(), nudge)

    def _request(self, verb, data=b"", timeout=20):
        self._last_id += 1
        rid = f"r{self._last_id}"
        end = time.monotonic() + timeout * SLOW
        self._sockets["tty1"].settimeout(timeout * SLOW)
        self._sockets["tty1"].sendall(f"\n{rid} {verb}\n".encode() + data)
        rc, length = map(int, self._read_line(rid.encode() + b" ", timeout, True).split())
        while len(self._agent_buf) < length:
            self._fill(end, verb, True)
        out, self._agent_buf = self._agent_buf[:length], self._agent_buf[length:]
        return rc, out

    def put(self, path, data):
        """Write a file in the guest; kilobytes, not more."""
        rc, out = self._request(f"put {len(data)} {path}", data)
        if rc != 0:
            raise AssertionError(f"{path} in the guest: {out}")

    def get(self, path, timeout=30):
        """The bytes of a file in the guest."""
        rc, out = self._request(f"get {path}", timeout=timeout)
        if rc != 0:
            raise AssertionError(f"{path} in the guest: {out.decode(errors='replace')}")
        return out

    def run(self, command, timeout=30):
        """Run a shell command to its end: a Result. More than timeout seconds (times SLOW): code 137."""
        self.put("/run/command", command.encode())
        rc, out = self._request(f"run {int(timeout * SLOW)}", timeout=timeout + 10)
        return apirtest.Result(rc, out.decode(errors="replace"))

    def ok(self, command, timeout=30):
        """As run(), and it must succeed; returns its output."""
        r = self.run(command, timeout)
        if r.rc != 0:
            raise AssertionError(f"in the guest: {command}\nended with {r.rc}:\n{r.out}\n{self.log}")
        return r.out

    def start(self, command, name):
        """Run a shell command in the background: a Job."""
        return Job(self, command, name)

    def bind(self, driver="uio", addr=APIR_ADDR):
        """Give the device to DPDK, with our own tool."""
        self.ok(f"apir-bind --driver {BIND[driver]} {addr}")

    def testpmd(self, vdevs=(), args=(), eal=(), **kw):
        """testpmd in the guest, with net_apir as a plugin."""
        return GuestTestpmd(self, vdevs, args, eal, **kw)

    def eal(self, allow=(APIR_ADDR,)):
        """EAL options of every DPDK program in a guest."""
        return ["--in-memory", "--no-telemetry", "-m", "96", "-l", "0-1"] + [w for a in allow for w in ("-a", a)]


class Job:
    """A program in the background of a guest, its output in a file there."""

    def __init__(self, guest, command, name):
        self.guest = guest
        self.base = f"/run/jobs/{name}"
        self.name = name
        guest.ok(f"(setsid sh -c '{{ {command} ; }} >{self.base}.out 2>&1; echo $? >{self.base}.tmp; "
                 f"mv {self.base}.tmp {self.base}.rc' </dev/null & echo $! >{self.base}.pid) >/dev/null 2>&1")

    @property
    def log(self):
        return self.guest.get(f"{self.base}.out").decode(errors="replace")

    def kill(self, sig="KILL", program=None):
        """A signal to each process of the job that runs program (default: the job's name)."""
        self.guest.run(f"killall -{sig} {program or self.name}")

    def wait_log(self, regex, timeout=30):
        pattern = re.compile(regex, re.M)

        def look():
            m = pattern.search(self.log)
            if not m and self.rc() is not None:
                m = pattern.search(self.log)
                if not m:
                    raise AssertionError(f"{self.name} ended with {self.rc()} before '{regex}':\n{self.log}")
            return m
        try:
            return apirtest.wait_until(look, timeout, f"'{regex}' of {self.name}")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.log}") from None

    def rc(self):
        """Exit code, or None while it runs."""
        r = self.guest.run(f"cat {self.base}.rc 2>/dev/null")
        return int(r.out) if r.rc == 0 else None

    def wait(self, timeout=30):
        """Wait for its end; returns the exit code."""
        apirtest.wait_until(lambda: self.rc() is not None, timeout, f"end of {self.name}")
        return self.rc()


class GuestTestpmd(apirtest.Testpmd):
    """apirtest.Testpmd in a guest: a serial port of the guest is its terminal."""

    def __init__(self, guest, vdevs=(), args=(), eal=(), allow=(APIR_ADDR,), timeout=40, plugin=True):
        # pylint: disable=super-init-not-called
        self.guest = guest
        self.tty = next(n for n in (2, 3) if n not in guest._tty_used)
        guest._tty_used.add(self.tty)
        name = f"tty{self.tty}"
        sock = guest._sockets.get(name) or guest._connect(name)
        sock.settimeout(None)
        self._fd = os.dup(sock.fileno())
        self._out = ""
        self._eof = False
        self._seen = 0
        self._reported = True
        self._cond = threading.Condition()
        self._stop_r, self._stop_w = os.pipe()
        cmd = ["dpdk-testpmd", *guest.eal(allow), *eal]
        if plugin:
            cmd += ["-d", "librte_net_apir.so"]
        for v in vdevs:
            cmd += ["--vdev", v]
        cmd += ["--", "-i", "--total-num-mbufs=16384", *args]
        self._rc_file = f"/run/jobs/testpmd{self.tty}.rc"
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        line = " ".join(f"'{w}'" for w in cmd)
        guest.ok(f"rm -f {self._rc_file}; (setsid sh -c \"{line} </dev/ttyS{self.tty} >/dev/ttyS{self.tty} 2>&1; "
                 f"echo \\$? >{self._rc_file}.tmp; mv {self._rc_file}.tmp {self._rc_file}\" &) >/dev/null 2>&1")
        try:
            self.banner = self._start(timeout * SLOW)
        except AssertionError:
            self.close()
            raise

    def _start(self, timeout):
        """Until the prompt, or the end of testpmd."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                return self._until(self.PROMPT, 2.0, "start")
            except AssertionError:
                if not self.running:
                    raise AssertionError(f"testpmd ended at start:\n{self.log}") from None
        raise AssertionError(f"testpmd has no prompt:\n{self.log}\n{self.guest.log}")

    def _read(self):
        import select
        while True:
            ready, _, _ = select.select([self._fd, self._stop_r], [], [])
            data = b"" if self._stop_r in ready else os.read(self._fd, 65536)
            with self._cond:
                self._out += data.decode(errors="replace").replace("\r", "")
                if not data:
                    self._eof = True
                self._cond.notify_all()
            if not data:
                return

    @property
    def running(self):
        return self.guest.run(f"test -e {self._rc_file}").rc != 0

    def kill(self, sig="KILL"):
        self.guest.run(f"killall -{sig} dpdk-testpmd")

    def wait(self, timeout=20.0):
        apirtest.wait_until(lambda: not self.running, timeout, "end of testpmd")
        rc = int(self.guest.ok(f"cat {self._rc_file}"))
        self._end()
        return rc

    def _end(self):
        if self._fd < 0:
            return
        os.write(self._stop_w, b"x")
        self._reader.join(5)
        for fd in (self._fd, self._stop_r, self._stop_w):
            os.close(fd)
        self._fd = -1
        self.guest._tty_used.discard(self.tty)

    def close(self):
        self._end()


class TestCase(apirtest.TestCase):
    """apirtest.TestCase with guests."""

    hugepages_mb = 0

    def start_apird_for(self, name="a", args=(), **kw):
        """apird as QEMU's client: it connects as soon as QEMU listens."""
        sock = os.path.join(self.tmp, name + ".sock")
        return self._track(apirtest.Apird(["--client", *args], sock=sock, wait=False, **kw))

    def start_vm(self, devices=(), **kw):
        """A guest that is up."""
        g = Vm(devices, **kw)
        self.addCleanup(g.close)
        return g.wait_ready()
