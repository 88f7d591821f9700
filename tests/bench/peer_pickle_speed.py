#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What bench_pickle.c does, by CPython's pickle module.

usage: peer_pickle_speed.py dumps|loads ints|bytes SIZE      prints the milliseconds of the best of five turns"""
import gc
import pickle
import sys
import time


def main():
    direction, subject, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    value = [i * 7919 % 1000000007 for i in range(size)] if subject == "ints" else b"x" * size
    data = pickle.dumps(value, 4)
    work, given = (pickle.loads, data) if direction == "loads" else (lambda x: pickle.dumps(x, 4), value)
    gc.disable()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        result = work(given)
        best = min(best, time.perf_counter() - start)
        del result
    print(best * 1e3)


main()
