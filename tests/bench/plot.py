#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""Draw apir-bench's JSON lines as one SVG: throughput above, latency below, one column a case."""

import argparse
import json
import math
import sys

COLUMN, ROW, LEFT, TOP, GAP_X, GAP_Y = 250, 190, 62, 46, 62, 72
COLOURS = {"native": "#4477aa", "apir": "#cc6677"}
DASHES = {0: "", 1: "6,4", 2: "2,3", 3: "8,3,2,3"}


def read_lines(stream, name):
    lines = []
    for number, text in enumerate(stream, 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except ValueError as error:
            sys.exit(f"plot.py: {name}:{number}: not JSON: {error}")
        if "case" in line:
            lines.append(line)
    if not lines:
        sys.exit(f"plot.py: {name}: no line with a \"case\": run apir-bench with --json={name}")
    return lines


def tick_text(value):
    return f"{value:g}"


def decades(low, high):
    """Ticks 1, 2, 5, 10, ... that enclose low to high."""
    ticks = [m * 10.0 ** e for e in range(-4, 7) for m in (1, 2, 5)]
    first = max(i for i, t in enumerate(ticks) if t <= low)
    last = min(i for i, t in enumerate(ticks) if t >= high)
    return ticks[first:max(last, first + 1) + 1]


class Panel:
    """One pair of logarithmic axes at (x, y)."""

    def __init__(self, x, y, x_values, y_ticks):
        self.x, self.y, self.x_values, self.y_ticks = x, y, x_values, y_ticks

    def at(self, x_value, y_value):
        low, high = math.log(self.x_values[0]), math.log(self.x_values[-1])
        x = self.x + (math.log(x_value) - low) / ((high - low) or 1) * COLUMN
        low, high = math.log(self.y_ticks[0]), math.log(self.y_ticks[-1])
        return x, self.y + ROW - (math.log(y_value) - low) / (high - low) * ROW

    def axes(self, title, y_label):
        out = [f'<rect x="{self.x}" y="{self.y}" width="{COLUMN}" height="{ROW}" class="frame"/>']
        for value in self.y_ticks:
            _, y = self.at(self.x_values[0], value)
            out.append(f'<line x1="{self.x}" y1="{y:.1f}" x2="{self.x + COLUMN}" y2="{y:.1f}" class="grid"/>')
            out.append(f'<text x="{self.x - 6}" y="{y + 4:.1f}" class="right">{tick_text(value)}</text>')
        for value in self.x_values:
            x, _ = self.at(value, self.y_ticks[0])
            out.append(f'<text x="{x:.1f}" y="{self.y + ROW + 16}" class="mid">{value}</text>')
        out.append(f'<text x="{self.x + COLUMN / 2}" y="{self.y - 8}" class="mid title">{title}</text>')
        out.append(f'<text x="{self.x + COLUMN / 2}" y="{self.y + ROW + 32}" class="mid">packets of a burst</text>')
        if y_label:
            x, y = self.x - 46, self.y + ROW / 2
            out.append(f'<text x="{x}" y="{y}" class="mid" transform="rotate(-90 {x} {y})">{y_label}</text>')
        return out

    def curve(self, points, colour, dash):
        places = [self.at(*p) for p in sorted(points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        style = f'stroke="{colour}" stroke-dasharray="{dash}"'
        out = [f'<polyline points="{path}" fill="none" stroke-width="1.8" {style}/>']
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in places]
        return out


def draw(lines):
    cases = list(dict.fromkeys(line["case"] for line in lines))
    sizes = sorted({line["size"] for line in lines})
    bursts = sorted({line["burst"] for line in lines})
    rows = (("mpps", "throughput, Mpps"), ("us", "latency of one burst, us"))
    width = LEFT + len(cases) * (COLUMN + GAP_X)
    height = TOP + len(rows) * (ROW + GAP_Y) + 14
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        "<style>.frame{fill:none;stroke:#555}.grid{stroke:#ddd}.mid{text-anchor:middle}.right{text-anchor:end}"
        ".title{font-size:13px;font-weight:bold}</style>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for row, (unit, y_label) in enumerate(rows):
        values = [line[f"{side}_{unit}"] for line in lines for side in COLOURS]
        ticks = decades(min(values), max(values))
        for column, case in enumerate(cases):
            panel = Panel(LEFT + column * (COLUMN + GAP_X), TOP + row * (ROW + GAP_Y), bursts, ticks)
            out += panel.axes(case, y_label if column == 0 else "")
            for index, size in enumerate(sizes):
                chosen = [line for line in lines if line["case"] == case and line["size"] == size]
                for side, colour in COLOURS.items():
                    points = [(line["burst"], line[f"{side}_{unit}"]) for line in chosen]
                    if points:
                        out += panel.curve(points, colour, DASHES[index % len(DASHES)])
    x = LEFT
    for side, colour in COLOURS.items():
        for index, size in enumerate(sizes):
            out.append(f'<line x1="{x}" y1="14" x2="{x + 30}" y2="14" stroke="{colour}" stroke-width="1.8"'
                       f' stroke-dasharray="{DASHES[index % len(DASHES)]}"/>')
            out.append(f'<text x="{x + 36}" y="18">{side}, {size} bytes</text>')
            x += 160
    return "\n".join(out + ["</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json", type=argparse.FileType("r"), help="lines that apir-bench --json wrote; - for stdin")
    parser.add_argument("svg", help="file to write; - for stdout")
    arguments = parser.parse_args()
    picture = draw(read_lines(arguments.json, arguments.json.name))
    if arguments.svg == "-":
        sys.stdout.write(picture)
    else:
        with open(arguments.svg, "w", encoding="utf-8") as out:
            out.write(picture)


if __name__ == "__main__":
    main()
