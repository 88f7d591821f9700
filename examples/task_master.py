"""task_master.py: what task_master.c is, in Python: each serves the workers of both.

usage: task_master.py [ADDRESS]          tcp://127.0.0.1:5000
SPDX-License-Identifier: MIT"""
import queue
import sys
from multiprocessing.managers import BaseManager

TASKS = 10
task_queue, result_queue = queue.Queue(), queue.Queue()


def get_task_queue():
    return task_queue


def get_result_queue():
    return result_queue


class QueueManager(BaseManager):
    pass


QueueManager.register("get_task_queue", callable=get_task_queue)
QueueManager.register("get_result_queue", callable=get_result_queue)


def main(address="tcp://127.0.0.1:5000"):
    host, port = address[len("tcp://"):].rsplit(":", 1)
    manager = QueueManager(address=(host, int(port)), authkey=b"abc")
    manager.start()
    print("Listening at tcp://%s:%d" % manager.address, flush=True)
    tasks, results = manager.get_task_queue(), manager.get_result_queue()
    for i in range(TASKS):
        print("Put task %d..." % i)
        tasks.put(i)
    print("Try get results...", flush=True)
    answered = set()
    while len(answered) < TASKS:
        task, text = results.get()
        if task not in answered:
            print("Result: %s" % text)
        answered.add(task)
    manager.shutdown()
    print("master exit.")


if __name__ == "__main__":
    main(*sys.argv[1:])
