#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Put the figures of apir-bench's JSON lines into a Markdown file, between the two lines that mark their place."""

import argparse
import json
import sys

BEGIN, END = "<!-- figures: begin (written by tests/bench/table.py) -->", "<!-- figures: end -->"


def cases(lines):
    out = ["| kernel | burst | bytes | native, Mpps | apir, Mpps | ratio | native, us | apir, us | added, us |",
           "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for line in lines:
        out.append("| {case} | {burst} | {size} | {native_mpps:.1f} | {apir_mpps:.1f} | {throughput_ratio:.3f} |"
                   " {native_us:.2f} | {apir_us:.2f} | {added_us:.2f} |".format(**line))
    return out


def costs(lines):
    out = ["", "What enqueue and dequeue cost the guest, in nanoseconds a packet:", "",
           "| burst | bytes | enqueue | dequeue | sum |", "| ---: | ---: | ---: | ---: | ---: |"]
    for line in lines:
        total = line["enqueue_ns"] + line["dequeue_ns"]
        out.append("| {burst} | {size} | {enqueue_ns:.1f} | {dequeue_ns:.1f} | {total:.1f} |".format(total=total, **line))
    return out


def others(lines):
    out = []
    for line in lines:
        if line["measure"] == "idle":
            out.append("- An idle `apird` with one session open uses {cpu_percent:.3f} % of a core.".format(**line))
        if line["measure"] == "start":
            out.append("- Start of `apird` to the first packet back, {kernels} kernels: {seconds:.2f} s.".format(**line))
        if line["measure"] == "left_out":
            out.append("- {rounds} rounds were left out and run again: the cores were far apart (`--near`).".format(**line))
    return [""] + out if out else []


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json", type=argparse.FileType("r"), help="lines that apir-bench --json wrote")
    parser.add_argument("markdown", help="file with the two marks")
    parser.add_argument("--command", default="apir-bench", help="command line that made the figures")
    arguments = parser.parse_args()
    lines = [json.loads(text) for text in arguments.json if text.strip()]
    measures = [line for line in lines if "measure" in line]
    block = [BEGIN, "", f"`{arguments.command}`:", ""]
    block += cases([line for line in lines if "case" in line])
    block += costs([line for line in measures if line["measure"] == "guest_cost"])
    block += others(measures)
    block += ["", END]
    with open(arguments.markdown, encoding="utf-8") as source:
        text = source.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"table.py: {arguments.markdown}: needs one line '{BEGIN}' and one line '{END}'")
    before, rest = text.split(BEGIN)
    with open(arguments.markdown, "w", encoding="utf-8") as out:
        out.write(before + "\n".join(block) + rest.split(END)[1])


if __name__ == "__main__":
    main()
