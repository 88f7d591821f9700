#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draw the growth of queues from a table that run.py has written, by gnuplot.

usage: run.py build/release growth --tsv growth.tsv; plot.py growth.tsv OUT.svg

Three panels: messages a second by their size, by the number that is queued, by the number of processes."""
import collections
import re
import subprocess
import sys

# metrics' beginning: title, label of the axis
PANELS = {
    "by size": ("one process to another", "bytes of a message"),
    "by length": ("filled and drained by one process, 64 B", "messages in the queue"),
    "by pairs": ("n processes to n, 64 B", "n"),
}
# Ours in the same colour everywhere, limits and peers too.
STYLES = {
    "raw ring": "lc rgb '#888888' dt 2",
    "raw rings": "lc rgb '#888888' dt 2",
    "libmp queue": "lc rgb '#c03020' lw 3",
    "libmp queue, moved": "lc rgb '#e08030' lw 3",
    "pipe(2)": "lc rgb '#208050'",
    "Boost message_queue": "lc rgb '#3060a0'",
}


def read_table(path):
    """panel -> who -> [(x, median)]"""
    panels = collections.defaultdict(lambda: collections.defaultdict(list))
    with open(path, encoding="utf-8") as table:
        for line in table:
            metric, who, median = line.split("\t")[:3]
            match = re.match(r"(by \w+), (\d+)", metric)
            if match and who in STYLES:
                panels[match[1]][who].append((int(match[2]), float(median)))
    return panels


def plot_panel(name, lines):
    title, label = PANELS[name]
    parts = [f"'-' using 1:2 with linespoints pt 7 ps 0.5 {STYLES[who]} title '{who}' noenhanced" for who in lines]
    yield f"set title '{title}'"
    yield f"set xlabel '{label}'"
    yield "set logscale x 2; set format x '%g'" if name == "by pairs" else "set logscale x; set format x '10^{%L}'"
    yield "plot " + ", ".join(parts)
    for points in lines.values():
        yield from (f"{x} {y * 1e6}" for x, y in sorted(points))
        yield "e"


def script(panels, out):
    yield f"set terminal svg size 1200,400 background rgb 'white' font 'sans,11'; set output '{out}'"
    yield "set multiplot layout 1,3; set logscale y; set format y '10^{%L}'; set grid; set key bottom left"
    yield "set ylabel 'messages a second'"
    for name in PANELS:
        if name in panels:
            yield from plot_panel(name, panels[name])
    yield "unset multiplot"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    panels = read_table(sys.argv[1])
    if not panels:
        sys.exit(f"plot.py: nothing of the subject growth in {sys.argv[1]}")
    subprocess.run(["gnuplot"], input="\n".join(script(panels, sys.argv[2])), text=True, check=True)


if __name__ == "__main__":
    main()
