# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""A vhost-user front-end in Python: for tests that must send what no lawful front-end does."""

import mmap
import os
import socket
import struct
import time

import apirtest

(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE) = range(1, 6)
(SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR,
 GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE) = range(8, 19)

VERSION, NEED_REPLY = 1, 8
FEATURES = 1 << 32 | 1 << 30 | 1 << 29 | 1 << 28
MQ, REPLY_ACK, STATUS = 1 << 0, 1 << 3, 1 << 16

DESC_NEXT, DESC_WRITE, DESC_INDIRECT = 1, 2, 4
MAGIC = 0x52495041
HELLO, RPC = 1, 2
OK, MALFORMED, FAULT, NOENT, TOOBIG = range(5)
VERSION_STATUS, SESSIONS, NOTREADY = 8, 9, 10

SIZE = 64
RING_SPACE = 0x2000
CTL_IN, CTL_OUT, BURSTS = 0x40000, 0x50000, 0x60000
MEMORY = 0x80000


class Gone(Exception):
    """The back-end closed the connection."""


class Front:
    """One connection, with memory and rings of its own. Guest address: 0x10000000 + offset."""

    GPA = 0x10000000
    UVA = 0x7F0000000000

    def __init__(self, sock, queues=1, timeout=30.0):
        """sock: a path, or a connected socket."""
        if isinstance(sock, str):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(sock)
        else:
            self.sock = sock
        self.sock.settimeout(timeout * apirtest.SLOW)
        self.timeout = timeout * apirtest.SLOW
        self.queues = queues
        self.memfd = os.memfd_create("guest")
        os.ftruncate(self.memfd, MEMORY)
        self.mem = mmap.mmap(self.memfd, MEMORY)
        # struct writes byte by byte; an index must be seen whole or not at all.
        self.u16 = memoryview(self.mem).cast("H")
        self.kick = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(queues + 1)]
        self.call = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(queues + 1)]
        self.avail = [0] * (queues + 1)
        self.used = [0] * (queues + 1)

    def close(self):
        for fd in [self.memfd, *self.kick, *self.call]:
            os.close(fd)
        self.memfd, self.kick, self.call = -1, [], []
        self.sock.close()
        self.u16.release()
        self.mem.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.memfd >= 0:
            self.close()

    # messages

    def send(self, request, payload=b"", fds=(), flags=VERSION, size=None):
        """Send one message, lawful or not."""
        head = struct.pack("<III", request, flags, len(payload) if size is None else size)
        socket.send_fds(self.sock, [head + payload], list(fds))

    def recv(self):
        """(request, payload) of the next answer; Gone at the end of the connection."""
        head = self._read(12)
        request, _, size = struct.unpack("<III", head)
        return request, self._read(size)

    def _read(self, n):
        data = b""
        while len(data) < n:
            try:
                more = self.sock.recv(n - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                raise Gone()
            data += more
        return data

    def get(self, request, payload=b""):
        """A message that asks for something; returns the answer's payload."""
        self.send(request, payload)
        got, answer = self.recv()
        assert got == request, (got, request)
        return answer

    def ask(self, request, payload=b"", fds=()):
        """A message to be acknowledged; returns 0 or the failure."""
        self.send(request, payload, fds, VERSION | NEED_REPLY)
        got, answer = self.recv()
        assert got == request, (got, request)
        return struct.unpack("<Q", answer)[0]

    def must(self, request, payload=b"", fds=()):
        failure = self.ask(request, payload, fds)
        assert failure == 0, (request, failure)

    def ended(self):
        """True once the back-end has closed the connection; answers before that are passed over."""
        try:
            while True:
                self.recv()
        except Gone:
            return True
        except TimeoutError:
            return False

    # set-up, step by step

    def negotiate(self):
        features = struct.unpack("<Q", self.get(GET_FEATURES))[0]
        assert features & FEATURES == FEATURES, hex(features)
        protocol = struct.unpack("<Q", self.get(GET_PROTOCOL_FEATURES))[0]
        assert protocol & (MQ | REPLY_ACK) == MQ | REPLY_ACK and not protocol & STATUS, hex(protocol)
        self.send(SET_PROTOCOL_FEATURES, struct.pack("<Q", MQ | REPLY_ACK))
        self.must(SET_OWNER)
        self.must(SET_FEATURES, struct.pack("<Q", FEATURES))

    def mem_table(self, regions=None):
        """Payload of SET_MEM_TABLE; regions: (gpa, size, uva, offset)."""
        if regions is None:
            regions = [(self.GPA, MEMORY, self.UVA, 0)]
        return struct.pack("<II", len(regions), 0) + b"".join(struct.pack("<QQQQ", *r) for r in regions)

    def share(self):
        self.must(SET_MEM_TABLE, self.mem_table(), [self.memfd])

    def ring(self, q):
        """Offsets of the parts of ring q."""
        base = q * RING_SPACE
        return base, base + SIZE * 16, base + RING_SPACE // 2

    def vring(self, q, size=SIZE):
        desc, avail, used = self.ring(q)
        self.must(SET_VRING_NUM, struct.pack("<II", q, size))
        self.must(SET_VRING_BASE, struct.pack("<II", q, self.avail[q] & 0xFFFF))
        self.must(SET_VRING_ADDR, struct.pack("<IIQQQQ", q, 0, self.UVA + desc, self.UVA + used, self.UVA + avail, 0))
        self.must(SET_VRING_CALL, struct.pack("<Q", q), [self.call[q]])
        self.must(SET_VRING_KICK, struct.pack("<Q", q), [self.kick[q]])
        self.must(SET_VRING_ENABLE, struct.pack("<II", q, 1))

    def start(self):
        """Everything up to running rings."""
        self.negotiate()
        self.share()
        for q in range(self.queues + 1):
            self.vring(q)
        return self

    # requests

    def gpa(self, offset):
        return self.GPA + offset

    def desc(self, at, i, addr, length, flags, nxt=0):
        struct.pack_into("<QIHH", self.mem, at + 16 * i, addr, length, flags, nxt)

    def offer(self, q, head):
        """Make descriptor head available on ring q and notify."""
        _, avail, _ = self.ring(q)
        self.u16[avail // 2 + 2 + self.avail[q] % SIZE] = head
        self.avail[q] += 1
        self.u16[avail // 2 + 1] = self.avail[q] & 0xFFFF
        os.eventfd_write(self.kick[q], 1)

    def used_idx(self, q):
        return self.u16[self.ring(q)[2] // 2 + 1]

    def wait(self, q):
        """Wait for the next completion on ring q; returns the used length."""
        _, _, used = self.ring(q)
        end = time.monotonic() + self.timeout
        while self.used_idx(q) == self.used[q] & 0xFFFF:
            if time.monotonic() > end:
                raise AssertionError(f"no completion on ring {q}")
            time.sleep(0.001)
        _, length = struct.unpack_from("<II", self.mem, used + 4 + 8 * (self.used[q] % SIZE))
        self.used[q] += 1
        return length

    def control(self, data, room=0x10000):
        """Send a control message; returns the answer's bytes."""
        self.mem[CTL_IN:CTL_IN + len(data)] = data
        desc = self.ring(0)[0]
        self.desc(desc, 0, self.gpa(CTL_IN), len(data), DESC_NEXT, 1)
        self.desc(desc, 1, self.gpa(CTL_OUT), room, DESC_WRITE)
        self.offer(0, 0)
        n = self.wait(0)
        return self.mem[CTL_OUT:CTL_OUT + n]

    def hello(self, queues=None, vmin=1 << 16, vmax=1 << 16, name=b"vufront"):
        """Say HELLO; returns (status, text)."""
        body = struct.pack("<IIQII64s", vmin, vmax, 7, self.queues if queues is None else queues, 64, name)
        answer = self.control(struct.pack("<IHHII", MAGIC, HELLO, 0, len(body), 0) + body)
        magic, _, status, _, _ = struct.unpack_from("<IHHII", answer)
        assert magic == MAGIC
        return status, answer[16 + 120:16 + 376].split(b"\0")[0].decode()

    def rpc(self, proc, args):
        """A remote call; returns the bytes of its result. args: XDR."""
        call = struct.pack(">10I", 1, 0, 2, 0x20415049, 1, proc, 0, 0, 0, 0) + args
        answer = self.control(struct.pack("<IHHII", MAGIC, RPC, 0, len(call), 0) + call)
        _, _, status, _, _ = struct.unpack_from("<IHHII", answer)
        assert status == OK, status
        reply = answer[16:]
        assert struct.unpack_from(">6I", reply) == (1, 1, 0, 0, 0, 0), reply[:24]
        return reply[24:]

    @staticmethod
    def xdr(data):
        """Variable-length bytes."""
        return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)

    def result(self, res):
        """(status, text, what follows) of a result."""
        status, n = struct.unpack_from(">II", res)
        return status, res[8:8 + n].decode(), res[8 + n + -n % 4:]

    def made(self, res):
        """The id in a result that must be OK."""
        status, text, rest = self.result(res)
        assert status == OK, text
        return struct.unpack_from(">I", rest)[0]

    def pipeline(self, source, entry=b"k"):
        """A pipeline of one kernel; returns its id."""
        prog = self.made(self.rpc(2, struct.pack(">I", 0) + self.xdr(source) + self.xdr(b"")))
        kernel = self.made(self.rpc(5, struct.pack(">I", prog) + self.xdr(entry)))
        return self.made(self.rpc(12, struct.pack(">IIII", 1, kernel, 0, 0)))

    def burst(self, q=1, n=4, length=64, slot=0, pipeline=0):
        """Put a burst into a slot of data ring q, ready to be offered; returns the offset of its response."""
        at = BURSTS + slot * 0x1000
        hdr, rsp, pkts = at + 0x400, at + 0x440, at + 0x800
        struct.pack_into("<IHHIIQ", self.mem, hdr, pipeline, n, n, 0, 0, 99)
        struct.pack_into("<II", self.mem, rsp, 0xEEEEEEEE, 0)
        self.desc(at, 0, self.gpa(hdr), 24, DESC_NEXT, 1)
        for i in range(n):
            self.desc(at, 1 + i, self.gpa(pkts + i * length), length, DESC_NEXT | DESC_WRITE, i + 2)
        self.desc(at, n + 1, self.gpa(rsp), 16 + 8 * n, DESC_WRITE)
        self.desc(self.ring(q)[0], slot, self.gpa(at), 16 * (n + 2), DESC_INDIRECT)
        return rsp

    def status(self, rsp):
        return struct.unpack_from("<I", self.mem, rsp)[0]

    def loopback(self, q=1):
        """Send one burst through and check that it came back."""
        rsp = self.burst(q)
        self.offer(q, 0)
        n = self.wait(q)
        assert n == 16 + 8 * 4, n
        assert self.status(rsp) == OK, self.status(rsp)


class ApirdCase(apirtest.TestCase):
    """Tests of apird with this front-end."""

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
            self.assertEqual(f.hello()[0], OK)
            f.loopback()

    def fds(self, d):
        return len(os.listdir(f"/proc/{d.pid}/fd"))
