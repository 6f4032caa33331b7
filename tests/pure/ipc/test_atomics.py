"""Atomic operations: what they compute, whichever lock guards them."""

from __future__ import annotations

import asyncio
import errno
import operator
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import SharedArray
from rookery._os import features, futex, robust_mutex
from rookery.errors import LockTimeout, SharedMemoryError, UsageError
from rookery.ipc import shared_lock

KINDS = {"int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "int64": 64, "uint64": 64}


@pytest.fixture(params=["", "robust_mutex,futex"], ids=["best", "fallbacks"])
def lock(request, monkeypatch):
    monkeypatch.setenv(features.WITHOUT, request.param)
    features.forget()
    assert robust_mutex.available() == futex.available() == (not request.param)
    yield request.param
    features.forget()


@pytest.fixture
def numbers(lock):
    with SharedArray("int32", 4) as made:
        yield made


def wrapped(kind, value):
    value %= 1 << KINDS[kind]
    return value - (1 << KINDS[kind]) if kind[0] == "i" and value >> (KINDS[kind] - 1) else value


COMPUTE = {
    "store": lambda old, value: value,
    "exchange": lambda old, value: value,
    "add": operator.add,
    "sub": operator.sub,
    "and_": operator.and_,
    "or_": operator.or_,
    "xor": operator.xor,
}
ARRAYS = {kind: SharedArray(kind, 3) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", COMPUTE)
@given(old=st.integers(), value=st.integers(-(1 << 70), 1 << 70))
def test_an_operation_wraps_and_tells_what_was(kind, name, old, value):
    numbers = ARRAYS[kind]
    old = numbers[1] = wrapped(kind, old)
    assert getattr(numbers.atomics, name)(1, value) == old
    assert numbers.tolist() == [0, wrapped(kind, COMPUTE[name](old, value)), 0]
    assert numbers.atomics.load(1) == numbers[1]


@pytest.mark.parametrize("kind", KINDS)
def test_compare_exchange(kind):
    with SharedArray(kind, 1) as made:
        assert made.atomics.compare_exchange(0, 1, 5) == 0
        assert made[0] == 0
        assert made.atomics.compare_exchange(0, 0, -1) == 0
        assert made[0] == wrapped(kind, -1)
        assert made.atomics.compare_exchange(0, -1, 7) == wrapped(kind, -1)
        assert made[0] == 7


def test_with_either_lock(numbers):
    atomics = numbers.atomics
    assert [atomics.add(-1, 5), atomics.sub(3, 1), atomics.compare_exchange(3, 4, 9), atomics.load(3)] == [0, 5, 4, 9]


def test_dimensions():
    with SharedArray("uint8", (2, 3)) as made:
        made.atomics.add((1, -1), 300)
        made.atomics.add(5, 1)  # or its place in the flat memory
        assert made[1, 2] == 45
        with pytest.raises(TypeError, match="2 integers"):
            made.atomics.add((1,), 1)


@pytest.mark.parametrize("name", ["add", "compare_exchange", "load", "wait", "notify"])
@pytest.mark.parametrize(
    ("index", "error", "words"),
    [(4, IndexError, "index 4 is out of range for 4"), (-5, IndexError, "-5"), ("a", TypeError, "integer, got 'a'")],
)
def test_an_index_that_is_none(numbers, name, index, error, words):
    values = {"add": [1], "compare_exchange": [1, 2], "wait": [0]}.get(name, [])
    with pytest.raises(error, match=words):
        getattr(numbers.atomics, name)(index, *values)
    numbers.atomics.add(0, 1)  # the lock is free


@pytest.mark.parametrize("value", [1.5, "1", None])
def test_a_value_that_is_none(numbers, value):
    with pytest.raises(TypeError):
        numbers.atomics.add(0, value)
    numbers.atomics.add(0, 1)
    assert numbers[0] == 1


@pytest.mark.parametrize("kind", ["float64", "float32", "bool"])
def test_only_integers(kind):
    with SharedArray(kind, 1) as made, pytest.raises(UsageError, match="need integers"):
        made.atomics.add(0, 1)


def test_threads(numbers):
    def work():
        for _ in range(2000):
            numbers.atomics.add(0, 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert numbers[0] == 8000


def test_a_lock_that_this_process_has_not(monkeypatch):
    with SharedArray("int32", 1) as made:
        monkeypatch.setattr(robust_mutex, "available", lambda: False)
        with pytest.raises(SharedMemoryError, match="robust mutexes"):
            made.atomics.add(0, 1)
        made[0] = 1


def test_a_file_lock_stays_one_for_those_who_have_mutexes(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(robust_mutex, "available", lambda: False)
        made = SharedArray("int32", 1)
    with made, SharedArray.from_fd(made.fileno()) as other:
        assert isinstance(other.atomics._lock, shared_lock.FileLock)


def test_patience_ends(numbers, lock, monkeypatch):
    if lock:
        return  # a file lock has no limit, as the reference says
    monkeypatch.setattr(shared_lock, "PATIENCE", 0.1)
    held, done = threading.Event(), threading.Event()
    atomics = numbers.atomics

    def stopped():
        atomics._lock.try_lock(atomics._lock.token)
        held.set()
        done.wait(20)
        atomics._lock.unlock(atomics._lock.token)

    thread = threading.Thread(target=stopped)
    thread.start()
    held.wait(20)
    with pytest.raises(LockTimeout, match=r"not free within 0.1 s"):
        atomics.add(0, 1)
    done.set()
    thread.join()
    assert atomics.add(0, 1) == 0


class Interrupting:
    """An element view in which an interrupt comes in the middle of an operation, once."""

    def __init__(self, elements):
        self.elements, self.comes = elements, True

    def __getitem__(self, index):
        if self.comes:
            self.comes = False
            raise KeyboardInterrupt
        return self.elements[index]

    def __setitem__(self, index, value):
        self.elements[index] = value


def test_an_interrupt_in_the_middle_leaves_the_lock_free(numbers):
    atomics = numbers.atomics
    atomics._elements = Interrupting(atomics._elements)
    with pytest.raises(KeyboardInterrupt):
        atomics.add(0, 1)
    other = threading.Thread(target=lambda: atomics.add(0, 1))  # this thread could take it twice
    other.start()
    other.join(20)
    assert numbers[0] == 1


def test_a_handler_may_come_in_the_middle(numbers):
    """Its own operation does not let go of the lock of the one that it interrupted."""
    lock = numbers.atomics._lock
    assert lock.try_lock(lock.token) == 0
    numbers.atomics.add(0, 1)
    seen = []
    other = threading.Thread(target=lambda: seen.append(lock.try_lock(lock.token)))
    other.start()
    other.join(20)
    assert seen == [errno.EBUSY]
    lock.unlock(lock.token)
    assert numbers[0] == 1


def test_waiting_for_what_is_so_already(numbers):
    assert numbers.atomics.wait(0, 5) is True
    assert numbers.atomics.wait(0, 0, 0) is False
    assert numbers.atomics.wait(0, 0, 0.01) is False


def test_waiting_for_a_thread(numbers):
    thread = threading.Thread(target=lambda: (numbers.atomics.store(2, 1), numbers.atomics.notify(2)))
    thread.start()
    assert numbers.atomics.wait(2, 0, 20) is True
    thread.join()


async def test_waiting_in_an_event_loop(numbers):
    atomics = numbers.atomics
    waiting = asyncio.create_task(atomics.wait_async(1, 0, 20))
    await asyncio.sleep(0)
    atomics.notify(1)  # nothing has changed: it sleeps on
    atomics.store(1, 5)
    atomics.notify(1)
    assert await waiting is True
    assert await atomics.wait_async(1, 5, 0.01) is False


async def test_a_cancelled_wait_lets_its_thread_go(numbers):
    waiting = asyncio.create_task(numbers.atomics.wait_async(1, 0))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_error_of_a_wait_comes_out(numbers):
    with pytest.raises(IndexError):
        await numbers.atomics.wait_async(9, 0)
    atomics = numbers.atomics
    numbers.close()
    with pytest.raises(UsageError, match="closed"):
        await atomics.wait_async(0, 0)
