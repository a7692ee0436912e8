#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""test_clgen.py CLGEN IDL: what the generator refuses in a description, and that it says where."""

import contextlib
import importlib.util
import io
import sys
import tempfile
import unittest

clgen = IDL = None

GOOD = "call 1 Name host api\n\tqueue queue\n\tu64 x[three]\n\twaits\n"
BAD = {
    "not understood": ["call 1 name\n", "call x Name\n", "call 1 Name\n  u64 x\n", "\tu64 x\n", "call 1 Name\n\tu64\n",
                       "call 1 Name\n\twaits\n\twaits\n", "call 1 Name\n\t-> u64 x\n\twaits\n",
                       "call 1 Name fast\n"],
    "no type": ["call 1 Name\n\tu65 x\n", "call 1 Name\n\tplatform x\n"],
    "a second x": ["call 1 Name\n\tu64 x\n\tu32 x\n", "call 1 Name\n\tu64 y[x]\n\tu32 x\n"],
    "a second Name": ["call 1 Name\ncall 2 Name\n"],
    "is taken or out of range": ["call 1 Name\ncall 1 Other\n", "call 0 Name\n", "call 5000 Name\n"],
    "no such result": ["call 1 Name\n\t-> u64 x[n]\n", "call 1 Name\n\t-> mem x?\n", "call 1 Name\n\t-> str x\n"],
    "bytes are the last result": ["call 1 Name\n\t-> bytes x\n\t-> u32 y\n"],
    "arguments come before results": ["call 1 Name\n\t-> u32 x\n\tu32 y\n"],
    "no arrays of": ["call 1 Name\n\tu32 x[n]\n", "call 1 Name\n\tbytes x[n]\n"],
    "have a count of their own": ["call 1 Name\n\tu32 n\n\tmem x[n]\n", "call 1 Name\n\tmem x[three]\n"],
    "is no count": ["call 1 Name\n\tu64 x[n]\n\tmem y[n]\n", "call 1 Name\n\tu64 n\n\tu64 x[n]\n"],
    "is not optional": ["call 1 Name\n\tu32 x?\n"],
    "is a name of ours": ["call 1 Name\n\tu64 err\n", "call 1 Name\n\tu64 x[s]\n", "call 1 Name\n\twaits\n\t-> event event\n"],
    "has such results": ["call 1 Name host\n\t-> bytes x\n", "call 1 Name host\n\t-> mem x\n\t-> u32 y\n"],
    "how long its memory is": ["call 1 Name host\n\trange x\n"],
    "is written by hand": ["call 1 Name host api\n\tqueue queue\n\t-> u32 x\n"],
    "begins with an object": ["call 1 Name host api\n", "call 1 Name host api\n\tu32 x\n", "call 1 Name host api\n\tmem x[n]\n"],
}


class Generator(unittest.TestCase):
    def run_on(self, text, *files):
        with tempfile.TemporaryDirectory() as d:
            with open(d + "/x.idl", "w", encoding="utf-8") as f:
                f.write(text)
            err = io.StringIO()
            with contextlib.redirect_stderr(err):
                code = clgen.main(["clgen.py", d + "/x.idl", *(f"{d}/{f}" for f in files or clgen.FILES)])
            return code, err.getvalue()

    def test_refuses(self):
        for why, texts in BAD.items():
            for text in texts:
                with self.subTest(text):
                    code, err = self.run_on(text)
                    self.assertEqual(code, 1, err)
                    self.assertIn(why, err)
                    self.assertIn("x.idl", err)
                    self.assertNotIn("Traceback", err)

    def test_takes(self):
        self.assertEqual(self.run_on(GOOD), (0, ""))
        self.assertEqual(self.run_on("# nothing\n\n" + GOOD + "\nxyz # not this\n")[0], 1)

    def test_usage(self):
        self.assertEqual(self.run_on(GOOD, "cl_other.c")[0], 2)
        with contextlib.redirect_stderr(io.StringIO()) as err:
            self.assertEqual(clgen.main(["clgen.py", "/nonexistent", "/nonexistent/cl_rpc.c"]), 1)
        self.assertIn("/nonexistent", err.getvalue())

    def test_numbers_stay(self):
        """A guest of before and a worker of now speak the same: the first calls have the numbers they always had."""
        with open(IDL, encoding="utf-8") as f:
            calls = dict(reversed(line.split()[1:3]) for line in f if line.startswith("call "))
        for name, number in {"Open": "1", "WaitNotice": "2", "CreateContext": "20", "CreateBuffer": "40",
                             "CreateProgramWithSource": "80", "EnqueueNDRangeKernel": "94"}.items():
            self.assertEqual(calls[name], number)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location("clgen", sys.argv[1])
    clgen = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(clgen)
    IDL = sys.argv[2]
    unittest.main(argv=sys.argv[:1])
