# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""apird by itself: command line, life, sockets, sessions."""

import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

import apirtest
import vufront
from vufront import ApirdCase, Front


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


    def test_several_poll_threads(self):
        cpus = sorted(os.sched_getaffinity(0))[:2]
        d = self.start_apird(["--cores", ",".join(map(str, cpus)), "--queues", "4"])
        d.wait_log(f"{len(cpus)} poll thread")
        f = self.front(d.sock, queues=4).start()
        self.assertEqual(f.hello()[0], vufront.OK)
        for i in range(40):
            f.loopback(1 + i % 4)


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


if __name__ == "__main__":
    apirtest.main()
