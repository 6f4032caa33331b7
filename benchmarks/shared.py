"""Shared memory: handing over 100 MB, atomic operations, waking somebody. About ten seconds.

    python benchmarks/shared.py [--megabytes 100] [--rounds 5] [--processes 8] [--operations 100000]

Handing over: one process fills an array of bytes, another one has it; through one mapping used again and again, and by
pickle through a pipe. Both sides look at the last byte.
"""

import argparse
import multiprocessing
import os
import statistics
import time

from rookery import SharedArray

LIMIT = 30.0
"""Seconds until a measurement is given up."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--operations", type=int, default=100_000)
    options = parser.parse_args()
    shared, pickled = hand_over(options.megabytes * 1_000_000, options.rounds)
    print(f"{options.megabytes} MB handed over, median of {options.rounds}")
    print(f"  reused mapping         {shared * 1000:8.1f} ms")
    print(f"  pickle through a pipe  {pickled * 1000:8.1f} ms   {pickled / shared:.0f} times as long")
    seconds, total = count(options.processes, options.operations)
    each = seconds / options.processes / options.operations
    print(f"{options.processes} processes added {total} in all: {each * 1e6:.2f} us for one atomic add")
    print(f"wait and notify, there and back: {ping_pong(2000) * 1e6:.1f} us")


def hand_over(size, rounds):
    """Seconds for one array from one process to another: (by a reused mapping, by pickle through a pipe)."""
    data = bytes(range(256)) * (size // 256 + 1)
    data = memoryview(data)[:size]
    # Taking turns, so that what else the machine does meets both.
    with SharedArray("uint8", size) as array, SharedArray("int32", 2) as turn:
        ours, theirs = multiprocessing.Pipe()
        children = [_forked(lambda: _take_mapping(array, turn, rounds)), _forked(lambda: _take_pickles(theirs, rounds))]
        whole = bytes(data)
        _by_mapping(array, turn, data, 0), _by_pickle(ours, whole)  # pages and buffers are there now
        shared, pickled = [], []
        for number in range(1, rounds + 1):
            shared.append(_by_mapping(array, turn, data, number))
            pickled.append(_by_pickle(ours, whole))
        for child in children:
            os.waitpid(child, 0)
        ours.close()
        theirs.close()
    return statistics.median(shared), statistics.median(pickled)


def _by_mapping(array, turn, data, number):
    start = time.perf_counter()
    array[:] = data
    turn.atomics.store(0, number + 1)
    turn.atomics.notify(0)
    if not turn.atomics.wait(1, number, LIMIT):
        raise TimeoutError("the other process did not answer")
    return time.perf_counter() - start


def _take_mapping(array, turn, rounds):
    last = len(array) - 1
    for number in range(rounds + 1):
        if not turn.atomics.wait(0, number, LIMIT):
            os._exit(1)
        assert array[last] == last % 256
        turn.atomics.store(1, number + 1)
        turn.atomics.notify(1)


def _by_pickle(connection, data):
    start = time.perf_counter()
    connection.send(data)
    if not connection.poll(LIMIT):
        raise TimeoutError("the other process did not answer")
    connection.recv_bytes()
    return time.perf_counter() - start


def _take_pickles(connection, rounds):
    for _ in range(rounds + 1):
        data = connection.recv()
        assert data[-1] == (len(data) - 1) % 256
        connection.send_bytes(b"!")


def count(processes, operations):
    """Seconds in which so many processes add to one element, and what it is then."""
    with SharedArray("int64", 1) as array:
        start = time.perf_counter()
        for child in [_forked(lambda: _add(array, operations)) for _ in range(processes)]:
            os.waitpid(child, 0)
        return time.perf_counter() - start, array[0]


def _add(array, operations):
    add = array.atomics.add
    for _ in range(operations):
        add(0, 1)


def ping_pong(rounds):
    """Seconds for one message there and back."""
    with SharedArray("int32", 2) as array:
        child = _forked(lambda: _pong(array, rounds))
        atomics = array.atomics
        start = time.perf_counter()
        for number in range(rounds):
            atomics.store(0, number + 1)
            atomics.notify(0)
            atomics.wait(1, number, LIMIT)
        elapsed = time.perf_counter() - start
        os.waitpid(child, 0)
        return elapsed / rounds


def _pong(array, rounds):
    atomics = array.atomics
    for number in range(rounds):
        atomics.wait(0, number, LIMIT)
        atomics.store(1, number + 1)
        atomics.notify(1)


def _forked(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


if __name__ == "__main__":
    main()
