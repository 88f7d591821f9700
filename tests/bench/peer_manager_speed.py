#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What bench_manager.c does, by CPython's managers over a Unix socket.

usage: peer_manager_speed.py call|make|crowd COUNT     prints how many a second
       peer_manager_speed.py serve ADDRESS             serves for the key "bench" until its input ends"""
import multiprocessing
import os
import sys
import threading
import time
from multiprocessing.managers import SyncManager

PROCESSES, THREADS = 4, 50  # of a crowd


def call(manager, count):
    holder = manager.dict()
    holder[0] = 0
    start = time.perf_counter()
    for i in range(count):
        holder[0] = i
    return count / (time.perf_counter() - start)


def make(manager, count):
    manager.list()
    start = time.perf_counter()
    for _ in range(count):
        manager.list()
    return count / (time.perf_counter() - start)


def call_often(holder, count):
    for i in range(count):
        holder[0] = i


def be_many(holder, count):
    threads = [threading.Thread(target=call_often, args=(holder, count)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def crowd(manager, count):
    holder = manager.dict()
    start = time.perf_counter()
    processes = [multiprocessing.Process(target=be_many, args=(holder, count)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert not any(process.exitcode for process in processes)
    return PROCESSES * THREADS * count / (time.perf_counter() - start)


def serve(address):
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    SyncManager(address, b"bench").get_server().serve_forever()


if sys.argv[1] == "serve":
    serve(sys.argv[2])
with SyncManager() as the_manager:
    print({"call": call, "make": make, "crowd": crowd}[sys.argv[1]](the_manager, int(sys.argv[2])))
