#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Print measure.py's JSON lines as a Markdown table, or put it into a file between the two lines that mark its place."""

import argparse
import json
import sys

BEGIN, END = "<!-- ovs: begin (written by tests/bench/ovs/table.py) -->", "<!-- ovs: end -->"


def table(lines):
    out = ["| loop port | ring, Mpps | apir, Mpps | ratio | lowest, highest round | not taken | apird had no core |",
           "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for line in lines:
        settings = f"`{line['devargs']}`" if line["devargs"] else "default sizes"
        out.append("| {case}, {settings}, {bytes} bytes | {ring_mpps:.2f} | {apir_mpps:.2f} | {ratio:.3f} |"
                   " {ratio_min:.2f}, {ratio_max:.2f} | {refused:.1%} | {apird_waited:.1%} |".format(settings=settings, **line))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json", type=argparse.FileType("r"), help="lines that measure.py wrote")
    parser.add_argument("markdown", nargs="?", help="file with the two marks (default: print the table)")
    parser.add_argument("--command", default="tests/bench/ovs.sh", help="command line that made the figures")
    arguments = parser.parse_args()
    lines = [json.loads(text) for text in arguments.json if text.strip()]
    if arguments.markdown is None:
        print("\n".join(table(lines)))
        return
    with open(arguments.markdown, encoding="utf-8") as source:
        text = source.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"table.py: {arguments.markdown}: needs one line '{BEGIN}' and one line '{END}'")
    before, rest = text.split(BEGIN)
    block = [BEGIN, "", f"`{arguments.command}`:", "", *table(lines), "", END]
    with open(arguments.markdown, "w", encoding="utf-8") as out:
        out.write(before + "\n".join(block) + rest.split(END)[1])


if __name__ == "__main__":
    main()
