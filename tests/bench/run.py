#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build and run the benchmarks, all contenders taking turns, and print one table.

usage: run.py [BUILD_TREE] [subject...] [--rounds N] [--tsv FILE]     subjects: process gigabyte lock memory ... (default: all)

The table: metric, who, median, minimum, maximum of all samples, unit; then the ratio to the limit it is held against
(medians of this run; then of the best samples, which a busy machine disturbs less), what is asked for, and whether that
holds for the medians. Exit status 1: something asked for does not hold.
Measure a release build on a quiet machine."""
import argparse
import collections
import os
import statistics
import subprocess
import sys

# subject -> program and its arguments
SUBJECTS = {
    "process": ["bench_process"],
    "gigabyte": ["bench_process", "--gigabyte"],
    "lock": ["bench_lock"],
    "memory": ["bench_memory"],
    "queue": ["bench_queue"],
    "pickle": ["bench_pickle"],
}

START, LARGE = "start+join", "start+join, 1 GiB parent"
ALONE, FIGHT = "lock, alone", "lock, 2 processes, 100 ns inside"
STREAM_64, STREAM_1K, STREAM_16K, TRIP = "stream, 64 B", "stream, 1 KiB", "stream, 16 KiB", "round trip, 64 B"
MEMORY = "idle worker, private memory"
PICKLES = [f"pickle {way}, {what}" for way in ("dumps", "loads") for what in ("10^6 ints", "100 MB bytes")]
# (metric, who): (metric of the limit, who, or a number; "<=" or ">="; the ratio asked for)
ASKED = {
    (START, "libmp fork"): (START, "raw fork", "<=", 1.25),
    (START, "libmp spawn"): (START, "raw vfork+exec", "<=", 1.15),
    (START, "libmp forkserver"): (START, "raw fork", "<=", 0.8),
    (LARGE, "libmp forkserver"): (START, "libmp forkserver", "<=", 1.2),
    (LARGE, "libmp fork"): (LARGE, "raw fork", "<=", 1.25),
    (LARGE, "libmp spawn"): (LARGE, "raw vfork+exec", "<=", 1.15),
    (ALONE, "libmp Lock"): (ALONE, "pthread", "<=", 1.3),
    (ALONE, "libmp RLock"): (ALONE, "pthread recursive", "<=", 1.3),
    (FIGHT, "libmp Lock"): (FIGHT, "pthread robust", ">=", 2.0),
    (STREAM_64, "libmp queue"): (STREAM_64, "raw ring", ">=", 0.6),
    (STREAM_64, "libmp pipe"): (STREAM_64, "socketpair", ">=", 5.0),
    (STREAM_1K, "libmp queue"): (STREAM_1K, "raw ring", ">=", 0.7),
    (STREAM_16K, "libmp queue"): (STREAM_16K, "raw ring", ">=", 0.8),
    (STREAM_16K, "libmp pipe"): (STREAM_16K, "raw ring", ">=", 0.8),
    (TRIP, "libmp queue"): (TRIP, "raw ring", "<=", 1.6),
    (TRIP, "libmp pipe"): (TRIP, "raw ring", "<=", 1.6),
    (MEMORY, "libmp fork"): ("150 kB", 150.0, "<=", 1.0),
    **{(metric, "libmp"): (metric, "CPython", "<=", 1.0) for metric in PICKLES},
}


def run_round(build, subjects, number, samples):
    """One round: every program once, in turn; its lines are samples."""
    for subject in subjects if number % 2 == 0 else reversed(subjects):
        program, *arguments = SUBJECTS[subject]
        command = [os.path.join(build, "tests", "bench", program), *arguments, "--round", str(number)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in output.splitlines():
            metric, who, unit, value = line.split("\t")
            samples[metric, who, unit].append(float(value))


def ratio_to_limit(figures, metric, who):
    """By how much the figure is its limit; None: nothing is asked of it, or its limit was not measured."""
    limit_metric, limit, _, _ = ASKED.get((metric, who), (None,) * 4)
    bound = limit if isinstance(limit, float) else figures.get((limit_metric, limit))
    return figures[metric, who] / bound if bound else None


def describe_asked(metric, who):
    limit_metric, limit, relation, asked = ASKED[metric, who]
    if isinstance(limit, float):
        return f"{relation} {limit_metric}"
    return f"{relation} {asked:g} x {limit}" + ("" if limit_metric == metric else f", {limit_metric}")


def rows(samples):
    medians = {(metric, who): statistics.median(values) for (metric, who, _), values in samples.items()}
    best = {(metric, who): max(values) if unit.endswith("/s") else min(values)
            for (metric, who, unit), values in samples.items()}
    for (metric, who, unit), values in samples.items():
        row = [metric, who, *(f"{x:.4g}" for x in (medians[metric, who], min(values), max(values))), unit]
        ratio = ratio_to_limit(medians, metric, who)
        if ratio is None:
            yield row + [""] * 4
            continue
        _, _, relation, asked = ASKED[metric, who]
        holds = ratio <= asked if relation == "<=" else ratio >= asked
        yield row + [f"{ratio:.2f}", f"{ratio_to_limit(best, metric, who):.2f}", describe_asked(metric, who),
                     "yes" if holds else "NO"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", default="build/release")
    parser.add_argument("subjects", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tsv", help="also write the table there, tab separated")
    options = parser.parse_args()
    subprocess.run(["cmake", "--build", options.build, "--target", "bench"], check=True, stdout=subprocess.DEVNULL)
    present = [name for name, command in SUBJECTS.items()
               if os.access(os.path.join(options.build, "tests", "bench", command[0]), os.X_OK)]
    unknown = [name for name in options.subjects if name not in present]
    if unknown:
        sys.exit(f"run.py: no such subject: {', '.join(unknown)}; there are {', '.join(present)}")
    samples = collections.defaultdict(list)
    for number in range(options.rounds):
        run_round(options.build, options.subjects or present, number, samples)
    table = [["metric", "who", "median", "min", "max", "unit", "ratio", "of best", "asked", "holds"], *rows(samples)]
    if options.tsv:
        with open(options.tsv, "w", encoding="utf-8") as stream:
            stream.writelines("\t".join(row) + "\n" for row in table)
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        print("  ".join(text.rjust(w) if 2 <= i <= 4 or 6 <= i <= 7 else text.ljust(w)
                        for i, (text, w) in enumerate(zip(row, widths))).rstrip())
    sys.exit(any(row[-1] == "NO" for row in table[1:]))


if __name__ == "__main__":
    main()
