# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Guests that break apird's rules, each of which harms itself alone; and kernels that do."""

import mmap
import os
import signal
import socket
import struct
import threading
import time
import unittest

import apirtest
import vufront
from vufront import ApirdCase, Front


class Kernels(ApirdCase):
    HEAD = b"__kernel void k(APIR_BURST) { const uint i = apir_index(); if (i >= apir_count()) return; "

    def started(self, *args):
        d = self.start_apird(args)
        f = self.front(d.sock).start()
        self.assertEqual(f.hello()[0], vufront.OK)
        return d, f

    def test_kernel_in_each_copy_mode(self):
        for mode, copied in (("raw", 0), ("base", 0), ("staged", 2 * 4 * 64)):
            with self.subTest(mode=mode):
                d, f = self.started("--copy-mode", mode)
                d.wait_log(rf"zero_copy {'no' if copied else 'yes'} \({mode}\)")
                p = f.pipeline(self.HEAD + b"apir_data(i)[0] += 5; apir_forward(i, 3); }")
                rsp = f.burst(pipeline=p)
                f.mem[vufront.BURSTS + 0x800] = 7
                f.offer(1, 0)
                self.assertEqual(f.wait(1), 16 + 8 * 4)
                self.assertEqual(f.status(rsp), vufront.OK)
                self.assertEqual(f.mem[vufront.BURSTS + 0x800], 12)
                self.assertEqual(struct.unpack_from("<I", f.mem, rsp + 4)[0], copied)
                self.assertEqual(struct.unpack_from("<HHI", f.mem, rsp + 16), (0, 3, 0))

    def test_build_error(self):
        _, f = self.started()
        res = f.rpc(2, struct.pack(">I", 0) + f.xdr(b"__kernel void k( {") + f.xdr(b""))
        status, text, rest = f.result(res)
        self.assertEqual(status, 11)
        self.assertTrue(text)
        prog, log_len = struct.unpack_from(">IQ", rest)
        res = f.rpc(3, struct.pack(">IQII", prog, 0, 0, 40000))
        _, _, rest = f.result(res)
        n, total, got = struct.unpack_from(">QQI", rest)
        self.assertEqual((n, total), (log_len, log_len))
        self.assertIn(b"error", rest[20:20 + got])

    def test_kernel_that_does_not_end(self):
        # the limit holds for making the pipeline too, for which a slow machine's compiler takes most of a second
        d, f = self.started("--kernel-timeout-ms", "4000")
        p = f.pipeline(self.HEAD + b"while (apir_data(i)[0] == 0) mem_fence(CLK_GLOBAL_MEM_FENCE); }")
        f.burst(pipeline=p)
        f.mem[vufront.BURSTS + 0x800] = 0
        f.offer(1, 0)
        self.assertEqual(d.wait(30), 3)
        self.assertIn(f"session 1: pipeline 0x{p:x} on queue 0 has run for more than 4000 ms", d.log)
        self.assertTrue(f.ended())

    def test_new_pipeline_that_does_not_end(self):
        d, f = self.started("--kernel-timeout-ms", "2000")
        source = b"__kernel void k(APIR_BURST) { volatile uint x = 0; while (apir_count() < 5000) x++; }"
        with self.assertRaises((AssertionError, vufront.Gone)):
            f.timeout = 4 * apirtest.SLOW
            f.pipeline(source)
        self.assertEqual(d.wait(30), 3)
        self.assertIn("a new pipeline has run for more than 2000 ms", d.log)

    @unittest.skipIf(apirtest.SANITIZE, "the sanitizer reports the fault")
    def test_kernel_that_crashes(self):
        d, f = self.started()
        p = f.pipeline(self.HEAD + b"*(volatile __global uint *)8 = 1; }")
        f.burst(pipeline=p)
        f.offer(1, 0)
        self.assertEqual(d.wait(), -signal.SIGSEGV)
        self.assertIn("a fault while a kernel of the guest ran", d.log)

    def test_second_start_takes_the_program_from_the_cache(self):
        cache = os.path.join(self.tmp, "cache")
        source = self.HEAD + b"apir_data(i)[0] += 9; }"

        def stored():
            return sum(name.endswith(".bin") for name in os.listdir(cache))

        def cached():
            d = self.start_apird(["--cache-dir", cache])
            f = self.front(d.sock).start()
            f.hello()
            _, _, rest = f.result(f.rpc(2, struct.pack(">I", 0) + f.xdr(source) + f.xdr(b"")))
            # apird's own probe and this program, which is saved when its session ends: apird, told to end, waits for
            # that no longer than half a second
            f.close()
            apirtest.wait_until(lambda: stored() == 2, 20, "the program to be saved")
            d.stop()
            return struct.unpack_from(">IQI", rest)[2]

        self.assertEqual(cached(), 0)
        self.assertEqual(cached(), 1)


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
        """They fail where that is asked for, and harm nothing: QEMU's connection must outlive them."""
        spare = [os.eventfd(0) for _ in range(8)]
        self.addCleanup(lambda: [os.close(fd) for fd in spare])
        with Front(self.d.sock) as f:
            f.start()
            for request in (0, 6, 7, 19, 20, 22, 32, 34, 37, 38, 39, 99, 0xFFFFFFFF):
                self.assertEqual(f.ask(request, bytes(8), spare), 1)
                if request not in (34, 38):
                    f.send(request, bytes(8), spare)
            for request, answer in ((28, 0), (30, 1), (36, 8), (40, 0), (41, 0), (42, 0x101), (43, 1)):
                self.assertEqual(f.get(request, bytes(8)), struct.pack("<Q", answer))
            self.assertEqual(f.get(31, bytes(20)), bytes(24))
            self.assertEqual(f.hello()[0], vufront.OK)
            f.loopback()
        self.after()

    def test_requests_that_nobody_does(self):
        """Who wants memory or rings left alone and does not wait must see the end."""
        for request in (34, 38):
            self.refuses(request, bytes(8), flags=vufront.VERSION, ack=False, why="does not offer it")

    def test_configuration_space(self):
        with Front(self.d.sock) as f:
            f.negotiate()
            answer = f.get(24, struct.pack("<III", 0, 57, 0) + bytes(57))
            self.assertEqual(answer[12:], bytes(16) + b"APIR" + bytes(37))
            self.assertEqual(f.get(24, struct.pack("<III", 250, 7, 0) + bytes(7)), b"")
            f.must(25, struct.pack("<III", 32, 1, 0) + bytes(1))
        self.refuses(24, struct.pack("<III", 0, 57, 0) + bytes(56), why="wrong size")

    def test_fds_leaked_by_refused_messages(self):
        spare = [os.eventfd(0) for _ in range(8)]
        self.addCleanup(lambda: [os.close(fd) for fd in spare])
        self.refuses(vufront.GET_FEATURES, b"", spare, why="wrong number of fds")
        self.refuses(vufront.SET_VRING_NUM, struct.pack("<II", 0, 64), spare)
        self.refuses(vufront.SET_VRING_KICK, struct.pack("<Q", 200), spare[:1], why="no such queue")
        self.refuses(vufront.SET_VRING_CALL, struct.pack("<Q", 0), spare[:2])
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
            self.d.wait_log("session 2: queue 0: the guest broke the ring")
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
                f.send(vufront.SET_VRING_NUM)
                f.ended()
        self.after()
        self.assertLess(len(self.d.log.splitlines()), 250)


if __name__ == "__main__":
    apirtest.main()
