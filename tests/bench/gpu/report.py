#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Make one JSON document and a Markdown table of the lines that gpu.sh's processes wrote."""

import argparse
import json
import statistics
import sys

HEADER_BYTES = 64  # what the kernels that look at headers move each way, at most


def moved(line):
    return line["size"] if line["kernel"] == "xor" else min(HEADER_BYTES, line["size"])


def key(line):
    return (line["label"], line["kernel"], line["size"], line["burst"], line["queues"], line["guests"])


def merge(lines):
    """One row for each case: the sides beside each other, the guests added up."""
    rows = {}
    for line in lines:
        row = rows.setdefault(key(line), {
            "label": line["label"], "kernel": line["kernel"], "size": line["size"], "burst": line["burst"],
            "queues": line["queues"], "guests": line["guests"], "in_flight": line["in_flight"], "local": line["local"],
            "sides": {}})
        side = row["sides"].setdefault(line["side"], {"guests_mpps": [], "rounds": [0.0] * len(line["rounds"]), "checked_bursts": 0})
        side["guests_mpps"].append(line["mpps"])
        side["rounds"] = [a + b for a, b in zip(side["rounds"], line["rounds"])]
        side["checked_bursts"] += line["checked_bursts"]
        for name in ("us_median", "us_p99"):
            if name in line:
                side[name] = line[name]
    for row in rows.values():
        for side in row["sides"].values():
            side["mpps"] = statistics.median(side["rounds"])
            side["gbytes"] = side["mpps"] * moved(row) / 1000
            # Quarters: how far the rounds are apart.
            ordered = sorted(side["rounds"])
            side["low"], side["high"] = ordered[len(ordered) // 4], ordered[(len(ordered) * 3) // 4]
        if "direct" in row["sides"] and "apir" in row["sides"]:
            direct, apir = row["sides"]["direct"], row["sides"]["apir"]
            pairs = [a / d for a, d in zip(apir["rounds"], direct["rounds"]) if d > 0]
            row["ratio"] = statistics.median(pairs) if pairs else 0.0
            if "us_median" in apir and "us_median" in direct:
                row["added_us"] = apir["us_median"] - direct["us_median"]
    return list(rows.values())


def cell(row, side, name, form):
    value = row["sides"].get(side, {}).get(name)
    return "" if value is None else format(value, form)


def table(rows):
    out = ["| run | kernel | bytes | burst | direct Mpps | apir Mpps | ratio | direct GB/s | apir GB/s | lpm Mpps |"
           " direct us (p99) | apir us (p99) | added us |",
           "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        us = {}
        for side in ("direct", "apir"):
            us[side] = cell(row, side, "us_median", ".1f")
            if us[side]:
                us[side] += f" ({cell(row, side, 'us_p99', '.1f')})"
        out.append("| " + " | ".join([
            f"{row['guests']} {row['label']}" if row["guests"] > 1 else row["label"], row["kernel"], str(row["size"]), str(row["burst"]), cell(row, "direct", "mpps", ".2f"),
            cell(row, "apir", "mpps", ".2f"), format(row["ratio"], ".3f") if "ratio" in row else "",
            cell(row, "direct", "gbytes", ".2f"), cell(row, "apir", "gbytes", ".2f"), cell(row, "lpm", "mpps", ".1f"),
            us["direct"], us["apir"], format(row["added_us"], ".1f") if "added_us" in row else ""]) + " |")
    return out


def guests(rows):
    out = []
    for row in rows:
        for name, side in row["sides"].items():
            if row["guests"] > 1:
                each = ", ".join(f"{v:.2f}" for v in side["guests_mpps"])
                out.append(f"- {row['guests']} {row['label']}, {row['kernel']} {row['burst']} x {row['size']}, {name}: {each} Mpps each")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines")
    parser.add_argument("--json", required=True)
    arguments = parser.parse_args()
    with open(arguments.lines, encoding="utf-8") as text:
        lines = [json.loads(line) for line in text if line.strip()]
    rows = merge([line for line in lines if line["type"] == "case"])
    machine = next((line for line in lines if line["type"] == "machine"), {})
    sides = {line["side"]: line for line in lines if line["type"] == "side"}
    problems = [line["text"] for line in lines if line["type"] == "problem"]
    result = {"machine": machine, "sides": sides, "problems": problems, "rows": rows}
    with open(arguments.json, "w", encoding="utf-8") as out:
        json.dump(result, out, indent=1)
        out.write("\n")
    print(f"{machine.get('gpu') or 'no GPU'}; {machine.get('cpu')}, {machine.get('cpus')} CPUs; Linux {machine.get('kernel')}")
    for side in sides.values():
        print("- " + side["side"] + ": " + ", ".join(f"{k} {v}" for k, v in side.items()
                                                   if k not in ("type", "label", "side", "guest", "guests")))
    print("\n".join([""] + table(rows) + [""] + guests(rows)))
    bursts = sum(side["checked_bursts"] for row in rows for side in row["sides"].values())
    print(f"GB/s: packet bytes that a kernel reads and writes, each way; for header and l3fwd {HEADER_BYTES} of each packet. us: one burst\n"
          "alone, from before the enqueue until after the dequeue, median. ratio: median of the rounds' ratios.\n"
          f"Every byte of every packet was compared with the CPU's after each slice ({bursts} bursts ran on them).")
    for problem in problems:
        print(f"PROBLEM: {problem}")
    if not rows:
        sys.exit("report.py: no case was measured")


if __name__ == "__main__":
    main()
