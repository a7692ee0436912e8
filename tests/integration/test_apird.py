# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""apird by itself: command line, sockets, and front-ends that break the vhost-user protocol."""

import ctypes
import json
import mmap
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import threading
import time
import unittest

import apirtest
import vufront
from vufront import Front


class ApirdCase(apirtest.TestCase):
    hugepages_mb = 0

    def run_apird(self, *args, **kw):
        return apirtest.run([apirtest.apird_path(), *args], **kw)

    def front(self, sock, **kw):
        f = Front(sock, **kw)
        self.addCleanup(f.__exit__)
        return f

    def assertServes(self, sock):
        """A lawful front-end is served."""
        with Front(sock) as f:
            f.start()
            self.assertEqual(f.hello()[0], vufront.OK)
            f.loopback()

    def fds(self, d):
        return len(os.listdir(f"/proc/{d.pid}/fd"))


class CommandLine(ApirdCase):
    def refused(self, text, *args, rc=2):
        r = self.run_apird(*args)
        self.assertEqual(r.rc, rc, r.out)
        self.assertIn(text, r.out)
        self.assertEqual(len(r.out.strip().splitlines()), 1, r.out)

    def test_help_has_every_default(self):
        r = self.run_apird("--help")
        self.assertEqual(r.rc, 0)
        options = re.findall(r"^  (--[a-z-]+)", r.out, re.M)
        self.assertIn("--socket-path", options)
        for text in re.split(r"^  (?=--)", r.out, flags=re.M)[1:]:
            name = text.split()[0]
            if not re.search(r"and\s+exit", text):
                self.assertRegex(text, r"\(default", f"{name} shows no default")

    def test_man_page_agrees_with_help(self):
        r = self.run_apird("--help")
        options = set(re.findall(r"^  --([a-z-]+)", r.out, re.M))
        with open(os.path.join(apirtest.SOURCE_DIR, "doc", "apird.8"), encoding="utf-8") as f:
            page = f.read()
        self.assertEqual(set(re.findall(r"^\.It Fl Fl ([a-z-]+)", page, re.M)), options)
        man = re.sub(r"\s+", " ", page)
        for name, default in re.findall(r"^  --([a-z-]+) [A-Z]+\s[^(]*?\(default ([0-9]+)\)", r.out, re.M):
            entry = man.split(f".It Fl Fl {name} ")[1].split(".It ")[0]
            self.assertIn(default, entry, f"default of --{name}")
        codes = re.findall(r"(\d) [a-z]", r.out.split("Exit codes:")[1])
        self.assertEqual(re.findall(r"^\.It (\d)$", page, re.M), codes)

    def test_version(self):
        r = self.run_apird("--version")
        self.assertEqual(r.rc, 0)
        self.assertRegex(r.out, r"^apird \d+\.\d+\.\d+ \(contract 1\.0\)\n$")

    def test_print_capabilities(self):
        r = self.run_apird("--print-capabilities")
        self.assertEqual(r.rc, 0)
        self.assertEqual(json.loads(r.out)["type"], "fs")

    def test_list_devices(self):
        r = self.run_apird("--list-devices")
        self.assertEqual(r.rc, 0)
        self.assertRegex(r.out, r"(?m)^0:0 ")

    def test_wrong_options(self):
        self.refused("'--bogus'", "--bogus")
        self.refused("--queues needs a value", "--queues")
        self.refused("1 to 64", "--queues", "65")
        self.refused("0 to 1000000", "--idle-us", "x")
        self.refused("1 to 256", "--max-sessions", "0")
        self.refused("1 to 3600000", "--kernel-timeout-ms", "0")
        self.refused("suffix", "--max-device-memory", "lots")
        self.refused("--cores", "--cores", "0-")
        self.refused("raw base staged", "--copy-mode", "none")
        self.refused("'stray'", "stray")

    def test_device_that_matches_nothing(self):
        r = self.run_apird("--socket-path", os.path.join(self.tmp, "s"), "--device", "no such device")
        self.assertEqual(r.rc, 1)
        self.assertIn("'no such device'", r.out)
        self.assertIn("0:0", r.out)
        self.assertEqual(os.listdir(self.tmp), [])

    def test_no_device_at_all(self):
        empty = os.path.join(self.tmp, "vendors")
        os.mkdir(empty)
        env = apirtest.environment(OCL_ICD_VENDORS=empty)
        for args in (["--list-devices"], ["--socket-path", os.path.join(self.tmp, "s")]):
            r = self.run_apird(*args, env=env)
            self.assertEqual(r.rc, 1, r.out)
            self.assertRegex(r.out, r"(?i)opencl")


class Life(ApirdCase):
    def test_start_lines_and_sigterm(self):
        d = self.start_apird()
        m = d.wait_log(r"apird (\S+) on (\S+): device '(.+)' .* zero_copy (yes|no) \((\w+)\)")
        self.assertEqual(m.group(2), d.sock)
        self.assertServes(d.sock)
        d.wait_log(r"session 1: guest memory: 1 regions, 0 MiB \(0x10000000\+512K\)")
        d.wait_log(r"session 1: guest 'vufront' connected: 1 data queues")
        d.wait_log(r"session 1 \('vufront'\) ended: 1 bursts, 4 packets, 0 bursts failed, 0 packet bytes copied")
        self.assertTrue(stat.S_ISSOCK(os.stat(d.sock).st_mode))
        self.assertEqual(d.stop(), 0)
        self.assertFalse(os.path.exists(d.sock))

    def test_signals_with_guests_connected(self):
        for sig in (signal.SIGTERM, signal.SIGINT):
            d = self.start_apird()
            f = self.front(d.sock, queues=2).start()
            self.assertEqual(f.hello()[0], vufront.OK)
            f.loopback(2)
            begin = time.monotonic()
            d.kill(sig)
            self.assertEqual(d.wait(), 0)
            self.assertLess(time.monotonic() - begin, 1.0 * apirtest.SLOW)
            self.assertTrue(f.ended())
            self.assertFalse(os.path.exists(d.sock))

    def test_idle_costs_nothing(self):
        d = self.start_apird(["--idle-us", "100"])
        f = self.front(d.sock).start()
        self.assertEqual(f.hello()[0], vufront.OK)
        f.loopback()

        def switches():
            total = 0
            for t in os.listdir(f"/proc/{d.pid}/task"):
                with open(f"/proc/{d.pid}/task/{t}/schedstat", encoding="ascii") as s:
                    total += int(s.read().split()[0])
            return total

        time.sleep(0.5)
        begin = switches()
        time.sleep(2.0)
        self.assertLess(switches() - begin, 2.0e9 * 0.01)
        f.loopback()

    def test_nothing_left_behind_when_killed(self):
        before = {p: set(os.listdir(p)) for p in ("/run", "/tmp")}
        d = self.start_apird()
        d.kill(signal.SIGKILL)
        d.wait()
        for p, names in before.items():
            left = [n for n in set(os.listdir(p)) - names if n.startswith("apird-")]
            self.assertEqual(left, [], p)

    def test_idle_us_zero_and_cores(self):
        d = self.start_apird(["--idle-us", "0", "--cores", "0"])
        self.assertServes(d.sock)
        tasks = f"/proc/{d.pid}/task"
        for t in os.listdir(tasks):
            with open(f"{tasks}/{t}/comm", encoding="ascii") as c:
                if c.read().strip() == "apird-poll":
                    self.assertEqual(os.sched_getaffinity(int(t)), {0})
                    return
        self.fail("no poll thread")


class Sockets(ApirdCase):
    def test_stale_socket_is_replaced(self):
        path = os.path.join(self.tmp, "s")
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        s.close()
        d = self.start_apird(sock=path)
        d.wait_log("left behind was removed")
        self.assertServes(path)

    def test_after_sigkill(self):
        path = os.path.join(self.tmp, "s")
        d = self.start_apird(sock=path)
        d.kill(signal.SIGKILL)
        d.wait()
        self.assertTrue(os.path.exists(path))
        self.assertServes(self.start_apird(sock=path).sock)

    def test_live_socket_is_refused(self):
        d = self.start_apird()
        r = self.run_apird("--socket-path", d.sock)
        self.assertEqual(r.rc, 1)
        self.assertIn("another process listens there", r.out)
        self.assertServes(d.sock)

    def test_other_file_is_refused(self):
        path = self.file("s", "precious")
        r = self.run_apird("--socket-path", path)
        self.assertEqual(r.rc, 1)
        self.assertIn("is no socket", r.out)
        with open(path, encoding="ascii") as f:
            self.assertEqual(f.read(), "precious")

    def test_folder_is_created_but_not_its_parent(self):
        self.assertServes(self.start_apird(sock=os.path.join(self.tmp, "new", "s")).sock)
        r = self.run_apird("--socket-path", os.path.join(self.tmp, "a", "b", "s"))
        self.assertEqual(r.rc, 1)
        self.assertIn("create its folder", r.out)

    def test_a_newer_socket_is_not_removed(self):
        d = self.start_apird()
        os.unlink(d.sock)
        other = socket.socket(socket.AF_UNIX)
        self.addCleanup(other.close)
        other.bind(d.sock)
        self.assertEqual(d.stop(), 0)
        self.assertTrue(os.path.exists(d.sock))

    def fd_apird(self, fd, *args):
        cmd = [apirtest.apird_path(), "--fd", str(fd), *args]
        p = apirtest._popen(cmd, pass_fds=[fd], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env=apirtest.environment())
        self.addCleanup(lambda: (apirtest._end(p), p.stdout.close()))
        return p

    def test_fd_listening(self):
        path = os.path.join(self.tmp, "s")
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
            s.listen(4)
            p = self.fd_apird(s.fileno())
            self.assertServes(path)
            self.assertServes(path)
        p.terminate()
        self.assertEqual(p.wait(10 * apirtest.SLOW), 0)
        self.assertTrue(os.path.exists(path), "the socket is not apird's to remove")

    def test_fd_connected(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        p = self.fd_apird(theirs.fileno())
        theirs.close()
        with Front(ours) as f:
            f.start()
            self.assertEqual(f.hello()[0], vufront.OK)
            f.loopback()
        self.assertEqual(p.wait(10 * apirtest.SLOW), 0, "apird ends with its connection")

    def test_fd_that_is_no_use(self):
        r = self.run_apird("--fd", "77")
        self.assertEqual(r.rc, 1)
        self.assertIn("--fd 77", r.out)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            p = self.fd_apird(s.fileno())
            self.assertEqual(p.wait(30 * apirtest.SLOW), 1)
        with socket.socket(socket.AF_UNIX) as s:
            p = self.fd_apird(s.fileno())
            self.assertEqual(p.wait(30 * apirtest.SLOW), 1)
            self.assertIn(b"neither listening nor connected", p.stdout.read())

    def test_client_connects_and_reconnects(self):
        path = os.path.join(self.tmp, "s")
        d = self.start_apird(["--client"], sock=path, wait=False)
        d.wait_log("waiting for somebody to listen", 30)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
            s.listen(1)
            s.settimeout(20 * apirtest.SLOW)
            for _ in range(2):
                with Front(s.accept()[0]) as f:
                    f.start()
                    self.assertEqual(f.hello()[0], vufront.OK)
                    f.loopback()
        self.assertEqual(d.stop(), 0)
        self.assertTrue(os.path.exists(path), "the socket is the server's")


class Sessions(ApirdCase):
    def test_more_than_max_sessions(self):
        d = self.start_apird(["--max-sessions", "2"])
        fronts = [self.front(d.sock).start() for _ in range(6)]
        answers = [f.hello() for f in fronts]
        self.assertEqual([a[0] for a in answers[:2]], [vufront.OK] * 2)
        for status, text in answers[2:]:
            self.assertEqual(status, vufront.SESSIONS)
            self.assertIn("--max-sessions", text)
        # Beyond those that are told why, connections are closed at once.
        over = self.front(d.sock)
        self.assertTrue(over.ended())
        d.wait_log("closed at once: 6 are open, --max-sessions is 2")
        for f in fronts:
            f.close()
        d.wait_log(r"(?s)(ended.*){6}")
        self.assertServes(d.sock)

    def test_more_queues_than_allowed(self):
        d = self.start_apird(["--queues", "2"])
        f = self.front(d.sock, queues=3).start()
        status, text = f.hello()
        self.assertEqual(status, vufront.TOOBIG)
        self.assertIn("--queues 3", text)
        self.assertEqual(f.hello(queues=2)[0], vufront.OK)
        f.loopback(2)

    def test_no_common_version(self):
        d = self.start_apird()
        f = self.front(d.sock).start()
        status, text = f.hello(vmin=2 << 16, vmax=3 << 16)
        self.assertEqual(status, vufront.VERSION_STATUS)
        self.assertIn("1.0", text)

    def test_unknown_control_request_is_answered(self):
        d = self.start_apird()
        f = self.front(d.sock).start()
        answer = f.control(struct.pack("<IIQQIIII", 104, 26, 1, 0, 0, 0, 0, 0) + bytes(64))
        self.assertEqual(struct.unpack_from("<IHHII", answer)[2], 14)
        self.assertEqual(f.hello()[0], vufront.OK)

    def test_ten_clients_at_once(self):
        d = self.start_apird()
        errors = []
        gate = threading.Barrier(10)

        def client():
            try:
                with Front(d.sock, queues=2) as f:
                    gate.wait(30)
                    f.start()
                    assert f.hello()[0] == vufront.OK
                    for i in range(20):
                        f.loopback(1 + i % 2)
            except Exception as e:  # noqa: BLE001 - told to the main thread
                errors.append(repr(e))

        threads = [threading.Thread(target=client) for _ in range(10)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(errors, [])
        d.wait_log(r"(?s)(ended: 20 bursts, 80 packets, 0 bursts failed.*){10}")

    def test_guest_that_restarts_on_its_connection(self):
        d = self.start_apird()
        f = self.front(d.sock).start()
        self.assertEqual(f.hello()[0], vufront.OK)
        f.loopback()
        for q in range(2):
            base = struct.unpack("<II", f.get(vufront.GET_VRING_BASE, struct.pack("<II", q, 0)))
            self.assertEqual(base, (q, f.avail[q]))
        f.mem[0:2 * vufront.RING_SPACE] = bytes(2 * vufront.RING_SPACE)
        f.avail = [0, 0]
        f.used = [0, 0]
        for q in range(2):
            f.vring(q)
        self.assertEqual(f.hello()[0], vufront.OK)
        f.loopback()

    def test_paused_guest_goes_on(self):
        d = self.start_apird()
        f = self.front(d.sock).start()
        self.assertEqual(f.hello()[0], vufront.OK)
        f.loopback()
        for q in range(2):
            f.get(vufront.GET_VRING_BASE, struct.pack("<II", q, 0))
        rsp = f.burst()
        f.offer(1, 0)
        for q in range(2):
            desc, avail, used = f.ring(q)
            f.must(vufront.SET_VRING_NUM, struct.pack("<II", q, vufront.SIZE))
            f.must(vufront.SET_VRING_BASE, struct.pack("<II", q, f.used[q]))
            f.must(vufront.SET_VRING_ADDR, struct.pack("<IIQQQQ", q, 0, f.UVA + desc, f.UVA + used, f.UVA + avail, 0))
            f.must(vufront.SET_VRING_CALL, struct.pack("<Q", q), [f.call[q]])
            f.must(vufront.SET_VRING_KICK, struct.pack("<Q", q), [f.kick[q]])
        # Offered while the rings were away, answered now, without another HELLO.
        self.assertEqual(f.wait(1), 16 + 8 * 4)
        self.assertEqual(f.status(rsp), vufront.OK)


class Hostile(ApirdCase):
    """Each ends its own connection and nobody else's."""

    def setUp(self):
        super().setUp()
        self.d = self.start_apird()
        self.d.wait_log("zero_copy")
        self.assertServes(self.d.sock)
        self.d.wait_log("session 1 .*ended")
        self.base_fds = self.fds(self.d)

    def after(self):
        """The victim is alive, holds nothing, and serves others."""
        apirtest.wait_until(lambda: self.fds(self.d) <= self.base_fds, what="file descriptors given back")
        self.assertServes(self.d.sock)
        apirtest.wait_until(lambda: self.fds(self.d) <= self.base_fds, what="file descriptors given back")
        self.assertTrue(self.d.running)

    def refuses(self, request, payload=b"", fds=(), started=True, why=None, **kw):
        with Front(self.d.sock) as f:
            if started:
                f.start()
                self.assertEqual(f.hello()[0], vufront.OK)
            else:
                f.negotiate()
            f.send(request, payload, fds, kw.get("flags", vufront.VERSION | vufront.NEED_REPLY), kw.get("size"))
            if kw.get("ack", True):
                got, answer = f.recv()
                self.assertEqual(got, request)
                self.assertNotEqual(struct.unpack("<Q", answer)[0], 0)
            self.assertTrue(f.ended())
        if why:
            self.d.wait_log(why)
        self.after()

    def test_unknown_messages(self):
        for request in (0, 6, 7, 19, 20, 22, 24, 28, 31, 32, 37, 39, 41, 99, 0xFFFFFFFF):
            self.refuses(request, bytes(8), started=False)

    def test_fds_leaked_by_refused_messages(self):
        spare = [os.eventfd(0) for _ in range(8)]
        self.addCleanup(lambda: [os.close(fd) for fd in spare])
        self.refuses(vufront.GET_FEATURES, b"", spare, why="wrong number of fds")
        self.refuses(vufront.SET_VRING_NUM, struct.pack("<II", 0, 64), spare)
        self.refuses(vufront.SET_VRING_KICK, struct.pack("<Q", 200), spare[:1], why="no such queue")
        self.refuses(vufront.SET_VRING_CALL, struct.pack("<Q", 0), spare[:2])
        self.refuses(99, b"", spare)
        self.refuses(vufront.SET_MEM_TABLE, struct.pack("<II", 9, 0) + bytes(8 * 32), spare)
        more = spare + [os.eventfd(0) for _ in range(4)]
        self.addCleanup(lambda: [os.close(fd) for fd in more[8:]])
        self.refuses(vufront.SET_MEM_TABLE, struct.pack("<II", 8, 0) + bytes(8 * 32), more)

    def test_fds_of_a_message_cut_short(self):
        spare = [os.eventfd(0) for _ in range(8)]
        self.addCleanup(lambda: [os.close(fd) for fd in spare])
        for n in (1, 11, 12, 15):
            with Front(self.d.sock) as f:
                data = struct.pack("<III", vufront.SET_VRING_KICK, vufront.VERSION, 8) + bytes(3)
                socket.send_fds(f.sock, [data[:n]], spare)
            self.after()

    def test_message_that_comes_in_pieces(self):
        with Front(self.d.sock) as f:
            data = struct.pack("<III", vufront.GET_FEATURES, vufront.VERSION, 0)
            for b in data:
                f.sock.send(bytes([b]))
                time.sleep(0.01)
                # Nobody else waits for the rest of it.
                if b == data[4]:
                    self.assertServes(self.d.sock)
            self.assertEqual(f.recv()[0], vufront.GET_FEATURES)
        self.after()

    def test_message_too_long(self):
        self.refuses(vufront.SET_MEM_TABLE, bytes(300), size=265, ack=False)
        self.refuses(vufront.SET_MEM_TABLE, bytes(300), size=0xFFFFFFFF, ack=False)

    def test_queue_size(self):
        for size in (0, 1, 4, 7, 100, 2048, 32768, 65536, 0xFFFFFFFF):
            self.refuses(vufront.SET_VRING_NUM, struct.pack("<II", 1, size), why="queue size")

    def test_queue_that_does_not_exist(self):
        for q in (65, 255, 256, 0xFFFFFFFF):
            for request in (vufront.SET_VRING_NUM, vufront.GET_VRING_BASE, vufront.SET_VRING_ENABLE):
                self.refuses(request, struct.pack("<II", q, 8), started=False)
            self.refuses(vufront.SET_VRING_ADDR, struct.pack("<IIQQQQ", q, 0, 0, 0, 0, 0), started=False)

    def test_ring_outside_memory(self):
        for at in (0, Front.UVA + vufront.MEMORY - 64, Front.UVA - 8, 0xFFFFFFFFFFFFFFF0):
            with Front(self.d.sock) as f:
                f.start()
                self.assertEqual(f.hello()[0], vufront.OK)
                f.ask(vufront.SET_VRING_ADDR, struct.pack("<IIQQQQ", 1, 0, at, at, at, 0))
            self.after()

    def test_ring_grows_beyond_memory(self):
        # The addresses were checked for 64 entries at the very end of memory; then the size changes.
        with Front(self.d.sock) as f:
            f.start()
            at = f.UVA + vufront.MEMORY - 64 * 16
            f.must(vufront.SET_VRING_ADDR, struct.pack("<IIQQQQ", 1, 0, at, f.UVA, f.UVA + 0x10000, 0))
            f.ask(vufront.SET_VRING_NUM, struct.pack("<II", 1, 1024))
            self.d.wait_log("ring 1 is refused")
        self.after()

    def test_memory_tables(self):
        small = os.memfd_create("small")
        os.ftruncate(small, 4096)
        self.addCleanup(os.close, small)
        pipe = os.pipe()
        self.addCleanup(lambda: [os.close(p) for p in pipe])
        g, u = Front.GPA, Front.UVA

        def table(*regions):
            return struct.pack("<II", len(regions), 0) + b"".join(struct.pack("<QQQQ", *r) for r in regions)

        for payload, fds in (
                (table((g, 4097, u, 0)), [small]),
                (table((g, 4096, u, 1)), [small]),
                (table((g, 0, u, 0)), [small]),
                (table((g, 1 << 63, u, 1 << 63)), [small]),
                (table((0xFFFFFFFFFFFFF000, 4097, u, 0)), [small]),
                (table((g, 4096, u, 0)), [pipe[0]]),
                (table((g, 4096, u, 0)), []),
                (table((g, 4096, u, 0), (g + 100, 4096, u + 8192, 0)), [small, small]),
                (table((g, 4096, u, 0))[:30], [small]),
                (table(), []),
        ):
            self.refuses(vufront.SET_MEM_TABLE, payload, fds)

    def test_memory_that_cannot_be_mapped(self):
        # Sparse: the file is as long as it says, but no address space holds it.
        huge = os.memfd_create("huge")
        os.ftruncate(huge, 1 << 62)
        self.addCleanup(os.close, huge)
        self.refuses(vufront.SET_MEM_TABLE, struct.pack("<IIQQQQ", 1, 0, Front.GPA, 1 << 62, Front.UVA, 0), [huge])

    def test_memory_replaced_in_flight(self):
        with Front(self.d.sock) as f:
            f.start()
            self.assertEqual(f.hello()[0], vufront.OK)
            stop = []

            def churn():
                while not stop:
                    f.share()
                    f.must(vufront.SET_MEM_TABLE,
                           f.mem_table([(f.GPA, vufront.MEMORY // 2, f.UVA, 0),
                                        (f.GPA + vufront.MEMORY // 2, vufront.MEMORY // 2,
                                         f.UVA + vufront.MEMORY // 2, vufront.MEMORY // 2)]),
                           [f.memfd, f.memfd])

            t = threading.Thread(target=churn)
            t.start()
            try:
                for _ in range(300):
                    f.loopback()
            finally:
                stop.append(1)
                t.join()
        self.after()

    def test_ring_disabled_and_enabled_in_flight(self):
        with Front(self.d.sock) as f:
            f.start()
            self.assertEqual(f.hello()[0], vufront.OK)
            for _ in range(50):
                rsp = [f.burst(slot=s) for s in range(8)]
                for s in range(8):
                    f.offer(1, s)
                f.must(vufront.SET_VRING_ENABLE, struct.pack("<II", 1, 0))
                # Whatever was taken is complete; nothing moves any more.
                seen = f.used_idx(1)
                f.must(vufront.SET_VRING_ENABLE, struct.pack("<II", 1, 1))
                for s in range(8):
                    f.wait(1)
                    self.assertEqual(f.status(rsp[s]), vufront.OK)
                self.assertLessEqual(seen, f.used_idx(1))
        self.after()

    def test_ring_reset_in_flight(self):
        with Front(self.d.sock) as f:
            f.start()
            self.assertEqual(f.hello()[0], vufront.OK)
            for s in range(8):
                f.burst(slot=s)
            for s in range(8):
                f.offer(1, s)
            f.get(vufront.GET_VRING_BASE, struct.pack("<II", 1, 0))
            seen = f.used_idx(1)
            # The rings are the front-end's again: nobody writes there.
            f.mem[:] = b"\xaa" * vufront.MEMORY
            f.get(vufront.GET_FEATURES)
            self.assertEqual(f.mem[:], b"\xaa" * vufront.MEMORY)
            self.assertLessEqual(seen, 8)
        self.after()

    def test_messages_after_reset_owner(self):
        with Front(self.d.sock) as f:
            f.start()
            f.must(vufront.RESET_OWNER)
            f.ask(vufront.SET_VRING_ENABLE, struct.pack("<II", 1, 1))
            f.get(vufront.GET_VRING_BASE, struct.pack("<II", 1, 0))
        self.after()

    def test_reply_to_a_closed_socket(self):
        for _ in range(20):
            f = Front(self.d.sock)
            for _ in range(30):
                f.send(vufront.GET_FEATURES)
            f.close()
        self.after()

    def test_front_end_that_does_not_read(self):
        with Front(self.d.sock) as f:
            f.sock.setblocking(False)
            try:
                while True:
                    f.send(vufront.GET_FEATURES)
            except BlockingIOError:
                pass
            self.assertServes(self.d.sock)
        self.after()

    def test_many_messages_without_acknowledgement(self):
        with Front(self.d.sock, queues=8) as f:
            f.negotiate()
            f.share()
            # More than any socket buffer holds: none is lost, nobody is cut off.
            for i in range(3000):
                f.send(vufront.SET_VRING_BASE, struct.pack("<II", i % 9, 0))
            for q in range(9):
                f.vring(q)
            self.assertEqual(f.hello()[0], vufront.OK)
            f.loopback(8)
        self.after()

    def test_kick_fd_that_is_no_eventfd(self):
        pipe = os.pipe()
        self.addCleanup(lambda: [os.close(p) for p in pipe])
        for request in (vufront.SET_VRING_KICK, vufront.SET_VRING_CALL):
            self.refuses(request, struct.pack("<Q", 1), pipe[1:], why="not an eventfd")

    def test_broken_ring(self):
        with Front(self.d.sock) as f:
            f.start()
            self.assertEqual(f.hello()[0], vufront.OK)
            _, avail, _ = f.ring(1)
            struct.pack_into("<H", f.mem, avail + 2, 1000)
            os.eventfd_write(f.kick[1], 1)
            self.d.wait_log("session 3: queue 0: the guest broke the ring")
            # The other queue and the session live on.
            self.assertNotEqual(f.hello()[0], vufront.OK)
        self.after()

    def test_bursts_that_lie(self):
        with Front(self.d.sock) as f:
            f.start()
            self.assertEqual(f.hello()[0], vufront.OK)
            for entry, addr, length, status in ((2, 0, 64, vufront.FAULT),
                                                (2, f.GPA + vufront.MEMORY - 63, 64, vufront.FAULT),
                                                (2, f.GPA, 0, vufront.MALFORMED),
                                                (2, f.GPA, 65536, vufront.TOOBIG),
                                                (2, 0xFFFFFFFFFFFFFFFF, 64, vufront.FAULT)):
                rsp = f.burst()
                f.desc(vufront.BURSTS, entry, addr, length, 3, entry + 1)
                f.offer(1, 0)
                self.assertEqual(f.wait(1), 16)
                self.assertEqual(f.status(rsp), status)
            f.loopback()
        self.after()

    def test_memory_taken_away(self):
        """A guest that cuts its file short kills its own apird, which says why."""
        with Front(self.d.sock) as f:
            f.start()
            self.assertEqual(f.hello()[0], vufront.OK)
            f.burst()
            os.ftruncate(f.memfd, 4096 * ((vufront.RING_SPACE * 2) // 4096))
            mem = mmap.mmap(f.memfd, 2 * vufront.RING_SPACE)
            _, avail, _ = f.ring(1)
            struct.pack_into("<H", mem, avail + 2, 1)
            os.eventfd_write(f.kick[1], 1)
            self.assertEqual(self.d.wait(), 4)
            mem.close()
        self.assertIn("memory went away", self.d.log)

    def test_log_is_not_flooded(self):
        for _ in range(300):
            with Front(self.d.sock) as f:
                f.send(99)
                f.ended()
        self.after()
        self.assertLess(len(self.d.log.splitlines()), 250)


if __name__ == "__main__":
    apirtest.main()
