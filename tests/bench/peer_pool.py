#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What bench_pool.c does, through multiprocessing.Pool.

usage: peer_pool.py map COUNT CHUNK        nanoseconds an item; chunk 0: chosen
       peer_pool.py apply_async COUNT      nanoseconds a task
       peer_pool.py apply COUNT            microseconds a task
       peer_pool.py crc FILE               seconds: zlib.crc32 of each of the files listed in FILE, by imap_unordered"""
import multiprocessing
import sys
import time
import zlib


def square(number):
    return number * number


def checksum(path):
    crc, size = 0, 0
    with open(path, "rb", buffering=0) as stream:
        while data := stream.read(256 * 1024):
            crc = zlib.crc32(data, crc)
            size += len(data)
    return crc, size


def measure(pool, what, *arguments):
    if what == "crc":
        with open(arguments[0], encoding="utf-8") as stream:
            paths = stream.read().split("\n")[:-1]
        return sum(crc for crc, _ in pool.imap_unordered(checksum, paths, 64))
    count = int(arguments[0])
    if what == "map":
        results = pool.map(square, range(count), int(arguments[1]) or None)
    elif what == "apply_async":
        results = [result.get() for result in [pool.apply_async(square, (i,)) for i in range(count)]]
    else:
        results = [pool.apply(square, (i,)) for i in range(count)]
    assert results == [i * i for i in range(count)]
    return count


def main():
    what = sys.argv[1]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(square, range(100))
        begin = time.perf_counter()
        got = measure(pool, *sys.argv[1:])
        seconds = time.perf_counter() - begin
    if what == "crc":
        print(seconds, got)
    else:
        print(seconds / got * (1e6 if what == "apply" else 1e9))


main()
