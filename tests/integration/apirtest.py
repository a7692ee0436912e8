# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Runs the real parts of apir for the integration tests: apird, unmodified testpmd, any other program.

A test file is::

    import apirtest

    class Loopback(apirtest.TestCase):
        def test_io(self):
            d = self.start_apird()
            t = self.start_testpmd([f"net_apir0,path={d.sock}"])
            self.assertIn("Port 0", t.cmd("show port info 0"))
            self.assertEqual(t.quit(), 0)
            self.assertEqual(d.stop(), 0)

    if __name__ == "__main__":
        apirtest.main()

The build under test is $APIR_BUILD_DIR (meson sets it). With APIR_SANITIZE=1 the build has ASan and UBSan.
Everything started here ends with the test: by process id, also when the test fails or is interrupted.
"""

import atexit
import ctypes
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD_DIR = os.path.abspath(os.environ.get("APIR_BUILD_DIR", os.path.join(SOURCE_DIR, "build")))
SANITIZE = os.environ.get("APIR_SANITIZE") == "1"
# Sanitizers make everything slower; so does a machine that others use.
SLOW = (5 if SANITIZE else 1) * float(os.environ.get("APIR_TEST_SLOW", "1"))
START_TIMEOUT = 30 * SLOW
CMD_TIMEOUT = 30 * SLOW
SANITIZER_EXIT = 99
SANITIZER_REPORT = re.compile(r"ERROR: (Address|Leak)Sanitizer|: runtime error: |AddressSanitizer:DEADLYSIGNAL")

_live = set()
_tmp_dirs = set()


def built(*parts):
    """Path of a file of the build; the test is skipped with a reason if the build does not have it."""
    path = os.path.join(BUILD_DIR, *parts)
    if not os.path.exists(path):
        raise unittest.SkipTest(f"{path} is not built: build first, or set APIR_BUILD_DIR")
    return path


def apird_path():
    return built("backend", "apird")


def l3fwd_path():
    return built("examples", "l3fwd-gpu", "l3fwd-gpu")


def eal_args(mem=256, lcores="0-1"):
    """EAL options of every DPDK program here: nothing left on disk, one file of memory for vhost-user."""
    return ["--in-memory", "--single-file-segments", "--no-pci", "--no-telemetry", "-m", str(mem), "-l", lcores]


def need_hugepages(mem_mb):
    """Skip (with APIR_REQUIRE_HUGEPAGES=1: fail) unless mem_mb MiB of 2 MiB hugepages are free."""
    try:
        with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", encoding="ascii") as f:
            free = int(f.read()) * 2
    except OSError:
        free = 0
    with open("/proc/mounts", encoding="utf-8") as f:
        mounted = any(line.split()[2] == "hugetlbfs" for line in f)
    if free >= mem_mb and mounted:
        return
    why = (f"needs {mem_mb} MiB of free 2 MiB hugepages, {free} MiB are free" if free < mem_mb
           else "no hugetlbfs is mounted")
    why += ": run tools/test.sh, or hugeadm --pool-pages-min 2MB:1024 --create-mounts"
    if os.environ.get("APIR_REQUIRE_HUGEPAGES") == "1":
        raise AssertionError(why)
    raise unittest.SkipTest(why)


def need_root():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root")


def _libasan():
    cc = os.environ.get("APIR_CC", "cc")
    out = subprocess.run([cc, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout
    path = os.path.realpath(out.strip())
    if not os.path.isabs(path) or not os.path.exists(path):
        raise AssertionError(f"{cc} has no libasan.so")
    # A linker script names the library.
    with open(path, "rb") as f:
        head = f.read(4)
    if head != b"\x7fELF":
        with open(path, encoding="ascii") as f:
            text = f.read()
        path = re.search(r"(/\S+libasan\.so\S*)", text).group(1)
    return path


def environment(preload=False, **more):
    """Environment for a program of the build. preload: the program itself is not built with the sanitizers."""
    env = dict(os.environ)
    libs = [os.path.join(BUILD_DIR, "drivers", "vdev_apir"), os.path.join(BUILD_DIR, "lib", "librte_apir")]
    if env.get("LD_LIBRARY_PATH"):
        libs.append(env["LD_LIBRARY_PATH"])
    env["LD_LIBRARY_PATH"] = ":".join(libs)
    # Compiled kernels are kept from test to test, but not in the user's home.
    env.setdefault("XDG_CACHE_HOME", os.path.join(BUILD_DIR, "test-cache"))
    env.setdefault("POCL_CACHE_DIR", os.path.join(BUILD_DIR, "test-cache", "pocl"))
    os.makedirs(env["POCL_CACHE_DIR"], exist_ok=True)
    if SANITIZE:
        supp = os.path.join(SOURCE_DIR, "tests", "lsan.supp")
        env["ASAN_OPTIONS"] = f"detect_leaks=1:exitcode={SANITIZER_EXIT}:abort_on_error=0:detect_odr_violation=0"
        env["LSAN_OPTIONS"] = f"suppressions={supp}:print_suppressions=0:exitcode={SANITIZER_EXIT}"
        env["UBSAN_OPTIONS"] = f"print_stacktrace=1:halt_on_error=1:exitcode={SANITIZER_EXIT}"
        if preload:
            # ASan's stand-ins for XDR functions look for the real ones once, at start: libtirpc must be there by then.
            env["LD_PRELOAD"] = _libasan() + ":libtirpc.so.3"
    env.update(more)
    return env


def _die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


def _popen(cmd, **kw):
    # The kernel ties "parent" to the thread that forks: only the main thread surely lives as long as the test.
    if threading.current_thread() is threading.main_thread():
        kw.setdefault("preexec_fn", _die_with_parent)
    p = subprocess.Popen(cmd, **kw)
    _live.add(p)
    return p


def _end(p, grace=5.0):
    """End a process that we started, if it still runs; returns its exit code."""
    if p.poll() is None:
        p.terminate()
        try:
            p.wait(grace)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    _live.discard(p)
    return p.returncode


def _cleanup():
    for p in list(_live):
        _end(p, 2.0)
    for d in list(_tmp_dirs):
        shutil.rmtree(d, ignore_errors=True)


atexit.register(_cleanup)


def tmp_dir():
    """A private folder, removed at exit."""
    d = tempfile.mkdtemp(prefix="apir-test-")
    _tmp_dirs.add(d)
    return d


class Result:
    """What run() found: .rc, .out (stdout and stderr together, in order)."""

    def __init__(self, rc, out):
        self.rc = rc
        self.out = out


def run(cmd, timeout=60.0, env=None, cwd=None, stdin=None, preload=False):
    """Run a program to its end; more than timeout seconds (times SLOW) fails the test."""
    p = _popen(cmd, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL, stdout=subprocess.PIPE,
               stderr=subprocess.STDOUT, env=env if env is not None else environment(preload), cwd=cwd)
    try:
        out, _ = p.communicate(stdin.encode() if stdin is not None else None, timeout=timeout * SLOW)
    except subprocess.TimeoutExpired:
        p.kill()
        out, _ = p.communicate()
        raise AssertionError(f"{cmd[0]} did not end within {timeout * SLOW:.0f} s; its output:\n"
                             + out.decode(errors="replace")) from None
    finally:
        _live.discard(p)
    text = out.decode(errors="replace")
    if SANITIZER_REPORT.search(text):
        raise AssertionError(f"sanitizer report of {' '.join(cmd)}:\n{text}")
    return Result(p.returncode, text)


def wait_until(condition, timeout=10.0, what="condition"):
    """Poll until condition() is true and return its value; fail after timeout seconds (times SLOW)."""
    end = time.monotonic() + timeout * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout * SLOW:.0f} s")
        time.sleep(0.02)


def listening(path):
    """True if a socket listens on this path (seen in the kernel's table: no connection is made)."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as f:
        next(f)
        for line in f:
            part = line.split(None, 7)
            if len(part) == 8 and part[7].rstrip("\n") == path and int(part[3], 16) & 0x10000:
                return True
    return False


class Process:
    """A background program with its output in a file. Base of Apird; usable for l3fwd-gpu and others too."""

    def __init__(self, cmd, name="program", env=None, preload=False, cwd=None):
        self.name = name
        self.dir = tmp_dir()
        self._log_path = os.path.join(self.dir, name + ".log")
        self._reported = False
        with open(self._log_path, "wb") as log:
            self.proc = _popen(cmd, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=cwd,
                               env=env if env is not None else environment(preload))
        self.pid = self.proc.pid

    @property
    def log(self):
        """All output so far."""
        with open(self._log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    @property
    def running(self):
        return self.proc.poll() is None

    def wait_log(self, regex, timeout=10.0):
        """Wait until the output has a match; returns the match."""
        pattern = re.compile(regex, re.M)
        end = time.monotonic() + timeout * SLOW
        while True:
            gone = not self.running
            m = pattern.search(self.log)
            if m:
                return m
            if gone or time.monotonic() > end:
                why = f"ended with code {self.proc.returncode}" if gone else f"did not within {timeout * SLOW:.0f} s"
                raise AssertionError(f"{self.name} should log '{regex}' but {why}; its log:\n{self.log}")
            time.sleep(0.02)

    def kill(self, sig=signal.SIGKILL):
        """Send a signal."""
        self.proc.send_signal(sig)

    def wait(self, timeout=10.0):
        """Wait for the end; returns the exit code (-N: by signal N)."""
        try:
            rc = self.proc.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {timeout * SLOW:.0f} s; its log:\n{self.log}") from None
        _live.discard(self.proc)
        self._check_sanitizer()
        return rc

    def stop(self, timeout=10.0):
        """SIGTERM and wait; returns the exit code."""
        if self.running:
            self.proc.terminate()
        return self.wait(timeout)

    def close(self):
        """End it if it runs and remove its folder. Fails on a sanitizer report nobody has seen yet."""
        _end(self.proc, 5.0 * SLOW)
        try:
            self._check_sanitizer()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)
            _tmp_dirs.discard(self.dir)

    def _check_sanitizer(self):
        if not self._reported and os.path.exists(self._log_path) and SANITIZER_REPORT.search(self.log):
            self._reported = True
            raise AssertionError(f"sanitizer report of {self.name}:\n{self.log}")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Apird(Process):
    """apird, ready for connections. .sock is its socket, in a private folder unless given.

    wait=False: return at once (for command lines that must fail, for --client and --fd).
    """

    def __init__(self, args=(), sock=None, env=None, wait=True):
        self._sock_dir = None
        if sock is None:
            self._sock_dir = tmp_dir()
            sock = os.path.join(self._sock_dir, "apird.sock")
        self.sock = sock
        super().__init__([apird_path(), "--socket-path", sock, *args], name="apird",
                         env=environment(**(env or {})))
        if not wait:
            return
        try:
            wait_until(lambda: listening(sock) or not self.running, START_TIMEOUT / SLOW, "apird's socket")
        except AssertionError as e:
            self.close()
            raise AssertionError(f"{e}; its log:\n{self.log if os.path.exists(self._log_path) else ''}") from None
        if not self.running:
            log, rc = self.log, self.proc.returncode
            self.close()
            raise AssertionError(f"apird ended at start with code {rc}; its log:\n{log}")

    def close(self):
        try:
            super().close()
        finally:
            if self._sock_dir:
                shutil.rmtree(self._sock_dir, ignore_errors=True)
                _tmp_dirs.discard(self._sock_dir)


class Testpmd:
    """Unmodified dpdk-testpmd with net_apir as a plugin, driven at its prompt over a terminal.

    vdevs: --vdev values. eal: EAL options instead of eal_args(). args: testpmd's own options.
    """

    PROMPT = "testpmd> "

    def __init__(self, vdevs=(), eal=None, args=(), env=None, plugin=True, program="dpdk-testpmd"):
        cmd = [program, *(eal_args() if eal is None else eal)]
        if plugin:
            built("drivers", "vdev_apir", "librte_net_apir.so")
            cmd += ["-d", "librte_net_apir.so"]
        for v in vdevs:
            cmd += ["--vdev", v]
        cmd += ["--", "-i", *args]
        if not any(a.startswith("--total-num-mbufs") for a in args):
            cmd.append("--total-num-mbufs=16384")
        master, slave = pty.openpty()
        # No echo and no CR: what is read is what testpmd wrote.
        attr = termios.tcgetattr(slave)
        attr[1] &= ~termios.OPOST
        attr[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(slave, termios.TCSANOW, attr)
        self._fd = master
        self._out = ""
        self._eof = False
        self._seen = 0
        self._reported = False
        self._cond = threading.Condition()
        try:
            self.proc = _popen(cmd, stdin=slave, stdout=slave, stderr=slave,
                               env=environment(preload=True, **(env or {})))
        finally:
            os.close(slave)
        self.pid = self.proc.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.banner = self._until(self.PROMPT, START_TIMEOUT, "start")
        except AssertionError:
            self.close()
            raise

    def _read(self):
        while True:
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                data = b""
            with self._cond:
                if not data:
                    self._eof = True
                self._out += data.decode(errors="replace")
                self._cond.notify_all()
            if not data:
                return

    def _until(self, text, timeout, what):
        end = time.monotonic() + timeout
        # testpmd writes character by character: another thread's lines may stand in the middle.
        pattern = re.compile(r"(?:(?:\w[\w ]*: [^\n]*)?\r?\n)*".join(map(re.escape, text)))
        with self._cond:
            while True:
                found = pattern.search(self._out, self._seen)
                if found:
                    got = self._out[self._seen:found.start()]
                    self._seen = found.end()
                    return got
                left = end - time.monotonic()
                if self._eof or left <= 0:
                    why = "testpmd ended" if self._eof else f"no prompt within {timeout:.0f} s"
                    raise AssertionError(f"{what}: {why}; its output:\n{self._out[-6000:]}")
                self._cond.wait(left)

    @property
    def log(self):
        """All output so far, prompt and echo included."""
        with self._cond:
            return self._out

    @property
    def running(self):
        return self.proc.poll() is None

    def cmd(self, text, timeout=None):
        """Type a command; returns its output up to the next prompt."""
        os.write(self._fd, text.encode() + b"\n")
        # The line editor echoes the command and its line end first.
        self._until(text, CMD_TIMEOUT, text)
        out = self._until(self.PROMPT, CMD_TIMEOUT if timeout is None else timeout * SLOW, text)
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", out).replace("\r", "").lstrip("\n")

    def stats(self, port):
        """'show port stats' of a port as a dict: RX-packets, RX-missed, RX-bytes, TX-packets, TX-errors, ..."""
        out = self.cmd(f"show port stats {port}")
        return {k: int(v) for k, v in re.findall(r"([RT]X-\S+):\s+(\d+)", out)}

    def xstats(self, port):
        """'show port xstats' of a port as a dict."""
        out = self.cmd(f"show port xstats {port}")
        return {k: int(v) for k, v in re.findall(r"^(\S+): (\d+)$", out, re.M)}

    def wait_stats(self, port, condition, timeout=10.0, what="port statistics"):
        """Poll the statistics until condition(dict) holds; returns them."""
        def check():
            s = self.stats(port)
            return s if condition(s) else None
        return wait_until(check, timeout, what)

    def quit(self, timeout=20.0):
        """Leave testpmd; returns the exit code."""
        os.write(self._fd, b"quit\n")
        return self.wait(timeout)

    def kill(self, sig=signal.SIGKILL):
        self.proc.send_signal(sig)

    def wait(self, timeout=20.0):
        try:
            rc = self.proc.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"testpmd did not end within {timeout * SLOW:.0f} s; its output:\n"
                                 + self.log[-6000:]) from None
        self._reader.join(5)
        _live.discard(self.proc)
        self._check_sanitizer()
        return rc

    def close(self):
        _end(self.proc, 10.0)
        self._reader.join(5)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._check_sanitizer()

    def _check_sanitizer(self):
        if not self._reported and SANITIZER_REPORT.search(self.log):
            self._reported = True
            raise AssertionError(f"sanitizer report of testpmd:\n{self.log[-20000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class TestCase(unittest.TestCase):
    """unittest.TestCase whose helpers end what they start, also when the test fails."""

    hugepages_mb = 512  # free before each test; 0: the test needs none

    def setUp(self):
        if self.hugepages_mb:
            need_hugepages(self.hugepages_mb)
        self.tmp = tmp_dir()
        self.addCleanup(shutil.rmtree, self.tmp, True)

    def start_apird(self, args=(), **kw):
        return self._track(Apird(args, **kw))

    def start_testpmd(self, vdevs=(), **kw):
        return self._track(Testpmd(vdevs, **kw))

    def start_process(self, cmd, **kw):
        return self._track(Process(cmd, **kw))

    def file(self, name, text):
        """Write a file in the test's own folder; returns its path."""
        path = os.path.join(self.tmp, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def _track(self, thing):
        self.addCleanup(thing.close)
        return thing


def _terminated(_signo, _frame):
    # Not sys.exit(): unittest would take it for an error of the test and go on.
    _cleanup()
    os._exit(143)


def main():
    """Run the tests of the calling file."""
    # meson's timeout sends SIGTERM.
    signal.signal(signal.SIGTERM, _terminated)
    unittest.main(module="__main__", verbosity=2)
