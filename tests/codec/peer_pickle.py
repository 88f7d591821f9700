#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random objects as CPython pickles them, for test_pickle_python.c.

usage: peer_pickle.py SEED COUNT

Each object makes one record per protocol it can be pickled by. A record: the pickle; its repr ("" where the order of a
set shows); what pickle.dumps gives for it by protocols 2 to 5 ("" where that depends on the order of a set or on which
equal objects this Python keeps once). Every part is a length of 4 bytes, lowest first, and so many bytes. An empty
pickle ends them."""
import random
import struct
import sys
import pickle
import unicodedata


def put(data):
    sys.stdout.buffer.write(struct.pack("<I", len(data)) + data)


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.pool = []

    def character(self):
        pick = self.random
        while True:
            c = chr(pick.choice([pick.randrange(32, 127), pick.randrange(256), pick.randrange(0x3000), 39, 34, 92,
                                 pick.randrange(0x10000, 0x110000), pick.randrange(0xd800, 0xe000)]))
            if unicodedata.category(c) != "Cn":  # another Unicode may have assigned it
                return c

    def leaf(self):
        pick = self.random
        return pick.choice([
            lambda: None, lambda: pick.random() < 0.5, lambda: pick.randrange(-300, 300),
            lambda: pick.randrange(-2**40, 2**40), lambda: pick.getrandbits(pick.randrange(1, 3000)) * pick.choice([1, -1]),
            lambda: pick.random(), lambda: struct.unpack("d", struct.pack("Q", pick.getrandbits(64)))[0],
            lambda: float(pick.randrange(-10**6, 10**6)), lambda: 2.0 ** pick.randrange(-1074, 1024),
            lambda: "".join(self.character() for _ in range(pick.randrange(9))),
            lambda: pick.choice(["key", "name", "x" * pick.randrange(400), "y" * pick.randrange(60000, 70000)]),
            lambda: bytes(pick.randrange(256) for _ in range(self.bytes_count())),
            lambda: bytearray(pick.randrange(256) for _ in range(self.bytes_count())),
        ])()

    def bytes_count(self):
        """Not 1: protocol 2 makes a str of them, and those of one character CPython keeps once."""
        return self.random.choice([0, 2, 3, 4, 5, 6, 7, 8])

    def key(self, depth):
        kind = self.random.randrange(6) if depth > 0 else 0
        if kind > 3:
            return (tuple if kind == 4 else frozenset)(self.key(depth - 1) for _ in range(self.random.randrange(5)))
        while True:
            leaf = self.leaf()
            # The hash of a nan is that of its address, and that of None too before 3.12: then no two sets are alike.
            if not isinstance(leaf, bytearray) and leaf == leaf and leaf is not None:
                return leaf

    def count(self):
        return self.random.choice([0, 1, 2, 3, 4, 5, 9, 12])

    def object(self, depth):
        pick = self.random
        if self.pool and pick.random() < 0.1:
            return pick.choice(self.pool)
        kind = pick.randrange(10) if depth > 0 else 0
        if kind < 3:
            made = self.leaf()
        elif kind < 5:
            made = [self.object(depth - 1) for _ in range(self.count())]
        elif kind == 5:
            made = tuple(self.object(depth - 1) for _ in range(self.count()))
        elif kind < 8:
            made = {self.key(2): self.object(depth - 1) for _ in range(self.count())}
        else:
            made = (set if kind == 8 else frozenset)(self.key(2) for _ in range(self.count()))
        if pick.random() < 0.2:
            self.pool.append(made)
        if isinstance(made, list) and pick.random() < 0.05:
            made.append(pick.choice([made, (made,), {1: made}]))
        return made


LARGE = [list(range(1000)), list(range(1001)), list(range(2500)), {i: i for i in range(1000)}, {i: [i] for i in range(1001)},
         set(range(1000)), set(range(1001)), frozenset(range(1500)), ["x" * 65535, "y" * 65536, b"z" * 70000, 1],
         bytearray(70000), [str(i) for i in range(20000)], tuple(range(300)), 1 << 2100, -(1 << 2039), list(range(1, 300)) * 200]


def put_records(made):
    for protocol in range(6):
        try:
            data = pickle.dumps(made, protocol)
            again = pickle.loads(data)
        except (ValueError, RecursionError):  # an int too long for decimal
            continue
        if not data:
            continue
        text = repr(again)
        put(data)
        put(b"" if "{" in text or "set" in text and "frozenset()" not in text else text.encode("utf-8", "replace"))
        for other in range(2, 6):
            first = pickle.dumps(again, other)
            put(first if pickle.dumps(pickle.loads(first), other) == first and same(made, data, protocol) else b"")


def same(made, data, protocol):
    """Does this Python write the same again? Else it has shared what was not, or ordered a set otherwise."""
    return pickle.dumps(pickle.loads(data), protocol) == data


def main():
    generator = Generator(int(sys.argv[1]))
    for made in LARGE:
        put_records(made)
    for _ in range(int(sys.argv[2])):
        generator.pool.clear()
        put_records(generator.object(4))
    put(b"")


main()
