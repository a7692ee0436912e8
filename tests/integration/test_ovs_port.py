# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""The life of a net_apir port in Open vSwitch: it comes and goes, is changed, loses its back-end, and returns."""

import os
import re
import shutil
import signal
import subprocess

import apirtest
import ovstest

KEY = 0x5a
SETTINGS = ("ofport_request=10",)  # flows name ports by number


class Case(ovstest.TestCase):
    def lab(self, devargs="", **kw):
        lab = ovstest.Lab(self, f"{self.kernel()}{devargs}", settings=SETTINGS, **kw)
        lab.gpu = "gpu0"
        return lab

    def kernel(self, key=KEY):
        return f",kernel={self.file('hop.cl', ovstest.HOP)},args=[u8:{key}]"

    def load(self, lab):
        """Traffic from both sides until the end."""
        return [self.flood(src, [ovstest.frame(dst.mac, src.mac, n) for n in (60, 64, 200, 1514) * 2], pause=0.001)
                for src, dst in ((lab.a, lab.b), (lab.b, lab.a))]

    def wait_traffic(self, lab, more=50, fresh=False):
        """Further packets come back from the port; fresh: which has counted none before."""
        base = 0 if fresh else lab.ovs.ports(lab.gpu)["rx"]
        apirtest.wait_until(lambda: lab.ovs.ports(lab.gpu)["rx"] >= base + more, 20, f"packets from {lab.gpu}")

    def assert_passes(self, lab, key=KEY):
        """A frame sent from now on comes out changed by the kernel, whatever else is on its way."""
        with lab.a.raw() as a, lab.b.raw() as b:
            b.settimeout(0.2)
            sent = ovstest.frame(lab.b.mac, lab.a.mac, 777)
            want = ovstest.changed(sent, key)

            def arrives():
                try:
                    a.send(sent)
                    return any(b.recv(65536) == want for _ in range(1000))
                except OSError:  # nothing came, or the wire is full
                    return False

            apirtest.wait_until(arrives, 20, "a frame through the kernel")

    def assert_up(self, ovs, name):
        self.assertEqual([ovs.get(name, c) for c in ("error", "link_state")], ["", "up"])

    def assert_counted(self, lab):
        """Every packet that the port took came back or is counted as lost; returns the counters."""
        def look():
            g = look.last = lab.ovs.ports(lab.gpu)
            return g["tx"] == g["rx"] + g["rx_verdict_dropped"] + g["rx_backend_errors"] + g["rx_unpolled_dropped"]
        try:
            apirtest.wait_until(look, 10, f"balance of {lab.gpu}")
        except AssertionError as e:
            raise AssertionError(f"{e}: {look.last}") from None
        return look.last

    def finish(self, lab, floods):
        """After load: it still works, all is counted, nothing is leaked, all ends well. Returns the port's counters."""
        for f in floods:
            f.close()
        self.assert_passes(lab)
        counters = self.assert_counted(lab)
        lab.end(lab.gpu)
        return counters


class Life(Case):
    def test_fifty_times_under_load(self):
        """One port goes and another comes, of the same device, back-end and number."""
        lab = self.lab()
        floods = self.load(lab)
        for i in range(50):
            self.wait_traffic(lab, fresh=True)
            lab.gpu = f"gpu{i + 1}"
            lab.ovs.vsctl("del-port", f"gpu{i}", "--", "add-port", "br0", lab.gpu, "--", "set", "Interface", lab.gpu,
                          "type=dpdk", f'options:dpdk-devargs="{lab.devargs}"', *SETTINGS)
        self.wait_traffic(lab, fresh=True)
        self.assertEqual(lab.ovs.appctl("netdev-dpdk/get-mempool-info").count("mempool <"), 3)
        self.finish(lab, floods)

    def test_queues_mtu_and_threads(self):
        """Each change stops the port and sets it up anew, under load."""
        lab = self.lab()
        floods = self.load(lab)
        for n, real in ((4, 4), (20, 8), (2, 2), (1, 1)):  # no more than the port has
            lab.ovs.vsctl("set", "Interface", "gpu0", f"options:n_rxq={n}")
            show = lab.ovs.appctl("dpif-netdev/pmd-rxq-show")
            self.assertEqual(sorted(map(int, re.findall(r"port: gpu0 +queue-id: +(\d+)", show))), list(range(real)))
            self.wait_traffic(lab)
        for mtu, real in ((9000, 9000), (1000, 1000), (70000, 1000), (1500, 1500)):
            lab.ovs.vsctl("set", "Interface", "gpu0", f"mtu_request={mtu}")
            self.assertEqual(lab.ovs.get("gpu0", "mtu"), str(real))
            self.wait_traffic(lab)
        for mask, threads in (("0x3", 2), ("0x1", 1), ("0x2", 1)):
            lab.ovs.vsctl("set", "Open_vSwitch", ".", f"other_config:pmd-cpu-mask={mask}")
            self.assertEqual(lab.ovs.appctl("dpif-netdev/pmd-rxq-show").count("pmd thread"), threads)
            self.wait_traffic(lab)
        self.assertEqual(lab.ovs.get("gpu0", "link_state"), "up")
        g = self.finish(lab, floods)
        self.assertEqual((g["rx_backend_errors"], g["tx_errs"]), (0, 0), g)

    def test_stored_port_comes_back(self):
        """The database remembers the port: it is there again with each vswitchd, however the last one ended."""
        lab = self.lab()
        floods = self.load(lab)
        lab.ovs.vswitchd.kill()
        lab.ovs.vswitchd.wait()
        lab.ovs.start()
        self.assert_up(lab.ovs, "gpu0")
        lab.through("gpu0")
        self.wait_traffic(lab)
        lab.ovs.stop()
        # no session outlives its front-end
        self.assertEqual(lab.apird.stop(), 0)
        self.assertEqual(len(re.findall(r"ended: \d+ bursts", lab.apird.log)), 2, lab.apird.log)
        # what is wrong with the port is said, and mended by whatever makes OVS look at it again
        lab.ovs.start()
        sock = lab.apird.sock
        self.assert_error(lab.ovs, "gpu0", f"net_apir0: path={sock}: no socket {sock}: is apird running")
        lab.apird = self.start_apird(sock=sock)
        lab.ovs.vsctl("set", "Open_vSwitch", ".", "external_ids:look=again")
        self.assert_up(lab.ovs, "gpu0")
        self.assertEqual(lab.ovs.get("gpu0", "ofport"), "10")
        lab.through("gpu0")
        self.finish(lab, floods)

    def test_plugin_directory_and_two_ports(self):
        """Without -d: the plugin lies where DPDK looks by itself. And one apird serves two ports, one after another."""
        real = pmd_path()
        folder = os.path.join(self.tmp, "pmds")
        shutil.copytree(real, folder, symlinks=True)
        # no link: EAL refuses what lies below a folder that everybody can write to
        shutil.copy(apirtest.built("drivers", "vdev_apir", "librte_net_apir.so"), folder)
        ovstest.bind_mount(folder, real)
        self.addCleanup(ovstest.umount, real)
        lab = self.lab(plugin=False)
        self.assertNotIn("librte_net_apir", lab.ovs.vsctl("get", "Open_vSwitch", ".", "other_config:dpdk-extra"))
        lab.ovs.add("gpu1", f"net_apir1,path={lab.apird.sock}{self.kernel(0x21)}")
        lab.through("gpu0", "gpu1")
        self.assert_passes(lab, KEY ^ 0x21)
        self.assert_mbufs_back(lab.ovs, "gpu1")
        lab.through("gpu0")
        self.finish(lab, [])


class BackEnd(Case):
    def test_ten_restarts_under_load(self):
        """In between, what OVS changes of the port while it has no back-end."""
        changes = {3: "options:n_rxq=3", 5: "mtu_request=3000", 7: "options:n_rxq=1"}
        lab = self.lab(",reconnect_ms=20")
        floods = self.load(lab)
        for i in range(10):
            self.wait_traffic(lab)
            lab.apird.kill(signal.SIGKILL if i % 2 else signal.SIGTERM)
            self.assertEqual(lab.apird.wait(), -signal.SIGKILL if i % 2 else 0)
            lab.ovs.link("gpu0", "down")
            before = lab.ovs.ports("gpu0")
            apirtest.wait_until(lambda b=before: lab.ovs.ports("gpu0")["tx_drop"] > b["tx_drop"], 20, "OVS counting drops")
            self.assertEqual(lab.ovs.ports("gpu0")["tx"], before["tx"])
            if i in changes:
                lab.ovs.vsctl("set", "Interface", "gpu0", changes[i])
                self.assertEqual([lab.ovs.get("gpu0", c) for c in ("error", "link_state")], ["", "down"])
            lab.apird = self.start_apird(sock=lab.apird.sock)
            lab.ovs.link("gpu0", "up")
        self.assertEqual(lab.ovs.get("gpu0", "mtu"), "3000")
        g = self.finish(lab, floods)
        self.assertEqual(g["backend_lost_errors"], 10, g)
        self.assertEqual(g["rx_backend_errors"], g["rx_errs"], g)
        self.assertEqual((g["rx_verdict_dropped"], g["tx_errs"]), (0, 0), g)

    def test_deleted_while_it_hangs(self):
        """A back-end that hangs keeps its packets, and only those: they are back when it is gone."""
        lab = self.lab(",timeout_us=100000")
        floods = self.load(lab)
        self.wait_traffic(lab)
        lab.apird.kill(signal.SIGSTOP)
        lab.ovs.link("gpu0", "down")
        self.assertEqual(lab.ovs.ports("gpu0")["backend_timeout_errors"], 1)
        lab.ovs.vsctl("del-port", "gpu0")
        self.assertIn("the back-end did not return all packets", lab.ovs.log)
        self.assertGreater(lab.ovs.mbufs("a")[1] + lab.ovs.mbufs("b")[1], 0)
        lab.apird.kill()
        lab.apird.wait()
        lab.apird = self.start_apird(sock=lab.apird.sock)
        lab.ovs.add("gpu0", lab.devargs, *SETTINGS)
        self.finish(lab, floods)


class BadInput(Case):
    @classmethod
    def setUpClass(cls):
        """One switch for all: what was refused leaves nothing."""
        host = ovstest.TestCase()
        cls.addClassCleanup(host.doCleanups)
        host.setUp()
        cls.ovs = host.start_ovs()
        cls.ovs.bridge()

    @classmethod
    def tearDownClass(cls):
        cls.ovs.stop()

    def refused(self, devargs, *log, name="net_apir0"):
        """No port for these: the interface has an error, and the log says what to mend."""
        with self.subTest(devargs):
            seen = len(self.ovs.log)
            said = self.ovs.add("bad", f"{name},{devargs}", ok=False)
            try:
                self.assertIn(f"setting up 'bad': Error attaching device '{name},{devargs}' to DPDK", said)
                self.assert_error(self.ovs, "bad")
                for text in log:
                    self.assertIn(f"|ERR|{name}: {text}", self.ovs.log[seen:])
            finally:
                self.ovs.vsctl("del-port", "bad")

    def works(self, name, devargs):
        """This one is a port, whatever went wrong before."""
        self.ovs.add(name, devargs)
        self.addCleanup(self.ovs.vsctl, "del-port", name)
        self.assert_up(self.ovs, name)

    def test_devargs(self):
        k = self.file("hop.cl", ovstest.HOP)
        for devargs, says in (
                ("kernal=x.cl", "unknown argument 'kernal'; known are: path, pci, kernel, entry,"),
                ("path=", "path=: must be the name of a Unix socket"),
                ("queues=many", "queues=many: must be a number from 1 to 64"),
                ("burst=2000", "burst=2000: must be a number from 1 to 1022"),
                ("verdict_vlan=4095", "verdict_vlan=4095: must be a number from 1 to 4094"),
                ("verdict_vlan=100", "verdict_vlan=: needs kernel="),
                ("kernel=/nowhere.cl", "kernel=/nowhere.cl: cannot be read: No such file or directory"),
                (f"kernel={k},args=[u8:256]", "args=u8:256: must be a number from 0 to 255"),
                (f"kernel={k},args=[file:/no/table]", "args=file:/no/table: cannot be read: No such file or directory"),
        ):
            self.refused(devargs, says)

    def test_kernel(self):
        d = self.start_apird()
        k = self.file("hop.cl", ovstest.HOP)
        broken = self.file("broken.cl", "__kernel void broken(APIR_BURST) { apir_data(0)[0] = no_such_variable; }")
        base = f"path={d.sock},kernel="
        self.refused(f"{base}{broken}", f"kernel={broken} does not build; the compiler says:")
        self.assertRegex(self.ovs.log, r"\|ERR\|net_apir0: .*no_such_variable")
        self.refused(f"{base}{k},entry=jump", "entry=jump: ")
        self.refused(f"{base}{k}", "args=: kernel hop takes 1 arguments after APIR_BURST, 0 are given")
        self.refused(f"{base}{k},args=[u64:1]", "args=: argument 0 of kernel hop: ")
        self.works("gpu0", f"net_apir0,{base}{k},args=[u8:1]")

    def test_back_end(self):
        path = os.path.join(self.tmp, "none.sock")
        self.refused(f"path={path}", f"path={path}: no socket {path}: is apird running with --socket-path {path}?")
        self.refused(f"path={path},wait_ms=20", f"path={path}: no socket {path}: is apird running")
        d = self.start_apird(["--queues", "2", "--max-sessions", "1"])
        self.refused(f"path={d.sock},queues=3", f"path={d.sock}: ")
        self.assertIn("3 data queues asked for, this apird allows 2: use fewer, or start apird with --queues 3", self.ovs.log)
        self.works("gpu0", f"net_apir0,path={d.sock}")
        self.refused(f"path={d.sock}", f"path={d.sock}: ", name="net_apir1")
        self.assertIn("close one, or start apird with a larger --max-sessions", self.ovs.log)
        self.assert_up(self.ovs, "gpu0")

    def test_device_twice(self):
        d = self.start_apird()
        devargs = f"net_apir0,path={d.sock}"
        self.works("gpu0", devargs)
        said = self.ovs.add("bad", devargs, ok=False)
        self.addCleanup(self.ovs.vsctl, "del-port", "bad")
        error = f"'bad' is trying to use device '{devargs}' which is already in use by 'gpu0'"
        self.assertIn(error, said)
        self.assertEqual([self.ovs.get("bad", c) for c in ("error", "ofport", "link_state")], [error, "-1", ""])
        self.assert_up(self.ovs, "gpu0")


class NotShared(Case):
    def test_memory_not_shared(self):
        """dpdk-extra without --single-file-segments: the log names it."""
        ovs = self.start_ovs(config=('other_config:dpdk-extra="-d librte_net_apir.so --no-pci --in-memory"',))
        ovs.bridge()
        d = self.start_apird()
        ovs.add("bad", f"net_apir0,path={d.sock}", ok=False)
        self.assert_error(ovs, "bad", f"|ERR|net_apir0: path={d.sock}: ", "Add --single-file-segments to EAL's options")
        ovs.stop()


def pmd_path():
    """Where DPDK looks for plugins, as its headers say."""
    flags = subprocess.run(["pkg-config", "--cflags-only-I", "libdpdk"], capture_output=True, text=True, check=True).stdout
    for folder in re.findall(r"-I(\S+)", flags) + ["/usr/include/dpdk"]:
        header = os.path.join(folder, "rte_build_config.h")
        if os.path.exists(header):
            with open(header, encoding="utf-8") as f:
                return re.search(r'RTE_EAL_PMD_PATH "(.*)"', f.read()).group(1)
    raise AssertionError(f"no rte_build_config.h in {flags}")


if __name__ == "__main__":
    ovstest.main()
