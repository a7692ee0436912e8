# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""l3fwd-gpu, the router, while things change around it: routes, and the back-end."""

import os
import signal

import apirtest
import l3fwdtest


def setUpModule():
    l3fwdtest.record()


class Load(l3fwdtest.TestCase):
    """Things that happen while packets flow without end."""

    def test_new_routes_lose_nothing(self):
        d = self.start_apird()
        p = self.start_router(self.endless_ports(), [*self.rules(), "--verify", f"--path={d.sock}"])
        with open(self.cap("routes4.cfg"), encoding="ascii") as f:
            old = f.read()
        new = old.replace("203.0.113.0/24 3", "203.0.113.0/24 2") + "R0.0.0.0/0 1\n"
        for text, nb in ((new, 5), (old, 4)) * 3:
            self.wait_traffic(p)
            self.hup(p, text, f"routes read anew: {nb} IPv4, 4 IPv6")
        self.wait_traffic(p)
        # A mistake changes nothing.
        self.hup(p, old + "R10.0.0.0/8 seven\n", "the routes stay as they are")
        self.assertIn("routes4.cfg:6: 'seven' is no port number: 0 to 255; the routes stay as they are", p.log)
        os.unlink(self.out("routes4.cfg"))
        p.kill(signal.SIGHUP)
        p.wait_log("routes4.cfg: cannot be read: No such file or directory; the routes stay as they are")
        self.wait_traffic(p)
        self.assertEqual(p.stop(30), 0, p.log)
        s = self.summary()
        self.assertEqual(s["reloads"], 6)
        self.assert_nothing_lost(s)
        self.assertEqual(s["verified"], s["rx"])
        # Both sets of routes were used: some packets of port 3's routes have left by port 2.
        self.assertGreater(sum(r["packets"] for r in s["routes"] if r["port"] == 3), s["ports"][3]["tx"])
        self.assertGreater(s["ports"][3]["tx"], 0)
        self.assertEqual(d.stop(), 0)

    def test_new_routes_without_a_device(self):
        p = self.start_router(self.endless_ports(), [*self.rules(), "--cpu"])
        self.wait_traffic(p)
        self.hup(p, "R0.0.0.0/0 2\n", "routes read anew: 1 IPv4")
        self.wait_traffic(p)
        self.assertEqual(p.stop(30), 0, p.log)
        self.assert_nothing_lost(self.summary())

    def test_back_end_killed_and_started_again(self):
        d = self.start_apird()
        p = self.start_router(self.endless_ports(), [*self.rules(), "--verify", f"--path={d.sock}"])
        for n in (1, 2):
            self.wait_traffic(p)
            d.kill()
            d.wait()
            apirtest.wait_until(lambda n=n: p.log.count("is gone; waiting for it") == n, 20, "loss noticed")
            self.assertTrue(p.running, p.log)
            if n == 2:
                self.hup(p, "R0.0.0.0/0 1\n", "routes read anew, for when the device is back: 1 IPv4, 4 IPv6")
            d = self.start_apird(sock=d.sock)
            apirtest.wait_until(lambda n=n: p.log.count("the device is back") == n + (n == 2), 30, "reconnection")
        self.wait_traffic(p)
        self.assertEqual(p.stop(30), 0, p.log)
        s = self.summary()
        self.assertEqual(s["reconnects"], 2)
        self.assert_nothing_lost(s, "device_lost")
        self.assertEqual(s["verified"] + self.reasons(s)["device_lost"], s["rx"])
        # 0.0.0.0/0 of the last rules was used.
        self.assertIn("0.0.0.0/0", [r["prefix"] for r in s["routes"]])

    def test_back_end_gone_for_good(self):
        d = self.start_apird()
        p = self.start_router(self.endless_ports(), [*self.rules(), f"--path={d.sock}"])
        self.wait_traffic(p)
        d.kill()
        p.wait_log("is gone; waiting for it")
        self.assertEqual(p.stop(30), 1, p.log)
        self.assertIn("ended without a device", p.log)
        self.assertNotIn("leaked", p.log)
        self.assert_nothing_lost(self.summary(), "device_lost")


    def test_back_end_stopped_and_continued(self):
        d = self.start_apird()
        p = self.start_router(self.endless_ports(), [*self.rules(), "--verify", f"--path={d.sock}"])
        self.wait_traffic(p)
        d.kill(signal.SIGSTOP)
        p.wait_log(r"does not answer: \d+ packets wait", 20)
        d.kill(signal.SIGCONT)
        self.wait_traffic(p)
        self.assertEqual(p.stop(30), 0, p.log)
        s = self.summary()
        self.assert_nothing_lost(s)
        self.assertEqual(s["verified"], s["rx"])

    def test_end_while_the_back_end_is_stopped(self):
        d = self.start_apird()
        p = self.start_router(self.endless_ports(), [*self.rules(), f"--path={d.sock}"])
        self.wait_traffic(p)
        d.kill(signal.SIGSTOP)
        p.wait_log(r"does not answer: \d+ packets wait", 20)
        self.assertEqual(p.stop(40), 1, p.log)
        self.assertRegex(p.log, r"\d+ packets are still with apird, which does not answer")
        d.kill(signal.SIGCONT)


if __name__ == "__main__":
    apirtest.main()
