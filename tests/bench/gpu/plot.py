#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Draw results.json of gpu.sh as one SVG: throughput, latency, and guests, with what bounds them."""

import argparse
import json
import math
import sys

COLUMN, ROW, LEFT, TOP, GAP_X, GAP_Y = 250, 180, 66, 62, 66, 70
COLOURS = {"direct": "#4477aa", "apir": "#cc6677", "lpm": "#888888"}
PCIE_GBYTES, LAUNCH_US = 42.0, 8.7  # measured on an H100: in place, each way at once (doc/performance.md); an empty kernel
HEADER_BYTES = 64


def ticks(low, high):
    """1, 2, 5, 10, ... that enclose low to high."""
    steps = [m * 10.0 ** e for e in range(-4, 7) for m in (1, 2, 5)]
    first = max(i for i, t in enumerate(steps) if t <= low)
    last = min(i for i, t in enumerate(steps) if t >= high)
    return steps[first:max(last, first + 1) + 1]


class Panel:
    """One pair of axes: the values of x at equal distances, y logarithmic."""

    def __init__(self, column, row, title, unit, lines, x_name, bound=None):
        self.x, self.y = LEFT + column * (COLUMN + GAP_X), TOP + row * (ROW + GAP_Y)
        values = [v for points in lines.values() for _, v in points if v > 0]
        if bound:
            values.append(bound[0])
        self.xs = sorted({x for points in lines.values() for x, _ in points})
        self.ticks = ticks(min(values), max(values))
        self.out = [f'<text x="{self.x + COLUMN / 2}" y="{self.y - 10}" text-anchor="middle" font-weight="bold">{title}</text>',
                    f'<rect x="{self.x}" y="{self.y}" width="{COLUMN}" height="{ROW}" fill="none" stroke="#444"/>']
        for tick in self.ticks:
            y = self.at_y(tick)
            self.out += [f'<line x1="{self.x}" y1="{y:.1f}" x2="{self.x + COLUMN}" y2="{y:.1f}" stroke="#ddd"/>',
                         f'<text x="{self.x - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>']
        for x in self.xs:
            self.out.append(f'<text x="{self.at_x(x):.1f}" y="{self.y + ROW + 15}" text-anchor="middle">{x}</text>')
        self.out += [f'<text x="{self.x + COLUMN / 2}" y="{self.y + ROW + 31}" text-anchor="middle">{x_name}</text>',
                     f'<text transform="translate({self.x - 46},{self.y + ROW / 2}) rotate(-90)" text-anchor="middle">{unit}</text>']
        if bound:
            y = self.at_y(bound[0])
            self.out += [f'<line x1="{self.x}" y1="{y:.1f}" x2="{self.x + COLUMN}" y2="{y:.1f}" stroke="#222" stroke-dasharray="6,4"/>',
                         f'<text x="{self.x + COLUMN - 4}" y="{y - 4:.1f}" text-anchor="end" font-size="10">{bound[1]}</text>']
        for (side, dash), points in lines.items():
            self.line(side, dash, points)

    def at_x(self, x):
        return self.x + (self.xs.index(x) + 0.5) * COLUMN / len(self.xs)

    def at_y(self, y):
        low, high = math.log(self.ticks[0]), math.log(self.ticks[-1])
        return self.y + ROW - (math.log(max(y, self.ticks[0])) - low) / (high - low) * ROW

    def line(self, side, dash, points):
        at = [(self.at_x(x), self.at_y(y)) for x, y in sorted(points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        self.out.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[side]}" stroke-width="2"'
                        f' stroke-dasharray="{dash}"/>')
        self.out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{COLOURS[side]}"/>' for x, y in at]


def collect(rows, x_name, value, dash=""):
    lines = {}
    for row in rows:
        for side, figures in row["sides"].items():
            if figures.get(value, 0) > 0:
                lines.setdefault((side, dash), []).append((row[x_name], figures[value]))
    return lines


def panels(rows):
    out = []
    for column, (kernel, size, bytes_moved) in enumerate((("xor", 1024, 1024), ("header", 64, HEADER_BYTES), ("l3fwd", 64, HEADER_BYTES))):
        mine = [row for row in rows if row["kernel"] == kernel and row["size"] == size]
        main = [row for row in mine if row["label"] == "main"]
        limit = (PCIE_GBYTES * 1000 / bytes_moved, f"PCIe: {PCIE_GBYTES:g} GB/s of {bytes_moved} B")
        for row_number, (name, chosen, x, x_name, unit, bound) in enumerate((
                ("mpps", main, "burst", "packets of a burst", "Mpps", limit),
                ("us_median", main, "burst", "packets of a burst", "us, one burst alone", (LAUNCH_US, "an empty kernel, launched and awaited")),
                ("mpps", [row for row in mine if row["label"].startswith("guests")], "guests", "guests at once", "Mpps, all guests (dots: one apird)", limit))):
            lines = collect([row for row in chosen if "," not in row["label"]], x, name)
            lines.update(collect([row for row in chosen if row["label"] == "guests, one apird"], x, name, "2,2"))
            if name == "us_median":  # lpm has no latency worth the name, p99 is of interest
                lines = {k: v for k, v in lines.items() if k[0] != "lpm"}
                lines.update({k: v for k, v in collect(chosen, x, "us_p99", "3,3").items() if k[0] != "lpm"})
            if lines:
                out += Panel(column, row_number, f"{kernel}, {size} bytes", unit, lines, x_name, bound).out
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json")
    parser.add_argument("svg")
    arguments = parser.parse_args()
    with open(arguments.json, encoding="utf-8") as text:
        result = json.load(text)
    body = panels(result["rows"])
    if not body:
        print(f"plot.py: {arguments.json}: has neither main nor guests: no plot", file=sys.stderr)
        return
    width, height = LEFT + 3 * (COLUMN + GAP_X), TOP + 3 * (ROW + GAP_Y)
    key = "".join(f'<line x1="{LEFT + i * 250}" y1="20" x2="{LEFT + i * 250 + 24}" y2="20" stroke="{COLOURS[side]}" stroke-width="2"/>'
                  f'<text x="{LEFT + i * 250 + 30}" y="24">{text}</text>'
                  for i, (side, text) in enumerate((("direct", "direct: CUDA driver API"), ("apir", "apir: through apird (dots: p99)"),
                                                    ("lpm", "lpm: rte_lpm on one core"))))
    with open(arguments.svg, "w", encoding="utf-8") as out:
        out.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">\n'
                  f'<rect width="100%" height="100%" fill="white"/>\n{key}\n' + "\n".join(body) + "\n</svg>\n")


if __name__ == "__main__":
    main()
