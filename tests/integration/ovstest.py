# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""What the tests with Open vSwitch share: a switch of their own, network namespaces, real traffic, counters.

All of it lives in a network namespace and a mount namespace that end with the test program: whatever happens to
it, no interface, namespace or mount is left.
"""

import os
import re
import signal
import subprocess
import unittest

import apirtest
# pylint: disable=unused-import  # for the tests, which need this file alone
from hosttest import CLONE_NEWNET, Flood, Host, call, changed, frame, ip, tcp_exchange, udp_exchange

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
# Why a packet that net_apir took does not come back
GPU_LOSSES = ("rx_verdict_dropped", "rx_backend_errors", "rx_unpolled_dropped", "rx_vlan_range_dropped",
              "rx_vlan_untaggable_dropped")

# What a router does, so that everybody sees that the kernel ran; and a byte of our own kind of frames is changed.
# Dropped: what has no time to live left (reason 1), and UDP to the discard service (reason 3).
HOP = """
__kernel void hop(APIR_BURST, uchar key)
{
	const uint i = apir_index();
	if (i >= apir_count() || apir_len(i) < 42) return;
	__global uchar *p = apir_data(i);
	uint at = 12;
	if (p[at] == 0x81 && p[at + 1] == 0) at += 4;
	if (p[at] == 0x88 && p[at + 1] == 0xb5) { p[at + 2] ^= key; return; }
	if (p[at] == 0x86 && p[at + 1] == 0xdd) {
		/* who is where, and who listens: hosts want their hop limit untouched, a chance time adds nothing to counts */
		if (p[at + 8] == 58 || p[at + 8] == 0) return;
		if (p[at + 9] <= 1) apir_drop(i, 1); else p[at + 9]--;
		return;
	}
	if (p[at] != 8 || p[at + 1] != 0) return;
	p += at + 2;
	if (p[8] <= 1) { apir_drop(i, 1); return; }
	if (p[9] == 17 && !((p[6] & 0x3f) | p[7]) && p[22] == 0 && p[23] == 9) { apir_drop(i, 3); return; }
	p[8]--;
	uint sum = ((uint)p[10] << 8 | p[11]) + 0x100;
	sum += sum >= 0xffff;
	p[10] = (uchar)(sum >> 8);
	p[11] = (uchar)sum;
}
"""


def need_ovs():
    """Skip where there is no OVS with DPDK, or where nobody may make namespaces."""
    apirtest.need_root()
    for path in (VSWITCHD, SCHEMA):
        if not os.path.exists(path):
            raise unittest.SkipTest(f"{path} is missing: run tools/deps.sh (package openvswitch-switch-dpdk)")
    apirtest.apird_path()
    if _isolated is not None:
        raise unittest.SkipTest(f"needs namespaces of its own: {_isolated}")


_isolated = "ovstest.main() did not run"


def _isolate():
    """Namespaces of our own for this process and all that it starts."""
    global _isolated
    try:
        call("unshare", CLONE_NEWNET | CLONE_NEWNS)
        call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        _isolated = None
    except (OSError, subprocess.CalledProcessError) as e:
        _isolated = str(e)


def bind_mount(src, dst):
    """A file or folder in the place of another, for this program and what it starts."""
    call("mount", os.fsencode(src), os.fsencode(dst), None, 0x1000, None)


def umount(path):
    call("umount", os.fsencode(path))


# The switch ---------------------------------------------------------------------------------------------------------

class Vswitchd(apirtest.Process):
    """ovs-vswitchd. It leaks its own name; only leaks that others made in it are reports."""

    OWN_LEAK = re.compile(r"(?:Direct|Indirect) leak of .*\n +#0 .*\n +#1 .*ovs-vswitchd.*\n(?: +#.*\n)*")

    @property
    def log(self):
        text = self.OWN_LEAK.sub("", super().log)
        return text if " leak of " in text else text.replace("ERROR: LeakSanitizer", "its own: LeakSanitizer")


class Ovs:
    """ovsdb-server and ovs-vswitchd of our own, in a folder of their own, in the foreground."""

    def __init__(self, case, plugin=True, config=(), mem=64, pmd_mask="0x2"):
        self.case = case
        self.dir = apirtest.tmp_dir()
        self._plugin = plugin
        self.env = apirtest.environment(OVS_RUNDIR=self.dir, OVS_DBDIR=self.dir, OVS_LOGDIR=self.dir,
                                        OVS_SYSCONFDIR=self.dir)
        self.db = os.path.join(self.dir, "db.sock")
        self.ctl = os.path.join(self.dir, "vswitchd.ctl")
        self.vswitchd = self.server = None
        conf = os.path.join(self.dir, "conf.db")
        self._run("ovsdb-tool", "create", conf, SCHEMA)
        self.server = case.start_process(["ovsdb-server", conf, f"--remote=punix:{self.db}",
                                          f"--unixctl={os.path.join(self.dir, 'ovsdb.ctl')}"],
                                         name="ovsdb-server", env=self.env)
        apirtest.wait_until(lambda: apirtest.listening(self.db), 20, "ovsdb-server")
        extra = ("-d librte_net_apir.so " if plugin else "") + "--no-pci --in-memory --single-file-segments --no-telemetry"
        self.vsctl("--no-wait", "init")
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                   "other_config:dpdk-lcore-mask=0x1", f"other_config:pmd-cpu-mask={pmd_mask}",
                   # the other threads of a small machine need the cores too
                   "other_config:pmd-maxsleep=100", f"other_config:dpdk-socket-mem={mem}",
                   "other_config:dpdk-socket-limit=1400", "other_config:per-port-memory=true",
                   f"other_config:vhost-sock-dir=.", f'other_config:dpdk-extra="{extra}"', *config)
        self.start()

    def start(self):
        """ovs-vswitchd, ready."""
        env = apirtest.environment(preload=True, OVS_RUNDIR=self.dir, OVS_DBDIR=self.dir, OVS_LOGDIR=self.dir,
                                   OVS_SYSCONFDIR=self.dir)
        if not self._plugin:
            env["LD_LIBRARY_PATH"] = os.path.join(apirtest.BUILD_DIR, "lib", "librte_apir")
        if apirtest.SANITIZE:
            env["LSAN_OPTIONS"] += ":exitcode=0"  # the log tells
        cmd = [VSWITCHD, f"unix:{self.db}", f"--unixctl={self.ctl}", f"--pidfile={os.path.join(self.dir, 'vswitchd.pid')}"]
        self.vswitchd = self.case.start_vswitchd(cmd, env=env)
        self.vswitchd.wait_log("DPDK Enabled - initialized|DPDK initialization failed", 60)
        # Without --no-wait: it has taken over what the database says.
        self.vsctl("set", "Open_vSwitch", ".", f"external_ids:started={self.vswitchd.pid}")

    def stop(self):
        """ovs-vswitchd ends by itself, and cleanly."""
        self.appctl("exit", "--cleanup")
        self.case.assertEqual(self.vswitchd.wait(20), 0, self.vswitchd.log)

    @property
    def log(self):
        return self.vswitchd.log

    def _run(self, *cmd, ok=True):
        p = subprocess.run(cmd, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.env, check=False,
                           timeout=120 * apirtest.SLOW)
        if ok and p.returncode != 0:
            log = self.vswitchd.log[-6000:] if self.vswitchd else ""
            raise AssertionError(f"{' '.join(cmd)}: {p.stdout}{p.stderr}\nlog of ovs-vswitchd:\n{log}")
        return p.stdout.strip() if ok else p.stdout + p.stderr

    def vsctl(self, *args, ok=True):
        return self._run("ovs-vsctl", f"--timeout={int(60 * apirtest.SLOW)}", f"--db=unix:{self.db}", *args, ok=ok)

    def appctl(self, *args):
        return self._run("ovs-appctl", f"--timeout={int(60 * apirtest.SLOW)}", "-t", self.ctl, *args)

    def ofctl(self, command, *args, bridge="br0"):
        return self._run("ovs-ofctl", "-O", "OpenFlow14", f"--timeout={int(60 * apirtest.SLOW)}", command,
                         f"unix:{os.path.join(self.dir, bridge + '.mgmt')}", *args)

    def bridge(self, name="br0"):
        self.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "fail_mode=secure",
                   "other_config:mac-table-size=16")

    def add(self, name, devargs, *settings, bridge="br0", kind="dpdk", ok=True):
        """A port of the switch; what ovs-vsctl says."""
        opts = [f'options:dpdk-devargs="{devargs}"'] if kind == "dpdk" else [f'options:vhost-server-path="{devargs}"']
        return self.vsctl("add-port", bridge, name, "--", "set", "Interface", name, f"type={kind}", *opts, *settings,
                          ok=ok)

    def get(self, interface, column):
        out = self.vsctl("get", "Interface", interface, column)
        return out.strip('"') if out != "[]" else ""

    def flows(self, *flows):
        path = os.path.join(self.dir, "flows")
        with open(path, "w", encoding="ascii") as f:
            f.write("\n".join(flows) + "\n")
        self.ofctl("replace-flows", path)

    def flow_packets(self, bridge="br0"):
        """[(packets, flow)], by now: what the datapath counted is fetched."""
        self.appctl("revalidator/wait")
        out = self.ofctl("dump-flows", "--names", bridge=bridge)
        return [(int(n), flow) for n, flow in re.findall(r"n_packets=(\d+), n_bytes=\d+, (?:idle_age=\d+, )?(.*)", out)]

    def ports(self, port):
        """'dump-ports' of a port, now: rx, tx, rx_bytes, ..., and what OVS takes over of the PMD's xstats."""
        out = self.ofctl("dump-ports", port)
        s = {}
        for way in ("rx", "tx"):
            # "?": what this kind of port does not count, or does not tell without a peer
            m = re.search(rf"\b{way} pkts=(\d+|\?), bytes=(\d+|\?), drop=(\d+|\?), errs=(\d+|\?)", out)
            s[way], s[f"{way}_bytes"], s[f"{way}_drop"], s[f"{way}_errs"] = (int(n.replace("?", "0")) for n in m.groups())
        s.update((k, int(v)) for k, v in re.findall(r"(\w+)=(\d+)", out.split("CUSTOM Statistics")[-1]))
        return s

    def link(self, interface, state, timeout=20):
        """Wait for the link of a port. OVS looks every 5 s, and at once when another interface changes: br0 does."""
        def look():
            look.br0 = "down" if look.br0 == "up" else "up"
            ip("ip", "link", "set", "br0", look.br0)
            return self.get(interface, "link_state") == state
        look.br0 = "down"
        apirtest.wait_until(look, timeout, f"link {state}")

    def mbufs(self, interface):
        """(mbufs of the port's pool, those that are not in it)."""
        out = self.appctl("netdev-dpdk/get-mempool-info", interface)
        size = int(re.search(r"^ +size=(\d+)", out, re.M).group(1))
        return size, size - int(re.search(r"common_pool_count=(\d+)", out).group(1)) \
            - int(re.search(r"total_cache_count=(\d+)", out).group(1))


class Lab:
    """Hosts a, b, ... on the wires of a switch; all that they send passes through the port gpu0, and goes on: a to b and
    back, if "flows" are not others. "setup" is called with the lab before a host talks by itself: a change loses nothing."""

    # Not net_af_packet: it puts fragments together and cuts off what is then too long. Not rx_iface_in=: it counts as missed
    # what it sent itself, and hears nothing once it was stopped, as a port is when threads change.
    WIRE = "net_pcap{0},iface={1}"

    def __init__(self, case, devargs="", mtu=1500, settings=(), hosts="ab", flows=(), setup=None, **kw):
        self.case = case
        self.apird = case.start_apird()
        self.ovs = case.start_ovs(**kw)
        self.hosts = [case.start_host(name, n, mtu=mtu) for n, name in enumerate(hosts, 1)]
        self.a, self.b = self.hosts[:2]
        self.ovs.bridge()
        self.devargs = f"net_apir0,path={self.apird.sock}{devargs}"
        self.ovs.add("gpu0", self.devargs, *settings)
        for host in self.hosts:
            self.ovs.add(host.name, self.WIRE.format(host.number, host.name), f"mtu_request={mtu}")
        if flows:
            self.ovs.flows(*flows)
        else:
            self.through("gpu0")
        for host in self.hosts:
            host.up()
        if setup:
            setup(self)
        for host in self.hosts:
            host.talk()

    def through(self, *gpus):
        """The way of each packet: through these ports one after another."""
        flows = [f"in_port={h.name},actions=output:{gpus[0]}" for h in (self.a, self.b)]
        for i, gpu in enumerate(gpus):
            for src, dst in ((self.a, self.b), (self.b, self.a)):
                out = gpus[i + 1] if i + 1 < len(gpus) else dst.name
                flows.append(f"in_port={gpu},dl_src={src.mac},actions=output:{out}")
        self.ovs.flows(*flows)

    def frames_pass(self, key=0, sizes=(60, 64, 1000), tag=None):
        """Frames of our own kind go there and back, and come as the kernel should have made them."""
        for src, dst in ((self.a, self.b), (self.b, self.a)):
            with src.raw() as s, dst.raw() as r:
                for size in sizes:
                    sent = frame(dst.mac, src.mac, size, tag)
                    s.send(sent)
                    self.case.assertEqual(r.recv(), changed(sent, key, 14 if tag is None else 18))

    def balance(self, gpu="gpu0"):
        """Both sides of each step of the way, by each side's own counters."""
        g, *wires = (self.ovs.ports(p) for p in (gpu, *(h.name for h in self.hosts)))
        rx, missed, tx, refused = (sum(w[k] for w in wires) for k in ("rx", "rx_missed_errors", "tx", "tx_drop"))
        sent, received, lost = (sum(n) for n in zip(*(h.counters() for h in self.hosts)))
        return g, [
            ("wires to switch", sent, rx + missed),
            ("switch to GPU", rx, g["tx"] + g["tx_drop"]),
            ("GPU, there and back", g["tx"], g["rx"] + sum(g[k] for k in GPU_LOSSES)),
            ("GPU to wires", g["rx"], tx + refused),
            ("switch to wires", tx, received + lost),
        ]

    def accounted(self, gpu="gpu0"):
        """Every packet is accounted for; returns the counters of the GPU port."""
        def look():
            look.last = self.balance(gpu)
            return all(x == y for _, x, y in look.last[1])
        try:
            apirtest.wait_until(look, 10, "balance of packets")
        except AssertionError as e:
            raise AssertionError(f"{e}: {look.last}") from None
        return look.last[0]

    def closed(self, gpu="gpu0"):
        """From now on nothing passes, not even what a host sends by itself: the port's final counters."""
        self.ovs.flows()
        self.ovs.appctl("revalidator/wait")
        return self.ovs.ports(gpu)

    def end(self, gpu="gpu0"):
        """All is well: nothing of the packets is left anywhere, and everything stops cleanly."""
        self.case.assert_mbufs_back(self.ovs, gpu, "a", "b")
        self.ovs.stop()
        self.case.assertEqual(self.apird.stop(), 0, self.apird.log)
        return self.apird.log


class TestCase(apirtest.TestCase):
    hugepages_mb = 768

    def setUp(self):
        need_ovs()
        super().setUp()

    def start_ovs(self, **kw):
        return Ovs(self, **kw)

    def start_vswitchd(self, cmd, env):
        return self._track(Vswitchd(cmd, name="ovs-vswitchd", env=env))

    def start_host(self, name, number, **kw):
        return self._track(Host(name, number, **kw))

    def flood(self, *args, **kw):
        return self._track(Flood(*args, **kw))

    def assert_mbufs_back(self, ovs, *ports):
        for p in ports:
            apirtest.wait_until(lambda p=p: ovs.mbufs(p)[1] == 0, 20, f"all mbufs back in the pool of {p}")

    def assert_error(self, ovs, interface, *log):
        """The interface has an error that names the device; the log says why; nothing looks as if it worked."""
        error = ovs.get(interface, "error")
        self.assertIn("Error attaching device", error)
        self.assertIn(error, ovs.vsctl("show").replace("\\", ""))
        self.assertEqual(ovs.get(interface, "ofport"), "-1")
        self.assertEqual(ovs.get(interface, "link_state"), "")
        for text in log:
            self.assertIn(text, ovs.log)


def _terminated(signo, frame_):
    apirtest._terminated(signo, frame_)


def main():
    """Run the tests of the calling file."""
    _isolate()
    signal.signal(signal.SIGTERM, _terminated)
    unittest.main(module="__main__", verbosity=2)
