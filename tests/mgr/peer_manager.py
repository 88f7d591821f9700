"""A client of this Python's own, for test_manager_python.c: does the same with a manager of libmp and with
one of CPython, and compares what both answer.

usage: peer_manager.py GROUP ADDRESS [KEY]     exits with 1 and prints the differences when there are some
SPDX-License-Identifier: MIT"""
import array
import collections
import datetime
import decimal
import math
import operator
import re
import sys
import threading
import time
from multiprocessing.managers import SyncManager, RemoteError
from multiprocessing.process import current_process


class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is Point and self.x == other.x

    def __repr__(self):
        return "Point(%r)" % self.x


class Log:
    """What the calls gave, as text."""

    def __init__(self):
        self.lines = []

    def __call__(self, name, function, *args, **kwds):
        try:
            line = repr(function(*args, **kwds))
        except RemoteError as error:
            line = "RemoteError"
        except Exception as error:
            # Words that differ from one Python to the next.
            differs = isinstance(error, (TypeError, OverflowError, AttributeError)) or "timeout value" in str(error)
            text = "..." if differs else error.args
            line = "%s %r" % (type(error).__name__, text)
        self.lines.append("%s: %s" % (name, re.sub("0x[0-9a-f]+", "0x", line)))


def lists(m, log):
    a = m.list([1, 2])
    log("append", a.append, "x")
    log("get", lambda: (a[0], a[-1], a[0:2], a[::-1], a[5:9]))
    log("get beyond", lambda: a[99])
    log("get by str", lambda: a["0"])
    log("len", len, a)
    log("str", str, a)
    log("value", a._getvalue)
    log("iterate", list, a)
    log("in", lambda: (1 in a, 9 in a, [] in a))
    for values in [(3, 4), {5: 6}, "ab", b"c", range(3), iter([7]), reversed([8, 9]), {10}, frozenset([11])]:
        log("extend", a.extend, values)
    log("extend by none", a.extend, 5)
    log("all", a._getvalue)
    for slice_ in [slice(1, 3), slice(None, None, 2), slice(-2, None), slice(9, 1, -3), slice(None, 2**70),
                   slice(-2**70, 3)]:
        log("slice", lambda: a[slice_])
    a[1:3] = "abc"
    log("set slice", a._getvalue)
    a[::2] = list(range(len(a[::2])))
    log("set steps", a._getvalue)
    log("set steps wrongly", a.__setitem__, slice(None, None, 2), [1])
    log("set", a.__setitem__, 0, None)
    log("set beyond", a.__setitem__, 99, None)
    del a[::3]
    log("delete steps", a._getvalue)
    del a[2:4]
    log("delete slice", a._getvalue)
    log("delete", a.__delitem__, 0)
    log("delete beyond", a.__delitem__, 99)
    b = m.list([3, 1, 2, 1])
    log("insert", b.insert, -1, 9)
    log("count", b.count, 1)
    log("index", lambda: (b.index(1), b.index(1, 2), b.index(1.0), b.index(True, -2)))
    log("index fails", b.index, 77)
    log("index fails in part", b.index, 3, 1, 2)
    log("pop", lambda: (b.pop(), b.pop(0)))
    log("pop beyond", b.pop, 44)
    log("remove", b.remove, 9)
    log("remove fails", b.remove, 9)
    log("sort", lambda: (b.sort(reverse=True), b._getvalue(), b.sort(), b._getvalue()))
    log("reverse", lambda: (b.reverse(), b._getvalue()))
    log("add", lambda: b + [1])
    log("add tuple", lambda: b + (1,))
    log("multiply", lambda: (b * 2, 7 * b, b * 6, b * 0, b * -1))
    log("multiply by float", lambda: b * 2.0)
    b += (5,)
    b *= 2
    log("in place", b._getvalue)
    log("reversed", lambda: list(reversed(b)))
    log("reversed empty", lambda: list(reversed(m.list())))
    log("pop empty", m.list().pop)
    c = m.list([(2, "b"), (1, "z"), (2, "a"), (1.5, "")])
    c.sort()
    log("sorted tuples", c._getvalue)
    c = m.list([2**70, 1.5, -2**70, True, 0, float("inf"), float("-inf"), 2**53 + 1, 2.0**53])
    c.sort()
    log("sorted numbers", c._getvalue)
    c = m.list(["b", "", "a", "\U0001f600", "\uffff", "ab"])
    c.sort(reverse=True)
    log("sorted strs", c._getvalue)
    log("sort fails", lambda: m.list([1, "a"]).sort())
    log("sort with positions", lambda: m.list([1])._callmethod("sort", (None,)))
    log("not exposed", lambda: m.list()._callmethod("__class__"))
    log("too many", lambda: m.list()._callmethod("append", (1, 2)))
    log("too few", lambda: m.list()._callmethod("append"))
    log("create of int", m.list, 5)
    log("create of two", m.list, [], [])


def dicts(m, log):
    d = m.dict({"a": 1}, b=2.5)
    log("get", lambda: (d["a"], d.get("b"), d.get("zz"), d.get("zz", 3)))
    log("get fails", lambda: d["nope"])
    log("get unhashable", lambda: d[[]])
    d["k"] = b"bytes"
    d[1] = "int"
    d[1.0] = "float"
    d[True] = "bool"
    d[(1, "t")] = None
    d[None] = [1]
    log("set unhashable", d.__setitem__, {}, 1)
    log("str", str, d)
    log("views", lambda: (d.keys(), d.values(), d.items()))
    log("copy", d.copy)
    log("value", d._getvalue)
    log("len", len, d)
    log("in", lambda: ("a" in d, "z" in d, 1 in d))
    log("in unhashable", lambda: [] in d)
    log("iterate", list, d)
    log("delete", d.__delitem__, "k")
    log("delete fails", d.__delitem__, "k")
    log("pop", lambda: (d.pop("a"), d.pop("a", 5)))
    log("pop fails", d.pop, "a")
    log("popitem", d.popitem)
    log("setdefault", lambda: (d.setdefault("s", 1), d.setdefault("s", 2), d.setdefault("n")))
    log("update", lambda: (d.update({"u": 1}, v=2), d.update([("w", 3), "xy"]), d.copy()))
    log("update fails", d.update, [1])
    log("update by three", d.update, [(1, 2, 3)])
    log("clear", lambda: (d.clear(), len(d)))
    log("popitem fails", d.popitem)
    log("too many", m.dict, {}, {})
    e = m.dict(a=1, b=2)
    i = iter(e)
    log("next", next, i)
    e["c"] = 3
    log("next after change", next, i)
    i = iter(m.dict(a=1))
    log("to the end", lambda: (next(i), next(i, "end"), next(i, "end")))
    for value in VALUES:
        e["v"] = value
        log("value", lambda: e["v"])
        log("same", lambda: e["v"] == value)


VALUES = [0, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -2**31, -2**31 - 1, 2**63, -2**64, 2**2100, -2**2100, 0.0,
          -0.0, 1e300, 5e-324, float("inf"), "", "x" * 300, "\U0001f600\ud800", "\0", b"", b"\x00\xff" * 300, None,
          True, False, (), (1,), (1, 2, 3, 4), [[]], {"a": {"b": ()}}, {1, 2}, frozenset([3]), 1 + 2j, bytearray(b"ba"),
          list(range(3000)), {i: str(i) for i in range(2500)}, slice(1, 2), range(5), ValueError("x", 2), ValueError,
          len, datetime.datetime(2020, 1, 2), datetime.timedelta(5), decimal.Decimal("1.5"),
          collections.OrderedDict([(1, 2)]), collections.deque([1, 2], 5), array.array("d", [1.5]), Point([1]),
          b"\0" * 200000, "y" * 100000]


def namespaces(m, log):
    n = m.Namespace(x=1, _hidden=2)
    n.y = [1]
    log("get", lambda: (n.x, n.y))
    log("str", str, n)
    log("value", lambda: n._getvalue().__dict__)
    log("get fails", lambda: n.zz)
    del n.x
    log("delete fails", lambda: delattr(n, "x"))
    log("str again", str, n)
    log("positional", m.Namespace, 1)
    v = m.Value("i", 7)
    log("value", lambda: (v.value, v.get(), str(v)))
    v.value = "any"
    log("any", lambda: (v.value, str(v), v._getvalue().value))
    log("too few", m.Value, "i")
    a = m.Array("i", [1, 2, 3])
    log("array", lambda: (a[1], a[-1], a[0:2], len(a), list(a), str(a), a._getvalue()))
    a[0] = 5
    a[1:] = array.array("i", [7, 8, 9])
    log("array set", a._getvalue)
    log("array beyond", lambda: a[9])
    log("array set beyond", a.__setitem__, 9, 1)
    log("array set str", a.__setitem__, 0, "x")
    log("array set slice of list", a.__setitem__, slice(0, 1), [1])
    log("array set float", a.__setitem__, 0, 1.5)
    for code, items in [("b", [-128, 127]), ("B", [255]), ("h", [-2**15]), ("H", [2**16 - 1]), ("I", [2**32 - 1]),
                        ("q", [-2**63]), ("Q", [2**64 - 1]), ("l", [1]), ("L", [2]), ("f", [0.1]), ("d", [0.1]),
                        ("i", []), ("i", (1, True)), ("d", range(3)), ("B", b"\x01\x02")]:
        log("array of " + code, lambda: m.Array(code, items)._getvalue())
    log("array of wrong code", m.Array, "z", [1])
    log("array of int", m.Array, "i", 3)
    for code, item in [("b", 128), ("B", -1), ("i", 2**31), ("Q", 2**64), ("q", 2**63)]:
        log("array too large", lambda: m.Array(code, [1]).__setitem__(0, item) or 0)


def queues(m, log):
    q = m.Queue()
    q.put((1, "two", 3.0, None, True))
    log("get", q.get)
    log("empty", q.get_nowait)
    log("empty in time", q.get, timeout=0.01)
    log("empty at once", q.get, False)
    log("negative", q.get, True, -1)
    log("negative at once", q.get, False, -1)
    j = m.JoinableQueue(1)
    log("put", j.put, "a", True, 0.1)
    log("full", j.put_nowait, "b")
    log("full in time", j.put, "b", timeout=0.01)
    log("sizes", lambda: (j.qsize(), j.empty(), j.full()))
    log("get", lambda: (j.get(), j.qsize(), j.empty(), j.full()))
    log("done", j.task_done)
    log("done too often", j.task_done)
    log("join", j.join)
    log("no item", j.put)
    log("unknown keyword", j.put, 1, sometime=1)
    log("twice", j._callmethod, "put", (1,), {"item": 1})
    log("str", lambda: re.sub(" at .*", "", str(j)))
    log("value", lambda: j._getvalue())
    log("maxsize", lambda: m.Queue(-3).full())
    log("maxsize by name", lambda: (m.Queue(maxsize=1).full()))
    for i in range(40):
        q.put(i)
    log("order", lambda: [q.get() for i in range(40)])
    got = []
    thread = threading.Thread(target=lambda: got.append(q.get()))
    thread.start()
    q.put("late")
    thread.join()
    log("wakes", lambda: got)


def locks(m, log):
    for lock in [m.Lock(), m.RLock()]:
        log("acquire", lock.acquire)
        log("release", lock.release)
        log("in time", lock.acquire, True, 0.5)
        log("by others", elsewhere, lambda: (lock.acquire(False), lock.acquire(True, 0.01)))
        log("release", lock.release)
        log("release free", lock.release)
        log("with", within, lock)
        log("wrong timeout", lock.acquire, False, 1)
        log("negative timeout", lock.acquire, True, -2)
        log("str", lambda: str(lock)[:10])
    r = m.RLock()
    log("depth", lambda: (r.acquire(), r.acquire(), r.release(), elsewhere(lambda: r.acquire(False)), r.release(),
                          elsewhere(lambda: (r.acquire(False), r.release()))))
    r.acquire()
    log("release by others", elsewhere, r.release)
    k = m.Lock()
    k.acquire()
    log("release by others", elsewhere, k.release)
    for s in [m.Semaphore(), m.Semaphore(2), m.BoundedSemaphore(), m.BoundedSemaphore(2)]:
        log("semaphore", lambda: [s.acquire(False) for i in range(3)])
        log("release", lambda: [s.release() for i in range(2)])
        log("release often", lambda: s.release())
        log("in time", lambda: [s.acquire(True, 0.01) for i in range(4)])
    log("negative", m.Semaphore, -1)


def within(lock):
    with lock:
        return True


def elsewhere(function):
    """What it gives, or raises, in another thread."""
    result = []

    def run():
        try:
            result.append(function())
        except Exception as error:
            result.append((type(error).__name__, error.args))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return result[0]


def conditions(m, log):
    c = m.Condition()
    log("un-acquired", c.notify)
    log("un-acquired", c.notify_all)
    log("un-acquired", c.wait, 0.01)
    log("wait", lambda: (c.acquire(), c.notify_all(), c.wait(0.01), c.release()))
    k = m.Lock()
    c2 = m.Condition(k)
    log("its lock", lambda: (c2.acquire(), k.acquire(False), c2.release(), k.acquire(False), k.release()))
    log("no lock", m.Condition, 5)
    ready, woken = m.Semaphore(0), m.list()

    def wait(name):
        with c:
            ready.release()
            woken.append((name, c.wait(20)))

    threads = [threading.Thread(target=wait, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
        ready.acquire()
    with c:
        c.notify(1)
    while len(woken) < 1:
        time.sleep(0.001)
    with c:
        c.notify(7)
    for thread in threads:
        thread.join()
    log("woken", lambda: (woken[0], sorted(woken._getvalue())))
    n = m.list([0])

    def change():
        with c:
            n[0] = 5
            c.notify_all()

    with c:
        thread = threading.Thread(target=change)
        thread.start()
        log("wait_for", c.wait_for, lambda: n[0] == 5, 20)
    thread.join()
    e = m.Event()
    log("event", lambda: (e.is_set(), e.wait(0.01), e.set(), e.wait(), e.wait(0.01), e.is_set(), e.clear(), e.is_set()))
    thread = threading.Thread(target=e.wait)
    thread.start()
    e.set()
    thread.join()
    b = m.Barrier(1)
    log("barrier", lambda: (b.parties, b.n_waiting, b.broken, b.wait(), b.wait(1)))
    b = m.Barrier(2)
    log("broken", b.wait, 0.01)
    log("still broken", b.wait, 0.01)
    log("broken", lambda: (b.broken, b.n_waiting))
    b.reset()
    log("whole", lambda: (b.broken, b.n_waiting))
    log("meet", meet, b)
    log("meet again", meet, b)
    b.abort()
    log("aborted", meet, b)
    b = m.Barrier(2, None, 0.01)
    log("timeout of its own", b.wait)
    if sys.version_info >= (3, 13):
        log("no party", m.Barrier, 0)
    log("no attribute", lambda: b._callmethod("__getattribute__", ("zz",)))


def meet(barrier):
    results = []

    def wait():
        try:
            results.append(barrier.wait(20))
        except threading.BrokenBarrierError:
            results.append("broken")

    threads = [threading.Thread(target=wait) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(results)


def nested(m, log):
    outer, inner = m.dict(), m.list([1])
    outer["inner"] = inner
    # CPython before 3.9 cannot do that with its own managers.
    outer["queue"] = m.Queue() if sys.version_info >= (3, 9) else m.list()
    log("one object", lambda: (outer["inner"].append(2), inner._getvalue()))
    del inner
    log("kept", lambda: outer["inner"]._getvalue())
    log("types", lambda: (type(outer["inner"]).__name__, type(outer["queue"]).__name__))
    if sys.version_info >= (3, 9):
        log("queue", lambda: (outer["queue"].put(5), outer["queue"].get()))
    q = m.Queue()
    q.put(m.dict(a=1))
    log("through a queue", lambda: q.get()["a"])
    log("deep", lambda: deep(m))
    log("extend by proxy", lambda: (m.list([1]).extend(m.list([2]))))
    log("value", lambda: type(outer._getvalue()["inner"]).__name__)
    inner = m.dict(a=1)
    holders = [m.list([inner, [inner]]), m.dict({1: inner}), m.Namespace(a=inner), m.Value("i", inner)]
    log("str", lambda: [str(holder) for holder in holders])
    log("repr", lambda: [repr(holder) for holder in holders])
    log("not found", lambda: m.list().index(inner))
    if sys.version_info >= (3, 9):
        log("auto", lambda: str(outer))
    counts = m._number_of_objects()
    x = m.list()
    log("counted", lambda: m._number_of_objects() - counts)
    del x
    log("gone", lambda: m._number_of_objects() - counts)
    log("debug", lambda: re.sub("[0-9a-f]+:", "", m._debug_info().split("\n")[0]))
    log("unknown type", m._create, "nope")
    log("unknown object", unknown_ident, m)
    log("wrong arguments", m._create, "list", 1, 2, 3)


def pools(m, log):
    p = m.Pool(2)
    log("apply", p.apply, math.isqrt, (4,))
    log("apply fails", p.apply, operator.truediv, (1, 0))
    log("apply of three", p.apply, operator.truediv, (1, 2, 3))
    log("by keyword", p.apply, math.isqrt, kwds={"x": 4})
    log("map", p.map, abs, range(-10, 0))
    log("map nothing", p.map, abs, [])
    log("map chunks", p.map, abs, list(range(-10, 0)), 3)
    log("map fails", p.map, math.isqrt, [1, -1])
    log("map of int", p.map, abs, 5)
    log("starmap", p.starmap, operator.truediv, [(1, 2), [3, 4]])
    log("starmap of ints", p.starmap, operator.truediv, [1])
    r = p.map_async(abs, [-1, -2])
    log("result", lambda: (r.get(), r.get(20), r.wait(), r.ready(), r.successful()))
    r = p.apply_async(operator.truediv, (1, 0))
    log("failed", lambda: (r.wait(20), r.ready(), r.successful()))
    log("failure", r.get)
    log("failure again", r.get, 1)
    r = p.starmap_async(operator.truediv, [(1, 4)])
    log("starmap_async", r.get)
    i = p.imap(abs, [-1, -2, -3], 2)
    log("imap", lambda: [next(i) for k in range(3)])
    log("end", next, i)
    i = p.imap(math.isqrt, [4, -1, 9])
    log("imap", next, i)
    log("imap fails", next, i)
    log("imap goes on", next, i)
    log("imap prints", lambda: (str(i), str(p.imap_unordered(abs, []))))
    log("imap_unordered", lambda: sorted(p.imap_unordered(abs, [-1, -2])))
    log("imap_unordered chunks", lambda: sorted(p.imap_unordered(abs, list(range(-9, 0)), 4)))
    log("a result keeps its pool", lambda: m.Pool(1).apply_async(abs, (-3,)).get(20))
    log("an iterator, too", lambda: list(m.Pool(1).imap(abs, [-1, -2])))
    r = p.apply_async(time.sleep, (2,))
    log("not ready", r.get, 0.01)
    log("not ready", r.successful)
    log("join", p.join)
    p.close()
    log("closed", lambda: p.apply(abs, (1,)))
    p.terminate()
    log("joined", p.join)
    log("no process", m.Pool, 0)
    with m.Pool(1) as q:
        log("with", q.apply, abs, (-5,))


def deep(m):
    first = m.list([0])
    for i in range(20):
        first = m.list([first])
    last = first
    for i in range(20):
        last = last[0]
    return last._getvalue()


def unknown_ident(m):
    proxy = m.list()
    proxy._id, ident = "deadbeef", proxy._id
    try:
        proxy.append(1)
    finally:
        proxy._id = ident


GROUPS = {f.__name__: f for f in [lists, dicts, namespaces, queues, locks, conditions, nested, pools]}


def parse(text):
    kind, rest = text.split(":", 1)
    if kind == "tcp":
        host, port = rest[2:].rsplit(":", 1)
        return (host, int(port))
    return "\0" + rest if kind == "abstract" else rest


def compare(group, address, key="abc"):
    current_process().authkey = key.encode()
    logs = []
    mine = SyncManager(authkey=key.encode())
    mine.start()
    theirs = SyncManager(address=parse(address), authkey=key.encode())
    theirs.connect()
    for manager in [mine, theirs]:
        logs.append(Log())
        GROUPS[group](manager, logs[-1])
    mine.shutdown()
    differences = [pair for pair in zip(*(log.lines for log in logs)) if pair[0] != pair[1]]
    for cpython, libmp in differences:
        print("CPython %s\nlibmp   %s" % (cpython[:300], libmp[:300]))
    return 1 if differences or len(logs[0].lines) != len(logs[1].lines) else 0


if __name__ == "__main__":
    sys.exit(compare(*sys.argv[1:]))
