"""Masters and workers of the examples with each other, over TCP: all tasks are answered, also when a worker is killed or
its network goes away in the middle of one.

SPDX-License-Identifier: MIT
usage: check_tasks.py EXAMPLES SOURCES CASE
    EXAMPLES  the folder of the compiled programs; SOURCES: that of the scripts
    CASE      MASTER-WORKER, each c or python; or killed-WORKER, cut-WORKER: then the master is in C
"""
import glob
import os
import re
import signal
import socket
import subprocess
import sys
import threading

examples, sources, case = sys.argv[1:]
RESULTS = sorted("Result: %d * %d = %d" % (i, i, i * i) for i in range(10))


def find_pythons():
    """One of each version from 3.8 on."""
    found = {}
    for path in [sys.executable] + glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3")):
        version = subprocess.run([path, "-c", "import sys; print(sys.version_info[1])"], stdout=subprocess.PIPE)
        if version.returncode == 0 and int(version.stdout) >= 8:
            found.setdefault(int(version.stdout), path)
    return list(found.values())


def start(program, language, python, *arguments, errors=None):
    if language == "python":
        command = [python, "-u", "%s/%s.py" % (sources, program)]
    else:
        command = ["%s/%s" % (examples, program)]
    return subprocess.Popen(command + list(arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=errors, universal_newlines=True)


def start_master(language, python):
    master = start("task_master", language, python, "tcp://127.0.0.1:0")
    line = master.stdout.readline()
    return master, re.match("Listening at (tcp://.*)\n", line).group(1)


def end(process, what):
    output = process.communicate(timeout=50)[0]
    if process.returncode != 0:
        sys.exit("%s: exit code %d: %s" % (what, process.returncode, output))
    return output


def end_all(master, workers):
    output = end(master, "master")
    results = sorted(line for line in output.splitlines() if line.startswith("Result"))
    if results != RESULTS:
        sys.exit("not these results: %s" % output)
    for worker in workers:
        if "worker exit." not in end_worker(worker):
            sys.exit("a worker did not see the end")


def end_worker(worker):
    """CPython connects once more for each of its proxies when it ends. If the master goes in just that moment, Linux may
    drop the last packet of the handshake (its counter ListenDrops), and the client waits at nobody's for ever."""
    try:
        return worker.communicate(timeout=30)[0]
    except subprocess.TimeoutExpired:
        worker.kill()
        return worker.communicate()[0]


def check_pair(master_language, worker_language, python):
    master, address = start_master(master_language, python)
    first = start_busy(worker_language, python, address, "0.05")
    second = start("task_worker", worker_language, python, address, "0.01", errors=subprocess.DEVNULL)
    end_all(master, [first])
    end_worker(second)  # it may have come too late for all of it


def start_busy(language, python, address, seconds):
    """A worker that has begun with a task."""
    worker = start("task_worker", language, python, address, seconds)
    while "run task" not in worker.stdout.readline():
        if worker.poll() is not None:
            sys.exit("a worker ended too early")
    return worker


def check_killed(language, python):
    master, address = start_master("c", python)
    for victim in [start_busy(language, python, address, "1000") for _ in range(3)]:
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
    end_all(master, [start("task_worker", language, python, address, "0.01")])


class Wire:
    """A network between a worker and the master that can be cut."""

    def __init__(self, address):
        host, port = address[len("tcp://"):].rsplit(":", 1)
        self.there, self.sockets = (host, int(port)), []
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(8)
        self.address = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            here = self.listener.accept()[0]
            there = socket.create_connection(self.there)
            self.sockets += [here, there]
            for pair in (here, there), (there, here):
                threading.Thread(target=self.copy, args=pair, daemon=True).start()

    @staticmethod
    def copy(source, target):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in source, target:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        for end in self.sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def check_cut(language, python):
    master, address = start_master("c", python)
    wire = Wire(address)
    victim = start_busy(language, python, wire.address, "1000")
    wire.cut()
    end_all(master, [start("task_worker", language, python, address, "0.01")])
    victim.kill()
    victim.communicate()


first, second = case.split("-")
for python in find_pythons() if "python" in case else [sys.executable]:
    if first == "killed":
        check_killed(second, python)
    elif first == "cut":
        check_cut(second, python)
    else:
        check_pair(first, second, python)
