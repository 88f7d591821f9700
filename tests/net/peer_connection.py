"""The other end of test_connection_python.c: a Listener or a Client of this Python's own.

usage: peer_connection.py listen|connect ADDRESS KEY    KEY "-": none
Prints the address when it listens. Echoes objects until None comes.
SPDX-License-Identifier: MIT"""
import sys
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


def main(mode, address, key):
    key = None if key == "-" else key.encode()
    if mode == "connect":
        echo(Client(parse(address), authkey=key))
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
