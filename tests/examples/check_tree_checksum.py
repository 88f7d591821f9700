"""Compare what tree_checksum prints with Python's zlib.crc32 over the same tree.

SPDX-License-Identifier: MIT
usage: check_tree_checksum.py PROGRAM METHOD CRASH SOURCE_TREE   (CRASH: number of a file, 0 none)
"""
import os
import subprocess
import sys
import tempfile
import zlib

program, method, crash, source_tree = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]


def sum_tree(directory):
    """The lines that must be printed, sorted by path as bytes."""
    paths = [os.path.join(where, name) for where, _, names in os.walk(os.fsencode(directory)) for name in names]
    lines = []
    for path in sorted(path for path in paths if os.path.isfile(path) and not os.path.islink(path)):
        with open(path, "rb") as file:
            data = file.read()
        lines.append(b"%08x %d %s" % (zlib.crc32(data), len(data), path))
    return lines


def make_odd_tree(directory):
    """Sizes around the program's buffer, an empty file, a name with a blank, links that must not be followed."""
    for size in (0, 1, 7, 8, 9, 262143, 262144, 262145, 1000003):
        with open(os.path.join(directory, f"size {size}"), "wb") as file:
            file.write(bytes((i * i + size) & 255 for i in range(size)))
    os.mkdir(os.path.join(directory, "sub"))
    os.symlink("size 1", os.path.join(directory, "link"))
    os.symlink("nowhere", os.path.join(directory, "sub", "broken"))
    with open(os.path.join(directory, "sub", "file"), "wb") as file:
        file.write(b"last")


def check(directory):
    expected = sum_tree(directory)
    command = [program, "--method", method, "--workers", "3"]
    if crash:
        del expected[crash - 1]
        command += ["--crash", str(crash)]
    done = subprocess.run(command + [directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100)
    if done.stdout.splitlines() != expected or done.returncode != (1 if crash else 0):
        sys.exit(f"{directory}: exit code {done.returncode}, {len(expected)} lines expected\n"
                 + done.stdout.decode(errors="replace")[:4000] + done.stderr.decode(errors="replace"))
    errors = done.stderr.decode(errors="replace")
    if crash and (f"item {crash - 1}: worker " not in errors or "SIGKILL" not in errors):
        sys.exit(f"the file that crashed is not reported: {errors}")


with tempfile.TemporaryDirectory() as odd:
    make_odd_tree(odd)
    check(odd)
check(os.path.join(source_tree, "src"))
if os.path.isdir("/usr/include/linux"):
    check("/usr/include/linux")
