# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""The README's five minutes, done as written: its kernel and its commands, taken from the file itself."""

import os
import re
import shutil
import subprocess
import time

import apirtest


def blocks(language):
    """The code blocks of that language in the section on writing a kernel."""
    with open(os.path.join(apirtest.SOURCE_DIR, "README.md"), encoding="utf-8") as f:
        text = f.read()
    section = text[text.index("## Write a kernel"):]
    section = section[:section.index("\n## ")]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)


def packets(path, *filt):
    out = subprocess.run(["tcpdump", "-nr", path, *filt], capture_output=True, text=True, check=True).stdout
    return len(out.splitlines())


class FiveMinutes(apirtest.TestCase):
    def setUp(self):
        super().setUp()
        apirtest.need_root()
        if apirtest.SANITIZE:
            # The commands know nothing of LD_PRELOAD; the same path is tested with sanitizers elsewhere.
            self.skipTest("the README's commands are for a plain build")
        apirtest.apird_path()
        for tool in ("tcpdump", "iperf3", "dnsmasq", "ping"):
            if shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin") is None:
                self.skipTest(f"{tool} is not installed: run tools/deps.sh")

    def test_as_written(self):
        kernel = blocks("c")
        commands = blocks("sh")
        self.assertEqual((len(kernel), len(commands)), (1, 2))
        os.symlink(apirtest.BUILD_DIR, os.path.join(self.tmp, "build"))
        os.symlink(os.path.join(apirtest.SOURCE_DIR, "tools"), os.path.join(self.tmp, "tools"))
        five = os.path.join(self.tmp, "five")
        os.mkdir(five)
        with open(os.path.join(five, "ttl.cl"), "w", encoding="utf-8") as f:
            f.write(kernel[0])
        # One shell runs both blocks, as a reader's would; Enter is pressed when all packets are through.
        script = "set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + "".join(commands) + "wait || true\n"
        env = apirtest.environment()
        del env["LD_LIBRARY_PATH"]
        log = os.path.join(self.tmp, "log")
        with open(log, "wb") as out:
            shell = apirtest._popen(["bash", "-c", script], cwd=self.tmp, env=env, stdin=subprocess.PIPE, stdout=out,
                                    stderr=subprocess.STDOUT)
        self.addCleanup(apirtest._end, shell)
        self.addCleanup(shell.stdin.close)

        def until(condition, what):
            def check():
                return condition() or shell.poll() is not None
            try:
                apirtest.wait_until(check, 60, what)
            except AssertionError as e:
                raise AssertionError(f"{e}; the commands said:\n{said()}") from None
            if not condition():
                self.fail(f"{what}: the commands ended with code {shell.returncode}:\n{said()}")

        def said():
            with open(log, encoding="utf-8", errors="replace") as f:
                return f.read()

        clients = os.path.join(five, "clients.pcap")
        out_pcap = os.path.join(five, "out.pcap")
        until(lambda: os.path.exists(out_pcap), "testpmd's start")
        expired = packets(clients, "ip[8] <= 1")
        self.assertGreater(expired, 0)
        # What must come out, by tcpdump. testpmd writes it in blocks of 4 KiB and the rest at its end.
        expected = os.path.join(self.tmp, "expected.pcap")
        subprocess.run(["tcpdump", "-Z", "root", "-r", clients, "-w", expected, "not (ip and ip[8] <= 1)"], check=True,
                       capture_output=True)
        until(lambda: os.path.getsize(out_pcap) >= os.path.getsize(expected) - 4096, "all packets through testpmd")
        time.sleep(0.5 * apirtest.SLOW)
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        until(lambda: shell.poll() is not None, "the end of the commands")
        text = said()
        self.assertEqual(shell.returncode, 0, text)
        self.assertEqual(text.count("ttl 63"), 10, text)
        self.assertNotIn("bad cksum", text)
        self.assertEqual(packets(out_pcap), packets(clients) - expired)
        self.assertEqual(packets(out_pcap, "ip[8] == 63"), packets(clients, "ip[8] == 64"))
        self.assertEqual(packets(out_pcap, "ip6"), packets(clients, "ip6"))


if __name__ == "__main__":
    apirtest.main()
