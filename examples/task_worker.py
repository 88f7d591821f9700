"""task_worker.py: what task_worker.c is, in Python: takes tasks from a task_master of either.

usage: task_worker.py [ADDRESS [SECONDS]]     tcp://127.0.0.1:5000; how long a task takes: 0.1
SPDX-License-Identifier: MIT"""
import sys
import time
from multiprocessing.managers import BaseManager


class QueueManager(BaseManager):
    pass


QueueManager.register("get_task_queue")
QueueManager.register("get_result_queue")


def main(address="tcp://127.0.0.1:5000", seconds="0.1"):
    print("Connect to server %s..." % address)
    host, port = address[len("tcp://"):].rsplit(":", 1)
    manager = QueueManager(address=(host, int(port)), authkey=b"abc")
    manager.connect()
    tasks, results = manager.get_task_queue(), manager.get_result_queue()
    try:
        while True:
            n = tasks.get()
            print("run task %d * %d..." % (n, n), flush=True)
            time.sleep(float(seconds))
            results.put((n, "%d * %d = %d" % (n, n, n * n)))
            tasks.task_done()
    except (EOFError, ConnectionError):
        print("worker exit.")


if __name__ == "__main__":
    main(*sys.argv[1:])
