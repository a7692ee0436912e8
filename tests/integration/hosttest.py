# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Hosts for the integration tests: network namespaces behind veth wires, and what they say to each other.

A namespace lives as long as the test program has it open: nothing is left, whatever happens.
"""

import contextlib
import ctypes
import hashlib
import os
import random
import re
import socket
import struct
import subprocess
import threading
import time

import apirtest

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
ETH_P_TEST = 0x88b5  # IEEE 802: for experiments
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 0x10

_libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    """A function of libc that returns 0 or fails."""
    if getattr(_libc, name)(*args) != 0:
        e = ctypes.get_errno()
        raise OSError(e, f"{name}: {os.strerror(e)}")


def ip(*cmd):
    r = subprocess.run(cmd, capture_output=True, text=True, check=False)
    if r.returncode != 0:
        raise AssertionError(f"{' '.join(cmd)}: {r.stderr.strip()}")
    return r.stdout


class NetNs:
    """A network namespace that lives as long as this object; "with ns:" what happens, happens in it."""

    def __init__(self):
        with self._back():
            call("unshare", CLONE_NEWNET)
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"
        self._stack = []

    @staticmethod
    @contextlib.contextmanager
    def _back():
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield
        finally:
            call("setns", home, CLONE_NEWNET)
            os.close(home)

    def __enter__(self):
        back = self._back()
        back.__enter__()
        self._stack.append(back)
        call("setns", self.fd, CLONE_NEWNET)
        return self

    def __exit__(self, *exc):
        self._stack.pop().__exit__(None, None, None)

    def run(self, *cmd):
        with self:
            ip(*cmd)

    def socket(self, *args, timeout=20.0):
        """A socket that stays in the namespace, wherever it is used."""
        with self:
            s = socket.socket(*args)
        s.settimeout(timeout * apirtest.SLOW)
        return s

    def close(self):
        os.close(self.fd)


class Host:
    """A machine on the wire: a namespace with eth0, whose other end is an interface of the switch's side."""

    def __init__(self, name, number, mtu=1500):
        self.name = name
        self.number = number
        self.addr = f"10.77.0.{number}"
        self.addr6 = f"fd77::{number}"
        self.mac = f"02:00:00:00:77:{number:02x}"
        self.ns = NetNs()
        try:
            ip("ip", "link", "add", "name", name, "mtu", str(mtu), "type", "veth", "peer", "name", "eth0", "address", self.mac,
               "mtu", str(mtu), "netns", self.ns.path)
            ip("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")
            self._plain(name)
            ip("ip", "link", "set", "dev", name, "up")
            self.ns.run("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1", "net.ipv6.conf.eth0.accept_dad=0",
                        "net.ipv6.conf.eth0.router_solicitations=0")
            with self.ns:
                self._plain("eth0")
            self.ns.run("ip", "addr", "add", f"{self.addr}/24", "dev", "eth0")
        except BaseException:
            self.close()
            raise

    def up(self):
        """The wire can be used, but nobody does so unasked."""
        self.ns.run("ip", "link", "set", "lo", "up")
        self.ns.run("ip", "link", "set", "eth0", "up")
        for at, dev in ((self.ns, "eth0"), (contextlib.nullcontext(), self.name)):
            with at:
                apirtest.wait_until(lambda dev=dev: "state UP" in ip("ip", "-o", "link", "show", dev), 20, f"{dev} up")

    def talk(self):
        """From now on there are packets: when all wires are up and heard, so that both ends count each."""
        self.ns.run("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=0")
        self.ns.run("ip", "-6", "addr", "add", f"{self.addr6}/64", "dev", "eth0", "nodad")

    @staticmethod
    def _plain(dev):
        """Whole packets as a wire carries them: checksums filled in, no segmentation, tags where they belong."""
        ip("ethtool", "-K", dev, "tx", "off", "tso", "off", "gso", "off", "gro", "off", "rxvlan", "off", "txvlan", "off")

    def udp(self, port=0, family=socket.AF_INET):
        s = self.ns.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET:
            s.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
        else:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        s.bind((self.addr if family == socket.AF_INET else self.addr6, port))
        return s

    def raw(self):
        return Raw(self)

    def counters(self):
        """Packets of eth0: (sent, received, lost on the wire before it)."""
        with self.ns:
            sent, received, _ = self._link("eth0")
        return sent, received, self._link(self.name)[2]

    @staticmethod
    def _link(dev):
        """(sent, received, not sent) packets."""
        out = ip("ip", "-s", "-o", "link", "show", dev)
        m = re.search(r"RX:[^\\]*\\ +\d+ +(\d+).*TX:[^\\]*\\ +\d+ +(\d+) +\d+ +(\d+)", out)
        return int(m.group(2)), int(m.group(1)), int(m.group(3))

    def close(self):
        self.ns.close()
        # The other end goes with it, but later: the name may be wanted at once.
        subprocess.run(["ip", "link", "del", "dev", self.name], capture_output=True, check=False)


class Raw:
    """Frames of our own kind, from a host and to it, with tags as they were on the wire."""

    def __init__(self, host):
        self._sock = host.ns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self._sock.bind(("eth0", ETH_P_ALL))  # a socket for one type is not told the tag
        self.send = self._sock.send
        self.settimeout = self._sock.settimeout
        self.close = self._sock.close

    def recv(self, size=65536):
        """The next frame."""
        while True:
            data, anc, _, addr = self._sock.recvmsg(size, 256)
            if addr[1] != ETH_P_TEST or addr[2] == socket.PACKET_OUTGOING:
                continue
            for level, kind, aux in anc:
                status, _, _, _, _, tci = struct.unpack("IIIHHH", aux[:18])
                if (level, kind) == (SOL_PACKET, PACKET_AUXDATA) and status & TP_STATUS_VLAN_VALID:
                    data = data[:12] + struct.pack("!HH", 0x8100, tci) + data[12:]
            return data

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


# Traffic ------------------------------------------------------------------------------------------------------------

def udp_exchange(src, dst, sizes, family=socket.AF_INET, ttl=63, window=8):
    """Datagrams there, and each back: equal bytes, and a time to live that the kernel has made one less.

    A wire (net_pcap) has room for 16 packets that come one by one: no more are sent at once, for nobody sends them again.
    """
    with src.udp(family=family) as a, dst.udp(family=family) as b:
        for at in range(0, len(sizes), window):
            chunk = [random.randbytes(n) for n in sizes[at:at + window]]
            for s, r in ((a, b), (b, a)):
                for payload in chunk:
                    s.sendto(payload, r.getsockname())
                _receive(r, chunk, ttl)


def _receive(s, chunk, ttl):
    """All of these datagrams, in any order: a switch sorts a burst by flow."""
    missing = list(chunk)
    while missing:
        data, anc, _, _ = s.recvmsg(65536, 256)
        if data not in missing:
            raise AssertionError(f"{len(data)} bytes came, which nobody sent")
        missing.remove(data)
        got = [struct.unpack("i", d)[0] for level, kind, d in anc
               if (level, kind) in ((socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT))]
        if got != [ttl]:
            raise AssertionError(f"time to live {got}, not {ttl}: the kernel did not run")


def tcp_exchange(src, dst, nbytes, family=socket.AF_INET):
    """A connection on which nbytes go there and back, compared by checksum."""
    dst_addr = dst.addr if family == socket.AF_INET else dst.addr6
    with dst.ns.socket(family, socket.SOCK_STREAM) as listener, src.ns.socket(family, socket.SOCK_STREAM) as a:
        listener.bind((dst_addr, 0))
        listener.listen()
        a.connect(listener.getsockname())
        b, _ = listener.accept()
        with b:
            for s in (a, b):
                s.settimeout(20 * apirtest.SLOW)
                # about what the wires have room for: more is lost, counted, and sent again, but takes time
                s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
            for s, r in ((a, b), (b, a)):
                _transfer(s, r, random.randbytes(nbytes))


def _transfer(sender, receiver, data):
    failed = []

    def send():
        try:
            sender.sendall(data)
            sender.shutdown(socket.SHUT_WR)
        except OSError as e:
            failed.append(e)

    t = threading.Thread(target=send)
    t.start()
    got, n = hashlib.sha256(), 0
    try:
        while part := receiver.recv(1 << 18):
            got.update(part)
            n += len(part)
    finally:
        t.join()
    if failed or got.digest() != hashlib.sha256(data).digest():
        raise AssertionError(f"{n} of {len(data)} bytes came, or not the same ones: {failed}")


def frame(dst, src, size, tag=None):
    """A frame of our own kind."""
    head = bytes.fromhex((dst + src).replace(":", ""))
    if tag is not None:
        head += struct.pack("!HH", 0x8100, tag)
    head += struct.pack("!H", ETH_P_TEST)
    return head + random.randbytes(size - len(head))


def changed(sent, key, at=14):
    return sent[:at] + bytes([sent[at] ^ key]) + sent[at + 1:]


class Flood:
    """Frames from a host without end, in the background, until stop()."""

    def __init__(self, host, frames, pause=0.0005):
        self._sock = host.raw()
        self._frames = frames
        self._pause = pause
        self._stop = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            for f in self._frames:
                try:
                    self._sock.send(f)
                    self.sent += 1
                except OSError:
                    pass  # the queue of the interface is full
            time.sleep(self._pause)

    def close(self):
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            self._sock.close()
