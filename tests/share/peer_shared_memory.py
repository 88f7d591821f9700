"""The other end of test_shared_memory_python.c: SharedMemory and ShareableList of this Python's own.

usage: peer_shared_memory.py MODE [NAME]
create, create_list: print the name, wait for a line, print what is there then, close (C unlinks)
attach, attach_list: check what C has made, change it, unlink it
Standard error stays empty: no resource tracker has anything to say.
SPDX-License-Identifier: MIT"""
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory, ShareableList

VALUES = [1, -2.5, True, "hi", b"by", None, "x" * 20, -(2 ** 63)]
CHANGED = [2, None, False, "ho", 7, 1.5, "y" * 24, 2 ** 63 - 1]


def forget(memory):
    resource_tracker.unregister("/" + memory.name, "shared_memory")


def meet():
    sys.stdin.readline()


def create():
    memory = SharedMemory(create=True, size=3000)
    forget(memory)
    memory.buf[:5] = b"hello"
    print(memory.name, flush=True)
    meet()
    assert bytes(memory.buf[:6]) == b"world!"
    memory.close()


def create_list():
    values = ShareableList(VALUES)
    forget(values.shm)
    print(values.shm.name, flush=True)
    meet()
    assert list(values) == CHANGED, list(values)
    values.shm.close()


def attach(name):
    memory = SharedMemory(name)
    assert memory.size == 5000 and bytes(memory.buf[:5]) == b"hello"
    memory.buf[:6] = b"world!"
    memory.close()
    memory.unlink()


def attach_list(name):
    values = ShareableList(name=name)
    assert list(values) == VALUES, list(values)
    assert values.format == "qdxxxxxxx?8s8sxxxxxx?x24sq", values.format
    for i, value in enumerate(CHANGED):
        values[i] = value
    values.shm.close()
    values.shm.unlink()


globals()[sys.argv[1]](*sys.argv[2:])
