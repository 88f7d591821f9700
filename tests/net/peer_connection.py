"""The other end of test_connection_python.c: a Listener or a Client of this Python's own.

usage: peer_connection.py listen|connect|handles ADDRESS KEY    KEY "-": none
Prints the address when it listens. Echoes objects until None comes; "handles": connects, writes into the descriptor that
comes, and sends one to read from.
SPDX-License-Identifier: MIT"""
import os
import sys
from multiprocessing import reduction
from multiprocessing.connection import Client, Listener, AuthenticationError


def parse(text):
    kind, rest = text.split(":", 1)
    if kind == "tcp":
        host, port = rest[2:].rsplit(":", 1)
        return (host, int(port))
    return "\0" + rest if kind == "abstract" else rest


def show(address):
    if isinstance(address, tuple):
        return "tcp://%s:%d" % address
    return "unix:" + address


def echo(connection):
    connection.send({"version": sys.version_info[:2], "list": [1, 2.5, "x", b"y", None]})
    assert connection.recv_bytes() == b""
    connection.send_bytes(b"z" * 100000)
    while True:
        got = connection.recv()
        if got is None:
            break
        connection.send(got)
    connection.close()


def swap_handles(connection):
    with os.fdopen(reduction.recv_handle(connection), "wb") as pipe:
        pipe.write(b"into yours")
    readable, writable = os.pipe()
    os.write(writable, b"out of mine")
    os.close(writable)
    reduction.send_handle(connection, readable, os.getpid())
    connection.close()


def main(mode, address, key):
    key = None if key == "-" else key.encode()
    if mode != "listen":
        talk = echo if mode == "connect" else swap_handles
        talk(Client(parse(address), authkey=key))
        return 0
    with Listener(parse(address), authkey=key) as listener:
        print(show(listener.address), flush=True)
        echo(listener.accept())
    return 0


try:
    code = main(*sys.argv[1:])
except AuthenticationError:
    code = 3
sys.exit(code)
