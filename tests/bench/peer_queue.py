#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What stream.c does, through multiprocessing.Queue.

usage: peer_queue.py SIZE PAIRS MILLISECONDS      prints million messages a second"""
import multiprocessing
import sys
import time


def send(queue, line, size, milliseconds, results):
    data = bytes(size)
    line.wait()
    count, begin = 0, time.monotonic()
    while time.monotonic() - begin < milliseconds / 1e3:
        queue.put(data)
        count += 1
    queue.put(None)
    results.put((count, begin, 0))


def receive(queue, line, results):
    line.wait()
    count = 0
    while queue.get() is not None:
        count += 1
    results.put((-count, float("inf"), time.monotonic()))


def main():
    size, pairs, milliseconds = (int(x) for x in sys.argv[1:4])
    context = multiprocessing.get_context("fork")
    queue, results, line = context.Queue(), context.Queue(), context.Barrier(2 * pairs)
    workers = []
    for _ in range(pairs):
        workers.append(context.Process(target=send, args=(queue, line, size, milliseconds, results)))
        workers.append(context.Process(target=receive, args=(queue, line, results)))
    for worker in workers:
        worker.start()
    shares = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    assert sum(share[0] for share in shares) == 0
    count = sum(share[0] for share in shares if share[0] > 0)
    print(count / 1e6 / (max(share[2] for share in shares) - min(share[1] for share in shares)))


main()
