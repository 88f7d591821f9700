#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build and run the benchmarks, all contenders taking turns, and print one table.

usage: run.py [BUILD_TREE] [subject...] [--rounds N] [--tsv FILE]     subjects: process lock queue ... (default: all but growth)

First what was measured: metric, who, median, minimum, maximum of all samples, unit, and the median's ratio to the metric's
limit and to its best peer. Then what is asked for: the ratio of the medians of this run, the ratio of the best samples (which
a busy machine disturbs less), and whether it holds for the medians. Peers that are not installed are named at the end.
Exit status 1: something asked for does not hold. Measure a release build on a quiet machine."""
import argparse
import collections
import math
import os
import statistics
import subprocess
import sys

# A subject: the program in BUILD_TREE/tests/bench and its arguments. It prints lines: metric, who, unit, value, tab separated;
# the value nan says that this contender is not installed. To add one, add a line here, and to LIMITS and ASKED what is to be
# held against what. Contenders whose name begins with "libmp" are ours, others are peers unless they are a limit.
SUBJECTS = {
    "process": ["bench_process"],
    "gigabyte": ["bench_process", "--gigabyte"],
    "lock": ["bench_lock"],
    "memory": ["bench_memory"],
    "queue": ["bench_queue"],
    "crowd": ["bench_crowd"],
    "batch": ["bench_batch"],
    "trip": ["bench_trip"],
    "idle": ["bench_idle"],
    "arena": ["bench_arena"],
    "growth": ["bench_growth"],
    "pickle": ["bench_pickle"],
    "pool": ["bench_pool"],
    "tree": ["bench_tree"],
    "manager": ["bench_manager"],
}

# Who is no peer but a limit: nobody may die in it.
LIMITS = ("raw ring", "raw rings", "raw futex", "raw fork", "raw vfork+exec", "raw prefork", "raw task ring", "raw forks", "futex", "futex, called", "futex+spin")

START, LARGE = "start+join", "start+join, 1 GiB parent"
ROW, LARGE_ROW = "start+join, 3000 in a row", "start+join, 3000 in a row, 1 GiB"
ALONE, FIGHT = "lock, alone", "lock, 2 processes, 100 ns inside"
MOVED = "built in place and moved"
RING, FUTEX, QUEUE, PIPE, BOOST, PYTHON = "raw ring", "raw futex", "libmp queue", "libmp pipe", "Boost message_queue", "CPython Queue"


# (metric, who, relation, ratio, of whom, of which metric when it is another one); of whom: None with a plain number
ASKED = [
    (START, "libmp fork", "<=", 1.25, "raw fork"),
    (START, "libmp spawn", "<=", 1.15, "raw vfork+exec"),
    (START, "libmp forkserver", "<=", 0.5, "raw fork"),
    (LARGE, "libmp forkserver", "<=", 0.5, "raw fork", START),
    (ROW, "libmp forkserver", "<=", 1.0, "raw fork"),
    (LARGE_ROW, "libmp forkserver", "<=", 1.0, "raw fork", ROW),
    (LARGE, "libmp fork", "<=", 1.25, "raw fork"),
    (LARGE, "libmp spawn", "<=", 1.15, "raw vfork+exec"),
    (ALONE, "libmp Lock", "<=", 1.1, "futex"),
    (ALONE, "libmp Lock", "<=", 1.0, "pthread robust"),
    (ALONE, "libmp RLock", "<=", 1.3, "pthread recursive"),
    ("semaphore, alone", "libmp Semaphore", "<=", 1.1, "futex"),
    ("semaphore, alone", "libmp Semaphore", "<=", 1.1, "futex, called"),
    ("semaphore, alone", "libmp Semaphore, inlined", "<=", 1.1, "futex"),
    ("semaphore, alone", "libmp Semaphore", "<=", 1.0, "pthread robust"),
    ("event, set and clear", "libmp Event", "<=", 1.1, "futex"),
    ("event, set and clear", "libmp Event", "<=", 1.1, "futex, called"),
    ("event, set and clear", "libmp Event, inlined", "<=", 1.1, "futex"),
    ("event, set and clear", "libmp Event", "<=", 1.0, "pthread robust"),
    (FIGHT, "libmp Lock", ">=", 2.0, "pthread robust"),
    ("stream, 64 B", QUEUE, ">=", 0.6, RING),
    ("stream, 64 B", QUEUE, ">=", 4.0, BOOST),
    ("stream, 64 B", QUEUE, ">=", 3.0, "faster-fifo"),
    ("stream, 64 B", QUEUE, ">=", 100.0, PYTHON),
    ("stream, 64 B", PIPE, ">=", 5.0, "socketpair"),
    ("stream, 64 B", PIPE, ">=", 2.0, "pipe(2)"),
    ("stream, 1 KiB", QUEUE, ">=", 0.7, RING),
    *((f"stream, {size}", who, ">=", 0.8, RING) for size in ("16 KiB", "64 KiB", "1 MiB") for who in (QUEUE, PIPE)),
    ("CPU for 10^6 messages of 64 B", QUEUE, "<=", 1.5, RING),
    ("2 to 2, 64 B", QUEUE, ">=", 0.6, "raw rings"),
    ("2 to 2, 64 B", QUEUE, ">=", 4.0, BOOST),
    ("2 to 2, 1 KiB", QUEUE, ">=", 0.7, "raw rings"),
    ("4 to 4, 64 B", QUEUE, ">=", 0.5, QUEUE, "2 to 2, 64 B"),
    ("8 to 8, 64 B", QUEUE, ">=", 0.5, QUEUE, "2 to 2, 64 B"),
    ("stream, 8 B", "libmp queue, 64 at once", ">=", 0.9, RING),
    (MOVED, "libmp, 64 KiB", ">=", 0.9, "libmp, 64 B"),
    (MOVED, "libmp, 1 MiB", ">=", 0.9, "libmp, 64 B"),
    *(("round trip, awake", who, "<=", 1.6, RING) for who in (QUEUE, PIPE)),
    *(("round trip, asleep", who, "<=", 1.15, FUTEX) for who in (QUEUE, PIPE)),
    *(("round trip, one cpu", who, "<=", 1.3, FUTEX) for who in (QUEUE, PIPE)),
    ("100 processes that wait", "libmp", "<=", 0.1, None),
    ("arena, an empty one", "libmp queue", "<=", 4096, None),
    ("arena, an empty one", "libmp Lock", "<=", 128, None),
    ("arena, an empty one", "libmp Event", "<=", 64, None),
    ("arena, 10^6 messages of 64 B", "libmp queue", "<=", 1.5, None),
    ("idle worker, private memory", "libmp fork", "<=", 150.0, None),
    *((f"pickle {way}, {what}", "libmp", "<=", 1.0, "CPython")
      for way in ("dumps", "loads") for what in ("10^6 ints", "100 MB bytes")),
    ("manager, calls", "libmp", ">=", 3.0, "CPython"),
    ("manager, new proxies", "libmp", ">=", 5.0, "CPython"),
    ("map, 10^6 ints", "libmp map", "<=", 1.2, "OpenMP"),
    ("map, chunk 1", "libmp map", "<=", 1.3, "raw prefork"),
    ("10^5 tasks at once", "libmp apply_async", "<=", 2.0, "raw task ring"),
    *(("10^5 tasks at once", "libmp apply_async", "<=", 1.0, peer) for peer in ("GLib threads", "libuv threads")),
    ("10^5 tasks at once", "libmp apply_async", "<=", 1 / 150, "CPython"),
    ("one task, round trip", "libmp apply", "<=", 1.3, "raw task ring"),
    ("checksums of a tree", "libmp map", "<=", 1.05, "raw forks"),
    ("checksums of a tree", "libmp map", "<=", 1 / 3, "CPython"),
]


def run_round(build, subjects, number, samples):
    """One round: every program once, in turn; its lines are samples."""
    for subject in subjects if number % 2 == 0 else reversed(subjects):
        program, *arguments = SUBJECTS[subject]
        command = [os.path.join(build, "tests", "bench", program), *arguments, "--round", str(number)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in output.splitlines():
            metric, who, unit, value = line.split("\t")
            samples[metric, who, unit].append(float(value))


class Figures:
    """What was measured: unit, median and best sample of each (metric, who); a peer that is missing is not among them."""

    def __init__(self, samples):
        self.samples = {(metric, who): values for (metric, who, _), values in samples.items() if not math.isnan(values[0])}
        self.units = {(metric, who): unit for metric, who, unit in samples}
        self.missing = sorted({who for (_, who, _), values in samples.items() if math.isnan(values[0])})
        self.medians = {key: statistics.median(values) for key, values in self.samples.items()}
        self.best = {key: (max if self.is_rate(key) else min)(values) for key, values in self.samples.items()}

    def is_rate(self, key):
        return self.units[key].endswith("/s")

    def best_of(self, metric, is_wanted):
        """The best median among some of a metric's contenders; None: there is none."""
        values = [value for (other, who), value in self.medians.items() if other == metric and is_wanted(who)]
        return (max if self.is_rate((metric, self.first(metric))) else min)(values) if values else None

    def first(self, metric):
        return next(who for other, who in self.medians if other == metric)


def is_ours(who):
    return who.startswith("libmp")


def ratio(value, bound):
    return f"{value / bound:.3g}" if bound else ""


def table_of_figures(figures):
    yield ["metric", "who", "median", "min", "max", "unit", "of limit", "of best peer"]
    for (metric, who), values in figures.samples.items():
        median = figures.medians[metric, who]
        limit = figures.best_of(metric, lambda other: other in LIMITS)
        peer = figures.best_of(metric, lambda other: other not in LIMITS and not is_ours(other))
        yield [metric, who, *(f"{x:.4g}" for x in (median, min(values), max(values))), figures.units[metric, who],
               ratio(median, limit) if who not in LIMITS else "", ratio(median, peer) if is_ours(who) else ""]


def table_of_asked(figures):
    yield ["metric", "who", "asked", "ratio", "of best", "holds"]
    for metric, who, relation, bound, limit, *other in ASKED:
        key, limit_key = (metric, who), ((other or [metric])[0], limit)
        if key not in figures.medians or (limit and limit_key not in figures.medians):
            continue
        of_medians, of_best = ((values[key] / values[limit_key] if limit else values[key])
                               for values in (figures.medians, figures.best))
        asked = f"{relation} {bound:g}" + (f" x {limit}" if limit else "") + (f", {other[0]}" if other else "")
        holds = of_medians <= bound if relation == "<=" else of_medians >= bound
        yield [metric, who, asked, f"{of_medians:.3g}", f"{of_best:.3g}", "yes" if holds else "NO"]


def print_table(table):
    is_number = [all(row[i][:1].isdigit() or not row[i] for row in table[1:]) for i in range(len(table[0]))]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        print("  ".join(text.rjust(w) if right else text.ljust(w)
                        for text, w, right in zip(row, widths, is_number)).rstrip())
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", default="build/release")
    parser.add_argument("subjects", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tsv", help="also write the table of figures there, tab separated")
    options = parser.parse_args()
    subprocess.run(["cmake", "--build", options.build, "--target", "bench"], check=True, stdout=subprocess.DEVNULL)
    present = [name for name, command in SUBJECTS.items()
               if os.access(os.path.join(options.build, "tests", "bench", command[0]), os.X_OK)]
    unknown = [name for name in options.subjects if name not in present]
    if unknown:
        sys.exit(f"run.py: no such subject: {', '.join(unknown)}; there are {', '.join(present)}")
    samples = collections.defaultdict(list)
    for number in range(options.rounds):
        run_round(options.build, options.subjects or [name for name in present if name != "growth"], number, samples)
    figures = Figures(samples)
    table, asked = list(table_of_figures(figures)), list(table_of_asked(figures))
    if options.tsv:
        with open(options.tsv, "w", encoding="utf-8") as stream:
            stream.writelines("\t".join(row) + "\n" for row in table)
    print_table(table)
    print_table(asked)
    if figures.missing:
        print("not installed, skipped:", ", ".join(figures.missing))
    sys.exit(any(row[-1] == "NO" for row in asked[1:]))


if __name__ == "__main__":
    main()
