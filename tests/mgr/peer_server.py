"""A manager's server of this Python's own, for test_proxy_python.c.

usage: peer_server.py ADDRESS [KEY]     prints the address and its pid, serves until it is killed
SPDX-License-Identifier: MIT"""
import os
import queue
import sys
from multiprocessing.managers import SyncManager
from multiprocessing.process import current_process


class Thing:
    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    def given(self):
        return (self.args, self.kwargs)

    def echo(self, value):
        return value

    def fail(self, name, *args):
        raise {"custom": type("CustomError", (Exception,), {})}.get(name) or getattr(
            __import__("builtins"), name)(*args)

    def unpicklable(self):
        return lambda: 0

    def __repr__(self):
        return "Thing()"


TASKS = queue.Queue()


def get_task_queue():
    return TASKS


class Manager(SyncManager):
    pass


def parse(text):
    kind, rest = text.split(":", 1)
    if kind == "tcp":
        host, port = rest[2:].rsplit(":", 1)
        return (host, int(port))
    return "\0" + rest if kind == "abstract" else rest


def show(address):
    if isinstance(address, tuple):
        return "tcp://%s:%d" % address
    if isinstance(address, bytes):
        address = address.decode()
    return "abstract:" + address[1:] if address[0] == "\0" else "unix:" + address


def main(address, key="abc"):
    Manager.register("get_task_queue", callable=get_task_queue)
    Manager.register("Thing", Thing)
    current_process().authkey = key.encode()
    server = Manager(parse(address), key.encode()).get_server()
    print(show(server.address), os.getpid(), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
