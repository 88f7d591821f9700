#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build and run the benchmarks, all contenders taking turns, and print one table.

usage: run.py [BUILD_TREE] [subject...] [--rounds N] [--tsv FILE]     subjects: process gigabyte lock memory ... (default: all)

The table: metric, who, median, minimum, maximum of all samples, unit; then the ratio to the limit it is held against
(medians of this run), what is asked for, and whether that holds. Exit status 1: something asked for does not hold.
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
}

START, LARGE = "start+join", "start+join, 1 GiB parent"
ALONE, FIGHT = "lock, alone", "lock, 2 processes, 100 ns inside"
STREAM_64, STREAM_1K, STREAM_16K, TRIP = "stream, 64 B", "stream, 1 KiB", "stream, 16 KiB", "round trip, 64 B"
MEMORY = "idle worker, private memory"
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


def judge(medians, metric, who):
    """What is asked of this row: (ratio, text, does it hold), or None."""
    if (metric, who) not in ASKED:
        return None
    limit_metric, limit, relation, asked = ASKED[metric, who]
    bound = limit if isinstance(limit, float) else medians.get((limit_metric, limit))
    if not bound:
        return None
    ratio = medians[metric, who] / bound
    name = limit_metric if isinstance(limit, float) else limit if limit_metric == metric else f"{limit}, {limit_metric}"
    return ratio, f"{relation} {asked:g} x {name}", ratio <= asked if relation == "<=" else ratio >= asked


def rows(samples):
    medians = {(metric, who): statistics.median(values) for (metric, who, _), values in samples.items()}
    for (metric, who, unit), values in samples.items():
        verdict = judge(medians, metric, who)
        figures = [f"{x:.4g}" for x in (medians[metric, who], min(values), max(values))]
        yield [metric, who, *figures, unit, f"{verdict[0]:.2f}" if verdict else "", verdict[1] if verdict else "",
               "" if not verdict else "yes" if verdict[2] else "NO"]


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
    table = [["metric", "who", "median", "min", "max", "unit", "ratio", "asked", "holds"], *rows(samples)]
    if options.tsv:
        with open(options.tsv, "w", encoding="utf-8") as stream:
            stream.writelines("\t".join(row) + "\n" for row in table)
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        print("  ".join(text.rjust(w) if 2 <= i <= 4 or i == 6 else text.ljust(w)
                        for i, (text, w) in enumerate(zip(row, widths))).rstrip())
    sys.exit(any(row[-1] == "NO" for row in table[1:]))


if __name__ == "__main__":
    main()
