#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""testlog.py FILE...: count the test cases in meson's testlog.json files.

A test program may hold many cases: cmocka's and unittest's summaries and TAP lines are counted case by case, any
other program as one. Prints the failed and skipped programs, then "passed failed skipped" as the last line.
"""

import json
import re
import sys


def cases(text):
    """(passed, failed, skipped) found in the output of a test program, or None."""
    passed = failed = skipped = 0
    found = False
    for n in re.findall(r"^\[  PASSED  \] (\d+) test", text, re.M):  # cmocka
        passed += int(n)
        found = True
    for n in re.findall(r"^\[  FAILED  \] (\d+) test", text, re.M):
        failed += int(n)
        found = True
    for n in re.findall(r"^\[  SKIPPED \] (\d+) test", text, re.M):
        skipped += int(n)
        found = True
    for n, rest in re.findall(r"^Ran (\d+) tests? in .*\n\n?((?:OK|FAILED).*)$", text, re.M):  # unittest
        bad = sum(map(int, re.findall(r"(?:failures|errors|unexpected successes)=(\d+)", rest)))
        skip = sum(map(int, re.findall(r"skipped=(\d+)", rest)))
        passed += max(0, int(n) - bad - skip)
        failed += bad
        skipped += skip
        found = True
    for verdict, rest in re.findall(r"^(ok|not ok)\b(.*)$", text, re.M):  # TAP
        found = True
        if "# SKIP" in rest.upper():
            skipped += 1
        elif verdict == "ok":
            passed += 1
        else:
            failed += 1
    return (passed, failed, skipped) if found else None


def main():
    total = [0, 0, 0]
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8") as f:
            for line in f:
                t = json.loads(line)
                got = cases((t.get("stdout") or "") + "\n" + (t.get("stderr") or ""))
                ok = t["result"] in ("OK", "EXPECTEDFAIL")
                p, b, s = got or (0, 0, 0)
                if t["result"] == "SKIP":
                    s = s or 1
                elif ok and p + b + s == 0:
                    p = 1
                elif not ok and b == 0:
                    b = 1  # it crashed or ran out of time
                if b:
                    print(f"  failed:  {t['name']} ({t['result']}, {b} of {p + b + s} cases)")
                if s:
                    print(f"  skipped: {t['name']} ({s} of {p + b + s} cases)")
                total = [x + y for x, y in zip(total, (p, b, s))]
    print(*total)


main()
