"""The parent of tests/python/programs/python_child.c: starts it as its own processes.

usage: peer_spawn.py PROGRAM CASE    prints "ok" when all is as it should be
SPDX-License-Identifier: MIT"""
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.managers import SyncManager

context = multiprocessing.get_context("spawn")


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


def stand_in(name):
    def function(*args, **kwargs):
        raise NotImplementedError("is in C")
    function.__qualname__ = function.__name__ = name
    globals()[name] = function


for name in ("describe double_all count synchronize converse meet break_up use_proxies refuse give_tasks "
             "have_child outlive die nobody").split():
    stand_in(name)


class Subclass(context.Process):
    def __init__(self, *args):
        super().__init__(args=args)

    def run(self):
        raise NotImplementedError("is in C")


def end(process, code=0):
    process.join(20)
    assert process.exitcode == code, process.exitcode


def start(target, *args, **options):
    process = context.Process(target=target, args=args, **options)
    process.start()
    return process


def check_describe():
    here, there = context.Pipe()
    process = start(describe, there, 1, "two", [3.0, None], kwargs={"k": b"v"}, name="Bob",
                    daemon=True)
    args, kwargs, name, daemon, parent, pid, alive, directory, key = here.recv()
    assert (args, kwargs) == ("[1, 'two', [3.0, None]]", "{'k': b'v'}"), (args, kwargs)
    assert (name, daemon, parent, pid, alive) == ("Bob", 1, "MainProcess", os.getpid(), 1)
    assert directory == os.getcwd() and key == bytes(multiprocessing.current_process().authkey)
    end(process, 300 % 256)
    there.close()
    try:
        here.recv()
        assert False, "end of file"
    except EOFError:
        pass


def feed(process, numbers, doubled):
    big = b"x" * 200000
    for i in range(100):
        numbers.put(i)
    numbers.put(big)
    assert [doubled.get() for i in range(100)] == [2 * i for i in range(100)]
    assert doubled.get() == (big, big)
    if hasattr(numbers, "join"):
        numbers.join()
    numbers.put(None)
    end(process)


def check_queues():
    for make in context.Queue, context.JoinableQueue, context.SimpleQueue:
        numbers, doubled = make(), make()
        feed(start(double_all, numbers, doubled), numbers, doubled)


def check_subclass():
    numbers, doubled = context.Queue(), context.Queue()
    process = Subclass(numbers, doubled)
    process.start()
    feed(process, numbers, doubled)


def check_count():
    value, array = context.Value("i", 5), context.Array("d", range(5))
    point = context.RawValue(Point, 3)
    processes = [start(count, value, array, point) for i in range(2)]
    for i in range(1000):
        with value.get_lock():
            value.value += 1
    for process in processes:
        end(process)
    assert value.value == 3005 and list(array) == [2, 3, 4, 5, 6] and point.y == 3.5


def check_synchronize():
    lock, semaphore, bounded = context.Lock(), context.Semaphore(2), context.BoundedSemaphore(1)
    ready, go = context.Event(), context.Event()
    lock.acquire()
    process = start(synchronize, lock, semaphore, bounded, ready, go)
    assert ready.wait(20)
    go.set()
    lock.release()
    end(process)
    assert not lock.acquire(False) and not ready.is_set()


def check_condition():
    condition, turn = context.Condition(), context.RawValue("i", 0)
    process = start(converse, condition, turn)
    with condition:
        for i in range(0, 200, 2):
            while turn.value != i:
                assert condition.wait(20)
            turn.value = i + 1
            condition.notify()
        while turn.value != 200:
            assert condition.wait(20)
        turn.value = 0
    processes = [start(converse, condition, turn, 201) for i in range(3)]
    with condition:
        while turn.value != 3:
            assert condition.wait(20)
        turn.value = 201
        condition.notify_all()
    for child in [process] + processes:
        end(child)


def check_barrier():
    barrier, sums = context.Barrier(3), context.RawArray("i", 2)
    processes = [start(meet, barrier, sums, i) for i in range(2)]
    mine = sum(barrier.wait(20) for i in range(50))
    for process in processes:
        end(process)
    assert mine + sum(sums) == 150 and barrier.n_waiting == 0
    barrier, event = context.Barrier(2, timeout=20), context.Event()
    process = start(break_up, barrier, event)
    barrier.wait()
    while barrier.n_waiting == 0:
        time.sleep(0.001)
    barrier.abort()
    assert event.wait(20) and not barrier.broken
    end(process)
    assert barrier.broken


def check_proxies():
    forked = multiprocessing.get_context("fork")  # its server is no C program
    with SyncManager(authkey=b"of its own", ctx=forked) as manager:
        numbers, pool = manager.list([1]), manager.Pool(1)
        end(start(use_proxies, numbers, pool))
        assert numbers[:] == [1, 3], numbers[:]


def check_refuse():
    queue, barrier = context.Queue(1), context.Barrier(2, os.getpid)
    end(start(refuse, queue, 7, barrier))


def check_give_tasks():
    queue = context.JoinableQueue()
    process = start(give_tasks, queue)
    tasks = [queue.get(timeout=20) for i in range(11)]
    assert tasks == list(range(10)) + [None], tasks
    for task in tasks:
        queue.task_done()
    end(process, 7)


def check_have_child():
    check_describe()
    check_refuse()
    end(start(have_child), 5)


def check_die():
    end(start(die), -signal.SIGABRT)


def check_no_target():
    end(start(None))


def check_missing():
    end(start(nobody), 1)


def check_bound_method():
    end(start([].append), 1)


def check_log():
    multiprocessing.log_to_stderr(10)
    end(start(None, name="Bob"))


def check_many():
    numbers, doubled = context.Queue(), context.Queue()
    processes = [start(double_all, numbers, doubled) for i in range(4)]
    for i in range(400):
        numbers.put(i)
    assert sorted(doubled.get() for i in range(400)) == [2 * i for i in range(400)]
    for process in processes:
        numbers.put(None)
    for process in processes:
        end(process)


def check_orphan():
    path = "/tmp/mpt-orphan-%d" % os.getpid()
    parent = subprocess.Popen([sys.executable, __file__, sys.argv[1], "kill_parent", path])
    parent.wait()
    assert parent.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while os.path.exists(path):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check_kill_parent():
    process = start(outlive, sys.argv[3])
    while not os.path.exists(sys.argv[3]):
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


def check_forkserver():
    other = multiprocessing.get_context("forkserver")
    process = other.Process(target=describe)
    try:
        process.start()
        process.join(20)
        assert process.exitcode == 255, process.exitcode
    except (EOFError, OSError):
        pass


if __name__ == "__main__":
    context.set_executable(sys.argv[1])
    globals()["check_" + sys.argv[2]]()
    print("ok", flush=True)
