"""One contender does one work: ``pool_works.py CONTENDER WORK WORKERS SIZE``; figures as JSON on stdout.

Each work checks what it gets back: a pool that answers wrongly has no figure.
"""

import importlib
import json
import os
import socket
import sys
import tempfile
import threading
import time

import pool_tasks
from pool_contenders import CONTENDERS
from pool_tasks import nothing

CHUNK = 100
PATIENCE = 3.0
"""Seconds after which a task counts as hanging."""
MEGABYTE = 1_000_000


def first(make, _size):
    """Seconds from before the import, and from the construction, to the first result; the same of a second pool."""
    before = time.perf_counter()
    make.library()
    began = time.perf_counter()
    pool = make()
    check(pool.call(nothing, 1), 1)
    ended = time.perf_counter()
    other = make()
    check(other.call(nothing, 2), 2)
    second = time.perf_counter() - ended
    for each in (other, pool):
        each.close()
    return {"with import": ended - before, "first": ended - began, "second": second}


def submit(make, size):
    pool = make()
    warm(pool)
    began = time.perf_counter()
    handles = [pool.submit(nothing, number) for number in range(size)]
    found = [pool.result(handle) for handle in handles]
    took = time.perf_counter() - began
    check(found, list(range(size)))
    pool.close()
    return {"seconds": took}


def mapped(make, size):
    pool = make()
    pool.map(nothing, list(range(200)))
    values = list(range(size))
    began = time.perf_counter()
    found = pool.map(nothing, values)
    took = time.perf_counter() - began
    check(found, values)
    pool.close()
    return {"seconds": took}


def trips(size):
    """One at a time, and a bare pair of sockets in turn with it: what the machine does meets both."""
    free, apart = Bare(), Bare(apart=True)
    ours, theirs, across = [], [], []
    yield nothing, -1
    for start in range(0, size, CHUNK):
        for number in range(start, start + CHUNK):
            began = time.perf_counter()
            found = yield nothing, number
            ours.append(time.perf_counter() - began)
            check(found, number)
        theirs += free.trips(CHUNK)
        across += apart.trips(CHUNK)
    free.close()
    apart.close()
    return {**quantiles("", ours), **quantiles("bare ", theirs), **quantiles("apart ", across)}


def quantiles(name, values):
    values = sorted(values)
    return {f"{name}p50": middle(values), f"{name}p99": values[len(values) * 99 // 100]}


class Bare:
    """A forked process which sends back what it gets; apart: it has another CPU than we, else that is as it comes."""

    def __init__(self, *, apart=False):
        self._cpus = os.sched_getaffinity(0)
        self._own = {min(self._cpus)} if apart else self._cpus
        self._ours, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            self._ours.close()
            if apart:
                os.sched_setaffinity(0, {max(self._cpus)})
            while data := theirs.recv(4096):
                theirs.send(data)
            os._exit(0)
        theirs.close()

    def trips(self, count):
        took = []
        os.sched_setaffinity(0, self._own)
        for _ in range(count):
            began = time.perf_counter()
            self._ours.send(b"fourteen bytes")
            self._ours.recv(4096)
            took.append(time.perf_counter() - began)
        os.sched_setaffinity(0, self._cpus)
        return took

    def close(self):
        self._ours.shutdown(socket.SHUT_RDWR)  # not close(): forked workers have copies
        self._ours.close()
        os.waitpid(self._pid, 0)


def array(size):
    """An array of so many megabytes, each time another one; its sum comes back."""
    import numpy as np  # noqa: PLC0415 - for this work alone

    arrays = [np.full(size * MEGABYTE // 8, number + 1.0) for number in range(4)]
    took = []
    yield nothing, 0
    for number, values in enumerate(arrays):
        began = time.perf_counter()
        found = yield pool_tasks.summed, values
        took.append(time.perf_counter() - began)
        check(found, float(len(values) * (number + 1)))
    began = time.perf_counter()
    arrays[-1].sum()
    return {"seconds": middle(took[1:]), "first": took[0], "sum alone": time.perf_counter() - began}


def echo(size):
    """A million bytes there and back, each time others."""
    body = os.urandom(MEGABYTE - 8)
    took = []
    yield nothing, 0
    for number in range(size):
        data = number.to_bytes(8, "little") + body
        began = time.perf_counter()
        found = yield nothing, data
        took.append(time.perf_counter() - began)
        check(found == data, True)
    return {"seconds": middle(took)}


def called(steps):
    """A work which is a generator: it yields what is to be called, and gets the result."""

    def work(make, size):
        pool = make()
        if hasattr(pool, "submit"):
            warm(pool)
        going = steps(size)
        step = next(going)
        try:
            while True:
                step = going.send(pool.call(*step))
        except StopIteration as end:
            pool.close()
            return end.value

    return work


def warm(pool):
    """See that all workers are there."""
    for handle in [pool.submit(nothing, number) for number in range(200)]:
        pool.result(handle, 30)


def head(make, size):
    """How much later short tasks began than if all had begun in the order in which they were submitted."""
    pool = make()
    warm(pool)
    began = time.monotonic()
    handles = [pool.submit(pool_tasks.short_or_long, number) for number in range(size)]
    starts = [pool.result(handle)[1] for number, handle in enumerate(handles) if number != pool_tasks.LONG]
    ended = time.monotonic()
    late = sorted(start - due for start, due in zip(starts, sorted(starts), strict=True))
    pool.close()
    return {"p99.9": late[len(late) * 999 // 1000], "max": late[-1], "ended": ended - began}


def killed(make, size):
    """A worker is killed in a task, after a quarter of them: how many fail, how many hang, when another one works."""
    pool = make()
    warm(pool)
    quarter = size // 4
    with tempfile.NamedTemporaryFile("r", encoding="ascii") as note:
        handles = [pool.submit(pool_tasks.who, note.name if number == quarter else number) for number in range(size)]
        give_up = None
        found, failed, hanging, why = [], 0, 0, None
        for number, handle in enumerate(handles):
            if number == quarter:
                give_up = time.monotonic() + PATIENCE
            left = None if give_up is None else max(0.0005, give_up - time.monotonic())
            try:
                found.append(pool.result(handle, left))
                check(found[-1][0], number)
            except Exception as error:
                is_open = type(error).__name__ == "TimeoutError" and not str(error)
                failed, hanging = failed + (not is_open), hanging + is_open
                why = why or (None if is_open else type(error).__name__)
        at = float(note.read())
    before = {pid for _, pid, began in found if began < at}
    fresh = min((began - at for _, pid, began in found if pid not in before), default=None)
    figures = {"done": len(found), "failed": failed, "hanging": hanging, "why": why, "fresh": fresh}
    print(json.dumps(figures), flush=True)
    # Some can no longer be closed; what is left of them is ended by whoever started this.
    closing = threading.Thread(target=pool.close, daemon=True)
    closing.start()
    closing.join(2)
    os._exit(0)


def middle(values):
    return sorted(values)[len(values) // 2]


def check(found, expected):
    if found != expected:
        raise SystemExit("wrong answers")


WORKS = {
    "first": first,
    "submit": submit,
    "map": mapped,
    "trips": called(trips),
    "array": called(array),
    "echo": called(echo),
    "head": head,
    "killed": killed,
}


class Maker:
    """Makes the contender with its workers."""

    def __init__(self, name, workers):
        self._kind, self._workers = CONTENDERS[name], workers

    def library(self):
        return self._kind.library()

    def __call__(self):
        return self._kind(self._workers)


def main():
    name, work, workers, size = sys.argv[1:]
    # Not before it is needed: asyncio is no free gift to who is timed from its import on.
    do = WORKS[work] if work in WORKS else importlib.import_module("pool_async").WORKS[work]
    print(json.dumps(do(Maker(name, int(workers)), int(size))))


if __name__ == "__main__":
    main()
